//! ELF files without the blocks of zeros between their segments: makers of file systems leave
//! such blocks out, so that what follows stands earlier than the headers say.

use super::elf;
use super::embedded::Embedded;
use super::runs::Patch;
use fwdelta_core::exec::layout::Segment;

/// Lengths of blocks in file systems.
const BLOCK_LENS: [u64; 3] = [4096, 1024, 2048];
/// Linkers align segments to 64 KiB at most, or to 2 MiB on request.
const HOLE_LEN_MAX: u64 = 2 << 20;
const HOLES_MAX: usize = 8;

/// A part of a file that is not stored; positions in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    pos: u64,
    len: u64,
}

/// Reads the file of which `stored` has all but blocks between segments, if filling them in makes
/// it whole. Positions are those in `stored`.
pub(super) fn parse(stored: &[u8], loads: &[(u64, u64)]) -> Option<Embedded> {
    // A segment of data may begin with zeros as well.
    let shapes =
        BLOCK_LENS.iter().flat_map(|block_len| [(*block_len, 0), (*block_len, *block_len)]);
    let mut tried: Vec<Vec<Hole>> = vec![Vec::new()];
    for (block_len, more_len) in shapes {
        let holes = holes(loads, block_len, more_len);
        if tried.contains(&holes) {
            continue;
        }
        if let Some(embedded) = with_holes(stored, &holes) {
            return Some(embedded);
        }
        tried.push(holes);
    }
    None
}

/// The blocks between segments in which there is no byte of either, and `more_len` bytes of the
/// second one.
fn holes(loads: &[(u64, u64)], block_len: u64, more_len: u64) -> Vec<Hole> {
    let stored: Vec<_> = loads.iter().filter(|(_, len)| *len > 0).collect();
    let between = stored.windows(2).filter_map(|pair| {
        let pos = pair[0].0.checked_add(pair[0].1)?.checked_next_multiple_of(block_len)?;
        let end = (pair[1].0 / block_len * block_len).checked_add(more_len)?;
        let len = end.checked_sub(pos).filter(|len| (1..=HOLE_LEN_MAX).contains(len))?;
        Some(Hole { pos, len })
    });
    between.take(HOLES_MAX).collect()
}

fn with_holes(stored: &[u8], holes: &[Hole]) -> Option<Embedded> {
    let mut rest = stored;
    let mut bytes = Vec::new();
    for hole in holes {
        let len = usize::try_from(hole.pos).ok()?.checked_sub(bytes.len())?;
        let (before, behind) = rest.split_at_checked(len)?;
        bytes.extend_from_slice(before);
        bytes.resize(bytes.len() + hole.len as usize, 0);
        rest = behind;
    }
    bytes.extend_from_slice(rest);
    let file = elf::parse(&bytes).filter(elf::ElfFile::is_whole)?;
    let patches = file.patches(file.len);
    let segments = file.segments.iter().filter_map(|segment| stored_part(*segment, holes));
    let patches = patches.iter().map(|patch| {
        let pos = stored_pos(patch.pos, holes);
        Patch { pos, len: stored_pos(patch.end(), holes) - pos, ..*patch }
    });
    let patches = patches.filter(|patch| patch.len > 0).collect();
    Some(Embedded { segments: segments.collect(), patches })
}

/// A segment without the zeros at its start that are not stored.
fn stored_part(segment: Segment, holes: &[Hole]) -> Option<Segment> {
    let around = holes.iter().find(|hole| segment.pos.wrapping_sub(hole.pos) < hole.len);
    let missing = around.map_or(0, |hole| hole.pos + hole.len - segment.pos);
    let end = segment.pos + segment.len;
    let pos = stored_pos(segment.pos, holes);
    Some(Segment {
        pos,
        len: stored_pos(end, holes) - pos,
        addr: segment.addr.checked_add(missing)?,
        span: segment.span.checked_sub(missing)?,
        module: segment.module,
    })
}

/// Where a byte of the file is stored, or would be but for the hole it is in.
fn stored_pos(pos: u64, holes: &[Hole]) -> u64 {
    let missing = |hole: &Hole| pos.saturating_sub(hole.pos).min(hole.len);
    pos - holes.iter().map(missing).sum::<u64>()
}
