//! Checking a staged package, before anything is applied.

use fwdelta_core::Result;
use fwdelta_core::format::envelope::PayloadKey;
use fwdelta_core::format::trust::Trust;
use fwdelta_core::storage::Source;
use fwdelta_core::verify::{Device, Facts, Package, Sim};
use fwdelta_core::{Detail, Limits};

use crate::medium::{Medium, keep};

#[cfg(not(feature = "ed25519"))]
use fwdelta_core::format::key::PublicKey;
#[cfg(all(feature = "ed25519", not(any(feature = "esp256", feature = "ml-dsa-44"))))]
use fwdelta_core::verify::Ed25519 as Signatures;
#[cfg(all(feature = "esp256", not(feature = "ml-dsa-44")))]
use fwdelta_core::verify::Esp256 as Signatures;
#[cfg(feature = "ml-dsa-44")]
use fwdelta_core::verify::MlDsa44 as Signatures;

/// A crypto cell.
#[cfg(not(feature = "ed25519"))]
struct Signatures;

#[cfg(not(feature = "ed25519"))]
impl fwdelta_core::verify::Crypto for Signatures {
    fn verify(&self, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
        keep(&(key, message, signature));
        Some(crate::medium::number() == 0)
    }
}

/// The checks of docs/format.md, section 7.
#[inline(never)]
pub(crate) fn run() -> Result<()> {
    let (mut anchor, mut envelope, mut piece) = ([0; 256], [0; 2048], [0; 64]);
    let Ok(()) = Medium.read(0, &mut anchor) else { return Ok(()) };
    let (trust, limits) = (Trust::parse(&anchor)?, Limits::DEVICE);
    let device = Device { sim: Sim::Absent, sequence: None, facts: Facts::default() };
    let (medium, crypto) = (&mut Medium, &Signatures);
    let package = Package::verify(medium, 4096, &mut envelope, &trust, &device, crypto, &limits);
    let package = package.as_ref().map_err(|error| *error)?;
    package.check_texts(medium, &mut piece)?;
    keep(&package.header(medium, 0, &limits)?);
    let payload = package.envelope.payload(PayloadKey::Delta(0)).ok_or(Detail::MissingPayload)?;
    package.check_delta(medium, payload, 0, &mut piece)
}
