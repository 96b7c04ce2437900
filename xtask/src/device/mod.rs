//! The device half where it will run: builds, gates, and updates in emulators.

mod boards;
mod elf;
mod firmware;
mod gates;
mod install;
mod linux;
mod packages;
mod record;
mod size;

use crate::runner::Runner;
use boards::Extent;

/// What CI does: builds and gates, and a few power cuts on each board.
pub(crate) fn short(runner: &mut Runner) {
    gates::all(runner);
    boards::all(runner, Extent::Short);
    linux::all(runner, false);
}

/// Everything: `cargo xtask device`.
pub(crate) fn all(runner: &mut Runner) {
    gates::all(runner);
    boards::all(runner, Extent::Full);
    linux::all(runner, true);
}

/// Flash and RAM: `cargo xtask size`.
pub(crate) fn size(runner: &mut Runner, write: bool) {
    size::all(runner, write);
}
