//! Old bytes around the unit at hand.

use crate::error::{Detail, Error, Result};
use crate::exec::project::{SIGHT, View};
use crate::exec::unit::LOOK_BEHIND;
use crate::storage::Source;

/// A piece of old in memory.
#[derive(Debug)]
pub(crate) struct Window<'w> {
    buf: &'w mut [u8],
    start: u64,
    len: usize,
    old_len: u64,
}

impl<'w> Window<'w> {
    /// Shows nothing yet.
    pub(crate) fn new(buf: &'w mut [u8], old_len: u64) -> Self {
        Self { buf, start: 0, len: 0, old_len }
    }

    /// Bytes of old.
    pub(crate) const fn old_len(&self) -> u64 {
        self.old_len
    }

    /// Makes the surroundings of the unit at `pos` readable; `left` bytes of its cover are left.
    pub(crate) fn show<S: Source>(&mut self, old: &mut S, pos: u64, left: u64) -> Result<()> {
        let from = pos.saturating_sub(LOOK_BEHIND as u64);
        let to = self.old_len.min(pos.saturating_add(SIGHT));
        if from < self.start || to > self.start + self.len as u64 {
            let end = self.old_len.min(pos.saturating_add(left).saturating_add(SIGHT));
            let len = end.saturating_sub(from).min(self.buf.len() as u64) as usize;
            self.fill(old, from, len)?;
        }
        Ok(())
    }

    /// The surroundings of the unit at `pos`, where they stand if they are in memory; `left` bytes
    /// of its cover are left.
    pub(crate) fn around<'a, S: Source>(
        &'a mut self,
        old: &'a mut S,
        pos: u64,
        left: u64,
    ) -> Result<View<'a>> {
        let start = pos.saturating_sub(LOOK_BEHIND as u64);
        let end = self.old_len.min(pos.saturating_add(left).saturating_add(SIGHT));
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        if old.in_memory(start, len).is_none() {
            self.show(old, pos, left)?;
            return Ok(self.view());
        }
        Ok(View { start, bytes: old.in_memory(start, len).unwrap_or(&[]) })
    }

    /// Shows `len` bytes from `from` on, at most as many as there is room for.
    pub(crate) fn fill<S: Source>(&mut self, old: &mut S, from: u64, len: usize) -> Result<()> {
        let len = len.min(self.buf.len());
        let room = self.buf.get_mut(..len).ok_or(Detail::Bug)?;
        old.read(from, room).map_err(|_| Error::at(Detail::ReadFailed, from))?;
        (self.start, self.len) = (from, len);
        Ok(())
    }

    /// Shows nothing: what is read from now on may be other bytes.
    pub(crate) fn forget(&mut self) {
        self.len = 0;
    }

    /// What is shown.
    pub(crate) fn view(&self) -> View<'_> {
        View { start: self.start, bytes: self.buf.get(..self.len).unwrap_or(&[]) }
    }
}
