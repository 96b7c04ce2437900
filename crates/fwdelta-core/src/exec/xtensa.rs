//! Xtensa (Xtensa Instruction Set Architecture Reference Manual, chapters 3 and 7): calls, jumps,
//! branches and loads of literals, instructions of 24 bits and, with the density option, of 16.
//!
//! Cores with the most significant byte first have the same fields in reverse order, each with
//! its own bits in order.

use super::data;
use super::unit::{Kind, Site, Unit, load, signed};

/// In `aux`: the most significant byte is first.
const IS_BIG: u64 = 1;
/// In `aux`: the instruction has 16 bits.
const IS_NARROW: u64 = 2;

/// A field: its lowest bit where the least significant byte is first, and its bits.
type Field = (u32, u32);

const OP0: Field = (0, 4);
const N: Field = (4, 2);
const M: Field = (6, 2);
const R: Field = (12, 4);
const OFFSET18: Field = (6, 18);
const IMM16: Field = (8, 16);
const IMM12: Field = (12, 12);
const IMM8: Field = (16, 8);

const fn ones(count: u32) -> u32 {
    (1u32 << (count & 31)).wrapping_sub(1)
}

/// How far a field of a 24-bit instruction is shifted.
const fn shift(field: Field, is_big: bool) -> u32 {
    let (low, count) = field;
    if is_big { 24u32.wrapping_sub(low).wrapping_sub(count) & 31 } else { low }
}

const fn get(word: u32, field: Field, is_big: bool) -> u32 {
    word.wrapping_shr(shift(field, is_big)) & ones(field.1)
}

const fn mask(field: Field, is_big: bool) -> u32 {
    ones(field.1).wrapping_shl(shift(field, is_big))
}

const fn set(word: u32, field: Field, is_big: bool, value: u32) -> u32 {
    let bits = (value & ones(field.1)).wrapping_shl(shift(field, is_big));
    word & !mask(field, is_big) | bits
}

/// Whether an instruction that starts with this byte has 16 bits.
#[must_use]
pub const fn is_narrow(first: u8, is_big: bool) -> bool {
    let op0 = if is_big { first >> 4 } else { first & 15 };
    matches!(op0, 8..=13)
}

/// What kind of reference an instruction of 24 bits is.
#[must_use]
pub const fn kind_of(word: u32, is_big: bool) -> Option<Kind> {
    match (get(word, OP0, is_big), get(word, N, is_big), get(word, M, is_big)) {
        (1, ..) => Some(Kind::XtensaLiteral),
        (5, ..) => Some(Kind::XtensaCall),
        (6, 0, _) => Some(Kind::XtensaJump),
        (6, 1 | 2, _) | (6, 3, 2 | 3) | (7, ..) => Some(Kind::XtensaBranch),
        // BF and BT.
        (6, 3, 1) if get(word, R, is_big) < 2 => Some(Kind::XtensaBranch),
        _ => None,
    }
}

/// Whether an instruction of 16 bits is BEQZ.N or BNEZ.N.
const fn is_narrow_branch(half: u32, is_big: bool) -> bool {
    if is_big { half & 0xf800 == 0xc800 } else { half & 0x8f == 0x8c }
}

const fn narrow_mask(is_big: bool) -> u32 {
    if is_big { 0x030f } else { 0xf030 }
}

/// The field of a 24-bit instruction that says where it leads.
const fn field_of(kind: Kind, word: u32, is_big: bool) -> Field {
    match kind {
        Kind::XtensaLiteral => IMM16,
        Kind::XtensaCall | Kind::XtensaJump => OFFSET18,
        _ if get(word, OP0, is_big) == 6 && get(word, N, is_big) == 1 => IMM12,
        _ => IMM8,
    }
}

/// The next unit.
pub(super) fn unit(site: &Site<'_>) -> Unit {
    let is_big = site.class.big_endian;
    if site.pos & 3 == 0
        && site.left >= 4
        && let Some(pointer) = site.u32(0).and_then(|word| data::pointer32(site, word))
    {
        return pointer;
    }
    let Some(first) = site.byte(0) else { return site.plain(Kind::Bytes, 1) };
    let is_narrow = is_narrow(first, is_big);
    let len = if is_narrow { 2 } else { 3 };
    let bytes = site.view.get(site.at..).and_then(|rest| rest.get(..len));
    let Some(bytes) = bytes.filter(|_| site.left >= len as u64) else {
        return site.plain(Kind::Bytes, 1);
    };
    let word = load(bytes, is_big) as u32;
    let aux = if is_big { IS_BIG } else { 0 } | if is_narrow { IS_NARROW } else { 0 };
    let kind = match is_narrow {
        true if is_narrow_branch(word, is_big) => Some(Kind::XtensaBranch),
        true => None,
        false => kind_of(word, is_big),
    };
    let plain = if is_narrow { Kind::Half } else { Kind::Op };
    let target = kind.map_or(0, |kind| target(kind, word, site.addr, aux));
    Unit { word: word.into(), target, aux, kind: kind.unwrap_or(plain), len: len as u8 }
}

/// What the offset of an instruction at `addr` counts from.
const fn origin(kind: Kind, addr: u64) -> u64 {
    match kind {
        Kind::XtensaCall => (addr & !3).wrapping_add(4),
        Kind::XtensaLiteral => addr.wrapping_add(3) & !3,
        _ => addr.wrapping_add(4),
    }
}

/// Where a reference at `addr` leads.
#[must_use]
pub const fn target(kind: Kind, word: u32, addr: u64, aux: u64) -> u64 {
    let is_big = aux & IS_BIG != 0;
    let field = field_of(kind, word, is_big);
    let by = match kind {
        _ if aux & IS_NARROW != 0 && is_big => (word >> 8 & 3) << 4 | word & 15,
        _ if aux & IS_NARROW != 0 => (word >> 4 & 3) << 4 | word >> 12 & 15,
        Kind::XtensaLiteral => 0xfffc_0000 | get(word, field, is_big) << 2,
        Kind::XtensaCall => (signed(get(word, field, is_big) as u64, field.1) << 2) as u32,
        _ => signed(get(word, field, is_big) as u64, field.1) as u32,
    };
    origin(kind, addr).wrapping_add(by as u64) & 0xffff_ffff
}

/// The instruction that leads to `target` from `addr`.
#[must_use]
pub const fn write(kind: Kind, word: u32, addr: u64, target: u64, aux: u64) -> u32 {
    let is_big = aux & IS_BIG != 0;
    let by = target.wrapping_sub(origin(kind, addr)) as u32;
    if aux & IS_NARROW != 0 {
        let bits = match is_big {
            true => (by >> 4 & 3) << 8 | by & 15,
            false => (by >> 4 & 3) << 4 | (by & 15) << 12,
        };
        return word & !narrow_mask(is_big) | bits;
    }
    let by = match kind {
        Kind::XtensaCall | Kind::XtensaLiteral => by >> 2,
        _ => by,
    };
    set(word, field_of(kind, word, is_big), is_big, by)
}

/// Bits of the instruction that hold the reference.
#[must_use]
pub const fn field(kind: Kind, word: u32, aux: u64) -> u32 {
    let is_big = aux & IS_BIG != 0;
    if aux & IS_NARROW != 0 {
        return narrow_mask(is_big);
    }
    mask(field_of(kind, word, is_big), is_big)
}

/// Where the new instruction leads, if it is still of this kind.
pub(super) fn read(unit: &Unit, word: u32, addr: u64) -> Option<u64> {
    let Unit { kind, aux, .. } = *unit;
    let is_big = aux & IS_BIG != 0;
    let is_same = match aux & IS_NARROW != 0 {
        true => is_narrow_branch(word, is_big),
        false => kind_of(word, is_big) == Some(kind),
    };
    is_same.then(|| target(kind, word, addr, aux))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 24-bit instruction of a core with the other byte order.
    fn reversed(word: u32) -> u32 {
        // Calls and jumps keep `n` apart from the offset; all else moves by four bits.
        let op0 = word & 15;
        if op0 == 5 || op0 == 6 && word & 0x30 == 0 {
            return op0 << 20 | (word >> 4 & 3) << 18 | word >> 6;
        }
        let parts: &[Field] = match (op0, word >> 4 & 3) {
            (1, _) => &[(0, 4), (4, 4), (8, 16)],
            (6, 1) => &[(0, 4), (4, 2), (6, 2), (8, 4), (12, 12)],
            (6, _) => &[(0, 4), (4, 2), (6, 2), (8, 4), (12, 4), (16, 8)],
            _ => &[(0, 4), (4, 4), (8, 4), (12, 4), (16, 8)],
        };
        parts.iter().fold(0, |big, (low, count)| big << count | word >> low & ones(*count))
    }

    #[test]
    fn what_is_written_leads_there() {
        let cases = [
            (Kind::XtensaCall, 0x00_0025, 0x1_fffc, 4),
            (Kind::XtensaJump, 0x00_0006, 0x1_fffb, 0),
            (Kind::XtensaBranch, 0x00_0316, 0x7f7, 0),
            (Kind::XtensaBranch, 0x00_2826, 0x7b, 0),
            (Kind::XtensaBranch, 0x00_0276, 0x7b, 0),
            (Kind::XtensaBranch, 0x00_23b6, 0x7b, 0),
            (Kind::XtensaBranch, 0x00_9237, 0x7b, 0),
        ];
        for (kind, little, by, rest) in cases {
            for (word, aux) in [(little, 0), (reversed(little), IS_BIG)] {
                assert_eq!(kind_of(word, aux != 0), Some(kind), "{little:x}");
                for to in [0x4008_0004 - rest + by, 0x4008_0004 - rest - by] {
                    let addr = 0x4008_0003 - rest;
                    let written = write(kind, word, addr, to, aux);
                    assert_eq!(target(kind, written, addr, aux), to, "{little:x}");
                    let field = field(kind, word, aux);
                    assert_eq!(written & !field, word & !field);
                    let unit = Unit { kind, aux, ..Unit::default() };
                    assert_eq!(read(&unit, written, addr), Some(to));
                }
            }
        }
    }

    #[test]
    fn literals_stand_before_their_loads() {
        for (word, aux) in [(0x21, 0), (0x12_0000, IS_BIG)] {
            for (addr, to) in [(0x4008_0001, 0x4008_0000), (0x4008_0004, 0x4004_0004)] {
                let written = write(Kind::XtensaLiteral, word, addr, to, aux);
                assert_eq!(kind_of(written, aux != 0), Some(Kind::XtensaLiteral));
                assert_eq!(target(Kind::XtensaLiteral, written, addr, aux), to);
            }
        }
    }

    #[test]
    fn narrow_branches_lead_ahead() {
        for (half, aux) in [(0x02cc, IS_NARROW), (0xcc20, IS_NARROW | IS_BIG)] {
            assert!(is_narrow_branch(half, aux & IS_BIG != 0));
            for by in [0, 21, 42, 63] {
                let written = write(Kind::XtensaBranch, half, 0x100, 0x104 + by, aux);
                assert_eq!(target(Kind::XtensaBranch, written, 0x100, aux), 0x104 + by);
                let field = field(Kind::XtensaBranch, half, aux);
                assert_eq!(written & !field, half & !field);
            }
        }
    }

    #[test]
    fn instructions_of_an_assembler() {
        // call8 .+0x10 and l32r a2, .-8 at address 4; beqz a3, .+0x20.
        assert_eq!(target(Kind::XtensaCall, 0x00_00e5, 4, 0), 0x14);
        assert_eq!(target(Kind::XtensaLiteral, 0xff_fe21, 4, 0), 0xffff_fffc);
        assert_eq!(target(Kind::XtensaBranch, 0x01_c316, 0x100, 0), 0x120);
    }
}
