//! What differs between the boards: where things stand in flash, and how it is written.

pub use chip::*;

#[cfg(board = "microbit")]
mod chip {
    //! nRF51822 as QEMU models it: real NOR flash behind its controller.

    /// Bytes erased together.
    pub const PAGE_LEN: u32 = 1024;
    /// Bytes programmed together.
    pub const WRITE_LEN: u32 = 4;
    /// Where flash that the program does not take begins.
    pub const FLASH_START: u32 = 176 << 10;
    /// Bytes of it.
    pub const FLASH_LEN: u32 = 80 << 10;
    /// Bytes for trust anchor and package together.
    pub const STAGED_LEN: u32 = 8 << 10;
    /// Bytes of the slot.
    pub const SLOT_LEN: u32 = 24 << 10;
    /// Bytes of working memory: profiles `tiny` and `plain`.
    pub const WORK_LEN: usize = 11 << 9;

    const READY: *const u32 = 0x4001_e400 as *const u32;
    const CONFIG: *mut u32 = 0x4001_e504 as *mut u32;
    const ERASE_PAGE: *mut u32 = 0x4001_e508 as *mut u32;

    /// Does `work` while the controller is in `mode`: 1 writes, 2 erases.
    fn with_mode(mode: u32, work: impl FnOnce()) {
        // SAFETY: registers of the controller; nothing else uses it.
        unsafe { CONFIG.write_volatile(mode) };
        work();
        // SAFETY: the same.
        unsafe {
            while READY.read_volatile() == 0 {}
            CONFIG.write_volatile(0);
        }
    }

    /// Erases the page at `address`.
    pub fn erase(address: u32) {
        // SAFETY: the same register block; the address is in flash that holds no code.
        with_mode(2, || unsafe { ERASE_PAGE.write_volatile(address) });
    }

    /// Programs one word: bits go from 1 to 0 only.
    pub fn program(address: u32, word: u32) {
        // SAFETY: flash that holds no code and that nothing borrows.
        with_mode(1, || unsafe { (address as *mut u32).write_volatile(word) });
    }
}

#[cfg(board = "mps2")]
mod chip {
    //! The board has no flash that is written from inside; it is modelled in PSRAM, which a reset
    //! leaves alone, with the rules of a NOR flash.

    /// Bytes erased together.
    pub const PAGE_LEN: u32 = 4096;
    /// Bytes programmed together.
    pub const WRITE_LEN: u32 = 8;
    /// Where it begins.
    pub const FLASH_START: u32 = 0x2100_0000;
    /// Bytes of it.
    pub const FLASH_LEN: u32 = 1 << 20;
    /// Bytes for trust anchor and package together.
    pub const STAGED_LEN: u32 = 32 << 10;
    /// Bytes of the slot.
    pub const SLOT_LEN: u32 = 64 << 10;
    /// Bytes of working memory: profile `small` too.
    pub const WORK_LEN: usize = 10 << 10;

    /// Erases the page at `address`.
    pub fn erase(address: u32) {
        for word in 0..PAGE_LEN / 4 {
            // SAFETY: PSRAM that no Rust value lives in.
            unsafe { (address as *mut u32).add(word as usize).write_volatile(u32::MAX) };
        }
    }

    /// Programs one word: bits go from 1 to 0 only.
    pub fn program(address: u32, word: u32) {
        let cell = address as *mut u32;
        // SAFETY: PSRAM that no Rust value lives in.
        unsafe { cell.write_volatile(cell.read_volatile() & word) };
    }
}

/// A byte of flash.
#[must_use]
pub fn read(address: u32) -> u8 {
    // SAFETY: flash, or the model of it; nothing borrows it.
    unsafe { (address as *const u8).read_volatile() }
}

/// Resets the chip, as a power cut does: `SYSRESETREQ`.
pub fn reset() -> ! {
    const AIRCR: *mut u32 = 0xe000_ed0c as *mut u32;
    loop {
        // SAFETY: this register only resets.
        unsafe { AIRCR.write_volatile(0x05fa_0004) };
    }
}
