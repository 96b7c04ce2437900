//! The new image on its way into a slot of its own: erased ahead, programmed in write units,
//! hashed.

use super::buffer::Buffer;
use crate::error::{Detail, Error, Result};
use crate::format::delta::DIGEST_LEN;
use crate::hash::Sha256;
use crate::storage::{Geometry, Target};

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
    next_sector: u32,
    geometry: Option<Geometry>,
    hash: Sha256,
}

impl<'w> Output<'w> {
    pub(super) fn new(buf: &'w mut [u8]) -> Self {
        let (buffer, hash) = (Buffer::new(buf), Sha256::new());
        Self { buffer, capacity: 0, next_sector: 0, geometry: None, hash }
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
        let sector_len = u64::from(geometry.sector_len);
        while sector_len > 1 && u64::from(self.next_sector).saturating_mul(sector_len) < end {
            new.erase(self.next_sector).map_err(|_| failed)?;
            self.next_sector = self.next_sector.checked_add(1).ok_or(failed)?;
        }
        new.program(pos, bytes).map_err(|_| failed)?;
        self.buffer.restart(end, self.capacity);
        Ok(())
    }

    /// SHA-256 of all bytes written, padding excluded.
    pub(super) fn digest(self) -> [u8; DIGEST_LEN] {
        self.hash.finish()
    }
}
