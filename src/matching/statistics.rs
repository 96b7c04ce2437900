//! Matching statistics: for every position of new, the longest match in old.
//!
//! Source: W. I. Chang, E. L. Lawler, "Sublinear approximate string matching", 1994. In the suffix
//! array of new || old one of the longest matches of a suffix of new is its nearest suffix of old
//! on either side. (In old || new, the order of what stands near the end of old would depend on
//! new.) How long those are is found in the order of new, after T. Kasai, G. Lee,
//! H. Arimura, S. Arikawa, K. Park, "Linear-time longest-common-prefix computation in suffix
//! arrays and its applications", 2001: a match is at most one byte shorter than the one before.
//! No search, so no data makes it quadratic; no LCP array, whose random reads took most of the
//! time.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use fwdelta_core::Detail;
use libsais::suffix_array::SuffixArrayConstruction;
use rayon::prelude::*;

use super::run::common;
use crate::error::{Error, Result};

/// Most bytes of old and new together: positions are 31 bits.
pub(super) const TEXT_LEN_MAX: usize = i32::MAX as usize;
/// In how many parts the work is done: each may compare all of old once more than needed.
const PART_COUNT: usize = 16;
/// Positions whose neighbours are looked up together.
const BATCH_LEN: usize = 64;
/// No suffix of old on this side.
const NONE: u32 = u32::MAX;

/// A match: where in old, and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Position in old.
    pub old_pos: u64,
    /// Bytes.
    pub len: u64,
}

/// The longest match in old of every position of new: 8 bytes per byte of new.
#[derive(Debug)]
pub struct Statistics {
    /// Where in old.
    old_pos: Vec<u32>,
    lens: Vec<u32>,
}

impl Statistics {
    /// Analyses `new` against `old`.
    ///
    /// # Errors
    /// `BadArgument` above 2 GiB together, `Bug` when the suffix array cannot be built.
    pub fn new(old: &[u8], new: &[u8]) -> Result<Self> {
        Self::of(&[new, old].concat(), new.len())
    }

    /// Analyses the first `new_len` bytes of `text` against the rest of it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn of(text: &[u8], new_len: usize) -> Result<Self> {
        if text.len() > TEXT_LEN_MAX {
            return Err(Detail::BadArgument.into());
        }
        let (new, old) = text.split_at(new_len);
        if new.is_empty() {
            return Ok(Self { old_pos: Vec::new(), lens: Vec::new() });
        }
        let (ranks, suffixes) = told_apart(sorted_suffixes(text)?, new_len);
        Ok(measured(old, new, ranks, &suffixes))
    }

    /// The longest match of `new` from `new_pos` on.
    #[must_use]
    pub fn at(&self, new_pos: usize) -> Match {
        Match { old_pos: self.old_pos[new_pos].into(), len: self.lens[new_pos].into() }
    }
}

/// How many suffixes of old come before each suffix of new, and those of old in order: all there
/// is to know of `suffixes`, in less memory than with them beside it.
fn told_apart(mut suffixes: Vec<i32>, new_len: usize) -> (Vec<u32>, Vec<i32>) {
    let part_len = suffixes.len().div_ceil(PART_COUNT).max(1);
    let is_old = |at: &&i32| **at as usize >= new_len;
    let counts = suffixes.par_chunks(part_len).map(|part| part.iter().filter(is_old).count());
    let counts: Vec<usize> = counts.collect();
    let ends = counts.iter().scan(0, |end, count| {
        *end += count;
        Some(*end)
    });
    let starts: Vec<usize> = std::iter::once(0).chain(ends).collect();
    let ranks: Vec<AtomicU32> = (0..new_len).into_par_iter().map(|_| AtomicU32::new(0)).collect();
    suffixes.par_chunks_mut(part_len).zip(&starts).for_each(|(part, start)| {
        let mut kept = 0;
        for at in 0..part.len() {
            let suffix = part[at];
            match ranks.get(suffix as usize) {
                Some(rank) => rank.store((start + kept) as u32, Relaxed),
                None => {
                    part[kept] = suffix - new_len as i32;
                    kept += 1;
                }
            }
        }
    });
    for (part, (start, count)) in starts.iter().zip(&counts).enumerate() {
        let from = part * part_len;
        suffixes.copy_within(from..from + count, *start);
    }
    suffixes.truncate(counts.iter().sum());
    suffixes.shrink_to_fit();
    (ranks.into_iter().map(AtomicU32::into_inner).collect(), suffixes)
}

/// The longer of both matches with the neighbours in old, the upper one if they are equal.
fn measured(old: &[u8], new: &[u8], ranks: Vec<u32>, suffixes: &[i32]) -> Statistics {
    let (mut old_pos, mut lens) = (ranks, vec![0; new.len()]);
    let part_len = new.len().div_ceil(PART_COUNT).max(1);
    let parts = old_pos.par_chunks_mut(part_len).zip(lens.par_chunks_mut(part_len)).enumerate();
    parts.for_each(|(part, (old_pos, lens))| {
        let (mut upper, mut lower) = (0, 0);
        let mut start = part * part_len;
        for (old_pos, lens) in old_pos.chunks_mut(BATCH_LEN).zip(lens.chunks_mut(BATCH_LEN)) {
            // Read together: they stand anywhere, and none waits for another.
            let mut neighbours = [(NONE, NONE); BATCH_LEN];
            for (pair, rank) in neighbours.iter_mut().zip(&*old_pos) {
                let suffix = |rank: usize| suffixes.get(rank).map_or(NONE, |at| *at as u32);
                let rank = *rank as usize;
                *pair = (rank.checked_sub(1).map_or(NONE, suffix), suffix(rank));
            }
            let entries = old_pos.iter_mut().zip(lens).zip(neighbours);
            for (new, ((old_pos, len), (above, below))) in
                (start..).map(|at| &new[at..]).zip(entries)
            {
                upper = match_len(old, new, above, upper);
                lower = match_len(old, new, below, lower);
                let found = if lower > upper { (below, lower) } else { (above, upper) };
                (*old_pos, *len) = if found.1 > 0 { (found.0, found.1 as u32) } else { (0, 0) };
            }
            start += BATCH_LEN;
        }
    });
    Statistics { old_pos, lens }
}

/// The length of the match of `new` at `old_pos`, where that of the suffix before had `last`.
fn match_len(old: &[u8], new: &[u8], old_pos: u32, last: usize) -> usize {
    let Some(old) = old.get(old_pos as usize..) else { return 0 };
    let known = last.saturating_sub(1);
    match (old.get(known), new.get(known)) {
        (Some(a), Some(b)) if a == b => known + common(&old[known..], &new[known..]),
        _ => known,
    }
}

fn sorted_suffixes(text: &[u8]) -> Result<Vec<i32>> {
    let failed = |_| Error::from(Detail::Bug);
    let built = SuffixArrayConstruction::for_text(text).in_owned_buffer32().single_threaded();
    Ok(built.run().map_err(failed)?.into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &[u8], new: &[u8]) {
        let statistics = Statistics::new(old, new).unwrap();
        for at in 0..new.len() {
            let found = statistics.at(at);
            let (pos, len) = (found.old_pos as usize, found.len as usize);
            assert_eq!(old[pos..pos + len], new[at..at + len], "at {at}");
            let common = |from: usize| {
                old[from..].iter().zip(&new[at..]).take_while(|(a, b)| a == b).count()
            };
            let best = (0..old.len()).map(common).max().unwrap_or(0);
            assert_eq!(len, best, "at {at}");
        }
    }

    #[test]
    fn agrees_with_the_naive_search() {
        let mut state = 1u32;
        let mut noise = |len: usize, letters: u32| -> Vec<u8> {
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) % letters
            };
            (0..len).map(next).map(|letter| letter as u8).collect()
        };
        for letters in [1, 2, 4, 250] {
            for (old_len, new_len) in [(200, 100), (1, 300), (7, 9), (300, 1)] {
                let old = noise(old_len, letters);
                let mut new = noise(new_len, letters);
                new.extend_from_slice(&old[old_len / 4..old_len / 2]);
                check(&old, &new);
            }
        }
    }
}
