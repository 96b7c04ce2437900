//! Where the tables of coders 4 and 5 are in the caller's memory.

use super::literals::{self, Matches};
use super::memo::{self, Memo};
use super::mixed::{self, Mixed, MixedTables};
use super::nodes;
use super::prologue::Counts;
use super::{Averaged, Predicted, Predictor, Values, history};
use crate::error::{Detail, Result};
use crate::exec::map::{self, CoverMap, Index};
use crate::exec::project::Projection;
use crate::exec::space::{self, Segments, Space};
use crate::exec::targets::{self, Targets};
use crate::format::shape::{Shape, StreamShape};

impl From<&Shape> for Counts {
    fn from(shape: &Shape) -> Self {
        let Shape { old_segments, new_segments, runs, covers, .. } = *shape;
        Self { old: old_segments, new: new_segments, runs, covers, may_hide: false }
    }
}

impl From<&StreamShape> for Counts {
    fn from(shape: &StreamShape) -> Self {
        let StreamShape { old_segments, new_segments, runs, covers, .. } = *shape;
        Self { old: old_segments, new: new_segments, runs, covers, may_hide: true }
    }
}

/// Tables of either coder.
const TABLE_COUNT: usize = 17;

/// Lengths in bytes of the tables, in order.
fn lens(shape: &Shape, is_max: bool) -> [u64; TABLE_COUNT] {
    let of = |count: u32, len: usize| u64::from(count) * len as u64;
    let log = |log: u8, len: usize| (len as u64) << (log & 31);
    let model = match is_max {
        true => log(shape.model_log.saturating_sub(mixed::SLOT_LOG_LESS), mixed::SLOT_LEN),
        false => log(shape.model_log, 2),
    };
    let large = |len: u64| if is_max { len } else { 0 };
    [
        model,
        large(log(shape.model_log.saturating_sub(mixed::BUCKET_LOG_LESS), nodes::BUCKET_LEN)),
        large((mixed::WORTH_COUNT * mixed::SLOT_LEN) as u64),
        large((mixed::NARROW_COUNT * mixed::NARROW_LEN) as u64),
        large((mixed::WIDE_COUNT * mixed::WIDE_LEN) as u64),
        large((mixed::REFINED_COUNT * mixed::SLOT_LEN) as u64),
        log(shape.memo_log, memo::ENTRY_LEN),
        log(shape.memo_log.saturating_sub(1), memo::ENTRY_LEN),
        log(shape.value_log, history::ENTRY_LEN),
        log(shape.value_log, history::ENTRY_LEN),
        of(shape.old_segments, space::SEGMENT_LEN),
        of(shape.new_segments, space::SEGMENT_LEN),
        of(shape.runs, space::RUN_LEN),
        of(shape.covers, map::COVER_LEN),
        of(shape.covers, map::ORDER_LEN),
        large(log(shape.match_log, literals::ENTRY_LEN)),
        large(log(shape.ring_log, 1)),
    ]
}

/// Bytes of all tables together, without the window of old bytes.
#[must_use]
pub fn tables_len(shape: &Shape, is_max: bool) -> u64 {
    lens(shape, is_max).iter().sum()
}

/// Bytes of the window of old bytes.
#[must_use]
pub fn window_len(shape: &Shape) -> u64 {
    1 << (shape.buffer_log & 31)
}

struct Cutter<'w>(&'w mut [u8]);

impl<'w> Cutter<'w> {
    fn bytes(&mut self, len: u64) -> Result<&'w mut [u8]> {
        let len = usize::try_from(len).map_err(|_| Detail::WorkspaceTooSmall)?;
        let all = core::mem::take(&mut self.0);
        let (cut, rest) = all.split_at_mut_checked(len).ok_or(Detail::WorkspaceTooSmall)?;
        self.0 = rest;
        Ok(cut)
    }

    fn table<const N: usize>(&mut self, len: u64) -> Result<&'w mut [[u8; N]]> {
        Ok(self.bytes(len)?.as_chunks_mut::<N>().0)
    }
}

#[inline(always)]
fn predictor<'w>(cut: &mut Cutter<'w>, lens: &[u64; TABLE_COUNT]) -> Result<Predictor<'w>> {
    let [_, _, _, _, _, _, exact, near, values, operations, old, new, runs, covers, order, ..] =
        *lens;
    let memo = Memo::new(cut.table(exact)?, cut.table(near)?);
    let values = Values::new(cut.table(values)?, cut.table(operations)?);
    let (old, new) = (Segments::new(cut.table(old)?), Segments::new(cut.table(new)?));
    let runs = cut.table(runs)?;
    let map = CoverMap::new(cut.table(covers)?, cut.table(order)?);
    Ok(Predictor::new(Space::new(old, new, runs, map), memo, values))
}

/// The small model over `work`, which has [`tables_len`] bytes.
///
/// # Errors
/// `WorkspaceTooSmall`.
#[inline(always)]
pub fn small<'w>(shape: &Shape, work: &'w mut [u8]) -> Result<Predicted<'w, Averaged<'w>>> {
    let (lens, mut cut) = (lens(shape, false), Cutter(work));
    let [words, ..] = lens;
    let model = Averaged::new(cut.table(words)?, shape.model_log);
    Ok(Predicted::new(predictor(&mut cut, &lens)?, model, None))
}

/// The large model over `work`, which has [`tables_len`] bytes, for an old image of `old_len`.
///
/// # Errors
/// `WorkspaceTooSmall`.
pub fn large<'w>(
    shape: &Shape,
    work: &'w mut [u8],
    old_len: u64,
) -> Result<Predicted<'w, Mixed<'w>>> {
    let (lens, mut cut) = (lens(shape, true), Cutter(work));
    let [slots, buckets, worth, narrow, wide, refined, .., table, ring] = lens;
    let model = Mixed::new(MixedTables {
        slots: cut.table(slots)?,
        buckets: cut.table(buckets)?,
        worth: cut.table(worth)?,
        narrow: cut.table(narrow)?,
        wide: cut.table(wide)?,
        refined: cut.table(refined)?,
    });
    let predictor = predictor(&mut cut, &lens)?;
    let matches = Matches::new(cut.table(table)?, cut.bytes(ring)?, old_len);
    Ok(Predicted::new(predictor, model, Some(matches)))
}

/// Lengths in bytes of the tables of coder 6, in order.
fn projection_lens(shape: &StreamShape) -> [u64; 8] {
    let of = |count: u32, len: usize| u64::from(count) * len as u64;
    [
        of(shape.old_segments, space::SEGMENT_LEN),
        of(shape.new_segments, space::SEGMENT_LEN),
        of(shape.runs, space::RUN_LEN),
        of(shape.covers, map::COVER_LEN),
        of(shape.covers, map::ORDER_LEN),
        of(shape.covers, map::ENTRY_LEN),
        of(shape.covers.next_power_of_two(), map::ORDER_LEN),
        (targets::ENTRY_COUNT * targets::ENTRY_LEN) as u64,
    ]
}

/// Bytes of all tables of coder 6 together.
#[must_use]
pub fn projection_len(shape: &StreamShape) -> u64 {
    projection_lens(shape).iter().sum()
}

/// The tables of coder 6 over `work`, which has [`projection_len`] bytes.
///
/// # Errors
/// `WorkspaceTooSmall`.
pub fn projection<'w>(shape: &StreamShape, work: &'w mut [u8]) -> Result<Projection<'w>> {
    let [old, new, runs, covers, order, entries, ends, targets] = projection_lens(shape);
    let mut cut = Cutter(work);
    let (old, new) = (Segments::new(cut.table(old)?), Segments::new(cut.table(new)?));
    let runs = cut.table(runs)?;
    let (covers, order) = (cut.table(covers)?, cut.table(order)?);
    let index = Index::new(cut.table(entries)?, cut.table(ends)?);
    let map = CoverMap::with_index(covers, order, index);
    let targets = Targets::new(cut.table(targets)?);
    Ok(Projection::new(Space::new(old, new, runs, map).with_targets(targets)))
}
