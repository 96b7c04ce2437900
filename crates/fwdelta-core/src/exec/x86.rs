//! x86 (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2): rel32 of CALL, JMP
//! and Jcc, RIP-relative displacements, and in 32-bit code absolute addresses.
//!
//! Instructions have no common length, so no attempt is made to cut them apart: the bytes in
//! front of a field are one unit, the field is the next.

use super::layout::Content;
use super::unit::{Kind, Site, Unit, signed};
use super::walk::Field;

/// Bytes of a unit that holds no field.
const PLAIN_LEN: usize = 4;
/// How far beyond a module a displacement may lead.
const BEYOND: u64 = 0x100_0000;

/// The next unit.
pub(super) fn unit(site: &Site<'_>, pending: &mut Option<Field>) -> Unit {
    if let Some(field) = pending.take_if(|field| field.pos <= site.pos)
        && field.pos == site.pos
        && let Some(word) = site.u32(0).filter(|_| site.left >= 4)
    {
        let Field { kind, target, aux, .. } = field;
        return Unit { word: word.into(), target, aux, kind, len: 4 };
    }
    for skip in 0..PLAIN_LEN {
        if let Some((by, field)) = field_at(site, skip)
            && skip as u64 + by + 4 <= site.left
        {
            let len = skip as u64 + by;
            if len == 0 {
                let Field { kind, target, aux, .. } = field;
                let word = site.u32(0).unwrap_or(0);
                return Unit { word: word.into(), target, aux, kind, len: 4 };
            }
            *pending = Some(field);
            return site.plain(Kind::Op, len);
        }
    }
    site.plain(Kind::Op, PLAIN_LEN as u64)
}

/// A field of the instruction that may start `skip` bytes behind the site: how far behind that.
fn field_at(site: &Site<'_>, skip: usize) -> Option<(u64, Field)> {
    let is_wide = site.class.content == Content::X86_64;
    if let Some(by) = displacement(site, skip, is_wide) {
        let word = site.u32(skip + by)?;
        let tail = if is_wide { immediate_len(site, skip, by) } else { 0 };
        let pos = site.pos + (skip + by) as u64;
        let addr = site.addr.wrapping_add((skip + by) as u64 + 4 + tail);
        let target = addr.wrapping_add(signed(word.into(), 32));
        let target = if is_wide { target } else { target & 0xffff_ffff };
        if (site.bounds.low..site.bounds.high.wrapping_add(BEYOND)).contains(&target) {
            return Some((by as u64, Field { pos, target, aux: tail, kind: Kind::X86Rel32 }));
        }
    }
    if !is_wide {
        let word = u64::from(site.u32(skip)?);
        let field =
            Field { pos: site.pos + skip as u64, target: word, aux: 0, kind: Kind::Pointer32 };
        return site.bounds.is_pointer32(word).then_some((0, field));
    }
    let is_mov = site.byte(skip)? & 0xf8 == 0xb8 && site.u32(skip + 1)? >> 16 == 0;
    let field = Field { pos: site.pos + skip as u64 + 1, target: 0, aux: 0, kind: Kind::X86Imm32 };
    is_mov.then_some((1, field))
}

/// Where a 32-bit displacement stands in the instruction that may start `skip` bytes on.
fn displacement(site: &Site<'_>, skip: usize, is_wide: bool) -> Option<usize> {
    let (first, second) = (site.byte(skip)?, site.byte(skip + 1)?);
    if matches!(first, 0xe8 | 0xe9) {
        return Some(1);
    }
    if first == 0x0f && second & 0xf0 == 0x80 {
        return Some(2);
    }
    if !is_wide {
        return None;
    }
    if first == 0x0f {
        let relative = site.byte(skip + 2)? & 0xc7 == 0x05;
        return (relative && has_modrm_after_0f(second)).then_some(3);
    }
    let relative = second & 0xc7 == 0x05 && has_modrm(first);
    let indirect = first == 0xff && matches!(second, 0x15 | 0x25 | 0x35);
    (relative || indirect).then_some(2)
}

/// One-byte operations that often have a RIP-relative operand.
const fn has_modrm(op: u8) -> bool {
    let arithmetic = op < 0x40 && matches!(op & 7, 0..=3);
    arithmetic || matches!(op, 0x63 | 0x80 | 0x81 | 0x83..=0x8b | 0x8d | 0xc6 | 0xc7 | 0xf6 | 0xf7)
}

/// The same after 0F: moves, conversions, SSE arithmetic, CMOV, MOVZX, MOVSX.
const fn has_modrm_after_0f(op: u8) -> bool {
    matches!(op, 0x10..=0x17 | 0x28..=0x2f | 0x40..=0x7f | 0xaf..=0xb7 | 0xbe | 0xbf | 0xd4..=0xfe)
}

/// Bytes of immediate behind the displacement: it counts from the end of the instruction.
fn immediate_len(site: &Site<'_>, skip: usize, by: usize) -> u64 {
    let (Some(op), Some(modrm)) = (site.byte(skip), site.byte(skip + 1)) else { return 0 };
    match op {
        _ if by != 2 => 0,
        0x80 | 0x83 | 0xc6 => 1,
        0x81 | 0xc7 => 4,
        0xf6 if modrm & 0x38 == 0 => 1,
        0xf7 if modrm & 0x38 == 0 => 4,
        _ => 0,
    }
}

/// Where a field at `addr` leads; `aux` is the length of the immediate behind it.
#[must_use]
pub const fn target(word: u32, addr: u64, aux: u64) -> u64 {
    addr.wrapping_add(4).wrapping_add(aux).wrapping_add(signed(word as u64, 32))
}

/// The field that leads to `target` from `addr`.
#[must_use]
pub const fn write(addr: u64, target: u64, aux: u64) -> u32 {
    target.wrapping_sub(addr.wrapping_add(4).wrapping_add(aux)) as u32
}
