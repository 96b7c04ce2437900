//! The adaptive model of coder 1 (docs/format-delta.md, section 6), shared by decoder and encoder.
//!
//! Every decision has two contexts; each selects one 16-bit probability in a small hashed table
//! without collision checks. The two are averaged with weight on the one that is surer. Contexts
//! are few and adaptation is fast because the table is small: measured on firmware, richer
//! contexts collide and lose more than they know.

use super::range::{BitCoder, PROBABILITY_MIN};
use crate::error::{Detail, Result};
use crate::state::Visit;

/// Zero residuals in a row that are coded one by one; the rest of the run is one number.
pub const SINGLE_ZERO_COUNT: u32 = 64;
/// Adaptation of literals: a probability moves by 1/16 of its distance.
pub const LITERAL_RATE: u32 = 4;
/// Adaptation of everything else: by 1/8.
pub const RATE: u32 = 3;
/// Multiplier of the hash that turns a context into a table index.
pub const HASH_MULTIPLIER: u32 = 0x9E37_79B1;
/// Binary digits of a number's logarithm.
pub const LOG_BITS: u32 = 6;
/// Digits after a number's leading one that have contexts; further ones are equally probable.
pub const MODELLED_DIGITS: u32 = 2;

/// The kind of a context: the top byte of its number.
mod kind {
    pub(super) const NUMBER: u32 = 1 << 24;
    pub(super) const LITERAL_BY_PARITY: u32 = 2 << 24;
    pub(super) const LITERAL_BY_BYTES: u32 = 3 << 24;
    pub(super) const FLAG_BY_RESIDUALS: u32 = 4 << 24;
    pub(super) const FLAG_BY_BYTE: u32 = 5 << 24;
    pub(super) const VALUE_BY_POSITION: u32 = 6 << 24;
    pub(super) const VALUE_BY_RESIDUAL: u32 = 7 << 24;
    pub(super) const BACKWARD: u32 = 8 << 24;
}

/// What a number means; each kind has its own statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Number {
    /// Section id of the prologue.
    Section = 0,
    /// Length of a literal run.
    LiteralLen = 1,
    /// Length of a cover, less one.
    CoverLen = 2,
    /// Which recent diagonal, or none.
    Diagonal = 3,
    /// Distance in old forwards from the end of the last cover.
    Forward = 4,
    /// Distance backwards, less one.
    Backward = 5,
    /// Zero residuals after [`SINGLE_ZERO_COUNT`] of them.
    ZeroRun = 6,
    /// Something of pages rewritten in place.
    Page = 7,
}

/// One group of residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// One byte other than zero.
    Value(u8),
    /// Zeros, maybe none.
    Zeros(u64),
}

/// Adaptive probabilities and the short history that selects them.
#[derive(Debug)]
pub struct Model<'m> {
    /// Probabilities of `true`, of 65,536, least byte first.
    entries: &'m mut [[u8; 2]],
    shift: u32,
    /// Last bytes of new, the latest lowest.
    bytes: u32,
    /// Last residuals, the latest lowest; literals count as zero.
    residuals: u64,
    /// Position in new.
    pos: u32,
    /// Zero residuals since the last other one, or since the cover began.
    zeros: u32,
    /// The next residual is known not to be zero.
    value_due: bool,
}

impl<'m> Model<'m> {
    /// A model without knowledge over `entries`, whose number is `1 << model_log`.
    pub fn new(entries: &'m mut [[u8; 2]], model_log: u8) -> Self {
        for entry in entries.iter_mut() {
            *entry = (1u16 << 15).to_le_bytes();
        }
        let shift = 32u32.saturating_sub(model_log.into());
        let (bytes, residuals, pos, zeros, value_due) = (0, 0, 0, 0, false);
        Self { entries, shift, bytes, residuals, pos, zeros, value_due }
    }

    pub(crate) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.entries.as_flattened_mut())?;
        visit.u32(&mut self.bytes)?;
        visit.u64(&mut self.residuals)?;
        visit.u32(&mut self.pos)?;
        visit.u32(&mut self.zeros)?;
        visit.flag(&mut self.value_due)
    }

    /// Goes on at position `pos` of new.
    pub fn seek(&mut self, pos: u64) {
        self.pos = pos as u32;
    }

    fn index(&self, context: u32) -> usize {
        (context.wrapping_mul(HASH_MULTIPLIER).wrapping_shr(self.shift)) as usize
    }

    /// Codes one decision under two contexts and learns from it.
    fn bit<C: BitCoder>(
        &mut self,
        coder: &mut C,
        contexts: [u32; 2],
        rate: u32,
        bit: bool,
    ) -> Result<bool> {
        let [a, b] = contexts.map(|context| self.index(context));
        let read = |at: usize| self.entries.get(at).map(|entry| u16::from_le_bytes(*entry));
        let (at_a, at_b) = (read(a).ok_or(Detail::Bug)?, read(b).ok_or(Detail::Bug)?);
        let bit = coder.bit(mixed(at_a, at_b), bit)?;
        for (at, p) in [(a, at_a), (b, at_b)] {
            if let Some(entry) = self.entries.get_mut(at) {
                *entry = adapted(p, rate, bit).to_le_bytes();
            }
        }
        Ok(bit)
    }

    /// Codes a number below 2^63 - 1: the logarithm of its successor, then that one's digits.
    ///
    /// # Errors
    /// `BadStream` when the input ends or the number is larger.
    pub fn number<C: BitCoder>(
        &mut self,
        coder: &mut C,
        number: Number,
        context: u32,
        value: u64,
    ) -> Result<u64> {
        let value = value.wrapping_add(1);
        let log = 63u32.wrapping_sub(value.leading_zeros());
        let base = kind::NUMBER + ((number as u32) << 16);
        let special = context.wrapping_add(1);
        let mut node = 1u32;
        for at in (0..LOG_BITS).rev() {
            let contexts = [base + node, base + (special << LOG_BITS) + node];
            let bit = self.bit(coder, contexts, RATE, log.wrapping_shr(at) & 1 != 0)?;
            node = node << 1 | u32::from(bit);
        }
        let log = node & 63;
        if log == 63 {
            return Err(Detail::BadStream.into());
        }
        let mut prefix = 1u64;
        for at in (0..log).rev() {
            let bit = value.wrapping_shr(at) & 1 != 0;
            let known = log.wrapping_sub(1).wrapping_sub(at);
            let bit = if known < MODELLED_DIGITS {
                let digit = base + 0x8000 + (log << MODELLED_DIGITS) + prefix as u32;
                self.bit(coder, [digit, digit + (special << 10)], RATE, bit)?
            } else {
                coder.bit(1 << 15, bit)?
            };
            prefix = prefix << 1 | u64::from(bit);
        }
        Ok(prefix.wrapping_sub(1))
    }

    /// Codes whether a cover starts in old before the end of the last one.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    pub fn backward<C: BitCoder>(&mut self, coder: &mut C, backward: bool) -> Result<bool> {
        self.bit(coder, [kind::BACKWARD; 2], RATE, backward)
    }

    /// Codes a literal byte and enters it into the history.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    pub fn literal<C: BitCoder>(&mut self, coder: &mut C, value: u8) -> Result<u8> {
        let parity = self.pos & 1;
        let tops = (self.bytes >> 6 & 3) << 2 | self.bytes >> 14 & 3;
        let contexts = [
            kind::LITERAL_BY_PARITY + (parity << 8),
            kind::LITERAL_BY_BYTES + (tops << 9) + (parity << 8),
        ];
        let byte = self.byte(coder, contexts, LITERAL_RATE, value)?;
        self.advance(byte, 0);
        Ok(byte)
    }

    /// Codes eight decisions, the highest first, each under the ones before it.
    fn byte<C: BitCoder>(
        &mut self,
        coder: &mut C,
        contexts: [u32; 2],
        rate: u32,
        value: u8,
    ) -> Result<u8> {
        let mut node = 1u32;
        for at in (0..8).rev() {
            let here = contexts.map(|context| context.wrapping_add(node));
            let bit = self.bit(coder, here, rate, value >> at & 1 != 0)?;
            node = node << 1 | u32::from(bit);
        }
        Ok(node as u8)
    }

    /// A cover begins.
    pub fn start_cover(&mut self) {
        self.zeros = 0;
        self.value_due = false;
    }

    /// Codes one group of the residual. An encoder says what comes: a byte, or all zeros up to
    /// the next other byte or the end of the cover; what it gets back is what was coded. The
    /// caller enters it into the history with [`Model::advance`] or [`Model::skip`].
    ///
    /// # Errors
    /// `BadStream` when the input ends or a residual that may not be zero is.
    pub fn residual<C: BitCoder>(&mut self, coder: &mut C, coming: Residual) -> Result<Residual> {
        let (value, run) = match coming {
            Residual::Value(value) => (value, 0),
            Residual::Zeros(run) => (0, run),
        };
        if !self.value_due && self.zeros == SINGLE_ZERO_COUNT {
            self.value_due = true;
            let run = self.number(coder, Number::ZeroRun, self.pos & 3, run)?;
            return Ok(Residual::Zeros(run));
        }
        if !self.value_due && !self.bit(coder, self.flag_contexts(), RATE, value != 0)? {
            self.zeros += 1;
            return Ok(Residual::Zeros(1));
        }
        let after_value = u32::from(self.residuals & 0xff != 0);
        let contexts = [
            kind::VALUE_BY_POSITION + ((self.pos & 3) << 8),
            kind::VALUE_BY_RESIDUAL + (after_value << 8),
        ];
        let value = self.byte(coder, contexts, RATE, value)?;
        self.start_cover();
        if value == 0 { Err(Detail::BadStream.into()) } else { Ok(Residual::Value(value)) }
    }

    /// Contexts of "the next residual is not zero".
    fn flag_contexts(&self) -> [u32; 2] {
        let position = self.pos & 3;
        let mut pattern = 0u32;
        for (at, back) in [0u32, 1, 2, 3, 5, 7].into_iter().enumerate() {
            let is_value = self.residuals.wrapping_shr(8 * back) & 0xff != 0;
            pattern |= u32::from(is_value) << at;
        }
        let top = self.bytes >> 3 & 0x1f;
        let zeros = self.zeros.min(3);
        [
            kind::FLAG_BY_RESIDUALS + (pattern << 2) + position,
            kind::FLAG_BY_BYTE + (top << 8) + (zeros << 6) + position,
        ]
    }

    /// Enters a byte of new, with its residual, into the history.
    pub fn advance(&mut self, byte: u8, residual: u8) {
        self.bytes = self.bytes << 8 | u32::from(byte);
        self.residuals = self.residuals << 8 | u64::from(residual);
        self.pos = self.pos.wrapping_add(1);
    }

    /// Enters bytes of new that are old bytes into the history.
    pub fn skip(&mut self, bytes: &[u8]) {
        let from = bytes.len().saturating_sub(8);
        let last = bytes.get(from..).unwrap_or(&[]);
        for byte in last {
            self.advance(*byte, 0);
        }
        self.pos = self.pos.wrapping_add(from as u32);
    }
}

/// Probability of `true` from two: three quarters of the one farther from one half.
fn mixed(a: u16, b: u16) -> u32 {
    const HALF: u16 = 1 << 15;
    let (sure, other) = if a.abs_diff(HALF) > b.abs_diff(HALF) { (a, b) } else { (b, a) };
    let p = (3 * u32::from(sure) + u32::from(other)) >> 2;
    p.clamp(PROBABILITY_MIN, (1 << 16) - PROBABILITY_MIN)
}

/// A probability of `true` after `bit`.
fn adapted(p: u16, rate: u32, bit: bool) -> u16 {
    let step = if bit { u16::MAX - p } else { p }.wrapping_shr(rate);
    if bit { p.wrapping_add(step) } else { p.wrapping_sub(step) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays decisions back, to show what is decoded from which.
    struct Script(std::vec::Vec<bool>);

    impl BitCoder for Script {
        fn bit(&mut self, p: u32, _: bool) -> Result<bool> {
            assert!((PROBABILITY_MIN..=(1 << 16) - PROBABILITY_MIN).contains(&p));
            self.0.pop().ok_or(Detail::BadStream.into())
        }
    }

    extern crate std;

    #[test]
    fn learns_without_leaving_its_range() {
        let mut entries = [[0; 2]; 256];
        let mut model = Model::new(&mut entries, 8);
        for bit in [true, false] {
            let mut coder = Script(std::vec![bit; 1000]);
            for _ in 0..1000 {
                assert_eq!(model.backward(&mut coder, !bit), Ok(bit));
            }
        }
    }

    #[test]
    fn the_largest_logarithm_is_refused() {
        let mut entries = [[0; 2]; 256];
        let mut model = Model::new(&mut entries, 8);
        let mut coder = Script(std::vec![true; 200]);
        let error = model.number(&mut coder, Number::CoverLen, 0, 0).unwrap_err();
        assert_eq!(error.detail, Detail::BadStream);
    }
}
