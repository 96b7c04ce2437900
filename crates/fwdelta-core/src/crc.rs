//! CRC-32 for records that a power cut may have torn.
//!
//! It finds accidents, not attackers: what it guards is written and read by the device itself.
//! Polynomial 0xEDB88320 (IEEE 802.3, reflected), four bits at a time: 64 bytes of table.

const TABLE: [u32; 16] = table();

const fn table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut index = 0;
    while index < 16 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 4 {
            value = if value & 1 != 0 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        // INVARIANT: index is below 16; a constant, evaluated by the compiler.
        table[index] = value;
        index += 1;
    }
    table
}

/// A CRC in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc32 {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            for half in [*byte, *byte >> 4] {
                let index = (self.0 as u8 ^ half) & 15;
                let entry = TABLE.get(usize::from(index)).copied().unwrap_or(0);
                self.0 = self.0 >> 4 ^ entry;
            }
        }
    }

    /// The CRC of all bytes added.
    #[must_use]
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_value() {
        let mut crc = Crc32::default();
        crc.update(b"12345");
        crc.update(b"6789");
        assert_eq!(crc.finish(), 0xcbf4_3926);
        assert_eq!(Crc32::default().finish(), 0);
    }
}
