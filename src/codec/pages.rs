//! What of old is left while new is made over it, page by page.

use std::collections::VecDeque;

use fwdelta_core::format::pages::{InPlace, Pages, Span};

use crate::matching::Cover;

/// Shortest part of a cover that is worth its place.
const PART_LEN_MIN: u64 = 8;

/// Which pages are rewritten, in what order, and until when old ones can be read.
#[derive(Clone, Debug)]
pub struct Schedule {
    pages: Pages,
    /// For each old page the first place in the order that cannot read it any more.
    lost_from: Vec<u64>,
    /// Pages that are rewritten, and how many.
    is_kept: Vec<bool>,
    reach: usize,
}

impl Schedule {
    /// For images rewritten in place.
    #[must_use]
    pub fn new(in_place: &InPlace, old: &[u8], new: &[u8]) -> Self {
        let pages = in_place.pages(new.len() as u64);
        let reach = in_place.reach() as usize;
        let old_pages = pages.page_of((old.len() as u64).saturating_sub(1)) as usize + 1;
        let mut schedule = Self {
            pages,
            lost_from: vec![u64::MAX; old_pages.max(pages.count() as usize)],
            is_kept: Vec::new(),
            reach,
        };
        let is_kept = |page: u64| {
            let start = (page * pages.page_len()) as usize;
            let end = new.len().min(start + pages.page_len() as usize);
            old.get(start..end) == Some(&new[start..end])
        };
        schedule.is_kept = (0..pages.count()).map(is_kept).collect();
        let mut left = Left::default();
        for place in 0..pages.count() {
            if let Some(lost) = schedule.leave(&mut left, place) {
                schedule.lost_from[lost as usize] = place + 1;
            }
        }
        schedule
    }

    /// The page at `place` is done; gives the one that is lost by it.
    fn leave(&self, left: &mut Left, place: u64) -> Option<u64> {
        let page = self.pages.page_at(place);
        if self.is_kept[page as usize] {
            return None;
        }
        left.0.push_back(page);
        if left.0.len() > self.reach { left.0.pop_front() } else { None }
    }

    /// The spans of new, in order.
    pub fn spans(&self) -> impl Iterator<Item = Span> + '_ {
        (0..self.pages.count()).filter_map(|place| self.pages.span_at(place))
    }

    /// Pages that are rewritten.
    #[must_use]
    pub fn rewritten_count(&self) -> usize {
        self.is_kept.iter().filter(|is_kept| !**is_kept).count()
    }

    /// The parts of `covers` whose old bytes can be read when they are needed.
    #[must_use]
    pub fn readable(&self, covers: &[Cover]) -> Vec<Cover> {
        let mut parts = Vec::with_capacity(covers.len());
        for cover in covers {
            self.cut(cover, &mut parts);
        }
        parts.retain(|part| part.len >= PART_LEN_MIN);
        parts
    }

    fn cut(&self, cover: &Cover, parts: &mut Vec<Cover>) {
        let (mut at, page_len) = (0, self.pages.page_len());
        let mut open: Option<Cover> = None;
        while at < cover.len {
            let (old_pos, new_pos) = (cover.old_pos + at, cover.new_pos + at);
            let to_end = |pos: u64| page_len - pos % page_len;
            let len = to_end(old_pos).min(to_end(new_pos)).min(cover.len - at);
            let place = self.pages.place_of(new_pos / page_len);
            if place < self.lost_from[(old_pos / page_len) as usize] {
                open.get_or_insert(Cover { old_pos, new_pos, len: 0 }).len += len;
            } else {
                parts.extend(open.take());
            }
            at += len;
        }
        parts.extend(open);
    }

    /// The old image, to be seen as the first page sees it.
    #[must_use]
    pub fn shadow(&self, old: &[u8]) -> Shadow<'_> {
        Shadow { schedule: self, old: old.to_vec(), place: 0, page: None, left: Left::default() }
    }
}

/// Pages that were rewritten last.
#[derive(Clone, Debug, Default)]
struct Left(VecDeque<u64>);

/// The old image as the page at hand sees it: zeros where it is lost.
#[derive(Clone, Debug)]
pub struct Shadow<'a> {
    schedule: &'a Schedule,
    old: Vec<u8>,
    place: u64,
    page: Option<u64>,
    left: Left,
}

impl Shadow<'_> {
    /// What can be read for the page that holds position `pos` of new, not before the last one.
    pub fn at(&mut self, pos: u64) -> &[u8] {
        let pages = self.schedule.pages;
        let page = pages.page_of(pos);
        if self.page != Some(page) {
            self.page = Some(page);
            while self.place < pages.place_of(page) {
                if let Some(lost) = self.schedule.leave(&mut self.left, self.place) {
                    let start = (lost * pages.page_len()) as usize;
                    let end = self.old.len().min(start + pages.page_len() as usize);
                    if let Some(bytes) = self.old.get_mut(start..end) {
                        bytes.fill(0);
                    }
                }
                self.place += 1;
            }
        }
        &self.old
    }
}

/// `covers` as far as they are in `span`, with their numbers.
pub fn within(covers: &[Cover], span: Span) -> impl Iterator<Item = (usize, Cover)> + '_ {
    let first = covers.partition_point(|cover| cover.new_pos + cover.len <= span.pos);
    let inside = covers[first..].iter().take_while(move |cover| cover.new_pos < span.end);
    inside.enumerate().map(move |(at, cover)| {
        let skip = span.pos.saturating_sub(cover.new_pos);
        let (old_pos, new_pos) = (cover.old_pos + skip, cover.new_pos + skip);
        let len = (cover.new_pos + cover.len).min(span.end) - new_pos;
        (first + at, Cover { old_pos, new_pos, len })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(block: u32, spare_count: u8) -> Schedule {
        let in_place = InPlace { page_len: 64, block, spare_count, interval: 1, check: 0 };
        let old = vec![1; 64 * 8];
        let mut new = vec![2; 64 * 8];
        new[64 * 3..64 * 4].fill(1);
        Schedule::new(&in_place, &old, &new)
    }

    #[test]
    fn pages_are_lost_when_too_many_were_rewritten_since() {
        let cover = Cover { old_pos: 0, new_pos: 64 * 2, len: 64 * 6 };
        let parts = |block, spare| schedule(block, spare).readable(&[cover]);
        // Ascending, page p needs p - 2: page 3 is kept, so page 4 needs the last one but one.
        let part = |at, len| Cover { old_pos: at, new_pos: at + 128, len };
        assert_eq!(parts(0, 1), [part(64 * 3, 64)]);
        assert_eq!(parts(0, 2), [part(64, 64 * 3)]);
        assert_eq!(parts(0, 3), [cover]);
        // Descending, everything is still there.
        assert_eq!(parts(1, 1), [cover]);
        assert_eq!(schedule(0, 1).rewritten_count(), 7);
    }
}
