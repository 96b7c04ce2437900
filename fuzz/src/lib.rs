//! What the targets share.

#[path = "../../tests/common/mod.rs"]
pub mod common;
#[path = "../../tests/program/mod.rs"]
pub mod program;
pub mod seal;
pub mod soup;

use fwdelta::diff;
use fwdelta::progress::Silent;
use fwdelta_core::apply::Applier;
use fwdelta_core::format::cbor::{Sink, Writer};
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::{Detail, Limits, Result};

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

/// Takes numbers off the front of a fuzzer's input; zeros when it is used up.
#[derive(Debug)]
pub struct Numbers<'d>(pub &'d [u8]);

impl<'d> Numbers<'d> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is at most 65,536; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let low = self.byte();
        let high = if end > 256 { self.byte() } else { 0 };
        usize::from(u16::from_le_bytes([low, high])) % end.max(1)
    }

    /// So many bytes, or what is left.
    pub fn bytes(&mut self, len: usize) -> &'d [u8] {
        let (now, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        now
    }
}

/// What `new` is made of: parts of old with bytes changed, and bytes of its own.
#[must_use]
pub fn new_image(old: &[u8], numbers: &mut Numbers<'_>) -> Vec<u8> {
    let mut new = Vec::new();
    while !numbers.0.is_empty() && new.len() < 8192 {
        let (start, len) = (numbers.below(old.len()), numbers.below(600));
        let from = new.len();
        new.extend_from_slice(&old[start..old.len().min(start + len)]);
        for _ in 0..numbers.below(4) {
            let at = from + numbers.below(new.len() - from);
            if let Some(byte) = new.get_mut(at) {
                *byte = numbers.byte();
            }
        }
        let len = numbers.below(24);
        new.extend_from_slice(numbers.bytes(len));
    }
    new
}

/// Applies in exactly the memory that the header states.
pub fn apply(
    old: &[u8],
    header: &DeltaHeader,
    payload: &[u8],
) -> core::result::Result<Vec<u8>, Detail> {
    let workspace_len = Applier::workspace(header).expect("a header made by us");
    let limits = Limits { workspace_len: header.workspace_len, ..Limits::LINUX };
    assert!(workspace_len <= limits.workspace_len);
    diff::apply(old, header, payload, &limits, &Silent).map_err(|error| error.detail())
}

/// Applies the payload with bits flipped where `numbers` says: it is refused, or they did not
/// matter.
///
/// # Panics
/// When another image comes out, which is a finding.
pub fn apply_flipped(
    old: &[u8],
    new: &[u8],
    header: &DeltaHeader,
    payload: &[u8],
    numbers: &mut Numbers<'_>,
) {
    let mut payload = payload.to_vec();
    for _ in 0..1 + numbers.below(3) {
        let at = numbers.below(payload.len());
        if let Some(byte) = payload.get_mut(at) {
            *byte ^= 1 << numbers.below(8);
        }
    }
    match apply(old, header, &payload) {
        Ok(made) => assert!(made == new, "another image with the same digest"),
        Err(detail) => {
            let expected = [Detail::BadStream, Detail::BadCover, Detail::NewDigest];
            let expected = [&expected[..], &[Detail::UnknownSection]].concat();
            assert!(expected.contains(&detail), "{detail:?}");
        }
    }
}
