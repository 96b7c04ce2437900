//! Storage that the compiler knows nothing of.

use core::convert::Infallible;

use fwdelta_core::storage::{Geometry, ReadError, Source, Target};

/// Where registers of a driver might be.
const REGISTER: *mut u32 = 0x4000_0000 as *mut u32;

/// A number from outside.
pub(crate) fn number() -> u32 {
    // SAFETY: stands for a register; nothing of this is run.
    unsafe { REGISTER.read_volatile() }
}

/// Uses a value.
pub(crate) fn keep<T>(value: &T) {
    // SAFETY: stands for a register; nothing of this is run.
    unsafe { REGISTER.write_volatile((&raw const *value).addr() as u32) };
}

/// Bytes somewhere.
pub(crate) struct Medium;

impl Source for Medium {
    type Error = Infallible;

    #[inline(never)]
    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Infallible>> {
        keep(&pos);
        for byte in buf {
            *byte = number() as u8;
        }
        Ok(())
    }
}

impl Target for Medium {
    type Error = Infallible;

    fn geometry(&self) -> Geometry {
        Geometry { len: 1 << 20, sector_len: 4096, write_len: 8, erased: 0xff }
    }

    #[inline(never)]
    fn erase(&mut self, sector: u32) -> Result<(), Infallible> {
        keep(&sector);
        Ok(())
    }

    #[inline(never)]
    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), Infallible> {
        keep(&(pos, data));
        Ok(())
    }

    #[inline(never)]
    fn sync(&mut self) -> Result<(), Infallible> {
        keep(&());
        Ok(())
    }
}
