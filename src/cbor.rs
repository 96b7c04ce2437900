//! Deterministic CBOR into memory: core's emitter over a vector.

use fwdelta_core::format::cbor::{Sink, Writer};

/// A sink that grows; it is never full, so emitting into it cannot fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VecSink(pub Vec<u8>);

impl Sink for VecSink {
    fn put(&mut self, bytes: &[u8]) -> fwdelta_core::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Emits with `write` into a new vector.
///
/// # Panics
/// When `write` returns an error of its own making; the sink gives none.
pub fn encode(write: impl FnOnce(&mut Writer<VecSink>) -> fwdelta_core::Result<()>) -> Vec<u8> {
    let mut writer = Writer(VecSink::default());
    // INVARIANT: `VecSink::put` always succeeds, and it is the only source of errors here.
    write(&mut writer).expect("a vector is never full");
    writer.0.0
}

/// An encoded text string.
#[must_use]
pub fn text(text: &str) -> Vec<u8> {
    encode(|writer| writer.text(text))
}

/// An encoded unsigned integer.
#[must_use]
pub fn uint(value: u64) -> Vec<u8> {
    encode(|writer| writer.uint(value))
}

/// A map of encoded keys and values, its keys put in bytewise order (RFC 8949, section 4.2.1).
///
/// The caller gives each key once.
#[must_use]
pub fn map(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let mut entries: Vec<_> = entries.into_iter().collect();
    entries.sort();
    let mut bytes = encode(|writer| writer.map(entries.len() as u64));
    for (key, value) in entries {
        bytes.extend(key);
        bytes.extend(value);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use fwdelta_core::format::cbor::Reader;

    #[test]
    fn map_keys_come_out_in_the_order_the_strict_reader_wants() {
        let keys = [text("de-AT"), text("en"), uint(300), text("de"), uint(2)];
        let bytes = map(keys.map(|key| (key, uint(0))));
        let mut reader = Reader::new(&bytes);
        let mut map = reader.map().unwrap();
        let mut seen = 0;
        while map.key(&mut reader).unwrap().is_some() {
            reader.skip().unwrap();
            seen += 1;
        }
        assert_eq!((seen, reader.finish()), (5, Ok(())));
        assert!(bytes.starts_with(&[0xa5, 2, 0, 0x19, 1, 44, 0, 0x62, b'd', b'e', 0, 0x62, b'e']));
    }
}
