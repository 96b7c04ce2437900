//! Readings of an image in which the same code at another address is the same bytes.

use fwdelta_core::codec::predict::hash;
use fwdelta_core::exec::layout::Segment;
use fwdelta_core::exec::map::Listed;
use fwdelta_core::exec::reference;
use fwdelta_core::exec::unit::{Kind, Unit, store};
use fwdelta_core::exec::walk::Walker;
use rayon::prelude::*;

use super::atlas::{Atlas, part_len, walk};
use super::describe::Description;

/// What masked bytes of data are replaced by.
const MASK: u64 = 0xaa;

/// An image without its references.
#[derive(Debug)]
pub struct Masked {
    /// Without those of code to other code and to data.
    pub code: Vec<u8>,
    /// Without pointers and offsets in data, too.
    pub all: Vec<u8>,
}

/// Takes references out of an image.
#[must_use]
pub fn masked(image: &[u8], description: &Description) -> Masked {
    let (mut code, mut all) = (image.to_vec(), image.to_vec());
    let is_big = big_endian(description);
    let part_len = part_len(image.len());
    let parts = code.par_chunks_mut(part_len).zip(all.par_chunks_mut(part_len));
    parts.enumerate().for_each(|(part, (code, all))| {
        let mut atlas = Atlas::new(description, &[], 0);
        let mut space = atlas.space(description, &[], &[]);
        let (start, len) = (part * part_len, code.len());
        walk(image, &mut space, &mut Walker::default(), start, len, |_, _, unit, at, _| {
            let at = at - start;
            if is_far_code(unit.kind) {
                let word = unit.word & !reference::field(unit);
                put(code, at, unit, word, is_big);
                put(all, at, unit, word, is_big);
            } else if unit.kind.is_reference() && !unit.kind.is_near() {
                let count = if unit.len == 8 { 4 } else { 3 };
                let mask = (0..count).fold(0u64, |mask, byte| mask | 0xff << (8 * byte));
                let filler = (0..count).fold(0u64, |mask, byte| mask | MASK << (8 * byte));
                put(all, at, unit, unit.word & !mask | filler, is_big);
            }
        });
    });
    Masked { code, all }
}

/// Whether any word of the image has its most significant byte first; images do not mix.
pub(super) fn big_endian(description: &Description) -> bool {
    description.runs.iter().any(|run| run.class.big_endian)
}

/// References in instructions that lead out of their function.
const fn is_far_code(kind: Kind) -> bool {
    kind.is_reference()
        && !kind.is_near()
        && !matches!(
            kind,
            Kind::Pointer32
                | Kind::Pointer64
                | Kind::Rel32
                | Kind::Prel31
                | Kind::Based
                | Kind::Back
        )
}

fn put(image: &mut [u8], at: usize, unit: &Unit, word: u64, is_big: bool) {
    let len = usize::from(unit.len);
    image[at..at + len].copy_from_slice(&store(word, unit.len, is_big)[..len]);
}

/// The image with labels instead of references: hashes of where they lead in new. For new itself
/// `new` and `map` are `None`.
#[must_use]
pub fn labelled(
    image: &[u8],
    description: &Description,
    to_new: Option<(&[Segment], &[Listed])>,
) -> Vec<u8> {
    let (new, map) = to_new.unwrap_or((&[], &[]));
    let mut out = image.to_vec();
    let is_big = big_endian(description);
    let part_len = part_len(image.len());
    out.par_chunks_mut(part_len).enumerate().for_each(|(part, out)| {
        let mut atlas = Atlas::new(description, new, map.len());
        let mut space = atlas.space(description, new, map);
        let (start, len) = (part * part_len, out.len());
        walk(image, &mut space, &mut Walker::default(), start, len, |space, _, unit, at, _| {
            if !unit.kind.is_reference() || unit.kind.is_near() || unit.len < 3 {
                return;
            }
            let target = match to_new {
                Some(_) => space.to_new(unit.target).map_or(unit.target, |(target, _)| target),
                None => unit.target,
            };
            let label = match is_far_code(unit.kind) && unit.kind != Kind::X86Rel32 {
                true => {
                    let field = reference::field(unit);
                    unit.word & !field | u64::from(hash(target as u32, 77)) & field
                }
                false => unit.word & !0xffff_ffff | target & 0xffff_ffff,
            };
            put(out, at - start, unit, label, is_big);
        });
    });
    out
}
