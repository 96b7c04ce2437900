//! Which pages are old, which are new, and where old ones were saved to.

use super::excerpts::Excerpts;
use crate::apply::journal::Few;
use crate::error::{Detail, Result};
use crate::format::pages::{INTERVAL_MAX, InPlace, Pages, Span};
use crate::state::Visit;

/// Bytes of an entry of the table of spare pages: an old page and its number, both plus 1.
pub(in crate::apply) const ENTRY_LEN: usize = 8;

const AHEAD_COUNT: usize = INTERVAL_MAX as usize;

/// Where an old page can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Slot,
    Spare(u64),
    /// Overwritten, and no longer in a spare page.
    Lost,
}

/// Accounts for the pages of one image.
#[derive(Debug)]
pub(super) struct Book<'w> {
    pub(super) pages: Pages,
    spare_count: u32,
    interval: u32,
    /// A bit for each page that was rewritten, or is.
    rewritten: &'w mut [u8],
    spare: &'w mut [[u8; ENTRY_LEN]],
    pub(super) excerpts: Excerpts<'w>,
    /// Whether old pages of this interval are overwritten without being saved.
    is_unsaved: bool,
    /// Spare pages that this interval's pages are saved to.
    victims: [u8; AHEAD_COUNT],
    /// The page at hand, or that before it, and pages of its span still to come.
    page: u64,
    span_left: u64,
    /// Pages done.
    done: u64,
    /// Rewritten pages that are done: the number of the page at hand if it is one.
    pub(super) count: u32,
    /// Pages that earlier runs saved from the last checkpoint on.
    pub(super) ahead: Few,
}

impl<'w> Book<'w> {
    pub(super) fn new(
        in_place: &InPlace,
        pages: Pages,
        rewritten: &'w mut [u8],
        spare: &'w mut [[u8; ENTRY_LEN]],
        excerpts: Excerpts<'w>,
    ) -> Self {
        spare.fill([0; ENTRY_LEN]);
        rewritten.fill(0);
        Self {
            pages,
            spare_count: in_place.spare_count.into(),
            interval: in_place.interval.into(),
            rewritten,
            spare,
            excerpts,
            is_unsaved: false,
            victims: [0; AHEAD_COUNT],
            page: 0,
            span_left: 0,
            done: 0,
            count: 0,
            ahead: Few::default(),
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done >= self.pages.count()
    }

    /// The page at hand.
    pub(super) const fn page(&self) -> u64 {
        self.page
    }

    /// Where the page at hand is in the slot, whole.
    pub(super) fn place(&self) -> Span {
        self.pages.place(self.page)
    }

    /// Bytes of new in the page at hand.
    pub(super) fn bytes(&self) -> Span {
        self.pages.span(self.page, 1)
    }

    /// Whether the next page is not the next one in new.
    pub(super) const fn is_span_over(&self) -> bool {
        self.span_left == 0
    }

    /// A span of `count` pages begins, `by` pages from where the last one ended.
    pub(super) fn start_span(&mut self, by: i64, count: u64) -> Result<Span> {
        let last = self.page.saturating_add(u64::from(self.done > 0));
        let page = last.checked_add_signed(by).ok_or(Detail::BadStream)?;
        let end = page.checked_add(count).filter(|end| *end <= self.pages.count());
        end.filter(|_| count > 0).ok_or(Detail::BadStream)?;
        (self.page, self.span_left) = (page, count);
        Ok(self.pages.span(page, count))
    }

    /// Goes on to the next page of the span at hand.
    pub(super) const fn next_page(&mut self) {
        self.page = self.page.saturating_add(1);
    }

    fn bit(&mut self, page: u64) -> Option<(&mut u8, u8)> {
        let byte = usize::try_from(page >> 3).ok().and_then(|at| self.rewritten.get_mut(at))?;
        Some((byte, 1 << (page & 7)))
    }

    fn is_rewritten(&self, page: u64) -> bool {
        let byte = usize::try_from(page >> 3).ok().and_then(|at| self.rewritten.get(at));
        byte.is_some_and(|byte| byte >> (page & 7) & 1 != 0)
    }

    /// Marks the page at hand as one to rewrite.
    pub(super) fn mark(&mut self) {
        if let Some((byte, bit)) = self.bit(self.page) {
            *byte |= bit;
        }
    }

    /// Whether the page at hand is rewritten.
    pub(super) fn is_marked(&self) -> bool {
        self.is_rewritten(self.page)
    }

    /// How many spare pages are to be named before the page at hand is rewritten.
    pub(super) fn victims_due(&self) -> u32 {
        if self.count.checked_rem(self.interval) == Some(0) { self.interval } else { 0 }
    }

    /// Whether there is a choice of them.
    pub(super) const fn has_choice(&self) -> bool {
        self.spare_count > self.interval
    }

    fn entry(&self, spare: usize) -> (u32, u32) {
        let entry = self.spare.get(spare).copied().unwrap_or_default();
        let [a, b, c, d, e, f, g, h] = entry;
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    }

    fn set_entry(&mut self, spare: usize, page: u32, number: u32) {
        let ([a, b, c, d], [e, f, g, h]) = (page.to_le_bytes(), number.to_le_bytes());
        if let Some(entry) = self.spare.get_mut(spare) {
            *entry = [a, b, c, d, e, f, g, h];
        }
    }

    /// Whether the old pages of the interval that begins are lost at once, and all spare pages
    /// stay as they are.
    pub(super) fn set_unsaved(&mut self, is_unsaved: bool) {
        self.is_unsaved = is_unsaved;
        if is_unsaved {
            self.ahead = Few::default();
        }
    }

    /// Whether the page at hand is overwritten without being saved.
    pub(super) const fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// Page number `at` of this interval is saved to the spare page of this age: 0 is the one
    /// that was written longest ago, of those not named yet. What it held is lost from now on.
    pub(super) fn name_victim(&mut self, at: u32, age: u64) -> Result<()> {
        let before = self.victims.get(..at as usize).ok_or(Detail::Bug)?;
        let is_free = |spare: &usize| !before.contains(&(*spare as u8));
        let older = |spare: usize| {
            let key = (self.entry(spare).1, spare);
            let others = (0..self.spare.len()).filter(is_free);
            others.filter(|other| (self.entry(*other).1, *other) < key).count() as u64
        };
        let mut all = (0..self.spare.len()).filter(is_free);
        let spare = all.find(|spare| older(*spare) == age).ok_or(Detail::BadStream)?;
        *self.victims.get_mut(at as usize).ok_or(Detail::Bug)? = spare as u8;
        Ok(())
    }

    /// All pages of an interval are named: what they held is lost, what is there already is what
    /// an earlier run saved.
    pub(super) fn settle_victims(&mut self) {
        for at in 0..self.interval {
            let spare = self.victims.get(at as usize).copied().unwrap_or(0);
            let page = self.ahead.as_slice().get(at as usize).copied();
            let number = self.count.saturating_add(at).saturating_add(1);
            match page {
                Some(page) => self.set_entry(spare.into(), page.wrapping_add(1), number),
                None => self.set_entry(spare.into(), 0, 0),
            }
        }
        self.ahead = Few::default();
    }

    /// The spare page that the page at hand is saved to.
    pub(super) fn victim(&self) -> u64 {
        let at = self.count.checked_rem(self.interval).unwrap_or(0);
        self.victims.get(at as usize).copied().unwrap_or(0).into()
    }

    /// The page at hand is saved, if it is to be.
    pub(super) fn enter_saved(&mut self) {
        if self.is_unsaved {
            return;
        }
        let number = self.count.saturating_add(1);
        self.set_entry(self.victim() as usize, (self.page as u32).wrapping_add(1), number);
    }

    /// The page at hand is done.
    pub(super) fn leave(&mut self) {
        self.count = self.count.saturating_add(u32::from(self.is_marked()));
        self.done = self.done.saturating_add(1);
        self.span_left = self.span_left.saturating_sub(1);
    }

    /// Pages done, of how many.
    pub(super) const fn progress(&self) -> (u64, u64) {
        (self.done, self.pages.count())
    }

    /// Goes through it all, between two pages; not through victims, as an interval is over.
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.rewritten)?;
        visit.bytes(self.spare.as_flattened_mut())?;
        self.excerpts.state(visit)?;
        for number in [&mut self.page, &mut self.span_left, &mut self.done] {
            visit.u64(number)?;
        }
        visit.u32(&mut self.count)
    }
}

impl Book<'_> {
    /// Where the bytes of old page `page` are that the page at hand may use.
    pub(super) fn home(&self, page: u64) -> Home {
        let known = (page as u32).wrapping_add(1);
        let spare = (0..self.spare.len()).find(|spare| self.entry(*spare).0 == known);
        match spare {
            Some(spare) => Home::Spare(spare as u64),
            None if self.is_rewritten(page) => Home::Lost,
            None => Home::Slot,
        }
    }
}
