//! Signatures of a scheme that costs one hash, so that a fuzzer's input can be signed after it was
//! changed: whoever has the public key can sign, but nobody comes upon a signature by chance.

use fwdelta_core::format::auth::{Claim, emit_block, emit_signed};
use fwdelta_core::format::key::PublicKey;
use fwdelta_core::format::rotation;
use fwdelta_core::hash::sha256;
use fwdelta_core::verify::Crypto;

use crate::emitted;

/// Verifies what [`sign`] made.
#[derive(Clone, Copy, Debug)]
pub struct Seal;

impl Crypto for Seal {
    fn verify(&self, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
        Some(signature == sign(key, message))
    }
}

/// A signature of `message`, as long as the key's algorithm says.
#[must_use]
pub fn sign(key: PublicKey<'_>, message: &[u8]) -> Vec<u8> {
    let digest = sha256(&[key.bytes(), message].concat());
    digest.into_iter().cycle().take(key.algorithm().signature_len()).collect()
}

/// A block of a package with `claim`, signed with `key` over the encoded digest `payload`.
#[must_use]
pub fn block(claim: &Claim<'_>, key: PublicKey<'_>, payload: &[u8]) -> Vec<u8> {
    let protected = emitted(|writer| claim.emit(writer, key.algorithm()));
    let message = emitted(|writer| emit_signed(writer, false, &protected, payload));
    emitted(|writer| emit_block(writer, &protected, &sign(key, &message)))
}

/// An endorsement of `anchor` by `key`.
#[must_use]
pub fn endorsement(anchor: &[u8], key: PublicKey<'_>) -> Vec<u8> {
    let protected = emitted(|writer| rotation::emit_protected(writer, &key.kid(), key.algorithm()));
    let message = emitted(|writer| rotation::emit_signed(writer, &protected, anchor));
    emitted(|writer| emit_block(writer, &protected, &sign(key, &message)))
}
