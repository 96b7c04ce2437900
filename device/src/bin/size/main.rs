//! The least that does something, for its code size: features of this package say what. Nothing of
//! it is run.
#![no_std]
#![no_main]

#[cfg(feature = "in-place")]
mod in_place;
#[cfg(any(feature = "in-place", feature = "slots", feature = "verify"))]
mod medium;
#[cfg(feature = "slots")]
mod slots;
#[cfg(feature = "verify")]
mod verify;

use fwdelta_device as _;

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    #[cfg(feature = "verify")]
    medium::keep(&verify::run());
    #[cfg(feature = "in-place")]
    medium::keep(&in_place::run());
    #[cfg(feature = "slots")]
    medium::keep(&slots::run());
    loop {
        core::hint::spin_loop();
    }
}

/// With a signature callback no panic may be left: then nothing refers to `fwdelta_panic`, which is
/// defined nowhere, and the program links. Ed25519 has panics that cannot be proven unreachable.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(not(feature = "ed25519"))]
    {
        // SAFETY: a function without arguments or result.
        unsafe extern "C" {
            fn fwdelta_panic();
        }
        // SAFETY: never linked.
        unsafe { fwdelta_panic() };
    }
    loop {
        core::hint::spin_loop();
    }
}
