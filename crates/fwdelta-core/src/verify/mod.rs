//! Whether a package may be applied: signatures, policy, operators, payload digests.
//!
//! The order of checks is docs/format.md, section 7; [`Package::verify`] does steps 1 to 6 and the
//! other methods of [`Package`] the rest. No byte of a slot is touched here.

pub mod codes;
mod crypto;
mod facts;
pub mod handoff;
mod operator;
mod package;
mod rotation;
mod signers;
pub mod stages;
#[cfg(feature = "encryption")]
mod unwrap;

#[cfg(feature = "ed25519")]
pub use crypto::Ed25519;
#[cfg(feature = "esp256")]
pub use crypto::Esp256;
#[cfg(feature = "ml-dsa-44")]
pub use crypto::MlDsa44;
pub use crypto::{Crypto, MAC_INFO, mac_key, secret_mac};
pub use facts::{Facts, Installed};
pub use operator::{Basis, Decision, EF_FOTA_LEN, EfFota, Sim, gate};
pub use package::{Device, Package};
pub use rotation::{accept_trust, endorsed_count};
pub use signers::check_signers;
#[cfg(feature = "encryption")]
pub use unwrap::{ContentKeys, derive_kek, open_content};
#[cfg(feature = "encryption-software")]
pub use unwrap::{SoftwareAead, SoftwareKey};
