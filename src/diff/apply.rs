//! Applying a delta that is in memory, through core's interpreter.

use fwdelta_core::apply::{Applier, Io, Step, Verified};
use fwdelta_core::codec::Decompressor;
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::storage::{Source, Target};
use fwdelta_core::{Detail, Limits};

use super::VecTarget;
use crate::codec::zstd::Zstd;
use crate::error::Result;
use crate::progress::{Progress, Stage, checkpoint};

/// Calls of the applier between two looks at whether to stop.
const CHECK_COUNT: u64 = 256;

/// Applies `payload` to `old` and gives the new image.
///
/// The old image is not verified here: [`fwdelta_core::apply::verify_old`].
///
/// # Errors
/// As [`Applier::open`], [`Applier::feed`] and [`Applier::finish`]; `TrailingBytes` when the
/// payload is longer than the header says.
pub fn apply(
    old: &[u8],
    header: &DeltaHeader,
    payload: &[u8],
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Vec<u8>> {
    // As much as the inputs vouch for: an image may say that it is longer than it is.
    let most = old.len().saturating_add(payload.len());
    let len = usize::try_from(header.new.len).unwrap_or(usize::MAX).min(most);
    let mut new = VecTarget(Vec::with_capacity(len));
    apply_to(&mut { old }, header, payload, &mut new, limits, progress)?;
    Ok(new.0)
}

/// Applies `payload` to `old` and writes the new image to `new` as it is decoded.
///
/// # Errors
/// As [`apply`].
pub fn apply_to<S: Source, T: Target>(
    old: &mut S,
    header: &DeltaHeader,
    payload: &[u8],
    new: &mut T,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Verified> {
    let (mut work, decompressor) = (Vec::new(), &mut Zstd::default());
    let applier = drive(old, header, payload, new, decompressor, &mut work, limits, progress)?;
    Ok(applier.finish(new)?)
}

/// Feeds all of `payload`; the result is written but its digest is not checked yet.
#[expect(clippy::too_many_arguments, reason = "one for each thing that the caller owns")]
pub(super) fn drive<'w, S: Source, T: Target, D: Decompressor>(
    old: &mut S,
    header: &DeltaHeader,
    payload: &[u8],
    new: &mut T,
    decompressor: &mut D,
    work: &'w mut Vec<u8>,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Applier<'w>> {
    header.check(limits)?;
    let len = Applier::workspace(header)?;
    let len = usize::try_from(len).map_err(|_| Detail::WorkspaceTooSmall)?;
    *work = vec![0; len];
    let mut applier = Applier::open(header, work, limits)?;
    let mut io = Io { old, new, decompressor };
    let mut rest = payload;
    for call in 0u64.. {
        let (taken, step) = applier.feed(&mut io, rest)?;
        rest = &rest[taken..];
        match step {
            Step::Done => break,
            Step::NeedInput if rest.is_empty() => return Err(Detail::PayloadSize.into()),
            Step::NeedInput | Step::Yield => {}
        }
        if call % CHECK_COUNT == 0 {
            let done = (payload.len() - rest.len()) as u64;
            checkpoint(progress, Stage::Apply, done, payload.len() as u64)?;
        }
    }
    if rest.is_empty() { Ok(applier) } else { Err(Detail::TrailingBytes.into()) }
}
