//! The payload as it arrives: cut into records, each verified before a byte of it is decoded.

use crate::error::{Detail, Result};
use crate::format::chain::{ChainReader, ChainStart, HASH_LEN};
use crate::format::delta::{Coder, DeltaHeader};
#[cfg(feature = "encryption")]
use crate::format::sealed::OpenChunk;
use crate::state::Visit;

/// Most input bytes one symbol group consumes; decoded only while as many are at hand, so that a
/// decoder never has to stop inside a group.
pub const GROUP_LEN_MAX: usize = 128;
/// Record length where the header has no chain: of coders 0, 1 and 4.
pub const RECORD_LEN: usize = 256;
/// The same of the others, which are for Linux: decompressors are slow in small pieces.
pub const RECORD_LEN_LARGE: usize = 16 << 10;

/// Verified payload bytes: what is left of the last record, then the current one.
///
/// The buffer is `[carry: GROUP_LEN_MAX | record]`; bytes of a record become readable when the
/// record is whole and, in a chain, matches its hash.
#[derive(Debug)]
pub(crate) struct Input<'w> {
    buf: &'w mut [u8],
    start: usize,
    end: usize,
    filled: usize,
    left: u64,
    /// Longest record without a chain.
    record_max: usize,
    chain: Option<ChainReader>,
    complete: bool,
    /// Chunks are encrypted; nothing of one is readable that was not opened.
    is_sealed: bool,
    #[cfg(feature = "encryption")]
    opener: Option<&'w dyn OpenChunk>,
}

/// Record length under `header` if it has no chain.
const fn unchained_len(header: &DeltaHeader) -> usize {
    match header.coder {
        Coder::Stored | Coder::Bits { .. } | Coder::Predicted(_) => RECORD_LEN,
        _ => RECORD_LEN_LARGE,
    }
}

impl<'w> Input<'w> {
    /// Bytes of buffer needed under `header`.
    pub(crate) fn buf_len(header: &DeltaHeader) -> u64 {
        let chained = |chain: ChainStart| u64::from(chain.chunk_len) + HASH_LEN as u64;
        GROUP_LEN_MAX as u64 + header.chain.map_or(unchained_len(header) as u64, chained)
    }

    /// Nothing has arrived; `buf` is [`Input::buf_len`] bytes.
    pub(crate) fn new(header: &DeltaHeader, buf: &'w mut [u8]) -> Self {
        let chain = header.chain.map(|start| ChainReader::new(&start, header.payload_len));
        let left = header.payload_len;
        let complete = chain.is_none() && left == 0;
        let (start, end) = (GROUP_LEN_MAX, GROUP_LEN_MAX);
        let record_max = unchained_len(header);
        Self {
            buf,
            start,
            end,
            filled: 0,
            left,
            record_max,
            chain,
            complete,
            is_sealed: header.is_sealed(),
            #[cfg(feature = "encryption")]
            opener: None,
        }
    }

    /// The same without a chain: of `len` bytes that were verified before. Sealed ones come by the
    /// chunk, with [`Input::accept_chunk`].
    pub(crate) fn unchained(len: u64, is_sealed: bool, buf: &'w mut [u8]) -> Self {
        let (start, end) = (GROUP_LEN_MAX, GROUP_LEN_MAX);
        let (record_max, complete) = (RECORD_LEN, len == 0);
        Self {
            buf,
            start,
            end,
            filled: 0,
            left: len,
            record_max,
            chain: None,
            complete,
            is_sealed,
            #[cfg(feature = "encryption")]
            opener: None,
        }
    }

    /// What opens chunks.
    #[cfg(feature = "encryption")]
    pub(crate) fn decrypt_with(&mut self, opener: &'w dyn OpenChunk) -> Result<()> {
        self.opener = Some(opener);
        self.is_sealed.then_some(()).ok_or(Detail::BadArgument.into())
    }

    /// Where a sealed chunk of `len` bytes goes, to be read there whole; without a chain.
    #[cfg(feature = "encryption")]
    pub(crate) fn chunk_room(&mut self, len: usize) -> Result<&mut [u8]> {
        self.keep_rest()?;
        self.buf.get_mut(GROUP_LEN_MAX..GROUP_LEN_MAX + len).ok_or(Detail::Bug.into())
    }

    /// Opens the chunk that was read there; its first `used` plain bytes were decoded before. Gives
    /// how many are new.
    #[cfg(feature = "encryption")]
    pub(crate) fn accept_chunk(
        &mut self,
        index: u64,
        is_last: bool,
        len: usize,
        used: usize,
    ) -> Result<usize> {
        let plain_len = self.opened(index, len, is_last)?;
        let new_len = plain_len.checked_sub(used).filter(|len| *len > 0);
        let new_len = new_len.ok_or(Detail::BadStream)?;
        if used > 0 {
            // Nothing is left of the chunk before: it goes on within this one.
            self.start = GROUP_LEN_MAX.saturating_add(used);
        }
        self.end = GROUP_LEN_MAX.saturating_add(plain_len);
        self.left = self.left.saturating_sub(new_len as u64);
        self.complete = self.left == 0;
        Ok(new_len)
    }

    /// The payload, without a chain, ends at `len` and not at `bound`, as was said; more than what
    /// has arrived.
    pub(crate) fn end_at(&mut self, bound: u64, len: u64) -> Result<()> {
        let left = bound.checked_sub(len).and_then(|less| self.left.checked_sub(less));
        let is_due = |left: &u64| *left > self.filled as u64 && self.chain.is_none();
        self.left = left.filter(is_due).ok_or(Detail::PayloadSize)?;
        Ok(())
    }

    /// How many of `len` bytes were used.
    pub(crate) fn pos(&self, len: u64) -> u64 {
        len.saturating_sub(self.left).saturating_sub(self.readable().len() as u64)
    }

    /// Goes on at byte `pos` of `len`, without a chain; to be called between records.
    pub(crate) fn resume_at(&mut self, len: u64, pos: u64) {
        (self.start, self.end, self.filled) = (GROUP_LEN_MAX, GROUP_LEN_MAX, 0);
        self.left = len.saturating_sub(pos);
        self.complete = self.left == 0;
    }

    /// Goes through all that has arrived and was not used, chain included.
    pub(crate) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.buf)?;
        for at in [&mut self.start, &mut self.end, &mut self.filled] {
            visit.index(at)?;
        }
        visit.u64(&mut self.left)?;
        visit.flag(&mut self.complete)?;
        let is_inside = self.start <= self.end && self.end.max(self.filled) <= self.buf.len();
        is_inside.then_some(()).ok_or(Detail::Bug)?;
        self.chain.as_mut().map_or(Ok(()), |chain| chain.state(visit))
    }

    /// How many of `len` bytes have arrived, hashes included.
    pub(crate) const fn taken(&self, len: u64) -> u64 {
        len.saturating_sub(self.left).saturating_add(self.filled as u64)
    }

    /// Whether all of the payload has arrived and, in a chain, was verified.
    pub(crate) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether a part of a record has arrived.
    pub(crate) const fn is_arriving(&self) -> bool {
        self.filled > 0
    }

    /// Bytes that can be read now.
    pub(crate) fn readable(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or(&[])
    }

    /// Whether a group that takes up to `len` bytes, at most [`GROUP_LEN_MAX`], can be decoded.
    pub(crate) const fn has_group(&self, len: usize) -> bool {
        self.complete || self.end.wrapping_sub(self.start) >= len
    }

    /// Takes the next byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.readable().first()?;
        self.start += 1;
        Some(byte)
    }

    /// Takes `len` bytes, at most the readable ones.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    fn record_len(&self) -> usize {
        match &self.chain {
            Some(chain) => chain.record_len().unwrap_or(0),
            None => {
                let room = self.buf.len().saturating_sub(GROUP_LEN_MAX).min(self.record_max);
                usize::try_from(self.left).unwrap_or(usize::MAX).min(room)
            }
        }
    }

    /// Takes payload bytes as they arrive; gives how many.
    ///
    /// To be called only when a group is not at hand, so that what is left fits the carry.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.complete {
            return Ok(0);
        }
        self.keep_rest()?;
        let record_len = self.record_len();
        let wanted = record_len.saturating_sub(self.filled).min(bytes.len());
        let at = GROUP_LEN_MAX + self.filled;
        let room = self.buf.get_mut(at..at + wanted).ok_or(Detail::Bug)?;
        super::copy(room, bytes);
        self.filled += wanted;
        if self.filled == record_len {
            self.accept(record_len)?;
        }
        Ok(wanted)
    }

    /// Moves what was not read before the place of the next record.
    fn keep_rest(&mut self) -> Result<()> {
        let len = self.end.saturating_sub(self.start);
        let to = GROUP_LEN_MAX.checked_sub(len).ok_or(Detail::Bug)?;
        for at in 0..len {
            let byte = *self.buf.get(self.start + at).ok_or(Detail::Bug)?;
            *self.buf.get_mut(to + at).ok_or(Detail::Bug)? = byte;
        }
        (self.start, self.end) = (to, GROUP_LEN_MAX);
        Ok(())
    }

    fn accept(&mut self, record_len: usize) -> Result<()> {
        let end = GROUP_LEN_MAX + record_len;
        let record = self.buf.get(GROUP_LEN_MAX..end).ok_or(Detail::Bug)?;
        let index = self.chain.as_ref().map_or(0, ChainReader::index);
        let data_len = match &mut self.chain {
            Some(chain) => chain.verify(record)?,
            None => record_len,
        };
        let data_len = self.opened(index, data_len, self.left == record_len as u64)?;
        self.end = GROUP_LEN_MAX + data_len;
        self.filled = 0;
        self.left = self.left.saturating_sub(record_len as u64);
        self.complete = self.left == 0;
        Ok(())
    }

    /// Decrypts the record in its place if it is sealed; gives how many bytes are data then.
    #[cfg(feature = "encryption")]
    fn opened(&mut self, index: u64, data_len: usize, is_last: bool) -> Result<usize> {
        if !self.is_sealed {
            return Ok(data_len);
        }
        // A ciphertext is never taken for a delta.
        let opener = self.opener.ok_or(Detail::NotRecipient)?;
        let chunk = self.buf.get_mut(GROUP_LEN_MAX..GROUP_LEN_MAX + data_len);
        opener.open(index, is_last, chunk.ok_or(Detail::Bug)?)
    }

    /// Without decryption in this build nothing sealed is decoded.
    #[cfg(not(feature = "encryption"))]
    fn opened(&mut self, _: u64, data_len: usize, _: bool) -> Result<usize> {
        if self.is_sealed { Err(Detail::NotBuiltIn.into()) } else { Ok(data_len) }
    }
}
