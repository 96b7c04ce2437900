//! The test suites: workspace, C interface, independent Python reader.

use std::path::{Path, PathBuf};

use crate::runner::{Done, Runner, StepResult};
use crate::tool::{cargo, command, find, root, run, step, target_dir};
use crate::{interoperability, python};

/// Set for the slow, complete form of tests that otherwise sample (every byte flip, every cut).
const EXHAUSTIVE: &str = "FWDELTA_EXHAUSTIVE";

/// Set for tests that then write what they otherwise compare with.
const REGENERATE: &str = "FWDELTA_REGENERATE";

/// What the README promises of `cargo xtask test`.
pub(crate) fn all(runner: &mut Runner) {
    runner.step("workspace tests", || step(&mut cargo("test --workspace --no-fail-fast")));
    runner.step("core tests without features", || step(&mut cargo("test --package fwdelta-core")));
    runner.step("adapters", || step(&mut cargo("test --package fwdelta-adapters --all-features")));
    others(runner);
}

/// The same, optimised and with every sample widened to all. Deltas are compared with the stored
/// ones in both builds: they may not depend on how the generator was compiled.
pub(crate) fn exhaustive(runner: &mut Runner) {
    runner.step("stored deltas, not optimised", || {
        step(&mut cargo("test --test stored_deltas --test vectors"))
    });
    runner.step("exhaustive workspace tests", || {
        step(cargo("test --workspace --release --no-fail-fast").env(EXHAUSTIVE, "1"))
    });
    others(runner);
    runner.step("C programs under valgrind", c_programs_under_valgrind);
    runner.step("exhaustive C interface tests", || {
        let target = target_dir().join("capi");
        let args = "test --manifest-path capi/Cargo.toml --test c --target-dir";
        step(cargo(args).arg(target).env(EXHAUSTIVE, "1"))
    });
}

/// Golden vectors, stored deltas, seeds of the fuzz targets, the README's table of sizes, and the
/// packages of the C programs.
pub(crate) fn vectors(runner: &mut Runner) {
    runner.step("golden vectors", || {
        let tests = "test --test vectors --test encryption --test stored_deltas --test fuzz_seeds";
        step(cargo(tests).env(REGENERATE, "1"))
    });
    runner.step("sizes in the README", || {
        step(cargo("test --test cli the_readme_has").env(REGENERATE, "1"))
    });
    runner.step("packages for the C programs", || {
        run(&mut cargo("build --bin fwdelta"))?;
        let program = target_dir().join("debug/fwdelta");
        step(command(root().join("capi/tests/make-packages.sh")).env("FWDELTA", program))
    });
}

fn others(runner: &mut Runner) {
    // `tests/signing.rs` needs it, and its output is not seen where it passes.
    if find("softhsm2-util").is_none() {
        runner.skip("signing with a key in a token", "softhsm2 is not installed");
    }
    if root().join("capi/Cargo.toml").is_file() {
        runner.step("C interface tests", c_interface);
    } else {
        runner.skip("C interface tests", "there is no capi/Cargo.toml yet");
    }
    let script = root().join("tests/independent_reader.py");
    if script.is_file() {
        runner.step("independent Python reader", || independent_reader(&script));
    } else {
        runner.skip("independent Python reader", "there is no tests/independent_reader.py yet");
    }
    runner.step("descriptors by schema", descriptors_by_schema);
    interoperability::all(runner);
}

/// The reader is given the command built here, and makes its own packages with it.
fn independent_reader(script: &Path) -> StepResult {
    run(&mut cargo("build --bin fwdelta"))?;
    let python = python::with_modules(&["cbor2", "cryptography"])?;
    step(
        command(python)
            .arg(script)
            .env("FWDELTA", target_dir().join("debug/fwdelta"))
            .env("FWDELTA_TESTDATA", root().join("testdata")),
    )
}

/// Descriptors of the command built here, read by libxml2 and checked against docs/schemas.
fn descriptors_by_schema() -> StepResult {
    run(&mut cargo("build --bin fwdelta"))?;
    let python = python::with_modules(&["lxml"])?;
    step(
        command(python)
            .arg(root().join("tests/independent_descriptors.py"))
            .env("FWDELTA", target_dir().join("debug/fwdelta"))
            .env("FWDELTA_DOCS", root().join("docs")),
    )
}

/// Builds the static library as shipped; gives its path.
pub(crate) fn build_static_library() -> Result<PathBuf, String> {
    let target = target_dir().join("capi");
    run(cargo("build --release --manifest-path capi/Cargo.toml --target-dir").arg(&target))?;
    let dir = target.join("release");
    files(&dir, "a")?.pop().ok_or(format!("no static library in {}", dir.display()))
}

/// `capi/tests/c.rs` builds the libraries and compiles and runs the C programs.
fn c_interface() -> StepResult {
    let target = target_dir().join("capi");
    step(cargo("test --manifest-path capi/Cargo.toml --target-dir").arg(target))
}

/// The same programs once more, with fewer power cuts: valgrind is slow.
fn c_programs_under_valgrind() -> StepResult {
    let Some(valgrind) = find("valgrind") else {
        return Ok(Done::Skipped("valgrind is not installed".to_owned()));
    };
    let target = target_dir().join("capi");
    let args = "test --manifest-path capi/Cargo.toml --test c --target-dir";
    step(cargo(args).arg(target).env("FWDELTA_VALGRIND", valgrind))
}

/// Files of `dir` that end in `extension`, sorted by name.
pub(crate) fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_files_by_extension_in_order() {
        let found = files(&root().join("xtask/src"), "rs").unwrap();
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(found.iter().any(|path| path.ends_with("suite.rs")));
        assert!(files(&root().join("no-such-folder"), "rs").is_err());
    }
}
