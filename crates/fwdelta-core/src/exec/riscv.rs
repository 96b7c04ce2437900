//! RISC-V (Unprivileged ISA 20191213, chapters 2 and 16): jumps and branches of both lengths,
//! AUIPC and LUI with the instruction that adds the low part of the address.

use super::data;
use super::unit::{Home, Kind, Site, Unit, signed};
use super::walk::Registers;

/// Bytes behind an AUIPC or LUI among which the low part is looked for.
const PAIR_LEN: usize = 64;
/// Farthest that a low part is from its AUIPC or LUI, in bytes.
const PAIR_REACH: u64 = 128;
/// In a register's value, which is even: the address is absolute, made by LUI.
const IS_ABSOLUTE: u64 = 1;
/// In `aux`: addresses have 32 bits.
const IS_NARROW: u64 = 1 << 32;

/// Where bits of an instruction belong in its immediate: lowest bit there, lowest bit here, count.
type Parts<const N: usize> = [(u32, u32, u32); N];

const JAL: Parts<4> = [(31, 20, 1), (21, 1, 10), (20, 11, 1), (12, 12, 8)];
const BRANCH: Parts<4> = [(31, 12, 1), (25, 5, 6), (8, 1, 4), (7, 11, 1)];
const JUMP_SHORT: Parts<8> =
    [(12, 11, 1), (11, 4, 1), (9, 8, 2), (8, 10, 1), (7, 6, 1), (6, 7, 1), (3, 1, 3), (2, 5, 1)];
const BRANCH_SHORT: Parts<5> = [(12, 8, 1), (10, 3, 2), (5, 6, 2), (3, 1, 2), (2, 5, 1)];
const LOW_I: Parts<1> = [(20, 0, 12)];
const LOW_S: Parts<2> = [(25, 5, 7), (7, 0, 5)];

const fn ones(count: u32) -> u32 {
    (1u32 << (count & 31)).wrapping_sub(1)
}

/// The bits of an instruction that are its immediate, in their places there. The parts are known
/// when compiling.
#[inline(always)]
fn gathered<const N: usize>(parts: &Parts<N>, word: u32) -> u64 {
    let value = parts.iter().fold(0, |value, (there, here, count)| {
        value | (word.wrapping_shr(*there) & ones(*count)).wrapping_shl(*here)
    });
    value.into()
}

/// The bits of an immediate where the instruction has them.
#[inline(always)]
fn scattered<const N: usize>(parts: &Parts<N>, value: u32) -> u32 {
    parts.iter().fold(0, |word, (there, here, count)| {
        word | (value.wrapping_shr(*here) & ones(*count)).wrapping_shl(*there)
    })
}

/// The immediate of an instruction, sign extended.
fn immediate(kind: Kind, word: u32) -> u64 {
    match kind {
        Kind::RiscVJal => signed(gathered(&JAL, word), 21),
        Kind::RiscVBranch => signed(gathered(&BRANCH, word), 13),
        Kind::RiscVJumpShort => signed(gathered(&JUMP_SHORT, word), 12),
        Kind::RiscVBranchShort => signed(gathered(&BRANCH_SHORT, word), 9),
        Kind::RiscVLowS => signed(gathered(&LOW_S, word), 12),
        _ => signed(gathered(&LOW_I, word), 12),
    }
}

/// The instruction with another immediate.
fn with_immediate(kind: Kind, word: u32, value: u32) -> u32 {
    let bits = match kind {
        Kind::RiscVJal => scattered(&JAL, value),
        Kind::RiscVBranch => scattered(&BRANCH, value),
        Kind::RiscVJumpShort => scattered(&JUMP_SHORT, value),
        Kind::RiscVBranchShort => scattered(&BRANCH_SHORT, value),
        Kind::RiscVLowS => scattered(&LOW_S, value),
        _ => scattered(&LOW_I, value),
    };
    word & !field(kind) | bits
}

/// Whether the 16 bits are all of an instruction.
#[must_use]
pub const fn is_short(half: u32) -> bool {
    half & 3 != 3
}

/// What kind of reference an instruction is; parts of addresses only show in context. C.JAL is
/// another instruction where registers have 64 bits.
#[must_use]
pub const fn kind_of(word: u32, is_wide: bool) -> Option<Kind> {
    match (word & 3, word & 0x7f) {
        (3, 0x6f) => Some(Kind::RiscVJal),
        (3, 0x63) => Some(Kind::RiscVBranch),
        (1, _) => match word >> 13 & 7 {
            5 => Some(Kind::RiscVJumpShort),
            1 if !is_wide => Some(Kind::RiscVJumpShort),
            6 | 7 => Some(Kind::RiscVBranchShort),
            _ => None,
        },
        _ => None,
    }
}

/// Kind and base register of an instruction that adds 12 bits to a register: ADDI, ADDIW, loads,
/// JALR, stores.
#[must_use]
pub const fn low_part(word: u32) -> Option<(Kind, u8)> {
    let base = (word >> 15 & 31) as u8;
    match word & 0x7f {
        0x13 | 0x1b | 0x67 if word >> 12 & 7 == 0 => Some((Kind::RiscVLowI, base)),
        0x03 | 0x07 => Some((Kind::RiscVLowI, base)),
        0x23 | 0x27 => Some((Kind::RiscVLowS, base)),
        _ => None,
    }
}

const fn is_auipc(word: u32) -> bool {
    word & 0x7f == 0x17
}

const fn is_lui(word: u32) -> bool {
    word & 0x7f == 0x37
}

/// Where an instruction of 16 bits names the register that it writes: how far up, which bits there,
/// and what is added. By the upper three bits and the lower two.
const DESTINATIONS: [(u8, u8, u8); 32] = {
    let mut places = [(0, 0, 0); 32];
    let mut at = 0;
    while at < 32 {
        // INVARIANT: `at` is below 32, the length.
        places[at] = match (at & 3, at >> 2) {
            (0, 0 | 2 | 3) => (2, 7, 8),
            (1, 4) => (7, 7, 8),
            (1, 0..=3) | (2, 0 | 2..=4) => (7, 31, 0),
            _ => (0, 0, 0),
        };
        at += 1;
    }
    places
};

/// The register that an instruction writes; 0 for none.
#[inline(always)]
fn destination(word: u32) -> u8 {
    if !is_short(word) {
        let has_none = matches!(word & 0x7f, 0x23 | 0x27 | 0x63 | 0x07);
        return if has_none { 0 } else { (word >> 7 & 31) as u8 };
    }
    // C.JALR, and C.JR, which writes none but ends what is known.
    if word & 0xe07f == 0x8002 {
        return 1;
    }
    let at = word >> 11 & 0x1c | word & 3;
    let (up, bits, more) = DESTINATIONS.get(at as usize).copied().unwrap_or_default();
    word.wrapping_shr(up.into()) as u8 & bits | more
}

/// Bytes from the site on, at most `most`, that are instructions without a reference, or lead to
/// `home`; may be fewer than there are.
pub(super) fn plain_len(
    site: &Site<'_>,
    most: usize,
    home: Home,
    registers: &mut Registers,
) -> usize {
    if site.pos & 1 != 0 || site.bounds.low >> 32 != 0 || site.class.big_endian {
        return 0;
    }
    let (bytes, is_wide) = (site.ahead(most), site.class.wide);
    let mut len = 0usize;
    while let Some(word) = bytes.get(len..).and_then(|bytes| bytes.first_chunk::<4>()) {
        let word = u32::from_le_bytes(*word);
        let (pos, addr) = (site.pos.wrapping_add(len as u64), site.addr.wrapping_add(len as u64));
        let is_short = is_short(word);
        let word = if is_short { word & 0xffff } else { word };
        let stops = match kind_of(word, is_wide) {
            Some(kind) => !home.contains(narrowed(target(kind, word, addr), is_wide)),
            None if is_short => false,
            None if is_auipc(word) || is_lui(word) => true,
            None => {
                low_part(word).is_some_and(|(_, base)| registers.is_live(base, pos, PAIR_REACH))
            }
        };
        if stops {
            break;
        }
        registers.forget(destination(word));
        len += if is_short { 2 } else { 4 };
    }
    len
}

/// How many instructions `bytes` are, which are whole ones.
pub(super) fn count(bytes: &[u8]) -> u64 {
    let (mut at, mut count) = (0usize, 0);
    while let Some([low, _]) = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<2>()) {
        at += if is_short((*low).into()) { 2 } else { 4 };
        count += 1;
    }
    count
}

/// The next unit.
pub(super) fn unit(site: &Site<'_>, registers: &mut Registers) -> Unit {
    if site.pos & 1 != 0 {
        return site.plain(Kind::Bytes, 1);
    }
    let Some(half) = site.u16(0).filter(|_| site.left >= 2) else {
        return site.plain(Kind::Bytes, 1);
    };
    if let Some(pointer) = data::high_pointer(site) {
        return pointer;
    }
    if is_short(half) {
        return known(site, half, 2, Kind::RiscVHalf, registers);
    }
    let Some(word) = site.u32(0).filter(|_| site.left >= 4) else {
        return site.plain(Kind::RiscVHalf, 2);
    };
    let mut unit = known(site, word, 4, Kind::RiscVOp, registers);
    if unit.kind != Kind::RiscVOp {
        return unit;
    }
    if is_auipc(word) || is_lui(word) {
        high(site, word, registers, &mut unit);
        return unit;
    }
    if let Some((kind, base)) = low_part(word)
        && let Some((value, since)) = registers.get_since(base, site.pos, PAIR_REACH)
    {
        let target = (value & !IS_ABSOLUTE).wrapping_add(immediate(kind, word));
        let is_absolute = value & IS_ABSOLUTE != 0;
        unit.kind = kind;
        unit.target = narrowed(target, site.class.wide);
        unit.aux |= if is_absolute { 0 } else { since };
    }
    registers.forget(destination(word));
    unit
}

/// An instruction whose reference, if it has one, shows in itself.
fn known(site: &Site<'_>, word: u32, len: u8, plain: Kind, registers: &mut Registers) -> Unit {
    let is_wide = site.class.wide;
    let aux = if is_wide { 0 } else { IS_NARROW };
    let mut unit = Unit { word: word.into(), kind: plain, aux, len, ..Unit::default() };
    if let Some(kind) = kind_of(word, is_wide) {
        unit.kind = kind;
        unit.target = narrowed(target(kind, word, site.addr), is_wide);
    }
    if len == 2 || unit.kind != plain {
        registers.forget(destination(word));
    }
    unit
}

const fn narrowed(addr: u64, is_wide: bool) -> u64 {
    if is_wide { addr } else { addr & 0xffff_ffff }
}

/// AUIPC, or LUI where it makes an address of the module.
fn high(site: &Site<'_>, word: u32, registers: &mut Registers, unit: &mut Unit) {
    let register = destination(word);
    let low = find_low(site, register);
    let value = high_value(word, site.addr);
    let target = narrowed(value.wrapping_add(low.unwrap_or(0)), site.class.wide);
    registers.forget(register);
    if is_lui(word) {
        let is_address = match site.class.wide {
            // Position-independent code has no absolute addresses.
            true => site.bounds.low != 0 && site.bounds.is_pointer64(target),
            false => site.bounds.is_pointer32(target),
        };
        if low.is_none() || !is_address {
            return;
        }
        registers.set(register, value | IS_ABSOLUTE, site.pos);
    } else {
        registers.set(register, value, site.pos);
    }
    (unit.kind, unit.target) = (Kind::RiscVHigh, target);
}

/// What AUIPC or LUI puts into its register.
const fn high_value(word: u32, addr: u64) -> u64 {
    let upper = (word & 0xffff_f000) as i32 as u64;
    if is_auipc(word) { addr.wrapping_add(upper) } else { upper }
}

/// What the next user of `register` adds to it.
fn find_low(site: &Site<'_>, register: u8) -> Option<u64> {
    let mut by = 4;
    while by < PAIR_LEN {
        let half = site.u16(by)?;
        let is_short = is_short(half);
        let word = if is_short { half } else { site.u32(by)? };
        if let Some((kind, _)) = low_part(word).filter(|(_, base)| *base == register && !is_short) {
            return Some(immediate(kind, word));
        }
        if destination(word) == register {
            return None;
        }
        by += if is_short { 2 } else { 4 };
    }
    None
}

/// Where a jump or branch at `addr` leads.
#[must_use]
pub fn target(kind: Kind, word: u32, addr: u64) -> u64 {
    addr.wrapping_add(immediate(kind, word))
}

/// The instruction that leads to `target` from `addr`.
#[must_use]
pub fn write(kind: Kind, word: u32, addr: u64, target: u64, aux: u64) -> u32 {
    match kind {
        Kind::RiscVHigh => {
            let from = if is_auipc(word) { addr } else { 0 };
            let by = target.wrapping_sub(from).wrapping_add(0x800) as u32;
            word & 0xfff | by & 0xffff_f000
        }
        Kind::RiscVLowI | Kind::RiscVLowS => {
            let since = aux & 0xffff_ffff;
            let from = if since == 0 { 0 } else { addr.wrapping_sub(since) };
            with_immediate(kind, word, target.wrapping_sub(from) as u32)
        }
        _ => with_immediate(kind, word, target.wrapping_sub(addr) as u32),
    }
}

/// Bits of the instruction that hold the reference.
#[must_use]
pub const fn field(kind: Kind) -> u32 {
    match kind {
        Kind::RiscVHigh | Kind::RiscVJal => 0xffff_f000,
        Kind::RiscVBranch | Kind::RiscVLowS => 0xfe00_0f80,
        Kind::RiscVJumpShort => 0x1ffc,
        Kind::RiscVBranchShort => 0x1c7c,
        _ => 0xfff0_0000,
    }
}

/// Where the new instruction leads, if it is still of this kind.
pub(super) fn read(unit: &Unit, word: u32, addr: u64, new_registers: &mut [u64]) -> Option<u64> {
    let is_wide = unit.aux & IS_NARROW == 0;
    let target = match unit.kind {
        Kind::RiscVHigh => {
            if is_auipc(word) || is_lui(word) {
                *new_registers.get_mut(usize::from(destination(word)))? = high_value(word, addr);
            }
            return None;
        }
        Kind::RiscVLowI | Kind::RiscVLowS => {
            let (kind, base) = low_part(word).filter(|(kind, _)| *kind == unit.kind)?;
            new_registers.get(usize::from(base))?.wrapping_add(immediate(kind, word))
        }
        kind if kind_of(word, is_wide) == Some(kind) => target(kind, word, addr),
        _ => return None,
    };
    Some(narrowed(target, is_wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_leads_there() {
        let cases = [
            (Kind::RiscVJal, 0xef, 0xf_fffe, 0x10_0000),
            (Kind::RiscVBranch, 0x00b5_1063, 0xffe, 0x1000),
            (Kind::RiscVJumpShort, 0xa001, 0x7fe, 0x800),
            (Kind::RiscVJumpShort, 0x2001, 0x556, 0x2aa),
            (Kind::RiscVBranchShort, 0xc101, 0xfe, 0x100),
            (Kind::RiscVBranchShort, 0xe101, 0x56, 0xaa),
        ];
        for (kind, word, ahead, back) in cases {
            assert_eq!(kind_of(word, false), Some(kind));
            for to in [0x8040_0000 + ahead, 0x8040_0000 - back] {
                let written = write(kind, word, 0x8040_0000, to, 0);
                assert_eq!(target(kind, written, 0x8040_0000), to, "{kind:?}");
                assert_eq!(written & !field(kind), word & !field(kind), "{kind:?}");
                assert_eq!(kind_of(written, false), Some(kind));
            }
        }
    }

    #[test]
    fn fields_are_the_bits_of_immediates() {
        for kind in [
            Kind::RiscVJal,
            Kind::RiscVBranch,
            Kind::RiscVJumpShort,
            Kind::RiscVBranchShort,
            Kind::RiscVLowI,
            Kind::RiscVLowS,
        ] {
            assert_eq!(with_immediate(kind, 0, u32::MAX), field(kind), "{kind:?}");
        }
    }

    #[test]
    fn instructions_of_the_manual() {
        // jal ra, .+0x12346; beq a0, a1, .-4; c.j .-2; c.bnez s0, .+6, as an assembler wrote them.
        assert_eq!(target(Kind::RiscVJal, 0x3461_20ef, 0), 0x1_2346);
        assert_eq!(target(Kind::RiscVBranch, 0xfeb5_0ee3, 8), 4);
        assert_eq!(target(Kind::RiscVJumpShort, 0xbffd, 8), 6);
        assert_eq!(target(Kind::RiscVBranchShort, 0xe019, 8), 14);
    }

    #[test]
    fn parts_make_an_address() {
        for (opcode, from) in [(0x17, 0x1_2344), (0x37, 0)] {
            for to in [0x4567_8800u64, 0x4567_87ff, 0x4567_8000] {
                let (addr, since) = (0x1_2344u64, 8);
                let high = write(Kind::RiscVHigh, 0x500 | opcode, addr, to, 0);
                let aux = if from == 0 { 0 } else { since };
                let lows = [(Kind::RiscVLowI, 0x0005_0513), (Kind::RiscVLowS, 0x00b5_2023)];
                for (kind, word) in lows {
                    let low = write(kind, word, addr + since, to, aux);
                    assert_eq!(low & !field(kind), word);
                    let mut registers = [0; 32];
                    let unit = Unit { kind: Kind::RiscVHigh, aux, ..Unit::default() };
                    assert_eq!(read(&unit, high, addr, &mut registers), None);
                    let unit = Unit { kind, ..unit };
                    assert_eq!(read(&unit, low, addr + since, &mut registers), Some(to));
                }
            }
        }
    }
}
