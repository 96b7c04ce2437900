//! The large model: for each decision up to ten contexts, each with a probability of its own, mixed
//! by weights that learn.
//!
//! Source: M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005.

use super::nodes::{BUCKET_LEN, Nodes};
use super::squash::{ODDS_MAX, squash, stretch};
use super::traces::{NEXT, suggested, t};
use super::{ByteFeatures, FlagFeatures, LiteralFeatures, Model, hash};
use crate::codec::range::BitCoder;
use crate::error::Result;
use crate::exec::unit::KIND_COUNT;

/// Contexts of one decision at most.
const INPUT_COUNT: usize = 64;
/// Bytes of a probability in memory: 22 bits, and 10 of how often it was met.
pub(super) const SLOT_LEN: usize = 4;
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
const MAP_COUNT_MAX: u32 = 255;
const LITERAL_LEARNING: i64 = 600;
const LITERAL_WEIGHT: i32 = 120_000;
const BYTE_WEIGHT: i32 = 180_000;
const BYTE_TRACES: usize = 7;
const LITERAL_TRACES: usize = 20;
/// Maps of traces.
pub(super) const MAP_LEN: usize = 256 * (BYTE_TRACES + LITERAL_TRACES);
/// Literals have so many times more probabilities than the rest, as a logarithm.
pub(super) const LITERAL_LOG_MORE: u8 = 4;
/// Smallest probability of either value, of 65,536.
const PROBABILITY_FLOOR: u32 = 4;

/// Probabilities and weights.
#[derive(Debug)]
pub struct Mixed<'w> {
    slots: &'w mut [[u8; SLOT_LEN]],
    nodes: Nodes<'w>,
    maps: &'w mut [[u8; SLOT_LEN]],
    weights: &'w mut [[u8; WEIGHTS_LEN]],
    mask: u32,
    rates: [u16; 1024],
}

impl<'w> Mixed<'w> {
    /// A model that has learnt nothing; `slots` holds `1 << log` probabilities, `weights`
    /// `SET_COUNT` sets.
    #[must_use]
    pub fn new(
        slots: &'w mut [[u8; SLOT_LEN]],
        buckets: &'w mut [[u8; BUCKET_LEN]],
        maps: &'w mut [[u8; SLOT_LEN]],
        weights: &'w mut [[u8; WEIGHTS_LEN]],
    ) -> Self {
        for slot in slots.iter_mut() {
            *slot = (1u32 << 31).to_le_bytes();
        }
        for (at, slot) in maps.iter_mut().enumerate() {
            *slot = (suggested(at as u8) << 10).to_le_bytes();
        }
        for set in weights.iter_mut() {
            for (at, weight) in set.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let _ = at;
                *weight = WEIGHT_START.to_le_bytes();
            }
        }
        for set in weights.iter_mut().skip(LITERAL_SETS).take(64) {
            for weight in set.as_chunks_mut::<4>().0.iter_mut() { *weight = (t(2,120_000) as i32).to_le_bytes(); }
        }
        for set in weights.iter_mut().skip(SECOND_SETS+256).take(256) {
            for weight in set.as_chunks_mut::<4>().0.iter_mut() { *weight = (t(2,120_000) as i32).to_le_bytes(); }
        }
        for set in weights.iter_mut().skip(BYTE_SETS).take(48*KIND_COUNT) {
            for weight in set.as_chunks_mut::<4>().0.iter_mut() { *weight = (t(3,180_000) as i32).to_le_bytes(); }
        }
        for set in weights.iter_mut().skip(SECOND_SETS+768).take(256) {
            for weight in set.as_chunks_mut::<4>().0.iter_mut() { *weight = (t(3,180_000) as i32).to_le_bytes(); }
        }
        let mut rates = [0; 1024];
        for (count, rate) in rates.iter_mut().enumerate() {
            // 1 / (count + 1.6), of 65,536.
            *rate = (655_360u32.checked_div(10 * count as u32 + 16).unwrap_or(0)) as u16;
        }
        let mask = (slots.len() as u32).wrapping_sub(1);
        Self { slots, nodes: Nodes::new(buckets), maps, weights, mask, rates }
    }

    fn slot(&self, context: u32) -> u32 {
        let bytes = self.slots.get((context & self.mask) as usize).copied();
        u32::from_le_bytes(bytes.unwrap_or_default())
    }

    fn learn_slot(&mut self, context: u32, slot: u32, bit: bool) {
        if let Some(place) = self.slots.get_mut((context & self.mask) as usize) {
            *place = adapted(slot, bit, &self.rates, COUNT_MAX).to_le_bytes();
        }
    }

    /// Codes a decision: sets of weights mix the inputs, and their results are averaged.
    fn mix<C: BitCoder, const N: usize, const S: usize>(
        &mut self,
        coder: &mut C,
        inputs: &[i32; N],
        sets: [usize; S],
        bit: bool,
    ) -> Result<bool> {
        let odds = sets.map(|set| self.odds(set, inputs));
        let sum: i32 = odds.iter().sum();
        let p = squash(sum / S as i32).clamp(PROBABILITY_FLOOR, 65_536 - PROBABILITY_FLOOR);
        let bit = coder.bit(p, bit)?;
        for (set, odds) in sets.into_iter().zip(odds) {
            let error = i64::from(u32::from(bit) << 16) - i64::from(squash(odds));
            self.train(set, inputs, error);
        }
        Ok(bit)
    }

    /// Codes a decision in contexts that have a slot each.
    fn code<C: BitCoder, const N: usize>(
        &mut self,
        coder: &mut C,
        contexts: &[u32; N],
        sets: [usize; 2],
        bit: bool,
    ) -> Result<bool> {
        let slots = contexts.map(|context| self.slot(context));
        let inputs = slots.map(|slot| if slot & 1023 == 0 { 0 } else { stretch(slot >> 20) });
        let bit = self.mix(coder, &inputs, sets, bit)?;
        for (context, slot) in contexts.iter().zip(slots) {
            self.learn_slot(*context, slot, bit);
        }
        Ok(bit)
    }

    /// Codes a bit of a byte.
    fn code_bit<C: BitCoder, const T: usize, const L: usize, const N: usize, const S: usize>(
        &mut self,
        coder: &mut C,
        at: &At<T>,
        contexts: &[u32; L],
        sets: [usize; S],
        bit: bool,
    ) -> Result<bool> {
        let mut inputs = [0i32; N];
        let traces = at.buckets.map(|bucket| self.nodes.trace(bucket, at.place));
        let mut map = at.map;
        let mut maps = [0u32; T];
        for (to, trace) in maps.iter_mut().zip(traces) {
            *to = map | u32::from(trace);
            map += 256;
        }
        let learnt = maps.map(|map| {
            u32::from_le_bytes(self.maps.get(map as usize).copied().unwrap_or_default())
        });
        let slots = contexts.map(|context| self.slot(context));
        let (pairs, rest) = inputs.split_at_mut(2 * T);
        for ((pair, slot), trace) in pairs.as_chunks_mut::<2>().0.iter_mut().zip(learnt).zip(traces) {
            let p = slot >> 20;
            *pair = if trace==0 {[0,0]} else {[stretch(p), ((p as i32 - 2048) * t(4,16) as i32) >> 6]};
        }
        for (to, slot) in rest.iter_mut().zip(slots) {
            *to = stretch(slot >> 20);
        }
        if let Some(last) = rest.last_mut() {
            *last = 256;
        }
        let bit = self.mix(coder, &inputs, sets, bit)?;
        for ((bucket, trace), (map, slot)) in
            at.buckets.into_iter().zip(traces).zip(maps.into_iter().zip(learnt))
        {
            let [zero, one] = NEXT.get(usize::from(trace)).copied().unwrap_or_default();
            self.nodes.set(bucket, at.place, if bit { one } else { zero });
            if let Some(place) = self.maps.get_mut(map as usize) {
                *place = adapted(slot, bit, &self.rates, t(5,255) as u32).to_le_bytes();
            }
        }
        for (context, slot) in contexts.iter().zip(slots) {
            self.learn_slot(*context, slot, bit);
        }
        Ok(bit)
    }

    fn odds<const N: usize>(&self, set: usize, inputs: &[i32; N]) -> i32 {
        let Some(weights) = self.weights.get(set) else { return 0 };
        let weights = weights.as_chunks::<4>().0;
        let product = |(weight, input): (&[u8; 4], &i32)| {
            i64::from(i32::from_le_bytes(*weight)) * i64::from(*input)
        };
        let sum: i64 = weights.iter().zip(inputs).map(product).sum();
        (sum >> WEIGHT_SHIFT).clamp(-i64::from(ODDS_MAX), i64::from(ODDS_MAX)) as i32
    }

    fn train<const N: usize>(&mut self, set: usize, inputs: &[i32; N], error: i64) {
        let Some(weights) = self.weights.get_mut(set) else { return };
        let rate = if N > 20 { t(0,300) } else if N > 10 { t(1,600) } else { LEARNING };
        for (weight, input) in weights.as_chunks_mut::<4>().0.iter_mut().zip(inputs) {
            let step = (error * i64::from(*input) * rate + (1 << 19)) >> 20;
            let learnt = i32::from_le_bytes(*weight).wrapping_add(step as i32);
            *weight = learnt.to_le_bytes();
        }
    }
}

/// Where the traces of a byte's contexts are.
struct At<const T: usize> {
    buckets: [u32; T],
    place: u32,
    map: u32,
}

/// A probability after `bit`: the more often it was met, the less it moves.
fn adapted(slot: u32, bit: bool, rates: &[u16], most: u32) -> u32 {
    let (p, count) = (slot >> 10, slot & 1023);
    let rate = u64::from(rates.get(count as usize).copied().unwrap_or(256));
    let p = if bit {
        p + ((u64::from((1 << 22) - 1 - p) * rate) >> 16) as u32
    } else {
        p - ((u64::from(p) * rate) >> 16) as u32
    };
    p << 10 | (count + 1).min(most)
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
        self.code(coder, &contexts, [set, SECOND_SETS + set], bit)
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
        self.code(coder, &contexts, [set, second], is_miss)
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
        ];
        let set = BYTE_SETS
            + 48 * f.kind as usize
            + 24 * usize::from(f.differing != 0)
            + 3 * f.at.min(7) as usize;
        let last = hash(67, at | f.differing << 10 | u32::from(f.is_last) << 20);
        let mut at = At { buckets: [0; BYTE_TRACES], place: 1, map: 0 };
        let mut node = 1u32;
        for bit_at in (0..8).rev() {
            if bit_at & 3 == 3 {
                at.buckets = heads.map(|head| self.nodes.find(hash(head, node)));
                at.place = 1;
            }
            let agrees = (expected | 256) >> (bit_at + 1) == node;
            let coming = if agrees { 1 + (expected >> bit_at & 1) } else { 0 };
            let slot = hash(last, coming | if agrees { 0 } else { node << 2 });
            let bit = value >> bit_at & 1 != 0;
            let second = SECOND_SETS + 768 + node as usize;
            let sets = [set + coming as usize, second];
            let bit = self.code_bit::<C, _, _, { 2 * BYTE_TRACES + 2 }, _>(coder, &at, &[slot], sets, bit)?;
            node = node << 1 | u32::from(bit);
            at.place = at.place << 1 | u32::from(bit);
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
        let match_len = if f.expected.is_none() { 0 } else { f.match_len.min(15).div_ceil(2) + 1 };
        let expected = f.expected.map_or(256, u32::from);
        let part = (low & !(u32::MAX << (8 * phase))) | 1 << (8 * phase);
        let above = (f.tail >> (8 * phase)) as u32;
        let before = (f.tail >> (8 * phase) >> 32) as u32;
        let ops = (above & 255) | (before & 255) << 8 | phase << 16 | (above >> 8 & 0xff) << 20;
        let mask = t(6, 0) as u32;
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
            hash(33, expected | match_len << 9),
            hash(hash(34, low), b(4)),
            hash(hash(35, part), ops & 0xffff),
            hash(hash(36, part), above & 0xffff),
            hash(hash(37, part), ops),
            hash(38, b(7) | (f.pos as u32 & 7) << 8 | b(0) << 16),
            hash(39, b(1) | b(2) << 8),
            hash(48, expected | b(0) << 9),
        ];
        let mut heads = heads;
        for (i, h) in heads.iter_mut().enumerate() { if mask >> i & 1 != 0 { *h = 0; } }
        let mut at = At { buckets: [0; LITERAL_TRACES], place: 1, map: 256 * BYTE_TRACES as u32 };
        let mut node = 1u32;
        for bit_at in (0..8).rev() {
            if bit_at & 3 == 3 {
                at.buckets = heads.map(|head| self.nodes.find(hash(head, node)));
                at.place = 1;
            }
            let coming = match f.expected {
                Some(byte) if (u32::from(byte) | 256) >> (bit_at + 1) == node => {
                    1 + (u32::from(byte) >> bit_at & 1)
                }
                _ => 0,
            };
            let by_match = hash(
                hash(29, coming | match_len << 2 | (f.match_misses & 7) << 8),
                if coming > 0 { 0 } else { node },
            );
            let set = LITERAL_SETS + 2 * match_len.min(15) as usize + usize::from(coming > 0);
            let bit = value >> bit_at & 1 != 0;
            let second = SECOND_SETS + 256 + b(0) as usize;
            let bit = self.code_bit::<C, _, _, { 2 * LITERAL_TRACES + 2 }, _>(coder, &at, &[by_match], [set, second], bit)?;
            node = node << 1 | u32::from(bit);
            at.place = at.place << 1 | u32::from(bit);
        }
        Ok(node as u8)
    }
}
