//! Which pages are old, which are new, and where old ones were saved to.

use crate::error::Result;
use crate::format::pages::{InPlace, Pages};
use crate::state::Visit;

/// Bytes of an entry of the table of spare pages.
pub(in crate::apply) const ENTRY_LEN: usize = 4;

/// Where an old page can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Slot,
    Spare(u64),
    /// Overwritten too long ago.
    Lost,
}

/// Accounts for the pages of one image.
#[derive(Debug)]
pub(super) struct Book<'w> {
    pub(super) pages: Pages,
    reach: u32,
    spare_count: u32,
    /// A bit for each page: whether new has the same bytes as old there.
    kept: &'w mut [u8],
    /// For each spare page the number of the old page in it, plus 1.
    spare: &'w mut [[u8; ENTRY_LEN]],
    /// Place in the order of the page at hand.
    pub(super) place: u64,
    /// Pages before it that are rewritten: the page at hand, if it is, has this number.
    pub(super) count: u32,
    /// Rewritten pages that are saved.
    pub(super) saved: u32,
}

impl<'w> Book<'w> {
    pub(super) fn new(
        in_place: &InPlace,
        pages: Pages,
        kept: &'w mut [u8],
        spare: &'w mut [[u8; ENTRY_LEN]],
    ) -> Self {
        spare.fill([0; ENTRY_LEN]);
        let (reach, spare_count) = (in_place.reach(), u32::from(in_place.spare_count));
        Self { pages, reach, spare_count, kept, spare, place: 0, count: 0, saved: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.place >= self.pages.count()
    }

    /// The page at hand.
    pub(super) fn page(&self) -> u64 {
        self.pages.page_at(self.place)
    }

    pub(super) fn is_kept(&self, page: u64) -> bool {
        let byte = usize::try_from(page >> 3).ok().and_then(|at| self.kept.get(at));
        byte.is_some_and(|byte| byte >> (page & 7) & 1 != 0)
    }

    /// Marks the page at hand as the same in old and new, or not.
    pub(super) fn mark(&mut self, is_kept: bool) {
        let page = self.page();
        let byte = usize::try_from(page >> 3).ok().and_then(|at| self.kept.get_mut(at));
        if let Some(byte) = byte {
            *byte = *byte & !(1 << (page & 7)) | u8::from(is_kept) << (page & 7);
        }
    }

    pub(super) fn marks(&self) -> &[u8] {
        self.kept
    }

    /// The spare page that rewritten page number `number` is saved to.
    pub(super) fn spare_of(&self, number: u32) -> u64 {
        number.checked_rem(self.spare_count).unwrap_or(0).into()
    }

    /// The page at hand is saved.
    pub(super) fn enter_saved(&mut self) {
        let (spare, page) = (self.spare_of(self.count), self.page());
        if let Some(entry) = self.spare.get_mut(spare as usize) {
            *entry = (page as u32).wrapping_add(1).to_le_bytes();
        }
        self.saved = self.count.saturating_add(1);
    }

    /// The page at hand is done.
    pub(super) fn leave(&mut self) {
        self.count = self.count.saturating_add(u32::from(!self.is_kept(self.page())));
        self.place = self.place.saturating_add(1);
    }

    /// Where old page `page` is as far as the page at hand may use it. What is lost is so even
    /// where it happens to be there still: the generator counts on nothing else.
    pub(super) fn home(&self, page: u64) -> Home {
        let known = (page as u32).wrapping_add(1).to_le_bytes();
        if let Some(spare) = self.spare.iter().position(|entry| *entry == known) {
            // The last number, of those saved, that went there.
            let last = self.saved.saturating_sub(1);
            let back = self.spare_of(last.wrapping_sub(spare as u32));
            let number = last.saturating_sub(back as u32);
            let is_near = number.saturating_add(self.reach) >= self.count;
            return if is_near { Home::Spare(spare as u64) } else { Home::Lost };
        }
        let is_rewritten = self.pages.place_of(page) < self.place && !self.is_kept(page);
        if is_rewritten { Home::Lost } else { Home::Slot }
    }

    /// Goes through it all; the table of spare pages is made again from the rest.
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.kept)?;
        visit.u64(&mut self.place)?;
        visit.u32(&mut self.count)?;
        visit.u32(&mut self.saved)
    }

    /// Makes the table of spare pages again, after `saved` pages were.
    pub(super) fn restore(&mut self, saved: u32) {
        let (place, count) = (self.place, self.count);
        self.saved = saved.max(self.saved);
        let saved = self.saved;
        (self.place, self.count) = (0, 0);
        while self.count < saved && !self.is_done() {
            if !self.is_kept(self.page()) {
                self.enter_saved();
            }
            self.leave();
        }
        (self.place, self.count, self.saved) = (place, count, saved);
    }
}
