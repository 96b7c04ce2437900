//! Old targets whose new place was seen, and what was seen near them.

use super::hash;
use crate::error::Result;
use crate::state::Visit;

/// Bytes of an entry in memory.
pub(super) const ENTRY_LEN: usize = 8;

/// Neighbourhoods of targets, by the logarithm of their length, and their trust.
const NEAR: [(u32, u32); 3] = [(8, 4), (12, 4), (16, 5)];

/// Two tables without chains: an entry that another falls on gives way.
#[derive(Debug)]
pub struct Memo<'w> {
    exact: &'w mut [[u8; ENTRY_LEN]],
    near: &'w mut [[u8; ENTRY_LEN]],
}

/// An entry: 30 bits of hash, 2 of how often it was right, and how far the target moved.
#[derive(Clone, Copy)]
struct Entry {
    tag: u32,
    count: u32,
    shift: i32,
}

impl Entry {
    fn load(bytes: [u8; ENTRY_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        let tag = u32::from_le_bytes([a, b, c, d]);
        Self { tag: tag & !3, count: tag & 3, shift: i32::from_le_bytes([e, f, g, h]) }
    }

    fn store(self) -> [u8; ENTRY_LEN] {
        let [a, b, c, d] = (self.tag | self.count.min(3)).to_le_bytes();
        let [e, f, g, h] = self.shift.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

const fn tag_of(address: u64, salt: u32) -> u32 {
    // An entry of zeros is empty.
    hash(address as u32 ^ salt, (address >> 32) as u32) & !3 | 4
}

fn slot_of(table: &mut [[u8; ENTRY_LEN]], tag: u32) -> Option<&mut [u8; ENTRY_LEN]> {
    let mask = table.len().checked_next_power_of_two()?.wrapping_sub(1);
    table.get_mut(tag.wrapping_mul(0x9e37_79b1) as usize >> 7 & mask)
}

impl<'w> Memo<'w> {
    /// Empty tables; lengths are powers of two.
    #[must_use]
    pub fn new(exact: &'w mut [[u8; ENTRY_LEN]], near: &'w mut [[u8; ENTRY_LEN]]) -> Self {
        exact.fill([0; ENTRY_LEN]);
        near.fill([0; ENTRY_LEN]);
        Self { exact, near }
    }

    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.exact.as_flattened_mut())?;
        visit.bytes(self.near.as_flattened_mut())
    }

    /// Where `target` led before, and how often besides.
    pub fn get(&mut self, target: u64) -> Option<(u64, u32)> {
        let tag = tag_of(target, 0);
        let entry = Entry::load(*slot_of(self.exact, tag)?);
        (entry.tag == tag).then(|| (target.wrapping_add(entry.shift as u64), entry.count))
    }

    /// Where `target` would be if it moved like one seen near it, and how much to trust that.
    pub fn near(&mut self, target: u64, trust_max: u32) -> Option<(u64, u32)> {
        for (log, trust) in NEAR.into_iter().filter(|(_, trust)| *trust <= trust_max) {
            let tag = tag_of(target >> log, log << 24);
            let entry = Entry::load(*slot_of(self.near, tag)?);
            if entry.tag == tag {
                return Some((target.wrapping_add(entry.shift as u64), trust));
            }
        }
        None
    }

    /// `target` led to `new`. `is_news`: unless it is known already, only then is it entered.
    pub fn learn(&mut self, target: u64, new: u64, is_news: bool, is_near: bool) {
        let Ok(shift) = i32::try_from(new.wrapping_sub(target) as i64) else { return };
        let tag = tag_of(target, 0);
        if let Some(slot) = slot_of(self.exact, tag) {
            let entry = Entry::load(*slot);
            let count = match (entry.tag == tag, entry.shift == shift) {
                (true, true) => Some(entry.count + 1),
                (true, false) => Some(0),
                (false, _) if is_news => Some(0),
                (false, _) => None,
            };
            if let Some(count) = count {
                *slot = Entry { tag, count, shift }.store();
            }
        }
        if is_near {
            for (log, _) in NEAR {
                let tag = tag_of(target >> log, log << 24);
                if let Some(slot) = slot_of(self.near, tag) {
                    *slot = Entry { tag, count: 0, shift }.store();
                }
            }
        }
    }
}
