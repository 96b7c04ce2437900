//! Where things are in the scratch flash beside the slot.

use super::journal::{self, JOURNAL_RECORD_LEN, SEAL_LEN};
use crate::error::{Detail, Error, Result};
use crate::format::pages::InPlace;
use crate::storage::{Geometry, Target};

/// Records after a seal besides one for each page: that the seal is whole, and that all is done.
pub(super) const RECORDS_MORE: u64 = 2;

/// `len` in whole write units; a unit of 0 bytes is none.
const fn whole(len: u64, write_len: u64) -> u64 {
    match len.checked_next_multiple_of(write_len) {
        Some(len) => len,
        None => len,
    }
}

/// What scratch flash is for.
pub(super) struct AreaParts {
    /// Bytes that are erased together.
    pub(super) page_len: u64,
    /// Spare pages before the areas.
    pub(super) spare_count: u64,
    /// Bytes of state in a checkpoint.
    pub(super) state_len: u64,
    /// Bytes of old in a checkpoint, behind the state.
    pub(super) excerpts_len: u64,
    /// Records after a seal.
    pub(super) record_count: u64,
}

/// Where things are in the scratch flash: spare pages, then two areas of equal length that take
/// turns. An area holds a state, excerpts of old, a seal, then records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    page_len: u64,
    spare_count: u64,
    write_len: u64,
    /// Of a state alone: excerpts follow it at once.
    excerpts_at: u64,
    state_len: u64,
    area_len: u64,
}

impl Areas {
    /// Of flash that nothing is known of yet.
    pub(super) const NOWHERE: Self = Self {
        page_len: 0,
        spare_count: 0,
        write_len: 1,
        excerpts_at: 0,
        state_len: 0,
        area_len: 0,
    };

    /// Of `parts`, for flash that is programmed in units of `write_len` bytes.
    pub(super) fn new(parts: &AreaParts, write_len: u16) -> Result<Self> {
        let AreaParts { page_len, spare_count, state_len, excerpts_len, record_count } = *parts;
        let write_len = u64::from(write_len.max(1));
        let whole = |len: u64| whole(len, write_len);
        let excerpts_at = state_len;
        let state_len = whole(state_len.saturating_add(excerpts_len));
        let records_len = record_count.saturating_mul(whole(JOURNAL_RECORD_LEN as u64));
        let tail_len = whole(SEAL_LEN as u64).saturating_add(records_len);
        let area_len = state_len.saturating_add(tail_len).checked_next_multiple_of(page_len);
        let area_len = area_len.ok_or(Detail::NoSpace)?;
        Ok(Self { page_len, spare_count, write_len, excerpts_at, state_len, area_len })
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

    /// Bytes that an area has behind everything that may be written to it.
    #[must_use]
    pub const fn unused_len(&self, in_place: &InPlace) -> u64 {
        let count = RECORDS_MORE.saturating_add(in_place.interval as u64);
        let end = self.record_pos(0, count as u32).saturating_sub(self.area_pos(0));
        self.area_len.saturating_sub(end)
    }

    /// Bytes of state in a checkpoint, excerpts of old included.
    #[must_use]
    pub const fn state_len(&self) -> u64 {
        self.state_len
    }

    /// Checks that scratch flash of this geometry has room for all of it.
    pub(super) const fn check_room(&self, scratch: &Geometry) -> Result<()> {
        if self.scratch_len() <= scratch.len { Ok(()) } else { Err(Error::at(Detail::NoSpace, 0)) }
    }

    /// Checks that every spare page and both areas are whole sectors.
    pub(super) fn check_whole<X: Target>(&self, scratch: &X) -> Result<()> {
        for spare in 0..self.spare_count {
            journal::check_whole(scratch, self.spare_pos(spare), self.page_len)?;
        }
        (0..2)
            .try_for_each(|area| journal::check_whole(scratch, self.area_pos(area), self.area_len))
    }

    pub(super) const fn spare_pos(&self, spare: u64) -> u64 {
        spare.saturating_mul(self.page_len)
    }

    pub(super) const fn area_pos(&self, area: u64) -> u64 {
        self.spare_pos(self.spare_count).saturating_add(self.area_len.saturating_mul(area))
    }

    /// Where excerpts of old stand.
    pub(super) const fn excerpts_pos(&self, area: u64) -> u64 {
        self.area_pos(area).saturating_add(self.excerpts_at)
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
