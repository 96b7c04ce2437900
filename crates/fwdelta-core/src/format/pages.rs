//! Header key 14, in place: the pages of a slot, and the order in which they are made
//! (docs/format-delta.md, section 10).

use crate::error::{Detail, Result};
use crate::format::cbor::{Reader, Sink, Writer};
use crate::hash::Sha256Digest;

/// Smallest page, in bytes.
pub const PAGE_LEN_MIN: u32 = 64;
/// Largest page, in bytes.
pub const PAGE_LEN_MAX: u32 = 1 << 24;
/// Pages are multiples of the largest write unit.
pub const PAGE_LEN_UNIT: u32 = 32;
/// Spare pages at most.
pub const SPARE_COUNT_MAX: u8 = 255;

/// How an image is rewritten in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace {
    /// Bytes that are erased together, or several times as many.
    pub page_len: u32,
    /// Order of pages: 0 is ascending; otherwise blocks of so many pages, the last block first,
    /// ascending in each block. 1 is descending.
    pub block: u32,
    /// Spare pages that remember old ones.
    pub spare_count: u8,
    /// Rewritten pages from one checkpoint to the next, at most [`InPlace::spare_count`].
    pub interval: u8,
    /// First 8 bytes, as a number, of the SHA-256 of new in the order in which it is made; 0 and
    /// not there if that order is ascending, as the header has the digest then.
    pub check: u64,
}

impl InPlace {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BadValue`.
    pub fn check(&self) -> Result<()> {
        let Self { page_len, spare_count, interval, .. } = *self;
        let page = (PAGE_LEN_MIN..=PAGE_LEN_MAX).contains(&page_len)
            && page_len.is_multiple_of(PAGE_LEN_UNIT);
        let valid = page && (1..=spare_count).contains(&interval);
        if valid { Ok(()) } else { Err(Detail::BadValue.into()) }
    }

    /// Pages rewritten before the one at hand whose old bytes may still be used: those that are
    /// sure to be in a spare page however often the power is cut.
    #[must_use]
    pub const fn reach(&self) -> u32 {
        self.spare_count.saturating_sub(self.interval) as u32
    }

    /// Whether `digest` is that of new as it was made, `new` that of the image.
    #[must_use]
    pub fn is_made(&self, digest: &Sha256Digest, new: &Sha256Digest) -> bool {
        if self.block == 0 { digest == new } else { check_of(digest) == self.check }
    }

    /// The order of the pages of an image.
    #[must_use]
    pub fn pages(&self, new_len: u64) -> Pages {
        let page_len = u64::from(self.page_len.max(1));
        let count = new_len.div_ceil(page_len);
        let block = if self.block == 0 { count } else { self.block.into() };
        Pages { page_len, new_len, count, block: block.max(1) }
    }

    pub(crate) fn parse(from: &mut Reader<'_>) -> Result<Self> {
        let error = from.error(Detail::BadValue);
        let count = from.array()?;
        let (page_len, block) = (from.uint32()?, from.uint32()?);
        let small = |number: u32| u8::try_from(number).map_err(|_| error);
        let (spare_count, interval) = (small(from.uint32()?)?, small(from.uint32()?)?);
        if count != if block == 0 { 4 } else { 5 } {
            return Err(error);
        }
        let check = if block == 0 { 0 } else { from.uint()? };
        let in_place = Self { page_len, block, spare_count, interval, check };
        in_place.check().map_err(|_| error)?;
        Ok(in_place)
    }

    pub(crate) fn emit<S: Sink>(&self, to: &mut Writer<S>) -> Result<()> {
        to.array(if self.block == 0 { 4 } else { 5 })?;
        for number in [self.page_len, self.block, self.spare_count.into(), self.interval.into()] {
            to.uint(number.into())?;
        }
        if self.block == 0 { Ok(()) } else { to.uint(self.check) }
    }
}

/// What [`InPlace::check`] is for a digest.
#[must_use]
pub fn check_of(digest: &Sha256Digest) -> u64 {
    digest.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A run of pages that follow each other in new and in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Position in new of the first byte.
    pub pos: u64,
    /// Position after the last byte.
    pub end: u64,
}

/// The pages of new in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    page_len: u64,
    new_len: u64,
    count: u64,
    block: u64,
}

impl Pages {
    /// Number of pages.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of a page.
    #[must_use]
    pub const fn page_len(&self) -> u64 {
        self.page_len
    }

    /// The page that holds position `pos`, of old or new.
    #[must_use]
    pub fn page_of(&self, pos: u64) -> u64 {
        pos.checked_div(self.page_len).unwrap_or(0)
    }

    /// Number of blocks before the last one.
    fn blocks_before_last(&self) -> u64 {
        self.count.saturating_sub(1).checked_div(self.block).unwrap_or(0)
    }

    /// Pages of the last block, which is made first.
    fn first_len(&self) -> u64 {
        self.count.saturating_sub(self.blocks_before_last().saturating_mul(self.block))
    }

    /// The page at `place` in the order.
    #[must_use]
    pub fn page_at(&self, place: u64) -> u64 {
        let last = self.blocks_before_last();
        let Some(rest) = place.checked_sub(self.first_len()) else {
            return last.saturating_mul(self.block).saturating_add(place);
        };
        let blocks = rest.checked_div(self.block).unwrap_or(0).saturating_add(1);
        let within = rest.checked_rem(self.block).unwrap_or(0);
        last.saturating_sub(blocks).saturating_mul(self.block).saturating_add(within)
    }

    /// The place in the order of `page`; after all others if it is not in new.
    #[must_use]
    pub fn place_of(&self, page: u64) -> u64 {
        if page >= self.count {
            return u64::MAX;
        }
        let block = page.checked_div(self.block).unwrap_or(0);
        let within = page.checked_rem(self.block).unwrap_or(0);
        match self.blocks_before_last().saturating_sub(block) {
            0 => within,
            back => {
                let blocks = back.saturating_sub(1).saturating_mul(self.block);
                self.first_len().saturating_add(blocks).saturating_add(within)
            }
        }
    }

    /// The span that starts at `place` in the order, if one does.
    #[must_use]
    pub fn span_at(&self, place: u64) -> Option<Span> {
        if place >= self.count {
            return None;
        }
        let page = self.page_at(place);
        if page.checked_rem(self.block) != Some(0) {
            return None;
        }
        let pos = page.saturating_mul(self.page_len);
        let len = self.block.saturating_mul(self.page_len);
        Some(Span { pos, end: pos.saturating_add(len).min(self.new_len) })
    }

    /// Bytes of new in the page at `place`, and where they stand.
    #[must_use]
    pub fn bytes_at(&self, place: u64) -> Span {
        let pos = self.page_at(place).saturating_mul(self.page_len);
        Span { pos, end: pos.saturating_add(self.page_len).min(self.new_len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    fn pages(block: u32, new_len: u64) -> Pages {
        InPlace { page_len: 64, block, spare_count: 3, interval: 1, check: 0 }.pages(new_len)
    }

    fn order(block: u32, new_len: u64) -> Vec<u64> {
        let pages = pages(block, new_len);
        (0..pages.count()).map(|place| pages.page_at(place)).collect()
    }

    #[test]
    fn orders() {
        assert_eq!(order(0, 257), [0, 1, 2, 3, 4]);
        assert_eq!(order(1, 257), [4, 3, 2, 1, 0]);
        assert_eq!(order(2, 257), [4, 2, 3, 0, 1]);
        assert_eq!(order(3, 384), [3, 4, 5, 0, 1, 2]);
        assert_eq!(order(9, 257), [0, 1, 2, 3, 4]);
        assert_eq!(order(0, 0), []);
    }

    #[test]
    fn places_are_the_inverse_and_spans_cover_all() {
        for block in 0..8 {
            for len in [1, 63, 64, 65, 300, 1000] {
                let pages = pages(block, len);
                let mut covered = 0;
                for place in 0..pages.count() {
                    assert_eq!(pages.place_of(pages.page_at(place)), place);
                    covered += pages.span_at(place).map_or(0, |span| span.end - span.pos);
                }
                assert_eq!(covered, len, "block {block}");
                assert_eq!(pages.span_at(pages.count()), None);
            }
        }
    }
}
