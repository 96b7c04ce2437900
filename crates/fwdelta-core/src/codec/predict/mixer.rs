//! Mixing: opinions, as logarithms of odds, are summed with weights that learn.
//!
//! Source: M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005.

use super::squash::{ODDS_MAX, squash};
use crate::error::Result;
use crate::state::Visit;

/// Weights have 20 bits behind the point, and are cut off at 8.
const WEIGHT_MAX: i32 = 8 << 20;

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
        opinions: &[i32; N],
        sets: [usize; S],
    ) -> [i32; S] {
        sets.map(|set| {
            let Some(weights) = self.0.get(set).map(|set| set.as_chunks::<4>().0) else { return 0 };
            let product = |(weight, opinion): (&[u8; 4], &i32)| {
                ((i32::from_le_bytes(*weight) >> 4) * *opinion) >> 8
            };
            let sum: i32 = weights.iter().zip(opinions).map(product).sum();
            (sum >> 8).clamp(-ODDS_MAX, ODDS_MAX)
        })
    }

    /// Moves the weights of the sets towards what would have been right; `pace` is below 2,048.
    pub(super) fn learn<const N: usize, const S: usize>(
        &mut self,
        opinions: &[i32; N],
        sets: [(usize, i32); S],
        pace: i32,
        bit: bool,
    ) {
        for (set, odds) in sets {
            let error = (i32::from(bit) << 16) - squash(odds) as i32;
            let step = (error * pace) >> 8;
            let Some(set) = self.0.get_mut(set) else { continue };
            let weights = set.as_chunks_mut::<4>().0;
            for (weight, opinion) in weights.iter_mut().zip(opinions) {
                let moved = i32::from_le_bytes(*weight) + ((step * *opinion + (1 << 11)) >> 12);
                *weight = moved.clamp(-WEIGHT_MAX, WEIGHT_MAX).to_le_bytes();
            }
        }
    }
}
