//! 32-bit ARM (Arm Architecture Reference Manual, ARMv7-A, chapter A5): B, BL, BLX, LDR literal,
//! the constants it loads, among them those relative to the PC, MOVW with its MOVT.

use super::data;
use super::unit::{Home, Kind, Site, Unit, signed};
use super::walk::{Pools, Registers};

/// Instructions behind a MOVW among which its MOVT is looked for.
const PAIR_COUNT: usize = 8;
/// Farthest that a MOVT is from its MOVW, in bytes.
const PAIR_REACH: u64 = 64;
/// Farthest that an instruction that adds the PC to rX is from the load of rX, in bytes.
const PIC_REACH: u64 = 96;
/// In a register's value: it was loaded, from the position in the other bits.
const IS_LOADED: u64 = 1 << 63;
const MOV_BITS: u32 = 0x000f_0fff;

/// What kind of reference an instruction is; halves of addresses only show in context.
#[must_use]
pub const fn kind_of(word: u32) -> Option<Kind> {
    if word & 0x0e00_0000 == 0x0a00_0000 {
        Some(Kind::A32Branch)
    } else if word & 0x0f3f_0000 == 0x051f_0000 && word >> 28 != 15 {
        Some(Kind::A32Literal)
    } else {
        None
    }
}

const fn is_movw(word: u32) -> bool {
    word & 0x0ff0_0000 == 0x0300_0000
}

const fn is_movt(word: u32) -> bool {
    word & 0x0ff0_0000 == 0x0340_0000
}

const fn imm16(word: u32) -> u64 {
    ((word >> 4 & 0xf000) | word & 0xfff) as u64
}

const fn register(word: u32) -> u8 {
    (word >> 12 & 15) as u8
}

/// The register that ADD rX, PC, rY or LDR rX, [PC, rY] adds to the PC.
const fn added_to_pc(word: u32) -> Option<u8> {
    let is_add = word & 0x0fff_0ff0 == 0x008f_0000;
    let is_load = word & 0x0fff_0ff0 == 0x079f_0000;
    if (is_add || is_load) && word >> 28 != 15 { Some((word & 15) as u8) } else { None }
}

/// The next unit.
pub(super) fn unit(site: &Site<'_>, registers: &mut Registers, pools: &mut Pools) -> Unit {
    if site.pos & 3 != 0 {
        return site.odd_bytes(4);
    }
    if let Some(unit) = constant(site, pools) {
        return unit;
    }
    let Some(word) = site.u32(0).filter(|_| site.left >= 4) else {
        return site.plain(Kind::Bytes, 4);
    };
    let mut unit = Unit { word: word.into(), kind: Kind::Op, len: 4, ..Unit::default() };
    if let Some(kind) = kind_of(word) {
        (unit.kind, unit.target) = (kind, target(kind, word, site.addr));
        if kind == Kind::A32Literal {
            load_of(site, register(word), unit.target, registers, pools);
        }
    } else if is_movw(word) {
        if let Some(high) = find_high(site, register(word)) {
            unit.kind = Kind::A32MovHalf;
            unit.target = high << 16 | imm16(word);
            registers.set(register(word), unit.target, site.pos);
        }
    } else if is_movt(word) {
        let half = registers.get(register(word), site.pos, PAIR_REACH);
        if let Some(to) = half.filter(|half| half & IS_LOADED == 0) {
            (unit.kind, unit.target, unit.aux) = (Kind::A32MovHalf, to, 1);
        }
    } else if let Some(register) = added_to_pc(word) {
        let value = registers.get(register, site.pos, PIC_REACH);
        if let Some(value) = value.filter(|value| value & IS_LOADED != 0) {
            pools.set_pic(value & !IS_LOADED, site.addr as u32);
        }
    } else {
        return data::pointer32(site, word).unwrap_or(unit);
    }
    unit
}

/// A constant that a load was seen of.
fn constant(site: &Site<'_>, pools: &mut Pools) -> Option<Unit> {
    let word = site.u32(0).filter(|_| site.left >= 4)?;
    let pic = pools.take(site.pos)?;
    if pic != 0 {
        let base = u64::from(pic).wrapping_add(8);
        let target = base.wrapping_add(word.into()) & 0xffff_ffff;
        return Some(Unit { word: word.into(), target, aux: base, kind: Kind::Based, len: 4 });
    }
    data::pointer32(site, word).or_else(|| Some(site.plain(Kind::Data, 4)))
}

/// Remembers that the constant at address `to`, behind the load, is one.
fn load_of(site: &Site<'_>, to: u8, addr: u64, registers: &mut Registers, pools: &mut Pools) {
    let by = addr.wrapping_sub(site.addr);
    if (4..0x1008).contains(&by) && by & 3 == 0 {
        let pos = site.pos.wrapping_add(by);
        pools.put(pos);
        registers.set(to, pos | IS_LOADED, site.pos);
    }
}

/// Bytes from the site on, at most `most`, that are instructions without a reference, or lead to
/// `home`; may be fewer than there are.
pub(super) fn plain_len(site: &Site<'_>, most: usize, home: Home, pools: &mut Pools) -> usize {
    if site.pos & 3 != 0 {
        return 0;
    }
    let most = most.min(usize::try_from(pools.next(site.pos)).unwrap_or(usize::MAX));
    let mut len = 0u64;
    for bytes in site.ahead(most).as_chunks::<4>().0 {
        let word = site.word(*bytes);
        let is_mov = word & 0x0fb0_0000 == 0x0300_0000;
        let addr = site.addr.wrapping_add(len);
        let leads = match kind_of(word) {
            Some(Kind::A32Literal) => true,
            Some(kind) => !home.contains(target(kind, word, addr)),
            None => added_to_pc(word).is_some(),
        };
        if leads || is_mov || site.bounds.is_near32(word) {
            break;
        }
        len += 4;
    }
    len as usize
}

fn find_high(site: &Site<'_>, to: u8) -> Option<u64> {
    for at in 1..PAIR_COUNT {
        let word = site.u32(4 * at)?;
        if is_movt(word) && register(word) == to {
            let target = imm16(word) << 16 | imm16(site.u32(0)?);
            return site.bounds.is_pointer32(target).then(|| imm16(word));
        }
        if is_movw(word) && register(word) == to {
            return None;
        }
    }
    None
}

/// Where a reference at `addr` leads.
#[must_use]
pub const fn target(kind: Kind, word: u32, addr: u64) -> u64 {
    let pc = addr.wrapping_add(8);
    let to = match kind {
        Kind::A32Branch => {
            let half = if word >> 28 == 15 { (word >> 23 & 2) as u64 } else { 0 };
            pc.wrapping_add(signed((word & 0xff_ffff) as u64, 24) << 2).wrapping_add(half)
        }
        _ if word & 1 << 23 != 0 => pc.wrapping_add((word & 0xfff) as u64),
        _ => pc.wrapping_sub((word & 0xfff) as u64),
    };
    to & 0xffff_ffff
}

/// The instruction that leads to `target` from `addr`.
#[must_use]
pub const fn write(kind: Kind, word: u32, addr: u64, target: u64, aux: u64) -> u32 {
    let by = target.wrapping_sub(addr.wrapping_add(8)) as u32;
    match kind {
        Kind::A32Branch if word >> 28 == 15 => {
            word & 0xfe00_0000 | (by & 2) << 23 | by >> 2 & 0xff_ffff
        }
        Kind::A32Branch => word & 0xff00_0000 | by >> 2 & 0xff_ffff,
        Kind::A32Literal => {
            let back = by >> 31 != 0;
            let len = if back { by.wrapping_neg() } else { by };
            // There are two ways to write a distance of 0.
            let up = if by == 0 { word & 1 << 23 } else { (!back as u32) << 23 };
            word & !0x0080_0fff | len & 0xfff | up
        }
        _ => {
            let half = if aux == 1 { target >> 16 } else { target } as u32 & 0xffff;
            word & !MOV_BITS | (half & 0xf000) << 4 | half & 0xfff
        }
    }
}

/// Bits of the instruction that hold the reference.
#[must_use]
pub const fn field(kind: Kind) -> u32 {
    match kind {
        Kind::A32Branch => 0x00ff_ffff,
        Kind::A32Literal => 0x0080_0fff,
        _ => MOV_BITS,
    }
}

/// Where the new instruction leads, if it is still of this kind.
pub(super) fn read(unit: &Unit, word: u32, addr: u64, new_registers: &mut [u64]) -> Option<u64> {
    match unit.kind {
        Kind::A32MovHalf if unit.aux == 1 => {
            let low = *new_registers.get(usize::from(register(word)))?;
            is_movt(word).then(|| imm16(word) << 16 | low & 0xffff)
        }
        Kind::A32MovHalf => {
            *new_registers.get_mut(usize::from(register(word)))? = imm16(word);
            None
        }
        kind => (kind_of(word) == Some(kind)).then(|| target(kind, word, addr)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_leads_there() {
        let cases = [
            (Kind::A32Branch, 0xeb00_0000, 0x1000),
            (Kind::A32Branch, 0xfa00_0000, 0x1002),
            (Kind::A32Literal, 0xe59f_0000, 0x100),
            (Kind::A32Literal, 0xe59f_0000, 0),
        ];
        for (kind, word, by) in cases {
            for to in [0x2_0008 + by, 0x2_0008 - by] {
                let written = write(kind, word, 0x2_0000, to, 0);
                assert_eq!(target(kind, written, 0x2_0000), to, "{kind:?} {word:x}");
            }
        }
        let minus_0 = 0xe51f_0000;
        assert_eq!(write(Kind::A32Literal, minus_0, 0x1000, 0x1008, 0), minus_0);
        for (aux, half) in [(0, 0x5678), (1, 0x1234)] {
            let written = write(Kind::A32MovHalf, 0xe300_3000, 0, 0x1234_5678, aux);
            assert_eq!(imm16(written), half);
        }
    }
}
