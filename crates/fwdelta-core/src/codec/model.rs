//! The adaptive model of coder 1 (docs/format-delta.md, section 6), shared by decoder and encoder.
//!
//! Every binary decision averages two contexts, each a 16-bit entry of one small hashed table: 13
//! bits of probability and 3 of count. Contexts are coarse on purpose: with 2,048 entries a finer
//! one costs more in collisions than it tells. What longer contexts know comes from guesses.

use super::guess::{CONFIDENCE_MAX, Guesses};
use super::range::{BitCoder, PROBABILITY_MIN};
use crate::error::{Detail, Result};
use crate::format::delta::MODEL_LOG_MIN;

/// Zero residuals in a row that are coded one by one; the rest of the run is one number.
pub const SINGLE_ZERO_COUNT: u32 = 12;

/// Two bytes of a table, little-endian.
type Entry = [u8; 2];

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
    /// The next literal by the two bytes before it.
    literals: Guesses<'m>,
    /// The next residual that is not zero, by the last two and by the last one.
    differences: [Guesses<'m>; 2],
    /// Whether the last guesses were right, the latest lowest.
    literal_hits: u32,
    difference_hits: u32,
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

/// Entries of two bytes that a model of `1 << model_log` probabilities takes, guesses included.
#[must_use]
pub const fn entry_count(model_log: u8) -> usize {
    let log = if model_log < MODEL_LOG_MIN { MODEL_LOG_MIN } else { model_log };
    (1 << log) + (1 << (log - 1)) + 2 * (1 << (log - 3))
}

/// Spreads a context over 32 bits (Knuth's multiplicative hash); the high bits are the best.
pub(super) const fn hashed(context: u32) -> u32 {
    context.wrapping_mul(0x9E37_79B1)
}

impl<'m> Model<'m> {
    /// A model without knowledge over `entries`, of which it takes [`entry_count`].
    ///
    /// # Errors
    /// `Bug` when there are fewer.
    pub fn new(entries: &'m mut [[u8; 2]], model_log: u8) -> Result<Self> {
        let log = u32::from(model_log.max(MODEL_LOG_MIN));
        let (entries, rest) = cut(entries, log)?;
        let (literals, rest) = cut(rest, log - 1)?;
        let (first, rest) = cut(rest, log - 3)?;
        let (second, _) = cut(rest, log - 3)?;
        entries.fill((1u16 << 15).to_le_bytes());
        Ok(Self {
            entries,
            shift: 32u32.saturating_sub(log) & 31,
            literals: Guesses::new(literals, log - 1),
            differences: [Guesses::new(first, log - 3), Guesses::new(second, log - 3)],
            literal_hits: 0,
            difference_hits: 0,
            bytes: 0,
            residuals: 0,
            values: 0,
            pos: 0,
            zeros: 0,
            value_due: false,
        })
    }

    fn index(&self, context: u32) -> usize {
        (hashed(context) >> self.shift) as usize
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
        let context = self.bytes & 0xffff;
        let (guess, confidence) = self.literals.get(context);
        let confidence = u32::from(confidence.min(3));
        let hit = self.bit(
            coder,
            (10 << 24) + confidence * 8 + (self.literal_hits & 7),
            (11 << 24) + u32::from(guess & 0xf0) + confidence,
            guess == value,
        )?;
        self.literal_hits = self.literal_hits << 1 | u32::from(hit);
        let byte = if hit { guess } else { self.unguessed_literal(coder, value)? };
        self.literals.learn(context, byte, 1);
        self.advance(byte, 0);
        Ok(byte)
    }

    fn unguessed_literal<C: BitCoder>(&mut self, coder: &mut C, value: u8) -> Result<u8> {
        let (last, before) = (self.bytes & 0xff, self.bytes >> 8 & 0xff);
        let odd = self.pos & 1;
        let a = (2 << 24) + (last >> 4 << 8) + (odd << 17);
        let b = (3 << 24) + ((before >> 5 << 1 | odd) << 8);
        self.byte(coder, a, b, value)
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

    /// Codes one group of the residual; an encoder says what comes: a byte, or all zeros up to
    /// the next other byte or the end.
    ///
    /// # Errors
    /// `BadStream` when the input ends or a residual that may not be zero is.
    pub fn residual<C: BitCoder>(&mut self, coder: &mut C, coming: Residual) -> Result<Residual> {
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
        let value = self.difference(coder, value)?;
        (self.zeros, self.value_due) = (0, false);
        self.values = self.values << 8 | u32::from(value);
        if value == 0 { Err(Detail::BadStream.into()) } else { Ok(Residual::Value(value)) }
    }

    /// Codes a residual that is not zero: the longer context's guess, the shorter one's, or bits.
    fn difference<C: BitCoder>(&mut self, coder: &mut C, value: u8) -> Result<u8> {
        let gap = self.zeros.min(3);
        let place = gap << 16 | (self.pos & 3) << 20;
        let contexts = [self.values & 0xffff | place, self.values & 0xff | place | 1 << 28];
        let mut found = None;
        let mut tried = 0;
        for (number, context) in (0u32..).zip(contexts) {
            let table = self.differences.get(number as usize).ok_or(Detail::Bug)?;
            let (guess, confidence) = table.get(context);
            if guess == 0 || guess == tried {
                continue;
            }
            tried = guess;
            let confidence = u32::from(confidence.min(CONFIDENCE_MAX));
            let hit = self.bit(
                coder,
                (12 << 24) + number * 64 + confidence * 8 + (self.difference_hits & 7),
                (13 << 24) + number * 256 + confidence * 32 + gap * 4 + (self.pos & 3),
                guess == value,
            )?;
            self.difference_hits = self.difference_hits << 1 | u32::from(hit);
            if hit {
                found = Some(guess);
                break;
            }
        }
        let value = match found {
            Some(guess) => guess,
            None => {
                let a = (6 << 24) + ((self.pos & 1 | gap.min(1) << 1) << 8);
                let b = (7 << 24) + ((self.values >> 4 & 0xf) << 8);
                self.byte(coder, a, b, value)?
            }
        };
        for (table, context) in self.differences.iter_mut().zip(contexts) {
            table.learn(context, value, 1);
        }
        Ok(value)
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

/// The first `1 << log` of `entries`, and the rest.
fn cut(entries: &mut [Entry], log: u32) -> Result<(&mut [Entry], &mut [Entry])> {
    let count = 1usize.checked_shl(log).ok_or(Detail::Bug)?;
    entries.split_at_mut_checked(count).ok_or(Detail::Bug.into())
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
