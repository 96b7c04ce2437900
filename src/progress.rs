//! Progress reports and cancellation of long work, without knowing who is watching.

use crate::error::{Error, Result};

/// What the generator is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Building the index of the old image and finding matches.
    Match,
    /// Coding the delta.
    Encode,
    /// Applying the finished delta and comparing the result.
    Check,
    /// Verifying a package.
    Verify,
    /// Writing a new image.
    Apply,
}

impl Stage {
    /// A word for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Match => "matching",
            Stage::Encode => "encoding",
            Stage::Check => "checking",
            Stage::Verify => "verifying",
            Stage::Apply => "applying",
        }
    }
}

/// Watches long work; called from worker threads.
pub trait Progress: Sync {
    /// `done` of `total` units of `stage` are finished.
    fn report(&self, stage: Stage, done: u64, total: u64);

    /// Whether the work should stop; asked at least every few milliseconds.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody is watching.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _: Stage, _: u64, _: u64) {}
}

/// Reports, then stops with [`Error::Cancelled`] when asked to.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn checkpoint(progress: &dyn Progress, stage: Stage, done: u64, total: u64) -> Result<()> {
    progress.report(stage, done, total);
    if progress.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}
