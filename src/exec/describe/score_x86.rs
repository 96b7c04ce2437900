//! Evidence for x86 (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2).
//!
//! Instructions of any length are not decoded: openings that compilers use all the time are
//! counted at every byte, against what an average byte of code must bring.

/// Bytes of code that bring one point more than noise does.
const BYTES_PER_POINT: i32 = 3;

/// Points of a block as 64-bit code.
pub(super) fn x86_64(block: &[u8]) -> i32 {
    let points: i32 = openings(block).map(|code| either(code) + with_rex(code)).sum();
    points - block.len() as i32 / BYTES_PER_POINT
}

/// Points of a block as 32-bit code, in which no register has 64 bits.
pub(super) fn i386(block: &[u8]) -> i32 {
    let points = openings(block).map(|code| either(code) + without_rex(code) - with_rex(code));
    points.sum::<i32>() - block.len() as i32 / BYTES_PER_POINT
}

/// First bytes of all that counts.
const FIRST: [bool; 256] = {
    let mut first = [false; 256];
    let mut byte = 0;
    while byte < first.len() {
        first[byte] = matches!(
            byte,
            0x0f | 0x31 | 0x40..=0x4f | 0x5d | 0x66 | 0x6a | 0x83..=0x85 | 0x89 | 0x8b | 0x8d
            | 0xc3..=0xc5 | 0xc7 | 0xe8 | 0xe9 | 0xf2 | 0xf3 | 0xff
        );
        byte += 1;
    }
    first
};

/// Places in a block where something may count: at most of them it takes one look.
fn openings(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.windows(6).filter(|code| FIRST[usize::from(code[0])])
}

/// What both have: calls and far conditional jumps, tests, widening loads, padding.
fn either(code: &[u8]) -> i32 {
    match *code {
        [0xe8, _, _, hi, 0 | 0xff, _] if !(0x40..0xc0).contains(&hi) => 6,
        [0xe9, _, _, 0 | 0xff, 0 | 0xff, _] => 4,
        [0x0f, 0x80..=0x8f, _, _, 0 | 0xff, 0 | 0xff] => 6,
        [0x0f, 0x1f, 0x00..=0x84, ..] => 4,
        [0x0f, 0xb6 | 0xb7 | 0xbe, ..] => 3,
        [0x0f, 0x40..=0x4f | 0x90..=0x9f, 0xc0..=0xff, ..] => 2,
        [0x31, 0xc0 | 0xd2 | 0xf6 | 0xff | 0xc9 | 0xdb | 0xed, ..] => 4,
        [0x85, 0xc0 | 0xd2 | 0xf6 | 0xff | 0xc9 | 0xdb | 0xed, ..] => 4,
        [0x84, 0xc0 | 0xd2 | 0xc9, ..] => 3,
        [0x83, 0xe0..=0xff, ..] => 2,
        [0xc3, 0x0f | 0x66 | 0x90 | 0xcc | 0x55 | 0x8d, ..] => 4,
        [0xc5, 0xf8..=0xff, ..] | [0xc4, 0xe1..=0xe3, ..] => 3, // VEX
        [0xf2 | 0xf3, 0x0f, 0x10 | 0x11 | 0x2a | 0x58..=0x5c | 0x6f | 0x7f, ..] => 3,
        [0x0f, 0x10 | 0x11 | 0x28 | 0x29 | 0x38 | 0x57, ..] => 2,
        [0x66, 0x0f, 0x1f, ..] | [0x66, 0x2e, 0x0f, ..] => 3,
        _ => 0,
    }
}

/// Moves, address computations and arithmetic on 64 bits or on the upper eight registers.
fn with_rex(code: &[u8]) -> i32 {
    let [rex, opcode, modrm, ..] = *code else { return 0 };
    match (rex, opcode) {
        (0x48 | 0x49 | 0x4c | 0x4d, 0x89 | 0x8b | 0x8d | 0x85 | 0x83 | 0x81 | 0xc7) => 5,
        (0x44 | 0x45 | 0x41, 0x89 | 0x8b | 0x8d | 0x85 | 0x83 | 0x0f) => 3,
        (0x41, 0xff | 0xb8..=0xbf) => 2,
        (0x48 | 0x4c, 0x01 | 0x29 | 0x39 | 0x3b | 0x63) if modrm >= 0xc0 => 3,
        (0x48, 0xc1 | 0xf7 | 0xb8 | 0xba | 0x98) => 3,
        (0x41, 0x54..=0x57 | 0x5c..=0x5f) => 1,
        (0xff, 0x15 | 0x25) if code.get(5).is_some_and(|top| matches!(top, 0 | 0xff)) => 4,
        _ => 0,
    }
}

/// Locals on the stack, arguments, and frames of 32 bits.
fn without_rex(code: &[u8]) -> i32 {
    match *code {
        [0x40..=0x4f, 0x8b | 0x89 | 0x8d | 0x83 | 0x85, ..] => -3,
        [0x8b | 0x89 | 0x8d, 0x45 | 0x4d | 0x55 | 0x5d | 0x75 | 0x7d, ..] => 4,
        [0x8b | 0x89 | 0x8d | 0xc7, 0x44 | 0x4c | 0x54 | 0x5c | 0x6c | 0x74 | 0x7c, 0x24, ..] => 5,
        [0xc7, 0x04, 0x24, ..] | [0x89, 0x04, 0x24, ..] => 5,
        [0x89, 0xe5, ..] => 5,
        [0x8b | 0x89, 0x00..=0x03 | 0x08..=0x0b | 0x10..=0x13 | 0x40..=0x43 | 0x50..=0x53, ..] => 2,
        [0x8b | 0x89, 0xc0..=0xff, ..] => 2,
        [0x83, 0xec | 0xc4, ..] => 3,
        [0xff, 0x75 | 0x74 | 0xb5, ..] | [0x5d, 0xc3, ..] | [0x6a, ..] => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counts_that_opens_with_another_byte() {
        // What the third byte has to be in any of the openings; behind it are zeros or ones.
        const THIRD: [u8; 7] = [0, 0x0f, 0x10, 0x1f, 0x24, 0xc0, 0xff];
        let mut opening = [false; 256];
        for (first, second) in (0..=255).flat_map(|first| (0..=255).map(move |byte| (first, byte)))
        {
            for (third, rest) in THIRD.iter().flat_map(|third| [(*third, 0), (*third, 0xff)]) {
                let code = [first, second, third, rest, rest, rest];
                let points = [either(&code), with_rex(&code), without_rex(&code)];
                opening[usize::from(first)] |= points.iter().any(|points| *points != 0);
            }
        }
        assert_eq!(opening, FIRST);
    }
}
