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

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fwdelta_core::Detail;
use libsais::suffix_array::SuffixArrayConstruction;
use rayon::prelude::*;

use super::run::common;
use crate::error::{Error, Result};

/// Most bytes of old and new together: positions are 31 bits.
pub(super) const TEXT_LEN_MAX: usize = i32::MAX as usize;
/// In how many parts the work is done: each may compare all of old once more than needed.
const PART_COUNT: usize = 16;
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
    /// Pairs of 32 bits: first the neighbours above and below, then position and length. Atomic
    /// only because threads fill it in the order of the suffixes.
    table: Vec<AtomicU64>,
}

impl Statistics {
    /// Analyses `new` against `old`.
    ///
    /// # Errors
    /// `BadArgument` above 2 GiB together, `Bug` when the suffix array cannot be built.
    pub fn new(old: &[u8], new: &[u8]) -> Result<Self> {
        if old.len().saturating_add(new.len()) > TEXT_LEN_MAX {
            return Err(Detail::BadArgument.into());
        }
        let suffixes = sorted_suffixes([new, old].concat())?;
        let none = pair(NONE, NONE);
        let table = new.par_iter().map(|_| AtomicU64::new(none)).collect();
        let mut statistics = Self { table };
        statistics.note_neighbours(&suffixes);
        drop(suffixes);
        statistics.measure(old, new);
        Ok(statistics)
    }

    /// The longest match of `new` from `new_pos` on.
    #[must_use]
    pub fn at(&self, new_pos: usize) -> Match {
        let (old_pos, len) = halves(self.table[new_pos].load(Relaxed));
        Match { old_pos: old_pos.into(), len: len.into() }
    }

    /// For every suffix of new, the nearest suffixes of old above and below.
    fn note_neighbours(&self, suffixes: &[i32]) {
        let new_len = self.table.len();
        let is_old = |at: &i32| *at as usize >= new_len;
        parts(suffixes.len()).into_par_iter().for_each(|part| {
            let mut rank = part.start;
            if part.start > 0 {
                // What stands before the first of old here, an earlier part has seen to.
                let Some(first) = suffixes[part.clone()].iter().position(is_old) else { return };
                rank += first;
            }
            while rank < part.end {
                let above = suffixes.get(rank).filter(|at| is_old(at));
                rank += usize::from(above.is_some());
                let run = suffixes[rank..].iter().position(is_old);
                let end = run.map_or(suffixes.len(), |len| rank + len);
                let old_pos =
                    |at: Option<&i32>| at.map_or(NONE, |at| (*at as usize - new_len) as u32);
                let entry = pair(old_pos(above), old_pos(suffixes.get(end)));
                for at in &suffixes[rank..end] {
                    self.table[*at as usize].store(entry, Relaxed);
                }
                rank = end;
            }
        });
    }

    /// Turns neighbours into the longer of both matches, the upper one if they are equal.
    fn measure(&mut self, old: &[u8], new: &[u8]) {
        let part_len = new.len().div_ceil(PART_COUNT).max(1);
        let parts = self.table.par_chunks_mut(part_len).enumerate();
        parts.for_each(|(part, entries)| {
            let (mut upper, mut lower) = (0, 0);
            let start = part * part_len;
            for (new, entry) in (start..).map(|at| &new[at..]).zip(entries) {
                let (above, below) = halves(*entry.get_mut());
                upper = match_len(old, new, above, upper);
                lower = match_len(old, new, below, lower);
                let (old_pos, len) = if lower > upper { (below, lower) } else { (above, upper) };
                *entry.get_mut() = if len > 0 { pair(old_pos, len as u32) } else { 0 };
            }
        });
    }
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

fn sorted_suffixes(text: Vec<u8>) -> Result<Vec<i32>> {
    let failed = |_| Error::from(Detail::Bug);
    let built = SuffixArrayConstruction::for_text(&text).in_owned_buffer32().single_threaded();
    Ok(built.run().map_err(failed)?.into_vec())
}

fn parts(len: usize) -> Vec<Range<usize>> {
    let part_len = len.div_ceil(PART_COUNT).max(1);
    (0..len).step_by(part_len).map(|start| start..len.min(start + part_len)).collect()
}

const fn pair(first: u32, second: u32) -> u64 {
    (first as u64) << 32 | second as u64
}

const fn halves(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
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
