//! The cryptography a device supplies or builds in.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::error::{Detail, Result};
use crate::format::auth::{Block, SIGNED_LEN_MAX, emit_signed};
use crate::format::cbor::{SliceSink, Writer};
use crate::format::key::PublicKey;
use crate::format::plmn::Plmn;
use crate::hash::equal_in_constant_time;

/// Signature verification: built in, or a callback into a crypto cell or ROM.
///
/// A pair of them is one that knows the algorithms of both. So a device links the algorithms it
/// names, and no others.
pub trait Crypto {
    /// Whether `signature` is one of `message` under `key`; `None` for an algorithm it does not
    /// know. The signature has the length of the key's algorithm.
    ///
    /// Ed25519 is to be strict (RFC 8032: canonical S, no key of small order). ESP256 takes
    /// `r || s`, with both values of s, as hardware gives either.
    fn verify(&self, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool>;
}

impl<A: Crypto, B: Crypto> Crypto for (A, B) {
    fn verify(&self, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
        let first = self.0.verify(key, message, signature);
        first.or_else(|| self.1.verify(key, message, signature))
    }
}

/// The built-in Ed25519.
#[cfg(feature = "ed25519")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

#[cfg(feature = "ed25519")]
impl Crypto for Ed25519 {
    fn verify(&self, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
        let PublicKey::Ed25519(key) = key else { return None };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else {
            return Some(false);
        };
        let key = ed25519_dalek::VerifyingKey::from_bytes(key);
        Some(key.is_ok_and(|key| key.verify_strict(message, &signature).is_ok()))
    }
}

/// The built-in ESP256.
#[cfg(feature = "esp256")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Esp256;

#[cfg(feature = "esp256")]
impl Crypto for Esp256 {
    // Its frame is not to be that of the caller, for whom it may be of no use.
    #[inline(never)]
    fn verify(&self, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
        use p256::ecdsa::signature::Verifier as _;
        let PublicKey::Esp256(key) = key else { return None };
        let Ok(signature) = p256::ecdsa::Signature::from_slice(signature) else {
            return Some(false);
        };
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key);
        Some(key.is_ok_and(|key| key.verify(message, &signature).is_ok()))
    }
}

/// The built-in ML-DSA-44.
#[cfg(feature = "ml-dsa-44")]
#[derive(Clone, Copy, Debug, Default)]
pub struct MlDsa44;

#[cfg(feature = "ml-dsa-44")]
impl Crypto for MlDsa44 {
    #[inline(never)]
    fn verify(&self, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
        use ml_dsa::signature::Verifier as _;
        let PublicKey::MlDsa44(key) = key else { return None };
        let Ok(signature) = ml_dsa::Signature::<ml_dsa::MlDsa44>::try_from(signature) else {
            return Some(false);
        };
        let key = ml_dsa::VerifyingKey::<ml_dsa::MlDsa44>::decode(key.into());
        Some(key.verify(message, &signature).is_ok())
    }
}

/// Whether a signed block verifies under `key`.
#[inline(never)]
pub(super) fn signature_is_valid(
    crypto: &impl Crypto,
    key: PublicKey<'_>,
    block: &Block<'_>,
    payload: &[u8],
) -> Result<bool> {
    // The anchor says which algorithm a key is for, not the package.
    if block.algorithm != Some(key.algorithm()) {
        return Ok(false);
    }
    let mut buf = [0; SIGNED_LEN_MAX];
    let mut writer = Writer(SliceSink::new(&mut buf));
    emit_signed(&mut writer, false, block.protected, payload).map_err(|_| too_long(block))?;
    let verdict = crypto.verify(key, writer.0.written(), block.proof);
    verdict.ok_or(crate::Error::at(Detail::NotBuiltIn, block.pos))
}

/// Whether a secret block verifies under the SIM's string.
pub(super) fn mac_is_valid(
    string: &[u8; 16],
    plmn: Plmn,
    block: &Block<'_>,
    payload: &[u8],
) -> Result<bool> {
    let mac = secret_mac(string, plmn, block.protected, payload).map_err(|_| too_long(block))?;
    Ok(equal_in_constant_time(&mac, block.proof))
}

fn too_long(block: &Block<'_>) -> crate::Error {
    crate::Error::at(Detail::StringTooLong, block.pos)
}

/// First part of the HKDF info string; the PLMN follows.
pub const MAC_INFO: &[u8] = b"fwdelta/approval/v1";

/// The MAC key of an operator's string (RFC 5869).
///
/// # Errors
/// Never for 32 bytes of output; `Bug` instead of a panic.
pub fn mac_key(string: &[u8; 16], plmn: Plmn) -> Result<[u8; 32]> {
    let mut key = [0; 32];
    let info = [MAC_INFO, plmn.as_str().as_bytes()];
    let expanded = Hkdf::<Sha256>::new(None, string).expand_multi_info(&info, &mut key);
    expanded.map_err(|_| Detail::Bug)?;
    Ok(key)
}

/// The MAC of a secret block over the encoded manifest digest.
///
/// # Errors
/// `BadArgument` when the protected header is too long.
pub fn secret_mac(
    string: &[u8; 16],
    plmn: Plmn,
    protected: &[u8],
    payload: &[u8],
) -> Result<[u8; 32]> {
    let mut buf = [0; SIGNED_LEN_MAX];
    let mut writer = Writer(SliceSink::new(&mut buf));
    emit_signed(&mut writer, true, protected, payload)?;
    let key = mac_key(string, plmn)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| Detail::Bug)?;
    mac.update(writer.0.written());
    Ok(mac.finalize().into_bytes().into())
}
