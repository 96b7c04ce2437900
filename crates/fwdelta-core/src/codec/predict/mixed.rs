//! The large model: for each decision up to ten contexts, each with a probability of its own, mixed
//! by weights that learn.
//!
//! Source: M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005.

use super::squash::{ODDS_MAX, squash, stretch};
use super::{ByteFeatures, FlagFeatures, LiteralFeatures, Model, hash};
use crate::codec::range::BitCoder;
use crate::error::Result;
use crate::exec::unit::KIND_COUNT;

/// Contexts of one decision at most.
const INPUT_COUNT: usize = 13;
/// Bytes of a probability in memory: 22 bits, and 10 of how often it was met.
pub(super) const SLOT_LEN: usize = 4;
/// Bytes of a probability of literals in memory: 12 bits, and 4 of how often it was met.
pub(super) const CELL_LEN: usize = 2;
/// Bytes of the weights of one set.
pub(super) const WEIGHTS_LEN: usize = 4 * INPUT_COUNT;
const LITERAL_SETS: usize = 16;
const FLAG_SETS: usize = LITERAL_SETS + 64;
const BYTE_SETS: usize = FLAG_SETS + 6 * KIND_COUNT;
/// Sets of weights.
pub(super) const SET_COUNT: usize = SECOND_SETS + 4 * 256;
/// Sets of the second mixing: numbers, literals, flags, bytes.
const SECOND_SETS: usize = BYTE_SETS + 48 * KIND_COUNT;

/// Weights have 20 bits behind the point; each starts at 0.3.
const WEIGHT_START: i32 = 262_144;
const WEIGHT_SHIFT: u32 = 20;
/// How fast weights learn.
const LEARNING: i64 = 1310;
/// Probabilities stop adapting more slowly at this count.
const COUNT_MAX: u32 = 127;
/// What a probability counts for, by how often it was met, of 16.
const TRUST: [i32; 8] = [0, 10, 13, 14, 15, 16, 16, 16];
const TRUST_FLAT: [i32; 8] = [0, 16, 16, 16, 16, 16, 16, 16];
const TRUST_FULL: i32 = 17;
/// Adaptation of cells by how often they were met, of 65,536.
const CELL_RATES: [u16; 16] = [
    40_960, 25_206, 18_204, 14_247, 11_703, 9_930, 8_623, 7_620, 6_826, 6_182, 5_650, 5_201, 4_819,
    4_489, 4_201, 4_201,
];
/// Literals have so many times more probabilities than the rest, as a logarithm.
pub(super) const LITERAL_LOG_MORE: u8 = 4;
/// Smallest probability of either value, of 65,536.
const PROBABILITY_FLOOR: u32 = 4;

/// Probabilities and weights.
#[derive(Debug)]
pub struct Mixed<'w> {
    slots: &'w mut [[u8; SLOT_LEN]],
    cells: &'w mut [[u8; CELL_LEN]],
    weights: &'w mut [[u8; WEIGHTS_LEN]],
    mask: u32,
    cell_mask: u32,
    rates: [u16; COUNT_MAX as usize + 1],
}

impl<'w> Mixed<'w> {
    /// A model that has learnt nothing; `slots` holds `1 << log` probabilities, `weights`
    /// `SET_COUNT` sets.
    #[must_use]
    pub fn new(
        slots: &'w mut [[u8; SLOT_LEN]],
        cells: &'w mut [[u8; CELL_LEN]],
        weights: &'w mut [[u8; WEIGHTS_LEN]],
        log: u8,
    ) -> Self {
        cells.fill((1u16 << 15).to_le_bytes());
        for slot in slots.iter_mut() {
            *slot = (1u32 << 31).to_le_bytes();
        }
        for weight in weights.as_flattened_mut().as_chunks_mut::<4>().0 {
            *weight = WEIGHT_START.to_le_bytes();
        }
        let mut rates = [0; COUNT_MAX as usize + 1];
        for (count, rate) in rates.iter_mut().enumerate() {
            // 1 / (count + 1.6), of 65,536.
            *rate = (655_360u32.checked_div(10 * count as u32 + 16).unwrap_or(0)) as u16;
        }
        let slot_log = log.saturating_sub(LITERAL_LOG_MORE);
        let mask = |log: u8| (1u32 << (log & 31)).wrapping_sub(1);
        Self { slots, cells, weights, mask: mask(slot_log), cell_mask: mask(log), rates }
    }

    /// Codes a decision: two sets of weights mix the contexts, and their results are averaged.
    fn code<C: BitCoder, const N: usize, const IS_LITERAL: bool>(
        &mut self,
        coder: &mut C,
        contexts: &[u32; N],
        sets: [usize; 2],
        trust: &[i32; 8],
        bit: bool,
    ) -> Result<bool> {
        let mut inputs = [0i32; N];
        let mut slots = [0u32; N];
        for ((context, input), slot) in contexts.iter().zip(&mut inputs).zip(&mut slots) {
            let (p, count) = if IS_LITERAL {
                let bytes = self.cells.get((context & self.cell_mask) as usize).copied();
                *slot = u32::from(u16::from_le_bytes(bytes.unwrap_or_default()));
                (*slot >> 4, *slot & 15)
            } else {
                let bytes = self.slots.get((context & self.mask) as usize).copied();
                *slot = u32::from_le_bytes(bytes.unwrap_or_default());
                (*slot >> 20, *slot & 1023)
            };
            let trust = trust.get(count as usize).copied().unwrap_or(TRUST_FULL);
            *input = (stretch(p) * trust) >> 4;
        }
        let odds = sets.map(|set| self.odds(set, &inputs));
        let [a, b] = odds;
        let p = squash((a + b) >> 1).clamp(PROBABILITY_FLOOR, 65_536 - PROBABILITY_FLOOR);
        let bit = coder.bit(p, bit)?;
        for (set, odds) in sets.into_iter().zip(odds) {
            let error = i64::from(u32::from(bit) << 16) - i64::from(squash(odds));
            self.train(set, &inputs, error);
        }
        for (context, slot) in contexts.iter().zip(&slots) {
            if IS_LITERAL {
                if let Some(place) = self.cells.get_mut((context & self.cell_mask) as usize) {
                    *place = adapted_cell(*slot as u16, bit, &self.rates).to_le_bytes();
                }
            } else if let Some(place) = self.slots.get_mut((context & self.mask) as usize) {
                *place = adapted(*slot, bit, &self.rates).to_le_bytes();
            }
        }
        Ok(bit)
    }

    fn odds(&self, set: usize, inputs: &[i32]) -> i32 {
        let Some(weights) = self.weights.get(set) else { return 0 };
        let weights = weights.as_chunks::<4>().0;
        let product = |(weight, input): (&[u8; 4], &i32)| {
            i64::from(i32::from_le_bytes(*weight)) * i64::from(*input)
        };
        let sum: i64 = weights.iter().zip(inputs).map(product).sum();
        (sum >> WEIGHT_SHIFT).clamp(-i64::from(ODDS_MAX), i64::from(ODDS_MAX)) as i32
    }

    fn train(&mut self, set: usize, inputs: &[i32], error: i64) {
        let Some(weights) = self.weights.get_mut(set) else { return };
        for (weight, input) in weights.as_chunks_mut::<4>().0.iter_mut().zip(inputs) {
            let step = (error * i64::from(*input) * LEARNING + (1 << 19)) >> 20;
            let learnt = i32::from_le_bytes(*weight).wrapping_add(step as i32);
            *weight = learnt.to_le_bytes();
        }
    }
}

/// A probability after `bit`: the more often it was met, the less it moves.
fn adapted(slot: u32, bit: bool, rates: &[u16]) -> u32 {
    let (p, count) = (slot >> 10, slot & 1023);
    let rate = u64::from(rates.get(count as usize).copied().unwrap_or(256));
    let p = if bit {
        p + ((u64::from((1 << 22) - 1 - p) * rate) >> 16) as u32
    } else {
        p - ((u64::from(p) * rate) >> 16) as u32
    };
    p << 10 | (count + 1).min(COUNT_MAX)
}

/// The same of a cell.
fn adapted_cell(cell: u16, bit: bool, rates: &[u16]) -> u16 {
    let (p, count) = (u32::from(cell & !15), cell & 15);
    let rate = u32::from(CELL_RATES.get(usize::from(count)).copied().unwrap_or(4096));
    let _ = rates;
    let p = if bit { p + (((65_535 - p) * rate) >> 16) + 8 } else { p - ((p * rate) >> 16) };
    p.min(65_535) as u16 & !15 | (count + 1).min(15)
}

impl Model for Mixed<'_> {
    const IS_LARGE: bool = true;
    const STREAK: u32 = u32::MAX;

    fn decide<C: BitCoder>(
        &mut self,
        coder: &mut C,
        contexts: [u32; 2],
        set: usize,
        bit: bool,
    ) -> Result<bool> {
        let contexts = contexts.map(|context| hash(context, 1));
        self.code::<C, _, false>(coder, &contexts, [set, SECOND_SETS + set], &TRUST_FLAT, bit)
    }

    fn miss<C: BitCoder>(
        &mut self,
        coder: &mut C,
        f: &FlagFeatures,
        is_miss: bool,
    ) -> Result<bool> {
        let kind = f.kind as u32;
        let base = kind << 10 | f.place << 5 | f.origin << 1 | u32::from(f.is_raw);
        let contexts = [
            hash(40, base | (f.misses & 7) << 16 | f.trust << 20),
            hash(41, base | (f.kind_misses & 15) << 16 | f.trust << 20),
            hash(hash(42, base), f.word),
            hash(hash(43, base), f.word ^ f.last_word.wrapping_mul(0x2f0b_4c47)),
            hash(44, base | f.edge << 16 | (f.misses & 3) << 24),
            hash(hash(45, base | f.trust << 24), f.target),
            hash(hash(46, base), f.misses & 0xff | f.count << 8 | f.trust << 12),
        ];
        let set = FLAG_SETS + 6 * f.kind as usize + f.place.min(5) as usize;
        let second = SECOND_SETS + 512 + (f.misses & 255) as usize;
        self.code::<C, _, false>(coder, &contexts, [set, second], &TRUST_FLAT, is_miss)
    }

    fn byte<C: BitCoder>(&mut self, coder: &mut C, f: &ByteFeatures, value: u8) -> Result<u8> {
        let at = f.at | (f.kind as u32) << 4;
        let expected = u32::from(f.expected);
        let (b1, b2, b4) = (f.tail as u32 & 255, f.tail as u32 >> 8 & 255, f.tail as u32 >> 24);
        let heads = [
            hash(60, at | expected << 10 | f.differing << 20),
            hash(61, at | u32::from(f.raw) << 10 | expected << 18),
            hash(hash(62, at), f.word) ^ f.so_far.wrapping_mul(0x0100_0193),
            hash(63, at | b1 << 10 | expected << 18),
            hash(hash(64, at | b1 << 10 | b2 << 18), expected),
            hash(65, at | b4 << 10 | expected << 18),
            hash(hash(66, at), f.so_far),
            hash(67, at | f.differing << 10 | u32::from(f.is_last) << 20),
        ];
        let set = BYTE_SETS
            + 48 * f.kind as usize
            + 24 * usize::from(f.differing != 0)
            + 3 * f.at.min(7) as usize;
        let mut node = 1u32;
        for bit_at in (0..8).rev() {
            let mut contexts = heads.map(|head| hash(head, node));
            let agrees = (expected | 256) >> (bit_at + 1) == node;
            let coming = if agrees { 1 + (expected >> bit_at & 1) } else { 0 };
            let [.., last] = &mut contexts;
            let [.., head] = heads;
            *last = hash(head, coming | if agrees { 0 } else { node << 2 });
            let bit = value >> bit_at & 1 != 0;
            let second = SECOND_SETS + 768 + node as usize;
            let sets = [set + coming as usize, second];
            let bit = self.code::<C, _, true>(coder, &contexts, sets, &TRUST_FLAT, bit)?;
            node = node << 1 | u32::from(bit);
        }
        Ok(node as u8)
    }

    fn literal<C: BitCoder>(
        &mut self,
        coder: &mut C,
        f: &LiteralFeatures,
        value: u8,
    ) -> Result<u8> {
        let low = f.tail as u32;
        let b = |by: u32| (f.tail >> (8 * by) & 255) as u32;
        let phase = f.pos as u32 & 3;
        let heads = [
            hash(20, phase),
            hash(21, b(0) | phase << 8),
            hash(22, low & 0xffff | phase << 24),
            hash(23, low & 0xff_ffff),
            hash(hash(24, low), phase),
            hash(25, b(3) | phase << 8 | b(7) << 16),
            hash(26, b(3) | b(0) << 8 | phase << 16),
            hash(27, u32::from(f.gap) | phase << 8),
            hash(hash(28, low), (f.tail >> 32) as u32 & 0xffff),
            hash(30, b(1) | b(3) << 8 | phase << 16),
            hash(hash(31, b(0) | b(2) << 8), b(4) | phase << 8),
            hash(hash(32, u32::from(f.gap) | b(0) << 8), phase),
        ];
        let match_len = if f.expected.is_none() { 0 } else { f.match_len.min(15).div_ceil(2) + 1 };
        let mut node = 1u32;
        for bit_at in (0..8).rev() {
            let coming = match f.expected {
                Some(byte) if (u32::from(byte) | 256) >> (bit_at + 1) == node => {
                    1 + (u32::from(byte) >> bit_at & 1)
                }
                _ => 0,
            };
            let [h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, ha, hb] =
                heads.map(|head| hash(head, node));
            let by_match = hash(
                hash(29, coming | match_len << 2 | f.match_misses.min(3) << 8),
                if coming > 0 { 0 } else { node },
            );
            let contexts = [h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, ha, hb, by_match];
            let set = LITERAL_SETS + 2 * match_len.min(15) as usize + usize::from(coming > 0);
            let bit = value >> bit_at & 1 != 0;
            let second = SECOND_SETS + 256 + b(0) as usize;
            let bit = self.code::<C, 13, true>(coder, &contexts, [set, second], &TRUST, bit)?;
            node = node << 1 | u32::from(bit);
        }
        Ok(node as u8)
    }
}
