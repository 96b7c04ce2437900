//! The C interface of fwdelta-core: `include/fwdelta.h` with its Rust side.
//!
//! The only `unsafe` code of the device half, and no logic but the order of calls: pointers are
//! checked in [`ffi`], callbacks become core's traits in [`driver`], [`session`] is plain safe
//! Rust. No allocation, no globals, no I/O.
#![no_std]

mod abi;
mod driver;
mod ffi;
mod names;
mod session;

/// A panic is not part of the interface: core has no path to one, and in the build with the
/// signature callback none is left in the library. So `fwdelta_panic` is declared and never
/// defined here: should a path creep in, the C link fails. The build with built-in Ed25519 keeps
/// some, so there the application defines it (and resets the device).
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: this is how the header declares it.
    unsafe extern "C" {
        fn fwdelta_panic();
    }
    // SAFETY: a function of the application without arguments or result.
    unsafe { fwdelta_panic() };
    // It must not return; if it does, the device stands still instead of going on.
    #[allow(clippy::empty_loop)]
    loop {}
}
