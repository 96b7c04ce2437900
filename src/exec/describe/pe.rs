//! PE files (Microsoft, PE Format, "COFF file header" to "Section table"): applications and drivers
//! of UEFI, and whatever else loads its sections farther apart than they are stored.
//!
//! A file that is loaded as it is stored is left to the inference for raw images: kernels have
//! such headers, and their pointers hold other addresses than the headers say.

use super::bytes::{slice, u16_at, u32_at, u64_at};
use super::elf_content::code_within;
use super::embedded::Embedded;
use super::runs::{Patch, disjoint, fill};
use fwdelta_core::exec::layout::{Class, Content, Segment};

/// More sections than loaders take.
const SECTIONS_MAX: u64 = 96;
const SECTION_LEN: u64 = 40;
const COFF_LEN: u64 = 20;
const SYMBOL_LEN: u64 = 18;
/// The section holds instructions.
const MEM_EXECUTE: u32 = 0x2000_0000;
/// Magic number of the optional header with 64-bit addresses.
const PE32_PLUS: u16 = 0x20b;

/// A file's bytes.
#[derive(Clone, Copy)]
struct File<'a>(&'a [u8]);

impl File<'_> {
    fn half(self, pos: u64) -> Option<u16> {
        u16_at(self.0, usize::try_from(pos).ok()?, false)
    }

    fn word(self, pos: u64) -> Option<u32> {
        u32_at(self.0, usize::try_from(pos).ok()?, false)
    }

    fn long(self, pos: u64) -> Option<u64> {
        u64_at(self.0, usize::try_from(pos).ok()?, false)
    }
}

/// What the headers say.
struct Header {
    /// What sections of code hold.
    code: Class,
    /// The address of the first byte.
    base: u64,
    /// Bytes of all headers.
    len: u64,
    /// Positions of the entries of the section table.
    sections: Vec<u64>,
    /// Where names stand that are longer than the table has room for.
    names: u64,
}

/// One entry of the section table.
struct Section {
    segment: Segment,
    /// Of code, or of an exception table.
    class: Option<Class>,
}

impl Section {
    fn is_code(&self) -> bool {
        self.class.is_some_and(|class| class.content != Content::EhFrame)
    }
}

/// Reads the file that `image` starts with; `None` if there is none, or one that is loaded as it
/// is stored.
pub(super) fn parse(image: &[u8]) -> Option<Embedded> {
    let file = File(image);
    let header = header(file)?;
    let mut sections: Vec<Section> =
        header.sections.iter().filter_map(|entry| section(file, &header, *entry)).collect();
    sections.sort_by_key(|section| section.segment);
    let first = Segment { pos: 0, len: header.len, addr: header.base, span: header.len, module: 0 };
    let mut end = first.len;
    sections.retain(|section| {
        let is_free = section.segment.pos >= end;
        end = if is_free { section.segment.pos + section.segment.len } else { end };
        is_free
    });
    let is_moved =
        |section: &Section| section.segment.addr.wrapping_sub(section.segment.pos) != header.base;
    if !sections.iter().any(is_moved) || !sections.iter().any(Section::is_code) {
        return None;
    }
    let data = Class { content: Content::Data, ..header.code };
    let areas = sections.iter().filter_map(|section| {
        let Segment { pos, len, .. } = section.segment;
        Some(Patch { pos, len, class: section.class? })
    });
    let known = areas.flat_map(|area| code_within(image, area, true, &[])).collect();
    let patches = fill(&disjoint(known, end), 0, end, data);
    let segments = std::iter::once(first).chain(sections.iter().map(|section| section.segment));
    Some(Embedded { segments: segments.collect(), patches })
}

fn header(file: File<'_>) -> Option<Header> {
    if !file.0.starts_with(b"MZ") {
        return None;
    }
    let coff = u64::from(file.word(0x3c)?) + 4;
    let count = u64::from(file.half(coff + 2)?);
    if slice(file.0, coff - 4, 4)? != b"PE\0\0" || count > SECTIONS_MAX {
        return None;
    }
    let optional = coff + COFF_LEN;
    let wide = file.half(optional)? == PE32_PLUS;
    let base = match wide {
        true => file.long(optional + 24)?,
        false => file.word(optional + 28)?.into(),
    };
    let table = optional + u64::from(file.half(coff + 16)?);
    let len = u64::from(file.word(optional + 60)?);
    slice(file.0, 0, len)?;
    let class = Class { content: machine(file.half(coff)?)?, wide, big_endian: false };
    let sections = (0..count).map(|number| table + number * SECTION_LEN).collect();
    let names = u64::from(file.word(coff + 8)?) + u64::from(file.word(coff + 12)?) * SYMBOL_LEN;
    Some(Header { code: class, base, len, sections, names })
}

/// Instruction sets by the number of the machine.
fn machine(number: u16) -> Option<Content> {
    Some(match number {
        0x014c => Content::I386,
        0x01c0 | 0x01c2 | 0x01c4 => Content::Thumb,
        0x5032 | 0x5064 => Content::RiscV,
        0x8664 => Content::X86_64,
        0xaa64 => Content::A64,
        _ => return None,
    })
}

/// A section with bytes in the file.
fn section(file: File<'_>, header: &Header, entry: u64) -> Option<Section> {
    let field = |pos: u64| file.word(entry + pos);
    let (pos, len) = (u64::from(field(20)?), u64::from(field(16)?));
    slice(file.0, pos, len).filter(|bytes| !bytes.is_empty())?;
    let addr = header.base.checked_add(field(12)?.into())?;
    let span = len.max(field(8)?.into());
    let addr_end_max = if header.code.wide { u64::MAX } else { 1 << 32 };
    addr.checked_add(span).filter(|end| *end <= addr_end_max)?;
    let segment = Segment { pos, len, addr, span, module: 0 };
    let class = match field(36)? & MEM_EXECUTE != 0 {
        true => Some(header.code),
        false if name(file, header, entry)?.starts_with(b".eh_frame\0") => {
            Some(Class { content: Content::EhFrame, ..header.code })
        }
        false => None,
    };
    Some(Section { segment, class })
}

/// The bytes from the start of a section's name on: in the entry, or where a number in it says.
fn name<'a>(file: File<'a>, header: &Header, entry: u64) -> Option<&'a [u8]> {
    let short = slice(file.0, entry, 8)?;
    let digits = short.strip_prefix(b"/").and_then(|digits| digits.split(|byte| *byte == 0).next());
    let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
    let long = number.and_then(|number| {
        file.0.get(usize::try_from(header.names).ok()?..)?.get(number as usize..)
    });
    Some(long.unwrap_or(short))
}
