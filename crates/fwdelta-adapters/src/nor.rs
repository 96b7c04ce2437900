//! Flash behind the traits of `embedded-storage`.

use core::fmt;

use embedded_storage::nor_flash::NorFlash;
use fwdelta_core::storage::{Geometry, ReadError, Source, Target};

/// Longest unit of reading that [`Nor`] knows how to read a part of, in bytes.
const READ_LEN_MAX: usize = 32;

/// A part of a flash chip as a slot, or as scratch flash: positions are counted from its start.
///
/// Reads may start and end anywhere; the chip is read in its own units. Sectors are `ERASE_SIZE`
/// bytes, write units `WRITE_SIZE`.
#[derive(Debug)]
pub struct Nor<'f, F: NorFlash> {
    flash: &'f mut F,
    start: u32,
    len: u32,
    erased: u8,
    is_uncorrectable: fn(&F::Error) -> bool,
}

/// The part is not there, or not of whole sectors, or the chip's units are not ones to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPart;

impl fmt::Display for BadPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a part of the flash that can be used")
    }
}

impl core::error::Error for BadPart {}

impl<'f, F: NorFlash> Nor<'f, F> {
    /// The `len` bytes from `start` on, both multiples of `ERASE_SIZE`. Erased bytes read as 0xff.
    ///
    /// # Errors
    /// [`BadPart`].
    pub fn new(flash: &'f mut F, start: u32, len: u32) -> Result<Self, BadPart> {
        let erase_len = u32::try_from(F::ERASE_SIZE).ok().filter(|len| *len > 0).ok_or(BadPart)?;
        let end = start.checked_add(len).ok_or(BadPart)?;
        let is_inside = usize::try_from(end).is_ok_and(|end| end <= flash.capacity());
        let is_whole = start.is_multiple_of(erase_len) && len.is_multiple_of(erase_len);
        let has_units = (1..=READ_LEN_MAX).contains(&F::READ_SIZE) && F::WRITE_SIZE > 0;
        if !(is_inside && is_whole && has_units) {
            return Err(BadPart);
        }
        Ok(Self { flash, start, len, erased: 0xff, is_uncorrectable: |_| false })
    }

    /// The same of a chip whose erased bytes read as `erased`.
    #[must_use]
    pub fn erased_as(self, erased: u8) -> Self {
        Self { erased, ..self }
    }

    /// The same of a chip that finds words which hold nothing valid, as after a power cut, and says
    /// so by errors for which `is_uncorrectable` holds. Core takes such words for absent.
    #[must_use]
    pub fn with_uncorrectable(self, is_uncorrectable: fn(&F::Error) -> bool) -> Self {
        Self { is_uncorrectable, ..self }
    }

    /// Where `len` bytes from `pos` on are in the chip.
    fn place(&self, pos: u64, len: usize) -> Option<(u32, u32)> {
        let end = pos.checked_add(len as u64).filter(|end| *end <= self.len.into())?;
        let (from, to) = (u32::try_from(pos).ok()?, u32::try_from(end).ok()?);
        Some((self.start.checked_add(from)?, self.start.checked_add(to)?))
    }

    fn read_units(&mut self, at: u32, buf: &mut [u8]) -> Result<(), ReadError<NorError<F::Error>>> {
        self.flash.read(at, buf).map_err(|error| match (self.is_uncorrectable)(&error) {
            true => ReadError::Uncorrectable,
            false => ReadError::Io(NorError::Driver(error)),
        })
    }

    /// Reads a part of the unit that holds byte `at`; gives how many bytes.
    fn read_part(
        &mut self,
        at: u32,
        buf: &mut [u8],
    ) -> Result<usize, ReadError<NorError<F::Error>>> {
        let mut unit = [0; READ_LEN_MAX];
        let unit = unit.get_mut(..F::READ_SIZE).ok_or(ReadError::Io(NorError::Outside))?;
        let within = at as usize % F::READ_SIZE;
        self.read_units(at - within as u32, unit)?;
        let known = unit.get(within..).unwrap_or(&[]);
        let len = known.len().min(buf.len());
        buf.iter_mut().zip(known).for_each(|(to, from)| *to = *from);
        Ok(len)
    }
}

/// Why the flash failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NorError<E> {
    /// The range leaves the part.
    Outside,
    /// The driver's own error.
    Driver(E),
}

impl<F: NorFlash> Source for Nor<'_, F> {
    type Error = NorError<F::Error>;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        let outside = ReadError::Io(NorError::Outside);
        let Some((mut at, end)) = self.place(pos, buf.len()) else { return Err(outside) };
        let mut rest = buf;
        while at < end {
            let whole = rest.len() - rest.len() % F::READ_SIZE;
            let len = if (at as usize).is_multiple_of(F::READ_SIZE) && whole > 0 {
                let (units, _) = rest.split_at_mut(whole);
                self.read_units(at, units)?;
                whole
            } else {
                self.read_part(at, rest)?
            };
            at += len as u32;
            rest = rest.get_mut(len..).unwrap_or(&mut []);
        }
        Ok(())
    }
}

impl<F: NorFlash> Target for Nor<'_, F> {
    type Error = NorError<F::Error>;

    /// A unit that is too long for core says so: it refuses it.
    fn geometry(&self) -> Geometry {
        Geometry {
            len: self.len.into(),
            sector_len: u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX),
            write_len: u16::try_from(F::WRITE_SIZE).unwrap_or(u16::MAX),
            erased: self.erased,
        }
    }

    fn erase(&mut self, sector: u32) -> Result<(), Self::Error> {
        let pos = u64::from(sector).saturating_mul(F::ERASE_SIZE as u64);
        let (from, to) = self.place(pos, F::ERASE_SIZE).ok_or(NorError::Outside)?;
        self.flash.erase(from, to).map_err(NorError::Driver)
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), Self::Error> {
        let (from, _) = self.place(pos, data.len()).ok_or(NorError::Outside)?;
        self.flash.write(from, data).map_err(NorError::Driver)
    }

    /// NOR flash is written when the driver returns.
    fn sync(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
