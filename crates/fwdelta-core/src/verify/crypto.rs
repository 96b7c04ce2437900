//! The cryptography a device supplies or builds in.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::error::{Detail, Result};
use crate::format::auth::{Block, SIGNED_LEN_MAX, emit_signed};
use crate::format::cbor::{SliceSink, Writer};
use crate::format::plmn::Plmn;
use crate::format::trust::PublicKey;
use crate::hash::equal_in_constant_time;

/// Signature verification: built in, or a callback into a crypto cell or ROM.
pub trait Crypto {
    /// Whether `signature` is a strict Ed25519 signature of `message` under `key` (RFC 8032,
    /// canonical S, no key of small order).
    fn verify_ed25519(&self, key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool;
}

/// The built-in Ed25519.
#[cfg(feature = "ed25519")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

#[cfg(feature = "ed25519")]
impl Crypto for Ed25519 {
    fn verify_ed25519(&self, key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        ed25519_dalek::VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

/// Whether a signed block verifies under `key`.
#[inline(never)]
pub(super) fn signature_is_valid(
    crypto: &impl Crypto,
    key: &PublicKey,
    block: &Block<'_>,
    payload: &[u8],
) -> Result<bool> {
    let mut buf = [0; SIGNED_LEN_MAX];
    let mut writer = Writer(SliceSink::new(&mut buf));
    emit_signed(&mut writer, false, block.protected, payload).map_err(|_| too_long(block))?;
    let signature = block.proof.try_into().map_err(|_| Detail::Bug)?;
    Ok(crypto.verify_ed25519(key, writer.0.written(), signature))
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
