//! Deltas: made from two images, checked by applying them, applied.

mod apply;
pub mod bsdiff40;
mod create;
mod media;
mod predicted;

pub use apply::{apply, apply_to};
pub use create::{Delta, Options, Profile, chain, create, parse_file};
pub use media::{FileSource, FileTarget, VecTarget};
pub use predicted::covers as predicted_covers;
