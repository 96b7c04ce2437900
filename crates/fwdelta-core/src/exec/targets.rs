//! Old addresses of targets that were looked up, with what they moved by.
//!
//! Calls lead to the same functions again and again: what was found once is found here at once.
//! It changes nothing but the time that takes.

/// Bytes of one entry.
pub const ENTRY_LEN: usize = 24;
/// Entries in the workspace: a power of two, few enough to stay in a processor's nearest cache.
pub const ENTRY_COUNT: usize = 512;

/// Low bits of an address that do not choose its entry: targets are functions, rarely closer.
const NEAR_LOG: u32 = 6;

/// Addresses that move by the same, and by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The first of them.
    pub start: u64,
    /// How many there are.
    pub len: u64,
    /// What is added to each, modulo 2^64.
    pub by: u64,
}

impl Known {
    /// Where `addr` is in new, if it is one of them.
    #[must_use]
    #[inline]
    pub const fn moved(&self, addr: u64) -> Option<u64> {
        if addr.wrapping_sub(self.start) < self.len {
            Some(addr.wrapping_add(self.by))
        } else {
            None
        }
    }
}

/// What was found of the module in view; may have no entries.
#[derive(Debug, Default)]
pub struct Targets<'w> {
    entries: &'w mut [[u8; ENTRY_LEN]],
}

impl<'w> Targets<'w> {
    /// Over memory for any number of entries.
    #[must_use]
    pub fn new(entries: &'w mut [[u8; ENTRY_LEN]]) -> Targets<'w> {
        let mut targets = Targets { entries };
        targets.forget();
        targets
    }

    /// Nothing is known: the module in view has changed.
    pub fn forget(&mut self) {
        self.entries.fill([0; ENTRY_LEN]);
    }

    #[inline]
    const fn place(addr: u64) -> usize {
        (addr >> NEAR_LOG) as usize & (ENTRY_COUNT - 1)
    }

    /// Where `addr` is in new, if that was found before.
    #[must_use]
    #[inline]
    pub fn get(&self, addr: u64) -> Option<u64> {
        let [start, len, by] =
            *self.entries.get(Self::place(addr))?.as_chunks::<8>().0.first_chunk()?;
        let [start, len, by] = [start, len, by].map(u64::from_le_bytes);
        Known { start, len, by }.moved(addr)
    }

    /// Keeps what was found for `addr`.
    pub fn put(&mut self, addr: u64, known: Known) {
        if let Some(entry) = self.entries.get_mut(Self::place(addr)) {
            let words = [known.start, known.len, known.by].map(u64::to_le_bytes);
            entry.iter_mut().zip(words.as_flattened()).for_each(|(to, from)| *to = *from);
        }
    }
}
