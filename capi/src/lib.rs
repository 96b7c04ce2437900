//! The C interface of fwdelta-core: `include/fwdelta.h` with its Rust side.
//!
//! The only `unsafe` code of the device half, and no logic but the order of calls. Pointers are
//! checked in [`pointers`]; exported functions stand in [`ffi`] (packages), [`ffi_delta`],
//! [`ffi_stream`] and [`ffi_two_slots`] (deltas that were authenticated), which share [`calls`];
//! callbacks become core's traits in [`driver`]; [`state`] keeps a machine from call to call;
//! [`sealed`] is how encrypted payloads are opened, [`ffi_keys`] what callbacks for that may be
//! made of; [`session`], [`mod@delta`], [`in_place`], [`stream`] and [`two_slots`] are plain Rust.
//! No allocation, no globals, no I/O.
#![no_std]

mod abi;
mod calls;
mod delta;
mod driver;
mod ffi;
mod ffi_delta;
mod ffi_keys;
mod ffi_policy;
mod ffi_stream;
mod ffi_two_slots;
mod in_place;
mod names;
mod pointers;
mod sealed;
mod session;
mod state;
mod stream;
mod two_slots;

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
