//! `fwdelta-core` over drivers that are there already, each behind a feature of its name:
//!
//! - `embedded-storage`: `Nor`, flash behind `NorFlash`, the whole of it or a part;
//! - `embedded-io`: `Stream`, a payload behind `Read` and `Seek`;
//! - `std`: `FileSlot`, files and block devices of a Unix, synced in order, and
//!   `DirectSlot` around the page cache.
//!
//! They add no policy: an error of a driver is core's `ReadFailed` or `WriteFailed` (Storage), a
//! geometry that core cannot work with its `BadArgument` (Usage), before anything is erased.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(all(feature = "std", unix))]
mod direct;
#[cfg(all(feature = "std", unix))]
mod file;
#[cfg(feature = "embedded-storage")]
mod nor;
#[cfg(feature = "embedded-io")]
mod stream;

#[cfg(all(feature = "std", unix))]
pub use direct::DirectSlot;
#[cfg(all(feature = "std", unix))]
pub use file::FileSlot;
#[cfg(feature = "embedded-storage")]
pub use nor::{BadPart, Nor, NorError};
#[cfg(feature = "embedded-io")]
pub use stream::{Stream, StreamError};
