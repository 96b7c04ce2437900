//! Updates in place, and cuts its own power once: `apply OPERATION MODE` (see `nor::Cut`).
//!
//! At the first start the flash gets its content from files of the host: `old`, `package`,
//! `trust`. Every start is what a device does: verify the staged package, then begin, resume or be
//! done. In the end the slot goes to the file `new.out`, and figures are printed.
#![no_std]
#![no_main]

mod factory;
mod update;

use fwdelta_core::Error;
use fwdelta_device::nor::{Cut, Note};
use fwdelta_device::semihosting::{arguments, exit, report};

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    let [at, mode] = arguments();
    if Note::Made.number().is_none() && !factory::make() {
        report("error host", 0);
        exit(false);
    }
    let was_cut = Note::Cut.number().is_some();
    report("starts", if was_cut { 2 } else { 1 });
    let at = if was_cut { 0 } else { at };
    let cut = Cut::at(at, mode);
    match update::start(&cut) {
        Ok(()) => exit(factory::dump()),
        Err(Error { detail, pos, .. }) => {
            report("error detail", detail as u64);
            report("error position", pos);
            exit(false)
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    report("error panic", 1);
    exit(false)
}
