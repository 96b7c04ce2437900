//! What a decompressor makes of the payload: one frame, pulled piece by piece (coders 2 and 3).

use super::{Decompressor, Feed, Flow};
use crate::error::{Detail, Result};
use crate::state::Visit;

/// Position in the frame.
#[derive(Debug)]
pub(crate) struct Content {
    window_log: u8,
    started: bool,
    /// The decompressor has used all it was given and has nothing more to give: it is not called
    /// again without input, which some take for a mistake.
    hungry: bool,
    done: bool,
    /// Bytes that were pulled.
    pulled: u64,
    /// Bytes to drop first: an earlier run pulled them.
    skip: u64,
}

/// Bytes dropped at a time.
const SKIP_LEN: usize = 256;

impl Content {
    /// Before the frame.
    pub(crate) const fn new(window_log: u8) -> Self {
        Self { window_log, started: false, hungry: true, done: false, pulled: 0, skip: 0 }
    }

    /// Fills the start of `out`; gives how many bytes. Less than all means that more input is
    /// needed: a frame that ends early is refused.
    pub(crate) fn pull<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        out: &mut [u8],
    ) -> Result<usize> {
        let mut filled = 0usize;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let Some(produced) = self.produce(feed, rest)? else { break };
            filled = filled.saturating_add(produced);
        }
        Ok(filled)
    }

    /// Pulls once; `None` when more input is needed.
    fn produce<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        out: &mut [u8],
    ) -> Result<Option<usize>> {
        if !self.has_skipped(feed)? {
            return Ok(None);
        }
        if self.done {
            return Err(Detail::BadStream.into());
        }
        let produced = self.run(feed, out)?;
        self.pulled = self.pulled.saturating_add(produced.unwrap_or(0) as u64);
        Ok(produced)
    }

    /// Drops what an earlier run pulled; `false` when more input is needed.
    fn has_skipped<D: Decompressor>(&mut self, feed: &mut Feed<'_, '_, D>) -> Result<bool> {
        while self.skip > 0 {
            if self.done {
                return Err(Detail::BadStream.into());
            }
            let mut dropped = [0; SKIP_LEN];
            let len = self.skip.min(SKIP_LEN as u64) as usize;
            let room = dropped.get_mut(..len).unwrap_or(&mut []);
            let Some(produced) = self.run(feed, room)? else { return Ok(false) };
            self.skip = self.skip.saturating_sub(produced as u64);
        }
        Ok(true)
    }

    /// Goes through how much was pulled. What is loaded into was not started: it drops as much.
    pub(crate) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.u64(&mut self.pulled)?;
        if !self.started {
            self.skip = self.pulled;
        }
        Ok(())
    }

    /// Whether the frame ends here; `None` when more input is needed to know.
    pub(crate) fn end<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
    ) -> Result<Option<()>> {
        if !self.has_skipped(feed)? {
            return Ok(None);
        }
        while !self.done {
            match self.run(feed, &mut [0])? {
                Some(0) => {}
                Some(_) => return Err(Detail::BadStream.into()),
                None => return Ok(None),
            }
        }
        Ok(Some(()))
    }

    /// Decompresses once; `None` when more input is needed.
    fn run<D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        out: &mut [u8],
    ) -> Result<Option<usize>> {
        if !self.started {
            feed.decompressor.start(self.window_log)?;
            self.started = true;
        }
        let input = feed.input.readable();
        if self.hungry && input.is_empty() {
            let ended = feed.input.is_complete();
            return if ended { Err(Detail::BadStream.into()) } else { Ok(None) };
        }
        let Flow { consumed, produced, done } = feed.decompressor.run(input, out)?;
        let stuck = consumed == 0 && produced == 0 && !done && !input.is_empty();
        let invalid = consumed > input.len() || produced > out.len();
        if stuck || invalid {
            return Err(Detail::BadStream.into());
        }
        self.hungry = consumed == input.len() && produced < out.len();
        self.done = done;
        feed.input.consume(consumed);
        Ok(Some(produced))
    }
}
