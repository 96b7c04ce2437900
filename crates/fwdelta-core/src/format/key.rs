//! Public keys and the algorithms they are for (docs/format.md, section 6).

use super::auth::{Kid, kid_of};
use super::cbor::{Reader, Sink, Writer};
use super::suit::{ALG_ED25519, ALG_ESP256, ALG_ML_DSA_44};
use crate::error::{Detail, Result};

/// Bytes of an ML-DSA-44 public key (FIPS 204, table 2).
pub const ML_DSA_44_KEY_LEN: usize = 1312;
/// Bytes of an ML-DSA-44 signature (FIPS 204, table 2).
pub const ML_DSA_44_SIGNATURE_LEN: usize = 2420;

/// How a block is signed. A key is for one algorithm, which the trust anchor states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// EdDSA on Curve25519 (RFC 8032; COSE -19, RFC 9864).
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5; COSE -9, RFC 9864).
    Esp256,
    /// ML-DSA-44 with an empty context (FIPS 204; COSE -48, RFC 9964).
    MlDsa44,
}

impl Algorithm {
    /// Its number in the COSE registry.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Algorithm::Ed25519 => ALG_ED25519,
            Algorithm::Esp256 => ALG_ESP256,
            Algorithm::MlDsa44 => ALG_ML_DSA_44,
        }
    }

    /// The algorithm with this number; none for any other.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            ALG_ED25519 => Some(Algorithm::Ed25519),
            ALG_ESP256 => Some(Algorithm::Esp256),
            ALG_ML_DSA_44 => Some(Algorithm::MlDsa44),
            _ => None,
        }
    }

    /// Its name in the COSE registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Ed25519 => "Ed25519",
            Algorithm::Esp256 => "ESP256",
            Algorithm::MlDsa44 => "ML-DSA-44",
        }
    }

    /// Bytes of a signature.
    #[must_use]
    pub const fn signature_len(self) -> usize {
        match self {
            Algorithm::Ed25519 | Algorithm::Esp256 => 64,
            Algorithm::MlDsa44 => ML_DSA_44_SIGNATURE_LEN,
        }
    }
}

/// A raw public key. That ESP256's is a point of the curve is checked by what verifies with it.
#[derive(Clone, Copy, Debug, Eq)]
pub enum PublicKey<'a> {
    /// As RFC 8032, section 5.1.5.
    Ed25519(&'a [u8; 32]),
    /// The uncompressed point, `04 || x || y` (SEC 1, section 2.3.3), as hardware takes it.
    Esp256(&'a [u8; 65]),
    /// As FIPS 204, algorithm 22; only as the companion of a vendor's key.
    MlDsa44(&'a [u8; ML_DSA_44_KEY_LEN]),
}

impl PartialEq for PublicKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Their lengths tell algorithms apart.
        self.bytes() == other.bytes()
    }
}

impl<'a> PublicKey<'a> {
    /// What it is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            PublicKey::Ed25519(_) => Algorithm::Ed25519,
            PublicKey::Esp256(_) => Algorithm::Esp256,
            PublicKey::MlDsa44(_) => Algorithm::MlDsa44,
        }
    }

    /// The raw bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        match self {
            PublicKey::Ed25519(bytes) => *bytes,
            PublicKey::Esp256(bytes) => *bytes,
            PublicKey::MlDsa44(bytes) => *bytes,
        }
    }

    /// The key id.
    #[must_use]
    pub fn kid(&self) -> Kid {
        kid_of(self.bytes())
    }

    /// Reads the two items of a key: number of the algorithm, bytes.
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let unknown = reader.error(Detail::UnknownAlgorithm);
        match Algorithm::from_number(reader.int()?).ok_or(unknown)? {
            Algorithm::Ed25519 => reader.array_of().map(PublicKey::Ed25519),
            Algorithm::MlDsa44 => reader.array_of().map(PublicKey::MlDsa44),
            Algorithm::Esp256 => {
                let compressed = reader.error(Detail::BadValue);
                let key: &[u8; 65] = reader.array_of()?;
                // A point has one encoding here, so equal keys have equal bytes.
                if key.first() == Some(&4) { Ok(PublicKey::Esp256(key)) } else { Err(compressed) }
            }
        }
    }

    pub(super) fn emit<S: Sink>(&self, writer: &mut Writer<S>) -> Result<()> {
        writer.int(self.algorithm().number())?;
        writer.bytes(self.bytes())
    }
}

/// A key with what must sign beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The key itself: Ed25519 or ESP256.
    pub key: PublicKey<'a>,
    /// The ML-DSA-44 key whose signature must be there too, for a vendor's hybrid key.
    pub companion: Option<PublicKey<'a>>,
}

impl<'a> From<PublicKey<'a>> for Key<'a> {
    fn from(key: PublicKey<'a>) -> Self {
        Self { key, companion: None }
    }
}

impl<'a> Key<'a> {
    /// Reads a key, in one place of the code; one with a companion only where that `may_be_hybrid`.
    #[inline(never)]
    pub(super) fn parse(reader: &mut Reader<'a>, may_be_hybrid: bool) -> Result<Self> {
        let wrong = reader.error(Detail::BadValue);
        let unknown = reader.error(Detail::UnknownAlgorithm);
        let count = reader.array()?;
        if count != 2 && !(count == 4 && may_be_hybrid) {
            return Err(wrong);
        }
        let key = PublicKey::parse(reader)?;
        let companion = (count == 4).then(|| PublicKey::parse(reader)).transpose()?;
        let is_lattice = |key: PublicKey<'_>| key.algorithm() == Algorithm::MlDsa44;
        if is_lattice(key) || !companion.is_none_or(is_lattice) {
            return Err(unknown);
        }
        Ok(Self { key, companion })
    }

    pub(super) fn emit<S: Sink>(&self, writer: &mut Writer<S>) -> Result<()> {
        writer.array(if self.companion.is_some() { 4 } else { 2 })?;
        self.key.emit(writer)?;
        self.companion.map_or(Ok(()), |companion| companion.emit(writer))
    }

    /// The key, then its companion.
    pub fn both(self) -> impl Iterator<Item = PublicKey<'a>> {
        core::iter::once(self.key).chain(self.companion)
    }
}
