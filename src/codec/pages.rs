//! Rewriting in place, planned: in which order pages are made, which old ones are kept in spare
//! pages, and what of old is left while each page is made.

use fwdelta_core::apply::in_place::{
    EXCERPT_BY, EXCERPT_BYTES, EXCERPT_COUNT, EXCERPT_LIFE, KEPT, SPAN_COUNT, SPAN_START, UNSAVED,
    VICTIM,
};
use fwdelta_core::format::pages::{InPlace, Pages, Span};

use super::excerpts::{Excerpt, Loss, Losses};
pub use super::order::{Needs, Order};
use super::order::{Spare, by_page};
use crate::matching::Cover;

/// Shortest part of a cover that is worth its place.
const PART_LEN_MIN: u64 = 4;

/// One page, in the order in which they are made.
#[derive(Clone, Debug)]
struct Turn {
    page: u64,
    is_kept: bool,
    /// Old bytes that cannot be read from here on.
    lost: Vec<Span>,
    /// Ages of the spare pages that this interval overwrites, if one begins here.
    victims: Vec<u64>,
    /// Whether an interval begins here: what is said of excerpts then, if anything may be.
    excerpts: Option<Vec<Excerpt>>,
    is_unsaved: bool,
}

/// Which pages are rewritten, in what order, and until when old ones can be read.
#[derive(Clone, Debug)]
pub struct Schedule {
    pages: Pages,
    is_ordered: bool,
    turns: Vec<Turn>,
    /// For each old page the first turn that cannot read it any more.
    lost_from: Vec<usize>,
    /// The turn of each new page.
    turn_of: Vec<usize>,
    /// Old bytes that stay for some time after their page is lost, in their order in old.
    excerpts: Vec<Excerpt>,
}

impl Schedule {
    /// For images of `new_len` bytes.
    #[must_use]
    pub fn new(in_place: &InPlace, order: Order, pages: Pages, needs: &Needs) -> Self {
        Self::of_turns(in_place, order, pages, needs, needs.order(in_place, order))
    }

    /// The same with the pages in the order `turns`, which was found for other spare pages or
    /// excerpts.
    #[must_use]
    pub fn of_turns(
        in_place: &InPlace,
        order: Order,
        pages: Pages,
        needs: &Needs,
        turns: Vec<u64>,
    ) -> Self {
        let mut schedule = Self {
            pages,
            is_ordered: order != Order::Ascending,
            turns: Vec::new(),
            lost_from: vec![usize::MAX; needs.by.len()],
            turn_of: vec![0; pages.count() as usize],
            excerpts: Vec::new(),
        };
        for (turn, page) in turns.iter().enumerate() {
            schedule.turn_of[*page as usize] = turn;
        }
        let losses = schedule.take_turns(in_place, needs, turns);
        if in_place.room.len > 0 {
            schedule.excerpts = losses.excerpts(&pages, needs, &schedule.turn_of, in_place.room);
        }
        schedule.say_excerpts(in_place, &losses);
        schedule
    }

    /// Decides for each page which old ones are saved and lost.
    fn take_turns(&mut self, in_place: &InPlace, needs: &Needs, order: Vec<u64>) -> Losses {
        let (mut spare, mut losses) = (Spare::new(in_place), Losses::default());
        let may_pass = in_place.room.len > 0 && in_place.interval == 1;
        for (turn, page) in order.into_iter().enumerate() {
            let is_kept = needs.is_kept[page as usize];
            let (mut victims, mut lost, mut is_unsaved) = (vec![], vec![], false);
            if !is_kept {
                if spare.is_first() {
                    losses.starts.push(turn);
                }
                let is_later = |user: u64| self.turn_of[user as usize] >= turn;
                let value = |page| needs.value(page, is_later);
                is_unsaved = may_pass && value(page) < spare.least(value);
                if is_unsaved {
                    spare.pass();
                    lost.push(page);
                } else {
                    (victims, lost) = spare.save(page, value);
                }
            }
            for page in lost {
                self.lost_from[page as usize] = turn;
                losses.all.push(Loss { page, turn });
            }
            let (lost, excerpts) = (vec![], None);
            self.turns.push(Turn { page, is_kept, lost, victims, excerpts, is_unsaved });
        }
        losses
    }

    /// Notes at which turns excerpts are named, and bytes lost.
    fn say_excerpts(&mut self, in_place: &InPlace, losses: &Losses) {
        for loss in &losses.all {
            let place = self.pages.place(loss.page);
            let Span { mut pos, end } = place;
            let here = |it: &&Excerpt| it.pos >= place.pos && it.pos < place.end;
            for excerpt in self.excerpts.iter().filter(here) {
                self.turns[loss.turn].lost.push(Span { pos, end: excerpt.pos });
                pos = excerpt.end();
            }
            self.turns[loss.turn].lost.push(Span { pos, end });
        }
        if in_place.room.len == 0 {
            return;
        }
        for (number, turn) in losses.starts.iter().enumerate() {
            let here = |excerpt: &&Excerpt| excerpt.first == number;
            let named = self.excerpts.iter().filter(here).cloned().collect();
            let over = self.excerpts.iter().filter(|excerpt| excerpt.last + 1 == number);
            let turn = &mut self.turns[*turn];
            turn.excerpts = Some(named);
            turn.lost.extend(over.map(|excerpt| Span { pos: excerpt.pos, end: excerpt.end() }));
        }
    }

    /// The spans of new, in the order in which they are made.
    fn span_at(&self, turn: usize) -> Option<(u64, u64)> {
        let page = self.turns[turn].page;
        if turn > 0 && self.turns[turn - 1].page + 1 == page {
            return None;
        }
        let follows = |(at, turn): &(usize, &Turn)| turn.page == page + *at as u64;
        let count = self.turns[turn..].iter().enumerate().take_while(follows).count();
        Some((page, count as u64))
    }

    /// Pages in the order in which they are made.
    #[must_use]
    pub fn order(&self) -> Vec<u64> {
        self.turns.iter().map(|turn| turn.page).collect()
    }

    /// Pages that are rewritten.
    #[must_use]
    pub fn rewritten_count(&self) -> usize {
        self.turns.iter().filter(|turn| !turn.is_kept).count()
    }

    /// New in the order in which it is made.
    #[must_use]
    pub fn made(&self, new: &[u8]) -> Vec<u8> {
        let spans = self.turns.iter().map(|turn| self.pages.span(turn.page, 1));
        spans.flat_map(|span| &new[span.pos as usize..span.end as usize]).copied().collect()
    }

    /// Whether the stream says what the order is.
    #[must_use]
    pub const fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    /// The parts of `covers` whose old bytes can be read when they are needed.
    #[must_use]
    pub fn readable(&self, covers: &[Cover]) -> Vec<Cover> {
        let mut parts = Vec::with_capacity(covers.len());
        for cover in covers {
            let mut open: Option<Cover> = None;
            for part in by_page(&self.pages, cover) {
                for (piece, is_there) in self.pieces(part) {
                    if is_there {
                        open.get_or_insert(Cover { len: 0, ..piece }).len += piece.len;
                    } else {
                        parts.extend(open.take());
                    }
                }
            }
            parts.extend(open);
        }
        parts.retain(|part| part.len >= PART_LEN_MIN);
        parts
    }

    /// `part` of a cover, between one page and another, cut where it can be read and where not.
    fn pieces(&self, part: Cover) -> Vec<(Cover, bool)> {
        let turn = self.turn_of[self.pages.page_of(part.new_pos) as usize];
        if turn < self.lost_from[self.pages.page_of(part.old_pos) as usize] {
            return vec![(part, true)];
        }
        let (mut pieces, mut at) = (Vec::new(), part.old_pos);
        let end = part.old_pos + part.len;
        let piece = |from: u64, to: u64| Cover {
            old_pos: from,
            new_pos: part.new_pos + (from - part.old_pos),
            len: to - from,
        };
        let there = self.excerpts.iter().filter(|it| it.turns.contains(&turn));
        for excerpt in there.filter(|it| it.end() > part.old_pos && it.pos < end) {
            let (from, to) = (excerpt.pos.max(at), excerpt.end().min(end));
            pieces.push((piece(at, from), false));
            pieces.push((piece(from, to), true));
            at = to;
        }
        pieces.push((piece(at, end), false));
        pieces.retain(|(piece, _)| piece.len > 0);
        pieces
    }

    /// What the stream says of each page, in the order in which they are made.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let (mut steps, mut end, mut named_end) = (Vec::new(), 0, 0);
        for at in 0..self.turns.len() {
            let Turn { page, is_kept, victims, excerpts, is_unsaved, .. } = &self.turns[at];
            let (mut numbers, mut span) = (Vec::new(), None);
            if let Some((page, count)) = self.span_at(at) {
                if self.is_ordered {
                    let by = folded(page as i64 - end);
                    numbers.extend([(SPAN_START, by), (SPAN_COUNT, count - 1)]);
                }
                span = Some(self.pages.span(page, count));
            }
            end = *page as i64 + 1;
            numbers.push((KEPT, u64::from(*is_kept)));
            if let Some(excerpts) = excerpts {
                numbers.push((EXCERPT_COUNT, excerpts.len() as u64));
                for excerpt in excerpts {
                    numbers.push((EXCERPT_BY, folded(excerpt.pos as i64 - named_end)));
                    numbers.push((EXCERPT_BYTES, excerpt.len - 1));
                    numbers.push((EXCERPT_LIFE, (excerpt.last - excerpt.first) as u64));
                    named_end = excerpt.end() as i64;
                }
                numbers.push((UNSAVED, u64::from(*is_unsaved)));
            }
            numbers.extend(victims.iter().map(|age| (VICTIM, *age)));
            steps.push(Step { numbers, span, pos: self.pages.span(*page, 1).pos });
        }
        steps
    }

    /// The old image, to be seen as the first page sees it.
    #[must_use]
    pub fn shadow(&self, old: &[u8]) -> Shadow<'_> {
        Shadow { schedule: self, old: old.to_vec(), next: 0, page: None }
    }
}

/// A signed number as it is sent.
const fn folded(by: i64) -> u64 {
    (by.wrapping_shl(1) ^ (by >> 63)) as u64
}

/// What the stream says where a page begins.
#[derive(Clone, Debug)]
pub struct Step {
    /// Numbers with their contexts.
    pub numbers: Vec<(u32, u64)>,
    /// The span that begins here.
    pub span: Option<Span>,
    /// Where the page starts in new.
    pub pos: u64,
}

/// Gives out what the stream says of pages when their first byte is reached.
#[derive(Clone, Debug)]
pub struct Pacer {
    steps: std::iter::Peekable<std::vec::IntoIter<Step>>,
}

impl Pacer {
    /// Before the first page.
    #[must_use]
    pub fn new(schedule: &Schedule) -> Self {
        Self { steps: schedule.steps().into_iter().peekable() }
    }

    /// The next span, with the numbers of its first page.
    pub fn next_span(&mut self) -> Option<(Span, Vec<(u32, u64)>)> {
        let step = self.steps.next()?;
        Some((step.span?, step.numbers))
    }

    /// Numbers of further pages of the span that start at or before `pos`.
    pub fn arrive(&mut self, pos: u64) -> Vec<(u32, u64)> {
        let mut numbers = Vec::new();
        while let Some(step) = self.steps.next_if(|step| step.span.is_none() && step.pos <= pos) {
            numbers.extend(step.numbers);
        }
        numbers
    }
}

/// The old image as the page at hand sees it: zeros where it is lost.
#[derive(Clone, Debug)]
pub struct Shadow<'a> {
    schedule: &'a Schedule,
    old: Vec<u8>,
    next: usize,
    page: Option<u64>,
}

impl Shadow<'_> {
    /// What can be read for the page that holds position `pos` of new, not before the last one.
    pub fn at(&mut self, pos: u64) -> &[u8] {
        let Schedule { pages, turns, turn_of, .. } = self.schedule;
        let page = pages.page_of(pos);
        if self.page != Some(page) {
            self.page = Some(page);
            let turn = turn_of[page as usize];
            for turn in &turns[self.next..=turn] {
                for Span { pos, end } in turn.lost.iter().copied() {
                    let end = self.old.len().min(end as usize);
                    if let Some(bytes) = self.old.get_mut(pos as usize..end) {
                        bytes.fill(0);
                    }
                }
            }
            self.next = turn + 1;
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
    use fwdelta_core::format::pages::{FirstPages, Room};

    const COVER: Cover = Cover { old_pos: 0, new_pos: 128, len: 64 * 6 };

    fn schedule(order: Order, spare_count: u8) -> Schedule {
        let first = FirstPages::NONE;
        let in_place = InPlace {
            page_len: 64,
            first,
            check: None,
            spare_count,
            interval: 1,
            room: Room::NONE,
        };
        let old = vec![1; 64 * 8];
        let mut new = vec![2; 64 * 8];
        new[64 * 3..64 * 4].fill(1);
        let pages = in_place.pages(new.len() as u64);
        let needs = Needs::new(&pages, &old, &new, &[COVER]);
        Schedule::new(&in_place, order, pages, &needs)
    }

    #[test]
    fn pages_are_lost_when_too_many_were_rewritten_since() {
        let parts = |order, spare| schedule(order, spare).readable(&[COVER]);
        let part = |at, len| Cover { old_pos: at, new_pos: at + 128, len };
        // Page p needs p - 2; page 3 is kept.
        assert_eq!(parts(Order::Ascending, 1), [part(64 * 3, 64)]);
        assert_eq!(parts(Order::Ascending, 3), [COVER]);
        for order in [Order::Descending, Order::Needs] {
            assert_eq!(parts(order, 1), [COVER]);
        }
        assert_eq!(schedule(Order::Descending, 1).rewritten_count(), 7);
    }

    #[test]
    fn what_the_stream_says() {
        let steps = schedule(Order::Descending, 2).steps();
        assert_eq!(steps.len(), 8);
        assert_eq!(steps[0].numbers[..3], [(SPAN_START, 14), (SPAN_COUNT, 0), (KEPT, 0)]);
        assert_eq!(steps[4].numbers, [(SPAN_START, 3), (SPAN_COUNT, 0), (KEPT, 1)]);
        let ascending = schedule(Order::Ascending, 1);
        let mut pacer = Pacer::new(&ascending);
        assert_eq!(pacer.next_span(), Some((Span { pos: 0, end: 512 }, vec![(KEPT, 0)])));
        assert_eq!(pacer.arrive(63), []);
        assert_eq!(pacer.arrive(192), [(KEPT, 0), (KEPT, 0), (KEPT, 1)]);
    }
}
