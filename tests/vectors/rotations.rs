//! Makes the golden vectors of trust anchors that replace another.

use fwdelta::cbor::encode;
use fwdelta::core::Detail;
use fwdelta::core::format::auth::emit_block;
use fwdelta::core::format::key::Algorithm;
use fwdelta::core::format::rotation::{self, emit_protected, emit_signed};
use fwdelta::core::limits::{ENDORSEMENT_COUNT_MAX, TRUST_JUMP_MAX};
use fwdelta::package::{PublicKey, trust_file};

use crate::common::key;

/// The anchor that all of them are to replace.
pub(crate) fn current() -> Vec<u8> {
    anchor(10, 2, &["vendor", "vendor 2", "vendor 3"])
}

fn anchor(version: u64, threshold: u8, vendors: &[&str]) -> Vec<u8> {
    let text = format!(
        "version = {version}\n[vendor]\nthreshold = {threshold}\nkeys = {vendors:?}\n\
         [[operator]]\nplmn = \"26201\"\nkeys = [\"26201\"]\n"
    );
    let mut load = |name: &str| -> fwdelta::Result<PublicKey> { Ok(key(name).public()) };
    trust_file::compile(&text, "trust.toml", &mut load).unwrap()
}

fn block(anchor: &[u8], signer: &str, as_key: &str) -> Vec<u8> {
    let protected = encode(|w| emit_protected(w, &key(as_key).public().kid(), Algorithm::Ed25519));
    let message = encode(|w| emit_signed(w, &protected, anchor));
    encode(|w| emit_block(w, &protected, &key(signer).sign(&message).unwrap()))
}

fn with_blocks(anchor: &[u8], blocks: &[Vec<u8>]) -> Vec<u8> {
    encode(|w| rotation::emit(w, anchor, blocks.iter().map(Vec::as_slice)))
}

fn signed(anchor: &[u8], names: &[&str]) -> Vec<u8> {
    let blocks: Vec<_> = names.iter().map(|name| block(anchor, name, name)).collect();
    with_blocks(anchor, &blocks)
}

/// Name, what a device says of it (`None` accepts), and the file.
pub(crate) fn all() -> Vec<(&'static str, Option<Detail>, Vec<u8>)> {
    let next = anchor(11, 2, &["vendor 3", "next", "next 2"]);
    let (old, new) = (["vendor", "vendor 2"], ["next", "next 2"]);
    let both = [old, new].concat();
    let at = |version| {
        let anchor = anchor(version, 1, &["vendor"]);
        signed(&anchor, &old)
    };
    let few = Some(Detail::VendorThreshold);
    let forged = [block(&next, "stranger", "vendor"), block(&next, "vendor 2", "vendor 2")];
    let many = vec![block(&next, "vendor", "vendor"); ENDORSEMENT_COUNT_MAX + 1];
    let odd =
        |protected: &[u8]| with_blocks(&next, &[encode(|w| emit_block(w, protected, &[1; 64]))]);
    let valid = signed(&next, &both);
    let last = valid.len() - 1;
    vec![
        ("valid", None, valid.clone()),
        ("valid-shared-key", None, signed(&next, &["vendor", "vendor 3", "next"])),
        ("valid-and-others", None, signed(&next, &[&both[..], &["stranger", "26201"]].concat())),
        ("valid-farthest", None, at(10 + TRUST_JUMP_MAX)),
        ("old-missing", few, signed(&next, &["vendor", "next", "next 2"])),
        ("new-missing", few, signed(&next, &["vendor", "vendor 2", "next"])),
        ("none", few, signed(&next, &[])),
        ("key-twice", few, signed(&next, &["vendor", "vendor", "next", "next 2"])),
        ("operator-signs", few, signed(&next, &["26201", "vendor", "next", "next 2"])),
        ("forged", Some(Detail::BadSignature), with_blocks(&next, &forged)),
        ("same-version", Some(Detail::Rollback), at(10)),
        ("older", Some(Detail::Rollback), at(9)),
        ("too-far", Some(Detail::SequenceJump), at(11 + TRUST_JUMP_MAX)),
        ("bare", Some(Detail::WrongType), next.clone()),
        ("truncated", Some(Detail::Truncated), valid[..last].to_vec()),
        ("trailing", Some(Detail::TrailingBytes), [&valid[..], &[0]].concat()),
        ("empty", Some(Detail::MissingField), vec![0x80]),
        ("too-many", Some(Detail::TooManyBlocks), with_blocks(&next, &many)),
        ("algorithm", Some(Detail::UnknownAlgorithm), odd(&[0xa1, 1, 0x27])),
        ("label", Some(Detail::UnknownLabel), odd(&[0xa1, 2, 0])),
        ("no-kid", Some(Detail::MissingField), odd(&[0xa1, 1, 0x32])),
        ("not-an-anchor", Some(Detail::WrongType), signed(b"nonsense", &both)),
    ]
}
