//! Pairs of images that have made other tools slow, large or wrong, written piece by piece.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A kind of pair, of any length.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Bytes of old where time is measured.
    pub(super) len: u64,
    /// Bytes by which new is longer.
    more: u64,
    /// Thousandths of new that a delta may have, besides a few bytes.
    pub(super) share_max: u64,
    /// The byte at a position of an image of a length. Images are never held in memory here: the
    /// peak memory of a program that is started includes that of the one that starts it.
    old: fn(u64, u64) -> u8,
    new: fn(u64, u64) -> u8,
}

const MB: u64 = 1_000_000;
/// Bytes of stored mode beyond those of new.
const NOISE_SHARE: u64 = 1001;

const fn kind(name: &'static str, old: fn(u64, u64) -> u8, new: fn(u64, u64) -> u8) -> Kind {
    Kind { name, len: 20 * MB, more: 0, share_max: 1, old, new }
}

/// What repeats is where suffixes are hard to sort and positions have countless matches; noise is
/// where all work is in vain.
pub(super) const KINDS: [Kind; 8] = [
    Kind {
        len: 50 * MB,
        share_max: NOISE_SHARE,
        ..kind("noise", |at, _| noise(1, at), |at, _| noise(2, at))
    },
    Kind { more: 1000, ..kind("zeros", |_, _| 0, |_, _| 0) },
    kind("periodic", |at, _| periodic(at), |at, _| periodic(at + 123)),
    Kind {
        share_max: 10,
        ..kind(
            "periodic, changed",
            |at, _| periodic(at),
            |at, _| periodic(at + 123) ^ u8::from(at % 997 == 0),
        )
    },
    kind("Fibonacci word", |at, _| fibonacci(at), |at, _| fibonacci(at + 5)),
    Kind {
        more: 1,
        ..kind("shifted by a byte", |at, _| noise(1, at), |at, _| noise(1, at.wrapping_sub(1)))
    },
    kind("sorted", |at, _| sorted(at), |at, _| sorted(at + 28)),
    Kind {
        len: 4 * MB,
        share_max: NOISE_SHARE,
        ..kind("pointers", |at, len| pointer(1, at, len), |at, len| pointer(2, at, len))
    },
];

/// Parts of noise in another order, a byte in 64 changed: covers and candidates without end.
pub(super) const SHUFFLED: Kind =
    Kind { share_max: 1000, ..kind("shuffled", |at, _| noise(1, at), shuffled) };

impl Kind {
    /// Writes a pair below `dir`, old of `len` bytes.
    pub(super) fn write(&self, len: u64, dir: &Path) -> Result<[PathBuf; 2], String> {
        let paths = ["old", "new"].map(|name| dir.join(name));
        for (path, byte, more) in [(&paths[0], self.old, 0), (&paths[1], self.new, self.more)] {
            let failed = |error| format!("{}: {error}", path.display());
            let mut file = BufWriter::new(File::create(path).map_err(failed)?);
            for at in 0..len + more {
                file.write_all(&[byte(at, len)]).map_err(failed)?;
            }
            file.flush().map_err(failed)?;
        }
        Ok(paths)
    }
}

/// SplitMix64 of a number (Steele, Lea and Flood, 2014).
const fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

const fn noise(seed: u64, at: u64) -> u8 {
    (mixed((seed << 48) ^ (at >> 3)) >> (8 * (at & 7))) as u8
}

const fn periodic(at: u64) -> u8 {
    noise(1, at % 1000)
}

/// The string with the most repetitions of all: where the multiples of the golden ratio go on by 2.
const fn fibonacci(at: u64) -> u8 {
    b'a' + (golden(at + 2) - golden(at + 1) == 1) as u8
}

/// The golden ratio times `number`, rounded down.
const fn golden(number: u64) -> u64 {
    (number + (5 * number * number).isqrt()) / 2
}

/// Ascending numbers.
const fn sorted(at: u64) -> u8 {
    ((at / 4) as u32).to_be_bytes()[(at % 4) as usize]
}

/// Addresses inside an image as it is loaded on a microcontroller, in no order.
const fn pointer(seed: u64, at: u64, len: u64) -> u8 {
    let to = mixed((seed << 48) ^ (at / 4)) % len / 4 * 4;
    (0x0800_0000 + to as u32).to_le_bytes()[(at % 4) as usize]
}

fn shuffled(at: u64, len: u64) -> u8 {
    let (part, count) = (at / 500, len / 500);
    let from = part * 7919 % count.max(1) * 500 + at % 500;
    noise(1, from) ^ if at.is_multiple_of(64) { 0x20 } else { 0 }
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

    fn start(byte: fn(u64, u64) -> u8) -> Vec<u8> {
        (0..3000).map(|at| byte(at, 3000)).collect()
    }

    #[test]
    fn pairs_differ_as_they_should() {
        for kind in &KINDS {
            let (old, new) = (start(kind.old), start(kind.new));
            assert!(kind.name == "zeros" || old != new, "{}", kind.name);
        }
        assert_eq!(&start(KINDS[4].old)[..13], b"abaababaabaab");
        assert_eq!(&start(KINDS[6].old)[4..12], [0, 0, 0, 1, 0, 0, 0, 2]);
        let (old, new) = (start(KINDS[5].old), start(KINDS[5].new));
        assert_eq!(old[..2999], new[1..]);
        let (mut old, mut new) = (start(SHUFFLED.old), start(SHUFFLED.new));
        new.iter_mut().step_by(64).for_each(|byte| *byte ^= 0x20);
        assert_ne!(old, new);
        old.sort_unstable();
        new.sort_unstable();
        assert_eq!(old, new, "the same parts in another order");
    }
}
