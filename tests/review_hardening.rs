//! Hostile packages and awkward files: what a review found, and must not come back.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{STRING, anchor, approved, key, package, plmn, tiny_pair};
use fwdelta::cbor::encode;
use fwdelta::core::Detail;
use fwdelta::core::format::auth::Authentication;
use fwdelta::core::format::envelope::PayloadKey;
use fwdelta::core::format::manifest::Blob;
use fwdelta::core::format::trust::Trust;
use fwdelta::core::hash::sha256;
use fwdelta::core::limits::Limits;
use fwdelta::core::verify::{Device, Ed25519, EfFota, Facts, Package, Sim};
use fwdelta::diff::{self, Profile};
use fwdelta::package::assemble::{Parts, manifest_digest, sign_block, signed_payload};
use fwdelta::package::build::{BuildOptions, Detached, Images, build};
use fwdelta::package::seal::{Draft, DraftComponent, seal};
use fwdelta::package::{Approval, Method, approve};
use fwdelta::progress::Silent;
use fwdelta::release::Release;

/// What a device says of envelope, texts and prompts.
fn verdict(package: &[u8]) -> Result<(), Detail> {
    let anchor = anchor("");
    let trust = Trust::parse(&anchor).unwrap();
    let device = Device { sim: Sim::Absent, sequence: None, facts: Facts::default() };
    let (mut file, len, mut buf) = (package, package.len() as u64, [0; 4096]);
    Package::verify(&mut file, len, &mut buf, &trust, &device, &Ed25519, &Limits::DEVICE)
        .and_then(|verified| verified.check_texts(&mut file, &mut [0; 512]))
        .map_err(|error| error.detail)
}

/// The package with another manifest, signed by the vendor again.
fn resigned(package: &[u8], edit: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut parts = Parts::read(package).unwrap();
    let auth = Authentication::parse(&parts.wrapper, 0).unwrap();
    let claim = auth.blocks().next().unwrap().claim;
    edit(&mut parts.manifest);
    let digest = manifest_digest(&parts.manifest);
    let block = sign_block(&claim, &signed_payload(&digest), &key("vendor")).unwrap();
    Parts { digest, blocks: vec![block], ..parts.clone() }.write()
}

/// Replaces the one place where `from` stands.
fn swap(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let pos = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes.splice(pos..pos + from.len(), to.iter().copied());
}

#[test]
fn nobody_adds_text_that_the_vendor_did_not_sign() {
    let (old, new) = tiny_pair();
    let silent = package(Some(&old), &new, Profile::Small, &|options| options.without_text = true);
    assert_eq!(verdict(&silent), Ok(()));
    let mut parts = Parts::read(&silent).unwrap();
    parts.text = Some(b"\xa1\x62en\xa1\x01\x6aPay 1 EUR!");
    assert_eq!(verdict(&parts.write()), Err(Detail::UnreferencedPayload));
    // Taking signed text away stays legal.
    let spoken = approved(&package(Some(&old), &new, Profile::Small, &|_| {}));
    let mut parts = Parts::read(&spoken).unwrap();
    parts.text = None;
    assert_eq!(verdict(&parts.write()), Ok(()));
}

#[test]
fn prompts_of_a_block_that_does_not_count_are_not_shown() {
    let (old, new) = tiny_pair();
    let approved = approved(&package(Some(&old), &new, Profile::Small, &|_| {}));
    let forged = Approval {
        plmn: plmn("26201"),
        method: Method::Secret { string: *b"not the SIM's..." },
        prompts: Some(b"\xa1\x62en\xa1\x01\x6aPay 1 EUR!"),
    };
    let forged = approve(&approved, &forged).unwrap();
    let honest = Approval {
        plmn: plmn("26201"),
        method: Method::Signed { key: &key("26201"), string: None },
        prompts: Some(b"\xa1\x62en\xa1\x01\x69Patience!"),
    };
    let plain = package(Some(&old), &new, Profile::Small, &|_| {});
    let honest = approve(&plain, &honest).unwrap();
    let anchor = anchor("");
    let trust = Trust::parse(&anchor).unwrap();
    let ef_fota = EfFota::parse(&[&[1], &STRING[..]].concat()).unwrap();
    let device = Device {
        sim: Sim::WithFota { plmn: plmn("26201"), ef_fota },
        sequence: None,
        facts: Facts::default(),
    };
    for (package, shown) in [
        (forged, PayloadKey::Prompts),
        (honest, PayloadKey::OperatorPrompts(plmn("26201"))),
        (approved, PayloadKey::Prompts),
    ] {
        let (mut file, len, mut buf) = (package.as_slice(), package.len() as u64, [0; 4096]);
        let limits = &Limits::DEVICE;
        let verified =
            Package::verify(&mut file, len, &mut buf, &trust, &device, &Ed25519, limits).unwrap();
        verified.check_texts(&mut file, &mut [0; 512]).unwrap();
        assert_eq!(verified.prompts().unwrap().0, shown);
    }
}

#[test]
fn prompts_have_the_size_that_the_manifest_says() {
    let (old, new) = tiny_pair();
    let package = package(Some(&old), &new, Profile::Small, &|_| {});
    let prompts = Parts::read(&package).unwrap().payload("#p").unwrap().to_vec();
    let with_len = |len: usize| {
        // Key 14, size, follows the digest.
        let said = |len: usize| {
            [&sha256(&prompts)[..], &encode(|w| w.uint(14)), &encode(|w| w.uint(len as u64))]
                .concat()
        };
        resigned(&package, |manifest| swap(manifest, &said(prompts.len()), &said(len)))
    };
    assert_eq!(verdict(&with_len(prompts.len())), Ok(()));
    assert_eq!(verdict(&with_len(prompts.len() - 1)), Err(Detail::PromptsDigest));
}

#[test]
fn a_detached_payload_is_found_by_the_name_it_has() {
    let (old, new) = tiny_pair();
    let detached = |stem: &str, base_uri: &str| {
        let options = BuildOptions {
            diff: diff::Options { profile: Profile::Small, threads: 1, ..diff::Options::default() },
            detached: Some(Detached { stem: stem.to_owned(), base_uri: base_uri.to_owned() }),
            ..Default::default()
        };
        let images = [Images { name: "main", old: Some(&old), new: &new }];
        build(&images, &Release::default(), &[key("vendor")], &options, &Silent)
            .map(|built| built.payloads[0].0.clone())
            .map_err(|error| error.to_string())
    };
    assert_eq!(detached("fw", "https://u.example/a").unwrap(), "fw.0.fwd");
    for (stem, base_uri) in [("v1#2", ""), ("v1?2", "https://u.example"), ("fw", "x?y=")] {
        let message = detached(stem, base_uri).unwrap_err();
        assert!(message.contains("by this uri"), "{message}");
    }
}

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fwdelta")).current_dir(dir).args(args).output().unwrap()
}

/// A folder with keys, trust file, images and a package of the components `a` and `b`.
fn bench() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let trust = "version = 1\n[vendor]\nkeys = [\"vendor.pub\"]\n";
    let (old, new) = tiny_pair();
    std::fs::write(path("trust.toml"), trust).unwrap();
    std::fs::write(path("old"), old).unwrap();
    std::fs::write(path("new"), new).unwrap();
    assert!(run(dir.path(), &["keygen", "--out", "vendor"]).status.success());
    let build = ["build", "--key", "vendor.key", "--sequence", "3", "-o", "two.suit"];
    let components = ["--component", "a:old:new", "--component", "b:old:new"];
    assert!(run(dir.path(), &[&build[..], &components].concat()).status.success());
    dir
}

const APPLY: [&str; 8] =
    ["apply", "two.suit", "--trust", "trust.toml", "--old", "a:old", "--old", "b:old"];

#[test]
fn components_do_not_overwrite_each_other_or_what_is_no_file() {
    let dir = bench();
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    for (outputs, what) in [
        (["-o", "a:out", "-o", "b:out"], "take the place of another file"),
        (["-o", "a:out", "-o", "b:folder"], "not a plain file"),
    ] {
        let output = run(dir.path(), &[&APPLY[..], &outputs].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(what), "{message}");
        assert!(!dir.path().join("out").exists(), "{what}: half an update was written");
    }
    let outputs = ["-o", "a:x", "-o", "b:y", "--state", "x"];
    assert!(!run(dir.path(), &[&APPLY[..], &outputs].concat()).status.success());
    assert!(!dir.path().join("x").exists());
    assert!(run(dir.path(), &[&APPLY[..], &outputs[..4]].concat()).status.success());
}

#[test]
fn a_state_that_cannot_be_read_or_written_stops_the_update() {
    let dir = bench();
    std::fs::create_dir(dir.path().join("state")).unwrap();
    let outputs = ["-o", "a:x", "-o", "b:y", "--json", "--state"];
    for state in ["state", "missing/state"] {
        let output = run(dir.path(), &[&APPLY[..], &outputs, &[state]].concat());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["error"]["detail"], Detail::StateFailed as u16, "{state}");
        assert_eq!(output.status.code(), Some(18));
        assert!(!dir.path().join("x").exists() && !dir.path().join("y").exists());
    }
}

#[test]
fn chunks_that_no_reader_takes_are_not_built() {
    let dir = bench();
    let build = ["build", "--new", "new", "--key", "vendor.key", "--sequence", "1", "-o", "z"];
    for (chunk_len, code) in [("63", 2), ("64", 0), ("1048576", 0), ("1048577", 2)] {
        let output = run(dir.path(), &[&build[..], &["--chunk-len", chunk_len]].concat());
        assert_eq!(output.status.code(), Some(code), "{chunk_len}");
    }
    assert!(run(dir.path(), &["verify", "z", "--trust", "trust.toml"]).status.success());
}

#[test]
fn a_mistyped_validation_string_is_not_repeated() {
    let dir = bench();
    let typed = "00112233445566778899aabbccddeef";
    let args = ["approve", "two.suit", "--operator", "26201", "--mode", "secret", "-o", "z"];
    let output = run(dir.path(), &[&args[..], &["--string", typed]].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("32 hexadecimal digits"), "{message}");
    assert!(!message.contains("0011"), "{message}");
}

#[test]
fn sizes_that_no_device_has_are_an_error_not_an_overflow() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = tiny_pair();
    let options = diff::Options { profile: Profile::Small, threads: 1, ..diff::Options::default() };
    let delta = diff::create(&old, &new, &options, &Silent).unwrap().chained(64).unwrap();
    let part = |name: &str| DraftComponent {
        name: name.to_owned(),
        old: delta.header.old,
        new: Blob { len: u64::MAX, ..delta.header.new },
        header: delta.header_bytes(),
        payload: delta.payload.clone(),
        detached: None,
        encryption: None,
    };
    let draft = Draft { components: vec![part("a"), part("b")], ..Draft::default() };
    let huge = seal(&draft, &[key("anyone")]).unwrap();
    std::fs::write(dir.path().join("huge.suit"), huge).unwrap();
    let describe = ["describe", "huge.suit", "--base-uri", "https://u.example/", "--out-dir", "d"];
    let output = run(dir.path(), &describe);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(13), "{message}");
}
