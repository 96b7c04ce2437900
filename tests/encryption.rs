//! Encrypted payloads: who can read them, who can verify them, and what no one gets by changing
//! them (docs/format.md, section 3.5).

mod common;
#[path = "encryption/vectors.rs"]
mod vectors;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::{OneOld, anchor, firmware, key, package, tiny_pair};
use fwdelta::core::format::auth::{Claim, Requirement};
use fwdelta::core::format::cbor::Reader;
use fwdelta::core::format::encryption::{ContentAlgorithm, EncryptionInfo};
use fwdelta::core::format::key::Algorithm;
use fwdelta::core::format::manifest::Manifest;
use fwdelta::core::format::sealed::{Aead, OpenChunk as _, Opening};
use fwdelta::core::format::trust::Trust;
use fwdelta::core::hash::sha256;
use fwdelta::core::verify::{Device, Facts, Package, Sim};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{self, Options, Profile, VecTarget};
use fwdelta::package::assemble::{Parts, manifest_digest, sign_block, signed_payload};
use fwdelta::package::encrypt::{DecryptKey, Encryption, GroupKey, RecipientKey, Sealed};
use fwdelta::package::receive::{self, Extent, Supply};
use fwdelta::package::seal::{Draft, DraftComponent, seal};
use fwdelta::package::{ALGORITHMS, PublicKey, SecretKey};
use fwdelta::progress::Silent;
use fwdelta::release::Release;

const BOTH: [ContentAlgorithm; 2] = [ContentAlgorithm::A128Gcm, ContentAlgorithm::ChaCha20Poly1305];
const CHUNK_LEN: u32 = 64;
const TAG_LEN: usize = 16;

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed_of(Algorithm::Esp256, &[number; 32]).unwrap()
}

/// A P-256 key pair of a fixed number.
fn pair(number: u8) -> (RecipientKey, DecryptKey) {
    let key = secret(number);
    let PublicKey::Esp256(point) = key.public() else { panic!("a point") };
    let private = DecryptKey::from_text(&key.to_pem().unwrap(), "k").unwrap();
    (RecipientKey::Point(point), private)
}

fn group(number: u8) -> (RecipientKey, DecryptKey) {
    let key = GroupKey::new([number; 16]);
    (RecipientKey::Group(key.clone()), key.into())
}

/// Random bytes that are the same in every run.
fn fixed(encryption: Encryption) -> Encryption {
    let count = Mutex::new(0u32);
    encryption.with_random(Arc::new(move |bytes| {
        let mut count = count.lock().unwrap();
        *count += 1;
        let digest = sha256(&count.to_be_bytes());
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Ok(())
    }))
}

/// An old image, and what the device decrypts with.
struct Kit<'k> {
    old: OneOld<'k>,
    keys: &'k [DecryptKey],
}

impl<'k> Supply for Kit<'k> {
    type File = &'k [u8];

    fn payload(&mut self, name: &str) -> fwdelta::Result<Option<(&'k [u8], u64)>> {
        self.old.payload(name)
    }

    fn old(&mut self, name: &str) -> fwdelta::Result<Option<(&'k [u8], u64)>> {
        self.old.old(name)
    }

    fn keys(&self) -> &[DecryptKey] {
        self.keys
    }
}

/// Everything a device does with `keys`; what it wrote, and how it ended.
fn received(package: &[u8], extent: Extent, keys: &[DecryptKey]) -> (Vec<u8>, Result<(), Detail>) {
    let (old, _) = tiny_pair();
    let mut new = VecTarget::default();
    let anchor = anchor("no_sim = \"apply\"");
    let device = Device { sim: Sim::Absent, sequence: Some(7), facts: Facts::default() };
    let mut run = || -> fwdelta::Result<()> {
        let (trust, mut buf, limits) = (Trust::parse(&anchor)?, vec![0; 4096], Limits::LINUX);
        let (mut file, len) = (package, package.len() as u64);
        let opened =
            Package::verify(&mut file, len, &mut buf, &trust, &device, &ALGORITHMS, &limits)?;
        let mut kit = Kit { old: OneOld(&old), keys };
        let checked = receive::check(&opened, &mut file, &mut kit, extent, &limits, &Silent)?;
        if extent != Extent::Update {
            return Ok(());
        }
        let header = &checked[0].header;
        receive::apply(&opened, &mut file, &mut kit, 0, header, &mut new, &limits, &Silent)
    };
    let result = run().map_err(|error| error.detail());
    (new.0, result)
}

fn updated(package: &[u8], keys: &[DecryptKey]) -> Result<Vec<u8>, Detail> {
    let (new, result) = received(package, Extent::Update, keys);
    result.map(|()| new)
}

/// A package of the tiny pair.
fn encrypted(profile: Profile, encryption: &Encryption) -> Vec<u8> {
    let (old, new) = tiny_pair();
    package(Some(&old), &new, profile, &|options| {
        options.encryption = Some(encryption.clone());
        options.chunk_len = Some(CHUNK_LEN);
    })
}

/// The same, sealed by hand and changed before it was cut into a chain and signed: what only a
/// vendor could make, as everyone else fails at a digest.
fn resealed(encryption: &Encryption, change: &dyn Fn(&mut Sealed)) -> Vec<u8> {
    let (_, new) = tiny_pair();
    let options = Options { profile: Profile::Plain, threads: 1, ..Options::default() };
    let mut delta = diff::create(&[], &new, &options, &Silent).unwrap();
    let mut sealed = encryption.seal(&delta.payload, CHUNK_LEN).unwrap();
    let info = sealed.info.clone();
    change(&mut sealed);
    delta.payload = sealed.payload;
    let delta = delta.chained(CHUNK_LEN).unwrap();
    let release = Release::default();
    let component = DraftComponent {
        name: "main".to_owned(),
        old: delta.header.old,
        new: delta.header.new,
        header: delta.header_bytes(),
        payload: delta.payload,
        detached: None,
        encryption: Some(info.clone()),
    };
    let draft = Draft {
        sequence: 7,
        vendor_id: release.vendor_id(),
        class_id: release.class_id(),
        components: vec![component],
        ..Draft::default()
    };
    let package = seal(&draft, &[key("vendor")]).unwrap();
    let mut parts = Parts::read(&package).unwrap();
    let at = parts.manifest.windows(info.len()).position(|window| window == info).unwrap();
    parts.manifest.splice(at..at + info.len(), sealed.info);
    sign(&mut parts);
    parts.write()
}

/// Signs what is there now, as the vendor.
fn sign(parts: &mut Parts<'_>) {
    parts.digest = manifest_digest(&parts.manifest);
    let requirement = Requirement::from_encoded(&[0xf4]).unwrap();
    let (key, payload) = (key("vendor"), signed_payload(&parts.digest));
    let claim = Claim::Vendor { kid: &key.public().kid(), requirement };
    parts.blocks = vec![sign_block(&claim, &payload, &key).unwrap()];
}

#[test]
fn each_recipient_reads_it_and_everyone_verifies_it() {
    let (_, new) = tiny_pair();
    let [(a, a_key), (b, b_key), (c, c_key), (_, other)] = [pair(1), pair(2), group(3), pair(4)];
    for algorithm in BOTH {
        for profile in [Profile::Plain, Profile::Small, Profile::Max, Profile::Fast] {
            let all = vec![a.clone(), b.clone(), c.clone()];
            let package = encrypted(profile, &Encryption::new(algorithm, all).unwrap());
            for keys in [[&a_key], [&b_key], [&c_key]].map(|keys| keys.map(DecryptKey::clone)) {
                assert_eq!(updated(&package, &keys).unwrap(), new, "{algorithm:?}");
            }
            let several = [other.clone(), b_key.clone()];
            assert_eq!(updated(&package, &several).unwrap(), new, "the second one fits");
            // Without a key every signature, digest and the header are still checked.
            assert_eq!(received(&package, Extent::Package, &[]).1, Ok(()));
        }
    }
}

#[test]
fn others_get_nothing() {
    let [(a, a_key), (_, b_key), (_, group)] = [pair(1), pair(2), group(3)];
    let encryption = Encryption::new(BOTH[1], vec![a]).unwrap();
    let package = encrypted(Profile::Plain, &encryption);
    for keys in [vec![], vec![b_key.clone()], vec![group, b_key]] {
        let (written, result) = received(&package, Extent::Update, &keys);
        assert_eq!((written.len(), result), (0, Err(Detail::NotRecipient)));
        let verified = received(&package, Extent::Package, &keys).1;
        assert_eq!(verified.is_err(), !keys.is_empty(), "a key that is given has to fit");
    }
    let plain = encrypted_for_nobody();
    let payload = Parts::read(&plain).unwrap().payload("#payload0").unwrap();
    for piece in payload[..32].windows(16) {
        assert!(plain.windows(16).any(|window| window == piece));
        assert!(!package.windows(16).any(|window| window == piece), "plain bytes are sent");
    }
    // Who does not know of encryption is not given a header to decode a ciphertext with.
    let (anchor, mut buf) = (anchor("no_sim = \"apply\""), vec![0; 4096]);
    let device = Device { sim: Sim::Absent, sequence: None, facts: Facts::default() };
    let trust = Trust::parse(&anchor).unwrap();
    let (mut file, len, limits) = (package.as_slice(), package.len() as u64, Limits::LINUX);
    let opened = Package::verify(&mut file, len, &mut buf, &trust, &device, &ALGORITHMS, &limits);
    let error = opened.unwrap().header(&mut file, 0, &limits).unwrap_err();
    assert_eq!(error.detail, Detail::NotRecipient);
    assert!(!format!("{encryption:?} {a_key:?}").contains("0101"));
}

fn encrypted_for_nobody() -> Vec<u8> {
    let (old, new) = tiny_pair();
    package(Some(&old), &new, Profile::Plain, &|options| options.chunk_len = Some(CHUNK_LEN))
}

#[test]
fn what_was_changed_after_signing_fails_at_its_digest() {
    let (recipient, own) = group(3);
    let encryption = fixed(Encryption::new(BOTH[0], vec![recipient]).unwrap());
    let package = encrypted(Profile::Plain, &encryption);
    let keys = [own];
    let payload_len = Parts::read(&package).unwrap().payload("#payload0").unwrap().len();
    for at in (package.len() - payload_len..package.len()).step_by(7) {
        let mut changed = package.clone();
        changed[at] ^= 1;
        assert_eq!(updated(&changed, &keys), Err(Detail::PayloadDigest), "{at}");
    }
}

/// Bytes `from..to` of every chunk, tag included, of a sealed payload.
fn chunk(number: usize) -> std::ops::Range<usize> {
    let len = CHUNK_LEN as usize;
    number * len..(number + 1) * len
}

type Change = (&'static str, fn(&mut Sealed), Detail);

/// What somebody who can sign can do wrong; the tags still tell.
const CHANGES: &[Change] = &[
    ("tag", |it| it.payload[chunk(0).end - 1] ^= 1, Detail::NotDecrypted),
    ("data", |it| it.payload[0] ^= 0x80, Detail::NotDecrypted),
    ("swapped", swapped, Detail::NotDecrypted),
    ("swapped-far", swapped_far, Detail::NotDecrypted),
    ("truncated", |it| it.payload.truncate(chunk(0).end), Detail::NotDecrypted),
    ("last-tag-cut", |it| it.payload.truncate(it.payload.len() - 1), Detail::NotDecrypted),
    ("short-chunk", |it| it.payload.truncate(TAG_LEN - 1), Detail::NotDecrypted),
    ("repeated", repeated, Detail::NotDecrypted),
    ("nonce", |it| flip(it, b"\xa1\x05\x4c", 0), Detail::NotDecrypted),
    ("wrapped-key", |it| *it.info.last_mut().unwrap() ^= 1, Detail::NotDecrypted),
    ("not-chunked", |it| flip(it, b"\x3a\x00\x01\x11\x75\x01", -1), Detail::UnknownAlgorithm),
    ("not-critical", |it| flip(it, b"\x02\x81\x3a\x00\x01\x11", 0), Detail::UnknownLabel),
    ("key-wrap", |it| flip(it, b"\xa2\x01", 0), Detail::UnknownAlgorithm),
];

fn swapped(sealed: &mut Sealed) {
    let (first, rest) = sealed.payload.split_at_mut(chunk(0).end);
    first.swap_with_slice(&mut rest[..CHUNK_LEN as usize]);
}

fn swapped_far(sealed: &mut Sealed) {
    let (first, rest) = sealed.payload.split_at_mut(chunk(2).start);
    first[chunk(0)].swap_with_slice(&mut rest[..CHUNK_LEN as usize]);
}

fn repeated(sealed: &mut Sealed) {
    let first = sealed.payload[chunk(0)].to_vec();
    sealed.payload.splice(0..0, first);
}

/// Changes the byte after `what`, or its last one.
fn flip(sealed: &mut Sealed, what: &[u8], from_end: isize) {
    let pos = sealed.info.windows(what.len()).position(|window| window == what).unwrap();
    let at = (pos + what.len()).checked_add_signed(from_end).unwrap();
    sealed.info[at] ^= 2;
}

#[test]
fn signed_changes_fail_at_a_tag_and_release_nothing_of_their_chunk() {
    let (_, new) = tiny_pair();
    let [(recipient, own), _] = [group(3), group(4)];
    for algorithm in BOTH {
        let encryption = Encryption::new(algorithm, vec![recipient.clone()]).unwrap();
        let keys = [own.clone()];
        assert_eq!(updated(&resealed(&encryption, &|_| {}), &keys).unwrap(), new);
        for (name, change, expected) in CHANGES {
            if expected.category() != Detail::NotDecrypted.category() {
                continue;
            }
            let package = resealed(&encryption, change);
            let (written, result) = received(&package, Extent::Update, &keys);
            assert_eq!(result, Err(*expected), "{name}");
            assert!(new.starts_with(&written), "{name}: wrote what no tag vouched for");
        }
        // The end of the payload alone, then the same as the one chunk there is.
        let mut last = encryption.seal(&[7; 100], CHUNK_LEN).unwrap().payload;
        assert_eq!(last.len(), 100 + 3 * TAG_LEN);
        last.drain(..2 * CHUNK_LEN as usize);
        let package = resealed(&encryption, &|sealed| sealed.payload = last.clone());
        assert_eq!(updated(&package, &keys), Err(Detail::NotDecrypted));
    }
}

/// The base nonce of a payload.
fn nonce(sealed: &Sealed) -> &[u8] {
    let at = sealed.info.windows(3).position(|window| window == b"\xa1\x05\x4c").unwrap();
    &sealed.info[at + 3..at + 15]
}

/// Decrypts something, then finds that the tag is wrong.
struct Careless;

impl Aead for Careless {
    fn open(&self, _: &[u8; 12], _: &[u8], data: &mut [u8], _: &[u8; TAG_LEN]) -> bool {
        data.fill(b'p');
        false
    }
}

#[test]
fn a_cipher_that_fails_late_releases_nothing() {
    let encryption = Encryption::new(BOTH[0], vec![group(3).0]).unwrap();
    let sealed = encryption.seal(&[7; 40], CHUNK_LEN).unwrap();
    let info = EncryptionInfo::parse(Reader::new(&sealed.info)).unwrap();
    let (mut chunk, opening) = (sealed.payload, Opening::new(&info, Careless));
    let error = opening.open(0, true, &mut chunk).unwrap_err();
    assert_eq!(error.detail, Detail::NotDecrypted);
    assert_eq!(chunk[..40], [0; 40]);
    assert_eq!(format!("{opening:?}"), "Opening", "nothing of a key is shown");
}

#[test]
fn a_wrapped_key_has_the_length_of_its_cipher() {
    for (algorithm, other_len) in BOTH.into_iter().zip([40, 24]) {
        let encryption = Encryption::new(algorithm, vec![group(3).0]).unwrap();
        let info = encryption.seal(&[], CHUNK_LEN).unwrap().info;
        assert!(EncryptionInfo::parse(Reader::new(&info)).is_ok());
        let at = info.len() - algorithm.key_len() - 8 - 2;
        let other = [&info[..at], &[0x58, other_len], &vec![9; other_len.into()]].concat();
        let error = EncryptionInfo::parse(Reader::new(&other)).unwrap_err();
        assert_eq!(error.detail, Detail::BadValue);
    }
    // Critical labels that are not there: a reader that knows nothing of chunks would go on.
    let encryption = Encryption::new(BOTH[0], vec![group(3).0]).unwrap();
    let info = encryption.seal(&[], CHUNK_LEN).unwrap().info;
    let from = b"\x50\xa3\x01\x01\x02\x81\x3a\0\x01\x11\x75\x3a\0\x01\x11\x75\x01";
    let to = b"\x49\xa2\x01\x01\x3a\0\x01\x11\x75\x01";
    let at = info.windows(from.len()).position(|window| window == from).unwrap();
    let other = [&info[..at], to, &info[at + from.len()..]].concat();
    let error = EncryptionInfo::parse(Reader::new(&other)).unwrap_err();
    assert_eq!(error.detail, Detail::MissingField);
}

#[test]
fn keys_and_nonces_are_new_for_every_payload() {
    let (recipients, plain) = (vec![pair(1).0, group(3).0], vec![0; 200]);
    for algorithm in BOTH {
        let encryption = Encryption::new(algorithm, recipients.clone()).unwrap();
        let sealed: Vec<_> = (0..8).map(|_| encryption.seal(&plain, CHUNK_LEN).unwrap()).collect();
        for (index, one) in sealed.iter().enumerate() {
            for other in &sealed[..index] {
                assert_ne!(one.payload, other.payload);
                // Two payloads under one key and nonce would show where they are equal.
                let same = one.payload.iter().zip(&other.payload).filter(|(a, b)| a == b).count();
                assert!(same < 20, "{same}");
                assert_ne!(one.info, other.info);
                let wrapped = algorithm.key_len() + 8;
                let group = |it: &Sealed| it.info[it.info.len() - wrapped..].to_vec();
                assert_ne!(group(one), group(other), "one content key");
                assert_ne!(nonce(one), nonce(other));
            }
        }
        let again = |payload: &[u8]| {
            let encryption = fixed(Encryption::new(algorithm, recipients.clone()).unwrap());
            encryption.seal(payload, CHUNK_LEN).unwrap()
        };
        assert_eq!(again(&plain).payload, again(&plain).payload, "the hook for vectors");
    }
    assert!(Encryption::new(BOTH[0], Vec::new()).is_err());
    assert!(Encryption::new(BOTH[0], vec![group(1).0; 17]).is_err());
}

#[test]
fn the_recipe_is_that_of_a_plain_package_and_one_parameter() {
    let encryption = Encryption::new(BOTH[0], vec![group(3).0]).unwrap();
    let package = encrypted(Profile::Plain, &encryption);
    let parts = Parts::read(&package).unwrap();
    let manifest = Manifest::parse(&parts.manifest, 0).unwrap();
    let component = manifest.component(0).unwrap();
    let payload = parts.payload("#payload0").unwrap();
    // What is hashed is what is sent: the ciphertext.
    assert_eq!(
        (component.delta.len, component.delta.digest),
        (payload.len() as u64, sha256(payload))
    );
    assert!(component.encryption.is_some());
}

/// Runs the command in `folder`; its exit code and what it said.
fn fwdelta(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fwdelta"));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn the_command_encrypts_and_decrypts() {
    let folder = tempfile::tempdir().unwrap();
    let pair = firmware().join("apollo");
    let (old, new) = (pair.join("old.bin"), pair.join("new.bin"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let run = |line: &str| {
        let image = |word| {
            if word == "OLD" {
                old
            } else if word == "NEW" {
                new
            } else {
                word
            }
        };
        let words: Vec<_> = line.split(' ').map(image).collect();
        fwdelta(folder.path(), &words)
    };
    let ok = |line: &str| {
        let (code, said) = run(line);
        assert_eq!(code, 0, "{line}: {said}");
        said
    };
    ok("keygen --out vendor");
    ok("keygen --algorithm ecdh-es --out device");
    ok("keygen --algorithm ecdh-es --out other");
    ok("keygen --algorithm a128kw --out fleet");
    ok("trust init --vendor-key vendor.pub -o trust.toml");
    let build = "build --old OLD --new NEW --key vendor.key --sequence 7 -o up.suit";
    for cipher in ["a128gcm", "chacha20-poly1305"] {
        let whom = "--recipient device.pub --group-key fleet.key --detached";
        ok(&format!("{build} {whom} --cipher {cipher}"));
        assert!(ok("inspect up.suit").contains("encrypted with"));
        let receive = "--trust trust.toml --sim no-fota";
        ok(&format!("verify up.suit {receive} --old OLD"));
        ok(&format!("verify up.suit {receive} --old OLD --decrypt-key device.key"));
        for key in ["", " --decrypt-key other.key"] {
            let (code, said) = run(&format!("apply up.suit {receive} --old OLD -o out.bin{key}"));
            assert_eq!(code, 15, "{said}");
            assert!(said.contains("--decrypt-key"), "{said}");
            assert!(!folder.path().join("out.bin").exists());
        }
        for key in ["device.key", "fleet.key"] {
            let out = format!("{cipher}-{key}.bin");
            ok(&format!("apply up.suit {receive} --old OLD --decrypt-key {key} -o {out}"));
            let written = std::fs::read(folder.path().join(out)).unwrap();
            assert!(written == std::fs::read(new).unwrap());
        }
    }
    let journal =
        "apply up.suit --trust trust.toml --sim no-fota --old OLD -o kept.bin --journal j";
    ok(&format!("{journal} --decrypt-key fleet.key"));
    assert!(folder.path().join("kept.bin").exists() && !folder.path().join("j").exists());
    for (line, word) in [
        (format!("{build} --recipient vendor.pub"), "P-256"),
        (format!("{build} --group-key vendor.key"), "a128kw"),
        ("keygen --algorithm a128kw --out fleet".to_owned(), "exists"),
        ("apply up.suit --trust trust.toml --sim no-fota --old OLD -o o --decrypt-key vendor.key"
            .to_owned(), "ecdh-es"),
    ] {
        let (code, said) = run(&line);
        assert!(code != 0 && said.contains(word), "{line}: {said}");
    }
}
