//! The interpreter's loop: operations of a coder into bytes of new.

use super::buffer::Buffer;
use crate::codec::{Decompressor, Feed, Op, Symbols};
use crate::error::{Detail, Error, Result};
use crate::state::Visit;
use crate::storage::Source;

/// Operations of no length in one call before it yields.
const IDLE_COUNT_MAX: u32 = 256;

/// Where the interpreter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Op,
    Literal { left: u64 },
    Cover { old_pos: u64, left: u64 },
    Done,
}

impl Phase {
    /// Goes through it, for a state that is saved.
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        let (mut number, mut pos, mut len) = match *self {
            Self::Op => (0, 0, 0),
            Self::Literal { left } => (1, 0, left),
            Self::Cover { old_pos, left } => (2, old_pos, left),
            Self::Done => (3, 0, 0),
        };
        visit.u8(&mut number)?;
        visit.u64(&mut pos)?;
        visit.u64(&mut len)?;
        *self = match number {
            0 => Self::Op,
            1 => Self::Literal { left: len },
            2 => Self::Cover { old_pos: pos, left: len },
            _ => Self::Done,
        };
        Ok(())
    }
}

/// Why the interpreter stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// More payload is needed.
    Starved,
    /// The buffer is to be written out.
    Full,
    /// Many operations of no length: the caller may want to do something else.
    Idle,
    /// All bytes of `left` are made.
    End,
}

/// The interpreter at work, generic over the coder.
pub(super) struct Run<'a, 'w> {
    pub(super) phase: &'a mut Phase,
    /// Bytes of new still to come, here without a jump.
    pub(super) left: &'a mut u64,
    pub(super) buffer: &'a mut Buffer<'w>,
    pub(super) old_len: u64,
}

impl Run<'_, '_> {
    pub(super) fn run<Y: Symbols, S: Source, D: Decompressor>(
        &mut self,
        symbols: &mut Y,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
    ) -> Result<Pause> {
        let mut idle_left = IDLE_COUNT_MAX;
        loop {
            if self.buffer.is_full() {
                return Ok(Pause::Full);
            }
            let progress = match *self.phase {
                Phase::Op => {
                    if *self.left == 0 {
                        return Ok(Pause::End);
                    }
                    idle_left -= 1;
                    if idle_left == 0 {
                        return Ok(Pause::Idle);
                    }
                    self.op(symbols, feed, old)?
                }
                Phase::Literal { left } => {
                    let done = symbols.literal(feed, old, self.buffer.room(left))? as u64;
                    self.written(done);
                    let left = left.saturating_sub(done);
                    *self.phase = if left == 0 { Phase::Op } else { Phase::Literal { left } };
                    done > 0
                }
                Phase::Cover { old_pos, left } => {
                    let room = self.buffer.room(left);
                    let done = symbols.cover(feed, old, old_pos, room, left)? as u64;
                    self.written(done);
                    let (old_pos, left) = (old_pos.saturating_add(done), left.saturating_sub(done));
                    *self.phase = match left {
                        0 => Phase::Op,
                        _ => Phase::Cover { old_pos, left },
                    };
                    done > 0
                }
                Phase::Done => return Ok(Pause::End),
            };
            if !progress {
                return Ok(Pause::Starved);
            }
        }
    }

    fn op<Y: Symbols, S: Source, D: Decompressor>(
        &mut self,
        symbols: &mut Y,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
    ) -> Result<bool> {
        let Some(op) = symbols.op(feed, old, *self.left)? else { return Ok(false) };
        let at = |pos| Error::at(Detail::BadCover, pos);
        let (Op::Literal { len } | Op::Cover { len, .. }) = op;
        if len > *self.left {
            return Err(at(self.buffer.pos()));
        }
        *self.phase = match op {
            Op::Literal { len: 0 } | Op::Cover { len: 0, .. } => Phase::Op,
            Op::Literal { len } => Phase::Literal { left: len },
            Op::Cover { old_pos, len } => {
                let end = old_pos.checked_add(len).filter(|end| *end <= self.old_len);
                end.ok_or(at(old_pos))?;
                Phase::Cover { old_pos, left: len }
            }
        };
        Ok(true)
    }

    fn written(&mut self, len: u64) {
        self.buffer.commit(len);
        *self.left = self.left.saturating_sub(len);
    }
}
