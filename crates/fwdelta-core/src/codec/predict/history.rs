//! By how much words changed lately.

use super::hash;
use crate::error::Result;
use crate::state::Visit;

/// Bytes of an entry of a table in memory.
pub(super) const ENTRY_LEN: usize = 8;
const WORD_COUNT: usize = 8;

/// Changes of the last words, by their place in new.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deltas {
    words: [u32; WORD_COUNT],
}

impl Deltas {
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.words.iter_mut().try_for_each(|word| visit.u32(word))
    }

    fn at(pos: u64, back: u64) -> usize {
        ((pos >> 2).wrapping_sub(back) & (WORD_COUNT as u64 - 1)) as usize
    }

    /// The change `back` words before `pos`.
    #[must_use]
    pub fn get(&self, pos: u64, back: u64) -> u32 {
        self.words.get(Self::at(pos, back)).copied().unwrap_or(0)
    }

    /// Enters the change of the word at `pos`.
    pub fn put(&mut self, pos: u64, delta: u32) {
        if let Some(word) = self.words.get_mut(Self::at(pos, 0)) {
            *word = delta;
        }
    }

    /// Whether none of the last words changed.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.words.iter().all(|delta| *delta == 0)
    }

    /// The words of the `len` bytes at `pos` did not change.
    pub fn stay(&mut self, pos: u64, len: u64) {
        for by in (0..len.min(4 * WORD_COUNT as u64)).step_by(4) {
            self.put(pos.wrapping_add(by), 0);
        }
    }
}

/// Changes by value and by operation.
#[derive(Debug)]
pub struct Values<'w> {
    values: &'w mut [[u8; ENTRY_LEN]],
    operations: &'w mut [[u8; ENTRY_LEN]],
    last: u32,
}

/// Neighbourhoods of values, by the logarithm of their length.
const NEAR: [u32; 2] = [8, 14];

fn pair(bytes: [u8; ENTRY_LEN]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = bytes;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

fn bytes(pair: (u32, u32)) -> [u8; ENTRY_LEN] {
    let ([a, b, c, d], [e, f, g, h]) = (pair.0.to_le_bytes(), pair.1.to_le_bytes());
    [a, b, c, d, e, f, g, h]
}

fn slot_of(table: &mut [[u8; ENTRY_LEN]], key: u32) -> Option<&mut [u8; ENTRY_LEN]> {
    let mask = table.len().checked_next_power_of_two()?.wrapping_sub(1);
    table.get_mut(key as usize & mask)
}

impl<'w> Values<'w> {
    /// Empty tables; lengths are powers of two.
    #[must_use]
    pub fn new(values: &'w mut [[u8; ENTRY_LEN]], operations: &'w mut [[u8; ENTRY_LEN]]) -> Self {
        values.fill([0; ENTRY_LEN]);
        operations.fill([0; ENTRY_LEN]);
        Self { values, operations, last: 0 }
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.values.as_flattened_mut())?;
        visit.bytes(self.operations.as_flattened_mut())?;
        visit.u32(&mut self.last)
    }

    /// What words near `word` changed by, or else the last one that changed at all.
    pub fn delta(&mut self, word: u32) -> u32 {
        for log in NEAR {
            let key = hash(word >> log, log) | 1;
            if let Some(slot) = slot_of(self.values, key >> 8)
                && let (delta, tag) = pair(*slot)
                && tag == key
            {
                return delta;
            }
        }
        self.last
    }

    /// `word` changed by `delta`.
    pub fn learn(&mut self, word: u32, delta: u32) {
        if delta != 0 {
            self.last = delta;
        }
        if word <= 0x40 || (delta as i32).unsigned_abs() >= 1 << 24 {
            return;
        }
        for log in NEAR {
            let key = hash(word >> log, log) | 1;
            if let Some(slot) = slot_of(self.values, key >> 8) {
                *slot = bytes((delta, key));
            }
        }
    }

    /// The last two different changes of an operation, the later first.
    pub fn of_operation(&mut self, operation: u32) -> [u32; 2] {
        slot_of(self.operations, operation).map_or([0; 2], |slot| pair(*slot).into())
    }

    /// An operation changed by `delta`, not 0.
    pub fn learn_operation(&mut self, operation: u32, delta: u32) {
        if let Some(slot) = slot_of(self.operations, operation) {
            let (last, _) = pair(*slot);
            if last != delta {
                *slot = bytes((delta, last));
            }
        }
    }
}
