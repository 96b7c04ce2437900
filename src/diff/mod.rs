//! Deltas: made from two images, checked by applying them, applied.

mod apply;
pub mod bsdiff40;
mod create;
mod delta;
mod in_place;
mod media;
mod predicted;
mod profile;
mod projected;
mod trial;
mod two_slots;
mod ways;
mod worth;

pub use crate::codec::pages::Order;
pub use apply::{apply, apply_to};
pub use create::{Options, create};
pub use delta::{Delta, chain, parse_file};
pub use fwdelta_core::format::pages::{FirstPages, PageRun, Room};
pub use in_place::{Footprint, Place, Wear, footprint, rewrite, rewrite_opened, wear};
pub use media::{FileFlash, FileSource, FileTarget, PartialFile, RamFlash, VecTarget};
pub use predicted::covers as predicted_covers;
pub use profile::{Profile, default_chunk_len};
pub use two_slots::{Media, Written, write, write_opened};
