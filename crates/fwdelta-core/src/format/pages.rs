//! Header key 14, in place: the pages of a slot, and the order in which they are made
//! (docs/format-delta.md, section 14).

use crate::error::{Detail, Result};
use crate::format::cbor::{Major, Reader, Sink, Writer};
use crate::hash::Sha256Digest;

/// Smallest page, in bytes.
pub const PAGE_LEN_MIN: u32 = 64;
/// Largest page, in bytes.
pub const PAGE_LEN_MAX: u32 = 1 << 24;
/// Pages are multiples of the largest write unit.
pub const PAGE_LEN_UNIT: u32 = 32;
/// Pages of new at most.
pub const PAGE_COUNT_MAX: u64 = 1 << 31;
/// Longest interval of checkpoints, in rewritten pages.
pub const INTERVAL_MAX: u8 = 8;
/// Runs of pages of other lengths before those of the page length.
pub const PAGE_RUN_COUNT_MAX: usize = 6;

/// Pages of one length that follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageRun {
    /// Bytes of each.
    pub len: u32,
    /// How many there are.
    pub count: u32,
}

/// The pages at the start of a slot, where they have other lengths than those behind them: flash
/// with sectors of 16, 64 and 128 KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstPages {
    runs: [PageRun; PAGE_RUN_COUNT_MAX],
    count: usize,
}

impl FirstPages {
    /// All pages have one length.
    pub const NONE: Self =
        Self { runs: [PageRun { len: 0, count: 0 }; PAGE_RUN_COUNT_MAX], count: 0 };

    /// Adds pages behind those that are there.
    ///
    /// # Errors
    /// `BadValue` when there are too many runs.
    pub fn push(&mut self, run: PageRun) -> Result<()> {
        *self.runs.get_mut(self.count).ok_or(Detail::BadValue)? = run;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// All runs.
    #[must_use]
    pub fn runs(&self) -> &[PageRun] {
        self.runs.get(..self.count).unwrap_or(&[])
    }
}

/// Most bytes of old that checkpoints hold.
pub const EXCERPTS_LEN_MAX: u32 = 1 << 24;

/// Room in each checkpoint for old bytes whose page is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of all excerpts together.
    pub len: u32,
    /// Excerpts at a time.
    pub count: u8,
}

impl Room {
    /// There is none.
    pub const NONE: Self = Self { len: 0, count: 0 };

    const fn is_valid(self) -> bool {
        (self.len == 0) == (self.count == 0) && self.len <= EXCERPTS_LEN_MAX
    }
}

/// How an image is rewritten in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace {
    /// Bytes that are erased together, or several times as many; with `first`, behind that.
    pub page_len: u32,
    /// Pages of other lengths before.
    pub first: FirstPages,
    /// Spare pages that remember old ones.
    pub spare_count: u8,
    /// Rewritten pages from one checkpoint to the next, at most [`InPlace::spare_count`].
    pub interval: u8,
    /// What checkpoints hold of old.
    pub room: Room,
    /// First 8 bytes, as a number, of the SHA-256 of new in the order in which it is made, and
    /// that the stream says which order that is. `None`: it is ascending.
    pub check: Option<u64>,
}

impl InPlace {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BadValue`.
    pub fn check(&self) -> Result<()> {
        let Self { page_len, first, spare_count, interval, .. } = self;
        let is_len = |len: u32| {
            (PAGE_LEN_MIN..=PAGE_LEN_MAX).contains(&len) && len.is_multiple_of(PAGE_LEN_UNIT)
        };
        let (mut before, mut valid) = (0, is_len(*page_len));
        for run in first.runs() {
            valid &= is_len(run.len) && run.len != before && run.count > 0;
            before = run.len;
        }
        valid &= before != *page_len && self.room.is_valid();
        valid &= (1..=(*spare_count).min(INTERVAL_MAX)).contains(interval);
        if valid { Ok(()) } else { Err(Detail::BadValue.into()) }
    }

    /// Whether `digest` is that of new as it was made, `new` that of the image.
    #[must_use]
    pub fn is_made(&self, digest: &Sha256Digest, new: &Sha256Digest) -> bool {
        self.check.map_or(digest == new, |check| check_of(digest) == check)
    }

    /// The pages of an image.
    #[must_use]
    pub fn pages(&self, new_len: u64) -> Pages {
        let page_len = u64::from(self.page_len.max(1));
        let pages = Pages { page_len, first: self.first, new_len, count: 0 };
        let count = new_len.checked_sub(1).map_or(0, |last| pages.page_of(last).saturating_add(1));
        Pages { count, ..pages }
    }

    pub(crate) fn parse(from: &mut Reader<'_>) -> Result<Self> {
        let error = from.error(Detail::BadValue);
        let count = from.array()?;
        let (first, page_len) = page_lens(from)?;
        let small = |number: u32| u8::try_from(number).map_err(|_| error);
        let (spare_count, room) = spare_pages(from)?;
        let interval = small(from.uint32()?)?;
        let check = match count {
            3 => None,
            4 => Some(from.uint()?),
            _ => return Err(error),
        };
        let in_place = Self { page_len, first, spare_count, interval, room, check };
        in_place.check().map_err(|_| error)?;
        Ok(in_place)
    }

    pub(crate) fn emit<S: Sink>(&self, to: &mut Writer<S>) -> Result<()> {
        to.array(if self.check.is_some() { 4 } else { 3 })?;
        let runs = self.first.runs();
        if !runs.is_empty() {
            to.array((2 * runs.len() + 1) as u64)?;
        }
        for PageRun { len, count } in runs {
            to.uint((*len).into())?;
            to.uint((*count).into())?;
        }
        to.uint(self.page_len.into())?;
        if self.room != Room::NONE {
            to.array(3)?;
        }
        to.uint(self.spare_count.into())?;
        if self.room != Room::NONE {
            to.uint(self.room.len.into())?;
            to.uint(self.room.count.into())?;
        }
        to.uint(self.interval.into())?;
        self.check.map_or(Ok(()), |check| to.uint(check))
    }
}

/// The page length, or an array of lengths and counts with the page length behind them.
fn page_lens(from: &mut Reader<'_>) -> Result<(FirstPages, u32)> {
    let (error, mut first) = (from.error(Detail::BadValue), FirstPages::NONE);
    if from.peek()?.major != Major::Array {
        return Ok((first, from.uint32()?));
    }
    let count = from.array()?;
    if count < 3 || count.is_multiple_of(2) || count > 2 * PAGE_RUN_COUNT_MAX as u64 + 1 {
        return Err(error);
    }
    for _ in 0..count >> 1 {
        first.push(PageRun { len: from.uint32()?, count: from.uint32()? })?;
    }
    Ok((first, from.uint32()?))
}

/// The number of spare pages, or an array of it and the room for excerpts.
fn spare_pages(from: &mut Reader<'_>) -> Result<(u8, Room)> {
    let error = from.error(Detail::BadValue);
    let small = |number: u32| u8::try_from(number).map_err(|_| error);
    if from.peek()?.major != Major::Array {
        return Ok((small(from.uint32()?)?, Room::NONE));
    }
    if from.array()? != 3 {
        return Err(error);
    }
    let spare_count = small(from.uint32()?)?;
    let room = Room { len: from.uint32()?, count: small(from.uint32()?)? };
    if room == Room::NONE { Err(error) } else { Ok((spare_count, room)) }
}

/// What [`InPlace::check`] is for a digest.
#[must_use]
pub fn check_of(digest: &Sha256Digest) -> u64 {
    digest.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A run of bytes of new that are made one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Position in new of the first byte.
    pub pos: u64,
    /// Position after the last byte.
    pub end: u64,
}

impl Span {
    /// Bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.pos)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// New, cut into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    page_len: u64,
    first: FirstPages,
    new_len: u64,
    count: u64,
}

impl Pages {
    /// Number of pages.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of the longest page; if there are none, of what would be the first.
    #[must_use]
    pub fn largest(&self) -> u64 {
        let (mut first, mut largest) = (0u64, 0);
        for run in self.first.runs() {
            if first < self.count.max(1) {
                largest = largest.max(run.len.into());
            }
            first = first.saturating_add(run.count.into());
        }
        if first < self.count.max(1) { largest.max(self.page_len) } else { largest }
    }

    /// The page that holds position `pos`, of old or new.
    #[must_use]
    pub fn page_of(&self, pos: u64) -> u64 {
        let (mut first, mut start) = (0u64, 0u64);
        for run in self.first.runs() {
            let (len, count) = (u64::from(run.len), u64::from(run.count));
            let by = pos.saturating_sub(start).checked_div(len).unwrap_or(0);
            if by < count {
                return first.saturating_add(by);
            }
            first = first.saturating_add(count);
            start = start.saturating_add(len.saturating_mul(count));
        }
        let by = pos.saturating_sub(start).checked_div(self.page_len).unwrap_or(0);
        first.saturating_add(by)
    }

    /// Where `page` is in the slot, whole.
    #[must_use]
    pub fn place(&self, page: u64) -> Span {
        let (mut left, mut pos) = (page, 0u64);
        for run in self.first.runs() {
            let (len, count) = (u64::from(run.len), u64::from(run.count));
            pos = pos.saturating_add(len.saturating_mul(left.min(count)));
            if left < count {
                return Span { pos, end: pos.saturating_add(len) };
            }
            left = left.saturating_sub(count);
        }
        let pos = pos.saturating_add(left.saturating_mul(self.page_len));
        Span { pos, end: pos.saturating_add(self.page_len) }
    }

    /// Bytes of all pages of new, the last one whole.
    #[must_use]
    pub fn whole_len(&self) -> u64 {
        self.place(self.count).pos
    }

    /// Bytes of new in `count` pages from `page` on.
    #[must_use]
    pub fn span(&self, page: u64, count: u64) -> Span {
        let (pos, end) = (self.place(page).pos, self.place(page.saturating_add(count)).pos);
        Span { pos, end: end.min(self.new_len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_may_be_short() {
        let in_place = InPlace {
            page_len: 64,
            first: FirstPages::NONE,
            check: None,
            spare_count: 3,
            interval: 1,
            room: Room::NONE,
        };
        let pages = in_place.pages(130);
        assert_eq!((pages.count(), pages.page_of(127), pages.page_of(128)), (3, 1, 2));
        assert_eq!(pages.span(2, 1), Span { pos: 128, end: 130 });
        assert_eq!(pages.span(0, 2), Span { pos: 0, end: 128 });
        assert_eq!(in_place.pages(0).count(), 0);
    }

    #[test]
    fn pages_may_have_several_lengths() {
        let mut first = FirstPages::NONE;
        for (len, count) in [(64, 2), (256, 1)] {
            first.push(PageRun { len, count }).unwrap();
        }
        let room = Room { len: 9, count: 1 };
        let in_place =
            InPlace { page_len: 128, first, check: None, spare_count: 1, interval: 1, room };
        assert_eq!(in_place.check(), Ok(()));
        for room in [Room { len: 0, count: 1 }, Room { len: 1, count: 0 }] {
            assert!(InPlace { room, ..in_place }.check().is_err());
        }
        let pages = in_place.pages(700);
        let ends = [64, 128, 384, 512, 640, 768];
        assert_eq!((pages.count(), pages.largest(), pages.whole_len()), (6, 256, 768));
        let mut start = 0;
        for (page, end) in (0..).zip(ends) {
            assert_eq!(pages.place(page), Span { pos: start, end });
            assert_eq!((pages.page_of(start), pages.page_of(end - 1)), (page, page));
            start = end;
        }
        assert_eq!(pages.span(1, 5), Span { pos: 64, end: 700 });
        let counts = [0, 64, 65, 129, 384, 385].map(|len| in_place.pages(len).count());
        assert_eq!(counts, [0, 1, 2, 3, 3, 4]);
        assert_eq!([0, 128, 129].map(|len| in_place.pages(len).largest()), [64, 64, 256]);
    }
}
