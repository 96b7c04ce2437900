//! Project tasks: `cargo xtask --help`.

mod corpus;
mod coverage;
mod deny;
mod device;
mod extremes;
mod fuzz;
mod in_place;
mod interoperability;
mod lint;
mod measure;
mod mutants;
mod peers;
mod python;
mod runner;
mod speed;
mod suite;
mod tool;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use runner::Runner;

const HELP: &str = "\
Project tasks. Usage: cargo xtask TASK

  test          what a contributor runs: tests of the workspace and of the C interface, the
                independent Python reader, and what others' tools make of our output
  interoperability
                only what others' tools make of our output
  ci            what the build machine runs: formatting, lints, documentation, dependency rules,
                everything in `test`, device builds, the no-panic gate, a short form of `device`,
                `size`, a short run of six fuzz targets; the last two where the rest left time.
                Under 20 minutes on two cores from a cold cache
  nightly [SECONDS]
                slow and exhaustive: stored deltas in both builds, optimised tests over every byte
                flip, C programs under valgrind, `mutants`, `device`, `size`, every fuzz target with
                the address sanitizer for SECONDS (default 600), what they reach, `extremes`, and
                DIR of `corpus` when FWDELTA_CORPUS names it
  fuzz [SECONDS [TARGET,...]]
                every fuzz target, or those named, for SECONDS each (default 60)
  coverage [SECONDS]
                which lines of the decoders and of verification their fuzz targets reach, from
                seeds and what fuzzing has found here, after SECONDS more for each (default 0);
                fails below 85 % and 84 % for all of them together
  device [--short]
                builds for microcontrollers, and updates in emulators (Cortex-M0 and M4) with the
                power cut in the middle; RAM and stack are printed; tests on 32-bit Linux. Installs
                targets and emulators by name where it can. --short as in `ci`
  size [--write]
                code size, largest frames and RAM on Cortex-M0 and M4, compared with the tables of
                docs/device-guide.md; fails if they grew by more than 3 % and 256 bytes. --write
                records them there
  extremes      time, size and memory of deltas of noise, zeros, periodic, shifted and sorted data,
                with bounded memory and of images above 4 GiB; takes 10 GB of disk
  corpus DIR    for each pair DIR/*/{old,new}: build, approve for two operators, verify, apply
                and compare, in both profiles; prints sizes beside bsdiff's
  inplace DIR   for each pair of DIR (mcu*, if there are): what updating in place costs with 1
                to 8 spare pages, beside detools
  mutants [verification | power | PART]
                mistakes made on purpose: in the protocol of updates in place, where the power-cut
                simulator has to find every one, and in the verification path, where the test of the
                hole that a check closes has to. Only the latter, only the former, or only those
                with PART in their name, if that is given
  peers [--corpus DIR] [--only PAIR,...] [--tools NAME,...] [--json FILE] [--timeout SECONDS]
        [--resume]
                other people's delta tools, installed below target/peers, and ours on the pairs
                of DIR (default testdata/firmware): sizes, times and memory as JSON (default
                target/peers/peers.json), tables in docs/benchmarks.md and plots in docs/plots,
                or all below target/peers with --tools. A run that takes longer than SECONDS
                (default 600) is given up; --resume keeps what FILE has of the rivals
  speed DIR     how fast deltas of the pairs of DIR are applied, of which new has 1 MB or more, in
                memory and one thread, beside HDiffPatch in the same run: a table and medians
  vectors       make testdata/vectors, testdata/deltas, testdata/capi, the fuzz targets' seeds and
                the README's table of sizes anew; only when a format changes
  --help        this text

A step that cannot run says SKIPPED and why, on its own line and again in the summary. The exit
code is 0 only when no step failed.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut runner = Runner::default();
    match args.as_slice() {
        ["test"] => suite::all(&mut runner),
        ["ci"] => ci(&mut runner),
        ["nightly"] => nightly(&mut runner, Duration::from_secs(600)),
        ["nightly", seconds] if seconds.parse::<u64>().is_ok() => {
            nightly(&mut runner, Duration::from_secs(seconds.parse().unwrap_or(600)));
        }
        ["fuzz"] => fuzz::all(&mut runner, Duration::from_secs(60), fuzz::Build::Plain),
        ["fuzz", seconds] if seconds.parse::<u64>().is_ok() => {
            let seconds = seconds.parse().unwrap_or(60);
            fuzz::all(&mut runner, Duration::from_secs(seconds), fuzz::Build::Plain);
        }
        ["fuzz", seconds, names] if seconds.parse::<u64>().is_ok() => {
            let seconds = seconds.parse().unwrap_or(60);
            fuzz::named(&mut runner, names, Duration::from_secs(seconds));
        }
        ["coverage"] => coverage::all(&mut runner, Duration::ZERO),
        ["coverage", seconds] if seconds.parse::<u64>().is_ok() => {
            coverage::all(&mut runner, Duration::from_secs(seconds.parse().unwrap_or(0)));
        }
        ["device"] => device::all(&mut runner),
        ["device", "--short"] => device::short(&mut runner),
        ["size"] => device::size(&mut runner, false),
        ["size", "--write"] => device::size(&mut runner, true),
        ["extremes"] => extremes::all(&mut runner),
        ["interoperability"] => interoperability::all(&mut runner),
        ["speed", dir] => speed::all(&mut runner, &PathBuf::from(dir)),
        ["vectors"] => suite::vectors(&mut runner),
        ["inplace", dir] => in_place::all(&mut runner, &PathBuf::from(dir)),
        ["mutants"] => mutants::all(&mut runner, None),
        ["mutants", only] => mutants::all(&mut runner, Some(only)),
        ["corpus", dir] => corpus::all(&mut runner, &PathBuf::from(dir)),
        ["peers", options @ ..] => peers::all(&mut runner, options),
        ["--help" | "-h" | "help"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    }
    runner.finish()
}

/// A run that has taken longer has no time left to fuzz.
const FUZZED_BEFORE: Duration = Duration::from_secs(14 * 60);
/// The same, to build what code size is measured on.
const MEASURED_BEFORE: Duration = Duration::from_secs(16 * 60);

/// Cheap steps first: a contributor with a formatting slip learns it in seconds.
fn ci(runner: &mut Runner) {
    lint::all(runner);
    suite::all(runner);
    device::short(runner);
    // Both build for minutes; nightly does them on any machine, and fuzzes for longer.
    let late = "no time is left of 20 minutes on a machine as slow as this";
    match runner.time() < MEASURED_BEFORE {
        true => device::size(runner, false),
        false => runner.skip("code size and frames", late),
    }
    match runner.time() < FUZZED_BEFORE {
        true => fuzz::short(runner),
        false => runner.skip("fuzz", late),
    }
}

fn nightly(runner: &mut Runner, fuzzed: Duration) {
    lint::nightly(runner);
    deny::all(runner);
    suite::exhaustive(runner);
    mutants::all(runner, None);
    device::all(runner);
    device::size(runner, false);
    fuzz::all(runner, fuzzed, fuzz::Build::Sanitized);
    coverage::all(runner, Duration::ZERO);
    extremes::all(runner);
    match std::env::var_os("FWDELTA_CORPUS") {
        Some(dir) => corpus::all(runner, &PathBuf::from(dir)),
        None => runner.skip("corpus", "FWDELTA_CORPUS does not name a folder of pairs"),
    }
}
