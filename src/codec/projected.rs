//! Coder 6: old bytes are projected by the code that the decoder uses, and what that gets wrong is
//! written into streams.

use fwdelta_core::codec::blocks::VARINT_LEN_MAX;
use fwdelta_core::codec::predict::{self, Counts, Number, Numbers, Prologue, Tables};
use fwdelta_core::codec::projected::{Kind, PROJECTED_STREAM_COUNT};
use fwdelta_core::exec::map::Listed;
use fwdelta_core::exec::project::{Projection, Stand, View};
use fwdelta_core::exec::unit::UNIT_LEN_MAX;
use fwdelta_core::format::shape::StreamShape;
use fwdelta_core::{Detail, Result};

use super::blocks::Blocks;
use super::equal_len;
use super::predict::Plan;
use crate::matching::Cover;

/// Bytes projected at a time.
const PIECE_LEN: usize = 1 << 16;

struct Streamed<'a>(&'a mut Blocks<PROJECTED_STREAM_COUNT>);

impl Numbers for Streamed<'_> {
    fn number(&mut self, number: Number, _: u32, value: u64) -> Result<u64> {
        if value.checked_shr(7 * VARINT_LEN_MAX as u32).is_some_and(|rest| rest > 0) {
            return Err(Detail::BadStream.into());
        }
        self.0.number(Kind::of(number) as usize, value);
        Ok(value)
    }
}

impl Plan<'_> {
    /// `shape` with the numbers of entries that this plan has for coder 6.
    #[must_use]
    pub fn stream_counted(&self, shape: StreamShape) -> StreamShape {
        StreamShape {
            old_segments: self.old_segments.len() as u32,
            new_segments: self.new_segments.len() as u32,
            runs: self.runs.len() as u32,
            covers: self.covers.len() as u32,
            ..shape
        }
    }
}

/// The content of the frame; `shape` is [`Plan::stream_counted`].
///
/// # Errors
/// `BadStream` for numbers that the format does not hold.
pub fn content(plan: &Plan<'_>, shape: &StreamShape) -> Result<Vec<u8>> {
    if plan.new.is_empty() {
        // Without an operation, nothing of the prologue is read.
        return Ok(Vec::new());
    }
    let len = usize::try_from(predict::projection_len(shape)).unwrap_or(usize::MAX);
    let mut work = vec![0; len];
    let mut blocks = Blocks::new(shape.block_len);
    let mut projection = started(plan, shape, &mut work, &mut blocks)?;
    let corrections = corrections(plan, &mut projection);
    let mut writer = Writer { blocks, corrections: corrections.into_iter(), gap: 0, due: None };
    let mut end = 0;
    for cover in plan.covers {
        let start = cover.new_pos as usize;
        writer.blocks.bytes(Kind::Literal as usize, &plan.new[end..start]);
        end = start + cover.len as usize;
        writer.cover(cover.len);
    }
    writer.blocks.bytes(Kind::Literal as usize, &plan.new[end..]);
    Ok(writer.blocks.finish())
}

/// Bytes as projected, and what is to be added to the one after them; nothing after the last.
type Correction = (u64, Option<u8>);

/// Writes gaps and residuals where a decoder asks for them: blocks may end in between.
struct Writer {
    blocks: Blocks<PROJECTED_STREAM_COUNT>,
    corrections: std::vec::IntoIter<Correction>,
    gap: u64,
    due: Option<u8>,
}

impl Writer {
    fn cover(&mut self, mut left: u64) {
        while left > 0 {
            if self.gap > 0 {
                let count = self.gap.min(left);
                (self.gap, left) = (self.gap - count, left - count);
            } else if let Some(residual) = self.due.take() {
                self.blocks.bytes(Kind::Residual as usize, &[residual]);
                left -= 1;
            } else if let Some((gap, residual)) = self.corrections.next() {
                self.blocks.number(Kind::Gap as usize, gap);
                (self.gap, self.due) = (gap, residual);
            }
        }
    }
}

/// A projection that knows what `blocks` is told: segments, runs and covers of `plan`.
pub(super) fn started<'w>(
    plan: &Plan<'_>,
    shape: &StreamShape,
    work: &'w mut [u8],
    blocks: &mut Blocks<PROJECTED_STREAM_COUNT>,
) -> Result<Projection<'w>> {
    let mut projection = predict::projection(shape, work)?;
    let covers: Vec<Listed> = plan.covers.iter().map(Listed::from).collect();
    let mut mapped = plan.map.iter().peekable();
    let hidden: Vec<bool> = covers
        .iter()
        .map(|cover| mapped.next_if(|mapped| mapped.new_pos == cover.new_pos).is_none())
        .collect();
    let tables = Tables {
        old: plan.old_segments,
        new: plan.new_segments,
        runs: plan.runs,
        covers: &covers,
        hidden: &hidden,
    };
    let (counts, mut prologue) = (Counts::from(shape), Prologue::default());
    let space = &mut projection.space;
    while prologue.step(&mut Streamed(blocks), &counts, space, &tables)? {}
    Ok(projection)
}

/// Where the projection of the covers, one after the other, differs from new.
fn corrections(plan: &Plan<'_>, projection: &mut Projection<'_>) -> Vec<Correction> {
    let view = View { start: 0, bytes: plan.old };
    let (mut corrections, mut gap) = (Vec::new(), 0);
    let mut piece = vec![0; PIECE_LEN];
    for cover in plan.covers {
        let Cover { old_pos, new_pos, len } = *cover;
        let mut stand = Stand { old_pos, new_pos, left: len };
        projection.start_projection(&Listed::from(cover));
        while stand.left > 0 {
            let at = stand.new_pos as usize;
            let mut done = projection.project(view, &mut stand, &mut piece);
            if done == 0 {
                let unit;
                (unit, done) = projection.project_unit(view, &mut stand);
                piece[..UNIT_LEN_MAX].copy_from_slice(&unit);
            }
            compare(&piece[..done], &plan.new[at..][..done], &mut gap, &mut corrections);
        }
    }
    if gap > 0 {
        corrections.push((gap, None));
    }
    corrections
}

/// Adds where `made` differs from `new`; `gap` counts bytes since the last such.
fn compare(mut made: &[u8], mut new: &[u8], gap: &mut u64, corrections: &mut Vec<Correction>) {
    loop {
        let equal = equal_len(made, new);
        *gap += equal as u64;
        let ([made_byte, made_rest @ ..], [new_byte, new_rest @ ..]) =
            (&made[equal..], &new[equal..])
        else {
            return;
        };
        corrections.push((std::mem::take(gap), Some(new_byte.wrapping_sub(*made_byte))));
        (made, new) = (made_rest, new_rest);
    }
}
