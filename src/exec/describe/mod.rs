//! What the bytes of an image are, found out from the bytes: which are code of which instruction
//! set, and at which addresses they are loaded.
//!
//! ELF files say so themselves. In raw images the instruction sets are recognised block by block
//! (`score`, `blocks`), and the address of the first byte is what makes pointers meet
//! functions and texts (`base`). An error here costs size, never correctness: what the
//! generator believes it sends, and the applier infers nothing.

mod base;
mod blocks;
mod bytes;
mod elf;
mod elf_content;
mod embedded;
mod holes;
mod memory;
mod mixed;
mod pe;
mod raw;
mod references;
mod runs;
mod score;
mod score_arm;
mod score_risc;
mod score_x86;
#[cfg(test)]
mod tests;
mod vectors;

use fwdelta_core::exec::layout::{Class, Content, Run, Segment};

/// What the caller knows better than inference; ELF files know better still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// The instruction set of raw images; [`Content::Data`] for no code at all, not even that of
    /// ELF files: what an instruction set gains shows beside a delta made so.
    pub content: Option<Content>,
    /// The address at which the first byte of a raw image is loaded.
    pub base: Option<u64>,
}

/// What the bytes of an image are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Parts with addresses, by module, those of a module by position; none overlap.
    pub segments: Vec<Segment>,
    /// Ascending from position 0; neighbours differ in class. None if the image is empty.
    pub runs: Vec<Run>,
}

/// How much of an image is of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentShare {
    /// The class.
    pub class: Class,
    /// Bytes of all its runs.
    pub byte_len: u64,
    /// Number of its runs.
    pub run_count: u64,
}

impl Description {
    /// The share of every class in an image of `image_len` bytes, in the order of classes.
    pub fn summary(&self, image_len: u64) -> Vec<ContentShare> {
        let ends = self.runs.iter().skip(1).map(|run| run.pos).chain([image_len]);
        let mut lens: Vec<(Class, u64)> = self
            .runs
            .iter()
            .zip(ends)
            .map(|(run, end)| (run.class, end.saturating_sub(run.pos)))
            .collect();
        lens.sort();
        let share = |lens: &[(Class, u64)]| ContentShare {
            class: lens.first().map_or(Class::default(), |(class, _)| *class),
            byte_len: lens.iter().map(|(_, len)| len).sum(),
            run_count: lens.len() as u64,
        };
        lens.chunk_by(|a, b| a.0 == b.0).map(share).collect()
    }

    fn code_len(&self, image: &[u8]) -> u64 {
        let shares = self.summary(image.len() as u64).into_iter();
        let code = shares.filter(|share| share.class.content != Content::Data);
        code.map(|share| share.byte_len).sum()
    }

    /// The address of the first byte of each module, in the order of modules.
    pub fn bases(&self) -> Vec<u64> {
        let modules = self.segments.chunk_by(|a, b| a.module == b.module);
        modules.filter_map(|segments| segments.first()).map(|first| first.addr).collect()
    }
}

/// Describes one image.
pub fn describe(image: &[u8], hints: &Hints) -> Description {
    describe_all(&[image], hints).pop().unwrap_or_default()
}

/// Describes both images of a pair by the same inference: votes are counted together, so that new
/// is not read differently from old by accident.
pub fn describe_pair(old: &[u8], new: &[u8], hints: &Hints) -> (Description, Description) {
    let mut both = describe_all(&[old, new], hints).into_iter();
    (both.next().unwrap_or_default(), both.next().unwrap_or_default())
}

/// Descriptions in the order of images; those without a format are described together.
fn describe_all(images: &[&[u8]], hints: &Hints) -> Vec<Description> {
    let formatted: Vec<_> = images.iter().map(|image| of_elf(image, hints)).collect();
    let is_raw = |(_, known): &(&&[u8], &Option<Description>)| known.is_none();
    let raw: Vec<&[u8]> =
        images.iter().zip(&formatted).filter(is_raw).map(|(image, _)| *image).collect();
    let mut inferred = mixed::describe(&raw, hints).into_iter();
    let all = formatted.into_iter().map(|known| known.or_else(|| inferred.next()));
    all.map(Option::unwrap_or_default).collect()
}

/// An image that is an ELF file, with or without something behind it.
fn of_elf(image: &[u8], hints: &Hints) -> Option<Description> {
    let file = elf::parse(image)?;
    let mut patches = file.patches(file.len);
    if hints.content == Some(Content::Data) {
        for patch in &mut patches {
            if patch.class.content.is_code() {
                patch.class.content = Content::Data;
            }
        }
    }
    let runs = runs::runs(&patches, image.len() as u64);
    Some(Description { segments: file.segments, runs })
}
