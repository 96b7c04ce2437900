//! The device half of fwdelta: what an OEM audits and links.
//!
//! `no_std`, no allocation, no `unsafe`, no panic, no clock, no I/O of its own: the caller owns
//! storage, buffers and time. Modules depend downwards only:
//! `error`, `limits`, `storage`, `state` <- `format`, `exec` <- `codec` <- `apply` <- `verify`.
//!
//! `inline(always)` on constructors and `inline(never)` on phases are for the stack of a device,
//! which `cargo xtask device` prints: values are made where they stay, and the frames of a phase
//! are gone when the next one begins.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
// What only the decoders left out would use.
#![cfg_attr(not(feature = "coder-all"), allow(dead_code, unused_imports, unused_variables))]

pub mod apply;
pub mod codec;
pub mod crc;
pub mod error;
pub mod exec;
pub mod format;
pub mod hash;
pub mod limits;
pub mod state;
pub mod storage;
pub mod verify;

pub use error::{Category, Detail, Error, Result};
pub use limits::Limits;
