//! Our packages, read by a SUIT parser that others wrote from the draft (crate `suit_validator`).
//!
//! It verifies digest and signature, then every sequence of the manifest is decoded to the end and
//! compared with what was put in. docs/interoperability.md says what it takes and what not; both
//! are held here, so that a change of either side is noticed.

mod common;

use std::collections::BTreeMap;

use common::{approved, key, pair, tiny_pair};
use cose_minicbor::cose_keys::{CoseAlg, CoseKey, CoseKeySetBuilder, Curve, KeyType};
use fwdelta::core::hash::sha256;
use fwdelta::diff::{FirstPages, Options, Place, Profile};
use fwdelta::package::build::{BuildOptions, Built, Detached, Images, build};
use fwdelta::package::export::bare;
use fwdelta::package::{PublicKey, SecretKey};
use fwdelta::progress::Silent;
use fwdelta::release::Release;
use suit_validator::crypto::CoseCrypto;
use suit_validator::handler::{
    PairView, SuitCommandHandler, SuitSharedSequenceHandler, SuitStartHandler,
};
use suit_validator::suit_manifest::{
    CommandCustomValue, DigestOrCbor, IndexArg, SuitCondition, SuitDirective, SuitEnvelope,
    SuitManifest, SuitParameters, SuitSharedCommand,
};
use suit_validator::{SuitError, suit_decode};

type Read<T> = Result<T, SuitError>;

/// What the other parser found in a manifest.
#[derive(Debug, Default)]
struct Found {
    sequence: u64,
    /// Component identifiers, their parts joined by `/`.
    components: Vec<String>,
    /// The component that commands are about.
    index: u64,
    digests: BTreeMap<u64, (Vec<u8>, u64)>,
    uris: Vec<String>,
    conditions: usize,
    copies: usize,
    /// Commands with negative numbers, which are private.
    private: usize,
}

impl Found {
    fn parameters(&mut self, parameters: &SuitParameters<'_>) -> Read<()> {
        if let (Some(digest), Some(len)) = (&parameters.image_digest, parameters.image_size) {
            let digest = digest.get()?.bytes.to_vec();
            self.digests.insert(self.index, (digest, len));
        }
        self.uris.extend(parameters.uri.map(str::to_owned));
        Ok(())
    }

    fn digest_of(&self, component: &str) -> Option<&(Vec<u8>, u64)> {
        let index = self.components.iter().position(|name| name == component)?;
        self.digests.get(&(index as u64))
    }

    fn manifest(&mut self, manifest: &SuitManifest<'_>) -> Read<()> {
        assert_eq!(manifest.version, 1);
        self.sequence = manifest.sequence_number;
        let common = manifest.common.get()?;
        for id in common.components.get()? {
            let parts: Result<Vec<_>, _> = id?.get()?.collect();
            let parts = parts?.into_iter().map(|part| String::from_utf8_lossy(part).into_owned());
            self.components.push(parts.collect::<Vec<_>>().join("/"));
        }
        common.shared_seq.unwrap().get()?.decode_and_dispatch(self)?;
        manifest.validate.as_ref().unwrap().get()?.decode_and_dispatch(self)?;
        match manifest.install.as_ref().unwrap() {
            DigestOrCbor::Cbor(install) => install.get()?.decode_and_dispatch(self),
            DigestOrCbor::Digest(_) => panic!("install is never severed"),
        }
    }
}

impl SuitStartHandler for Found {
    fn on_envelope<'a>(&mut self, envelope: SuitEnvelope<'a>) -> Read<()> {
        self.manifest(&envelope.manifest.get()?)
    }

    fn on_manifest<'a>(&mut self, _: SuitManifest<'a>) -> Read<()> {
        panic!("packages are envelopes")
    }
}

impl SuitSharedSequenceHandler for Found {
    fn on_conditions<'a>(
        &mut self,
        conditions: impl Iterator<Item = PairView<'a, SuitCondition>>,
    ) -> Read<()> {
        for pair in conditions {
            pair.get()?;
            self.conditions += 1;
        }
        Ok(())
    }

    fn on_commands<'a>(
        &mut self,
        commands: impl Iterator<Item = PairView<'a, SuitSharedCommand<'a>>>,
    ) -> Read<()> {
        for pair in commands {
            match pair.get()? {
                SuitSharedCommand::SetComponentIndex(IndexArg::Single(index)) => self.index = index,
                SuitSharedCommand::OverrideParameters(set) => self.parameters(&set)?,
                other => panic!("{other:?} is in no recipe of ours"),
            }
        }
        Ok(())
    }
}

impl SuitCommandHandler for Found {
    fn on_conditions<'a>(
        &mut self,
        conditions: impl Iterator<Item = PairView<'a, SuitCondition>>,
    ) -> Read<()> {
        SuitSharedSequenceHandler::on_conditions(self, conditions)
    }

    fn on_directives<'a>(
        &mut self,
        directives: impl Iterator<Item = PairView<'a, SuitDirective<'a>>>,
    ) -> Read<()> {
        for pair in directives {
            match pair.get()? {
                SuitDirective::SetComponentIndex(IndexArg::Single(index)) => self.index = index,
                SuitDirective::OverrideParameters(set) => self.parameters(&set)?,
                SuitDirective::Copy(_) => self.copies += 1,
                SuitDirective::Fetch(_) => {}
                other => panic!("{other:?} is in no recipe of ours"),
            }
        }
        Ok(())
    }

    fn on_customs<'a>(
        &mut self,
        customs: impl Iterator<Item = PairView<'a, CommandCustomValue<'a>>>,
    ) -> Read<()> {
        self.private += customs.count();
        Ok(())
    }
}

/// A set of COSE keys with this one in it, as the other library wants it.
fn key_set(key: &PublicKey) -> Vec<u8> {
    let raw = key.raw();
    let raw = raw.bytes();
    let point = raw.len() == 65;
    let mut cose = CoseKey::new(if point { KeyType::Ec2 } else { KeyType::Okp });
    // For a block that says ESP256 (-9) it looks for a key that says ES256 (-7).
    cose.alg(if point { CoseAlg::ES256 } else { CoseAlg::ED25519 });
    cose.crv(if point { Curve::P256 } else { Curve::Ed25519 }).unwrap();
    let kid = key.kid();
    cose.kid(&kid);
    if point {
        cose.x(&raw[1..33]).unwrap();
        cose.y(&raw[33..]).unwrap();
    } else {
        cose.x(raw).unwrap();
    }
    let mut set: CoseKeySetBuilder<256> = CoseKeySetBuilder::try_new().unwrap();
    set.push_key(cose).unwrap();
    set.into_bytes().unwrap().to_vec()
}

fn read(envelope: &[u8], key: &SecretKey) -> Result<Found, String> {
    let keys = key_set(&key.public());
    let mut found = Found::default();
    suit_decode(envelope, &mut found, &mut CoseCrypto::new(&keys))
        .map(|()| found)
        .map_err(|error| error.to_string())
}

const BOTH: [&str; 2] = ["vendor", "vendor p256"];

const PLACE: Place = Place {
    page_len: 256,
    first: FirstPages::NONE,
    spare_count: 2,
    write_len: 8,
    erased: 0xff,
    order: None,
    interval: None,
    room: None,
};

fn options() -> BuildOptions {
    let diff = Options { profile: Profile::Small, threads: 1, ..Options::default() };
    BuildOptions { diff, sequence: 7, ..BuildOptions::default() }
}

fn built(images: &[Images<'_>], key: &SecretKey, options: &BuildOptions) -> Built {
    let key = std::slice::from_ref(key);
    build(images, &Release::default(), key, options, &Silent).unwrap()
}

/// What a package without its integrated payloads must look like to the other parser.
#[track_caller]
fn check(package: &[u8], key: &SecretKey, images: &[Images<'_>]) -> Found {
    let found = read(&bare(package).unwrap().envelope, key).unwrap();
    assert_eq!(found.sequence, 7);
    assert_eq!(found.private, 0, "registered commands only");
    assert_eq!(found.copies, images.len());
    for Images { name, old, new } in images {
        let expected = (sha256(new).to_vec(), new.len() as u64);
        assert_eq!(found.digest_of(&format!("{name}/new")), Some(&expected));
        let expected = old.map(|old| (sha256(old).to_vec(), old.len() as u64));
        assert_eq!(found.digest_of(&format!("{name}/old")), expected.as_ref());
    }
    found
}

#[test]
fn a_delta_is_read_to_the_end_whoever_signed_it() {
    let (old, new) = pair("apollo");
    let images = [Images { name: "main", old: Some(&old), new: &new }];
    for key in BOTH.map(key) {
        let found = check(&built(&images, &key, &options()).package, &key, &images);
        assert_eq!(
            found.components,
            ["main/old", "main/dhdr", "main/delta", "main/new", "prompts"]
        );
        assert_eq!(found.uris, ["#h0", "#payload0", "#p"]);
        // Vendor and class; header, delta, prompts, old and new; new once more when validated.
        assert_eq!(found.conditions, 2 + 5 + 1);
    }
}

#[test]
fn full_images_updates_in_place_and_detached_payloads_are_read() {
    let (old, new) = tiny_pair();
    let key = key("vendor p256");
    let full = [Images { name: "main", old: None, new: &new }];
    let found = check(&built(&full, &key, &options()).package, &key, &full);
    assert_eq!(found.components, ["main/dhdr", "main/delta", "main/new", "prompts"]);

    let images = [Images { name: "main", old: Some(&old), new: &new }];
    let mut in_place = options();
    in_place.diff.in_place = Some(PLACE);
    check(&built(&images, &key, &in_place).package, &key, &images);

    let base_uri = "https://updates.example/".to_owned();
    let detached = Some(Detached { stem: "update".to_owned(), base_uri });
    let package = built(&images, &key, &BuildOptions { detached, ..options() });
    let found = check(&package.package, &key, &images);
    assert_eq!(found.uris[1], format!("https://updates.example/{}", package.payloads[0].0));
}

#[test]
fn the_first_block_is_verified_and_approvals_behind_it_do_not_disturb() {
    let (old, new) = tiny_pair();
    let images = [Images { name: "main", old: Some(&old), new: &new }];
    let vendor = key("vendor p256");
    let package = approved(&built(&images, &vendor, &options()).package);
    check(&package, &vendor, &images);
    let envelope = bare(&package).unwrap().envelope;
    assert!(read(&envelope, &key("another p256")).is_err(), "another key's signature");
    let mut changed = envelope.clone();
    let pos = changed.windows(4).rposition(|part| part == b"dhdr").unwrap();
    changed[pos] ^= 1;
    let error = read(&changed, &vendor).unwrap_err();
    assert!(error.contains("Invalid Digest"), "{error}");
}

/// Limits of the other parser, not ours: when one of these fails it has learnt something, and
/// docs/interoperability.md is to be changed.
#[test]
fn what_it_does_not_take() {
    let (old, new) = tiny_pair();
    let key = key("vendor p256");
    let images = ["boot", "main"].map(|name| Images { name, old: Some(&old), new: &new });
    // Payloads in the envelope stand under text keys, and it knows integer keys only.
    let one = built(&images[..1], &key, &options()).package;
    let error = read(&one, &key).unwrap_err();
    assert!(error.contains("unexpected type"), "{error}");
    // It has room for 20 commands in a sequence: two components need more to install.
    let two = built(&images, &key, &options()).package;
    let error = read(&bare(&two).unwrap().envelope, &key).unwrap_err();
    assert!(error.contains("capacity was 20"), "{error}");
}
