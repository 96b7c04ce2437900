//! Contexts of bytes in the large model.

use super::{ByteFeatures, LiteralFeatures, hash};

/// Contexts with traces of a byte of a unit.
pub(super) const BYTE_TRACES: usize = 6;
/// Contexts with traces of a literal.
pub(super) const LITERAL_TRACES: usize = 11;

/// Contexts of a byte of a unit, and the one with slots.
pub(super) fn of_byte(f: &ByteFeatures) -> ([u32; BYTE_TRACES], u32) {
    let at = f.at | (f.kind as u32) << 4;
    let expected = u32::from(f.expected);
    let (b1, b4) = (f.tail as u32 & 255, f.tail as u32 >> 24);
    let heads = [
        hash(60, at | expected << 10 | f.differing << 20),
        hash(61, at | u32::from(f.raw) << 10 | expected << 18),
        hash(hash(62, at), f.word) ^ f.so_far.wrapping_mul(0x0100_0193),
        hash(63, at | b1 << 10 | expected << 18),
        hash(65, at | b4 << 10 | expected << 18),
        hash(hash(66, at), f.so_far),
    ];
    (heads, hash(67, at | f.differing << 10 | u32::from(f.is_last) << 20))
}

/// Contexts of a literal.
pub(super) fn of_literal(f: &LiteralFeatures) -> [u32; LITERAL_TRACES] {
    let low = f.tail as u32;
    let b = |by: u32| (f.tail >> (8 * by) & 255) as u32;
    let phase = f.pos as u32 & 3;
    let beside = u32::from(f.gap);
    let expected = f.expected.map_or(256, u32::from);
    [
        hash(20, phase),
        hash(21, b(0) | phase << 8),
        hash(22, low & 0xffff | phase << 24),
        hash(23, low & 0xff_ffff),
        hash(25, b(3) | phase << 8 | b(7) << 16),
        hash(27, beside | phase << 8),
        hash(30, b(1) | b(3) << 8 | phase << 16),
        hash(31, expected | b(0) << 9),
        hash(33, b(2) | b(3) << 8),
        hash(36, 0),
        hash(39, b(1) | b(2) << 8),
    ]
}

/// A match's length, coarsely, from 1; 0 without one.
pub(super) fn match_class(f: &LiteralFeatures) -> u32 {
    match (f.expected, f.match_len) {
        (None, _) => 0,
        (_, len @ 0..16) => 1 + len / 2,
        (_, len @ 16..32) => 7 + len / 8,
        (_, 32..64) => 11,
        _ => 12,
    }
}
