//! ELF files (System V ABI, chapters 4 and 5): their segments, and what their sections hold.
//!
//! No number of a header is believed: what does not lie inside the file does not exist.

use super::bytes::{slice, u16_at, u32_at, u64_at};
use super::elf_content;
use super::runs::{Patch, fill};
use fwdelta_core::exec::layout::{Class, Content, Segment};

pub(super) const PT_LOAD: u32 = 1;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
pub(super) const ET_REL: u16 = 1;
/// Processor flag of Arm files with big-endian data but little-endian instructions.
const EF_ARM_BE8: u32 = 0x0080_0000;

/// What an ELF file says of itself; positions count from its first byte.
pub(super) struct ElfFile<'a> {
    shape: Shape<'a>,
    header: Header,
    /// Segments by position, all of module 0.
    pub(super) segments: Vec<Segment>,
    /// Bytes up to the end of the last segment, section or table.
    pub(super) len: u64,
}

impl ElfFile<'_> {
    /// Whether the table of sections is where the header says: nothing is missing before it.
    pub(super) fn is_whole(&self) -> bool {
        !self.header.sections.is_empty()
    }

    /// What the bytes up to `end` are, without gaps.
    pub(super) fn patches(&self, end: u64) -> Vec<Patch> {
        let code = code_class(&self.header, &self.shape);
        let bytes = self.shape.bytes.get(..usize::try_from(end).unwrap_or(usize::MAX));
        let shape = Shape { bytes: bytes.unwrap_or(self.shape.bytes), ..self.shape };
        let patches = elf_content::patches(&shape, &self.header, &self.segments, code);
        fill(&patches, 0, end, self.shape.data())
    }

    /// Positions and lengths of what is loaded, as the headers say, even if it is not there.
    pub(super) fn loads(&self) -> Vec<(u64, u64)> {
        let loads = self.header.program.iter().filter(|header| header.kind == PT_LOAD);
        loads.map(|header| (header.pos, header.len)).collect()
    }

    /// Entries of both tables: what it cost to look at the file.
    pub(super) fn entry_count(&self) -> usize {
        self.header.program.len() + self.header.sections.len()
    }
}

/// A file's bytes and the shape of its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) wide: bool,
    pub(super) big_endian: bool,
}

impl Shape<'_> {
    fn half(&self, pos: u64) -> Option<u16> {
        u16_at(self.bytes, usize::try_from(pos).ok()?, self.big_endian)
    }

    pub(super) fn word(&self, pos: u64) -> Option<u32> {
        u32_at(self.bytes, usize::try_from(pos).ok()?, self.big_endian)
    }

    /// An address or a size.
    fn native(&self, pos: u64) -> Option<u64> {
        let at = usize::try_from(pos).ok()?;
        if self.wide {
            return u64_at(self.bytes, at, self.big_endian);
        }
        u32_at(self.bytes, at, self.big_endian).map(u64::from)
    }

    /// The number at `narrow_pos` in 32-bit tables and at `wide_pos` in 64-bit ones.
    fn either(&self, entry: u64, narrow_pos: u64, wide_pos: u64) -> Option<u64> {
        self.native(entry.checked_add(if self.wide { wide_pos } else { narrow_pos })?)
    }

    /// How data looks in this file.
    pub(super) fn data(&self) -> Class {
        Class { content: Content::Data, wide: self.wide, big_endian: self.big_endian }
    }
}

/// One entry of the program header table.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProgramHeader {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) pos: u64,
    addr: u64,
    pub(super) len: u64,
    span: u64,
}

/// One entry of the section header table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Where the name starts in the table of names.
    pub(super) name: u32,
    pub(super) kind: u32,
    flags: u64,
    pub(super) pos: u64,
    pub(super) len: u64,
    /// For symbols, the section of their names.
    pub(super) link: u32,
}

impl Section {
    /// Loaded, with bytes in the file.
    pub(super) fn is_stored(&self) -> bool {
        self.flags & SHF_ALLOC != 0 && self.kind != SHT_NOBITS
    }

    pub(super) fn is_code(&self) -> bool {
        self.is_stored() && self.flags & SHF_EXECINSTR != 0
    }
}

/// The fields of the file header that matter here.
pub(super) struct Header {
    pub(super) kind: u16,
    machine: u16,
    flags: u32,
    pub(super) program: Vec<ProgramHeader>,
    /// Empty unless all of them lie in the file.
    pub(super) sections: Vec<Section>,
    tables_end: u64,
    /// The section of the names of sections.
    pub(super) names: u16,
}

/// Reads the ELF file that starts with `bytes` and may end before them; `None` if there is none.
pub(super) fn parse(bytes: &[u8]) -> Option<ElfFile<'_>> {
    let shape = shape(bytes)?;
    let header = header(&shape)?;
    let segments = match header.kind {
        ET_REL => relocatable_segments(&header.sections),
        _ => loaded_segments(&shape, &header.program),
    };
    let len = file_len(&header, bytes.len() as u64);
    (!segments.is_empty()).then_some(ElfFile { shape, header, segments, len })
}

/// The end of what the headers point to, at most `available`.
fn file_len(header: &Header, available: u64) -> u64 {
    let loaded = header.program.iter().filter(|program| program.kind == PT_LOAD);
    let loaded = loaded.map(|program| program.pos.saturating_add(program.len));
    let stored = header.sections.iter().filter(|section| section.kind != SHT_NOBITS);
    let stored = stored.map(|section| section.pos.saturating_add(section.len));
    loaded.chain(stored).chain([header.tables_end]).max().unwrap_or(0).min(available)
}

/// Magic, class, byte order and version.
fn shape(bytes: &[u8]) -> Option<Shape<'_>> {
    let [0x7f, b'E', b'L', b'F', class @ 1..=2, order @ 1..=2, 1, ..] = *bytes else { return None };
    Some(Shape { bytes, wide: class == 2, big_endian: order == 2 })
}

/// The lengths of the file header and of the entries of both tables, by class.
const HEADER_LENS: [(u16, u16, u16); 2] = [(52, 32, 40), (64, 56, 64)];

fn header(shape: &Shape) -> Option<Header> {
    let tail = if shape.wide { 0x30 } else { 0x24 };
    let (header_len, program_len, section_len) = HEADER_LENS[usize::from(shape.wide)];
    let program_count = shape.half(tail + 8)?;
    let section_count = shape.half(tail + 12)?;
    let is_plausible = matches!(shape.half(16)?, 1..=3)
        && shape.word(20)? == 1
        && shape.half(tail + 4)? == header_len
        && (program_count == 0 || shape.half(tail + 6)? == program_len)
        && (section_count == 0 || shape.half(tail + 10)? == section_len);
    if !is_plausible {
        return None;
    }
    let entries = |pos: u64, count: u16, len: u16| {
        (0..u64::from(count)).map_while(move |i| pos.checked_add(i * u64::from(len)))
    };
    let program_pos = shape.either(0, 28, 32)?;
    let section_pos = shape.either(0, 32, 40)?;
    let program = entries(program_pos, program_count, program_len);
    let program: Vec<_> = program.map_while(|entry| program_header(shape, entry)).collect();
    let sections = entries(section_pos, section_count, section_len);
    let mut sections: Vec<_> = sections.map_while(|entry| section(shape, entry)).collect();
    let names = shape.half(tail + 14)?;
    if sections.len() != usize::from(section_count) || !is_table(shape, &sections, names) {
        sections.clear();
    }
    let end = |pos: u64, count: usize, len: u16| pos.saturating_add(count as u64 * u64::from(len));
    let program_end =
        if program.is_empty() { 0 } else { end(program_pos, program.len(), program_len) };
    let sections_end =
        if sections.is_empty() { 0 } else { end(section_pos, sections.len(), section_len) };
    Some(Header {
        kind: shape.half(16)?,
        machine: shape.half(18)?,
        flags: shape.word(tail)?,
        program,
        sections,
        tables_end: program_end.max(sections_end).max(u64::from(header_len)),
        names,
    })
}

/// Whether these are sections, and not what a broken file has in their place: the first one is all
/// zeros, and the one of the names knows its own.
fn is_table(shape: &Shape, sections: &[Section], names: u16) -> bool {
    let is_null = |first: &Section| first.kind == 0 && first.name == 0 && first.flags == 0;
    let own_name = sections.get(usize::from(names)).and_then(|own| name(shape, own, own.name));
    let is_named = own_name
        .is_some_and(|name| name.starts_with(b".shstrtab\0") || name.starts_with(b".strtab\0"));
    sections.first().is_some_and(is_null) && is_named
}

/// The bytes from the start of a name in a section of names on.
pub(super) fn name<'a>(shape: &Shape<'a>, names: &Section, at: u32) -> Option<&'a [u8]> {
    let table = slice(shape.bytes, names.pos, names.len)?;
    table.get(usize::try_from(at).ok()?..)
}

fn program_header(shape: &Shape, entry: u64) -> Option<ProgramHeader> {
    let flags_pos = if shape.wide { 4 } else { 24 };
    Some(ProgramHeader {
        kind: shape.word(entry)?,
        flags: shape.word(entry.checked_add(flags_pos)?)?,
        pos: shape.either(entry, 4, 8)?,
        addr: shape.either(entry, 8, 16)?,
        len: shape.either(entry, 16, 32)?,
        span: shape.either(entry, 20, 40)?,
    })
}

fn section(shape: &Shape, entry: u64) -> Option<Section> {
    let link_pos = if shape.wide { 40 } else { 24 };
    let section = Section {
        name: shape.word(entry)?,
        kind: shape.word(entry.checked_add(4)?)?,
        flags: shape.either(entry, 8, 8)?,
        pos: shape.either(entry, 16, 24)?,
        len: shape.either(entry, 20, 32)?,
        link: shape.word(entry.checked_add(link_pos)?)?,
    };
    let exists = matches!(section.kind, 0 | SHT_NOBITS) || fits(shape, section.pos, section.len);
    exists.then_some(section)
}

fn fits(shape: &Shape, pos: u64, len: u64) -> bool {
    slice(shape.bytes, pos, len).is_some()
}

/// Numbers of machines: the registry of the System V ABI.
fn code_class(header: &Header, shape: &Shape) -> Option<Class> {
    let content = match header.machine {
        3 => Content::I386,
        8 => Content::Mips,
        40 => Content::Thumb,
        62 => Content::X86_64,
        94 => Content::Xtensa,
        183 => Content::A64,
        243 => Content::RiscV,
        _ => return None,
    };
    // Instructions of Arm in the old big-endian order are not supported: they stay data.
    let is_arm = matches!(content, Content::Thumb | Content::A64);
    let little = is_arm && (content == Content::A64 || header.flags & EF_ARM_BE8 != 0);
    let big_endian = shape.big_endian && !little;
    (!is_arm || !big_endian).then_some(Class { content, wide: shape.wide, big_endian })
}

/// Loadable segments by position; what overlaps an earlier one is left out.
fn loaded_segments(shape: &Shape, program: &[ProgramHeader]) -> Vec<Segment> {
    let addr_end_max = if shape.wide { u64::MAX } else { 1 << 32 };
    let ends_well = |header: &&ProgramHeader| {
        header.addr.checked_add(header.span).is_some_and(|end| end <= addr_end_max)
    };
    let loaded = program.iter().filter(|header| header.kind == PT_LOAD && header.span > 0);
    let loaded = loaded.filter(|header| fits(shape, header.pos, header.len)).filter(ends_well);
    let segment = |header: &ProgramHeader| {
        let len = header.len.min(header.span);
        Segment { pos: header.pos, len, addr: header.addr, span: header.span, module: 0 }
    };
    let mut segments: Vec<Segment> = loaded.map(segment).collect();
    segments.sort();
    let mut free_pos = 0;
    segments.retain(|segment| {
        let is_free = segment.pos >= free_pos || segment.len == 0;
        free_pos = if is_free { free_pos.max(segment.pos + segment.len) } else { free_pos };
        is_free
    });
    segments
}

/// Sections of an object file have no addresses yet: their positions serve as such.
fn relocatable_segments(sections: &[Section]) -> Vec<Segment> {
    let allocated = sections.iter().filter(|section| section.is_stored() && section.len > 0);
    let mut segments: Vec<Segment> = allocated
        .map(|section| {
            let (pos, len) = (section.pos, section.len);
            Segment { pos, len, addr: pos, span: len, module: 0 }
        })
        .collect();
    segments.sort();
    let mut free_pos = 0;
    segments.retain(|segment| {
        let is_free = segment.pos >= free_pos;
        free_pos = if is_free { segment.pos + segment.len } else { free_pos };
        is_free
    });
    segments
}
