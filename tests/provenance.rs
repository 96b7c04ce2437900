//! Bills of materials and statements of provenance, from the command.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const IMAGES: [&str; 6] = ["--old", "old.bin", "--new", "new.bin", "--sequence", "7"];

/// A folder with images, a key and a trust file.
fn desk() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let old: Vec<u8> = (0..4096u32).map(|i| ((i * i) >> 3) as u8).collect();
    let mut new = old.clone();
    new[1000..1008].copy_from_slice(b"new text");
    write("old.bin", &old);
    write("new.bin", &new);
    write("bom.json", br#"{"bomFormat": "CycloneDX"}"#);
    write("other.json", br#"{"bomFormat": "CycloneDX", "version": 2}"#);
    write(
        "trust.toml",
        b"version = 1\n[vendor]\nkeys = [\"vendor.pub\"]\n[device]\nno_sim = \"apply\"\n",
    );
    assert!(run(dir.path(), &["keygen", "--out", "vendor"]).status.success());
    dir
}

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fwdelta"));
    command.env_remove("SOURCE_DATE_EPOCH").current_dir(dir).args(args).output().unwrap()
}

#[track_caller]
fn json(dir: &Path, args: &[&str]) -> Value {
    let output = run(dir, &[args, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Fails with words in its message.
#[track_caller]
fn fails(dir: &Path, args: &[&str], words: &str) {
    let output = run(dir, args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains(words), "{args:?}: {stderr}");
}

#[test]
fn the_signed_text_carries_the_digest_of_the_bill_of_materials() {
    let desk = desk();
    let dir = desk.path();
    let build = [&["build"][..], &IMAGES, &["--key", "vendor.key", "-o", "update.suit"]].concat();
    json(dir, &[&build[..], &["--sbom", "bom.json"]].concat());
    let digest = fwdelta::core::hash::sha256(&std::fs::read(dir.join("bom.json")).unwrap());
    let digest = fwdelta::hex::hex(&digest);
    let said = json(dir, &["inspect", "update.suit"]);
    assert_eq!(said["sbom_sha256"], digest);
    assert_eq!(said["text_languages"], serde_json::json!(["en"]), "it is no language");

    let verify = ["verify", "update.suit", "--trust", "trust.toml", "--sim", "none"];
    let said = json(dir, &verify);
    assert_eq!((&said["sbom_sha256"], &said["sbom_checked"]), (&digest.into(), &false.into()));
    let said = json(dir, &[&verify[..], &["--sbom", "bom.json"]].concat());
    assert_eq!(said["sbom_checked"], true);
    fails(dir, &[&verify[..], &["--sbom", "other.json"]].concat(), "not the bill of materials");
    fails(dir, &[&verify[..], &["--sbom", "missing.json"]].concat(), "cannot read missing.json");

    json(dir, &build);
    assert_eq!(json(dir, &["inspect", "update.suit"])["sbom_sha256"], Value::Null);
    fails(dir, &[&verify[..], &["--sbom", "bom.json"]].concat(), "names no bill of materials");
    fails(dir, &[&build[..], &["--sbom", "bom.json", "--no-text"]].concat(), "--no-text");
}

#[test]
fn an_altered_digest_is_noticed_before_it_is_believed() {
    let desk = desk();
    let dir = desk.path();
    let key = ["--key", "vendor.key", "-o", "update.suit", "--sbom", "bom.json"];
    json(dir, &[&["build"][..], &IMAGES, &key].concat());
    let mut package = std::fs::read(dir.join("update.suit")).unwrap();
    let pos = package.windows(8).position(|part| part == b"sha-256:").unwrap() + 8;
    package[pos] = if package[pos] == b'0' { b'1' } else { b'0' };
    std::fs::write(dir.join("update.suit"), package).unwrap();
    let verify = ["verify", "update.suit", "--trust", "trust.toml", "--sim", "none"];
    let output = run(dir, &[&verify[..], &["--sbom", "bom.json"]].concat());
    assert_eq!(output.status.code(), Some(17), "705 TextDigest");
}

#[test]
fn a_statement_lists_every_package_and_what_it_was_made_of() {
    let desk = desk();
    let dir = desk.path();
    std::fs::copy(dir.join("new.bin"), dir.join("older.bin")).unwrap();
    std::fs::write(dir.join("older.bin"), [7; 2000]).unwrap();
    let said = [&["build", "--old", "older.bin"][..], &IMAGES].concat();
    let out = ["--key", "vendor.key", "--rollback", "back.suit", "--provenance", "made.json"];
    json(dir, &[&said[..], &out, &["-o", "update.suit"]].concat());
    let made: Value =
        serde_json::from_slice(&std::fs::read(dir.join("made.json")).unwrap()).unwrap();
    assert_eq!(made["_type"], "https://in-toto.io/Statement/v1");
    let subjects = made["subject"].as_array().unwrap();
    assert_eq!(subjects.len(), 4, "two packages and their ways back");
    for subject in subjects {
        let file = std::fs::read(dir.join(subject["name"].as_str().unwrap())).unwrap();
        let digest = fwdelta::hex::hex(&fwdelta::core::hash::sha256(&file));
        assert_eq!(subject["digest"]["sha256"], digest);
    }
    let inputs = &made["predicate"]["buildDefinition"]["resolvedDependencies"];
    let names: Vec<_> = inputs.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["main/new", "main/old", "main/old"]);
}
