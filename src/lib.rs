//! Firmware delta packages: build, sign, approve, describe, verify and apply.
//!
//! The modules, bottom up; imports go down only (docs/ARCHITECTURE.md):
//! - [`error`]: one error number everywhere
//! - [`progress`]: progress reports and cancellation of long work
//! - [`cli`]: the command line, the only code that prints or touches paths and the environment

pub mod cli;
pub mod error;
pub mod progress;

pub use error::{Error, Result};
pub use fwdelta_core as core;
