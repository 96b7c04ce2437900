//! Header key 14, in place: the pages of a slot, and the order in which they are made
//! (docs/format-delta.md, section 14).

use crate::error::{Detail, Result};
use crate::format::cbor::{Reader, Sink, Writer};
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

/// How an image is rewritten in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace {
    /// Bytes that are erased together, or several times as many.
    pub page_len: u32,
    /// Spare pages that remember old ones.
    pub spare_count: u8,
    /// Rewritten pages from one checkpoint to the next, at most [`InPlace::spare_count`].
    pub interval: u8,
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
        let Self { page_len, spare_count, interval, .. } = *self;
        let page = (PAGE_LEN_MIN..=PAGE_LEN_MAX).contains(&page_len)
            && page_len.is_multiple_of(PAGE_LEN_UNIT);
        let valid = page && (1..=spare_count.min(INTERVAL_MAX)).contains(&interval);
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
        Pages { page_len, new_len, count: new_len.div_ceil(page_len) }
    }

    pub(crate) fn parse(from: &mut Reader<'_>) -> Result<Self> {
        let error = from.error(Detail::BadValue);
        let count = from.array()?;
        let page_len = from.uint32()?;
        let small = |number: u32| u8::try_from(number).map_err(|_| error);
        let (spare_count, interval) = (small(from.uint32()?)?, small(from.uint32()?)?);
        let check = match count {
            3 => None,
            4 => Some(from.uint()?),
            _ => return Err(error),
        };
        let in_place = Self { page_len, spare_count, interval, check };
        in_place.check().map_err(|_| error)?;
        Ok(in_place)
    }

    pub(crate) fn emit<S: Sink>(&self, to: &mut Writer<S>) -> Result<()> {
        to.array(if self.check.is_some() { 4 } else { 3 })?;
        for number in [self.page_len, self.spare_count.into(), self.interval.into()] {
            to.uint(number.into())?;
        }
        self.check.map_or(Ok(()), |check| to.uint(check))
    }
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

/// New, cut into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    page_len: u64,
    new_len: u64,
    count: u64,
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

    /// Bytes of new in `count` pages from `page` on.
    #[must_use]
    pub const fn span(&self, page: u64, count: u64) -> Span {
        let pos = page.saturating_mul(self.page_len);
        let end = pos.saturating_add(count.saturating_mul(self.page_len));
        Span { pos, end: if end < self.new_len { end } else { self.new_len } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_may_be_short() {
        let in_place = InPlace { page_len: 64, check: None, spare_count: 3, interval: 1 };
        let pages = in_place.pages(130);
        assert_eq!((pages.count(), pages.page_of(127), pages.page_of(128)), (3, 1, 2));
        assert_eq!(pages.span(2, 1), Span { pos: 128, end: 130 });
        assert_eq!(pages.span(0, 2), Span { pos: 0, end: 128 });
        assert_eq!(in_place.pages(0).count(), 0);
    }
}
