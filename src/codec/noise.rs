//! Encrypted and compressed parts of images: nothing in them can be made smaller, and trying takes
//! long.

use fwdelta_core::format::pages::Span;

use crate::matching::{Cover, samples};

/// Bytes that are looked at together.
const BLOCK_LEN: usize = 4096;
/// Shorter runs of literals stand between covers: what looks like noise there is often like old,
/// and the large model makes 5 to 10 % less of it.
const RUN_LEN_MIN: u64 = 16 << 10;
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
/// In long images at fewer, so that there are about so many at most: 16 MiB.
const STRING_COUNT: usize = 1 << 20;

/// Where new is noise.
#[derive(Debug)]
pub(crate) struct Noise {
    /// Ascending and apart.
    spans: Vec<Span>,
}

impl Noise {
    /// Finds literals of `new`, which are what `covers` leave, that are noise. Where strings of
    /// noise repeat there is none: what was seen before can be made smaller.
    #[must_use]
    pub(crate) fn of(new: &[u8], covers: &[Cover]) -> Self {
        let starts = std::iter::once(0).chain(covers.iter().map(|cover| cover.new_pos + cover.len));
        let ends = covers.iter().map(|cover| cover.new_pos).chain([new.len() as u64]);
        let runs = starts.zip(ends).filter(|(start, end)| end - start >= RUN_LEN_MIN);
        let blocks = runs.flat_map(|(start, end)| blocks(start, end));
        let every = (new.len() / STRING_COUNT).next_power_of_two().max(STRING_EVERY);
        let mut strings: Vec<(u64, usize)> = Vec::new();
        let mut flat = Vec::new();
        for block in blocks {
            let bytes = &new[block.pos as usize..block.end as usize];
            if bytes.len() < BLOCK_LEN_MIN || is_flat(bytes, BLOCK_SLACK) {
                strings.extend(samples::<1>(bytes, every).map(|(_, string)| (string, flat.len())));
                flat.push((block, false));
            }
        }
        strings.sort_unstable();
        for pair in strings.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            for (_, block) in pair {
                flat[*block].1 = true;
            }
        }
        let mut spans: Vec<Span> = Vec::new();
        for (block, _) in flat.into_iter().filter(|(_, repeats)| !repeats) {
            match spans.last_mut().filter(|last| last.end == block.pos) {
                Some(last) => last.end = block.end,
                None => spans.push(block),
            }
        }
        Self { spans }
    }

    /// How many bytes of new are noise.
    #[must_use]
    pub(crate) fn len(&self) -> u64 {
        self.spans.iter().map(|span| span.end - span.pos).sum()
    }

    /// Whether `block` is nothing else.
    #[must_use]
    pub(super) fn holds(&self, block: Span) -> bool {
        let after = self.spans.partition_point(|span| span.end < block.end);
        self.spans.get(after).is_some_and(|span| span.pos <= block.pos)
    }
}

/// The blocks of a run of literals.
fn blocks(start: u64, end: u64) -> impl Iterator<Item = Span> {
    let starts = (start..end).step_by(BLOCK_LEN);
    starts.map(move |pos| Span { pos, end: end.min(pos + BLOCK_LEN as u64) })
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
        let other = |image: &[u8]| image.len() - Noise::of(image, &[]).len() as usize;
        assert_eq!(other(&noise(1 << 20)), 0);
        assert_eq!(other(&noise(20_000)[..18_000]), 0);
        assert_eq!(other(&noise(20_000)[..16_500]), 0);
        assert_eq!(other(&noise(10_000)), 10_000);
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
        assert_eq!(Noise::of(&image, &[cover]).len(), (1 << 19) - 8192);
        let twice = [noise(1 << 18), noise(1 << 18)].concat();
        assert_eq!(other(&twice), twice.len());
        let partly = [noise(1 << 19), noise(1 << 12)].concat();
        assert_eq!(other(&partly), 1 << 13);
    }

    #[test]
    fn a_block_is_noise_if_all_of_it_is() {
        let other = vec![0; 1 << 13];
        let image = [&other[..], &noise(1 << 14), &other, &noise(3 << 14)[1 << 14..]].concat();
        let noise = Noise::of(&image, &[]);
        let holds = |pos, end| noise.holds(Span { pos, end });
        assert!(holds(1 << 13, 3 << 13));
        assert!(holds(3 << 12, 5 << 12));
        assert!(holds(1 << 15, 1 << 16));
        assert!(!holds(0, 1 << 12));
        assert!(!holds((1 << 13) - 1, 1 << 14));
        assert!(!holds(5 << 12, 7 << 12));
        assert!(!holds(5 << 12, 9 << 12));
        assert!(!holds(1 << 16, 9 << 13));
    }
}
