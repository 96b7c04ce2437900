//! The device half of fwdelta: what an OEM audits and links.
//!
//! `no_std`, no allocation, no `unsafe`, no panic, no clock, no I/O of its own: the caller owns
//! storage, buffers and time. Modules depend downwards only:
//! `error`, `limits`, `storage`, `state` <- `format`, `exec` <- `codec` <- `apply` <- `verify`.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

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
