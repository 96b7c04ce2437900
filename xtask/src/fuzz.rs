//! Fuzz targets under libFuzzer. Coverage instrumentation needs no nightly compiler; only the
//! address sanitizer does, so every build machine fuzzes and the nightly run adds the sanitizer.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use crate::runner::{Done, Runner};
use crate::suite::files;
use crate::tool::{cargo, command, output, root, run, succeeds, target_dir};

/// How targets are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// With the toolchain of the project.
    Plain,
    /// With the nightly toolchain and the address sanitizer.
    Sanitized,
    /// To count the lines that are reached, which takes no fuzzer.
    Counted,
}

/// What `cargo fuzz` passes for coverage, and the checks a release build leaves out.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";

/// What counts lines, with the checks of [`FLAGS`].
const COUNTING: &str = "-Cinstrument-coverage --cfg fuzzing -Cdebug-assertions -Coverflow-checks";

/// What all targets together may take on the build machine, however many there are.
const TOTAL_MAX: Duration = Duration::from_secs(180);

/// Targets of the short run: the build machine has 20 minutes, and building them takes longer than
/// running them. Nightly runs all.
const SHORT: [&str; 6] = ["apply", "delta", "predicted", "envelope", "trust", "index"];

/// A short run of some targets, within [`TOTAL_MAX`].
pub(crate) fn short(runner: &mut Runner) {
    let time = fair_time(Duration::from_secs(5), SHORT.len(), jobs());
    some(runner, &SHORT.map(str::to_owned), time, Build::Plain);
}

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs each target for `time`.
pub(crate) fn all(runner: &mut Runner, time: Duration, wanted: Build) {
    some(runner, &names(), time, wanted);
}

/// Runs the targets that `wanted` lists, separated by commas, for `time` each.
pub(crate) fn named(runner: &mut Runner, wanted: &str, time: Duration) {
    match listed(wanted, &names()) {
        Ok(names) => some(runner, &names, time, Build::Plain),
        Err(reason) => runner.step("fuzz targets", || Err(reason.clone())),
    }
}

/// The names in a list, if there are targets of these names.
fn listed(wanted: &str, names: &[String]) -> Result<Vec<String>, String> {
    let each = wanted.split(',').map(|name| match names.iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("there is no fuzz target {name}, but: {}", names.join(", "))),
    });
    each.collect()
}

/// Runs each of the targets `names` for `time`.
pub(crate) fn some(runner: &mut Runner, names: &[String], time: Duration, wanted: Build) {
    if !root().join("fuzz/Cargo.toml").is_file() {
        return runner.skip("fuzz", "there is no fuzz/Cargo.toml");
    }
    let build = match wanted {
        Build::Sanitized if !has_nightly() => {
            runner.skip("address sanitizer", "there is no nightly toolchain; fuzzing without");
            Build::Plain
        }
        other => other,
    };
    let mut built = Err("not built".to_owned());
    runner.step("build fuzz targets", || {
        built = compile(build, names);
        built.clone().map(|_| Done::Passed)
    });
    let Ok(dir) = built else { return };
    for group in names.chunks(jobs()) {
        runner.step(&format!("fuzz {} for {} s", group.join(", "), time.as_secs()), || {
            std::thread::scope(|scope| {
                let runs: Vec<_> =
                    group.iter().map(|name| scope.spawn(|| one(&dir, name, time))).collect();
                let results = runs.into_iter().map(|run| {
                    run.join().unwrap_or_else(|_| Err("the fuzz thread panicked".to_owned()))
                });
                results.collect::<Result<Vec<()>, String>>().map(|_| Done::Passed)
            })
        });
    }
}

fn fair_time(time: Duration, targets: usize, jobs: usize) -> Duration {
    let rounds = targets.div_ceil(jobs).max(1) as u32;
    time.min(TOTAL_MAX / rounds).max(Duration::from_secs(1))
}

fn has_nightly() -> bool {
    succeeds(command("rustup").args(["run", "nightly", "cargo", "--version"]))
}

/// Builds the targets `names`; gives the folder of the programs.
pub(crate) fn compile(build: Build, names: &[impl AsRef<str>]) -> Result<PathBuf, String> {
    let host = host()?;
    let bins: String = names.iter().map(|name| format!("--bin {} ", name.as_ref())).collect();
    let args = format!("build --release --manifest-path fuzz/Cargo.toml {bins} --target {host}");
    let (mut command, flags, folder) = match build {
        Build::Plain => (cargo(&args), FLAGS.to_owned(), "fuzz"),
        Build::Counted => (cargo(&args), COUNTING.to_owned(), "fuzz-counted"),
        Build::Sanitized => {
            let mut nightly = command("rustup");
            nightly.args(["run", "nightly", "cargo"]).args(args.split_whitespace());
            nightly.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC").env_remove("CARGO");
            (nightly, format!("{FLAGS} -Zsanitizer=address"), "fuzz-sanitized")
        }
    };
    let target = target_dir().join(folder);
    run(command.arg("--target-dir").arg(&target).env("RUSTFLAGS", flags))?;
    Ok(target.join(host).join("release"))
}

/// Named explicitly, so that build scripts are not instrumented.
pub(crate) fn host() -> Result<String, String> {
    let version = output(command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or("rustc -vV names no host".to_owned())
}

/// One target per file of fuzz/fuzz_targets.
fn names() -> Vec<String> {
    let found = files(&root().join("fuzz/fuzz_targets"), "rs").unwrap_or_default();
    let stems = found.iter().filter_map(|path| path.file_stem()?.to_str().map(str::to_owned));
    stems.collect()
}

/// Starts from what earlier runs found, the committed seeds and all past regressions.
fn one(dir: &Path, name: &str, time: Duration) -> Result<(), String> {
    let found = found_dir(name);
    let artifacts = target_dir().join("fuzz-artifacts").join(name);
    for dir in [&found, &artifacts] {
        std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    let mut fuzzer = command(dir.join(name));
    fuzzer
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-rss_limit_mb=2048", "-timeout=10", "-print_final_stats=1"])
        .arg(&found);
    fuzzer.args(committed_dirs(name));
    let out = fuzzer.output().map_err(|error| format!("{name}: {error}"))?;
    report(name, &out)
}

/// What fuzzing has found on this machine.
pub(crate) fn found_dir(name: &str) -> PathBuf {
    target_dir().join("fuzz-corpus").join(name)
}

/// Seeds and past regressions, as far as there are any.
pub(crate) fn committed_dirs(name: &str) -> impl Iterator<Item = PathBuf> {
    let dirs = ["fuzz/seeds", "testdata/regressions"].map(|dir| root().join(dir).join(name));
    dirs.into_iter().filter(|dir| dir.is_dir())
}

/// libFuzzer talks on standard error; of a good run only the end matters.
fn report(name: &str, out: &Output) -> Result<(), String> {
    let text = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        println!("{text}");
        return Err(format!("{name}: {}; the input is in target/fuzz-artifacts", out.status));
    }
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let runs = value("stat::number_of_executed_units:").unwrap_or("?");
    let rate = value("stat::average_exec_per_sec:").unwrap_or("?");
    println!("{name}: {runs} runs without a finding, {rate} per second");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_called_by_its_name() {
        let names = ["apply", "delta"].map(str::to_owned);
        assert_eq!(listed("delta,apply", &names).unwrap(), ["delta", "apply"]);
        for wrong in ["delt", "", "apply,", "apply delta"] {
            assert!(listed(wrong, &names).unwrap_err().contains("apply, delta"), "{wrong}");
        }
    }

    #[test]
    fn many_targets_share_the_time() {
        let want = Duration::from_secs(15);
        assert_eq!(fair_time(want, 1, 2), want);
        assert_eq!(fair_time(want, 24, 2), want);
        assert_eq!(fair_time(want, 40, 2), Duration::from_secs(9));
        assert_eq!(fair_time(want, 100_000, 2), Duration::from_secs(1));
    }
}
