//! Which stretches of old share a string with what is sought: the rest of old matches none of it.

use std::ops::Range;

use rayon::prelude::*;

use super::costs::Costs;
use super::fingerprints::FACTOR;

/// Shorter matches are not worth trying.
const STRING_LEN: usize = 6;
const _: () = assert!(STRING_LEN as u64 <= Costs::MAX.match_len_min);
/// Stretches closer than this are one.
const GAP_LEN: usize = 32;
/// Bits of a set for each string: one of so many others is taken for one of its strings.
const BITS_PER_STRING: usize = 64;
/// Fewest bits of a set, 128 KiB: they stay in a cache.
const BITS_MIN: usize = 1 << 20;
/// Most bits of a set: 8 MiB. Of more strings a set tells less, and loses none.
const BITS_MAX: usize = 1 << 26;
/// Bytes of old that are looked at on their own, so that threads do not matter.
const PIECE_LEN: usize = 1 << 20;

/// The stretches of `ranges` of old that may share strings with `sought` of new; `ranges` ascend,
/// and so do they.
pub(super) fn shared(
    old: &[u8],
    ranges: &[Range<usize>],
    new: &[u8],
    sought: &[Range<usize>],
) -> Vec<Range<usize>> {
    let strings = Strings::of(new, sought);
    let pieces = ranges.iter().flat_map(|range| {
        let starts = range.clone().step_by(PIECE_LEN);
        starts.map(|start| start..range.end.min(start + PIECE_LEN))
    });
    let pieces: Vec<Range<usize>> = pieces.collect();
    let stretches: Vec<Vec<Range<usize>>> =
        pieces.par_iter().map(|piece| strings.stretches(old, piece)).collect();
    let mut merged = Vec::new();
    stretches.into_iter().flatten().for_each(|stretch| merge(&mut merged, stretch));
    merged
}

/// Appends `stretch`, which starts no earlier than the last.
fn merge(stretches: &mut Vec<Range<usize>>, stretch: Range<usize>) {
    match stretches.last_mut() {
        Some(last) if stretch.start < last.end + GAP_LEN => last.end = last.end.max(stretch.end),
        _ => stretches.push(stretch),
    }
}

/// A set of strings that may hold a few more than were put in.
struct Strings {
    bits: Vec<u64>,
    /// Of a product, to be left with the number of a bit.
    shift: u32,
}

impl Strings {
    fn of(new: &[u8], sought: &[Range<usize>]) -> Self {
        let count: usize = sought.iter().map(Range::len).sum();
        let bit_count = (count * BITS_PER_STRING).clamp(BITS_MIN, BITS_MAX).next_power_of_two();
        let shift = u64::BITS - bit_count.ilog2();
        let mut strings = Self { bits: vec![0; bit_count / 64], shift };
        for at in sought.iter().cloned().flatten() {
            if let Some(string) = string(new, at) {
                let bit = strings.bit(string);
                strings.bits[bit / 64] |= 1 << (bit % 64);
            }
        }
        strings
    }

    fn bit(&self, string: u64) -> usize {
        (string.wrapping_mul(FACTOR) >> self.shift) as usize
    }

    fn holds(&self, string: u64) -> bool {
        let bit = self.bit(string);
        self.bits[bit / 64] >> (bit % 64) & 1 != 0
    }

    /// Where strings of the set stand in `piece` of `old`.
    fn stretches(&self, old: &[u8], piece: &Range<usize>) -> Vec<Range<usize>> {
        let mut stretches = Vec::new();
        for at in piece.clone() {
            if string(old, at).is_some_and(|string| self.holds(string)) {
                merge(&mut stretches, at..at + STRING_LEN);
            }
        }
        stretches
    }
}

/// The string at `at`, as the high bytes of a number, if the image does not end before.
#[inline]
fn string(bytes: &[u8], at: usize) -> Option<u64> {
    const UNUSED: u32 = u64::BITS - 8 * STRING_LEN as u32;
    if let Some(word) = bytes.get(at..)?.first_chunk() {
        return Some(u64::from_le_bytes(*word) << UNUSED);
    }
    let string = bytes.get(at..at + STRING_LEN)?;
    let word = string.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    Some(word << UNUSED)
}

#[cfg(test)]
mod tests {
    use super::super::testing::noise;
    use super::*;

    #[test]
    fn what_shares_a_string_is_kept_and_little_else() {
        let old = noise(1, 3 << 20);
        let mut new = noise(2, 100_000);
        // At the ends of old, over the ends of pieces, and only just long enough.
        let len = old.len();
        let copies = [(0, 40), (len - 6, 6), (len - 60, 50), (PIECE_LEN - 3, 6), (2_000_000, 900)];
        for (number, (old_pos, len)) in copies.into_iter().enumerate() {
            let new_pos = 10_000 * (number + 1);
            new[new_pos..new_pos + len].copy_from_slice(&old[old_pos..old_pos + len]);
        }
        let shared =
            |sought: Range<usize>| shared(&old, &[0..len / 2, len / 2..len], &new, &[sought]);
        let found = shared(5000..new.len());
        for (old_pos, len) in copies {
            let holds = |range: &Range<usize>| range.start <= old_pos && old_pos + len <= range.end;
            assert!(found.iter().any(holds), "{old_pos}");
        }
        let kept: usize = found.iter().map(Range::len).sum();
        assert!(kept < len * 2 * STRING_LEN / BITS_PER_STRING, "{kept}");
        assert!(found.is_sorted_by(|a, b| a.end <= b.start) && found.iter().all(|f| f.end <= len));
        // What is not sought is not found.
        let none = shared(0..10);
        assert!(none.iter().map(Range::len).sum::<usize>() < len / 1000);
    }
}
