//! Which bytes of new are like which bytes of old. Knows bytes only: no format, no cost of coding
//! but a rough one.

mod candidates;
mod covers;
mod statistics;

pub use covers::{Costs, Cover};
pub use statistics::Statistics;

use crate::error::Result;
use crate::progress::{Progress, Stage, checkpoint};

/// Finds covers of `new` by `old`, ascending and disjoint in new.
///
/// Linear in the sum of the lengths for any data; the result does not depend on threads.
///
/// # Errors
/// [`crate::Error::Cancelled`].
pub fn covers(
    old: &[u8],
    new: &[u8],
    costs: &Costs,
    progress: &dyn Progress,
) -> Result<Vec<Cover>> {
    if old.is_empty() || new.is_empty() {
        return Ok(Vec::new());
    }
    let total = new.len() as u64;
    checkpoint(progress, Stage::Match, 0, total)?;
    let statistics = Statistics::new(old, new)?;
    checkpoint(progress, Stage::Match, total / 2, total)?;
    let covers = covers::parse(old, new, &statistics, costs, progress)?;
    checkpoint(progress, Stage::Match, total, total)?;
    Ok(covers)
}
