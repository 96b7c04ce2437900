//! Where old positions are in new: the listed covers.

use crate::error::Result;
use crate::state::Visit;

/// Bytes of one cover in memory.
pub const COVER_LEN: usize = 12;
/// Bytes of its place in the order of old positions.
pub const ORDER_LEN: usize = 4;
/// Bytes of a cover of the map, with its number, where there is memory to have it at hand.
pub const ENTRY_LEN: usize = COVER_LEN + ORDER_LEN;

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

    pub(super) fn old_end(&self) -> u64 {
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
    index: Index<'w>,
    count: usize,
    mapped: usize,
    /// Place in the order where the last position was found.
    last: usize,
    /// The last two stretches of old that positions were found in, and by what they moved.
    recent: [(u64, u64, i64); 2],
}

/// Memory that changes nothing but the time it takes to find a cover; may be none.
#[derive(Debug, Default)]
pub struct Index<'w> {
    /// Covers of the map and their numbers, in order of old.
    pub entries: &'w mut [[u8; ENTRY_LEN]],
    /// For each stretch of old, of 2 to the power of `log` bytes, how many covers of the map start
    /// before its end.
    pub ends: &'w mut [[u8; ORDER_LEN]],
    log: u32,
}

impl<'w> Index<'w> {
    /// Over memory for as many entries as there are covers, and for any number of ends.
    #[must_use]
    pub fn new(entries: &'w mut [[u8; ENTRY_LEN]], ends: &'w mut [[u8; ORDER_LEN]]) -> Index<'w> {
        Index { entries, ends, log: 0 }
    }

    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.entries.as_flattened_mut())?;
        visit.bytes(self.ends.as_flattened_mut())?;
        visit.u32(&mut self.log)
    }

    const fn is_empty(&self) -> bool {
        self.entries.is_empty() || self.ends.is_empty()
    }

    fn end(&self, stretch: usize) -> Option<usize> {
        self.ends.get(stretch).map(|end| u32::from_le_bytes(*end) as usize)
    }

    fn stretch(&self, old_pos: u64) -> usize {
        usize::try_from(old_pos.wrapping_shr(self.log)).unwrap_or(usize::MAX)
    }

    /// Stretches such that the last cover, at `last`, is in one of them.
    fn measure(&mut self, last: u32) {
        self.log = 0;
        while u64::from(last) >> self.log >= self.ends.len() as u64 && self.log < 32 {
            self.log += 1;
        }
        self.ends.fill([0; ORDER_LEN]);
    }

    /// Adds to the end of a stretch; gives what it was.
    fn add(&mut self, stretch: usize, count: u32) -> usize {
        let Some(end) = self.ends.get_mut(stretch) else { return usize::MAX };
        let before = u32::from_le_bytes(*end);
        *end = before.wrapping_add(count).to_le_bytes();
        before as usize
    }

    /// Turns counts into starts.
    fn start(&mut self) {
        let mut sum = 0u32;
        for end in self.ends.iter_mut() {
            let count = u32::from_le_bytes(*end);
            *end = sum.to_le_bytes();
            sum = sum.wrapping_add(count);
        }
    }

    /// Between which places a position is, of `mapped`.
    fn near(&self, old_pos: u64, mapped: usize) -> (usize, usize) {
        let stretch = self.stretch(old_pos);
        let low = stretch.checked_sub(1).map_or(0, |before| self.end(before).unwrap_or(mapped));
        (low, self.end(stretch).unwrap_or(mapped))
    }
}

/// A cover as it stands in memory.
fn listed(bytes: &[u8]) -> Option<Listed> {
    let [old_pos, new_pos, len] = bytes.as_chunks::<4>().0.first_chunk::<3>()?;
    let [old_pos, new_pos, len] = [old_pos, new_pos, len].map(|word| u32::from_le_bytes(*word));
    Some(Listed { old_pos, new_pos, len })
}

impl<'w> CoverMap<'w> {
    /// An empty map over memory for as many covers as both slices hold.
    #[must_use]
    pub fn new(
        covers: &'w mut [[u8; COVER_LEN]],
        order: &'w mut [[u8; ORDER_LEN]],
    ) -> CoverMap<'w> {
        Self::with_index(covers, order, Index::default())
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.covers.as_flattened_mut())?;
        visit.bytes(self.order.as_flattened_mut())?;
        self.index.state(visit)?;
        visit.index(&mut self.count)?;
        visit.index(&mut self.mapped)
    }

    /// The same with an index.
    #[must_use]
    pub fn with_index(
        covers: &'w mut [[u8; COVER_LEN]],
        order: &'w mut [[u8; ORDER_LEN]],
        index: Index<'w>,
    ) -> CoverMap<'w> {
        let recent = [(0, 0, 0); 2];
        CoverMap { covers, order, index, count: 0, mapped: 0, last: 0, recent }
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
        listed(self.covers.get(..self.count)?.get(at)?)
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
        if !self.index.is_empty() {
            return listed(self.index.entries.get(..self.mapped)?.get(at)?);
        }
        let number = u32::from_le_bytes(*self.order.get(..self.mapped)?.get(at)?);
        self.cover(number as usize)
    }

    /// Sorts the map, after the last cover.
    pub fn seal(&mut self) {
        self.recent = [(0, 0, 0); 2];
        if self.index.is_empty() {
            let covers = &*self.covers;
            let key = |number: &[u8; ORDER_LEN]| {
                let number = u32::from_le_bytes(*number);
                let cover = covers.get(number as usize).and_then(|cover| listed(cover));
                (cover.map_or(0, |cover| cover.old_pos), number)
            };
            heap_sort(self.order.get_mut(..self.mapped).unwrap_or(&mut []), key);
        } else {
            self.fill_index();
        }
    }

    /// Covers of the map as they were pushed, with their numbers.
    fn pushed(&self, at: usize) -> Option<(Listed, u32)> {
        let number = u32::from_le_bytes(*self.order.get(..self.mapped)?.get(at)?);
        Some((self.cover(number as usize)?, number))
    }

    /// Sorts by stretches of old, then within each: most hold a cover or two.
    fn fill_index(&mut self) {
        let positions = (0..self.mapped).filter_map(|at| self.pushed(at));
        let last = positions.map(|(cover, _)| cover.old_pos).max().unwrap_or(0);
        self.index.measure(last);
        for at in 0..self.mapped {
            let Some((cover, _)) = self.pushed(at) else { return };
            self.index.add(self.index.stretch(cover.old_pos.into()), 1);
        }
        self.index.start();
        for at in 0..self.mapped {
            let Some((Listed { old_pos, new_pos, len }, number)) = self.pushed(at) else { return };
            let place = self.index.add(self.index.stretch(old_pos.into()), 1);
            let words = [old_pos, new_pos, len, number].map(u32::to_le_bytes);
            if let Some(entry) = self.index.entries.get_mut(place) {
                entry.iter_mut().zip(words.as_flattened()).for_each(|(to, from)| *to = *from);
            }
        }
        let mut start = 0usize;
        for stretch in 0..self.index.ends.len() {
            let end = self.index.end(stretch).unwrap_or(start);
            let entries = self.index.entries.get_mut(start..end).unwrap_or(&mut []);
            heap_sort(entries, |entry: &[u8; ENTRY_LEN]| {
                let words = entry.as_chunks::<4>().0.first_chunk::<4>();
                let [old_pos, _, _, number] = words.copied().unwrap_or_default();
                (u32::from_le_bytes(old_pos), u32::from_le_bytes(number))
            });
            start = end;
        }
    }

    /// The stretch around `old_pos` that was last found to move by the same, and by what.
    pub(super) fn around(&self, old_pos: u64) -> Option<(u64, u64, i64)> {
        self.recent.into_iter().find(|(start, end, _)| (*start..*end).contains(&old_pos))
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
        let is_indexed = !self.index.is_empty();
        if !is_indexed && is_here(self, self.last) {
            return self.last;
        }
        let all = (0, self.mapped);
        let (mut low, mut high) =
            if is_indexed { self.index.near(old_pos, self.mapped) } else { all };
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

/// Sorts without recursion, memory or a worst case.
fn heap_sort<T>(items: &mut [T], key: impl Fn(&T) -> (u32, u32)) {
    let count = items.len();
    if count < 2 {
        return;
    }
    for root in (0..count / 2).rev() {
        sift(items, root, &key);
    }
    for end in (1..count).rev() {
        exchange(items, 0, end);
        sift(items.get_mut(..end).unwrap_or(&mut []), 0, &key);
    }
}

fn exchange<T>(items: &mut [T], a: usize, b: usize) {
    if let Ok([a, b]) = items.get_disjoint_mut([a, b]) {
        core::mem::swap(a, b);
    }
}

fn sift<T>(items: &mut [T], mut root: usize, key: impl Fn(&T) -> (u32, u32)) {
    let key_at = |items: &[T], at: usize| items.get(at).map(&key);
    loop {
        let mut child = 2 * root + 1;
        if child >= items.len() {
            return;
        }
        if child + 1 < items.len() && key_at(items, child) < key_at(items, child + 1) {
            child += 1;
        }
        if key_at(items, root) >= key_at(items, child) {
            return;
        }
        exchange(items, root, child);
        root = child;
    }
}
