//! Which blocks are by whom: roles, thresholds and the vendors' requirement (format.md, 5.1).

use super::crypto::{Crypto, signature_is_valid};
use crate::error::{Detail, Error, Result};
use crate::format::auth::{Authentication, Block, Claim, Kid, Mode, Requirement};
use crate::format::plmn::Plmn;
use crate::format::trust::{PublicKey, Trust};

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
    let mut vendor_count = 0u8;
    for block in auth.blocks() {
        let Some(key) = trusted_key(&block, trust)? else { continue };
        if !signature_is_valid(crypto, key, &block, auth.payload)? {
            return Err(Error::at(Detail::BadSignature, block.pos));
        }
        // Key ids are distinct within a package and key bytes within a trust anchor, so nobody
        // is counted twice (CVE-2020-15093, CVE-2020-6174).
        vendor_count += u8::from(matches!(block.claim, Claim::Vendor { .. }));
    }
    if vendor_count < trust.threshold {
        return Err(Detail::VendorThreshold.into());
    }
    common_requirement(auth)
}

/// The key a block must verify under; none if the block is for other devices.
fn trusted_key<'t>(block: &Block<'_>, trust: &Trust<'t>) -> Result<Option<&'t PublicKey>> {
    let found = match block.claim {
        Claim::Vendor { kid, .. } => return vendor_key(block, kid, trust),
        Claim::Approval { kid: None, .. } => return Ok(None),
        Claim::Approval { kid: Some(kid), plmn, mode, .. } => approval_key(kid, plmn, mode, trust),
    };
    found.map_err(|detail| Error::at(detail, block.pos))
}

fn vendor_key<'t>(
    block: &Block<'_>,
    kid: &Kid,
    trust: &Trust<'t>,
) -> Result<Option<&'t PublicKey>> {
    match trust.vendor_keys.find(kid) {
        None if trust.knows(kid) => Err(Error::at(Detail::WrongRole, block.pos)),
        found => Ok(found),
    }
}

fn approval_key<'t>(
    kid: &Kid,
    plmn: Plmn,
    mode: Mode,
    trust: &Trust<'t>,
) -> core::result::Result<Option<&'t PublicKey>, Detail> {
    match trust.operator(plmn) {
        // The operator is known, so the key must be one of its keys for this mode.
        Some(entry) => entry.keys_for(mode).find(kid).map(Some).ok_or(Detail::WrongRole),
        // The key is known, so it must not speak for anyone else.
        None if trust.knows(kid) => Err(Detail::WrongRole),
        None => Ok(None),
    }
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
