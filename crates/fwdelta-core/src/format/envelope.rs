//! The envelope: the outermost map, read from storage head by head (docs/format.md, section 3).

use super::cbor::{self, HEAD_LEN_MAX, Head, Major, Sink, Writer};
use super::plmn::Plmn;
use super::suit::{KEY_AUTHENTICATION, KEY_MANIFEST, KEY_TEXT, TAG_ENVELOPE};
use crate::error::{Detail, Error, Result};
use crate::limits::{Limits, PAYLOAD_COUNT_MAX};
use crate::storage::Source;

/// A range of bytes in the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Byte offset from the start of the package.
    pub pos: u64,
    /// Length in bytes.
    pub len: u64,
}

/// The name of an integrated payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKey {
    /// `#p`: the vendor's prompts.
    Prompts,
    /// `#hK`: the delta header of component K.
    Header(u8),
    /// `#qPLMN`: an operator's prompts.
    OperatorPrompts(Plmn),
    /// `#payloadK`: the delta payload of component K.
    Delta(u8),
}

/// Longest payload key: `#payloadK`.
const KEY_LEN_MAX: usize = 9;

impl PayloadKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// `UnreferencedPayload` for a text of another form.
    pub fn parse(text: &str) -> Result<Self> {
        let index = |digit: &str| match digit.as_bytes() {
            [digit @ b'0'..=b'7'] => Ok(digit - b'0'),
            _ => Err(Error::from(Detail::UnreferencedPayload)),
        };
        if text == "#p" {
            Ok(Self::Prompts)
        } else if let Some(digit) = text.strip_prefix("#payload") {
            index(digit).map(Self::Delta)
        } else if let Some(plmn) = text.strip_prefix("#q") {
            let plmn = Plmn::parse(plmn).map_err(|_| Detail::UnreferencedPayload)?;
            Ok(Self::OperatorPrompts(plmn))
        } else if let Some(digit) = text.strip_prefix("#h") {
            index(digit).map(Self::Header)
        } else {
            Err(Detail::UnreferencedPayload.into())
        }
    }
}

/// The shape of an envelope: small parts in memory, large ones by position.
#[derive(Clone, Debug)]
pub struct Envelope<'b> {
    /// Content of the authentication wrapper.
    pub auth: &'b [u8],
    /// Where that content stands in the package.
    pub auth_pos: u64,
    /// Content of the manifest, without its byte string head.
    pub manifest: &'b [u8],
    /// Where that content stands in the package.
    pub manifest_pos: u64,
    /// Content of the text, if it is there.
    pub text: Option<Span>,
    payloads: [Option<(PayloadKey, Span)>; PAYLOAD_COUNT_MAX],
}

impl<'b> Envelope<'b> {
    /// Reads the heads of a package of `len` bytes, and its two small parts into `buf`.
    ///
    /// # Errors
    /// `Format` and `Limit` errors of docs/format.md, section 3; `ReadFailed`.
    #[inline(never)]
    pub fn scan<S: Source>(
        package: &mut S,
        len: u64,
        limits: &Limits,
        buf: &'b mut [u8],
    ) -> Result<Self> {
        let mut heads = Heads { package, pos: 0, len };
        heads.tag()?;
        let mut left = heads.expect(Major::Map)?;
        let room = buf.len().min(limits.envelope_len);
        let buf = buf.get_mut(..room).unwrap_or_default();

        left = heads.int_key(left, KEY_AUTHENTICATION)?;
        let auth_span = heads.value()?;
        let auth_len = small_len(auth_span, room)?;
        left = heads.int_key(left, KEY_MANIFEST)?;
        let manifest_span = heads.value()?;
        let manifest_len = small_len(manifest_span, room - auth_len)?;
        let (auth_buf, rest) = buf.split_at_mut_checked(auth_len).ok_or(Detail::Bug)?;
        let manifest_buf = rest.get_mut(..manifest_len).ok_or(Detail::Bug)?;
        heads.fill(auth_span, auth_buf)?;
        heads.fill(manifest_span, manifest_buf)?;

        let mut envelope = Self {
            auth: auth_buf,
            auth_pos: auth_span.pos,
            manifest: manifest_buf,
            manifest_pos: manifest_span.pos,
            text: None,
            payloads: [None; PAYLOAD_COUNT_MAX],
        };
        envelope.scan_rest(&mut heads, left, limits)?;
        if heads.pos == len { Ok(envelope) } else { Err(heads.error(Detail::TrailingBytes)) }
    }

    fn scan_rest<S: Source>(
        &mut self,
        heads: &mut Heads<'_, S>,
        mut left: u64,
        limits: &Limits,
    ) -> Result<()> {
        if left > 0 && heads.peek()?.major == Major::Uint {
            left = heads.int_key(left, KEY_TEXT)?;
            self.text = Some(short(heads.value()?, limits)?);
        }
        let mut last = Key::default();
        let mut slots = self.payloads.iter_mut();
        for _ in 0..left {
            let pos = heads.pos;
            let key = heads.text_key(self.text.is_some())?;
            match key.cmp_encoded(&last) {
                core::cmp::Ordering::Equal => return Err(Error::at(Detail::DuplicateKey, pos)),
                core::cmp::Ordering::Less => return Err(Error::at(Detail::NotCanonical, pos)),
                core::cmp::Ordering::Greater => {}
            }
            let name = key.parse().map_err(|error| Error::at(error.detail, pos))?;
            let slot = slots.next().ok_or(Error::at(Detail::TooManyKeys, pos))?;
            let span = heads.value()?;
            *slot = Some(match name {
                PayloadKey::Prompts | PayloadKey::OperatorPrompts(_) => {
                    (name, short(span, limits)?)
                }
                PayloadKey::Header(_) | PayloadKey::Delta(_) => (name, span),
            });
            last = key;
        }
        Ok(())
    }

    /// All integrated payloads, in the order of the package.
    pub fn payloads(&self) -> impl Iterator<Item = (PayloadKey, Span)> + '_ {
        self.payloads.iter().flatten().copied()
    }

    /// Where an integrated payload stands.
    #[must_use]
    pub fn payload(&self, key: PayloadKey) -> Option<Span> {
        self.payloads().find(|(name, _)| *name == key).map(|(_, span)| span)
    }
}

/// Text and prompts are for people: what is longer than the caller allows is refused unread.
fn short(span: Span, limits: &Limits) -> Result<Span> {
    let fits = span.len <= limits.text_len;
    if fits { Ok(span) } else { Err(Error::at(Detail::StringTooLong, span.pos)) }
}

fn small_len(span: Span, room: usize) -> Result<usize> {
    let len = usize::try_from(span.len).ok().filter(|len| *len <= room);
    len.ok_or(Error::at(Detail::EnvelopeTooLarge, span.pos))
}

/// A text key as it stands in the package, for ordering and parsing.
#[derive(Clone, Copy, Default)]
struct Key {
    bytes: [u8; KEY_LEN_MAX],
    len: u8,
}

impl Key {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Bytewise order of the encodings: shorter first, as the head comes first.
    fn cmp_encoded(&self, other: &Self) -> core::cmp::Ordering {
        self.len.cmp(&other.len).then(self.as_bytes().cmp(other.as_bytes()))
    }

    fn parse(&self) -> Result<PayloadKey> {
        PayloadKey::parse(core::str::from_utf8(self.as_bytes()).map_err(|_| Detail::BadUtf8)?)
    }
}

/// Reads heads one after the other, skipping over values.
struct Heads<'s, S> {
    package: &'s mut S,
    pos: u64,
    len: u64,
}

impl<S: Source> Heads<'_, S> {
    fn error(&self, detail: Detail) -> Error {
        Error::at(detail, self.pos)
    }

    fn fill(&mut self, span: Span, buf: &mut [u8]) -> Result<()> {
        let failed = Error::at(Detail::ReadFailed, span.pos);
        self.package.read(span.pos, buf).map_err(|_| failed)
    }

    fn peek(&mut self) -> Result<Head> {
        let mut buf = [0; HEAD_LEN_MAX];
        let left = self.len.saturating_sub(self.pos).min(HEAD_LEN_MAX as u64);
        let bytes = buf.get_mut(..left as usize).unwrap_or_default();
        self.fill(Span { pos: self.pos, len: left }, bytes)?;
        cbor::head(bytes).map_err(|error| self.error(error.detail))
    }

    fn expect(&mut self, major: Major) -> Result<u64> {
        let head = self.peek()?;
        if head.major != major {
            return Err(self.error(Detail::WrongType));
        }
        self.pos += u64::from(head.len);
        Ok(head.arg)
    }

    fn tag(&mut self) -> Result<()> {
        let head = self.peek()?;
        if head.major != Major::Tag || head.arg != TAG_ENVELOPE {
            return Err(self.error(Detail::BadTag));
        }
        self.pos += u64::from(head.len);
        Ok(())
    }

    /// Consumes one of `left` keys, which must be `key`; gives how many are left.
    fn int_key(&mut self, left: u64, key: i64) -> Result<u64> {
        let missing = self.error(Detail::MissingField);
        let left = left.checked_sub(1).ok_or(missing)?;
        let head = self.peek()?;
        let found = match head.major {
            Major::Uint => i64::try_from(head.arg).unwrap_or(i64::MAX),
            Major::Text => return Err(missing),
            _ => return Err(self.error(Detail::UnknownKey)),
        };
        if found != key {
            let known = [KEY_AUTHENTICATION, KEY_MANIFEST, KEY_TEXT];
            let detail = match found {
                found if !known.contains(&found) => Detail::UnknownKey,
                found if found < key => Detail::DuplicateKey,
                _ => Detail::MissingField,
            };
            return Err(self.error(detail));
        }
        self.pos += u64::from(head.len);
        Ok(left)
    }

    fn text_key(&mut self, text_seen: bool) -> Result<Key> {
        let pos = self.pos;
        let head = self.peek()?;
        if head.major == Major::Uint {
            return Err(self.error(match i64::try_from(head.arg) {
                Ok(KEY_AUTHENTICATION | KEY_MANIFEST) => Detail::DuplicateKey,
                Ok(KEY_TEXT) if text_seen => Detail::DuplicateKey,
                Ok(KEY_TEXT) => Detail::NotCanonical,
                _ => Detail::UnknownKey,
            }));
        }
        if head.major != Major::Text {
            return Err(self.error(Detail::UnknownKey));
        }
        let len = self.expect(Major::Text)?;
        let mut key = Key::default();
        let bytes = usize::try_from(len).ok().and_then(|len| key.bytes.get_mut(..len));
        let bytes = bytes.ok_or(Error::at(Detail::UnreferencedPayload, pos))?;
        if len > self.len.saturating_sub(self.pos) {
            return Err(Error::at(Detail::Truncated, pos));
        }
        key.len = bytes.len() as u8;
        let span = Span { pos: self.pos, len };
        self.fill(span, bytes)?;
        self.pos += len;
        Ok(key)
    }

    /// A byte string; gives where its content stands and steps over it.
    fn value(&mut self) -> Result<Span> {
        let start = self.pos;
        let len = self.expect(Major::Bytes)?;
        let span = Span { pos: self.pos, len };
        if len > self.len.saturating_sub(self.pos) {
            return Err(Error::at(Detail::Truncated, start));
        }
        self.pos += len;
        Ok(span)
    }
}

/// Emits an envelope; `payloads` are text keys and contents, in any order, each key once.
///
/// # Errors
/// When the sink is full.
pub fn emit<S: Sink>(
    writer: &mut Writer<S>,
    auth: &[u8],
    manifest: &[u8],
    text: Option<&[u8]>,
    payloads: &[(&str, &[u8])],
) -> Result<()> {
    writer.tag(TAG_ENVELOPE)?;
    writer.map(2 + u64::from(text.is_some()) + payloads.len() as u64)?;
    let parts =
        [(KEY_AUTHENTICATION, Some(auth)), (KEY_MANIFEST, Some(manifest)), (KEY_TEXT, text)];
    for (key, part) in parts {
        if let Some(part) = part {
            writer.int(key)?;
            writer.bytes(part)?;
        }
    }
    // Selection instead of sorting: no memory, and there are few.
    let mut last = None;
    for _ in payloads {
        let after_last = |key: &&(&str, &[u8])| last.is_none_or(|last| order(key.0) > last);
        let next = payloads.iter().filter(after_last).min_by_key(|payload| order(payload.0));
        let (key, content) = next.ok_or(Detail::DuplicateKey)?;
        writer.text(key)?;
        writer.bytes(content)?;
        last = Some(order(key));
    }
    Ok(())
}

/// Bytewise order of encoded text keys: the head, which has the length, comes first.
fn order(key: &str) -> (usize, &[u8]) {
    (key.len(), key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(bytes: &[u8]) -> Result<(usize, usize, bool, usize)> {
        let mut buf = [0; 64];
        let mut source = bytes;
        let len = bytes.len() as u64;
        let envelope = Envelope::scan(&mut source, len, &Limits::DEVICE, &mut buf)?;
        let count = envelope.payloads().count();
        Ok((envelope.auth.len(), envelope.manifest.len(), envelope.text.is_some(), count))
    }

    fn detail(bytes: &[u8]) -> Detail {
        scan(bytes).unwrap_err().detail
    }

    const WHOLE: &[u8] = b"\xd8\x6b\xa5\x02\x41a\x03\x42mm\x17\x41t\x62#p\x41p\x63#h0\x41h";

    #[test]
    fn finds_every_part() {
        assert_eq!(scan(WHOLE), Ok((1, 2, true, 2)));
    }

    #[test]
    fn emit_restores_what_scan_reads() {
        let mut buf = [0; 64];
        let mut writer = Writer(super::cbor::SliceSink::new(&mut buf));
        let payloads: [(&str, &[u8]); 2] = [("#h0", b"h"), ("#p", b"p")];
        emit(&mut writer, b"a", b"mm", Some(b"t"), &payloads).unwrap();
        assert_eq!(writer.0.written(), WHOLE);
    }

    #[test]
    fn texts_and_prompts_have_a_limit_of_their_own() {
        for (text_len, long) in [(1, None), (0, Some(Detail::StringTooLong))] {
            for package in [WHOLE, b"\xd8\x6b\xa3\x02\x41a\x03\x41m\x62#p\x41p"] {
                let limits = Limits { text_len, ..Limits::DEVICE };
                let (mut source, mut buf) = (package, [0; 64]);
                let scanned = Envelope::scan(&mut source, package.len() as u64, &limits, &mut buf);
                assert_eq!(scanned.err().map(|error| error.detail), long);
            }
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        for len in 0..WHOLE.len() {
            assert!(scan(&WHOLE[..len]).is_err(), "{len}");
        }
        assert_eq!(detail(&[WHOLE, b"x"].concat()), Detail::TrailingBytes);
    }

    #[test]
    fn names_the_rule_that_is_broken() {
        assert_eq!(detail(b"\xa2\x02\x41a\x03\x41m"), Detail::BadTag);
        assert_eq!(detail(b"\xd8\x6b\xa2\x02\x41a\x02\x41m"), Detail::DuplicateKey);
        assert_eq!(detail(b"\xd8\x6b\xa1\x03\x41m"), Detail::MissingField);
        assert_eq!(detail(b"\xd8\x6b\xa1\x02\x41m"), Detail::MissingField);
        assert_eq!(detail(b"\xd8\x6b\xa3\x02\x41a\x03\x41m\x18\x18\x41t"), Detail::UnknownKey);
        assert_eq!(
            detail(b"\xd8\x6b\xa3\x02\x41a\x03\x41m\x62#x\x41t"),
            Detail::UnreferencedPayload
        );
        let twice = b"\xd8\x6b\xa4\x02\x41a\x03\x41m\x62#p\x41t\x62#p\x41t";
        assert_eq!(detail(twice), Detail::DuplicateKey);
        // Neither a number nor a text: no key of an envelope.
        assert_eq!(detail(b"\xd8\x6b\xa3\x02\x41a\x03\x41m\x41x\x41t"), Detail::UnknownKey);
        let unordered = b"\xd8\x6b\xa4\x02\x41a\x03\x41m\x63#h0\x41t\x62#p\x41t";
        assert_eq!(detail(unordered), Detail::NotCanonical);
        let large = [b"\xd8\x6b\xa2\x02\x58\x40".as_slice(), &[0; 64], b"\x03\x41m"].concat();
        assert_eq!(detail(&large), Detail::EnvelopeTooLarge);
        assert_eq!(
            detail(b"\xd8\x6b\xa2\x02\x5b\xff\xff\xff\xff\xff\xff\xff\xff"),
            Detail::Truncated
        );
    }
}
