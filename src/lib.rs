//! Firmware delta packages: build, sign, approve, describe, verify and apply.
//!
//! The modules, bottom up; imports go down only (docs/ARCHITECTURE.md):
//! - [`error`]: one error number everywhere
//! - [`progress`]: progress reports and cancellation of long work
//! - [`cbor`]: core's CBOR emitter over a vector
//! - [`package`]: assemble, sign, approve, inspect and receive packages
//! - [`matching`]: which bytes of new are like which bytes of old
//! - [`codec`]: encoders of the payload; the decoders are core's
//! - [`diff`]: deltas, made, checked and applied
//! - [`cli`]: the command line, the only code that prints or touches paths and the environment

pub mod cbor;
pub mod cli;
pub mod codec;
pub mod diff;
pub mod error;
pub mod matching;
pub mod package;
pub mod progress;

pub use error::{Error, Result};
pub use fwdelta_core as core;
