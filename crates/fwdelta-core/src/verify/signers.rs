//! Which blocks are by whom: roles, thresholds and the vendors' requirement (format.md, 5.1).

use super::crypto::{Crypto, signature_is_valid};
use crate::error::{Detail, Error, Result};
use crate::format::auth::{Authentication, Block, Claim, Kid, Mode, Requirement};
use crate::format::key::PublicKey;
use crate::format::plmn::Plmn;
use crate::format::trust::Trust;

/// Checks every block that concerns this device and gives the vendors' requirement.
///
/// Secret blocks are left to the operator decision: they can only be checked against a SIM.
#[inline(never)]
pub(super) fn check_signers<'a>(
    auth: &Authentication<'a>,
    trust: &Trust<'_>,
    crypto: &impl Crypto,
) -> Result<Requirement<'a>> {
    for block in auth.blocks() {
        let Some(key) = trusted_key(&block, trust)? else { continue };
        if !signature_is_valid(crypto, key, &block, auth.payload)? {
            return Err(Error::at(Detail::BadSignature, block.pos));
        }
    }
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

/// The key a block must verify under; none if the block is for other devices.
fn trusted_key<'t>(block: &Block<'_>, trust: &Trust<'t>) -> Result<Option<PublicKey<'t>>> {
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
) -> Result<Option<PublicKey<'t>>> {
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
) -> core::result::Result<Option<PublicKey<'t>>, Detail> {
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
