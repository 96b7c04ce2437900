//! `cargo xtask size`: flash and RAM that a device needs, compared with what the guide says.

use std::fs;
use std::path::PathBuf;

use super::boards;
use super::elf::Elf;
use super::firmware::{self, Board, M0, M4};
use super::install;
use super::record::{self, Table};
use crate::runner::{Done, Runner, StepResult};
use crate::tool::{command, output};

/// What is linked, and the features of the program that link it.
const PROGRAMS: [(&str, &str); 11] = [
    ("in place, `plain`", "in-place,coder-plain"),
    ("in place, `tiny` and `small`, Thumb", "in-place,isa-thumb,coder-predicted"),
    ("in place, all three, all instruction sets", "in-place,isa-all,coder-plain,coder-predicted"),
    ("to a slot, `plain`", "slots,coder-plain"),
    ("to a slot, `tiny` and `small`, Thumb", "slots,isa-thumb,coder-predicted"),
    ("to a slot, the same, all instruction sets", "slots,isa-all,coder-predicted"),
    ("to a slot, all profiles, all instruction sets", "slots,isa-all,coder-all"),
    ("verifying, signatures by callback", "verify"),
    ("verifying, Ed25519 built in", "verify,ed25519"),
    ("verifying and in place, `plain`, by callback", "verify,in-place,coder-plain"),
    (
        "verifying and in place, `tiny` and `small`, Thumb, Ed25519",
        "verify,in-place,isa-thumb,coder-predicted,ed25519",
    ),
];

/// Largest frames printed.
const FRAME_COUNT: usize = 6;

/// Parts of names of functions that panic.
const PANICS: [&str; 4] = ["panicking", "unwrap_failed", "expect_failed", "index_fail"];

/// Measures; records with `write`, else compares.
pub(super) fn all(runner: &mut Runner, write: bool) {
    let compiler = output(command("rustc").arg("--version")).unwrap_or_default();
    // Without hash and date.
    let compiler = compiler.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let settle = |name: &str, table: &Table| -> StepResult {
        println!("{}", table.text());
        if write {
            return record::write(name, table, &compiler).map(|()| Done::Passed);
        }
        let skipped = record::compare(name, table, &compiler)?;
        Ok(skipped.map_or(Done::Passed, Done::Skipped))
    };
    runner.step("code size and frames", || {
        for board in [M0, M4] {
            if let Err(reason) = install::target(board.target) {
                return Ok(Done::Skipped(reason));
            }
        }
        settle("sizes", &sizes()?)
    });
    let memory = boards::memory(runner);
    let name = "RAM of updates in place";
    match memory {
        Some(table) => runner.step(name, || settle("memory", &table)),
        None => runner.skip(name, "not all of them ran"),
    }
}

/// Builds every program for both cores.
fn sizes() -> Result<Table, String> {
    let columns = ["flash, bytes", "Cortex-M0", "Cortex-M4", "largest frame, M0", "M4"];
    let mut table = Table::new(&columns);
    let empty = [measured(&M0, "")?.0, measured(&M4, "")?.0];
    for (name, features) in PROGRAMS {
        println!("{name}");
        let (m0, m4) = (measured(&M0, features)?, measured(&M4, features)?);
        let lens = [m0.0.saturating_sub(empty[0]), m4.0.saturating_sub(empty[1]), m0.1, m4.1];
        table.rows.push((name.to_owned(), lens.to_vec()));
    }
    Ok(table)
}

/// Bytes of flash and the largest frame.
fn measured(board: &Board, features: &str) -> Result<(u64, u64), String> {
    let path: PathBuf = firmware::for_size(board, features)?;
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let elf = Elf::parse(&bytes).ok_or(format!("{} is no ELF", path.display()))?;
    let frames = elf.frames();
    for (len, name) in frames.iter().take(FRAME_COUNT) {
        println!("    frame of {len} bytes: {name}");
    }
    let panics = elf.symbols().iter().filter(|(name, _)| is_panic(name)).count();
    println!("  {}: {} bytes, {panics} functions that panic", board.target, elf.flash_len());
    if panics > 0 && !features.contains("ed25519") {
        return Err(format!("a program with features {features} can panic"));
    }
    let largest = frames.iter().find(|(_, name)| !is_ours(name));
    Ok((elf.flash_len(), largest.map_or(0, |(len, _)| *len)))
}

fn is_panic(name: &str) -> bool {
    PANICS.iter().any(|part| name.contains(part))
}

/// The program's own functions lend the buffers: their frames say nothing.
fn is_ours(name: &str) -> bool {
    name.contains("4size") || name.is_empty() || name == "main"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_and_the_program_are_known_by_name() {
        assert!(is_panic("_ZN4core9panicking18panic_bounds_check17hE"));
        assert!(!is_panic("_ZN12fwdelta_core5apply4open17hE"));
        assert!(is_ours("_RNvNtCs1_4size8in_place3run") && !is_ours("_ZN4core3ptr17hE"));
    }
}
