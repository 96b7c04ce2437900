//! Firmware delta packages: build, sign, approve, describe, verify and apply.
//!
//! The modules, bottom up; imports go down only (docs/ARCHITECTURE.md):
//! - [`error`]: one error number everywhere
//! - [`progress`]: progress reports and cancellation of long work
//! - [`cbor`]: emits deterministic CBOR into memory
//! - [`image`]: firmware images from raw, Intel HEX and Motorola S-record files
//! - [`release`]: what people say about a release: version, vendor, notes, prompts, languages
//! - [`descriptor`]: OMA download descriptors
//! - [`cli`]: the command line, the only code that prints or touches paths and the environment

pub mod cbor;
pub mod cli;
pub mod descriptor;
pub mod error;
pub mod image;
pub mod progress;
pub mod release;

pub use error::{Error, Result};
pub use fwdelta_core as core;
