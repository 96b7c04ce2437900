//! What the targets share.

use fwdelta_core::Result;
use fwdelta_core::format::cbor::{Sink, Writer};

/// A sink that grows.
#[derive(Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl Sink for Bytes {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// What `emit` writes. A sink that grows is never full, so emitting cannot fail.
///
/// # Panics
/// When it fails nevertheless, which is a finding.
pub fn emitted(emit: impl FnOnce(&mut Writer<Bytes>) -> Result<()>) -> Vec<u8> {
    let mut writer = Writer(Bytes::default());
    emit(&mut writer).expect("a growing sink is never full");
    writer.0.0
}
