//! Evidence: how much a block of bytes looks like code of each instruction set.
//!
//! Every instruction set has a function that gives points to instructions by how much more often
//! compilers emit them than they occur in other bytes, about two points a bit, and takes points
//! for what they never emit. Random bytes, text, tables and other code come out far below zero.

use super::{score_arm, score_risc, score_x86};
use fwdelta_core::exec::layout::{Class, Content};
use rayon::prelude::*;

/// Bytes that are judged together.
pub(super) const BLOCK_LEN: usize = 512;
/// Evidence for or against a block of one instruction set never exceeds this.
pub(super) const EVIDENCE_MAX: i32 = 256;

/// Evidence against code in blocks that are surely none.
const PLAIN_POINTS: i32 = 128;
/// Evidence against code in tables; only outstanding code stands up to it.
const PERIODIC_POINTS: i32 = 200;
/// Bytes that are looked at one by one in every entry of a table: those of a word.
const LANE_COUNT: usize = 8;
/// Bytes of an entry of common tables.
const TABLE_ENTRY_LENS: [usize; 5] = [4, 8, 12, 16, 24];

/// An instruction set in one byte order.
pub(super) struct Isa {
    /// The instruction set.
    pub(super) content: Content,
    /// Instructions, and the data beside them, have their most significant byte first.
    pub(super) big_endian: bool,
    score: fn(&[u8]) -> i32,
}

/// Number of instruction sets that are told apart.
pub(super) const ISA_COUNT: usize = 9;

/// All instruction sets that are told apart.
pub(super) const ISAS: [Isa; ISA_COUNT] = [
    Isa { content: Content::A64, big_endian: false, score: score_arm::a64 },
    Isa { content: Content::A32, big_endian: false, score: score_arm::a32 },
    Isa { content: Content::Thumb, big_endian: false, score: score_arm::thumb },
    Isa { content: Content::X86_64, big_endian: false, score: score_x86::x86_64 },
    Isa { content: Content::I386, big_endian: false, score: score_x86::i386 },
    Isa { content: Content::RiscV, big_endian: false, score: score_risc::risc_v },
    Isa { content: Content::Mips, big_endian: false, score: score_risc::mips_little },
    Isa { content: Content::Mips, big_endian: true, score: score_risc::mips_big },
    Isa { content: Content::Xtensa, big_endian: false, score: score_risc::xtensa },
];

/// Where the instruction set of a class stands in [`ISAS`].
pub(super) fn isa_of(class: Class) -> Option<usize> {
    let is_mips = class.content == Content::Mips;
    let order = |isa: &Isa| !is_mips || isa.big_endian == class.big_endian;
    ISAS.iter().position(|isa| isa.content == class.content && order(isa))
}

/// Points per instruction set, in the order of [`ISAS`].
pub(super) type Evidence = [i16; ISA_COUNT];

/// Points of one block for the instruction sets `isas`, entries of [`ISAS`]; none for the others.
pub(super) fn evidence(block: &[u8], isas: &[usize]) -> Evidence {
    let mut evidence = [-PLAIN_POINTS as i16; ISA_COUNT];
    if is_plain(block) {
        return evidence;
    }
    let bias = if is_periodic(block) { PERIODIC_POINTS } else { 0 };
    for isa in isas {
        let points = (ISAS[*isa].score)(block).clamp(-EVIDENCE_MAX, EVIDENCE_MAX) - bias;
        evidence[*isa] = points.max(-EVIDENCE_MAX) as i16;
    }
    evidence
}

/// Points of every block of an image, the last of which may be short.
pub(super) fn evidence_of_blocks(bytes: &[u8], isas: &[usize]) -> Vec<Evidence> {
    bytes.par_chunks(BLOCK_LEN).with_min_len(64).map(|block| evidence(block, isas)).collect()
}

/// Whether a block is text, or filled with one byte: what no instruction set looks like, but what
/// the tables, which are made for code against noise, might be wrong about.
fn is_plain(block: &[u8]) -> bool {
    let is_text =
        |byte: &u8| byte.wrapping_sub(0x20) < 0x5f || byte.wrapping_sub(9) < 5 || *byte == 0;
    let limit = block.len() - block.len() / 8;
    count(block, is_text) >= limit
        || count(block, |byte| *byte == 0xff) >= limit
        || count(block, |byte| *byte == 0) >= limit - block.len() / 8
        || is_utf8(block)
}

/// Whether a block is a piece of UTF-8: Cyrillic letters, for one, are branches in Thumb code.
fn is_utf8(block: &[u8]) -> bool {
    let is_first = |byte: &u8| byte & 0xc0 != 0x80;
    let start = block.iter().take(3).take_while(|byte| !is_first(byte)).count();
    match std::str::from_utf8(block.get(start..).unwrap_or(&[])) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

/// Whether a block looks like a table: many bytes equal those of the entry before. So it is in
/// nearly all tables of pointers, relocations and symbols, and in one block of code of a hundred.
fn is_periodic(block: &[u8]) -> bool {
    TABLE_ENTRY_LENS.iter().any(|len| {
        let mut equal = [0u8; BLOCK_LEN];
        let pairs = block.iter().zip(block.get(*len..).unwrap_or(&[]));
        for (equal, (byte, next)) in equal.iter_mut().zip(pairs) {
            *equal = u8::from(byte == next);
        }
        // In tables of numbers it is the same byte of each that hardly changes.
        let mut lanes = [0u8; LANE_COUNT];
        for entry in equal.as_chunks::<LANE_COUNT>().0 {
            lanes.iter_mut().zip(entry).for_each(|(lane, equal)| *lane += equal);
        }
        let total: usize = lanes.iter().map(|lane| usize::from(*lane)).sum();
        let most = lanes.iter().map(|lane| usize::from(*lane)).max().unwrap_or(0);
        total >= block.len() * 3 / 8 || most * LANE_COUNT >= block.len() * 7 / 8
    })
}

/// How many items of a block satisfy `is`. Counted in bytes, so that it is done for many at once.
fn count<T>(items: &[T], is: impl Fn(&T) -> bool) -> usize {
    let part = |items: &[T]| items.iter().fold(0u8, |count, item| count + u8::from(is(item)));
    items.chunks(64).map(|items| usize::from(part(items))).sum()
}
