//! The binary range coder of coders 1, 4 and 5 (docs/format-delta.md, section 6): decoder, and the
//! trait that lets one model serve decoder and encoder.
//!
//! Source: G. N. N. Martin, "Range encoding", 1979, in the carry-propagating binary form that LZMA
//! made common. Probabilities have 16 bits. Coders 1 and 4 keep 1/1024 <= p <= 1023/1024, so that
//! one decision takes at most 10 bits; coder 5 goes to 1/65536. Either shifts in at most two bytes.

use core::hint::select_unpredictable;

use super::input::Input;
use crate::error::{Detail, Result};
use crate::state::Visit;

/// The range is renormalised below this.
pub const RANGE_MIN: u32 = 1 << 24;
/// Bytes of code value the decoder starts with, and that the encoder flushes.
pub const CODE_LEN: usize = 4;
/// Smallest probability of either value in coders 1 and 4, of 65,536.
pub const PROBABILITY_MIN: u32 = 64;

/// Codes decisions: a decoder ignores the given value and gives the decoded one, an encoder gives
/// back what it was given. One model written over this trait cannot differ between the two.
pub trait BitCoder {
    /// Codes one decision; `p` of 65,536 is the probability of `true`, neither 0
    /// nor 65,536.
    ///
    /// # Errors
    /// `BadStream` when a decoder's input ends.
    fn bit(&mut self, p: u32, bit: bool) -> Result<bool>;

    /// For an encoder that codes the length of a run behind it: a number of pages, with its
    /// context, that a decoder reads within the run.
    fn deferred(&mut self) -> Option<(u32, u64)> {
        None
    }
}

/// State of the decoder between groups.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RangeState {
    range: u32,
    code: u32,
}

impl RangeState {
    /// Reads the first bytes.
    pub(crate) fn start(input: &mut Input<'_>) -> Result<Self> {
        let mut state = Self { range: u32::MAX, code: 0 };
        for _ in 0..CODE_LEN {
            state.code = state.code << 8 | u32::from(input.byte().ok_or(Detail::BadStream)?);
        }
        Ok(state)
    }

    pub(crate) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.u32(&mut self.range)?;
        visit.u32(&mut self.code)
    }

    /// Whether the encoder could have flushed here.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.code == 0
    }
}

/// Decodes one group from verified input.
///
/// The state is held by value, for registers: whoever starts a group takes it back behind it.
pub(crate) struct RangeDecoder<'f, 'w> {
    pub(crate) state: RangeState,
    pub(crate) input: &'f mut Input<'w>,
}

impl BitCoder for RangeDecoder<'_, '_> {
    #[inline(always)]
    fn bit(&mut self, p: u32, _: bool) -> Result<bool> {
        let RangeState { range, code } = self.state;
        let bound = (range >> 16).wrapping_mul(p);
        let bit = code < bound;
        // What comes next cannot be foreseen: no branch.
        let mut next = RangeState {
            range: select_unpredictable(bit, bound, range.wrapping_sub(bound)),
            code: select_unpredictable(bit, code, code.wrapping_sub(bound)),
        };
        while next.range < RANGE_MIN {
            let byte = self.input.byte().ok_or(Detail::BadStream)?;
            next.range <<= 8;
            next.code = next.code << 8 | u32::from(byte);
        }
        self.state = next;
        Ok(bit)
    }
}
