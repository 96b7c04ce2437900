//! Runs from patches of known class: ascending, without gaps, and not too many.

use fwdelta_core::exec::layout::{Class, Run};

/// Bytes of image per run that a description may have, besides [`RUNS_ALWAYS`].
const BYTES_PER_RUN: u64 = 4096;
/// Runs that any description may have.
const RUNS_ALWAYS: u64 = 64;

/// Bytes of known class; patches of a list ascend and do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Patch {
    pub(super) pos: u64,
    pub(super) len: u64,
    pub(super) class: Class,
}

impl Patch {
    pub(super) fn end(&self) -> u64 {
        self.pos.saturating_add(self.len)
    }
}

/// Sorts patches, cuts what an earlier one covers, and what lies at or behind `end`.
pub(super) fn disjoint(mut patches: Vec<Patch>, end: u64) -> Vec<Patch> {
    patches.sort();
    let mut free_pos = 0;
    for patch in &mut patches {
        let last = patch.end().min(end);
        patch.pos = patch.pos.max(free_pos);
        patch.len = last.saturating_sub(patch.pos);
        free_pos = free_pos.max(last);
    }
    patches.retain(|patch| patch.len > 0);
    patches
}

/// The parts of `start..end` that no patch of an ascending list covers, as positions and lengths.
pub(super) fn gaps(patches: &[Patch], start: u64, end: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut pos = start;
    let sentinel = Patch { pos: end, len: 0, class: Class::default() };
    for patch in patches.iter().chain([&sentinel]) {
        let gap_end = patch.pos.min(end);
        if gap_end > pos {
            gaps.push((pos, gap_end - pos));
        }
        pos = pos.max(patch.end());
    }
    gaps
}

/// Covers `start..end` with patches, filling the gaps between them with `ground`.
pub(super) fn fill(patches: &[Patch], start: u64, end: u64, ground: Class) -> Vec<Patch> {
    let gaps = gaps(patches, start, end).into_iter();
    let filled = gaps.map(|(pos, len)| Patch { pos, len, class: ground });
    disjoint(patches.iter().copied().chain(filled).collect(), end)
}

/// The runs of an image of `image_len` bytes. Between patches there is data of no known width.
pub(super) fn runs(patches: &[Patch], image_len: u64) -> Vec<Run> {
    let filled = fill(patches, 0, image_len, Class::default());
    let mut runs: Vec<Run> =
        filled.iter().map(|patch| Run { pos: patch.pos, class: patch.class }).collect();
    runs.dedup_by_key(|run| run.class);
    let count_max = image_len / BYTES_PER_RUN + RUNS_ALWAYS;
    let mut len_min = 64;
    while runs.len() as u64 > count_max {
        runs = without_short(&runs, image_len, len_min);
        len_min *= 2;
    }
    runs
}

/// Gives runs of less than `len_min` bytes to the run before them; the first one stays.
fn without_short(runs: &[Run], image_len: u64, len_min: u64) -> Vec<Run> {
    let ends = runs.iter().skip(1).map(|run| run.pos).chain([image_len]);
    let is_long = |(run, end): &(&Run, u64)| run.pos == 0 || end - run.pos >= len_min;
    let mut kept: Vec<Run> = runs.iter().zip(ends).filter(is_long).map(|(run, _)| *run).collect();
    kept.dedup_by_key(|run| run.class);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use fwdelta_core::exec::layout::Content;

    const CODE: Class = Class { content: Content::Thumb, wide: false, big_endian: false };

    #[test]
    fn overlaps_are_cut_and_gaps_are_data() {
        let patch = |pos, len| Patch { pos, len, class: CODE };
        let patches = disjoint(vec![patch(20, 10), patch(10, 15), patch(90, u64::MAX)], 100);
        assert_eq!(patches, [patch(10, 15), patch(25, 5), patch(90, 10)]);
        let expected = [(0, Class::default()), (10, CODE), (30, Class::default()), (90, CODE)];
        let runs: Vec<_> = runs(&patches, 100).iter().map(|run| (run.pos, run.class)).collect();
        assert_eq!(runs, expected);
    }

    #[test]
    fn many_short_runs_are_merged() {
        let patches: Vec<_> = (0..8192u64)
            .map(|i| Patch { pos: i * 32 + i / 64 * 3, len: 16, class: CODE })
            .collect();
        let image_len = 1 << 18;
        let runs = runs(&disjoint(patches, image_len), image_len);
        assert!(runs.len() as u64 <= image_len / BYTES_PER_RUN + RUNS_ALWAYS);
        assert_eq!(runs[0].pos, 0);
        assert!(runs.windows(2).all(|w| w[0].pos < w[1].pos && w[0].class != w[1].class));
    }
}
