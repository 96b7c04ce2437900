//! Which old bytes checkpoints hold after their page is lost.
//!
//! Each byte is needed from the interval in which its page is lost to the one that uses it last.
//! Of intervals of time that overlap, as many as there is room for are kept by dropping, whenever
//! there are too many, the one that ends last: M. Carlisle and E. Lloyd, "On the k-coloring of
//! intervals", 1995; L. Belady, 1966, for caches.

use std::ops::Range;

use fwdelta_core::format::pages::{Pages, Room};

use super::order::Needs;
use crate::matching::Cover;

/// Shortest excerpt: saying where it is takes some bytes.
const LEN_MIN: u64 = 8;
/// Bytes between two parts that are kept with them rather than saying where the second one is.
const GAP_MAX: u64 = 6;
/// Longest excerpt, and longest life of one.
const SHORT_MAX: u64 = u16::MAX as u64;

/// An old page is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) page: u64,
    pub(super) turn: usize,
}

/// What is lost when.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// In the order of turns.
    pub(super) all: Vec<Loss>,
    /// The turns with which intervals begin.
    pub(super) starts: Vec<usize>,
}

/// A part of an old page that checkpoints hold.
#[derive(Clone, Debug)]
pub(super) struct Excerpt {
    pub(super) pos: u64,
    pub(super) len: u64,
    /// Intervals, the first and the last.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The turns of these.
    pub(super) turns: Range<usize>,
}

impl Excerpt {
    pub(super) const fn end(&self) -> u64 {
        self.pos + self.len
    }
}

impl Losses {
    /// The interval of a turn: the last that began.
    fn interval(&self, turn: usize) -> usize {
        self.starts.partition_point(|start| *start <= turn).saturating_sub(1)
    }

    /// What to keep of what is lost, in the order of old.
    pub(super) fn excerpts(
        &self,
        pages: &Pages,
        needs: &Needs,
        turn_of: &[usize],
        room: Room,
    ) -> Vec<Excerpt> {
        let (mut kept, mut held): (Vec<Excerpt>, Vec<Excerpt>) = (Vec::new(), Vec::new());
        let mut losses = self.all.iter().peekable();
        for first in 0..self.starts.len() {
            let (over, still): (Vec<_>, Vec<_>) = held.into_iter().partition(|it| it.last < first);
            kept.extend(over);
            held = still;
            while let Some(loss) = losses.next_if(|loss| self.interval(loss.turn) == first) {
                held.extend(self.wanted(pages, needs, turn_of, loss, first));
            }
            drop_last(&mut held, room);
        }
        kept.extend(held);
        for excerpt in &mut kept {
            let end = self.starts.get(excerpt.last + 1).copied().unwrap_or(turn_of.len());
            excerpt.turns = self.starts[excerpt.first]..end;
        }
        kept.sort_by_key(|excerpt| excerpt.pos);
        kept
    }

    /// What is still needed of a page that is lost, and until when.
    fn wanted(
        &self,
        pages: &Pages,
        needs: &Needs,
        turn_of: &[usize],
        loss: &Loss,
        first: usize,
    ) -> Vec<Excerpt> {
        let place = pages.place(loss.page);
        let from = needs.parts.partition_point(|part| part.old_pos < place.pos);
        let parts = needs.parts[from..].iter().take_while(|part| part.old_pos < place.end);
        let due = |part: &&Cover| turn_of[pages.page_of(part.new_pos) as usize] >= loss.turn;
        let last = |part: &Cover| self.interval(turn_of[pages.page_of(part.new_pos) as usize]);
        let parts: Vec<_> = parts.filter(due).map(|part| (part, last(part))).collect();
        let ends = parts.iter().flat_map(|(part, _)| [part.old_pos, part.old_pos + part.len]);
        let mut ends: Vec<u64> = ends.collect();
        ends.sort_unstable();
        ends.dedup();
        let mut wanted: Vec<Excerpt> = Vec::new();
        for (pos, end) in ends.iter().zip(ends.iter().skip(1)) {
            let covers = |part: &Cover| part.old_pos <= *pos && part.old_pos + part.len >= *end;
            let users = parts.iter().filter(|(part, _)| covers(part));
            let Some(last) = users.map(|(_, last)| *last).max() else { continue };
            if (last - first) as u64 > SHORT_MAX {
                continue;
            }
            match wanted.last_mut() {
                Some(it) if it.last == last && it.end() + GAP_MAX >= *pos => it.len = end - it.pos,
                _ => wanted.push(Excerpt { pos: *pos, len: end - pos, first, last, turns: 0..0 }),
            }
        }
        wanted.iter_mut().for_each(|excerpt| excerpt.len = excerpt.len.min(SHORT_MAX));
        wanted.retain(|excerpt| excerpt.len >= LEN_MIN);
        wanted
    }
}

/// Drops excerpts, or their ends, until the rest has room: those first that are needed last.
fn drop_last(held: &mut Vec<Excerpt>, room: Room) {
    held.sort_by_key(|excerpt| (excerpt.last, excerpt.pos));
    let mut used: u64 = held.iter().map(|excerpt| excerpt.len).sum();
    while used > u64::from(room.len) || held.len() > room.count.into() {
        let Some(last) = held.last_mut() else { break };
        let over = used.saturating_sub(room.len.into());
        if held_fits(last.len, over) && held.len() <= room.count.into() {
            if let Some(last) = held.last_mut() {
                last.len -= over;
            }
            used -= over;
        } else {
            used -= held.pop().map_or(0, |last| last.len);
        }
    }
}

/// Whether enough of an excerpt is left without `over` bytes.
const fn held_fits(len: u64, over: u64) -> bool {
    len >= over + LEN_MIN
}
