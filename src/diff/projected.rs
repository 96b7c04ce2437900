//! Deltas of predicted content in streams that a general compressor packs: coder 6.

use fwdelta_core::format::delta::{Coder, StreamShape};

use super::create::Options;
use super::predicted::{Pair, Sink};
use super::trial::Trial;
use super::{profile, worth};
use crate::codec::{projected, unled, zstd};
use crate::error::Result;
use crate::exec::chain;
use crate::matching::Cover;
use crate::progress::{Stage, checkpoint};

/// Shorter covers may be worth less than literals to a compressor that sees where those repeat:
/// of large steps in code they are nearly all worth it, of tables and text few.
const WORTHY_LEN: u64 = 24;

/// What is compressed, and how it is decoded.
struct Content {
    bytes: Vec<u8>,
    shape: StreamShape,
}

impl Content {
    /// Hands out the frame piece by piece.
    fn frame(&self, sink: Sink<'_>) -> Result<()> {
        Ok(zstd::compress_to(&self.bytes, self.shape.window_log, sink)?)
    }

    /// The whole of it.
    fn payload(&self) -> Result<(Coder, Vec<u8>)> {
        let payload = zstd::compress(&self.bytes, self.shape.window_log)?;
        Ok((Coder::Projected(self.shape), payload))
    }
}

impl Pair<'_> {
    /// For coder 6.
    pub(super) fn projected(
        &self,
        covers: Vec<Cover>,
        options: &Options,
        trial: Option<Trial<'_>>,
    ) -> Result<(Coder, Vec<u8>)> {
        let Some(long) = worth::long(&covers, WORTHY_LEN, self.new.len()) else {
            let content = self.content(covers, options)?;
            let coder = Coder::Projected(content.shape);
            return Ok((coder, self.tried(coder, trial, true, |sink| content.frame(sink))?));
        };
        checkpoint(self.progress, Stage::Encode, 0, self.new.len() as u64)?;
        let (all, long) = rayon::join(
            || self.content(covers, options)?.payload(),
            || self.content(long, options)?.payload(),
        );
        let (all, long) = (all?, long?);
        let (coder, payload) = if long.1.len() < all.1.len() { long } else { all };
        let encode = |sink: Sink<'_>| {
            sink(payload);
            Ok(())
        };
        Ok((coder, self.tried(coder, trial, true, encode)?))
    }

    fn content(&self, mut covers: Vec<Cover>, options: &Options) -> Result<Content> {
        let shape = profile::stream_shape(options.device_memory_len);
        let count_max = profile::cover_count_max(
            &self.plan(&[], &[]).stream_counted(shape),
            options.device_memory_len,
        );
        keep_longest(&mut covers, count_max);
        let map = chain::select(&covers, covers.len());
        let mut plan = self.plan(&covers, &map);
        let mut shape = plan.stream_counted(shape);
        let runs = unled::runs(&plan, &shape)?;
        let told = StreamShape { runs: runs.len() as u32, ..shape };
        if covers.len() <= profile::cover_count_max(&told, options.device_memory_len) {
            (plan.runs, shape) = (&runs, told);
        }
        let bytes = projected::content(&plan, &shape)?;
        let window_log = zstd::window_log(bytes.len()).min(shape.window_log);
        Ok(Content { bytes, shape: StreamShape { window_log, ..shape } })
    }
}

/// Leaves out the shortest covers when there are more than `count_max`.
fn keep_longest(covers: &mut Vec<Cover>, count_max: usize) {
    if covers.len() <= count_max {
        return;
    }
    covers.sort_by_key(|cover| (std::cmp::Reverse(cover.len), cover.new_pos));
    covers.truncate(count_max);
    covers.sort_by_key(|cover| cover.new_pos);
}
