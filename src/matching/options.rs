//! How much memory matching takes, and how it is bounded.

use super::statistics::TEXT_LEN_MAX;

/// What matching takes besides what grows with the images: blocks of candidates, paths, covers.
const FIXED_LEN: u64 = 20 << 20;

/// How matching goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchOptions {
    /// Bytes that matching may use besides the images and their views; with less than
    /// [`MatchOptions::MEMORY_MIN`] it takes that. `None`: what is needed to see all of both
    /// images at once, or [`MatchOptions::MEMORY_LARGE`] where that is impossible.
    pub memory_max: Option<u64>,
    /// Whether what has changed is sought in all of old, even where old is known to be as in new:
    /// takes more time, and finds little more.
    pub is_thorough: bool,
}

impl MatchOptions {
    /// Matching works with this, for images of any length.
    pub const MEMORY_MIN: u64 = 64 << 20;
    /// Used above 2 GiB of old and new together, unless said otherwise.
    pub const MEMORY_LARGE: u64 = 4 << 30;

    /// The bytes that matching of images of these lengths will stay below.
    #[must_use]
    pub fn memory_bound(&self, old_len: u64, new_len: u64) -> u64 {
        let needed = memory_needed(old_len, new_len);
        let fits = old_len.saturating_add(new_len) <= TEXT_LEN_MAX as u64;
        let bound = match self.memory_max {
            None if fits => needed,
            None => Self::MEMORY_LARGE,
            Some(bound) => bound.max(Self::MEMORY_MIN),
        };
        if fits { bound.min(needed) } else { bound }
    }

    /// Whether both images are seen at once.
    pub(super) fn is_whole(&self, old_len: u64, new_len: u64) -> bool {
        old_len.saturating_add(new_len) <= TEXT_LEN_MAX as u64
            && memory_needed(old_len, new_len) <= self.memory_bound(old_len, new_len)
    }
}

/// Bytes that matching needs besides the images and their views to see all of both at once: five
/// for every suffix and its byte; with those, what is known of each suffix of new, and later, when
/// the suffixes of new are gone, how long its match is.
#[must_use]
pub fn memory_needed(old_len: u64, new_len: u64) -> u64 {
    let text_len = old_len.saturating_add(new_len);
    text_len.saturating_mul(5).saturating_add(new_len.saturating_mul(4)).saturating_add(FIXED_LEN)
}

/// Longest windows of old and new that are analysed together in `bound` bytes.
pub(super) fn window_lens(bound: u64, old_len: u64) -> (usize, usize) {
    let bound = bound - bound / 16 - FIXED_LEN;
    // Five per byte of old and nine per byte of new, with something to spare.
    let old_window = old_len.min(bound / 8);
    let new_window = (bound - 5 * old_window) / 13;
    let text_max = TEXT_LEN_MAX as u64;
    let old_window = old_window.min(text_max / 4 * 3);
    (old_window as usize, new_window.min(text_max - old_window) as usize)
}

/// Bytes of the coarse map of old that [`window_lens`] leaves room for.
pub(super) const fn map_len(bound: u64) -> u64 {
    bound / 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_bound_is_raised_and_a_large_one_not_used_up() {
        let bound = |memory_max, len| {
            MatchOptions { memory_max, ..MatchOptions::default() }.memory_bound(len, len)
        };
        assert_eq!(bound(Some(1), 1 << 30), MatchOptions::MEMORY_MIN);
        assert_eq!(bound(Some(1), 1 << 20), memory_needed(1 << 20, 1 << 20));
        assert_eq!(bound(Some(1 << 40), 1 << 20), memory_needed(1 << 20, 1 << 20));
        assert_eq!(bound(None, 100 << 20), memory_needed(100 << 20, 100 << 20));
        assert_eq!(bound(None, 5 << 30), MatchOptions::MEMORY_LARGE);
        assert_eq!(bound(Some(1 << 40), 5 << 30), 1 << 40);
    }

    #[test]
    fn windows_keep_the_bound() {
        for shift in 26..44 {
            for old_len in [1000, 1 << 22, 1 << 28, 1 << 33] {
                let bound = 1u64 << shift;
                let (old, new) = window_lens(bound, old_len);
                assert!(old + new <= TEXT_LEN_MAX && new >= 1 << 20, "{old} {new}");
                let used = memory_needed(old as u64, new as u64) + map_len(bound);
                assert!(used <= bound, "{shift} {old_len}: {used} of {bound}");
            }
        }
    }
}
