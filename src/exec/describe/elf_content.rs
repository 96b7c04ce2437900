//! Which bytes of an ELF file are code, of which instruction set, and which are exception tables.

use super::blocks::{CODE_ONLY, classify};
use super::bytes::slice;
use super::elf::{ET_REL, Header, PT_LOAD, Section, Shape, name};
use super::runs::{Patch, disjoint, gaps};
use super::score::{BLOCK_LEN, ISAS, evidence_of_blocks, isa_of};
use fwdelta_core::exec::layout::{Class, Content, Segment};

const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PF_X: u32 = 1;
const SHT_SYMTAB: u32 = 2;
/// Pointer encoding of the only kind of header that linkers write: relative, 4 bytes, signed.
const DW_EH_PE_PCREL_SDATA4: u8 = 0x1b;

/// Code and exception tables by position; what is between them is data.
pub(super) fn patches(
    shape: &Shape,
    header: &Header,
    segments: &[Segment],
    code: Option<Class>,
) -> Vec<Patch> {
    let file_len = shape.bytes.len() as u64;
    let tables = disjoint(exception_tables(shape, header, segments), file_len);
    let Some(code) = code else { return tables };
    let sections = header.sections.iter().filter(|section| section.is_code());
    let sections =
        sections.map(|section| Patch { pos: section.pos, len: section.len, class: code });
    let sections: Vec<_> = sections.collect();
    let has_sections = !sections.is_empty();
    let runs_code = |header: &u32| header & PF_X != 0;
    let loaded = header.program.iter().filter(|entry| entry.kind == PT_LOAD);
    let loaded = loaded.filter(|entry| runs_code(&entry.flags));
    let loaded = loaded.map(|entry| Patch { pos: entry.pos, len: entry.len, class: code });
    let areas = if has_sections { sections } else { loaded.collect() };
    let states = arm_states(shape, header, segments, code);
    let mut patches = tables.clone();
    for area in disjoint(areas, file_len) {
        for (pos, len) in gaps(&tables, area.pos, area.end()) {
            let part = Patch { pos, len, class: code };
            patches.extend(code_within(shape.bytes, part, has_sections, &states));
        }
    }
    disjoint(patches, file_len)
}

/// A section of code is code from end to end, but on Arm of two instruction sets; in a segment
/// there may be anything.
pub(super) fn code_within(
    bytes: &[u8],
    area: Patch,
    is_section: bool,
    states: &[Patch],
) -> Vec<Patch> {
    let is_arm = area.class.content == Content::Thumb;
    let Some(isa) = isa_of(area.class).filter(|_| is_arm || !is_section) else {
        return vec![area];
    };
    let first = states.partition_point(|state| state.end() <= area.pos);
    let known = states.get(first..).unwrap_or(&[]);
    if is_section && known.first().is_some_and(|state| state.pos <= area.pos) {
        return within(known, area);
    }
    let Some(bytes) = slice(bytes, area.pos, area.len) else { return Vec::new() };
    let is_arm_isa = |isa: &usize| matches!(ISAS[*isa].content, Content::A32 | Content::Thumb);
    let arm = (0..ISAS.len()).filter(is_arm_isa);
    let allowed: Vec<usize> = if is_arm { arm.collect() } else { vec![isa] };
    let classes = classify(
        &evidence_of_blocks(bytes, &allowed),
        &allowed,
        if is_section { CODE_ONLY } else { 0 },
    );
    let blocks = classes.iter().zip((0u64..).step_by(BLOCK_LEN)).filter_map(|(isa, at)| {
        let class = Class { content: ISAS[(*isa)?].content, ..area.class };
        Some(Patch { pos: area.pos + at, len: (area.len - at).min(BLOCK_LEN as u64), class })
    });
    blocks.collect()
}

/// The parts of ascending patches that lie in `area`.
fn within(patches: &[Patch], area: Patch) -> Vec<Patch> {
    let inside = patches.iter().take_while(|patch| patch.pos < area.end());
    let cut = inside.map(|patch| {
        let pos = patch.pos.max(area.pos);
        Patch { pos, len: patch.end().min(area.end()) - pos, ..*patch }
    });
    cut.collect()
}

/// From each mapping symbol `$a` or `$t` up to the next (ELF for the Arm Architecture, 5.5.5).
/// Literals, behind `$d`, belong to the code before them.
fn arm_states(shape: &Shape, header: &Header, segments: &[Segment], code: Class) -> Vec<Patch> {
    let table = header.sections.iter().find(|section| section.kind == SHT_SYMTAB);
    let Some(table) = table.filter(|_| code.content == Content::Thumb && header.kind != ET_REL)
    else {
        return Vec::new();
    };
    let Some(names) = header.sections.get(table.link as usize) else { return Vec::new() };
    let symbols = slice(shape.bytes, table.pos, table.len).unwrap_or(&[]).as_chunks::<16>().0;
    let mut starts: Vec<(u64, Content)> = symbols
        .iter()
        .filter_map(|symbol| {
            let symbol = Shape { bytes: symbol, ..*shape };
            let content = match name(shape, names, symbol.word(0)?)? {
                [b'$', b'a', 0 | b'.', ..] => Content::A32,
                [b'$', b't', 0 | b'.', ..] => Content::Thumb,
                _ => return None,
            };
            Some((pos_of(segments, u64::from(symbol.word(4)?))?, content))
        })
        .collect();
    starts.sort();
    let ends = starts.iter().skip(1).map(|(pos, _)| *pos).chain([shape.bytes.len() as u64]);
    let states = starts.iter().zip(ends).map(|((pos, content), end)| {
        let class = Class { content: *content, ..code };
        Patch { pos: *pos, len: end.saturating_sub(*pos), class }
    });
    states.filter(|state| state.len > 0).collect()
}

/// The position of the byte that is loaded at an address.
fn pos_of(segments: &[Segment], addr: u64) -> Option<u64> {
    let holds = |segment: &&Segment| addr.wrapping_sub(segment.addr) < segment.len;
    segments.iter().find(holds).map(|segment| segment.pos + (addr - segment.addr))
}

fn exception_tables(shape: &Shape, header: &Header, segments: &[Segment]) -> Vec<Patch> {
    let frame = Class { content: Content::EhFrame, ..shape.data() };
    let frame_header = Class { content: Content::EhFrameHdr, ..shape.data() };
    let names = header.sections.get(usize::from(header.names));
    let kind = |section: &Section| match name(shape, names?, section.name)? {
        [b'.', b'e', b'h', b'_', b'f', b'r', b'a', b'm', b'e', 0, ..] => Some(frame),
        rest if rest.starts_with(b".eh_frame_hdr\0") => Some(frame_header),
        _ => None,
    };
    if !header.sections.is_empty() {
        let stored = header.sections.iter().filter(|section| section.is_stored());
        let found = stored.filter_map(|section| {
            Some(Patch { pos: section.pos, len: section.len, class: kind(section)? })
        });
        return found.collect();
    }
    let entry = header.program.iter().find(|entry| entry.kind == PT_GNU_EH_FRAME);
    let Some(entry) = entry else { return Vec::new() };
    let hdr = Patch { pos: entry.pos, len: entry.len, class: frame_header };
    let frames = frames_of(shape, hdr, segments).map(|(pos, len)| Patch { pos, len, class: frame });
    std::iter::once(hdr).chain(frames).collect()
}

/// Where the header of the exception table says the frames are, up to the one of no length.
fn frames_of(shape: &Shape, hdr: Patch, segments: &[Segment]) -> Option<(u64, u64)> {
    let encoding = *slice(shape.bytes, hdr.pos, hdr.len)?.get(1)?;
    if encoding != DW_EH_PE_PCREL_SDATA4 {
        return None;
    }
    let segment = segments.iter().find(|s| hdr.pos.wrapping_sub(s.pos) < s.len)?;
    let field_addr = segment.addr.wrapping_add(hdr.pos - segment.pos).wrapping_add(4);
    let offset = shape.word(hdr.pos.checked_add(4)?)? as i32;
    let start = pos_of(segments, field_addr.wrapping_add_signed(i64::from(offset)))?;
    let mut pos = start;
    while let Some(len @ 1..) = shape.word(pos) {
        let next = pos.checked_add(u64::from(len) + 4)?;
        if next > shape.bytes.len() as u64 {
            break;
        }
        pos = next;
    }
    Some((start, pos - start))
}
