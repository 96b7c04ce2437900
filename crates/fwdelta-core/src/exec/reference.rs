//! Writing an address into a unit, and reading it back.

use super::unit::{Kind, Unit};
use super::walk::Walker;
use super::{a32, a64, mips, riscv, thumb, x86, xtensa};

/// The word of `unit` at address `addr` in new when it leads to `target` there. `base` is where
/// [`Kind::Based`] units count from in new.
#[must_use]
pub fn write(unit: &Unit, addr: u64, target: u64, base: u64) -> u64 {
    let Unit { word, kind, aux, .. } = *unit;
    let word32 = word as u32;
    let new = match kind {
        Kind::Pointer64 => return target,
        Kind::Pointer32 => target as u32,
        Kind::Rel32 => target.wrapping_sub(addr) as u32,
        Kind::Prel31 => word32 & 1 << 31 | target.wrapping_sub(addr) as u32 & !(1 << 31),
        Kind::Based => target.wrapping_sub(base) as u32,
        Kind::Back => addr.wrapping_sub(target) as u32,
        Kind::X86Rel32 if cfg!(feature = "isa-x86") => x86::write(addr, target, aux),
        Kind::A64Branch26
        | Kind::A64Branch19
        | Kind::A64Branch14
        | Kind::A64Adr
        | Kind::A64Adrp
        | Kind::A64Lo12
        | Kind::A64Literal
            if cfg!(feature = "isa-a64") =>
        {
            a64::write(kind, word32, addr, target, aux)
        }
        Kind::A32Branch | Kind::A32Literal | Kind::A32MovHalf if cfg!(feature = "isa-a32") => {
            a32::write(kind, word32, addr, target, aux)
        }
        Kind::ThumbBranch
        | Kind::ThumbBranchCond
        | Kind::ThumbBranchShort
        | Kind::ThumbLiteral
        | Kind::ThumbLiteralWide
        | Kind::ThumbMovHalf
            if cfg!(feature = "isa-thumb") =>
        {
            thumb::write(kind, word32, addr, target, aux)
        }
        Kind::RiscVJal
        | Kind::RiscVBranch
        | Kind::RiscVJumpShort
        | Kind::RiscVBranchShort
        | Kind::RiscVHigh
        | Kind::RiscVLowI
        | Kind::RiscVLowS
            if cfg!(feature = "isa-riscv") =>
        {
            riscv::write(kind, word32, addr, target, aux)
        }
        Kind::Global if aux == x86::IS_WORD => target.wrapping_sub(base) as u32,
        Kind::Global if cfg!(feature = "isa-mips") => mips::write(kind, word32, base, target, aux),
        Kind::MipsJump | Kind::MipsBranch | Kind::MipsCall | Kind::MipsHigh | Kind::MipsLow
            if cfg!(feature = "isa-mips") =>
        {
            mips::write(kind, word32, addr, target, aux)
        }
        Kind::XtensaCall | Kind::XtensaJump | Kind::XtensaBranch | Kind::XtensaLiteral
            if cfg!(feature = "isa-xtensa") =>
        {
            xtensa::write(kind, word32, addr, target, aux)
        }
        _ => word32,
    };
    new.into()
}

/// Bits of a unit that hold its reference.
#[must_use]
pub const fn field(unit: &Unit) -> u64 {
    let kind = unit.kind;
    let bits = match kind {
        Kind::Pointer64 => return u64::MAX,
        Kind::Pointer32 | Kind::Rel32 | Kind::Based | Kind::Back | Kind::X86Rel32 => u32::MAX,
        Kind::Global if unit.aux == x86::IS_WORD => u32::MAX,
        Kind::Prel31 => u32::MAX >> 1,
        Kind::A64Branch26
        | Kind::A64Branch19
        | Kind::A64Branch14
        | Kind::A64Adr
        | Kind::A64Adrp
        | Kind::A64Lo12
        | Kind::A64Literal
            if cfg!(feature = "isa-a64") =>
        {
            a64::field(kind)
        }
        Kind::A32Branch | Kind::A32Literal | Kind::A32MovHalf if cfg!(feature = "isa-a32") => {
            a32::field(kind)
        }
        Kind::ThumbBranch
        | Kind::ThumbBranchCond
        | Kind::ThumbBranchShort
        | Kind::ThumbLiteral
        | Kind::ThumbLiteralWide
        | Kind::ThumbMovHalf
            if cfg!(feature = "isa-thumb") =>
        {
            thumb::field(kind)
        }
        Kind::RiscVJal
        | Kind::RiscVBranch
        | Kind::RiscVJumpShort
        | Kind::RiscVBranchShort
        | Kind::RiscVHigh
        | Kind::RiscVLowI
        | Kind::RiscVLowS
            if cfg!(feature = "isa-riscv") =>
        {
            riscv::field(kind)
        }
        Kind::MipsJump
        | Kind::MipsBranch
        | Kind::MipsCall
        | Kind::MipsHigh
        | Kind::MipsLow
        | Kind::Global
            if cfg!(feature = "isa-mips") =>
        {
            mips::field(kind)
        }
        Kind::XtensaCall | Kind::XtensaJump | Kind::XtensaBranch | Kind::XtensaLiteral
            if cfg!(feature = "isa-xtensa") =>
        {
            xtensa::field(kind, unit.word as u32, unit.aux)
        }
        _ => 0,
    };
    bits as u64
}

impl Walker {
    /// Where the unit that became `word`, at address `addr` in new, leads there. `None` when it
    /// is no longer of its kind, or does not tell without the instructions that follow.
    pub fn read(&mut self, unit: &Unit, word: u64, addr: u64, base: u64) -> Option<u64> {
        let word32 = word as u32;
        let signed = word32 as i32 as u64;
        let registers = &mut self.new_registers;
        match unit.kind {
            Kind::Pointer32 | Kind::Pointer64 => Some(word),
            Kind::Rel32 => Some(addr.wrapping_add(signed)),
            Kind::Prel31 => {
                Some(addr.wrapping_add(((word32 << 1) as i32 >> 1) as u64) & 0xffff_ffff)
            }
            Kind::Based => Some(base.wrapping_add(signed)),
            Kind::Back => Some(addr.wrapping_sub(word)),
            Kind::X86Rel32 if cfg!(feature = "isa-x86") => {
                Some(x86::read(unit, word32, addr, &mut self.globals))
            }
            Kind::Global if unit.aux == x86::IS_WORD => x86::read_global(word32, &self.globals),
            Kind::A64Branch26
            | Kind::A64Branch19
            | Kind::A64Branch14
            | Kind::A64Adr
            | Kind::A64Adrp
            | Kind::A64Lo12
            | Kind::A64Literal
                if cfg!(feature = "isa-a64") =>
            {
                a64::read(unit, word32, addr, registers)
            }
            Kind::A32Branch | Kind::A32Literal | Kind::A32MovHalf if cfg!(feature = "isa-a32") => {
                a32::read(unit, word32, addr, registers)
            }
            Kind::ThumbBranch
            | Kind::ThumbBranchCond
            | Kind::ThumbBranchShort
            | Kind::ThumbLiteral
            | Kind::ThumbLiteralWide
            | Kind::ThumbMovHalf
                if cfg!(feature = "isa-thumb") =>
            {
                thumb::read(unit, word32, addr, registers)
            }
            Kind::RiscVJal
            | Kind::RiscVBranch
            | Kind::RiscVJumpShort
            | Kind::RiscVBranchShort
            | Kind::RiscVHigh
            | Kind::RiscVLowI
            | Kind::RiscVLowS
                if cfg!(feature = "isa-riscv") =>
            {
                riscv::read(unit, word32, addr, registers)
            }
            Kind::MipsJump
            | Kind::MipsBranch
            | Kind::MipsCall
            | Kind::MipsHigh
            | Kind::MipsLow
            | Kind::Global
                if cfg!(feature = "isa-mips") =>
            {
                mips::read(unit, word32, addr, registers, &mut self.globals)
            }
            Kind::XtensaCall | Kind::XtensaJump | Kind::XtensaBranch | Kind::XtensaLiteral
                if cfg!(feature = "isa-xtensa") =>
            {
                xtensa::read(unit, word32, addr)
            }
            _ => None,
        }
    }
}
