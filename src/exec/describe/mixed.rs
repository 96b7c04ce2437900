//! Images that are no ELF file: raw code, many ELF files, or both, as in a dump of flash with a
//! boot loader before a file system.

use super::embedded::{self, Embedded};
use super::runs::{Patch, gaps};
use super::{Description, Hints, raw, runs};
use fwdelta_core::exec::layout::Segment;

/// Code between ELF files is looked for in the longest gaps of at least this length.
const GAP_LEN_MIN: u64 = 32 << 10;
const GAPS_MAX: usize = 16;

/// Describes images full of ELF files, or else of code of their own. A kernel may hold an ELF file
/// or two, which are part of it: what is more, in all images together, decides.
pub(super) fn describe(images: &[&[u8]], hints: &Hints) -> Vec<Description> {
    let mut files: Vec<Vec<Embedded>> = images.iter().map(|image| embedded::find(image)).collect();
    let in_files: u64 = files.iter().flatten().map(Embedded::code_len).sum();
    let raw = raw::describe(images, hints);
    if in_files == 0 || hints.content.is_some() || hints.base.is_some() {
        return raw;
    }
    let in_all: u64 = raw.iter().zip(images).map(|(raw, image)| raw.code_len(image)).sum();
    if in_all / 2 > in_files {
        return raw;
    }
    add_between(images, &mut files);
    let of_parts = |(parts, image): (&Vec<Embedded>, &&[u8])| of_parts(parts, image.len() as u64);
    files.iter().zip(images).map(of_parts).collect()
}

/// Each part is a module. Between parts there is data without addresses.
fn of_parts(parts: &[Embedded], image_len: u64) -> Description {
    let modules = parts.iter().zip(0u32..);
    let of_module = |(part, module): (&Embedded, u32)| {
        part.segments.iter().map(move |segment| Segment { module, ..*segment }).collect::<Vec<_>>()
    };
    let patches: Vec<_> = parts.iter().flat_map(|part| &part.patches).copied().collect();
    let runs = runs::runs(&patches, image_len);
    Description { segments: modules.flat_map(of_module).collect(), runs }
}

/// Adds what is raw code between files. Gaps of several images go together if there are as many.
fn add_between(images: &[&[u8]], parts: &mut [Vec<Embedded>]) {
    let all: Vec<_> =
        images.iter().zip(&*parts).map(|(image, parts)| long_gaps(image, parts)).collect();
    let count = all.iter().map(Vec::len).max().unwrap_or(0);
    let are_alike = all.iter().all(|gaps| gaps.len() == count);
    for i in 0..count {
        let gaps: Vec<_> = all.iter().map(|gaps| gaps.get(i).copied()).collect();
        let present: Vec<&[u8]> = gaps.iter().flatten().map(|(_, bytes)| *bytes).collect();
        let described = match are_alike {
            true => raw::describe(&present, &Hints::default()),
            false => {
                present.iter().flat_map(|gap| raw::describe(&[gap], &Hints::default())).collect()
            }
        };
        let places = gaps
            .iter()
            .zip(parts.iter_mut())
            .filter_map(|(gap, parts)| Some((gap.as_ref()?, parts)));
        for ((gap, parts), found) in places.zip(described) {
            if !found.segments.is_empty() {
                parts.push(as_part(&found, gap.1.len() as u64).at(gap.0));
            }
        }
    }
    parts.iter_mut().for_each(|parts| parts.sort_by_key(Embedded::start));
}

/// The longest gaps between parts, by position, with their bytes.
fn long_gaps<'a>(image: &'a [u8], parts: &[Embedded]) -> Vec<(u64, &'a [u8])> {
    let patches: Vec<Patch> = parts.iter().flat_map(|part| &part.patches).copied().collect();
    let mut long = gaps(&patches, 0, image.len() as u64);
    long.retain(|(_, len)| *len >= GAP_LEN_MIN);
    long.sort_by_key(|(pos, len)| (std::cmp::Reverse(*len), *pos));
    long.truncate(GAPS_MAX);
    long.sort_unstable();
    let bytes = |(pos, len): (u64, u64)| Some((pos, super::bytes::slice(image, pos, len)?));
    long.into_iter().filter_map(bytes).collect()
}

/// A raw image as a part of a larger one.
fn as_part(description: &Description, len: u64) -> Embedded {
    let runs = &description.runs;
    let ends = runs.iter().skip(1).map(|run| run.pos).chain([len]);
    let patches = runs.iter().zip(ends);
    let patches =
        patches.map(|(run, end)| Patch { pos: run.pos, len: end - run.pos, class: run.class });
    Embedded { segments: description.segments.clone(), patches: patches.collect() }
}
