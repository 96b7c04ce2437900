//! Firmware images as build systems write them: raw, Intel HEX or Motorola S-records.
//!
//! The format is told by content. Hex files are flattened to one contiguous image from their
//! lowest address; nothing is allocated that the limits below do not allow.

mod ihex;
mod memory;
mod srec;

use std::borrow::Cow;

use crate::error::{Error, Result};

/// Longest image a hex file may describe, in bytes: a few hostile records must not allocate more.
pub const FLAT_LEN_MAX: u64 = 64 << 20;
/// Longest gap between two records of a hex file, in bytes; a longer one means that the file holds
/// several memories (flash and configuration words, say), not one image.
pub const GAP_LEN_MAX: u64 = 16 << 20;

/// What an erased NOR flash reads as; the usual filling of gaps.
pub const ERASED: u8 = 0xff;

/// How a file holds its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The bytes themselves.
    Raw,
    /// Intel HEX (I8HEX, I16HEX and I32HEX).
    IntelHex,
    /// Motorola S-records (S19, S28 and S37).
    Srec,
}

impl Format {
    /// A word for people and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::IntelHex => "intel-hex",
            Format::Srec => "srec",
        }
    }
}

/// One contiguous image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// The image: the input itself when it is raw.
    pub bytes: Cow<'a, [u8]>,
    /// Load address of the first byte, when the file says.
    pub base: Option<u64>,
    /// What the file was.
    pub format: Format,
}

/// Reads the image in `bytes`; `name` is the file's name, for errors and its extension; gaps
/// between hex records become `fill`.
///
/// # Errors
/// Input errors naming the line, for hex files that are malformed, fail a checksum, overlap, end
/// early, hold no data or spread over more than [`GAP_LEN_MAX`] and [`FLAT_LEN_MAX`] allow, and
/// for files named like a hex file whose content is none.
pub fn load<'a>(bytes: &'a [u8], name: &str, fill: u8) -> Result<Image<'a>> {
    let format = detect(bytes);
    let flatten = match format {
        Format::Raw if named_hex(name) => return Err(not_hex(name)),
        Format::Raw => return Ok(Image { bytes: Cow::Borrowed(bytes), base: None, format }),
        Format::IntelHex => ihex::read,
        Format::Srec => srec::read,
    };
    let memory = flatten(bytes).map_err(|fault| fault.about(name))?;
    let (base, flat) = memory.flatten(fill).map_err(|fault| fault.about(name))?;
    Ok(Image { bytes: Cow::Owned(flat), base: Some(base), format })
}

/// Tells the format by the shape of the first line; its checksum may still be wrong.
#[must_use]
pub fn detect(bytes: &[u8]) -> Format {
    let Some((_, line)) = lines(bytes).next() else { return Format::Raw };
    let hex_from = |at: usize, len_min: usize| {
        let body = line.get(at..).unwrap_or(&[]);
        body.len() >= len_min && body.iter().all(u8::is_ascii_hexdigit)
    };
    match line {
        [b':', ..] if hex_from(1, 10) => Format::IntelHex,
        [b'S', b'0'..=b'9', ..] if hex_from(2, 6) => Format::Srec,
        _ => Format::Raw,
    }
}

fn named_hex(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["hex", "ihex", "ihx", "srec", "s19", "s28", "s37", "mot"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

fn not_hex(name: &str) -> Error {
    Error::input(
        name,
        "line 1: the name says Intel HEX or S-records, but the content is neither; \
         rename the file if it is a raw image, otherwise export it again",
    )
}

/// Non-empty lines with their numbers from 1, without surrounding blanks, byte order mark and
/// the end-of-file character of old tools.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes
        .split(|byte| *byte == b'\n')
        .zip(1..)
        .map(|(line, number)| {
            let line = line.trim_ascii();
            (number, line.strip_suffix(b"\x1a").unwrap_or(line).trim_ascii())
        })
        .filter(|(_, line)| !line.is_empty())
}

/// What is wrong with a hex file, and in which line.
#[derive(Debug)]
struct Fault {
    line: Option<usize>,
    message: String,
}

impl Fault {
    fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line: Some(line), message: message.into() }
    }

    fn whole(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into() }
    }

    fn about(self, name: &str) -> Error {
        match self.line {
            Some(line) => Error::input(name, format_args!("line {line}: {}", self.message)),
            None => Error::input(name, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_formats_by_content() {
        assert_eq!(detect(b""), Format::Raw);
        assert_eq!(detect(b"\x7fELF"), Format::Raw);
        assert_eq!(detect(b":00000001FF"), Format::IntelHex);
        assert_eq!(detect(b"\xef\xbb\xbf\r\n :00000001FF\r\n"), Format::IntelHex);
        assert_eq!(detect(b":not hex at all"), Format::Raw);
        assert_eq!(detect(b"S00600004844521B\n"), Format::Srec);
        assert_eq!(detect(b"SA0600004844521B\n"), Format::Raw);
        assert_eq!(detect(b"S0 is a boot ROM\n"), Format::Raw);
    }

    #[test]
    fn raw_bytes_are_borrowed_and_a_misnamed_file_is_refused() {
        let image = load(b"\x00\x01", "fw.bin", ERASED).unwrap();
        assert!(matches!(image.bytes, Cow::Borrowed(_)));
        assert_eq!((image.base, image.format), (None, Format::Raw));
        for name in ["fw.hex", "FW.S19", "a.b.srec"] {
            let message = load(b"\x00\x01", name, ERASED).unwrap_err().to_string();
            assert!(message.contains("line 1") && message.contains(name), "{message}");
        }
    }
}
