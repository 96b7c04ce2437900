//! Decoding everything while nothing is written.

use super::machine::Machine;
use super::seat::Seat;
use super::{Flash, Progress, check_slot, parameters};
use crate::apply::{Applier, journal};
use crate::error::{Detail, Error, Result};
use crate::format::delta::{DeltaHeader, ImageId, InPlace};
#[cfg(feature = "encryption")]
use crate::format::sealed::OpenChunk;
use crate::hash::Sha256;
use crate::limits::Limits;
use crate::storage::{Source, Target};

/// Bytes of old compared at a time.
const PIECE_LEN: usize = 64;

/// Proof that payload, old image and decoder together give the new image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub(super) new: ImageId,
}

/// Decodes a delta against an old image that stays as it is, seeing of it what the rewriting will
/// see. It needs neither spare pages nor a journal.
#[derive(Debug)]
pub struct Rehearsal<'w> {
    machine: Machine<'w>,
    hash: Sha256,
    /// Whether the page at hand was begun.
    is_inside: bool,
    is_over: bool,
}

impl<'w> Rehearsal<'w> {
    /// Prepares; nothing is read yet. `work` has [`Applier::workspace`] bytes.
    ///
    /// # Errors
    /// As [`DeltaHeader::check`] and [`Applier::workspace`]; `BadArgument` for a delta that is not
    /// applied in place.
    pub fn open(header: &DeltaHeader, work: &'w mut [u8], limits: &Limits) -> Result<Self> {
        let mut seat = Seat::default();
        seat.open(header, work, limits)?;
        seat.take()
    }

    /// Checks the header.
    #[inline(never)]
    pub(super) fn check(header: &DeltaHeader, limits: &Limits) -> Result<InPlace> {
        header.check(limits)?;
        let in_place = parameters(header)?;
        Applier::workspace(header)?;
        Ok(in_place)
    }

    /// Before it is lent memory.
    #[inline(always)]
    pub(super) fn vacant(header: &DeltaHeader, in_place: &InPlace) -> Self {
        let (machine, hash) = (Machine::vacant(header, in_place), Sha256::new());
        Self { machine, hash, is_inside: false, is_over: false }
    }

    /// Lends it its memory.
    pub(super) fn lend(&mut self, work: &'w mut [u8]) -> Result<()> {
        self.machine.lend(work, true)
    }

    /// What decrypts the payload, where that is encrypted: without it nothing of it is decoded. To
    /// be called before the first step.
    ///
    /// # Errors
    /// `BadArgument` where it is not.
    #[cfg(feature = "encryption")]
    pub fn decrypt_with(&mut self, opener: &'w dyn OpenChunk) -> Result<()> {
        self.machine.decrypt_with(opener)
    }

    /// Does a bounded piece of work.
    ///
    /// # Errors
    /// `ChunkDigest`, `BadStream`, `BadCover`, `UnknownSection` for the payload, `NotDecrypted` and
    /// `NotRecipient` where it is encrypted, `NoSpace` and `BadArgument` for the slot,
    /// `ReadFailed`. The old image is intact.
    pub fn step<T: Source + Target, X: Source, P: Source>(
        &mut self,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<Progress> {
        let machine = &mut self.machine;
        if self.is_over {
            return Ok(Progress::Done);
        }
        if machine.book.is_done() {
            self.is_over = machine.end(flash.payload)?;
            return Ok(if self.is_over { Progress::Done } else { Progress::Yield });
        }
        if !self.is_inside {
            check_slot(&flash.slot.geometry(), &machine.header)?;
            machine.announce(flash.payload)?;
            let place = machine.book.place();
            journal::check_whole(flash.slot, place.pos, place.len())?;
            machine.enter(flash.payload)?;
            if machine.book.is_marked() {
                machine.book.enter_saved();
            }
            self.is_inside = true;
        }
        if machine.make(flash.slot, None::<&mut X>, 0, flash.payload)? {
            self.settle(flash.slot)?;
        }
        Ok(Progress::Yield)
    }

    /// Pages done, of how many: for a progress display.
    #[must_use]
    pub const fn progress(&self) -> (u64, u64) {
        self.machine.book.progress()
    }

    /// Looks at bytes made, and goes on behind them.
    fn settle<T: Source>(&mut self, slot: &mut T) -> Result<()> {
        let machine = &mut self.machine;
        let (made, start) = (machine.buffer.made(), machine.buffer.start());
        if !machine.book.is_marked() && !is_same(slot, &machine.header, start, made)? {
            return Err(Error::at(Detail::BadStream, start));
        }
        self.hash.update(made);
        let pos = machine.buffer.pos();
        if pos < machine.book.bytes().end {
            machine.make_room(pos, 1);
            return Ok(());
        }
        machine.book.leave();
        self.is_inside = false;
        Ok(())
    }

    /// Whether all of it was right.
    ///
    /// # Errors
    /// `WrongState` before the last step, `NewDigest` when the result is not the new image: then
    /// the old image is another one, or the payload.
    pub fn finish(&self) -> Result<Ready> {
        if !self.is_over {
            return Err(Detail::WrongState.into());
        }
        let header = &self.machine.header;
        if !parameters(header)?.is_made(&self.hash.clone().finish(), &header.new.digest) {
            return Err(Detail::NewDigest.into());
        }
        Ok(Ready { new: header.new })
    }
}

/// Whether old has `made` at `pos`.
fn is_same<T: Source>(
    slot: &mut T,
    header: &DeltaHeader,
    mut pos: u64,
    made: &[u8],
) -> Result<bool> {
    let end = pos.saturating_add(made.len() as u64);
    if end > header.old.map_or(0, |old| old.len) {
        return Ok(false);
    }
    for made in made.chunks(PIECE_LEN) {
        let mut piece = [0; PIECE_LEN];
        let piece = piece.get_mut(..made.len()).ok_or(Detail::Bug)?;
        slot.read(pos, piece).map_err(|_| Error::at(Detail::ReadFailed, pos))?;
        if piece != made {
            return Ok(false);
        }
        pos = pos.saturating_add(made.len() as u64);
    }
    Ok(true)
}
