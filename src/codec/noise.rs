//! Encrypted and compressed parts of images: nothing in them can be made smaller, and trying takes
//! long.

/// Bytes of a sample.
const SAMPLE_LEN: usize = 4096;
/// Samples taken at most, evenly spread.
const SAMPLE_COUNT: usize = 256;
/// In n bytes of noise the sum of squared counts of byte values is n + n(n - 1) / 256 on average,
/// with a standard deviation of n * 0.088; this is four of them more, times 256 and by n. Text and
/// code are far above.
const ABOVE_MEAN: u64 = 345;

/// Whether nearly all of `image`, of a sample at least, looks like noise.
#[must_use]
pub(crate) fn is_noise(image: &[u8]) -> bool {
    let samples = image.len() / SAMPLE_LEN;
    if samples < 4 {
        return false;
    }
    let step = samples.div_ceil(SAMPLE_COUNT);
    let taken = (0..samples).step_by(step);
    let count = taken.clone().count();
    let noisy = taken.filter(|at| is_flat(&image[at * SAMPLE_LEN..][..SAMPLE_LEN], 0)).count();
    noisy * 64 >= count * 63
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
        assert!(is_noise(&noise(1 << 20)));
        assert!(!is_noise(&noise(100)), "too short to say");
        assert!(!is_noise(&vec![0; 1 << 20]));
        let digits: Vec<u8> = noise(1 << 20).iter().map(|byte| byte & 0x7f).collect();
        assert!(!is_noise(&digits));
        let half = [noise(1 << 19), vec![7; 1 << 19]].concat();
        assert!(!is_noise(&half));
    }
}
