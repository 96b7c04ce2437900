//! Encrypted payloads: who can read them, who can verify them, and what no one gets by changing
//! them (docs/format.md, section 3.5).

mod common;

use std::sync::{Arc, Mutex};

use common::{Changing, OneOld, anchor, key, package, tiny_pair};
use fwdelta::core::apply::{Applier, Io, Step};
use fwdelta::core::codec::NoDecompressor;
use fwdelta::core::format::cbor::Reader;
use fwdelta::core::format::encryption::{ContentAlgorithm, EncryptionInfo};
use fwdelta::core::format::manifest::Manifest;
use fwdelta::core::format::sealed::{OpenChunk as _, TAG_LEN};
use fwdelta::core::format::trust::Trust;
use fwdelta::core::hash::sha256;
use fwdelta::core::verify::{Device, Facts, Package, Sim, open_content};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{FileSource, Profile, VecTarget};
use fwdelta::package::assemble::Parts;
use fwdelta::package::encrypt::{DecryptKey, Encryption, GroupKey, RecipientKey, Sealed};
use fwdelta::package::receive::{self, Extent, Supply};
use fwdelta::package::seal::{Draft, DraftComponent, seal};
use fwdelta::package::{ALGORITHMS, PublicKey};
use fwdelta::progress::Silent;

const BOTH: [ContentAlgorithm; 2] = [ContentAlgorithm::A128Gcm, ContentAlgorithm::ChaCha20Poly1305];

/// A P-256 key pair of a fixed number.
fn pair(number: u8) -> (RecipientKey, DecryptKey) {
    let secret = p256::SecretKey::from_slice(&[number; 32]).unwrap();
    let point = p256::ecdsa::VerifyingKey::from(secret.public_key()).to_sec1_point(false);
    let point = point.as_bytes().try_into().unwrap();
    (RecipientKey::Point(point), DecryptKey::from_secret(&secret).unwrap())
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
