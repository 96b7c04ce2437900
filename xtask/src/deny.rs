//! Licences, advisories and sources of dependencies, by cargo-deny and deny.toml.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::runner::{Done, Runner, StepResult};
use crate::tool::{cargo, command, find, step, succeeds, target_dir};

/// Installing takes a minute or two on two idle cores; a slower machine goes on with it next time.
const INSTALL_MAX: Duration = Duration::from_secs(240);

/// Licences and sources need no network once cargo-deny is there; advisories need their database.
pub(crate) fn all(runner: &mut Runner) {
    let tools = target_dir().join("tools");
    let ours = tools.join("bin/cargo-deny");
    let known = find("cargo-deny").or_else(|| Some(ours.clone()).filter(|path| path.is_file()));
    let deny = known.unwrap_or_else(|| {
        runner.step("install cargo-deny", || install(&tools));
        ours
    });
    if !deny.is_file() {
        let reason = "cargo-deny is not installed (cargo install --locked cargo-deny)";
        return runner.skip("licences, sources and advisories of dependencies", reason);
    }
    runner.step("licences and sources of dependencies", || {
        step(command(&deny).args(["--all-features", "check", "bans", "licenses", "sources"]))
    });
    runner.step("advisories on dependencies", || advisories(&deny));
}

/// Without network, or when it takes too long, the checks are skipped and not failed: they are
/// about the world outside, and must not stop work on a train.
fn install(tools: &Path) -> StepResult {
    // Not optimised: it runs for a second, but compiles for minutes otherwise.
    let mut command = cargo("install --quiet --locked --debug cargo-deny --root");
    command.arg(tools).arg("--target-dir").arg(tools.join("build")).stdin(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cargo install: {error}"))?;
    let start = Instant::now();
    while start.elapsed() < INSTALL_MAX {
        match child.try_wait().map_err(|error| format!("cargo install: {error}"))? {
            Some(status) if status.success() => return Ok(Done::Passed),
            Some(status) => return Ok(Done::Skipped(format!("cargo install: {status}"))),
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    }
    child.kill().and_then(|()| child.wait()).map_err(|error| format!("cargo install: {error}"))?;
    Ok(Done::Skipped(format!("took longer than {} s", INSTALL_MAX.as_secs())))
}

fn advisories(deny: &Path) -> StepResult {
    if !succeeds(command(deny).args(["fetch", "db"])) {
        return Ok(Done::Skipped("the advisory database cannot be fetched".to_owned()));
    }
    step(command(deny).args(["--all-features", "check", "advisories"]))
}
