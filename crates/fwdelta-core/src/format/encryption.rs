//! SUIT encryption-info: for whom a payload is encrypted, and with which cipher (docs/format.md,
//! section 3.5). COSE_Encrypt of RFC 9052 with the key distribution of RFC 9053 that
//! draft-ietf-suit-firmware-encryption names; the content is sealed in chunks ([`super::sealed`]).

use super::cbor::{Major, Reader, SliceSink, Writer};
use super::cbor::{MapReader, Sink};
use crate::error::{Detail, Error, Result};
use crate::limits::RECIPIENT_COUNT_MAX;

/// CBOR tag of COSE_Encrypt.
const TAG_ENCRYPT: u64 = 96;
/// COSE algorithms.
const ALG_A128GCM: i64 = 1;
const ALG_CHACHA20_POLY1305: i64 = 24;
const ALG_A128KW: i64 = -3;
const ALG_ECDH_ES_A128KW: i64 = -29;
/// COSE header labels.
const LABEL_ALG: i64 = 1;
const LABEL_CRIT: i64 = 2;
const LABEL_KID: i64 = 4;
const LABEL_IV: i64 = 5;
const LABEL_EPHEMERAL: i64 = -1;
/// Ours: the content is sealed in chunks. It is critical (RFC 9052, section 3.1), so that who does
/// not know it refuses, and does not take the payload for one ciphertext.
const LABEL_CHUNKED: i64 = -70006;
/// The one way of cutting that is defined.
const CHUNKED: u64 = 1;

/// Bytes of the base nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of a recipient's key id, as of a signer's.
pub const KID_LEN: usize = 8;
/// Longest content key.
pub const CONTENT_KEY_LEN_MAX: usize = 32;
/// Longest wrapped content key: one of 32 bytes and the 8 of RFC 3394.
pub const WRAPPED_LEN_MAX: usize = 40;
/// Longest `Enc_structure` of a payload.
pub const AAD_LEN_MAX: usize = 32;
/// Longest `COSE_KDF_Context`.
pub const KDF_CONTEXT_LEN_MAX: usize = 64;
/// What `SuppPubInfo` ends with, so that keys of other protocols differ.
const KDF_PROTOCOL: &[u8] = b"SUIT Payload Encryption";

/// How the content is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentAlgorithm {
    /// AES-128-GCM.
    A128Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
}

impl ContentAlgorithm {
    /// Its number in COSE.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::A128Gcm => ALG_A128GCM,
            Self::ChaCha20Poly1305 => ALG_CHACHA20_POLY1305,
        }
    }

    /// The one of this number.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            ALG_A128GCM => Some(Self::A128Gcm),
            ALG_CHACHA20_POLY1305 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// Bytes of the content key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::ChaCha20Poly1305 => 32,
        }
    }
}

/// Who can unwrap the content key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient<'a> {
    /// The holder of a P-256 key: ECDH-ES with an ephemeral key, then A128KW.
    EcdhEs {
        /// First 8 bytes of the SHA-256 of the recipient's uncompressed point.
        kid: &'a [u8; KID_LEN],
        /// The ephemeral point.
        x: &'a [u8; 32],
        /// See `x`.
        y: &'a [u8; 32],
        /// The content key, wrapped.
        wrapped: &'a [u8],
    },
    /// Everyone who holds a key of a group: A128KW.
    Group {
        /// What the key is found by.
        kid: &'a [u8; KID_LEN],
        /// The content key, wrapped.
        wrapped: &'a [u8],
    },
}

/// The parameter, wholly checked.
#[derive(Clone, Copy, Debug)]
pub struct EncryptionInfo<'a> {
    /// How the content is encrypted.
    pub algorithm: ContentAlgorithm,
    /// What the nonces of all chunks are made from.
    pub nonce: &'a [u8; NONCE_LEN],
    recipients: Reader<'a>,
    count: u64,
}

impl<'a> EncryptionInfo<'a> {
    /// Reads what the parameter's byte string holds.
    ///
    /// # Errors
    /// As docs/format.md, section 3.5.
    pub fn parse(mut reader: Reader<'a>) -> Result<Self> {
        reader.tag(TAG_ENCRYPT)?;
        reader.array_exact(4)?;
        let algorithm = parse_protected(reader.nested()?)?;
        let nonce = parse_nonce(&mut reader)?;
        reader.null()?;
        let error = |detail| Error::at(detail, reader.pos());
        let (none, too_many) = (error(Detail::BadValue), error(Detail::TooManyKeys));
        let count = reader.array()?;
        if count == 0 {
            return Err(none);
        }
        if count > RECIPIENT_COUNT_MAX as u64 {
            return Err(too_many);
        }
        let recipients = reader;
        for _ in 0..count {
            Recipient::parse(&mut reader, algorithm)?;
        }
        reader.finish()?;
        Ok(Self { algorithm, nonce, recipients, count })
    }

    /// All recipients, in their order.
    pub fn recipients(&self) -> impl Iterator<Item = Recipient<'a>> + use<'a> {
        let (mut reader, algorithm) = (self.recipients, self.algorithm);
        (0..self.count).map_while(move |_| Recipient::parse(&mut reader, algorithm).ok())
    }
}

/// Emits the parameter's content.
///
/// # Errors
/// When the sink is full.
pub fn emit<S: Sink>(
    writer: &mut Writer<S>,
    algorithm: ContentAlgorithm,
    nonce: &[u8; NONCE_LEN],
    recipients: &[Recipient<'_>],
) -> Result<()> {
    writer.head(Major::Tag, TAG_ENCRYPT)?;
    writer.array(4)?;
    writer.nested(&|w| emit_protected(w, algorithm))?;
    writer.map(1)?;
    writer.int(LABEL_IV)?;
    writer.bytes(nonce)?;
    writer.null()?;
    writer.array(recipients.len() as u64)?;
    recipients.iter().try_for_each(|recipient| recipient.emit(writer))
}

fn parse_protected(mut reader: Reader<'_>) -> Result<ContentAlgorithm> {
    let missing = reader.error(Detail::MissingField);
    let (mut algorithm, mut is_critical, mut is_chunked) = (None, false, false);
    let mut map = reader.map()?;
    while let Some(label) = label(&mut map, &mut reader)? {
        let error = |detail| Error::at(detail, reader.pos());
        let (unknown, bad) = (error(Detail::UnknownAlgorithm), error(Detail::UnknownLabel));
        match label {
            LABEL_ALG => {
                algorithm = ContentAlgorithm::from_number(reader.int()?);
                algorithm.ok_or(unknown)?;
            }
            LABEL_CRIT => {
                is_critical = reader.array()? == 1 && reader.int()? == LABEL_CHUNKED;
                is_critical.then_some(()).ok_or(bad)?;
            }
            LABEL_CHUNKED => {
                is_chunked = reader.uint()? == CHUNKED;
                is_chunked.then_some(()).ok_or(unknown)?;
            }
            _ => return Err(bad),
        }
    }
    reader.finish()?;
    algorithm.filter(|_| is_critical && is_chunked).ok_or(missing)
}

fn emit_protected<S: Sink>(writer: &mut Writer<S>, algorithm: ContentAlgorithm) -> Result<()> {
    writer.map(3)?;
    writer.int(LABEL_ALG)?;
    writer.int(algorithm.number())?;
    writer.int(LABEL_CRIT)?;
    writer.array(1)?;
    writer.int(LABEL_CHUNKED)?;
    writer.int(LABEL_CHUNKED)?;
    writer.uint(CHUNKED)
}

fn parse_nonce<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8; NONCE_LEN]> {
    let missing = reader.error(Detail::MissingField);
    let mut map = reader.map()?;
    let mut nonce = None;
    while let Some(label) = label(&mut map, reader)? {
        match label {
            LABEL_IV => nonce = Some(reader.array_of()?),
            _ => return Err(reader.error(Detail::UnknownLabel)),
        }
    }
    nonce.ok_or(missing)
}

/// The next label of a COSE header map.
fn label<'a>(map: &mut MapReader<'a>, reader: &mut Reader<'a>) -> Result<Option<i64>> {
    let unknown = reader.error(Detail::UnknownLabel);
    let found = map.int_key(reader);
    found.map_err(|error| if error.detail == Detail::UnknownKey { unknown } else { error })
}

impl<'a> Recipient<'a> {
    /// What the key is found by.
    #[must_use]
    pub const fn kid(&self) -> &'a [u8; KID_LEN] {
        match self {
            Self::EcdhEs { kid, .. } | Self::Group { kid, .. } => kid,
        }
    }

    /// Number in COSE of how the content key is wrapped.
    #[must_use]
    pub const fn algorithm(&self) -> i64 {
        match self {
            Self::EcdhEs { .. } => ALG_ECDH_ES_A128KW,
            Self::Group { .. } => ALG_A128KW,
        }
    }

    /// One that was stored by its parts: `x` and `y` of the ephemeral point count for ECDH-ES
    /// alone.
    ///
    /// # Errors
    /// `UnknownAlgorithm` for another number than those of [`Recipient::algorithm`].
    pub fn from_parts(
        algorithm: i64,
        kid: &'a [u8; KID_LEN],
        (x, y): (&'a [u8; 32], &'a [u8; 32]),
        wrapped: &'a [u8],
    ) -> Result<Self> {
        match algorithm {
            ALG_ECDH_ES_A128KW => Ok(Self::EcdhEs { kid, x, y, wrapped }),
            ALG_A128KW => Ok(Self::Group { kid, wrapped }),
            _ => Err(Detail::UnknownAlgorithm.into()),
        }
    }

    /// The content key, wrapped.
    #[must_use]
    pub const fn wrapped(&self) -> &'a [u8] {
        match self {
            Self::EcdhEs { wrapped, .. } | Self::Group { wrapped, .. } => wrapped,
        }
    }

    fn parse(reader: &mut Reader<'a>, algorithm: ContentAlgorithm) -> Result<Self> {
        reader.array_exact(3)?;
        let protected = reader.nested()?;
        // A128KW has nothing to protect its header with (RFC 9053, section 6.2.1).
        let is_group = protected.is_at_end();
        if !is_group {
            parse_recipient_algorithm(protected)?;
        }
        let missing = reader.error(Detail::MissingField);
        let (mut kid, mut point, mut has_algorithm) = (None, None, !is_group);
        let mut map = reader.map()?;
        while let Some(label) = label(&mut map, reader)? {
            let unknown = reader.error(Detail::UnknownAlgorithm);
            match label {
                LABEL_ALG if is_group => {
                    has_algorithm = reader.int()? == ALG_A128KW;
                    has_algorithm.then_some(()).ok_or(unknown)?;
                }
                LABEL_KID => kid = Some(reader.array_of()?),
                LABEL_EPHEMERAL if !is_group => point = Some(parse_point(reader)?),
                _ => return Err(reader.error(Detail::UnknownLabel)),
            }
        }
        let bad = reader.error(Detail::BadValue);
        let wrapped = reader.bytes()?;
        if wrapped.len() != algorithm.key_len() + 8 {
            return Err(bad);
        }
        match (kid, point) {
            (Some(kid), Some((x, y))) => Ok(Self::EcdhEs { kid, x, y, wrapped }),
            (Some(kid), None) if is_group && has_algorithm => Ok(Self::Group { kid, wrapped }),
            _ => Err(missing),
        }
    }

    fn emit<S: Sink>(&self, writer: &mut Writer<S>) -> Result<()> {
        writer.array(3)?;
        match self {
            Self::EcdhEs { kid, x, y, wrapped } => {
                writer.nested(&|w| emit_recipient_protected(w))?;
                writer.map(2)?;
                writer.int(LABEL_KID)?;
                writer.bytes(*kid)?;
                writer.int(LABEL_EPHEMERAL)?;
                emit_point(writer, x, y)?;
                writer.bytes(wrapped)
            }
            Self::Group { kid, wrapped } => {
                writer.bytes(&[])?;
                writer.map(2)?;
                writer.int(LABEL_ALG)?;
                writer.int(ALG_A128KW)?;
                writer.int(LABEL_KID)?;
                writer.bytes(*kid)?;
                writer.bytes(wrapped)
            }
        }
    }
}

fn parse_recipient_algorithm(mut reader: Reader<'_>) -> Result<()> {
    let missing = reader.error(Detail::MissingField);
    let mut map = reader.map()?;
    let mut found = false;
    while let Some(label) = label(&mut map, &mut reader)? {
        if label != LABEL_ALG {
            return Err(reader.error(Detail::UnknownLabel));
        }
        let unknown = reader.error(Detail::UnknownAlgorithm);
        found = reader.int()? == ALG_ECDH_ES_A128KW;
        found.then_some(()).ok_or(unknown)?;
    }
    reader.finish()?;
    if found { Ok(()) } else { Err(missing) }
}

fn emit_recipient_protected<S: Sink>(writer: &mut Writer<S>) -> Result<()> {
    writer.map(1)?;
    writer.int(LABEL_ALG)?;
    writer.int(ALG_ECDH_ES_A128KW)
}

type Point<'a> = (&'a [u8; 32], &'a [u8; 32]);

/// Reads the COSE_Key of a point on P-256: `{1: 2, -1: 1, -2: x, -3: y}`.
fn parse_point<'a>(reader: &mut Reader<'a>) -> Result<Point<'a>> {
    let bad = reader.error(Detail::BadValue);
    let mut map = reader.map()?;
    let (mut fixed, mut x, mut y) = (0u8, None, None);
    while let Some(key) = map.int_key(reader)? {
        match key {
            1 if reader.uint()? == 2 => fixed = fixed.saturating_add(1),
            -1 if reader.uint()? == 1 => fixed = fixed.saturating_add(1),
            -2 => x = Some(reader.array_of()?),
            -3 => y = Some(reader.array_of()?),
            _ => return Err(bad),
        }
    }
    x.zip(y).filter(|_| fixed == 2).ok_or(bad)
}

fn emit_point<S: Sink>(writer: &mut Writer<S>, x: &[u8; 32], y: &[u8; 32]) -> Result<()> {
    writer.map(4)?;
    for (key, value) in [(1, 2), (-1, 1)] {
        writer.int(key)?;
        writer.uint(value)?;
    }
    writer.int(-2)?;
    writer.bytes(x)?;
    writer.int(-3)?;
    writer.bytes(y)
}

/// Writes the `Enc_structure` that every chunk authenticates (RFC 9052, section 5.3) and gives its
/// length: `["Encrypt", Protected, h'']`.
///
/// # Errors
/// Never for this length; `Bug` instead of a panic.
pub fn emit_aad(algorithm: ContentAlgorithm, to: &mut [u8; AAD_LEN_MAX]) -> Result<usize> {
    let mut writer = Writer(SliceSink::new(to));
    let mut write = || {
        writer.array(3)?;
        writer.text("Encrypt")?;
        writer.nested(&|w| emit_protected(w, algorithm))?;
        writer.bytes(&[])
    };
    write().map_err(|_: Error| Detail::Bug)?;
    Ok(writer.0.written().len())
}

/// Writes the `COSE_KDF_Context` of ECDH-ES + A128KW (RFC 9053, section 5.2), with what
/// draft-ietf-suit-firmware-encryption puts into it, and gives its length.
///
/// # Errors
/// Never for this length; `Bug` instead of a panic.
pub fn emit_kdf_context(to: &mut [u8; KDF_CONTEXT_LEN_MAX]) -> Result<usize> {
    let mut writer = Writer(SliceSink::new(to));
    let mut write = || {
        writer.array(4)?;
        writer.int(ALG_A128KW)?;
        for _party in 0..2 {
            writer.array(3)?;
            (0..3).try_for_each(|_| writer.null())?;
        }
        writer.array(3)?;
        writer.uint(128)?;
        writer.nested(&|w| emit_recipient_protected(w))?;
        writer.bytes(KDF_PROTOCOL)
    };
    write().map_err(|_: Error| Detail::Bug)?;
    Ok(writer.0.written().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(algorithm: ContentAlgorithm, recipients: &[Recipient<'_>], to: &mut [u8]) -> usize {
        let mut writer = Writer(SliceSink::new(to));
        emit(&mut writer, algorithm, &[9; NONCE_LEN], recipients).unwrap();
        writer.0.written().len()
    }

    fn two<'a>(wrapped: &'a [u8]) -> [Recipient<'a>; 2] {
        let kid = &[1; KID_LEN];
        [
            Recipient::EcdhEs { kid, x: &[2; 32], y: &[3; 32], wrapped },
            Recipient::Group { kid: &[4; KID_LEN], wrapped },
        ]
    }

    #[test]
    fn what_is_emitted_parses_to_the_same() {
        for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::ChaCha20Poly1305] {
            let (mut buf, wrapped) = ([0; 512], [5; WRAPPED_LEN_MAX]);
            let wrapped = &wrapped[..algorithm.key_len() + 8];
            let len = emitted(algorithm, &two(wrapped), &mut buf);
            let info = EncryptionInfo::parse(Reader::new(&buf[..len])).unwrap();
            assert_eq!((info.algorithm, info.nonce), (algorithm, &[9; NONCE_LEN]));
            assert!(info.recipients().eq(two(wrapped)));
            for end in 0..len {
                assert!(EncryptionInfo::parse(Reader::new(&buf[..end])).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn a_changed_byte_is_refused_or_emits_to_the_same() {
        let (mut buf, wrapped) = ([0; 512], [5; 24]);
        let len = emitted(ContentAlgorithm::A128Gcm, &two(&wrapped), &mut buf);
        for at in 0..len {
            for bit in 0..8 {
                let mut changed = buf;
                changed[at] ^= 1 << bit;
                let Ok(info) = EncryptionInfo::parse(Reader::new(&changed[..len])) else {
                    continue;
                };
                let mut again = [0; 512];
                let mut writer = Writer(SliceSink::new(&mut again));
                let mut all = two(&wrapped);
                for (to, from) in all.iter_mut().zip(info.recipients()) {
                    *to = from;
                }
                emit(&mut writer, info.algorithm, info.nonce, &all).unwrap();
                assert_eq!(writer.0.written(), &changed[..len], "{at}");
            }
        }
    }

    #[test]
    fn recipients_are_one_to_sixteen() {
        let (mut buf, wrapped) = ([0; 2048], [5; 24]);
        for (count, expected) in
            [(0, Err(Detail::BadValue)), (16, Ok(())), (17, Err(Detail::TooManyKeys))]
        {
            let all = [two(&wrapped)[1]; 17];
            let len = emitted(ContentAlgorithm::A128Gcm, &all[..count], &mut buf);
            let parsed = EncryptionInfo::parse(Reader::new(&buf[..len]));
            assert_eq!(parsed.map(|_| ()).map_err(|error| error.detail), expected);
        }
    }

    #[test]
    fn structures_are_those_of_the_documents() {
        let mut aad = [0; AAD_LEN_MAX];
        let len = emit_aad(ContentAlgorithm::A128Gcm, &mut aad).unwrap();
        let expected =
            b"\x83\x67Encrypt\x50\xa3\x01\x01\x02\x81\x3a\0\x01\x11\x75\x3a\0\x01\x11\x75\x01\x40";
        assert_eq!(&aad[..len], expected);
        let mut context = [0; KDF_CONTEXT_LEN_MAX];
        let len = emit_kdf_context(&mut context).unwrap();
        let expected = b"\x84\x22\x83\xf6\xf6\xf6\x83\xf6\xf6\xf6\x83\x18\x80\x44\xa1\x01\x38\x1c\
            \x57SUIT Payload Encryption";
        assert_eq!(&context[..len], expected);
    }
}
