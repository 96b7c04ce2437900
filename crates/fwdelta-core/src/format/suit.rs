//! Numbers from the IETF SUIT and COSE registries, and the digest item.
//!
//! draft-ietf-suit-manifest-37, RFC 9052, RFC 9864.

use super::cbor::{Reader, Sink, Writer};
use crate::error::{Detail, Error, Result};
use crate::hash::Sha256Digest;

/// CBOR tag of a SUIT envelope.
pub const TAG_ENVELOPE: u64 = 107;
/// Envelope key of the authentication wrapper.
pub const KEY_AUTHENTICATION: i64 = 2;
/// Envelope key of the manifest.
pub const KEY_MANIFEST: i64 = 3;
/// Envelope and manifest key of the text.
pub const KEY_TEXT: i64 = 23;

/// COSE algorithm SHA-256.
pub const ALG_SHA256: i64 = -16;
/// COSE algorithm Ed25519 (RFC 9864).
pub const ALG_ED25519: i64 = -19;
/// COSE algorithm ESP256, ECDSA on P-256 with SHA-256 (RFC 9864).
pub const ALG_ESP256: i64 = -9;
/// COSE algorithm ML-DSA-44 (RFC 9964).
pub const ALG_ML_DSA_44: i64 = -48;
/// COSE algorithm HMAC 256/256.
pub const ALG_HMAC256: i64 = 5;

/// Reads `[-16, bstr .size 32]`.
///
/// # Errors
/// `UnknownAlgorithm`, otherwise as the reader.
pub fn parse_digest<'a>(reader: &mut Reader<'a>) -> Result<&'a Sha256Digest> {
    reader.array_exact(2)?;
    let pos = reader.pos();
    if reader.int()? != ALG_SHA256 {
        return Err(Error::at(Detail::UnknownAlgorithm, pos));
    }
    reader.array_of::<32>()
}

/// Emits `[-16, bstr .size 32]`.
///
/// # Errors
/// When the sink is full.
pub fn emit_digest<S: Sink>(writer: &mut Writer<S>, digest: &Sha256Digest) -> Result<()> {
    writer.array(2)?;
    writer.int(ALG_SHA256)?;
    writer.bytes(digest)
}
