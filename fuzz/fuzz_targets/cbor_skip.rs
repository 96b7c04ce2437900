//! Law: what the strict reader accepts as one item is exactly what the emitter writes for it,
//! so there is one encoding of everything.
#![no_main]

use fwdelta_core::format::cbor::{Major, Reader, Sink as _, Writer};
use fwdelta_core::{Detail, Result};
use fwdelta_fuzz::{Bytes, emitted};
use libfuzzer_sys::fuzz_target;

/// Reads one item by its typed accessors and writes it again.
fn reemit(reader: &mut Reader<'_>, writer: &mut Writer<Bytes>) -> Result<()> {
    let head = reader.peek()?;
    match head.major {
        Major::Uint => writer.uint(reader.uint()?),
        Major::Nint => {
            reader.expect(Major::Nint)?;
            writer.head(Major::Nint, head.arg)
        }
        Major::Bytes => writer.bytes(reader.bytes()?),
        // Skipping does not look at the text itself.
        Major::Text => match reader.clone().text() {
            Ok(text) => {
                reader.skip()?;
                writer.text(text)
            }
            Err(error) => {
                assert_eq!(error.detail, Detail::BadUtf8);
                let bytes = reader.skip()?;
                writer.0.put(bytes)
            }
        },
        Major::Array => {
            let count = reader.array()?;
            writer.array(count)?;
            (0..count).try_for_each(|_| reemit(reader, writer))
        }
        Major::Map => {
            let count = reader.expect(Major::Map)?;
            writer.map(count)?;
            (0..2 * count).try_for_each(|_| reemit(reader, writer))
        }
        Major::Tag => {
            reader.tag(head.arg)?;
            writer.tag(head.arg)?;
            reemit(reader, writer)
        }
        Major::Simple if head.arg == 22 => {
            reader.null()?;
            writer.null()
        }
        Major::Simple => writer.boolean(reader.boolean()?),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut skipping = Reader::new(data);
    let Ok(item) = skipping.skip() else { return };
    assert_eq!(skipping.pos(), item.len() as u64);

    let mut reading = Reader::new(data);
    let again = emitted(|writer| reemit(&mut reading, writer));
    assert_eq!(reading.pos(), skipping.pos(), "skipping and reading consume the same");
    assert_eq!(again, item, "there is one encoding of everything");
});
