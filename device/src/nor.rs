//! A flash driver that cuts the power: before, in the middle of or after operation number k.

use core::cell::Cell;

use fwdelta_core::storage::{Geometry, ReadError, Source, Target};

use crate::board::{self, FLASH_LEN, FLASH_START, PAGE_LEN, WRITE_LEN};

/// When to cut. Operations are counted from 1 over all parts of the flash; 0 never comes.
#[derive(Debug)]
pub struct Cut {
    at: u32,
    mode: u32,
    count: Cell<u32>,
}

impl Cut {
    /// At operation number `at`: before it (mode 0), in the middle of it (1) or after it (2).
    #[must_use]
    pub const fn at(at: u32, mode: u32) -> Self {
        Self { at, mode, count: Cell::new(0) }
    }

    /// At none.
    #[must_use]
    pub const fn never() -> Self {
        Self::at(0, 0)
    }

    /// Operations so far.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count.get()
    }
}

/// Bytes of flash of one use.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    start: u32,
    len: u32,
    cut: &'a Cut,
}

/// The driver was asked for what flash cannot do.
#[derive(Clone, Copy, Debug)]
pub struct Misuse;

impl<'a> Part<'a> {
    /// `len` bytes that begin `pos` bytes into the flash.
    ///
    /// # Panics
    /// If there are not as many.
    #[must_use]
    pub fn new(pos: u32, len: u32, cut: &'a Cut) -> Self {
        assert!(pos + len <= FLASH_LEN && pos.is_multiple_of(PAGE_LEN));
        Self { start: FLASH_START + pos, len, cut }
    }

    fn address(&self, pos: u64, len: usize) -> Option<u32> {
        let end = pos.checked_add(len as u64)?;
        (end <= u64::from(self.len)).then_some(self.start + pos as u32)
    }

    /// Counts an operation; whether power is cut in the middle of it.
    fn begin(&self) -> bool {
        self.cut.count.set(self.cut.count.get() + 1);
        let is_it = self.cut.count.get() == self.cut.at;
        if is_it && self.cut.mode == 0 {
            cut_power();
        }
        is_it && self.cut.mode == 1
    }

    fn end(&self) {
        if self.cut.count.get() == self.cut.at {
            cut_power();
        }
    }
}

impl Source for Part<'_> {
    type Error = Misuse;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Misuse>> {
        let address = self.address(pos, buf.len()).ok_or(ReadError::Io(Misuse))?;
        for (byte, address) in buf.iter_mut().zip(address..) {
            *byte = board::read(address);
        }
        Ok(())
    }
}

impl Target for Part<'_> {
    type Error = Misuse;

    fn geometry(&self) -> Geometry {
        let (len, write_len) = (u64::from(self.len), WRITE_LEN as u16);
        Geometry { len, sector_len: PAGE_LEN, write_len, erased: 0xff }
    }

    fn erase(&mut self, sector: u32) -> Result<(), Misuse> {
        let pos = u64::from(sector) * u64::from(PAGE_LEN);
        let address = self.address(pos, PAGE_LEN as usize).ok_or(Misuse)?;
        let is_torn = self.begin();
        board::erase(address);
        if is_torn {
            // Cells that were not erased long enough hold anything.
            scribble(address + PAGE_LEN / 2, PAGE_LEN / 2);
        }
        self.end();
        Ok(())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), Misuse> {
        let address = self.address(pos, data.len()).ok_or(Misuse)?;
        let unit = WRITE_LEN as usize;
        let is_whole = pos.is_multiple_of(unit as u64) && data.len().is_multiple_of(unit);
        let len = data.len() as u32;
        if !is_whole || (address..address + len).any(|address| board::read(address) != 0xff) {
            return Err(Misuse); // A word is programmed once.
        }
        let is_torn = self.begin();
        let whole_len = if is_torn { data.len() / unit / 2 * unit } else { data.len() };
        let (words, _) = data[..whole_len].as_chunks::<4>();
        for (word, at) in words.iter().zip((address..).step_by(4)) {
            board::program(at, u32::from_le_bytes(*word));
        }
        if is_torn {
            scribble(address + whole_len as u32, WRITE_LEN);
        }
        self.end();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Misuse> {
        self.begin();
        self.end();
        Ok(())
    }
}

/// Leaves cells in a state between.
fn scribble(address: u32, len: u32) {
    let mut random = address | 1;
    for at in (address..address + len).step_by(4) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        board::program(at, random);
    }
}

/// The page behind everything else: notes of the test, not of the device.
const NOTES: u32 = FLASH_START + FLASH_LEN - PAGE_LEN;

/// A number that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Note {
    /// Whether the flash has its first content.
    Made,
    /// Whether the power was cut.
    Cut,
    /// Bytes of the staged package.
    PackageLen,
    /// Bytes of the trust anchor.
    TrustLen,
}

impl Note {
    const MAGIC: u32 = 0x600d_0000;

    const fn address(self) -> u32 {
        NOTES + 32 * self as u32
    }

    /// The number, if it was noted.
    #[must_use]
    pub fn number(self) -> Option<u32> {
        let word = |at: u32| {
            u32::from_le_bytes(core::array::from_fn(|byte| {
                board::read(self.address() + at + byte as u32)
            }))
        };
        (word(0) == Self::MAGIC).then(|| word(4))
    }

    /// Notes a number.
    pub fn take(self, number: u32) {
        board::program(self.address() + 4, number);
        board::program(self.address(), Self::MAGIC);
    }
}

/// Forgets all notes.
pub fn forget_notes() {
    board::erase(NOTES);
}

fn cut_power() -> ! {
    Note::Cut.take(1);
    board::reset()
}
