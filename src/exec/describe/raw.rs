//! Images without a file format: the instruction sets they hold and where they are loaded.

use super::blocks::{Vote, classify};
use super::references::Image;
use super::runs::Patch;
use super::score::{BLOCK_LEN, ISAS, evidence_of_blocks};
use super::vectors::VectorTable;
use super::{Description, Hints, base, memory, runs};
use fwdelta_core::exec::layout::{Class, Content, Segment};

/// Describes images that hold versions of the same firmware: one vote for all of them.
pub(super) fn describe(images: &[&[u8]], hints: &Hints) -> Vec<Description> {
    let isas = instruction_sets(images, hints);
    let Some(first) = isas.first().map(|isa| &ISAS[*isa]) else {
        return images.iter().map(|image| without_code(image, hints)).collect();
    };
    let wide = is_wide(images, first.content, first.big_endian);
    let data = Class { content: Content::Data, wide, big_endian: first.big_endian };
    let patches: Vec<_> = images.iter().map(|image| patches(image, &isas, wide)).collect();
    let parts = images.iter().zip(&patches);
    let known: Vec<Image> = parts.map(|(bytes, code)| Image { bytes, code, data }).collect();
    let has_thumb = isas.iter().any(|isa| ISAS[*isa].content == Content::Thumb);
    let tables: Vec<_> =
        images.iter().map(|image| VectorTable::find(image).filter(|_| has_thumb)).collect();
    let bases = match hints.base {
        Some(base) => vec![base; images.len()],
        None => base::bases(&known, &tables),
    };
    // The literals of Xtensa cannot be told from its code well enough.
    let has_literals = !wide && first.content != Content::Xtensa;
    let memory = if !has_literals { Vec::new() } else { memory::ranges(&known, &bases, &tables) };
    let all = known.iter().zip(bases);
    all.map(|(image, base)| {
        let filled = runs::fill(image.code, 0, image.len(), data);
        let segment =
            Segment { pos: 0, len: image.len(), addr: base, span: image.len(), module: 0 };
        let has_code = !image.code.is_empty();
        let segments = if has_code { memory::add_to(segment, &memory) } else { Vec::new() };
        Description { segments, runs: runs::runs(&filled, image.len()) }
    })
    .collect()
}

fn instruction_sets(images: &[&[u8]], hints: &Hints) -> Vec<usize> {
    let votes = images.iter().map(|image| Vote::of(image));
    let vote = votes.reduce(Vote::plus).unwrap_or_default();
    match hints.content {
        Some(content) => vote.only(content),
        None => vote.established(),
    }
}

/// Data only; addresses matter only if the caller says so.
fn without_code(bytes: &[u8], hints: &Hints) -> Description {
    let len = bytes.len() as u64;
    let segment = |addr| Segment { pos: 0, len, addr, span: len, module: 0 };
    let segments = hints.base.filter(|_| len > 0).map(segment).into_iter().collect();
    Description { segments, runs: runs::runs(&[], len) }
}

/// Blocks of code, each a patch.
fn patches(image: &[u8], isas: &[usize], wide: bool) -> Vec<Patch> {
    let classes = classify(&evidence_of_blocks(image, isas), isas, 0);
    let starts = (0u64..).step_by(BLOCK_LEN);
    let blocks = classes.iter().zip(starts).zip(image.chunks(BLOCK_LEN));
    let patches = blocks.filter_map(|((isa, pos), block)| {
        let isa = &ISAS[(*isa)?];
        let narrow = matches!(isa.content, Content::A32 | Content::Thumb | Content::I386);
        let wide = wide && !narrow;
        let class = Class { content: isa.content, wide, big_endian: isa.big_endian };
        Some(Patch { pos, len: block.len() as u64, class })
    });
    patches.collect()
}

/// Whether pointers have 64 bits: so in two instruction sets, in others if 64-bit loads and
/// stores are no exception.
fn is_wide(images: &[&[u8]], content: Content, big_endian: bool) -> bool {
    let (mut wide_count, mut narrow_count) = (0u64, 0u64);
    let of_word: fn(u32) -> Option<bool> = match content {
        Content::A64 | Content::X86_64 => return true,
        Content::RiscV => risc_v_width,
        Content::Mips => mips_width,
        _ => return false,
    };
    let step = if content == Content::RiscV { 2 } else { 4 };
    for image in images {
        for word in image.windows(4).step_by(step) {
            let word = word.first_chunk().map_or(0, |word| match big_endian {
                true => u32::from_be_bytes(*word),
                false => u32::from_le_bytes(*word),
            });
            match of_word(word) {
                Some(true) => wide_count += 1,
                Some(false) => narrow_count += 1,
                None => {}
            }
        }
    }
    wide_count > narrow_count / 4
}

/// LD and SD, or LW and SW, relative to the stack pointer.
fn risc_v_width(word: u32) -> Option<bool> {
    let is_stack = word >> 15 & 31 == 2 && matches!(word & 0x7f, 0x03 | 0x23);
    match word >> 12 & 7 {
        3 if is_stack => Some(true),
        2 if is_stack => Some(false),
        _ => None,
    }
}

/// The same for MIPS.
fn mips_width(word: u32) -> Option<bool> {
    match word >> 26 {
        0x37 | 0x3f if word >> 21 & 31 == 29 => Some(true),
        0x23 | 0x2b if word >> 21 & 31 == 29 => Some(false),
        _ => None,
    }
}
