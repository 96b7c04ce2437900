//! Windows: what is analysed together when old and new are too large to be analysed at once.
//!
//! A window of new is matched against the blocks of old that are most like it, and those around
//! the same place. The parse follows its diagonals through all of old; only what proposes them is
//! bounded.

use std::iter::once;
use std::ops::Range;

use super::covers::{Cover, OVERLAP_LEN};
use super::doubtful::doubtful;
use super::fingerprints::Map;
use super::options::{self, MatchOptions};
use super::settled::{MARGIN, Part, Settled};
use super::shared::shared;
use super::statistics::{Match, Statistics};
use crate::error::Result;

/// Blocks of old in a window.
const BLOCK_COUNT: usize = 32;
/// Of those, how many stand where new does.
const NEAR_COUNT: usize = 8;

/// A stretch of old in the text that is sorted: where it stands there, and in old.
#[derive(Clone, Debug)]
struct Segment {
    gathered_pos: usize,
    range: Range<usize>,
}

/// Where the matches of a stretch of new are known from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// It is in a run.
    Run(Cover),
    /// It was searched: where it stands in the text, and where what was searched with it ends.
    Search { start: usize, end: usize },
}

#[derive(Clone, Debug)]
struct Stretch {
    range: Range<usize>,
    source: Source,
}

/// The longest matches of a window of new.
#[derive(Debug)]
pub(super) struct Matches {
    sortings: Vec<Sorting>,
}

/// Matches of some of new in some of old, sorted together.
#[derive(Debug)]
struct Sorting {
    statistics: Statistics,
    /// Ascending.
    stretches: Vec<Stretch>,
    segments: Vec<Segment>,
}

impl Sorting {
    /// Of `parts` of new before `end` in `ranges` of old.
    fn new(
        old: &[u8],
        ranges: &[Range<usize>],
        new: &[u8],
        end: usize,
        parts: Vec<Part>,
    ) -> Result<Self> {
        let (mut stretches, mut searched_len) = (Vec::with_capacity(parts.len()), 0);
        for Part { range, run } in parts {
            let source = run.map(Source::Run).unwrap_or_else(|| {
                let start = searched_len;
                searched_len += with_margin(&range, end).len();
                Source::Search { start, end: searched_len }
            });
            stretches.push(Stretch { range, source });
        }
        let old_len: usize = ranges.iter().map(Range::len).sum();
        // One text for both, as long as it gets: copies would be most of what it takes.
        let mut text = Vec::with_capacity(searched_len + old_len);
        for Stretch { range, source } in &stretches {
            if matches!(source, Source::Search { .. }) {
                text.extend_from_slice(&new[with_margin(range, end)]);
            }
        }
        let segments = gather(&mut text, old, ranges);
        Ok(Self { statistics: Statistics::of(&text, searched_len)?, stretches, segments })
    }

    /// A match in the text as one in old.
    fn in_old(&self, found: Match) -> Match {
        let pos = found.old_pos as usize;
        let behind = self.segments.partition_point(|segment| segment.gathered_pos <= pos);
        let Some(segment) = behind.checked_sub(1).map(|at| &self.segments[at]) else {
            return found;
        };
        // Where two stretches of old meet that are no neighbours, a match ends.
        let old_pos = segment.range.start + (pos - segment.gathered_pos);
        let len = found.len.min((segment.range.end - old_pos) as u64);
        Match { old_pos: old_pos as u64, len }
    }
}

impl Matches {
    /// Of all of new in all of old.
    #[cfg(test)]
    pub(super) fn whole(old: &[u8], new: &[u8]) -> Result<Self> {
        let windows = Windows::new(old, new, &[], &MatchOptions::default());
        windows.matches(&(0..new.len()))
    }

    /// Goes through the matches of new from `new_pos` on.
    pub(super) fn from(&self, new_pos: usize) -> Cursor<'_> {
        let before = |sorting: &Sorting| {
            sorting.stretches.partition_point(|stretch| stretch.range.end <= new_pos)
        };
        let sortings = self.sortings.iter();
        Cursor { places: sortings.map(|sorting| (sorting, before(sorting))).collect() }
    }
}

/// A way through matches in the order of new.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    /// The stretch of each sorting.
    places: Vec<(&'a Sorting, usize)>,
}

impl Cursor<'_> {
    /// The longest match of `new_pos`, which does not fall from call to call, if it has `len_min`
    /// bytes, and the next position of which more than its rest may be said.
    pub(super) fn at(&mut self, new_pos: usize, len_min: u64) -> (Option<Match>, usize) {
        let (mut longest, mut next) = (None::<Match>, usize::MAX);
        for (sorting, stretch) in &mut self.places {
            let (found, then) = sorting.at(stretch, new_pos, len_min);
            next = next.min(then);
            if found.is_some_and(|found| longest.is_none_or(|longest| found.len > longest.len)) {
                longest = found;
            }
        }
        (longest, next)
    }
}

impl Sorting {
    /// As [`Cursor::at`]; `at` is the stretch of the last position.
    fn at(&self, at: &mut usize, new_pos: usize, len_min: u64) -> (Option<Match>, usize) {
        let Self { stretches, statistics, .. } = self;
        while stretches.get(*at).is_some_and(|stretch| stretch.range.end <= new_pos) {
            *at += 1;
        }
        let Some(Stretch { range, source }) = stretches.get(*at) else {
            return (None, usize::MAX);
        };
        let is_long = |found: &Match| found.len >= len_min;
        match source {
            _ if new_pos < range.start => (None, range.start),
            Source::Run(run) => {
                let by = new_pos as u64 - run.new_pos;
                let rest = Match { old_pos: run.old_pos + by, len: run.len - by };
                (Some(rest).filter(is_long), range.end)
            }
            Source::Search { start, end } => {
                let at = start + (new_pos - range.start);
                let found = statistics.at(at);
                let found = Match { len: found.len.min((end - at) as u64), ..found };
                // Where it is in old takes a search: most matches are the rest of the last.
                let in_old = |found| self.in_old(found);
                (Some(found).filter(is_long).map(in_old).filter(is_long), new_pos + 1)
            }
        }
    }
}

/// What is searched for a stretch of new.
fn with_margin(range: &Range<usize>, end: usize) -> Range<usize> {
    range.start..end.min(range.end + MARGIN)
}

/// Appends stretches of old to `text`, and gives where they stand behind what it held.
fn gather(text: &mut Vec<u8>, old: &[u8], ranges: &[Range<usize>]) -> Vec<Segment> {
    let (before_len, mut segments) = (text.len(), Vec::<Segment>::new());
    for range in ranges {
        match segments.last_mut() {
            Some(last) if last.range.end == range.start => last.range.end = range.end,
            _ => {
                let gathered_pos = text.len() - before_len;
                segments.push(Segment { gathered_pos, range: range.clone() });
            }
        }
        text.extend_from_slice(&old[range.clone()]);
    }
    segments
}

/// What of old is not in `open`, with a little of that on either side.
fn rest(open: &[Range<usize>], old_len: usize) -> Vec<Range<usize>> {
    let starts = once(0).chain(open.iter().map(|range| range.end));
    let ends = open.iter().map(|range| range.start).chain(once(old_len));
    let closed = starts.zip(ends).filter(|(start, end)| start < end);
    closed.map(|(start, end)| start.saturating_sub(MARGIN)..old_len.min(end + MARGIN)).collect()
}

fn len(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(Range::len).sum()
}

/// The windows of a pair.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// Covers found before.
    known: &'a [Cover],
    /// What is chosen from old; none if all of it is in each window.
    map: Option<Map>,
    block_len: usize,
    new_len: usize,
    settled: Settled,
    is_thorough: bool,
}

impl<'a> Windows<'a> {
    /// Cuts a pair so that its windows stay below the bound; new is like old where `known` says so.
    pub(super) fn new(
        old: &'a [u8],
        new: &'a [u8],
        known: &'a [Cover],
        options: &MatchOptions,
    ) -> Self {
        let (old_len, new_len) = (old.len() as u64, new.len() as u64);
        let (settled, is_thorough) = (Settled::new(old, new, known), options.is_thorough);
        if options.is_whole(old_len, new_len) {
            let (block_len, new_len) = (old.len(), new.len());
            return Self { old, new, known, map: None, block_len, new_len, settled, is_thorough };
        }
        let bound = options.memory_bound(old_len, new_len);
        let (old_window, new_window) = options::window_lens(bound, old_len);
        // Sorted in place, but grown by doubling.
        let count_max = options::map_len(bound) as usize / Map::ENTRY_LEN / 2;
        let every = (old.len() / count_max.max(1)).next_power_of_two().max(16);
        let new_window = new_window - new_window / 8 - 2 * OVERLAP_LEN;
        Self { known, settled, ..Self::cut(old, new, old_window, new_window, every) }
    }

    /// Windows of these lengths; one of `every` positions of old goes into its map.
    fn cut(old: &'a [u8], new: &'a [u8], old_len: usize, new_len: usize, every: usize) -> Self {
        let block_len = (old_len / BLOCK_COUNT).max(1);
        let map = (old_len < old.len()).then(|| Map::new(old, every, block_len));
        let (known, settled) = (&[], Settled::default());
        Self { old, new, known, map, block_len, new_len, settled, is_thorough: false }
    }

    /// Whether there is but one window, of all of both images.
    pub(super) fn is_whole(&self) -> bool {
        self.map.is_none() && self.new_len >= self.new.len()
    }

    /// The windows of new, one behind the other.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (total, len) = (self.new.len(), self.new_len.max(1));
        (0..total).step_by(len).map(move |start| start..total.min(start + len))
    }

    /// The matches of the window `range` and what is around it.
    pub(super) fn matches(&self, range: &Range<usize>) -> Result<Matches> {
        let start = range.start.saturating_sub(OVERLAP_LEN);
        let end = self.new.len().min(range.end + 2 * OVERLAP_LEN);
        let parts = self.settled.parts(start..end);
        let sorted = |ranges: &[Range<usize>]| Sorting::new(self.old, ranges, self.new, end, parts);
        let sortings = match &self.map {
            Some(map) => vec![sorted(&self.blocks(map, range))?],
            None if self.is_thorough => self.thorough(sorted, end)?,
            None => vec![sorted(&self.settled.open_old(self.old.len()))?],
        };
        Ok(Matches { sortings })
    }

    /// What is open, `sorted` with what is open in old, and what of that is doubtful with what may
    /// match it of the rest.
    fn thorough(
        &self,
        sorted: impl FnOnce(&[Range<usize>]) -> Result<Sorting> + Send,
        end: usize,
    ) -> Result<Vec<Sorting>> {
        let open = self.settled.open_old(self.old.len());
        let rest = rest(&open, self.old.len());
        let known = if self.known.is_empty() { self.settled.runs() } else { self.known };
        let doubtful = doubtful(self.old, self.new, known);
        if len(&rest) < 2 * len(&doubtful) {
            // To sort the doubtful twice is no gain.
            let all = 0..self.old.len();
            return Ok(vec![sorted(std::slice::from_ref(&all))?]);
        }
        let rest = shared(self.old, &rest, self.new, &doubtful);
        let parts = doubtful.into_iter().map(|range| Part { range, run: None }).collect();
        let far = || Sorting::new(self.old, &rest, self.new, end, parts);
        let (near, far) = rayon::join(|| sorted(&open), far);
        Ok(vec![near?, far?])
    }

    /// The stretches of old for the window `range`, ascending.
    fn blocks(&self, map: &Map, range: &Range<usize>) -> Vec<Range<usize>> {
        let stretch = |block: usize| {
            let start = block * self.block_len;
            start..self.old.len().min(start + self.block_len)
        };
        self.choose(map, range).into_iter().map(stretch).collect()
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
    use super::super::covers::Task;
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
            let mut cursor = matches.from(window.start);
            for at in window.clone() {
                let (Some(Match { old_pos, len }), _) = cursor.at(at, 0) else { panic!("{at}") };
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
    fn copies_of_what_is_still_in_its_place_take_a_thorough_search() {
        let old = noise(1, 1 << 20);
        let mut new = old.clone();
        new.copy_within(500_000..500_300, 100_000);
        let known = [Cover { old_pos: 0, new_pos: 0, len: 1 << 20 }];
        let found = |is_thorough| {
            let options = MatchOptions { is_thorough, ..MatchOptions::default() };
            let windows = Windows::new(&old, &new, &known, &options);
            let matches = windows.matches(&(0..new.len())).unwrap();
            (matches.sortings.len(), matches.from(100_000).at(100_000, 24).0)
        };
        assert_eq!(found(false), (1, None));
        let (count, copy) = found(true);
        assert_eq!((count, copy), (2, Some(Match { old_pos: 500_000, len: 300 })));
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
