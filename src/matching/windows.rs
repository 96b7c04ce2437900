//! Windows: what is analysed together when old and new are too large to be analysed at once.
//!
//! A window of new is matched against the blocks of old that are most like it, and those around
//! the same place. The parse follows its diagonals through all of old; only what proposes them is
//! bounded.

use std::ops::Range;

use super::covers::OVERLAP_LEN;
use super::fingerprints::Map;
use super::options::{self, MatchOptions};
use super::statistics::{Match, Statistics};
use crate::error::Result;

/// Blocks of old in a window.
const BLOCK_COUNT: usize = 32;
/// Of those, how many stand where new does.
const NEAR_COUNT: usize = 8;

/// A run of chosen blocks: where it stands among those, and where in old.
#[derive(Clone, Copy, Debug)]
struct Segment {
    gathered_pos: usize,
    old: (usize, usize),
}

/// The longest matches of a window of new.
#[derive(Debug)]
pub(super) struct Matches {
    statistics: Statistics,
    new_start: usize,
    /// None if the window holds all of old.
    segments: Vec<Segment>,
}

impl Matches {
    /// Of all of new in all of old.
    pub(super) fn whole(old: &[u8], new: &[u8]) -> Result<Self> {
        Ok(Self { statistics: Statistics::new(old, new)?, new_start: 0, segments: Vec::new() })
    }

    /// The longest match of `new_pos`.
    pub(super) fn at(&self, new_pos: usize) -> Match {
        let found = self.statistics.at(new_pos - self.new_start);
        let pos = found.old_pos as usize;
        let behind = self.segments.partition_point(|segment| segment.gathered_pos <= pos);
        let Some(segment) = behind.checked_sub(1).map(|at| self.segments[at]) else { return found };
        // Where two blocks of old meet that are no neighbours, a match ends.
        let old_pos = segment.old.0 + (pos - segment.gathered_pos);
        let len = found.len.min((segment.old.1 - old_pos) as u64);
        Match { old_pos: old_pos as u64, len }
    }
}

/// The windows of a pair.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// What is chosen from old; none if all of it is in each window.
    map: Option<Map>,
    block_len: usize,
    new_len: usize,
}

impl<'a> Windows<'a> {
    /// Cuts a pair so that its windows stay below the bound.
    pub(super) fn new(old: &'a [u8], new: &'a [u8], options: &MatchOptions) -> Self {
        let (old_len, new_len) = (old.len() as u64, new.len() as u64);
        if options.is_whole(old_len, new_len) {
            return Self { old, new, map: None, block_len: old.len(), new_len: new.len() };
        }
        let bound = options.memory_bound(old_len, new_len);
        let (old_window, new_window) = options::window_lens(bound, old_len);
        // Sorted in place, but grown by doubling.
        let count_max = options::map_len(bound) as usize / Map::ENTRY_LEN / 2;
        let every = (old.len() / count_max.max(1)).next_power_of_two().max(16);
        Self::cut(old, new, old_window, new_window - new_window / 8 - 2 * OVERLAP_LEN, every)
    }

    /// Windows of these lengths; one of `every` positions of old goes into its map.
    fn cut(old: &'a [u8], new: &'a [u8], old_len: usize, new_len: usize, every: usize) -> Self {
        let block_len = (old_len / BLOCK_COUNT).max(1);
        let map = (old_len < old.len()).then(|| Map::new(old, every, block_len));
        Self { old, new, map, block_len, new_len }
    }

    /// The windows of new, one behind the other.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (total, len) = (self.new.len(), self.new_len.max(1));
        (0..total).step_by(len).map(move |start| start..total.min(start + len))
    }

    /// The matches of the window `range` and what is around it.
    pub(super) fn matches(&self, range: &Range<usize>) -> Result<Matches> {
        let new_start = range.start.saturating_sub(OVERLAP_LEN);
        let new = &self.new[new_start..self.new.len().min(range.end + 2 * OVERLAP_LEN)];
        let Some(map) = &self.map else {
            return Ok(Matches { new_start, ..Matches::whole(self.old, new)? });
        };
        let mut gathered = Vec::with_capacity(self.block_len * BLOCK_COUNT);
        let mut segments: Vec<Segment> = Vec::new();
        for block in self.choose(map, range) {
            let start = block * self.block_len;
            let end = self.old.len().min(start + self.block_len);
            match segments.last_mut() {
                Some(last) if last.old.1 == start => last.old.1 = end,
                _ => segments.push(Segment { gathered_pos: gathered.len(), old: (start, end) }),
            }
            gathered.extend_from_slice(&self.old[start..end]);
        }
        Ok(Matches { statistics: Statistics::new(&gathered, new)?, new_start, segments })
    }

    /// The blocks of old for `range`, ascending.
    fn choose(&self, map: &Map, range: &Range<usize>) -> Vec<usize> {
        let shared = map.shared(&self.new[range.clone()]);
        let middle = (range.start + range.end) as u128 * self.old.len() as u128;
        let middle = (middle / 2 / self.new.len() as u128) as usize / self.block_len;
        let mut blocks: Vec<usize> = (0..shared.len()).collect();
        blocks.sort_by_key(|block| (block.abs_diff(middle), *block));
        let near = blocks.split_off(NEAR_COUNT.min(blocks.len()));
        let mut rest = near;
        // Stable: of equals, the nearer come first.
        rest.sort_by_key(|block| std::cmp::Reverse(shared[*block]));
        blocks.extend(rest.into_iter().take(BLOCK_COUNT - NEAR_COUNT));
        blocks.sort_unstable();
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::super::covers::{Cover, Task};
    use super::super::testing::noise;
    use super::super::{Costs, View};
    use super::*;
    use crate::progress::Silent;

    /// The covers, checked, and how many bytes of new they cover.
    fn parse(windows: &Windows) -> (Vec<Cover>, u64) {
        let (old, new) = (View::plain(windows.old), View::plain(windows.new));
        let mut covers = Vec::new();
        for window in windows.ranges() {
            let matches = windows.matches(&window).unwrap();
            for at in window.clone() {
                let Match { old_pos, len } = matches.at(at);
                let (old_pos, len) = (old_pos as usize, len as usize);
                assert_eq!(windows.old[old_pos..old_pos + len], windows.new[at..at + len]);
            }
            let costs = &Costs::MAX;
            let task = Task { old: &old, new: &new, matches: &matches, votes: &[], costs };
            task.parse(&window, &mut covers, &Silent).unwrap();
        }
        let mut end = 0;
        for cover in &covers {
            assert!(cover.new_pos >= end && cover.old_pos + cover.len <= old.len() as u64);
            end = cover.new_pos + cover.len;
        }
        assert!(end <= new.len() as u64);
        let len = covers.iter().map(|cover| cover.len).sum();
        (covers, len)
    }

    #[test]
    fn windows_find_what_has_moved_far() {
        let old = noise(1, 400_000);
        let new = [&old[300_000..], &old[..150_000], &noise(2, 20_000), &old[200_000..310_000]];
        let new = new.concat();
        let windows = Windows::cut(&old, &new, 100_000, 30_000, 16);
        let (covers, len) = parse(&windows);
        assert!(len > 355_000 && covers.len() < 20, "{len} in {}", covers.len());
    }

    #[test]
    fn windows_that_hold_all_of_old_or_next_to_nothing() {
        let old = noise(1, 50_000);
        let new = [&old[20_000..], &old[..20_000]].concat();
        for (old_len, least) in [(50_000, 49_900), (1000, 0), (1, 0)] {
            let (_, len) = parse(&Windows::cut(&old, &new, old_len, 9000, 16));
            assert!(len >= least, "{old_len}: {len}");
        }
    }
}
