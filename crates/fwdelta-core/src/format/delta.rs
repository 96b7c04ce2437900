//! The delta header (docs/format-delta.md, section 2): what a decoder must know before the payload.

use crate::error::{Detail, Error, Result};
use crate::format::cbor::{MapReader, Reader, Sink, Writer};
use crate::format::chain::{self, ChainStart};
pub use crate::format::pages::InPlace;
use crate::format::pages::PAGE_COUNT_MAX;
pub use crate::format::shape::{PREDICTED_LEN_MAX, Shape, StreamShape};
use crate::limits::{HEADER_LEN_MAX, Limits};

/// Version of the header and payload this implementation writes and reads.
pub const VERSION: u64 = 1;
/// First bytes of a stand-alone delta file, before the header in a byte string.
pub const MAGIC: [u8; 4] = *b"FWD\x01";
/// Bytes of every digest: SHA-256.
pub const DIGEST_LEN: usize = 32;
/// Smallest and largest base-two logarithm of coder 1's model entries.
pub const MODEL_LOG_MIN: u8 = 8;
/// See [`MODEL_LOG_MIN`].
pub const MODEL_LOG_MAX: u8 = 20;
/// Smallest and largest base-two logarithm of the decompressor's window.
pub const WINDOW_LOG_MIN: u8 = 10;
/// See [`WINDOW_LOG_MIN`].
pub const WINDOW_LOG_MAX: u8 = 30;
/// Smallest and largest block of coders 2 and 3, in bytes.
pub const BLOCK_LEN_MIN: u32 = 256;
/// See [`BLOCK_LEN_MIN`].
pub const BLOCK_LEN_MAX: u32 = 1 << 24;
/// Largest image length the format can express: positions are signed 64-bit.
pub const IMAGE_LEN_MAX: u64 = (1 << 62) - 1;

/// Keys of the header map.
mod key {
    pub(super) const VERSION: i64 = 0;
    pub(super) const CODER: i64 = 1;
    pub(super) const OLD_LEN: i64 = 2;
    pub(super) const OLD_DIGEST: i64 = 3;
    pub(super) const NEW_LEN: i64 = 4;
    pub(super) const NEW_DIGEST: i64 = 5;
    pub(super) const WORKSPACE_LEN: i64 = 6;
    pub(super) const PAYLOAD_LEN: i64 = 7;
    pub(super) const CHAIN: i64 = 8;
    pub(super) const CODER_PARAMETERS: i64 = 9;
    /// Regions of old: architecture, code or data, load base. Defined, not built in.
    pub(super) const REGIONS: i64 = 10;
    /// More keys that are defined, not built in: 11 segments of new, 12 listed covers, 13 resume.
    pub(super) const RESUME: i64 = 13;
    pub(super) const IN_PLACE: i64 = 14;
    /// Defined, not built in.
    pub(super) const TRANSFORMS: i64 = 15;
    pub(super) const UNDOES: i64 = 16;
}

/// Length and SHA-256 of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageId {
    /// Bytes.
    pub len: u64,
    /// SHA-256 of all bytes.
    pub digest: [u8; DIGEST_LEN],
}

/// How the payload is coded, with the coder's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coder {
    /// 0: the payload is the new image.
    Stored,
    /// 1: adaptive bits under a binary range coder (profile `plain`).
    Bits {
        /// Base-two logarithm of the number of 16-bit model entries.
        model_log: u8,
    },
    /// 2: streams by kind, in blocks, under a general decompressor (images of 2 GiB and more).
    Streams {
        /// Base-two logarithm of the decompressor's window.
        window_log: u8,
        /// Largest block, in bytes.
        block_len: u32,
    },
    /// 3: bsdiff control, difference and extra bytes under a general decompressor.
    Bsdiff {
        /// Base-two logarithm of the decompressor's window.
        window_log: u8,
        /// Bytes decompressed at a time.
        block_len: u32,
    },
    /// 4: predicted content under the small model (profiles `tiny`, `small`).
    Predicted(Shape),
    /// 5: predicted content under the large model (profile `max`).
    PredictedMax(Shape),
    /// 6: projected content, corrected by streams under a general decompressor (profile `fast`).
    Projected(StreamShape),
}

impl Coder {
    /// The number in the header.
    #[must_use]
    pub const fn id(&self) -> u64 {
        match self {
            Coder::Stored => 0,
            Coder::Bits { .. } => 1,
            Coder::Streams { .. } => 2,
            Coder::Bsdiff { .. } => 3,
            Coder::Predicted(_) => 4,
            Coder::PredictedMax(_) => 5,
            Coder::Projected(_) => 6,
        }
    }

    /// Whether its decoder can be saved and go on later, as in place needs it: coders 0, 1 and 4.
    #[must_use]
    pub const fn is_resumable(&self) -> bool {
        matches!(self, Coder::Stored | Coder::Bits { .. } | Coder::Predicted(_))
    }

    /// Whether it needs a general decompressor, which has no state that could be saved.
    #[must_use]
    pub const fn has_decompressor(&self) -> bool {
        matches!(self, Coder::Streams { .. } | Coder::Bsdiff { .. } | Coder::Projected(_))
    }

    /// The name used in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Coder::Stored => "stored",
            Coder::Bits { .. } => "bits",
            Coder::Streams { .. } => "streams",
            Coder::Bsdiff { .. } => "bsdiff",
            Coder::Predicted(_) => "predicted",
            Coder::PredictedMax(_) => "predicted-max",
            Coder::Projected(_) => "projected",
        }
    }

    fn emit_parameters<S: Sink>(&self, to: &mut Writer<S>) -> Result<()> {
        match *self {
            Coder::Stored => Ok(()),
            Coder::Bits { model_log } => {
                to.uint(key::CODER_PARAMETERS as u64)?;
                to.array(1)?;
                to.uint(model_log.into())
            }
            Coder::Streams { window_log, block_len } | Coder::Bsdiff { window_log, block_len } => {
                to.uint(key::CODER_PARAMETERS as u64)?;
                to.array(2)?;
                to.uint(window_log.into())?;
                to.uint(block_len.into())
            }
            Coder::Predicted(shape) | Coder::PredictedMax(shape) => {
                to.uint(key::CODER_PARAMETERS as u64)?;
                shape.emit(to, matches!(self, Coder::PredictedMax(_)))
            }
            Coder::Projected(shape) => {
                to.uint(key::CODER_PARAMETERS as u64)?;
                shape.emit(to)
            }
        }
    }
}

/// Everything a decoder must know before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaHeader {
    /// How the payload is coded.
    pub coder: Coder,
    /// The image this starts from; `None` for a full image.
    pub old: Option<ImageId>,
    /// The image this yields.
    pub new: ImageId,
    /// Working memory the decoder needs, in bytes, the decompressor's window included.
    pub workspace_len: u64,
    /// Bytes of payload as transported, chain hashes included.
    pub payload_len: u64,
    /// How the payload is cut and authenticated; absent in stand-alone files.
    pub chain: Option<ChainStart>,
    /// How the old image is rewritten in place; absent where new has a slot of its own.
    pub in_place: Option<InPlace>,
    /// The update that this one leads back from: the digest of its manifest, in a file that of its
    /// header.
    pub undoes: Option<[u8; DIGEST_LEN]>,
}

impl DeltaHeader {
    /// Reads a whole header.
    ///
    /// # Errors
    /// Format errors for what is not canonical or missing, `UnknownVersion`, `UnknownCoder`,
    /// `UnknownKey`, and `NotBuiltIn` for the keys reserved for later versions.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > HEADER_LEN_MAX {
            return Err(Detail::BadValue.into());
        }
        let mut reader = Reader::new(bytes);
        let mut map = reader.map()?;
        let mut fields = Fields::default();
        while let Some(key) = map_key(&mut map, &mut reader)? {
            fields.read(key, &mut reader)?;
        }
        reader.finish()?;
        fields.build()
    }

    /// Writes the header in its only form.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn emit<S: Sink>(&self, to: &mut Writer<S>) -> Result<()> {
        let parameters = u64::from(self.coder != Coder::Stored);
        let Self { old, chain, in_place, undoes, .. } = self;
        let optional = [old.is_some(), chain.is_some(), in_place.is_some(), undoes.is_some()];
        let optional = optional.iter().filter(|is_some| **is_some).count() as u64;
        to.map(7 + parameters + optional)?;
        for (key, value) in [
            (key::VERSION, VERSION),
            (key::CODER, self.coder.id()),
            (key::OLD_LEN, self.old.map_or(0, |old| old.len)),
        ] {
            to.uint(key as u64)?;
            to.uint(value)?;
        }
        if let Some(old) = &self.old {
            to.uint(key::OLD_DIGEST as u64)?;
            to.bytes(&old.digest)?;
        }
        to.uint(key::NEW_LEN as u64)?;
        to.uint(self.new.len)?;
        to.uint(key::NEW_DIGEST as u64)?;
        to.bytes(&self.new.digest)?;
        for (key, value) in
            [(key::WORKSPACE_LEN, self.workspace_len), (key::PAYLOAD_LEN, self.payload_len)]
        {
            to.uint(key as u64)?;
            to.uint(value)?;
        }
        if let Some(chain) = &self.chain {
            to.uint(key::CHAIN as u64)?;
            to.array(2)?;
            to.uint(chain.chunk_len.into())?;
            to.bytes(&chain.first_hash)?;
        }
        self.coder.emit_parameters(to)?;
        if let Some(in_place) = &self.in_place {
            to.uint(key::IN_PLACE as u64)?;
            in_place.emit(to)?;
        }
        if let Some(undoes) = &self.undoes {
            to.uint(key::UNDOES as u64)?;
            to.bytes(undoes)?;
        }
        Ok(())
    }

    /// Whether the payload is encrypted, as its manifest says.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.chain.is_some_and(|chain| chain.is_sealed)
    }

    /// Refuses what is larger than the caller allows, before anything is sized by it.
    ///
    /// # Errors
    /// `ImageTooLarge`, `ChunkTooLarge`, `WorkspaceTooSmall`.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let old_len = self.old.map_or(0, |old| old.len);
        if old_len > limits.image_len || self.new.len > limits.image_len {
            return Err(Detail::ImageTooLarge.into());
        }
        if self.chain.is_some_and(|chain| chain.chunk_len > limits.chunk_len) {
            return Err(Detail::ChunkTooLarge.into());
        }
        if self.workspace_len > limits.workspace_len {
            return Err(Detail::WorkspaceTooSmall.into());
        }
        Ok(())
    }
}

fn map_key<'a>(map: &mut MapReader<'a>, reader: &mut Reader<'a>) -> Result<Option<i64>> {
    map.int_key(reader)
}

/// What was read so far.
#[derive(Default)]
struct Fields {
    version: Option<u64>,
    coder: Option<u64>,
    old_len: Option<u64>,
    old_digest: Option<[u8; DIGEST_LEN]>,
    new_len: Option<u64>,
    new_digest: Option<[u8; DIGEST_LEN]>,
    workspace_len: Option<u64>,
    payload_len: Option<u64>,
    chain: Option<ChainStart>,
    parameters: Option<Parameters>,
    in_place: Option<InPlace>,
    undoes: Option<[u8; DIGEST_LEN]>,
}

/// Numbers in key 9 at most.
const PARAMETER_COUNT_MAX: usize = 11;

/// Key 9 as read.
#[derive(Clone, Copy)]
struct Parameters {
    numbers: [u64; PARAMETER_COUNT_MAX],
    count: usize,
}

impl Parameters {
    fn as_slice(&self) -> &[u64] {
        self.numbers.get(..self.count).unwrap_or(&[])
    }
}

impl Fields {
    fn read(&mut self, key: i64, from: &mut Reader<'_>) -> Result<()> {
        let error = |detail| Error::at(detail, from.pos());
        let (unknown, not_built_in) = (error(Detail::UnknownKey), error(Detail::NotBuiltIn));
        match key {
            key::VERSION => {
                let error = from.error(Detail::UnknownVersion);
                self.version = Some(from.uint()?);
                return if self.version == Some(VERSION) { Ok(()) } else { Err(error) };
            }
            key::CODER => {
                let error = from.error(Detail::UnknownCoder);
                let id = from.uint()?;
                self.coder = Some(id);
                return if id <= 6 { Ok(()) } else { Err(error) };
            }
            key::OLD_LEN => self.old_len = Some(image_len(from)?),
            key::OLD_DIGEST => self.old_digest = Some(*from.array_of()?),
            key::NEW_LEN => self.new_len = Some(image_len(from)?),
            key::NEW_DIGEST => self.new_digest = Some(*from.array_of()?),
            key::WORKSPACE_LEN => self.workspace_len = Some(from.uint()?),
            key::PAYLOAD_LEN => self.payload_len = Some(image_len(from)?),
            key::CHAIN => self.chain = Some(chain_start(from)?),
            key::CODER_PARAMETERS => self.parameters = Some(parameters(from)?),
            key::IN_PLACE => self.in_place = Some(InPlace::parse(from)?),
            key::UNDOES => self.undoes = Some(*from.array_of()?),
            key::REGIONS..=key::RESUME | key::TRANSFORMS => return Err(not_built_in),
            _ => return Err(unknown),
        }
        Ok(())
    }

    fn build(&self) -> Result<DeltaHeader> {
        const MISSING: Detail = Detail::MissingField;
        self.version.ok_or(MISSING)?;
        let coder = coder(self.coder.ok_or(MISSING)?, self.parameters)?;
        let old = match (self.old_len.ok_or(MISSING)?, self.old_digest) {
            (0, None) => None,
            (0, Some(_)) => return Err(Detail::BadValue.into()),
            (len, digest) => Some(ImageId { len, digest: digest.ok_or(MISSING)? }),
        };
        let new =
            ImageId { len: self.new_len.ok_or(MISSING)?, digest: self.new_digest.ok_or(MISSING)? };
        let workspace_len = self.workspace_len.ok_or(MISSING)?;
        let payload_len = self.payload_len.ok_or(MISSING)?;
        if let Some(chain) = &self.chain {
            chain.check(payload_len)?;
        }
        let is_predicted =
            matches!(coder, Coder::Predicted(_) | Coder::PredictedMax(_) | Coder::Projected(_));
        if is_predicted && new.len.max(old.map_or(0, |old| old.len)) >= PREDICTED_LEN_MAX {
            return Err(Detail::BadValue.into());
        }
        let Self { chain, in_place, undoes, .. } = *self;
        let pages = in_place.map_or(0, |in_place: InPlace| in_place.pages(new.len).count());
        if in_place.is_some() && (!coder.is_resumable() || pages > PAGE_COUNT_MAX) {
            return Err(Detail::BadValue.into());
        }
        Ok(DeltaHeader { coder, old, new, workspace_len, payload_len, chain, in_place, undoes })
    }
}

fn image_len(from: &mut Reader<'_>) -> Result<u64> {
    let error = from.error(Detail::BadValue);
    let len = from.uint()?;
    if len <= IMAGE_LEN_MAX { Ok(len) } else { Err(error) }
}

fn chain_start(from: &mut Reader<'_>) -> Result<ChainStart> {
    from.array_exact(2)?;
    let error = from.error(Detail::BadValue);
    let chunk_len = from.uint32()?;
    let first_hash = *from.array_of()?;
    let range = chain::CHUNK_LEN_MIN..=chain::CHUNK_LEN_MAX;
    let start = ChainStart { chunk_len, first_hash, is_sealed: false };
    if range.contains(&chunk_len) { Ok(start) } else { Err(error) }
}

fn parameters(from: &mut Reader<'_>) -> Result<Parameters> {
    let error = from.error(Detail::BadValue);
    let count = usize::try_from(from.array()?).unwrap_or(usize::MAX);
    if !(1..=PARAMETER_COUNT_MAX).contains(&count) {
        return Err(error);
    }
    let mut numbers = [0; PARAMETER_COUNT_MAX];
    for number in numbers.iter_mut().take(count) {
        *number = from.uint()?;
    }
    Ok(Parameters { numbers, count })
}

fn coder(id: u64, parameters: Option<Parameters>) -> Result<Coder> {
    let bad = Error::from(Detail::BadValue);
    let log = |value: u64, min: u8, max: u8| {
        u8::try_from(value).ok().filter(|log| (min..=max).contains(log)).ok_or(bad)
    };
    let block = |value: u64| {
        let len = u32::try_from(value).ok();
        len.filter(|len| (BLOCK_LEN_MIN..=BLOCK_LEN_MAX).contains(len)).ok_or(bad)
    };
    let numbers = match (id, &parameters) {
        (0, None) => return Ok(Coder::Stored),
        (0, Some(_)) => return Err(bad),
        (_, None) => return Err(Detail::MissingField.into()),
        (_, Some(parameters)) => parameters.as_slice(),
    };
    match (id, numbers) {
        (1, &[model]) => Ok(Coder::Bits { model_log: log(model, MODEL_LOG_MIN, MODEL_LOG_MAX)? }),
        (4, numbers) => Ok(Coder::Predicted(Shape::parse(numbers, false)?)),
        (5, numbers) => Ok(Coder::PredictedMax(Shape::parse(numbers, true)?)),
        (2 | 3, &[window, len]) => {
            let window_log = log(window, WINDOW_LOG_MIN, WINDOW_LOG_MAX)?;
            let block_len = block(len)?;
            Ok(match id {
                2 => Coder::Streams { window_log, block_len },
                _ => Coder::Bsdiff { window_log, block_len },
            })
        }
        (6, &[window, len, ref numbers @ ..]) => {
            let window_log = log(window, WINDOW_LOG_MIN, WINDOW_LOG_MAX)?;
            Ok(Coder::Projected(StreamShape::parse(window_log, block(len)?, numbers)?))
        }
        _ => Err(bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::cbor::SliceSink;
    use crate::format::shape::ENTRY_COUNT_MAX;

    fn header(coder: Coder) -> DeltaHeader {
        DeltaHeader {
            coder,
            old: Some(ImageId { len: 70_000, digest: [1; DIGEST_LEN] }),
            new: ImageId { len: 1 << 33, digest: [2; DIGEST_LEN] },
            workspace_len: 5_440,
            payload_len: 3_000,
            chain: Some(ChainStart {
                chunk_len: 1024,
                first_hash: [3; DIGEST_LEN],
                is_sealed: false,
            }),
            in_place: None,
            undoes: None,
        }
    }

    /// All of it different and in range.
    fn shape(is_max: bool) -> Shape {
        let large = |log: u8| if is_max { log } else { 0 };
        Shape {
            model_log: 12,
            memo_log: 6,
            value_log: 0,
            buffer_log: 9,
            old_segments: 3,
            new_segments: 4,
            runs: 70_000,
            covers: 300,
            has_inline: true,
            match_log: large(14),
            ring_log: large(15),
        }
    }

    fn bytes(header: &DeltaHeader, buf: &mut [u8; HEADER_LEN_MAX]) -> usize {
        let mut writer = Writer(SliceSink::new(buf));
        header.emit(&mut writer).unwrap();
        writer.0.written().len()
    }

    #[test]
    fn emitted_headers_parse_to_themselves() {
        let coders = [
            Coder::Stored,
            Coder::Bits { model_log: 11 },
            Coder::Streams { window_log: 23, block_len: 1 << 17 },
            Coder::Bsdiff { window_log: 20, block_len: 1 << 16 },
            Coder::Predicted(shape(false)),
            Coder::PredictedMax(shape(true)),
        ];
        for coder in coders {
            for (old, chain) in [(true, true), (true, false), (false, true), (false, false)] {
                let mut header = header(coder);
                header.new.len = 1 << 30;
                header.old = header.old.filter(|_| old);
                header.chain = header.chain.filter(|_| chain);
                header.undoes = Some([4; DIGEST_LEN]).filter(|_| old);
                let mut buf = [0; HEADER_LEN_MAX];
                let len = bytes(&header, &mut buf);
                assert_eq!(DeltaHeader::parse(&buf[..len]), Ok(header));
                for cut in 0..len {
                    assert!(DeltaHeader::parse(&buf[..cut]).is_err(), "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let mut buf = [0; HEADER_LEN_MAX];
        let len = bytes(&header(Coder::Bits { model_log: 11 }), &mut buf);
        let detail = |bytes: &[u8]| DeltaHeader::parse(bytes).unwrap_err().detail;
        let patched = |at: usize, value: u8| {
            let mut copy = buf;
            copy[at] = value;
            detail(&copy[..len])
        };
        assert_eq!(patched(2, 2), Detail::UnknownVersion);
        assert_eq!(patched(4, 7), Detail::UnknownCoder);
        assert_eq!(patched(len - 1, 7), Detail::BadValue);
        assert_eq!(patched(len - 3, 10), Detail::NotBuiltIn);
        assert_eq!(patched(len - 3, 15), Detail::NotBuiltIn);
        assert_eq!(patched(len - 3, 16), Detail::WrongType);
        assert_eq!(patched(len - 3, 17), Detail::UnknownKey);
        assert_eq!(patched(0, 0xa9), Detail::TrailingBytes);
    }

    #[test]
    fn refuses_tables_out_of_range() {
        let ranges = [(8, 24), (1, 18), (0, 18), (7, 20)];
        let ranges = ranges.into_iter().chain([(0, u64::from(ENTRY_COUNT_MAX)); 4]);
        let good: [u64; 11] = [12, 6, 3, 9, 3, 4, 70_000, 300, 1, 14, 15];
        let is_good = |numbers: &[u64], is_max| Shape::parse(numbers, is_max).is_ok();
        assert!(is_good(&good, true) && is_good(&good[..9], false));
        assert!(!is_good(&good, false) && !is_good(&good[..9], true) && !is_good(&[], false));
        let all = ranges.chain([(0, 1), (8, 24), (8, 24)]);
        for (at, (least, most)) in all.enumerate() {
            let with = |number: u64| {
                let mut numbers = good;
                numbers[at] = number;
                is_good(&numbers, true)
            };
            assert!(with(least) && with(most) && !with(most + 1) && !with(u64::MAX), "{at}");
            assert!(least == 0 || !with(least - 1), "{at}");
        }
    }

    #[test]
    fn predicts_no_longer_images_than_positions_hold() {
        let mut buf = [0; HEADER_LEN_MAX];
        for (len, is_held) in [(PREDICTED_LEN_MAX - 1, true), (PREDICTED_LEN_MAX, false)] {
            let mut header = header(Coder::Predicted(shape(false)));
            header.new.len = len;
            let bytes_len = bytes(&header, &mut buf);
            assert_eq!(DeltaHeader::parse(&buf[..bytes_len]).is_ok(), is_held);
        }
    }

    #[test]
    fn refuses_a_chain_that_does_not_fit_the_payload() {
        let mut buf = [0; HEADER_LEN_MAX];
        for (payload_len, fits) in [(1024, true), (1025, false), (1056, false), (1057, true)] {
            let header = DeltaHeader { payload_len, ..header(Coder::Stored) };
            let len = bytes(&header, &mut buf);
            assert_eq!(DeltaHeader::parse(&buf[..len]).is_ok(), fits, "{payload_len}");
        }
    }
}
