//! The small model: two contexts for each decision, in a hashed table of 16-bit words without
//! collision checks. A word is a probability with, in its four lowest bits, how often it was met:
//! what is new adapts fast.

use core::hint::select_unpredictable;

use super::{ByteFeatures, FlagFeatures, LiteralFeatures, Model};
use crate::codec::range::{BitCoder, PROBABILITY_MIN};
use crate::error::Result;
use crate::state::Visit;

/// Adaptation by how often a probability was met: 1 / 2^n.
const RATES: [u32; 16] = [1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5];
const COUNT_BITS: u16 = 15;
/// Makes places of contexts.
const MULTIPLIER: u32 = 0x9e37_79b1;

/// Probabilities.
#[derive(Debug)]
pub struct Averaged<'w> {
    words: &'w mut [[u8; 2]],
    shift: u32,
    /// Whether the table has room for finer contexts.
    is_fine: bool,
}

impl<'w> Averaged<'w> {
    /// A model that has learnt nothing; `words` holds `1 << log` probabilities.
    #[must_use]
    pub fn new(words: &'w mut [[u8; 2]], log: u8) -> Self {
        for word in words.iter_mut() {
            *word = (1u16 << 15).to_le_bytes();
        }
        Self { words, shift: 32u32.saturating_sub(log.into()) & 31, is_fine: log >= 14 }
    }

    #[inline]
    fn place(&self, context: u32) -> usize {
        (context.wrapping_mul(MULTIPLIER).wrapping_shr(self.shift)) as usize
    }

    #[inline]
    fn word(&self, place: usize) -> u16 {
        self.words.get(place).map_or(1 << 15, |word| u16::from_le_bytes(*word))
    }

    #[inline(always)]
    fn code<C: BitCoder>(&mut self, coder: &mut C, contexts: [u32; 2], bit: bool) -> Result<bool> {
        self.code_at(coder, contexts.map(|context| self.place(context)), bit)
    }

    // Where code is flash, one copy of it is enough.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn code_at<C: BitCoder>(
        &mut self,
        coder: &mut C,
        places: [usize; 2],
        bit: bool,
    ) -> Result<bool> {
        let words = places.map(|place| self.word(place));
        let bit = coder.bit(mixed(words), bit)?;
        for (place, word) in places.into_iter().zip(words) {
            if let Some(slot) = self.words.get_mut(place) {
                *slot = adapted(word, bit).to_le_bytes();
            }
        }
        Ok(bit)
    }

    /// Codes a byte, which is not `other`.
    fn bits<C: BitCoder>(
        &mut self,
        coder: &mut C,
        value: u8,
        other: Option<u8>,
        contexts: impl Fn(u32, u32) -> [u32; 2],
    ) -> Result<u8> {
        let mut node = 1u32;
        for at in (0..8).rev() {
            if let Some(other) = other.filter(|_| at == 0)
                && node == (256 | u32::from(other)) >> 1
            {
                return Ok(other ^ 1);
            }
            let bit = self.code(coder, contexts(node, at), value >> at & 1 != 0)?;
            node = node << 1 | u32::from(bit);
        }
        Ok(node as u8)
    }
}

/// Probability of `true` from two: the surer, and more often met, counts three times, or seven
/// times where it is far surer.
///
/// Nothing here can be foreseen by a processor, so that there is no branch.
#[inline(always)]
fn mixed(words: [u16; 2]) -> u32 {
    let [(a, wa), (b, wb)] = words.map(|word| {
        let p = u32::from(word & !COUNT_BITS);
        let count = u32::from(word & COUNT_BITS).min(6);
        (p, (p.abs_diff(1 << 15) >> 4) * (2 + count) + 1)
    });
    // All at once, before the weights are there, then a choice: each decision waits for this.
    let [even, more_a, more_b] = [(a + b) >> 1, (3 * a + b) >> 2, (a + 3 * b) >> 2];
    let [most_a, most_b] = [(7 * a + b) >> 3, (a + 7 * b) >> 3];
    let p = select_unpredictable(wa > 2 * wb, more_a, even);
    let p = select_unpredictable(wb > 2 * wa, more_b, p);
    let p = select_unpredictable(wa > 6 * wb, most_a, p);
    let p = select_unpredictable(wb > 6 * wa, most_b, p);
    p.clamp(PROBABILITY_MIN, (1 << 16) - PROBABILITY_MIN)
}

/// A word after `bit`; without a branch as well.
#[inline(always)]
fn adapted(word: u16, bit: bool) -> u16 {
    let (p, count) = (u32::from(word & !COUNT_BITS), word & COUNT_BITS);
    let rate = RATES.get(usize::from(count)).copied().unwrap_or(5);
    let most = u32::from(u16::MAX);
    let up = (p + (most - p).wrapping_shr(rate) + u32::from(COUNT_BITS)).min(most);
    let down = p - p.wrapping_shr(rate);
    let p = select_unpredictable(bit, up, down) as u16;
    p & !COUNT_BITS | (count + 1).min(COUNT_BITS)
}

/// Contexts are a tag in the highest bits and features below.
const fn tag(kind: u32) -> u32 {
    kind << 27
}

impl Model for Averaged<'_> {
    const IS_LARGE: bool = false;
    const STREAK: u32 = 4;

    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.words.as_flattened_mut())
    }

    fn decide<C: BitCoder>(
        &mut self,
        coder: &mut C,
        contexts: [u32; 2],
        _: usize,
        bit: bool,
    ) -> Result<bool> {
        self.code(coder, contexts, bit)
    }

    fn miss<C: BitCoder>(
        &mut self,
        coder: &mut C,
        f: &FlagFeatures,
        is_miss: bool,
    ) -> Result<bool> {
        let base = (f.kind as u32) << 6 | f.place.min(3) << 4 | f.origin << 1 | u32::from(f.is_raw);
        let coarse = tag(21) | base << 8 | (f.misses & 7) << 4 | f.trust.min(15);
        let fine = super::hash(base | f.trust << 12, f.misses & 0xff);
        let fine = if self.is_fine { super::hash(fine, f.word) } else { fine };
        self.code(coder, [coarse, tag(22) | fine >> 5], is_miss)
    }

    fn byte<C: BitCoder>(&mut self, coder: &mut C, f: &ByteFeatures, value: u8) -> Result<u8> {
        let expected = u32::from(f.expected);
        let is_word = f.kind.is_reference() || f.kind.is_value();
        let head = f.at | u32::from(f.differing != 0) << 3 | u32::from(f.is_last) << 4;
        let head = head | u32::from(is_word) << 5;
        let by_kind = f.at | (f.kind as u32) << 3;
        let contexts =
            [tag(23) | head << 12 | 1 << 9, tag(24) | by_kind << 14 | f.differing << 3 | 2];
        if !f.is_last && !self.code(coder, contexts, value != f.expected)? {
            return Ok(f.expected);
        }
        self.bits(coder, value, Some(f.expected), |node, at| {
            let agrees = (expected | 256) >> (at + 1) == node;
            let coming = if agrees { 1 + (expected >> at & 1) } else { 0 };
            let rest = if agrees { at << 2 } else { (node & 31) << 2 | 1 << 8 };
            let kind_rest = if agrees { coming | at << 3 | 1 << 12 } else { node << 3 | 4 };
            [tag(23) | head << 12 | coming | rest, tag(24) | by_kind << 14 | kind_rest]
        })
    }

    fn literal<C: BitCoder>(
        &mut self,
        coder: &mut C,
        f: &LiteralFeatures,
        value: u8,
    ) -> Result<u8> {
        let parity = f.pos as u32 & 1;
        let last = f.tail as u32;
        let tops = match self.is_fine {
            true => last & 255,
            false => (last >> 6 & 3) << 2 | last >> 14 & 3,
        };
        // The bits so far are added to both contexts, and places are made by multiplication: that
        // of the bits goes along with them.
        let contexts = [tag(25) | parity << 8, tag(26) | tops << 9 | parity << 8];
        let starts = contexts.map(|context| context.wrapping_mul(MULTIPLIER));
        let (mut node, mut by) = (1u32, MULTIPLIER);
        for at in (0..8).rev() {
            let places =
                starts.map(|start| start.wrapping_add(by).wrapping_shr(self.shift) as usize);
            let bit = self.code_at(coder, places, value >> at & 1 != 0)?;
            node = node << 1 | u32::from(bit);
            by = (by << 1).wrapping_add(select_unpredictable(bit, MULTIPLIER, 0));
        }
        Ok(node as u8)
    }
}
