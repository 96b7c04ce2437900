//! Matching statistics: for every position of new, the longest match in old.
//!
//! Source: W. I. Chang, E. L. Lawler, "Sublinear approximate string matching", 1994, computed in
//! one pass over the suffix array of old || new and its permuted LCP array (Kärkkäinen, Manzini,
//! Puglisi, 2009). No search, so no data makes it quadratic.

use fwdelta_core::Detail;
use libsais::suffix_array::SuffixArrayConstruction;

use crate::error::{Error, Result};

/// A match: where in old, and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Position in old.
    pub old_pos: u64,
    /// Bytes.
    pub len: u64,
}

/// The longest match in old of every position of new.
#[derive(Debug)]
pub struct Statistics {
    matches: Table,
}

/// 32-bit entries while old || new allows, to halve the memory.
#[derive(Debug)]
enum Table {
    Narrow(Vec<(u32, u32)>),
    Wide(Vec<(u64, u64)>),
}

impl Statistics {
    /// Analyses `new` against `old`.
    ///
    /// # Errors
    /// `Bug` when the suffix array cannot be built.
    pub fn new(old: &[u8], new: &[u8]) -> Result<Self> {
        let text = [old, new].concat();
        let matches = if i32::try_from(text.len()).is_ok() {
            Table::Narrow(narrow(&text, old.len())?)
        } else {
            Table::Wide(wide(&text, old.len())?)
        };
        Ok(Self { matches })
    }

    /// The longest match of `new` from `new_pos` on.
    #[must_use]
    pub fn at(&self, new_pos: usize) -> Match {
        match &self.matches {
            Table::Narrow(table) => {
                let (old_pos, len) = table[new_pos];
                Match { old_pos: old_pos.into(), len: len.into() }
            }
            Table::Wide(table) => {
                let (old_pos, len) = table[new_pos];
                Match { old_pos, len }
            }
        }
    }
}

fn failed<E>(_: E) -> Error {
    Detail::Bug.into()
}

fn narrow(text: &[u8], old_len: usize) -> Result<Vec<(u32, u32)>> {
    let built = SuffixArrayConstruction::for_text(text).in_owned_buffer32().single_threaded();
    let built = built.run().map_err(failed)?.plcp_construction().single_threaded();
    let (suffixes, lcp, _) = built.run().map_err(failed)?.into_parts();
    let entry = |old_pos: usize, len: usize| (old_pos as u32, len as u32);
    Ok(longest(&suffixes, &lcp, old_len, |value| value as usize, entry))
}

fn wide(text: &[u8], old_len: usize) -> Result<Vec<(u64, u64)>> {
    let built = SuffixArrayConstruction::for_text(text).in_owned_buffer64().single_threaded();
    let built = built.run().map_err(failed)?.plcp_construction().single_threaded();
    let (suffixes, lcp, _) = built.run().map_err(failed)?.into_parts();
    let entry = |old_pos: usize, len: usize| (old_pos as u64, len as u64);
    Ok(longest(&suffixes, &lcp, old_len, |value| value as usize, entry))
}

/// Passes over the suffixes upwards and downwards: the nearest suffix of old on either side of a
/// suffix of new is one of its longest matches, and the smallest LCP between them is its length.
fn longest<I: Copy, T: Copy + Default + PartialOrd>(
    suffixes: &[I],
    lcp: &[I],
    old_len: usize,
    index: impl Fn(I) -> usize,
    entry: impl Fn(usize, usize) -> (T, T),
) -> Vec<(T, T)> {
    let mut table = vec![(T::default(), T::default()); suffixes.len() - old_len];
    let (mut last, mut common) = (None, 0usize);
    for suffix in suffixes {
        let pos = index(*suffix);
        common = common.min(index(lcp[pos]));
        if pos < old_len {
            (last, common) = (Some(pos), usize::MAX);
        } else if let Some(old_pos) = last {
            table[pos - old_len] = entry(old_pos, common.min(old_len - old_pos));
        }
    }
    (last, common) = (None, 0);
    for suffix in suffixes.iter().rev() {
        let pos = index(*suffix);
        if let (Some(old_pos), true) = (last, pos >= old_len) {
            let found = entry(old_pos, common.min(old_len - old_pos));
            if found.1 > table[pos - old_len].1 {
                table[pos - old_len] = found;
            }
        }
        let below = index(lcp[pos]);
        if pos < old_len {
            (last, common) = (Some(pos), below);
        } else {
            common = common.min(below);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &[u8], new: &[u8]) {
        let statistics = Statistics::new(old, new).unwrap();
        let text = [old, new].concat();
        let wide = wide(&text, old.len()).unwrap();
        for at in 0..new.len() {
            let found = statistics.at(at);
            let (pos, len) = (found.old_pos as usize, found.len as usize);
            assert_eq!(wide[at], (found.old_pos, found.len));
            assert_eq!(old[pos..pos + len], new[at..at + len], "at {at}");
            let common = |from: usize| {
                old[from..].iter().zip(&new[at..]).take_while(|(a, b)| a == b).count()
            };
            let best = (0..old.len()).map(common).max().unwrap_or(0);
            // Matches that run from old into new in the joined text are cut at the end of old.
            assert!(len == best || pos + len == old.len(), "at {at}: {len} of {best}");
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
            let old = noise(200, letters);
            let mut new = noise(100, letters);
            new.extend_from_slice(&old[50..150]);
            check(&old, &new);
        }
    }
}
