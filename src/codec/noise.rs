//! Encrypted and compressed parts of images: nothing in them can be made smaller, and trying takes
//! long.

use crate::matching::{Cover, samples};

/// Bytes that are looked at together.
const BLOCK_LEN: usize = 4096;
/// Fewer bytes say nothing, and a few of them more or less do not matter.
const BLOCK_LEN_MIN: usize = 256;
/// In n bytes of noise the sum of squared counts of byte values is n + n(n - 1) / 256 on average,
/// with a standard deviation of n * 0.088; this is four of them more, times 256 and by n. Text and
/// code are far above.
const ABOVE_MEAN: u64 = 345;

/// Two more standard deviations: of a million blocks of noise none should look like anything else.
const BLOCK_SLACK: u64 = 45;
/// Strings of 8 bytes are compared at one of so many positions.
const STRING_EVERY: usize = 64;
/// In long images at fewer, so that there are about so many at most: 8 MiB.
const STRING_COUNT: usize = 1 << 20;

/// How many bytes of `new` outside of covers are not noise; all of it where strings of noise
/// repeat, for noise that was seen before is none.
#[must_use]
pub(crate) fn other_len(new: &[u8], covers: &[Cover]) -> usize {
    let starts = std::iter::once(0).chain(covers.iter().map(|cover| cover.new_pos + cover.len));
    let ends = covers.iter().map(|cover| cover.new_pos).chain([new.len() as u64]);
    let literals = starts.zip(ends).map(|(start, end)| &new[start as usize..end as usize]);
    let every = (new.len() / STRING_COUNT).next_power_of_two().max(STRING_EVERY);
    let (mut strings, mut len) = (Vec::new(), 0);
    for block in literals.flat_map(|literals| literals.chunks(BLOCK_LEN)) {
        match block.len() < BLOCK_LEN_MIN || is_flat(block, BLOCK_SLACK) {
            true => strings.extend(samples::<1>(block, every).map(|(_, string)| string)),
            false => len += block.len(),
        }
    }
    strings.sort_unstable();
    let repeats = strings.windows(2).any(|pair| pair[0] == pair[1]);
    if repeats { new.len() } else { len }
}

/// Whether so little could be made of `block`, of 256 bytes or more, that it had better be copied.
///
/// What is above the mean is twice what the entropy of byte values is below 8 bits, in nats, times
/// n: up to a bit of each byte is given away, in the mean far less, for a hundredth of the time
/// that a model takes. Of a wheel of 10 MB that makes 0.02 %, and it is applied a quarter faster;
/// code and texts are far more uneven.
#[must_use]
pub(super) fn is_nearly_noise(block: &[u8]) -> bool {
    is_flat(block, block.len() as u64 * 3 / 2)
}

/// Whether byte values are as frequent in `sample` as in noise, but for `slack`.
fn is_flat(sample: &[u8], slack: u64) -> bool {
    let mut counts = [0u64; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    let squares: u64 = counts.iter().map(|count| count * count).sum();
    let len = sample.len() as u64;
    squares * 256 <= len * (len + ABOVE_MEAN + slack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn noise_is_told_from_anything_else() {
        let other = |image: &[u8]| other_len(image, &[]);
        assert_eq!(other(&noise(1 << 20)), 0);
        assert_eq!(other(&noise(10_000)[..9000]), 0);
        assert_eq!(other(&vec![0; 1 << 20]), 1 << 20);
        let digits: Vec<u8> = noise(1 << 20).iter().map(|byte| byte & 0x7f).collect();
        assert_eq!(other(&digits), 1 << 20);
        let texts: Vec<u8> = (0..1 << 16).map(|at| b"0123456789abcdef"[at * at % 11]).collect();
        let half = [noise(1 << 19), texts].concat();
        assert_eq!(other(&half), 1 << 16);
        let head: Vec<u8> = noise(8192).iter().map(|byte| byte & 0x7f).collect();
        let image = [head, noise(1 << 19)[8192..].to_vec()].concat();
        assert_eq!(other(&image), 8192);
        let cover = Cover { new_pos: 0, old_pos: 0, len: 8192 };
        assert_eq!(other_len(&image, &[cover]), 0);
        let twice = [noise(1 << 18), noise(1 << 18)].concat();
        assert_eq!(other(&twice), twice.len());
    }
}
