//! Evidence: how much a block of bytes looks like code of each instruction set.
//!
//! Every instruction set has a function that gives points to instructions by how much more often
//! compilers emit them than they occur in other bytes, about two points a bit, and takes points
//! for what they never emit. Random bytes, text, tables and other code come out far below zero.

use super::{score_arm, score_risc, score_x86};
use fwdelta_core::exec::layout::{Class, Content};

/// Bytes that are judged together.
pub(super) const BLOCK_LEN: usize = 512;
/// Evidence for or against a block of one instruction set never exceeds this.
pub(super) const EVIDENCE_MAX: i32 = 256;

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

/// Points of one block for every instruction set.
pub(super) fn evidence(block: &[u8]) -> Evidence {
    if is_plain(block) {
        return [-(EVIDENCE_MAX as i16) / 2; ISA_COUNT];
    }
    std::array::from_fn(|isa| {
        let points = ISAS.get(isa).map_or(0, |isa| (isa.score)(block));
        points.clamp(-EVIDENCE_MAX, EVIDENCE_MAX) as i16
    })
}

/// Points of every block of an image, the last of which may be short.
pub(super) fn evidence_of_blocks(bytes: &[u8]) -> Vec<Evidence> {
    bytes.chunks(BLOCK_LEN).map(evidence).collect()
}

/// Whether a block is text, or filled with one byte: what no instruction set looks like, but what
/// the tables, which are made for code against noise, might be wrong about.
fn is_plain(block: &[u8]) -> bool {
    let is_text = |byte: &&u8| matches!(byte, 0 | b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    let text = block.iter().filter(is_text).count();
    let erased = block.iter().filter(|byte| **byte == 0xff).count();
    let zeroed = block.iter().filter(|byte| **byte == 0).count();
    let limit = block.len() - block.len() / 8;
    text >= limit || erased >= limit || zeroed >= limit - block.len() / 8
}
