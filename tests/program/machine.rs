//! Instruction sets, as far as [`super::Program`] needs them; encodings from the manuals.

use fwdelta_core::exec::layout::Content;

use super::Item;

pub struct Machine {
    pub name: &'static str,
    pub content: Content,
    /// Address of the image's first byte.
    pub base: u64,
    /// Bytes of an address in a pool before the function; 0 where instructions hold addresses.
    pub literal_len: u64,
    wide: bool,
    big_endian: bool,
    /// Bytes of an instruction without reference, a call, an address, a branch.
    lens: [u64; 4],
    encode: fn(&Item, u64, u64) -> Vec<u8>,
}

/// All of them.
pub fn all() -> Vec<Machine> {
    let machine = |name, content, base, lens, encode| Machine {
        name,
        content,
        base,
        literal_len: 0,
        wide: matches!(content, Content::A64 | Content::X86_64),
        big_endian: false,
        lens,
        encode,
    };
    let (four, mips) = ([4, 4, 8, 4], [4, 8, 8, 8]);
    vec![
        machine("a64", Content::A64, 0x4008_0000, four, a64),
        machine("a32", Content::A32, 0x8000, four, a32),
        machine("thumb", Content::Thumb, 0x0800_4000, [2, 4, 8, 2], thumb),
        machine("x86-64", Content::X86_64, 0x40_1000, [4, 5, 7, 6], x86_64),
        machine("i386", Content::I386, 0x0804_8000, [3, 5, 5, 6], i386),
        machine("riscv32", Content::RiscV, 0x2000_0000, four, riscv_absolute),
        Machine { wide: true, ..machine("riscv64", Content::RiscV, 0x8000_0000, four, riscv) },
        Machine {
            big_endian: true,
            ..machine("mips", Content::Mips, 0x8000_1000, mips, |item, here, to| {
                mips_words(item, here, to).into_iter().flat_map(u32::to_be_bytes).collect()
            })
        },
        machine("mipsel", Content::Mips, 0x8000_1000, mips, |item, here, to| {
            words(&mips_words(item, here, to))
        }),
        Machine {
            literal_len: 4,
            ..machine("xtensa", Content::Xtensa, 0x4010_0000, [5, 3, 3, 3], xtensa)
        },
    ]
}

impl Machine {
    pub fn len(&self, item: &Item) -> u64 {
        let [plain, call, address, branch] = self.lens;
        match item {
            Item::Plain(_) => plain,
            Item::Call(_) => call,
            Item::Address(_) => address,
            Item::Branch(_) => branch,
        }
    }

    /// The item at address `here`, which leads to `to`; for a plain one, `to` is its number.
    pub fn encode(&self, item: &Item, here: u64, to: u64) -> Vec<u8> {
        let bytes = (self.encode)(item, here, to);
        assert_eq!(bytes.len() as u64, self.len(item), "{} {item:?}", self.name);
        bytes
    }

    pub fn pointer(&self, to: u64) -> Vec<u8> {
        let to = if self.content == Content::Thumb { to | 1 } else { to };
        match (self.wide, self.big_endian) {
            (true, _) => to.to_le_bytes().to_vec(),
            (false, _) => self.word(to as u32),
        }
    }

    pub fn word(&self, word: u32) -> Vec<u8> {
        if self.big_endian { word.to_be_bytes().to_vec() } else { word.to_le_bytes().to_vec() }
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn halves(halves: &[u32]) -> Vec<u8> {
    halves.iter().flat_map(|half| (*half as u16).to_le_bytes()).collect()
}

/// Bits `low` and up of `value`, so many.
fn bits(value: u64, low: u32, count: u32) -> u32 {
    (value >> low) as u32 & ((1 << count) - 1)
}

fn a64(item: &Item, here: u64, to: u64) -> Vec<u8> {
    let by = to.wrapping_sub(here);
    let (x, y) = (bits(to, 0, 5), bits(to, 5, 4));
    match item {
        Item::Plain(_) => words(&[[0xf940_0000, 0xb900_0000, 0x9100_0000, 0xaa00_03e0]
            [bits(to, 9, 2) as usize]
            | y << 10
            | x]),
        Item::Call(_) => words(&[0x9400_0000 | bits(by, 2, 26)]),
        Item::Address(_) => {
            let pages = (to >> 12).wrapping_sub(here >> 12);
            let adrp = 0x9000_0000 | bits(pages, 0, 2) << 29 | bits(pages, 2, 19) << 5;
            words(&[adrp, 0x9100_0000 | bits(to, 0, 12) << 10])
        }
        Item::Branch(_) => words(&[0x3400_0000 | bits(by, 2, 19) << 5]),
    }
}

fn a32(item: &Item, here: u64, to: u64) -> Vec<u8> {
    let by = to.wrapping_sub(here + 8);
    let half = |half: u32| (half >> 12) << 16 | half & 0xfff;
    match item {
        Item::Plain(_) => words(&[[0xe590_0000, 0xe580_0000, 0xe280_0000, 0xe1a0_0000]
            [bits(to, 9, 2) as usize]
            | bits(to, 0, 4) << 12
            | bits(to, 4, 4)]),
        Item::Call(_) => words(&[0xeb00_0000 | bits(by, 2, 24)]),
        Item::Address(_) => {
            words(&[0xe300_3000 | half(bits(to, 0, 16)), 0xe340_3000 | half(bits(to, 16, 16))])
        }
        Item::Branch(_) => words(&[0x0a00_0000 | bits(by, 2, 24)]),
    }
}

fn thumb(item: &Item, here: u64, to: u64) -> Vec<u8> {
    let by = to.wrapping_sub(here + 4);
    let half = |op: u32, half: u32| {
        let (first, second) = (half >> 12 | (half >> 11 & 1) << 10, (half >> 8 & 7) << 12);
        [op | first, second | 3 << 8 | half & 255]
    };
    match item {
        Item::Plain(_) => {
            halves(&[[0x6800, 0x6000, 0x2000, 0x4600][bits(to, 9, 2) as usize] | bits(to, 0, 7)])
        }
        Item::Call(_) => {
            let sign = bits(by, 24, 1);
            let j = |at| 1 ^ sign ^ bits(by, at, 1);
            halves(&[
                0xf000 | sign << 10 | bits(by, 12, 10),
                0xd000 | j(23) << 13 | j(22) << 11 | bits(by, 1, 11),
            ])
        }
        Item::Address(_) => {
            let to = to | 1;
            let (low, high) = (half(0xf240, bits(to, 0, 16)), half(0xf2c0, bits(to, 16, 16)));
            halves(&[low, high].concat())
        }
        Item::Branch(_) => halves(&[0xd000 | bits(by, 1, 8)]),
    }
}

fn rel32(head: &[u8], here: u64, to: u64) -> Vec<u8> {
    let by = to.wrapping_sub(here + head.len() as u64 + 4) as u32;
    [head, &by.to_le_bytes()].concat()
}

fn x86_64(item: &Item, here: u64, to: u64) -> Vec<u8> {
    match item {
        Item::Plain(_) => {
            let op = [0x8b, 0x89][bits(to, 9, 1) as usize];
            vec![0x48, op, 0x40 | bits(to, 0, 6) as u8 & !4, 8 * bits(to, 6, 3) as u8]
        }
        Item::Call(_) => rel32(&[0xe8], here, to),
        Item::Address(_) => rel32(&[0x48, 0x8d, 0x3d], here, to),
        Item::Branch(_) => rel32(&[0x0f, 0x84], here, to),
    }
}

fn i386(item: &Item, here: u64, to: u64) -> Vec<u8> {
    match item {
        Item::Plain(_) => {
            let op = [0x8b, 0x89][bits(to, 9, 1) as usize];
            vec![op, 0x45 | (bits(to, 0, 3) << 3) as u8, 4 * bits(to, 6, 3) as u8]
        }
        Item::Call(_) => rel32(&[0xe8], here, to),
        Item::Address(_) => [&[0xb8][..], &(to as u32).to_le_bytes()].concat(),
        Item::Branch(_) => rel32(&[0x0f, 0x85], here, to),
    }
}

/// AUIPC, or LUI, and ADDI.
fn riscv_address(high_op: u32, by: u64) -> Vec<u8> {
    let high = by.wrapping_add(0x800);
    words(&[high_op | bits(high, 12, 20) << 12, 0x0005_0513 | bits(by, 0, 12) << 20])
}

fn riscv(item: &Item, here: u64, to: u64) -> Vec<u8> {
    let by = to.wrapping_sub(here);
    match item {
        Item::Plain(_) => words(&[[0x0000_2003, 0x0000_2023, 0x0000_0013, 0x0000_0033]
            [bits(to, 9, 2) as usize]
            | bits(to, 0, 5) << 15
            | bits(to, 5, 4) << 8]),
        Item::Call(_) => words(&[0xef
            | bits(by, 20, 1) << 31
            | bits(by, 1, 10) << 21
            | bits(by, 11, 1) << 20
            | bits(by, 12, 8) << 12]),
        Item::Address(_) => riscv_address(0x517, by),
        Item::Branch(_) => words(&[0x0005_0063
            | bits(by, 12, 1) << 31
            | bits(by, 5, 6) << 25
            | bits(by, 1, 4) << 8
            | bits(by, 11, 1) << 7]),
    }
}

fn riscv_absolute(item: &Item, here: u64, to: u64) -> Vec<u8> {
    match item {
        Item::Address(_) => riscv_address(0x537, to),
        _ => riscv(item, here, to),
    }
}

/// Jumps and branches have an instruction behind them that is done before.
fn mips_words(item: &Item, here: u64, to: u64) -> Vec<u32> {
    match item {
        Item::Plain(_) => vec![
            [0x8c42_0000, 0xac42_0000, 0x2442_0000, 0x0043_1021][bits(to, 9, 2) as usize]
                ^ bits(to, 0, 4) << 2
                ^ bits(to, 4, 4) << 16,
        ],
        Item::Call(_) => vec![0x0c00_0000 | bits(to, 2, 26), 0],
        Item::Address(_) => {
            vec![0x3c04_0000 | bits(to + 0x8000, 16, 16), 0x2484_0000 | bits(to, 0, 16)]
        }
        Item::Branch(_) => vec![0x1040_0000 | bits(to.wrapping_sub(here + 4), 2, 16), 0],
    }
}

/// A plain item is an instruction of 16 bits and one of 24, or the frame of a function.
fn xtensa(item: &Item, here: u64, to: u64) -> Vec<u8> {
    let word = match item {
        Item::Plain(_) if bits(to, 9, 3) == 0 => return vec![0x1d, 0xf0, 0x36, 0x41, 0x00],
        Item::Plain(_) => {
            let narrow = [8 | bits(to, 0, 4) << 4, 0x10 | bits(to, 4, 4)].map(|byte| byte as u8);
            let wide = [0x25a2, 0x6122, 0xc222][bits(to, 9, 10) as usize % 3]
                | bits(to, 12, 4) << 4
                | bits(to, 16, 4) << 16;
            return [&narrow[..], &wide.to_le_bytes()[..3]].concat();
        }
        Item::Call(_) => 0x25 | bits(to.wrapping_sub((here & !3) + 4), 2, 18) << 6,
        Item::Address(_) => 0x21 | bits(to.wrapping_sub((here + 3) & !3), 2, 16) << 8,
        Item::Branch(_) => 0x16 | 2 << 8 | bits(to.wrapping_sub(here + 4), 0, 12) << 12,
    };
    word.to_le_bytes()[..3].to_vec()
}
