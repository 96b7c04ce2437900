//! The adaptive model of coder 1 (docs/format.md, section 4.3), shared by decoder and encoder.
//!
//! Every binary decision averages two contexts, each a 16-bit entry in one small hashed table: a
//! 12-bit... see `Model::bit`.

use super::range::{BitCoder, PROBABILITY_MIN};
use crate::error::{Detail, Result};

/// Zero residuals in a row that are coded one by one; the rest of the run is one number.
pub const SINGLE_ZERO_COUNT: u32 = 12;

/// What a number means; each kind has its own statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Number {
    /// Section id of the prologue.
    Section = 0,
    /// Length of a literal run.
    LiteralLen = 1,
    /// Length of a cover.
    CoverLen = 2,
    /// Which recent diagonal, or none.
    Diagonal = 3,
    /// Forward distance.
    Forward = 4,
    /// Backward distance.
    Backward = 5,
    /// Zero residuals after [`SINGLE_ZERO_COUNT`] of them.
    ZeroRun = 6,
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
    entries: &'m mut [[u8; 2]],
    shift: u32,
    /// Last four bytes of new, the latest lowest.
    bytes: u32,
    /// Last eight residuals, the latest lowest; literals count as zero.
    residuals: u64,
    /// Last residual that was not zero, and the one before.
    values: u32,
    /// Position in new.
    pos: u32,
    /// Zero residuals since the last other one in this cover.
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
        let shift = 32 - u32::from(model_log);
        let (bytes, residuals, values, pos, zeros) = (0, 0, 0, 0, 0);
        Self { entries, shift, bytes, residuals, values, pos, zeros, value_due: false }
    }

    fn index(&self, context: u32) -> usize {
        (context.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    fn bit<C: BitCoder>(&mut self, coder: &mut C, a: u32, b: u32, bit: bool) -> Result<bool> {
        let (a, b) = (self.index(a), self.index(b));
        let word = |at: usize| self.entries.get(at).map(|entry| u16::from_le_bytes(*entry));
        let (wa, wb) = (word(a).ok_or(Detail::Bug)?, word(b).ok_or(Detail::Bug)?);
        let p = mix(wa, wb);
        let bit = coder.bit(p, bit)?;
        for (at, word) in [(a, wa), (b, wb)] {
            if let Some(entry) = self.entries.get_mut(at) {
                *entry = adapted(word, bit).to_le_bytes();
            }
        }
        Ok(bit)
    }

    /// Codes a number.
    ///
    /// # Errors
    /// `BadStream` when the input ends or the number has more than 63 bits.
    pub fn number<C: BitCoder>(
        &mut self,
        coder: &mut C,
        kind: Number,
        context: u32,
        value: u64,
    ) -> Result<u64> {
        let value = value.wrapping_add(1);
        let log = 63u32.wrapping_sub(value.leading_zeros());
        let base = (1 << 24) + ((kind as u32) << 16);
        let mut node = 1;
        for at in (0..6).rev() {
            let bit = log >> at & 1 != 0;
            let bit = self.bit(coder, base + node, base + (context + 1) * 64 + node, bit)?;
            node = node * 2 + u32::from(bit);
        }
        let log = node & 63;
        let mut number = 1u64;
        for at in (0..log).rev() {
            let bit = value >> at & 1 != 0;
            let known = log - 1 - at;
            let bit = if known < 3 {
                let c = base + 0x8000 + log * 16 + (number as u32 & 7) + (8 >> known);
                self.bit(coder, c, c + (context + 1) * 1024, bit)?
            } else {
                coder.bit(1 << 15, bit)?
            };
            number = number << 1 | u64::from(bit);
        }
        if log == 63 { Err(Detail::BadStream.into()) } else { Ok(number.wrapping_sub(1)) }
    }

    /// Codes one decision without context: is the next cover of old behind the last one?
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    pub fn flag<C: BitCoder>(&mut self, coder: &mut C, flag: bool) -> Result<bool> {
        self.bit(coder, 8 << 24, 9 << 24, flag)
    }

    /// Codes a literal byte.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    pub fn literal<C: BitCoder>(&mut self, coder: &mut C, value: u8) -> Result<u8> {
        let p1 = self.bytes & 0xff;
        let p2 = self.bytes >> 8 & 0xff;
        let c1 = (2 << 24) + (p1 << 8);
        let c2 = (3 << 24) + ((p2 & 0xf8 | self.pos & 1) << 8);
        let byte = self.byte(coder, c1, c2, value)?;
        self.advance(byte, 0);
        Ok(byte)
    }

    fn byte<C: BitCoder>(&mut self, coder: &mut C, a: u32, b: u32, value: u8) -> Result<u8> {
        let mut node = 1u32;
        for at in (0..8).rev() {
            let bit = value >> at & 1 != 0;
            let bit = self.bit(coder, a + node, b + node, bit)?;
            node = node * 2 + u32::from(bit);
        }
        Ok(node as u8)
    }

    /// A cover begins.
    pub fn start_cover(&mut self) {
        self.zeros = 0;
        self.value_due = false;
    }

    /// Codes one group of the residual; `old` holds the cover's old bytes from here on, and an
    /// encoder says what comes: a byte, or all zeros up to the next other byte or the end.
    ///
    /// # Errors
    /// `BadStream` when the input ends or a residual that may not be zero is.
    pub fn residual<C: BitCoder>(
        &mut self,
        coder: &mut C,
        old: u8,
        coming: Residual,
    ) -> Result<Residual> {
        if !self.value_due && self.zeros == SINGLE_ZERO_COUNT {
            let run = if let Residual::Zeros(run) = coming { run } else { 0 };
            let context = self.pos & 3;
            let run = self.number(coder, Number::ZeroRun, context, run)?;
            self.value_due = true;
            return Ok(Residual::Zeros(run));
        }
        let value = if let Residual::Value(value) = coming { value } else { 0 };
        if !self.value_due {
            let c1 = (4 << 24)
                + (self.zeros.min(15) << 8)
                + (self.pos & 3)
                + ((self.values & 0xf0) << 12);
            let r = self.residuals;
            let n = |at: u32| u32::from(r >> (8 * at) & 0xff != 0);
            let c2 = (5 << 24)
                + (n(0) | n(1) << 1 | n(2) << 2 | n(3) << 3 | n(5) << 4 | n(7) << 5) * 4
                + (self.pos & 3);
            let is_value = self.bit(coder, c1, c2, value != 0)?;
            if !is_value {
                self.zeros += 1;
                return Ok(Residual::Zeros(1));
            }
        }
        let r = self.residuals;
        let c1 = (6 << 24) + ((r as u32 & 0xff) << 8);
        let c2 = (7 << 24) + ((self.values & 0xff) << 8) + (u32::from(old) << 20);
        let value = self.byte(coder, c1, c2, value)?;
        (self.zeros, self.value_due) = (0, false);
        self.values = self.values << 8 | u32::from(value);
        if value == 0 { Err(Detail::BadStream.into()) } else { Ok(Residual::Value(value)) }
    }

    /// Enters a byte of new, with its residual, into the history.
    pub fn advance(&mut self, byte: u8, residual: u8) {
        self.bytes = self.bytes << 8 | u32::from(byte);
        self.residuals = self.residuals << 8 | u64::from(residual);
        self.pos = self.pos.wrapping_add(1);
    }

    /// Enters a long run of zero residuals that ends with `byte`s old value.
    pub fn skip(&mut self, len: u64, last: &[u8]) {
        let from = last.len().saturating_sub(8);
        for byte in last.get(from..).unwrap_or(&[]) {
            self.bytes = self.bytes << 8 | u32::from(*byte);
            self.residuals <<= 8;
        }
        self.pos = self.pos.wrapping_add(len as u32);
    }
}

/// Probability of `true` from two entries.
fn mix(a: u16, b: u16) -> u32 {
    let p = |word: u16| u32::from(word & !LOW) + 8;
    let p = (p(a) + p(b)) >> 1;
    p.clamp(PROBABILITY_MIN, 65_536 - PROBABILITY_MIN)
}

const LOW: u16 = 7;

/// An entry after `bit`: 13 bits of probability, 3 of count, which sets the rate.
fn adapted(word: u16, bit: bool) -> u16 {
    const RATES: [u8; 8] = [1, 2, 3, 3, 4, 4, 5, 5];
    let count = word & LOW;
    let p = u32::from(word & !LOW);
    let rate = RATES.get(usize::from(count)).copied().unwrap_or(5);
    let p = if bit { p + ((65_535 - p) >> rate) } else { p - (p >> rate) };
    (p as u16 & !LOW) | (count + 1).min(7)
}
