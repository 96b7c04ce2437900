//! Firmware delta packages: build, sign, approve, describe, verify and apply.
//!
//! The modules, bottom up; imports go down only (docs/ARCHITECTURE.md):
//! - [`error`]: one error number everywhere
//! - [`hex`]: hexadecimal digits for reports
//! - [`progress`]: progress reports and cancellation of long work
//! - [`cbor`]: core's CBOR emitter over a vector
//! - [`image`]: firmware images from raw, Intel HEX and Motorola S-record files
//! - [`release`]: what people say about a release: version, vendor, notes, prompts, languages
//! - [`matching`]: which bytes of new are like which bytes of old
//! - [`exec`]: which instructions and addresses an image holds
//! - [`codec`]: encoders of the payload; the decoders are core's
//! - [`diff`]: deltas, made, checked and applied
//! - [`package`]: assemble, sign, approve, inspect and receive packages
//! - [`descriptor`]: OMA download descriptors
//! - [`plan`]: an index of packages, and the cheapest chain of updates through it
//! - [`cli`]: the command line, the only code that prints or touches paths and the environment

pub mod cbor;
pub mod cli;
pub mod codec;
pub mod descriptor;
pub mod diff;
pub mod error;
pub mod exec;
pub mod hex;
pub mod image;
pub mod matching;
pub mod package;
pub mod plan;
pub mod progress;
pub mod release;

pub use error::{Error, Result};
pub use fwdelta_core as core;

/// The Rust in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
