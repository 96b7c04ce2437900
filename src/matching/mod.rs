//! Which bytes of new are like which bytes of old. Knows bytes only: no format, no cost of coding
//! but a rough one.

mod candidates;
mod costs;
mod covers;
mod log;
mod run;
mod search;
mod statistics;
mod view;

pub use costs::Costs;
pub use covers::Cover;
pub use statistics::Statistics;
pub use view::{View, Vote};

use covers::Task;
use fwdelta_core::Detail;

use crate::error::Result;
use crate::progress::{Progress, Stage, checkpoint};

/// How matching goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchOptions {
    /// Bytes that matching may use.
    pub memory_max: Option<u64>,
}

/// Finds covers of `new` by `old`, ascending and disjoint in new, inside old.
///
/// `votes` ascend by position, then diagonal; each is tried, and lowers the cost of its diagonal.
/// Linear in the sum of the lengths for any data; the result does not depend on threads.
///
/// # Errors
/// [`crate::Error::Cancelled`]; `BadArgument` when the readings of an image differ in length.
pub fn covers(
    old: &View,
    new: &View,
    votes: &[Vote],
    costs: &Costs,
    _options: &MatchOptions,
    progress: &dyn Progress,
) -> Result<Vec<Cover>> {
    if !old.is_consistent() || !new.is_consistent() {
        return Err(Detail::BadArgument.into());
    }
    if old.is_empty() || new.is_empty() {
        return Ok(Vec::new());
    }
    let total = new.len() as u64;
    checkpoint(progress, Stage::Match, 0, total)?;
    let statistics = Statistics::new(old.seek, new.seek)?;
    checkpoint(progress, Stage::Match, total / 2, total)?;
    let task = Task { old, new, statistics: &statistics, votes, costs };
    let covers = task.parse(progress)?;
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
    covers(&old, &new, &[], costs, &MatchOptions::default(), progress)
}
