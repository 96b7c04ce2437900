//! Walks the old bytes of a cover, unit by unit.

use super::layout::Content;
use super::unit::{Kind, Site, Unit};
use super::{a32, a64, data, mips, riscv, thumb, x86, xtensa};

const REGISTER_COUNT: usize = 32;
const POOL_COUNT: usize = 32;

/// Parts of addresses in registers: pages, halves, positions of constants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    entries: [(u64, u64); REGISTER_COUNT],
}

impl Registers {
    const NONE: (u64, u64) = (0, u64::MAX);

    pub(super) fn set(&mut self, register: u8, value: u64, pos: u64) {
        if let Some(entry) = self.entries.get_mut(usize::from(register)) {
            *entry = (value, pos);
        }
    }

    /// What was put there at most `reach` bytes before `pos`.
    pub(super) fn get(&self, register: u8, pos: u64, reach: u64) -> Option<u64> {
        self.get_since(register, pos, reach).map(|(value, _)| value)
    }

    /// The same, and how many bytes before `pos`.
    pub(super) fn get_since(&self, register: u8, pos: u64, reach: u64) -> Option<(u64, u64)> {
        let (value, since) = *self.entries.get(usize::from(register))?;
        let by = pos.wrapping_sub(since);
        (since != u64::MAX && by > 0 && by < reach).then_some((value, by))
    }

    pub(super) fn forget(&mut self, register: u8) {
        self.set(register, 0, u64::MAX);
    }
}

/// Positions of constants that loads were seen of; the oldest give way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pools {
    entries: [(u32, u32); POOL_COUNT],
    next: u8,
}

impl Pools {
    /// No position of a constant: those are multiples of 4.
    const NONE: (u32, u32) = (u32::MAX, 0);

    fn find(&mut self, pos: u64) -> Option<&mut (u32, u32)> {
        self.entries.iter_mut().find(|entry| u64::from(entry.0) == pos)
    }

    pub(super) fn put(&mut self, pos: u64) {
        if self.find(pos).is_some() {
            return;
        }
        let Ok(pos) = u32::try_from(pos) else { return };
        if let Some(entry) = self.entries.get_mut(usize::from(self.next)) {
            *entry = (pos, 0);
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
    registers: Registers,
    pools: Pools,
    pending: Option<Field>,
    /// The global pointer in old and new as last set up, 0 before.
    pub(super) globals: [u64; 2],
    /// Parts of new addresses, as found in the new instructions.
    pub(super) new_registers: [u64; REGISTER_COUNT],
}

impl Default for Walker {
    fn default() -> Self {
        Self {
            registers: Registers { entries: [Registers::NONE; REGISTER_COUNT] },
            pools: Pools { entries: [Pools::NONE; POOL_COUNT], next: 0 },
            pending: None,
            globals: [0; 2],
            new_registers: [0; REGISTER_COUNT],
        }
    }
}

impl Walker {
    /// A cover begins: nothing is known of what comes before it. Global pointers hardly change.
    pub fn start(&mut self) {
        *self = Self { globals: self.globals, ..Self::default() };
    }

    /// What the reference of `unit` counts from in new, if that was seen in new itself.
    #[must_use]
    pub const fn base(&self, unit: &Unit) -> Option<u64> {
        let [_, new] = self.globals;
        if matches!(unit.kind, Kind::Global) { Some(new) } else { None }
    }

    /// The unit at `site`, at most as long as is left there.
    pub fn unit(&mut self, site: &Site<'_>) -> Unit {
        if !site.is_mapped {
            return data::unit(site);
        }
        match site.class.content {
            Content::A64 => a64::unit(site, &mut self.registers),
            Content::A32 => a32::unit(site, &mut self.registers),
            Content::Thumb => thumb::unit(site, &mut self.registers, &mut self.pools),
            Content::Mips => mips::unit(site, &mut self.registers, &mut self.globals),
            Content::Xtensa => xtensa::unit(site),
            Content::RiscV => riscv::unit(site, &mut self.registers),
            Content::X86_64 | Content::I386 => {
                x86::unit(site, &mut self.pending, &mut self.globals)
            }
            _ => data::unit(site),
        }
    }
}
