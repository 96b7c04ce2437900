//! How far the stack came down: RAM was painted at start-up.

const PAINT: u32 = 0xa5a5_a5a5;

// SAFETY: both are what the linker script defines.
unsafe extern "C" {
    static mut _ram_start: u32;
    static _stack_top: u32;
}

fn bottom() -> *mut u32 {
    &raw mut _ram_start
}

fn top() -> *const u32 {
    &raw const _stack_top
}

/// Bytes between the top of the stack and the lowest word that was ever written.
#[must_use]
#[inline(never)]
pub fn peak() -> usize {
    let (mut word, top) = (bottom().cast_const(), top());
    // SAFETY: all of it is RAM, and reads are volatile.
    while word < top && unsafe { word.read_volatile() } == PAINT {
        word = word.wrapping_add(1);
    }
    top.addr() - word.addr()
}

/// Paints again what is free now, so that the next peak is that of what follows.
#[inline(never)]
pub fn paint() {
    let marker = 0u32;
    // The frame of this function stays as it is.
    let end = (&raw const marker).wrapping_sub(16);
    let mut word = bottom();
    while word.cast_const() < end {
        // SAFETY: RAM below the stack pointer belongs to nobody: there are no interrupts.
        unsafe { word.write_volatile(PAINT) };
        word = word.wrapping_add(1);
    }
}

/// Bytes of RAM, static data included.
#[must_use]
pub fn len() -> usize {
    top().addr() - bottom().addr()
}
