//! Where a rehearsal or a rewriting is made and stays: what returns one copies it.

use super::rehearsal::{Ready, Rehearsal};
use super::rewriting::Rewriting;
use super::{Binding, Flash};
use crate::error::{Detail, Result};
use crate::format::delta::{DeltaHeader, InPlace};
use crate::limits::Limits;
use crate::storage::{Source, Target};

/// Room for one `M`, a [`Rehearsal`] or a [`Rewriting`]. They take 3 KiB where all profiles are
/// linked: a microcontroller's stack has room for one, not for the copies that are made of what a
/// function returns. The functions here make it in its place.
#[derive(Debug)]
pub struct Seat<M>(Option<M>);

impl<M> Default for Seat<M> {
    fn default() -> Self {
        Self(None)
    }
}

impl<M> Seat<M> {
    /// What was made here last, without an error.
    pub const fn get(&mut self) -> Option<&mut M> {
        self.0.as_mut()
    }

    pub(super) fn take(&mut self) -> Result<M> {
        self.0.take().ok_or(Detail::Bug.into())
    }

    /// Gives what was made, if nothing went wrong since.
    fn settle(&mut self, result: Result<()>) -> Result<&mut M> {
        if result.is_err() {
            self.0 = None;
        }
        result?;
        self.0.as_mut().ok_or(Detail::Bug.into())
    }
}

impl<'w> Seat<Rehearsal<'w>> {
    /// As [`Rehearsal::open`].
    ///
    /// # Errors
    /// The same.
    pub fn open(
        &mut self,
        header: &DeltaHeader,
        work: &'w mut [u8],
        limits: &Limits,
    ) -> Result<&mut Rehearsal<'w>> {
        let in_place = Rehearsal::check(header, limits)?;
        let rehearsal = self.vacant(header, &in_place);
        let lent = rehearsal.lend(work);
        self.settle(lent)
    }

    /// A function of its own, whose frame is gone when the rest is done.
    #[inline(never)]
    fn vacant(&mut self, header: &DeltaHeader, in_place: &InPlace) -> &mut Rehearsal<'w> {
        self.0.insert(Rehearsal::vacant(header, in_place))
    }
}

impl<'w> Seat<Rewriting<'w>> {
    /// As [`Rewriting::begin`].
    ///
    /// # Errors
    /// The same.
    pub fn begin<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        ready: Ready,
        header: &DeltaHeader,
        work: &'w mut [u8],
        limits: &Limits,
        binding: Binding,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<&mut Rewriting<'w>> {
        self.start(Some(ready), header, work, limits, binding, flash)
    }

    /// As [`Rewriting::resume`].
    ///
    /// # Errors
    /// The same.
    pub fn resume<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        header: &DeltaHeader,
        work: &'w mut [u8],
        limits: &Limits,
        binding: Binding,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<&mut Rewriting<'w>> {
        self.start(None, header, work, limits, binding, flash)
    }

    /// Begins what is ready, else goes on.
    fn start<T: Source + Target, X: Source + Target, P: Source>(
        &mut self,
        ready: Option<Ready>,
        header: &DeltaHeader,
        work: &'w mut [u8],
        limits: &Limits,
        binding: Binding,
        flash: &mut Flash<'_, T, X, P>,
    ) -> Result<&mut Rewriting<'w>> {
        let checked = Rewriting::check_before(header, limits, &flash.slot.geometry());
        let in_place = checked.map_err(|error| super::rewriting::failed(ready, error))?;
        let started = self.vacant(header, &in_place, binding).start(ready, work, flash);
        self.settle(started)
    }

    /// A function of its own, whose frame is gone when the rest is done.
    #[inline(never)]
    fn vacant(
        &mut self,
        header: &DeltaHeader,
        in_place: &InPlace,
        binding: Binding,
    ) -> &mut Rewriting<'w> {
        self.0.insert(Rewriting::vacant(header, in_place, binding))
    }
}
