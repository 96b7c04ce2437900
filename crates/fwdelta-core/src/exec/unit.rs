//! Units: what old bytes are cut into for prediction.

use super::layout::{Class, Content};
use super::space::Bounds;
use super::{mips, x86};

/// Bytes behind the start of a unit that may be looked at.
pub const LOOK_AHEAD: usize = 96;
/// Bytes before the start of a unit that may be looked at.
pub const LOOK_BEHIND: usize = 8;
/// Longest unit, in bytes.
pub const UNIT_LEN_MAX: usize = 8;
/// Kinds of unit, to size tables by.
pub const KIND_COUNT: usize = 48;

/// What a unit is. The order is part of the format: contexts are numbered by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Bytes that are no whole word.
    #[default]
    Bytes,
    /// An instruction without a reference.
    Op,
    /// A 16-bit Thumb instruction without one.
    Half,
    /// A 32-bit Thumb instruction without one.
    WideOp,
    /// A word of data.
    Data,
    /// A 32-bit address.
    Pointer32,
    /// A 64-bit address.
    Pointer64,
    /// A word relative to its own address.
    Rel32,
    /// 31 bits relative to their own address (.ARM.exidx).
    Prel31,
    /// A word relative to a base: the start of a table, of the code, or of a PIC sequence.
    Based,
    /// How far a CIE lies before its FDE (.eh_frame).
    Back,
    /// A64 B, BL.
    A64Branch26,
    /// A64 B.cond, CBZ, CBNZ.
    A64Branch19,
    /// A64 TBZ, TBNZ.
    A64Branch14,
    /// A64 ADR.
    A64Adr,
    /// A64 ADRP.
    A64Adrp,
    /// A64 ADD, LDR, STR with the low 12 bits of an address whose page is in the base register.
    A64Lo12,
    /// A64 LDR literal.
    A64Literal,
    /// A32 B, BL, BLX.
    A32Branch,
    /// A32 LDR literal.
    A32Literal,
    /// A32 MOVW, MOVT: halves of an address.
    A32MovHalf,
    /// Thumb BL, BLX, B.W.
    ThumbBranch,
    /// Thumb Bcc.W.
    ThumbBranchCond,
    /// Thumb B, Bcc, CBZ, CBNZ of 16 bits.
    ThumbBranchShort,
    /// Thumb LDR literal of 16 bits.
    ThumbLiteral,
    /// Thumb LDR.W literal.
    ThumbLiteralWide,
    /// Thumb MOVW, MOVT: halves of an address.
    ThumbMovHalf,
    /// x86 rel32 of CALL, JMP, Jcc, and RIP-relative displacement.
    X86Rel32,
    /// Offset from the global pointer: of MIPS code in 16 bits, of 32-bit x86 code in a word.
    Global,
    /// x86 immediate of MOV.
    X86Imm32,
    /// RISC-V JAL.
    RiscVJal,
    /// RISC-V conditional branch.
    RiscVBranch,
    /// RISC-V C.J, C.JAL.
    RiscVJumpShort,
    /// RISC-V C.BEQZ, C.BNEZ.
    RiscVBranchShort,
    /// RISC-V AUIPC, or LUI of an address.
    RiscVHigh,
    /// RISC-V low part of an address, in an I-type instruction.
    RiscVLowI,
    /// RISC-V low part of an address, in an S-type instruction.
    RiscVLowS,
    /// A 16-bit RISC-V instruction without a reference.
    RiscVHalf,
    /// A 32-bit RISC-V instruction without a reference.
    RiscVOp,
    /// MIPS J, JAL.
    MipsJump,
    /// MIPS conditional branch.
    MipsBranch,
    /// MIPS BAL: a call like a branch.
    MipsCall,
    /// MIPS LUI of an address.
    MipsHigh,
    /// MIPS low part of an address.
    MipsLow,
    /// Xtensa CALLn.
    XtensaCall,
    /// Xtensa J.
    XtensaJump,
    /// Xtensa conditional branch.
    XtensaBranch,
    /// Xtensa L32R.
    XtensaLiteral,
}

/// Coarse behaviour of a kind: which candidates it has.
impl Kind {
    /// Whether the unit refers to an address.
    #[must_use]
    pub const fn is_reference(self) -> bool {
        !matches!(
            self,
            Self::Bytes
                | Self::Op
                | Self::Half
                | Self::WideOp
                | Self::Data
                | Self::X86Imm32
                | Self::RiscVHalf
                | Self::RiscVOp
        )
    }

    /// Whether targets are usually in the same function: label views leave such offsets alone.
    #[must_use]
    pub const fn is_near(self) -> bool {
        matches!(
            self,
            Self::A64Branch19
                | Self::A64Branch14
                | Self::A32Literal
                | Self::ThumbBranchCond
                | Self::ThumbBranchShort
                | Self::ThumbLiteral
                | Self::ThumbLiteralWide
                | Self::RiscVBranch
                | Self::RiscVJumpShort
                | Self::RiscVBranchShort
                | Self::MipsBranch
                | Self::XtensaJump
                | Self::XtensaBranch
        )
    }

    /// Whether the unit holds how far its target is from itself, and nothing else of it.
    #[must_use]
    pub const fn is_by_distance(self) -> bool {
        matches!(
            self,
            Self::A64Branch26
                | Self::A64Branch19
                | Self::A64Branch14
                | Self::A64Adr
                | Self::A64Literal
                | Self::A32Branch
                | Self::A32Literal
                | Self::ThumbBranch
                | Self::ThumbBranchCond
                | Self::ThumbBranchShort
                | Self::X86Rel32
                | Self::RiscVJal
                | Self::RiscVBranch
                | Self::RiscVJumpShort
                | Self::RiscVBranchShort
                | Self::MipsBranch
                | Self::MipsCall
                | Self::XtensaCall
                | Self::XtensaJump
                | Self::XtensaBranch
        )
    }

    /// Words of data, or data in code, that often change by what a neighbour changed by.
    #[must_use]
    pub const fn is_value(self) -> bool {
        matches!(self, Self::Data | Self::X86Imm32 | Self::Rel32 | Self::Based)
    }

    /// Whether the next unit's kind of change follows neighbours in a table.
    #[must_use]
    pub const fn is_table_word(self) -> bool {
        matches!(
            self,
            Self::Data
                | Self::Rel32
                | Self::Prel31
                | Self::Based
                | Self::Pointer32
                | Self::Pointer64
        )
    }

    /// Instructions without a reference, whose operands may change alike for one operation.
    #[must_use]
    pub const fn is_operation(self) -> bool {
        matches!(self, Self::Op | Self::WideOp | Self::RiscVOp)
    }
}

/// A few bytes of old with one meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The bytes as a number, in the byte order of their class.
    pub word: u64,
    /// Address referred to in old; meaningful for references.
    pub target: u64,
    /// [`Kind::Based`]: address of the base. Else what the kind's writer needs besides.
    pub aux: u64,
    /// What it is.
    pub kind: Kind,
    /// Bytes, 1 to [`UNIT_LEN_MAX`].
    pub len: u8,
}

impl Unit {
    /// Whether the unit says what later ones count from.
    #[must_use]
    pub const fn sets_global(&self) -> bool {
        match self.kind {
            Kind::MipsLow => mips::sets_global(self.aux),
            Kind::X86Rel32 => x86::sets_global(self.aux),
            _ => false,
        }
    }

    /// Whether the unit holds a part of an address that a later one completes, or says what later
    /// ones count from.
    #[must_use]
    pub const fn is_part(&self) -> bool {
        match self.kind {
            Kind::A64Adrp
            | Kind::A32MovHalf
            | Kind::ThumbMovHalf
            | Kind::RiscVHigh
            | Kind::MipsHigh => true,
            Kind::MipsLow => mips::sets_global(self.aux),
            Kind::X86Rel32 => x86::sets_global(self.aux),
            _ => false,
        }
    }
}

/// Old addresses that move by as much as the bytes at hand do: what is there and leads there by its
/// distance stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Home {
    /// The first of them.
    pub start: u64,
    /// How many there are.
    pub len: u64,
}

impl Home {
    /// Whether `addr` is one of them.
    #[must_use]
    #[inline]
    pub const fn contains(&self, addr: u64) -> bool {
        addr.wrapping_sub(self.start) < self.len
    }

    /// How many of them there are from `addr` on, itself included; 0 if it is none of them.
    #[must_use]
    pub const fn left(&self, addr: u64) -> u64 {
        self.len.saturating_sub(addr.wrapping_sub(self.start))
    }
}

/// Where a unit starts.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Old bytes around the unit.
    pub view: &'a [u8],
    /// Where the unit starts in `view`. Before and behind it stand at least [`LOOK_BEHIND`] and
    /// [`LOOK_AHEAD`] bytes unless the image ends, and no more are looked at.
    pub at: usize,
    /// Position in old.
    pub pos: u64,
    /// Address in old.
    pub addr: u64,
    /// Address in old where the run starts.
    pub run_addr: u64,
    /// Bytes until the cover or the run ends; the unit is not longer.
    pub left: u64,
    /// What the bytes are.
    pub class: Class,
    /// Addresses of the module.
    pub bounds: &'a Bounds,
    /// Whether `addr` means anything.
    pub is_mapped: bool,
}

impl Site<'_> {
    /// What the bytes are read as: nothing refers to an address where there are none.
    #[must_use]
    #[inline]
    pub const fn content(&self) -> Content {
        if self.is_mapped { self.class.content } else { Content::Data }
    }

    /// Goes `len` bytes on.
    #[inline]
    pub fn pass(&mut self, len: usize) {
        self.at = self.at.wrapping_add(len);
        self.pos = self.pos.wrapping_add(len as u64);
        self.addr = self.addr.wrapping_add(len as u64);
        self.left = self.left.saturating_sub(len as u64);
    }

    /// Bytes from the start on, at most `most`, as far as view, cover and run go.
    #[must_use]
    pub fn ahead(&self, most: usize) -> &[u8] {
        let most = most.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let bytes = self.view.get(self.at..).unwrap_or(&[]);
        bytes.get(..most).unwrap_or(bytes)
    }

    /// The little-endian 16 bits `by` bytes behind the start.
    #[must_use]
    pub fn u16(&self, by: usize) -> Option<u32> {
        let bytes = self.view.get(self.at.wrapping_add(by)..)?.first_chunk::<2>()?;
        Some(u32::from(u16::from_le_bytes(*bytes)))
    }

    /// Four bytes as a number, in the byte order of the class.
    #[must_use]
    #[inline]
    pub const fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.class.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// The 32 bits `by` bytes behind the start, in the byte order of the class.
    #[must_use]
    pub fn u32(&self, by: usize) -> Option<u32> {
        let bytes = self.view.get(self.at.wrapping_add(by)..)?.first_chunk::<4>()?;
        Some(self.word(*bytes))
    }

    /// The 32 bits `by` bytes before the start.
    #[must_use]
    pub fn u32_before(&self, by: usize) -> Option<u32> {
        let at = self.at.checked_sub(by)?;
        Site { at, ..*self }.u32(0)
    }

    /// The 64 bits from the start on, in the byte order of the class.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        let bytes = self.view.get(self.at..)?.first_chunk::<8>()?;
        let is_big = self.class.big_endian;
        Some(if is_big { u64::from_be_bytes(*bytes) } else { u64::from_le_bytes(*bytes) })
    }

    /// The byte `by` bytes behind the start.
    #[must_use]
    pub fn byte(&self, by: usize) -> Option<u8> {
        self.view.get(self.at.wrapping_add(by)).copied()
    }

    /// A unit of `len` bytes, at most as many as are left, without a reference.
    #[must_use]
    pub fn plain(&self, kind: Kind, len: u64) -> Unit {
        let len = len.min(self.left).clamp(1, UNIT_LEN_MAX as u64);
        let bytes = self.view.get(self.at..).unwrap_or(&[]);
        let word = load(bytes.get(..len as usize).unwrap_or(bytes), self.class.big_endian);
        Unit { word, kind, len: len as u8, ..Unit::default() }
    }

    /// Bytes up to the next position that is a multiple of `align`, a power of two.
    #[must_use]
    pub fn odd_bytes(&self, align: u64) -> Unit {
        let align = align.max(1);
        self.plain(Kind::Bytes, align.wrapping_sub(self.pos & align.wrapping_sub(1)))
    }
}

/// Up to eight bytes as a number.
#[must_use]
pub fn load(bytes: &[u8], big_endian: bool) -> u64 {
    let mut word = 0u64;
    for (at, byte) in bytes.iter().take(UNIT_LEN_MAX).enumerate() {
        word = match big_endian {
            true => word << 8 | u64::from(*byte),
            false => word | u64::from(*byte).wrapping_shl(8 * at as u32),
        };
    }
    word
}

/// The bytes of a number: the first `len` of the result.
#[must_use]
pub const fn store(word: u64, len: u8, big_endian: bool) -> [u8; UNIT_LEN_MAX] {
    if big_endian {
        let unused = 64u32.saturating_sub(8 * len as u32);
        if unused >= 64 { [0; 8] } else { (word << unused).to_be_bytes() }
    } else {
        word.to_le_bytes()
    }
}

/// The lowest `bits` bits of `value` as a signed number.
#[must_use]
pub const fn signed(value: u64, bits: u32) -> u64 {
    let unused = 64u32.wrapping_sub(bits) & 63;
    ((value << unused) as i64 >> unused) as u64
}
