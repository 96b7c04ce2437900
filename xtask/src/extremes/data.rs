//! Pairs of images that have made other tools slow, large or wrong, written piece by piece.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A kind of pair, of any length.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Bytes of each image where time is measured.
    pub(super) len: usize,
    /// Thousandths of new that a delta may have, besides a few bytes.
    pub(super) share_max: u64,
    make: fn(usize) -> (Vec<u8>, Vec<u8>),
}

const MB: usize = 1_000_000;
/// Bytes of stored mode beyond those of new.
const NOISE_SHARE: u64 = 1001;

/// What repeats is where suffixes are hard to sort and positions have countless matches; noise is
/// where all work is in vain.
pub(super) const KINDS: [Kind; 8] = [
    Kind { name: "noise", len: 50 * MB, share_max: NOISE_SHARE, make: unrelated },
    Kind { name: "zeros", len: 20 * MB, share_max: 1, make: zeros },
    Kind { name: "periodic", len: 20 * MB, share_max: 1, make: periodic },
    Kind { name: "periodic, changed", len: 20 * MB, share_max: 10, make: perturbed },
    Kind { name: "Fibonacci word", len: 20 * MB, share_max: 1, make: fibonacci },
    Kind { name: "shifted by a byte", len: 20 * MB, share_max: 1, make: shifted },
    Kind { name: "sorted", len: 20 * MB, share_max: 1, make: sorted },
    Kind { name: "pointers", len: 4 * MB, share_max: NOISE_SHARE, make: pointers },
];

impl Kind {
    /// Writes a pair of `len` bytes each below `dir`.
    pub(super) fn write(&self, len: usize, dir: &Path) -> Result<[PathBuf; 2], String> {
        let (old, new) = (self.make)(len);
        Ok([write(dir, "old", &old)?, write(dir, "new", &new)?])
    }
}

/// Writes a file below `dir`.
pub(super) fn write(dir: &Path, name: &str, image: &[u8]) -> Result<PathBuf, String> {
    let path = dir.join(name);
    std::fs::write(&path, image).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// The high bits of Knuth's linear congruential generator.
fn numbers(seed: u64) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(seed), |state| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .skip(1)
    .map(|state| (state >> 32) as u32)
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    numbers(seed).map(|number| (number >> 24) as u8).take(len).collect()
}

fn unrelated(len: usize) -> (Vec<u8>, Vec<u8>) {
    (noise(1, len), noise(2, len))
}

fn zeros(len: usize) -> (Vec<u8>, Vec<u8>) {
    (vec![0; len], vec![0; len + 1000])
}

fn periodic(len: usize) -> (Vec<u8>, Vec<u8>) {
    let period = noise(1, 1000);
    let from = |start: usize| period.iter().copied().cycle().skip(start).take(len).collect();
    (from(0), from(123))
}

fn perturbed(len: usize) -> (Vec<u8>, Vec<u8>) {
    let (old, mut new) = periodic(len);
    new.iter_mut().step_by(997).for_each(|byte| *byte ^= 1);
    (old, new)
}

/// The string with the most repetitions of all.
fn fibonacci(len: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut before, mut word) = (b"a".to_vec(), b"ab".to_vec());
    while word.len() < len + 5 {
        let next = [&word[..], &before].concat();
        (before, word) = (word, next);
    }
    (word[..len].to_vec(), word[5..len + 5].to_vec())
}

fn shifted(len: usize) -> (Vec<u8>, Vec<u8>) {
    let old = noise(1, len);
    let new = [&[0x55], &old[..]].concat();
    (old, new)
}

/// Ascending numbers, from different ones on.
fn sorted(len: usize) -> (Vec<u8>, Vec<u8>) {
    let from = |first: u32| (first..).flat_map(u32::to_be_bytes).take(len).collect();
    (from(0), from(7))
}

/// Addresses inside an image as it is loaded on a microcontroller, in no order.
fn pointers(len: usize) -> (Vec<u8>, Vec<u8>) {
    let words = |seed| {
        let inside = move |number: u32| 0x0800_0000 + number % len as u32 / 4 * 4;
        numbers(seed).flat_map(move |number| inside(number).to_le_bytes()).take(len).collect()
    };
    (words(1), words(2))
}

/// Parts of noise in another order, a byte in 64 changed: covers and candidates without end.
pub(super) fn shuffled(len: usize) -> (Vec<u8>, Vec<u8>) {
    let old = noise(1, len);
    let parts: Vec<&[u8]> = old.chunks(500).collect();
    let order = (0..parts.len()).map(|at| parts[at * 7919 % parts.len()]);
    let mut new: Vec<u8> = order.flatten().copied().collect();
    new.iter_mut().step_by(64).for_each(|byte| *byte ^= 0x20);
    (old, new)
}

/// Bytes of an image above 4 GiB.
const LARGE_LEN: u64 = (41 << 30) / 10;
/// Times that code stands in it.
const LARGE_COUNT: u64 = 8;

/// Writes an image that is mostly a hole, with `code` in it here and there, a bit farther from
/// the start each time if `is_new`.
pub(super) fn write_large(path: &Path, code: &[u8], is_new: bool) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", path.display());
    let file = File::create(path).map_err(failed)?;
    let shift = if is_new { 4096 } else { 0 };
    file.set_len(LARGE_LEN + shift).map_err(failed)?;
    let mut file = BufWriter::new(file);
    for number in 0..LARGE_COUNT {
        let pos = LARGE_LEN / LARGE_COUNT * number + shift * number + 12_288;
        file.seek(SeekFrom::Start(pos)).map_err(failed)?;
        file.write_all(code).map_err(failed)?;
    }
    file.flush().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_of_the_length_asked_for() {
        for kind in &KINDS {
            let (old, new) = (kind.make)(3000);
            assert_eq!(old.len(), 3000, "{}", kind.name);
            assert!((3000..=4000).contains(&new.len()), "{}", kind.name);
            assert!(kind.name == "zeros" || old[..] != new[..3000], "{}", kind.name);
        }
    }
}
