//! Images made for tests: code as compilers emit it, without a compiler; ELF files; noise.

use fwdelta_core::exec::layout::Content;

/// Numbers that look random but are the same every time (Marsaglia, "Xorshift RNGs", 2003).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(limit)) >> 32) as u32
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

/// Instructions as templates: `x` and `y` are registers, `i` a small number.
type Template = fn(x: u32, y: u32, i: u32) -> Vec<u8>;

fn word(word: u32) -> Vec<u8> {
    word.to_le_bytes().to_vec()
}

fn half(half: u32) -> Vec<u8> {
    (half as u16).to_le_bytes().to_vec()
}

/// Frequent instructions of each instruction set, from the manuals.
fn templates(content: Content) -> Vec<Template> {
    match content {
        Content::A64 => vec![
            |x, y, i| word(0xf940_0000 | i << 10 | y << 5 | x),
            |x, y, i| word(0xb900_0000 | i << 10 | y << 5 | x),
            |x, y, _| word(0xaa00_03e0 | y << 16 | x),
            |x, y, i| word(0x9100_0000 | i << 10 | y << 5 | x),
            |x, _, i| word(0x7100_001f | i << 10 | x << 5),
            |_, _, i| word(0x5400_0000 | (i + 2) << 5 | i & 1),
            |_, y, i| word(0x9400_0000 | (i * 8 + y)),
            |x, y, _| word(0xa940_0000 | y << 10 | 31 << 5 | x),
            |x, _, i| word(0x5280_0000 | i << 5 | x),
            |_, _, _| word(0xd65f_03c0),
        ],
        Content::A32 => vec![
            |x, y, i| word(0xe590_0000 | (y & 15) << 16 | (x & 15) << 12 | (i * 4)),
            |x, y, i| word(0xe580_0000 | (y & 15) << 16 | (x & 15) << 12 | (i * 4)),
            |x, y, _| word(0xe1a0_0000 | (x & 15) << 12 | y & 15),
            |x, y, i| word(0xe280_0000 | (y & 15) << 16 | (x & 15) << 12 | i),
            |x, _, i| word(0xe350_0000 | (x & 15) << 16 | i),
            |_, _, i| word(0x0a00_0000 | i),
            |_, y, i| word(0xeb00_0000 | (i * 8 + y)),
            |_, _, _| word(0xe92d_41f0),
            |_, _, _| word(0xe8bd_81f0),
        ],
        Content::Thumb => vec![
            |x, y, i| half(0x6800 | (i & 31) << 6 | (y & 7) << 3 | x & 7),
            |x, y, i| half(0x6000 | (i & 31) << 6 | (y & 7) << 3 | x & 7),
            |x, _, i| half(0x2000 | (x & 7) << 8 | i),
            |x, y, _| half(0x4600 | (y & 15) << 3 | x & 7),
            |x, _, i| half(0x2800 | (x & 7) << 8 | i),
            |_, _, i| half(0xd000 | (i & 1) << 8 | i),
            |_, y, i| [half(0xf000), half(0xf800 | (i * 8 + y))].concat(),
            |_, _, _| half(0xb570),
            |_, _, _| half(0xbd70),
            |x, y, i| [half(0xf8d0 | y & 7), half((x & 7) << 12 | i)].concat(),
        ],
        Content::RiscV => vec![
            |x, y, i| word(0x0000_3003 | i << 20 | y << 15 | x << 7),
            |x, y, i| word(0x0000_3023 | x << 20 | y << 15 | (i & 31) << 7),
            |x, y, i| word(0x0000_0013 | i << 20 | y << 15 | x << 7),
            |x, y, i| word(0x0000_0063 | x << 20 | y << 15 | (i & 15) << 8),
            |_, _, i| word(0x0000_00ef | i << 21),
            |x, y, _| half(0x8002 | x.max(1) << 7 | y.max(1) << 2),
            |x, _, i| half(0x4001 | x << 7 | (i & 31) << 2),
            |_, _, _| half(0x8082),
            |_, _, _| half(0x1141),
        ],
        Content::Mips => vec![
            |x, y, i| word(0x8c00_0000 | y << 21 | x << 16 | (i * 4)),
            |x, y, i| word(0xac00_0000 | y << 21 | x << 16 | (i * 4)),
            |x, y, i| word(0x2400_0000 | y << 21 | x << 16 | i),
            |x, y, _| word(0x0000_0021 | y << 21 | x << 11),
            |x, y, i| word(0x1000_0000 | y << 21 | x << 16 | i),
            |_, _, i| word(0x0c00_0000 | (i * 16)),
            |x, _, i| word(0x3c00_0000 | x << 16 | i),
            |_, _, _| word(0x03e0_0008),
            |_, _, i| word(0x27bd_0000 | (i * 8)),
        ],
        Content::X86_64 => vec![
            |x, _, i| vec![0x48, 0x8b, 0x40 | (x & 7) as u8, i as u8],
            |x, y, _| vec![0x48, 0x89, 0xc0 | (x & 7) as u8 | ((y & 7) << 3) as u8],
            |_, y, i| [vec![0xe8], word(i * 64 + y)].concat(),
            |_, _, i| vec![0x74, i as u8],
            |_, _, _| vec![0x48, 0x85, 0xc0],
            |_, _, _| vec![0xc3, 0x0f, 0x1f, 0x40, 0x00],
            |x, _, i| [vec![0x48, 0x8d, 0x05 | ((x & 7) << 3) as u8], word(i * 64)].concat(),
        ],
        Content::I386 => vec![
            |x, _, i| vec![0x8b, 0x45 | ((x & 1) << 3) as u8, i as u8],
            |x, _, i| vec![0x89, 0x44 | ((x & 7) << 3) as u8, 0x24, i as u8],
            |_, y, i| [vec![0xe8], word(i * 64 + y)].concat(),
            |_, _, i| vec![0x74, i as u8],
            |_, _, _| vec![0x85, 0xc0],
            |_, _, _| vec![0x55, 0x89, 0xe5],
            |_, _, i| vec![0x83, 0xec, i as u8],
        ],
        _ => vec![
            |x, y, _| vec![0x08 | (x << 4) as u8, y as u8 & 15 | 0x10],
            |_, y, i| vec![0x25, i as u8, y as u8 & 7],
            |x, _, i| vec![0x01 | (x << 4) as u8, i as u8, 0xff],
            |_, _, _| vec![0x36, 0x41, 0x00],
            |_, _, _| vec![0x1d, 0xf0],
            |x, y, _| vec![0x0d | (x << 4) as u8, y.max(1) as u8 & 15],
            |x, y, _| vec![(x << 4) as u8, y as u8, 0x20],
        ],
    }
}

/// `len` bytes of code.
pub(crate) fn code(content: Content, len: usize, seed: u64) -> Vec<u8> {
    let (templates, mut noise) = (templates(content), Noise::new(seed));
    let mut code = Vec::new();
    while code.len() < len {
        let template = templates[noise.below(templates.len() as u32) as usize];
        code.extend(template(noise.below(24), noise.below(24), noise.below(60)));
    }
    code.truncate(len);
    code
}

/// `len` bytes of sentences.
pub(crate) fn text(len: usize) -> Vec<u8> {
    let mut noise = Noise::new(7);
    let words = ["file", "not", "found", "at", "%s", "Error:", "timeout", "0x%08x\n", "GET", "1"];
    let sentence = (0..len).map(|_| words[noise.below(10) as usize]).collect::<Vec<_>>().join(" ");
    sentence.into_bytes()[..len].to_vec()
}

/// What an ELF file for tests has.
pub(crate) struct ElfSample<'a> {
    pub(crate) wide: bool,
    pub(crate) big_endian: bool,
    pub(crate) machine: u16,
    pub(crate) text: &'a [u8],
    pub(crate) data: &'a [u8],
    /// Where the data stands in the file.
    pub(crate) data_pos: usize,
    pub(crate) with_sections: bool,
}

/// Addresses of the segments: of text, with the headers, and of data.
pub(crate) const TEXT_ADDR: u64 = 0x40_0000;
pub(crate) const DATA_ADDR: u64 = 0x60_0000;
/// Where the text stands in the file.
pub(crate) const TEXT_POS: usize = 0x200;
/// Zeroed bytes behind the data.
pub(crate) const BSS_LEN: u64 = 0x500;

struct Writer {
    bytes: Vec<u8>,
    wide: bool,
    big_endian: bool,
}

impl Writer {
    fn number(&mut self, value: u64, len: usize) {
        let bytes = value.to_be_bytes()[8 - len..].to_vec();
        let little = bytes.iter().rev().copied().collect();
        self.bytes.extend(if self.big_endian { bytes } else { little });
    }

    fn native(&mut self, value: u64) {
        self.number(value, if self.wide { 8 } else { 4 });
    }

    fn segment(&mut self, flags: u64, pos: u64, addr: u64, lens: (u64, u64)) {
        self.number(1, 4);
        if self.wide {
            self.number(flags, 4);
        }
        [pos, addr, addr, lens.0, lens.1].into_iter().for_each(|value| self.native(value));
        if !self.wide {
            self.number(flags, 4);
        }
        self.native(0x1000);
    }

    fn section(&mut self, name: u64, kind: u64, flags: u64, pos: usize, len: usize) {
        self.number(name, 4);
        self.number(kind, 4);
        [flags, 0, pos as u64, len as u64].into_iter().for_each(|value| self.native(value));
        self.number(0, 4);
        self.number(0, 4);
        [1, 0].into_iter().for_each(|value| self.native(value));
    }
}

/// Headers, text, data, names of sections, sections.
pub(crate) fn elf(sample: &ElfSample) -> Vec<u8> {
    let names = b"\0.text\0.eh_frame\0.shstrtab\0";
    let (data_len, names_pos) = (sample.data.len(), sample.data_pos + sample.data.len());
    let sections_pos = (names_pos + names.len()).next_multiple_of(8);
    let section_count = if sample.with_sections { 4 } else { 0 };
    let mut elf = Writer { bytes: Vec::new(), wide: sample.wide, big_endian: sample.big_endian };
    let (header_len, program_len, section_len) =
        if sample.wide { (64, 56, 64) } else { (52, 32, 40) };
    elf.bytes.extend(b"\x7fELF");
    elf.bytes.extend([1 + u8::from(sample.wide), 1 + u8::from(sample.big_endian), 1]);
    elf.bytes.resize(16, 0);
    elf.number(2, 2);
    elf.number(u64::from(sample.machine), 2);
    elf.number(1, 4);
    let sections_pos_or_none = if sample.with_sections { sections_pos as u64 } else { 0 };
    [TEXT_ADDR, header_len, sections_pos_or_none].into_iter().for_each(|value| elf.native(value));
    elf.number(0, 4);
    for value in [header_len, program_len, 2, section_len, section_count, section_count.max(1) - 1]
    {
        elf.number(value, 2);
    }
    let text_end = (TEXT_POS + sample.text.len()) as u64;
    elf.segment(5, 0, TEXT_ADDR, (text_end, text_end));
    let data_lens = (data_len as u64, data_len as u64 + BSS_LEN);
    elf.segment(6, sample.data_pos as u64, DATA_ADDR, data_lens);
    elf.bytes.resize(TEXT_POS, 0);
    elf.bytes.extend(sample.text);
    elf.bytes.resize(sample.data_pos, 0);
    elf.bytes.extend(sample.data);
    if sample.with_sections {
        elf.bytes.extend(names);
        elf.bytes.resize(sections_pos, 0);
        elf.section(0, 0, 0, 0, 0);
        elf.section(1, 1, 6, TEXT_POS, sample.text.len());
        elf.section(7, 1, 2, sample.data_pos, data_len / 2);
        elf.section(17, 3, 0, names_pos, names.len());
    }
    elf.bytes
}
