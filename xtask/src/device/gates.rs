//! What a device links: builds without `std` and `alloc`, and the no-panic gate.

use super::install;
use crate::runner::{Done, Runner, StepResult};
use crate::suite::build_static_library;
use crate::tool::{cargo, command, find, output, root, run};

/// Bare-metal targets: no `std` exists for them, so a build proves that none is used.
const TARGETS: [&str; 2] = ["thumbv6m-none-eabi", "thumbv7em-none-eabi"];

/// Instruction sets that a device may leave out, and with each what needs a dependency.
const FEATURES: [&str; 9] = [
    "",
    "isa-a32",
    "isa-a64",
    "isa-mips",
    "isa-riscv",
    "isa-thumb",
    "isa-x86",
    "isa-xtensa",
    "isa-thumb,ed25519",
];

/// Parts of symbol names that mean a panic can be reached (or memory allocated).
const FORBIDDEN: [&str; 9] = [
    "fwdelta_panic",
    "rust_begin_unwind",
    "index_fail",
    "core9panicking",
    "core..panicking",
    "unwrap_failed",
    "expect_failed",
    "__rust_alloc",
    "__rust_no_alloc_shim",
];

/// All of them.
pub(crate) fn all(runner: &mut Runner) {
    runner.step("core depends on neither std nor alloc", features_are_off);
    runner.step("core with one instruction set, or none", one_by_one);
    for target in TARGETS {
        runner.step(&format!("core for {target}"), || build_for(target));
    }
    if root().join("capi/Cargo.toml").is_file() {
        runner.step("no panic in the C library", no_panic);
    } else {
        runner.skip("no panic in the C library", "there is no capi/Cargo.toml yet");
    }
}

/// No dependency of core is built with its `std` or `alloc` feature.
fn features_are_off() -> StepResult {
    let args = "tree --package fwdelta-core --all-features --edges normal,features --prefix none";
    let tree = output(&mut cargo(args))?;
    let core = tree.lines().any(|line| line.starts_with("fwdelta-core "));
    let on = |line: &&str| line.contains("feature \"std\"") || line.contains("feature \"alloc\"");
    match tree.lines().find(on) {
        _ if !core => Err("cargo tree does not list fwdelta-core".to_owned()),
        Some(line) => Err(format!("a dependency of core is built with {line}")),
        None => Ok(Done::Passed),
    }
}

/// What is left out leaves nothing unused behind, and nothing else missing.
fn one_by_one() -> StepResult {
    for features in FEATURES {
        let args = format!(
            "clippy --package fwdelta-core --no-default-features {}",
            match features {
                "" => String::new(),
                some => format!("--features {some} "),
            }
        );
        run(cargo(&args).args(["--", "--deny", "warnings"]))?;
    }
    Ok(Done::Passed)
}

fn build_for(target: &str) -> StepResult {
    if let Err(reason) = install::target(target) {
        return Ok(Done::Skipped(reason));
    }
    let args = format!("build --package fwdelta-core --release --target {target}");
    run(&mut cargo(&args))?;
    run(&mut cargo(&format!("{args} --all-features")))?;
    Ok(Done::Passed)
}

/// The shipped archive names no function that panics, and none that allocates.
fn no_panic() -> StepResult {
    let library = build_static_library()?;
    let nm = find("nm").ok_or("no `nm`: install binutils")?;
    let symbols = output(command(nm).arg(&library))?;
    let ours = symbols.lines().filter(|line| line.contains(" T fwdelta_")).count();
    if ours == 0 {
        return Err(format!("{} exports nothing named fwdelta_*", library.display()));
    }
    let found = forbidden(&symbols);
    if found.is_empty() {
        println!("{ours} exported functions, no symbol that panics or allocates");
        return Ok(Done::Passed);
    }
    Err(format!("{} names: {}", library.display(), found.join(", ")))
}

fn forbidden(symbols: &str) -> Vec<&str> {
    let names = symbols.lines().filter_map(|line| line.split_whitespace().last());
    let mut found: Vec<_> =
        names.filter(|name| FORBIDDEN.iter().any(|part| name.contains(part))).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_sees_panics_in_both_manglings_and_allocation() {
        let clean = "0000 T fwdelta_verify\n                 U memcpy\n";
        assert!(forbidden(clean).is_empty());
        for name in [
            "_ZN4core9panicking5panic17h0123456789abcdefE",
            "_RNvNtCs1234_4core9panicking18panic_bounds_check",
            "_ZN4core6option13unwrap_failed17h0123456789abcdefE",
            "_RNvNtNtCs1234_4core5slice5index16slice_index_fail",
            "fwdelta_panic",
            "__rust_alloc",
        ] {
            assert_eq!(forbidden(&format!("{clean}0000 U {name}\n")), [name]);
        }
    }
}
