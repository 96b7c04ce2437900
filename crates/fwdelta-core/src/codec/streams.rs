//! Coder 2 (docs/format-delta.md, section 7): symbols sorted by kind into streams, in blocks that
//! fit the workspace, under a general decompressor.

use super::content::Content;
use super::{Decompressor, Feed, Op, Symbols, copy, moved};
use crate::error::{Detail, Result};
use crate::storage::Source;

/// Streams of a block: control, gaps, residuals, literals.
pub const STREAM_COUNT: usize = 4;
/// Bytes before a block: the length of each stream, 32 bits, least byte first.
pub const BLOCK_HEADER_LEN: usize = 4 * STREAM_COUNT;
/// Longest number: 63 bits in groups of seven, the lowest first.
pub const VARINT_LEN_MAX: usize = 9;

/// A stream's number within a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Numbers: literal length, cover length less one, change of diagonal.
    Control = 0,
    /// Numbers: zero residuals before the next other one.
    Gap = 1,
    /// Residuals other than zero.
    Residual = 2,
    /// Literal bytes.
    Literal = 3,
}

/// What is left of a stream of the block at hand.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    pos: usize,
    end: usize,
}

/// What is decoded next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    LiteralLen,
    CoverLen,
    Place { len: u64 },
}

/// Decoder state between calls.
#[derive(Debug)]
pub(crate) struct Streams<'w> {
    content: Content,
    block: &'w mut [u8],
    header: [u8; BLOCK_HEADER_LEN],
    header_len: usize,
    /// Bytes of the block at hand, and how many of them have arrived.
    block_len: usize,
    filled: usize,
    parts: [Part; STREAM_COUNT],
    due: Due,
    new_pos: u64,
    diagonal: i64,
    zeros: u64,
    residual_due: bool,
}

impl<'w> Streams<'w> {
    /// Starts over `block`, whose length is the header's.
    pub(crate) fn new(window_log: u8, block: &'w mut [u8]) -> Self {
        Self {
            content: Content::new(window_log),
            block,
            header: [0; BLOCK_HEADER_LEN],
            header_len: 0,
            block_len: 0,
            filled: 0,
            parts: [Part::default(); STREAM_COUNT],
            due: Due::LiteralLen,
            new_pos: 0,
            diagonal: 0,
            zeros: 0,
            residual_due: false,
        }
    }

    /// What is left of a stream, after loading the next block if all streams are used up. `None`
    /// needs more input.
    fn stream<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        kind: Kind,
    ) -> Result<Option<&[u8]>> {
        let arriving = self.filled < self.block_len;
        if (arriving || self.is_used_up()) && !self.load(feed)? {
            return Ok(None);
        }
        let part = self.parts.get(kind as usize).copied().unwrap_or_default();
        match self.block.get(part.pos..part.end) {
            Some(bytes) if !bytes.is_empty() => Ok(Some(bytes)),
            _ => Err(Detail::BadStream.into()),
        }
    }

    fn is_used_up(&self) -> bool {
        self.filled == self.block_len && self.parts.iter().all(|part| part.pos == part.end)
    }

    /// Loads the next block; false when more input is needed.
    fn load<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<bool> {
        if self.header_len < BLOCK_HEADER_LEN {
            let room = self.header.get_mut(self.header_len..).unwrap_or(&mut []);
            self.header_len += self.content.pull(feed, room)?;
            if self.header_len < BLOCK_HEADER_LEN {
                return Ok(false);
            }
            (self.block_len, self.filled) = (self.layout()?, 0);
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
        let (lens, _) = self.header.as_chunks::<4>();
        let mut end = 0usize;
        for (part, len) in self.parts.iter_mut().zip(lens) {
            let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| Detail::BadStream)?;
            let pos = end;
            end = end.checked_add(len).ok_or(Detail::BadStream)?;
            *part = Part { pos, end };
        }
        let fits = end > 0 && end <= self.block.len();
        if fits { Ok(end) } else { Err(Detail::BadStream.into()) }
    }

    fn consume(&mut self, kind: Kind, len: usize) {
        if let Some(part) = self.parts.get_mut(kind as usize) {
            part.pos = part.pos.saturating_add(len).min(part.end);
        }
    }

    fn number<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        kind: Kind,
    ) -> Result<Option<u64>> {
        let Some(bytes) = self.stream(feed, kind)? else { return Ok(None) };
        let (value, len) = varint(bytes)?;
        self.consume(kind, len);
        Ok(Some(value))
    }

    fn byte<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        kind: Kind,
    ) -> Result<Option<u8>> {
        let Some(bytes) = self.stream(feed, kind)? else { return Ok(None) };
        let byte = bytes.first().copied();
        self.consume(kind, 1);
        Ok(byte)
    }
}

/// A number and its length, in the shortest form only.
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
const fn unfolded(value: u64) -> i64 {
    (value >> 1) as i64 ^ ((value & 1) as i64).wrapping_neg()
}

impl Symbols for Streams<'_> {
    fn op<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        _: u64,
    ) -> Result<Option<Op>> {
        loop {
            let Some(value) = self.number(feed, Kind::Control)? else { return Ok(None) };
            match self.due {
                Due::LiteralLen => {
                    self.due = Due::CoverLen;
                    self.new_pos = self.new_pos.saturating_add(value);
                    return Ok(Some(Op::Literal { len: value }));
                }
                Due::CoverLen => self.due = Due::Place { len: value.saturating_add(1) },
                Due::Place { len } => {
                    self.due = Due::LiteralLen;
                    self.diagonal = self.diagonal.wrapping_add(unfolded(value));
                    let old_pos = moved(self.new_pos, self.diagonal)?;
                    self.new_pos = self.new_pos.saturating_add(len);
                    (self.zeros, self.residual_due) = (0, false);
                    return Ok(Some(Op::Cover { old_pos, len }));
                }
            }
        }
    }

    fn literal<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        out: &mut [u8],
    ) -> Result<usize> {
        let Some(bytes) = self.stream(feed, Kind::Literal)? else { return Ok(0) };
        let len = copy(out, bytes);
        self.consume(Kind::Literal, len);
        Ok(len)
    }

    fn cover<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        old_pos: u64,
        out: &mut [u8],
        left: u64,
    ) -> Result<usize> {
        super::read_old(old, old_pos, out)?;
        let mut done = 0usize;
        while done < out.len() {
            let rest = out.get_mut(done..).unwrap_or(&mut []);
            if self.zeros > 0 {
                let here = usize::try_from(self.zeros).unwrap_or(usize::MAX).min(rest.len());
                self.zeros -= here as u64;
                done += here;
            } else if self.residual_due {
                let Some(value) = self.byte(feed, Kind::Residual)? else { break };
                let byte = rest.first_mut().filter(|_| value != 0).ok_or(Detail::BadStream)?;
                *byte = byte.wrapping_add(value);
                self.residual_due = false;
                done += 1;
            } else {
                let Some(gap) = self.number(feed, Kind::Gap)? else { break };
                if gap > left.saturating_sub(done as u64) {
                    return Err(Detail::BadCover.into());
                }
                (self.zeros, self.residual_due) = (gap, true);
            }
        }
        Ok(done)
    }

    fn end<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<Option<()>> {
        let ends = self.is_used_up() && self.header_len == 0;
        if ends { self.content.end(feed) } else { Err(Detail::BadStream.into()) }
    }
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
