//! Where raw images are loaded.
//!
//! Pointers are addresses, but functions and texts are found by position: the base is what, added
//! to most starts, gives most pointers. Each pointer votes for every base that would make it meet
//! a start; wrong bases get scattered votes, the right one gets them all. A table of exception
//! vectors (Cortex-M) limits the choice.

use super::bytes::u32_at;
use super::references::{self, Image};
use super::vectors::VectorTable;
use rayon::prelude::*;

/// Where Linux for arm64 runs if nothing says better: its header does not
/// (Documentation/arm64/booting.rst, and `KIMAGE_VADDR` of kernels up to 6.5).
const LINUX_ARM64_BASE: u64 = 0xffff_8000_0800_0000;

/// Votes, above those that any base gets, below which one is not believed.
const VOTES_MIN: u32 = 16;
/// How many bases are better than what counts as any base.
const RANK_OF_ANY: usize = 16;
/// The base of new differs from that of old if it gets so many times the votes in new.
const OWN_FACTOR: usize = 4;
/// Pointers and starts that vote, each, at most.
const VOTERS_MAX: usize = 1 << 16;
/// Votes of one image, about: what bounds the work.
const VOTES_MAX: usize = 1 << 19;
/// By the length of an image, what its base is a multiple of; larger ones start at the last.
const GRANULES: [(u64, u64); 2] = [(1 << 20, 0x100), (4 << 20, 0x1000)];
const LARGE_GRANULE: u64 = 0x8000;

/// For each pointer and each start that it meets the base, ascending.
type Votes = Vec<u64>;

/// The address of the first byte of each image, versions of one firmware; 0 if it is not known.
pub(super) fn bases(images: &[Image], tables: &[Option<VectorTable>]) -> Vec<u64> {
    let all: Vec<_> = images.iter().zip(tables).collect();
    let votes: Vec<Votes> =
        all.par_iter().map(|(image, table)| votes(image, table.as_ref())).collect();
    let own =
        |(image, of_image)| decide(std::slice::from_ref(of_image), std::slice::from_ref(image));
    let (joint, owns): (_, Vec<_>) =
        rayon::join(|| decide(&votes, &all), || all.par_iter().zip(&votes).map(own).collect());
    let each = all.iter().zip(&votes).zip(owns);
    each.map(|((image, of_image), own)| {
        let votes = |base: u64| {
            let before = of_image.partition_point(|vote| *vote < base);
            of_image[before..].partition_point(|vote| *vote == base)
        };
        let base = match (joint, own) {
            (Some(joint), Some(own)) if votes(own) / OWN_FACTOR >= votes(joint) => Some(own),
            (Some(joint), _) => Some(joint),
            (None, own) => own,
        };
        base.or_else(|| by_vectors(image.0, image.1.as_ref()))
            .or_else(|| by_format(image.0))
            .unwrap_or(0)
    })
    .collect()
}

/// Finds, for every pointer, the bases with which it would meet a start.
fn votes(image: &Image, table: Option<&VectorTable>) -> Votes {
    let granule = GRANULES.iter().find(|(len_max, _)| image.len() <= *len_max);
    let granule = granule.map_or(LARGE_GRANULE, |(_, granule)| *granule);
    let anchor = table.map_or(0, |table| table.pos);
    let limit = if image.data.wide { u64::MAX } else { 1 << 32 };
    let mut pointers = references::pointers(image);
    pointers.extend(table.iter().flat_map(|table| &table.handlers).map(|handler| handler & !1));
    let pointers = by_offset(distinct(pointers), granule, 0);
    let starts = by_offset(distinct(references::starts(image)), granule, anchor);
    let pair_count: usize = meetings(&pointers, &starts).map(|(a, b)| a.len() * b.len()).sum();
    let step = (pair_count / VOTES_MAX + 1).isqrt();
    let mut votes = Vec::new();
    for (pointers, starts) in meetings(&pointers, &starts) {
        for (_, start) in starts.iter().step_by(step) {
            let bases = pointers.iter().step_by(step).map(|(_, addr)| addr.checked_sub(*start));
            votes.extend(bases.flatten());
        }
    }
    let fits = |base: &u64| base.checked_add(image.len()).is_some_and(|end| end <= limit);
    votes.retain(fits);
    votes.sort_unstable();
    votes
}

/// Distinct values, thinned out evenly.
fn distinct(mut values: Vec<u64>) -> Vec<u64> {
    values.sort_unstable();
    values.dedup();
    let step = values.len() / VOTERS_MAX + 1;
    values.into_iter().step_by(step).collect()
}

/// Values behind their offset in a granule, by which they are sorted.
type ByOffset = Vec<(u64, u64)>;

/// Values of the same offset.
type SameOffset<'a> = &'a [(u64, u64)];

/// Pointers and starts of the same offset.
fn meetings<'a>(
    pointers: &'a ByOffset,
    starts: &'a ByOffset,
) -> impl Iterator<Item = (SameOffset<'a>, SameOffset<'a>)> {
    let mut starts = starts.chunk_by(|a, b| a.0 == b.0).peekable();
    pointers.chunk_by(|a, b| a.0 == b.0).filter_map(move |pointers| {
        let offset = pointers[0].0;
        while starts.next_if(|same| same[0].0 < offset).is_some() {}
        Some((pointers, starts.next_if(|same| same[0].0 == offset)?))
    })
}

/// Sorted by the offset in a granule, counted from `anchor`.
fn by_offset(values: Vec<u64>, granule: u64, anchor: u64) -> ByOffset {
    let offset = |value: u64| value.wrapping_sub(anchor) % granule;
    let mut sorted: Vec<_> = values.into_iter().map(|value| (offset(value), value)).collect();
    sorted.sort_unstable();
    sorted
}

/// Each base with its votes in all images, ascending.
fn counted(votes: &[Votes]) -> impl Iterator<Item = (u64, u32)> {
    let mut rest: Vec<&[u64]> = votes.iter().map(Vec::as_slice).collect();
    std::iter::from_fn(move || {
        let base = rest.iter().filter_map(|votes| votes.first()).min().copied()?;
        let mut count = 0;
        for votes in &mut rest {
            let same = votes.iter().take_while(|vote| **vote == base).count();
            count += same as u32;
            *votes = &votes[same..];
        }
        Some((base, count))
    })
}

/// The base with by far the most votes; with tables of vectors, of those that fit them.
fn decide(votes: &[Votes], images: &[(&Image, &Option<VectorTable>)]) -> Option<u64> {
    let fits = |base: u64| {
        images
            .iter()
            .all(|(image, table)| table.as_ref().is_none_or(|table| table.fits(base, image.len())))
    };
    let mut ranked: Vec<(u64, u32)> = Vec::with_capacity(RANK_OF_ANY + 2);
    for (base, count) in counted(votes) {
        let is_full = ranked.len() > RANK_OF_ANY;
        if is_full && ranked.last().is_some_and(|last| last.1 >= count) || !fits(base) {
            continue;
        }
        // Of equals the lower comes first.
        let rank = ranked.partition_point(|better| better.1 >= count);
        ranked.insert(rank, (base, count));
        ranked.truncate(RANK_OF_ANY + 1);
    }
    let votes = |rank: usize| ranked.get(rank).map_or(0, |(_, votes)| *votes);
    let (best, second) = (votes(0) - votes(RANK_OF_ANY), votes(1) - votes(RANK_OF_ANY));
    let has_table = images.iter().any(|(_, table)| table.is_some());
    let is_clear = best >= VOTES_MIN && best / 2 >= second && votes(0) - votes(1) > votes(0) / 8;
    let is_likely = has_table && best > second && best >= VOTES_MIN / 4;
    ranked.first().filter(|_| is_clear || is_likely).map(|(base, _)| *base)
}

/// Too small for votes: the roundest address at which all vectors point into the image.
fn by_vectors(image: &Image, table: Option<&VectorTable>) -> Option<u64> {
    let table = table?;
    let lowest = table.handlers.iter().min()?.checked_sub(table.pos)?;
    let round = (7..32).rev().map(|bits| (lowest >> bits << bits).saturating_sub(table.pos));
    round.into_iter().find(|base| table.fits(*base, image.len()))
}

/// What a header says.
fn by_format(image: &Image) -> Option<u64> {
    let is_linux = u32_at(image.bytes, 0x38, false) == Some(u32::from_le_bytes(*b"ARM\x64"));
    (is_linux && image.data.wide).then_some(LINUX_ARM64_BASE)
}
