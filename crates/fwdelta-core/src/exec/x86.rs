//! x86 (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2): rel32 of CALL, JMP
//! and Jcc, RIP-relative displacements, and in 32-bit code absolute addresses.
//!
//! Position-independent 32-bit code (System V ABI, Intel386 supplement) adds to its own address
//! how far the global offset table is from there, and reaches data by its distance from the table.
//!
//! Instructions have no common length, so no attempt is made to cut them apart: the bytes in
//! front of a field are one unit, the field is the next.

use super::layout::Content;
use super::unit::{Kind, Site, Unit, signed};
use super::walk::{Field, Globals};

/// Bytes of a unit that holds no field.
pub(super) const PLAIN_LEN: usize = 4;
/// How far beyond a module a displacement may lead.
const BEYOND: u64 = 0x100_0000;
/// `aux` of [`Kind::Global`]: all 32 bits are the offset.
pub const IS_WORD: u64 = 1;
/// Positive offsets below this are rather those of fields of structures.
const STRUCTURE_LEN: u32 = 0x1000;

/// The next unit.
pub(super) fn unit(site: &Site<'_>, pending: &mut Option<Field>, globals: &mut Globals) -> Unit {
    if let Some(field) = pending.take_if(|field| field.pos <= site.pos)
        && field.pos == site.pos
        && let Some(word) = site.u32(0).filter(|_| site.left >= 4)
    {
        return of_field(&field, word, globals);
    }
    let is_wide = site.class.content == Content::X86_64;
    for skip in 0..PLAIN_LEN {
        if is_wide && !may_start(site, skip) {
            continue;
        }
        if let Some((by, field)) = field_at(site, skip, globals)
            && skip as u64 + by + 4 <= site.left
        {
            let len = skip as u64 + by;
            if len == 0 {
                return of_field(&field, site.u32(0).unwrap_or(0), globals);
            }
            *pending = Some(field);
            return site.plain(Kind::Op, len);
        }
    }
    site.plain(Kind::Op, PLAIN_LEN as u64)
}

/// Whether an instruction with a field may start `skip` bytes on, at a glance: by its operation,
/// or by a second byte that says "relative to RIP".
fn may_start(site: &Site<'_>, skip: usize) -> bool {
    let at = site.at.wrapping_add(skip);
    let Some([op, next]) = site.view.get(at..).and_then(|bytes| bytes.first_chunk::<2>()) else {
        return true;
    };
    matches!(op, 0xe8 | 0xe9 | 0x0f | 0xb8..=0xbf) || next & 0xc7 == 0x05
}

fn of_field(field: &Field, word: u32, globals: &mut Globals) -> Unit {
    let Field { pos, target, aux, kind } = *field;
    if sets_global(aux) {
        globals.see(target, pos);
    }
    Unit { word: word.into(), target, aux, kind, len: 4 }
}

/// Whether a displacement counts from before the field: only the way to the global offset table.
pub(super) const fn sets_global(aux: u64) -> bool {
    aux >> 63 != 0
}

/// A field of the instruction that may start `skip` bytes behind the site: how far behind that.
pub(super) fn field_at(site: &Site<'_>, skip: usize, globals: &Globals) -> Option<(u64, Field)> {
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
        let field = to_table(site, skip).or_else(|| from_table(site, skip, globals));
        return field.or_else(|| absolute(site, skip));
    }
    let is_mov = site.byte(skip)? & 0xf8 == 0xb8 && site.u32(skip + 1)? >> 16 == 0;
    let field = Field { pos: site.pos + skip as u64 + 1, target: 0, aux: 0, kind: Kind::X86Imm32 };
    is_mov.then_some((1, field))
}

/// ADD of how far the global offset table is from this instruction, whose address a CALL returned.
fn to_table(site: &Site<'_>, skip: usize) -> Option<(u64, Field)> {
    let by: u64 = match (site.byte(skip)?, site.byte(skip + 1)?) {
        (0x81, 0xc0..=0xc7) => 2,
        (0x05, _) => 1,
        _ => return None,
    };
    let call = (site.at + skip).checked_sub(5)?;
    let is_called = site.view.get(call) == Some(&0xe8);
    let word = site.u32(skip + by as usize).filter(|_| is_called)?;
    let target = site.addr.wrapping_add(skip as u64).wrapping_add(signed(word.into(), 32));
    let target = target & 0xffff_ffff;
    let aux = 0u64.wrapping_sub(by + 4);
    let field = Field { pos: site.pos + skip as u64 + by, target, aux, kind: Kind::X86Rel32 };
    (site.bounds.low..site.bounds.high).contains(&target).then_some((by, field))
}

/// A displacement from the global offset table to something of the module.
fn from_table(site: &Site<'_>, skip: usize, globals: &Globals) -> Option<(u64, Field)> {
    let table = globals.old;
    let op = site.byte(skip)?;
    let (modrm_at, is_known) = match op {
        0x0f => (2, has_modrm_after_0f(site.byte(skip + 1)?)),
        0xff | 0xd8..=0xdf | 0x69 => (1, true),
        _ => (1, has_modrm(op)),
    };
    let modrm = site.byte(skip + modrm_at)?;
    if table == 0 || !is_known || modrm & 0xc0 != 0x80 {
        return None;
    }
    let (base, by) = match modrm & 7 {
        4 => (site.byte(skip + modrm_at + 1)? & 7, modrm_at + 2),
        base => (base, modrm_at + 1),
    };
    let word = site.u32(skip + by)?;
    let target = table.wrapping_add(signed(word.into(), 32)) & 0xffff_ffff;
    // ESP and EBP lead to the stack.
    let is_global = !matches!(base, 4 | 5)
        && word >= STRUCTURE_LEN
        && (site.bounds.low..site.bounds.high).contains(&target);
    let field =
        Field { pos: site.pos + (skip + by) as u64, target, aux: IS_WORD, kind: Kind::Global };
    is_global.then_some((by as u64, field))
}

/// An absolute address; position-independent code has none.
fn absolute(site: &Site<'_>, skip: usize) -> Option<(u64, Field)> {
    let word = u64::from(site.u32(skip)?);
    let field = Field { pos: site.pos + skip as u64, target: word, aux: 0, kind: Kind::Pointer32 };
    let is_address = site.bounds.low != 0 && site.bounds.is_pointer32(word);
    (is_address && (is_operand(site, skip) || is_in_table(site, skip))).then_some((0, field))
}

/// Whether what stands before a word is that of an instruction with a word for displacement or
/// immediate. Programs at 0x0804_8000 hold many bytes that look like addresses: 89 44 24 08 stores
/// a register on the stack.
fn is_operand(site: &Site<'_>, skip: usize) -> bool {
    let at = site.at.wrapping_add(skip);
    let before = |by| at.checked_sub(by).and_then(|at| site.view.get(at)).map_or(0, |byte| *byte);
    let [g, f, e, d, c, b, a] = [7, 6, 5, 4, 3, 2, 1].map(before);
    let has_operand = |op: u8, before: u8| {
        has_modrm(op)
            || matches!(op, 0x69 | 0xff | 0xd8..=0xdf)
            || before == 0x0f && has_modrm_after_0f(op)
    };
    let is_displaced = |modrm: u8| modrm & 0xc7 == 0x05 || modrm & 0xc0 == 0x80 && modrm & 7 != 4;
    let is_indexed = |modrm: u8, sib: u8| modrm & 0xc7 == 0x84 || modrm & 0xc7 == 4 && sib & 7 == 5;
    let has_immediate = |op: u8| matches!(op, 0x69 | 0x81 | 0xc7 | 0xf7);
    let is_short = |modrm: u8| modrm >= 0xc0 || modrm < 0x40 && !matches!(modrm & 7, 4 | 5);
    matches!(a, 0x68 | 0xa0..=0xa3 | 0xa9 | 0xb8..=0xbf)
        || a < 0x40 && a & 7 == 5
        || has_operand(b, c) && is_displaced(a)
        || has_operand(c, d) && is_indexed(b, a)
        || has_immediate(b) && is_short(a)
        || has_immediate(c) && (b & 0xc7 == 4 || b & 0xc0 == 0x40 && b & 7 != 4)
        || has_immediate(d) && c & 0xc7 == 0x44
        || has_immediate(f) && is_displaced(e)
        || has_immediate(g) && is_indexed(f, e)
}

/// Whether a word stands beside another address, as in a table.
fn is_in_table(site: &Site<'_>, skip: usize) -> bool {
    let at = site.at.wrapping_add(skip);
    let is_address = |at: Option<usize>| {
        let bytes = at.and_then(|at| site.view.get(at..)).and_then(|bytes| bytes.first_chunk());
        bytes.is_some_and(|bytes| site.bounds.is_pointer32(site.word(*bytes).into()))
    };
    let is_aligned = site.pos.wrapping_add(skip as u64) & 3 == 0;
    is_aligned && (is_address(at.checked_sub(4)) || is_address(at.checked_add(4)))
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
pub(super) const fn has_modrm(op: u8) -> bool {
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

/// The same of a field in new.
pub(super) fn read(unit: &Unit, word: u32, addr: u64, globals: &mut Globals) -> u64 {
    let target = target(word, addr, unit.aux);
    if sets_global(unit.aux) {
        globals.follow(unit.target, target & 0xffff_ffff);
    }
    target
}

/// Where an offset from the global offset table leads in new, if that was seen there.
pub(super) fn read_global(word: u32, globals: &Globals) -> Option<u64> {
    let table = globals.new;
    (table != 0).then(|| table.wrapping_add(signed(word.into(), 32)) & 0xffff_ffff)
}

/// The field that leads to `target` from `addr`.
#[must_use]
pub const fn write(addr: u64, target: u64, aux: u64) -> u32 {
    target.wrapping_sub(addr.wrapping_add(4).wrapping_add(aux)) as u32
}

#[cfg(test)]
mod tests {
    use super::super::layout::Class;
    use super::super::space::Bounds;
    use super::*;

    #[test]
    fn what_is_written_leads_there() {
        for (addr, to, aux) in [(0x1000u64, 0x20u64, 0), (0x1000, 0x8000, 4), (0x1002, 0x9000, 1)] {
            assert_eq!(target(write(addr, to, aux), addr, aux), to);
        }
    }

    #[test]
    fn addresses_are_operands_or_stand_in_tables() {
        let mut bounds = Bounds::default();
        (bounds.low, bounds.high) = (0x0804_8000, 0x0900_0000);
        bounds.settle();
        let class = Class { content: Content::I386, ..Class::default() };
        let is_address = |view: &[u8], at: usize| {
            let (pos, left) = (at as u64, (view.len() - at) as u64);
            let (addr, run_addr) = (0x0804_8000 + pos, 0x0804_8000);
            let bounds = &bounds;
            let site = Site { view, at, pos, addr, run_addr, left, class, bounds, is_mapped: true };
            absolute(&site, 0).is_some()
        };
        let operands: [&[u8]; 11] = [
            &[0xb8],                         // mov eax, imm32
            &[0xa1],                         // mov eax, moffs32
            &[0x3d],                         // cmp eax, imm32
            &[0x8b, 0x15],                   // mov edx, [disp32]
            &[0x0f, 0xb6, 0x80],             // movzx eax, byte [eax + disp32]
            &[0xff, 0x24, 0x85],             // jmp [4 * eax + disp32]
            &[0x81, 0xfb],                   // cmp ebx, imm32
            &[0xc7, 0x00],                   // mov [eax], imm32
            &[0xc7, 0x44, 0x24, 0x04],       // mov [esp + 4], imm32
            &[0xc7, 0x45, 0xf8],             // mov [ebp - 8], imm32
            &[0xc7, 0x05, 0x10, 0x90, 4, 8], // mov [disp32], imm32
        ];
        for operand in operands {
            let mut view = [0x90; 24];
            let at = 8 + operand.len();
            view[8..at].copy_from_slice(operand);
            view[at..at + 4].copy_from_slice(&[0, 0x90, 4, 8]);
            assert!(is_address(&view, at), "{operand:x?}");
        }
        // call; mov [esp + 8], eax: no address, whatever it looks like.
        let mut view = [0x90; 24];
        view[3..12].copy_from_slice(&[0xe8, 1, 2, 3, 4, 0x89, 0x44, 0x24, 0x08]);
        assert!(!is_address(&view, 8));
        // A table.
        view[12..16].copy_from_slice(&[0, 0x90, 4, 8]);
        assert!(is_address(&view, 8) && is_address(&view, 12));
    }

    #[test]
    fn the_table_is_found_from_both_images() {
        // ADD at 0x1000 with its immediate at 0x1002.
        let aux = 0u64.wrapping_sub(6);
        let (table, mut globals) = (0x9000, Globals::default());
        let word = write(0x1002, table, aux);
        assert_eq!(word, 0x8000);
        let unit = Unit { kind: Kind::X86Rel32, aux, target: 0x8800, ..Unit::default() };
        globals.see(unit.target, 0);
        globals.see(unit.target, 0);
        assert_eq!(read(&unit, word, 0x1002, &mut globals), table);
        assert_eq!(read_global(0xffff_fff0, &globals), None, "seen at one place");
        globals.see(unit.target, 0x40);
        assert_eq!(read(&unit, word, 0x1002, &mut globals), table);
        assert_eq!(read_global(0xffff_fff0, &globals), Some(0x8ff0));
    }
}
