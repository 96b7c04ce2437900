//! Where things are: in the caller's memory, and in the scratch flash beside the slot.

use super::book::ENTRY_LEN;
use super::journal::{JOURNAL_RECORD_LEN, SEAL_LEN};
use super::machine::Machine;
use crate::apply::workspace::Parts;
use crate::error::{Detail, Result};
use crate::format::delta::{DeltaHeader, InPlace};
use crate::state::Measure;

/// Records after a seal besides one for each page: that the seal is whole, and that all is done.
const RECORDS_MORE: u64 = 2;

/// Bytes of a mark for each page of new.
pub(in crate::apply) fn marks_len(in_place: &InPlace, new_len: u64) -> u64 {
    in_place.pages(new_len).count().div_ceil(8)
}

/// Bytes of the table of spare pages.
pub(in crate::apply) fn book_len(in_place: &InPlace) -> u64 {
    u64::from(in_place.spare_count).saturating_mul(ENTRY_LEN as u64)
}

/// `len` in whole write units; a unit of 0 bytes is none.
const fn whole(len: u64, write_len: u64) -> u64 {
    match len.checked_next_multiple_of(write_len) {
        Some(len) => len,
        None => len,
    }
}

/// The caller's memory, cut.
pub(super) struct Memory<'w> {
    pub(super) marks: &'w mut [u8],
    pub(super) spare: &'w mut [[u8; ENTRY_LEN]],
    pub(super) coder: &'w mut [u8],
    pub(super) input: &'w mut [u8],
    pub(super) output: &'w mut [u8],
}

impl<'w> Memory<'w> {
    /// Cuts `work`, which has `Applier::workspace` bytes.
    pub(super) fn cut(header: &DeltaHeader, work: &'w mut [u8]) -> Result<Self> {
        let parts = Parts::of(header);
        let (marks, spare, rest) = parts.split_book(work)?;
        let (coder, input, output) = parts.split(rest)?;
        let (spare, _) = spare.as_chunks_mut::<ENTRY_LEN>();
        Ok(Self { marks, spare, coder, input, output })
    }
}

/// Where things are in the scratch flash: spare pages, then two areas of equal length that take
/// turns. An area holds a state, a seal, then records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    page_len: u64,
    spare_count: u64,
    write_len: u64,
    state_len: u64,
    area_len: u64,
}

impl Areas {
    /// For flash that is programmed in units of `write_len` bytes. The content of `work`, of
    /// `Applier::workspace` bytes, is lost.
    ///
    /// # Errors
    /// `BadArgument` for a delta that is not applied in place, `WorkspaceTooSmall`.
    #[inline(never)]
    pub fn of(header: &DeltaHeader, write_len: u16, work: &mut [u8]) -> Result<Self> {
        let in_place = super::parameters(header)?;
        let mut measure = Measure::default();
        // Not moved out: it is large, and a microcontroller's stack is small.
        match &mut Machine::new(header, Memory::cut(header, work)?, false) {
            Ok(machine) => machine.state(&mut measure)?,
            Err(error) => return Err(*error),
        }
        let write_len = u64::from(write_len.max(1));
        let whole = |len: u64| whole(len, write_len);
        let records = RECORDS_MORE.saturating_add(in_place.interval.into());
        let state_len = whole(measure.0);
        let tail_len =
            whole(SEAL_LEN as u64) + records.saturating_mul(whole(JOURNAL_RECORD_LEN as u64));
        let page_len = u64::from(in_place.page_len);
        let area_len = state_len.saturating_add(tail_len).checked_next_multiple_of(page_len);
        Ok(Self {
            page_len,
            spare_count: in_place.spare_count.into(),
            write_len,
            state_len,
            area_len: area_len.ok_or(Detail::NoSpace)?,
        })
    }

    /// Bytes of scratch flash, a multiple of the page length.
    #[must_use]
    pub const fn scratch_len(&self) -> u64 {
        self.area_pos(2)
    }

    /// Bytes of one of the two areas for checkpoints.
    #[must_use]
    pub const fn area_len(&self) -> u64 {
        self.area_len
    }

    /// Bytes of state in a checkpoint.
    #[must_use]
    pub const fn state_len(&self) -> u64 {
        self.state_len
    }

    pub(super) const fn spare_pos(&self, spare: u64) -> u64 {
        spare.saturating_mul(self.page_len)
    }

    pub(super) const fn area_pos(&self, area: u64) -> u64 {
        self.spare_pos(self.spare_count).saturating_add(self.area_len.saturating_mul(area))
    }

    pub(super) const fn seal_pos(&self, area: u64) -> u64 {
        self.area_pos(area).saturating_add(self.state_len)
    }

    /// Bytes from one record to the next.
    pub(super) const fn record_step(&self) -> u64 {
        whole(JOURNAL_RECORD_LEN as u64, self.write_len)
    }

    /// Where record number `record` stands.
    pub(super) const fn record_pos(&self, area: u64, record: u32) -> u64 {
        let seal_len = whole(SEAL_LEN as u64, self.write_len);
        let before = self.record_step().saturating_mul(record as u64);
        self.seal_pos(area).saturating_add(seal_len).saturating_add(before)
    }

    /// Records that fit an area.
    pub(super) const fn record_count(&self) -> u32 {
        let start = self.record_pos(0, 0);
        let room = self.area_pos(1).saturating_sub(start);
        match room.checked_div(self.record_step()) {
            Some(count) if count < u32::MAX as u64 => count as u32,
            _ => u32::MAX,
        }
    }
}
