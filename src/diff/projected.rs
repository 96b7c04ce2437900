//! Deltas of predicted content in streams that a general compressor packs: coder 6.

use fwdelta_core::format::delta::{Coder, StreamShape};

use super::create::Options;
use super::predicted::{Pair, Sink};
use super::profile;
use super::trial::Trial;
use crate::codec::{projected, zstd};
use crate::error::Result;
use crate::exec::chain;
use crate::matching::Cover;

impl Pair<'_> {
    /// For coder 6.
    pub(super) fn projected(
        &self,
        mut covers: Vec<Cover>,
        options: &Options,
        trial: Option<Trial<'_>>,
    ) -> Result<(Coder, Vec<u8>)> {
        let shape = profile::stream_shape(options.device_memory_len);
        let count_max = profile::cover_count_max(
            &self.plan(&[], &[]).stream_counted(shape),
            options.device_memory_len,
        );
        keep_longest(&mut covers, count_max);
        let map = chain::select(&covers, covers.len());
        let shape = self.plan(&covers, &map).stream_counted(shape);
        let content = projected::content(&self.plan(&covers, &map), &shape)?;
        let window_log = zstd::window_log(content.len()).min(shape.window_log);
        let coder = Coder::Projected(StreamShape { window_log, ..shape });
        let encode = |sink: Sink<'_>| Ok(zstd::compress_to(&content, window_log, sink)?);
        Ok((coder, self.tried(coder, trial, true, encode)?))
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
