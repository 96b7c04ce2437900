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
    fn shift(&self) -> i64 {
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

/// Listed covers, in order of new, with an index in order of old.
///
/// An old position belongs to the cover with the largest old position not above it.
#[derive(Debug)]
pub struct CoverMap<'w> {
    covers: &'w mut [[u8; COVER_LEN]],
    order: &'w mut [[u8; ORDER_LEN]],
    count: usize,
    /// Place in the order where the last position was found.
    last: usize,
}

impl<'w> CoverMap<'w> {
    /// An empty map over memory for as many covers as both slices hold.
    #[must_use]
    pub fn new(
        covers: &'w mut [[u8; COVER_LEN]],
        order: &'w mut [[u8; ORDER_LEN]],
    ) -> CoverMap<'w> {
        CoverMap { covers, order, count: 0, last: 0 }
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.covers.as_flattened_mut())?;
        visit.bytes(self.order.as_flattened_mut())?;
        visit.index(&mut self.count)
    }

    /// Adds a cover; whether there was room.
    pub fn push(&mut self, cover: Listed) -> bool {
        let at = self.count;
        let (Some(slot), Some(order)) = (self.covers.get_mut(at), self.order.get_mut(at)) else {
            return false;
        };
        let (old, new) = (cover.old_pos.to_le_bytes(), cover.new_pos.to_le_bytes());
        let words = [old, new, cover.len.to_le_bytes()];
        for (to, from) in slot.iter_mut().zip(words.as_flattened()) {
            *to = *from;
        }
        *order = (at as u32).to_le_bytes();
        self.count += 1;
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
        let number = u32::from_le_bytes(*self.order.get(at)?);
        self.cover(number as usize)
    }

    /// Sorts the index, after the last cover.
    pub fn seal(&mut self) {
        let count = self.count;
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
        let next = self.place_after(old_pos);
        let following = self.in_order(next);
        let moved = |shift: i64| (old_pos as i64).wrapping_add(shift);
        let Some(cover) = next.checked_sub(1).and_then(|at| self.in_order(at)) else {
            return (moved(following.map_or(0, |cover| cover.shift())), Trust::Near);
        };
        if old_pos < cover.old_end() {
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

    /// How many covers start at or before `old_pos`.
    fn place_after(&mut self, old_pos: u64) -> usize {
        let starts = |map: &Self, at: usize| map.in_order(at).map(|c| u64::from(c.old_pos));
        let is_here = |map: &Self, at: usize| {
            at.checked_sub(1).is_none_or(|at| starts(map, at).is_some_and(|pos| pos <= old_pos))
                && starts(map, at).is_none_or(|pos| pos > old_pos)
        };
        if is_here(self, self.last) {
            return self.last;
        }
        let (mut low, mut high) = (0, self.count);
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
}
