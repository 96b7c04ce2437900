//! The page loop: save, record, erase, write.

use super::machine::Machine;
use super::rehearsal::Ready;
use super::seat::Seat;
use super::{Areas, Binding, Flash, Found, Progress, check_slot};
use crate::apply::journal::{self, Journal, Loader, Stateful};
use crate::apply::{Applier, Verified};
use crate::error::{Detail, Error, Result};
use crate::format::delta::{DeltaHeader, InPlace};
#[cfg(feature = "encryption")]
use crate::format::sealed::OpenChunk;
use crate::hash::Sha256;
use crate::limits::Limits;
use crate::storage::{Geometry, Source, Target};

/// What is done next.
#[derive(Clone, Debug)]
enum Stage {
    /// Look at the next page, after a checkpoint where one is due.
    Enter,
    /// Save the old page.
    Save,
    /// Erase it.
    Erase,
    /// Make its new bytes; `is_dry`: only to know what follows, they are written already.
    Make {
        is_dry: bool,
    },
    /// Hash the new image from `pos` on.
    Check {
        pos: u64,
        hash: Sha256,
    },
    Done,
}

/// Rewrites the old image. After a power cut, and after any error but a `Bug`, it is resumed.
#[derive(Debug)]
pub struct Rewriting<'w> {
    machine: Machine<'w>,
    journal: Journal,
    stage: Stage,
    interval: u32,
    /// Rewritten pages before the last checkpoint that was saved just before such a page: pages
    /// that stay as they are, made again after a cut, would miss old ones behind them.
    checkpoint: Option<u32>,
    /// Rewritten pages that were saved in earlier runs; all but the last of them are written.
    before: u32,
    write_len: u16,
    has_failed: bool,
}

impl<'w> Rewriting<'w> {
    /// What the scratch flash says of a delta.
    ///
    /// # Errors
    /// As [`Areas::of`], `BadArgument`, `NoSpace`, `ReadFailed`. Whether the old image is intact is
    /// not known then, so they say that it is not.
    pub fn look<X: Source + Target>(
        header: &DeltaHeader,
        work: &mut [u8],
        scratch: &mut X,
        binding: &Binding,
    ) -> Result<Found> {
        let areas = areas_in(header, work, &scratch.geometry()).map_err(unknown)?;
        journal::look(&areas, scratch, binding).map_err(unknown)
    }

    /// Forgets a delta that is done or not wanted: not while it is being applied.
    ///
    /// # Errors
    /// As [`Areas::of`], `BadArgument`, `NoSpace`, `WriteFailed`.
    pub fn clear<X: Source + Target>(
        header: &DeltaHeader,
        work: &mut [u8],
        scratch: &mut X,
    ) -> Result<()> {
        let areas = areas_in(header, work, &scratch.geometry())?;
        journal::clear(&areas, scratch)
    }

    /// Begins. From the first [`Rewriting::step`] on there is no way back but through the end.
    ///
    /// # Errors
    /// `WrongState` when it was begun before, or another delta was rehearsed; `BadArgument` and
    /// `NoSpace` for the storage; `ReadFailed`, `WriteFailed`.
    pub fn begin<T: Source + Target, X: Source + Target, P: Source>(
        ready: Ready,
        header: &DeltaHeader,
        work: &'w mut [u8],
        limits: &Limits,
        binding: Binding,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<Self> {
        let mut seat = Seat::default();
        seat.begin(ready, header, work, limits, binding, flash)?;
        seat.take()
    }

    /// Goes on after a power cut.
    ///
    /// # Errors
    /// `WrongState` when there is nothing to resume, else as [`Rewriting::begin`]. They say that
    /// the old image is intact only where the journal was read and says so.
    pub fn resume<T: Source + Target, X: Source + Target, P: Source>(
        header: &DeltaHeader,
        work: &'w mut [u8],
        limits: &Limits,
        binding: Binding,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<Self> {
        let mut seat = Seat::default();
        seat.resume(header, work, limits, binding, flash)?;
        seat.take()
    }

    /// Before it is lent memory, and knows anything of the flash.
    #[inline(always)]
    pub(super) fn vacant(header: &DeltaHeader, in_place: &InPlace, binding: Binding) -> Self {
        Self {
            machine: Machine::vacant(header, in_place),
            journal: Journal::new(Areas::NOWHERE, binding, 1, 0),
            stage: Stage::Enter,
            interval: in_place.interval.into(),
            checkpoint: None,
            before: 0,
            write_len: 1,
            has_failed: false,
        }
    }

    /// Checks everything that can be checked without reading.
    #[inline(never)]
    pub(super) fn check_before(
        header: &DeltaHeader,
        limits: &Limits,
        slot: &Geometry,
    ) -> Result<InPlace> {
        header.check(limits)?;
        Applier::workspace(header)?;
        check_slot(slot, header)?;
        super::parameters(header)
    }

    /// Begins what is ready, else goes on: finds what an earlier run left, and saves a checkpoint.
    #[inline(never)]
    pub(super) fn start<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        ready: Option<Ready>,
        work: &'w mut [u8],
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<()> {
        let failed = |error| failed(ready, error);
        self.write_len = flash.slot.geometry().write_len;
        let Self { machine, journal, .. } = self;
        machine.lend(work, false).map_err(failed)?;
        let areas = room_for(machine, &flash.scratch.geometry()).map_err(failed)?;
        areas.check_whole(flash.scratch).map_err(failed)?;
        journal.areas = areas;
        let found = journal::find(&areas, flash.scratch, &journal.binding).map_err(unknown)?;
        match (ready, &found) {
            (Some(ready), None) if ready.new == machine.header.new => {}
            (Some(_), None) => return Err(Detail::WrongState.into()),
            (None, Some(found)) => {
                *journal = Journal::new(areas, journal.binding, found.area, found.generation);
                let loader = &mut Loader::new(flash.scratch, &areas, found.area);
                machine.state(loader).map_err(unknown)?;
                machine.book.ahead = found.saved;
                machine.book.excerpts.settle();
            }
            _ => return Err(unknown(Detail::WrongState.into())),
        }
        let ahead = machine.book.ahead.as_slice().len() as u32;
        self.before = machine.book.count.saturating_add(ahead);
        // In any case: a torn record of the last run may look like none.
        let saved = save(journal, machine, flash);
        saved.map_err(|error| Error { old_intact: self.before == 0, ..error })?;
        self.checkpoint = Some(machine.book.count).filter(|_| machine.is_announced);
        Ok(())
    }

    /// What decrypts the payload, where that is encrypted, in this run: without it nothing of it is
    /// decoded. To be called before the first step. Chunks are read and opened again, one at a
    /// time, in the memory that the rehearsal had for them; after a cut it goes on within one.
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
    /// `ReadFailed`, `WriteFailed`; `NotRecipient` and `NotDecrypted` where the payload is
    /// encrypted; `NewDigest` when flash does not hold what was written to it;
    /// `WrongState` after an error: resume instead.
    pub fn step<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<Progress> {
        if self.has_failed {
            return Err(Detail::WrongState.into());
        }
        let result = self.work(flash);
        self.has_failed = result.is_err();
        let is_touched = self.before > 0 || self.machine.book.count > 0 || self.is_saved();
        result.map_err(|error| Error { old_intact: !is_touched, ..error })
    }

    /// Whether the page at hand may be erased already.
    const fn is_saved(&self) -> bool {
        matches!(self.stage, Stage::Erase | Stage::Make { is_dry: false })
    }

    fn work<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<Progress> {
        match &mut self.stage {
            Stage::Enter => self.enter(flash)?,
            Stage::Save => self.save(flash)?,
            Stage::Erase => {
                let place = self.machine.book.place();
                journal::erase(flash.slot, place.pos, place.len())?;
                self.stage = Stage::Make { is_dry: false };
            }
            Stage::Make { is_dry } => {
                let is_dry = *is_dry;
                self.make(flash, is_dry)?;
            }
            Stage::Check { .. } => self.check(flash)?,
            Stage::Done => return Ok(Progress::Done),
        }
        Ok(Progress::Yield)
    }

    fn enter<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<()> {
        if self.machine.book.is_done() {
            journal::sync(flash.slot)?;
            self.stage = Stage::Check { pos: 0, hash: Sha256::new() };
            return Ok(());
        }
        if !self.machine.is_announced {
            self.machine.announce(flash.payload)?;
        }
        if self.machine.book.is_marked() && self.is_checkpoint_due() {
            journal::sync(flash.slot)?;
            save(&mut self.journal, &mut self.machine, flash)?;
            self.checkpoint = Some(self.machine.book.count);
            return Ok(());
        }
        self.machine.enter(flash.payload)?;
        let book = &mut self.machine.book;
        let next = book.count.saturating_add(1);
        self.stage = if !book.is_marked() || next < self.before {
            Stage::Make { is_dry: true }
        } else if next == self.before {
            Stage::Erase
        } else {
            Stage::Save
        };
        if book.is_marked() && next <= self.before {
            book.enter_saved();
        }
        let pos = self.machine.buffer.start();
        self.machine.make_room(pos, self.write_len);
        Ok(())
    }

    fn is_checkpoint_due(&self) -> bool {
        let count = self.machine.book.count;
        self.checkpoint.is_none_or(|last| count.saturating_sub(last) >= self.interval)
    }

    /// Copies the page at hand to a spare page, then records that it is there.
    fn save<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<()> {
        let book = &self.machine.book;
        let (page, start) = (book.page(), book.place().pos);
        if !book.is_unsaved() {
            self.copy(flash, page, start)?;
        }
        // The page before is whole before this one counts as saved.
        journal::sync(flash.slot)?;
        self.journal.saved(flash.scratch, page as u32)?;
        self.machine.book.enter_saved();
        self.machine.make_room(start, self.write_len);
        self.stage = Stage::Erase;
        Ok(())
    }

    /// Copies old page `page`, which starts at `start`, to its spare page.
    fn copy<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        flash: &mut Flash<'_, T, X, P>,
        page: u64,
        start: u64,
    ) -> Result<()> {
        let book = &self.machine.book;
        let (mut pos, end) = (start, self.machine.old_end(page));
        let (mut to, spare_len) =
            (self.journal.areas.spare_pos(book.victim()), book.pages.largest());
        journal::erase(flash.scratch, to, spare_len)?;
        let geometry = flash.scratch.geometry();
        while pos < end {
            self.machine.make_room_for_old(pos, geometry.write_len);
            let buffer = &mut self.machine.buffer;
            let room = buffer.room(end.saturating_sub(pos));
            let len = room.len() as u64;
            flash.slot.read(pos, room).map_err(|_| Error::at(Detail::ReadFailed, pos))?;
            buffer.commit(len);
            let bytes = buffer.padded(geometry.write_len.into(), geometry.erased);
            let failed = Error::at(Detail::WriteFailed, to);
            flash.scratch.program(to, bytes).map_err(|_| failed)?;
            (pos, to) = (pos.saturating_add(len), to.saturating_add(len));
        }
        Ok(())
    }

    fn make<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        flash: &mut Flash<'_, T, X, P>,
        is_dry: bool,
    ) -> Result<()> {
        let machine = &mut self.machine;
        let excerpts_pos = self.journal.areas.excerpts_pos(self.journal.area);
        let scratch = Some(&mut *flash.scratch);
        if !machine.make(flash.slot, scratch, excerpts_pos, flash.payload)? {
            return Ok(());
        }
        let (start, pos) = (machine.buffer.start(), machine.buffer.pos());
        if !is_dry {
            let erased = flash.slot.geometry().erased;
            let bytes = machine.buffer.padded(self.write_len.into(), erased);
            let failed = Error::at(Detail::WriteFailed, start);
            flash.slot.program(start, bytes).map_err(|_| failed)?;
        }
        if pos < machine.book.bytes().end {
            machine.make_room(pos, self.write_len);
        } else {
            machine.book.leave();
            self.stage = Stage::Enter;
        }
        Ok(())
    }

    /// Hashes a piece of the new image as it stands in the slot; behind the last one, records
    /// that all is done.
    fn check<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<()> {
        let Stage::Check { pos, hash } = &mut self.stage else { return Ok(()) };
        let new = self.machine.header.new;
        let buffer = &mut self.machine.buffer;
        buffer.restart(*pos, usize::MAX);
        let room = buffer.room(new.len.saturating_sub(*pos));
        if !room.is_empty() {
            let at = *pos;
            flash.slot.read(at, room).map_err(|_| Error::at(Detail::ReadFailed, at))?;
            hash.update(room);
            *pos = at.saturating_add(room.len() as u64);
            return Ok(());
        }
        if hash.clone().finish() != new.digest {
            return Err(Detail::NewDigest.into());
        }
        self.journal.done(flash.scratch)?;
        self.stage = Stage::Done;
        Ok(())
    }

    /// The proof that the new image is in the slot.
    ///
    /// # Errors
    /// `WrongState` before the last step.
    pub const fn finish(&self) -> Result<Verified> {
        match self.stage {
            Stage::Done => Ok(Verified { new: self.machine.header.new }),
            _ => Err(Error::at(Detail::WrongState, 0)),
        }
    }

    /// Pages done, of how many: for a progress display.
    #[must_use]
    pub const fn progress(&self) -> (u64, u64) {
        self.machine.book.progress()
    }
}

/// Saves a checkpoint: the state, and what it holds of old.
fn save<T: Source, X: Source + Target, P>(
    journal: &mut Journal,
    machine: &mut Machine<'_>,
    flash: &mut Flash<'_, T, X, P>,
) -> Result<()> {
    let from = journal.areas.excerpts_pos(journal.area);
    let mut writer = journal.open(flash.scratch)?;
    machine.state(&mut writer)?;
    machine.save_excerpts(flash.slot, &mut writer, from)?;
    journal.seal(writer, &machine.ahead())?;
    machine.book.excerpts.settle();
    Ok(())
}

/// An error at a time when pages may have been rewritten already.
fn unknown(error: Error) -> Error {
    Error { old_intact: false, ..error }
}

/// An error before the journal was read: what is ready to begin has the old image intact.
pub(super) fn failed(ready: Option<Ready>, error: Error) -> Error {
    if ready.is_some() { error } else { unknown(error) }
}

/// Where things are in scratch flash of this geometry, which has room for them.
fn areas_in(header: &DeltaHeader, work: &mut [u8], scratch: &Geometry) -> Result<Areas> {
    let mut machine = Machine::vacant(header, &super::parameters(header)?);
    machine.lend(work, false)?;
    room_for(&mut machine, scratch)
}

/// The same for a machine between two pages.
fn room_for(machine: &mut Machine<'_>, scratch: &Geometry) -> Result<Areas> {
    crate::apply::output::check_geometry(scratch)?;
    let areas = Areas::of_machine(machine, scratch.write_len)?;
    areas.check_room(scratch)?;
    Ok(areas)
}
