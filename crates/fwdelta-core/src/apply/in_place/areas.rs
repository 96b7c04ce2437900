//! Where things are in the caller's memory, and how much scratch flash is needed.

use super::book::ENTRY_LEN;
use super::excerpts::EXCERPT_LEN;
use super::machine::Machine;
use crate::apply::areas::{AreaParts, Areas, RECORDS_MORE};
use crate::apply::journal::Stateful;
use crate::apply::workspace::Parts;
use crate::error::{Detail, Result};
use crate::format::delta::{DeltaHeader, InPlace};
use crate::state::Measure;

/// Bytes of a mark for each page of new.
pub(in crate::apply) fn marks_len(in_place: &InPlace, new_len: u64) -> u64 {
    in_place.pages(new_len).count().div_ceil(8)
}

/// Bytes of the table of spare pages.
fn spare_len(in_place: &InPlace) -> u64 {
    u64::from(in_place.spare_count).saturating_mul(ENTRY_LEN as u64)
}

/// Bytes of working memory for the table of excerpts.
#[must_use]
pub fn excerpts_len(in_place: &InPlace) -> u64 {
    u64::from(in_place.room.count).saturating_mul(EXCERPT_LEN as u64)
}

/// Bytes of the tables of spare pages and of excerpts.
pub(in crate::apply) fn book_len(in_place: &InPlace) -> u64 {
    spare_len(in_place).saturating_add(excerpts_len(in_place))
}

/// The caller's memory, cut.
pub(super) struct Memory<'w> {
    pub(super) marks: &'w mut [u8],
    pub(super) spare: &'w mut [[u8; ENTRY_LEN]],
    pub(super) excerpts: &'w mut [[u8; EXCERPT_LEN]],
    pub(super) coder: &'w mut [u8],
    pub(super) input: &'w mut [u8],
    pub(super) output: &'w mut [u8],
}

impl<'w> Memory<'w> {
    /// Cuts `work`, which has `Applier::workspace` bytes.
    pub(super) fn cut(header: &DeltaHeader, work: &'w mut [u8]) -> Result<Self> {
        let parts = Parts::of(header);
        let (marks, book, rest) = parts.split_book(work)?;
        let (coder, input, output) = parts.split(rest)?;
        let spare_len = spare_len(&super::parameters(header)?) as usize;
        let (spare, excerpts) = book.split_at_mut_checked(spare_len).ok_or(Detail::Bug)?;
        let (spare, _) = spare.as_chunks_mut::<ENTRY_LEN>();
        let (excerpts, _) = excerpts.as_chunks_mut::<EXCERPT_LEN>();
        Ok(Self { marks, spare, excerpts, coder, input, output })
    }
}

impl Areas {
    /// For flash that is programmed in units of `write_len` bytes, beside a slot that is rewritten
    /// in place: spare pages, then two areas for checkpoints. The content of `work`, of
    /// `Applier::workspace` bytes, is lost.
    ///
    /// # Errors
    /// `BadArgument` for a delta that is not applied in place, `WorkspaceTooSmall`.
    #[inline(never)]
    pub fn of(header: &DeltaHeader, write_len: u16, work: &mut [u8]) -> Result<Self> {
        let mut machine = Machine::vacant(header, &super::parameters(header)?);
        machine.lend(work, false)?;
        Self::of_machine(&mut machine, write_len)
    }

    /// The same for a machine between two pages.
    pub(super) fn of_machine(machine: &mut Machine<'_>, write_len: u16) -> Result<Self> {
        let in_place = super::parameters(&machine.header)?;
        let mut measure = Measure::default();
        machine.state(&mut measure)?;
        let parts = AreaParts {
            page_len: in_place.pages(machine.header.new.len).largest(),
            spare_count: in_place.spare_count.into(),
            state_len: measure.0,
            excerpts_len: in_place.room.len.into(),
            record_count: RECORDS_MORE.saturating_add(in_place.interval.into()),
        };
        Self::new(&parts, write_len)
    }
}
