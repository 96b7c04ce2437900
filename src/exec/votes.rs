//! What references say about where their targets moved.

use std::ops::Range;

use fwdelta_core::exec::layout::Segment;
use fwdelta_core::exec::map::Listed;
use fwdelta_core::exec::space::{SEGMENT_LEN, Segments};
use fwdelta_core::exec::unit::{Kind, load};
use fwdelta_core::exec::walk::Walker;
use rayon::prelude::*;

use super::atlas::{Atlas, part_len, walk};
use super::describe::Description;
use super::views::big_endian;
use crate::matching::{Cover, Vote};

/// Targets closer than this in old support each other when they moved alike.
const NEIGHBOUR_LEN: u32 = 1024;

/// A pair and what is known of it, to collect votes from.
pub struct Pair<'a> {
    /// The old image.
    pub old: &'a [u8],
    /// The new image.
    pub new: &'a [u8],
    /// What is known of the old one.
    pub old_description: &'a Description,
    /// Where the new one is loaded.
    pub new_segments: &'a [Segment],
    /// Covers that serve as the map of addresses.
    pub map: &'a [Listed],
}

/// Collects what the references inside `covers`, ascending in new, say: old at one place is new at
/// another. One vote for each old target, the one with most references behind it.
#[must_use]
pub fn collect(pair: &Pair<'_>, covers: &[Cover]) -> Vec<Vote> {
    let part_len = part_len(pair.new.len());
    let starts = (0..pair.new.len()).into_par_iter().step_by(part_len);
    let parts = starts.map(|start| pair.targets(&within(covers, start..start + part_len)));
    vote(parts.flatten_iter().collect())
}

/// What of `covers` lies in `range` of new.
fn within(covers: &[Cover], range: Range<usize>) -> Vec<Cover> {
    let (start, end) = (range.start as u64, range.end as u64);
    let first = covers.partition_point(|cover| cover.new_pos + cover.len <= start);
    let inside = covers[first..].iter().take_while(|cover| cover.new_pos < end);
    let clipped = inside.map(|cover| {
        let before = start.saturating_sub(cover.new_pos);
        let len = cover.len.min(end - cover.new_pos) - before;
        Cover { old_pos: cover.old_pos + before, new_pos: cover.new_pos + before, len }
    });
    clipped.collect()
}

impl Pair<'_> {
    /// Where references inside `covers` lead to in old, and in new.
    fn targets(&self, covers: &[Cover]) -> Vec<(u32, u32)> {
        let Self { old, new, old_description, new_segments, map } = *self;
        let mut atlas = Atlas::new(old_description, new_segments, map.len());
        let mut space = atlas.space(old_description, new_segments, map);
        let mut walker = Walker::default();
        let is_big = big_endian(old_description);
        let mut old_memory = vec![[0; SEGMENT_LEN]; old_description.segments.len()];
        let mut new_memory = vec![[0; SEGMENT_LEN]; new_segments.len()];
        let old_places = places(&mut old_memory, &old_description.segments);
        let new_places = places(&mut new_memory, new_segments);
        let mut pairs = Vec::new();
        for cover in covers {
            let (start, len) = (cover.old_pos as usize, cover.len as usize);
            walk(old, &mut space, &mut walker, start, len, |space, walker, unit, at, is_code| {
                let is_useful = unit.kind.is_reference() && !unit.kind.is_near() && unit.len >= 3;
                let new_pos = at - start + cover.new_pos as usize;
                if !is_useful || !(is_code || unit.kind == Kind::Pointer32) {
                    return;
                }
                let addr = space.new_addr(new_pos as u64);
                let bytes = &new[new_pos..new_pos + usize::from(unit.len)];
                let word = load(bytes, is_big);
                let base = match unit.kind {
                    Kind::Based => space.to_new(unit.aux).map_or(unit.aux, |(base, _)| base),
                    _ => 0,
                };
                let Some(target) = walker.read(unit, word, addr, base) else { return };
                let module = space.old_stretch(at as u64).module;
                if let (Some(from), Some(to)) =
                    (place(&old_places, module, unit.target), place(&new_places, module, target))
                {
                    pairs.push((from, to));
                }
            });
        }
        pairs
    }
}

fn places<'m>(memory: &'m mut [[u8; SEGMENT_LEN]], segments: &[Segment]) -> Segments<'m> {
    let mut table = Segments::new(memory);
    for segment in segments {
        table.push(segment);
    }
    table
}

/// Position of an address of a module.
fn place(segments: &Segments<'_>, module: u32, addr: u64) -> Option<u32> {
    let all = (0..segments.count()).filter_map(|at| segments.get(at));
    let mut of_module = all.filter(|segment| segment.module == module);
    let segment = of_module.find(|segment| addr.wrapping_sub(segment.addr) < segment.len)?;
    u32::try_from(segment.pos + addr.wrapping_sub(segment.addr)).ok()
}

/// The pair that most references name for each old target, weighted by that and by neighbours
/// that moved alike.
fn vote(mut pairs: Vec<(u32, u32)>) -> Vec<Vote> {
    pairs.sort_unstable();
    let counted = pairs.chunk_by(|a, b| a == b).map(|same| (same[0].0, same[0].1, same.len()));
    let mut counted: Vec<(u32, u32, usize)> = counted.collect();
    counted.sort_by_key(|(from, to, count)| (*from, std::cmp::Reverse(*count), *to));
    counted.dedup_by_key(|(from, ..)| *from);
    let shift = |at: usize| i64::from(counted[at].0) - i64::from(counted[at].1);
    let mut votes: Vec<Vote> = (0..counted.len())
        .map(|at| {
            let agrees = |other: usize| {
                counted[other].0.abs_diff(counted[at].0) < NEIGHBOUR_LEN
                    && shift(other) == shift(at)
            };
            let before = (1..4).filter(|by| at >= *by && agrees(at - by)).count();
            let after = (1..4).filter(|by| at + by < counted.len() && agrees(at + by)).count();
            let support = before + after;
            let count = counted[at].2;
            let is_alone = count < 2 && support == 0;
            let weight = if is_alone { 0 } else { (count + support.div_ceil(2)) as u32 };
            Vote { new_pos: counted[at].1.into(), diagonal: shift(at), weight }
        })
        .collect();
    votes.sort_unstable();
    votes
}
