//! What deltas are made for, and the tables that each purpose affords.

use fwdelta_core::apply;
use fwdelta_core::codec::predict;
use fwdelta_core::exec::map::{COVER_LEN, ENTRY_LEN, ORDER_LEN};
use fwdelta_core::exec::space::{RUN_LEN, SEGMENT_LEN};
use fwdelta_core::format::chain::{ChainStart, HASH_LEN};
use fwdelta_core::format::delta::{
    Coder, DIGEST_LEN, DeltaHeader, ImageId, StreamShape, WINDOW_LOG_MIN,
};
use fwdelta_core::format::shape::{BUFFER_LOG_MIN, MATCH_LOG_MIN, PROBABILITY_LOG_MIN, Shape};

use crate::exec::describe::Description;

/// What the delta is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Microcontrollers with 8 KiB of RAM: at most 3 KiB of working memory.
    Tiny,
    /// Microcontrollers: at most 10 KiB of working memory.
    #[default]
    Small,
    /// Linux-class devices, speed first: at most 24 MiB of working memory, mostly far less.
    Fast,
    /// Linux-class devices, size first: at most 24 MiB of working memory.
    Max,
    /// Nothing is predicted: the smallest decoder, for any image up to 4 EiB.
    Plain,
    /// The `bsdiff` crate's streams: a test oracle, quadratic on repetitive data.
    Bsdiff,
}

/// Largest working memory of profiles `tiny` and `small`, unless the caller says otherwise.
pub(super) const TINY_LEN: u64 = 3 << 10;
/// See [`TINY_LEN`].
pub(super) const SMALL_LEN: u64 = 10 << 10;
/// Largest working memory of profile `max`.
pub(super) const MAX_LEN: u64 = 24 << 20;
/// The same of profile `fast`, of which most images need little.
pub(super) const FAST_LEN: u64 = 24 << 20;
/// With less than this, profile `fast` has no room for a decompressor and makes coder 4 throughout.
pub(super) const STREAM_LEN_MIN: u64 = 1 << 20;
/// Images up to this length profile `fast` leaves to coder 4: that makes up to a quarter less of
/// them and is applied in at most a twentieth of a second more, far less than it takes to write
/// them to flash.
pub(super) const FAST_SHORT_LEN: usize = 1_000_000;
/// Largest window of the decompressor of profiles `fast` and `bsdiff`: 8 MiB.
pub(super) const FAST_WINDOW_LOG_MAX: u8 = 23;
/// Tables that are chosen from by the memory there is, smallest first: logarithms of
/// probabilities, remembered targets, remembered changes, and of bytes of each buffer.
const SIZES: [[u8; 4]; 8] = [
    [9, 5, 3, 8],
    [10, 6, 3, 8],
    [11, 7, 4, 9],
    [12, 8, 5, 9],
    [13, 9, 6, 10],
    [14, 10, 8, 10],
    [16, 12, 10, 12],
    [18, 14, 12, 16],
];
/// Of the memory there is, at most this much goes to tables other than that of covers, in 16ths.
const TABLES_SHARE: u64 = 14;
/// The same of profile `max`.
const MAX_TABLES_SHARE: u64 = 15;
/// Tables of profile `max`.
const MAX: Shape = Shape {
    model_log: 23,
    memo_log: 15,
    value_log: 13,
    buffer_log: 16,
    old_segments: 0,
    new_segments: 0,
    runs: 0,
    covers: 0,
    has_inline: false,
    match_log: 19,
    ring_log: 19,
};
/// How far back literals may refer in profile `max`, the farthest first: logarithms of bytes of new
/// that are remembered, and of how many times fewer strings are looked up.
const REACHES: [[u8; 2]; 5] = [[22, 0], [22, 1], [21, 0], [20, 0], [19, 0]];

/// How much smaller tables of profile `max` become where two images are short: logarithms of
/// probabilities and of the match table. Half the latter costs next to nothing, half the former 0.2
/// to 1.1 %.
const MAX_LESS: [[u8; 2]; 3] = [[0, 0], [0, 1], [1, 1]];

/// Shortest new image whose making is bounded.
const BOUNDED_LEN_MIN: u64 = 1_000_000;
/// What making a delta takes beside tables and images: the program, covers, stacks.
const UNTABLED_LEN: u64 = 10_900_000;

/// Bytes that tables of coders 4 and 5 may take while a delta is made.
///
/// A pair with a new image of a megabyte and more takes at most 16 for each byte of both, the
/// images among them; below that, and without an old image, the device sets the only bound.
#[must_use]
fn tables_room(old_len: u64, new_len: u64) -> u64 {
    if old_len == 0 || new_len < BOUNDED_LEN_MIN {
        return u64::MAX;
    }
    old_len.saturating_add(new_len).saturating_mul(15).saturating_sub(UNTABLED_LEN)
}

/// Whether there is room for such tables twice: for an encoder beside a decoder, or another.
#[must_use]
pub(super) fn fits_twice(shape: &Shape, profile: Profile, (old_len, new_len): (u64, u64)) -> bool {
    let len = predict::tables_len(shape, profile == Profile::Max);
    len.saturating_mul(2) <= tables_room(old_len, new_len)
}

/// Bytes of payload per chunk: what a device must hold before it may decode.
#[must_use]
pub const fn default_chunk_len(profile: Profile) -> u32 {
    match profile {
        Profile::Tiny => 256,
        Profile::Small | Profile::Plain => 1024,
        Profile::Fast | Profile::Max | Profile::Bsdiff => 1 << 16,
    }
}

/// The tables for a pair under `profile` in `memory_len` bytes, or what the profile affords:
/// everything but the counts of segments and runs, and `covers` the most there may be. There are
/// `cover_count` covers. Tables are `smaller` steps smaller than there is room for, which leaves
/// more of it to covers; `None` where there are none so small.
#[must_use]
pub(super) fn shape(
    profile: Profile,
    memory_len: Option<u64>,
    smaller: usize,
    old: &Description,
    new: &Description,
    (old_len, new_len): (u64, u64),
    cover_count: usize,
) -> Option<Shape> {
    let default = match profile {
        Profile::Tiny => TINY_LEN,
        Profile::Max => MAX_LEN,
        Profile::Fast => FAST_LEN,
        _ => SMALL_LEN,
    };
    let memory_len = memory_len.unwrap_or(default);
    let described = Shape {
        old_segments: old.segments.len() as u32,
        new_segments: new.segments.len() as u32,
        runs: old.runs.len() as u32,
        ..Shape::default()
    };
    let chunk_len = u64::from(default_chunk_len(profile));
    let is_max = profile == Profile::Max;
    let fixed = |shape: &Shape| fixed_len(shape, is_max, chunk_len);
    let room = |shape: &Shape| {
        let covers = memory_len.saturating_sub(fixed(shape)) / (COVER_LEN + ORDER_LEN) as u64;
        covers.min(1 << 20) as u32
    };
    let base = if is_max && smaller > 0 {
        return None;
    } else if is_max {
        let fits =
            |shape: &Shape| fixed(shape) <= memory_len && room(shape) as usize >= cover_count;
        let largest = fitted(described, new_len, cover_count);
        let with = |[model_less, match_less]: [u8; 2]| {
            let model_log = largest.model_log - model_less;
            let less = Shape { model_log, match_log: largest.match_log - match_less, ..largest };
            reaching(shrunk(less, memory_len, fixed), new_len, fits)
        };
        let tables_room = tables_room(old_len, new_len);
        let fits = |less: &[u8; 2]| predict::tables_len(&with(*less), true) <= tables_room;
        with(MAX_LESS.into_iter().find(fits).unwrap_or(MAX_LESS[MAX_LESS.len() - 1]))
    } else {
        sized(described, memory_len, smaller, fixed)?
    };
    Some(Shape { covers: room(&base), ..base })
}

/// Window, block and buffers of profile `fast` in `memory_len` bytes, or what the profile affords.
#[must_use]
pub(super) fn stream_shape(memory_len: Option<u64>) -> StreamShape {
    let memory_len = memory_len.unwrap_or(FAST_LEN);
    let log = |share: u64, min: u32, max: u32| (memory_len / share).max(1).ilog2().clamp(min, max);
    StreamShape {
        window_log: log(3, WINDOW_LOG_MIN.into(), FAST_WINDOW_LOG_MAX.into()) as u8,
        block_len: 1 << log(16, 10, 18),
        buffer_log: log(64, BUFFER_LOG_MIN.into(), 15) as u8,
        ..StreamShape::default()
    }
}

/// How many covers profile `fast` has room for, beside everything else that `shape` says.
pub(super) fn cover_count_max(shape: &StreamShape, memory_len: Option<u64>) -> usize {
    let coder = Coder::Projected(*shape);
    let new = ImageId { len: 0, digest: [0; DIGEST_LEN] };
    let chunk_len = default_chunk_len(Profile::Fast);
    let chain = Some(ChainStart { chunk_len, first_hash: [0; HASH_LEN], is_sealed: false });
    let (workspace_len, payload_len, old, in_place, undoes) = (0, 0, None, None, None);
    let header =
        DeltaHeader { coder, old, new, workspace_len, payload_len, chain, in_place, undoes };
    let fixed = apply::memory_len(&header).unwrap_or(u64::MAX);
    let room = memory_len.unwrap_or(FAST_LEN).saturating_sub(fixed);
    // There are at most twice as many stretches of old as covers.
    (room / (COVER_LEN + ENTRY_LEN + 3 * ORDER_LEN) as u64).min(1 << 20) as usize
}

/// The largest tables that leave room for covers, or those so many steps smaller.
fn sized(
    described: Shape,
    memory_len: u64,
    smaller: usize,
    fixed: impl Fn(&Shape) -> u64,
) -> Option<Shape> {
    let with = |[model_log, memo_log, value_log, buffer_log]: [u8; 4]| Shape {
        model_log,
        memo_log,
        value_log,
        buffer_log,
        ..described
    };
    let share = memory_len / 16 * TABLES_SHARE;
    let largest = SIZES.into_iter().rposition(|size| fixed(&with(size)) <= share).unwrap_or(0);
    Some(with(SIZES[largest.checked_sub(smaller)?]))
}

/// The tables of profile `max`, smaller for images that cannot fill them.
fn fitted(described: Shape, new_len: u64, cover_count: usize) -> Shape {
    let Shape { old_segments, new_segments, runs, .. } = described;
    let log = new_len.max(1).ilog2();
    let spare = 17u32.saturating_sub(log).min(5) as u8;
    // Without covers nothing leads anywhere.
    let memo_log = if cover_count == 0 { 1 } else { MAX.memo_log - spare };
    Shape {
        model_log: MAX.model_log - spare,
        match_log: MAX.match_log - spare,
        ring_log: MAX.ring_log - spare,
        memo_log,
        old_segments,
        new_segments,
        runs,
        ..MAX
    }
}

/// `base` with tables that leave room for covers in `memory_len` bytes, if there are such.
fn shrunk(base: Shape, memory_len: u64, fixed: impl Fn(&Shape) -> u64) -> Shape {
    let share = memory_len / 16 * MAX_TABLES_SHARE;
    let lowered = |shape: &Shape| {
        let less = |log: u8, min: u8| log.saturating_sub(1).max(min);
        let smaller = Shape {
            model_log: less(shape.model_log, PROBABILITY_LOG_MIN),
            memo_log: less(shape.memo_log, 1),
            value_log: less(shape.value_log, 0),
            buffer_log: less(shape.buffer_log, BUFFER_LOG_MIN),
            match_log: less(shape.match_log, MATCH_LOG_MIN),
            ring_log: less(shape.ring_log, MATCH_LOG_MIN),
            ..*shape
        };
        (smaller != *shape).then_some(smaller)
    };
    let mut shape = base;
    while fixed(&shape) > share
        && let Some(smaller) = lowered(&shape)
    {
        shape = smaller;
    }
    shape
}

/// `base`, remembering as much of new as it has and leaves room for all covers.
fn reaching(base: Shape, new_len: u64, has_room: impl Fn(&Shape) -> bool) -> Shape {
    let with = |[ring_log, less]: [u8; 2]| Shape {
        ring_log: ring_log.min(new_len.max(1).ilog2() as u8 + 1).max(base.ring_log),
        match_log: base.match_log - less,
        ..base
    };
    REACHES.into_iter().map(with).find(has_room).unwrap_or(base)
}

/// Bytes of working memory without covers.
fn fixed_len(shape: &Shape, is_max: bool, chunk_len: u64) -> u64 {
    let buffers = 2 * predict::window_len(shape);
    let input = (fwdelta_core::codec::input::GROUP_LEN_MAX + HASH_LEN) as u64 + chunk_len;
    predict::tables_len(&Shape { covers: 0, ..*shape }, is_max) + buffers + input
}

/// Leaves out of a description what would take more than a quarter of the memory: first runs, so
/// that code around them swallows short ones, at last everything.
pub(super) fn simplify(description: &mut Description, memory_len: u64) {
    let len =
        |d: &Description| (d.runs.len() * RUN_LEN + 2 * d.segments.len() * SEGMENT_LEN) as u64;
    let mut shortest = 1024;
    while len(description) > memory_len / 4 && shortest < 1 << 40 {
        merge_runs(description, shortest);
        shortest *= 2;
        if shortest >= 1 << 32 {
            description.segments.clear();
            description.runs.truncate(1);
        }
    }
}

/// Joins runs shorter than `len` with the one before.
fn merge_runs(description: &mut Description, len: u64) {
    let ends: Vec<u64> = description.runs.iter().skip(1).map(|run| run.pos).collect();
    let mut at = 0;
    let mut last = None;
    description.runs.retain(|run| {
        let end = ends.get(at).copied().unwrap_or(u64::MAX);
        at += 1;
        let is_kept = last.is_none() || end - run.pos >= len && last != Some(run.class);
        if is_kept {
            last = Some(run.class);
        }
        is_kept
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pairs_have_smaller_tables_and_no_trial_beside() {
        let none = Description::default();
        let megabyte = 1_000_000;
        let of = |old_len: u64, new_len: u64| {
            let lens = (old_len, new_len);
            let shape = shape(Profile::Max, None, 0, &none, &none, lens, 1000).unwrap();
            let shape = Shape { covers: 1000, ..shape };
            let has_room = fits_twice(&shape, Profile::Max, lens);
            (MAX.model_log - shape.model_log, MAX.match_log - shape.match_log, has_room)
        };
        assert_eq!(of(megabyte, megabyte - 1), (0, 0, true));
        assert_eq!(of(0, megabyte), (0, 0, true));
        assert_eq!(of(megabyte, megabyte), (1, 1, false));
        assert_eq!(of(megabyte * 8 / 7, megabyte * 8 / 7), (0, 1, false));
        assert_eq!(of(megabyte * 3 / 2, megabyte * 3 / 2), (0, 0, false));
        assert_eq!(of(megabyte * 2, megabyte * 2), (0, 0, true));
    }

    #[test]
    fn max_remembers_as_much_of_new_as_fits() {
        let none = Description::default();
        let chunk_len = u64::from(default_chunk_len(Profile::Max));
        for (new_len, covers, ring_log) in
            [(8 << 20, 0, 22), (8 << 20, 100_000, 20), (300_000, 0, 19), (5000, 20, 14)]
        {
            let lens = (new_len, new_len);
            let shape = shape(Profile::Max, None, 0, &none, &none, lens, covers).unwrap();
            assert_eq!(shape.ring_log, ring_log, "{new_len} {covers}");
            let covers_len = u64::from(shape.covers) * (COVER_LEN + ORDER_LEN) as u64;
            let len = fixed_len(&shape, true, chunk_len) + covers_len;
            assert!(len <= MAX_LEN, "{new_len} {covers}: {len} {shape:?}");
            assert!(shape.covers as usize >= covers);
        }
    }
}
