//! Where units are coded: the cover at hand, and the run within it.

use crate::error::Result;
use crate::state::Visit;

/// Where a cover stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cover {
    pub(super) old_pos: u64,
    pub(super) left: u64,
    pub(super) done: u64,
    pub(super) streak: u32,
    pub(super) run: Run,
}

/// Units known to be as predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Run {
    #[default]
    None,
    /// An encoder counts.
    Counted(u64),
    /// A decoder knows that so many follow, then another unit, or the end of the cover.
    Left(u64),
}

impl Cover {
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.u64(&mut self.old_pos)?;
        visit.u64(&mut self.left)?;
        visit.u64(&mut self.done)?;
        visit.u32(&mut self.streak)?;
        let (mut number, mut count) = match self.run {
            Run::None => (0, 0),
            Run::Counted(count) => (1, count),
            Run::Left(count) => (2, count),
        };
        visit.u8(&mut number)?;
        visit.u64(&mut count)?;
        self.run = match number {
            0 => Run::None,
            1 => Run::Counted(count),
            _ => Run::Left(count),
        };
        Ok(())
    }
}
