//! PE files made for the purpose, and hostile ones.

use super::samples::{Noise, code};
use super::{class_at, described};
use fwdelta_core::exec::layout::{Class, Content, Segment};
use proptest::prelude::*;

const COFF_POS: usize = 0x80;
const HEADER_LEN: usize = 0x400;
const BASE: u64 = 0x1_0000;

/// A file for tests; sections are loaded `moved_by` bytes behind where they are stored.
struct PeSample<'a> {
    machine: u16,
    wide: bool,
    text: &'a [u8],
    frames: &'a [u8],
    /// Of the text, and of what stands behind it.
    moved_by: [u32; 2],
}

impl PeSample<'_> {
    fn frames_pos(&self) -> usize {
        HEADER_LEN + self.text.len()
    }

    /// Headers, text, frames, names of sections.
    fn file(&self) -> Vec<u8> {
        let names_pos = self.frames_pos() + self.frames.len();
        let mut file = b"MZ".to_vec();
        file.resize(0x3c, 0);
        file.extend((COFF_POS as u32).to_le_bytes());
        file.resize(COFF_POS, 0);
        file.extend(b"PE\0\0");
        let optional_len = if self.wide { 240u16 } else { 224 };
        [self.machine, 2, 0, 0].iter().for_each(|half| file.extend(half.to_le_bytes()));
        [names_pos as u32, 0].iter().for_each(|word| file.extend(word.to_le_bytes()));
        [optional_len, 0x22e].iter().for_each(|half| file.extend(half.to_le_bytes()));
        let optional = file.len();
        file.extend(if self.wide { 0x20bu16 } else { 0x10b }.to_le_bytes());
        file.resize(optional + if self.wide { 24 } else { 28 }, 0);
        file.extend(&BASE.to_le_bytes()[..if self.wide { 8 } else { 4 }]);
        file.resize(optional + 60, 0);
        file.extend((HEADER_LEN as u32).to_le_bytes());
        file.resize(optional + usize::from(optional_len), 0);
        let [text_by, frames_by] = self.moved_by;
        section(&mut file, b".text\0\0\0", HEADER_LEN, self.text.len(), text_by, 0x6000_0020);
        section(
            &mut file,
            b"/4\0\0\0\0\0\0",
            self.frames_pos(),
            self.frames.len(),
            frames_by,
            0x40,
        );
        file.resize(HEADER_LEN, 0);
        [self.text, self.frames, &[0; 4], b".eh_frame\0"]
            .concat()
            .iter()
            .for_each(|byte| file.push(*byte));
        file
    }
}

fn section(file: &mut Vec<u8>, name: &[u8], pos: usize, len: usize, by: u32, flags: u32) {
    file.extend(name);
    let (pos, len) = (pos as u32, len as u32);
    let fields = [len + 100, pos + by, len, pos, 0, 0, 0, flags];
    fields.iter().for_each(|field| file.extend(field.to_le_bytes()));
}

#[test]
fn sections_have_their_own_addresses() {
    let frames = Noise::new(1).bytes(700);
    let machines = [
        (0x014c, Content::I386, false),
        (0x01c2, Content::Thumb, false),
        (0x5064, Content::RiscV, true),
        (0x8664, Content::X86_64, true),
        (0xaa64, Content::A64, true),
    ];
    for (machine, content, wide) in machines {
        let text = code(content, 6000, 1);
        let sample =
            PeSample { machine, wide, text: &text, frames: &frames, moved_by: [0xc00, 0x1600] };
        let description = described(&sample.file());
        let segment = |pos: usize, len: usize, by: u64, more: u64| {
            let (pos, len) = (pos as u64, len as u64);
            Segment { pos, len, addr: BASE + pos + by, span: len + more, module: 0 }
        };
        let frames_pos = sample.frames_pos();
        let expected = [
            segment(0, HEADER_LEN, 0, 0),
            segment(HEADER_LEN, text.len(), 0xc00, 100),
            segment(frames_pos, frames.len(), 0x1600, 100),
        ];
        assert_eq!(description.segments, expected, "{content:?}");
        let class = |content| Class { content, wide, big_endian: false };
        let at = |pos: usize| class_at(&description, pos as u64);
        assert_eq!(at(HEADER_LEN - 1), class(Content::Data));
        assert_eq!([at(HEADER_LEN), at(frames_pos - 1)], [class(content); 2]);
        assert_eq!(at(frames_pos), class(Content::EhFrame));
    }
}

#[test]
fn what_is_loaded_as_it_is_stored_is_raw() {
    let (text, frames) = (code(Content::A64, 20_000, 1), Noise::new(1).bytes(700));
    let sample =
        PeSample { machine: 0xaa64, wide: true, text: &text, frames: &frames, moved_by: [0, 0] };
    let file = sample.file();
    let description = described(&file);
    assert_eq!(description.segments.len(), 1);
    assert_eq!(description.segments[0].len, file.len() as u64);
}

proptest! {
    /// Headers are hostile, and files end anywhere.
    #[test]
    fn mutated_files_do_no_harm(
        wide: bool,
        machine in prop::sample::select(vec![0x014cu16, 0x01c2, 0x5064, 0x8664, 0xaa64, 0x0200]),
        changes in prop::collection::vec((2usize..HEADER_LEN, any::<u8>()), 0..8),
        len in 0usize..4000,
    ) {
        let (text, frames) = (code(Content::Thumb, 1500, 1), Noise::new(1).bytes(500));
        let sample = PeSample { machine, wide, text: &text, frames: &frames, moved_by: [0xc00, 0] };
        let mut file = sample.file();
        changes.iter().for_each(|(pos, byte)| file[*pos] = *byte);
        file.truncate(len);
        described(&file);
    }
}
