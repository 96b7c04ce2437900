//! Descriptions of images made for the purpose, and of hostile ones.

mod pe;
mod samples;

use super::{Description, Hints, describe, describe_pair};
use fwdelta_core::exec::layout::{Class, Content, Run, Segment};
use proptest::prelude::*;
use samples::{BSS_LEN, DATA_ADDR, ElfSample, Noise, TEXT_ADDR, TEXT_POS, code, elf, text};

const ALL_CODE: [Content; 8] = [
    Content::A64,
    Content::A32,
    Content::Thumb,
    Content::RiscV,
    Content::Mips,
    Content::X86_64,
    Content::I386,
    Content::Xtensa,
];

/// What every description must satisfy.
fn check(description: &Description, image: &[u8]) {
    let (runs, len) = (&description.runs, image.len() as u64);
    assert_eq!(runs.first().map(|run| run.pos), (len > 0).then_some(0));
    assert!(runs.windows(2).all(|w| w[0].pos < w[1].pos && w[0].class != w[1].class));
    assert!(runs.iter().all(|run| run.pos < len));
    assert!(runs.len() as u64 <= len / 4096 + 64);
    let mut end = 0;
    for (i, segment) in description.segments.iter().enumerate() {
        assert!(segment.pos + segment.len <= len && segment.span >= segment.len);
        assert!(segment.addr.checked_add(segment.span).is_some());
        assert!(segment.pos >= end || segment.len == 0, "{:?}", description.segments);
        end = end.max(segment.pos + segment.len);
        let before = i.checked_sub(1).map(|before| description.segments[before].module);
        let expected = before.map_or(0..1, |before| before..before + 2);
        assert!(expected.contains(&segment.module));
    }
    assert_eq!(description.summary(len).iter().map(|share| share.byte_len).sum::<u64>(), len);
}

fn described(image: &[u8]) -> Description {
    let description = describe(image, &Hints::default());
    check(&description, image);
    description
}

fn class_at(description: &Description, pos: u64) -> Class {
    let at = description.runs.partition_point(|run| run.pos <= pos);
    description.runs[at - 1].class
}

#[test]
fn what_is_no_code_is_data_without_addresses() {
    let noise = Noise::new(1).bytes(300_000);
    let packed = zstd::bulk::compress(&text(600_000), 3).unwrap();
    let table: Vec<u8> =
        (0..40_000u32).flat_map(|i| (0x0801_0000 + i * 20).to_le_bytes()).collect();
    let numbers: Vec<u8> = (0..40_000u32).flat_map(|i| (i * i).to_be_bytes()).collect();
    let cyrillic = "Не удалось прочитать файл настроек, соединение закрыто.\n".repeat(3000);
    let cyrillic = cyrillic.into_bytes();
    let images = [
        noise,
        packed,
        table,
        cyrillic,
        numbers,
        text(200_000),
        vec![0; 100_000],
        vec![0xff; 5000],
    ];
    for image in images.iter().chain([&Vec::new(), &vec![7]]) {
        let description = described(image);
        assert_eq!(description.segments, [], "{:?}", description.summary(image.len() as u64));
        assert!(description.runs.iter().all(|run| run.class.content == Content::Data));
    }
}

#[test]
fn code_is_found_between_data() {
    for content in ALL_CODE {
        let image = [text(8192), code(content, 40_000, 3), Noise::new(2).bytes(9000)].concat();
        let description = described(&image);
        let starts: Vec<_> =
            description.runs.iter().map(|run| (run.class.content, run.pos / 1024)).collect();
        let expected = [(Content::Data, 0), (content, 8), (Content::Data, 47)];
        assert_eq!(starts, expected, "{content:?}");
        assert_eq!(description.segments.len(), 1, "{content:?}");
        assert_eq!(description.segments[0].len, image.len() as u64);
    }
}

/// More than a quarter of the bytes are other ones.
#[test]
fn code_that_looks_less_like_it_is_found_where_there_is_much_of_it() {
    let mut noise = Noise::new(5);
    let mut weak = code(Content::I386, 60_000, 3);
    weak.iter_mut().filter(|_| noise.below(100) < 28).for_each(|byte| *byte ^= 0x5a);
    let dense = described(&[weak.clone(), vec![0; 200_000]].concat());
    assert_eq!(class_at(&dense, 20_000).content, Content::I386);
    let sparse = described(&[weak, vec![0; 4_000_000]].concat());
    assert_eq!(class_at(&sparse, 20_000).content, Content::Data);
}

#[test]
fn big_endian_mips_is_told_from_little_endian() {
    let mut image = code(Content::Mips, 20_000, 1);
    image.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    let class = Class { content: Content::Mips, wide: false, big_endian: true };
    assert_eq!(described(&image).runs, [Run { pos: 0, class }]);
}

#[test]
fn arm_and_thumb_stand_side_by_side() {
    let image = [code(Content::Thumb, 30_720, 1), code(Content::A32, 10_240, 2)].concat();
    let found: Vec<_> =
        described(&image).runs.iter().map(|run| (run.class.content, run.pos)).collect();
    assert_eq!(found, [(Content::Thumb, 0), (Content::A32, 30_720)]);
}

#[test]
fn the_caller_knows_better() {
    let image = [code(Content::A64, 20_000, 1), text(5000)].concat();
    let none = describe(&image, &Hints { content: Some(Content::Data), base: None });
    assert_eq!((none.segments.len(), none.runs.len()), (0, 1));
    let hints = Hints { content: Some(Content::A64), base: Some(0x8000) };
    let known = describe(&image, &hints);
    assert_eq!(known.bases(), [0x8000]);
    assert_eq!(known.runs[0].class.content, Content::A64);
}

/// Vectors, functions that load texts and variables, and the texts, for a microcontroller.
fn microcontroller(base: u32, header_len: usize, seed: u64) -> Vec<u8> {
    let (function_len, function_count) = (200usize, 120usize);
    let vectors_len = 0x100;
    let function_pos = |i: usize| header_len + vectors_len + i * function_len;
    let texts_pos = function_pos(function_count);
    let addr = |pos: usize| base + pos as u32;
    let mut image = vec![0xff; header_len];
    image.extend(0x2000_4000u32.to_le_bytes());
    for i in 1..vectors_len / 4 {
        let handler = if (7..11).contains(&i) { 0 } else { addr(function_pos(i)) | 1 };
        image.extend(handler.to_le_bytes());
    }
    for i in 0..function_count {
        image.extend(0xb570u16.to_le_bytes());
        image.extend((0x4800u16 | 46).to_le_bytes());
        image.extend((0x4900u16 | 47).to_le_bytes());
        image.extend(code(Content::Thumb, function_len - 6 - 12, seed + i as u64));
        image.extend(0xbd70u16.to_le_bytes());
        image.resize(function_pos(i) + function_len - 8, 0);
        image.extend(addr(texts_pos + i * 24 + 1).to_le_bytes());
        image.extend((0x2000_0000u32 + i as u32 * 40).to_le_bytes());
    }
    for i in 0..function_count {
        image.extend(format!("\0message {:<14}\0", i * 77).into_bytes());
    }
    image
}

#[test]
fn vectors_and_literals_give_base_and_memory() {
    for (base, header_len) in [(0x0800_4000, 0), (0, 0), (0x1000_0000, 0x200)] {
        let image = microcontroller(base, header_len, 5);
        let description = described(&image);
        let [own, memory] = description.segments[..] else { panic!("{description:?}") };
        assert_eq!((own.pos, own.addr, own.span), (0, u64::from(base), image.len() as u64));
        let expected =
            Segment { pos: image.len() as u64, len: 0, addr: 0x2000_0000, span: 0x4000, module: 0 };
        assert_eq!(memory, expected);
    }
}

#[test]
fn a_pair_is_read_alike() {
    let old = microcontroller(0x0800_4000, 0, 5);
    let new = [code(Content::Thumb, 3000, 9), Noise::new(3).bytes(500_000)].concat();
    assert_eq!(described(&new).segments, []);
    let (old_read, new_read) = describe_pair(&old, &new, &Hints::default());
    check(&old_read, &old);
    check(&new_read, &new);
    assert_eq!(new_read.bases(), old_read.bases());
    assert_eq!(class_at(&new_read, 1024).content, Content::Thumb);
    // Another base in new is believed if the evidence is there.
    let moved = microcontroller(0x0800_8000, 0, 6);
    let (old_read, moved_read) = describe_pair(&old, &moved, &Hints::default());
    assert_eq!((old_read.bases(), moved_read.bases()), (vec![0x0800_4000], vec![0x0800_8000]));
}

#[test]
fn pages_of_linux_for_arm64_have_an_address() {
    let mut image = code(Content::A64, 40_000, 4);
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    assert_eq!(described(&image).bases(), [0xffff_8000_0800_0000]);
}

fn sample<'a>(text: &'a [u8], data: &'a [u8]) -> ElfSample<'a> {
    let data_pos = (TEXT_POS + text.len()).next_multiple_of(16);
    ElfSample {
        wide: true,
        big_endian: false,
        machine: 183,
        text,
        data,
        data_pos,
        with_sections: true,
    }
}

#[test]
fn elf_files_describe_themselves() {
    let (text, data) = (code(Content::A64, 5000, 1), Noise::new(1).bytes(3000));
    let machines =
        [(183, Content::A64, true), (62, Content::X86_64, true), (243, Content::RiscV, true)];
    let narrow =
        [(3, Content::I386, false), (94, Content::Xtensa, false), (8, Content::Mips, false)];
    for (machine, content, wide) in machines.into_iter().chain(narrow) {
        for big_endian in [false, true] {
            let sample = ElfSample { wide, big_endian, machine, ..sample(&text, &data) };
            let description = described(&elf(&sample));
            let (text_len, data_len) = (text.len() as u64, data.len() as u64);
            let (text_pos, data_pos) = (TEXT_POS as u64, sample.data_pos as u64);
            let (text_end, span) = (text_pos + text_len, data_len + BSS_LEN);
            let first =
                Segment { pos: 0, len: text_end, addr: TEXT_ADDR, span: text_end, module: 0 };
            let second = Segment { pos: data_pos, len: data_len, addr: DATA_ADDR, span, module: 0 };
            assert_eq!(description.segments, [first, second]);
            let is_little = content == Content::A64;
            let class = Class { content, wide, big_endian: big_endian && !is_little };
            assert_eq!(class_at(&description, text_pos), class);
            assert_eq!(class_at(&description, text_end - 1), class);
            let frame = Class { content: Content::EhFrame, wide, big_endian };
            assert_eq!(class_at(&description, data_pos), frame);
            assert_eq!(class_at(&description, 10), Class { content: Content::Data, ..frame });
        }
    }
}

#[test]
fn an_elf_file_read_without_code_keeps_its_addresses() {
    let (text, data) = (code(Content::A64, 5000, 1), Noise::new(1).bytes(3000));
    let sample = sample(&text, &data);
    let file = elf(&sample);
    let bare = describe(&file, &Hints { content: Some(Content::Data), base: None });
    check(&bare, &file);
    assert_eq!(bare.segments, described(&file).segments);
    assert!(bare.runs.iter().all(|run| !run.class.content.is_code()));
    assert_eq!(class_at(&bare, sample.data_pos as u64).content, Content::EhFrame);
}

#[test]
fn code_without_sections_is_found_in_its_segment() {
    let (text, data) = (code(Content::A64, 5120, 1), Noise::new(1).bytes(3000));
    let text = [samples::text(4096), text, samples::text(4096)].concat();
    let file = elf(&ElfSample { with_sections: false, ..sample(&text, &data) });
    let contents: Vec<_> = described(&file).runs.iter().map(|run| run.class.content).collect();
    assert_eq!(contents, [Content::Data, Content::A64, Content::Data]);
}

#[test]
fn states_of_arm_are_told_apart_in_sections() {
    let text = [code(Content::Thumb, 20_480, 1), code(Content::A32, 4096, 2)].concat();
    let sample = ElfSample { wide: false, machine: 40, ..sample(&text, &[1; 64]) };
    let description = described(&elf(&sample));
    assert_eq!(class_at(&description, TEXT_POS as u64).content, Content::Thumb);
    assert_eq!(class_at(&description, TEXT_POS as u64 + 24_000).content, Content::A32);
}

#[test]
fn files_in_an_image_are_modules() {
    let (text, data) = (code(Content::A64, 9000, 1), Noise::new(1).bytes(3000));
    let first = elf(&sample(&text, &data));
    // As stored by a file system that leaves out blocks of zeros between segments.
    let (hole_pos, hole_len) = (0x3000, 0x8000);
    let sparse = elf(&ElfSample { data_pos: 0xb180, ..sample(&text, &data) });
    let second = [&sparse[..hole_pos], &sparse[hole_pos + hole_len..]].concat();
    let image = [vec![0; 4096], first, samples::text(6000)].concat();
    let second_pos = image.len().next_multiple_of(4096);
    let mut image = image;
    image.resize(second_pos, 0);
    image.extend(&second);
    image.extend(Noise::new(2).bytes(4096));
    let description = described(&image);
    let found: Vec<_> =
        description.segments.iter().map(|s| (s.module, s.pos as usize, s.addr)).collect();
    let data_pos = 4096 + (TEXT_POS + text.len()).next_multiple_of(16);
    let expected = [
        (0, 4096, TEXT_ADDR),
        (0, data_pos, DATA_ADDR),
        (1, second_pos, TEXT_ADDR),
        (1, second_pos + 0xb180 - hole_len, DATA_ADDR),
    ];
    assert_eq!(found, expected);
    let text_end = (second_pos + TEXT_POS + text.len()) as u64;
    assert_eq!(class_at(&description, text_end - 1).content, Content::A64);
    assert_eq!(class_at(&description, text_end + 200).content, Content::Data);
}

#[test]
fn raw_code_beside_files_is_a_module() {
    let loader = [microcontroller(0x0800_4000, 0, 5), vec![0xff; 60_000]].concat();
    let (text, data) = (code(Content::A64, 90_000, 1), Noise::new(1).bytes(3000));
    let mut image = loader;
    image.resize(image.len().next_multiple_of(4096), 0xff);
    let file_pos = image.len() as u64;
    image.extend(elf(&sample(&text, &data)));
    let description = described(&image);
    assert_eq!(description.bases(), [0x0800_4000, TEXT_ADDR]);
    assert_eq!(class_at(&description, 4096).content, Content::Thumb);
    assert_eq!(class_at(&description, file_pos + 4096).content, Content::A64);
    // An ELF file in a larger program is a part of that.
    let program = [code(Content::A64, 400_000, 2), elf(&sample(&text, &data))].concat();
    assert_eq!(described(&program).segments.len(), 1);
}

#[test]
fn truncated_files_are_read_as_far_as_they_go() {
    let (text, data) = (code(Content::A64, 1500, 1), Noise::new(1).bytes(500));
    for wide in [false, true] {
        for with_sections in [false, true] {
            let machine = if wide { 183 } else { 40 };
            let file = elf(&ElfSample { wide, machine, with_sections, ..sample(&text, &data) });
            (0..file.len()).for_each(|len| drop(described(&file[..len])));
        }
    }
}

proptest! {
    /// Headers are hostile: bytes of them, and of what they point to, are anything.
    #[test]
    fn mutated_files_do_no_harm(
        wide: bool, big_endian: bool, with_sections: bool, nested: bool,
        machine in prop::sample::select(vec![3u16, 8, 40, 62, 94, 183, 243, 9]),
        headers in prop::collection::vec((0usize..200, any::<u8>()), 0..8),
        sections in prop::collection::vec((1usize..300, any::<u8>()), 0..8),
    ) {
        let (text, data) = (code(Content::Thumb, 1500, 1), Noise::new(1).bytes(500));
        let sample = ElfSample { wide, big_endian, machine, with_sections, ..sample(&text, &data) };
        let mut file = elf(&sample);
        let len = file.len();
        headers.iter().for_each(|(pos, byte)| file[*pos] = *byte);
        sections.iter().for_each(|(pos, byte)| file[len - *pos] = *byte);
        let image = if nested { [vec![0; 512], file.clone(), file].concat() } else { file };
        described(&image);
    }

    /// Whatever an image is made of, its description is sound.
    #[test]
    fn mixtures_are_described_soundly(
        parts in prop::collection::vec((0usize..10, 0usize..6000, any::<u64>()), 0..12),
    ) {
        let part = |(kind, len, seed): &(usize, usize, u64)| match ALL_CODE.get(*kind) {
            Some(content) => code(*content, *len, *seed),
            None if *kind == 8 => Noise::new(*seed).bytes(*len),
            None => text(*len),
        };
        let image = parts.iter().flat_map(part).collect::<Vec<u8>>();
        described(&image);
        let (old, new) = describe_pair(&image, &image[image.len() / 2..], &Hints::default());
        check(&old, &image);
        check(&new, &image[image.len() / 2..]);
    }
}
