//! Classic BSDIFF40 files, for other people's `bspatch` and from other people's `bsdiff`.
//!
//! Layout (C. Percival, bsdiff 4): magic, the lengths of the packed control and difference
//! blocks and of new, then control, differences and extra bytes, each a bzip2 stream. Numbers are
//! 64-bit sign-magnitude, least byte first.

use std::io::Read as _;

use bzip2::Compression;
use bzip2::read::{BzDecoder, BzEncoder};
use fwdelta_core::codec::bsdiff::CONTROL_LEN;
use fwdelta_core::codec::{Decompressor, Flow};
use fwdelta_core::format::delta::{BLOCK_LEN_MIN, Coder, DeltaHeader, ImageId, WINDOW_LOG_MIN};
use fwdelta_core::storage::{Source, Target};
use fwdelta_core::{Detail, Limits, apply::memory_len};

use super::VecTarget;
use super::apply::drive;
use crate::codec::Script;
use crate::error::{Error, Result};
use crate::matching::{self, Costs};
use crate::progress::{Progress, Stage, checkpoint};

const MAGIC: &[u8; 8] = b"BSDIFF40";
const HEADER_LEN: usize = 32;
/// Bytes of control unpacked at most, two million covers: bzip2 packs zeros a million to one, so
/// what a small file may claim needs a bound of its own.
const CONTROL_LEN_MAX: u64 = 48 << 20;
/// Largest new image of a BSDIFF40 file, for the same reason: its streams are held unpacked. A
/// larger image needs a delta of our own format.
const NEW_LEN_MAX: u64 = 1 << 30;

/// Whether `bytes` start like a BSDIFF40 file.
#[must_use]
pub fn is_bsdiff40(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Makes a BSDIFF40 file that turns `old` into `new`; applied and compared, as every delta.
///
/// # Errors
/// [`Error::Cancelled`], and `Bug` when the result differs.
pub fn create(old: &[u8], new: &[u8], threads: usize, progress: &dyn Progress) -> Result<Vec<u8>> {
    let covers = super::create::with_threads(threads, || {
        matching::plain_covers(old, new, &Costs::BSDIFF40, progress)
    })?;
    checkpoint(progress, Stage::Encode, 0, new.len() as u64)?;
    let [control, differences, extra] = streams(&Script { old, new, covers: &covers });
    let packed = [pack(&control)?, pack(&differences)?, pack(&extra)?];
    let mut file = MAGIC.to_vec();
    for len in [packed[0].len(), packed[1].len(), new.len()] {
        file.extend_from_slice(&(len as u64).to_le_bytes());
    }
    file.extend(packed.concat());
    let mut result = VecTarget::default();
    let limits = Limits { image_len: u64::MAX, workspace_len: u64::MAX, ..Limits::LINUX };
    apply(&mut { old }, old.len() as u64, &file, &mut result, &limits, progress)?;
    if result.0 == new { Ok(file) } else { Err(Detail::Bug.into()) }
}

/// Control, differences and extra bytes: a triple is a cover, the literals after it, and the way
/// to the next cover.
fn streams(script: &Script<'_>) -> [Vec<u8>; 3] {
    let [mut control, mut differences, mut extra] = [const { Vec::new() }; 3];
    let (mut cover_len, mut old_pos) = (0u64, 0u64);
    let mut triple = |cover_len: u64, literal_len: usize, seek: i64| {
        let sign = u64::from(seek < 0) << 63;
        for word in [cover_len, literal_len as u64, seek.unsigned_abs() | sign] {
            control.extend_from_slice(&word.to_le_bytes());
        }
    };
    for part in script.parts() {
        triple(cover_len, part.literals.len(), part.old_pos as i64 - old_pos as i64);
        extra.extend_from_slice(part.literals);
        differences.extend(part.new.iter().zip(part.old).map(|(new, old)| new.wrapping_sub(*old)));
        cover_len = part.new.len() as u64;
        old_pos = part.old_pos + cover_len;
    }
    if !script.new.is_empty() {
        triple(cover_len, script.rest().len(), 0);
    }
    extra.extend_from_slice(script.rest());
    [control, differences, extra]
}

fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = Vec::new();
    let mut encoder = BzEncoder::new(bytes, Compression::best());
    encoder.read_to_end(&mut packed).map_err(|_| Detail::Bug)?;
    Ok(packed)
}

/// Applies a BSDIFF40 file through core's interpreter; gives the length of new.
///
/// There are no digests in such a file: nothing is known about old, and the result is as good as
/// the file.
///
/// # Errors
/// `BadMagic`, `Truncated`, `ImageTooLarge`, `BadStream`, `BadCover`, and storage errors.
pub fn apply<S: Source, T: Target>(
    old: &mut S,
    old_len: u64,
    file: &[u8],
    new: &mut T,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<u64> {
    let (new_len, stream) = transcode(file, limits)?;
    if stream.is_empty() && new_len == 0 {
        return Ok(0);
    }
    let unknown = [0; 32];
    let mut header = DeltaHeader {
        coder: Coder::Bsdiff { window_log: WINDOW_LOG_MIN, block_len: 16 * BLOCK_LEN_MIN },
        old: Some(ImageId { len: old_len, digest: unknown }).filter(|old| old.len > 0),
        new: ImageId { len: new_len, digest: unknown },
        workspace_len: 0,
        payload_len: stream.len() as u64,
        chain: None,
        in_place: None,
        undoes: None,
    };
    header.workspace_len = memory_len(&header)?;
    let mut plain = Plain { left: header.payload_len };
    let mut work = Vec::new();
    drive(old, &header, &stream, new, &mut plain, &mut work, limits, progress)?;
    new.sync().map_err(|_| Detail::WriteFailed)?;
    Ok(new_len)
}

/// Unpacks the three streams and interleaves them in coder 3's order.
fn transcode(file: &[u8], limits: &Limits) -> Result<(u64, Vec<u8>)> {
    let header: &[u8; HEADER_LEN] = file.first_chunk().ok_or(Detail::Truncated)?;
    let (words, _) = header.as_chunks::<8>();
    if words[0] != *MAGIC {
        return Err(Detail::BadMagic.into());
    }
    let [control_len, difference_len, new_len] =
        [words[1], words[2], words[3]].map(u64::from_le_bytes);
    if new_len > limits.image_len.min(NEW_LEN_MAX) {
        return Err(Detail::ImageTooLarge.into());
    }
    let rest = &file[HEADER_LEN..];
    let (control, rest) = cut(rest, control_len)?;
    let (differences, extra) = cut(rest, difference_len)?;
    let control_max = new_len.saturating_add(1).saturating_mul(CONTROL_LEN as u64);
    let control_max = control_max.min(CONTROL_LEN_MAX);
    let control = unpack(control, control_max)?;
    let differences = unpack(differences, new_len)?;
    let extra = unpack(extra, new_len - differences.len() as u64)?;
    let stream = interleave(&control, &differences, &extra)?;
    Ok((new_len, stream))
}

fn cut(bytes: &[u8], len: u64) -> Result<(&[u8], &[u8])> {
    let len = usize::try_from(len).map_err(|_| Detail::Truncated)?;
    bytes.split_at_checked(len).ok_or(Detail::Truncated.into())
}

/// Unpacks at most `len_max` bytes; more is an error.
fn unpack(packed: &[u8], len_max: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut decoder = BzDecoder::new(packed).take(len_max.saturating_add(1));
    decoder.read_to_end(&mut bytes).map_err(|_| Error::from(Detail::BadStream))?;
    if bytes.len() as u64 > len_max { Err(Detail::BadStream.into()) } else { Ok(bytes) }
}

/// Lengths that do not fit their stream, as negative ones, are `BadCover`; the interpreter checks
/// everything else.
fn interleave<'a>(
    control: &[u8],
    mut differences: &'a [u8],
    mut extra: &'a [u8],
) -> Result<Vec<u8>> {
    let mut stream = Vec::with_capacity(control.len() + differences.len() + extra.len());
    let (triples, rest) = control.as_chunks::<CONTROL_LEN>();
    for triple in triples {
        let (words, _) = triple.as_chunks::<8>();
        stream.extend_from_slice(triple);
        for (word, bytes) in words.iter().zip([&mut differences, &mut extra]) {
            let len = usize::try_from(u64::from_le_bytes(*word)).map_err(|_| Detail::BadCover)?;
            stream.extend_from_slice(bytes.split_off(..len).ok_or(Detail::BadCover)?);
        }
    }
    let whole = rest.is_empty() && differences.is_empty() && extra.is_empty();
    if whole { Ok(stream) } else { Err(Detail::BadStream.into()) }
}

/// A decompressor that copies: the stream was unpacked before.
struct Plain {
    left: u64,
}

impl Decompressor for Plain {
    fn start(&mut self, _: u8) -> fwdelta_core::Result<()> {
        Ok(())
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> fwdelta_core::Result<Flow> {
        let len = input.len().min(output.len());
        output[..len].copy_from_slice(&input[..len]);
        self.left = self.left.saturating_sub(len as u64);
        Ok(Flow { consumed: len, produced: len, done: self.left == 0 })
    }
}
