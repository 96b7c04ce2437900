//! One trust anchor follows another: only when the thresholds of both signed it, only upwards, and
//! then a revoked key is worth nothing (docs/format.md, section 6.1).

mod common;

use common::{key, package, receive, tiny_pair};
use fwdelta::cbor::encode;
use fwdelta::core::Detail;
use fwdelta::core::format::auth::emit_block;
use fwdelta::core::format::key::Algorithm;
use fwdelta::core::format::rotation::{self, SignedTrust, emit_protected, emit_signed};
use fwdelta::core::format::trust::Trust;
use fwdelta::core::limits::{ENDORSEMENT_COUNT_MAX, TRUST_JUMP_MAX};
use fwdelta::core::verify::{Device, Ed25519, Esp256, Facts, Sim, accept_trust};
use fwdelta::diff::Profile;
use fwdelta::package::rotation::{endorse, progress};
use fwdelta::package::{ALGORITHMS, PublicKey, SecretKey, trust_file};

fn anchor(version: u64, threshold: u8, vendors: &[&str]) -> Vec<u8> {
    let text = format!(
        "version = {version}\n[vendor]\nthreshold = {threshold}\nkeys = {vendors:?}\n\
         [[operator]]\nplmn = \"26201\"\nkeys = [\"26201\"]\n"
    );
    let mut load = |name: &str| -> fwdelta::Result<PublicKey> { Ok(key(name).public()) };
    trust_file::compile(&text, "trust.toml", &mut load).unwrap()
}

fn endorsement(anchor: &[u8], signer: &SecretKey, as_key: &SecretKey) -> Vec<u8> {
    let protected = encode(|w| emit_protected(w, &as_key.public().kid(), Algorithm::Ed25519));
    let message = encode(|w| emit_signed(w, &protected, anchor));
    encode(|w| emit_block(w, &protected, &signer.sign(&message).unwrap()))
}

fn signed_by(anchor: &[u8], names: &[&str]) -> Vec<u8> {
    let blocks: Vec<_> =
        names.iter().map(|name| endorsement(anchor, &key(name), &key(name))).collect();
    encode(|w| rotation::emit(w, anchor, blocks.iter().map(Vec::as_slice)))
}

fn accept(current: &[u8], signed: &[u8]) -> Result<u64, Detail> {
    let current = Trust::parse(current).unwrap();
    accept_trust(&current, signed, &Ed25519).map(|new| new.version).map_err(|error| error.detail)
}

#[test]
fn the_thresholds_of_both_anchors_must_be_reached() {
    let old = anchor(1, 2, &["a", "b", "c"]);
    let new = anchor(2, 2, &["c", "d", "e"]);
    let all = ["a", "b", "c", "d", "e", "26201", "stranger"];
    for subset in 0..1usize << all.len() {
        let names: Vec<_> = (0..all.len()).filter(|i| subset >> i & 1 == 1).collect();
        let names: Vec<_> = names.into_iter().map(|i| all[i]).collect();
        let count = |keys: &[&str]| names.iter().filter(|name| keys.contains(name)).count();
        let enough = count(&["a", "b", "c"]) >= 2 && count(&["c", "d", "e"]) >= 2;
        let expected = if enough { Ok(2) } else { Err(Detail::VendorThreshold) };
        assert_eq!(accept(&old, &signed_by(&new, &names)), expected, "{names:?}");
    }
}

#[test]
fn one_key_counts_once_however_often_it_signed() {
    let old = anchor(1, 2, &["a", "b"]);
    let new = anchor(2, 1, &["a"]);
    assert_eq!(accept(&old, &signed_by(&new, &["a", "a", "a"])), Err(Detail::VendorThreshold));
    assert_eq!(accept(&old, &signed_by(&new, &["a", "a", "b"])), Ok(2));
}

#[test]
fn a_hybrid_key_endorses_with_both_of_its_halves() {
    let of = |version: u8| {
        let text = format!(
            "version = {version}\n[vendor]\n\
             keys = [{{ key = \"v p256\", hybrid = \"v lattice\" }}]\n"
        );
        let mut load = |name: &str| -> fwdelta::Result<PublicKey> { Ok(key(name).public()) };
        trust_file::compile(&text, "trust.toml", &mut load).unwrap()
    };
    let (old, new) = (of(1), of(2));
    let current = Trust::parse(&old).unwrap();
    let with = |names: &[&str]| {
        let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
        let signed = endorse(&old, &new, &keys).unwrap();
        let accepted = accept_trust(&current, &signed, &ALGORITHMS);
        accepted.map(|new| new.version).map_err(|error| error.detail)
    };
    assert_eq!(with(&["v p256"]), Err(Detail::VendorThreshold));
    assert_eq!(with(&["v lattice"]), Err(Detail::VendorThreshold));
    assert_eq!(with(&["v lattice", "v p256"]), Ok(2));
    // A device without ML-DSA-44 says so instead of counting what it can check.
    let signed = endorse(&old, &new, &[key("v p256"), key("v lattice")]).unwrap();
    let refused = accept_trust(&current, &signed, &Esp256).map(|new| new.version);
    assert_eq!(refused.map_err(|error| error.detail), Err(Detail::NotBuiltIn));
}

#[test]
fn the_version_only_grows_and_not_too_far() {
    let old = anchor(10, 1, &["a"]);
    let with = |version| accept(&old, &signed_by(&anchor(version, 1, &["a"]), &["a"]));
    assert_eq!(with(9), Err(Detail::Rollback));
    assert_eq!(with(10), Err(Detail::Rollback));
    assert_eq!(with(11), Ok(11));
    assert_eq!(with(10 + TRUST_JUMP_MAX), Ok(10 + TRUST_JUMP_MAX));
    assert_eq!(with(11 + TRUST_JUMP_MAX), Err(Detail::SequenceJump));
    assert_eq!(with(i64::MAX as u64), Err(Detail::SequenceJump));
}

#[test]
fn a_wrong_signature_is_named_and_does_no_harm_beside_right_ones() {
    let (old, new) = (anchor(1, 1, &["a"]), anchor(2, 1, &["a"]));
    let wrong = endorsement(&new, &key("stranger"), &key("a"));
    let right = endorsement(&new, &key("a"), &key("a"));
    let of = |blocks: &[&[u8]]| encode(|w| rotation::emit(w, &new, blocks.iter().copied()));
    assert_eq!(accept(&old, &of(&[&wrong])), Err(Detail::BadSignature));
    assert_eq!(accept(&old, &of(&[&wrong, &right])), Ok(2));
    assert_eq!(accept(&old, &of(&[&right, &wrong])), Ok(2));
    assert_eq!(accept(&old, &of(&[])), Err(Detail::VendorThreshold));
}

#[test]
fn signatures_of_other_things_do_not_count() {
    let (old, new) = (anchor(1, 1, &["a"]), anchor(2, 1, &["a"]));
    // Of another anchor.
    let other = endorsement(&anchor(3, 1, &["a"]), &key("a"), &key("a"));
    let moved = encode(|w| rotation::emit(w, &new, [other.as_slice()].into_iter()));
    assert_eq!(accept(&old, &moved), Err(Detail::BadSignature));
    // Of the same digest, as a package signs it: without the context.
    let protected = encode(|w| emit_protected(w, &key("a").public().kid(), Algorithm::Ed25519));
    let digest = fwdelta::package::assemble::manifest_digest(&new);
    let payload = fwdelta::package::assemble::signed_payload(&digest);
    let message =
        encode(|w| fwdelta::core::format::auth::emit_signed(w, false, &protected, &payload));
    let block = encode(|w| emit_block(w, &protected, &key("a").sign(&message).unwrap()));
    let bare = encode(|w| rotation::emit(w, &new, [block.as_slice()].into_iter()));
    assert_eq!(accept(&old, &bare), Err(Detail::BadSignature));
}

#[test]
fn every_changed_byte_is_noticed() {
    let (old, new) = (anchor(1, 1, &["a"]), anchor(2, 1, &["b"]));
    let signed = signed_by(&new, &["a", "b"]);
    assert_eq!(accept(&old, &signed), Ok(2));
    for pos in 0..signed.len() {
        let mut changed = signed.clone();
        changed[pos] ^= 1;
        assert!(accept(&old, &changed).is_err(), "byte {pos}");
        assert!(accept(&old, &signed[..pos]).is_err(), "first {pos} bytes");
    }
    assert_eq!(accept(&old, &[&signed[..], &[0]].concat()), Err(Detail::TrailingBytes));
}

#[test]
fn shape_and_limits() {
    let (old, new) = (anchor(1, 1, &["a"]), anchor(2, 1, &["a"]));
    let many = vec!["a"; ENDORSEMENT_COUNT_MAX + 1];
    assert_eq!(accept(&old, &signed_by(&new, &many)), Err(Detail::TooManyBlocks));
    assert_eq!(accept(&old, &signed_by(&new, &many[1..])), Ok(2));
    assert_eq!(accept(&old, &new), Err(Detail::WrongType));
    assert_eq!(Trust::parse(&signed_by(&new, &["a"])).unwrap_err().detail, Detail::WrongType);
    let huge = vec![0; rotation::SIGNED_TRUST_LEN_MAX];
    let huge = encode(|w| rotation::emit(w, &huge, [].into_iter()));
    assert_eq!(accept(&old, &huge), Err(Detail::EnvelopeTooLarge));
    assert_eq!(accept(&old, &[0x80]), Err(Detail::MissingField));
    let with_protected = |protected: &[u8]| {
        let block = encode(|w| emit_block(w, protected, &[1; 64]));
        accept(&old, &encode(|w| rotation::emit(w, &new, [block.as_slice()].into_iter())))
    };
    assert_eq!(with_protected(&[0xa0]), Err(Detail::MissingField));
    assert_eq!(with_protected(&[0xa1, 1, 0x27]), Err(Detail::UnknownAlgorithm));
    assert_eq!(with_protected(&[0xa1, 2, 0]), Err(Detail::UnknownLabel));
    // The anchor is read only once those who are trusted now have signed it.
    let nonsense = b"no anchor at all".to_vec();
    assert_eq!(accept(&old, &signed_by(&nonsense, &["b"])), Err(Detail::VendorThreshold));
    assert_eq!(accept(&old, &signed_by(&nonsense, &["a"])), Err(Detail::WrongType));
}

#[test]
fn signers_add_theirs_one_after_the_other() {
    let (old, new) = (anchor(1, 2, &["a", "b"]), anchor(2, 1, &["c"]));
    let half = endorse(&old, &new, &[key("a")]).unwrap();
    let done = progress(&old, &half).unwrap();
    assert_eq!((done.current, done.new, done.is_complete()), ((1, 2), (0, 1), false));
    assert_eq!((done.revoked.len(), done.added.len()), (2, 1));
    let full = endorse(&old, &half, &[key("c"), key("b"), key("a")]).unwrap();
    assert!(progress(&old, &full).unwrap().is_complete());
    assert_eq!(SignedTrust::parse(&full).unwrap().endorsements().count(), 3);
    assert_eq!(accept(&old, &full), Ok(2));
    // A key that cannot count and a version that does not grow are refused when signing.
    assert!(endorse(&old, &new, &[key("26201")]).is_err());
    assert!(endorse(&old, &anchor(1, 1, &["a"]), &[key("a")]).is_err());
}

/// Key compromise: the vendor's key leaks, is revoked by the others, and is worth nothing from then
/// on, though packages it signed before are still about.
#[test]
fn a_revoked_key_signs_nothing_any_more() {
    let (old_image, new_image) = tiny_pair();
    let device = Device { sim: Sim::WithoutFota, sequence: None, facts: Facts::default() };
    let by_vendor = package(Some(&old_image), &new_image, Profile::Plain, &|_| {});
    let outcome = |anchor: &[u8]| {
        receive(&mut by_vendor.as_slice(), by_vendor.len(), &old_image, anchor, device)
    };
    let current = anchor(1, 1, &["vendor", "spare"]);
    assert_eq!(outcome(&current).unwrap(), new_image);
    let next = anchor(2, 1, &["spare"]);
    let signed = signed_by(&next, &["spare"]);
    let accepted = accept_trust(&Trust::parse(&current).unwrap(), &signed, &Ed25519).unwrap();
    assert_eq!(accepted.version, 2);
    assert_eq!(outcome(SignedTrust::parse(&signed).unwrap().anchor), Err(Detail::VendorThreshold));
    // Nor can it bring itself back.
    let back = anchor(3, 1, &["vendor"]);
    assert_eq!(accept(&next, &signed_by(&back, &["vendor"])), Err(Detail::VendorThreshold));
}

/// The command, in a folder of its own.
struct Bench(tempfile::TempDir);

impl Bench {
    fn run(&self, args: &str) -> (Option<i32>, serde_json::Value) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fwdelta"));
        command.current_dir(self.0.path()).args(args.split(' ')).arg("--json");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let json = serde_json::from_slice(&output.stdout).unwrap_or(serde_json::Value::Null);
        assert!(output.status.success() || !text.is_empty(), "{args}");
        (output.status.code(), json)
    }

    fn ok(&self, args: &str) -> serde_json::Value {
        let (code, json) = self.run(args);
        assert_eq!(code, Some(0), "{args}: {json}");
        json
    }
}

#[test]
fn the_command_from_the_first_file_to_a_revoked_key() {
    let bench = Bench(tempfile::tempdir().unwrap());
    for name in ["a", "b", "c", "op"] {
        bench.ok(&format!("keygen --out {name}"));
    }
    bench.ok("trust init --vendor-key a.pub --vendor-key b.pub --threshold 2 -o trust.toml");
    assert_eq!(bench.run("trust init --vendor-key a.pub -o trust.toml").0, Some(19));
    bench.ok("trust add trust.toml --operator 26201 --key op.pub --mode signed --mode none");
    bench.ok("trust compile trust.toml -o v1.cbor");
    // A change that does not compile leaves the file as it was.
    let before = std::fs::read(bench.0.path().join("trust.toml")).unwrap();
    assert_eq!(bench.run("trust add trust.toml --operator 20801 --key a.pub").0, Some(11));
    assert_eq!(bench.run("trust revoke trust.toml --key b.pub").0, Some(11), "two of one key");
    assert_eq!(std::fs::read(bench.0.path().join("trust.toml")).unwrap(), before);
    bench.ok("trust add trust.toml --vendor-key c.pub");
    let revoked = bench.ok("trust revoke trust.toml --key b.pub");
    assert_eq!(revoked["version"], 2);
    assert_eq!(revoked["revoked"].as_array().unwrap().len(), 1);
    let half = bench.ok("trust rotate trust.toml --current v1.cbor --key a.key -o half.cbor");
    assert_eq!(
        (half["complete"].as_bool(), half["current"]["signed"].as_u64()),
        (Some(false), Some(1))
    );
    assert_eq!(bench.run("trust accept half.cbor --current v1.cbor -o v2.cbor").0, Some(14));
    assert!(!bench.0.path().join("v2.cbor").exists());
    let full =
        bench.ok("trust rotate half.cbor --current v1.cbor --key b.key --key c.key -o next.cbor");
    assert_eq!(full["complete"], true);
    assert_eq!(full["revoked"], revoked["revoked"]);
    // The signed form is nobody's anchor until it was accepted.
    assert_eq!(bench.run("trust compile next.cbor -o x.cbor").0, Some(19));
    let accepted = bench.ok("trust accept next.cbor --current v1.cbor -o v2.cbor");
    assert_eq!(accepted["version"], 2);
    let shown = bench.ok("trust show v2.cbor");
    assert_eq!(shown["vendor_keys"].as_array().unwrap().len(), 2);
    assert_eq!(shown["operators"][0]["modes"], serde_json::json!(["signed", "none"]));
    assert_eq!(bench.ok("trust show next.cbor")["endorsed_by"].as_array().unwrap().len(), 3);
    let (code, again) = bench.run("trust accept next.cbor --current v2.cbor -o v3.cbor");
    assert_eq!((code, again["error"]["detail"].as_u64()), (Some(15), Some(503)));
}
