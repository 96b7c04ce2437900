//! Stretches of old projected at once: passed over where there is no reference.

use super::a64;
use super::layout::Content;
use super::project::Projection;
use super::unit::{Home, Kind, Site, Unit};

/// A part of a cover that is of one stretch and has one home.
pub(super) struct Leg<'a> {
    pub(super) site: Site<'a>,
    /// Address in new less address in old.
    pub(super) lead: u64,
    pub(super) home: Home,
    pub(super) out: &'a mut [u8],
    /// Bytes of `out` that are projected.
    pub(super) done: usize,
    /// Where the leg ends; its last unit may end later.
    pub(super) until: usize,
    /// Bytes of `out` where old bytes stand.
    pub(super) most: usize,
}

impl Leg<'_> {
    /// Puts a word in its place.
    #[inline(always)]
    fn put(&mut self, word: u32) {
        let bytes = match self.site.class.big_endian {
            true => word.to_be_bytes(),
            false => word.to_le_bytes(),
        };
        if let Some(room) = self.out.get_mut(self.done..).and_then(|out| out.first_chunk_mut()) {
            *room = bytes;
        }
    }

    #[inline(always)]
    fn advance(&mut self, len: usize) {
        self.site.pass(len);
        self.done = self.done.saturating_add(len);
    }
}

impl Projection<'_> {
    /// Projects to the end of a leg; gives where that is. One copy of this loop for each common
    /// instruction set takes a fifth less time than one for all.
    #[inline(always)]
    pub(super) fn pass(&mut self, content: Content, leg: &mut Leg<'_>) -> usize {
        while leg.done < leg.until {
            let skipped =
                self.walker.skip_len_of(content, &leg.site, leg.until - leg.done, leg.home);
            leg.advance(skipped);
            if leg.done < leg.until {
                let unit = self.walker.unit_of(content, &leg.site);
                self.project_reference(&unit, leg);
            }
        }
        leg.done
    }

    /// The same for A64: where references are is seen for many words together.
    pub(super) fn pass_a64(&mut self, leg: &mut Leg<'_>) -> usize {
        let is_plain = leg.site.pos & 3 == 0 && leg.site.bounds.low >> 32 == 0;
        while is_plain && leg.until.saturating_sub(leg.done) >= 4 {
            let bytes = leg.site.view.get(leg.site.at..).unwrap_or(&[]).as_chunks::<4>().0;
            let Some(bytes) = bytes.first_chunk::<{ a64::GLANCE_COUNT }>() else { break };
            let words = bytes.map(|bytes| leg.site.word(bytes));
            let count = a64::GLANCE_COUNT.min(leg.until.saturating_sub(leg.done) / 4);
            self.pass_words(leg, &words, count);
        }
        self.pass(Content::A64, leg)
    }

    /// Passes the first `count` of words, or less of them.
    #[inline(always)]
    fn pass_words(&mut self, leg: &mut Leg<'_>, words: &[u32; a64::GLANCE_COUNT], count: usize) {
        let has_low = a64::has_low(&leg.site, &self.walker.registers);
        let mut mask = a64::glance(&leg.site, words, leg.home, has_low);
        mask &= u32::MAX >> (32u32.saturating_sub(count as u32) & 31);
        let mut passed = 0usize;
        while mask != 0 {
            let at = mask.trailing_zeros() as usize;
            mask &= mask.wrapping_sub(1);
            leg.advance(4 * at.wrapping_sub(passed));
            passed = at;
            let word = words.get(at).copied().unwrap_or(0);
            if a64::is_passed(&leg.site, word, leg.home, &self.walker.registers) {
                continue;
            }
            let unit = a64::unit_of(&leg.site, word, &mut self.walker.registers);
            if unit.kind.is_reference() {
                let new_addr = leg.site.addr.wrapping_add(leg.lead);
                let to = self.space.led(unit.target);
                leg.put(a64::write(unit.kind, word, new_addr, to, unit.aux));
            }
            if !has_low && unit.kind == Kind::A64Adrp {
                // Its low part may be near.
                leg.advance(4);
                return;
            }
        }
        leg.advance(4 * count.wrapping_sub(passed));
    }

    /// Projects the unit at hand into its place, where its old bytes stand already.
    #[inline(always)]
    fn project_reference(&mut self, unit: &Unit, leg: &mut Leg<'_>) {
        let len = usize::from(unit.len);
        let end = leg.done.saturating_add(len);
        if unit.kind.is_reference() || end > leg.most {
            let old = leg.site.view.get(leg.site.at..).unwrap_or(&[]);
            let bytes = self.projected(unit, old, leg.site.addr.wrapping_add(leg.lead));
            let room = leg.out.get_mut(leg.done..end).unwrap_or(&mut []);
            for (to, from) in room.iter_mut().zip(bytes) {
                *to = from;
            }
        }
        leg.advance(len);
    }
}
