//! What a decompressor makes of the payload: one frame, pulled piece by piece (coders 2 and 3).

use super::{Decompressor, Feed};
use crate::error::{Detail, Result};

/// Position in the frame.
#[derive(Debug)]
pub(crate) struct Content {
    window_log: u8,
    started: bool,
    done: bool,
}

impl Content {
    /// Before the frame.
    pub(crate) const fn new(window_log: u8) -> Self {
        Self { window_log, started: false, done: false }
    }

    /// Fills the start of `out`; gives how many bytes. Less than all means that more input is
    /// needed: a frame that ends early is refused.
    pub(crate) fn pull<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        out: &mut [u8],
    ) -> Result<usize> {
        if !self.started {
            feed.decompressor.start(self.window_log)?;
            self.started = true;
        }
        let mut filled = 0usize;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            if self.done {
                return Err(Detail::BadStream.into());
            }
            let flow = feed.decompressor.run(feed.input.readable(), rest)?;
            feed.input.consume(flow.consumed);
            self.done = flow.done;
            filled = filled.saturating_add(flow.produced);
            if flow.consumed == 0 && flow.produced == 0 && !self.done {
                return self.starved(feed, filled);
            }
        }
        Ok(filled)
    }

    fn starved<D>(&self, feed: &Feed<'_, '_, D>, filled: usize) -> Result<usize> {
        let stuck = feed.input.is_complete() || !feed.input.readable().is_empty();
        if stuck { Err(Detail::BadStream.into()) } else { Ok(filled) }
    }

    /// Whether the frame ends here; `None` when more input is needed to know.
    pub(crate) fn end<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
    ) -> Result<Option<()>> {
        if !self.started {
            feed.decompressor.start(self.window_log)?;
            self.started = true;
        }
        while !self.done {
            let mut beyond = [0];
            let flow = feed.decompressor.run(feed.input.readable(), &mut beyond)?;
            feed.input.consume(flow.consumed);
            self.done = flow.done;
            if flow.produced > 0 {
                return Err(Detail::BadStream.into());
            }
            if flow.consumed == 0 && !self.done {
                self.starved(feed, 0)?;
                return Ok(None);
            }
        }
        Ok(Some(()))
    }
}
