//! Applying into a slot of its own so that a later run can go on where this one broke off.

use fwdelta_core::apply::two_slots::{Found, ResumeAt, Settings, Writing};
use fwdelta_core::apply::{Applier, Io, Step, Verified};
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::format::sealed::OpenChunk;
use fwdelta_core::storage::{Source, Target};
use fwdelta_core::{Detail, Limits};

use crate::codec::zstd::Zstd;
use crate::error::{Error, Result};
use crate::progress::{Progress, Stage, checkpoint};

/// Bytes of payload read at a time.
const PIECE_LEN: usize = 1 << 16;
/// Calls of the applier between two looks at whether to stop.
const CHECK_COUNT: u64 = 256;

/// What is read from and written to.
#[derive(Debug)]
pub struct Media<'a, S, T, X, P> {
    /// The old image.
    pub old: &'a mut S,
    /// Where the new image goes; what an earlier run wrote is still there.
    pub new: &'a mut T,
    /// Two areas for checkpoints.
    pub scratch: &'a mut X,
    /// Where the payload is.
    pub payload: &'a mut P,
    /// Position of its first byte there.
    pub payload_start: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The proof.
    pub verified: Verified,
    /// Where this run began; `None` if it was not a later one.
    pub resumed_at: Option<ResumeAt>,
}

/// Writes the new image, or goes on with it, to the end. A run that goes on, and whose result is
/// wrong because what was written before has been changed, begins again.
///
/// # Errors
/// As [`Writing`]; [`Error::Cancelled`]: a later run goes on.
pub fn write<S: Source, T: Source + Target, X: Source + Target, P: Source>(
    header: &DeltaHeader,
    media: &mut Media<'_, S, T, X, P>,
    limits: &Limits,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Written> {
    write_opened(header, None, media, limits, settings, progress)
}

/// The same of a payload that is decrypted with `opener`, if there is one.
///
/// # Errors
/// As [`write()`], `NotDecrypted`.
pub fn write_opened<S: Source, T: Source + Target, X: Source + Target, P: Source>(
    header: &DeltaHeader,
    opener: Option<&dyn OpenChunk>,
    media: &mut Media<'_, S, T, X, P>,
    limits: &Limits,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Written> {
    header.check(limits)?;
    let len = usize::try_from(Applier::workspace(header)?);
    let mut work = vec![0; len.map_err(|_| Detail::WorkspaceTooSmall)?];
    let found = Writing::look(header, &mut work, limits, media.scratch, &settings.binding)?;
    if found != Found::Nothing {
        let (new, scratch) = (&mut *media.new, &mut *media.scratch);
        let writing = Writing::resume(header, &mut work, limits, settings, new, scratch)?;
        let resumed_at = Some(writing.at());
        match run(writing, header, opener, media, progress) {
            Ok(verified) => return Ok(Written { verified, resumed_at }),
            Err(error) if matches!(error.detail(), Detail::NewDigest | Detail::ReadFailed) => {}
            Err(error) => return Err(error),
        }
    }
    let (new, scratch) = (&mut *media.new, &mut *media.scratch);
    let writing = Writing::begin(header, &mut work, limits, settings, new, scratch)?;
    let verified = run(writing, header, opener, media, progress)?;
    Ok(Written { verified, resumed_at: None })
}

fn run<'w, S: Source, T: Source + Target, X: Source + Target, P: Source>(
    mut writing: Writing<'w>,
    header: &DeltaHeader,
    opener: Option<&'w dyn OpenChunk>,
    media: &mut Media<'_, S, T, X, P>,
    progress: &dyn Progress,
) -> Result<Verified> {
    opener.map_or(Ok(()), |opener| writing.decrypt_with(opener))?;
    let decompressor = &mut Zstd::default();
    let mut io = Io { old: &mut *media.old, new: &mut *media.new, decompressor };
    let (mut piece, mut start, mut end) = (vec![0; PIECE_LEN], 0, 0);
    let mut pos = writing.at().payload_pos;
    for call in 0u64.. {
        let (taken, step) = writing.feed(&mut io, media.scratch, &piece[start..end])?;
        start += taken;
        match step {
            Step::Done => break,
            Step::NeedInput if start == end => {
                let len = header.payload_len.saturating_sub(pos).min(PIECE_LEN as u64) as usize;
                if len == 0 {
                    return Err(Detail::PayloadSize.into());
                }
                let failed = fwdelta_core::Error::at(Detail::ReadFailed, pos);
                let from = media.payload_start + pos;
                media.payload.read(from, &mut piece[..len]).map_err(|_| failed)?;
                (start, end, pos) = (0, len, pos + len as u64);
            }
            Step::NeedInput | Step::Yield => {}
        }
        if call % CHECK_COUNT == 0 {
            checkpoint(progress, Stage::Apply, writing.new_pos(), header.new.len)?;
        }
    }
    checkpoint(progress, Stage::Apply, header.new.len, header.new.len)?;
    writing.finish(io.new, media.scratch).map_err(Error::from)
}
