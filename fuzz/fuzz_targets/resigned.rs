//! Laws, with every digest and signature made after the fuzzer changed what they are of: what is
//! accepted is new enough, in time, for this device, and allowed by its SIM; taking an approval
//! away never makes a refused package acceptable; a change under the digest never goes unnoticed;
//! what is accepted can be reopened, and its delta header says what the manifest says.
#![no_main]

use fwdelta_core::format::auth::{self, Claim, Mode, Requirement, emit_requirement};
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::format::envelope::{self, Span};
use fwdelta_core::format::key::{Key, ML_DSA_44_KEY_LEN, PublicKey};
use fwdelta_core::format::manifest::{
    self, Blob, Component, DemandFacts, DependencyFacts, Manifest, Summary,
};
use fwdelta_core::format::plmn::Plmn;
use fwdelta_core::format::suit::emit_digest;
use fwdelta_core::format::trust::{self, OperatorFacts, Policy, Trust};
use fwdelta_core::hash::sha256;
use fwdelta_core::verify::{Device, EfFota, Facts, Installed, Package, Sim, secret_mac};
use fwdelta_core::{Category, Detail, Limits};
use fwdelta_fuzz::seal::{Seal, block};
use fwdelta_fuzz::{Numbers, emitted};
use libfuzzer_sys::fuzz_target;

const VENDOR: [u8; 32] = [1; 32];
const SECOND: [u8; 65] = [4; 65];
const COMPANION: [u8; ML_DSA_44_KEY_LEN] = [2; ML_DSA_44_KEY_LEN];
/// Of the operators, each with a key to sign and one to attach strings; the last is not trusted.
const OPERATORS: [(&str, [u8; 32], [u8; 32]); 3] =
    [("26201", [11; 32], [12; 32]), ("310410", [13; 32], [14; 32]), ("20801", [15; 32], [16; 32])];
const STRING: [u8; 16] = *b"the SIM's string";
const PROMPTS: &[u8] = b"\xa1\x62en\xa1\x01\x62ok";
const SEQUENCE: u64 = 5;
const NOW: u64 = 1_700_000_000;

fn plmn(text: &str) -> Plmn {
    Plmn::parse(text).expect("five or six digits")
}

fn public(key: &[u8; 32]) -> PublicKey<'_> {
    PublicKey::Ed25519(key)
}

/// The vendor's keys: one, two of two, or one of a hybrid and another.
fn vendor_keys(choice: u8) -> (u8, Vec<Key<'static>>) {
    let first = PublicKey::Ed25519(&VENDOR);
    let second = PublicKey::Esp256(&SECOND).into();
    let companion = Some(PublicKey::MlDsa44(&COMPANION));
    match choice % 3 {
        0 => (1, vec![first.into()]),
        1 => (2, vec![first.into(), second]),
        _ => (1, vec![Key { key: first, companion }]),
    }
}

/// The anchor, by its numbers: keys of the vendor, modes, policy.
fn anchor(numbers: &mut Numbers<'_>) -> (Vec<u8>, Vec<Key<'static>>, Policy) {
    let (threshold, keys) = vendor_keys(numbers.byte());
    let (rules, device) = (numbers.byte(), numbers.byte());
    let policy = Policy {
        vendor_id: None,
        class_id: None,
        apply_unapproved: device & 1 == 1,
        apply_without_sim: device & 2 == 2,
        allow_bit: device >> 2 & 7,
        jump_max: 1 << (device >> 5),
    };
    let pairs = OPERATORS.map(|(_, sign, attach)| [sign, attach]);
    let pairs: Vec<[Key<'_>; 2]> =
        pairs.iter().map(|[sign, attach]| [public(sign).into(), public(attach).into()]).collect();
    let mut operators = Vec::new();
    for ((name, ..), keys) in OPERATORS.iter().zip(&pairs).take(2) {
        operators.push(OperatorFacts {
            plmn: plmn(name),
            keys: &keys[..1],
            modes: (rules & 15).max(1),
            string_required: rules & 16 != 0,
            attach_keys: if rules & 32 != 0 { &keys[1..] } else { &[] },
        });
    }
    let bytes = emitted(|writer| trust::emit(writer, 1, (threshold, &keys), &operators, &policy));
    (bytes, keys, policy)
}

fn requirement(choice: u8) -> Vec<u8> {
    let [a, b, _] = OPERATORS.map(|(name, ..)| plmn(name));
    let list: Option<&[Plmn]> = match choice % 5 {
        0 => None,
        1 => Some(&[]),
        2 => Some(&[a]),
        3 => Some(&[b]),
        _ => Some(&[a, b]),
    };
    emitted(|writer| emit_requirement(writer, list))
}

/// One approval: of whom, in which mode, by which of its keys, with which string.
fn approval(numbers: &mut Numbers<'_>, payload: &[u8]) -> Vec<u8> {
    let (who, how) = (numbers.byte(), numbers.byte());
    let (name, sign, attach) = OPERATORS[usize::from(who) % OPERATORS.len()];
    let mode = [Mode::String, Mode::Secret, Mode::Signed][usize::from(how) % 3];
    let string = if how & 64 != 0 { [0xab; 16] } else { STRING };
    let key = if how & 32 != 0 { &attach } else { &sign };
    let prompts = sha256(PROMPTS);
    let kid = public(key).kid();
    let has_string = mode == Mode::String || mode == Mode::Signed && how & 128 != 0;
    let claim = Claim::Approval {
        kid: (mode != Mode::Secret).then_some(&kid),
        plmn: plmn(name),
        mode,
        string: has_string.then_some(&string),
        prompts: (who & 64 != 0).then_some(&prompts),
    };
    if mode != Mode::Secret {
        return block(&claim, public(key), payload);
    }
    let protected = emitted(|writer| claim.emit(writer, public(key).algorithm()));
    let mac = secret_mac(&string, plmn(name), &protected, payload).expect("it is short");
    emitted(|writer| auth::emit_block(writer, &protected, &mac))
}

/// The header with the length of the payload that is there, if it can be read.
fn fitted(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let Ok(read) = DeltaHeader::parse(header) else { return header.to_vec() };
    let read = DeltaHeader { payload_len: payload.len() as u64, ..read };
    emitted(|writer| read.emit(writer))
}

fn blob(bytes: &[u8]) -> Blob {
    Blob { len: bytes.len() as u64, digest: sha256(bytes) }
}

/// The manifest with the digests of what is there, if it can be read.
fn digested(bytes: &[u8], header: &[u8], payload: &[u8]) -> Vec<u8> {
    let Ok(manifest) = Manifest::parse(bytes, 0) else { return bytes.to_vec() };
    let images = DeltaHeader::parse(header).ok();
    let with = |it: Component<'_>| {
        (images.map_or(it.old, |is| is.old), images.map_or(it.new, |is| is.new))
    };
    let components = manifest.components().map(|component| {
        // Where the manifest has no old image the header has none, or they disagree.
        let (old, new) = with(component);
        let old = component.old.and(old).or(component.old);
        Component { old, new, header: blob(header), delta: blob(payload), ..component }
    });
    let components: Vec<_> = components.collect();
    let prompts = manifest.summary.prompts.map(|_| blob(PROMPTS));
    let summary = Summary { prompts, ..manifest.summary };
    with_demands(&manifest, |demands| {
        emitted(|writer| manifest::emit(writer, &summary, &components, demands))
    })
}

/// Calls `work` with the demands of `manifest`, as they are emitted.
fn with_demands(manifest: &Manifest<'_>, work: impl Fn(&DemandFacts<'_>) -> Vec<u8>) -> Vec<u8> {
    let hardware = manifest.demands.hardware();
    let hardware: Vec<Vec<i64>> = hardware.map(|it| it.version.numbers().collect()).collect();
    let hardware: Vec<_> = hardware.iter().map(Vec::as_slice).collect();
    let wanted: Vec<_> = manifest.dependencies().collect();
    let versions = wanted.iter().map(|(_, wanted)| wanted.version.numbers().collect());
    let versions: Vec<Vec<i64>> = versions.collect();
    let dependencies: Vec<_> = wanted
        .iter()
        .zip(&versions)
        .map(|((name, wanted), version)| {
            let comparison = wanted.comparison;
            DependencyFacts { name, comparison, version }
        })
        .collect();
    work(&DemandFacts {
        device_id: manifest.demands.device_id.copied(),
        expires: manifest.demands.expires,
        battery: manifest.demands.battery,
        priority: manifest.demands.priority,
        hardware: &hardware,
        dependencies: &dependencies,
    })
}

fn sim(choice: u8, condition: u8) -> Sim {
    let file = [&[condition][..], if choice & 16 != 0 { &[0; 16] } else { &STRING }].concat();
    let ef_fota = EfFota::parse(&file).expect("the file has 17 bytes");
    match choice % 5 {
        0 => Sim::Absent,
        1 => Sim::WithoutFota,
        which => Sim::WithFota { plmn: plmn(OPERATORS[usize::from(which) - 2].0), ef_fota },
    }
}

/// Everything that becomes a package.
struct Made<'d> {
    manifest: Vec<u8>,
    vendors: Vec<Vec<u8>>,
    approvals: Vec<Vec<u8>>,
    digest: [u8; 32],
    header: Vec<u8>,
    payload: &'d [u8],
}

impl Made<'_> {
    /// The package without approval `left_out`, if that is one.
    fn package(&self, left_out: usize) -> Vec<u8> {
        let kept = self.approvals.iter().enumerate().filter(|(at, _)| *at != left_out);
        let blocks: Vec<&[u8]> =
            self.vendors.iter().chain(kept.map(|(_, block)| block)).map(Vec::as_slice).collect();
        let auth = emitted(|writer| auth::emit_wrapper(writer, &self.digest, blocks.into_iter()));
        let parsed = auth::Authentication::parse(&auth, 0).ok();
        let manifest = Manifest::parse(&self.manifest, 0).ok();
        let has_prompts = manifest.is_some_and(|manifest| manifest.summary.prompts.is_some());
        let count = manifest.map_or(1, |manifest| manifest.component_count());
        let mut payloads: Vec<(String, &[u8])> = Vec::new();
        for index in 0..count {
            payloads.push((format!("#h{index}"), &self.header));
            let is_there = manifest.and_then(|it| it.component(index).ok());
            if is_there.is_none_or(|component| component.detached.is_none()) {
                payloads.push((format!("#payload{index}"), self.payload));
            }
        }
        if has_prompts {
            payloads.push(("#p".to_owned(), PROMPTS));
        }
        for block in parsed.iter().flat_map(|parsed| parsed.blocks()) {
            if let Claim::Approval { plmn, prompts: Some(_), .. } = block.claim {
                let name = format!("#q{plmn}");
                if payloads.iter().all(|(other, _)| *other != name) {
                    payloads.push((name, PROMPTS));
                }
            }
        }
        let named: Vec<_> = payloads.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        emitted(|writer| envelope::emit(writer, &auth, &self.manifest, None, &named))
    }
}

fn verify(package: &[u8], anchor: &[u8], device: &Device<'_>) -> Result<(), Detail> {
    let trust = Trust::parse(anchor).expect("our own anchor");
    let (mut file, len, limits) = (package, package.len() as u64, &Limits::LINUX);
    let mut buf = vec![0; limits.envelope_len.min(package.len())];
    let opened = Package::verify(&mut file, len, &mut buf, &trust, device, &Seal, limits)
        .map_err(|error| error.detail)?;
    check_accepted(&opened, &trust.policy, device);
    let mut scratch = [0; 64];
    opened.check_texts(&mut file, &mut scratch).map_err(|error| error.detail)?;
    for index in 0..opened.manifest.component_count() {
        let part = opened.manifest.component(index).expect("there are so many");
        if let Ok(header) = opened.header(&mut file, index, limits) {
            assert_eq!((header.old, header.new), (part.old, part.new));
        }
        if let Some(span) = opened.envelope.payload(envelope::PayloadKey::Delta(index)) {
            let checked = opened.check_delta(&mut file, span, index, &mut scratch);
            assert_eq!(checked, Ok(()), "its digest was just made");
            let short = Span { len: span.len.saturating_sub(1), ..span };
            assert!(
                span.len == 0 || opened.check_delta(&mut file, short, index, &mut scratch).is_err()
            );
        }
    }
    let _ = opened.check_conditions(&device.facts);
    let _ = opened.prompts();
    let digest = *opened.auth.digest;
    let again = Package::reopen(&mut file, len, &mut buf, limits).expect("it was accepted");
    assert_eq!(*again.auth.digest, digest);
    Ok(())
}

fn check_accepted(opened: &Package<'_>, policy: &Policy, device: &Device<'_>) {
    let (summary, demands) = (&opened.manifest.summary, &opened.manifest.demands);
    let ahead = summary.sequence.checked_sub(SEQUENCE).expect("an older package");
    assert!(ahead <= policy.jump_max);
    assert!(demands.expires.is_none_or(|expires| expires > NOW));
    assert!(demands.device_id.is_none_or(|id| Some(*id) == device.facts.device_id));
    if let Sim::WithFota { ef_fota, .. } = &device.sim {
        assert!(ef_fota.allows(policy.allow_bit));
    }
    assert!(policy.apply_without_sim || device.sim != Sim::Absent);
}

/// Whether a refusal is the operator decision, which taking approvals away must not turn.
fn is_decision(detail: Detail) -> bool {
    detail.category() == Category::Policy
}

// Numbers for anchor, SIM, requirement and approvals; lengths of header and manifest, these, and
// the payload.
fuzz_target!(|data: &[u8]| {
    let mut numbers = Numbers(data);
    let (anchor, keys, _) = anchor(&mut numbers);
    let sim = sim(numbers.byte(), numbers.byte());
    let requirement = requirement(numbers.byte());
    let count = numbers.below(4);
    let mut choices = Numbers(numbers.bytes(2 * count));
    let spot = numbers.below(65_536);
    let len = numbers.below(300);
    let header = numbers.bytes(len);
    let len = numbers.below(4096);
    let manifest = numbers.bytes(len);
    let payload = numbers.0;

    let header = fitted(header, payload);
    let manifest = digested(manifest, &header, payload);
    let digest = sha256(&emitted(|writer| writer.bytes(&manifest)));
    let signed = emitted(|writer| emit_digest(writer, &digest));
    let requirement = Requirement::from_encoded(&requirement).expect("it was just made");
    let vendors = keys
        .into_iter()
        .flat_map(Key::both)
        .map(|key| block(&Claim::Vendor { kid: &key.kid(), requirement }, key, &signed));
    let vendors = vendors.collect();
    let approvals = (0..count).map(|_| approval(&mut choices, &signed)).collect();
    let made = Made { manifest, vendors, approvals, digest, header, payload };

    let installed = [Installed { name: "boot", version: &[1, 2] }];
    let facts = Facts {
        device_id: Some([0x33; 16]),
        hardware: Some(&[2, 1]),
        time: Some(NOW),
        battery: Some(50),
        installed: &installed,
        ..Facts::default()
    };
    let device = Device { sim, sequence: Some(SEQUENCE), facts };
    let package = made.package(usize::MAX);
    let verdict = verify(&package, &anchor, &device);
    match verdict {
        Ok(()) => {
            let mut changed = package.clone();
            let start = package.windows(made.manifest.len()).position(|it| it == made.manifest);
            let at = start.expect("it is in it") + spot % made.manifest.len();
            changed[at] ^= 1 << (spot & 7);
            assert!(verify(&changed, &anchor, &device).is_err());
        }
        Err(detail) if is_decision(detail) => {
            for left_out in 0..made.approvals.len() {
                let fewer = made.package(left_out);
                assert!(verify(&fewer, &anchor, &device).is_err(), "{detail:?}");
            }
        }
        Err(_) => {}
    }
});
