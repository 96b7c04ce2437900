//! What others' tools make of our output: each installed from its registry, below target/.

use std::path::{Path, PathBuf};

use crate::python;
use crate::runner::{Done, Runner, StepResult};
use crate::tool::{cargo, command, root, run, step, succeeds, target_dir};

/// Tools that one script needs.
struct Peer {
    step: &'static str,
    script: &'static str,
    modules: &'static [&'static str],
    /// With versions: a new release of another project must not fail our build.
    packages: &'static [&'static str],
}

const PEERS: &[Peer] = &[
    Peer {
        step: "blocks read by cwt",
        script: "tests/independent_cose.py",
        modules: &["cwt", "cbor2", "cryptography"],
        packages: &["cwt==3.3.0"],
    },
    Peer {
        step: "MCUboot images read by imgtool",
        script: "tests/independent_mcuboot.py",
        modules: &["imgtool", "cbor2"],
        packages: &["imgtool==2.5.0"],
    },
    Peer {
        step: "provenance read by in-toto-attestation",
        script: "tests/independent_provenance.py",
        modules: &["in_toto_attestation", "google.protobuf"],
        packages: &["in-toto-attestation==0.9.3"],
    },
];

/// Every tool; one that cannot be had is skipped.
pub(crate) fn all(runner: &mut Runner) {
    runner.step("packages read by suit_validator", packages_by_suit_validator);
    for peer in PEERS {
        runner.step(peer.step, || one(peer));
    }
}

/// Its crates are compiled into a folder of their own, as they are not those of the workspace.
fn packages_by_suit_validator() -> StepResult {
    const MANIFEST: &str = "--locked --manifest-path interop/Cargo.toml";
    if !succeeds(&mut cargo(&format!("fetch {MANIFEST}"))) {
        return Ok(Done::Skipped("suit_validator 0.1.3 cannot be fetched".to_owned()));
    }
    run(&mut cargo("build --bin fwdelta"))?;
    let program = target_dir().join("debug/fwdelta");
    let mut test = cargo(&format!("test {MANIFEST} --target-dir"));
    step(test.arg(target_dir().join("interop")).env("FWDELTA", program))
}

fn one(peer: &Peer) -> StepResult {
    match interpreter(peer) {
        Ok(python) => checked(&python, peer),
        Err(message) => Ok(Done::Skipped(format!("{}: {message}", peer.packages.join(", ")))),
    }
}

fn interpreter(peer: &Peer) -> Result<PathBuf, String> {
    python::of_its_own("python-peers", peer.modules, peer.packages)
}

fn checked(python: &Path, peer: &Peer) -> StepResult {
    run(&mut cargo("build --bin fwdelta"))?;
    let program = target_dir().join("debug/fwdelta");
    step(command(python).arg(root().join(peer.script)).env("FWDELTA", program))
}
