//! What references say about where their targets moved.

use std::ops::Range;

use fwdelta_core::exec::layout::Segment;
use fwdelta_core::exec::map::Listed;
use fwdelta_core::exec::space::{SEGMENT_LEN, Segments, Space};
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
    /// Whether relocations vote, too. For coder 6, matched in one round less, they do not pay.
    pub has_relocations: bool,
}

/// Collects what the references inside `covers`, ascending in new, say: old at one place is new at
/// another. One vote for each old target, the one with most references behind it.
#[must_use]
pub fn collect(pair: &Pair<'_>, covers: &[Cover]) -> Vec<Vote> {
    let part_len = part_len(pair.new.len());
    let starts = (0..pair.new.len()).into_par_iter().step_by(part_len);
    let parts = starts.map(|start| pair.targets(&within(covers, start..start + part_len)));
    let parts: Vec<Targets> = parts.collect();
    let votes_of = |targets: fn(&Targets) -> &[(u32, u32)]| {
        vote(parts.iter().flat_map(targets).copied().collect())
    };
    let mut votes = votes_of(|targets| &targets.referred);
    let relocated = votes_of(|targets| &targets.relocated).into_iter();
    votes.extend(relocated.map(|vote| Vote { weight: vote.weight.min(1), ..vote }));
    votes.sort_unstable();
    votes
}

/// Where something leads to in old, and in new.
#[derive(Default)]
struct Targets {
    /// References, to what they refer to.
    referred: Vec<(u32, u32)>,
    /// Relocations, to what they change where that is blank: of where it belongs nothing else is
    /// known. Each is one of many, and counts as one.
    relocated: Vec<(u32, u32)>,
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
    /// Those of what is inside `covers`.
    fn targets(&self, covers: &[Cover]) -> Targets {
        let Self { old, new, old_description, new_segments, map, .. } = *self;
        let mut atlas = Atlas::new(old_description, new_segments, map.len());
        let mut space = atlas.space(old_description, new_segments, map);
        let mut walker = Walker::default();
        let is_big = big_endian(old_description);
        let mut old_memory = vec![[0; SEGMENT_LEN]; old_description.segments.len()];
        let mut new_memory = vec![[0; SEGMENT_LEN]; new_segments.len()];
        let old_places = places(&mut old_memory, &old_description.segments);
        let new_places = places(&mut new_memory, new_segments);
        let mut targets = Targets::default();
        for cover in covers {
            let (start, len) = (cover.old_pos as usize, cover.len as usize);
            walk(old, &mut space, &mut walker, start, len, |space, walker, unit, at, is_code| {
                let is_useful = unit.kind.is_reference() && !unit.kind.is_near() && unit.len >= 3;
                let new_pos = at - start + cover.new_pos as usize;
                let is_heard = match unit.kind {
                    Kind::Pointer32 => true,
                    Kind::Pointer64 if !is_code => {
                        self.has_relocations && self.is_relocated(space, at, new_pos, is_big)
                    }
                    _ => is_code,
                };
                if !is_useful || !is_heard {
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
                    let is_relocated = unit.kind == Kind::Pointer64 && !is_code;
                    if !is_relocated {
                        targets.referred.push((from, to));
                    } else if is_blank(old, from) && is_blank(new, to) {
                        targets.relocated.push((from, to));
                    }
                }
            });
        }
        targets
    }

    /// Whether the pointer at `at` in old and `new_pos` in new says where a relocation applies
    /// whose addend leads where the map says: an `Elf64_Rela` in its place. Tables of other
    /// pointers, when they are out of step, vote for being so.
    fn is_relocated(&self, space: &mut Space<'_>, at: usize, new_pos: usize, is_big: bool) -> bool {
        let field =
            |image: &[u8], at: usize| image.get(at..at + 8).map(|bytes| load(bytes, is_big));
        let bounds = *space.bounds();
        let (info, addend) = (field(self.old, at + 8), field(self.old, at + 16));
        let info = info.filter(|info| *info <= u32::MAX.into() && !bounds.is_pointer64(*info));
        let addend = addend.filter(|addend| bounds.is_pointer64(*addend));
        let addend = addend.and_then(|addend| space.to_new(addend));
        info.is_some_and(|info| field(self.new, new_pos + 8) == Some(info))
            && addend.is_some_and(|(addend, _)| field(self.new, new_pos + 16) == Some(addend))
    }
}

/// Whether a word of 64 bits says nothing of where it belongs.
fn is_blank(image: &[u8], pos: u32) -> bool {
    image.get(pos as usize..).is_some_and(|bytes| bytes.starts_with(&[0; 8]))
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

#[cfg(test)]
mod tests {
    use fwdelta_core::exec::layout::{Class, Content, Run};

    use super::*;

    const BASE: u64 = 0xffff_8000_8000_0000;
    const SLOTS: usize = 0x1100;
    const TABLE: usize = 0x2000;
    const COUNT: usize = 64;
    const LEN: usize = TABLE + COUNT * 24;

    /// Functions, blank words from `slots` on, and a table of relocations that lead them there.
    fn image(slots: usize, addends: impl Iterator<Item = u64>) -> Vec<u8> {
        let mut image = vec![0; LEN];
        image[..0x1000].fill(0x55);
        for (entry, addend) in addends.take(COUNT).enumerate() {
            let fields = [BASE + (slots + 8 * entry) as u64, 1027, BASE + 0x800 + addend];
            let bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
            image[TABLE + 24 * entry..][..24].copy_from_slice(&bytes);
        }
        image
    }

    fn votes(old: &[u8], new: &[u8]) -> Vec<Vote> {
        let class = Class { content: Content::Data, wide: true, ..Class::default() };
        let len = LEN as u64;
        let old_description = &Description {
            segments: vec![Segment { pos: 0, len, addr: BASE, span: len, module: 0 }],
            runs: vec![Run { pos: 0, class }],
        };
        let new_segments = &old_description.segments;
        let covers = [0..0x1000, TABLE..LEN].map(|range| Cover {
            old_pos: range.start as u64,
            new_pos: range.start as u64,
            len: range.len() as u64,
        });
        let map = &covers.each_ref().map(Listed::from);
        let has_relocations = true;
        collect(&Pair { old, new, old_description, new_segments, map, has_relocations }, &covers)
    }

    #[test]
    fn relocations_say_where_blank_words_belong() {
        let addends = || (0..).map(|entry| entry * 37 % 127 * 4);
        let old = image(SLOTS, addends());
        let expected: Vec<Vote> = (0..COUNT as u64)
            .map(|entry| Vote { new_pos: SLOTS as u64 + 16 + 8 * entry, diagonal: -16, weight: 1 })
            .collect();
        assert_eq!(votes(&old, &image(SLOTS + 16, addends())), expected);
        // A table that is out of step says where its entries do not belong.
        let mut new = image(SLOTS + 16, addends().skip(1));
        assert_eq!(votes(&old, &new), []);
        // Words that are not blank are found by what they hold.
        new = image(SLOTS + 16, addends());
        new[SLOTS..TABLE].fill(1);
        assert_eq!(votes(&old, &new), []);
    }
}
