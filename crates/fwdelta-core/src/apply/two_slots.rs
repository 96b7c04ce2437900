//! Writing new into a slot of its own, with checkpoints: after a power cut, or when a transport
//! broke off, it goes on at the last one (docs/in-place.md).
//!
//! Every so many bytes what was written is made durable, then the decoder's state is saved in one
//! of two areas of scratch flash. The old image is not touched.

use super::areas::{AreaParts, Areas, RECORDS_MORE};
use super::journal::{self, Journal, Loader, Stateful};
pub use super::journal::{Binding, Found};
use super::output::check_geometry;
use super::{Applier, Io, Step, Verified};
use crate::codec::Decompressor;
use crate::error::{Detail, Result};
use crate::format::delta::DeltaHeader;
#[cfg(feature = "encryption")]
use crate::format::sealed::OpenChunk;
use crate::limits::Limits;
use crate::state::Measure;
use crate::storage::{Geometry, Source, Target};

/// Where a delta goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeAt {
    /// The byte of payload that is to be fed next; 0, the first, for coders with a decompressor,
    /// which has no state that could be saved: it goes through what it had again.
    pub payload_pos: u64,
    /// Bytes of new that are not made again.
    pub new_pos: u64,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Hash what an earlier run wrote, from `pos` on.
    Reread {
        pos: u64,
    },
    Feed,
}

/// What one decides about checkpoints; it may be another one in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the journal belongs to.
    pub binding: Binding,
    /// Bytes of new between checkpoints; rounded up to whole sectors and write units.
    pub interval: u64,
}

/// Applies one delta with checkpoints.
#[derive(Debug)]
pub struct Writing<'w> {
    applier: Applier<'w>,
    journal: Journal,
    interval: u64,
    stage: Stage,
    at: ResumeAt,
}

impl Areas {
    /// For scratch flash of this geometry beside a slot of its own for new: two areas for
    /// checkpoints. The content of `work`, of [`Applier::workspace`] bytes, is lost.
    ///
    /// # Errors
    /// As [`Applier::open`], and `BadArgument` for the geometry.
    pub fn of_two_slots(
        header: &DeltaHeader,
        scratch: &Geometry,
        work: &mut [u8],
        limits: &Limits,
    ) -> Result<Self> {
        check_geometry(scratch)?;
        let mut measure = Measure::default();
        Applier::open(header, work, limits)?.state(&mut measure)?;
        let parts = AreaParts {
            page_len: scratch.sector_len.max(1).into(),
            spare_count: 0,
            state_len: measure.0,
            excerpts_len: 0,
            record_count: RECORDS_MORE,
        };
        Self::new(&parts, scratch.write_len)
    }
}

impl<'w> Writing<'w> {
    /// What the scratch flash says of a delta.
    ///
    /// # Errors
    /// As [`Areas::of_two_slots`], `NoSpace`, `ReadFailed`.
    pub fn look<X: Source + Target>(
        header: &DeltaHeader,
        work: &mut [u8],
        limits: &Limits,
        scratch: &mut X,
        binding: &Binding,
    ) -> Result<Found> {
        let areas = areas_in(header, work, limits, &scratch.geometry())?;
        journal::look(&areas, scratch, binding)
    }

    /// Forgets a delta that is done or not wanted.
    ///
    /// # Errors
    /// As [`Areas::of_two_slots`], `NoSpace`, `WriteFailed`.
    pub fn clear<X: Source + Target>(
        header: &DeltaHeader,
        work: &mut [u8],
        limits: &Limits,
        scratch: &mut X,
    ) -> Result<()> {
        let areas = areas_in(header, work, limits, &scratch.geometry())?;
        journal::clear(&areas, scratch)
    }

    /// Begins, also where an earlier run got somewhere. `work` has [`Applier::workspace`] bytes.
    ///
    /// # Errors
    /// As [`Applier::open`]; `BadArgument` and `NoSpace` for the storage, `WriteFailed`.
    pub fn begin<T: Target, X: Source + Target>(
        header: &DeltaHeader,
        work: &'w mut [u8],
        limits: &Limits,
        settings: &Settings,
        new: &mut T,
        scratch: &mut X,
    ) -> Result<Self> {
        let areas = prepare(header, work, limits, scratch)?;
        let applier = Applier::open(header, work, limits)?;
        Self::start(applier, Journal::new(areas, settings.binding, 1, 0), settings, new, scratch)
    }

    /// Goes on from the last checkpoint; [`Writing::at`] says where. What was written before is
    /// read and hashed, not made, again.
    ///
    /// # Errors
    /// `WrongState` when there is nothing to resume, `ReadFailed`, else as [`Writing::begin`].
    pub fn resume<T: Target, X: Source + Target>(
        header: &DeltaHeader,
        work: &'w mut [u8],
        limits: &Limits,
        settings: &Settings,
        new: &mut T,
        scratch: &mut X,
    ) -> Result<Self> {
        let areas = prepare(header, work, limits, scratch)?;
        let found = journal::find(&areas, scratch, &settings.binding)?;
        let found = found.ok_or(Detail::WrongState)?;
        let mut applier = Applier::open(header, work, limits)?;
        applier.state(&mut Loader::new(scratch, &areas, found.area))?;
        let journal = Journal::new(areas, settings.binding, found.area, found.generation);
        Self::start(applier, journal, settings, new, scratch)
    }

    /// Saves a checkpoint first, in any case: a torn one of the last run may read well one day.
    fn start<T: Target, X: Target>(
        mut applier: Applier<'w>,
        journal: Journal,
        settings: &Settings,
        new: &mut T,
        scratch: &mut X,
    ) -> Result<Self> {
        let (header, geometry) = (applier.header, new.geometry());
        applier.output.prepare(&geometry, header.new.len)?;
        let step = u64::from(geometry.write_len);
        let interval = settings.interval.max(1).checked_next_multiple_of(step);
        let new_pos = header.new.len.saturating_sub(applier.left);
        if applier.left > 0 {
            journal::check_whole(new, 0, new_pos)?;
        }
        let payload_pos = match header.coder.has_decompressor() {
            true => 0,
            false => applier.input.taken(header.payload_len),
        };
        let mut writing = Self {
            applier,
            journal,
            interval: interval.unwrap_or(u64::MAX),
            stage: Stage::Reread { pos: 0 },
            at: ResumeAt { payload_pos, new_pos },
        };
        writing.journal.save(scratch, &mut writing.applier)?;
        Ok(writing)
    }

    /// What decrypts the payload, where that is encrypted, in this run: as
    /// [`Applier::decrypt_with`].
    ///
    /// # Errors
    /// `BadArgument` where it is not.
    #[cfg(feature = "encryption")]
    pub fn decrypt_with(&mut self, opener: &'w dyn OpenChunk) -> Result<()> {
        self.applier.decrypt_with(opener)
    }

    /// Where this run began.
    #[must_use]
    pub const fn at(&self) -> ResumeAt {
        self.at
    }

    /// Takes payload bytes, from [`Writing::at`] on, and works for a bounded time. Gives how many
    /// bytes of `input` were taken; the rest is to be offered again.
    ///
    /// # Errors
    /// As [`Applier::feed`].
    pub fn feed<S: Source, T: Source + Target, D: Decompressor, X: Target>(
        &mut self,
        io: &mut Io<'_, S, T, D>,
        scratch: &mut X,
        input: &[u8],
    ) -> Result<(usize, Step)> {
        if let Stage::Reread { pos } = self.stage {
            self.reread(io.new, pos)?;
            return Ok((0, Step::Yield));
        }
        if self.applier.output.is_at_stop() {
            self.checkpoint(io.new, scratch)?;
            return Ok((0, Step::Yield));
        }
        self.applier.feed(io, input)
    }

    fn reread<T: Source + Target>(&mut self, new: &mut T, pos: u64) -> Result<()> {
        let (output, end) = (&mut self.applier.output, self.at.new_pos);
        if pos < end {
            self.stage = Stage::Reread { pos: output.reread(new, pos, end)? };
        } else {
            output.go_on(end, next_stop(new, end, self.interval));
            self.stage = Stage::Feed;
        }
        Ok(())
    }

    /// What was written is durable before the state that says so.
    fn checkpoint<T: Target, X: Target>(&mut self, new: &mut T, scratch: &mut X) -> Result<()> {
        journal::sync(new)?;
        self.journal.save(scratch, &mut self.applier)?;
        let pos = self.new_pos();
        self.applier.output.go_on(pos, next_stop(new, pos, self.interval));
        Ok(())
    }

    /// Bytes of new that were made so far, those of earlier runs included.
    #[must_use]
    pub const fn new_pos(&self) -> u64 {
        self.applier.header.new.len.saturating_sub(self.applier.left)
    }

    /// Makes the image durable, checks its digest, and records that it is done.
    ///
    /// # Errors
    /// As [`Applier::finish`]; after `NewDigest` begin again: what an earlier run had written is
    /// not what it was.
    pub fn finish<T: Target, X: Target>(self, new: &mut T, scratch: &mut X) -> Result<Verified> {
        let Self { applier, mut journal, .. } = self;
        let verified = applier.finish(new)?;
        journal.done(scratch)?;
        Ok(verified)
    }
}

/// Where the next checkpoint is due: where a sector starts, so that what was written behind it can
/// be erased.
fn next_stop<T: Target>(new: &T, pos: u64, interval: u64) -> u64 {
    let done = pos.checked_div(interval).unwrap_or(0);
    let stop = done.saturating_add(1).saturating_mul(interval);
    let sector = new.sector(stop);
    if new.geometry().sector_len <= 1 || sector.start == stop { stop } else { sector.end() }
}

/// Where things are in scratch flash of this geometry, which has room for them.
fn areas_in(
    header: &DeltaHeader,
    work: &mut [u8],
    limits: &Limits,
    scratch: &Geometry,
) -> Result<Areas> {
    let areas = Areas::of_two_slots(header, scratch, work, limits)?;
    areas.check_room(scratch)?;
    Ok(areas)
}

/// Checks that the scratch flash is large enough, and that its areas are whole sectors.
fn prepare<X: Target>(
    header: &DeltaHeader,
    work: &mut [u8],
    limits: &Limits,
    scratch: &mut X,
) -> Result<Areas> {
    let areas = areas_in(header, work, limits, &scratch.geometry())?;
    areas.check_whole(scratch)?;
    Ok(areas)
}
