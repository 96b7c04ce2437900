//! Holes that other updaters had, and the attacks that have names: each a test that fails when the
//! check that stops it is taken out. `cargo xtask mutants` takes them out one by one.

mod common;

use common::{STRING, anchor, approved, key, package, plmn, receive, sim, tiny_pair};
use fwdelta::cbor::encode;
use fwdelta::core::apply::{Applier, Io, Step};
use fwdelta::core::format::auth::{Claim, Mode, Requirement, emit_block, emit_signed};
use fwdelta::core::format::cbor::Reader;
use fwdelta::core::format::envelope::Span;
use fwdelta::core::format::key::Algorithm;
use fwdelta::core::format::manifest::{self, Blob, Component, DemandFacts, Summary};
use fwdelta::core::format::trust::{self, OperatorFacts, Policy, Trust};
use fwdelta::core::hash::{equal_in_constant_time, sha256};
use fwdelta::core::verify::{Basis, Device, Ed25519, EfFota, Facts, Package, Sim};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{self, Options, Profile, VecTarget};
use fwdelta::package::assemble::{Parts, manifest_digest, sign_block, signed_payload};
use fwdelta::package::build::{Detached, Images, build};
use fwdelta::package::{Approval, Method, SecretKey, approve, build::BuildOptions};
use fwdelta::progress::Silent;
use fwdelta::release::Release;

const NO_SIM: Device<'static> = device(Sim::Absent);

const fn device(sim: Sim) -> Device<'static> {
    let facts = Facts {
        vendor_id: None,
        class_id: None,
        device_id: None,
        hardware: None,
        time: None,
        battery: None,
        free_len: None,
        is_authorized: false,
        installed: &[],
    };
    Device { sim, sequence: Some(6), facts }
}

/// A package of sequence number 7 for the tiny pair.
fn made() -> Vec<u8> {
    let (old, new) = tiny_pair();
    package(Some(&old), &new, Profile::Plain, &|_| ())
}

/// What a device that trusts the usual signers says.
fn outcome(package: &[u8]) -> Result<Vec<u8>, Detail> {
    on(package, &anchor(""), NO_SIM)
}

fn on(package: &[u8], anchor: &[u8], device: Device<'_>) -> Result<Vec<u8>, Detail> {
    receive(&mut { package }, package.len(), &tiny_pair().0, anchor, device)
}

fn with_parts(package: &[u8], edit: impl FnOnce(&mut Parts<'_>)) -> Vec<u8> {
    let mut parts = Parts::read(package).unwrap();
    edit(&mut parts);
    parts.write()
}

fn vendor_block(signer: &SecretKey, as_key: &SecretKey, payload: &[u8]) -> Vec<u8> {
    let requirement = Requirement::from_encoded(&[0xf4]).unwrap();
    let claim = Claim::Vendor { kid: &as_key.public().kid(), requirement };
    let protected = encode(|w| claim.emit(w, Algorithm::Ed25519));
    let message = encode(|w| emit_signed(w, false, &protected, payload));
    encode(|w| emit_block(w, &protected, &signer.sign(&message).unwrap()))
}

fn vendor_anchor(threshold: u8, keys: &[&str]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|name| key(name).public()).collect();
    let keys: Vec<_> = keys.iter().map(|key| key.raw().into()).collect();
    encode(|w| trust::emit(w, 1, (threshold, &keys), &[], &Policy::default()))
}

/// A length that is cut to 32 bits on its way lets a signature cover the first bytes only.
#[test]
fn rauc_cve_2026_34155_lengths_are_not_truncated() {
    let payload = b"the first bytes";
    let header = b"never read here";
    let blob = |bytes: &[u8]| Blob { len: bytes.len() as u64, digest: sha256(bytes) };
    let delta = Blob { len: (1 << 32) + payload.len() as u64, digest: sha256(payload) };
    let component = Component {
        name: "main",
        old: None,
        new: blob(b"new"),
        header: blob(header),
        delta,
        detached: Some("main.fwd"),
        encryption: None,
    };
    let summary = Summary {
        sequence: 7,
        vendor_id: [1; 16],
        class_id: [2; 16],
        reference_uri: None,
        text: None,
        prompts: None,
    };
    let demands = DemandFacts::default();
    let manifest = encode(|w| manifest::emit(w, &summary, &[component], &demands));
    let digest = manifest_digest(&manifest);
    let vendor = key("vendor");
    let package = Parts {
        digest,
        wrapper: Vec::new(),
        blocks: vec![vendor_block(&vendor, &vendor, &signed_payload(&digest))],
        manifest,
        text: None,
        payloads: vec![("#h0".to_owned(), header)],
    };
    let (package, anchor) = (package.write(), anchor(""));
    let trust = Trust::parse(&anchor).unwrap();
    let (mut buf, limits, len) = ([0; 4096], Limits::LINUX, package.len() as u64);
    let mut file = package.as_slice();
    let open =
        Package::verify(&mut file, len, &mut buf, &trust, &NO_SIM, &Ed25519, &limits).unwrap();
    let span = Span { pos: 0, len: payload.len() as u64 };
    let said = open.check_delta(&mut payload.as_slice(), span, 0, &mut [0; 64]);
    assert_eq!(said.unwrap_err().detail, Detail::PayloadSize);
}

/// A package nobody trusted signed.
#[test]
fn mender_cve_2025_67903_an_unsigned_package_is_refused() {
    let (vendor, stranger) = (key("vendor"), key("stranger"));
    let payload = Parts::read(&made()).unwrap().signed_payload();
    let by = |signer: &SecretKey, as_key: &SecretKey| {
        let block = vendor_block(signer, as_key, &payload);
        outcome(&with_parts(&made(), |parts| parts.blocks = vec![block]))
    };
    assert!(by(&vendor, &vendor).is_ok());
    assert_eq!(by(&stranger, &vendor), Err(Detail::BadSignature));
    assert_eq!(by(&stranger, &stranger), Err(Detail::VendorThreshold));
    // A signature of something else.
    let block = vendor_block(&vendor, &vendor, &signed_payload(&[9; 32]));
    let moved = with_parts(&made(), |parts| parts.blocks = vec![block]);
    assert_eq!(outcome(&moved), Err(Detail::BadSignature));
    // A manifest that is not the signed one.
    let other = with_parts(&made(), |parts| *parts.manifest.last_mut().unwrap() ^= 1);
    assert_eq!(outcome(&other), Err(Detail::DigestMismatch));
}

/// A field outside the signed area must not be believed: there is none.
#[test]
fn mcuboot_cve_2024_32883_nothing_stands_outside_the_signature() {
    let package = made();
    let kid = encode(|w| {
        w.map(1)?;
        w.int(4)?;
        w.bytes(&key("vendor").public().kid())
    });
    let changed = with_parts(&package, |parts| {
        let block = &mut parts.blocks[0];
        let pos = block.windows(2).position(|pair| pair == [0xa0, 0xf6]).unwrap();
        block.splice(pos..=pos, kid.iter().copied());
    });
    assert_eq!(outcome(&changed), Err(Detail::BadValue));
}

/// One key must not fill a threshold of two, neither listed twice nor signing twice.
#[test]
fn tough_cve_2020_15093_one_key_counts_once() {
    let twice = vendor_anchor(2, &["vendor", "vendor"]);
    assert_eq!(Trust::parse(&twice).unwrap_err().detail, Detail::DuplicateBlock);
    let two = vendor_anchor(2, &["vendor", "vendor 2"]);
    let again = with_parts(&made(), |parts| parts.blocks.push(parts.blocks[0].clone()));
    let said = on(&again, &two, NO_SIM).unwrap_err();
    assert_eq!(said, Detail::DuplicateBlock);
    assert_eq!(on(&made(), &two, NO_SIM), Err(Detail::VendorThreshold));
    // Nor does an operator's key stand for the vendor.
    let public = key("vendor").public();
    let keys = [public.raw().into()];
    let operator = OperatorFacts {
        plmn: plmn("26201"),
        keys: &keys,
        modes: 4,
        string_required: false,
        attach_keys: &[],
    };
    let shared = encode(|w| trust::emit(w, 1, (1, &keys), &[operator], &Policy::default()));
    assert_eq!(Trust::parse(&shared).unwrap_err().detail, Detail::DuplicateBlock);
}

/// The same, and rollback by name: an older package.
#[test]
fn go_tuf_cve_2022_29173_an_older_package_is_refused() {
    let anchor = anchor("");
    let at = |sequence| on(&made(), &anchor, Device { sequence, ..NO_SIM });
    assert!(at(Some(7)).is_ok() && at(None).is_ok());
    assert_eq!(at(Some(8)), Err(Detail::Rollback));
    assert_eq!(at(Some(u64::MAX)), Err(Detail::Rollback));
}

/// Fast-forward: a sequence number that leaves no room for another.
#[test]
fn fast_forward_is_refused() {
    let (old, new) = tiny_pair();
    let far = |sequence| {
        package(Some(&old), &new, Profile::Plain, &move |options| options.sequence = sequence)
    };
    assert_eq!(outcome(&far(u64::MAX)), Err(Detail::SequenceJump));
    assert_eq!(outcome(&far(6 + 65_536 + 1)), Err(Detail::SequenceJump));
    assert!(outcome(&far(6 + 65_536)).is_ok());
}

/// Freeze: a package is offered long after it should be.
#[test]
fn freeze_an_expired_package_is_refused() {
    let (old, new) = tiny_pair();
    let text = "version = \"1\"\n[requires]\nexpires = 1800000000\n";
    let release = Release::parse(text, "release.toml", &mut |_| Ok(String::new())).unwrap();
    let options = BuildOptions {
        diff: Options { profile: Profile::Plain, threads: 1, ..Options::default() },
        sequence: 7,
        ..BuildOptions::default()
    };
    let images = [Images { name: "main", old: Some(&old), new: &new }];
    let built = build(&images, &release, &[key("vendor")], &options, &Silent).unwrap().package;
    let at = |time| {
        let facts = Facts { time, ..Facts::default() };
        on(&built, &anchor(""), Device { facts, ..NO_SIM })
    };
    assert_eq!(at(Some(1_800_000_000)), Err(Detail::Expired));
    assert!(at(Some(1_799_999_999)).is_ok() && at(None).is_ok());
}

/// Mix and match: parts of two signed packages.
#[test]
fn mix_and_match_is_refused() {
    let (old, mut new) = tiny_pair();
    new[5] ^= 0xff;
    let other = package(Some(&old), &new, Profile::Plain, &|_| ());
    let other = Parts::read(&other).unwrap();
    let with = |name: &str| {
        let foreign = other.payload(name).unwrap();
        outcome(&with_parts(&made(), |parts| {
            parts.payloads.retain(|(key, _)| key != name);
            let foreign: &'static [u8] = Box::leak(foreign.to_vec().into_boxed_slice());
            parts.payloads.push((name.to_owned(), foreign));
        }))
    };
    assert_eq!(with("#h0"), Err(Detail::HeaderDigest));
    assert!([Detail::PayloadDigest, Detail::PayloadSize].contains(&with("#payload0").unwrap_err()));
    // An approval of the other package.
    let theirs = approved(&package(Some(&old), &new, Profile::Plain, &|_| ()));
    let block = Parts::read(&theirs).unwrap().blocks[1].clone();
    let moved = with_parts(&made(), |parts| parts.blocks.push(block));
    assert_eq!(outcome(&moved), Err(Detail::BadSignature));
}

/// Wrong software: signed by the right vendor, for another device.
#[test]
fn wrong_software_is_refused() {
    let other_class = "vendor_domain = \"example.invalid\"\nclass = \"other\"";
    assert_eq!(on(&made(), &anchor(other_class), NO_SIM), Err(Detail::WrongClass));
    let other_vendor = anchor("vendor_domain = \"example.com\"");
    assert_eq!(on(&made(), &other_vendor, NO_SIM), Err(Detail::WrongVendor));
    let facts = Facts { class_id: Some([7; 16]), ..Facts::default() };
    let said = on(&made(), &anchor(""), Device { facts, ..NO_SIM });
    assert_eq!(said, Err(Detail::WrongClass));
}

/// Endless data: nothing is read beyond what limits allow.
#[test]
fn endless_data_is_refused() {
    let (old, new) = tiny_pair();
    let longer = with_parts(&made(), |parts| {
        let payload = parts.payload("#payload0").unwrap();
        let longer: &'static [u8] = Box::leak([payload, &[0; 64]].concat().into_boxed_slice());
        parts.payloads.retain(|(key, _)| key != "#payload0");
        parts.payloads.push(("#payload0".to_owned(), longer));
    });
    assert_eq!(outcome(&longer), Err(Detail::PayloadSize));
    let wide = with_parts(&made(), |parts| {
        parts.manifest = vec![0; Limits::DEVICE.envelope_len];
    });
    let trust = anchor("");
    let trust = Trust::parse(&trust).unwrap();
    let (mut buf, limits) = (vec![0; 1 << 16], Limits::DEVICE);
    let mut file = wide.as_slice();
    let len = wide.len() as u64;
    let said = Package::verify(&mut file, len, &mut buf, &trust, &NO_SIM, &Ed25519, &limits);
    assert_eq!(said.unwrap_err().detail, Detail::EnvelopeTooLarge);
    assert_eq!(receive(&mut made().as_slice(), made().len(), &old, &anchor(""), NO_SIM), Ok(new));
}

/// Partial bundle: a component, header or payload is left out.
#[test]
fn a_partial_bundle_is_refused() {
    for name in ["#h0", "#payload0", "#p"] {
        let less = with_parts(&made(), |parts| parts.payloads.retain(|(key, _)| key != name));
        assert_eq!(outcome(&less), Err(Detail::MissingPayload), "{name}");
    }
    let (old, new) = tiny_pair();
    let detached = package(Some(&old), &new, Profile::Plain, &|options| {
        options.detached = Some(Detached { stem: "x".to_owned(), base_uri: String::new() });
    });
    assert_eq!(outcome(&detached), Err(Detail::MissingPayload));
}

/// Memory that is used again must not show through: what stood in it does not change the result.
#[test]
fn lz4_flex_cve_2026_32829_old_memory_does_not_show() {
    let (old, new) = common::pair("apollo");
    let (old, new) = (&old[..12_000], &new[..12_000]);
    for profile in [Profile::Tiny, Profile::Small, Profile::Max, Profile::Plain] {
        let options = Options { profile, threads: 1, ..Options::default() };
        let delta = diff::create(old, new, &options, &Silent).unwrap();
        for fill in [0x00, 0x5a, 0xff] {
            let work_len = Applier::workspace(&delta.header).unwrap() as usize;
            let mut work = vec![fill; work_len];
            let mut applier = Applier::open(&delta.header, &mut work, &Limits::LINUX).unwrap();
            let (mut from, mut to) = (old, VecTarget::default());
            let mut decompressor = fwdelta::codec::zstd::Zstd::default();
            let (mut at, payload) = (0, &delta.payload);
            loop {
                let mut io = Io { old: &mut from, new: &mut to, decompressor: &mut decompressor };
                let (taken, step) = applier.feed(&mut io, &payload[at..]).unwrap();
                at += taken;
                if step == Step::Done {
                    break;
                }
            }
            applier.finish(&mut to).unwrap();
            assert!(to.0 == new, "{profile:?} over {fill:#04x}");
        }
    }
}

/// Deep nesting must not use up the stack.
#[test]
fn serde_cbor_cve_2019_25001_nesting_is_bounded() {
    let mut deep = vec![0x81; 64];
    deep.push(0);
    assert_eq!(Reader::new(&deep).skip().unwrap_err().detail, Detail::TooDeep);
    assert!(Reader::new(&deep[58..]).skip().is_ok());
}

/// Two readers that see different sizes: header and manifest must say the same.
#[test]
fn tar_cve_2026_33055_header_and_manifest_agree() {
    let (old, new) = tiny_pair();
    let options = Options { profile: Profile::Plain, threads: 1, ..Options::default() };
    let made = diff::create(&old, &new, &options, &Silent).unwrap().chained(64).unwrap();
    type Edit = fn(&mut fwdelta::core::format::delta::DeltaHeader);
    let edits: [Edit; 4] = [
        |header| header.new.len += 1,
        |header| header.payload_len += 1,
        |header| header.new.digest[0] ^= 1,
        |header| header.old.as_mut().unwrap().len += 1,
    ];
    for edit in edits {
        let mut delta = made.clone();
        edit(&mut delta.header);
        let component = fwdelta::package::seal::DraftComponent {
            name: "main".to_owned(),
            old: made.header.old,
            new: made.header.new,
            header: delta.header_bytes(),
            payload: made.payload.clone(),
            detached: None,
            encryption: None,
        };
        let components = vec![component];
        let draft = fwdelta::package::seal::Draft { sequence: 7, components, ..Default::default() };
        let package = fwdelta::package::seal::seal(&draft, &[key("vendor")]).unwrap();
        assert_eq!(outcome(&package), Err(Detail::HeaderMismatch));
    }
}

/// A size in a header is not allocated before it was compared with a limit.
#[test]
fn sentry_cli_1279_sizes_are_compared_with_limits_first() {
    let options = Options { profile: Profile::Plain, threads: 1, ..Options::default() };
    let (old, new) = tiny_pair();
    let mut header = diff::create(&old, &new, &options, &Silent).unwrap().header;
    header.new.len = Limits::LINUX.image_len + 1;
    assert_eq!(header.check(&Limits::LINUX).unwrap_err().detail, Detail::ImageTooLarge);
    header.new.len = 1;
    header.workspace_len = Limits::LINUX.workspace_len + 1;
    assert_eq!(header.check(&Limits::LINUX).unwrap_err().detail, Detail::WorkspaceTooSmall);
}

fn decided(package: &[u8], device: Device<'_>) -> Result<Basis, Detail> {
    let modes = encode(|w| {
        let (vendor, operator) = (key("vendor").public(), key("26201").public());
        let (vendor, keys) = ([vendor.raw().into()], [operator.raw().into()]);
        let operator = OperatorFacts {
            plmn: plmn("26201"),
            keys: &keys,
            modes: 7,
            string_required: false,
            attach_keys: &[],
        };
        trust::emit(w, 1, (1, &vendor), &[operator], &Policy::default())
    });
    let trust = Trust::parse(&modes).unwrap();
    let (mut buf, mut file, len) = ([0; 4096], package, package.len() as u64);
    let limits = Limits::DEVICE;
    Package::verify(&mut file, len, &mut buf, &trust, &device, &Ed25519, &limits)
        .map(|package| package.decision.basis)
        .map_err(|error| error.detail)
}

fn approved_by(method: Method<'_>) -> Vec<u8> {
    let approval = Approval { plmn: plmn("26201"), method, prompts: None };
    approve(&made(), &approval).unwrap()
}

/// The string of another SIM, of none, and of a SIM that was never provisioned.
#[test]
fn validation_strings_are_compared_whole() {
    let key = key("26201");
    for method in [
        |string: [u8; 16], key| Method::Signed { key, string: Some(string) },
        |string, key| Method::String { key, string },
        |string, _| Method::Secret { string },
    ] as [fn([u8; 16], &SecretKey) -> Method<'_>; 3]
    {
        let with = |string| decided(&approved_by(method(string, &key)), device(sim("26201")));
        assert_eq!(with(STRING), Ok(Basis::Approved));
        for index in 0..16 {
            let mut other = STRING;
            other[index] ^= 0x80;
            assert_eq!(with(other), Err(Detail::StringMismatch), "byte {index}");
        }
        for blank in [[0; 16], [0xff; 16]] {
            let file = [&[1][..], &blank].concat();
            let ef_fota = EfFota::parse(&file).unwrap();
            let blank_sim = Sim::WithFota { plmn: plmn("26201"), ef_fota };
            let said = decided(&approved_by(method(blank, &key)), device(blank_sim));
            assert_eq!(said, Err(Detail::StringMismatch));
        }
    }
    assert!(equal_in_constant_time(b"same", b"same") && !equal_in_constant_time(b"same", b"sane"));
    assert!(!equal_in_constant_time(b"same", b"samee"));
}

/// SIM swap: what was asked before the download is asked again when the package is there, and not
/// once the update was begun.
#[test]
fn sim_swap_between_download_and_update() {
    use fwdelta::core::verify::gate;
    let approved = approved(&made());
    let (anchor, policy) = (anchor(""), Policy::default());
    let with = |operator: &str, condition: u8| {
        let file = [&[condition][..], &STRING].concat();
        Sim::WithFota { plmn: plmn(operator), ef_fota: EfFota::parse(&file).unwrap() }
    };
    // The download starts under one SIM ...
    assert_eq!(gate(&policy, &with("26201", 1)), Ok(()));
    // ... and the update is asked under another: not approved there, or not allowed.
    let after = |sim| on(&approved, &anchor, device(sim)).map(|_| ());
    assert_eq!(after(with("26201", 1)), Ok(()));
    assert_eq!(after(with("310410", 1)), Ok(()), "approved for both");
    assert_eq!(after(with("20801", 1)), Err(Detail::OperatorMismatch));
    assert_eq!(after(with("26201", 0)), Err(Detail::FotaNotAllowed));
    // What the gate refuses is refused with the package too.
    assert_eq!(gate(&policy, &with("26201", 0)).unwrap_err().detail, Detail::FotaNotAllowed);
    let strict = Policy { apply_without_sim: false, ..policy };
    assert_eq!(gate(&strict, &Sim::Absent).unwrap_err().detail, Detail::NoSim);
    assert_eq!(gate(&policy, &Sim::WithoutFota), Ok(()));
    // Once begun, no SIM is asked: the package is opened by its digest alone.
    let (mut buf, mut file) = ([0; 4096], approved.as_slice());
    let begun = Package::reopen(&mut file, approved.len() as u64, &mut buf, &Limits::DEVICE);
    let begun = begun.unwrap();
    assert_eq!(begun.decision.basis, Basis::Begun);
    assert_eq!(begun.check_conditions(&Facts::default()), Ok(()));
}

/// An approval by a key that is trusted for something else.
#[test]
fn keys_speak_in_their_own_role_only() {
    let stranger = key("310410");
    let forged = approved_by(Method::Signed { key: &stranger, string: None });
    assert_eq!(on(&forged, &anchor(""), NO_SIM), Err(Detail::WrongRole));
    let kid = key("26201").public().kid();
    let claim = Claim::Approval {
        kid: Some(&kid),
        plmn: plmn("26201"),
        mode: Mode::Signed,
        string: None,
        prompts: None,
    };
    let payload = Parts::read(&made()).unwrap().signed_payload();
    let block = sign_block(&claim, &payload, &stranger).unwrap();
    let forged = with_parts(&made(), |parts| parts.blocks.push(block));
    assert_eq!(on(&forged, &anchor(""), NO_SIM), Err(Detail::BadSignature));
}
