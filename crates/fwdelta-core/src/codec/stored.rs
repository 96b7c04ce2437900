//! Coder 0: the payload is the new image.

use super::input::Input;
use super::{Decompressor, Feed, Op, Resumable, Saved, Symbols, copy};
use crate::error::{Detail, Result};
use crate::state::Visit;
use crate::storage::Source;

/// No state: one literal run over all of new.
#[derive(Debug)]
pub(crate) struct Stored;

impl Symbols for Stored {
    fn op<S: Source, D: Decompressor>(
        &mut self,
        _: &mut Feed<'_, '_, D>,
        _: &mut S,
        left: u64,
    ) -> Result<Option<Op>> {
        Ok(Some(Op::Literal { len: left }))
    }

    fn literal<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        out: &mut [u8],
    ) -> Result<usize> {
        let len = copy(out, feed.input.readable());
        feed.input.consume(len);
        if len == 0 && feed.input.is_complete() {
            return Err(Detail::BadStream.into());
        }
        Ok(len)
    }

    fn cover<S: Source, D: Decompressor>(
        &mut self,
        _: &mut Feed<'_, '_, D>,
        _: &mut S,
        _: u64,
        _: &mut [u8],
        _: u64,
    ) -> Result<usize> {
        Err(Detail::Bug.into())
    }

    fn end<D: Decompressor>(&mut self, _: &mut Feed<'_, '_, D>) -> Result<Option<()>> {
        Ok(Some(()))
    }
}

impl Resumable for Stored {
    fn seek(&mut self, _: u64, _: u64) {}

    fn page_number(&mut self, _: &mut Input<'_>, _: u32) -> Result<Option<u64>> {
        Ok(Some(0))
    }

    fn forget_old(&mut self) {}
}

impl Saved for Stored {
    fn state<V: Visit>(&mut self, _: &mut V) -> Result<()> {
        Ok(())
    }
}
