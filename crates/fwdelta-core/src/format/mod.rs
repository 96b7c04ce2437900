//! Wire structures, one file each: layout, parsing and emission side by side.

pub mod auth;
pub mod cbor;
pub mod envelope;
pub mod manifest;
pub mod plmn;
pub mod suit;
pub mod trust;
