//! What is read from linked programs: sizes, symbols, frames (ELF of 32 bits, little-endian).

use std::collections::BTreeMap;

/// A linked program.
pub(super) struct Elf<'a> {
    bytes: &'a [u8],
    sections: BTreeMap<String, (usize, usize)>,
}

const TABLE_POS: usize = 0x20;
const ENTRY_LEN: usize = 40;
const SYMBOL_LEN: usize = 16;

impl<'a> Elf<'a> {
    /// Reads the table of sections; nothing if it is not one.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = (bytes.get(..6)? == b"\x7fELF\x01\x01").then_some(bytes)?;
        let start = word(header, TABLE_POS)? as usize;
        let (count, names) = (half(header, 0x30)?, half(header, 0x32)?);
        let place = |at: usize| {
            let entry = bytes.get(start + at * ENTRY_LEN..)?.get(..ENTRY_LEN)?;
            // Sections without bytes in the file are only as long as they say.
            let in_file = word(entry, 4)? != 8;
            let pos = if in_file { word(entry, 16)? as usize } else { 0 };
            Some((word(entry, 0)? as usize, pos, word(entry, 20)? as usize))
        };
        let (_, names_pos, _) = place(names)?;
        let sections = (0..count).map(|at| {
            let (name, pos, len) = place(at)?;
            Some((text(bytes, names_pos + name)?, (pos, len)))
        });
        Some(Self { bytes, sections: sections.collect::<Option<_>>()? })
    }

    fn section(&self, name: &str) -> Option<&'a [u8]> {
        let (pos, len) = *self.sections.get(name)?;
        self.bytes.get(pos..)?.get(..len)
    }

    /// Bytes of flash: code, constants, initial values.
    pub(super) fn flash_len(&self) -> u64 {
        let kept = [".vectors", ".text", ".rodata", ".data"];
        let lens = kept.iter().filter_map(|name| self.sections.get(*name));
        lens.map(|(_, len)| *len as u64).sum()
    }

    /// Names and addresses of functions and data.
    pub(super) fn symbols(&self) -> Vec<(String, u32)> {
        let (Some(table), Some((names, _))) =
            (self.section(".symtab"), self.sections.get(".strtab"))
        else {
            return Vec::new();
        };
        let symbols = table.chunks_exact(SYMBOL_LEN).filter_map(|symbol| {
            let name = text(self.bytes, names + word(symbol, 0)? as usize)?;
            Some((name, word(symbol, 4)?))
        });
        symbols.filter(|(name, _)| !name.is_empty() && !name.starts_with('$')).collect()
    }

    /// Frames that the compiler noted (`-Z emit-stack-sizes`), the largest first.
    pub(super) fn frames(&self) -> Vec<(u64, String)> {
        let names: BTreeMap<u32, String> =
            self.symbols().into_iter().map(|(name, address)| (address & !1, name)).collect();
        let mut rest = self.section(".stack_sizes").unwrap_or(&[]);
        let mut frames = Vec::new();
        while let Some(address) = word(rest, 0) {
            let (len, used) = leb128(&rest[4..]);
            rest = &rest[4 + used..];
            let name = names.get(&(address & !1)).cloned().unwrap_or_default();
            frames.push((len, name));
        }
        frames.sort_unstable_by(|a, b| b.cmp(a));
        frames
    }
}

/// A number of seven bits a byte, and how many bytes it takes.
fn leb128(bytes: &[u8]) -> (u64, usize) {
    let used = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let parts = bytes.iter().take(used).enumerate();
    let number = parts.fold(0, |sum, (at, byte)| sum | u64::from(byte & 0x7f) << (7 * at.min(9)));
    (number, used.min(bytes.len()))
}

fn word(bytes: &[u8], pos: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(pos..)?.first_chunk()?))
}

fn half(bytes: &[u8], pos: usize) -> Option<usize> {
    Some(u16::from_le_bytes(*bytes.get(pos..)?.first_chunk()?).into())
}

fn text(bytes: &[u8], pos: usize) -> Option<String> {
    let rest = bytes.get(pos..)?;
    let len = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..len]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF with sections of these names and bytes, a table of names last.
    fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x01\x01".to_vec();
        bytes.resize(0x34, 0);
        let (mut entries, mut names) = (Vec::new(), Vec::new());
        let mut add = |bytes: &mut Vec<u8>, name: usize, content: &[u8]| {
            let mut entry = [0u32; ENTRY_LEN / 4];
            (entry[0], entry[4], entry[5]) =
                (name as u32, bytes.len() as u32, content.len() as u32);
            entries.extend(entry.iter().flat_map(|word| word.to_le_bytes()));
            bytes.extend(content);
        };
        for (name, content) in sections {
            let at = names.len();
            names.extend(name.bytes().chain([0]));
            add(&mut bytes, at, content);
        }
        let at = names.len();
        names.extend(b".names\0");
        add(&mut bytes, at, &names);
        let start = bytes.len() as u32;
        bytes.extend(&entries);
        bytes[TABLE_POS..TABLE_POS + 4].copy_from_slice(&start.to_le_bytes());
        let count = sections.len() as u16;
        bytes[0x30..0x32].copy_from_slice(&(count + 1).to_le_bytes());
        bytes[0x32..0x34].copy_from_slice(&count.to_le_bytes());
        bytes
    }

    #[test]
    fn sizes_symbols_and_frames_are_read() {
        let mut symbol = [0; SYMBOL_LEN];
        (symbol[0], symbol[4]) = (1, 9);
        let frames = [8, 0, 0, 0, 0x90, 0x4e, 6, 0, 0, 0, 5];
        let bytes = elf(&[
            (".text", &[0; 20]),
            (".rodata", &[0; 3]),
            (".comment", &[0; 100]),
            (".symtab", &symbol),
            (".strtab", b"\0main\0"),
            (".stack_sizes", &frames),
        ]);
        let elf = Elf::parse(&bytes).unwrap();
        assert_eq!(elf.flash_len(), 23);
        assert_eq!(elf.symbols(), [("main".to_owned(), 9)]);
        assert_eq!(elf.frames(), [(10_000, "main".to_owned()), (5, String::new())]);
        assert!(Elf::parse(b"MZ").is_none());
        assert!(Elf::parse(&bytes[..60]).is_none(), "cut short");
    }
}
