//! Whether a new trust anchor may replace the one a device has (docs/format.md, section 6.1).

use super::crypto::Crypto;
use crate::error::{Detail, Error, Result};
use crate::format::auth::SIGNED_LEN_MAX;
use crate::format::cbor::{SliceSink, Writer};
use crate::format::key::PublicKey;
use crate::format::rotation::{Endorsement, SignedTrust, emit_signed};
use crate::format::trust::Trust;
use crate::limits::TRUST_JUMP_MAX;

/// Checks an anchor that is to replace `current`: as many of the vendor's keys in `current`, and of
/// those in the new anchor, as either asks for must have signed it, and its version must be
/// higher, by at most [`TRUST_JUMP_MAX`].
///
/// What is stored afterwards is [`SignedTrust::anchor`], the part of `signed` that the given
/// [`Trust`] was read from. Until it is stored whole, `current` stays the anchor.
///
/// # Errors
/// Those of shape; `VendorThreshold`, or `BadSignature` where a signature by one of the keys is
/// there but wrong; `Rollback`, `SequenceJump`.
#[inline(never)]
pub fn accept_trust<'n>(
    current: &Trust<'_>,
    signed: &'n [u8],
    crypto: &impl Crypto,
) -> Result<Trust<'n>> {
    let signed = SignedTrust::parse(signed)?;
    // The new anchor is a stranger's bytes until those who are trusted now have signed it.
    check_threshold(&signed, current, crypto)?;
    let new = Trust::parse(signed.anchor)?;
    check_threshold(&signed, &new, crypto)?;
    let ahead = new.version.checked_sub(current.version).ok_or(Detail::Rollback)?;
    match ahead {
        0 => Err(Detail::Rollback.into()),
        1..=TRUST_JUMP_MAX => Ok(new),
        // Who signs a version near the last one, by mistake, leaves no room for a next anchor.
        _ => Err(Detail::SequenceJump.into()),
    }
}

/// How many of `trust`'s vendor keys have signed, each counted once whatever it signed how often.
///
/// # Errors
/// `Bug`, which would be a panic elsewhere.
pub fn endorsed_count(
    signed: &SignedTrust<'_>,
    trust: &Trust<'_>,
    crypto: &impl Crypto,
) -> Result<u8> {
    tally(signed, trust, crypto).map(|(count, _)| count)
}

fn check_threshold(
    signed: &SignedTrust<'_>,
    trust: &Trust<'_>,
    crypto: &impl Crypto,
) -> Result<()> {
    let (count, wrong) = tally(signed, trust, crypto)?;
    if count >= trust.threshold {
        return Ok(());
    }
    // The more telling of two reasons: a signature is there, and it is not right.
    Err(wrong.unwrap_or(Detail::VendorThreshold.into()))
}

/// Keys that signed, and the first signature by a key of `trust` that is wrong.
fn tally(
    signed: &SignedTrust<'_>,
    trust: &Trust<'_>,
    crypto: &impl Crypto,
) -> Result<(u8, Option<Error>)> {
    let (mut count, mut wrong) = (0u8, None);
    for key in trust.vendor_keys.iter() {
        // A hybrid key signs with both of its halves.
        let mut is_signed = true;
        for key in key.both() {
            is_signed &= has_signed(signed, key, crypto, &mut wrong)?;
        }
        count = count.saturating_add(is_signed.into());
    }
    Ok((count, wrong))
}

/// Whether there is a signature by `key` that verifies; the first that does not goes to `wrong`.
fn has_signed(
    signed: &SignedTrust<'_>,
    key: PublicKey<'_>,
    crypto: &impl Crypto,
    wrong: &mut Option<Error>,
) -> Result<bool> {
    let kid = key.kid();
    for endorsement in signed.endorsements().filter(|it| *it.kid == kid) {
        if is_valid(signed.anchor, key, &endorsement, crypto)? {
            return Ok(true);
        }
        *wrong = wrong.or(Some(Error::at(Detail::BadSignature, endorsement.pos)));
    }
    Ok(false)
}

fn is_valid(
    anchor: &[u8],
    key: PublicKey<'_>,
    endorsement: &Endorsement<'_>,
    crypto: &impl Crypto,
) -> Result<bool> {
    if endorsement.algorithm != key.algorithm() {
        return Ok(false);
    }
    let mut buf = [0; SIGNED_LEN_MAX];
    let mut writer = Writer(SliceSink::new(&mut buf));
    emit_signed(&mut writer, endorsement.protected, anchor)?;
    let verdict = crypto.verify(key, writer.0.written(), endorsement.proof);
    verdict.ok_or(Error::at(Detail::NotBuiltIn, endorsement.pos))
}
