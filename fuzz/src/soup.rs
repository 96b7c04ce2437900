//! Code that nobody wrote: instructions with references of every kind that the decoders know,
//! pointers and tables among them, so that a few bytes of input reach what a fuzzer that starts
//! from bytes would have to guess.

use fwdelta_core::exec::layout::{Class, Content, Run, Segment};
use fwdelta_sim::fault::Random;

use crate::program::Item;
use crate::program::machine::{self, Machine};

/// An instruction: its length in bytes, its bytes as a little-endian number, and which bits may be
/// anything.
type Template = (usize, u64, u64);

const A64: &[Template] = &[
    (4, 0x1400_0000, 0x83ff_ffff),
    (4, 0x5400_0000, 0x00ff_ffef),
    (4, 0x3600_0000, 0x81ff_ffff),
    (4, 0x1000_0000, 0x60ff_ffe3),
    (4, 0x9000_0000, 0x60ff_ffe3),
    (4, 0x9100_0000, 0x003f_fc63),
    (4, 0xf940_0000, 0x003f_fc63),
    (4, 0x3dc0_0000, 0x003f_fc63),
    (4, 0x5800_0000, 0x00ff_ffe3),
    (4, 0xaa00_03e0, 0x001f_0003),
    (4, 0xd65f_03c0, 0),
    (4, 0xd503_201f, 0),
];
const A32: &[Template] = &[
    (4, 0xea00_0000, 0x01ff_ffff),
    (4, 0xfa00_0000, 0x01ff_ffff),
    (4, 0xe51f_0000, 0x0080_1fff),
    (4, 0xe300_0000, 0x000f_1fff),
    (4, 0xe340_0000, 0x000f_1fff),
    (4, 0xe590_0000, 0x0000_10ff),
    (4, 0xe1a0_0000, 0x0000_f00f),
];
const THUMB: &[Template] = &[
    (2, 0x4800, 0x073f),
    (2, 0xd000, 0x0dff),
    (2, 0xe000, 0x07ff),
    (2, 0xb100, 0x0aff),
    (2, 0x4478, 0x0087),
    (2, 0x2000, 0x07ff),
    (2, 0x4600, 0x00ff),
    (2, 0x4770, 0),
    (4, 0xd000_f000, 0x2fff_07ff),
    (4, 0xc000_f000, 0x2ffe_07ff),
    (4, 0x9000_f000, 0x2fff_07ff),
    (4, 0x8000_f000, 0x2fff_07ff),
    (4, 0x0000_f85f, 0x3fff_0080),
    (4, 0x0000_f240, 0x71ff_040f),
    (4, 0x0000_f2c0, 0x71ff_040f),
    (4, 0x0000_f04f, 0x71ff_0400),
];
const X86: &[Template] = &[
    (5, 0xe8, 0xffff_ffff << 8),
    (5, 0xe9, 0xffff_ffff << 8),
    (6, 0x840f, 0xffff_ffff_0000 | 0x0f00),
    (7, 0x05_8d48, 0xffff_ffff << 24 | 0x38_0200),
    (6, 0x05_ff, 0xffff_ffff_0000 | 0x3000),
    (6, 0x05_80, 0xffff_ffff_0000 | 0x3800),
    (6, 0x05_81, 0xffff_ffff_0000 | 0x3800),
    (6, 0x05_f6, 0xffff_ffff_0000 | 0x3801),
    (7, 0x05_b60f, 0xffff_ffff << 24 | 0x38_ff00),
    (8, 0x0510_0ff3, 0xffff_ffff << 32 | 0x3800_0000),
    (5, 0xb8, 0x0000_ffff << 8 | 7),
    (5, 0xa1, 0xffff_ffff << 8),
    // The way to the global offset table, and what is reached from it.
    (8, 0x00c3_8100_0000_00e8, 0),
    (6, 0xc381, 0xffff_ffff_0000 | 0x0700),
    (5, 0x05, 0xff_ffff_ff00),
    (6, 0x838b, 0xffff_ffff_0000 | 0x3f00),
    (7, 0x24_848b, 0xffff_ffff << 24),
    (7, 0x83_b60f, 0xffff_ffff << 24),
    (6, 0x93ff, 0xffff_ffff_0000),
    (3, 0x04_458b, 0x7c_3800),
    (1, 0xc3, 0),
    (2, 0x9066, 0),
];
const RISC_V: &[Template] = &[
    (4, 0x6f, 0xffff_f080),
    (4, 0x63, 0xffff_ff80),
    (4, 0x17, 0xffff_f180),
    (4, 0x37, 0xffff_f180),
    (4, 0x13, 0xfff1_8180),
    (4, 0x03, 0xfff1_b180),
    (4, 0x23, 0xfe11_bf80),
    (4, 0x67, 0xfff1_8180),
    (4, 0x1b, 0xfff1_8180),
    (2, 0xa001, 0x1ffc),
    (2, 0x2001, 0x1ffc),
    (2, 0xc001, 0x3ffc),
    (2, 0x4081, 0x0f7c),
    (2, 0x8082, 0),
];
const MIPS: &[Template] = &[
    (4, 0x0800_0000, 0x07ff_ffff),
    (4, 0x1000_0000, 0x0fff_ffff),
    (4, 0x0400_0000, 0x03f3_ffff),
    (4, 0x0411_0000, 0xffff),
    (4, 0x4500_0000, 0x0003_ffff),
    // The global pointer, from a function's own address, and what is reached from it.
    (4, 0x3c1c_0000, 0x0003),
    (4, 0x279c_0000, 0xffff),
    (4, 0x0399_e021, 0),
    (4, 0x8f82_0000, 0x0003_ffff),
    (4, 0x3c02_0000, 0x0001_ffff),
    (4, 0x2442_0000, 0x0001_ffff),
    (4, 0x8c42_0000, 0x0021_ffff),
    (4, 0x0043_1021, 0x0020_0000),
    (4, 0x0060_282d, 0x0021_0000),
    (4, 0, 0),
];
const XTENSA: &[Template] = &[
    (3, 0x00_0005, 0xff_fff0),
    (3, 0x00_0021, 0xff_ff00),
    (3, 0x00_0006, 0xff_ffc0),
    (3, 0x00_0016, 0xff_ffe0),
    (3, 0x00_0007, 0xff_fff0),
    (3, 0x00_8076, 0xff_0f00),
    (3, 0x00_4136, 0xff_0000),
    (2, 0x000c, 0xfff0),
    (2, 0x000d, 0xfff0),
    (2, 0xf01d, 0),
    (3, 0xc0_2222, 0x3f_0ff0),
];
/// Rather small numbers, offsets, and 31 bits backwards.
const DATA: &[Template] = &[
    (4, 0, 0),
    (8, 0, 0),
    (4, 0, 0x7ff),
    (4, 0x1000, 0xff),
    (4, 0x7fff_f000, 0xfff),
    (4, 0xffff_0000, 0xffff),
    (4, 0, 0xffff_ffff),
];

fn templates(content: Content) -> &'static [Template] {
    match content {
        Content::A64 => A64,
        Content::A32 => A32,
        Content::Thumb => THUMB,
        Content::X86_64 | Content::I386 => X86,
        Content::RiscV => RISC_V,
        Content::Mips => MIPS,
        Content::Xtensa => XTENSA,
        Content::Data | Content::EhFrame | Content::EhFrameHdr | Content::Words => DATA,
    }
}

/// An old image of `len` bytes that is what `segments` and `runs` say.
#[must_use]
pub fn image(len: usize, segments: &[Segment], runs: &[Run], seed: u64) -> Vec<u8> {
    let machines = machine::all();
    let mut random = Random::new(seed);
    let mut image = Vec::new();
    let ends = runs.iter().skip(1).map(|run| run.pos as usize).chain([len]);
    for (run, end) in runs.iter().zip(ends) {
        image.resize((run.pos as usize).min(len), 0);
        let machine = machine_of(&machines, run.class);
        while image.len() < end.min(len) {
            let here = address(segments, image.len() as u64);
            let bytes = match machine.filter(|_| random.below(2) == 0) {
                Some(machine) => item(machine, &mut random, here, segments),
                None => other(run.class, &mut random, segments),
            };
            image.extend(bytes);
        }
    }
    image.resize(len, 0);
    image
}

fn machine_of(machines: &[Machine], class: Class) -> Option<&Machine> {
    let big = class.big_endian && class.content == Content::Mips;
    let mut found = machines.iter().filter(|machine| machine.content == class.content);
    // Of those with two forms the second is the little-endian one, or the wide one.
    let second = class.content == Content::Mips && !big || class.wide;
    let first = found.next();
    if second { found.next().or(first) } else { first }
}

/// The address of `pos` in old.
fn address(segments: &[Segment], pos: u64) -> u64 {
    let of = |segment: &&Segment| (segment.pos..segment.pos + segment.len).contains(&pos);
    let segment = segments.iter().find(of).copied().unwrap_or_default();
    segment.addr.wrapping_add(pos - segment.pos)
}

/// An address that is likely to be one of the image.
fn pointer(random: &mut Random, segments: &[Segment]) -> u64 {
    let segment = segments.get(random.below(segments.len())).copied().unwrap_or_default();
    segment.addr.wrapping_add(random.below(segment.span.max(1) as usize) as u64) & !3
}

fn item(machine: &Machine, random: &mut Random, here: u64, segments: &[Segment]) -> Vec<u8> {
    let to = pointer(random, segments);
    let near = here.wrapping_add(random.below(64) as u64 & !3).wrapping_sub(32);
    match random.below(4) {
        0 => machine.encode(&Item::Plain(0), here, random.bits()),
        1 => machine.encode(&Item::Call(0), here, to),
        2 if machine.literal_len > 0 => machine.encode(&Item::Address(0), here, near),
        2 => machine.encode(&Item::Address(0), here, to),
        _ => machine.encode(&Item::Branch(0), here, near),
    }
}

fn other(class: Class, random: &mut Random, segments: &[Segment]) -> Vec<u8> {
    if random.below(8) == 0 {
        let to = pointer(random, segments);
        let len = if class.wide { 8 } else { 4 };
        return ordered(class, &to.to_le_bytes()[..len]);
    }
    let templates = templates(class.content);
    let (len, word, free) = templates[random.below(templates.len())];
    // Numbers of any length and either sign.
    let number = (random.bits() as i64 >> random.below(64)) as u64;
    let bits = number << (free.trailing_zeros() & 63) & free;
    ordered(class, &(word | bits).to_le_bytes()[..len])
}

/// Words in the byte order of their class.
fn ordered(class: Class, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if class.big_endian && bytes.len() >= 4 {
        bytes.reverse();
    }
    bytes
}
