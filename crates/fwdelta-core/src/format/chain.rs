//! The hash chain of a packaged payload (docs/format-delta.md, section 3): every chunk carries the
//! hash of the next one, so that a device keeps 32 bytes of state and decodes only verified bytes.

use crate::error::{Detail, Error, Result};
use crate::hash::sha256;
use crate::state::Visit;

/// Bytes of a chunk hash: SHA-256.
pub const HASH_LEN: usize = 32;
/// Bytes of the tag that ends the data of a record, where that is encrypted.
pub const TAG_LEN: usize = 16;
/// Smallest chunk: below, the hashes outweigh the data.
pub const CHUNK_LEN_MIN: u32 = 64;
/// Largest chunk a header may state; the caller's limits are far lower.
pub const CHUNK_LEN_MAX: u32 = 1 << 24;

/// Header key 8: where the chain starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainStart {
    /// Data bytes per chunk, the last one excepted.
    pub chunk_len: u32,
    /// SHA-256 of the first record.
    pub first_hash: [u8; HASH_LEN],
    /// Whether the data of each record is encrypted. That is no part of the header's bytes: the
    /// manifest says it, and from then on nothing is decoded that was not decrypted.
    pub is_sealed: bool,
}

impl ChainStart {
    /// Whether a payload of `payload_len` bytes can be cut this way.
    ///
    /// # Errors
    /// `BadValue` when the last record would be empty or shorter than its hash.
    pub fn check(&self, payload_len: u64) -> Result<()> {
        let full = u64::from(self.chunk_len) + HASH_LEN as u64;
        // INVARIANT of the division: full is at least HASH_LEN; checked_rem keeps panics out.
        let rest = payload_len.checked_rem(full).unwrap_or(0);
        let whole = payload_len > 0 && rest == 0;
        if whole || rest > u64::from(self.chunk_len) {
            return Err(Detail::BadValue.into());
        }
        Ok(())
    }
}

/// Verifies the records of a chain, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct ChainReader {
    expected: [u8; HASH_LEN],
    chunk_len: u32,
    left: u64,
    pos: u64,
    done: bool,
}

impl ChainReader {
    /// Starts before the first record of a payload of `payload_len` bytes, hashes included.
    #[must_use]
    pub fn new(start: &ChainStart, payload_len: u64) -> Self {
        let ChainStart { chunk_len, first_hash, .. } = *start;
        Self { expected: first_hash, chunk_len, left: payload_len, pos: 0, done: false }
    }

    /// Goes through what the next records must be.
    pub(crate) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(&mut self.expected)?;
        visit.u64(&mut self.left)?;
        visit.u64(&mut self.pos)?;
        visit.flag(&mut self.done)
    }

    /// Number of the next record, from 0.
    pub(crate) fn index(&self) -> u64 {
        self.pos.checked_div(u64::from(self.chunk_len) + HASH_LEN as u64).unwrap_or(0)
    }

    /// Bytes of the next record, hash included; `None` after the last.
    #[must_use]
    pub fn record_len(&self) -> Option<usize> {
        let full = u64::from(self.chunk_len) + HASH_LEN as u64;
        if self.done { None } else { usize::try_from(self.left.min(full)).ok() }
    }

    /// Verifies the next record and gives how many of its bytes are data.
    ///
    /// # Errors
    /// `ChunkDigest` at the record's position, `BadArgument` for a record of another length.
    pub fn verify(&mut self, record: &[u8]) -> Result<usize> {
        if self.record_len() != Some(record.len()) {
            return Err(Detail::BadArgument.into());
        }
        if sha256(record) != self.expected {
            return Err(Error::at(Detail::ChunkDigest, self.pos));
        }
        self.pos = self.pos.saturating_add(record.len() as u64);
        self.left = self.left.saturating_sub(record.len() as u64);
        if self.left == 0 {
            self.done = true;
            return Ok(record.len());
        }
        let (data, hash) = record.split_last_chunk::<HASH_LEN>().ok_or(Detail::Bug)?;
        self.expected = *hash;
        Ok(data.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_records_verify_in_order_only() {
        let last = [7u8; 10];
        let mut first = [9u8; 64 + HASH_LEN];
        first[64..].copy_from_slice(&sha256(&last));
        let first_hash = sha256(&first);
        let start = ChainStart { chunk_len: 64, first_hash, is_sealed: false };
        assert_eq!(start.check(106), Ok(()));
        let mut reader = ChainReader::new(&start, 106);
        assert_eq!(reader.record_len(), Some(96));
        assert_eq!(reader.verify(&first), Ok(64));
        assert_eq!(reader.record_len(), Some(10));
        assert_eq!(reader.verify(&last[..9]).unwrap_err().detail, Detail::BadArgument);
        let wrong = reader.verify(&[8u8; 10]).unwrap_err();
        assert_eq!((wrong.detail, wrong.pos), (Detail::ChunkDigest, 96));
        assert_eq!(reader.verify(&last), Ok(10));
        assert_eq!(reader.record_len(), None);
    }

    #[test]
    fn an_empty_payload_is_one_empty_record() {
        let first_hash = sha256(&[]);
        let start = ChainStart { chunk_len: 64, first_hash, is_sealed: false };
        assert_eq!(start.check(0), Ok(()));
        let mut reader = ChainReader::new(&start, 0);
        assert_eq!(reader.record_len(), Some(0));
        assert_eq!(reader.verify(&[]), Ok(0));
        assert_eq!(reader.record_len(), None);
    }
}
