//! Deterministic CBOR (RFC 8949, section 4.2.1): a strict reader and an emitter.
//!
//! Written here and not taken from a crate because the verifier must *reject* what general readers
//! accept (longer-than-needed heads, indefinite lengths, unordered or duplicate keys), and must
//! read single heads from storage when a payload is larger than memory.

// Long because reader, emitter and the tests that hold them together belong side by side.

use crate::error::{Detail, Error, Result};
use crate::limits::DEPTH_MAX;

/// Longest encoded head: initial byte and a 64-bit argument.
pub const HEAD_LEN_MAX: usize = 9;

/// Major types (RFC 8949, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Major {
    /// Unsigned integer.
    Uint = 0,
    /// Negative integer: value -1 - argument.
    Nint = 1,
    /// Byte string.
    Bytes = 2,
    /// Text string.
    Text = 3,
    /// Array.
    Array = 4,
    /// Map.
    Map = 5,
    /// Tag.
    Tag = 6,
    /// `false`, `true`, `null`.
    Simple = 7,
}

/// The head of an item: major type, argument and how many bytes the head takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The major type.
    pub major: Major,
    /// Value, length, count or tag number.
    pub arg: u64,
    /// Encoded length of the head, 1 to 9.
    pub len: u8,
}

/// Reads one head from the start of `bytes`.
///
/// # Errors
/// `Truncated` when `bytes` ends inside the head, `NotCanonical` when it is not the shortest
/// form, indefinite, reserved or a float.
pub fn head(bytes: &[u8]) -> Result<Head> {
    let (&first, rest) = bytes.split_first().ok_or(Detail::Truncated)?;
    let major = match first >> 5 {
        0 => Major::Uint,
        1 => Major::Nint,
        2 => Major::Bytes,
        3 => Major::Text,
        4 => Major::Array,
        5 => Major::Map,
        6 => Major::Tag,
        _ => Major::Simple,
    };
    let info = first & 0x1f;
    let size = match info {
        0..=23 => return simple_checked(major, Head { major, arg: u64::from(info), len: 1 }),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(Detail::NotCanonical.into()),
    };
    if major == Major::Simple {
        return Err(Detail::NotCanonical.into());
    }
    let arg =
        rest.get(..size).ok_or(Detail::Truncated)?.iter().fold(0u64, |a, b| a << 8 | u64::from(*b));
    let head = Head { major, arg, len: 1 + size as u8 };
    if head_len(arg) == usize::from(head.len) { Ok(head) } else { Err(Detail::NotCanonical.into()) }
}

fn simple_checked(major: Major, head: Head) -> Result<Head> {
    let known = matches!(head.arg, 20..=22);
    if major == Major::Simple && !known { Err(Detail::NotCanonical.into()) } else { Ok(head) }
}

/// Bytes the shortest head with argument `arg` takes.
#[must_use]
pub const fn head_len(arg: u64) -> usize {
    match arg {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// A strict reader over bytes already in memory.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
    /// Added to positions in errors: where `bytes` stands in the whole structure.
    base: u64,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, reporting positions from 0.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self::with_base(bytes, 0)
    }

    /// Reads `bytes`, reporting positions from `base`.
    #[must_use]
    pub const fn with_base(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, pos: 0, base }
    }

    /// Position of the next item, as reported in errors.
    #[must_use]
    pub const fn pos(&self) -> u64 {
        self.base + self.pos as u64
    }

    /// An error at the next item.
    #[must_use]
    pub const fn error(&self, detail: Detail) -> Error {
        Error::at(detail, self.pos())
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    /// Refuses bytes after the last item.
    ///
    /// # Errors
    /// `TrailingBytes`.
    pub fn finish(&self) -> Result<()> {
        if self.is_at_end() { Ok(()) } else { Err(self.error(Detail::TrailingBytes)) }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.pos..).unwrap_or(&[])
    }

    /// The head of the next item, without consuming it.
    ///
    /// # Errors
    /// As [`head`].
    pub fn peek(&self) -> Result<Head> {
        head(self.rest()).map_err(|error| self.error(error.detail))
    }

    /// Consumes a head of type `major` and gives its argument.
    ///
    /// # Errors
    /// As [`head`], and `WrongType`.
    pub fn expect(&mut self, major: Major) -> Result<u64> {
        let head = self.peek()?;
        if head.major != major {
            return Err(self.error(Detail::WrongType));
        }
        self.pos += usize::from(head.len);
        Ok(head.arg)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// As [`Reader::expect`].
    pub fn uint(&mut self) -> Result<u64> {
        self.expect(Major::Uint)
    }

    /// An unsigned integer of at most 32 bits.
    ///
    /// # Errors
    /// As [`Reader::expect`], and `BadValue`.
    pub fn uint32(&mut self) -> Result<u32> {
        let error = self.error(Detail::BadValue);
        u32::try_from(self.uint()?).map_err(|_| error)
    }

    /// A signed integer.
    ///
    /// # Errors
    /// As [`Reader::peek`], `WrongType`, and `BadValue` outside 64 bits.
    pub fn int(&mut self) -> Result<i64> {
        let error = self.error(Detail::BadValue);
        let negative = self.peek()?.major == Major::Nint;
        let arg = self.expect(if negative { Major::Nint } else { Major::Uint })?;
        let value = i64::try_from(arg).map_err(|_| error)?;
        Ok(if negative { -1 - value } else { value })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// As [`Reader::expect`], and `WrongType` for `null`.
    pub fn boolean(&mut self) -> Result<bool> {
        let error = self.error(Detail::WrongType);
        match self.expect(Major::Simple)? {
            20 => Ok(false),
            21 => Ok(true),
            _ => Err(error),
        }
    }

    /// `null`.
    ///
    /// # Errors
    /// As [`Reader::expect`], and `WrongType` for another simple value.
    pub fn null(&mut self) -> Result<()> {
        let error = self.error(Detail::WrongType);
        if self.expect(Major::Simple)? == 22 { Ok(()) } else { Err(error) }
    }

    /// A tag that must be `number`.
    ///
    /// # Errors
    /// `BadTag` for another tag or no tag, otherwise as [`Reader::peek`].
    pub fn tag(&mut self, number: u64) -> Result<()> {
        let error = self.error(Detail::BadTag);
        let head = self.peek()?;
        if head.major != Major::Tag || head.arg != number {
            return Err(error);
        }
        self.pos += usize::from(head.len);
        Ok(())
    }

    fn string(&mut self, major: Major) -> Result<&'a [u8]> {
        let mut ahead = *self;
        let len = ahead.expect(major)?;
        let body = usize::try_from(len).ok().and_then(|len| ahead.rest().get(..len));
        let body = body.ok_or(self.error(Detail::Truncated))?;
        self.pos = ahead.pos + body.len();
        Ok(body)
    }

    /// A byte string.
    ///
    /// # Errors
    /// As [`Reader::expect`], and `Truncated`.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        self.string(Major::Bytes)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// As [`Reader::bytes`], and `BadValue` for another length.
    pub fn array_of<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let error = self.error(Detail::BadValue);
        self.bytes()?.try_into().map_err(|_| error)
    }

    /// A text string.
    ///
    /// # Errors
    /// As [`Reader::expect`], `Truncated` and `BadUtf8`.
    pub fn text(&mut self) -> Result<&'a str> {
        let error = self.error(Detail::BadUtf8);
        core::str::from_utf8(self.string(Major::Text)?).map_err(|_| error)
    }

    /// A byte string that holds CBOR: a reader over its content.
    ///
    /// # Errors
    /// As [`Reader::bytes`].
    pub fn nested(&mut self) -> Result<Reader<'a>> {
        let body = self.bytes()?;
        Ok(Reader::with_base(body, self.pos() - body.len() as u64))
    }

    /// An array head; gives the number of items.
    ///
    /// # Errors
    /// As [`Reader::expect`].
    pub fn array(&mut self) -> Result<u64> {
        self.expect(Major::Array)
    }

    /// An array head that must announce `count` items.
    ///
    /// # Errors
    /// As [`Reader::expect`], and `BadValue`.
    pub fn array_exact(&mut self, count: u64) -> Result<()> {
        let error = self.error(Detail::BadValue);
        if self.array()? == count { Ok(()) } else { Err(error) }
    }

    /// A map head; gives a [`MapReader`] that checks the order of its keys.
    ///
    /// # Errors
    /// As [`Reader::expect`].
    pub fn map(&mut self) -> Result<MapReader<'a>> {
        let left = self.expect(Major::Map)?;
        Ok(MapReader { left, last: &[] })
    }

    /// Skips one item of any type and gives its encoded bytes.
    ///
    /// # Errors
    /// As [`Reader::peek`], `BadUtf8` and `TooDeep`.
    pub fn skip(&mut self) -> Result<&'a [u8]> {
        let start = self.pos;
        self.skip_nested(DEPTH_MAX)?;
        Ok(self.bytes.get(start..self.pos).unwrap_or(&[]))
    }

    fn skip_nested(&mut self, depth: u8) -> Result<()> {
        let head = self.peek()?;
        match head.major {
            Major::Bytes => return self.bytes().map(|_| ()),
            Major::Text => return self.text().map(|_| ()),
            _ => self.pos += usize::from(head.len),
        }
        let count = match head.major {
            Major::Array => head.arg,
            Major::Map => head.arg.saturating_mul(2),
            Major::Tag => 1,
            _ => return Ok(()),
        };
        let depth = depth.checked_sub(1).ok_or(self.error(Detail::TooDeep))?;
        // Each item takes a byte or more, so a hostile count ends at `Truncated`, not in a hang.
        for _ in 0..count {
            self.skip_nested(depth)?;
        }
        Ok(())
    }
}

/// Walks a map and refuses keys out of bytewise order (RFC 8949, section 4.2.1).
#[derive(Clone, Copy, Debug)]
pub struct MapReader<'a> {
    left: u64,
    last: &'a [u8],
}

impl<'a> MapReader<'a> {
    /// Entries not read yet.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// The next key, as a reader over its encoding; `None` at the end. The caller reads the value
    /// from `reader` before it asks for the next key.
    ///
    /// # Errors
    /// `DuplicateKey`, `NotCanonical` for keys out of order, otherwise as [`Reader::skip`].
    pub fn key(&mut self, reader: &mut Reader<'a>) -> Result<Option<Reader<'a>>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let base = reader.pos();
        let key = reader.skip()?;
        if !self.last.is_empty() && key <= self.last {
            let detail = if key == self.last { Detail::DuplicateKey } else { Detail::NotCanonical };
            return Err(Error::at(detail, base));
        }
        self.last = key;
        Ok(Some(Reader::with_base(key, base)))
    }

    /// The next key of a map whose keys are all integers.
    ///
    /// # Errors
    /// As [`MapReader::key`], and `UnknownKey` for a key of another type.
    pub fn int_key(&mut self, reader: &mut Reader<'a>) -> Result<Option<i64>> {
        match self.key(reader)? {
            None => Ok(None),
            Some(mut key) => {
                let error = key.error(Detail::UnknownKey);
                key.int().map(Some).map_err(|_| error)
            }
        }
    }
}

/// Where emitted bytes go: a slice on a device, a vector or a hash on a host.
pub trait Sink {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// `BadArgument` when the sink is full.
    fn put(&mut self, bytes: &[u8]) -> Result<()>;
}

/// A sink over a fixed buffer.
#[derive(Debug)]
pub struct SliceSink<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl<'b> SliceSink<'b> {
    /// Writes from the start of `buf`.
    pub fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    /// What was written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or(&[])
    }
}

impl Sink for SliceSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let rest = self.buf.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len()));
        for (to, from) in rest.ok_or(Detail::BadArgument)?.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.len += bytes.len();
        Ok(())
    }
}

impl<T: Sink + ?Sized> Sink for &mut T {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        (**self).put(bytes)
    }
}

/// A sink that only counts.
#[derive(Debug, Default)]
pub struct CountSink(pub u64);

impl Sink for CountSink {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

/// What [`Writer::nested`] wraps: emits CBOR into any sink, the same at every call.
pub type Content<'c> = dyn Fn(&mut Writer<&mut dyn Sink>) -> Result<()> + 'c;

/// Emits items in deterministic encoding; the caller orders map keys.
#[derive(Debug)]
pub struct Writer<S>(pub S);

impl<S: Sink> Writer<S> {
    /// A head with the shortest argument.
    ///
    /// # Errors
    /// When the sink is full, as all methods of this type.
    pub fn head(&mut self, major: Major, arg: u64) -> Result<()> {
        let top = (major as u8) << 5;
        let be = arg.to_be_bytes();
        let [.., b0] = be;
        match head_len(arg) {
            1 => self.0.put(&[top | b0]),
            2 => self.0.put(&[top | 24, b0]),
            3 => self.put_head(top | 25, be.last_chunk::<2>().map_or(&[], |b| b)),
            5 => self.put_head(top | 26, be.last_chunk::<4>().map_or(&[], |b| b)),
            _ => self.put_head(top | 27, &be),
        }
    }

    fn put_head(&mut self, first: u8, arg: &[u8]) -> Result<()> {
        self.0.put(&[first])?;
        self.0.put(arg)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn uint(&mut self, value: u64) -> Result<()> {
        self.head(Major::Uint, value)
    }

    /// A signed integer.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn int(&mut self, value: i64) -> Result<()> {
        if value < 0 { self.head(Major::Nint, !value as u64) } else { self.uint(value as u64) }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn boolean(&mut self, value: bool) -> Result<()> {
        self.head(Major::Simple, 20 + u64::from(value))
    }

    /// `null`.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn null(&mut self) -> Result<()> {
        self.head(Major::Simple, 22)
    }

    /// A tag.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn tag(&mut self, number: u64) -> Result<()> {
        self.head(Major::Tag, number)
    }

    /// A byte string.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.head(Major::Bytes, bytes.len() as u64)?;
        self.0.put(bytes)
    }

    /// A byte string holding CBOR. `content` runs twice, the first time only to be measured.
    ///
    /// # Errors
    /// When the sink is full, or as `content`.
    pub fn nested(&mut self, content: &Content<'_>) -> Result<()> {
        let mut count = CountSink::default();
        content(&mut Writer(&mut count))?;
        self.head(Major::Bytes, count.0)?;
        content(&mut Writer(&mut self.0))
    }

    /// A text string.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.head(Major::Text, text.len() as u64)?;
        self.0.put(text.as_bytes())
    }

    /// A text string made of `parts`.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn text_parts(&mut self, parts: &[&str]) -> Result<()> {
        self.head(Major::Text, parts.iter().map(|part| part.len() as u64).sum())?;
        parts.iter().try_for_each(|part| self.0.put(part.as_bytes()))
    }

    /// An array head.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn array(&mut self, count: u64) -> Result<()> {
        self.head(Major::Array, count)
    }

    /// A map head.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn map(&mut self, count: u64) -> Result<()> {
        self.head(Major::Map, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail<T: core::fmt::Debug>(result: Result<T>) -> Detail {
        result.unwrap_err().detail
    }

    #[test]
    fn integers_round_trip_in_their_shortest_form() {
        for value in [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            let mut buf = [0; HEAD_LEN_MAX];
            let mut writer = Writer(SliceSink::new(&mut buf));
            writer.uint(value).unwrap();
            let bytes = writer.0.written();
            assert_eq!(bytes.len(), head_len(value));
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.uint(), Ok(value));
            assert_eq!(reader.finish(), Ok(()));
        }
        for value in [-1, -24, -25, -70_004, i64::MIN] {
            let mut buf = [0; HEAD_LEN_MAX];
            let mut writer = Writer(SliceSink::new(&mut buf));
            writer.int(value).unwrap();
            assert_eq!(Reader::new(writer.0.written()).int(), Ok(value));
        }
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        for bytes in [
            &[0x18, 23][..],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 1, 0],
            &[0x5f],
            &[0xf7],
            &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xf8, 20],
        ] {
            assert_eq!(detail(Reader::new(bytes).skip()), Detail::NotCanonical, "{bytes:02x?}");
        }
    }

    #[test]
    fn refuses_duplicate_and_unordered_keys() {
        let walk = |bytes| {
            let mut reader = Reader::new(bytes);
            let mut map = reader.map()?;
            while map.int_key(&mut reader)?.is_some() {
                reader.skip()?;
            }
            reader.finish()
        };
        assert_eq!(walk(&[0xa2, 1, 0, 2, 0]), Ok(()));
        assert_eq!(detail(walk(&[0xa2, 1, 0, 1, 0])), Detail::DuplicateKey);
        assert_eq!(detail(walk(&[0xa2, 2, 0, 1, 0])), Detail::NotCanonical);
        assert_eq!(detail(walk(&[0xa1, 0x61, b'a', 0])), Detail::UnknownKey);
        assert_eq!(detail(walk(&[0xa1, 1, 0, 0])), Detail::TrailingBytes);
        assert_eq!(detail(walk(&[0xa2, 1, 0])), Detail::Truncated);
    }

    #[test]
    fn nesting_is_bounded() {
        let mut deep = [0x81u8; 200];
        deep[199] = 0;
        assert_eq!(detail(Reader::new(&deep).skip()), Detail::TooDeep);
        let shallow = &deep[199 - usize::from(DEPTH_MAX)..];
        assert!(Reader::new(shallow).skip().is_ok());
    }

    #[test]
    fn text_is_utf8_even_when_it_is_skipped() {
        assert_eq!(detail(Reader::new(&[0x61, 0xff]).skip()), Detail::BadUtf8);
        assert_eq!(Reader::new(&[0x81, 0x62, 0xc3, 0xa9]).skip().map(<[u8]>::len), Ok(4));
    }

    #[test]
    fn a_hostile_length_is_truncated_not_allocated() {
        let bytes = [0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(detail(Reader::new(&bytes).bytes()), Detail::Truncated);
        let bytes = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(detail(Reader::new(&bytes).skip()), Detail::Truncated);
    }
}
