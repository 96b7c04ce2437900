//! Mixing: opinions, as logarithms of odds, are summed with weights that learn.
//!
//! Source: M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005.

use super::squash::{ODDS_MAX, squash};
use crate::error::Result;
use crate::state::Visit;

/// Weights have 28 bits behind the point. So many of them count in sums.
const SUMMED_BITS: u32 = 12;
/// The others, which only learning sees.
const LEARNT_BITS: u32 = 16;

/// Sets of weights, each for up to `LEN / 4` opinions.
#[derive(Debug)]
pub(super) struct Mixer<'w, const LEN: usize>(&'w mut [[u8; LEN]]);

impl<'w, const LEN: usize> Mixer<'w, LEN> {
    /// All weights start at what `start` says of their set.
    pub(super) fn new(sets: &'w mut [[u8; LEN]], start: impl Fn(usize) -> i32) -> Self {
        for (at, set) in sets.iter_mut().enumerate() {
            for weight in set.as_chunks_mut::<4>().0 {
                *weight = start(at).to_le_bytes();
            }
        }
        Self(sets)
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.0.as_flattened_mut())
    }

    /// The logarithmic odds of opinions under each of some sets.
    pub(super) fn odds<const N: usize, const S: usize>(
        &self,
        opinions: &[i16; N],
        sets: [usize; S],
    ) -> [i32; S] {
        let mut odds = [0; S];
        for (odds, set) in odds.iter_mut().zip(sets) {
            let weights = self.0.get(set).and_then(|set| set.as_chunks().0.first_chunk());
            let sum = weights.map_or(0, |weights| sum(weights, opinions));
            *odds = (sum >> SUMMED_BITS).clamp(-ODDS_MAX, ODDS_MAX);
        }
        odds
    }

    /// Moves the weights of the sets towards what would have been right; `pace` is below 2,048.
    pub(super) fn learn<const N: usize, const S: usize>(
        &mut self,
        opinions: &[i16; N],
        sets: [(usize, i32); S],
        pace: i32,
        bit: bool,
    ) {
        for (set, odds) in sets {
            let error = (i32::from(bit) << 16) - squash(odds) as i32;
            let step = ((error * pace + (1 << 11)) >> 12) as i16;
            let weights = self.0.get_mut(set);
            if let Some(weights) = weights.and_then(|set| set.as_chunks_mut().0.first_chunk_mut()) {
                shift(weights, opinions, step);
            }
        }
    }
}

/// Opinions by the high halves of weights, so that processors can multiply eight at once. Compilers
/// see that where this is a function of its own. What no image leads to wraps around.
#[inline(never)]
fn sum<const N: usize>(weights: &[[u8; 4]; N], opinions: &[i16; N]) -> i32 {
    let mut sum = 0i32;
    for (weight, opinion) in weights.iter().zip(opinions) {
        let weight = (i32::from_le_bytes(*weight) >> LEARNT_BITS) as i16;
        sum = sum.wrapping_add(i32::from(weight) * i32::from(*opinion));
    }
    sum
}

/// Adds `step` times each opinion to its weight.
#[inline(never)]
fn shift<const N: usize>(weights: &mut [[u8; 4]; N], opinions: &[i16; N], step: i16) {
    for (weight, opinion) in weights.iter_mut().zip(opinions) {
        let by = i32::from(step) * i32::from(*opinion);
        *weight = i32::from_le_bytes(*weight).wrapping_add(by).to_le_bytes();
    }
}
