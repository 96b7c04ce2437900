//! Where old positions are in new: the listed covers.

use crate::error::Result;
use crate::state::Visit;

/// Bytes of one cover in memory.
pub const COVER_LEN: usize = 12;
/// Bytes of its place in the order of old positions.
pub const ORDER_LEN: usize = 4;

/// A listed cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Position in old.
    pub old_pos: u32,
    /// Position in new.
    pub new_pos: u32,
    /// Bytes, at least 1.
    pub len: u32,
}

impl Listed {
    /// By how much it moves.
    #[must_use]
    pub fn shift(&self) -> i64 {
        i64::from(self.new_pos) - i64::from(self.old_pos)
    }

    fn old_end(&self) -> u64 {
        u64::from(self.old_pos) + u64::from(self.len)
    }
}

/// How a position was mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Trust {
    /// It is in a listed cover.
    Covered = 0,
    /// It is between two that moved by the same.
    Between = 1,
    /// It is nearer to one that moved otherwise than its neighbour, or outside of all.
    Near = 2,
}

/// Listed covers, in order of new, with those that serve as the map in order of old.
///
/// An old position belongs to the cover of the map with the largest old position not above it.
#[derive(Debug)]
pub struct CoverMap<'w> {
    covers: &'w mut [[u8; COVER_LEN]],
    order: &'w mut [[u8; ORDER_LEN]],
    /// For each stretch of old, of 2 to the power of `index_log` bytes, how many covers of the map
    /// start before it; may have no entries.
    index: &'w mut [[u8; ORDER_LEN]],
    index_log: u32,
    count: usize,
    mapped: usize,
    /// Place in the order where the last position was found.
    last: usize,
    /// The last two stretches of old that positions were found in, and by what they moved.
    recent: [(u64, u64, i64); 2],
}

impl<'w> CoverMap<'w> {
    /// An empty map over memory for as many covers as both slices hold.
    #[must_use]
    pub fn new(
        covers: &'w mut [[u8; COVER_LEN]],
        order: &'w mut [[u8; ORDER_LEN]],
    ) -> CoverMap<'w> {
        Self::with_index(covers, order, &mut [])
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.covers.as_flattened_mut())?;
        visit.bytes(self.order.as_flattened_mut())?;
        visit.index(&mut self.count)?;
        visit.index(&mut self.mapped)
    }

    /// The same with memory for an index, which changes nothing but the time it takes.
    #[must_use]
    pub fn with_index(
        covers: &'w mut [[u8; COVER_LEN]],
        order: &'w mut [[u8; ORDER_LEN]],
        index: &'w mut [[u8; ORDER_LEN]],
    ) -> CoverMap<'w> {
        let recent = [(0, 0, 0); 2];
        CoverMap { covers, order, index, index_log: 0, count: 0, mapped: 0, last: 0, recent }
    }

    /// Adds a cover, which serves as a part of the map unless it `is_hidden`; whether there was
    /// room.
    pub fn push(&mut self, cover: Listed, is_hidden: bool) -> bool {
        let at = self.count;
        let (Some(slot), Some(order)) = (self.covers.get_mut(at), self.order.get_mut(self.mapped))
        else {
            return false;
        };
        let (old, new) = (cover.old_pos.to_le_bytes(), cover.new_pos.to_le_bytes());
        let words = [old, new, cover.len.to_le_bytes()];
        for (to, from) in slot.iter_mut().zip(words.as_flattened()) {
            *to = *from;
        }
        self.count += 1;
        if !is_hidden {
            *order = (at as u32).to_le_bytes();
            self.mapped += 1;
        }
        true
    }

    /// Cover number `at` in order of new.
    #[must_use]
    pub fn cover(&self, at: usize) -> Option<Listed> {
        let (words, _) = self.covers.get(..self.count)?.get(at)?.as_chunks::<4>();
        let [old_pos, new_pos, len] = words else { return None };
        let [old_pos, new_pos, len] = [old_pos, new_pos, len].map(|word| u32::from_le_bytes(*word));
        Some(Listed { old_pos, new_pos, len })
    }

    /// Number of the first cover that ends after position `new_pos` of new.
    #[must_use]
    pub fn first_after(&self, new_pos: u64) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let end = |cover: Listed| u64::from(cover.new_pos) + u64::from(cover.len);
            if self.cover(middle).is_some_and(|cover| end(cover) <= new_pos) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn in_order(&self, at: usize) -> Option<Listed> {
        let number = u32::from_le_bytes(*self.order.get(..self.mapped)?.get(at)?);
        self.cover(number as usize)
    }

    /// Sorts the map, after the last cover.
    pub fn seal(&mut self) {
        self.recent = [(0, 0, 0); 2];
        self.sort();
        let last = self.mapped.checked_sub(1).and_then(|at| self.in_order(at));
        let Some(last) = last.map(|cover| cover.old_pos) else { return };
        let entries = (self.index.len() as u64).saturating_sub(1);
        self.index_log = 0;
        while u64::from(last) >> self.index_log >= entries && self.index_log < 32 {
            self.index_log += 1;
        }
        let mut place = 0usize;
        for at in 0..self.index.len() {
            let start = (at as u64) << self.index_log;
            while self.in_order(place).is_some_and(|cover| u64::from(cover.old_pos) < start) {
                place += 1;
            }
            if let Some(slot) = self.index.get_mut(at) {
                *slot = (place as u32).to_le_bytes();
            }
        }
    }

    fn sort(&mut self) {
        let count = self.mapped;
        for root in (0..count / 2).rev() {
            self.sift(root, count);
        }
        for end in (1..count).rev() {
            self.exchange(0, end);
            self.sift(0, end);
        }
    }

    fn exchange(&mut self, a: usize, b: usize) {
        if let Ok([a, b]) = self.order.get_disjoint_mut([a, b]) {
            core::mem::swap(a, b);
        }
    }

    fn key(&self, at: usize) -> (u32, u32) {
        let number = self.order.get(at).map_or(0, |number| u32::from_le_bytes(*number));
        (self.cover(number as usize).map_or(0, |cover| cover.old_pos), number)
    }

    fn sift(&mut self, mut root: usize, end: usize) {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            if child + 1 < end && self.key(child) < self.key(child + 1) {
                child += 1;
            }
            if self.key(root) >= self.key(child) {
                return;
            }
            self.exchange(root, child);
            root = child;
        }
    }

    /// Where `old_pos` is in new; may be outside of it.
    pub fn to_new(&mut self, old_pos: u64) -> (i64, Trust) {
        for (start, end, shift) in self.recent {
            if start <= old_pos && old_pos < end {
                return ((old_pos as i64).wrapping_add(shift), Trust::Covered);
            }
        }
        let next = self.place_after(old_pos);
        let following = self.in_order(next);
        let moved = |shift: i64| (old_pos as i64).wrapping_add(shift);
        let Some(cover) = next.checked_sub(1).and_then(|at| self.in_order(at)) else {
            return (moved(following.map_or(0, |cover| cover.shift())), Trust::Near);
        };
        if old_pos < cover.old_end() {
            let end = following.map_or(u64::MAX, |cover| cover.old_pos.into());
            let [last, _] = self.recent;
            let here = (cover.old_pos.into(), cover.old_end().min(end), cover.shift());
            self.recent = [here, last];
            return (moved(cover.shift()), Trust::Covered);
        }
        if let Some(following) = following {
            if following.shift() == cover.shift() {
                return (moved(cover.shift()), Trust::Between);
            }
            let to_next = u64::from(following.old_pos).saturating_sub(old_pos);
            if to_next < old_pos.saturating_sub(cover.old_end()) {
                return (moved(following.shift()), Trust::Near);
            }
        }
        (moved(cover.shift()), Trust::Near)
    }

    /// Where the part of `cover` ends that is mapped by the cover itself; `None` when it does not
    /// serve as a part of the map.
    pub fn own_end(&mut self, cover: &Listed) -> Option<u64> {
        let next = self.place_after(cover.old_pos.into());
        let own = self.in_order(next.checked_sub(1)?).filter(|own| own == cover)?;
        let end = self.in_order(next).map_or(u64::MAX, |following| following.old_pos.into());
        Some(own.old_end().min(end))
    }

    /// How many covers start at or before `old_pos`.
    fn place_after(&mut self, old_pos: u64) -> usize {
        let starts = |map: &Self, at: usize| map.in_order(at).map(|c| u64::from(c.old_pos));
        let is_here = |map: &Self, at: usize| {
            at.checked_sub(1).is_none_or(|at| starts(map, at).is_some_and(|pos| pos <= old_pos))
                && starts(map, at).is_none_or(|pos| pos > old_pos)
        };
        if self.index.is_empty() && is_here(self, self.last) {
            return self.last;
        }
        let (mut low, mut high) = self.near(old_pos);
        while low < high {
            let middle = low + (high - low) / 2;
            if starts(self, middle).is_some_and(|pos| pos <= old_pos) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.last = low;
        low
    }

    /// Between which places a position is, by the index.
    fn near(&self, old_pos: u64) -> (usize, usize) {
        let at = usize::try_from(old_pos.wrapping_shr(self.index_log)).unwrap_or(usize::MAX);
        let place = |at: usize| self.index.get(at).map(|place| u32::from_le_bytes(*place) as usize);
        let low = place(at.min(self.index.len().saturating_sub(1))).unwrap_or(0);
        (low, at.checked_add(1).and_then(place).unwrap_or(self.mapped))
    }
}
