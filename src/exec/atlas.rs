//! Core's view of a pair of images, over memory of its own.

use fwdelta_core::exec::layout::Segment;
use fwdelta_core::exec::map::{COVER_LEN, CoverMap, Listed, ORDER_LEN};
use fwdelta_core::exec::space::{RUN_LEN, SEGMENT_LEN, Segments, Space};
use fwdelta_core::exec::unit::{Site, Unit};
use fwdelta_core::exec::walk::Walker;

use super::describe::Description;

/// In how many parts an image is walked, so that threads share the work and do not matter. Each
/// part takes a map of its own.
const PART_COUNT: usize = 4;
/// Shortest part worth that: what lies over its end is not seen as one.
const PART_LEN_MIN: usize = 1 << 20;

/// Bytes of a part of an image of `len` bytes; the last may have fewer.
#[must_use]
pub fn part_len(len: usize) -> usize {
    len.div_ceil(PART_COUNT).next_multiple_of(PART_LEN_MIN).max(PART_LEN_MIN)
}

/// Memory of a [`Space`].
#[derive(Debug)]
pub struct Atlas {
    old: Vec<[u8; SEGMENT_LEN]>,
    new: Vec<[u8; SEGMENT_LEN]>,
    runs: Vec<[u8; RUN_LEN]>,
    covers: Vec<[u8; COVER_LEN]>,
    order: Vec<[u8; ORDER_LEN]>,
}

impl Atlas {
    /// Memory for so many covers.
    #[must_use]
    pub fn new(old: &Description, new: &[Segment], cover_count: usize) -> Self {
        Self {
            old: vec![[0; SEGMENT_LEN]; old.segments.len()],
            new: vec![[0; SEGMENT_LEN]; new.len()],
            runs: vec![[0; RUN_LEN]; old.runs.len()],
            covers: vec![[0; COVER_LEN]; cover_count],
            order: vec![[0; ORDER_LEN]; cover_count],
        }
    }

    /// The space of two images and the covers that map one to the other.
    pub fn space(&mut self, old: &Description, new: &[Segment], map: &[Listed]) -> Space<'_> {
        let mut covers = CoverMap::new(&mut self.covers, &mut self.order);
        for cover in map {
            covers.push(*cover, false);
        }
        covers.seal();
        let (segments, targets) = (Segments::new(&mut self.old), Segments::new(&mut self.new));
        let mut space = Space::new(segments, targets, &mut self.runs, covers);
        for segment in &old.segments {
            space.old.push(segment);
        }
        for segment in new {
            space.new.push(segment);
        }
        for run in &old.runs {
            space.push_run(*run);
        }
        space
    }
}

/// Cuts `len` bytes of `image` from `pos` on into units; `each` gets the position of each one and
/// whether it is in code.
pub fn walk(
    image: &[u8],
    space: &mut Space<'_>,
    walker: &mut Walker,
    pos: usize,
    len: usize,
    mut each: impl FnMut(&mut Space<'_>, &mut Walker, &Unit, usize, bool),
) {
    walker.start();
    let (mut at, end) = (pos, pos + len);
    while at < end {
        let here = space.old_stretch(at as u64);
        let stop = end.min(usize::try_from(here.end).unwrap_or(usize::MAX));
        while at < stop {
            let bounds = *space.bounds();
            let site = Site {
                view: image,
                at,
                pos: at as u64,
                addr: (at as u64).wrapping_add(here.shift),
                run_addr: here.run_addr,
                left: (stop - at) as u64,
                class: here.class,
                bounds: &bounds,
                is_mapped: here.is_mapped,
            };
            let unit = walker.unit(&site);
            each(space, walker, &unit, at, here.class.content.is_code());
            at += usize::from(unit.len);
        }
    }
}
