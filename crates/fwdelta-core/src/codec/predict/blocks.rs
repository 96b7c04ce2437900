//! Blocks of literals, each of which is modelled or stands as it is: compressed and encrypted
//! parts of an image are noise, on which a model spends time and bits for nothing.

use crate::error::Result;
use crate::state::Visit;

/// Literals of a block at most.
const LITERAL_BLOCK_LEN: u64 = 1024;
/// Shorter blocks are modelled, without a word about it.
const LITERAL_BLOCK_LEN_MIN: u64 = 256;

/// Where a run of literals stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blocks {
    /// Bytes left of the run.
    left: u64,
    /// Bytes left of the block, 0 between blocks.
    block_left: u64,
    /// Whether the block at hand, or else the last one, is noise.
    pub(super) is_noise: bool,
}

impl Blocks {
    /// Before a run of `len` literals.
    pub(super) const fn of(len: u64) -> Self {
        Self { left: len, block_left: 0, is_noise: false }
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.u64(&mut self.left)?;
        visit.u64(&mut self.block_left)?;
        visit.flag(&mut self.is_noise)
    }

    /// How long the block is that begins here, if one does.
    pub(super) fn due(&self) -> Option<u64> {
        (self.block_left == 0 && self.left >= LITERAL_BLOCK_LEN_MIN)
            .then(|| self.left.min(LITERAL_BLOCK_LEN))
    }

    /// The block that is due begins.
    pub(super) fn start(&mut self, is_noise: bool) {
        self.block_left = self.left.min(LITERAL_BLOCK_LEN);
        self.is_noise = is_noise;
    }

    /// How many bytes of noise come next.
    pub(super) const fn noise_left(&self) -> u64 {
        if self.is_noise { self.block_left } else { 0 }
    }

    /// `len` bytes, at most those left of the block, have come.
    pub(super) fn pass(&mut self, len: u64) {
        self.left = self.left.saturating_sub(len);
        self.block_left = self.block_left.saturating_sub(len);
    }
}
