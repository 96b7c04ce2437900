//! MIPS (MIPS32 and MIPS64 Architecture For Programmers, volume II-A), 32-bit instructions: jumps,
//! branches, LUI with the instruction that adds the low part of the address.
//!
//! Position-independent functions begin with LUI and ADDIU of how far the global pointer is from
//! them; the pair refers to the global pointer, from where the LUI stands. Instructions behind it
//! load addresses from where that pointer leads.

use super::data;
use super::unit::{Home, Kind, Site, Unit, signed};
use super::walk::{Globals, Registers};

/// Instructions behind a LUI among which the low part is looked for.
const PAIR_COUNT: usize = 16;
/// Farthest that a low part is from its LUI, in bytes.
const PAIR_REACH: u64 = 160;
/// The global pointer's register.
const GP: u8 = 28;
/// What a function is called through: its own address.
const T9: u32 = 25;
/// In `aux` of a high part and in a register's value: it counts from where the LUI stands.
const IS_RELATIVE: u64 = 1 << 8;
/// In `aux` of a low part: how many bits below the distance to the LUI the LUI's register is.
const SINCE_SHIFT: u32 = 8;
/// The register in `aux` and in a register's value, whose lowest bits are no part of an address.
const REGISTER: u64 = 31;

const IMM16: u32 = 0xffff;
const IMM26: u32 = 0x03ff_ffff;

/// What kind of reference an instruction is; parts of addresses only show in context.
#[must_use]
pub const fn kind_of(word: u32) -> Option<Kind> {
    let (rs, rt) = (word >> 21 & 31, word >> 16 & 31);
    match word >> 26 {
        2 | 3 => Some(Kind::MipsJump),
        1 if rs == 0 && rt == 0x11 => Some(Kind::MipsCall),
        1 if matches!(rt, 0..=3 | 0x10..=0x13) => Some(Kind::MipsBranch),
        4..=7 | 0x14..=0x17 => Some(Kind::MipsBranch),
        0x11 if rs == 8 => Some(Kind::MipsBranch),
        _ => None,
    }
}

/// The base register of an instruction that adds 16 bits to it: ADDIU, DADDIU, loads, stores.
#[must_use]
pub const fn low_part(word: u32) -> Option<u8> {
    let adds = matches!(
        word >> 26,
        0x09 | 0x19 | 0x1a | 0x1b | 0x20..=0x2e | 0x30 | 0x31 | 0x34..=0x39 | 0x3c..=0x3f
    );
    if adds { Some((word >> 21 & 31) as u8) } else { None }
}

const fn is_lui(word: u32) -> bool {
    word >> 21 == 0x0f << 5
}

const fn target_register(word: u32) -> u8 {
    (word >> 16 & 31) as u8
}

/// ADDU and DADDU: sum and summands.
const fn sum(word: u32) -> Option<(u8, u8, u8)> {
    if word >> 26 == 0 && matches!(word & 0x7ff, 0x21 | 0x2d) {
        return Some(((word >> 11 & 31) as u8, (word >> 21 & 31) as u8, target_register(word)));
    }
    None
}

/// The register that an instruction writes; 0 for none.
const fn destination(word: u32) -> u8 {
    match word >> 26 {
        0 => (word >> 11 & 31) as u8,
        0x08..=0x0f | 0x18..=0x1b | 0x20..=0x27 | 0x30 | 0x34 | 0x37 => target_register(word),
        _ => 0,
    }
}

const fn immediate(word: u32) -> u64 {
    signed((word & IMM16) as u64, 16)
}

/// The next unit.
pub(super) fn unit(site: &Site<'_>, registers: &mut Registers, globals: &mut Globals) -> Unit {
    if site.pos & 3 != 0 {
        return site.odd_bytes(4);
    }
    let Some(word) = site.u32(0).filter(|_| site.left >= 4) else {
        return site.plain(Kind::Bytes, 4);
    };
    if let Some(pointer) = pointer(site, word) {
        return pointer;
    }
    let mut unit = Unit { word: word.into(), kind: Kind::Op, len: 4, ..Unit::default() };
    if let Some(kind) = kind_of(word) {
        (unit.kind, unit.target) = (kind, narrowed(target(kind, word, site.addr), site));
    } else if is_lui(word) {
        high(site, word, registers, &mut unit);
    } else if let Some((to, a, b)) = sum(word) {
        let known = [a, b].into_iter().find_map(|from| {
            let (value, since) = registers.get_since(from, site.pos, PAIR_REACH)?;
            Some((value, site.pos.wrapping_sub(since)))
        });
        match known {
            Some((value, pos)) => registers.set(to, value, pos),
            None => registers.forget(to),
        }
    } else {
        low(site, word, registers, globals, &mut unit);
        registers.forget(destination(word));
    }
    unit
}

/// Bytes from the site on, at most `most`, that are instructions without a reference, or branch to
/// `home`; may be fewer than there are.
pub(super) fn plain_len(
    site: &Site<'_>,
    most: usize,
    home: Home,
    registers: &mut Registers,
    globals: &Globals,
) -> usize {
    if site.pos & 3 != 0 || site.bounds.low >> 32 != 0 {
        return 0;
    }
    let global = globals.old;
    let mut len = 0u64;
    for bytes in site.ahead(most).as_chunks::<4>().0 {
        let word = site.word(*bytes);
        let (pos, addr) = (site.pos.wrapping_add(len), site.addr.wrapping_add(len));
        let is_live = |register| registers.is_live(register, pos, PAIR_REACH);
        let is_pointer = !site.class.wide && word >> 31 != 0 && site.bounds.is_near32(word);
        let stops = match kind_of(word) {
            _ if is_pointer || is_lui(word) => true,
            Some(Kind::MipsJump) => true,
            Some(kind) => !home.contains(narrowed(target(kind, word, addr), site)),
            None => match sum(word) {
                Some((_, a, b)) => is_live(a) || is_live(b),
                None => {
                    low_part(word).is_some_and(|base| is_live(base) || base == GP && global != 0)
                }
            },
        };
        if stops {
            break;
        }
        if kind_of(word).is_none() {
            registers.forget(destination(word));
        }
        len += 4;
    }
    len as usize
}

/// An address in code. Those of 32 bits only where, as instructions, they would load from page 0.
fn pointer(site: &Site<'_>, word: u32) -> Option<Unit> {
    match site.class.wide {
        true => data::high_pointer(site),
        false => data::pointer32(site, word).filter(|_| word >> 31 != 0),
    }
}

const fn narrowed(addr: u64, site: &Site<'_>) -> u64 {
    if site.class.wide { addr } else { addr & 0xffff_ffff }
}

/// LUI where it makes an address of the module, or the way to the global pointer.
fn high(site: &Site<'_>, word: u32, registers: &mut Registers, unit: &mut Unit) {
    let register = target_register(word);
    registers.forget(register);
    let Some((low, is_relative)) = find_low(site, register) else { return };
    let value = high_value(word);
    let from = if is_relative { site.addr } else { 0 };
    let target = narrowed(from.wrapping_add(value).wrapping_add(low), site);
    // Position-independent code has no absolute addresses.
    let is_fixed = site.bounds.low != 0;
    let is_address = match site.class.wide {
        true => is_fixed && site.bounds.is_pointer64(target),
        false => is_fixed && site.bounds.is_pointer32(target),
    };
    if is_address || is_relative {
        let flags = if is_relative { IS_RELATIVE } else { 0 };
        (unit.kind, unit.target, unit.aux) = (Kind::MipsHigh, target, flags);
        registers.set(register, value | flags | u64::from(register), site.pos);
    }
}

const fn high_value(word: u32) -> u64 {
    (word << 16) as i32 as u64
}

/// What the next user of `register` adds to it, and whether the sum is the way to the global
/// pointer. Indexes may be added before.
fn find_low(site: &Site<'_>, register: u8) -> Option<(u64, bool)> {
    let (mut register, mut low) = (register, None);
    let mut is_relative = false;
    for at in 1..PAIR_COUNT {
        let word = site.u32(4 * at)?;
        if let Some((to, ..)) = sum(word).filter(|(_, a, b)| [*a, *b].contains(&register)) {
            is_relative |= to == GP && has_t9(word);
            register = to;
        } else if low.is_none() && low_part(word) == Some(register) {
            low = Some(immediate(word));
            if register != GP || destination(word) != GP {
                break;
            }
        } else if destination(word) == register {
            break;
        }
        if is_relative && low.is_some() {
            break;
        }
    }
    low.map(|low| (low, is_relative))
}

const fn has_t9(word: u32) -> bool {
    word >> 21 & 31 == T9 || word >> 16 & 31 == T9
}

fn low(site: &Site<'_>, word: u32, registers: &Registers, globals: &mut Globals, unit: &mut Unit) {
    let Some(base) = low_part(word) else { return };
    let Some((value, since)) = registers.get_since(base, site.pos, PAIR_REACH) else {
        let global = globals.old;
        if base == GP && global != 0 {
            unit.kind = Kind::Global;
            unit.target = narrowed(global.wrapping_add(immediate(word)), site);
        }
        return;
    };
    let is_relative = value & IS_RELATIVE != 0;
    let from = if is_relative { site.addr.wrapping_sub(since) } else { 0 };
    let high = value & !u64::from(IMM16);
    unit.kind = Kind::MipsLow;
    unit.target = narrowed(from.wrapping_add(high).wrapping_add(immediate(word)), site);
    unit.aux = value & REGISTER | if is_relative { since << SINCE_SHIFT } else { 0 };
    if sets_global(unit.aux) {
        globals.set(unit.target);
    }
}

/// Whether a low part completes the global pointer.
pub(super) const fn sets_global(aux: u64) -> bool {
    aux >> SINCE_SHIFT != 0
}

/// Where a jump or branch at `addr` leads.
#[must_use]
pub const fn target(kind: Kind, word: u32, addr: u64) -> u64 {
    let next = addr.wrapping_add(4);
    match kind {
        Kind::MipsJump => next & !0x0fff_ffff | ((word & IMM26) as u64) << 2,
        _ => next.wrapping_add(immediate(word) << 2),
    }
}

/// The instruction that leads to `target` from `addr`, or from the global pointer `addr`.
#[must_use]
pub const fn write(kind: Kind, word: u32, addr: u64, target: u64, aux: u64) -> u32 {
    match kind {
        Kind::MipsJump => word & !IMM26 | (target >> 2) as u32 & IMM26,
        Kind::MipsHigh => {
            let from = if aux & IS_RELATIVE != 0 { addr } else { 0 };
            let by = target.wrapping_sub(from).wrapping_add(0x8000);
            word & !IMM16 | (by >> 16) as u32 & IMM16
        }
        Kind::Global => word & !IMM16 | target.wrapping_sub(addr) as u32 & IMM16,
        Kind::MipsLow => {
            let since = aux >> SINCE_SHIFT;
            let from = if since == 0 { 0 } else { addr.wrapping_sub(since) };
            word & !IMM16 | target.wrapping_sub(from) as u32 & IMM16
        }
        _ => {
            let by = target.wrapping_sub(addr.wrapping_add(4));
            word & !IMM16 | (by >> 2) as u32 & IMM16
        }
    }
}

/// Bits of the instruction that hold the reference.
#[must_use]
pub const fn field(kind: Kind) -> u32 {
    match kind {
        Kind::MipsJump => IMM26,
        _ => IMM16,
    }
}

/// Where the new instruction leads, if it is still of this kind.
pub(super) fn read(
    unit: &Unit,
    word: u32,
    addr: u64,
    new_registers: &mut [u64],
    globals: &mut Globals,
) -> Option<u64> {
    let is_narrow = unit.target >> 32 == 0;
    let target = match unit.kind {
        Kind::MipsHigh => {
            if is_lui(word) {
                let from = if unit.aux & IS_RELATIVE != 0 { addr } else { 0 };
                let register = usize::from(target_register(unit.word as u32));
                *new_registers.get_mut(register)? = from.wrapping_add(high_value(word));
            }
            return None;
        }
        Kind::MipsLow => {
            let high = new_registers.get((unit.aux & REGISTER) as usize)?;
            let target = low_part(word).map(|_| high.wrapping_add(immediate(word)))?;
            if sets_global(unit.aux) {
                let narrow = target & 0xffff_ffff;
                globals.follow(unit.target, if is_narrow { narrow } else { target });
            }
            target
        }
        Kind::Global if low_part(word) == Some(GP) && globals.new != 0 => {
            globals.new.wrapping_add(immediate(word))
        }
        kind if kind_of(word) == Some(kind) => target(kind, word, addr),
        _ => return None,
    };
    Some(if is_narrow { target & 0xffff_ffff } else { target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_leads_there() {
        let cases = [
            (Kind::MipsJump, 0x0c00_0000, 0x123_4560),
            (Kind::MipsBranch, 0x1443_0000, 0x1_fffc),
            (Kind::MipsBranch, 0x0441_0000, 0x54),
            (Kind::MipsBranch, 0x4501_0000, 0x54),
            (Kind::MipsCall, 0x0411_0000, 0x1_0004),
        ];
        for (kind, word, by) in cases {
            assert_eq!(kind_of(word), Some(kind));
            for to in [0x8800_0004 + by, 0x8800_0004 - by] {
                let written = write(kind, word, 0x8800_0000, to, 0);
                assert_eq!(target(kind, written, 0x8800_0000), to, "{kind:?}");
                assert_eq!(written & !field(kind), word & !field(kind), "{kind:?}");
                assert_eq!(kind_of(written), Some(kind));
            }
        }
    }

    #[test]
    fn parts_make_an_address() {
        for to in [0x8012_8000u64, 0x8012_7fff, 0x8012_0010] {
            for (flags, since) in [(0, 0), (IS_RELATIVE, 4)] {
                let addr = 0x8001_2344;
                let lui = write(Kind::MipsHigh, 0x3c1c_5555, addr, to, flags);
                let (mut registers, mut globals) = ([0; 32], Globals::default());
                let high = Unit { kind: Kind::MipsHigh, word: 0x3c1c_5555, ..Unit::default() };
                let high = Unit { aux: flags, target: to, ..high };
                assert_eq!(read(&high, lui, addr, &mut registers, &mut globals), None);
                for word in [0x279c_5555, 0x8f82_5555, 0xaf82_5555] {
                    let aux = u64::from(GP) | since << SINCE_SHIFT;
                    let unit = Unit { kind: Kind::MipsLow, aux, target: to, ..Unit::default() };
                    let low = write(unit.kind, word, addr + 4, to, aux);
                    assert_eq!(low & !IMM16, word & !IMM16);
                    assert_eq!(read(&unit, low, addr + 4, &mut registers, &mut globals), Some(to));
                }
            }
        }
    }
}
