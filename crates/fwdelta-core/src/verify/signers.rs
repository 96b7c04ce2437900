//! Which blocks are by whom: roles, thresholds and the vendors' requirement (format.md, 5.1).

use super::crypto::{Crypto, signature_is_valid};
use crate::error::{Detail, Error, Result};
use crate::format::auth::{Authentication, Block, Claim, Requirement};
use crate::format::key::PublicKey;
use crate::format::trust::Trust;

/// Checks every block that concerns this device and gives the vendors' requirement.
///
/// Secret blocks are left to the operator decision: they can only be checked against a SIM. For
/// packages [`super::Package::verify`] calls it; it is public for what else is signed like one.
///
/// # Errors
/// `BadSignature`, `WrongRole`, `VendorThreshold`, `VendorsDisagree` (docs/format.md, 5.1).
#[inline(never)]
pub fn check_signers<'a>(
    auth: &Authentication<'a>,
    trust: &Trust<'_>,
    crypto: &impl Crypto,
) -> Result<Requirement<'a>> {
    for block in auth.blocks() {
        let Signer::Known(key) = signer(&block, trust)? else { continue };
        if !signature_is_valid(crypto, key, &block, auth.payload)? {
            return Err(Error::at(Detail::BadSignature, block.pos));
        }
    }
    check_strangers(auth, trust)?;
    // Every block by a known key has verified; a block that is there is a signature.
    if vendor_count(auth, trust) < usize::from(trust.threshold) {
        return Err(Detail::VendorThreshold.into());
    }
    common_requirement(auth)
}

/// How many vendor keys signed, each with its companion if it has one. Key ids are distinct within
/// a package and key bytes within a trust anchor, so nobody is counted twice (CVE-2020-15093,
/// CVE-2020-6174).
fn vendor_count(auth: &Authentication<'_>, trust: &Trust<'_>) -> usize {
    let signed = |key: PublicKey<'_>| {
        let kid = key.kid();
        let mut claims = auth.blocks().map(|block| block.claim);
        claims.any(|claim| matches!(claim, Claim::Vendor { kid: by, .. } if *by == kid))
    };
    trust.vendor_keys.iter().filter(|key| key.both().all(signed)).count()
}

/// Who made a block, as far as this device can tell.
enum Signer<'t> {
    /// A key trusted for what the block says.
    Known(PublicKey<'t>),
    /// A key that is not in the anchor speaks for an operator that is.
    Stranger,
    /// Nobody this device knows, or nobody it can check: the block is for other devices.
    Elsewhere,
}

fn signer<'t>(block: &Block<'_>, trust: &Trust<'t>) -> Result<Signer<'t>> {
    let (found, kid, is_ours) = match block.claim {
        Claim::Vendor { kid, .. } => (trust.vendor_keys.find(kid), kid, false),
        Claim::Approval { kid: None, .. } => return Ok(Signer::Elsewhere),
        Claim::Approval { kid: Some(kid), plmn, mode, .. } => {
            let entry = trust.operator(plmn);
            let found = entry.and_then(|entry| entry.keys_for(mode).find(kid));
            (found, kid, entry.is_some())
        }
    };
    match found {
        Some(key) => Ok(Signer::Known(key)),
        // A key that is trusted must not speak in another role or for anyone else.
        None if trust.knows(kid) => Err(Error::at(Detail::WrongRole, block.pos)),
        None if is_ours => Ok(Signer::Stranger),
        None => Ok(Signer::Elsewhere),
    }
}

/// A stranger may speak for an operator beside a key of its that is known and verified: so does one
/// package reach devices from before and after that operator changed its keys. Alone it shows that
/// the package was changed. It never counts.
fn check_strangers(auth: &Authentication<'_>, trust: &Trust<'_>) -> Result<()> {
    for block in auth.blocks() {
        if !matches!(signer(&block, trust)?, Signer::Stranger) {
            continue;
        }
        let mut others = auth.blocks().filter(|other| other.claim.plmn() == block.claim.plmn());
        // All known signatures have been verified by now.
        if !others.any(|other| matches!(signer(&other, trust), Ok(Signer::Known(_)))) {
            return Err(Error::at(Detail::WrongRole, block.pos));
        }
    }
    Ok(())
}

fn common_requirement<'a>(auth: &Authentication<'a>) -> Result<Requirement<'a>> {
    let mut common = None;
    for block in auth.blocks() {
        let Claim::Vendor { requirement, .. } = block.claim else { continue };
        if *common.get_or_insert(requirement) != requirement {
            return Err(Error::at(Detail::VendorsDisagree, block.pos));
        }
    }
    common.ok_or(Detail::VendorThreshold.into())
}
