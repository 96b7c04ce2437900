//! Evidence for RISC-V (Unprivileged ISA 20191213), MIPS (MIPS32 volume II-A) and Xtensa (Xtensa
//! ISA Reference Manual).

use super::bytes::signed;

/// Points of a block as RISC-V code of 16-bit and 32-bit instructions.
pub(super) fn risc_v(block: &[u8]) -> i32 {
    let mut halves = block.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half));
    let mut points = 0;
    while let Some(half) = halves.next() {
        points += match half & 3 {
            3 => {
                let upper = halves.next().unwrap_or(0);
                risc_v_word(u32::from(upper) << 16 | u32::from(half))
            }
            _ => risc_v_half(half),
        };
    }
    points
}

/// By major opcode. Branches reach 1 KiB, or they are letters.
fn risc_v_word(word: u32) -> i32 {
    let (rd, funct3) = (word >> 7 & 31, word >> 12 & 7);
    match word & 0x7f {
        0x13 if funct3 == 0 => 4,             // ADDI
        0x03 if matches!(funct3, 2..=4) => 4, // LW, LD, LBU
        0x23 if funct3 <= 3 => 4,             // stores
        0x63 if !matches!(funct3, 2 | 3) && matches!(word >> 28, 0 | 1 | 0xe | 0xf) => 4,
        0x6f if rd == 1 || rd == 0 && word >> 28 & 1 == word >> 31 => 3, // JAL, J
        0x17 if rd != 0 && matches!(word >> 28, 0 | 0xf) => 5,           // AUIPC
        0x67 if funct3 == 0 && rd <= 1 => 5,                             // JALR
        0x37 | 0x1b | 0x33 | 0x3b | 0x13 | 0x03 => 2,
        0x07 | 0x27 | 0x53 | 0x2f | 0x0f | 0x73 => 0, // floating point, atomics, system
        _ => -7,
    }
}

/// By quadrant and function; stack loads and stores, moves and returns are compressed code.
fn risc_v_half(half: u16) -> i32 {
    match (half & 3, half >> 13) {
        _ if half == 0x8082 => 10,                              // RET
        (1, 3) if half >> 7 & 31 == 2 => 5,                     // C.ADDI16SP
        (1, 0) if half >> 7 & 31 == 2 => 5,                     // C.ADDI sp
        (2, 3 | 7) if matches!(half >> 2 & 31, 1 | 8 | 9) => 4, // C.SDSP ra, s0, s1
        (2, 4) if half & 0x7c == 0 => 3,                        // C.JR, C.JALR
        (2, 4) => 2,                                            // C.MV, C.ADD
        (2, 2 | 3 | 6 | 7) => 1,                                // C.LWSP, C.SWSP
        (1, 2 | 5 | 6 | 7) => 2,                                // C.LI, C.J, C.BEQZ, C.BNEZ
        (0, 2 | 3 | 6 | 7) => 1,                                // C.LW, C.LD, C.SW, C.SD
        (1, 0 | 1 | 3 | 4) | (2, 0) => 1,
        (0, 0) if half == 0 => -4,
        _ => -3,
    }
}

/// Points of a block as MIPS code with its least significant byte first.
pub(super) fn mips_little(block: &[u8]) -> i32 {
    block.as_chunks::<4>().0.iter().map(|word| mips_word(u32::from_le_bytes(*word))).sum()
}

/// Points of a block as MIPS code with its most significant byte first.
pub(super) fn mips_big(block: &[u8]) -> i32 {
    block.as_chunks::<4>().0.iter().map(|word| mips_word(u32::from_be_bytes(*word))).sum()
}

/// By opcode; the stack pointer is register 29, the return address 31.
fn mips_word(word: u32) -> i32 {
    let uses_stack = word >> 21 & 31 == 29;
    let imm = signed(word, 16);
    match word >> 26 {
        0 => mips_special(word),
        0x09 | 0x19 if uses_stack => 6, // ADDIU, DADDIU on sp
        0x23 | 0x2b | 0x37 | 0x3f if uses_stack => 5, // LW, SW, LD, SD on the stack
        0x23 | 0x2b => 3,               // LW, SW
        0x04 | 0x05 if imm.unsigned_abs() < 1024 => 4, // BEQ, BNE
        0x06 | 0x07 | 0x01 if imm.unsigned_abs() < 1024 => 2, // BLEZ, BGTZ, BLTZ, BAL
        0x0f if word >> 21 & 31 == 0 => 4, // LUI
        0x09 => 3,                      // ADDIU
        0x03 => 3,                      // JAL
        0x0c | 0x0d | 0x0a | 0x0b | 0x24 | 0x28 | 0x25 | 0x29 | 0x20 | 0x21 => 1,
        0x02 | 0x1c | 0x1f | 0x11 | 0x31 | 0x39 | 0x35 | 0x3d | 0x37 => 0,
        _ => -6,
    }
}

/// Operations on registers; a shift of zero is the instruction that does nothing.
fn mips_special(word: u32) -> i32 {
    let shift = word >> 6 & 31;
    match word & 0x3f {
        _ if word == 0 => -1,
        _ if word == 0x03e0_0008 => 10, // JR ra
        _ if word == 0x0320_f809 => 8,  // JALR t9
        0x21 | 0x23 | 0x25 | 0x2a | 0x2b | 0x24 | 0x2d if shift == 0 => 4,
        0x00 | 0x02 | 0x03 if word >> 21 == 0 && word >> 11 & 31 > 0 => 2, // shifts
        0x08 | 0x09 if shift == 0 && word >> 16 & 31 == 0 => 3,            // JR, JALR
        0x0a | 0x0b | 0x10 | 0x12 | 0x18 | 0x19 | 0x26 | 0x27 => 1,
        _ => -6,
    }
}

/// Points of a block as Xtensa code: three bytes, or two from 8 to 13 in the lowest four bits.
pub(super) fn xtensa(block: &[u8]) -> i32 {
    let (mut at, mut points) = (0, 0);
    while let Some(&[first, second, third]) = block.get(at..).and_then(|rest| rest.first_chunk()) {
        let narrow = matches!(first & 15, 8..=13);
        points +=
            if narrow { xtensa_narrow(first, second) } else { xtensa_wide(first, second, third) };
        at += if narrow { 2 } else { 3 };
    }
    points
}

/// A function ends with RET.N or RETW.N; locals are on the stack, register 1.
fn xtensa_narrow(first: u8, second: u8) -> i32 {
    match (first & 15, second) {
        (13, 0xf0) if matches!(first, 0x0d | 0x1d) => 10, // RET.N, RETW.N
        (13, 0xf0) if first == 0x3d => 3,                 // NOP.N
        (13, 0..=0x0f) if second > 0 => 4,                // MOV.N
        (13, _) => -6,
        (8 | 9, _) if second & 15 == 1 => 4, // L32I.N, S32I.N on the stack
        (8..=11, 0) => -2,
        (8 | 9 | 12, _) => 1, // L32I.N, S32I.N, MOVI.N, BEQZ.N, BNEZ.N
        _ => 0,               // ADD.N, ADDI.N
    }
}

/// By the operation in the lowest four bits. Literals stand before the code that loads them,
/// calls reach 256 KiB, and windowed functions open with ENTRY.
fn xtensa_wide(first: u8, second: u8, third: u8) -> i32 {
    match first & 15 {
        _ if second == 0 && third == 0 && first & 0xef != 0x80 => -6,
        0 => xtensa_registers(first, second, third),
        1 => {
            if third >= 0xe0 {
                5
            } else {
                -4
            }
        } // L32R
        2 if matches!(second >> 4, 0..=2 | 4..=6 | 9 | 10 | 12 | 13) => 1, // loads, stores, ADDI
        5 if matches!(third, 0..=0x0f | 0xf0..) => 4,                      // CALL0, CALL8
        6 if first == 0x36 && second & 15 == 1 && third < 0x20 => 10,      // ENTRY a1
        6 if first & 0x30 == 0x10 && third < 0x10 => 3,                    // BEQZ, BNEZ ahead
        6 | 7 if !matches!(third, 0x40..=0xbf) => 1,                       // other branches
        6 | 7 => -2,
        _ => -5,
    }
}

/// Operations on registers, by the upper byte.
fn xtensa_registers(first: u8, second: u8, third: u8) -> i32 {
    match third {
        0 if second == 0 => 8,                                    // RET, RETW
        0 if second < 0x10 && first >= 0xc0 => 5,                 // CALLX0 to CALLX12
        0 if second == 0x20 && matches!(first, 0xc0 | 0xf0) => 6, // MEMW, NOP
        0 => -5,
        0x20 | 0x80 | 0xc0 | 0x10 | 0x30 | 0xa0 | 0x90 => 3, // OR, ADD, SUB, AND, XOR, ADDX
        0x01 | 0x11 | 0x21 | 0x31 | 0x41 | 0x81 | 0x83 | 0x93 | 0xa3 | 0xb3 => 2, // shifts, MOVEQZ
        _ if matches!(third & 15, 4 | 5) => 1,               // EXTUI
        _ => -4,
    }
}
