//! Which machine code an image seems to hold, as far as a rival has a setting for it.

use std::io::Read;
use std::path::Path;

/// Calls are a twentieth of most code; in random data one half-word in 128 looks like Thumb's.
const THUMB_PER_MILLE_MIN: usize = 15;
/// One word in 64 of random data looks like a call of AArch64.
const AARCH64_PER_MILLE_MIN: usize = 20;
/// The start of an image says enough.
const LOOKED_AT_MAX: u64 = 4 << 20;
/// ELF's number for AArch64, and where it is.
const EM_AARCH64: u8 = 183;
const ELF_MACHINE_POS: usize = 18;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Thumb,
    AArch64,
    Other,
}

/// Looks at the start of the file.
pub(crate) fn of_file(path: &Path) -> Result<Code, String> {
    let message = |error| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(message)?;
    let mut bytes = Vec::new();
    file.take(LOOKED_AT_MAX).read_to_end(&mut bytes).map_err(message)?;
    Ok(of_bytes(&bytes))
}

fn of_bytes(bytes: &[u8]) -> Code {
    let is_elf = bytes.starts_with(b"\x7fELF");
    let halves: Vec<u16> =
        bytes.chunks_exact(2).map(|pair| u16::from(pair[0]) | u16::from(pair[1]) << 8).collect();
    let is_bl = |pair: &&[u16]| pair[0] & 0xf800 == 0xf000 && pair[1] & 0xd000 == 0xd000;
    let thumb_count = halves.windows(2).filter(is_bl).count();
    let is_call = |word: &&[u8]| word[3] >> 2 == 0x25;
    let aarch64_count = bytes.chunks_exact(4).filter(is_call).count();
    if thumb_count * 1000 > halves.len() * THUMB_PER_MILLE_MIN {
        Code::Thumb
    } else if (is_elf && bytes.get(ELF_MACHINE_POS) == Some(&EM_AARCH64))
        || aarch64_count * 1000 > bytes.len() / 4 * AARCH64_PER_MILLE_MIN
    {
        Code::AArch64
    } else {
        Code::Other
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
        assert!(of("no-such-pair").is_err());
        assert_eq!(of_bytes(&[]), Code::Other);
        assert_eq!(of_bytes(&[0; 4096]), Code::Other);
    }
}
