//! Makes the golden vectors: valid packages, and one for every rule that can be broken.
//!
//! Everything but the broken rule is right: manifests are signed after they were changed.

use fwdelta::cbor::encode;
use fwdelta::core::Detail;
use fwdelta::core::format::auth::{Claim, Mode, Requirement, emit_block, emit_signed};
use fwdelta::core::format::cbor::Reader;
use fwdelta::core::format::delta::DeltaHeader;
use fwdelta::core::format::key::Algorithm;
use fwdelta::diff::{self, Delta, Options, Profile};
use fwdelta::package::assemble::{Parts, manifest_digest, sign_block, signed_payload};
use fwdelta::package::seal::{Draft, DraftComponent, blob, seal};
use fwdelta::package::{Approval, Method, SecretKey, approve};
use fwdelta::progress::Silent;
use fwdelta::release::requires::{Percent, Requires, Time, VersionRange};
use fwdelta::release::{ComponentName, Release, Version};

use crate::common::{STRING, key, plmn, tiny_pair};

/// One line of the index.
pub(crate) struct Vector {
    /// Name of the file, after the rule.
    pub(crate) name: &'static str,
    /// Trust anchor.
    pub(crate) trust: &'static str,
    /// Old image.
    pub(crate) old: &'static str,
    /// `none`, `no-fota`, or PLMN and EF_FOTA file.
    pub(crate) sim: &'static str,
    /// The device's sequence number, or `-`.
    pub(crate) sequence: &'static str,
    /// What the device knows of itself, as `crate::facts` reads it.
    pub(crate) facts: &'static str,
    /// What a device says; `None` accepts.
    pub(crate) expect: Option<Detail>,
    /// The package.
    pub(crate) package: Vec<u8>,
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Encoded keys and values of a map.
fn entries(bytes: &[u8]) -> Entries {
    let mut reader = Reader::new(bytes);
    let mut map = reader.map().unwrap();
    let mut all = Vec::new();
    let mut start = bytes.len();
    while map.left() > 0 {
        start = reader.pos() as usize;
        let Some(_) = map.key(&mut reader).unwrap() else { break };
        let middle = reader.pos() as usize;
        reader.skip().unwrap();
        all.push((bytes[start..middle].to_vec(), bytes[middle..reader.pos() as usize].to_vec()));
    }
    assert!(start < bytes.len());
    all
}

fn join(entries: &Entries) -> Vec<u8> {
    let mut bytes = encode(|w| w.map(entries.len() as u64));
    for (key, value) in entries {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }
    bytes
}

/// The value of an integer key.
fn value(entries: &mut Entries, key: u64) -> &mut Vec<u8> {
    let key = encode(|w| w.uint(key));
    &mut entries.iter_mut().find(|(name, _)| *name == key).unwrap().1
}

/// Changes the content of an encoded byte string.
fn within(item: &mut Vec<u8>, edit: impl Fn(&mut Vec<u8>)) {
    let mut content = Reader::new(item).bytes().unwrap().to_vec();
    edit(&mut content);
    *item = encode(|w| w.bytes(&content));
}

/// Replaces the one place where `from` stands.
fn swap(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let pos = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes.splice(pos..pos + from.len(), to.iter().copied());
}

fn delta(profile: Profile) -> Delta {
    let (old, new) = tiny_pair();
    diff::create(
        &old,
        &new,
        &Options { profile, threads: 1, is_streamed: true, ..Options::default() },
        &Silent,
    )
    .unwrap()
}

fn component(delta: Delta) -> DraftComponent {
    DraftComponent {
        name: "main".to_owned(),
        old: delta.header.old,
        new: delta.header.new,
        header: delta.header_bytes(),
        payload: delta.payload,
        detached: None,
        encryption: None,
    }
}

pub(crate) fn draft() -> Draft {
    let release = Release::default();
    Draft {
        sequence: 7,
        vendor_id: release.vendor_id(),
        class_id: release.class_id(),
        reference_uri: Some("https://updates.example.com/update.suit".to_owned()),
        text: Some(release.text_cbor(&["main"]).unwrap()),
        prompts: Some(release.prompts_cbor().unwrap()),
        components: vec![component(delta(Profile::Plain).chained(64).unwrap())],
        requirement: None,
        requires: Requires::default(),
    }
}

fn vendor() -> SecretKey {
    key("vendor")
}

fn sealed(draft: &Draft) -> Vec<u8> {
    seal(draft, &[vendor()]).unwrap()
}

/// A package whose manifest was changed before it was signed.
fn with_manifest(draft: &Draft, edit: impl Fn(&mut Entries)) -> Vec<u8> {
    with_manifest_bytes(draft, |bytes| {
        let mut all = entries(bytes);
        edit(&mut all);
        *bytes = join(&all);
    })
}

fn with_manifest_bytes(draft: &Draft, edit: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let package = sealed(draft);
    let mut parts = Parts::read(&package).unwrap();
    edit(&mut parts.manifest);
    sign(&mut parts);
    parts.write()
}

/// Signs what is there now, as the vendor.
fn sign(parts: &mut Parts<'_>) {
    parts.digest = manifest_digest(&parts.manifest);
    let requirement = Requirement::from_encoded(&[0xf4]).unwrap();
    let (key, payload) = (vendor(), signed_payload(&parts.digest));
    let claim = Claim::Vendor { kid: &key.public().kid(), requirement };
    parts.blocks = vec![sign_block(&claim, &payload, &key).unwrap()];
}

/// A package whose delta header was changed before it was signed.
fn with_header(edit: impl Fn(&mut Entries)) -> Vec<u8> {
    let mut draft = draft();
    let header = &mut draft.components[0].header;
    let mut all = entries(header);
    edit(&mut all);
    *header = join(&all);
    sealed(&draft)
}

/// A package with a block more, of a protected header made by hand.
fn with_block(protected: &[u8], signer: &SecretKey) -> Vec<u8> {
    let package = sealed(&draft());
    let mut parts = Parts::read(&package).unwrap();
    let message = encode(|w| emit_signed(w, false, protected, &parts.signed_payload()));
    parts.blocks.push(encode(|w| emit_block(w, protected, &signer.sign(&message).unwrap())));
    parts.write()
}

/// The protected header of a signed approval by 26201, as entries.
fn approval_header() -> Entries {
    let kid = key("26201").public().kid();
    let claim = Claim::Approval {
        kid: Some(&kid),
        plmn: plmn("26201"),
        mode: Mode::Signed,
        string: None,
        prompts: None,
    };
    entries(&encode(|w| claim.emit(w, Algorithm::Ed25519)))
}

fn with_approval_header(edit: impl Fn(&mut Entries)) -> Vec<u8> {
    let mut header = approval_header();
    edit(&mut header);
    with_block(&join(&header), &key("26201"))
}

pub(crate) fn approve_with(package: &[u8], operator: &str, method: Method<'_>) -> Vec<u8> {
    approve(package, &Approval { plmn: plmn(operator), method, prompts: None }).unwrap()
}

fn signed(package: &[u8], operator: &str) -> Vec<u8> {
    approve_with(package, operator, Method::Signed { key: &key(operator), string: None })
}

/// A component whose payload is `payload`, with everything around it right.
fn with_payload(edit: impl Fn(&mut Delta)) -> Vec<u8> {
    let mut made = delta(Profile::Plain);
    edit(&mut made);
    made.header.payload_len = made.payload.len() as u64;
    let mut draft = draft();
    draft.components = vec![component(made.chained(64).unwrap())];
    sealed(&draft)
}

/// Every vector.
pub(crate) fn all() -> Vec<Vector> {
    let mut all = Vec::new();
    valid(&mut all);
    shapes(&mut all);
    manifests(&mut all);
    blocks(&mut all);
    policies(&mut all);
    operators(&mut all);
    operator_table(&mut all);
    demands(&mut all);
    payloads(&mut all);
    all
}

pub(crate) fn add(
    all: &mut Vec<Vector>,
    name: &'static str,
    expect: Option<Detail>,
    package: Vec<u8>,
) {
    let (trust, old, sim, sequence) = ("trust.cbor", "old.bin", "none", "6");
    all.push(Vector { name, trust, old, sim, sequence, facts: "-", expect, package });
}

pub(crate) fn last(all: &mut [Vector]) -> &mut Vector {
    all.last_mut().unwrap()
}

fn valid(all: &mut Vec<Vector>) {
    add(all, "valid-plain", None, sealed(&draft()));
    for (name, profile) in [
        ("valid-tiny", Profile::Tiny),
        ("valid-small", Profile::Small),
        ("valid-fast", Profile::Fast),
        ("valid-max", Profile::Max),
        ("valid-bsdiff", Profile::Bsdiff),
    ] {
        let components = vec![component(delta(profile).chained(64).unwrap())];
        add(all, name, None, sealed(&Draft { components, ..draft() }));
    }
    let (old, new) = tiny_pair();
    let components = vec![component(crate::delta::streams(&old, &new).chained(64).unwrap())];
    add(all, "valid-streams", None, sealed(&Draft { components, ..draft() }));
    let full = diff::create(
        &[],
        &new,
        &Options { profile: Profile::Plain, ..Options::default() },
        &Silent,
    )
    .unwrap();
    let components = vec![component(full.chained(1024).unwrap())];
    add(all, "valid-full", None, sealed(&Draft { components, ..draft() }));
    let mut bare = draft();
    (bare.text, bare.prompts, bare.reference_uri) = (None, None, None);
    add(all, "valid-bare", None, sealed(&bare));
    let package = sealed(&draft());
    let mut severed = Parts::read(&package).unwrap();
    severed.text = None;
    add(all, "valid-text-severed", None, severed.write());
    add(all, "valid-unknown-operator", None, signed(&package, "99999"));
    add(all, "valid-equal-sequence", None, package);
    last(all).sequence = "7";
}

fn shapes(all: &mut Vec<Vector>) {
    let package = sealed(&draft());
    let mut add = |name, detail, package| add(all, name, Some(detail), package);
    add("envelope-truncated", Detail::Truncated, package[..package.len() - 1].to_vec());
    add("envelope-empty", Detail::Truncated, Vec::new());
    add("envelope-trailing", Detail::TrailingBytes, [&package[..], &[0]].concat());
    let edited = |from: &[u8], to: &[u8]| {
        let mut bytes = package.clone();
        swap(&mut bytes, from, to);
        bytes
    };
    add("envelope-tag", Detail::BadTag, edited(&[0xd8, 0x6b], &[0xd8, 0x6c]));
    add("envelope-untagged", Detail::BadTag, package[2..].to_vec());
    add(
        "envelope-long-head",
        Detail::NotCanonical,
        edited(&[0xd8, 0x6b, 0xa6], &[0xd8, 0x6b, 0xb8, 6]),
    );
    add(
        "envelope-indefinite",
        Detail::NotCanonical,
        edited(&[0xd8, 0x6b, 0xa6], &[0xd8, 0x6b, 0xbf]),
    );
    let body = |bytes: &[u8]| entries(&bytes[2..]);
    let envelope = |entries: &Entries| [&[0xd8, 0x6b][..], &join(entries)].concat();
    let mut all = body(&package);
    all.swap(3, 4);
    add("envelope-key-order", Detail::NotCanonical, envelope(&all));
    let mut all = body(&package);
    all.insert(4, all[4].clone());
    add("envelope-duplicate-key", Detail::DuplicateKey, envelope(&all));
    let mut all = body(&package);
    all.insert(3, (vec![0x18, 0x19], vec![0x40]));
    add("envelope-unknown-key", Detail::UnknownKey, envelope(&all));
    let mut all = body(&package);
    all.insert(4, (encode(|w| w.text("#a")), vec![0x40]));
    all[3..5].sort();
    add("envelope-unknown-payload", Detail::UnreferencedPayload, envelope(&all));
    let mut all = body(&package);
    all.push((encode(|w| w.text("#payload1")), vec![0x40]));
    add("envelope-unreferenced-payload", Detail::UnreferencedPayload, envelope(&all));
    let mut all = body(&package);
    all.remove(1);
    add("envelope-no-manifest", Detail::MissingField, envelope(&all));
    let mut all = body(&package);
    all.pop();
    add("envelope-no-payload", Detail::MissingPayload, envelope(&all));
    let mut parts = Parts::read(&package).unwrap();
    parts.manifest = vec![0; 70_000];
    add("envelope-too-large", Detail::EnvelopeTooLarge, parts.write());
    let nested = |w: &mut fwdelta::core::format::cbor::Writer<_>| {
        (0..20).try_for_each(|_| w.array(1)).and_then(|()| w.uint(0))
    };
    let deep = with_manifest(&draft(), |all| all[4].1 = encode(nested));
    add("manifest-too-deep", Detail::WrongType, deep);
    let deep_key = with_manifest(&draft(), |all| all.push((encode(nested), vec![0])));
    add("manifest-key-too-deep", Detail::TooDeep, deep_key);
}

fn manifests(all: &mut Vec<Vector>) {
    let draft = draft();
    let mut add = |name, detail, package| add(all, name, Some(detail), package);
    let edit = |edit: &dyn Fn(&mut Entries)| with_manifest(&draft, edit);
    let uint = |number| encode(move |w| w.uint(number));
    add("manifest-version", Detail::UnknownVersion, edit(&|all| *value(all, 1) = uint(2)));
    add(
        "manifest-unknown-key",
        Detail::UnknownKey,
        edit(&|all| all.push((vec![0x18, 0x18], vec![0]))),
    );
    add("manifest-duplicate-key", Detail::DuplicateKey, edit(&|all| all.insert(1, all[1].clone())));
    add("manifest-key-order", Detail::NotCanonical, edit(&|all| all.swap(0, 1)));
    add("manifest-long-integer", Detail::NotCanonical, edit(&|all| *value(all, 2) = vec![0x18, 7]));
    add(
        "manifest-float-sequence",
        Detail::NotCanonical,
        edit(&|all| *value(all, 2) = vec![0xf9, 0, 0]),
    );
    add(
        "manifest-text-sequence",
        Detail::WrongType,
        edit(&|all| *value(all, 2) = vec![0x61, b'7']),
    );
    add(
        "manifest-no-install",
        Detail::MissingField,
        edit(&|all| all.retain(|(key, _)| *key != [20])),
    );
    add("manifest-bad-utf8", Detail::BadUtf8, edit(&|all| *value(all, 4) = vec![0x61, 0xff]));
    add(
        "manifest-long-uri",
        Detail::StringTooLong,
        edit(&|all| {
            *value(all, 4) = encode(|w| w.text(&"x".repeat(256)));
        }),
    );
    add(
        "manifest-trailing",
        Detail::TrailingBytes,
        with_manifest_bytes(&draft, |bytes| bytes.push(0)),
    );
    add(
        "digest-algorithm",
        Detail::UnknownAlgorithm,
        edit(&|all| swap(value(all, 23), &[0x2f], &[0x38, 42])),
    );
    let common = |from: &[u8], to: &[u8]| {
        with_manifest(&draft, |all| within(value(all, 3), |bytes| swap(bytes, from, to)))
    };
    let name = b"\x44main\x43old";
    add("component-name", Detail::BadValue, common(name, b"\x44ma n\x43old"));
    add("component-role", Detail::UnknownRecipe, common(name, b"\x44main\x43odd"));
    let install = |from: &[u8], to: &[u8]| {
        with_manifest(&draft, |all| within(value(all, 20), |bytes| swap(bytes, from, to)))
    };
    add("recipe-unknown-directive", Detail::UnknownRecipe, install(&[0x15, 0x02], &[0x16, 0x02]));
    add("recipe-other-header", Detail::BadReference, install(b"#h0", b"#h1"));
    add("recipe-bad-reference", Detail::BadReference, install(b"#payload0", b"#payload1"));
    add("recipe-path", Detail::BadReference, install(b"\x69#payload0", b"\x6aexample/.."));
    let validate = with_manifest(&draft, |all| {
        within(value(all, 7), |bytes| swap(bytes, &[0x03, 0x0f], &[0x03, 0x0e]));
    });
    add("recipe-validate", Detail::UnknownRecipe, validate);
    let again = |count: usize, names: &dyn Fn(usize) -> String| {
        let one = &draft.components[0];
        let part = |index| DraftComponent { name: names(index), ..one.clone() };
        let mut many = draft.clone();
        many.components = (0..count).map(part).collect();
        many
    };
    let forged = |draft: &Draft| {
        let package = sealed(&self::draft());
        let mut parts = Parts::read(&package).unwrap();
        parts.manifest = encode(|w| fwdelta::package::seal::emit_manifest(w, draft));
        sign(&mut parts);
        parts.write()
    };
    add("component-twice", Detail::DuplicateComponent, forged(&again(2, &|_| "main".to_owned())));
    add(
        "component-ninth",
        Detail::TooManyComponents,
        forged(&again(9, &|index| format!("c{index}"))),
    );
}

fn blocks(all: &mut Vec<Vector>) {
    let package = sealed(&draft());
    let mut add = |name, detail, package| add(all, name, Some(detail), package);
    let parts = Parts::read(&package).unwrap();
    let with = |edit: &dyn Fn(&mut Parts<'_>)| {
        let mut parts = parts.clone();
        edit(&mut parts);
        parts.write()
    };
    let flipped = with(&|parts| *parts.blocks[0].last_mut().unwrap() ^= 1);
    add("signature-wrong", Detail::BadSignature, flipped);
    add("digest-wrong", Detail::DigestMismatch, with(&|parts| parts.digest[0] ^= 1));
    let changed = with(&|parts| *parts.manifest.last_mut().unwrap() ^= 1);
    add("manifest-changed", Detail::DigestMismatch, changed);
    let stranger = seal(&draft(), &[key("stranger")]).unwrap();
    add("vendor-unknown", Detail::VendorThreshold, stranger);
    add("vendor-operators-key", Detail::WrongRole, seal(&draft(), &[key("26201")]).unwrap());
    add("block-none", Detail::MissingField, with(&|parts| parts.blocks.clear()));
    let twice = with(&|parts| parts.blocks.push(parts.blocks[0].clone()));
    add("block-twice", Detail::DuplicateBlock, twice);
    let ninth = with(&|parts| parts.blocks = vec![parts.blocks[0].clone(); 9]);
    add("block-ninth", Detail::TooManyBlocks, ninth);
    let old_alg = with(&|parts| swap(&mut parts.blocks[0], &[1, 0x32], &[1, 0x27]));
    add("vendor-eddsa", Detail::UnknownAlgorithm, old_alg);
    let unprotected = with(&|parts| swap(&mut parts.blocks[0], &[0xa0, 0xf6], &[0xa1, 0, 0, 0xf6]));
    add("block-unprotected", Detail::BadValue, unprotected);
    let attached = with(&|parts| swap(&mut parts.blocks[0], &[0xa0, 0xf6], &[0xa0, 0x40]));
    add("block-payload", Detail::WrongType, attached);
    let required = encode(|w| fwdelta::core::format::auth::emit_requirement(w, Some(&[])));
    let requirement = Requirement::from_encoded(&required).unwrap();
    let second = key("vendor 2");
    let claim = Claim::Vendor { kid: &second.public().kid(), requirement };
    let block = sign_block(&claim, &parts.signed_payload(), &second).unwrap();
    let disagree = with(&|parts| parts.blocks.push(block.clone()));
    add("vendors-disagree", Detail::VendorsDisagree, disagree);
    let label = |number: i64| encode(move |w| w.int(number));
    let set = |all: &mut Entries, number: i64, value: Vec<u8>| {
        all.retain(|(key, _)| *key != label(number));
        all.push((label(number), value));
        all.sort();
    };
    let edit = |edit: &dyn Fn(&mut Entries)| with_approval_header(edit);
    let uint = |number| encode(move |w| w.uint(number));
    let text = |text: &'static str| encode(move |w| w.text(text));
    add("approval-mode", Detail::UnknownMode, edit(&|all| set(all, -70003, uint(4))));
    add("approval-label", Detail::UnknownLabel, edit(&|all| set(all, -70009, uint(0))));
    add("approval-plmn", Detail::BadPlmn, edit(&|all| set(all, -70002, text("2620x"))));
    add("approval-string-missing", Detail::MissingField, edit(&|all| set(all, -70003, uint(1))));
    add("approval-secret-signed", Detail::BadValue, edit(&|all| set(all, -70003, uint(2))));
    let requirement = edit(&|all| set(all, -70004, vec![0xf4]));
    add("approval-as-vendor", Detail::BadValue, requirement);
    let other_operator = edit(&|all| set(all, -70002, text("310410")));
    add("approval-other-operator", Detail::WrongRole, other_operator);
    let prompts = edit(&|all| set(all, -70005, encode(|w| w.bytes(&[1; 32]))));
    add("approval-prompts-missing", Detail::MissingPayload, prompts);
    let forged = with_block(&join(&approval_header()), &key("stranger"));
    add("approval-forged", Detail::BadSignature, forged);
}

fn policies(all: &mut Vec<Vector>) {
    let package = sealed(&draft());
    add(all, "policy-vendor", Some(Detail::WrongVendor), package.clone());
    last(all).trust = "trust-other-vendor.cbor";
    add(all, "policy-class", Some(Detail::WrongClass), package.clone());
    last(all).trust = "trust-other-class.cbor";
    add(all, "policy-rollback", Some(Detail::Rollback), package.clone());
    last(all).sequence = "8";
    let far = sealed(&Draft { sequence: u64::MAX, ..draft() });
    add(all, "policy-fast-forward", Some(Detail::SequenceJump), far);
    add(all, "old-digest", Some(Detail::OldDigest), package.clone());
    last(all).old = "other.bin";
    add(all, "old-size", Some(Detail::OldSize), package.clone());
    last(all).old = "shorter.bin";
    add(all, "threshold-two", Some(Detail::VendorThreshold), package);
    last(all).trust = "trust-threshold.cbor";
    let both = seal(&draft(), &[vendor(), key("vendor 2")]).unwrap();
    add(all, "valid-threshold-two", None, both);
    last(all).trust = "trust-threshold.cbor";
}

fn operators(all: &mut Vec<Vector>) {
    let package = sealed(&draft());
    let required = sealed(&Draft { requirement: Some(Vec::new()), ..draft() });
    let a = "26201:ef-fota.bin";
    let mut add = |name, expect, package: &[u8], sim| {
        add(all, name, expect, package.to_vec());
        last(all).sim = sim;
    };
    add("valid-approved", None, &signed(&package, "26201"), a);
    let by_b = signed(&package, "310410");
    add("operator-mismatch", Some(Detail::OperatorMismatch), &by_b, a);
    add("operator-not-approved", Some(Detail::NotApproved), &package, a);
    add("operator-required", Some(Detail::OperatorRequired), &required, a);
    add("operator-required-no-sim", Some(Detail::OperatorRequired), &required, "none");
    add("operator-required-no-fota", Some(Detail::OperatorRequired), &required, "no-fota");
    let allowed = signed(&package, "26201");
    let forbidden = "26201:ef-fota-forbids.bin";
    add("operator-not-allowed", Some(Detail::FotaNotAllowed), &allowed, forbidden);
    let key = key("26201");
    let string = |string| Method::Signed { key: &key, string: Some(string) };
    let right = approve_with(&package, "26201", string(STRING));
    add("valid-string", None, &right, a);
    let wrong = approve_with(&package, "26201", string([7; 16]));
    add("operator-string", Some(Detail::StringMismatch), &wrong, a);
    let clear = approve_with(&package, "26201", Method::String { key: &key, string: STRING });
    add("valid-mode-string", None, &clear, a);
    let secret = approve_with(&package, "26201", Method::Secret { string: STRING });
    add("valid-mode-secret", None, &secret, a);
    let other = approve_with(&package, "26201", Method::Secret { string: [7; 16] });
    add("operator-secret", Some(Detail::StringMismatch), &other, a);
    let mut strict = |name, detail, package: &[u8]| {
        add(name, Some(detail), package, a);
    };
    strict("operator-mode", Detail::ModeNotAllowed, &clear);
    strict("operator-string-missing", Detail::StringMissing, &allowed);
    for vector in all.iter_mut().rev().take(2) {
        vector.trust = "trust-strict.cbor";
    }
}

/// Every cell of the operator decision table, with both policies of a device where it decides.
fn operator_table(all: &mut Vec<Vector>) {
    use Detail::{FotaNotAllowed, NoSim, NotApproved, OperatorMismatch, OperatorRequired};
    let package = sealed(&draft());
    let required = sealed(&Draft { requirement: Some(Vec::new()), ..draft() });
    let by_a = signed(&package, "26201");
    let by_b = signed(&package, "310410");
    let by_both = signed(&by_a, "310410");
    let (no, other, needed) =
        (Some(FotaNotAllowed), Some(OperatorMismatch), Some(OperatorRequired));
    let unapproved = Some(NotApproved);
    let lax = "trust-lax.cbor";
    let strict = "trust-no-sim.cbor";
    let own = "trust.cbor";
    for (row, trust, package, cells) in [
        ("a", own, &by_a, [None, other, no, None, None]),
        ("b", own, &by_b, [other, None, no, None, None]),
        ("both", own, &by_both, [None, None, no, None, None]),
        ("none", own, &package, [unapproved, unapproved, no, None, None]),
        ("required", own, &required, [needed, needed, no, needed, needed]),
        ("a-lax", lax, &by_a, [None, None, no, None, None]),
        ("none-lax", lax, &package, [None, None, no, None, None]),
        ("required-lax", lax, &required, [needed, needed, no, needed, needed]),
        ("a-no-sim", strict, &by_a, [None, other, no, None, Some(NoSim)]),
        ("required-no-sim", strict, &required, [needed, needed, no, needed, needed]),
    ] {
        let columns = [
            ("sim-a", "26201:ef-fota.bin"),
            ("sim-b", "310410:ef-fota.bin"),
            ("forbidden", "26201:ef-fota-forbids.bin"),
            ("no-fota", "no-fota"),
            ("no-sim", "none"),
        ];
        for ((column, sim), expect) in columns.into_iter().zip(cells) {
            add(all, leaked(format!("table-{row}-{column}")), expect, package.clone());
            (last(all).sim, last(all).trust) = (sim, trust);
        }
    }
    let blank = approve_with(&package, "26201", Method::Secret { string: [0xff; 16] });
    add(all, "operator-unprovisioned", Some(Detail::StringMismatch), blank);
    last(all).sim = "26201:ef-fota-blank.bin";
    add(all, "valid-mode-none", None, package.clone());
    (last(all).sim, last(all).trust) = ("26201:ef-fota.bin", "trust-none.cbor");
    let bogus = approve_with(&package, "26201", Method::Secret { string: [7; 16] });
    let beside = approve_with(&bogus, "26201", Method::Secret { string: STRING });
    add(all, "valid-bogus-secret-beside", None, beside);
    last(all).sim = "26201:ef-fota.bin";
    let stranger = Method::Signed { key: &key("next key"), string: None };
    let rotated = approve_with(&by_a, "26201", stranger);
    add(all, "valid-operator-rotates", None, rotated);
    last(all).sim = "26201:ef-fota.bin";
    let alone = approve_with(&package, "26201", stranger);
    add(all, "approval-unknown-key", Some(Detail::WrongRole), alone);
}

/// Names of vectors live as long as the program that makes them.
fn leaked(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}

/// What a package asks of the device, met and not met.
fn demands(all: &mut Vec<Vector>) {
    let with = |requires| sealed(&Draft { requires, ..draft() });
    let version = |text: &str| Version::new(text).unwrap();
    let mut add = |name, expect, package: &[u8], facts| {
        add(all, name, expect, package.to_vec());
        last(all).facts = facts;
    };
    let bare = Requires::default();
    let set = vec![version("2"), version("3.1")];
    let set = with(Requires { hardware: set, ..bare.clone() });
    let only = with(Requires { hardware: vec![version("2")], ..bare.clone() });
    let wrong = Some(Detail::WrongHardware);
    add("valid-hardware-set", None, &set, "hardware=3.1");
    add("valid-hardware-one", None, &only, "hardware=2");
    add("policy-hardware-set", wrong, &set, "hardware=3");
    add("policy-hardware-one", wrong, &only, "hardware=3.1");
    add("policy-hardware-unknown", wrong, &set, "-");
    let id = uuid::Uuid::from_bytes([9; 16]);
    let device = with(Requires { device_id: Some(id), ..bare.clone() });
    let ours = "device=09090909090909090909090909090909";
    add("valid-device", None, &device, ours);
    let other = "device=09090909090909090909090909090908";
    add("policy-device", Some(Detail::WrongDevice), &device, other);
    add("policy-device-unknown", Some(Detail::WrongDevice), &device, "-");
    let until = with(Requires { expires: Some(Time(1_800_000_000)), ..bare.clone() });
    add("valid-before-expiry", None, &until, "time=1799999999");
    add("valid-expiry-without-clock", None, &until, "-");
    add("policy-expired", Some(Detail::Expired), &until, "time=1800000000");
    let charged = with(Requires { battery: Some(Percent(30)), ..bare.clone() });
    add("valid-battery", None, &charged, "battery=30");
    add("policy-battery", Some(Detail::BatteryLow), &charged, "battery=29");
    add("policy-battery-unknown", Some(Detail::BatteryLow), &charged, "-");
    let asked = with(Requires { authorized: true, ..bare.clone() });
    add("valid-authorized", None, &asked, "authorized=1");
    add("policy-not-authorized", Some(Detail::NotAuthorized), &asked, "battery=100");
    let range = |text: &str| VersionRange::try_from(text.to_owned()).unwrap();
    let modem = ComponentName::try_from("modem".to_owned()).unwrap();
    let component = std::collections::BTreeMap::from([(modem, range(">= 1.4.0"))]);
    let modem = with(Requires { component, ..bare });
    let missing = Some(Detail::DependencyVersion);
    add("valid-dependency", None, &modem, "modem=1.4");
    add("policy-dependency", missing, &modem, "modem=1.3.9");
    add("policy-dependency-stage", missing, &modem, "modem=1.4.0.-1");
    add("policy-dependency-missing", missing, &modem, "boot=9");
    let plain = sealed(&draft());
    let (_, new) = tiny_pair();
    assert_eq!(new.len(), 1034, "the next two lines are about this");
    add("valid-space", None, &plain, "free=1034");
    add("policy-space", Some(Detail::NoSpace), &plain, "free=1033");
    let swapped = with_manifest(
        &Draft {
            requires: Requires { battery: Some(Percent(30)), ..Requires::default() },
            ..draft()
        },
        |all| {
            within(value(all, 20), |install| {
                swap(install, &[0xa1, 0x18, 26, 0x18, 30], &[0xa1, 0x18, 26, 0x18, 101])
            });
        },
    );
    add("manifest-battery-range", Some(Detail::BadValue), &swapped, "battery=100");
}

fn payloads(all: &mut Vec<Vector>) {
    let mut add = |name, detail, package| add(all, name, Some(detail), package);
    let uint = |number| encode(move |w| w.uint(number));
    let header = |edit: &dyn Fn(&mut Entries)| with_header(edit);
    add("header-version", Detail::UnknownVersion, header(&|all| *value(all, 0) = uint(2)));
    add("header-coder", Detail::UnknownCoder, header(&|all| *value(all, 1) = uint(9)));
    add("header-old-len", Detail::HeaderMismatch, header(&|all| *value(all, 2) = uint(9)));
    add("header-new-len", Detail::HeaderMismatch, header(&|all| *value(all, 4) = uint(9)));
    add("header-workspace", Detail::WorkspaceTooSmall, header(&|all| *value(all, 6) = uint(1)));
    let huge = 1 << 40;
    add(
        "header-workspace-huge",
        Detail::WorkspaceTooSmall,
        header(&|all| *value(all, 6) = uint(huge)),
    );
    let no_chain = header(&|all| all.retain(|(key, _)| *key != [8]));
    add("header-no-chain", Detail::HeaderMismatch, no_chain);
    let reserved = header(&|all| all.push((vec![10], vec![0x80])));
    add("header-regions", Detail::NotBuiltIn, reserved);
    let unknown = header(&|all| all.push((vec![17], vec![0x80])));
    add("header-unknown-key", Detail::UnknownKey, unknown);
    let no_digest = header(&|all| all.retain(|(key, _)| *key != [5]));
    add("header-no-digest", Detail::MissingField, no_digest);
    // A way back from an update that no device has.
    let undone = encode(|w| w.bytes(&[1; 32]));
    add("header-undoes", Detail::Rollback, header(&|all| all.push((vec![16], undone.clone()))));
    let mut longer = draft();
    longer.components[0].header = header_with(|header| header.payload_len += 1);
    add("header-payload-len", Detail::HeaderMismatch, sealed(&longer));
    let mut large = draft();
    large.components[0].header = header_with(|header| header.new.len = 1 << 41);
    large.components[0].new.len = 1 << 41;
    add("header-image-huge", Detail::ImageTooLarge, sealed(&large));
    let chain = with_header(|all| {
        let item = value(all, 8);
        *item.last_mut().unwrap() ^= 1;
    });
    add("chunk-digest", Detail::ChunkDigest, chain);
    let mut other = draft();
    other.components[0].header = header_with(|header| header.new.digest[0] ^= 1);
    other.components[0].new.digest[0] ^= 1;
    add("new-digest", Detail::NewDigest, sealed(&other));
    changed_contents(&mut add);
    streams(&mut add);
    add("cover-outside-old", Detail::BadCover, cover_outside_old());
    last(all).old = "first64.bin";
}

fn header_with(edit: impl Fn(&mut DeltaHeader)) -> Vec<u8> {
    let mut delta = delta(Profile::Plain).chained(64).unwrap();
    edit(&mut delta.header);
    delta.header_bytes()
}

/// Contents changed after signing.
fn changed_contents(add: &mut impl FnMut(&'static str, Detail, Vec<u8>)) {
    let package = sealed(&draft());
    let with = |key: &str, edit: &dyn Fn(&mut Vec<u8>)| {
        let mut parts = Parts::read(&package).unwrap();
        let mut content = parts.payload(key).unwrap().to_vec();
        edit(&mut content);
        parts.payloads.retain(|(name, _)| name != key);
        parts.payloads.push((key.to_owned(), &content));
        parts.write()
    };
    let flip: &dyn Fn(&mut Vec<u8>) = &|bytes| bytes[0] ^= 1;
    let longer: &dyn Fn(&mut Vec<u8>) = &|bytes| bytes.push(0);
    add("payload-digest", Detail::PayloadDigest, with("#payload0", flip));
    add("payload-size", Detail::PayloadSize, with("#payload0", longer));
    add("header-digest", Detail::HeaderDigest, with("#h0", flip));
    add("header-size", Detail::PayloadSize, with("#h0", longer));
    add("prompts-digest", Detail::PromptsDigest, with("#p", flip));
    let mut text = Parts::read(&package).unwrap();
    let mut changed = text.text.unwrap().to_vec();
    changed[0] ^= 1;
    text.text = Some(&changed);
    add("text-digest", Detail::TextDigest, text.write());
    let bare = sealed(&Draft { text: None, ..draft() });
    let mut put = Parts::read(&bare).unwrap();
    put.text = Some(&changed);
    add("text-unreferenced", Detail::UnreferencedPayload, put.write());
}

/// Streams that are signed and whole, but not what a generator makes.
fn streams(add: &mut impl FnMut(&'static str, Detail, Vec<u8>)) {
    let trailing = with_payload(|delta| delta.payload.extend_from_slice(&[0; 8]));
    add("stream-trailing", Detail::BadStream, trailing);
    let short = with_payload(|delta| delta.payload.truncate(delta.payload.len() / 2));
    add("stream-short", Detail::BadStream, short);
}

/// A delta made from a longer image than the one it names: its covers reach outside.
fn cover_outside_old() -> Vec<u8> {
    let (old, _) = tiny_pair();
    with_payload(|delta| delta.header.old = Some(blob(&old[..64])))
}
