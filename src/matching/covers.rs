//! Covers by cost, in pieces that know nothing of each other.

use std::ops::Range;

use rayon::prelude::*;

use super::candidates::Candidates;
use super::costs::Costs;
use super::search::Search;
use super::view::{View, Vote};
use super::windows::Matches;
use crate::error::{Error, Result};
use crate::progress::{Progress, Stage, checkpoint};

/// Longest and shortest piece parsed independently of the rest, if new is that long; what it is in
/// between depends on new alone, so that threads do not matter.
const PIECE_LEN_MAX: usize = 4 << 20;
const PIECE_LEN_MIN: usize = 1 << 18;
/// Pieces of an image that is neither long nor short.
const PIECE_COUNT: usize = 8;
/// Bytes that a piece looks at before and behind itself: both sides of a border arrive at the same
/// path there.
pub(super) const OVERLAP_LEN: usize = 16 << 10;
/// Bytes between two looks at whether to stop.
const BLOCK_LEN: usize = 1 << 16;

/// A part of new that is like a part of old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cover {
    /// Position in old.
    pub old_pos: u64,
    /// Position in new.
    pub new_pos: u64,
    /// Bytes.
    pub len: u64,
}

/// What one parse works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    pub(super) old: &'a View<'a>,
    pub(super) new: &'a View<'a>,
    pub(super) matches: &'a Matches,
    pub(super) votes: &'a [Vote],
    pub(super) costs: &'a Costs,
}

impl Task<'_> {
    /// Appends the best covers of the window `window` of new.
    pub(super) fn parse(
        &self,
        window: &Range<usize>,
        covers: &mut Vec<Cover>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let piece_len = self.new.len() / PIECE_COUNT;
        let piece_len = piece_len.clamp(PIECE_LEN_MIN, PIECE_LEN_MAX);
        let starts: Vec<usize> = window.clone().step_by(piece_len).collect();
        let pieces = starts.into_par_iter().map(|start| {
            let done = (window.end + start) as u64 / 2;
            checkpoint(progress, Stage::Match, done, self.new.len() as u64)?;
            let piece = start..window.end.min(start + piece_len);
            let covers = self.parse_piece(&piece, progress)?;
            Ok(covers.into_iter().filter_map(|cover| cut(cover, &piece)).collect::<Vec<_>>())
        });
        for cover in pieces.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            append(covers, cover);
        }
        Ok(())
    }

    /// The covers of `piece` and of what is around it.
    fn parse_piece(&self, piece: &Range<usize>, progress: &dyn Progress) -> Result<Vec<Cover>> {
        let new_len = self.new.len();
        let start = piece.start.saturating_sub(OVERLAP_LEN);
        let end = new_len.min(piece.end + OVERLAP_LEN);
        let mut search = Search::new(self.old, self.new, self.costs, start);
        let mut candidates = Candidates::new(self, start);
        for start in (start..end).step_by(BLOCK_LEN) {
            if progress.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let block = start..end.min(start + BLOCK_LEN);
            let votes = self.votes_on(&block);
            search.run(candidates.on(&block), &votes, block);
        }
        Ok(search.trace(end))
    }

    /// The votes on `range` that are inside old.
    fn votes_on(&self, range: &Range<usize>) -> Vec<Vote> {
        let before = |end: usize| self.votes.partition_point(|vote| vote.new_pos < end as u64);
        let inside = |vote: &&Vote| vote.old_pos(self.old.len()).is_some();
        self.votes[before(range.start)..before(range.end)].iter().filter(inside).copied().collect()
    }
}

/// What of `cover` lies in `piece`.
fn cut(cover: Cover, piece: &Range<usize>) -> Option<Cover> {
    let new_pos = cover.new_pos.max(piece.start as u64);
    let end = (cover.new_pos + cover.len).min(piece.end as u64);
    let old_pos = cover.old_pos + (new_pos - cover.new_pos);
    (new_pos < end).then(|| Cover { old_pos, new_pos, len: end - new_pos })
}

/// The cover of a whole window in which nothing has changed, as most of a large image has not:
/// where `last` leads on, or in the same place.
pub(super) fn unchanged(
    old: &View,
    new: &View,
    window: &Range<usize>,
    last: Option<&Cover>,
) -> Option<Cover> {
    let here = window.start as u64;
    let next = last.filter(|last| last.new_pos + last.len == here);
    let starts = [next.map(|last| last.old_pos + last.len), Some(here)];
    let equal = |old_pos: &u64| {
        let (start, len) = (*old_pos as usize, window.len());
        let part = old.exact.get(start..).and_then(|rest| rest.get(..len));
        part == new.exact.get(window.clone())
    };
    let old_pos = starts.into_iter().flatten().find(equal)?;
    Some(Cover { old_pos, new_pos: here, len: window.len() as u64 })
}

/// Appends `cover`, to the last one if that leads to it.
pub(super) fn append(covers: &mut Vec<Cover>, cover: Cover) {
    match covers.last_mut() {
        Some(last) if continues(last, &cover) => last.len += cover.len,
        _ => covers.push(cover),
    }
}

fn continues(last: &Cover, next: &Cover) -> bool {
    last.new_pos + last.len == next.new_pos && last.old_pos + last.len == next.old_pos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_without_a_change_is_one_cover() {
        let old: Vec<u8> = (0..200).collect();
        let new = [&old[..50], b"more", &old[50..]].concat();
        let (old, new) = (View::plain(&old), View::plain(&new));
        let found = |window: Range<usize>, last| unchanged(&old, &new, &window, last);
        assert_eq!(found(0..40, None), Some(Cover { old_pos: 0, new_pos: 0, len: 40 }));
        assert_eq!(found(40..80, None), None);
        let last = Cover { old_pos: 60, new_pos: 64, len: 16 };
        let next = Cover { old_pos: 76, new_pos: 80, len: 40 };
        assert_eq!(found(80..120, Some(&last)), Some(next));
        assert_eq!(found(90..120, Some(&last)), None, "it does not lead there");
        assert_eq!(found(190..204, Some(&last)), None, "old ends before");
        let mut covers = vec![last];
        append(&mut covers, next);
        assert_eq!(covers, [Cover { len: 56, ..last }]);
    }
}
