//! ELF files inside an image: file systems, archives, dumps of flash.
//!
//! Whatever stores files starts them at multiples of 4 (cpio), 512 (tar) or a block. A file that
//! a file system has broken into pieces is as long as its first piece: up to the next file, as
//! far as what its headers call code is some.

use super::bytes::slice;
use super::elf;
use super::holes;
use super::pe;
use super::runs::Patch;
use fwdelta_core::exec::layout::{Class, Content, Segment};

/// Files start at multiples of this.
const FILE_ALIGNMENT: usize = 4;
/// Files in one image, at most; what follows is data.
const FILES_MAX: usize = 1 << 16;
/// Real tables have their own bytes: no more entries are looked at than one per so many bytes.
const ENTRY_LEN_MIN: usize = 32;

/// A file inside an image.
#[derive(Debug, Default)]
pub(super) struct Embedded {
    /// Segments at positions of the image, of module 0.
    pub(super) segments: Vec<Segment>,
    /// What the bytes from the file's first to its last are.
    pub(super) patches: Vec<Patch>,
}

impl Embedded {
    /// The position of the first byte.
    pub(super) fn start(&self) -> u64 {
        self.patches.first().map_or(0, |patch| patch.pos)
    }

    /// Bytes of code.
    pub(super) fn code_len(&self) -> u64 {
        let code = self.patches.iter().filter(|patch| is_code(patch.class));
        code.map(|patch| patch.len).sum()
    }
}

fn is_code(class: Class) -> bool {
    !matches!(class.content, Content::Data | Content::EhFrame | Content::EhFrameHdr)
}

/// The ELF files in an image, by position; none lies in another. Or the PE file that it is.
pub(super) fn find(image: &[u8]) -> Vec<Embedded> {
    if let Some(file) = pe::parse(image) {
        return vec![file];
    }
    let places = places(image);
    let ends = places.iter().skip(1).map(|place| place.pos).chain([image.len() as u64]);
    places.iter().zip(ends).filter_map(|(place, next)| embedded(image, *place, next)).collect()
}

/// Where a file starts, and where it ends if nothing is missing.
#[derive(Clone, Copy)]
struct Place {
    pos: u64,
    whole_len: Option<u64>,
}

/// All files, without those inside whole ones.
fn places(image: &[u8]) -> Vec<Place> {
    let words = image.as_chunks::<FILE_ALIGNMENT>().0.iter().enumerate();
    let headers = words.filter(|(_, word)| *word == b"\x7fELF");
    let mut entries_left = image.len() / ENTRY_LEN_MIN;
    let mut places: Vec<Place> = Vec::new();
    let mut free_pos = 0;
    for pos in headers.map(|(i, _)| i * FILE_ALIGNMENT) {
        let Some(file) = image.get(pos..).filter(|_| pos as u64 >= free_pos).and_then(elf::parse)
        else {
            continue;
        };
        let is_affordable = file.entry_count() <= entries_left && places.len() < FILES_MAX;
        if !is_affordable {
            break;
        }
        entries_left -= file.entry_count();
        let whole_len = file.is_whole().then_some(file.len);
        free_pos = pos as u64 + whole_len.unwrap_or(0);
        places.push(Place { pos: pos as u64, whole_len });
    }
    places
}

/// The file at a place, which ends before the next one.
fn embedded(image: &[u8], place: Place, next: u64) -> Option<Embedded> {
    let room = slice(image, place.pos, place.whole_len.unwrap_or(next - place.pos))?;
    let file = elf::parse(slice(image, place.pos, image.len() as u64 - place.pos)?)?;
    let is_whole = place.whole_len.is_some();
    let without_holes = || holes::parse(room, &file.loads());
    if let Some(embedded) = Some(()).filter(|_| !is_whole).and_then(|()| without_holes()) {
        return Some(embedded.at(place.pos));
    }
    let len = file.len.min(room.len() as u64);
    let segments = file.segments.iter().filter(|segment| segment.pos < len);
    let cut =
        segments.map(|segment| Segment { len: segment.len.min(len - segment.pos), ..*segment });
    let embedded = Embedded { segments: cut.collect(), patches: file.patches(len) };
    Some(embedded.at(place.pos))
}

impl Embedded {
    /// The same file at a position of the image.
    pub(super) fn at(mut self, pos: u64) -> Self {
        self.segments.iter_mut().for_each(|segment| segment.pos += pos);
        self.patches.iter_mut().for_each(|patch| patch.pos += pos);
        self
    }
}
