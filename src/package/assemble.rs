//! Taking envelopes apart and putting them together, byte for byte.

use crate::cbor::encode;
use crate::core::format::auth::{Authentication, Claim, emit_block, emit_signed, emit_wrapper};
use crate::core::format::cbor::{Reader, Writer};
use crate::core::format::envelope::{self, Envelope, PayloadKey, Span};
use crate::core::format::suit::parse_digest;
use crate::core::hash::{Sha256Digest, sha256};
use crate::core::{Limits, limits};
use crate::error::Result;
use crate::package::keys::SecretKey;

/// The parts of an envelope, as they stand in it.
#[derive(Clone, Debug)]
pub struct Parts<'p> {
    /// Digest of the manifest.
    pub digest: Sha256Digest,
    /// The authentication wrapper as it was read.
    pub wrapper: Vec<u8>,
    /// Encoded blocks.
    pub blocks: Vec<Vec<u8>>,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The text.
    pub text: Option<&'p [u8]>,
    /// Integrated payloads by their key.
    pub payloads: Vec<(String, &'p [u8])>,
}

impl<'p> Parts<'p> {
    /// Takes a package apart; its shape is checked, its signatures are not. Other than a device's
    /// reader it takes one that nobody has signed yet.
    ///
    /// # Errors
    /// As docs/format.md, step 1 of the order of checks.
    pub fn read(package: &'p [u8]) -> Result<Self> {
        let mut buf = vec![0; Limits::LINUX.envelope_len.min(package.len())];
        let mut source = package;
        let envelope = Envelope::scan(&mut source, package.len() as u64, &Limits::LINUX, &mut buf)?;
        let unsigned = unsigned_digest(envelope.auth);
        let auth = match unsigned {
            Some(_) => None,
            None => Some(Authentication::parse(envelope.auth, envelope.auth_pos)?),
        };
        let slice = |span: Span| {
            package.get(span.pos as usize..).and_then(|rest| rest.get(..span.len as usize))
        };
        let missing = crate::core::Detail::Truncated;
        let mut payloads = Vec::new();
        for (key, span) in envelope.payloads() {
            payloads.push((key_text(key), slice(span).ok_or(missing)?));
        }
        Ok(Self {
            digest: auth.map(|auth| *auth.digest).or(unsigned).unwrap_or_default(),
            wrapper: envelope.auth.to_vec(),
            blocks: auth
                .iter()
                .flat_map(Authentication::blocks)
                .map(|b| encode(|w| emit_block(w, b.protected, b.proof)))
                .collect(),
            manifest: envelope.manifest.to_vec(),
            text: envelope.text.map(|span| slice(span).ok_or(missing)).transpose()?,
            payloads,
        })
    }

    /// The blocks as they were read; none of a package that nobody has signed yet.
    ///
    /// # Errors
    /// As [`Authentication::parse`].
    pub fn authentication(&self) -> Result<Option<Authentication<'_>>> {
        match unsigned_digest(&self.wrapper) {
            Some(_) => Ok(None),
            None => Ok(Some(Authentication::parse(&self.wrapper, 0)?)),
        }
    }

    /// Puts the envelope together in deterministic order.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let blocks = self.blocks.iter().map(Vec::as_slice);
        let auth = encode(|w| emit_wrapper(w, &self.digest, blocks));
        let payloads: Vec<_> = self.payloads.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        encode(|w| envelope::emit(w, &auth, &self.manifest, self.text, &payloads))
    }

    /// The payload of every block: the encoded digest.
    #[must_use]
    pub fn signed_payload(&self) -> Vec<u8> {
        signed_payload(&self.digest)
    }

    /// An integrated payload.
    #[must_use]
    pub fn payload(&self, key: &str) -> Option<&'p [u8]> {
        self.payloads.iter().find(|(name, _)| name == key).map(|(_, payload)| *payload)
    }

    /// How many more blocks fit.
    #[must_use]
    pub fn blocks_left(&self) -> usize {
        limits::BLOCK_COUNT_MAX.saturating_sub(self.blocks.len())
    }
}

/// The digest in a wrapper without blocks.
fn unsigned_digest(wrapper: &[u8]) -> Option<Sha256Digest> {
    let mut reader = Reader::new(wrapper);
    reader.array_exact(1).ok()?;
    let mut item = reader.nested().ok()?;
    let digest = *parse_digest(&mut item).ok()?;
    item.finish().ok()?;
    reader.finish().ok()?;
    Some(digest)
}

/// The text form of a payload key.
#[must_use]
pub fn key_text(key: PayloadKey) -> String {
    match key {
        PayloadKey::Prompts => "#p".to_owned(),
        PayloadKey::Header(index) => format!("#h{index}"),
        PayloadKey::OperatorPrompts(plmn) => format!("#q{plmn}"),
        PayloadKey::Delta(index) => format!("#payload{index}"),
    }
}

/// The encoded digest item that blocks sign.
#[must_use]
pub fn signed_payload(digest: &Sha256Digest) -> Vec<u8> {
    encode(|w| crate::core::format::suit::emit_digest(w, digest))
}

/// SHA-256 of a manifest with its byte string head.
#[must_use]
pub fn manifest_digest(manifest: &[u8]) -> Sha256Digest {
    sha256(&encode(|w: &mut Writer<_>| w.bytes(manifest)))
}

/// A signed block with `claim`.
///
/// # Errors
/// When whoever holds the key does not sign.
pub fn sign_block(claim: &Claim<'_>, payload: &[u8], key: &SecretKey) -> Result<Vec<u8>> {
    let protected = encode(|w| claim.emit(w, key.public().algorithm()));
    let message = encode(|w| emit_signed(w, false, &protected, payload));
    let signature = key.sign(&message)?;
    Ok(encode(|w| emit_block(w, &protected, &signature)))
}
