//! Long runs in which new is as old: what is known of them needs no search.
//!
//! Most of an image has not changed from one version to the next. Runs are found on the diagonals
//! of covers found before or, where nothing is known, by hashes of blocks of old, in the manner of
//! A. Tridgell, P. Mackerras, "The rsync algorithm", 1996. Only what lies between them is sorted by
//! suffixes. That takes half the time, and finds what a search of everything finds, within 0.1 %.

use std::ops::Range;

use rayon::prelude::*;

use super::covers::{Cover, append};
use super::fingerprints::hash;
use super::run::common;

/// Images shorter than this are searched as a whole: that takes no time.
const IMAGE_LEN_MIN: usize = 1 << 19;
/// Shortest run worth knowing.
const RUN_LEN_MIN: usize = 96;
/// Bytes at either end of a run that are searched, too: matches from outside end there.
pub(super) const MARGIN: usize = 24;
/// Bytes of a block of old.
const BLOCK_LEN: usize = 32;
/// Blocks of old that are known at most: of longer images fewer than all. Their table takes 16 MiB.
const KNOWN_MAX: usize = 1 << 21;
/// A run of so many bytes is hardly there by accident.
const SURE_LEN: usize = 4096;
/// In the place of a block's number when there are several alike.
const AMBIGUOUS: u32 = u32::MAX;
/// Bytes of new that are looked at on their own, so that threads do not matter.
const PIECE_LEN: usize = 1 << 18;

/// A stretch of new, and where its matches are known from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Positions in new.
    pub(super) range: Range<usize>,
    /// The run that it is a part of; else it is searched.
    pub(super) run: Option<Cover>,
}

/// Runs, ascending and disjoint in new.
#[derive(Debug, Default)]
pub(super) struct Settled {
    runs: Vec<Cover>,
}

impl Settled {
    /// Runs along `known`, or by content if nothing is known.
    pub(super) fn new(old: &[u8], new: &[u8], known: &[Cover]) -> Self {
        if old.len().min(new.len()) < IMAGE_LEN_MIN || u32::try_from(old.len()).is_err() {
            return Self::default();
        }
        let pieces: Vec<Vec<Cover>> = if known.is_empty() {
            let blocks = Blocks::new(old);
            let starts = (0..new.len()).into_par_iter().step_by(PIECE_LEN);
            starts
                .map(|start| blocks.runs(old, new, start..new.len().min(start + PIECE_LEN)))
                .collect()
        } else {
            known.par_iter().with_min_len(64).map(|cover| along(old, new, cover)).collect()
        };
        let mut runs = Vec::new();
        for run in pieces.into_iter().flatten() {
            append(&mut runs, run);
        }
        let runs = runs.par_iter().with_min_len(64).filter_map(|run| without_filler(new, run));
        Self { runs: runs.collect() }
    }

    pub(super) fn runs(&self) -> &[Cover] {
        &self.runs
    }

    /// `range` of new in parts, ascending, with nothing between them.
    pub(super) fn parts(&self, range: Range<usize>) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut at = range.start;
        let first = self.runs.partition_point(|run| run.new_pos + run.len <= at as u64);
        for run in &self.runs[first..] {
            let start = (run.new_pos as usize).max(at);
            // The margin behind the start is only looked into.
            let end = ((run.new_pos + run.len) as usize - MARGIN).min(range.end);
            if start >= range.end {
                break;
            }
            if start + MARGIN > end {
                continue;
            }
            if at < start {
                parts.push(Part { range: at..start, run: None });
            }
            parts.push(Part { range: start..end, run: Some(*run) });
            at = end;
        }
        if at < range.end {
            parts.push(Part { range: at..range.end, run: None });
        }
        parts
    }

    /// The stretches of old that are in no run, with the margins of runs.
    pub(super) fn open_old(&self, old_len: usize) -> Vec<Range<usize>> {
        let interior = |run: &Cover| {
            let start = run.old_pos as usize;
            start + MARGIN..start + run.len as usize - MARGIN
        };
        let mut closed: Vec<Range<usize>> = self.runs.iter().map(interior).collect();
        closed.sort_unstable_by_key(|range| (range.start, range.end));
        let (mut open, mut at) = (Vec::new(), 0);
        for range in closed {
            if at < range.start {
                open.push(at..range.start);
            }
            at = at.max(range.end);
        }
        if at < old_len {
            open.push(at..old_len);
        }
        open
    }
}

/// The runs of a cover.
fn along(old: &[u8], new: &[u8], cover: &Cover) -> Vec<Cover> {
    let (old_start, new_start) = (cover.old_pos as usize, cover.new_pos as usize);
    let old = &old[old_start..old_start + cover.len as usize];
    let new = &new[new_start..new_start + cover.len as usize];
    let (mut runs, mut at) = (Vec::new(), 0);
    while at < new.len() {
        let len = common(&old[at..], &new[at..]);
        if len >= RUN_LEN_MIN {
            let (old_pos, new_pos) = ((old_start + at) as u64, (new_start + at) as u64);
            runs.push(Cover { old_pos, new_pos, len: len as u64 });
        }
        at += len + 1;
    }
    runs
}

/// A run without the filler at its ends, if it is still long. Where a diagonal ends within filler
/// nothing shows but what stands behind it: that takes a search. Filler between what is equal is
/// equal, too.
fn without_filler(new: &[u8], run: &Cover) -> Option<Cover> {
    let bytes = &new[run.new_pos as usize..(run.new_pos + run.len) as usize];
    let is_other = |block: &[u8; BLOCK_LEN]| *block != [block[0]; BLOCK_LEN];
    let (blocks, rest) = bytes.as_chunks();
    let start = blocks.iter().position(is_other)? * BLOCK_LEN;
    let end = (blocks.iter().rposition(is_other)? + 1) * BLOCK_LEN;
    // Less than a block at the end goes with the last.
    let len = if end + rest.len() == bytes.len() { bytes.len() } else { end } - start;
    let (old_pos, new_pos) = (run.old_pos + start as u64, run.new_pos + start as u64);
    (len >= RUN_LEN_MIN).then_some(Cover { old_pos, new_pos, len: len as u64 })
}

/// Where blocks of old stand, by content.
struct Blocks {
    /// Number of the first block with a hash, plus one; 0 if there is none.
    table: Vec<u32>,
    /// From one block to the next.
    step: usize,
}

impl Blocks {
    fn new(old: &[u8]) -> Self {
        let step = old.len().div_ceil(KNOWN_MAX).next_multiple_of(BLOCK_LEN).max(BLOCK_LEN);
        let blocks = old.chunks(step).filter_map(|chunk| chunk.first_chunk::<BLOCK_LEN>());
        let mut table = vec![0u32; (old.len() / step * 2).next_power_of_two()];
        let mask = table.len() as u64 - 1;
        for (number, block) in (1..).zip(blocks) {
            let slot = &mut table[(hash(block) >> 20 & mask) as usize];
            *slot = match *slot {
                0 => number,
                AMBIGUOUS => AMBIGUOUS,
                // What there is more than once says nothing about where it stands.
                known if old[(known as usize - 1) * step..].starts_with(block) => AMBIGUOUS,
                known => known,
            };
        }
        Self { table, step }
    }

    /// Where the block that `new` begins with stands in old.
    fn find(&self, old: &[u8], new: &[u8]) -> Option<usize> {
        let block = new.first_chunk::<BLOCK_LEN>()?;
        let slot = hash(block) >> 20 & (self.table.len() as u64 - 1);
        let at = (self.table[slot as usize] as usize).checked_sub(1)? * self.step;
        old.get(at..)?.starts_with(block).then_some(at)
    }

    /// The runs of a piece of new.
    fn runs(&self, old: &[u8], new: &[u8], piece: Range<usize>) -> Vec<Cover> {
        let (mut runs, mut at, mut last_end) = (Vec::new(), piece.start, piece.start);
        let new = &new[..piece.end];
        let mut here = Some(at);
        while at < new.len() {
            // As long as possible, old goes on as it did.
            let on = here.filter(|old_at| *old_at < old.len());
            let mut len = on.map_or(0, |old_at| common(&old[old_at..], &new[at..]));
            if len < SURE_LEN
                && let Some(found) = self.find(old, &new[at..])
            {
                let found_len = common(&old[found..], &new[at..]);
                if found_len > len.max(RUN_LEN_MIN) {
                    (here, len) = (Some(found), found_len);
                }
            }
            if len >= RUN_LEN_MIN
                && let Some(old_at) = here
            {
                let back = back_len(&old[..old_at], &new[last_end..at]);
                let (old_pos, new_pos) = ((old_at - back) as u64, (at - back) as u64);
                runs.push(Cover { old_pos, new_pos, len: (back + len) as u64 });
                last_end = at + len;
            }
            let step = if len >= BLOCK_LEN { len } else { 1 };
            at += step;
            here = here.map(|old_at| old_at + step);
        }
        runs
    }
}

/// In how many bytes both agree from the end.
fn back_len(old: &[u8], new: &[u8]) -> usize {
    old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::super::testing::noise;
    use super::*;

    /// Old, and new with one byte in a few hundred changed, and two parts that changed places.
    fn pair() -> (Vec<u8>, Vec<u8>) {
        let old = noise(1, 3 << 20);
        let mut new = [&old[1 << 20..], &noise(2, 5000), &old[..1 << 20]].concat();
        let mut at = 0;
        while at < new.len() {
            new[at] ^= 1;
            at += 20 + at % 701;
        }
        (old, new)
    }

    fn covered(runs: &[Cover]) -> u64 {
        runs.iter().map(|run| run.len).sum()
    }

    #[test]
    fn runs_are_equal_and_most_of_what_is() {
        let (old, new) = pair();
        let by_content = Settled::new(&old, &new, &[]);
        let whole = [
            Cover { old_pos: 1 << 20, new_pos: 0, len: 2 << 20 },
            Cover { old_pos: 0, new_pos: (2 << 20) + 5000, len: 1 << 20 },
        ];
        let along_covers = Settled::new(&old, &new, &whole);
        for settled in [&by_content, &along_covers] {
            let mut end = 0;
            for run in &settled.runs {
                let (old_pos, new_pos, len) =
                    (run.old_pos as usize, run.new_pos as usize, run.len as usize);
                assert!(new_pos >= end && len >= RUN_LEN_MIN);
                assert_eq!(old[old_pos..old_pos + len], new[new_pos..new_pos + len]);
                end = new_pos + len;
            }
        }
        let (found, all) = (covered(&by_content.runs), covered(&along_covers.runs));
        assert!(all > new.len() as u64 * 8 / 10, "{all}");
        assert!(found > all * 98 / 100, "{found} of {all}");
    }

    #[test]
    fn parts_and_what_is_open_leave_nothing_out() {
        let (old, new) = pair();
        let settled = Settled::new(&old, &new, &[]);
        for range in [0..new.len(), 1000..1010, 12_345..2_000_001] {
            let mut at = range.start;
            for part in settled.parts(range.clone()) {
                assert!(part.range.start == at && part.range.end > at);
                at = part.range.end;
                let inside = |run: &Cover| {
                    run.new_pos as usize <= part.range.start
                        && part.range.end + MARGIN <= (run.new_pos + run.len) as usize
                };
                assert!(part.run.as_ref().is_none_or(inside), "{part:?}");
            }
            assert_eq!(at, range.end);
        }
        let mut is_open = vec![false; old.len()];
        settled.open_old(old.len()).into_iter().for_each(|range| is_open[range].fill(true));
        for run in &settled.runs {
            let (start, end) = (run.old_pos as usize, (run.old_pos + run.len) as usize);
            assert!(is_open[start..start + MARGIN].iter().all(|open| *open), "margin");
            is_open[start..end].fill(true);
        }
        assert!(is_open.iter().all(|open| *open));
    }

    #[test]
    fn runs_hold_filler_but_at_their_ends() {
        let old = [noise(1, 1 << 18), vec![0; 4096], noise(2, 1 << 19), vec![7; 1 << 16]].concat();
        let whole = Cover { old_pos: 0, new_pos: 0, len: old.len() as u64 };
        let runs = Settled::new(&old, &old, &[whole]).runs;
        assert_eq!(runs, [Cover { len: whole.len - (1 << 16), ..whole }]);
        let mut new = old.clone();
        new[(1 << 18) + 2048] = 1;
        let runs = Settled::new(&old, &new, &[whole]).runs;
        // Less than a block of filler may stay at either end.
        let is_near = |run: &Cover, len: u64| (len..len + 2 * BLOCK_LEN as u64).contains(&run.len);
        assert!(matches!(&runs[..], [a, b] if is_near(a, 1 << 18) && is_near(b, 1 << 19)));
    }

    #[test]
    fn short_images_and_filler_settle_nothing() {
        let short = noise(1, IMAGE_LEN_MIN - 1);
        assert!(Settled::new(&short, &short, &[]).runs.is_empty());
        // Filler that does not stand where it stood may be any other.
        let old = [vec![0; 1 << 20], noise(1, 1 << 20)].concat();
        let new = [noise(2, 1 << 20), vec![0; 1 << 20]].concat();
        assert!(Settled::new(&old, &new, &[]).runs.is_empty());
    }
}
