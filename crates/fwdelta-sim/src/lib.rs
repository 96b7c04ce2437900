//! What tests hold the product against: a flash that enforces its rules and loses power on
//! demand, and an applier too simple to be wrong.
//!
//! Nothing that ships depends on this crate.

pub mod board;
pub mod cuts;
pub mod fault;
pub mod flash;
pub mod naive;

pub use fault::{Fault, Kind};
pub use flash::{Flash, FlashError};
pub use naive::{Step, apply};
