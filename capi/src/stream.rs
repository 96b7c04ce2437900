//! A delta that is applied to a slot of its own, pulled from a medium or fed as it arrives.

use fwdelta_core::apply::{Applier, Io, Step, verify_old};
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::storage::{Geometry, Source as _, Target as _};
use fwdelta_core::{Detail, Error, Limits, Result};

use crate::abi;
use crate::delta::{self, needs_decompressor};
use crate::driver::{Old, Payload, Progress, Slot, Unpacker};
use crate::sealed::{self, OpenChunk, Table};
use crate::state::Seat;

/// Payload bytes read at a time while decoding; they are on the stack.
const INPUT_LEN: usize = 256;
/// Largest write unit, as core's `Geometry` says.
const WRITE_LEN_MAX: u16 = 32;

/// What the caller lends for one call, checked for null.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    pub(crate) delta: &'a abi::Delta,
    pub(crate) old: Old<'a>,
    pub(crate) old_len: u64,
    pub(crate) slot: Slot<'a>,
    pub(crate) limits: Limits,
    pub(crate) unpacker: Unpacker<'a>,
    pub(crate) decryptor: Option<&'a abi::Decryptor>,
    pub(crate) seat: Seat<Applier<'static>>,
}

impl<'a> Stream<'a> {
    /// Checks all that can be checked before the payload; gives what decrypts that, if it is
    /// encrypted.
    fn check(&mut self) -> Result<(DeltaHeader, Option<&'a Table>)> {
        let header = delta::header(self.delta, &self.limits)?;
        let (geometry, buf) = (self.slot.geometry(), self.seat.clear());
        check(&header, &geometry, self.unpacker, &mut self.old, self.old_len, buf)?;
        // SAFETY: a pointer of the caller, as the header asks for.
        let opener = unsafe { sealed::of_delta(self.delta, self.decryptor) }?;
        Ok((header, opener))
    }

    /// Checks all that can be checked before the payload, and starts. Nothing is written.
    // Not inlined, like its peers: their machines would lie on one stack.
    #[inline(never)]
    pub(crate) fn open(&mut self) -> Result<()> {
        let (header, opener) = self.check()?;
        let work = self.seat.clear();
        self.seat.put(Applier::open(&header, work, &self.limits))?;
        // SAFETY: the header asks the caller to leave its table where it is.
        unsafe { self.seat.decrypt_with(opener) }
    }

    /// Takes payload bytes; gives how many, and what is to be done.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<(usize, u32)> {
        let Self { old, slot, unpacker, seat, .. } = self;
        let mut io = Io { old, new: slot, decompressor: unpacker };
        let (taken, step) = seat.machine()?.feed(&mut io, input)?;
        Ok((taken, wish(step)))
    }

    /// Makes the new image durable and checks its digest.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.seat.take()?.finish(&mut self.slot).map(drop)
    }

    /// All of it, from a medium.
    pub(crate) fn run(&mut self, mut payload: Payload<'_>) -> Result<()> {
        let (header, opener) = self.check()?;
        self.slot.progress.expect(header.new.len);
        payload.pos = self.delta.payload_pos;
        let work = self.seat.clear();
        let Self { old, slot, unpacker, limits, .. } = self;
        let mut io = Io { old, new: slot, decompressor: unpacker };
        let opener = opener.map(|table| table as &dyn OpenChunk);
        decode(&header, opener, work, limits, &mut io, payload)
    }
}

/// What the caller is to do, as a number.
pub(crate) const fn wish(step: Step) -> u32 {
    match step {
        Step::NeedInput => abi::STREAM_NEEDS_INPUT,
        Step::Yield => abi::STREAM_YIELDS,
        Step::Done => abi::STREAM_DONE,
    }
}

/// Whether there is what a delta takes: room, a decompressor, the old image; that is read through
/// `buf`.
pub(crate) fn check(
    header: &DeltaHeader,
    slot: &Geometry,
    unpacker: Unpacker<'_>,
    old: &mut Old<'_>,
    old_len: u64,
    buf: &mut [u8],
) -> Result<()> {
    check_slot(header, slot)?;
    check_decompressor(header, unpacker)?;
    check_old(header, old, old_len, buf)
}

/// Whether the slot can be written in its units and takes the new image.
pub(crate) fn check_slot(header: &DeltaHeader, slot: &Geometry) -> Result<()> {
    let write_len = slot.write_len;
    if slot.sector_len == 0 || !(1..=WRITE_LEN_MAX).contains(&write_len) {
        return Err(Detail::BadArgument.into());
    }
    let padded_len = header.new.len.checked_next_multiple_of(u64::from(write_len));
    let fits = padded_len.is_some_and(|len| len <= slot.len);
    if fits { Ok(()) } else { Err(Detail::NoSpace.into()) }
}

/// Whether the decompressor that the coder needs is there.
pub(crate) fn check_decompressor(header: &DeltaHeader, unpacker: Unpacker<'_>) -> Result<()> {
    if needs_decompressor(header) { unpacker.is_there() } else { Ok(()) }
}

/// Whether `old` is the image that the delta starts from; read through `buf`.
pub(crate) fn check_old(
    header: &DeltaHeader,
    old: &mut Old<'_>,
    old_len: u64,
    buf: &mut [u8],
) -> Result<()> {
    let Some(id) = &header.old else { return Ok(()) };
    if old.0.is_none() {
        return Err(Detail::MissingOld.into());
    }
    if old_len != id.len {
        return Err(Detail::OldSize.into());
    }
    verify_old(header, old, buf)
}

/// Decodes a whole payload and checks the digest of what was written.
// Not inlined: its applier and buffer would lie on the stack while signatures are verified.
#[inline(never)]
pub(crate) fn decode(
    header: &DeltaHeader,
    opener: Option<&dyn OpenChunk>,
    work: &mut [u8],
    limits: &Limits,
    io: &mut Io<'_, Old<'_>, Slot<'_>, Unpacker<'_>>,
    payload: Payload<'_>,
) -> Result<()> {
    let progress: &Progress<'_> = payload.medium.progress;
    let payload_len = header.payload_len;
    let buf = [0; INPUT_LEN];
    let mut input = Input { payload, payload_len, read: 0, buf, start: 0, end: 0 };
    let mut applier = Applier::open(header, work, limits)?;
    if let Some(opener) = opener {
        decrypt_with(&mut applier, opener)?;
    }
    loop {
        progress.step()?;
        let (taken, step) = applier.feed(io, input.pending())?;
        input.take(taken);
        match step {
            Step::Done => break,
            Step::NeedInput => input.fill()?,
            Step::Yield => {}
        }
    }
    applier.finish(io.new).map(|_| ())
}

#[cfg(feature = "encryption")]
fn decrypt_with<'w>(applier: &mut Applier<'w>, opener: &'w dyn OpenChunk) -> Result<()> {
    applier.decrypt_with(opener)
}

#[cfg(not(feature = "encryption"))]
fn decrypt_with(_: &mut Applier<'_>, _: &dyn OpenChunk) -> Result<()> {
    Err(Detail::NotBuiltIn.into())
}

/// The payload on its way from its medium to the applier.
struct Input<'a> {
    payload: Payload<'a>,
    payload_len: u64,
    /// Bytes of the payload read.
    read: u64,
    buf: [u8; INPUT_LEN],
    start: usize,
    end: usize,
}

impl Input<'_> {
    fn pending(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or(&[])
    }

    fn take(&mut self, len: usize) {
        self.start = self.start.saturating_add(len);
    }

    /// Reads the next piece if there is nothing left of the last.
    fn fill(&mut self) -> Result<()> {
        if self.start < self.end {
            return Ok(());
        }
        let left = self.payload_len.saturating_sub(self.read);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(INPUT_LEN);
        let pos = self.read;
        let piece = self.buf.get_mut(..len).filter(|piece| !piece.is_empty());
        let piece = piece.ok_or(Error::at(Detail::PayloadSize, pos))?;
        self.payload.read(pos, piece).map_err(|_| Error::at(Detail::ReadFailed, pos))?;
        self.read = self.read.saturating_add(len as u64);
        (self.start, self.end) = (0, len);
        Ok(())
    }
}
