//! What the bytes of an image are: where they are loaded, and which are code.

/// How the bytes of a run are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Content {
    /// Words that may be pointers, offsets or anything else.
    #[default]
    Data = 0,
    /// AArch64 code.
    A64 = 1,
    /// 32-bit ARM code.
    A32 = 2,
    /// Thumb and Thumb-2 code.
    Thumb = 3,
    /// x86-64 code.
    X86_64 = 4,
    /// 32-bit x86 code.
    I386 = 5,
    /// RISC-V code, 32 or 64 bits as the class says.
    RiscV = 6,
    /// MIPS code, 32-bit instructions.
    Mips = 7,
    /// Xtensa code.
    Xtensa = 8,
    /// An `.eh_frame_hdr` table: words relative to its own start.
    EhFrameHdr = 9,
    /// `.eh_frame`: back pointers to CIEs and words relative to their own place.
    EhFrame = 10,
    /// Words that are no references, whatever they look like.
    Words = 11,
}

impl Content {
    /// All of them, by their numbers in the format.
    pub(super) const ALL: [Self; 12] = [
        Self::Data,
        Self::A64,
        Self::A32,
        Self::Thumb,
        Self::X86_64,
        Self::I386,
        Self::RiscV,
        Self::Mips,
        Self::Xtensa,
        Self::EhFrameHdr,
        Self::EhFrame,
        Self::Words,
    ];

    /// The content with this number in the format.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether this build reads it; data always is.
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::Data | Self::EhFrameHdr | Self::EhFrame | Self::Words => true,
            Self::A64 => cfg!(feature = "isa-a64"),
            Self::A32 => cfg!(feature = "isa-a32"),
            Self::Thumb => cfg!(feature = "isa-thumb"),
            Self::X86_64 | Self::I386 => cfg!(feature = "isa-x86"),
            Self::RiscV => cfg!(feature = "isa-riscv"),
            Self::Mips => cfg!(feature = "isa-mips"),
            Self::Xtensa => cfg!(feature = "isa-xtensa"),
        }
    }

    /// Whether it is code.
    #[must_use]
    pub const fn is_code(self) -> bool {
        !matches!(self, Self::Data | Self::EhFrameHdr | Self::EhFrame | Self::Words)
    }
}

/// [`Content`] and what words look like there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class {
    /// How the bytes are to be read.
    pub content: Content,
    /// Pointers have 64 bits instead of 32.
    pub wide: bool,
    /// Words have their most significant byte first.
    pub big_endian: bool,
}

/// Bytes of one class, from `pos` up to the next run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// Position in the image.
    pub pos: u64,
    /// What the bytes are.
    pub class: Class,
}

/// A part of an image and the addresses it is loaded at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Position in the image; ascending, for a segment of no bytes that of its neighbour.
    pub pos: u64,
    /// Bytes in the image; 0 for memory that the image only refers to, such as RAM.
    pub len: u64,
    /// Address of the first byte.
    pub addr: u64,
    /// Bytes of memory from `addr` on, at least `len`: more for zeroed data behind the bytes.
    pub span: u64,
    /// Segments of one module (one ELF file, or a whole raw image) share an address space.
    /// Numbered from 0 by first position; segments of a module follow one another.
    pub module: u32,
}
