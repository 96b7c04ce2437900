//! The one interpreter: payload bytes in, image bytes out (docs/format-delta.md, section 4).
//!
//! Sans-IO: the caller owns storage, decompressor and buffers, and feeds payload bytes in pieces
//! of any size. The result does not depend on the pieces.

mod areas;
mod buffer;
pub mod in_place;
mod journal;
mod output;
mod run;
pub mod two_slots;
mod workspace;

#[cfg(feature = "encryption")]
use crate::format::sealed::OpenChunk;
use crate::hash::hash_source;

use crate::codec::bits::Bits;
use crate::codec::bsdiff::Bsdiff;
use crate::codec::input::Input;
use crate::codec::predict::{self, Averaged, Counts, Mixed};
use crate::codec::projected::Projected;
use crate::codec::stored::Stored;
use crate::codec::streams::Streams;
use crate::codec::{Decompressor, Feed, Saved, Symbols};
use crate::error::{Detail, Result};
use crate::format::delta::{Coder, DeltaHeader, ImageId, Shape};
use crate::limits::Limits;
use crate::state::Visit;
use crate::storage::{Source, Target};
use journal::Stateful;
use output::Output;
use run::{Pause, Phase, Run};
use workspace::Parts;
pub use workspace::{OUTPUT_LEN_LARGE, OUTPUT_LEN_SMALL, memory_len};

/// What the caller lends for one call.
#[derive(Debug)]
pub struct Io<'a, S, T, D> {
    /// The old image; not read for a full image.
    pub old: &'a mut S,
    /// The slot for the new image.
    pub new: &'a mut T,
    /// For coders 2, 3 and 6; [`crate::codec::NoDecompressor`] where there is none.
    pub decompressor: &'a mut D,
}

/// What to do after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Feed more payload.
    NeedInput,
    /// A bounded piece of work is done, more is at hand: feed the watchdog, then call again.
    Yield,
    /// The new image is written: call [`Applier::finish`].
    Done,
}

/// Proof that the new image was written whole and matches its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    new: ImageId,
}

impl Verified {
    /// The image that was written.
    #[must_use]
    pub const fn new_image(&self) -> ImageId {
        self.new
    }
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one of them per applier, and no heap to box it")]
enum Decoder<'w> {
    Stored(Stored),
    Bits(Bits<'w>),
    #[cfg(feature = "coder-fast")]
    Streams(Streams<'w>),
    #[cfg(feature = "coder-fast")]
    Bsdiff(Bsdiff<'w>),
    #[cfg(feature = "coder-predicted")]
    Predicted(predict::decoder::Decoder<'w, Averaged<'w>>),
    #[cfg(feature = "coder-max")]
    PredictedMax(predict::decoder::Decoder<'w, Mixed<'w>>),
    #[cfg(feature = "coder-fast")]
    Projected(Projected<'w>),
}

/// Calls a method of whichever decoder it is. One that is not built in is never made.
macro_rules! each {
    ($decoder:expr, $symbols:ident => $call:expr) => {
        match $decoder {
            Decoder::Stored($symbols) => $call,
            Decoder::Bits($symbols) if cfg!(feature = "coder-plain") => $call,
            #[cfg(feature = "coder-fast")]
            Decoder::Streams($symbols) => $call,
            #[cfg(feature = "coder-fast")]
            Decoder::Bsdiff($symbols) => $call,
            #[cfg(feature = "coder-predicted")]
            Decoder::Predicted($symbols) => $call,
            #[cfg(feature = "coder-max")]
            Decoder::PredictedMax($symbols) => $call,
            #[cfg(feature = "coder-fast")]
            Decoder::Projected($symbols) => $call,
            _ => Err(Detail::Bug.into()),
        }
    };
}

/// Applies one delta.
#[derive(Debug)]
pub struct Applier<'w> {
    header: DeltaHeader,
    input: Input<'w>,
    decoder: Decoder<'w>,
    output: Output<'w>,
    phase: Phase,
    /// Bytes of new still to come.
    left: u64,
    /// Nothing became readable since the decoder last asked for input. It is not asked again,
    /// which would read old in vain for every byte that is fed.
    starved: bool,
    failed: bool,
}

impl<'w> Applier<'w> {
    /// Bytes of `work` that [`Applier::open`] needs under `header`; known before the download.
    /// After [`DeltaHeader::check`] they are within the caller's limits.
    ///
    /// # Errors
    /// `WorkspaceTooSmall` when the header states less than its coder needs.
    pub fn workspace(header: &DeltaHeader) -> Result<u64> {
        if memory_len(header)? > header.workspace_len {
            return Err(Detail::WorkspaceTooSmall.into());
        }
        Parts::of(header).work_len()
    }

    /// Prepares to apply; nothing is read or written yet.
    ///
    /// # Errors
    /// As [`DeltaHeader::check`] and [`Applier::workspace`]; `WorkspaceTooSmall` when `work` is
    /// shorter than that; `NotBuiltIn` for a delta that is applied in place, or whose coder was
    /// left out of this build.
    pub fn open(header: &DeltaHeader, work: &'w mut [u8], limits: &Limits) -> Result<Self> {
        header.check(limits)?;
        if header.in_place.is_some() {
            return Err(Detail::NotBuiltIn.into());
        }
        Self::workspace(header)?;
        let (coder_buf, input_buf, output_buf) = Parts::of(header).split(work)?;
        let old_len = header.old.map_or(0, |old| old.len);
        let decoder = match header.coder {
            Coder::Stored => Decoder::Stored(Stored),
            Coder::Bits { model_log } if cfg!(feature = "coder-plain") => {
                Decoder::Bits(Bits::new(model_log, coder_buf))
            }
            #[cfg(feature = "coder-fast")]
            Coder::Streams { window_log, .. } => {
                Decoder::Streams(Streams::new(window_log, coder_buf))
            }
            #[cfg(feature = "coder-fast")]
            Coder::Bsdiff { window_log, .. } => {
                Decoder::Bsdiff(Bsdiff::new(window_log, header.new.len, coder_buf))
            }
            #[cfg(feature = "coder-predicted")]
            Coder::Predicted(shape) => {
                let (tables, window) = split_window(&shape, coder_buf)?;
                let predicted = predict::small(&shape, tables)?;
                let (counts, lens) = (Counts::from(&shape), (old_len, header.new.len));
                let inline = shape.has_inline;
                Decoder::Predicted(predict::decoder::Decoder::new(
                    predicted, counts, inline, window, lens,
                ))
            }
            #[cfg(feature = "coder-max")]
            Coder::PredictedMax(shape) => {
                let (tables, window) = split_window(&shape, coder_buf)?;
                let predicted = predict::large(&shape, tables, old_len)?;
                let (counts, lens) = (Counts::from(&shape), (old_len, header.new.len));
                let inline = shape.has_inline;
                Decoder::PredictedMax(predict::decoder::Decoder::new(
                    predicted, counts, inline, window, lens,
                ))
            }
            #[cfg(feature = "coder-fast")]
            Coder::Projected(shape) => {
                Decoder::Projected(Projected::open(&shape, coder_buf, (old_len, header.new.len))?)
            }
            _ => return Err(Detail::NotBuiltIn.into()),
        };
        Ok(Self {
            header: *header,
            input: Input::new(header, input_buf),
            decoder,
            output: Output::new(output_buf),
            phase: Phase::Op,
            left: header.new.len,
            starved: false,
            failed: false,
        })
    }

    /// What decrypts the payload, where that is encrypted: each chunk is opened after its hash was
    /// verified and before anything of it is decoded; without this call none is, and it fails with
    /// `NotRecipient`. To be called before the first byte is fed.
    ///
    /// # Errors
    /// `BadArgument` for a payload that is not encrypted.
    #[cfg(feature = "encryption")]
    pub fn decrypt_with(&mut self, opener: &'w dyn OpenChunk) -> Result<()> {
        self.input.decrypt_with(opener)
    }

    /// For a generator that applies while it encodes: the payload, of which at least a byte is to
    /// come, ends at `payload_len`. The header said more, and nothing of a chain.
    ///
    /// # Errors
    /// `PayloadSize` when that was fed already.
    pub fn end_payload_at(&mut self, payload_len: u64) -> Result<()> {
        self.input.end_at(self.header.payload_len, payload_len)?;
        self.header.payload_len = payload_len;
        Ok(())
    }

    /// Takes payload bytes and works for a bounded time, at most one programmed buffer. Gives how
    /// many bytes of `input` were taken; the rest is to be offered again.
    ///
    /// # Errors
    /// `ChunkDigest`, `NotDecrypted`, `NotRecipient`, `BadStream`, `BadCover`, `UnknownSection` for
    /// the payload, `NoSpace`,
    /// `BadArgument` for the slot, `ReadFailed` and `WriteFailed` from storage, `NotBuiltIn`, and
    /// `WrongState` after an error.
    pub fn feed<S: Source, T: Target, D: Decompressor>(
        &mut self,
        io: &mut Io<'_, S, T, D>,
        input: &[u8],
    ) -> Result<(usize, Step)> {
        if self.failed {
            return Err(Detail::WrongState.into());
        }
        let result = self.feed_checked(io, input);
        self.failed = result.is_err();
        result
    }

    fn feed_checked<S: Source, T: Target, D: Decompressor>(
        &mut self,
        io: &mut Io<'_, S, T, D>,
        input: &[u8],
    ) -> Result<(usize, Step)> {
        if self.phase == Phase::Done {
            return Ok((0, Step::Done));
        }
        self.output.prepare(&io.new.geometry(), self.header.new.len)?;
        let mut taken = 0usize;
        loop {
            if !self.starved {
                match self.decode(io)? {
                    Pause::Full => {
                        self.output.flush(io.new)?;
                        return Ok((taken, Step::Yield));
                    }
                    Pause::Idle => return Ok((taken, Step::Yield)),
                    Pause::End => {
                        self.output.flush(io.new)?;
                        self.phase = Phase::Done;
                        return Ok((taken, Step::Done));
                    }
                    Pause::Starved if self.input.is_complete() => {
                        return Err(Detail::BadStream.into());
                    }
                    Pause::Starved => self.starved = true,
                }
            }
            let rest = input.get(taken..).unwrap_or(&[]);
            let is_empty_record = self.header.payload_len == 0;
            if rest.is_empty() && !is_empty_record {
                return Ok((taken, Step::NeedInput));
            }
            taken = taken.saturating_add(self.input.take(rest)?);
            self.starved = self.input.is_arriving();
        }
    }

    fn decode<S: Source, T: Target, D: Decompressor>(
        &mut self,
        io: &mut Io<'_, S, T, D>,
    ) -> Result<Pause> {
        let Self { input, decoder, output, phase, left, header, .. } = self;
        let old_len = header.old.map_or(0, |old| old.len);
        let mut run = Run { phase, left, buffer: &mut output.buffer, old_len };
        let mut feed = Feed { input, decompressor: &mut *io.decompressor };
        each!(decoder, symbols => pause(&mut run, symbols, &mut feed, io.old))
    }

    /// Makes the image durable and checks its digest, last of all.
    ///
    /// # Errors
    /// `PayloadSize` when the payload ended early, `WriteFailed`, `NewDigest`.
    pub fn finish<T: Target>(self, new: &mut T) -> Result<Verified> {
        if self.phase != Phase::Done || self.failed {
            return Err(Detail::PayloadSize.into());
        }
        new.sync().map_err(|_| Detail::WriteFailed)?;
        if self.output.digest() == self.header.new.digest {
            Ok(Verified { new: self.header.new })
        } else {
            Err(Detail::NewDigest.into())
        }
    }
}

/// Between two calls, when everything that was made is written.
impl Stateful for Applier<'_> {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        if !self.header.coder.has_decompressor() {
            self.input.state(visit)?;
        }
        self.phase.state(visit)?;
        visit.u64(&mut self.left)?;
        self.starved = false;
        each!(&mut self.decoder, symbols => symbols.state(visit))
    }
}

/// Runs, and at the end of new looks whether the stream ends as well.
fn pause<Y: Symbols, S: Source, D: Decompressor>(
    run: &mut Run<'_, '_>,
    symbols: &mut Y,
    feed: &mut Feed<'_, '_, D>,
    old: &mut S,
) -> Result<Pause> {
    let pause = run.run(symbols, feed, old)?;
    if pause == Pause::End && !is_end(symbols, feed)? {
        return Ok(Pause::Starved);
    }
    Ok(pause)
}

/// Whether the stream ends here; not if more input is needed to know.
fn is_end<Y: Symbols, D: Decompressor>(
    symbols: &mut Y,
    feed: &mut Feed<'_, '_, D>,
) -> Result<bool> {
    if symbols.end(feed)?.is_none() {
        return Ok(false);
    }
    if !feed.input.readable().is_empty() {
        return Err(Detail::BadStream.into());
    }
    Ok(feed.input.is_complete())
}

/// Cuts the window of old bytes off the tables of coders 4 and 5.
fn split_window<'w>(shape: &Shape, buf: &'w mut [u8]) -> Result<(&'w mut [u8], &'w mut [u8])> {
    let len = usize::try_from(predict::window_len(shape)).unwrap_or(usize::MAX);
    let at = buf.len().checked_sub(len).ok_or(Detail::WorkspaceTooSmall)?;
    buf.split_at_mut_checked(at).ok_or(Detail::WorkspaceTooSmall.into())
}

/// Checks that `old` is the image the delta starts from, reading it through `buf`.
///
/// # Errors
/// `OldDigest`, `ReadFailed`, `BadArgument` for an empty buffer.
pub fn verify_old<S: Source>(header: &DeltaHeader, old: &mut S, buf: &mut [u8]) -> Result<()> {
    let Some(id) = &header.old else { return Ok(()) };
    let same = hash_source(old, 0, id.len, buf)? == id.digest;
    if same { Ok(()) } else { Err(Detail::OldDigest.into()) }
}
