//! Which machine code an image seems to hold, as far as a rival has a setting for it.

use std::io::Read;
use std::path::Path;

/// Calls are a twentieth of most code; in random data one half-word in 128 looks like Thumb's.
const THUMB_PER_MILLE_MIN: usize = 15;
/// One word in 64 of random data looks like a call of AArch64, and more of some RISC-V code.
const AARCH64_PER_MILLE_MIN: usize = 30;
/// The start of an image says enough.
const LOOKED_AT_MAX: u64 = 4 << 20;
const PIECE_LEN: u64 = 64 << 10;
/// ELF's number for AArch64, and where it is.
const EM_AARCH64: u8 = 183;
const ELF_MACHINE_POS: usize = 18;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Thumb,
    AArch64,
    Other,
}

/// Looks at the start of the file, piece by piece: see [`crate::measure::Cost::rss_bytes`].
pub(crate) fn of_file(path: &Path) -> Result<Code, String> {
    let message = |error| format!("{}: {error}", path.display());
    let mut file = std::fs::File::open(path).map_err(message)?.take(LOOKED_AT_MAX);
    let mut piece = Vec::new();
    let mut counts = Counts::default();
    loop {
        piece.clear();
        file.by_ref().take(PIECE_LEN).read_to_end(&mut piece).map_err(message)?;
        if piece.is_empty() {
            return Ok(counts.code());
        }
        counts.add(&piece);
    }
}

#[derive(Default)]
struct Counts {
    is_aarch64_elf: bool,
    len: usize,
    thumb_calls: usize,
    aarch64_calls: usize,
}

impl Counts {
    /// What lies across two pieces is not seen: one call in thousands.
    fn add(&mut self, piece: &[u8]) {
        if self.len == 0 && piece.starts_with(b"\x7fELF") {
            self.is_aarch64_elf = piece.get(ELF_MACHINE_POS) == Some(&EM_AARCH64);
        }
        let is_bl = |bytes: &&[u8]| bytes[1] & 0xf8 == 0xf0 && bytes[3] & 0xd0 == 0xd0;
        self.thumb_calls += piece.windows(4).step_by(2).filter(is_bl).count();
        let is_call = |word: &&[u8]| word[3] >> 2 == 0x25;
        self.aarch64_calls += piece.chunks_exact(4).filter(is_call).count();
        self.len += piece.len();
    }

    fn code(&self) -> Code {
        if self.thumb_calls * 1000 > self.len / 2 * THUMB_PER_MILLE_MIN {
            Code::Thumb
        } else if self.is_aarch64_elf
            || self.aarch64_calls * 1000 > self.len / 4 * AARCH64_PER_MILLE_MIN
        {
            Code::AArch64
        } else {
            Code::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::root;

    #[test]
    fn knows_the_firmware_of_testdata() {
        let of = |name: &str| of_file(&root().join("testdata/firmware").join(name).join("new.bin"));
        assert_eq!(of("apollo"), Ok(Code::Thumb));
        assert_eq!(of("trusted-firmware"), Ok(Code::AArch64));
        assert_eq!(of("moondancer"), Ok(Code::Other));
        assert!(of("no-such-pair").is_err());
        assert_eq!(Counts::default().code(), Code::Other);
    }
}
