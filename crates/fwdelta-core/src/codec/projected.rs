//! Coder 6 (docs/format-delta.md, section 9.12): old bytes are projected into new, and what that
//! gets wrong is corrected; all symbols stand in streams, in blocks, under a general decompressor.
//!
//! Nothing is learnt from new, so that long stretches are projected at once.

use super::blocks::Blocks;
use super::predict::{self, Counts, Number, Numbers, Prologue, Tables};
use super::window::Window;
use super::{Decompressor, Feed, Op, Saved, Symbols, copy};
use crate::error::{Detail, Result};
use crate::exec::project::{Projection, Stand};
use crate::format::shape::StreamShape;
use crate::state::Visit;
use crate::storage::Source;

/// Numbers of the prologue read in one call.
const STEP_COUNT_MAX: u32 = 1024;

/// Streams of a block.
pub const PROJECTED_STREAM_COUNT: usize = 8;

/// A stream's number within a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Numbers: segments and runs.
    Layout = 0,
    /// Numbers: literals before each cover.
    LiteralLen = 1,
    /// Numbers: bytes of each cover, less one.
    CoverLen = 2,
    /// Numbers: which of the last diagonals each cover is on, and whether it is in the map.
    Diagonal = 3,
    /// Numbers: how far from the last cover another diagonal starts, folded.
    Distance = 4,
    /// Numbers: bytes before the next one that is not as projected.
    Gap = 5,
    /// What is added to such bytes.
    Residual = 6,
    /// Literal bytes.
    Literal = 7,
}

impl Kind {
    /// The stream that a number of the prologue stands in.
    #[must_use]
    pub const fn of(number: Number) -> Self {
        match number {
            Number::Gap => Self::LiteralLen,
            Number::ListedLen => Self::CoverLen,
            Number::ListedDiagonal => Self::Diagonal,
            Number::ListedDistance => Self::Distance,
            _ => Self::Layout,
        }
    }
}

/// Numbers out of the streams of a block.
struct Streamed<'a, 'w>(&'a mut Blocks<'w, PROJECTED_STREAM_COUNT>);

impl Numbers for Streamed<'_, '_> {
    fn number(&mut self, number: Number, _: u32, _: u64) -> Result<u64> {
        self.0.number(Kind::of(number) as usize)
    }
}

/// Decoder state between calls.
#[derive(Debug)]
pub(crate) struct Projected<'w> {
    blocks: Blocks<'w, PROJECTED_STREAM_COUNT>,
    projection: Projection<'w>,
    /// What is left of the prologue, if anything.
    prologue: Option<Prologue>,
    counts: Counts,
    window: Window<'w>,
    /// Projected bytes of the cover at hand.
    ready: &'w mut [u8],
    ready_pos: usize,
    ready_len: usize,
    stand: Stand,
    /// Number of the next cover.
    listed: usize,
    /// Where the operation at hand ends in new.
    pos: u64,
    new_len: u64,
    zeros: u64,
    residual_due: bool,
}

impl<'w> Projected<'w> {
    /// Before the first byte, over `work` of as many bytes as `shape` says; `lens` are those of old
    /// and new.
    ///
    /// # Errors
    /// `WorkspaceTooSmall`.
    pub(crate) fn open(shape: &StreamShape, work: &'w mut [u8], lens: (u64, u64)) -> Result<Self> {
        let (old_len, new_len) = lens;
        let (tables, work) = cut(work, predict::projection_len(shape))?;
        let (block, work) = cut(work, shape.block_len.into())?;
        let (window, work) = cut(work, 1 << (shape.buffer_log & 31))?;
        let (ready, _) = cut(work, 1 << (shape.buffer_log & 31))?;
        Ok(Self {
            blocks: Blocks::new(shape.window_log, block),
            projection: predict::projection(shape, tables)?,
            prologue: Some(Prologue::default()),
            counts: Counts::from(shape),
            window: Window::new(window, old_len),
            ready,
            ready_pos: 0,
            ready_len: 0,
            stand: Stand::default(),
            listed: 0,
            pos: 0,
            new_len,
            zeros: 0,
            residual_due: false,
        })
    }

    /// The operation after the last one was finished.
    fn next_op(&mut self) -> Result<Op> {
        let cover = self.projection.space.map.cover(self.listed);
        let start = cover.map_or(self.new_len, |cover| cover.new_pos.into());
        let len = start.checked_sub(self.pos).ok_or(Detail::BadCover)?;
        if len > 0 {
            self.pos = start;
            return Ok(Op::Literal { len });
        }
        let cover = cover.ok_or(Detail::BadCover)?;
        let (old_pos, len) = (cover.old_pos.into(), cover.len.into());
        self.stand = Stand { old_pos, new_pos: start, left: len };
        self.projection.start_projection(&cover);
        self.listed += 1;
        self.pos = start.saturating_add(len);
        Ok(Op::Cover { old_pos, len })
    }

    /// Projects bytes of the cover into `out`; gives how many, none where whole units do not fit.
    fn project<S: Source>(&mut self, old: &mut S, out: &mut [u8]) -> Result<usize> {
        let view = self.window.around(old, self.stand.old_pos, self.stand.left)?;
        let most = out.len().min(self.ready.len());
        let out = out.get_mut(..most).unwrap_or(&mut []);
        Ok(self.projection.project(view, &mut self.stand, out))
    }

    /// Projects one unit, to be handed out later.
    fn project_unit<S: Source>(&mut self, old: &mut S) -> Result<()> {
        let view = self.window.around(old, self.stand.old_pos, self.stand.left)?;
        let (bytes, len) = self.projection.project_unit(view, &mut self.stand);
        (self.ready_pos, self.ready_len) = (0, len);
        copy(self.ready, &bytes);
        Ok(())
    }

    /// Corrects bytes as projected; gives how many are right then, which is less than all when more
    /// input is needed.
    fn correct<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        bytes: &mut [u8],
    ) -> Result<usize> {
        let mut at = 0usize;
        loop {
            let left = bytes.len().saturating_sub(at);
            if self.zeros >= left as u64 {
                self.zeros = self.zeros.saturating_sub(left as u64);
                return Ok(bytes.len());
            }
            at = at.saturating_add(self.zeros as usize);
            self.zeros = 0;
            if !self.blocks.is_ready(feed)? {
                return Ok(at);
            }
            if self.residual_due {
                let value = self.blocks.byte(Kind::Residual as usize)?;
                let byte = bytes.get_mut(at).filter(|_| value != 0).ok_or(Detail::BadStream)?;
                *byte = byte.wrapping_add(value);
                at = at.saturating_add(1);
            } else {
                self.zeros = self.blocks.number(Kind::Gap as usize)?;
            }
            self.residual_due = !self.residual_due;
        }
    }
}

fn cut(work: &mut [u8], len: u64) -> Result<(&mut [u8], &mut [u8])> {
    let len = usize::try_from(len).map_err(|_| Detail::WorkspaceTooSmall)?;
    work.split_at_mut_checked(len).ok_or(Detail::WorkspaceTooSmall.into())
}

impl Symbols for Projected<'_> {
    fn op<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        _: u64,
    ) -> Result<Option<Op>> {
        let mut steps_left = STEP_COUNT_MAX;
        while let Some(prologue) = &mut self.prologue {
            let (space, tables) = (&mut self.projection.space, Tables::default());
            if prologue.is_done(&self.counts, space) {
                self.prologue = None;
                break;
            }
            if steps_left == 0 {
                return Ok(Some(Op::Literal { len: 0 }));
            }
            steps_left -= 1;
            if !self.blocks.is_ready(feed)? {
                return Ok(None);
            }
            prologue.advance(&mut Streamed(&mut self.blocks), &self.counts, space, &tables)?;
        }
        self.next_op().map(Some)
    }

    fn literal<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        out: &mut [u8],
    ) -> Result<usize> {
        self.blocks.copy(feed, Kind::Literal as usize, out)
    }

    fn cover<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        _: u64,
        out: &mut [u8],
        _: u64,
    ) -> Result<usize> {
        let mut done = 0usize;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let ready = self.ready.get(self.ready_pos..self.ready_len).unwrap_or(&[]);
            let mut count = copy(rest, ready);
            self.ready_pos += count;
            let was_ready = count > 0;
            if !was_ready {
                if self.stand.left == 0 {
                    break;
                }
                count = self.project(old, rest)?;
                if count == 0 {
                    self.project_unit(old)?;
                    continue;
                }
            }
            let made = rest.get_mut(..count).unwrap_or(&mut []);
            let right = self.correct(feed, made)?;
            done += right;
            if right < count {
                // What no correction is at hand for is kept; if it came from there, it goes back.
                let wrong = made.get(right..).unwrap_or(&[]);
                if !was_ready {
                    (self.ready_pos, self.ready_len) = (0, copy(self.ready, wrong));
                } else {
                    self.ready_pos = self.ready_pos.saturating_sub(wrong.len());
                }
                break;
            }
        }
        Ok(done)
    }

    fn end<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<Option<()>> {
        if self.zeros == 0 { self.blocks.end(feed) } else { Err(Detail::BadStream.into()) }
    }
}

impl Saved for Projected<'_> {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.blocks.state(visit)?;
        self.projection.state(visit)?;
        // Between two bytes of new the prologue has not begun or is over.
        let mut is_over = self.prologue.is_none();
        visit.flag(&mut is_over)?;
        self.prologue = self.prologue.take().filter(|_| !is_over);
        self.window.forget();
        visit.bytes(self.ready)?;
        let lens = [&mut self.ready_pos, &mut self.ready_len, &mut self.listed];
        lens.into_iter().try_for_each(|len| visit.index(len))?;
        let Stand { old_pos, new_pos, left } = &mut self.stand;
        let numbers = [old_pos, new_pos, left, &mut self.pos, &mut self.zeros];
        numbers.into_iter().try_for_each(|number| visit.u64(number))?;
        visit.flag(&mut self.residual_due)
    }
}
