//! Wire structures, one file each: layout, parsing and emission side by side.

pub mod auth;
pub mod cbor;
pub mod chain;
pub mod delta;
#[cfg(feature = "encryption")]
pub mod encryption;
pub mod envelope;
pub mod key;
pub mod manifest;
pub mod pages;
pub mod plmn;
pub mod prompts;
pub mod rotation;
#[cfg(feature = "encryption")]
pub mod sealed;
pub mod shape;
pub mod suit;
pub mod trust;
