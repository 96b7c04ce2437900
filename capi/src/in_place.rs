//! One update in place: the order of calls that docs/in-place.md asks for.
//!
//! An error says that the old image is intact only where that is known: not before the journal was
//! read and the old image's digest was right, since an earlier run may have begun.

use fwdelta_core::apply::in_place::{self, Binding, Flash, Found, Progress, Ready, Rewriting};
use fwdelta_core::apply::verify_old;
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::{Detail, Error, Limits, Result};

use crate::abi;
use crate::delta;
use crate::driver::{Chip, Payload};
use crate::sealed::{self, Table};
use crate::state::{Seat, Stage};

/// What the caller lends for one call, checked for null.
#[derive(Debug)]
pub(crate) struct Update<'a> {
    pub(crate) delta: &'a abi::Delta,
    pub(crate) limits: Limits,
    pub(crate) slot: Chip<'a>,
    pub(crate) scratch: Chip<'a>,
    pub(crate) payload: Payload<'a>,
    pub(crate) decryptor: Option<&'a abi::Decryptor>,
    pub(crate) seat: Seat<Stage>,
}

/// An error at a time when the old image may be gone.
pub(crate) fn unknown(error: Error) -> Error {
    Error { old_intact: false, ..error }
}

impl<'a> Update<'a> {
    fn header(&self) -> Result<DeltaHeader> {
        let header = delta::header(self.delta, &self.limits).map_err(unknown)?;
        if header.in_place.is_some() {
            Ok(header)
        } else {
            Err(unknown(Detail::BadArgument.into()))
        }
    }

    fn binding(&self) -> Binding {
        Binding::new(delta::header_bytes(self.delta), &self.delta.decision)
    }

    /// What the scratch flash says.
    pub(crate) fn look(&mut self) -> Result<u32> {
        let (header, binding) = (self.header()?, self.binding());
        let work = self.seat.clear();
        Ok(match Rewriting::look(&header, work, &mut self.scratch, &binding)? {
            Found::Nothing => abi::FOUND_NOTHING,
            Found::Begun => abi::FOUND_BEGUN,
            Found::Done => abi::FOUND_DONE,
        })
    }

    /// Opens a rehearsal. The old image must be the right one, and nothing begun.
    // Not inlined, like its peers: their machines would lie on one stack.
    #[inline(never)]
    pub(crate) fn rehearse(&mut self) -> Result<()> {
        if self.look()? != abi::FOUND_NOTHING {
            return Err(unknown(Detail::WrongState.into()));
        }
        let header = self.header()?;
        let old_len = header.old.map_or(0, |old| old.len);
        if old_len > self.slot.table.len {
            return Err(unknown(Detail::NoSpace.into()));
        }
        // Another image in the slot may be one that was half rewritten under another decision.
        verify_old(&header, &mut self.slot, self.seat.clear()).map_err(unknown)?;
        // From here on it is known that nothing was written.
        let opener = self.opener()?;
        let work = self.seat.clear();
        let vacant = Stage::Rehearsal(in_place::Seat::default());
        let Stage::Rehearsal(seat) = self.seat.place(vacant) else {
            return Err(Detail::Bug.into());
        };
        seat.open(&header, work, &self.limits)?;
        self.seat.keep();
        // SAFETY: the header asks the caller to leave its table where it is.
        unsafe { self.seat.decrypt_with(opener) }
    }

    /// What decrypts the payload, if it is encrypted: asked anew by everything that opens a
    /// machine, as a device may have been off between.
    fn opener(&self) -> Result<Option<&'a Table>> {
        // SAFETY: a pointer of the caller, as the header asks for.
        unsafe { sealed::of_delta(self.delta, self.decryptor) }
    }

    /// What a rehearsal gives that was brought to its end.
    #[inline(never)]
    fn ready(&mut self) -> Result<Ready> {
        let ready = match self.seat.machine().map_err(unknown)? {
            Stage::Rehearsal(seat) => seat.get().ok_or(Detail::Bug)?.finish(),
            Stage::Rewriting(_) => Err(unknown(Detail::WrongState.into())),
        };
        self.seat.clear();
        ready
    }

    /// Begins what was rehearsed to the end.
    #[inline(never)]
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.header()?;
        let ready = self.ready()?;
        self.rewrite(Some(ready))
    }

    /// Goes on with what an earlier run began.
    #[inline(never)]
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.rewrite(None)
    }

    /// Begins what is ready, else goes on.
    fn rewrite(&mut self, ready: Option<Ready>) -> Result<()> {
        let (header, binding) = (self.header()?, self.binding());
        let asked = |error| if ready.is_some() { error } else { unknown(error) };
        let opener = self.opener().map_err(asked)?;
        let Self { slot, scratch, payload, seat, limits, .. } = self;
        let work = seat.clear();
        let vacant = Stage::Rewriting(in_place::Seat::default());
        let Stage::Rewriting(place) = seat.place(vacant) else {
            return Err(unknown(Detail::Bug.into()));
        };
        let mut flash = Flash { slot, scratch, payload };
        match ready {
            Some(ready) => place.begin(ready, &header, work, limits, binding, &mut flash)?,
            None => place.resume(&header, work, limits, binding, &mut flash)?,
        };
        seat.keep();
        // SAFETY: the header asks the caller to leave its table where it is.
        unsafe { seat.decrypt_with(opener) }
    }

    /// Does a bounded piece of work.
    pub(crate) fn step(&mut self) -> Result<abi::Step> {
        let Self { slot, scratch, payload, seat, .. } = self;
        let mut flash = Flash { slot, scratch, payload };
        let bug = unknown(Detail::Bug.into());
        let (result, (page_done, page_count)) = match seat.machine().map_err(unknown)? {
            Stage::Rehearsal(seat) => {
                let rehearsal = seat.get().ok_or(bug)?;
                (rehearsal.step(&mut flash), rehearsal.progress())
            }
            Stage::Rewriting(seat) => {
                let rewriting = seat.get().ok_or(bug)?;
                (rewriting.step(&mut flash), rewriting.progress())
            }
        };
        let done = u32::from(result? == Progress::Done);
        Ok(abi::Step { done, page_done, page_count })
    }

    /// Ends an update whose last step was done.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let finished = match self.seat.machine().map_err(unknown)? {
            Stage::Rewriting(seat) => seat.get().ok_or(Detail::Bug.into()).map(|it| it.finish()),
            Stage::Rehearsal(_) => Err(Detail::WrongState.into()),
        };
        self.seat.clear();
        finished.flatten().map(drop).map_err(unknown)
    }

    /// Forgets an update that is done, or was never begun.
    pub(crate) fn clear(&mut self) -> Result<()> {
        let header = self.header()?;
        let work = self.seat.clear();
        Rewriting::clear(&header, work, &mut self.scratch).map_err(unknown)
    }
}
