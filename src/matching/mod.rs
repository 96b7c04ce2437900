//! Which bytes of new are like which bytes of old. Knows bytes only: no format, no cost of coding
//! but a rough one.

mod candidates;
mod costs;
mod covers;
mod doubtful;
mod estimate;
mod fingerprints;
mod log;
mod options;
mod run;
mod search;
mod settled;
mod shared;
mod statistics;
mod view;
mod windows;

pub use costs::Costs;
pub use covers::Cover;
pub use estimate::estimate;
pub(crate) use fingerprints::samples;
pub use options::{MatchOptions, memory_needed};
pub use statistics::Statistics;
pub use view::{View, Vote};

use covers::{Task, append, unchanged};
use fwdelta_core::Detail;
use windows::Windows;

use crate::error::Result;
use crate::progress::{Progress, Stage, checkpoint};

/// Finds covers of `new` by `old`, ascending and disjoint in new, inside old.
///
/// Where `known` covers, ascending in new, already lead to equal bytes, nothing else is sought.
/// `votes` ascend by position, then diagonal; each is tried, and lowers the cost of its diagonal.
/// Linear in the sum of the lengths for any data; the result does not depend on threads.
///
/// # Errors
/// [`crate::Error::Cancelled`]; `BadArgument` when the readings of an image differ in length.
pub fn covers(
    old: &View,
    new: &View,
    known: &[Cover],
    votes: &[Vote],
    costs: &Costs,
    options: &MatchOptions,
    progress: &dyn Progress,
) -> Result<Vec<Cover>> {
    covers_with(old, new, known, || votes, costs, options, progress)
}

/// [`covers`] with votes that are still to be collected: that is done while others wait.
///
/// # Errors
/// As [`covers`].
pub fn covers_with<V: AsRef<[Vote]> + Send>(
    old: &View,
    new: &View,
    known: &[Cover],
    votes_of: impl FnOnce() -> V + Send,
    costs: &Costs,
    options: &MatchOptions,
    progress: &dyn Progress,
) -> Result<Vec<Cover>> {
    if !old.is_consistent() || !new.is_consistent() {
        return Err(Detail::BadArgument.into());
    }
    let total = new.len() as u64;
    checkpoint(progress, Stage::Match, 0, total)?;
    let mut covers = Vec::new();
    if old.is_empty() || new.is_empty() {
        return Ok(covers);
    }
    let are_unrelated =
        |votes: &[Vote]| votes.is_empty() && fingerprints::are_unrelated(old.seek, new.seek);
    let (votes, windows, mut first);
    if known.is_empty() {
        votes = votes_of();
        if are_unrelated(votes.as_ref()) {
            return Ok(covers);
        }
        (windows, first) = (Windows::new(old.seek, new.seek, known, options), None);
    } else {
        windows = Windows::new(old.seek, new.seek, known, options);
        (votes, first) = match windows.is_whole() {
            // A sorting takes one thread, and all rounds but a thorough one have but one.
            true => rayon::join(votes_of, || Some(windows.matches(&(0..new.len())))),
            false => (votes_of(), None),
        };
        if are_unrelated(votes.as_ref()) {
            return Ok(covers);
        }
    }
    let votes = votes.as_ref();
    for window in windows.ranges() {
        checkpoint(progress, Stage::Match, window.start as u64, total)?;
        let is_part = window.len() < new.len();
        if let Some(cover) = unchanged(old, new, &window, covers.last()).filter(|_| is_part) {
            append(&mut covers, cover);
            continue;
        }
        let matches = first.take().unwrap_or_else(|| windows.matches(&window))?;
        let task = Task { old, new, matches: &matches, votes, costs };
        task.parse(&window, &mut covers, progress)?;
    }
    checkpoint(progress, Stage::Match, total, total)?;
    Ok(covers)
}

/// [`covers`] of images of which nothing is known.
///
/// # Errors
/// As [`covers`].
pub fn plain_covers(
    old: &[u8],
    new: &[u8],
    costs: &Costs,
    progress: &dyn Progress,
) -> Result<Vec<Cover>> {
    let (old, new) = (View::plain(old), View::plain(new));
    covers(&old, &new, &[], &[], costs, &MatchOptions::default(), progress)
}

#[cfg(test)]
mod testing {
    /// Bytes without pattern.
    pub(super) fn noise(seed: u32, len: usize) -> Vec<u8> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(next).collect()
    }
}
