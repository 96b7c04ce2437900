//! Formatting, lints and documentation, all without warnings.

use crate::runner::{Done, Runner};
use crate::tool::{cargo, root, run, step, target_dir};

/// Packages outside the workspace, with what of them can be compiled as a test would be.
const OUTSIDE: [(&str, &str); 2] = [
    ("capi", "--lib --tests --features esp256,ml-dsa-44,encryption-software"),
    ("interop", "--all-targets"),
];
/// The same, but linted nightly: all that it depends on is checked anew for it.
const NIGHTLY: (&str, &str) = ("fuzz", "--bins");

/// All of them.
pub(crate) fn all(runner: &mut Runner) {
    runner.step("formatting", || {
        run(&mut cargo("fmt --all -- --check"))?;
        for name in present() {
            run(&mut cargo(&format!("fmt --manifest-path {name}/Cargo.toml -- --check")))?;
        }
        Ok(Done::Passed)
    });
    runner
        .step("clippy", || step(&mut cargo("clippy --workspace --all-targets -- --deny warnings")));
    runner.step("clippy of the adapters", || {
        let args = "clippy --package fwdelta-adapters --all-features --all-targets";
        step(cargo(args).args(["--", "--deny", "warnings"]))
    });
    for package in OUTSIDE {
        clippy_of(runner, package);
    }
    runner.step("documentation", || {
        step(cargo("doc --workspace --no-deps").env("RUSTDOCFLAGS", "--deny warnings"))
    });
}

/// What [`all`] leaves out.
pub(crate) fn nightly(runner: &mut Runner) {
    clippy_of(runner, NIGHTLY);
}

fn clippy_of(runner: &mut Runner, (name, targets): (&str, &str)) {
    let step_name = format!("clippy of {name}");
    if !root().join(name).join("Cargo.toml").is_file() {
        return runner.skip(&step_name, &format!("there is no {name}/Cargo.toml yet"));
    }
    runner.step(&step_name, || {
        let args = format!("clippy --manifest-path {name}/Cargo.toml {targets} --target-dir");
        step(cargo(&args).arg(target_dir().join(name)).args(["--", "--deny", "warnings"]))
    });
}

/// `device` compiles for other machines only: its lints run where their targets are installed.
fn present() -> impl Iterator<Item = &'static str> {
    let names = OUTSIDE.into_iter().map(|(name, _)| name).chain([NIGHTLY.0, "device"]);
    names.filter(|name| root().join(name).join("Cargo.toml").is_file())
}
