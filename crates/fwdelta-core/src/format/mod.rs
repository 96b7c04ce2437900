//! Wire structures, one file each: layout, parsing and emission side by side.

pub mod cbor;
