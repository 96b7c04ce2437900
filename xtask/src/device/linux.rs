//! Tests of core on 32-bit Linux: armv7 in the user-mode emulator, i686 natively.

use std::process::Command;

use super::install;
use crate::runner::{Done, Runner, StepResult};
use crate::tool::{cargo, run};

const ARM: &str = "armv7-unknown-linux-gnueabihf";
const INTEL: &str = "i686-unknown-linux-musl";

/// Unit tests of core. `more` runs golden vectors, stored deltas and updates in place of the host
/// library too, cross-compiled: the same bytes come out of a machine with 32 bits. Not those that
/// start the command, which would be a program of that machine.
pub(super) fn all(runner: &mut Runner, more: bool) {
    let core = format!("--package fwdelta-core --target {ARM}");
    runner.step("core on armv7 Linux", || on_arm(&core));
    runner.step("core on i686 Linux", || on_intel("--package fwdelta-core"));
    if more {
        let tests = "--package fwdelta --test vectors --test stored_deltas --test in_place";
        let tests = format!("{tests} --target {ARM} -- --skip the_command");
        runner.step("vectors and deltas on armv7 Linux", || on_arm(&tests));
    }
}

fn on_arm(tests: &str) -> StepResult {
    // The compiler alone has no C library to link with.
    let needed = install::target(ARM)
        .and_then(|()| install::program("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf"))
        .and_then(|_| install::file("/usr/arm-linux-gnueabihf/lib/crti.o", "libc6-dev-armhf-cross"))
        .and_then(|()| install::program("qemu-arm-static", "qemu-user-static"));
    if let Err(reason) = needed {
        return Ok(Done::Skipped(reason));
    }
    let runner = "qemu-arm-static -L /usr/arm-linux-gnueabihf";
    test(tests, ARM, &[("LINKER", "arm-linux-gnueabihf-gcc"), ("RUNNER", runner)])
}

/// With musl and the compiler's own linker, so that no C library of 32 bits is needed.
fn on_intel(tests: &str) -> StepResult {
    if !cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
        return Ok(Done::Skipped("this machine does not run i686 programs".to_owned()));
    }
    if let Err(reason) = install::target(INTEL) {
        return Ok(Done::Skipped(reason));
    }
    let tests = format!("{tests} --target {INTEL}");
    test(&tests, INTEL, &[("LINKER", "rust-lld")])
}

fn test(tests: &str, target: &str, settings: &[(&str, &str)]) -> StepResult {
    let mut command: Command = cargo(&format!("test {tests}"));
    let prefix = format!("CARGO_TARGET_{}", target.to_uppercase().replace('-', "_"));
    for (name, value) in settings {
        command.env(format!("{prefix}_{name}"), value);
    }
    run(&mut command).map(|()| Done::Passed)
}
