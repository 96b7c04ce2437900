//! Evidence for the instruction sets of Arm (Arm Architecture Reference Manual, DDI 0487).

use super::bytes::signed;

/// Points of a block as AArch64 code.
pub(super) fn a64(block: &[u8]) -> i32 {
    words(block).map(a64_word).sum()
}

/// Points of a block as 32-bit Arm code.
pub(super) fn a32(block: &[u8]) -> i32 {
    words(block).map(a32_word).sum()
}

fn words(block: &[u8]) -> impl Iterator<Item = u32> {
    block.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))
}

/// By major opcode; fields that compilers fill in few ways are looked at.
fn a64_word(word: u32) -> i32 {
    let compared = word & 0x1f == 0x1f;
    match word >> 24 {
        0x94 | 0x97 => 5,                                         // BL within 64 MiB
        0x14 | 0x17 => 4,                                         // B within 64 MiB
        0x54 if word & 0x10 == 0 => near(word >> 5, 19),          // B.cond
        0x34 | 0x35 | 0xb4 | 0xb5 => near(word >> 5, 19),         // CBZ, CBNZ
        0x36 | 0x37 | 0xb6 | 0xb7 => 2,                           // TBZ, TBNZ
        0xd6 if word == 0xd65f_03c0 => 10,                        // RET
        0xd6 if word & 0xffdf_fc1f == 0xd61f_0000 => 7,           // BR, BLR
        0xd5 if word >> 16 == 0xd503 => 5,                        // NOP and other hints, barriers
        0xd5 if word >> 20 == 0xd53 || word >> 20 == 0xd51 => 4,  // MRS, MSR
        0xa9 | 0x29 | 0xa8 => 4,                                  // LDP, STP
        0x90 | 0xb0 | 0xd0 | 0xf0 => 3,                           // ADRP
        0x91 | 0xd1 | 0x11 | 0x51 if word & 0x80_0000 == 0 => 3,  // ADD, SUB
        0xf9 | 0xb9 | 0x39 | 0x79 => 3,                           // LDR, STR with offset
        0xf8 | 0xb8 | 0x38 | 0x78 => 2,                           // LDR, STR otherwise
        0xaa | 0x2a if word & 0xe0_ffe0 == 0x03e0 => 5,           // MOV
        0xaa | 0x2a | 0x8b | 0x0b | 0xcb | 0x4b => 2,             // ORR, ADD, SUB
        0x52 | 0xd2 | 0x72 | 0xf2 | 0x12 | 0x92 => 3,             // MOVZ, MOVK, MOVN, AND, EOR
        0x71 | 0xf1 | 0x6b | 0xeb | 0x31 | 0xb1 if compared => 4, // CMP, CMN
        0x71 | 0xf1 | 0x6b | 0xeb | 0x31 | 0xb1 => 0,
        0x1a | 0x9a | 0x53 | 0xd3 | 0x93 | 0x13 => 2, // CSEL, UBFM, SBFM
        0x8a | 0x0a | 0xca | 0x4a | 0x9b | 0x1b | 0xea | 0x6a => 1, // AND, EOR, MADD
        0x1e | 0x9e | 0x4e | 0x6e | 0x3d | 0xbd | 0xfd | 0x6d | 0xad => 1, // floating point
        0x0e | 0x2e | 0x1f | 0x3c | 0xfc | 0x88 | 0xc8 | 0x08 | 0x48 => 0,
        0 | 0xff => -2,
        _ => -5,
    }
}

/// Of conditional branches few reach far.
fn near(field: u32, bits: u32) -> i32 {
    if signed(field, bits).unsigned_abs() < 1 << (bits - 5) { 5 } else { -4 }
}

/// Four of five instructions are unconditional; of the others most are branches.
fn a32_word(word: u32) -> i32 {
    let branches_near = matches!(word >> 20 & 0xf, 0 | 0xf);
    match word >> 24 {
        0xe1 if word >> 20 == 0xe1a => 5,                // MOV, shifts
        0xe1 if word & 0x0fff_ffd0 == 0x012f_ff10 => 10, // BX, BLX
        0xeb | 0xea if branches_near => 5,               // BL, B
        0xe5 => 3,                                       // LDR, STR
        0xe9 if word >> 16 == 0xe92d => 8,               // PUSH
        0xe8 if word >> 16 == 0xe8bd => 8,               // POP
        0xe2 | 0xe3 => 3,                                // immediate operands
        0xe0 | 0xe1 | 0xe4 | 0xe8 | 0xe9 => 2,
        0xe6 | 0xe7 | 0xed | 0xee => 1,
        0xef | 0xf5 => 0,                                            // SVC, PLD
        top if top & 0xf == 0xa && top < 0xe0 && branches_near => 4, // B.cond
        top if top & 0xf == 0x3 && top < 0xe0 && word >> 20 & 0xf == 0xa => 1, // MOV.cond
        0 | 0xff => -2,
        _ => -3,
    }
}

/// Points of a block as Thumb code: 16-bit instructions, 32-bit ones from 0xe800 on.
pub(super) fn thumb(block: &[u8]) -> i32 {
    let mut halves = block.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half));
    let mut points = 0;
    while let Some(half) = halves.next() {
        points += match half >> 11 {
            0b11101..=0b11111 => halves.next().map_or(0, |second| thumb_pair(half, second)),
            _ => i32::from(THUMB_POINTS[usize::from(half >> 3)]),
        };
    }
    points
}

/// BL and branches that reach 4 MiB, then loads, stores, moves and data processing of Thumb-2.
fn thumb_pair(first: u16, second: u16) -> i32 {
    let links = first >> 11 == 0b11110 && second & 0xd000 == 0xd000;
    let branches = first >> 11 == 0b11110 && second & 0xd000 == 0x9000;
    let near = matches!(first & 0x7e0, 0..=0x20 | 0x7c0..=0x7e0)
        || matches!(first & 0x7c0, 0 | 0x7c0) && second & 0x2800 == 0x2800;
    match first >> 4 {
        _ if links && near => 10,
        _ if branches && near => 5,
        _ if links || branches => -4,
        0xe92 if first == 0xe92d => 8,              // PUSH
        0xe8b if first == 0xe8bd => 8,              // POP
        0xf04 | 0xf64 | 0xf24 | 0xf2c | 0xf6c => 4, // MOV, MOVW, MOVT
        0xf8d | 0xf8c | 0xf89 | 0xf88 | 0xf85 | 0xf84 | 0xf81 | 0xf80 | 0xf8b | 0xf8a => 4,
        0xea4 | 0xeb0 | 0xe9d | 0xe9c | 0xf10 | 0xf1b | 0xf1a | 0xf01 | 0xf00 | 0xfb0 => 3,
        0xed9 | 0xed8 | 0xeeb | 0xee0..=0xee7 | 0xf3c | 0xf36 | 0xf02 | 0xfa1 | 0xe8d => 2,
        _ => -4,
    }
}

/// Points of 16-bit instructions without their lowest three bits: a table, because a branch for
/// every instruction takes most of the time that a description takes.
static THUMB_POINTS: [i8; 1 << 13] = {
    let mut points = [0; 1 << 13];
    let mut i = 0;
    while i < points.len() {
        points[i] = thumb_half((i as u16) << 3);
        i += 1;
    }
    points
};

/// By the upper byte: letters of text make loads and stores, so that those count little.
const fn thumb_half(half: u16) -> i8 {
    match half >> 8 {
        0x47 if half == 0x4770 => 9,                         // BX LR
        0x47 => 4,                                           // BX, BLX
        0xb5 | 0xbd => 6,                                    // PUSH {.., LR}, POP {.., PC}
        0xd0 | 0xd1 => 4,                                    // BEQ, BNE
        0xb0 | 0x46 | 0xe7 => 4,                             // ADD SP, MOV, B
        0xb1..=0xb3 | 0xb9 | 0xbb | 0xd2..=0xdd | 0xe0 => 2, // CBZ, UXTB, B.cond, B
        0xbf => 3,                                           // IT, NOP
        0x48..=0x4f | 0x60 | 0x21..=0x23 => 2,               // LDR literal, STR, MOV
        0x20 | 0x24..=0x26 | 0x28..=0x2b | 0x68 | 0x61 | 0x19 | 0x1c => 1,
        0x30 | 0x33 | 0x3b | 0x42 | 0x43 | 0x44 | 0x69 | 0x78 | 0x70 | 0x93 | 0x9b => 1,
        0xb4 | 0xbc | 0x90..=0xa9 => 0,
        0x01..=0x1f => -1,
        _ => -3,
    }
}
