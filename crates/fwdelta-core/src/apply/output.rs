//! The new image on its way into the slot: collected, erased ahead, programmed in write units,
//! hashed.

use crate::hash::Sha256;

use crate::error::{Detail, Error, Result};
use crate::format::delta::DIGEST_LEN;
use crate::storage::{Geometry, Target};

/// Largest write unit, in bytes.
pub(super) const WRITE_LEN_MAX: u16 = 32;

/// Writes the new image from front to back.
#[derive(Debug)]
pub(super) struct Output<'w> {
    buf: &'w mut [u8],
    /// Bytes programmed at a time: the buffer rounded down to write units.
    capacity: usize,
    len: usize,
    /// Bytes programmed.
    pos: u64,
    next_sector: u32,
    geometry: Option<Geometry>,
    hash: Sha256,
}

impl<'w> Output<'w> {
    pub(super) fn new(buf: &'w mut [u8]) -> Self {
        let hash = Sha256::new();
        Self { buf, capacity: 0, len: 0, pos: 0, next_sector: 0, geometry: None, hash }
    }

    /// Checks the slot, once, before anything is erased.
    pub(super) fn prepare(&mut self, geometry: &Geometry, new_len: u64) -> Result<()> {
        if self.geometry.is_some() {
            return Ok(());
        }
        let write_len = u64::from(geometry.write_len);
        let valid = (1..=WRITE_LEN_MAX).contains(&geometry.write_len) && geometry.sector_len > 0;
        if !valid {
            return Err(Detail::BadArgument.into());
        }
        let padded_len = new_len.checked_next_multiple_of(write_len).ok_or(Detail::NoSpace)?;
        if padded_len > geometry.len {
            return Err(Detail::NoSpace.into());
        }
        let write_len = usize::from(geometry.write_len);
        let odd = self.buf.len().checked_rem(write_len).ok_or(Detail::BadArgument)?;
        self.capacity = self.buf.len().saturating_sub(odd);
        self.geometry = Some(*geometry);
        Ok(())
    }

    /// Position in new of the next byte.
    pub(super) const fn pos(&self) -> u64 {
        self.pos.saturating_add(self.len as u64)
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    /// Where the next bytes go, at most `len`.
    pub(super) fn room(&mut self, len: u64) -> &mut [u8] {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let end = self.capacity.min(self.len.saturating_add(len));
        self.buf.get_mut(self.len..end).unwrap_or(&mut [])
    }

    /// Takes the first `len` bytes of the room.
    pub(super) fn commit(&mut self, len: u64) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.len = self.len.saturating_add(len).min(self.capacity);
    }

    /// Programs what was collected, padded to a write unit with the erased value.
    pub(super) fn flush<T: Target>(&mut self, new: &mut T) -> Result<()> {
        let Some(geometry) = self.geometry.filter(|_| self.len > 0) else { return Ok(()) };
        let failed = Error::at(Detail::WriteFailed, self.pos);
        self.hash.update(self.buf.get(..self.len).unwrap_or(&[]));
        let unit = usize::from(geometry.write_len);
        let padded_len = self.len.checked_next_multiple_of(unit).ok_or(Detail::Bug)?;
        for byte in self.buf.get_mut(self.len..padded_len).ok_or(Detail::Bug)? {
            *byte = geometry.erased;
        }
        let end = self.pos.saturating_add(padded_len as u64);
        let sector_len = u64::from(geometry.sector_len);
        while sector_len > 1 && u64::from(self.next_sector).saturating_mul(sector_len) < end {
            new.erase(self.next_sector).map_err(|_| failed)?;
            self.next_sector = self.next_sector.checked_add(1).ok_or(failed)?;
        }
        let bytes = self.buf.get(..padded_len).ok_or(Detail::Bug)?;
        new.program(self.pos, bytes).map_err(|_| failed)?;
        self.pos = end;
        self.len = 0;
        Ok(())
    }

    /// SHA-256 of all bytes written, padding excluded.
    pub(super) fn digest(self) -> [u8; DIGEST_LEN] {
        self.hash.finish()
    }
}
