//! Ed25519 keys in the files people keep: PKCS#8 PEM (RFC 5958, 8410) and SPKI PEM.

use ed25519_dalek::ed25519::pkcs8::{KeypairBytes, spki::der::pem::LineEnding};
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::core::format::auth::{Kid, kid_of};
use crate::error::{Error, Result};
use crate::hex::hex;

/// A private key; wiped when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", hex(&self.public().kid()))
    }
}

impl SecretKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    /// When the operating system has none.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())
            .map_err(|error| Error::input("random numbers", error))?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a seed (RFC 8032, section 5.1.5); for test vectors that must not change.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a PKCS#8 PEM file's text; `subject` names the file.
    ///
    /// # Errors
    /// When it is not an Ed25519 private key.
    pub fn from_pem(pem: &str, subject: &str) -> Result<Self> {
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|_| {
            let what = "not an Ed25519 private key in PKCS#8 PEM";
            Error::input(subject, format!("{what}; make one with `fwdelta keygen --out NAME`"))
        })?;
        Ok(Self(key))
    }

    /// The PKCS#8 version 1 PEM text, which every tool reads.
    ///
    /// # Errors
    /// Never for an Ed25519 key; reported instead of a panic.
    pub fn to_pem(&self) -> Result<Zeroizing<String>> {
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        pair.to_pkcs8_pem(LineEnding::LF).map_err(|error| Error::input("private key", error))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads an SPKI PEM file's text; `subject` names the file.
    ///
    /// # Errors
    /// When it is not an Ed25519 public key.
    pub fn from_pem(pem: &str, subject: &str) -> Result<Self> {
        let key = VerifyingKey::from_public_key_pem(pem).map_err(|_| {
            Error::input(subject, "not an Ed25519 public key in PEM (BEGIN PUBLIC KEY)")
        })?;
        if key.is_weak() {
            return Err(Error::input(subject, "a key of small order, which signs anything"));
        }
        Ok(Self(key.to_bytes()))
    }

    /// The SPKI PEM text.
    ///
    /// # Errors
    /// When the bytes are not a point on the curve.
    pub fn to_pem(&self) -> Result<String> {
        let wrong = |error: &dyn std::fmt::Display| Error::input("public key", error);
        let key = VerifyingKey::from_bytes(&self.0).map_err(|error| wrong(&error))?;
        key.to_public_key_pem(LineEnding::LF).map_err(|error| wrong(&error))
    }

    /// The key id.
    #[must_use]
    pub fn kid(&self) -> Kid {
        kid_of(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_through_pem() {
        let key = SecretKey::from_seed(&[7; 32]);
        let pem = key.to_pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_eq!(SecretKey::from_pem(&pem, "k").unwrap().public(), key.public());
        let public = key.public().to_pem().unwrap();
        assert_eq!(PublicKey::from_pem(&public, "k").unwrap(), key.public());
        assert!(PublicKey::from_pem(&pem, "k").is_err());
        assert!(!format!("{key:?}").contains("07070707"));
    }
}
