//! Our packages, read by a SUIT parser that others wrote from the draft (crate `suit_validator`).
//!
//! It verifies digest and signature, then every sequence of the manifest is decoded to the end. No
//! code of ours has a part in it: packages and keys are files that the command wrote.

use std::collections::BTreeMap;

use cose_minicbor::cose_keys::{CoseAlg, CoseKey, CoseKeySetBuilder, Curve, KeyType};
use sha2::{Digest as _, Sha256};
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

/// A digest and a size.
pub type Stated = (Vec<u8>, u64);

/// What a manifest should state of an image.
pub fn stated(image: &[u8]) -> Stated {
    (sha256(image), image.len() as u64)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// What the other parser found in a manifest.
#[derive(Debug, Default)]
pub struct Found {
    /// The sequence number.
    pub sequence: u64,
    /// Component identifiers, their parts joined by `/`.
    pub components: Vec<String>,
    /// The component that commands are about.
    index: u64,
    digests: BTreeMap<u64, Stated>,
    /// What is fetched, in order.
    pub uris: Vec<String>,
    /// Conditions of all sequences.
    pub conditions: usize,
    /// Components that are made from others.
    pub copies: usize,
    /// Commands with negative numbers, which are private.
    pub private: usize,
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

    /// What is stated of a component, by its identifier.
    pub fn digest_of(&self, component: &str) -> Option<&Stated> {
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

/// A set of COSE keys with this raw public key in it, as the parser wants it.
fn key_set(raw: &[u8]) -> Vec<u8> {
    let is_point = raw.len() == 65;
    let mut cose = CoseKey::new(if is_point { KeyType::Ec2 } else { KeyType::Okp });
    // For a block that says ESP256 (-9) it looks for a key that says ES256 (-7).
    cose.alg(if is_point { CoseAlg::ES256 } else { CoseAlg::ED25519 });
    cose.crv(if is_point { Curve::P256 } else { Curve::Ed25519 }).unwrap();
    let kid = sha256(raw);
    cose.kid(&kid[..8]);
    if is_point {
        cose.x(&raw[1..33]).unwrap();
        cose.y(&raw[33..]).unwrap();
    } else {
        cose.x(raw).unwrap();
    }
    let mut set: CoseKeySetBuilder<256> = CoseKeySetBuilder::try_new().unwrap();
    set.push_key(cose).unwrap();
    set.into_bytes().unwrap().to_vec()
}

/// What the parser makes of an envelope whose first block is by the owner of this raw public key.
///
/// # Errors
/// What it says.
pub fn read(envelope: &[u8], raw_key: &[u8]) -> Result<Found, String> {
    let keys = key_set(raw_key);
    let mut found = Found::default();
    suit_decode(envelope, &mut found, &mut CoseCrypto::new(&keys))
        .map(|()| found)
        .map_err(|error| error.to_string())
}

/// The raw public key in an SPKI PEM file: what stands last in it (RFC 8410, RFC 5480).
pub fn raw_key(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let spki = base64(&lines.collect::<String>());
    let len = if spki.len() == 44 { 32 } else { 65 };
    spki[spki.len() - len..].to_vec()
}

/// RFC 4648, section 4.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |c: u8| DIGITS.iter().position(|it| *it == c).expect("base64") as u32;
    let mut bytes = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0, |bits, c| (bits << 6) | digit(*c)) << (6 * (4 - four.len()));
        bytes.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_rfc() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9vYg==", "foob")] {
            assert_eq!(base64(text), bytes.as_bytes());
        }
    }
}
