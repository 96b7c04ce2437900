//! Refinement: what a mixed probability turned out to be worth, in contexts of its own.
//!
//! Source: M. Mahoney, PAQ: adaptive probability maps, also called secondary symbol estimation.

use super::mixed::{Rates, SLOT_LEN};
use super::squash::squash;
use crate::error::Result;
use crate::state::Visit;

/// Logarithmic odds between two entries of a row, as a logarithm.
const STEP_LOG: u32 = 7;
/// Odds are cut off here.
const REACH: i32 = 2048;
/// Entries of a row.
pub(super) const ROW_LEN: usize = ((2 * REACH as usize) >> STEP_LOG) + 1;
/// How often each entry counts as met at the start.
const COUNT_START: u32 = 6;
/// Entries stop adapting more slowly at this count.
const COUNT_MAX: u32 = 127;

/// Rows of probabilities.
#[derive(Debug)]
pub(super) struct Refined<'w>(&'w mut [[u8; SLOT_LEN]]);

/// A refined probability, and what must be known to learn from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refinement {
    /// The probability, of 65,536.
    pub(super) p: u32,
    nearest: usize,
}

impl<'w> Refined<'w> {
    /// Nothing is known better yet.
    pub(super) fn new(rows: &'w mut [[u8; SLOT_LEN]]) -> Self {
        for row in rows.chunks_mut(ROW_LEN) {
            for (odds, entry) in (-REACH..).step_by(1 << STEP_LOG).zip(row) {
                *entry = (squash(odds) << 16 | COUNT_START).to_le_bytes();
            }
        }
        Self(rows)
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.0.as_flattened_mut())
    }

    fn entry(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0.get(at).copied().unwrap_or_default())
    }

    /// What `odds` are worth by a row: between its two entries next to them.
    pub(super) fn refine(&self, row: u32, odds: i32) -> Refinement {
        let odds = (odds.clamp(-REACH, REACH - 1) + REACH) as u32;
        let (step, part) = (odds >> STEP_LOG, odds & ((1 << STEP_LOG) - 1));
        let at = row as usize * ROW_LEN + step as usize;
        let [low, high] = [at, at + 1].map(|at| self.entry(at) >> 10);
        let p = low * ((1 << STEP_LOG) - part) + high * part;
        let nearest = at + usize::from(part >= 1 << (STEP_LOG - 1));
        Refinement { p: p >> (STEP_LOG + 6), nearest }
    }

    /// The bit was `bit`.
    pub(super) fn learn(&mut self, refinement: Refinement, rates: &Rates, bit: bool) {
        let slot = self.entry(refinement.nearest);
        if let Some(entry) = self.0.get_mut(refinement.nearest) {
            *entry = rates.adapted(slot, bit, COUNT_MAX).to_le_bytes();
        }
    }
}
