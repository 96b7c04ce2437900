//! Samples of an image by content: the same bytes are sampled wherever they stand.

use std::ops::Range;

/// Images shorter than this are always analysed: that takes no time.
const UNRELATED_LEN_MIN: usize = 1 << 20;
/// One of so many positions is sampled to learn whether images are related, a power of two.
const RELATED_EVERY: usize = 16;
/// Of longer images fewer, so that there are about so many samples of old at most: 32 MiB.
const RELATED_COUNT: usize = 1 << 22;
/// Images are unrelated when fewer than one in so many samples of new is in old.
const RELATED_MIN: usize = 2048;
/// An odd number without pattern: the golden ratio in 64 bits.
pub(super) const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// Hashes of the strings of `WORDS * 8` bytes at sampled positions of `bytes`, ascending; one of
/// `every` (a power of two) on average. Runs of the same string give one.
pub(crate) fn samples<const WORDS: usize>(
    bytes: &[u8],
    every: usize,
) -> impl Iterator<Item = (usize, u64)> {
    let mut last = None;
    let hashes = bytes.windows(WORDS * 8).map(hash).enumerate();
    hashes.filter(move |(_, hash)| {
        hash & (every as u64 - 1) == 0 && last.replace(*hash) != Some(*hash)
    })
}

/// A hash of whole words.
pub(super) fn hash(string: &[u8]) -> u64 {
    let words = string.as_chunks::<8>().0.iter();
    let mixed = words.fold(FACTOR, |hash, word| {
        (hash.rotate_left(29) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR)
    });
    mixed ^ mixed >> 32
}

/// Whether next to nothing of `new` is in `old`, as when either is encrypted.
///
/// Looks for strings of 8 bytes; what shares less than one in 2,048 gains nothing worth the time.
pub(super) fn are_unrelated(old: &[u8], new: &[u8]) -> bool {
    if new.len() < UNRELATED_LEN_MIN {
        return false;
    }
    let every = (old.len() / RELATED_COUNT).next_power_of_two().max(RELATED_EVERY);
    let slots = (old.len() / every * 2).next_power_of_two();
    // Later samples displace earlier ones in the same slot: enough remain to tell.
    let mut table = vec![0u32; slots];
    let place = |hash: u64| ((hash >> 8) as usize & (slots - 1), (hash >> 32) as u32 | 1);
    for (_, hash) in samples::<1>(old, every) {
        let (slot, check) = place(hash);
        table[slot] = check;
    }
    let enough = new.len() / every / RELATED_MIN;
    let (mut known, mut seen) = (0, 0);
    for (_, hash) in samples::<1>(new, every) {
        let (slot, check) = place(hash);
        known += usize::from(table[slot] == check);
        seen += 1;
        if known >= enough {
            return false;
        }
    }
    // What repeats gives few samples, and those say little.
    seen > new.len() / every / 2
}

/// Which blocks of old hold which samples: a coarse map of content.
#[derive(Debug)]
pub(super) struct Map {
    /// Hash and block, ascending, each once.
    entries: Vec<(u32, u32)>,
    every: usize,
    block_count: usize,
}

impl Map {
    /// Bytes of an entry.
    pub(super) const ENTRY_LEN: usize = 8;
    /// Blocks in which content stands that says nothing about where it belongs.
    const BLOCKS_MAX: usize = 8;
    /// Words of a sampled string.
    const WORDS: usize = 3;

    /// Samples `old`, one of `every` positions on average, in blocks of `block_len`.
    pub(super) fn new(old: &[u8], every: usize, block_len: usize) -> Self {
        let mut entries = Vec::new();
        for (block, bytes) in old.chunks(block_len).enumerate() {
            let hashes = samples::<{ Self::WORDS }>(bytes, every).map(|(_, hash)| hash);
            // Each once in a block: what repeats does not fill the memory.
            let mut hashes: Vec<u32> = hashes.map(|hash| (hash >> 32) as u32).collect();
            hashes.sort_unstable();
            hashes.dedup();
            entries.extend(hashes.into_iter().map(|hash| (hash, block as u32)));
        }
        entries.sort_unstable();
        Self { entries, every, block_count: old.len().div_ceil(block_len) }
    }

    /// For every block of old, how many samples of `new` it has.
    pub(super) fn shared(&self, new: &[u8]) -> Vec<u64> {
        let mut counts = vec![0; self.block_count];
        for (_, hash) in samples::<{ Self::WORDS }>(new, self.every) {
            let blocks = &self.entries[self.range((hash >> 32) as u32)];
            if blocks.len() <= Self::BLOCKS_MAX {
                blocks.iter().for_each(|(_, block)| counts[*block as usize] += 1);
            }
        }
        counts
    }

    fn range(&self, hash: u32) -> Range<usize> {
        let start = self.entries.partition_point(|(of, _)| *of < hash);
        let same = self.entries[start..].iter().take_while(|(of, _)| *of == hash);
        start..start + same.take(Self::BLOCKS_MAX + 1).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::noise;
    use super::*;

    #[test]
    fn noise_is_unrelated_to_other_noise() {
        let (old, mut new) = (noise(1, 2 << 20), noise(2, 2 << 20));
        assert!(are_unrelated(&old, &new));
        assert!(are_unrelated(&[], &new));
        new[5000..5400].copy_from_slice(&old[70_000..70_400]);
        assert!(are_unrelated(&old, &new), "a header in common");
    }

    #[test]
    fn a_hundredth_in_common_is_enough() {
        let (old, mut new) = (noise(1, 2 << 20), noise(2, 2 << 20));
        for at in (0..new.len()).step_by(100 * 64) {
            let end = new.len().min(at + 64);
            new[at..end].copy_from_slice(&old[at / 2..at / 2 + end - at]);
        }
        assert!(!are_unrelated(&old, &new));
    }

    #[test]
    fn short_or_shifted_images_are_related() {
        let old = noise(1, 2 << 20);
        assert!(!are_unrelated(&noise(3, 1000), &noise(4, 1000)));
        assert!(!are_unrelated(&old, &old[12_345..]));
        for period in [1, 2, 7, 1000] {
            let image: Vec<u8> = old[..period].iter().copied().cycle().take(2 << 20).collect();
            assert!(!are_unrelated(&image, &image), "period {period}");
        }
    }

    #[test]
    fn the_map_knows_where_content_stands() {
        let old = noise(1, 1 << 20);
        let map = Map::new(&old, 16, 1 << 16);
        let shared = map.shared(&old[5 << 16..6 << 16]);
        let best = (0..shared.len()).max_by_key(|block| shared[*block]);
        assert_eq!((shared.len(), best), (16, Some(5)));
        assert!(shared[5] > 2048 && shared[9] < 10);
    }
}
