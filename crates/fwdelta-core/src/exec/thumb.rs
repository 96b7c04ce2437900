//! Thumb and Thumb-2 (Arm Architecture Reference Manual, ARMv7-M, chapter A5): branches, LDR
//! literal, the constants it loads, among them those relative to the PC, MOVW with its MOVT.

use super::data;
use super::unit::{Home, Kind, Site, Unit, signed};
use super::walk::{Pools, Registers};

/// Halfwords behind a MOVW among which its MOVT is looked for.
const PAIR_COUNT: usize = 12;
/// Farthest that a MOVT is from its MOVW, in bytes.
const PAIR_REACH: u64 = 40;
/// Farthest that `add rX, pc` is from the load of rX, in bytes.
const PIC_REACH: u64 = 48;
const MOV_BITS: u32 = 0x70ff_040f;

/// Whether a halfword starts a 32-bit instruction.
#[must_use]
pub const fn is_wide(half: u32) -> bool {
    half & 0xf800 >= 0xe800
}

/// BL, BLX or B.W, halfwords in the order of their addresses, the first in the low bits.
const fn is_branch(word: u32) -> bool {
    let second = word >> 16;
    word & 0xf800 == 0xf000
        && (second & 0xd000 == 0xd000 || second & 0xd000 == 0x9000 || second & 0xd001 == 0xc000)
}

const fn is_branch_cond(word: u32) -> bool {
    word & 0xf800 == 0xf000 && word >> 16 & 0xd000 == 0x8000 && word >> 6 & 0xe != 0xe
}

const fn is_movw(word: u32) -> bool {
    word & 0x8000_fbf0 == 0x0000_f240
}

const fn is_movt(word: u32) -> bool {
    word & 0x8000_fbf0 == 0x0000_f2c0
}

const fn imm16(word: u32) -> u64 {
    ((word & 15) << 12 | (word >> 10 & 1) << 11 | (word >> 28 & 7) << 8 | word >> 16 & 0xff) as u64
}

/// What kind of reference a 32-bit instruction is; halves of addresses only show in context.
#[must_use]
pub const fn kind_of(word: u32) -> Option<Kind> {
    if is_branch(word) {
        Some(Kind::ThumbBranch)
    } else if is_branch_cond(word) {
        Some(Kind::ThumbBranchCond)
    } else if word & 0xff7f == 0xf85f {
        Some(Kind::ThumbLiteralWide)
    } else {
        None
    }
}

/// What kind of reference a 16-bit instruction is.
#[must_use]
pub const fn short_kind_of(half: u32) -> Option<Kind> {
    let is_cond = half & 0xf000 == 0xd000 && half & 0x0e00 != 0x0e00;
    if half & 0xf800 == 0x4800 {
        Some(Kind::ThumbLiteral)
    } else if is_cond || half & 0xf800 == 0xe000 || half & 0xf500 == 0xb100 {
        Some(Kind::ThumbBranchShort)
    } else {
        None
    }
}

/// The next unit.
pub(super) fn unit(site: &Site<'_>, registers: &mut Registers, pools: &mut Pools) -> Unit {
    if site.pos & 1 != 0 {
        return site.plain(Kind::Bytes, 1);
    }
    if let Some(unit) = constant(site, pools) {
        return unit;
    }
    let Some(half) = site.u16(0).filter(|_| site.left >= 2) else {
        return site.plain(Kind::Bytes, 1);
    };
    if is_wide(half) {
        match site.u32(0).filter(|_| site.left >= 4) {
            Some(word) => return wide(site, word, registers, pools),
            None => return site.plain(Kind::Half, 2),
        }
    }
    let mut unit = Unit { word: half.into(), kind: Kind::Half, len: 2, ..Unit::default() };
    if let Some(kind) = short_kind_of(half) {
        (unit.kind, unit.target) = (kind, target(kind, half, site.addr));
        if kind == Kind::ThumbLiteral {
            load_of(site, (half >> 8 & 7) as u8, unit.target, registers, pools);
        }
    } else if half & 0xff78 == 0x4478 {
        add_pc(site, (half & 7 | half >> 4 & 8) as u8, registers, pools);
    }
    unit
}

/// Bytes from the site on, at most `most`, that are instructions without a reference, or branch to
/// `home`; may be fewer than there are.
pub(super) fn plain_len(site: &Site<'_>, most: usize, home: Home, pools: &mut Pools) -> usize {
    if site.pos & 1 != 0 || site.class.big_endian {
        return 0;
    }
    let most = most.min(usize::try_from(pools.next(site.pos)).unwrap_or(usize::MAX));
    let bytes = site.ahead(most);
    let mut len = 0usize;
    while let Some(&[a, b, c, d]) = bytes.get(len..).and_then(|bytes| bytes.first_chunk::<4>()) {
        let word = u32::from_le_bytes([a, b, c, d]);
        let half = word & 0xffff;
        let is_aligned = site.pos.wrapping_add(len as u64) & 3 == 0;
        if is_aligned && site.bounds.is_near32(word) {
            return len;
        }
        let addr = site.addr.wrapping_add(len as u64);
        let leads_on = |kind, word| match kind {
            Some(Kind::ThumbLiteral | Kind::ThumbLiteralWide) => true,
            Some(kind) => !home.contains(target(kind, word, addr)),
            None => false,
        };
        if is_wide(half) {
            if leads_on(kind_of(word), word) || is_movw(word) || is_movt(word) {
                return len;
            }
            len += 4;
        } else if leads_on(short_kind_of(half), half) || half & 0xff78 == 0x4478 {
            return len;
        } else {
            len += 2;
        }
    }
    len
}

/// How many instructions `bytes` are, which are whole ones.
pub(super) fn count(bytes: &[u8]) -> u64 {
    let (mut at, mut count) = (0usize, 0);
    while let Some(half) = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<2>()) {
        at += if is_wide(u16::from_le_bytes(*half).into()) { 4 } else { 2 };
        count += 1;
    }
    count
}

/// A constant that a load was seen of, or that looks like an address.
fn constant(site: &Site<'_>, pools: &mut Pools) -> Option<Unit> {
    if site.pos & 3 != 0 || site.left < 4 {
        return None;
    }
    let word = site.u32(0)?;
    let Some(pic) = pools.take(site.pos) else { return data::pointer32(site, word) };
    if pic != 0 {
        let base = u64::from(pic).wrapping_add(4);
        let target = base.wrapping_add(word.into()) & 0xffff_ffff;
        let kind = Kind::Based;
        return Some(Unit { word: word.into(), target, aux: base, kind, len: 4 });
    }
    data::pointer32(site, word).or_else(|| Some(site.plain(Kind::Data, 4)))
}

/// Remembers that the constant at address `to` is one.
fn load_of(site: &Site<'_>, to: u8, addr: u64, registers: &mut Registers, pools: &mut Pools) {
    let by = addr.wrapping_sub(site.addr);
    if by < 0x1004 && addr & 3 == 0 {
        let pos = site.pos.wrapping_add(by);
        pools.put(pos);
        registers.set(to, pos, site.pos);
    }
}

/// `add rX, pc`: the constant loaded into rX is relative to here.
fn add_pc(site: &Site<'_>, register: u8, registers: &mut Registers, pools: &mut Pools) {
    if let Some(pos) = registers.get(register, site.pos, PIC_REACH) {
        pools.set_pic(pos, site.addr as u32);
    }
}

fn wide(site: &Site<'_>, word: u32, registers: &mut Registers, pools: &mut Pools) -> Unit {
    let mut unit = Unit { word: word.into(), kind: Kind::WideOp, len: 4, ..Unit::default() };
    let register = (word >> 24 & 15) as u8;
    if let Some(kind) = kind_of(word) {
        (unit.kind, unit.target) = (kind, target(kind, word, site.addr));
        if kind == Kind::ThumbLiteralWide {
            load_of(site, (word >> 28) as u8, unit.target, registers, pools);
        }
    } else if is_movw(word) {
        if let Some(to) = find_high(site, word, register) {
            (unit.kind, unit.target) = (Kind::ThumbMovHalf, to);
            registers.set(register, to, site.pos);
        }
    } else if is_movt(word)
        && let Some(to) = registers.get(register, site.pos, PAIR_REACH)
    {
        (unit.kind, unit.target, unit.aux) = (Kind::ThumbMovHalf, to, 1);
    }
    unit
}

fn find_high(site: &Site<'_>, movw: u32, register: u8) -> Option<u64> {
    let mut by = 4;
    for _ in 0..PAIR_COUNT {
        let word = site.u32(by)?;
        if word >> 24 & 15 == u32::from(register) {
            if is_movt(word) {
                let target = imm16(word) << 16 | imm16(movw);
                return site.bounds.is_pointer32(target).then_some(target);
            }
            if is_movw(word) {
                return None;
            }
        }
        by += if is_wide(word & 0xffff) { 4 } else { 2 };
    }
    None
}

/// Where a reference at `addr` leads.
#[must_use]
pub const fn target(kind: Kind, word: u32, addr: u64) -> u64 {
    let (pc, second) = (addr.wrapping_add(4), word >> 16);
    let to = match kind {
        Kind::ThumbBranch => {
            let sign = word >> 10 & 1;
            let (i1, i2) = (1 ^ (second >> 13 & 1) ^ sign, 1 ^ (second >> 11 & 1) ^ sign);
            let by =
                sign << 24 | i1 << 23 | i2 << 22 | (word & 0x3ff) << 12 | (second & 0x7ff) << 1;
            let pc = if second & 0x1000 == 0 { pc & !3 } else { pc };
            pc.wrapping_add(signed(by as u64, 25))
        }
        Kind::ThumbBranchCond => {
            let by = (word >> 10 & 1) << 20
                | (second >> 11 & 1) << 19
                | (second >> 13 & 1) << 18
                | (word & 0x3f) << 12
                | (second & 0x7ff) << 1;
            pc.wrapping_add(signed(by as u64, 21))
        }
        Kind::ThumbLiteral => (pc & !3).wrapping_add((word as u64 & 0xff) << 2),
        Kind::ThumbLiteralWide if word & 0x80 != 0 => (pc & !3).wrapping_add(second as u64 & 0xfff),
        Kind::ThumbLiteralWide => (pc & !3).wrapping_sub(second as u64 & 0xfff),
        _ if word & 0xf000 == 0xd000 => pc.wrapping_add(signed(word as u64 & 0xff, 8) << 1),
        _ if word & 0xf800 == 0xe000 => pc.wrapping_add(signed(word as u64 & 0x7ff, 11) << 1),
        _ => pc.wrapping_add(((word >> 3 & 0x1f) << 1 | (word >> 9 & 1) << 6) as u64),
    };
    to & 0xffff_ffff
}

/// The instruction that leads to `target` from `addr`.
#[must_use]
pub const fn write(kind: Kind, word: u32, addr: u64, target: u64, aux: u64) -> u32 {
    let (pc, second) = (addr.wrapping_add(4), word >> 16);
    let by = target.wrapping_sub(pc) as u32;
    let by_aligned = target.wrapping_sub(pc & !3) as u32;
    match kind {
        Kind::ThumbBranch => {
            let by = if second & 0x1000 == 0 { by_aligned } else { by };
            let sign = by >> 24 & 1;
            let (j1, j2) = (1 ^ (by >> 23 & 1) ^ sign, 1 ^ (by >> 22 & 1) ^ sign);
            let first = word & 0xf800 | sign << 10 | by >> 12 & 0x3ff;
            first | (second & 0xd000 | j1 << 13 | j2 << 11 | by >> 1 & 0x7ff) << 16
        }
        Kind::ThumbBranchCond => {
            let first = word & 0xfbc0 | (by >> 20 & 1) << 10 | by >> 12 & 0x3f;
            let (j1, j2) = (by >> 18 & 1, by >> 19 & 1);
            first | (second & 0xd000 | j1 << 13 | j2 << 11 | by >> 1 & 0x7ff) << 16
        }
        Kind::ThumbLiteral => word & 0xff00 | by_aligned >> 2 & 0xff,
        Kind::ThumbLiteralWide => {
            let back = by_aligned >> 31 != 0;
            let len = if back { by_aligned.wrapping_neg() } else { by_aligned };
            word & 0xf000_ff7f | (len & 0xfff) << 16 | if back { 0 } else { 0x80 }
        }
        Kind::ThumbMovHalf => {
            let half = if aux == 1 { target >> 16 } else { target } as u32 & 0xffff;
            let first = half >> 12 | (half >> 11 & 1) << 10;
            word & !MOV_BITS | first | (half >> 8 & 7) << 28 | (half & 0xff) << 16
        }
        _ if word & 0xf000 == 0xd000 => word & 0xff00 | by >> 1 & 0xff,
        _ if word & 0xf800 == 0xe000 => word & 0xf800 | by >> 1 & 0x7ff,
        _ => word & 0xfd07 | (by >> 1 & 0x1f) << 3 | (by >> 6 & 1) << 9,
    }
}

/// Bits of the instruction that hold the reference; of short branches those of the longest.
#[must_use]
pub const fn field(kind: Kind) -> u32 {
    match kind {
        Kind::ThumbBranch => 0x2fff_07ff,
        Kind::ThumbBranchCond => 0x2fff_043f,
        Kind::ThumbLiteral => 0xff,
        Kind::ThumbLiteralWide => 0x0fff_0080,
        Kind::ThumbMovHalf => MOV_BITS,
        _ => 0x7ff,
    }
}

/// Where the new instruction leads, if it is still of this kind.
pub(super) fn read(unit: &Unit, word: u32, addr: u64, new_registers: &mut [u64]) -> Option<u64> {
    let register = (word >> 24 & 15) as usize;
    match unit.kind {
        Kind::ThumbMovHalf if unit.aux == 1 => {
            let low = *new_registers.get(register)?;
            is_movt(word).then(|| imm16(word) << 16 | low & 0xffff)
        }
        Kind::ThumbMovHalf => {
            *new_registers.get_mut(register)? = imm16(word);
            None
        }
        kind @ (Kind::ThumbLiteral | Kind::ThumbBranchShort) => {
            let same = short_kind_of(word) == Some(kind);
            same.then(|| target(kind, word, addr))
        }
        kind => (kind_of(word) == Some(kind)).then(|| target(kind, word, addr)),
    }
}

/// The value of a 32-bit instruction's immediate: 16 bits, or a byte rotated (ThumbExpandImm).
#[must_use]
pub const fn immediate(word: u32) -> Option<u32> {
    if is_movw(word) {
        return Some(imm16(word) as u32);
    }
    let is_mov = word & 0x8000_fbef == 0x0000_f04f;
    let code = (word >> 10 & 1) << 11 | (word >> 28 & 7) << 8 | word >> 16 & 0xff;
    if !is_mov || code >> 10 == 0 {
        return None;
    }
    Some((0x80 | code & 0x7f).rotate_right(code >> 7))
}

/// The instruction that loads `value`, below 65,536, into the register of `word`, as compilers
/// choose it: MOV with a rotated byte where there is one, else MOVW.
#[must_use]
pub const fn with_immediate(word: u32, value: u32) -> u32 {
    let register = word & 0x0f00_0000;
    let log = 31u32.wrapping_sub((value | 1).leading_zeros());
    if log >= 8 {
        let shift = log - 7;
        if value == (value >> shift) << shift && value >> shift < 256 {
            let rotation = 32 - shift;
            let code = rotation << 7 | value >> shift & 0x7f;
            return 0xf04f
                | (code >> 11 & 1) << 10
                | (code >> 8 & 7) << 28
                | (code & 0xff) << 16
                | register;
        }
    }
    let first = 0xf240 | value >> 12 & 15 | (value >> 11 & 1) << 10;
    first | (value >> 8 & 7) << 28 | (value & 0xff) << 16 | register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_leads_there() {
        let cases = [
            (Kind::ThumbBranch, 0xf800_f000, 0x12_3456),
            (Kind::ThumbBranch, 0xe800_f000, 0x12_3454),
            (Kind::ThumbBranch, 0xb800_f000, 0x12_3456),
            (Kind::ThumbBranchCond, 0x8000_f000, 0x1_2346),
            (Kind::ThumbLiteralWide, 0x3000_f8df, 0x124),
            (Kind::ThumbBranchShort, 0xd000, 0x54),
            (Kind::ThumbBranchShort, 0xe000, 0x254),
        ];
        for (kind, word, by) in cases {
            for to in [0x20_0004 + by, 0x20_0004 - by] {
                let written = write(kind, word, 0x20_0000, to, 0);
                assert_eq!(target(kind, written, 0x20_0000), to, "{kind:?} {word:x}");
            }
        }
        for (kind, word) in [(Kind::ThumbLiteral, 0x4b00), (Kind::ThumbBranchShort, 0xb103)] {
            let written = write(kind, word, 0x2_0000, 0x2_0004 + 0x58, 0);
            assert_eq!(target(kind, written, 0x2_0000), 0x2_005c);
            assert_eq!(short_kind_of(written), Some(kind));
        }
        for (aux, half) in [(0, 0x5678), (1, 0x1234)] {
            let written = write(Kind::ThumbMovHalf, 0x0300_f240, 0, 0x1234_5678, aux);
            assert_eq!(imm16(written), half);
        }
    }

    #[test]
    fn immediates_come_back() {
        for value in 256..65_536 {
            assert_eq!(immediate(with_immediate(0x0300_f240, value)), Some(value));
        }
    }
}
