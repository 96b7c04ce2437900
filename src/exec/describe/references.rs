//! What in a raw image may be an address, and what addresses may refer to.

use super::bytes::{signed, u16_at, u32_at, u64_at};
use super::runs::{Patch, gaps};
use fwdelta_core::exec::layout::{Class, Content};
use std::ops::Range;

/// A raw image whose code is known.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) bytes: &'a [u8],
    /// Code by position.
    pub(super) code: &'a [Patch],
    /// How words between code look.
    pub(super) data: Class,
}

impl Image<'_> {
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn word(&self, pos: usize) -> Option<u32> {
        u32_at(self.bytes, pos, self.data.big_endian)
    }
}

/// Shortest text whose start counts.
const TEXT_LEN_MIN: usize = 5;
/// Values below this are numbers, not addresses.
const ADDR_MIN: u64 = 0x100;

/// Kinds of relocation that need no symbol.
const RELOCATION_KIND_MAX: u64 = 0x7ff;
/// In images above this length, addresses and starts are taken from some windows only.
const SAMPLED_LEN: u64 = 8 << 20;
const WINDOW_LEN: u64 = 0x1000;

/// The parts of a range that are looked at.
fn windows(image: &Image, pos: u64, len: u64) -> impl Iterator<Item = Range<usize>> + use<> {
    let stride = image.len() / SAMPLED_LEN + 1;
    let numbers = pos / WINDOW_LEN..(pos + len).div_ceil(WINDOW_LEN);
    numbers.filter(move |number| number % stride == 0).map(move |number| {
        let start = (number * WINDOW_LEN).max(pos);
        let end = ((number + 1) * WINDOW_LEN).min(pos + len);
        start as usize..end as usize
    })
}

/// Words of data, and what code loads from the literals beside it; repeated if they are.
pub(super) fn pointers(image: &Image) -> Vec<u64> {
    let mut pointers = literals(image);
    for (pos, len) in gaps(image.code, 0, image.len()) {
        for window in windows(image, pos, len) {
            data_words(image, window, &mut pointers);
        }
    }
    if image.code.iter().any(|patch| patch.class.content == Content::Thumb) {
        // Pointers to Thumb functions are odd; so are those to one text of two.
        let functions: Vec<u64> =
            pointers.iter().filter(|addr| *addr & 1 == 1).map(|addr| addr - 1).collect();
        pointers.extend(functions);
    }
    pointers
}

/// Words that code loads from beside it, or holds as operands.
pub(super) fn literals(image: &Image) -> Vec<u64> {
    let mut found = Vec::new();
    for patch in image.code {
        let content = patch.class.content;
        let loaded: fn(&Image, usize) -> Option<usize> = match content {
            Content::Thumb => thumb_literal,
            Content::A32 => a32_literal,
            Content::Xtensa => xtensa_literal,
            Content::I386 => i386_immediate,
            _ => continue,
        };
        for window in windows(image, patch.pos, patch.len) {
            let positions = window.step_by(alignment(content));
            let words = positions.filter_map(|pos| image.word(loaded(image, pos)?));
            found.extend(words.map(u64::from).filter(|word| is_address(*word)));
        }
    }
    found
}

/// Instructions begin at multiples of this.
fn alignment(content: Content) -> usize {
    match content {
        Content::Thumb | Content::RiscV => 2,
        Content::X86_64 | Content::I386 | Content::Xtensa => 1,
        _ => 4,
    }
}

fn is_address(word: u64) -> bool {
    let is_text = word >> 32 == 0 && word.to_le_bytes().iter().take(4).all(u8::is_ascii_graphic);
    word >= ADDR_MIN && word != u64::MAX && !is_text
}

/// Words of data, without the places that relocations apply to: those are anywhere.
fn data_words(image: &Image, window: Range<usize>, words: &mut Vec<u64>) {
    let step = if image.data.wide { 8 } else { 4 };
    let word = |pos: usize| match image.data.wide {
        true => u64_at(image.bytes, pos, image.data.big_endian),
        false => image.word(pos).map(u64::from),
    };
    // Elf64_Rela has three words, Elf32_Rel two; the second is the kind, mostly the same.
    let entry_len = if image.data.wide { 24 } else { 8 };
    let is_place = |pos: usize| {
        let kind = word(pos + step);
        let is_kind = kind.is_some_and(|kind| (1..=RELOCATION_KIND_MAX).contains(&kind));
        is_kind && kind == word(pos + step + entry_len)
    };
    let positions = (window.start.next_multiple_of(step)..window.end).step_by(step);
    let pairs = positions.filter_map(|pos| Some((pos, word(pos)?)));
    let pairs = pairs.filter(|(pos, word)| is_address(*word) && !is_place(*pos));
    words.extend(pairs.map(|(_, word)| word));
}

/// LDR Rt, [PC, #imm], of 16 bits and of 32.
fn thumb_literal(image: &Image, pos: usize) -> Option<usize> {
    let half = u16_at(image.bytes, pos, false)?;
    let from = (pos & !3) + 4;
    if half >> 11 == 0b01001 {
        return Some(from + usize::from(half & 0xff) * 4);
    }
    let offset = |second: u16| usize::from(second & 0xfff);
    match half {
        0xf8df => Some(from + offset(u16_at(image.bytes, pos + 2, false)?)),
        0xf85f => from.checked_sub(offset(u16_at(image.bytes, pos + 2, false)?)),
        _ => None,
    }
}

/// LDR Rt, [PC, #imm].
fn a32_literal(image: &Image, pos: usize) -> Option<usize> {
    let word = u32_at(image.bytes, pos, false)?;
    let offset = (word & 0xfff) as usize;
    match word >> 16 & 0xfff {
        0x59f => Some(pos + 8 + offset),
        0x51f => (pos + 8).checked_sub(offset),
        _ => None,
    }
}

/// L32R: words of 4 bytes before the next instruction, rounded down.
fn xtensa_literal(image: &Image, pos: usize) -> Option<usize> {
    image.bytes.get(pos).filter(|first| **first & 15 == 1)?;
    let offset = u16_at(image.bytes, pos + 1, false).filter(|offset| *offset >= 0xc000)?;
    ((pos + 3) & !3).checked_sub((0x1_0000 - usize::from(offset)) * 4)
}

/// PUSH and MOV of an address: where it stands.
fn i386_immediate(image: &Image, pos: usize) -> Option<usize> {
    matches!(image.bytes.get(pos)?, 0x68 | 0xb8..=0xbf).then_some(pos + 1)
}

/// Where functions and texts start, as positions.
pub(super) fn starts(image: &Image) -> Vec<u64> {
    let mut starts = Vec::new();
    for (pos, len) in gaps(image.code, 0, image.len()) {
        for window in windows(image, pos, len) {
            text_starts(image.bytes, window, &mut starts);
        }
    }
    for patch in image.code {
        for window in windows(image, patch.pos, patch.len) {
            let positions = window.step_by(alignment(patch.class.content));
            let called = positions.filter_map(|pos| function_start(image, patch.class, pos));
            starts.extend(called.filter(|start| *start < image.len()));
        }
    }
    starts
}

/// The first bytes of texts: printable, behind a zero.
fn text_starts(bytes: &[u8], window: Range<usize>, starts: &mut Vec<u64>) {
    let is_text = |byte: u8| matches!(byte, b'\t' | b'\n' | 0x20..=0x7e);
    let start = window.start;
    let Some(bytes) = bytes.get(window) else { return };
    let mut text_len = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if is_text(*byte) {
            text_len += 1;
            continue;
        }
        let text_start = at - text_len;
        let behind_zero = text_start.checked_sub(1).is_some_and(|before| bytes[before] == 0);
        if text_len >= TEXT_LEN_MIN && *byte == 0 && behind_zero {
            starts.push((start + text_start) as u64);
        }
        text_len = 0;
    }
}

/// The function that the instruction at `pos` calls, or that starts there.
fn function_start(image: &Image, class: Class, pos: usize) -> Option<u64> {
    let word = u32_at(image.bytes, pos, class.big_endian)?;
    let called = |offset: i64| (pos as u64).checked_add_signed(offset);
    if is_prologue(class.content, word) {
        return Some(pos as u64);
    }
    match class.content {
        Content::A64 if word >> 26 == 0b10_0101 => called(i64::from(signed(word, 26)) * 4),
        Content::A64 if word == 0xd65f_03c0 => after_return(image, pos + 4),
        Content::A32 if word >> 24 == 0xeb => called(i64::from(signed(word, 24)) * 4 + 8),
        Content::Thumb => thumb_call(word).and_then(called),
        Content::X86_64 | Content::I386 if word & 0xff == 0xe8 => {
            called(i64::from(u32_at(image.bytes, pos + 1, false)? as i32) + 5)
        }
        Content::RiscV if word & 0xffff == 0x8082 => Some(pos as u64 + 2),
        Content::RiscV => risc_v_call(image, word, pos).and_then(called),
        _ => None,
    }
}

/// What functions begin with, or hardly anything else does.
fn is_prologue(content: Content, word: u32) -> bool {
    let half = word & 0xffff;
    match content {
        // PACIASP, BTI c
        Content::A64 => matches!(word, 0xd503_233f | 0xd503_245f),
        // PUSH with LR
        Content::A32 => word & 0xffff_4000 == 0xe92d_4000,
        // PUSH with LR; the handler that only waits
        Content::Thumb => half >> 8 == 0xb5 || half == 0xe7fe || half == 0xe92d,
        // ENDBR64, ENDBR32
        Content::X86_64 | Content::I386 => matches!(word, 0xfa1e_0ff3 | 0xfb1e_0ff3),
        // C.ADDI sp and C.ADDI16SP with a negative number
        Content::RiscV => half & 0xff83 == 0x1101 || half & 0xff83 == 0x7101,
        // ADDIU and DADDIU sp, sp, -n
        Content::Mips => matches!(word >> 16, 0x27bd | 0x67bd) && word & 0x8000 != 0,
        // ENTRY a1
        Content::Xtensa => word & 0xfff == 0x136,
        _ => false,
    }
}

/// The next instruction that does something.
fn after_return(image: &Image, pos: usize) -> Option<u64> {
    let is_filler = |pos: &usize| matches!(image.word(*pos), Some(0 | 0xd503_201f));
    let filler_count = (pos..).step_by(4).take(16).take_while(is_filler).count();
    Some((pos + filler_count * 4) as u64)
}

/// BL.
fn thumb_call(word: u32) -> Option<i64> {
    let (first, second) = (word & 0xffff, word >> 16);
    if first >> 11 != 0b11110 || second & 0xd000 != 0xd000 {
        return None;
    }
    let sign = first >> 10 & 1;
    let upper = !(second >> 13 ^ sign) & 1;
    let lower = !(second >> 11 ^ sign) & 1;
    let offset =
        sign << 24 | upper << 23 | lower << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    Some(i64::from(signed(offset, 25)) + 4)
}

/// JAL ra, or AUIPC ra and JALR ra.
fn risc_v_call(image: &Image, word: u32, pos: usize) -> Option<i64> {
    if word & 0xfff == 0x0ef {
        let offset = word >> 31 << 20
            | (word >> 12 & 0xff) << 12
            | (word >> 20 & 1) << 11
            | (word >> 21 & 0x3ff) << 1;
        return Some(i64::from(signed(offset, 21)));
    }
    let next = u32_at(image.bytes, pos + 4, false).filter(|_| word & 0xfff == 0x097)?;
    let upper = i64::from((word & 0xffff_f000) as i32);
    (next & 0xf_ffff == 0x0_80e7).then(|| upper + i64::from(signed(next >> 20, 12)))
}
