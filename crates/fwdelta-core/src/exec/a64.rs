//! AArch64 (Arm Architecture Reference Manual, chapter C4): branches, ADR, ADRP with the
//! instruction that uses it, LDR literal.

use super::data;
use super::unit::{Home, Kind, Site, Unit, signed};
use super::walk::Registers;

/// Instructions behind an ADRP among which its user is looked for.
const PAIR_COUNT: usize = 16;
/// Farthest that a page is taken for that of a base register, in bytes.
const PAGE_REACH: u64 = 160;

const IMM19: u32 = 0x7ffff << 5;
const IMM14: u32 = 0x3fff << 5;
const IMM12: u32 = 0xfff << 10;
const ADR_BITS: u32 = 0x60ff_ffe0;

/// What kind of reference an instruction is; the low part of an address only shows in context.
#[must_use]
pub const fn kind_of(word: u32) -> Option<Kind> {
    if word & 0x7c00_0000 == 0x1400_0000 {
        Some(Kind::A64Branch26)
    } else if word & 0xff00_0010 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
        Some(Kind::A64Branch19)
    } else if word & 0x7e00_0000 == 0x3600_0000 {
        Some(Kind::A64Branch14)
    } else if word & 0x9f00_0000 == 0x1000_0000 {
        Some(Kind::A64Adr)
    } else if word & 0x9f00_0000 == 0x9000_0000 {
        Some(Kind::A64Adrp)
    } else if word & 0x3b00_0000 == 0x1800_0000 {
        Some(Kind::A64Literal)
    } else {
        None
    }
}

/// Base register and scale of an instruction that adds 12 bits: ADD immediate, LDR and STR with
/// unsigned offset.
#[must_use]
pub const fn low_part(word: u32) -> Option<(u8, u32)> {
    let base = (word >> 5 & 31) as u8;
    if word & 0xffc0_0000 == 0x9100_0000 {
        return Some((base, 0));
    }
    if word & 0x3b00_0000 == 0x3900_0000 {
        let (size, is_vector, opc) = (word >> 30, word >> 26 & 1, word >> 22 & 3);
        let is_quad = is_vector == 1 && opc >= 2 && size == 0;
        return Some((base, if is_quad { 4 } else { size }));
    }
    None
}

const fn imm12(word: u32, scale: u32) -> u64 {
    ((word >> 10 & 0xfff) as u64) << scale
}

/// Whether an instruction can hold the low part of an address: wide loads reach farther.
const fn is_in_page(word: u32, scale: u32) -> bool {
    imm12(word, scale) < 0x1000
}

/// The next unit.
pub(super) fn unit(site: &Site<'_>, registers: &mut Registers) -> Unit {
    if site.pos & 3 != 0 {
        return site.odd_bytes(4);
    }
    let Some(word) = site.u32(0).filter(|_| site.left >= 4) else {
        return site.plain(Kind::Bytes, 4);
    };
    if let Some(pointer) = data::high_pointer(site) {
        return pointer;
    }
    unit_of(site, word, registers)
}

/// The unit of an instruction.
#[inline(always)]
pub(super) fn unit_of(site: &Site<'_>, word: u32, registers: &mut Registers) -> Unit {
    let mut unit = Unit { word: word.into(), kind: Kind::Op, len: 4, ..Unit::default() };
    match kind_of(word) {
        Some(Kind::A64Adrp) => {
            let page = target(Kind::A64Adrp, word, site.addr);
            let register = (word & 31) as u8;
            registers.set(register, page, site.pos);
            unit.kind = Kind::A64Adrp;
            unit.target = page.wrapping_add(find_low(site, register).unwrap_or(0));
        }
        Some(kind) => (unit.kind, unit.target) = (kind, target(kind, word, site.addr)),
        None => low(site, registers, word, &mut unit),
    }
    unit
}

/// What instructions may be by their highest byte: bit 0, a reference; bit 1, the low part of one.
const HINTS: [u8; 256] = hints();

const fn hints() -> [u8; 256] {
    let mut table = [0; 256];
    let mut top = 0;
    while top < 256 {
        let word = (top as u32) << 24;
        let is_low = low_part(word).is_some();
        // INVARIANT: evaluated when compiled; the loop ends with the table.
        table[top] = kind_of(word).is_some() as u8 | (is_low as u8) << 1;
        top += 1;
    }
    table
}

/// Bytes from the site on, at most `most`, that are instructions without a reference, or lead to
/// `home`; may be fewer than there are.
pub(super) fn plain_len(site: &Site<'_>, most: usize, home: Home, registers: &Registers) -> usize {
    if site.pos & 3 != 0 {
        return 0;
    }
    let has_pointers = site.bounds.low >> 32 != 0;
    let Some(end) = site.bounds.high.checked_add(0x20_0000) else { return 0 };
    let tops = (site.bounds.low >> 56) as u8..=(end >> 56) as u8;
    let mask = if registers.may_reach(site.pos, PAGE_REACH) { 3 } else { 1 };
    let mut len = 0u64;
    for bytes in site.ahead(most).as_chunks::<4>().0 {
        let word = site.word(*bytes);
        let top = (word >> 24) as u8;
        let hint = HINTS.get(usize::from(top)).copied().unwrap_or(mask) & mask;
        let is_upper = has_pointers && tops.contains(&top);
        if is_upper || hint != 0 && !is_plain(site, len, word, home, registers) {
            // The upper half of a pointer: its lower one is no instruction either.
            let lower = if is_upper { 4 } else { 0 };
            return len.saturating_sub(lower) as usize;
        }
        len += 4;
    }
    // The next word may be the upper half of a pointer.
    if has_pointers { len.saturating_sub(4) as usize } else { len as usize }
}

#[inline]
fn is_plain(site: &Site<'_>, by: u64, word: u32, home: Home, registers: &Registers) -> bool {
    let addr = site.addr.wrapping_add(by);
    let to = |kind| target(kind, word, addr);
    // The commonest first.
    if word & 0xff00_0010 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
        return home.contains(to(Kind::A64Branch19));
    }
    match kind_of(word) {
        Some(Kind::A64Adrp) => false,
        Some(kind) => home.contains(to(kind)),
        None => low_part(word).is_none_or(|(base, _)| {
            !registers.is_live(base, site.pos.wrapping_add(by), PAGE_REACH)
        }),
    }
}

/// Instructions looked at together.
pub(super) const GLANCE_COUNT: usize = 16;

/// Which of the words from the site on are something else than instructions without a reference or
/// branches to `home`, a bit for each, the first the lowest; low parts of addresses if `has_low`.
/// Upper halves of pointers are not among them.
///
/// Without branches, so that compilers turn it into vector instructions.
#[inline(always)]
pub(super) fn glance(
    site: &Site<'_>,
    words: &[u32; GLANCE_COUNT],
    home: Home,
    has_low: bool,
) -> u32 {
    let mut from_home = site.addr.wrapping_sub(home.start) as u32;
    let is_small = home.len <= 1 << 31 && home.contains(site.addr);
    let home_len = if is_small { home.len as u32 } else { 0 };
    let low = u8::from(has_low);
    let mut flags = [0u8; GLANCE_COUNT];
    for (flag, word) in flags.iter_mut().zip(words) {
        let is_cond = (word & 0xff00_0010 == 0x5400_0000) | (word & 0x7e00_0000 == 0x3400_0000);
        let is_19 = is_cond | (word & 0x3b00_0000 == 0x1800_0000);
        let is_14 = word & 0x7e00_0000 == 0x3600_0000;
        let is_26 = word & 0x7c00_0000 == 0x1400_0000;
        let by_19 = ((word << 8) as i32 >> 13) as u32;
        let by_14 = ((word << 13) as i32 >> 18) as u32;
        let by_26 = ((word << 6) as i32 >> 6) as u32;
        let near = if is_19 { by_19 } else { by_14 };
        let by = if is_26 { by_26 } else { near };
        let is_away = from_home.wrapping_add(by << 2) >= home_len;
        let is_page = word & 0x1f00_0000 == 0x1000_0000;
        let is_low = (word & 0xffc0_0000 == 0x9100_0000) | (word & 0x3b00_0000 == 0x3900_0000);
        *flag = ((is_19 | is_14 | is_26) & is_away | is_page) as u8 | is_low as u8 & low;
        from_home = from_home.wrapping_add(4);
    }
    gathered(&flags)
}

/// The lowest bits of bytes.
fn gathered(flags: &[u8; GLANCE_COUNT]) -> u32 {
    let mut mask = 0;
    for (at, flags) in flags.as_chunks::<8>().0.iter().enumerate() {
        let bits = u64::from_le_bytes(*flags).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= (bits as u32) << (8 * at);
    }
    mask
}

/// Whether low parts of addresses may be at the site.
pub(super) fn has_low(site: &Site<'_>, registers: &Registers) -> bool {
    registers.may_reach(site.pos, PAGE_REACH)
}

/// Whether the word at the site, which a glance found, is no reference or leads to `home`.
#[inline(always)]
pub(super) fn is_passed(site: &Site<'_>, word: u32, home: Home, registers: &Registers) -> bool {
    match low_part(word) {
        Some((base, _)) => !registers.is_live(base, site.pos, PAGE_REACH),
        None => is_plain(site, 0, word, home, registers),
    }
}

fn low(site: &Site<'_>, registers: &mut Registers, word: u32, unit: &mut Unit) {
    let Some((base, scale)) = low_part(word).filter(|(_, scale)| is_in_page(word, *scale)) else {
        return;
    };
    let Some(page) = registers.get(base, site.pos, PAGE_REACH) else { return };
    unit.kind = Kind::A64Lo12;
    unit.aux = u64::from(base) << 8 | u64::from(scale);
    unit.target = page.wrapping_add(imm12(word, scale));
    let is_add = word & 0xffc0_0000 == 0x9100_0000;
    if is_add && (word & 31) as u8 == base {
        registers.forget(base);
    }
}

/// The offset in the page that the next user of `register` adds.
fn find_low(site: &Site<'_>, register: u8) -> Option<u64> {
    for at in 1..PAIR_COUNT {
        let word = site.u32(4 * at)?;
        if let Some((_, scale)) = low_part(word).filter(|(base, _)| *base == register) {
            return is_in_page(word, scale).then(|| imm12(word, scale));
        }
        if word & 31 == u32::from(register) && word & 0x9f00_0000 == 0x9000_0000 {
            return None;
        }
    }
    None
}

/// Where a reference at `addr` leads; for ADRP the page.
#[must_use]
pub const fn target(kind: Kind, word: u32, addr: u64) -> u64 {
    let imm21 = ((word >> 5 & 0x7ffff) << 2 | word >> 29 & 3) as u64;
    match kind {
        Kind::A64Branch26 => addr.wrapping_add(signed((word & 0x3ff_ffff) as u64, 26) << 2),
        Kind::A64Branch19 | Kind::A64Literal => {
            addr.wrapping_add(signed((word >> 5 & 0x7ffff) as u64, 19) << 2)
        }
        Kind::A64Branch14 => addr.wrapping_add(signed((word >> 5 & 0x3fff) as u64, 14) << 2),
        Kind::A64Adr => addr.wrapping_add(signed(imm21, 21)),
        _ => (addr & !0xfff).wrapping_add(signed(imm21, 21) << 12),
    }
}

/// The instruction that leads to `target` from `addr`.
#[must_use]
pub const fn write(kind: Kind, word: u32, addr: u64, target: u64, aux: u64) -> u32 {
    let by = target.wrapping_sub(addr);
    let by4 = (by as i64 >> 2) as u32;
    match kind {
        Kind::A64Branch26 => word & 0xfc00_0000 | by4 & 0x3ff_ffff,
        Kind::A64Branch19 | Kind::A64Literal => word & !IMM19 | (by4 & 0x7ffff) << 5,
        Kind::A64Branch14 => word & !IMM14 | (by4 & 0x3fff) << 5,
        Kind::A64Adr => adr(word, by as u32),
        Kind::A64Adrp => adr(word, ((target >> 12).wrapping_sub(addr >> 12)) as u32),
        _ => word & !IMM12 | (((target & 0xfff) as u32).wrapping_shr(aux as u32 & 7) & 0xfff) << 10,
    }
}

const fn adr(word: u32, imm21: u32) -> u32 {
    word & !ADR_BITS | (imm21 & 3) << 29 | (imm21 >> 2 & 0x7ffff) << 5
}

/// Bits of the instruction that hold the reference.
#[must_use]
pub const fn field(kind: Kind) -> u32 {
    match kind {
        Kind::A64Branch26 => 0x03ff_ffff,
        Kind::A64Branch19 | Kind::A64Literal => IMM19,
        Kind::A64Branch14 => IMM14,
        Kind::A64Lo12 => IMM12,
        _ => ADR_BITS,
    }
}

/// Where the new instruction leads, if it is still of this kind.
pub(super) fn read(unit: &Unit, word: u32, addr: u64, new_registers: &mut [u64]) -> Option<u64> {
    match unit.kind {
        Kind::A64Adrp => {
            if kind_of(word) == Some(Kind::A64Adrp) {
                *new_registers.get_mut((word & 31) as usize)? = target(unit.kind, word, addr);
            }
            None
        }
        Kind::A64Lo12 => {
            let (base, scale) = low_part(word)?;
            let same_scale = u64::from(scale) == unit.aux & 0xff;
            let page = *new_registers.get(usize::from(base))?;
            same_scale.then(|| page.wrapping_add(imm12(word, scale)))
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
            (Kind::A64Branch26, 0x9400_0000, 0x10_0000, 4),
            (Kind::A64Branch19, 0x5400_0001, 0x1000, 4),
            (Kind::A64Branch14, 0x3600_0002, 0x1000, 4),
            (Kind::A64Adr, 0x1000_0003, 0x1001, 1),
            (Kind::A64Adrp, 0x9000_0004, 0x123_4000, 0x1000),
            (Kind::A64Literal, 0x1800_0005, 0x100, 4),
        ];
        for (kind, word, by, step) in cases {
            assert_eq!(kind_of(word), Some(kind));
            for to in [by, 0u64.wrapping_sub(by / step * step)] {
                let (addr, to) = (0x40_0000u64, 0x40_0000u64.wrapping_add(to));
                let written = write(kind, word, addr, to, 0);
                assert_eq!(target(kind, written, addr), to, "{kind:?}");
                assert_eq!(written & !field(kind), word & !field(kind), "{kind:?}");
                assert_eq!(kind_of(written), Some(kind));
            }
        }
    }
}
