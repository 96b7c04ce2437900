//! A delta that goes to a slot of its own with checkpoints, so that it goes on after a power cut.

use fwdelta_core::apply::Io;
use fwdelta_core::apply::in_place::Areas;
use fwdelta_core::apply::two_slots::{Binding, Found, Settings, Writing};
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::storage::{Geometry, Target as _};
use fwdelta_core::{Limits, Result};

use crate::abi;
use crate::delta;
use crate::driver::{Chip, Old, Unpacker};
use crate::sealed::{self, Table};
use crate::state::Seat;
use crate::stream::{self, wish};

/// What the caller lends for one call, checked for null.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) delta: &'a abi::Delta,
    pub(crate) old: Old<'a>,
    pub(crate) old_len: u64,
    pub(crate) slot: Chip<'a>,
    pub(crate) scratch: Chip<'a>,
    pub(crate) interval: u64,
    pub(crate) limits: Limits,
    pub(crate) unpacker: Unpacker<'a>,
    pub(crate) decryptor: Option<&'a abi::Decryptor>,
    pub(crate) seat: Seat<Writing<'static>>,
}

/// Bytes of scratch flash with sectors and units of these lengths.
pub(crate) fn scratch_len(
    delta: &abi::Delta,
    limits: &Limits,
    sector_len: u32,
    write_len: u16,
    work: &mut [u8],
) -> Result<u64> {
    let scratch = Geometry { len: u64::MAX, sector_len, write_len, erased: 0xff };
    let header = delta::header(delta, limits)?;
    Ok(Areas::of_two_slots(&header, &scratch, work, limits)?.scratch_len())
}

impl<'a> Kept<'a> {
    fn header(&self) -> Result<DeltaHeader> {
        delta::header(self.delta, &self.limits)
    }

    fn settings(&self) -> Settings {
        let binding = Binding::new(delta::header_bytes(self.delta), &self.delta.decision);
        Settings { binding, interval: self.interval }
    }

    /// What the scratch flash says.
    pub(crate) fn look(&mut self) -> Result<u32> {
        let (header, binding) = (self.header()?, self.settings().binding);
        let work = self.seat.clear();
        Ok(match Writing::look(&header, work, &self.limits, &mut self.scratch, &binding)? {
            Found::Nothing => abi::FOUND_NOTHING,
            Found::Begun => abi::FOUND_BEGUN,
            Found::Done => abi::FOUND_DONE,
        })
    }

    /// Checks all that can be checked before the payload; gives what decrypts that, if it is
    /// encrypted: asked anew by each start.
    fn check(&mut self) -> Result<(DeltaHeader, Option<&'a Table>)> {
        let header = self.header()?;
        let (geometry, buf) = (self.slot.geometry(), self.seat.clear());
        stream::check(&header, &geometry, self.unpacker, &mut self.old, self.old_len, buf)?;
        // SAFETY: a pointer of the caller, as the header asks for.
        let opener = unsafe { sealed::of_delta(self.delta, self.decryptor) }?;
        Ok((header, opener))
    }

    /// Begins, also where an earlier run got somewhere.
    // Not inlined, like its peer: their machines would lie on one stack.
    #[inline(never)]
    pub(crate) fn begin(&mut self) -> Result<()> {
        let ((header, opener), settings) = (self.check()?, self.settings());
        let work = self.seat.clear();
        let Self { slot, scratch, limits, seat, .. } = self;
        let begun = Writing::begin(&header, work, limits, &settings, slot, scratch);
        seat.put(begun)?;
        // SAFETY: the header asks the caller to leave its table where it is.
        unsafe { seat.decrypt_with(opener) }
    }

    /// Goes on from the last checkpoint.
    #[inline(never)]
    pub(crate) fn resume(&mut self) -> Result<abi::ResumeAt> {
        let ((header, opener), settings) = (self.check()?, self.settings());
        let work = self.seat.clear();
        let Self { slot, scratch, limits, seat, .. } = self;
        let resumed = Writing::resume(&header, work, limits, &settings, slot, scratch);
        seat.put(resumed)?;
        // SAFETY: the header asks the caller to leave its table where it is.
        unsafe { seat.decrypt_with(opener) }?;
        let at = seat.machine()?.at();
        Ok(abi::ResumeAt { payload_pos: at.payload_pos, new_pos: at.new_pos })
    }

    /// Takes payload bytes; gives how many, and what is to be done.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<(usize, u32)> {
        let Self { old, slot, scratch, unpacker, seat, .. } = self;
        let mut io = Io { old, new: slot, decompressor: unpacker };
        let (taken, step) = seat.machine()?.feed(&mut io, scratch, input)?;
        Ok((taken, wish(step)))
    }

    /// Makes the new image durable, checks its digest, and records that it is done.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.seat.take()?.finish(&mut self.slot, &mut self.scratch).map(drop)
    }

    /// Forgets what was begun or done.
    pub(crate) fn clear(&mut self) -> Result<()> {
        let header = self.header()?;
        let work = self.seat.clear();
        Writing::clear(&header, work, &self.limits, &mut self.scratch)
    }
}
