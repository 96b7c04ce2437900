//! Deltas: made from two images, checked by applying them, applied.

mod apply;
pub mod bsdiff40;
mod create;
mod media;

pub use apply::{apply, apply_to};
pub use create::{Delta, Options, Profile, chain, create, parse_file};
pub use media::{FileSource, FileTarget, VecTarget};

use fwdelta_core::Detail;
use fwdelta_core::format::cbor::Sink;

/// Bytes collected for a file or a package.
#[derive(Debug, Default)]
pub(crate) struct VecSink(pub(crate) Vec<u8>);

impl Sink for VecSink {
    fn put(&mut self, bytes: &[u8]) -> fwdelta_core::Result<()> {
        self.0.try_reserve(bytes.len()).map_err(|_| Detail::BadArgument)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
