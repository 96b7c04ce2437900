//! Coder 2 (docs/format-delta.md, section 7): symbols sorted by kind into streams, in blocks that
//! fit the workspace, under a general decompressor.

use super::blocks::{Blocks, unfolded};
use super::{Decompressor, Feed, Op, Saved, Symbols, moved};
use crate::error::{Detail, Result};
use crate::state::Visit;
use crate::storage::Source;

/// Streams of a block: control, gaps, residuals, literals.
pub const STREAM_COUNT: usize = 4;

/// A stream's number within a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Numbers: literal length, cover length less one, change of diagonal.
    Control = 0,
    /// Numbers: zero residuals before the next other one.
    Gap = 1,
    /// Residuals other than zero.
    Residual = 2,
    /// Literal bytes.
    Literal = 3,
}

/// What is decoded next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    LiteralLen,
    CoverLen,
    Place { len: u64 },
}

impl Due {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        let (mut number, mut len) = match *self {
            Self::LiteralLen => (0, 0),
            Self::CoverLen => (1, 0),
            Self::Place { len } => (2, len),
        };
        visit.u8(&mut number)?;
        visit.u64(&mut len)?;
        *self = match number {
            0 => Self::LiteralLen,
            1 => Self::CoverLen,
            _ => Self::Place { len },
        };
        Ok(())
    }
}

/// Decoder state between calls.
#[derive(Debug)]
pub(crate) struct Streams<'w> {
    blocks: Blocks<'w, STREAM_COUNT>,
    due: Due,
    new_pos: u64,
    diagonal: i64,
    zeros: u64,
    residual_due: bool,
}

impl<'w> Streams<'w> {
    /// Starts over `block`, whose length is the header's.
    pub(crate) fn new(window_log: u8, block: &'w mut [u8]) -> Self {
        Self {
            blocks: Blocks::new(window_log, block),
            due: Due::LiteralLen,
            new_pos: 0,
            diagonal: 0,
            zeros: 0,
            residual_due: false,
        }
    }
}

impl Symbols for Streams<'_> {
    fn op<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        _: u64,
    ) -> Result<Option<Op>> {
        loop {
            if !self.blocks.is_ready(feed)? {
                return Ok(None);
            }
            let value = self.blocks.number(Kind::Control as usize)?;
            match self.due {
                Due::LiteralLen => {
                    self.due = Due::CoverLen;
                    self.new_pos = self.new_pos.saturating_add(value);
                    return Ok(Some(Op::Literal { len: value }));
                }
                Due::CoverLen => self.due = Due::Place { len: value.saturating_add(1) },
                Due::Place { len } => {
                    self.due = Due::LiteralLen;
                    self.diagonal = self.diagonal.wrapping_add(unfolded(value));
                    let old_pos = moved(self.new_pos, self.diagonal)?;
                    self.new_pos = self.new_pos.saturating_add(len);
                    (self.zeros, self.residual_due) = (0, false);
                    return Ok(Some(Op::Cover { old_pos, len }));
                }
            }
        }
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
        old_pos: u64,
        out: &mut [u8],
        left: u64,
    ) -> Result<usize> {
        super::read_old(old, old_pos, out)?;
        let mut done = 0usize;
        while done < out.len() {
            let rest = out.get_mut(done..).unwrap_or(&mut []);
            if self.zeros > 0 {
                let here = usize::try_from(self.zeros).unwrap_or(usize::MAX).min(rest.len());
                self.zeros -= here as u64;
                done += here;
            } else if !self.blocks.is_ready(feed)? {
                break;
            } else if self.residual_due {
                let value = self.blocks.byte(Kind::Residual as usize)?;
                let byte = rest.first_mut().filter(|_| value != 0).ok_or(Detail::BadStream)?;
                *byte = byte.wrapping_add(value);
                self.residual_due = false;
                done += 1;
            } else {
                let gap = self.blocks.number(Kind::Gap as usize)?;
                if gap > left.saturating_sub(done as u64) {
                    return Err(Detail::BadCover.into());
                }
                (self.zeros, self.residual_due) = (gap, true);
            }
        }
        Ok(done)
    }

    fn end<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<Option<()>> {
        self.blocks.end(feed)
    }
}

impl Saved for Streams<'_> {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.blocks.state(visit)?;
        self.due.state(visit)?;
        visit.u64(&mut self.new_pos)?;
        visit.i64(&mut self.diagonal)?;
        visit.u64(&mut self.zeros)?;
        visit.flag(&mut self.residual_due)
    }
}
