//! Packages: assembling, signing, approving, inspecting and receiving them.

pub mod approve;
pub mod assemble;
pub mod build;
pub mod device_file;
pub mod encrypt;
pub mod export;
pub mod inspect;
pub mod keys;
#[cfg(feature = "ml-dsa-44")]
mod lattice;
pub mod mcuboot;
pub mod provenance;
pub mod receive;
pub mod rotation;
pub mod seal;
pub mod sign;
pub mod trust_edit;
pub mod trust_file;

pub use approve::{Approval, Method, approve};
pub use keys::{ALGORITHMS, PublicKey, SecretKey, Signer};
