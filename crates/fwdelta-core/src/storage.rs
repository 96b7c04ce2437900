//! What the caller implements: places to read from and the slot to write to.

/// Why a read failed. An ECC fault is data about the flash, not a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError<E> {
    /// The cells hold no valid word (torn write, worn page).
    Uncorrectable,
    /// The driver failed.
    Io(E),
}

/// Random-access bytes: an old image, a staged package, a payload file.
pub trait Source {
    /// The driver's own error.
    type Error;

    /// Fills `buf` from byte offset `pos`; never reads short.
    ///
    /// # Errors
    /// When the range lies outside the medium or the medium fails.
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Self::Error>>;

    /// The `len` bytes from `pos` on where they stand, if they are in memory: saves copying them.
    fn in_memory(&self, pos: u64, len: usize) -> Option<&[u8]> {
        let _ = (pos, len);
        None
    }
}

/// How a slot may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes in the slot.
    pub len: u64,
    /// Bytes erased together, the most of any sector; `1` where no erase is needed (files, block
    /// devices).
    pub sector_len: u32,
    /// Bytes programmed together; positions and lengths are multiples of it. At most 32.
    pub write_len: u16,
    /// What an erased byte reads as.
    pub erased: u8,
}

/// Bytes that are erased together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sector {
    /// What [`Target::erase`] is called with.
    pub number: u32,
    /// Position of the first byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
}

impl Sector {
    /// Position after the last byte.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

impl Geometry {
    /// The sector that holds byte `pos`, where all have [`Geometry::sector_len`] bytes.
    #[must_use]
    pub fn sector(&self, pos: u64) -> Sector {
        let len = u64::from(self.sector_len.max(1));
        let number = pos.checked_div(len).unwrap_or(0);
        let start = number.saturating_mul(len);
        Sector { number: u32::try_from(number).unwrap_or(u32::MAX), start, len }
    }
}

/// The slot the new image goes to.
pub trait Target {
    /// The driver's own error.
    type Error;

    /// How the slot may be written; constant for the life of the value.
    fn geometry(&self) -> Geometry;

    /// The sector that holds byte `pos` of the slot; to be implemented where sectors are not all of
    /// one length.
    fn sector(&self, pos: u64) -> Sector {
        self.geometry().sector(pos)
    }

    /// Erases sector number `sector`. Not called when `sector_len` is 1.
    ///
    /// # Errors
    /// When the driver fails.
    fn erase(&mut self, sector: u32) -> Result<(), Self::Error>;

    /// Programs erased bytes; `pos` and `data.len()` are multiples of `write_len`.
    ///
    /// # Errors
    /// When the driver fails.
    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), Self::Error>;

    /// Returns once everything programmed before survives a power cut.
    ///
    /// # Errors
    /// When the driver fails.
    fn sync(&mut self) -> Result<(), Self::Error>;
}

/// Reading from memory: vectors, tests, memory-mapped flash.
impl Source for &[u8] {
    type Error = core::convert::Infallible;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        let bytes = self.in_memory(pos, buf.len()).ok_or(ReadError::Uncorrectable)?;
        for (to, from) in buf.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(())
    }

    fn in_memory(&self, pos: u64, len: usize) -> Option<&[u8]> {
        self.get(usize::try_from(pos).ok()?..)?.get(..len)
    }
}
