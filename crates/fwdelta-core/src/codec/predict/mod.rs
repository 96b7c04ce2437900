//! Predicted content (docs/format-delta.md, section 9): what decoder and encoder share.
//!
//! Old bytes of a cover are cut into units; for each there is a short list of words that the new
//! one may be, the likeliest first. Coded is which of them it is, nearly always the first.

mod averaged;
mod blocks;
mod cover;
pub(crate) mod decoder;
mod heads;
mod history;
mod literals;
mod memo;
mod mixed;
mod mixer;
mod nodes;
mod predicted;
mod predictor;
mod prologue;
mod refined;
pub mod squash;
mod traces;
mod workspace;

pub use averaged::Averaged;
pub use history::{Deltas, Values};
pub use literals::{Matches, Past};
pub use memo::Memo;
pub use mixed::Mixed;
pub use predicted::{Due, Predicted};
pub use predictor::{Candidates, Predictor};
pub use prologue::{Counts, Places, Prologue, Tables};
pub use workspace::{large, projection, projection_len, small, tables_len, window_len};

use super::range::BitCoder;
use crate::error::{Detail, Result};
use crate::exec::unit::Kind;
use crate::state::Visit;

/// What a number means: each has its own contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Number {
    /// Parts of the description of the images.
    Layout,
    /// Literal bytes, or bytes up to the next listed cover.
    LiteralLen,
    /// Bytes of a cover, less 1.
    CoverLen,
    /// Which of the last diagonals.
    Diagonal,
    /// Distance in old, folded.
    Distance,
    /// Units whose first candidate is right.
    Run,
    /// Bytes up to the next listed cover.
    Gap,
    /// Bytes of a listed cover, less 1.
    ListedLen,
    /// Which of the last diagonals of listed covers.
    ListedDiagonal,
    /// Distance in old between listed covers, folded.
    ListedDistance,
    /// Something of pages rewritten in place.
    Page,
}

/// What is known when "is it this candidate?" is coded.
#[derive(Clone, Copy, Debug)]
pub struct FlagFeatures {
    /// Kind of the unit.
    pub kind: Kind,
    /// How many candidates were wrong before.
    pub place: u32,
    /// Where the candidate comes from.
    pub origin: u32,
    /// Whether the first candidate is the old word.
    pub is_raw: bool,
    /// How the target was found, 15 without one.
    pub trust: u32,
    /// Misses of the last units, the last in the lowest bit.
    pub misses: u32,
    /// The same of the last units of this kind.
    pub kind_misses: u32,
    /// The old word.
    pub word: u32,
    /// The old word of the unit before.
    pub last_word: u32,
    /// Where in the cover: near its start or end.
    pub edge: u32,
    /// Hash of the target, or the old word.
    pub target: u32,
    /// Number of candidates.
    pub count: u32,
}

/// What is known when a byte of a unit is coded that no candidate had right.
#[derive(Clone, Copy, Debug)]
pub struct ByteFeatures {
    /// Kind of the unit.
    pub kind: Kind,
    /// Which byte of it.
    pub at: u32,
    /// That byte in the first candidate.
    pub expected: u8,
    /// That byte in old.
    pub raw: u8,
    /// The old word.
    pub word: u32,
    /// The bytes of the unit coded so far.
    pub so_far: u32,
    /// Which of them differ from the first candidate's.
    pub differing: u32,
    /// Whether this one must differ.
    pub is_last: bool,
    /// The last bytes of new, the last one lowest.
    pub tail: u64,
}

/// What is known when a literal byte is coded.
#[derive(Clone, Copy, Debug)]
pub struct LiteralFeatures {
    /// Position in new.
    pub pos: u64,
    /// The last bytes of new, the last one lowest.
    pub tail: u64,
    /// The byte of old that would follow on the diagonal.
    pub gap: u8,
    /// The byte that followed where the last bytes occurred before.
    pub expected: Option<u8>,
    /// How long that match is.
    pub match_len: u32,
    /// Which of the bytes that it expected last were wrong, the last one in the lowest bit.
    pub match_misses: u32,
}

/// A model of the decisions, learning as it goes.
pub trait Model {
    /// Whether it has memory for contexts that small devices have not: literals then see old
    /// bytes outside of covers, and matches in what was made before.
    const IS_LARGE: bool;

    /// Units in a row whose first candidate was right, after which the number of further ones is
    /// coded instead of a decision for each: that is faster, but knows less.
    const STREAK: u32;

    /// Goes through what was learnt.
    ///
    /// # Errors
    /// `NotBuiltIn` from models that are never saved, as those of an encoder, and those of the
    /// visit.
    fn state<V: Visit>(&mut self, _: &mut V) -> Result<()> {
        Err(Detail::NotBuiltIn.into())
    }

    /// Codes a decision in two contexts, the second the more special; `set` is below 16.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    fn decide<C: BitCoder>(
        &mut self,
        coder: &mut C,
        contexts: [u32; 2],
        set: usize,
        bit: bool,
    ) -> Result<bool>;

    /// Codes whether a candidate is wrong.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    fn miss<C: BitCoder>(
        &mut self,
        coder: &mut C,
        features: &FlagFeatures,
        is_miss: bool,
    ) -> Result<bool>;

    /// Codes a byte of a unit.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    fn byte<C: BitCoder>(
        &mut self,
        coder: &mut C,
        features: &ByteFeatures,
        value: u8,
    ) -> Result<u8>;

    /// Codes a literal byte.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    fn literal<C: BitCoder>(
        &mut self,
        coder: &mut C,
        features: &LiteralFeatures,
        value: u8,
    ) -> Result<u8>;

    /// Codes a number below 2^63 - 1: the logarithm of its successor, then that one's digits.
    ///
    /// # Errors
    /// `BadStream` when the input ends or the number is larger.
    fn number<C: BitCoder>(
        &mut self,
        coder: &mut C,
        number: Number,
        context: u32,
        value: u64,
    ) -> Result<u64> {
        let value = value.wrapping_add(1);
        let log = 63u32.wrapping_sub(value.leading_zeros());
        let base = (number as u32) << 16;
        let special = (context + 1) << 24;
        let log = self.log(coder, [base, base + special], log)?;
        let mut prefix = 1u64;
        for at in (0..log).rev() {
            let known = log.wrapping_sub(1).wrapping_sub(at);
            let digits = match (known, at) {
                (0..3, _) if Self::IS_LARGE => 0x400 | log << 4 | prefix as u32,
                (_, 0..2) => 0x800 | at << 4 | prefix as u32 & 1,
                _ if !Self::IS_LARGE => {
                    // As good as random, and a small table has better use for its room.
                    let bit = coder.bit(1 << 15, value.wrapping_shr(at) & 1 != 0)?;
                    prefix = prefix << 1 | u64::from(bit);
                    continue;
                }
                _ => 0xc00 | log << 6 | at,
            };
            let contexts = [base + digits, base + digits + special];
            let bit = self.decide(coder, contexts, 1, value.wrapping_shr(at) & 1 != 0)?;
            prefix = prefix << 1 | u64::from(bit);
        }
        Ok(prefix.wrapping_sub(1))
    }

    /// Codes a logarithm below 63: how many eights it has, one by one, for few have any, then the
    /// rest.
    ///
    /// # Errors
    /// As [`Model::number`].
    fn log<C: BitCoder>(&mut self, coder: &mut C, bases: [u32; 2], log: u32) -> Result<u32> {
        let mut eights = 0u32;
        while self.decide(coder, bases.map(|base| base + eights), 0, log >> 3 > eights)? {
            eights += 1;
            if eights == 8 {
                return Err(Detail::BadStream.into());
            }
        }
        let mut node = 1u32;
        for at in (0..3).rev() {
            let contexts = bases.map(|base| base + ((eights + 1) << 3 | node));
            let bit = self.decide(coder, contexts, 0, log.wrapping_shr(at) & 1 != 0)?;
            node = node << 1 | u32::from(bit);
        }
        let log = eights << 3 | node & 7;
        if log == 63 { Err(Detail::BadStream.into()) } else { Ok(log) }
    }
}

/// Numbers, decoded or encoded one by one.
pub trait Numbers {
    /// Codes a number below 2^63 - 1.
    ///
    /// # Errors
    /// `BadStream` when the input ends or the number is larger.
    fn number(&mut self, number: Number, context: u32, value: u64) -> Result<u64>;

    /// Codes a number that may be negative.
    ///
    /// # Errors
    /// As [`Numbers::number`].
    fn signed(&mut self, number: Number, context: u32, value: i64) -> Result<i64> {
        let folded = (value.wrapping_shl(1) ^ (value >> 63)) as u64;
        let folded = self.number(number, context, folded)?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }
}

/// Numbers through a model.
#[derive(Debug)]
pub struct Coded<'a, M, C> {
    /// What is expected.
    pub model: &'a mut M,
    /// Where it is coded.
    pub coder: &'a mut C,
}

impl<M: Model, C: BitCoder> Numbers for Coded<'_, M, C> {
    fn number(&mut self, number: Number, context: u32, value: u64) -> Result<u64> {
        self.model.number(self.coder, number, context, value)
    }
}

/// Codes whether literals go on to the next listed cover, or to the end of new.
///
/// # Errors
/// `BadStream` when the input ends.
pub fn gap_end<M: Model, C: BitCoder>(model: &mut M, coder: &mut C, is_end: bool) -> Result<bool> {
    model.decide(coder, [1 << 23, 1 << 23], 2, is_end)
}

/// A hash of two numbers, all of whose bits depend on all of theirs.
#[must_use]
#[inline]
pub const fn hash(a: u32, b: u32) -> u32 {
    let mixed = (a as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (b as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}
