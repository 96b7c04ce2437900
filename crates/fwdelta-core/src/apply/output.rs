//! The new image on its way into a slot of its own: erased ahead, programmed in write units,
//! hashed.

use super::buffer::Buffer;
use crate::error::{Detail, Error, Result};
use crate::format::delta::DIGEST_LEN;
use crate::hash::Sha256;
use crate::storage::{Geometry, Source, Target};

/// Largest write unit, in bytes.
pub(super) const WRITE_LEN_MAX: u16 = 32;

/// Whether storage has numbers that make sense.
pub(super) const fn check_geometry(geometry: &Geometry) -> Result<()> {
    let is_unit = geometry.write_len >= 1 && geometry.write_len <= WRITE_LEN_MAX;
    if is_unit && geometry.sector_len > 0 { Ok(()) } else { Err(Error::at(Detail::BadArgument, 0)) }
}

/// Writes the new image from front to back.
#[derive(Debug)]
pub(super) struct Output<'w> {
    pub(super) buffer: Buffer<'w>,
    /// Bytes programmed at a time: the buffer rounded down to write units.
    capacity: usize,
    /// Where what was erased ahead ends.
    erased_end: u64,
    /// Where a checkpoint is due: nothing is collected beyond.
    stop: u64,
    geometry: Option<Geometry>,
    hash: Sha256,
}

impl<'w> Output<'w> {
    pub(super) fn new(buf: &'w mut [u8]) -> Self {
        let (buffer, hash) = (Buffer::new(buf), Sha256::new());
        Self { buffer, capacity: 0, erased_end: 0, stop: u64::MAX, geometry: None, hash }
    }

    /// Checks the slot, once, before anything is erased.
    pub(super) fn prepare(&mut self, geometry: &Geometry, new_len: u64) -> Result<()> {
        if self.geometry.is_some() {
            return Ok(());
        }
        check_geometry(geometry)?;
        let write_len = u64::from(geometry.write_len);
        let padded_len = new_len.checked_next_multiple_of(write_len).ok_or(Detail::NoSpace)?;
        if padded_len > geometry.len {
            return Err(Detail::NoSpace.into());
        }
        let (memory_len, write_len) = (self.buffer.memory_len(), usize::from(geometry.write_len));
        let odd = memory_len.checked_rem(write_len).ok_or(Detail::BadArgument)?;
        self.capacity = memory_len.saturating_sub(odd);
        self.buffer.restart(0, self.capacity);
        self.geometry = Some(*geometry);
        Ok(())
    }

    /// Programs what was collected, padded to a write unit with the erased value.
    pub(super) fn flush<T: Target>(&mut self, new: &mut T) -> Result<()> {
        let Some(geometry) = self.geometry.filter(|_| !self.buffer.made().is_empty()) else {
            return Ok(());
        };
        let pos = self.buffer.start();
        let failed = Error::at(Detail::WriteFailed, pos);
        self.hash.update(self.buffer.made());
        let bytes = self.buffer.padded(usize::from(geometry.write_len), geometry.erased);
        let end = pos.saturating_add(bytes.len() as u64);
        while geometry.sector_len > 1 && self.erased_end < end {
            let sector = new.sector(self.erased_end);
            new.erase(sector.number).map_err(|_| failed)?;
            // A driver must not make this an endless loop.
            self.erased_end =
                Some(sector.end()).filter(|end| *end > self.erased_end).ok_or(failed)?;
        }
        new.program(pos, bytes).map_err(|_| failed)?;
        self.buffer.restart(end, self.room(end));
        Ok(())
    }

    /// Bytes that may be collected from `pos` on.
    fn room(&self, pos: u64) -> usize {
        let left = usize::try_from(self.stop.saturating_sub(pos)).unwrap_or(usize::MAX);
        left.min(self.capacity)
    }

    /// Goes on at `pos`, where a sector starts, and stops at `stop`.
    pub(super) fn go_on(&mut self, pos: u64, stop: u64) {
        (self.erased_end, self.stop) = (pos, stop);
        self.buffer.restart(pos, self.room(pos));
    }

    /// Whether everything up to the stop was programmed.
    pub(super) fn is_at_stop(&self) -> bool {
        self.geometry.is_some() && self.buffer.pos() >= self.stop && self.buffer.made().is_empty()
    }

    /// Hashes a piece of what an earlier run programmed before `end`, from `pos` on; gives where
    /// it ends.
    pub(super) fn reread<T: Source>(&mut self, new: &mut T, pos: u64, end: u64) -> Result<u64> {
        self.buffer.restart(pos, usize::MAX);
        let room = self.buffer.room(end.saturating_sub(pos));
        new.read(pos, room).map_err(|_| Error::at(Detail::ReadFailed, pos))?;
        self.hash.update(room);
        Ok(pos.saturating_add(room.len() as u64))
    }

    /// SHA-256 of all bytes written, padding excluded.
    pub(super) fn digest(self) -> [u8; DIGEST_LEN] {
        self.hash.finish()
    }
}
