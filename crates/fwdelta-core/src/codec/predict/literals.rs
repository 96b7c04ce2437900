//! Literals of the large model: where the last bytes occurred before, in old or in new.

use crate::error::{Detail, Result};
use crate::state::Visit;
use crate::storage::Source;

/// Bytes of a table entry in memory.
pub(super) const ENTRY_LEN: usize = 4;
/// Bytes that are looked up.
const KEY_LEN: u64 = 6;
/// The same of long keys.
const LONG_KEY_LEN: u64 = 14;
/// Long keys are entered at positions that are multiples of this.
const LONG_STEP: u64 = 4;
/// Shortest match that is followed.
const MATCH_LEN_MIN: u32 = 5;
/// Bytes compared backwards.
const BACK_LEN: usize = 32;
/// Old bytes fetched from a match on.
const AHEAD_LEN: usize = 32;
/// Matches of this length are not given up for others.
const SURE_LEN: u32 = 16;
/// Of the last eight expected bytes so many may have been wrong.
const MISSES_MAX: u32 = 4;
/// Marks positions of new in the table.
const IS_NEW: u32 = 1 << 31;

/// What was made so far, and where in old and new its strings stand.
#[derive(Debug)]
pub struct Matches<'w> {
    table: &'w mut [[u8; ENTRY_LEN]],
    /// The last bytes of new, at their position modulo the length.
    ring: &'w mut [u8],
    pos: u64,
    tail: u64,
    /// The eight bytes before those of `tail`.
    older: u64,
    /// Where the expected byte stands, if there is a match.
    at: Option<u32>,
    len: u32,
    misses: u32,
    ahead: [u8; AHEAD_LEN],
    ahead_pos: u64,
    ahead_len: usize,
    old_len: u64,
}

/// The byte that is expected next, and how much that is worth.
#[derive(Clone, Copy, Debug, Default)]
pub struct Past {
    /// The byte.
    pub expected: Option<u8>,
    /// Length of the match.
    pub len: u32,
    /// Which of the bytes that it expected last were wrong, the last one in the lowest bit.
    pub misses: u32,
}

impl<'w> Matches<'w> {
    /// Nothing was made yet; the lengths of both tables are powers of two.
    #[must_use]
    pub fn new(table: &'w mut [[u8; ENTRY_LEN]], ring: &'w mut [u8], old_len: u64) -> Self {
        table.fill([0; ENTRY_LEN]);
        Self {
            table,
            ring,
            pos: 0,
            tail: 0,
            older: 0,
            at: None,
            len: 0,
            misses: 0,
            ahead: [0; AHEAD_LEN],
            ahead_pos: 0,
            ahead_len: 0,
            old_len,
        }
    }

    /// Goes through what is remembered; old bytes fetched ahead are fetched again.
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.table.as_flattened_mut())?;
        visit.bytes(self.ring)?;
        for number in [&mut self.pos, &mut self.tail, &mut self.older] {
            visit.u64(number)?;
        }
        let (mut is_some, mut at) = (self.at.is_some(), self.at.unwrap_or(0));
        visit.flag(&mut is_some)?;
        visit.u32(&mut at)?;
        self.at = Some(at).filter(|_| is_some);
        visit.u32(&mut self.len)?;
        visit.u32(&mut self.misses)?;
        self.ahead_len = 0;
        Ok(())
    }

    /// The entry of the last bytes.
    fn entry(&mut self) -> Option<&mut [u8; ENTRY_LEN]> {
        let key = self.tail << (64 - 8 * KEY_LEN);
        self.entry_of(key.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The entry of more of them.
    fn long_entry(&mut self) -> Option<&mut [u8; ENTRY_LEN]> {
        let older = self.older << (64 - 8 * (LONG_KEY_LEN - 8));
        let key = older.wrapping_mul(0xc2b2_ae3d_27d4_eb4f) ^ self.tail;
        self.entry_of((key ^ key >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn entry_of(&mut self, hash: u64) -> Option<&mut [u8; ENTRY_LEN]> {
        let log = self.table.len().max(2).ilog2();
        self.table.get_mut((hash >> (64 - log)) as usize)
    }

    fn shift(&mut self, byte: u8) {
        self.older = self.older << 8 | self.tail >> 56;
        self.tail = self.tail << 8 | u64::from(byte);
    }

    /// Enters bytes of old that end before `pos + bytes.len()`; to be called from the front to
    /// the back of old, before the first byte of new.
    pub fn index_old(&mut self, pos: u64, bytes: &[u8]) {
        let mut end = pos;
        for byte in bytes {
            self.shift(*byte);
            end = end.wrapping_add(1);
            self.enter(end, (end as u32) & !IS_NEW);
        }
    }

    /// Enters `mark` for the bytes that end at `end`. Nothing is read, so nothing waits for memory.
    fn enter(&mut self, end: u64, mark: u32) {
        if end >= KEY_LEN
            && let Some(entry) = self.entry()
        {
            *entry = mark.to_le_bytes();
        }
        if end.is_multiple_of(LONG_STEP)
            && end >= LONG_KEY_LEN
            && let Some(entry) = self.long_entry()
        {
            *entry = mark.to_le_bytes();
        }
    }

    /// Where the last bytes stood before, the more of them first.
    fn before(&mut self) -> [u32; 2] {
        let pos = self.pos;
        let mark =
            |entry: Option<&mut [u8; ENTRY_LEN]>| entry.map_or(0, |it| u32::from_le_bytes(*it));
        let long = if pos < LONG_KEY_LEN { 0 } else { mark(self.long_entry()) };
        [long, if pos < KEY_LEN { 0 } else { mark(self.entry()) }]
    }

    /// Old is indexed.
    pub fn start_new(&mut self) {
        (self.tail, self.older) = (0, 0);
    }

    /// A literal byte of new comes. The bytes before it are entered; those of covers are not, as
    /// most stand in old, which is.
    pub fn push(&mut self, byte: u8) {
        self.enter(self.pos, self.pos as u32 | IS_NEW);
        self.pass(&[byte]);
    }

    /// Bytes of new come.
    pub fn pass(&mut self, bytes: &[u8]) {
        let mask = self.ring.len().wrapping_sub(1);
        for byte in bytes {
            if let Some(slot) = self.ring.get_mut(self.pos as usize & mask) {
                *slot = *byte;
            }
            self.shift(*byte);
            self.pos += 1;
        }
    }

    /// A run of literals begins.
    pub fn start_run(&mut self) {
        (self.at, self.len, self.misses) = (None, 0, 0);
    }

    /// What is expected next.
    ///
    /// # Errors
    /// `ReadFailed`.
    pub fn past<S: Source>(&mut self, old: &mut S) -> Result<Past> {
        if self.len < SURE_LEN {
            for at in self.before() {
                if at != 0 && self.at != Some(at) && self.len < SURE_LEN {
                    self.follow(old, at)?;
                }
            }
        }
        let expected = match self.at {
            Some(at) if at & IS_NEW != 0 => self.new_byte(u64::from(at & !IS_NEW)),
            Some(at) => self.old_byte(old, at.into())?,
            None => None,
        };
        if expected.is_none() {
            (self.at, self.len) = (None, 0);
        }
        Ok(Past { expected, len: self.len, misses: self.misses })
    }

    /// The byte at `pos` of new, if it is still in the ring.
    fn new_byte(&self, pos: u64) -> Option<u8> {
        let by = self.pos.checked_sub(pos).filter(|by| *by > 0)?;
        let mask = self.ring.len().wrapping_sub(1);
        if by > mask as u64 { None } else { self.ring.get(pos as usize & mask).copied() }
    }

    fn old_byte<S: Source>(&mut self, old: &mut S, pos: u64) -> Result<Option<u8>> {
        if pos >= self.old_len {
            return Ok(None);
        }
        if pos.wrapping_sub(self.ahead_pos) >= self.ahead_len as u64 {
            let len = (self.old_len - pos).min(AHEAD_LEN as u64) as usize;
            let room = self.ahead.get_mut(..len).unwrap_or(&mut []);
            old.read(pos, room).map_err(|_| Detail::ReadFailed)?;
            (self.ahead_pos, self.ahead_len) = (pos, len);
        }
        Ok(self.ahead.get(pos.wrapping_sub(self.ahead_pos) as usize).copied())
    }

    /// Follows the match that ends at `at`, if it is longer than the one at hand.
    fn follow<S: Source>(&mut self, old: &mut S, at: u32) -> Result<()> {
        let end = u64::from(at & !IS_NEW);
        let mut len = 0;
        if at & IS_NEW != 0 {
            while len < BACK_LEN as u64 && len < end {
                let before = self.new_byte(end - 1 - len);
                if before.is_none() || before != self.new_byte(self.pos.wrapping_sub(1 + len)) {
                    break;
                }
                len += 1;
            }
        } else {
            let mut back = [0; BACK_LEN];
            let count = end.min(BACK_LEN as u64) as usize;
            let room = back.get_mut(..count).unwrap_or(&mut []);
            old.read(end - count as u64, room).map_err(|_| Detail::ReadFailed)?;
            for byte in room.iter().rev() {
                if Some(*byte) != self.new_byte(self.pos.wrapping_sub(1 + len)) {
                    break;
                }
                len += 1;
            }
        }
        if len as u32 >= MATCH_LEN_MIN && len as u32 > self.len {
            (self.at, self.len, self.misses) = (Some(at), len as u32, 0);
        }
        Ok(())
    }

    /// The literal byte at hand was `byte`, `expected` before.
    pub fn settle(&mut self, expected: Option<u8>, byte: u8) {
        if let (Some(at), Some(expected)) = (self.at, expected) {
            let is_miss = expected != byte;
            self.misses = self.misses << 1 | u32::from(is_miss);
            self.len = if is_miss { 0 } else { self.len.saturating_add(1) };
            let is_lost = (self.misses & 255).count_ones() > MISSES_MAX;
            self.at = if is_lost { None } else { Some(at.wrapping_add(1)) };
        }
    }
}
