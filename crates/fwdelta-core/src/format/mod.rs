//! Wire structures, one file each: layout, parsing and emission side by side.

pub mod cbor;
pub mod chain;
pub mod delta;
