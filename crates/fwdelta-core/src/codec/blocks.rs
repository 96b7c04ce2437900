//! Blocks of coders 2 and 6 (docs/format-delta.md, section 7): symbols sorted by kind into streams
//! that fit the workspace, under a general decompressor.

use super::content::Content;
use super::{Decompressor, Feed};
use crate::error::{Detail, Result};
use crate::state::Visit;

/// Longest number: 63 bits in groups of seven, the lowest first.
pub const VARINT_LEN_MAX: usize = 9;

/// What is left of a stream of the block at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    pos: usize,
    end: usize,
}

/// `N` streams, block by block.
#[derive(Debug)]
pub(crate) struct Blocks<'w, const N: usize> {
    content: Content,
    block: &'w mut [u8],
    /// The length of each stream, 32 bits, least byte first.
    header: [[u8; 4]; N],
    header_len: usize,
    /// Bytes of the block at hand, and how many of them have arrived.
    block_len: usize,
    filled: usize,
    parts: [Part; N],
    /// Bytes of all streams that were not consumed.
    left: usize,
}

impl<'w, const N: usize> Blocks<'w, N> {
    /// Starts over `block`, whose length is the header's.
    pub(crate) fn new(window_log: u8, block: &'w mut [u8]) -> Self {
        Self {
            content: Content::new(window_log),
            block,
            header: [[0; 4]; N],
            header_len: 0,
            block_len: 0,
            filled: 0,
            parts: [Part::default(); N],
            left: 0,
        }
    }

    /// Goes through the block at hand and what is left of it.
    pub(crate) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.content.state(visit)?;
        visit.bytes(self.block)?;
        visit.bytes(self.header.as_flattened_mut())?;
        let lens = [&mut self.header_len, &mut self.block_len, &mut self.filled, &mut self.left];
        lens.into_iter().try_for_each(|len| visit.index(len))?;
        self.parts.iter_mut().try_for_each(|part| {
            visit.index(&mut part.pos)?;
            visit.index(&mut part.end)
        })
    }

    /// Whether a block is at hand that is not used up, after loading one if there is none; `false`
    /// needs more input.
    pub(crate) fn is_ready<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<bool> {
        if self.filled < self.block_len || self.left == 0 { self.load(feed) } else { Ok(true) }
    }

    /// What is left of a stream in the block at hand.
    #[inline]
    fn stream(&self, kind: usize) -> Result<&[u8]> {
        let part = self.parts.get(kind).copied().unwrap_or_default();
        match self.block.get(part.pos..part.end) {
            Some(bytes) if !bytes.is_empty() => Ok(bytes),
            _ => Err(Detail::BadStream.into()),
        }
    }

    /// Loads the next block; false when more input is needed.
    fn load<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<bool> {
        let header = self.header.as_flattened_mut();
        if self.header_len < header.len() {
            let room = header.get_mut(self.header_len..).unwrap_or(&mut []);
            self.header_len += self.content.pull(feed, room)?;
            if self.header_len < 4 * N {
                return Ok(false);
            }
            (self.block_len, self.filled) = (self.layout()?, 0);
            self.left = self.block_len;
        }
        let room = self.block.get_mut(self.filled..self.block_len).ok_or(Detail::Bug)?;
        self.filled += self.content.pull(feed, room)?;
        if self.filled < self.block_len {
            return Ok(false);
        }
        self.header_len = 0;
        Ok(true)
    }

    /// Lays the streams out and gives the length of the block.
    fn layout(&mut self) -> Result<usize> {
        let mut end = 0usize;
        for (part, len) in self.parts.iter_mut().zip(self.header) {
            let len = usize::try_from(u32::from_le_bytes(len)).map_err(|_| Detail::BadStream)?;
            let pos = end;
            end = end.checked_add(len).ok_or(Detail::BadStream)?;
            *part = Part { pos, end };
        }
        let fits = end > 0 && end <= self.block.len();
        if fits { Ok(end) } else { Err(Detail::BadStream.into()) }
    }

    fn consume(&mut self, kind: usize, len: usize) {
        if let Some(part) = self.parts.get_mut(kind) {
            let len = len.min(part.end.saturating_sub(part.pos));
            part.pos = part.pos.saturating_add(len);
            self.left = self.left.saturating_sub(len);
        }
    }

    /// The next number of a stream in the block at hand.
    #[inline]
    pub(crate) fn number(&mut self, kind: usize) -> Result<u64> {
        let (value, len) = varint(self.stream(kind)?)?;
        self.consume(kind, len);
        Ok(value)
    }

    /// The next byte of a stream in the block at hand.
    #[inline]
    pub(crate) fn byte(&mut self, kind: usize) -> Result<u8> {
        let byte = self.stream(kind)?.first().copied().ok_or(Detail::BadStream)?;
        self.consume(kind, 1);
        Ok(byte)
    }

    /// Fills the start of `out` from a stream; gives how many bytes, 0 when more input is needed.
    pub(crate) fn copy<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        kind: usize,
        out: &mut [u8],
    ) -> Result<usize> {
        if !self.is_ready(feed)? {
            return Ok(0);
        }
        let len = super::copy(out, self.stream(kind)?);
        self.consume(kind, len);
        Ok(len)
    }

    /// Whether the frame ends here; `None` when more input is needed to know.
    pub(crate) fn end<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
    ) -> Result<Option<()>> {
        let ends = self.filled == self.block_len && self.left == 0 && self.header_len == 0;
        if ends { self.content.end(feed) } else { Err(Detail::BadStream.into()) }
    }
}

/// A number and its length, in the shortest form only.
#[inline]
fn varint(bytes: &[u8]) -> Result<(u64, usize)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(VARINT_LEN_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte >> 7 == 0 {
            let shortest = *byte != 0 || at == 0;
            return if shortest { Ok((value, at + 1)) } else { Err(Detail::BadStream.into()) };
        }
    }
    Err(Detail::BadStream.into())
}

/// A signed number out of an unsigned one: 0, -1, 1, -2, ...
pub(crate) const fn unfolded(value: u64) -> i64 {
    (value >> 1) as i64 ^ ((value & 1) as i64).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(varint(&[0x7f]), Ok((127, 1)));
        assert_eq!(varint(&[0x80, 1, 9]), Ok((128, 2)));
        for bad in [&[0x80][..], &[0x80, 0], &[0xff; 10], &[]] {
            assert_eq!(varint(bad).unwrap_err().detail, Detail::BadStream, "{bad:?}");
        }
        let signed: [i64; 5] = [0, 1, 2, 3, 4].map(unfolded);
        assert_eq!(signed, [0, -1, 1, -2, 2]);
    }
}
