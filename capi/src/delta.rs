//! A delta that was authenticated elsewhere: its header, and where its payload is.

use fwdelta_core::apply::Applier;
use fwdelta_core::apply::in_place::Areas;
use fwdelta_core::format::cbor::{Major, Reader};
use fwdelta_core::format::delta::{Coder, DeltaHeader, MAGIC};
use fwdelta_core::limits::HEADER_LEN_MAX;
use fwdelta_core::storage::Source;
use fwdelta_core::{Detail, Error, Limits, Result};

use crate::{abi, sealed};

/// Bytes before the header in a delta file: the magic, then the head of a byte string.
const HEAD_LEN_MAX: usize = MAGIC.len() + 3;

/// The bytes of the header.
pub(crate) fn header_bytes(delta: &abi::Delta) -> &[u8] {
    delta.header.get(..usize::from(delta.header_len)).unwrap_or(&[])
}

/// The header, within `limits`.
///
/// # Errors
/// As [`DeltaHeader::parse`] and [`DeltaHeader::check`]; `PayloadSize` if it states another length
/// of payload.
pub(crate) fn header(delta: &abi::Delta, limits: &Limits) -> Result<DeltaHeader> {
    let mut header = DeltaHeader::parse(header_bytes(delta))?;
    sealed::mark(&mut header, delta)?;
    if header.payload_len != delta.payload_len {
        return Err(Detail::PayloadSize.into());
    }
    header.check(limits)?;
    Ok(header)
}

/// What a header says.
pub(crate) fn info(delta: &abi::Delta, limits: &Limits) -> Result<abi::DeltaInfo> {
    let header = header(delta, limits)?;
    let old_len = header.old.map_or(0, |old| old.len);
    let slot_len = header.in_place.map_or(0, |in_place| {
        let pages = in_place.pages(header.new.len);
        pages.whole_len().max(old_len)
    });
    Ok(abi::DeltaInfo {
        old_len,
        new_len: header.new.len,
        payload_len: header.payload_len,
        work_len: Applier::workspace(&header)?,
        slot_len,
        has_old: u8::from(header.old.is_some()),
        needs_decompressor: u8::from(needs_decompressor(&header)),
        in_place: u8::from(header.in_place.is_some()),
        spare_count: header.in_place.map_or(0, |in_place| in_place.spare_count),
        page_len: header.in_place.map_or(0, |in_place| {
            u32::try_from(in_place.pages(header.new.len).largest()).unwrap_or(u32::MAX)
        }),
        old_digest: header.old.map_or([0; 32], |old| old.digest),
        new_digest: header.new.digest,
    })
}

/// Whether the coder reads streams under a general decompressor.
pub(crate) const fn needs_decompressor(header: &DeltaHeader) -> bool {
    matches!(header.coder, Coder::Streams { .. } | Coder::Bsdiff { .. } | Coder::Projected(_))
}

/// Bytes of scratch flash for an update in place.
pub(crate) fn scratch_len(
    delta: &abi::Delta,
    limits: &Limits,
    write_len: u16,
    work: &mut [u8],
) -> Result<u64> {
    Ok(Areas::of(&header(delta, limits)?, write_len, work)?.scratch_len())
}

/// Reads the head of a delta file of `len` bytes (docs/format-delta.md, section 1).
///
/// # Errors
/// `BadMagic`, `ReadFailed`; `BadValue` for a header that is too long or has a chain, which files
/// do not; as [`DeltaHeader::parse`]; `PayloadSize` and `TrailingBytes` for another length.
pub(crate) fn of_file<S: Source>(file: &mut S, len: u64) -> Result<abi::Delta> {
    let mut head = [0; HEAD_LEN_MAX];
    let (magic, rest) = head.split_at_mut_checked(MAGIC.len()).ok_or(Detail::Bug)?;
    fill(file, 0, len, magic, Detail::BadMagic)?;
    if *magic != MAGIC {
        return Err(Detail::BadMagic.into());
    }
    let magic_len = MAGIC.len() as u64;
    let there = usize::try_from(len - magic_len).unwrap_or(usize::MAX).min(rest.len());
    let rest = rest.get_mut(..there).ok_or(Detail::Bug)?;
    fill(file, magic_len, len, rest, Detail::Truncated)?;
    let mut reader = Reader::with_base(rest, magic_len);
    let header_len = reader.expect(Major::Bytes)?;
    let header_pos = reader.pos();
    let mut delta = abi::Delta {
        abi: abi::ABI_VERSION,
        header_len: u16::try_from(header_len).unwrap_or(u16::MAX),
        cipher: 0,
        payload_pos: header_pos.saturating_add(header_len),
        payload_len: 0,
        decision: [0; 32],
        header: [0; HEADER_LEN_MAX],
    };
    let room = usize::try_from(header_len).ok().and_then(|len| delta.header.get_mut(..len));
    let room = room.ok_or(Error::at(Detail::BadValue, header_pos))?;
    fill(file, header_pos, len, room, Detail::Truncated)?;
    let header = DeltaHeader::parse(room)?;
    delta.payload_len = header.payload_len;
    let payload_len = len.checked_sub(delta.payload_pos).ok_or(Detail::Truncated)?;
    match (header.chain, payload_len.checked_sub(header.payload_len)) {
        (Some(_), _) => Err(Detail::BadValue.into()),
        (None, None) => Err(Detail::PayloadSize.into()),
        (None, Some(0)) => Ok(delta),
        (None, Some(_)) => Err(Detail::TrailingBytes.into()),
    }
}

/// Reads `buf` from `pos` of a file of `len` bytes.
fn fill<S: Source>(file: &mut S, pos: u64, len: u64, buf: &mut [u8], short: Detail) -> Result<()> {
    let end = pos.checked_add(buf.len() as u64);
    end.filter(|end| *end <= len).ok_or(Error::at(short, pos))?;
    file.read(pos, buf).map_err(|_| Error::at(Detail::ReadFailed, pos))
}
