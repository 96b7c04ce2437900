//! Decoders of the payload (docs/format-delta.md, sections 4 to 9), as step machines: they hold no
//! storage, ask for input only through `input::Input` and yield operations and bytes.

pub mod bits;
pub mod blocks;
pub mod bsdiff;
pub(crate) mod content;
pub mod input;
pub mod model;
pub mod predict;
pub mod projected;
pub mod range;
pub(crate) mod stored;
pub mod streams;
pub(crate) mod window;

use crate::error::{Detail, Error, Result};
use crate::state::Visit;
use crate::storage::Source;
use input::Input;

/// What one call of a decompressor did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Input bytes it will not need again.
    pub consumed: usize,
    /// Output bytes it wrote.
    pub produced: usize,
    /// The compressed frame ended and all of it was written out.
    pub done: bool,
}

/// A general decompressor, implemented by the host; it owns its window.
pub trait Decompressor {
    /// Starts a new frame whose window is at most `1 << window_log` bytes.
    ///
    /// # Errors
    /// `NotBuiltIn` when there is none.
    fn start(&mut self, window_log: u8) -> Result<()>;

    /// Decompresses from `input` to `output` as far as either lasts.
    ///
    /// # Errors
    /// `BadStream` for what is not a frame or needs a larger window.
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Flow>;
}

/// For devices without a decompressor: coders 2 and 3 are refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDecompressor;

impl Decompressor for NoDecompressor {
    fn start(&mut self, _: u8) -> Result<()> {
        Err(Detail::NotBuiltIn.into())
    }

    fn run(&mut self, _: &[u8], _: &mut [u8]) -> Result<Flow> {
        Err(Detail::NotBuiltIn.into())
    }
}

/// One operation; the bytes follow through `Symbols::literal` or `Symbols::residual`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `len` bytes that stand in the payload.
    Literal {
        /// Bytes, may be 0.
        len: u64,
    },
    /// `len` bytes of old plus a residual.
    Cover {
        /// Where it stands in old.
        old_pos: u64,
        /// Bytes, may be 0.
        len: u64,
    },
}

/// What a symbol source may read from.
pub(crate) struct Feed<'f, 'w, D> {
    /// The payload.
    pub(crate) input: &'f mut Input<'w>,
    /// The host's decompressor.
    pub(crate) decompressor: &'f mut D,
}

/// A coder's decoder, as the interpreter sees it. Every method does a bounded amount of work and
/// gives what is at hand; `None` or `0` means that more input is needed.
pub(crate) trait Symbols {
    /// The next operation, with `left` bytes of new still to come.
    fn op<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        left: u64,
    ) -> Result<Option<Op>>;

    /// Fills the start of `out` with the next literal bytes; gives how many.
    fn literal<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        out: &mut [u8],
    ) -> Result<usize>;

    /// Fills the start of `out` with the next bytes of a cover, which stand in old at `old_pos`;
    /// gives how many. `left` bytes of the cover are still to come, `out` included.
    fn cover<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        old_pos: u64,
        out: &mut [u8],
        left: u64,
    ) -> Result<usize>;

    /// Whether the coded stream ends here, after the last byte of new. `None`: needs more input.
    fn end<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<Option<()>>;
}

/// A decoder whose state can be saved between two bytes.
pub(crate) trait Saved: Symbols {
    /// Goes through everything that decides what is decoded next, the range decoder included, the
    /// input excluded. Old bytes that are only kept for speed are forgotten. A decompressor has no
    /// state that could be saved: its decoder takes the payload from the start again and drops what
    /// it had used.
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()>;
}

/// A decoder that makes new in another order than front to back as well.
pub(crate) trait Resumable: Saved {
    /// Goes on at position `pos` of new; operations end at `end`.
    fn seek(&mut self, pos: u64, end: u64);

    /// Decodes a number that says something of pages; `None`: needs more input. `context` is below
    /// 4. Coders without numbers give 0.
    fn page_number(&mut self, input: &mut Input<'_>, context: u32) -> Result<Option<u64>>;

    /// Forgets old bytes that it holds: others may be readable from now on.
    fn forget_old(&mut self);
}

/// Where the cover starts `by` bytes after `from`; outside 64 bits is `BadCover`.
pub(crate) fn moved(from: u64, by: i64) -> Result<u64> {
    from.checked_add_signed(by).ok_or(Detail::BadCover.into())
}

/// Fills `out` with old bytes.
pub(crate) fn read_old<S: Source>(old: &mut S, pos: u64, out: &mut [u8]) -> Result<()> {
    old.read(pos, out).map_err(|_| Error::at(Detail::ReadFailed, pos))
}

/// Copies as many bytes as both hold.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let len = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        // INVARIANT: both were just cut to the same length.
        to.copy_from_slice(from);
    }
    len
}
