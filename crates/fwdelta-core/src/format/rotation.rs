//! A trust anchor that replaces another, with the signatures that make devices accept it
//! (docs/format.md, section 6.1).

use super::auth::{Kid, LABEL_ALG, LABEL_KID, TAG_SIGN1};
use super::cbor::{Major, Reader, Sink, Writer};
use super::key::{Algorithm, ML_DSA_44_SIGNATURE_LEN};
use super::suit::emit_digest;
use crate::error::{Detail, Error, Result};
use crate::hash::Sha256;
use crate::limits::{ENDORSEMENT_COUNT_MAX, TRUST_LEN_MAX};

/// External data of every endorsement (RFC 9052, section 4.3): a signature of a package, or of
/// anything else that the same key signs, is none of an anchor.
pub const CONTEXT: &[u8] = b"fwdelta/trust/v1";

/// Longest anchor with its endorsements, in bytes.
pub const SIGNED_TRUST_LEN_MAX: usize = TRUST_LEN_MAX + ENDORSEMENT_COUNT_MAX * 2560;

/// Longest encoded digest item of an anchor, in bytes.
const PAYLOAD_LEN_MAX: usize = 40;

/// One vendor key's signature of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endorsement<'a> {
    /// Which key signed.
    pub kid: &'a Kid,
    /// The encoded protected header, which is signed.
    pub protected: &'a [u8],
    /// How it is signed.
    pub algorithm: Algorithm,
    /// The signature.
    pub proof: &'a [u8],
    /// Where it stands.
    pub pos: u64,
}

impl<'a> Endorsement<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let pos = reader.pos();
        let mut block = reader.nested()?;
        block.tag(TAG_SIGN1)?;
        block.array_exact(4)?;
        let mut ahead = block;
        let protected = ahead.bytes()?;
        let (kid, algorithm) = parse_protected(block.nested()?)?;
        let unprotected = block.error(Detail::BadValue);
        if block.expect(Major::Map)? != 0 {
            return Err(unprotected);
        }
        block.null()?;
        let proof: &[u8] = match algorithm {
            Algorithm::Ed25519 | Algorithm::Esp256 => block.array_of::<64>()?,
            Algorithm::MlDsa44 => block.array_of::<ML_DSA_44_SIGNATURE_LEN>()?,
        };
        block.finish()?;
        Ok(Self { kid, protected, algorithm, proof, pos })
    }
}

fn parse_protected<'a>(mut reader: Reader<'a>) -> Result<(&'a Kid, Algorithm)> {
    let missing = reader.error(Detail::MissingField);
    let (mut alg, mut kid) = (None, None);
    let mut map = reader.map()?;
    while let Some(mut key) = map.key(&mut reader)? {
        let unknown = key.error(Detail::UnknownLabel);
        match key.int().map_err(|_| unknown)? {
            LABEL_ALG => {
                let other = reader.error(Detail::UnknownAlgorithm);
                alg = Some(Algorithm::from_number(reader.int()?).ok_or(other)?);
            }
            LABEL_KID => kid = Some(reader.array_of()?),
            _ => return Err(unknown),
        }
    }
    reader.finish()?;
    kid.zip(alg).ok_or(missing)
}

/// An anchor that replaces another, its shape checked; the anchor itself is not read yet.
#[derive(Clone, Copy, Debug)]
pub struct SignedTrust<'a> {
    /// The encoded anchor, which nothing is known of before its signatures were checked.
    pub anchor: &'a [u8],
    endorsements: Reader<'a>,
    count: u64,
}

impl<'a> SignedTrust<'a> {
    /// Whether `bytes` look like this and not like a bare anchor.
    #[must_use]
    pub fn is_signed(bytes: &[u8]) -> bool {
        Reader::new(bytes).peek().is_ok_and(|head| head.major == Major::Array)
    }

    /// Checks the shape of all endorsements.
    ///
    /// # Errors
    /// As docs/format.md, section 6.1; no signature is checked.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > SIGNED_TRUST_LEN_MAX {
            return Err(Detail::EnvelopeTooLarge.into());
        }
        let mut reader = Reader::new(bytes);
        let count = reader.array()?.checked_sub(1).ok_or(Error::from(Detail::MissingField))?;
        if count > ENDORSEMENT_COUNT_MAX as u64 {
            return Err(Detail::TooManyBlocks.into());
        }
        let too_large = reader.error(Detail::EnvelopeTooLarge);
        let anchor = reader.bytes()?;
        if anchor.len() > TRUST_LEN_MAX {
            return Err(too_large);
        }
        let signed = Self { anchor, endorsements: reader, count };
        for _ in 0..count {
            Endorsement::parse(&mut reader)?;
        }
        reader.finish()?;
        Ok(signed)
    }

    /// All endorsements, in order.
    pub fn endorsements(&self) -> impl Iterator<Item = Endorsement<'a>> + use<'a> {
        let (mut reader, mut left) = (self.endorsements, self.count);
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            Endorsement::parse(&mut reader).ok()
        })
    }
}

/// Emits the protected header of an endorsement signed with `algorithm`.
///
/// # Errors
/// When the sink is full.
pub fn emit_protected<S: Sink>(
    writer: &mut Writer<S>,
    kid: &Kid,
    algorithm: Algorithm,
) -> Result<()> {
    writer.map(2)?;
    writer.int(LABEL_ALG)?;
    writer.int(algorithm.number())?;
    writer.int(LABEL_KID)?;
    writer.bytes(kid)
}

/// Emits what an endorsement signs: the COSE `Sig_structure` with [`CONTEXT`] as external data and
/// the digest item of the anchor, taken with its byte string head, as payload.
///
/// # Errors
/// When the sink is full.
pub fn emit_signed<S: Sink>(writer: &mut Writer<S>, protected: &[u8], anchor: &[u8]) -> Result<()> {
    let mut head = [0; super::cbor::HEAD_LEN_MAX];
    let mut start = Writer(super::cbor::SliceSink::new(&mut head));
    start.head(Major::Bytes, anchor.len() as u64)?;
    let mut hash = Sha256::new();
    hash.update(start.0.written());
    hash.update(anchor);
    let mut item = [0; PAYLOAD_LEN_MAX];
    let mut payload = Writer(super::cbor::SliceSink::new(&mut item));
    emit_digest(&mut payload, &hash.finish())?;
    writer.array(4)?;
    writer.text("Signature1")?;
    writer.bytes(protected)?;
    writer.bytes(CONTEXT)?;
    writer.bytes(payload.0.written())
}

/// Emits the signed form of `anchor`; `endorsements` are encoded COSE_Sign1 objects.
///
/// # Errors
/// When the sink is full.
pub fn emit<'b, S: Sink>(
    writer: &mut Writer<S>,
    anchor: &[u8],
    endorsements: impl ExactSizeIterator<Item = &'b [u8]>,
) -> Result<()> {
    writer.array((endorsements.len() as u64).saturating_add(1))?;
    writer.bytes(anchor)?;
    let mut endorsements = endorsements;
    endorsements.try_for_each(|endorsement| writer.bytes(endorsement))
}
