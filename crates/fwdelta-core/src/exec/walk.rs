//! Walks the old bytes of a cover, unit by unit.

use super::layout::Content;
use super::unit::{Home, Kind, Site, Unit};
use super::{a32, a64, data, mips, riscv, thumb, x86, x86_scan, xtensa};
use crate::error::Result;
use crate::state::Visit;

/// Those that the instruction sets of this build name: the table is a part of what a device holds.
const REGISTER_COUNT: usize =
    if cfg!(any(feature = "isa-a64", feature = "isa-mips", feature = "isa-riscv")) {
        32
    } else {
        16
    };
const POOL_COUNT: usize = 32;

/// Parts of addresses in registers: pages, halves, positions of constants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    /// What was put there, and where that was done.
    entries: [(u64, u64); REGISTER_COUNT],
    /// Those that still hold it, a bit for each.
    live: u32,
    /// Where the last one was set.
    latest: u64,
}

impl Registers {
    const EMPTY: Self = Self { entries: [(0, 0); REGISTER_COUNT], live: 0, latest: u64::MAX };

    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        for (value, pos) in &mut self.entries {
            visit.u64(value)?;
            visit.u64(pos)?;
        }
        visit.u32(&mut self.live)?;
        visit.u64(&mut self.latest)
    }

    const fn bit(register: u8) -> u32 {
        1u32.wrapping_shl(register as u32)
    }

    pub(super) fn set(&mut self, register: u8, value: u64, pos: u64) {
        if let Some(entry) = self.entries.get_mut(usize::from(register)) {
            *entry = (value, pos);
            self.live |= Self::bit(register);
            self.latest = pos;
        }
    }

    /// Whether any may still count for an instruction at `pos`.
    pub(super) const fn may_reach(&self, pos: u64, reach: u64) -> bool {
        pos.wrapping_sub(self.latest) < reach
    }

    /// What was put there at most `reach` bytes before `pos`.
    pub(super) fn get(&self, register: u8, pos: u64, reach: u64) -> Option<u64> {
        self.get_since(register, pos, reach).map(|(value, _)| value)
    }

    /// The same, and how many bytes before `pos`.
    #[inline]
    pub(super) fn get_since(&self, register: u8, pos: u64, reach: u64) -> Option<(u64, u64)> {
        if self.live & Self::bit(register) == 0 {
            return None;
        }
        let (value, since) = *self.entries.get(usize::from(register))?;
        let by = pos.wrapping_sub(since);
        (by > 0 && by < reach).then_some((value, by))
    }

    /// Whether something was put there at most `reach` bytes before `pos`.
    #[inline]
    pub(super) fn is_live(&self, register: u8, pos: u64, reach: u64) -> bool {
        self.get_since(register, pos, reach).is_some()
    }

    fn forget_all(&mut self) {
        (self.live, self.latest) = (0, u64::MAX);
    }

    #[inline]
    pub(super) fn forget(&mut self, register: u8) {
        self.live &= !Self::bit(register);
    }
}

/// Positions of constants that loads were seen of; the oldest give way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pools {
    entries: [(u32, u32); POOL_COUNT],
    next: u8,
    /// No constant stands before this position, but for those already passed.
    lowest: u64,
    /// Nothing was put here.
    is_empty: bool,
}

impl Pools {
    /// No position of a constant: those are multiples of 4.
    const NONE: (u32, u32) = (u32::MAX, 0);
    const EMPTY: Self =
        Self { entries: [Self::NONE; POOL_COUNT], next: 0, lowest: u64::MAX, is_empty: true };

    fn find(&mut self, pos: u64) -> Option<&mut (u32, u32)> {
        self.entries.iter_mut().find(|entry| u64::from(entry.0) == pos)
    }

    /// Bytes from `pos` to the nearest constant behind it.
    pub(super) fn next(&mut self, pos: u64) -> u64 {
        if self.lowest < pos {
            let entries = self.entries.iter().map(|entry| u64::from(entry.0));
            let behind = entries.filter(|at| (pos..u32::MAX.into()).contains(at));
            self.lowest = behind.min().unwrap_or(u64::MAX);
        }
        self.lowest.wrapping_sub(pos)
    }

    pub(super) fn put(&mut self, pos: u64) {
        if self.find(pos).is_some() {
            return;
        }
        let Ok(pos) = u32::try_from(pos) else { return };
        if let Some(entry) = self.entries.get_mut(usize::from(self.next)) {
            *entry = (pos, 0);
            self.lowest = self.lowest.min(pos.into());
            self.is_empty = false;
        }
        self.next = self.next.wrapping_add(1) & (POOL_COUNT as u8 - 1);
    }

    /// The constant at `pos` is relative to the instruction at address `pic`.
    pub(super) fn set_pic(&mut self, pos: u64, pic: u32) {
        if let Some(entry) = self.find(pos).filter(|entry| entry.1 == 0) {
            entry.1 = pic;
        }
    }

    /// Whether there is a constant at `pos`, and the address it is relative to, or 0.
    pub(super) fn take(&mut self, pos: u64) -> Option<u32> {
        let entry = self.find(pos)?;
        let pic = entry.1;
        *entry = Self::NONE;
        Some(pic)
    }
}

/// The global pointer, from which position-independent code reaches data: as last set up, 0 before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Globals {
    pub(super) old: u64,
    pub(super) new: u64,
    /// Where what looked like the way to it last led in old, and the position of that.
    seen: (u64, u64),
}

impl Globals {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        let (to, pos) = &mut self.seen;
        [&mut self.old, &mut self.new, to, pos].into_iter().try_for_each(|at| visit.u64(at))
    }

    /// Old code sets it up.
    pub(super) const fn set(&mut self, old: u64) {
        self.old = old;
    }

    /// Old code at `pos` may set it up: believed if that before it, elsewhere, led there as well.
    pub(super) const fn see(&mut self, old: u64, pos: u64) {
        let (to, seen_pos) = self.seen;
        if to == old && seen_pos != pos {
            self.old = old;
        }
        self.seen = (old, pos);
    }

    /// What leads to `old` in old leads to `new` in new.
    pub(super) const fn follow(&mut self, old: u64, new: u64) {
        if self.old == old {
            self.new = new;
        }
    }
}

/// A field found inside an instruction that is still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) pos: u64,
    pub(super) target: u64,
    pub(super) aux: u64,
    pub(super) kind: Kind,
}

/// Cuts old bytes into units; knows what instructions before said about those to come.
#[derive(Clone, Debug)]
pub struct Walker {
    pub(super) registers: Registers,
    pools: Pools,
    pending: Option<Field>,
    pub(super) globals: Globals,
    /// Parts of new addresses, as found in the new instructions.
    pub(super) new_registers: [u64; REGISTER_COUNT],
}

impl Default for Walker {
    fn default() -> Self {
        Self {
            registers: Registers::EMPTY,
            pools: Pools::EMPTY,
            pending: None,
            globals: Globals::default(),
            new_registers: [0; REGISTER_COUNT],
        }
    }
}

impl Walker {
    /// Goes through what is known.
    ///
    /// # Errors
    /// Those of the visit.
    pub fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.registers.state(visit)?;
        for (pos, pic) in &mut self.pools.entries {
            visit.u32(pos)?;
            visit.u32(pic)?;
        }
        visit.u8(&mut self.pools.next)?;
        // What is nearest is looked for again.
        (self.pools.lowest, self.pools.is_empty) = (0, false);
        field(&mut self.pending, visit)?;
        self.globals.state(visit)?;
        self.new_registers.iter_mut().try_for_each(|register| visit.u64(register))
    }

    /// A cover begins: nothing is known of what comes before it. Global pointers hardly change.
    pub fn start(&mut self) {
        self.registers.forget_all();
        if !self.pools.is_empty {
            self.pools = Pools::EMPTY;
        }
        self.pending = None;
        self.new_registers = [0; REGISTER_COUNT];
    }

    /// What references of `kind` count from, as seen in new itself; else 0.
    #[must_use]
    pub const fn base(&self, kind: Kind) -> u64 {
        if matches!(kind, Kind::Global) { self.globals.new } else { 0 }
    }

    /// Bytes from `site` on, at most `most`, that hold no reference but such as lead by a distance
    /// to `home`; may be fewer than there are. [`Walker::unit`] goes on behind them as if it had
    /// found them itself, but for units without a reference that are cut otherwise.
    #[must_use]
    pub fn skip_len(&mut self, site: &Site<'_>, most: usize, home: Home) -> usize {
        self.skip_len_of(site.content(), site, most, home)
    }

    /// The same where `content`, that of the site, is known when compiling.
    #[inline(always)]
    pub(super) fn skip_len_of(
        &mut self,
        content: Content,
        site: &Site<'_>,
        most: usize,
        home: Home,
    ) -> usize {
        match content {
            Content::A64 if cfg!(feature = "isa-a64") => {
                a64::plain_len(site, most, home, &self.registers)
            }
            Content::A32 if cfg!(feature = "isa-a32") => {
                a32::plain_len(site, most, home, &mut self.pools)
            }
            Content::Thumb if cfg!(feature = "isa-thumb") => {
                thumb::plain_len(site, most, home, &mut self.pools)
            }
            Content::Mips if cfg!(feature = "isa-mips") => {
                mips::plain_len(site, most, home, &mut self.registers, &self.globals)
            }
            Content::RiscV if cfg!(feature = "isa-riscv") => {
                riscv::plain_len(site, most, home, &mut self.registers)
            }
            Content::X86_64 | Content::I386 if cfg!(feature = "isa-x86") => {
                x86_scan::plain_len(site, most, home, self.pending.as_ref(), &self.globals)
            }
            Content::Data | Content::Words => data::plain_len(site, most),
            _ => 0,
        }
    }

    /// The same in whole units that are no values either, as [`Walker::unit`] cuts them: how many
    /// bytes, and how many units. Nothing of instruction sets whose code has units of one length.
    pub(super) fn skip_units(&self, site: &Site<'_>, most: usize, home: Home) -> (usize, u64) {
        match site.content() {
            Content::X86_64 | Content::I386 if cfg!(feature = "isa-x86") => {
                x86_scan::plain_units(site, most, home, self.pending.as_ref(), &self.globals)
            }
            _ => (0, 0),
        }
    }

    /// The unit at `site`, at most as long as is left there. Code of an instruction set that is not
    /// built in does not come here: the layout is refused.
    pub fn unit(&mut self, site: &Site<'_>) -> Unit {
        self.unit_of(site.content(), site)
    }

    /// The same where `content`, that of the site, is known when compiling.
    #[inline(always)]
    pub(super) fn unit_of(&mut self, content: Content, site: &Site<'_>) -> Unit {
        match content {
            Content::A64 if cfg!(feature = "isa-a64") => a64::unit(site, &mut self.registers),
            Content::A32 if cfg!(feature = "isa-a32") => {
                a32::unit(site, &mut self.registers, &mut self.pools)
            }
            Content::Thumb if cfg!(feature = "isa-thumb") => {
                thumb::unit(site, &mut self.registers, &mut self.pools)
            }
            Content::Mips if cfg!(feature = "isa-mips") => {
                mips::unit(site, &mut self.registers, &mut self.globals)
            }
            Content::Xtensa if cfg!(feature = "isa-xtensa") => xtensa::unit(site),
            Content::RiscV if cfg!(feature = "isa-riscv") => riscv::unit(site, &mut self.registers),
            Content::X86_64 | Content::I386 if cfg!(feature = "isa-x86") => {
                x86::unit(site, &mut self.pending, &mut self.globals)
            }
            _ => data::unit(site),
        }
    }
}

/// Kinds of fields inside instructions still to come.
const FIELD_KINDS: [Kind; 4] = [Kind::X86Rel32, Kind::X86Imm32, Kind::Global, Kind::Pointer32];

fn field<V: Visit>(pending: &mut Option<Field>, visit: &mut V) -> Result<()> {
    let mut is_some = pending.is_some();
    let none = Field { pos: 0, target: 0, aux: 0, kind: Kind::Bytes };
    let mut field = pending.unwrap_or(none);
    visit.flag(&mut is_some)?;
    visit.u64(&mut field.pos)?;
    visit.u64(&mut field.target)?;
    visit.u64(&mut field.aux)?;
    let known = FIELD_KINDS.iter().position(|kind| *kind == field.kind);
    let mut number = known.unwrap_or(0) as u8;
    visit.u8(&mut number)?;
    field.kind = FIELD_KINDS.get(usize::from(number)).copied().unwrap_or_default();
    *pending = is_some.then_some(field);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::layout::Class;
    use super::super::reference;
    use super::super::space::Bounds;
    use super::super::unit::{LOOK_AHEAD, LOOK_BEHIND};
    use super::*;

    const CODE: [Content; 8] = [
        Content::A64,
        Content::A32,
        Content::Thumb,
        Content::X86_64,
        Content::I386,
        Content::RiscV,
        Content::Mips,
        Content::Xtensa,
    ];

    /// Of a module of a MiB at `start`.
    fn bounds(start: u64) -> Bounds {
        let mut bounds = Bounds::default();
        (bounds.low, bounds.high) = (start, start + 0x10_0000);
        (bounds.text_low, bounds.text_high) = (bounds.low, bounds.high);
        bounds.table_base = start;
        bounds.settle();
        bounds
    }

    /// Walks `image`, which is loaded at `start`, and gives each unit with its address.
    fn walk(image: &[u8], class: Class, start: u64, mut each: impl FnMut(&mut Walker, Unit, u64)) {
        let bounds = bounds(start);
        let (mut walker, mut at, mut plain_end) = (Walker::default(), 0, 0);
        walker.start();
        while at < image.len() {
            let site = Site {
                view: image,
                at,
                pos: at as u64,
                addr: start + at as u64,
                run_addr: start,
                left: (image.len() - at) as u64,
                class,
                bounds: &bounds,
                is_mapped: true,
            };
            let skipped = walker.clone().skip_len(&site, usize::MAX, Home::default());
            plain_end = plain_end.max(at + skipped);
            let unit = walker.unit(&site);
            let is_plain = !unit.kind.is_reference();
            assert!(at >= plain_end || is_plain, "{class:?} {unit:?} at {at}");
            assert!((1..=site.left).contains(&unit.len.into()), "{class:?}");
            each(&mut walker, unit, site.addr);
            at += usize::from(unit.len);
        }
    }

    fn noise(image: &mut [u8], mut state: u32) {
        for byte in image {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
    }

    #[test]
    fn what_does_not_move_stays_as_it_is() {
        let mut image = [0; 0x8000];
        for (seed, content) in (1..).zip(CODE) {
            noise(&mut image, seed);
            for (wide, big_endian) in [(false, false), (true, false), (false, true)] {
                let is_little = matches!(content, Content::X86_64 | Content::I386);
                let class = Class { content, wide, big_endian: big_endian && !is_little };
                walk(&image, class, 0x8000_0000, |walker, unit, addr| {
                    let base = if unit.kind == Kind::Based { unit.aux } else { walker.globals.old };
                    if unit.kind.is_reference() {
                        let word = reference::write(&unit, addr, unit.target, base);
                        assert_eq!(word, unit.word, "{content:?} {unit:?} at {addr:x}");
                        let mask = u64::MAX >> (64 - 8 * u32::from(unit.len));
                        assert_eq!(reference::field(&unit) & !mask, 0, "{unit:?}");
                    }
                });
            }
        }
    }

    /// Kinds and targets of references in a program at 0x8000_0000 that reads the same when new.
    fn references<const N: usize>(content: Content, program: &[u8]) -> [(Kind, u64); N] {
        let class = Class { content, ..Class::default() };
        let mut image = [0; 256];
        image[..program.len()].copy_from_slice(program);
        let (mut found, mut count) = ([(Kind::Bytes, 0); N], 0);
        walk(&image, class, 0x8000_0000, |walker, unit, addr| {
            if unit.kind.is_reference() && count < N {
                found[count] = (unit.kind, unit.target);
                let base = if unit.kind == Kind::Based { unit.aux } else { 0 };
                let read = walker.read(&unit, unit.word, addr, base).map(|to| to & 0xffff_ffff);
                assert!(read.is_none_or(|to| to == unit.target), "{unit:?}");
                count += 1;
            }
        });
        found
    }

    #[test]
    fn parts_of_addresses_find_each_other() {
        let high_low = |high, low| [(high, 0x8001_2344), (low, 0x8001_2344)];
        // auipc a0, 0x12; c.nop; lw a1, 0x344(a0).
        let risc_v = [0x17, 0x25, 1, 0, 1, 0, 0x83, 0x25, 0x45, 0x34];
        assert_eq!(references(Content::RiscV, &risc_v), high_low(Kind::RiscVHigh, Kind::RiscVLowI));
        // lui v0, 0x8001; addu v0, v0, a0; lw v1, 0x2344(v0).
        let mips = [1, 0x80, 2, 0x3c, 0x21, 0x10, 0x44, 0, 0x44, 0x23, 0x43, 0x8c];
        assert_eq!(references(Content::Mips, &mips), high_low(Kind::MipsHigh, Kind::MipsLow));
    }

    #[test]
    fn constants_count_from_where_the_pc_is_added() {
        // ldr r2, [pc, #4]; ldr r3, [pc, #4]; add r2, pc, r2; its constant; one that r3 gets.
        let words = [0xe59f_2004u32, 0xe59f_3004, 0xe08f_2002, 0x0001_0000, 0x8000_2344];
        let mut program = [0; 20];
        for (bytes, word) in program.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        assert_eq!(
            references(Content::A32, &program),
            [
                (Kind::A32Literal, 0x8000_000c),
                (Kind::A32Literal, 0x8000_0010),
                (Kind::Based, 0x8001_0010),
                (Kind::Pointer32, 0x8000_2344),
            ]
        );
    }

    #[test]
    fn offsets_count_from_global_pointers() {
        // lui gp, 1; addiu gp, gp, 0x10; addu gp, gp, t9; lw t9, -16(gp).
        let mips =
            [1, 0, 0x1c, 0x3c, 16, 0, 0x9c, 0x27, 0x21, 0xe0, 0x99, 3, 0xf0, 0xff, 0x99, 0x8f];
        assert_eq!(
            references(Content::Mips, &mips),
            [
                (Kind::MipsHigh, 0x8001_0010),
                (Kind::MipsLow, 0x8001_0010),
                (Kind::Global, 0x8001_0000),
            ]
        );
        // call .+0x105; add ebx, 0x1_0000; lea eax, [ebx - 16]; the same again, to the same place.
        let i386 = [
            0xe8, 0, 1, 0, 0, 0x81, 0xc3, 0, 0, 1, 0, 0x8d, 0x83, 0xf0, 0xff, 0xff, 0xff,
            0x90, //
            0xe8, 0xee, 0, 0, 0, 0x81, 0xc3, 0xee, 0xff, 0, 0, 0x8d, 0x83, 0xf0, 0xff, 0xff, 0xff,
            0x90,
        ];
        assert_eq!(
            references(Content::I386, &i386),
            [
                (Kind::X86Rel32, 0x8000_0105),
                (Kind::X86Rel32, 0x8001_0005),
                (Kind::X86Rel32, 0x8000_0105),
                (Kind::X86Rel32, 0x8001_0005),
                (Kind::Global, 0x8000_fff5),
            ]
        );
    }

    #[test]
    fn nothing_is_looked_at_beyond_the_limits() {
        let mut image = [0; 0x1000];
        for (seed, content) in (100..).zip(CODE) {
            noise(&mut image, seed);
            let class = Class { content, ..Class::default() };
            walk(&image, class, 0x8000_0000, |_, _, _| {});
            let bounds = bounds(0x8000_0000);
            for at in (LOOK_BEHIND..image.len() - LOOK_AHEAD).step_by(4) {
                let site = |view, at| Site {
                    view,
                    at,
                    pos: 0x1000,
                    addr: 0x8000_1000,
                    run_addr: 0x8000_0000,
                    left: 64,
                    class,
                    bounds: &bounds,
                    is_mapped: true,
                };
                let near = &image[at - LOOK_BEHIND..at + LOOK_AHEAD];
                let whole = Walker::default().unit(&site(&image, at));
                assert_eq!(Walker::default().unit(&site(near, LOOK_BEHIND)), whole, "{content:?}");
            }
        }
    }
}
