//! Sizes of the tables of coders 4 to 6 (docs/format-delta.md, section 9): parameters that a
//! decoder must know before the payload, so that its memory is known as well.

use crate::error::{Detail, Error, Result};
use crate::format::cbor::{Sink, Writer};

/// Smallest and largest base-two logarithm of the probabilities of coders 4 and 5.
pub const PROBABILITY_LOG_MIN: u8 = 8;
/// See [`PROBABILITY_LOG_MIN`].
pub const PROBABILITY_LOG_MAX: u8 = 24;
/// Largest base-two logarithm of remembered targets, and of remembered changes.
pub const MEMO_LOG_MAX: u8 = 18;
/// Smallest and largest base-two logarithm of the buffers for old and new bytes.
pub const BUFFER_LOG_MIN: u8 = 7;
/// See [`BUFFER_LOG_MIN`].
pub const BUFFER_LOG_MAX: u8 = 20;
/// Smallest and largest base-two logarithm of coder 5's match table and window of new bytes.
pub const MATCH_LOG_MIN: u8 = 8;
/// See [`MATCH_LOG_MIN`].
pub const MATCH_LOG_MAX: u8 = 24;
/// Most segments, runs or covers.
pub const ENTRY_COUNT_MAX: u32 = 1 << 24;
/// Images of coders 4 to 6 are shorter than this.
pub const PREDICTED_LEN_MAX: u64 = 1 << 31;

/// How many entries each table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Base-two logarithm of the number of probabilities.
    pub model_log: u8,
    /// The same of remembered targets.
    pub memo_log: u8,
    /// The same of remembered changes of values, and of operations.
    pub value_log: u8,
    /// The same of the bytes of each buffer: old bytes, and new bytes.
    pub buffer_log: u8,
    /// Segments of old.
    pub old_segments: u32,
    /// Segments of new.
    pub new_segments: u32,
    /// Runs of old.
    pub runs: u32,
    /// Covers that are listed before the data and serve as the map of addresses.
    pub covers: u32,
    /// Whether other covers stand between the data.
    pub has_inline: bool,
    /// Base-two logarithm of the entries of the match table; coder 5 only.
    pub match_log: u8,
    /// The same of the bytes of new that matches may refer to; coder 5 only.
    pub ring_log: u8,
}

impl Shape {
    /// Reads the parameters of coder 4, or 5 if `is_max`.
    ///
    /// # Errors
    /// `BadValue`.
    pub(super) fn parse(numbers: &[u64], is_max: bool) -> Result<Self> {
        let bad = Error::from(Detail::BadValue);
        let log = |value: u64, min: u8, max: u8| {
            u8::try_from(value).ok().filter(|log| (min..=max).contains(log)).ok_or(bad)
        };
        let count = |value: u64| {
            u32::try_from(value).ok().filter(|count| *count <= ENTRY_COUNT_MAX).ok_or(bad)
        };
        let (&[model, memo, value, buffer, old, new, runs, covers, inline], rest) =
            numbers.split_first_chunk::<9>().ok_or(bad)?;
        let (match_log, ring_log) = match (is_max, rest) {
            (false, []) => (0, 0),
            (true, &[table, ring]) => (
                log(table, MATCH_LOG_MIN, MATCH_LOG_MAX)?,
                log(ring, MATCH_LOG_MIN, MATCH_LOG_MAX)?,
            ),
            _ => return Err(bad),
        };
        Ok(Self {
            model_log: log(model, PROBABILITY_LOG_MIN, PROBABILITY_LOG_MAX)?,
            memo_log: log(memo, 1, MEMO_LOG_MAX)?,
            value_log: log(value, 0, MEMO_LOG_MAX)?,
            buffer_log: log(buffer, BUFFER_LOG_MIN, BUFFER_LOG_MAX)?,
            old_segments: count(old)?,
            new_segments: count(new)?,
            runs: count(runs)?,
            covers: count(covers)?,
            has_inline: if inline <= 1 { inline == 1 } else { return Err(bad) },
            match_log,
            ring_log,
        })
    }

    /// Writes the parameters of coder 4, or 5 if `is_max`.
    ///
    /// # Errors
    /// When the sink is full.
    pub(super) fn emit<S: Sink>(&self, to: &mut Writer<S>, is_max: bool) -> Result<()> {
        let logs = [self.model_log, self.memo_log, self.value_log, self.buffer_log];
        let counts = [self.old_segments, self.new_segments, self.runs, self.covers];
        to.array(if is_max { 11 } else { 9 })?;
        for log in logs {
            to.uint(log.into())?;
        }
        for count in counts {
            to.uint(count.into())?;
        }
        to.uint(self.has_inline.into())?;
        if is_max {
            to.uint(self.match_log.into())?;
            to.uint(self.ring_log.into())?;
        }
        Ok(())
    }
}

/// What coder 6 needs memory for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamShape {
    /// Base-two logarithm of the decompressor's window.
    pub window_log: u8,
    /// Largest block, in bytes.
    pub block_len: u32,
    /// Base-two logarithm of the bytes of each buffer: old bytes, and projected ones.
    pub buffer_log: u8,
    /// Segments of old.
    pub old_segments: u32,
    /// Segments of new.
    pub new_segments: u32,
    /// Runs of old.
    pub runs: u32,
    /// Covers.
    pub covers: u32,
}

impl StreamShape {
    /// Reads the parameters of coder 6; window and block are checked by the caller.
    ///
    /// # Errors
    /// `BadValue`.
    pub(super) fn parse(window_log: u8, block_len: u32, numbers: &[u64]) -> Result<Self> {
        let bad = Error::from(Detail::BadValue);
        let &[buffer, old, new, runs, covers] = numbers else { return Err(bad) };
        let count = |value: u64| {
            u32::try_from(value).ok().filter(|count| *count <= ENTRY_COUNT_MAX).ok_or(bad)
        };
        let buffer_log = u8::try_from(buffer).ok();
        let buffer_log = buffer_log.filter(|log| (BUFFER_LOG_MIN..=BUFFER_LOG_MAX).contains(log));
        Ok(Self {
            window_log,
            block_len,
            buffer_log: buffer_log.ok_or(bad)?,
            old_segments: count(old)?,
            new_segments: count(new)?,
            runs: count(runs)?,
            covers: count(covers)?,
        })
    }

    /// Writes the parameters.
    ///
    /// # Errors
    /// When the sink is full.
    pub(super) fn emit<S: Sink>(&self, to: &mut Writer<S>) -> Result<()> {
        to.array(7)?;
        for log in [self.window_log.into(), self.block_len, self.buffer_log.into()] {
            to.uint(log.into())?;
        }
        for count in [self.old_segments, self.new_segments, self.runs, self.covers] {
            to.uint(count.into())?;
        }
        Ok(())
    }
}
