//! Replacing a trust anchor: the new one travels signed by those whom devices trust now and by
//! those whom they will trust (docs/format.md, section 6.1).

use crate::cbor::encode;
use crate::core::Detail;
use crate::core::format::auth::{Kid, emit_block};
use crate::core::format::rotation::{self, SignedTrust, emit_protected, emit_signed};
use crate::core::format::trust::Trust;
use crate::core::limits::{ENDORSEMENT_COUNT_MAX, TRUST_JUMP_MAX};
use crate::core::verify::{Crypto as _, endorsed_count};
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::keys::{ALGORITHMS, PublicKey, SecretKey};
use crate::package::sign::verified;

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
/// A key that has signed already does not sign again.
///
/// # Errors
/// When either anchor is malformed, the version does not grow as it must, or a key is in neither
/// anchor as a vendor's.
pub fn endorse(current: &[u8], new: &[u8], keys: &[SecretKey]) -> Result<Vec<u8>> {
    let mut sheet = Sheet::read(current, new)?;
    for key in keys {
        let public = key.public();
        sheet.refuse_stranger(&public)?;
        if !sheet.has_signed(&public)? {
            let signature = key.sign(&sheet.message(&public))?;
            sheet.add(&public, &signature);
        }
    }
    sheet.finish()
}

/// The bytes that `key` is to sign, so that devices with the anchor `current` take `new`, a bare
/// anchor or one that others signed before. They say which anchor and which key, and nothing else.
///
/// # Errors
/// As [`endorse`]; `DuplicateBlock` when the key has signed already.
pub fn prepare(current: &[u8], new: &[u8], key: &PublicKey) -> Result<Vec<u8>> {
    let sheet = Sheet::read(current, new)?;
    sheet.refuse_stranger(key)?;
    if sheet.has_signed(key)? {
        return Err(Error::from(Detail::DuplicateBlock).remedy("this key has signed already"));
    }
    Ok(sheet.message(key))
}

/// Gives `new` with the signature that `request` was made for, once it was checked; one of ESP256
/// may be `r || s` or DER.
///
/// # Errors
/// As [`prepare`]; `DigestMismatch` when the request is for another anchor or key, `BadSignature`.
pub fn attach(
    current: &[u8],
    new: &[u8],
    request: &[u8],
    key: &PublicKey,
    signature: &[u8],
) -> Result<Vec<u8>> {
    // What is to be signed follows from anchor and key, so there is nothing to read in a request.
    if prepare(current, new, key)? != request {
        let remedy = "the request was made for another anchor or key; prepare one for these";
        return Err(Error::from(Detail::DigestMismatch).remedy(remedy));
    }
    let signature = verified(key, request, signature)?;
    let mut sheet = Sheet::read(current, new)?;
    sheet.add(key, &signature);
    sheet.finish()
}

/// An anchor on its way round those who sign it.
struct Sheet<'c> {
    current: Trust<'c>,
    anchor: Vec<u8>,
    blocks: Vec<Vec<u8>>,
}

impl<'c> Sheet<'c> {
    fn read(current: &'c [u8], new: &[u8]) -> Result<Self> {
        let (anchor, blocks) = taken_apart(new)?;
        let current = Trust::parse(current)?;
        check_versions(&current, &Trust::parse(&anchor)?)?;
        Ok(Self { current, anchor, blocks })
    }

    fn refuse_stranger(&self, key: &PublicKey) -> Result<()> {
        let is_vendor = |trust: &Trust<'_>| {
            trust.vendor_keys.iter().any(|its| its.both().any(|it| it == key.raw()))
        };
        if is_vendor(&self.current) || is_vendor(&Trust::parse(&self.anchor)?) {
            return Ok(());
        }
        let what = "is a vendor key of neither anchor; its signature would not count";
        Err(Error::input(format!("key {}", hex(&key.kid())), what))
    }

    /// Whether a signature by this key is there that verifies; anybody can add one that does not.
    fn has_signed(&self, key: &PublicKey) -> Result<bool> {
        let signed = self.emit();
        let signed = SignedTrust::parse(&signed)?;
        let message = self.message(key);
        let is_its = |it: &rotation::Endorsement<'_>| {
            *it.kid == key.kid() && ALGORITHMS.verify(key.raw(), &message, it.proof) == Some(true)
        };
        Ok(signed.endorsements().any(|it| is_its(&it)))
    }

    fn message(&self, key: &PublicKey) -> Vec<u8> {
        encode(|w| emit_signed(w, &protected(key), &self.anchor))
    }

    fn add(&mut self, key: &PublicKey, signature: &[u8]) {
        self.blocks.push(encode(|w| emit_block(w, &protected(key), signature)));
    }

    fn emit(&self) -> Vec<u8> {
        encode(|w| rotation::emit(w, &self.anchor, self.blocks.iter().map(Vec::as_slice)))
    }

    fn finish(self) -> Result<Vec<u8>> {
        if self.blocks.len() > ENDORSEMENT_COUNT_MAX {
            return Err(Detail::TooManyBlocks.into());
        }
        let signed = self.emit();
        SignedTrust::parse(&signed)?;
        Ok(signed)
    }
}

fn protected(key: &PublicKey) -> Vec<u8> {
    encode(|w| emit_protected(w, &key.kid(), key.algorithm()))
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
