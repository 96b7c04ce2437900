//! The operator decision (docs/format.md, section 5.2): the SIM, the approvals, the policy.

use super::crypto::mac_is_valid;
use crate::error::{Detail, Result};
use crate::format::auth::{Authentication, Block, Claim, Mode, Requirement};
use crate::format::plmn::Plmn;
use crate::format::trust::{Operator, Policy, Trust};
use crate::hash::{Sha256Digest, equal_in_constant_time};

/// Length of EF_FOTA: the condition byte and the validation string.
pub const EF_FOTA_LEN: usize = 17;

/// The content of a SIM's EF_FOTA; never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EfFota {
    condition: u8,
    string: [u8; 16],
}

impl EfFota {
    /// Reads the 17 bytes of the file.
    ///
    /// # Errors
    /// `BadArgument` for another length.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (condition, string) = bytes.split_first().ok_or(Detail::BadArgument)?;
        let string = string.try_into().map_err(|_| Detail::BadArgument)?;
        Ok(Self { condition: *condition, string })
    }

    /// The 17 bytes of the file: a secret, to be kept where EF_FOTA is.
    #[must_use]
    pub fn bytes(&self) -> [u8; EF_FOTA_LEN] {
        let mut bytes = [self.condition; EF_FOTA_LEN];
        for (to, from) in bytes.iter_mut().skip(1).zip(self.string) {
            *to = from;
        }
        bytes
    }

    /// Whether the condition byte allows updates.
    #[must_use]
    pub fn allows(&self, bit: u8) -> bool {
        self.condition.checked_shr(u32::from(bit)).unwrap_or(0) & 1 == 1
    }

    /// The validation string, if the file was ever provisioned.
    #[must_use]
    pub fn string(&self) -> Option<&[u8; 16]> {
        let blank = [[0x00; 16], [0xff; 16]];
        let blank = blank.iter().any(|blank| equal_in_constant_time(blank, &self.string));
        (!blank).then_some(&self.string)
    }
}

impl core::fmt::Debug for EfFota {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EfFota(redacted)")
    }
}

/// What the device knows of its SIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sim {
    /// No SIM.
    Absent,
    /// A SIM without the file EF_FOTA.
    WithoutFota,
    /// A SIM with the file.
    WithFota {
        /// The operator that issued it.
        plmn: Plmn,
        /// The file.
        ef_fota: EfFota,
    },
}

/// Why the operator decision was to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Basis {
    /// The SIM's operator approved.
    Approved = 1,
    /// Not approved for this SIM, which the device's policy allows.
    Unapproved = 2,
    /// The SIM has no EF_FOTA.
    WithoutFota = 3,
    /// There is no SIM, which the device's policy allows.
    WithoutSim = 4,
    /// An earlier run decided to go on, which is not asked again.
    Begun = 5,
}

/// The operator decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why it was to go on.
    pub basis: Basis,
    /// The operator whose approval counted for this SIM, and how it approved.
    pub approval: Option<(Plmn, Mode)>,
    /// Digest of the prompts that this approval gives; other blocks' are not to be shown, as
    /// anyone can add one that does not count.
    pub prompts: Option<Sha256Digest>,
}

impl Decision {
    /// One that rests on no approval.
    pub(super) const fn without(basis: Basis) -> Self {
        Self { basis, approval: None, prompts: None }
    }
}

/// Whether a download may be started: what [`Decision`] will refuse whatever the package is, asked
/// before a byte of it has cost anything. The SIM is asked again when the package is there.
///
/// # Errors
/// `FotaNotAllowed`, `NoSim`.
pub fn gate(policy: &Policy, sim: &Sim) -> Result<()> {
    match sim {
        Sim::WithFota { ef_fota, .. } if !ef_fota.allows(policy.allow_bit) => {
            Err(Detail::FotaNotAllowed.into())
        }
        Sim::Absent if !policy.apply_without_sim => Err(Detail::NoSim.into()),
        _ => Ok(()),
    }
}

/// How far one approval goes on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Counts,
    /// By an operator this device does not know, or not checkable without that operator's SIM.
    Elsewhere,
    Refused(Detail),
}

struct Judge<'c, 'a> {
    auth: &'c Authentication<'a>,
    requirement: Requirement<'a>,
    trust: &'c Trust<'c>,
    sim: Sim,
}

/// Decides; the blocks' signatures have been checked.
pub(super) fn decide<'a>(
    auth: &Authentication<'a>,
    requirement: Requirement<'a>,
    trust: &Trust<'_>,
    sim: Sim,
) -> Result<Decision> {
    let judge = Judge { auth, requirement, trust, sim };
    match sim {
        Sim::WithFota { plmn, ef_fota } => judge.with_fota(plmn, &ef_fota),
        Sim::WithoutFota => judge.require(Decision::without(Basis::WithoutFota)),
        Sim::Absent => {
            let decision = judge.require(Decision::without(Basis::WithoutSim))?;
            let allowed = trust.policy.apply_without_sim;
            if allowed { Ok(decision) } else { Err(Detail::NoSim.into()) }
        }
    }
}

impl Judge<'_, '_> {
    fn with_fota(&self, plmn: Plmn, ef_fota: &EfFota) -> Result<Decision> {
        if !ef_fota.allows(self.trust.policy.allow_bit) {
            return Err(Detail::FotaNotAllowed.into());
        }
        let (mut any, mut refusal) = (false, None);
        for block in self.auth.blocks() {
            let Claim::Approval { plmn: by, mode, prompts, .. } = block.claim else { continue };
            any = true;
            if by != plmn {
                continue;
            }
            match self.standing(&block)? {
                Standing::Counts => {
                    let (approval, prompts) = (Some((by, mode)), prompts.copied());
                    return self.require(Decision { basis: Basis::Approved, approval, prompts });
                }
                Standing::Refused(detail) => refusal = refusal.or(Some(detail)),
                Standing::Elsewhere => {}
            }
        }
        self.unapproved(plmn, any, refusal)
    }

    /// No approval counts for this SIM.
    fn unapproved(&self, own: Plmn, any: bool, refusal: Option<Detail>) -> Result<Decision> {
        let asks_none = self.trust.operator(own).is_some_and(|entry| entry.asks_none());
        let required = self.requirement.is_required();
        if !required && (self.trust.policy.apply_unapproved || asks_none) {
            return Ok(Decision::without(Basis::Unapproved));
        }
        let detail = match (any, required) {
            (true, _) => refusal.unwrap_or(Detail::OperatorMismatch),
            (false, true) => Detail::OperatorRequired,
            (false, false) => Detail::NotApproved,
        };
        Err(detail.into())
    }

    /// Lets `decision` stand if the vendors' requirement is met.
    fn require(&self, decision: Decision) -> Result<Decision> {
        if !self.requirement.is_required() {
            return Ok(decision);
        }
        for block in self.auth.blocks() {
            let Some(plmn) = block.claim.plmn() else { continue };
            let mut listed = self.requirement.operators().peekable();
            let fits = listed.peek().is_none() || listed.any(|operator| operator == plmn);
            if fits && self.standing(&block)? == Standing::Counts {
                return Ok(decision);
            }
        }
        Err(Detail::OperatorRequired.into())
    }

    fn standing(&self, block: &Block<'_>) -> Result<Standing> {
        let Claim::Approval { kid, plmn, mode, string, .. } = block.claim else {
            return Ok(Standing::Elsewhere);
        };
        let Some(entry) = self.trust.operator(plmn) else { return Ok(Standing::Elsewhere) };
        if !entry.accepts(mode) {
            return Ok(Standing::Refused(Detail::ModeNotAllowed));
        }
        if mode == Mode::Secret {
            return self.secret_standing(block, &entry);
        }
        // Who signed was checked before; of those the anchor does not have none counts.
        if kid.is_none_or(|kid| entry.keys_for(mode).find(kid).is_none()) {
            return Ok(Standing::Elsewhere);
        }
        if entry.string_required && string.is_none() {
            return Ok(Standing::Refused(Detail::StringMissing));
        }
        Ok(match (string, self.own_fota(plmn)) {
            (Some(string), Some(fota)) if !matches(fota.string(), string) => {
                Standing::Refused(Detail::StringMismatch)
            }
            _ => Standing::Counts,
        })
    }

    fn secret_standing(&self, block: &Block<'_>, entry: &Operator<'_>) -> Result<Standing> {
        let Some(fota) = self.own_fota(entry.plmn) else { return Ok(Standing::Elsewhere) };
        let valid = match fota.string() {
            Some(string) => mac_is_valid(string, entry.plmn, block, self.auth.payload)?,
            None => false,
        };
        Ok(if valid { Standing::Counts } else { Standing::Refused(Detail::StringMismatch) })
    }

    /// The SIM's file, if `plmn` issued the SIM.
    fn own_fota(&self, plmn: Plmn) -> Option<&EfFota> {
        match &self.sim {
            Sim::WithFota { plmn: own, ef_fota } if *own == plmn => Some(ef_fota),
            _ => None,
        }
    }
}

fn matches(own: Option<&[u8; 16]>, string: &[u8; 16]) -> bool {
    own.is_some_and(|own| equal_in_constant_time(own, string))
}
