//! A delta is applied while it is made: the applier takes as long as the encoder, beside it.

use std::sync::mpsc::Receiver;

use fwdelta_core::apply::{Applier, Io, Step, memory_len};
use fwdelta_core::format::delta::{Coder, DeltaHeader};
use fwdelta_core::{Detail, Limits};

use super::media::Comparison;
use crate::codec::zstd::Zstd;
use crate::error::Result;

/// A payload is never longer; how long it is shows when it ends.
const PAYLOAD_LEN_MAX: u64 = 1 << 62;

/// What a payload in the making is applied to.
pub(super) struct Trial<'a> {
    pub(super) old: &'a [u8],
    pub(super) new: &'a [u8],
    /// With both images, and nothing known of the payload.
    pub(super) header: DeltaHeader,
}

impl Trial<'_> {
    /// Takes the payload of `coder` piece by piece, and gives it whole once it has made the new
    /// image; nothing is tried where that is empty.
    ///
    /// # Errors
    /// As [`Applier::feed`] and [`Applier::finish`]; `Bug` when the result is another image.
    pub(super) fn run(&self, coder: Coder, pieces: &Receiver<Vec<u8>>) -> Result<Vec<u8>> {
        if self.new.is_empty() {
            return Ok(Vec::new());
        }
        let mut header = DeltaHeader { coder, payload_len: PAYLOAD_LEN_MAX, ..self.header };
        header.workspace_len = memory_len(&header)?;
        let limits = Limits {
            image_len: u64::MAX,
            workspace_len: Applier::workspace(&header)?.max(header.workspace_len),
            ..Limits::LINUX
        };
        let mut work = vec![0; usize::try_from(Applier::workspace(&header)?).unwrap_or(usize::MAX)];
        let mut applier = Applier::open(&header, &mut work, &limits)?;
        let (mut old, mut new) = (self.old, Comparison::new(self.new));
        let io = &mut Io { old: &mut old, new: &mut new, decompressor: &mut Zstd::default() };
        let (mut payload, mut fed) = (Vec::new(), 0);
        while let Ok(piece) = pieces.recv() {
            payload.extend_from_slice(&piece);
            // The last byte waits until it is known to be the last.
            fed = feed(&mut applier, io, &payload, fed, payload.len().saturating_sub(1))?;
        }
        applier.end_payload_at(payload.len() as u64)?;
        fed = feed(&mut applier, io, &payload, fed, payload.len())?;
        applier.finish(&mut new)?;
        match fed == payload.len() && new.is_same() {
            true => Ok(payload),
            false => Err(Detail::Bug.into()),
        }
    }
}

type TrialIo<'a, 'b> = Io<'a, &'b [u8], Comparison<'b>, Zstd>;

/// Feeds what comes before `end`; gives how far that went.
fn feed<'b>(
    applier: &mut Applier<'_>,
    io: &mut TrialIo<'_, 'b>,
    payload: &[u8],
    mut fed: usize,
    end: usize,
) -> Result<usize> {
    loop {
        let (taken, step) = applier.feed(io, &payload[fed..end])?;
        fed += taken;
        match step {
            Step::Done => return Ok(fed),
            Step::NeedInput if fed == end => return Ok(fed),
            Step::NeedInput | Step::Yield => {}
        }
    }
}
