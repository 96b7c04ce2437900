//! Addresses of both images: from positions, and from old to new.

use super::layout::{Class, Content, Run, Segment};
use super::map::{CoverMap, Listed, Trust};
use super::targets::{Known, Targets};
use super::unit::Home;
use crate::error::Result;
use crate::state::Visit;

/// Bytes of one segment in memory.
pub const SEGMENT_LEN: usize = 24;
/// Bytes of one run in memory.
pub const RUN_LEN: usize = 8;
/// Address ranges without bytes, such as RAM, that a module may have.
pub const MEMORY_COUNT_MAX: usize = 4;

/// Addresses of a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Lowest address with bytes.
    pub low: u64,
    /// End of the highest segment with bytes, its zeroed part included.
    pub high: u64,
    /// Lowest address of code.
    pub text_low: u64,
    /// End of code.
    pub text_high: u64,
    /// What tables of offsets count from: the start of code, in a raw image that of the image.
    pub table_base: u64,
    /// Lowest and highest word that may be a 32-bit address of the module.
    near: (u32, u32),
    memory: [(u64, u64); MEMORY_COUNT_MAX],
}

impl Bounds {
    /// Whether `word` may be an address of the module, of 32 bits.
    #[must_use]
    pub fn is_pointer32(&self, word: u64) -> bool {
        let near = self.low.wrapping_add(0x200)..self.high.wrapping_add(0x1_0000);
        near.contains(&word) || self.memory.iter().any(|(low, high)| (*low..*high).contains(&word))
    }

    /// Whether `word` may be an address of the module, of 32 bits, at a glance: `false` is sure.
    #[must_use]
    #[inline]
    pub const fn is_near32(&self, word: u32) -> bool {
        let (low, high) = self.near;
        low <= word && word <= high
    }

    /// Between which words, both included, those are that [`Bounds::is_near32`] lets through.
    #[must_use]
    pub(super) const fn near32(&self) -> (u32, u32) {
        self.near
    }

    /// Narrows what [`Bounds::is_near32`] lets through to what may be an address at all.
    pub(super) fn settle(&mut self) {
        if self.high.checked_add(0x1_0000).is_none() {
            // Beyond the last address come the first.
            self.near = (0, u32::MAX);
            return;
        }
        let all = self.memory.iter().copied().filter(|(low, high)| low < high);
        let code = (self.low.saturating_add(0x200), self.high.saturating_add(0x1_0000));
        let (low, high) = all.fold(code, |(low, high), (from, to)| (low.min(from), high.max(to)));
        let narrow = |addr: u64| u32::try_from(addr).unwrap_or(u32::MAX);
        self.near = (narrow(low), narrow(high));
    }

    /// Whether `word` may be an address of the module, of 64 bits.
    #[must_use]
    pub fn is_pointer64(&self, word: u64) -> bool {
        (self.low.wrapping_add(0x400)..self.high.wrapping_add(0x20_0000)).contains(&word)
    }
}

/// A table of segments in memory.
#[derive(Debug)]
pub struct Segments<'w> {
    entries: &'w mut [[u8; SEGMENT_LEN]],
    count: usize,
}

impl<'w> Segments<'w> {
    /// An empty table.
    #[must_use]
    pub fn new(entries: &'w mut [[u8; SEGMENT_LEN]]) -> Self {
        Self { entries, count: 0 }
    }

    /// Adds a segment; whether there was room and its numbers fit 32 bits.
    pub fn push(&mut self, segment: &Segment) -> bool {
        let Some(slot) = self.entries.get_mut(self.count) else { return false };
        let small = [segment.pos, segment.len, segment.span, segment.module.into()];
        if small.iter().any(|number| *number > u64::from(u32::MAX)) {
            return false;
        }
        let Some((numbers, addr)) = slot.split_first_chunk_mut::<16>() else { return false };
        for (to, from) in numbers.as_chunks_mut::<4>().0.iter_mut().zip(small) {
            *to = (from as u32).to_le_bytes();
        }
        for (to, from) in addr.iter_mut().zip(segment.addr.to_le_bytes()) {
            *to = from;
        }
        self.count += 1;
        true
    }

    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.entries.as_flattened_mut())?;
        visit.index(&mut self.count)
    }

    /// Number of segments.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Segment number `at`.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<Segment> {
        let entry = self.entries.get(..self.count)?.get(at)?;
        let (numbers, addr) = entry.split_first_chunk::<16>()?;
        let (numbers, _) = numbers.as_chunks::<4>();
        let [pos, len, span, module] = numbers else { return None };
        let [pos, len, span] = [pos, len, span].map(|n| u64::from(u32::from_le_bytes(*n)));
        let addr = u64::from_le_bytes(*addr.first_chunk::<8>()?);
        Some(Segment { pos, len, addr, span, module: u32::from_le_bytes(*module) })
    }

    /// Number of the last segment with bytes that starts at or before `pos`.
    fn before(&self, pos: u64) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|segment| segment.pos <= pos) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (0..low).rev().find(|at| self.get(*at).is_some_and(|segment| segment.len > 0))
    }
}

/// A stretch of an image with one class and one relation of address to position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Position where it starts.
    pub start: u64,
    /// Position where it ends.
    pub end: u64,
    /// Class of its bytes.
    pub class: Class,
    /// Address minus position; 0 outside of segments.
    pub shift: u64,
    /// Address where its run starts.
    pub run_addr: u64,
    /// Whether it is in a segment.
    pub is_mapped: bool,
    /// The segment's module.
    pub module: u32,
}

/// What is known of both images.
#[derive(Debug)]
pub struct Space<'w> {
    /// Segments of old.
    pub old: Segments<'w>,
    /// Segments of new.
    pub new: Segments<'w>,
    runs: &'w mut [[u8; RUN_LEN]],
    run_count: usize,
    /// Listed covers.
    pub map: CoverMap<'w>,
    bounds: Bounds,
    bounds_of: Option<u32>,
    /// Numbers of the first segment of the module of `bounds`, and of the one after its last.
    module_at: (usize, usize),
    new_here: Stretch,
    target_here: Stretch,
    /// Whether segments of the module in view overlap in their addresses.
    is_ambiguous: bool,
    /// The segment of old that the last target was in, of the module in view.
    target_segment: Segment,
    targets: Targets<'w>,
}

impl<'w> Space<'w> {
    /// Nothing is known yet.
    #[must_use]
    #[inline(always)]
    pub fn new(
        old: Segments<'w>,
        new: Segments<'w>,
        runs: &'w mut [[u8; RUN_LEN]],
        map: CoverMap<'w>,
    ) -> Self {
        let (bounds, none) = (Bounds::default(), Stretch::default());
        Self {
            old,
            new,
            runs,
            run_count: 0,
            map,
            bounds,
            bounds_of: None,
            module_at: (0, 0),
            new_here: none,
            target_here: none,
            is_ambiguous: false,
            target_segment: Segment::default(),
            targets: Targets::default(),
        }
    }

    /// The same, with memory for targets that were looked up.
    #[must_use]
    pub fn with_targets(self, targets: Targets<'w>) -> Self {
        Self { targets, ..self }
    }

    /// Goes through the tables, and the module in view.
    ///
    /// # Errors
    /// Those of the visit.
    pub fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.old.state(visit)?;
        self.new.state(visit)?;
        visit.bytes(self.runs.as_flattened_mut())?;
        visit.index(&mut self.run_count)?;
        self.map.state(visit)?;
        let (mut is_some, mut module) = (self.bounds_of.is_some(), self.bounds_of.unwrap_or(0));
        visit.flag(&mut is_some)?;
        visit.u32(&mut module)?;
        (self.new_here, self.target_here) = (Stretch::default(), Stretch::default());
        self.targets.forget();
        if is_some {
            self.view(module);
        }
        Ok(())
    }

    /// Adds a run of old; whether there was room and its position fits.
    pub fn push_run(&mut self, run: Run) -> bool {
        let (Some(slot), Ok(pos)) = (self.runs.get_mut(self.run_count), u32::try_from(run.pos))
        else {
            return false;
        };
        let Class { content, wide, big_endian } = run.class;
        let [a, b, c, d] = pos.to_le_bytes();
        *slot = [a, b, c, d, content as u8, wide.into(), big_endian.into(), 0];
        self.run_count += 1;
        true
    }

    fn run(&self, at: usize) -> Option<Run> {
        let [a, b, c, d, content, wide, big_endian, _] =
            *self.runs.get(..self.run_count)?.get(at)?;
        let content = Content::from_number(content)?;
        let class = Class { content, wide: wide != 0, big_endian: big_endian != 0 };
        Some(Run { pos: u32::from_le_bytes([a, b, c, d]).into(), class })
    }

    /// How many runs start at or before `pos`.
    fn runs_to(&self, pos: u64) -> usize {
        let (mut low, mut high) = (0, self.run_count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.run(middle).is_some_and(|run| run.pos <= pos) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The stretch of old that holds `pos`; takes its module's bounds into view.
    pub fn old_stretch(&mut self, pos: u64) -> Stretch {
        let mut here = stretch(&self.old, pos);
        let next = self.runs_to(pos);
        let run = next.checked_sub(1).and_then(|at| self.run(at)).unwrap_or_default();
        let run_end = self.run(next).map_or(u64::MAX, |run| run.pos);
        here.class = run.class;
        here.run_addr = run.pos.max(here.start).wrapping_add(here.shift);
        here.start = here.start.max(run.pos);
        here.end = here.end.min(run_end);
        if here.is_mapped && self.bounds_of != Some(here.module) {
            self.view(here.module);
        }
        here
    }

    /// The bounds of the module in view.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn view(&mut self, module: u32) {
        let first_of = |module: u64| {
            let (mut low, mut high) = (0, self.old.count);
            while low < high {
                let middle = low + (high - low) / 2;
                if self.old.get(middle).is_some_and(|s| u64::from(s.module) < module) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        };
        self.module_at = (first_of(module.into()), first_of(u64::from(module) + 1));
        self.bounds_of = Some(module);
        self.target_segment = Segment::default();
        self.targets.forget();
        let mut bounds = Bounds { low: u64::MAX, text_low: u64::MAX, ..Bounds::default() };
        let (mut memory_count, mut byte_count) = (0, 0);
        for segment in (self.module_at.0..self.module_at.1).filter_map(|at| self.old.get(at)) {
            let end = segment.addr.saturating_add(segment.span);
            if segment.len == 0 {
                if let Some(memory) = bounds.memory.get_mut(memory_count) {
                    *memory = (segment.addr, end);
                    memory_count += 1;
                }
                continue;
            }
            byte_count += 1;
            bounds.low = bounds.low.min(segment.addr);
            bounds.high = bounds.high.max(end);
            self.text_of(&segment, &mut bounds);
        }
        bounds.table_base = if byte_count > 1 { bounds.text_low } else { bounds.low };
        bounds.settle();
        self.is_ambiguous = self.overlap();
        self.bounds = bounds;
    }

    /// Whether segments of the module in view may overlap in their addresses.
    fn overlap(&self) -> bool {
        let (first, end) = self.module_at;
        let mut segments = (first..end).filter_map(|at| self.old.get(at)).filter(|s| s.len > 0);
        let mut last_end = 0;
        // Those of most modules ascend.
        segments.any(|segment| {
            let end = segment.addr.checked_add(segment.len);
            let overlaps = segment.addr < last_end || end.is_none();
            last_end = end.unwrap_or(u64::MAX);
            overlaps
        })
    }

    /// Widens the bounds of code by that in `segment`.
    fn text_of(&self, segment: &Segment, bounds: &mut Bounds) {
        let end = segment.pos.saturating_add(segment.len);
        let mut at = self.runs_to(segment.pos).saturating_sub(1);
        while let Some(run) = self.run(at).filter(|run| run.pos < end) {
            let run_end = self.run(at + 1).map_or(end, |next| next.pos.min(end));
            let start = run.pos.max(segment.pos);
            if run.class.content.is_code() && start < run_end {
                let addr = |pos: u64| segment.addr.wrapping_add(pos - segment.pos);
                bounds.text_low = bounds.text_low.min(addr(start));
                bounds.text_high = bounds.text_high.max(addr(run_end));
            }
            at += 1;
        }
    }

    /// Address of a position in new; outside of segments the position itself.
    pub fn new_addr(&mut self, pos: u64) -> u64 {
        if !(self.new_here.start..self.new_here.end).contains(&pos) {
            self.new_here = stretch(&self.new, pos);
        }
        pos.wrapping_add(self.new_here.shift)
    }

    /// Where the stretch of new ends that an address was last asked for in.
    pub(super) const fn new_end(&self) -> u64 {
        self.new_here.end
    }

    /// The old addresses that move by as much as `cover` does, among those of `here`, a part of the
    /// cover's stretch of old.
    pub(super) fn home(&mut self, cover: &Listed, here: &Stretch) -> Home {
        match self.map.own_end(cover).filter(|_| !self.is_ambiguous) {
            Some(end) => self.moved_together(cover, end, here),
            None => Home::default(),
        }
    }

    /// The same of all old addresses of the cover, whatever the map says.
    pub(super) fn own_home(&mut self, cover: &Listed, here: &Stretch) -> Home {
        self.moved_together(cover, cover.old_end(), here)
    }

    fn moved_together(&mut self, cover: &Listed, end: u64, here: &Stretch) -> Home {
        let (old_pos, shift) = (u64::from(cover.old_pos), cover.shift());
        if shift & 3 != 0 || !here.is_mapped {
            return Home::default();
        }
        let (start, end) = (old_pos.max(here.start), end.min(here.end));
        self.new_addr(start.wrapping_add_signed(shift));
        let there = &self.new_here;
        let there_end = there.end.min(1 << 62).saturating_add_signed(shift.wrapping_neg());
        let end = end.min(there_end);
        if !there.is_mapped || start >= end {
            return Home::default();
        }
        Home { start: start.wrapping_add(here.shift), len: end - start }
    }

    /// Where an old address of the module in view is in new; where that is not known, the same.
    #[inline]
    pub fn led(&mut self, addr: u64) -> u64 {
        self.targets.get(addr).unwrap_or_else(|| self.find(addr))
    }

    fn find(&mut self, addr: u64) -> u64 {
        let found = self.to_new(addr);
        let to = found.map_or(addr, |(to, _)| to);
        let alone = Known { start: addr, len: 1, by: to.wrapping_sub(addr) };
        let known = found.and_then(|(_, trust)| self.known(addr, trust)).unwrap_or(alone);
        self.targets.put(addr, known);
        to
    }

    /// The addresses around `addr`, which was just found with `trust`, that move by as much.
    fn known(&self, addr: u64, trust: Trust) -> Option<Known> {
        if self.is_ambiguous {
            return None;
        }
        let Segment { pos, len, addr: segment_addr, .. } = self.target_segment;
        let old_pos = pos.wrapping_add(addr.wrapping_sub(segment_addr));
        let (start, end, shift) = self.map.around(old_pos).filter(|_| trust == Trust::Covered)?;
        let there = |new: u64| new.min(1 << 62).checked_add_signed(shift.wrapping_neg());
        let start = start.max(pos).max(there(self.target_here.start).unwrap_or(0));
        let end = end.min(pos.saturating_add(len)).min(there(self.target_here.end)?);
        let by = self.target_here.shift.wrapping_add(pos.wrapping_sub(segment_addr));
        let addr = segment_addr.wrapping_add(start.wrapping_sub(pos));
        let len = end.checked_sub(start)?;
        Some(Known { start: addr, len, by: by.wrapping_add_signed(shift) })
    }

    /// Where an old address of the module in view is in new, by the listed covers. Zeroed data
    /// behind the bytes of a segment moves with the last of them.
    pub fn to_new(&mut self, addr: u64) -> Option<(u64, Trust)> {
        let segment = self.segment_at(addr)?;
        self.target_segment = segment;
        let offset = addr.wrapping_sub(segment.addr);
        let in_bytes = offset.min(segment.len.saturating_sub(1));
        let (new_pos, trust) = self.map.to_new(segment.pos.wrapping_add(in_bytes));
        let new_pos = new_pos.max(0) as u64;
        if !(self.target_here.start..self.target_here.end).contains(&new_pos) {
            self.target_here = stretch(&self.new, new_pos);
        }
        let here = &self.target_here;
        let to = new_pos.wrapping_add(here.shift).wrapping_add(offset.wrapping_sub(in_bytes));
        here.is_mapped.then_some((to, if in_bytes == offset { trust } else { Trust::Near }))
    }

    /// The segment of the module in view with an old address in its bytes, else behind them.
    fn segment_at(&self, addr: u64) -> Option<Segment> {
        let within = |segment: &Segment, len| addr.wrapping_sub(segment.addr) < len;
        // Of two that have it the first counts, whatever was asked before: the generator asks more
        // often than the decoder.
        if !self.is_ambiguous && within(&self.target_segment, self.target_segment.len) {
            return Some(self.target_segment);
        }
        let (first, end) = self.module_at;
        let mut behind = None;
        for segment in (first..end).filter_map(|at| self.old.get(at)) {
            if within(&segment, segment.len) {
                return Some(segment);
            }
            if segment.len > 0 && within(&segment, segment.span) {
                behind = behind.or(Some(segment));
            }
        }
        behind
    }
}

/// The part of a segment, or the space between two, that holds `pos`. Where segments overlap, the
/// next one begins.
fn stretch(segments: &Segments<'_>, pos: u64) -> Stretch {
    let before = segments.before(pos);
    let mut next = before.map_or(0, |at| at + 1);
    while segments.get(next).is_some_and(|segment| segment.len == 0) {
        next += 1;
    }
    let next_pos = segments.get(next).map_or(u64::MAX, |segment| segment.pos);
    let segment = before.and_then(|at| segments.get(at)).unwrap_or_default();
    let end = segment.pos.saturating_add(segment.len);
    if pos < end {
        let shift = segment.addr.wrapping_sub(segment.pos);
        let Segment { pos: start, module, .. } = segment;
        let (end, is_mapped) = (end.min(next_pos), true);
        return Stretch { start, end, shift, module, is_mapped, ..Stretch::default() };
    }
    Stretch { start: end, end: next_pos, ..Stretch::default() }
}

#[cfg(test)]
mod tests {
    use super::super::map::{COVER_LEN, ORDER_LEN};
    use super::*;

    const AT: [u64; 2] = [0x8000_0000, 0x8000_033c];

    /// Two segments of one module at addresses `at`, both of which move by 0x1000 in new, the bytes
    /// of the first one by 8 more.
    fn with_space(at: [u64; 2], each: impl FnOnce(&mut Space<'_>)) {
        let (mut old, mut new) = ([[0; SEGMENT_LEN]; 2], [[0; SEGMENT_LEN]; 2]);
        let (mut covers, mut order) = ([[0; COVER_LEN]; 2], [[0; ORDER_LEN]; 2]);
        let mut entries = [[0; super::super::targets::ENTRY_LEN]; 512];
        let map = CoverMap::new(&mut covers, &mut order);
        let (old, new) = (Segments::new(&mut old), Segments::new(&mut new));
        let mut space = Space::new(old, new, &mut [], map).with_targets(Targets::new(&mut entries));
        let [first, second] = at;
        for (addr, pos, len) in [(first, 0, 0x400), (second, 0x400, 0x200)] {
            let segment = Segment { pos, len, addr, span: len, module: 0 };
            assert!(space.old.push(&segment));
            let moved = Segment { len: len + 8, addr: addr.wrapping_add(0x1000), ..segment };
            assert!(space.new.push(&moved));
        }
        let covers = [(0, 8, 0x3f8), (0x400, 0x400, 0x200)];
        for (old_pos, new_pos, len) in covers {
            assert!(space.map.push(Listed { old_pos, new_pos, len }, false));
        }
        space.map.seal();
        space.old_stretch(0);
        each(&mut space);
    }

    /// Where two segments overlap the first one counts, whatever was looked up before.
    #[test]
    fn an_address_of_two_segments_is_of_the_first() {
        with_space(AT, |space| {
            let [first, second] = AT;
            for before in [first, second + 0x180, second, 1] {
                space.to_new(before);
                assert_eq!(space.to_new(second), Some((second + 0x1008, Trust::Covered)));
                space.led(before);
                assert_eq!(space.led(second), second + 0x1008);
                assert_eq!(space.led(second + 0x180), second + 0x1180);
            }
        });
    }

    /// The same where it is behind the last address that they overlap.
    #[test]
    fn an_address_behind_the_last_one_is_the_first() {
        let at = [0, 0xffff_ffff_ffff_ff00];
        with_space(at, |space| {
            for before in [0, 0xffff_ffff_ffff_ff80] {
                space.to_new(before);
                assert_eq!(space.to_new(0x10), Some((0x1018, Trust::Covered)));
                assert_eq!(space.led(0x10), 0x1018);
            }
        });
    }
}
