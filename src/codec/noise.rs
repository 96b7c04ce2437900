//! Encrypted and compressed images: nothing in them can be made smaller, and trying takes long.

/// Bytes of a sample.
const SAMPLE_LEN: usize = 4096;
/// Samples taken at most, evenly spread.
const SAMPLE_COUNT: usize = 256;
/// The sum of squared counts of byte values in a sample of noise is 69,616 on average, with a
/// standard deviation of about 370; text and code are far above.
const SQUARES_MAX: u64 = 72_000;

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
    let noisy =
        taken.filter(|at| squares(&image[at * SAMPLE_LEN..][..SAMPLE_LEN]) <= SQUARES_MAX).count();
    noisy * 64 >= count * 63
}

fn squares(sample: &[u8]) -> u64 {
    let mut counts = [0u64; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    counts.iter().map(|count| count * count).sum()
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
