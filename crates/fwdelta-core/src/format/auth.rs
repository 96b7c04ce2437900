//! The authentication wrapper: manifest digest and blocks (docs/format.md, sections 3 and 5).

use super::cbor::{Major, Reader, Sink, Writer};
use super::key::{Algorithm, ML_DSA_44_SIGNATURE_LEN};
use super::plmn::Plmn;
use super::suit::{ALG_HMAC256, emit_digest, parse_digest};
use crate::error::{Detail, Error, Result};
use crate::hash::{Sha256Digest, sha256};
use crate::limits::{BLOCK_COUNT_MAX, REQUIRED_COUNT_MAX};

/// CBOR tag of COSE_Mac0.
const TAG_MAC0: u64 = 17;
/// CBOR tag of COSE_Sign1.
pub(super) const TAG_SIGN1: u64 = 18;
pub(super) const LABEL_ALG: i64 = 1;
pub(super) const LABEL_KID: i64 = 4;
/// Protected label: the operator's validation string.
pub const LABEL_STRING: i64 = -70001;
/// Protected label: the operator's PLMN.
pub const LABEL_PLMN: i64 = -70002;
/// Protected label: the approval mode.
pub const LABEL_MODE: i64 = -70003;
/// Protected label: which operators must approve.
pub const LABEL_REQUIREMENT: i64 = -70004;
/// Protected label: digest of the operator's prompts.
pub const LABEL_PROMPTS: i64 = -70005;
/// Largest structure that is signed or authenticated, in bytes.
pub const SIGNED_LEN_MAX: usize = 384;

/// A key id: the first 8 bytes of the SHA-256 of the raw public key.
pub type Kid = [u8; 8];

/// The key id of a raw public key.
#[must_use]
pub fn kid_of(key: &[u8]) -> Kid {
    let mut kid = Kid::default();
    for (to, from) in kid.iter_mut().zip(sha256(key)) {
        *to = from;
    }
    kid
}

/// How an operator approves (docs/format.md, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// A clear validation string, attached by a trusted key.
    String = 1,
    /// A MAC under a key derived from the validation string.
    Secret = 2,
    /// The operator's own signature.
    Signed = 3,
}

impl Mode {
    /// The bit of this mode in an operator entry of the trust anchor: 1, 2 or 4.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << (self as u8 - 1)
    }
}

/// What vendors ask of operators: nothing, any approval, or one of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement<'a> {
    /// The encoded item; equal requirements have equal encodings.
    encoded: &'a [u8],
}

impl<'a> Requirement<'a> {
    /// Whether an approval is required at all.
    #[must_use]
    pub fn is_required(&self) -> bool {
        Reader::new(self.encoded).boolean() != Ok(false)
    }

    /// The operators listed; an empty list means any.
    pub fn operators(&self) -> impl Iterator<Item = Plmn> + 'a {
        let mut reader = Reader::new(self.encoded);
        let mut left = reader.array().unwrap_or(0);
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            Plmn::parse(reader.text().ok()?).ok()
        })
    }

    fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let mut ahead = *reader;
        if ahead.peek()?.major == Major::Array {
            let count = ahead.array()?;
            if count > REQUIRED_COUNT_MAX as u64 {
                return Err(reader.error(Detail::TooManyKeys));
            }
            for _ in 0..count {
                parse_plmn(&mut ahead)?;
            }
        } else if ahead.boolean()? {
            return Err(reader.error(Detail::BadValue));
        }
        Ok(Self { encoded: reader.skip()? })
    }
}

/// What a block says, all of it under the signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Claim<'a> {
    /// A vendor's signature.
    Vendor {
        /// Which key signed.
        kid: &'a Kid,
        /// Which approvals the vendor asks for.
        requirement: Requirement<'a>,
    },
    /// An operator's approval.
    Approval {
        /// Which key signed; none in mode secret.
        kid: Option<&'a Kid>,
        /// The operator.
        plmn: Plmn,
        /// How it approves.
        mode: Mode,
        /// The validation string, in modes string and signed.
        string: Option<&'a [u8; 16]>,
        /// Digest of the operator's own prompts.
        prompts: Option<&'a Sha256Digest>,
    },
}

/// Validation strings are never printed, not even for debugging.
impl core::fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut debug = f.debug_struct("Claim");
        debug.field("kid", &self.kid()).field("plmn", &self.plmn());
        debug.finish_non_exhaustive()
    }
}

/// One COSE object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it says.
    pub claim: Claim<'a>,
    /// The encoded protected header, which is signed.
    pub protected: &'a [u8],
    /// How it is signed; none for the MAC of mode secret.
    pub algorithm: Option<Algorithm>,
    /// The signature, or 32 bytes of MAC in mode secret.
    pub proof: &'a [u8],
    /// Where it stands in the package.
    pub pos: u64,
}

impl Block<'_> {
    /// Bytes of the encoded block, without its byte string head.
    #[must_use]
    pub fn len(&self) -> usize {
        // Tag, array, empty map and null are one byte each.
        4 + sized(self.protected.len()) + sized(self.proof.len())
    }

    /// Never true; there to go with `len`.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }
}

fn sized(len: usize) -> usize {
    super::cbor::head_len(len as u64) + len
}

/// The authentication wrapper, its shape checked.
#[derive(Clone, Copy, Debug)]
pub struct Authentication<'a> {
    /// SHA-256 of the manifest with its byte string head.
    pub digest: &'a Sha256Digest,
    /// The encoded digest item: the payload of every block.
    pub payload: &'a [u8],
    blocks: Reader<'a>,
    count: u64,
}

impl<'a> Authentication<'a> {
    /// Checks the shape of all blocks; `pos` is where `bytes` stand in the package.
    ///
    /// # Errors
    /// As docs/format.md, sections 3 and 5; no signature is checked.
    pub fn parse(bytes: &'a [u8], pos: u64) -> Result<Self> {
        let mut reader = Reader::with_base(bytes, pos);
        let count = reader.array()?.checked_sub(1).ok_or(reader.error(Detail::MissingField))?;
        if count == 0 {
            return Err(reader.error(Detail::MissingField));
        }
        if count > BLOCK_COUNT_MAX as u64 {
            return Err(reader.error(Detail::TooManyBlocks));
        }
        let mut ahead = reader;
        let payload = ahead.bytes()?;
        let mut item = reader.nested()?;
        let digest = parse_digest(&mut item)?;
        item.finish()?;
        let auth = Self { digest, payload, blocks: reader, count };
        for _ in 0..count {
            Block::parse(&mut reader)?;
        }
        reader.finish()?;
        auth.refuse_duplicates()?;
        Ok(auth)
    }

    /// All blocks, in the order of the package.
    pub fn blocks(&self) -> impl Iterator<Item = Block<'a>> + use<'a> {
        let mut reader = self.blocks;
        let mut left = self.count;
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            Block::parse(&mut reader).ok()
        })
    }

    fn refuse_duplicates(&self) -> Result<()> {
        for (index, block) in self.blocks().enumerate() {
            if self.blocks().take(index).any(|other| other.claim.is_same_signer(&block.claim)) {
                return Err(Error::at(Detail::DuplicateBlock, block.pos));
            }
        }
        Ok(())
    }
}

impl Claim<'_> {
    /// One key approves for several operators of a group, each in a block of its own. Of secret
    /// blocks there may be many for one operator: anybody can add one that is wrong, and that must
    /// not take the right one's place.
    fn is_same_signer(&self, other: &Self) -> bool {
        self.kid().is_some() && (self.kid(), self.plmn()) == (other.kid(), other.plmn())
    }

    /// Which key signed; none in mode secret.
    #[must_use]
    pub fn kid(&self) -> Option<&Kid> {
        match self {
            Claim::Vendor { kid, .. } => Some(kid),
            Claim::Approval { kid, .. } => *kid,
        }
    }

    /// The operator, for an approval.
    #[must_use]
    pub fn plmn(&self) -> Option<Plmn> {
        match self {
            Claim::Vendor { .. } => None,
            Claim::Approval { plmn, .. } => Some(*plmn),
        }
    }
}

fn parse_plmn(reader: &mut Reader<'_>) -> Result<Plmn> {
    let pos = reader.pos();
    Plmn::parse(reader.text()?).map_err(|error| Error::at(error.detail, pos))
}

impl<'a> Block<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let pos = reader.pos();
        let mut block = reader.nested()?;
        let is_mac = block.peek()?.arg == TAG_MAC0;
        block.tag(if is_mac { TAG_MAC0 } else { TAG_SIGN1 })?;
        block.array_exact(4)?;
        let mut ahead = block;
        let protected = ahead.bytes()?;
        let (claim, algorithm) = Claim::parse(block.nested()?, is_mac)?;
        let unprotected = block.error(Detail::BadValue);
        if block.expect(Major::Map)? != 0 {
            return Err(unprotected);
        }
        block.null()?;
        let proof: &[u8] = match algorithm {
            None => block.array_of::<32>()?,
            Some(Algorithm::Ed25519 | Algorithm::Esp256) => block.array_of::<64>()?,
            Some(Algorithm::MlDsa44) => block.array_of::<ML_DSA_44_SIGNATURE_LEN>()?,
        };
        block.finish()?;
        Ok(Self { claim, protected, algorithm, proof, pos })
    }
}

/// The protected header as it is read, before it is known to be complete.
#[derive(Default)]
struct Fields<'a> {
    alg: Option<i64>,
    kid: Option<&'a Kid>,
    string: Option<&'a [u8; 16]>,
    plmn: Option<Plmn>,
    mode: Option<Mode>,
    requirement: Option<Requirement<'a>>,
    prompts: Option<&'a Sha256Digest>,
}

impl<'a> Fields<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let mut fields = Self::default();
        let mut map = reader.map()?;
        while let Some(mut key) = map.key(reader)? {
            let unknown = key.error(Detail::UnknownLabel);
            match key.int().map_err(|_| unknown)? {
                LABEL_ALG => fields.alg = Some(reader.int()?),
                LABEL_KID => fields.kid = Some(reader.array_of()?),
                LABEL_STRING => fields.string = Some(reader.array_of()?),
                LABEL_PLMN => fields.plmn = Some(parse_plmn(reader)?),
                LABEL_MODE => fields.mode = Some(parse_mode(reader)?),
                LABEL_REQUIREMENT => fields.requirement = Some(Requirement::parse(reader)?),
                LABEL_PROMPTS => fields.prompts = Some(reader.array_of()?),
                _ => return Err(unknown),
            }
        }
        reader.finish()?;
        Ok(fields)
    }
}

fn parse_mode(reader: &mut Reader<'_>) -> Result<Mode> {
    let unknown = reader.error(Detail::UnknownMode);
    match reader.uint()? {
        1 => Ok(Mode::String),
        2 => Ok(Mode::Secret),
        3 => Ok(Mode::Signed),
        _ => Err(unknown),
    }
}

impl<'a> Claim<'a> {
    fn parse(mut reader: Reader<'a>, is_mac: bool) -> Result<(Self, Option<Algorithm>)> {
        let missing = reader.error(Detail::MissingField);
        let surplus = reader.error(Detail::BadValue);
        let unknown = reader.error(Detail::UnknownAlgorithm);
        let fields = Fields::parse(&mut reader)?;
        let alg = fields.alg.ok_or(missing)?;
        let algorithm = Algorithm::from_number(alg).filter(|_| !is_mac);
        if algorithm.is_none() && !(is_mac && alg == ALG_HMAC256) {
            return Err(unknown);
        }
        let Fields { kid, string, plmn, mode, requirement, prompts, .. } = fields;
        if let Some(requirement) = requirement {
            let is_vendor = (string, plmn, mode, prompts) == (None, None, None, None) && !is_mac;
            let kid = kid.ok_or(missing)?;
            let claim = Claim::Vendor { kid, requirement };
            return if is_vendor { Ok((claim, algorithm)) } else { Err(surplus) };
        }
        // A lattice signature only stands beside a vendor's other one.
        if algorithm == Some(Algorithm::MlDsa44) {
            return Err(unknown);
        }
        let (plmn, mode) = (plmn.ok_or(missing)?, mode.ok_or(missing)?);
        let fits = match mode {
            Mode::Secret => is_mac && kid.is_none() && string.is_none(),
            Mode::String | Mode::Signed if kid.is_none() => return Err(missing),
            Mode::String if string.is_none() => return Err(missing),
            Mode::String | Mode::Signed => !is_mac,
        };
        let claim = Claim::Approval { kid, plmn, mode, string, prompts };
        if fits { Ok((claim, algorithm)) } else { Err(surplus) }
    }

    /// Emits the protected header of a block signed with `algorithm`, which mode secret ignores.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn emit<S: Sink>(&self, writer: &mut Writer<S>, algorithm: Algorithm) -> Result<()> {
        match self {
            Claim::Vendor { kid, requirement } => {
                writer.map(3)?;
                emit_int(writer, LABEL_ALG, algorithm.number())?;
                emit_bytes(writer, LABEL_KID, kid.as_slice())?;
                writer.int(LABEL_REQUIREMENT)?;
                writer.0.put(requirement.encoded)
            }
            Claim::Approval { kid, plmn, mode, string, prompts } => {
                let optional = [kid.is_some(), string.is_some(), prompts.is_some()];
                writer.map(3 + optional.into_iter().filter(|there| *there).count() as u64)?;
                let is_mac = *mode == Mode::Secret;
                let alg = if is_mac { ALG_HMAC256 } else { algorithm.number() };
                emit_int(writer, LABEL_ALG, alg)?;
                if let Some(kid) = kid {
                    emit_bytes(writer, LABEL_KID, kid.as_slice())?;
                }
                if let Some(string) = string {
                    emit_bytes(writer, LABEL_STRING, string.as_slice())?;
                }
                writer.int(LABEL_PLMN)?;
                writer.text(plmn.as_str())?;
                emit_int(writer, LABEL_MODE, *mode as i64)?;
                prompts.map_or(Ok(()), |digest| emit_bytes(writer, LABEL_PROMPTS, digest))
            }
        }
    }
}

fn emit_int<S: Sink>(writer: &mut Writer<S>, label: i64, value: i64) -> Result<()> {
    writer.int(label)?;
    writer.int(value)
}

fn emit_bytes<S: Sink>(writer: &mut Writer<S>, label: i64, value: &[u8]) -> Result<()> {
    writer.int(label)?;
    writer.bytes(value)
}

/// Emits the requirement item: `false`, or the list of operators.
///
/// # Errors
/// When the sink is full.
pub fn emit_requirement<S: Sink>(writer: &mut Writer<S>, list: Option<&[Plmn]>) -> Result<()> {
    let Some(list) = list else { return writer.boolean(false) };
    writer.array(list.len() as u64)?;
    list.iter().try_for_each(|plmn| writer.text(plmn.as_str()))
}

impl<'a> Requirement<'a> {
    /// Reads what [`emit_requirement`] emitted.
    ///
    /// # Errors
    /// As the label's rules in docs/format.md, section 5.
    pub fn from_encoded(encoded: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(encoded);
        let requirement = Self::parse(&mut reader)?;
        reader.finish()?;
        Ok(requirement)
    }
}

/// Emits a block: COSE_Mac0 for 32 bytes of proof, otherwise COSE_Sign1.
///
/// # Errors
/// When the sink is full.
pub fn emit_block<S: Sink>(writer: &mut Writer<S>, protected: &[u8], proof: &[u8]) -> Result<()> {
    writer.tag(if proof.len() == 32 { TAG_MAC0 } else { TAG_SIGN1 })?;
    writer.array(4)?;
    writer.bytes(protected)?;
    writer.map(0)?;
    writer.null()?;
    writer.bytes(proof)
}

/// Emits what a block signs: the COSE `Sig_structure` or `MAC_structure` (RFC 9052, sections 4.4
/// and 6.3), with the encoded manifest digest as payload.
///
/// # Errors
/// When the sink is full.
pub fn emit_signed<S: Sink>(
    writer: &mut Writer<S>,
    is_mac: bool,
    protected: &[u8],
    payload: &[u8],
) -> Result<()> {
    writer.array(4)?;
    writer.text(if is_mac { "MAC0" } else { "Signature1" })?;
    writer.bytes(protected)?;
    writer.bytes(&[])?;
    writer.bytes(payload)
}

/// Emits the content of the wrapper: the digest and blocks already encoded.
///
/// # Errors
/// When the sink is full.
pub fn emit_wrapper<'b, S: Sink>(
    writer: &mut Writer<S>,
    digest: &Sha256Digest,
    blocks: impl ExactSizeIterator<Item = &'b [u8]>,
) -> Result<()> {
    writer.array(1 + blocks.len() as u64)?;
    writer.nested(&|writer| emit_digest(writer, digest))?;
    for block in blocks {
        writer.bytes(block)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::cbor::SliceSink;

    fn round_trip(claim: Claim<'_>, algorithm: Algorithm) -> Result<()> {
        let mut protected = [0; 128];
        let mut writer = Writer(SliceSink::new(&mut protected));
        claim.emit(&mut writer, algorithm).unwrap();
        let is_mac = claim.kid().is_none();
        let mut block = [0; 4096];
        let mut out = Writer(SliceSink::new(&mut block));
        let proof = [7; ML_DSA_44_SIGNATURE_LEN];
        let proof = &proof[..if is_mac { 32 } else { algorithm.signature_len() }];
        emit_block(&mut out, writer.0.written(), proof).unwrap();
        let mut wrapper = [0; 4096];
        let mut auth = Writer(SliceSink::new(&mut wrapper));
        emit_wrapper(&mut auth, &[9; 32], [out.0.written()].into_iter()).unwrap();
        let auth = Authentication::parse(auth.0.written(), 0)?;
        assert_eq!(auth.digest, &[9; 32]);
        let blocks: [Block<'_>; 1] = [auth.blocks().next().unwrap()];
        assert_eq!(blocks[0].claim, claim);
        assert_eq!(blocks[0].proof, proof);
        assert_eq!(blocks[0].algorithm, (!is_mac).then_some(algorithm));
        assert_eq!(blocks[0].len(), out.0.written().len());
        Ok(())
    }

    #[test]
    fn blocks_round_trip() {
        let plmn = Plmn::parse("26201").unwrap();
        let (kid, string, prompts) = (Some(&[1; 8]), Some(&[2; 16]), Some(&[3; 32]));
        for encoded in [&[0xf4][..], &[0x80], &[0x81, 0x65, b'2', b'6', b'2', b'0', b'1']] {
            let requirement = Requirement::from_encoded(encoded).unwrap();
            assert_eq!(requirement.is_required(), encoded != [0xf4]);
            assert_eq!(requirement.operators().count(), usize::from(encoded.len() > 1));
            for algorithm in [Algorithm::Ed25519, Algorithm::Esp256, Algorithm::MlDsa44] {
                round_trip(Claim::Vendor { kid: &[1; 8], requirement }, algorithm).unwrap();
            }
        }
        let by = |mode, kid, string, prompts| Claim::Approval { kid, plmn, mode, string, prompts };
        for algorithm in [Algorithm::Ed25519, Algorithm::Esp256] {
            round_trip(by(Mode::Signed, kid, None, None), algorithm).unwrap();
            round_trip(by(Mode::Signed, kid, string, prompts), algorithm).unwrap();
            round_trip(by(Mode::String, kid, string, None), algorithm).unwrap();
            round_trip(by(Mode::Secret, None, None, prompts), algorithm).unwrap();
        }
        let refused = round_trip(by(Mode::Signed, kid, None, None), Algorithm::MlDsa44);
        assert_eq!(refused.unwrap_err().detail, Detail::UnknownAlgorithm);
    }
}
