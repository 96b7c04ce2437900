//! Keys in the files people keep: PKCS#8 PEM (RFC 5958, 8410, 9881) and SPKI PEM; and keys that
//! stay elsewhere.

use std::sync::Arc;

use ed25519_dalek::ed25519::pkcs8::{KeypairBytes, spki::der::pem::LineEnding};
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use zeroize::Zeroizing;

use crate::core::format::auth::{Kid, kid_of};
use crate::core::format::key::{self, Algorithm};
use crate::error::{Error, Result};
use crate::hex::hex;

#[cfg(feature = "ml-dsa-44")]
use super::lattice;

/// What verifies every algorithm of this build.
#[cfg(feature = "ml-dsa-44")]
pub const ALGORITHMS: (crate::core::verify::Ed25519, (crate::core::verify::Esp256, Lattice)) =
    (crate::core::verify::Ed25519, (crate::core::verify::Esp256, crate::core::verify::MlDsa44));
#[cfg(feature = "ml-dsa-44")]
type Lattice = crate::core::verify::MlDsa44;

/// What verifies every algorithm of this build.
#[cfg(not(feature = "ml-dsa-44"))]
pub const ALGORITHMS: (crate::core::verify::Ed25519, crate::core::verify::Esp256) =
    (crate::core::verify::Ed25519, crate::core::verify::Esp256);

/// A private key that is not in our memory: in a token, or at a signing service.
pub trait Signer: Send + Sync {
    /// Its public half.
    fn public(&self) -> PublicKey;

    /// Signs `message`; for ESP256 `r || s`.
    ///
    /// # Errors
    /// When whoever holds the key does not sign.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>>;
}

/// A private key; wiped when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey(Secret);

#[derive(Clone)]
enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Esp256(Box<p256::ecdsa::SigningKey>),
    #[cfg(feature = "ml-dsa-44")]
    MlDsa44(Box<lattice::SigningKey>),
    Elsewhere(Arc<dyn Signer>),
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", hex(&self.public().kid()))
    }
}

impl SecretKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    /// When the operating system has none, or this build lacks the algorithm.
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        loop {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut_slice())
                .map_err(|error| Error::input("random numbers", error))?;
            match Self::from_seed_of(algorithm, &seed) {
                // One in 2^32 is not below the order of the curve.
                Err(_) if algorithm == Algorithm::Esp256 => {}
                made => return made,
            }
        }
    }

    /// The Ed25519 key of a seed (RFC 8032, section 5.1.5); for vectors that must not change.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Secret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))))
    }

    /// The key of a seed: the secret number for ESP256, the seed of FIPS 204 for ML-DSA-44.
    ///
    /// # Errors
    /// When the number is 0 or not below the order of P-256, or this build lacks the algorithm.
    pub fn from_seed_of(algorithm: Algorithm, seed: &[u8; 32]) -> Result<Self> {
        match algorithm {
            Algorithm::Ed25519 => Ok(Self::from_seed(seed)),
            Algorithm::Esp256 => {
                let key = p256::ecdsa::SigningKey::from_slice(seed);
                let key = key.map_err(|error| Error::input("private key", error))?;
                Ok(Self(Secret::Esp256(Box::new(key))))
            }
            #[cfg(feature = "ml-dsa-44")]
            Algorithm::MlDsa44 => Ok(Self(Secret::MlDsa44(Box::new(lattice::from_seed(seed))))),
            #[cfg(not(feature = "ml-dsa-44"))]
            Algorithm::MlDsa44 => Err(crate::core::Detail::NotBuiltIn.into()),
        }
    }

    /// A key that is elsewhere.
    #[must_use]
    pub fn elsewhere(signer: Arc<dyn Signer>) -> Self {
        Self(Secret::Elsewhere(signer))
    }

    /// Reads a PKCS#8 PEM file's text; `subject` names the file.
    ///
    /// # Errors
    /// When it is not a private key of an algorithm that this build has.
    pub fn from_pem(pem: &str, subject: &str) -> Result<Self> {
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_pem(pem) {
            return Ok(Self(Secret::Ed25519(Box::new(key))));
        }
        if let Ok(key) = p256::ecdsa::SigningKey::from_pkcs8_pem(pem) {
            return Ok(Self(Secret::Esp256(Box::new(key))));
        }
        #[cfg(feature = "ml-dsa-44")]
        if let Some(key) = lattice::from_private_pem(pem) {
            return Ok(Self(Secret::MlDsa44(Box::new(key))));
        }
        let what = format!("not {} private key in PKCS#8 PEM", names());
        Err(Error::input(subject, format!("{what}; make one with `fwdelta keygen --out NAME`")))
    }

    /// The PKCS#8 PEM text, which every tool reads.
    ///
    /// # Errors
    /// When the key is elsewhere.
    pub fn to_pem(&self) -> Result<Zeroizing<String>> {
        let wrong = |error: &dyn std::fmt::Display| Error::input("private key", error);
        match &self.0 {
            Secret::Ed25519(key) => {
                // Version 1 of the format: version 2 is not read by everything.
                let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
                pair.to_pkcs8_pem(LineEnding::LF).map_err(|error| wrong(&error))
            }
            Secret::Esp256(key) => key.to_pkcs8_pem(LineEnding::LF).map_err(|error| wrong(&error)),
            #[cfg(feature = "ml-dsa-44")]
            Secret::MlDsa44(key) => lattice::to_private_pem(key),
            Secret::Elsewhere(_) => Err(wrong(&"it is in hardware and stays there")),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match &self.0 {
            Secret::Ed25519(key) => PublicKey::Ed25519(key.verifying_key().to_bytes()),
            Secret::Esp256(key) => PublicKey::Esp256(uncompressed(key.verifying_key())),
            #[cfg(feature = "ml-dsa-44")]
            Secret::MlDsa44(key) => PublicKey::MlDsa44(lattice::public(key)),
            Secret::Elsewhere(signer) => signer.public(),
        }
    }

    /// Signs `message`. The same message gives the same signature (RFC 6979, FIPS 204 with a zero
    /// `rnd`), except from a key that is elsewhere.
    ///
    /// # Errors
    /// When whoever holds the key does not sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        use ed25519_dalek::Signer as _;
        match &self.0 {
            Secret::Ed25519(key) => Ok(key.sign(message).to_bytes().to_vec()),
            Secret::Esp256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                Ok(signature.to_bytes().to_vec())
            }
            #[cfg(feature = "ml-dsa-44")]
            Secret::MlDsa44(key) => Ok(lattice::sign(key, message)),
            Secret::Elsewhere(signer) => signer.sign(message),
        }
    }
}

fn names() -> &'static str {
    if cfg!(feature = "ml-dsa-44") {
        "an Ed25519, P-256 or ML-DSA-44"
    } else {
        "an Ed25519 or P-256"
    }
}

fn uncompressed(key: &p256::ecdsa::VerifyingKey) -> [u8; 65] {
    let point = key.to_sec1_point(false);
    let mut bytes = [0; 65];
    for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
        *to = *from;
    }
    bytes
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublicKey {
    /// Ed25519.
    Ed25519([u8; 32]),
    /// P-256, for ESP256: the uncompressed point.
    Esp256([u8; 65]),
    /// ML-DSA-44.
    MlDsa44(Box<[u8; key::ML_DSA_44_KEY_LEN]>),
}

impl PublicKey {
    /// Reads an SPKI PEM file's text; `subject` names the file.
    ///
    /// # Errors
    /// When it is not a public key of an algorithm that this build has.
    pub fn from_pem(pem: &str, subject: &str) -> Result<Self> {
        if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_pem(pem) {
            if key.is_weak() {
                return Err(Error::input(subject, "a key of small order, which signs anything"));
            }
            return Ok(PublicKey::Ed25519(key.to_bytes()));
        }
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            return Ok(PublicKey::Esp256(uncompressed(&key)));
        }
        #[cfg(feature = "ml-dsa-44")]
        if let Some(key) = lattice::from_public_pem(pem) {
            return Ok(PublicKey::MlDsa44(key));
        }
        let what = format!("not {} public key in PEM (BEGIN PUBLIC KEY)", names());
        Err(Error::input(subject, what))
    }

    /// A P-256 key from its uncompressed point.
    ///
    /// # Errors
    /// When the bytes are no such point.
    pub fn from_point(point: &[u8], subject: &str) -> Result<Self> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point);
        let key = key.map_err(|_| Error::input(subject, "not a point of P-256"))?;
        Ok(PublicKey::Esp256(uncompressed(&key)))
    }

    /// The SPKI PEM text.
    ///
    /// # Errors
    /// When the bytes are not a key of their algorithm.
    pub fn to_pem(&self) -> Result<String> {
        let wrong = |error: &dyn std::fmt::Display| Error::input("public key", error);
        match self {
            PublicKey::Ed25519(bytes) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes);
                let key = key.map_err(|error| wrong(&error))?;
                key.to_public_key_pem(LineEnding::LF).map_err(|error| wrong(&error))
            }
            PublicKey::Esp256(bytes) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes);
                let key = key.map_err(|error| wrong(&error))?;
                key.to_public_key_pem(LineEnding::LF).map_err(|error| wrong(&error))
            }
            #[cfg(feature = "ml-dsa-44")]
            PublicKey::MlDsa44(bytes) => lattice::to_public_pem(bytes),
            #[cfg(not(feature = "ml-dsa-44"))]
            PublicKey::MlDsa44(_) => Err(crate::core::Detail::NotBuiltIn.into()),
        }
    }

    /// As core knows it.
    #[must_use]
    pub fn raw(&self) -> key::PublicKey<'_> {
        match self {
            PublicKey::Ed25519(bytes) => key::PublicKey::Ed25519(bytes),
            PublicKey::Esp256(bytes) => key::PublicKey::Esp256(bytes),
            PublicKey::MlDsa44(bytes) => key::PublicKey::MlDsa44(bytes),
        }
    }

    /// What it is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.raw().algorithm()
    }

    /// The key id.
    #[must_use]
    pub fn kid(&self) -> Kid {
        kid_of(self.raw().bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::verify::Crypto as _;

    const ALL: [Algorithm; 3] = [Algorithm::Ed25519, Algorithm::Esp256, Algorithm::MlDsa44];

    fn keys() -> Vec<SecretKey> {
        ALL.into_iter().filter_map(|it| SecretKey::from_seed_of(it, &[7; 32]).ok()).collect()
    }

    #[test]
    fn keys_round_trip_through_pem() {
        assert_eq!(keys().len(), if cfg!(feature = "ml-dsa-44") { 3 } else { 2 });
        for key in keys() {
            let pem = key.to_pem().unwrap();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
            assert_eq!(SecretKey::from_pem(&pem, "k").unwrap().public(), key.public());
            let public = key.public().to_pem().unwrap();
            assert_eq!(PublicKey::from_pem(&public, "k").unwrap(), key.public());
            assert!(PublicKey::from_pem(&pem, "k").is_err());
            assert!(!format!("{key:?}").contains("07070707"));
        }
    }

    #[test]
    fn core_verifies_what_is_signed_here_and_nothing_else() {
        for key in keys() {
            let (public, signature) = (key.public(), key.sign(b"message").unwrap());
            assert_eq!(signature.len(), public.algorithm().signature_len());
            assert_eq!(signature, key.sign(b"message").unwrap());
            let verdict = |message: &[u8], signature: &[u8]| {
                ALGORITHMS.verify(public.raw(), message, signature).unwrap()
            };
            assert!(verdict(b"message", &signature));
            assert!(!verdict(b"massage", &signature));
            assert!(!verdict(b"message", &signature[1..]));
            for at in [0, 31, 32, 63, signature.len() - 1] {
                let mut changed = signature.clone();
                changed[at] ^= 1;
                assert!(!verdict(b"message", &changed), "{:?} {at}", public.algorithm());
            }
            let fresh = SecretKey::generate(public.algorithm()).unwrap().public();
            assert_ne!(fresh, public);
            assert_eq!(ALGORITHMS.verify(fresh.raw(), b"message", &signature), Some(false));
        }
    }

    /// Hardware gives either value of s; COSE (RFC 9053, section 2.1) and FIPS 186-5 take both.
    #[test]
    fn both_values_of_s_verify() {
        let key = SecretKey::from_seed_of(Algorithm::Esp256, &[7; 32]).unwrap();
        let signature = p256::ecdsa::Signature::from_slice(&key.sign(b"message").unwrap()).unwrap();
        let (r, s) = signature.split_scalars();
        let other = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
        let public = key.public();
        for signature in [signature, other] {
            let verdict = ALGORITHMS.verify(public.raw(), b"message", &signature.to_bytes());
            assert_eq!(verdict, Some(true));
        }
        assert_eq!(ALGORITHMS.verify(public.raw(), b"message", &[0; 64]), Some(false));
    }
}
