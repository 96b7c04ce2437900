//! Coder 3 (docs/format-delta.md, section 8): bsdiff's control, difference and extra bytes.
//!
//! Source: C. Percival, "Naive differences of executable code", 2003; the order of bytes is that
//! of the `bsdiff` crate: 24 bytes of control, its differences, its extra bytes, and so on.

use super::content::Content;
use super::{Decompressor, Feed, Op, Saved, Symbols, moved};
use crate::error::{Detail, Result};
use crate::state::Visit;
use crate::storage::Source;

/// Bytes of one control triple: three sign-magnitude 64-bit numbers, least byte first.
pub const CONTROL_LEN: usize = 24;

/// Decoder state between calls.
#[derive(Debug)]
pub(crate) struct Bsdiff<'w> {
    content: Content,
    block: &'w mut [u8],
    control: [u8; CONTROL_LEN],
    control_len: usize,
    old_pos: u64,
    /// The literal run and the seek that follow the cover at hand.
    rest: Option<(u64, i64)>,
    /// Control triples that may still come: a stream has at most one per byte of new, and one.
    triples_left: u64,
}

impl<'w> Bsdiff<'w> {
    /// Starts over `block`, which takes differences on their way.
    pub(crate) fn new(window_log: u8, new_len: u64, block: &'w mut [u8]) -> Self {
        Self {
            content: Content::new(window_log),
            block,
            control: [0; CONTROL_LEN],
            control_len: 0,
            old_pos: 0,
            rest: None,
            triples_left: new_len.saturating_add(1),
        }
    }

    fn triple(&mut self) -> Result<Op> {
        self.control_len = 0;
        self.triples_left = self.triples_left.checked_sub(1).ok_or(Detail::BadStream)?;
        let (words, _) = self.control.as_chunks::<8>();
        let [len, literal_len, seek] = *words else { return Err(Detail::Bug.into()) };
        let len = u64::try_from(number(len)).map_err(|_| Detail::BadCover)?;
        let literal_len = u64::try_from(number(literal_len)).map_err(|_| Detail::BadCover)?;
        self.rest = Some((literal_len, number(seek)));
        let old_pos = self.old_pos;
        self.old_pos = old_pos.checked_add(len).ok_or(Detail::BadCover)?;
        Ok(Op::Cover { old_pos, len })
    }
}

/// A sign-magnitude number.
fn number(bytes: [u8; 8]) -> i64 {
    let word = u64::from_le_bytes(bytes);
    let magnitude = (word & (u64::MAX >> 1)) as i64;
    if word >> 63 != 0 { magnitude.wrapping_neg() } else { magnitude }
}

impl Symbols for Bsdiff<'_> {
    fn op<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        _: u64,
    ) -> Result<Option<Op>> {
        if let Some((len, seek)) = self.rest.take() {
            // The last seek leads nowhere: where it ends is checked only when it is used.
            self.old_pos = moved(self.old_pos, seek).unwrap_or(u64::MAX);
            return Ok(Some(Op::Literal { len }));
        }
        let room = self.control.get_mut(self.control_len..).unwrap_or(&mut []);
        self.control_len = self.control_len.saturating_add(self.content.pull(feed, room)?);
        if self.control_len < CONTROL_LEN { Ok(None) } else { self.triple().map(Some) }
    }

    fn literal<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        out: &mut [u8],
    ) -> Result<usize> {
        self.content.pull(feed, out)
    }

    fn cover<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        old_pos: u64,
        out: &mut [u8],
        _: u64,
    ) -> Result<usize> {
        super::read_old(old, old_pos, out)?;
        let len = out.len().min(self.block.len());
        let block = self.block.get_mut(..len).unwrap_or(&mut []);
        let len = self.content.pull(feed, block)?;
        for (to, difference) in out.iter_mut().zip(block.iter().take(len)) {
            *to = to.wrapping_add(*difference);
        }
        Ok(len)
    }

    fn end<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<Option<()>> {
        match self.rest {
            Some((len, _)) if len > 0 => Err(Detail::BadStream.into()),
            _ => self.content.end(feed),
        }
    }
}

impl Saved for Bsdiff<'_> {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.content.state(visit)?;
        visit.bytes(&mut self.control)?;
        visit.index(&mut self.control_len)?;
        visit.u64(&mut self.old_pos)?;
        let (mut is_some, (mut len, mut seek)) = (self.rest.is_some(), self.rest.unwrap_or((0, 0)));
        visit.flag(&mut is_some)?;
        visit.u64(&mut len)?;
        visit.i64(&mut seek)?;
        self.rest = Some((len, seek)).filter(|_| is_some);
        visit.u64(&mut self.triples_left)
    }
}
