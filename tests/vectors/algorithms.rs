//! Vectors of algorithms other than Ed25519, and of hybrid keys.

use fwdelta::cbor::encode;
use fwdelta::core::Detail;
use fwdelta::core::format::auth::{Claim, Mode, Requirement, emit_block, emit_signed};
use fwdelta::core::format::key::Algorithm;
use fwdelta::package::assemble::Parts;
use fwdelta::package::seal::seal;
use fwdelta::package::{Method, SecretKey};

use crate::common::{key, plmn};
use crate::forge::{Vector, add, approve_with, draft, last};

const ESP256: &str = "trust-esp256.cbor";
const HYBRID: &str = "trust-hybrid.cbor";
const HYBRID_TWO: &str = "trust-hybrid-two.cbor";

/// The trust anchors that these vectors need.
pub(crate) fn anchors() -> [(&'static str, String); 3] {
    let text = |vendor: &str| {
        format!(
            "version = 1\n[vendor]\n{vendor}\n[[operator]]\nplmn = \"26201\"\n\
             keys = [\"26201 p256\"]\n[device]\nunapproved = \"apply\"\n"
        )
    };
    let hybrid = "{ key = \"vendor\", hybrid = \"vendor lattice\" }";
    let both = "{ key = \"vendor p256\", hybrid = \"vendor 2 lattice\" }";
    [
        (ESP256, text("keys = [\"vendor p256\"]")),
        (HYBRID, text(&format!("keys = [{hybrid}]"))),
        (HYBRID_TWO, text(&format!("threshold = 2\nkeys = [{hybrid}, {both}]"))),
    ]
}

fn by(names: &[&str]) -> Vec<u8> {
    seal(&draft(), &names.iter().map(|name| key(name)).collect::<Vec<_>>()).unwrap()
}

/// A package with a block more: `claim` under `algorithm`, signed by `signer`, then edited.
fn with_block(
    package: &[u8],
    claim: &Claim<'_>,
    algorithm: Algorithm,
    signer: &SecretKey,
    edit: &dyn Fn(Vec<u8>) -> Vec<u8>,
) -> Vec<u8> {
    let mut parts = Parts::read(package).unwrap();
    let protected = encode(|w| claim.emit(w, algorithm));
    let message = encode(|w| emit_signed(w, false, &protected, &parts.signed_payload()));
    let signature = edit(signer.sign(&message).unwrap());
    parts.blocks.push(encode(|w| emit_block(w, &protected, &signature)));
    parts.write()
}

/// The same signature with the other value of s (order minus s, big-endian).
fn other_s(mut signature: Vec<u8>) -> Vec<u8> {
    let order = b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\
                  \xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let mut borrow = 0;
    for (digit, order) in signature[32..].iter_mut().zip(order).rev() {
        let difference = i16::from(*order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = difference.rem_euclid(256) as u8;
    }
    signature
}

pub(crate) fn all() -> Vec<Vector> {
    let mut all = Vec::new();
    esp256(&mut all);
    hybrid(&mut all);
    all
}

fn esp256(all: &mut Vec<Vector>) {
    let mut add = |name, expect, package| {
        add(all, name, expect, package);
        last(all).trust = ESP256;
    };
    let requirement = Requirement::from_encoded(&[0xf4]).unwrap();
    let (ours, stranger) = (key("vendor p256"), key("stranger p256"));
    let (kid, forged) = (ours.public().kid(), Some(Detail::BadSignature));
    let claim = Claim::Vendor { kid: &kid, requirement };
    // The block of a stranger keeps the package whole; it is for other devices.
    let base = by(&["stranger"]);
    let block = |algorithm, signer: &SecretKey, edit: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        with_block(&base, &claim, algorithm, signer, edit)
    };
    add("valid-esp256", None, by(&["vendor p256"]));
    // One of the two has a high s; either is valid.
    let other = block(Algorithm::Esp256, &ours, &other_s);
    add("valid-esp256-other-s", None, other);
    add("esp256-forged", forged, block(Algorithm::Esp256, &stranger, &|it| it));
    let zero = block(Algorithm::Esp256, &ours, &|_| vec![0; 64]);
    add("esp256-zero", forged, zero);
    // An algorithm is the key's, not the package's.
    add("esp256-called-ed25519", forged, block(Algorithm::Ed25519, &ours, &|it| it));
    add("esp256-key-in-ed25519-role", Some(Detail::VendorThreshold), by(&["vendor"]));
    let operator = key("26201 p256");
    let method = Method::Signed { key: &operator, string: None };
    let approved = approve_with(&by(&["vendor p256"]), "26201", method);
    add("valid-esp256-approved", None, approved);
    last(all).sim = "26201:ef-fota.bin";
}

fn hybrid(all: &mut Vec<Vector>) {
    let mut add = |name, expect, trust, package| {
        add(all, name, expect, package);
        last(all).trust = trust;
    };
    let few = Some(Detail::VendorThreshold);
    let both = ["vendor", "vendor lattice"];
    add("valid-hybrid", None, HYBRID, by(&both));
    add("valid-hybrid-other-order", None, HYBRID, by(&["vendor lattice", "vendor"]));
    add("hybrid-no-lattice", few, HYBRID, by(&["vendor"]));
    add("hybrid-lattice-only", few, HYBRID, by(&["vendor lattice"]));
    add("hybrid-lattice-of-another", few, HYBRID, by(&["vendor", "vendor 2 lattice"]));
    add("hybrid-counts-once", few, HYBRID_TWO, by(&both));
    // One half of either is no signature, let alone two.
    add("hybrid-halves", few, HYBRID_TWO, by(&["vendor", "vendor 2 lattice"]));
    let requirement = Requirement::from_encoded(&[0xf4]).unwrap();
    let kid = key("vendor lattice").public().kid();
    let claim = Claim::Vendor { kid: &kid, requirement };
    let one = by(&["vendor"]);
    let (lattice, stranger) = (Algorithm::MlDsa44, key("stranger lattice"));
    let forged = with_block(&one, &claim, lattice, &stranger, &|it| it);
    add("hybrid-forged", Some(Detail::BadSignature), HYBRID, forged);
    let short = with_block(&one, &claim, lattice, &key("vendor"), &|it| it);
    add("hybrid-short", Some(Detail::BadValue), HYBRID, short);
    let approval = Claim::Approval {
        kid: Some(&kid),
        plmn: plmn("26201"),
        mode: Mode::Signed,
        string: None,
        prompts: None,
    };
    let approval = with_block(&one, &approval, lattice, &stranger, &|it| it);
    add("hybrid-approval", Some(Detail::UnknownAlgorithm), HYBRID, approval);
}
