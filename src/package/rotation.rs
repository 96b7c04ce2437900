//! Replacing a trust anchor: the new one travels signed by those whom devices trust now and by
//! those whom they will trust (docs/format.md, section 6.1).

use crate::cbor::encode;
use crate::core::format::auth::{Kid, emit_block};
use crate::core::format::rotation::{self, SignedTrust, emit_protected, emit_signed};
use crate::core::format::trust::Trust;
use crate::core::limits::{ENDORSEMENT_COUNT_MAX, TRUST_JUMP_MAX};
use crate::core::verify::endorsed_count;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::keys::{ALGORITHMS, SecretKey};

/// How far a rotation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Keys of the present anchor that have signed, and how many must.
    pub current: (u8, u8),
    /// The same of the new anchor.
    pub new: (u8, u8),
    /// Keys of the present anchor that the new one lacks, in whatever role: those it revokes.
    pub revoked: Vec<Kid>,
    /// Keys of the new anchor that the present one lacks.
    pub added: Vec<Kid>,
}

impl Progress {
    /// Whether devices with the present anchor accept it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.current.0 >= self.current.1 && self.new.0 >= self.new.1
    }
}

/// Signs `new`, a bare anchor or one that others signed before, with `keys`; gives the signed form.
///
/// # Errors
/// When either anchor is malformed, the version does not grow as it must, a key is in neither
/// anchor as a vendor's, or has signed already.
pub fn endorse(current: &[u8], new: &[u8], keys: &[SecretKey]) -> Result<Vec<u8>> {
    let (anchor, mut blocks) = taken_apart(new)?;
    let (old, new) = (Trust::parse(current)?, Trust::parse(&anchor)?);
    check_versions(&old, &new)?;
    for key in keys {
        let public = key.public();
        let is_vendor = |trust: &Trust<'_>| trust.vendor_keys.find(&public.kid()).is_some();
        if !is_vendor(&old) && !is_vendor(&new) {
            let what = "is a vendor key of neither anchor; its signature would not count";
            return Err(Error::input(format!("key {}", hex(&public.kid())), what));
        }
        let protected = encode(|w| emit_protected(w, &public.kid(), public.algorithm()));
        let message = encode(|w| emit_signed(w, &protected, &anchor));
        let signature = key.sign(&message)?;
        let block = encode(|w| emit_block(w, &protected, &signature));
        if !blocks.contains(&block) {
            blocks.push(block);
        }
    }
    if blocks.len() > ENDORSEMENT_COUNT_MAX {
        return Err(crate::core::Detail::TooManyBlocks.into());
    }
    let signed = encode(|w| rotation::emit(w, &anchor, blocks.iter().map(Vec::as_slice)));
    SignedTrust::parse(&signed)?;
    Ok(signed)
}

/// The anchor and the encoded endorsements of either form.
fn taken_apart(new: &[u8]) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
    if !SignedTrust::is_signed(new) {
        return Ok((new.to_vec(), Vec::new()));
    }
    let signed = SignedTrust::parse(new)?;
    let block = |it: rotation::Endorsement<'_>| encode(|w| emit_block(w, it.protected, it.proof));
    Ok((signed.anchor.to_vec(), signed.endorsements().map(block).collect()))
}

fn check_versions(old: &Trust<'_>, new: &Trust<'_>) -> Result<()> {
    let ahead = new.version.saturating_sub(old.version);
    if !(1..=TRUST_JUMP_MAX).contains(&ahead) {
        let what = format!(
            "version {} cannot follow version {}: give it the next number, at most \
             {TRUST_JUMP_MAX} more",
            new.version, old.version
        );
        return Err(Error::input("the new anchor", what));
    }
    Ok(())
}

/// How far the rotation from `current` to `signed` has come.
///
/// # Errors
/// When either is malformed.
pub fn progress(current: &[u8], signed: &[u8]) -> Result<Progress> {
    let signed = SignedTrust::parse(signed)?;
    let (old, new) = (Trust::parse(current)?, Trust::parse(signed.anchor)?);
    let lacking = |from: &Trust<'_>, other: &Trust<'_>| {
        let kids = from.keys().map(|key| key.kid()).filter(|kid| !other.knows(kid));
        let mut kids: Vec<_> = kids.collect();
        kids.sort_unstable();
        kids.dedup();
        kids
    };
    Ok(Progress {
        current: (endorsed_count(&signed, &old, &ALGORITHMS)?, old.threshold),
        new: (endorsed_count(&signed, &new, &ALGORITHMS)?, new.threshold),
        revoked: lacking(&old, &new),
        added: lacking(&new, &old),
    })
}
