//! Where something stands between two calls, in memory of the caller.
//!
//! The caller's `fwdelta_state` or one of its peers holds a mark and, behind it, a machine
//! that borrows the caller's working memory. Without the mark there is nothing to look at. A
//! machine that is forgotten or overwritten needs no care: it owns no memory, and its hash is of
//! nothing secret.

use core::mem::MaybeUninit;

use fwdelta_core::apply::Applier;
use fwdelta_core::apply::in_place::{self, Rehearsal, Rewriting};
use fwdelta_core::apply::two_slots::Writing;
use fwdelta_core::{Detail, Result};

use crate::abi;
use crate::pointers::check_range;
use crate::sealed::Table;

/// A machine, and the caller's memory for it.
pub(crate) trait Machine {
    /// Makes `opener` what decrypts its payload.
    #[cfg(feature = "encryption")]
    fn decrypt_with(&mut self, opener: &'static Table) -> Result<()>;

    /// What the header calls the memory.
    type Memory;
    /// What says that the memory holds a machine.
    const MARK: u64;
}

/// An update in place under way: made in the caller's memory, and never moved.
#[derive(Debug)]
pub(crate) enum Stage {
    Rehearsal(in_place::Seat<Rehearsal<'static>>),
    Rewriting(in_place::Seat<Rewriting<'static>>),
}

impl Machine for Stage {
    type Memory = abi::State;
    const MARK: u64 = 0x6677_6465_6c74_6104;

    #[cfg(feature = "encryption")]
    fn decrypt_with(&mut self, opener: &'static Table) -> Result<()> {
        match self {
            Self::Rehearsal(seat) => seat.get().ok_or(Detail::Bug)?.decrypt_with(opener),
            Self::Rewriting(seat) => seat.get().ok_or(Detail::Bug)?.decrypt_with(opener),
        }
    }
}

impl Machine for Applier<'static> {
    type Memory = abi::StreamState;
    const MARK: u64 = 0x6677_6465_6c74_6105;

    #[cfg(feature = "encryption")]
    fn decrypt_with(&mut self, opener: &'static Table) -> Result<()> {
        Applier::decrypt_with(self, opener)
    }
}

impl Machine for Writing<'static> {
    type Memory = abi::TwoSlotsState;
    const MARK: u64 = 0x6677_6465_6c74_6106;

    #[cfg(feature = "encryption")]
    fn decrypt_with(&mut self, opener: &'static Table) -> Result<()> {
        Writing::decrypt_with(self, opener)
    }
}

#[repr(C)]
struct Kept<M> {
    mark: u64,
    /// The working memory that the machine borrows.
    work: *mut u8,
    work_len: usize,
    machine: MaybeUninit<M>,
}

const fn fits<M: Machine>() -> bool {
    size_of::<Kept<M>>() <= size_of::<M::Memory>()
        && align_of::<Kept<M>>() <= align_of::<M::Memory>()
}

const _: () = assert!(fits::<Stage>(), "make FWDELTA_STATE_WORD_COUNT larger");
const _: () = assert!(fits::<Applier<'_>>(), "make FWDELTA_STREAM_WORD_COUNT larger");
const _: () = assert!(fits::<Writing<'_>>(), "make FWDELTA_TWO_SLOTS_WORD_COUNT larger");

/// The caller's state and working memory.
#[derive(Debug)]
pub(crate) struct Seat<M> {
    kept: *mut Kept<M>,
    work: *mut u8,
    work_len: usize,
}

impl<M: Machine> Seat<M> {
    /// Checks the pointers.
    ///
    /// # Safety
    /// `state` and `work` are null or as the header asks for: memory that nothing else uses from
    /// now on until the state is closed or opened anew.
    pub(crate) unsafe fn new(
        state: *mut M::Memory,
        work: *mut u8,
        work_len: usize,
    ) -> Result<Self> {
        check_range(state, 1)?;
        check_range(work, work_len)?;
        Ok(Self { kept: state.cast(), work, work_len })
    }

    /// Ends what is under way, and lends the working memory anew.
    pub(crate) fn clear(&mut self) -> &'static mut [u8] {
        // SAFETY: checked by `new`; the mark is a number, whatever its bytes are.
        unsafe { (&raw mut (*self.kept).mark).write(0) };
        // SAFETY: checked by `new`. The machine that borrowed it is gone with the mark; what is
        // lent now is used up by the call at hand, or moves into the state with its borrower.
        unsafe { core::slice::from_raw_parts_mut(self.work, self.work_len) }
    }

    /// Keeps the machine that was made, which borrows what [`Seat::clear`] lent last.
    // Not moved twice: machines are large, and a microcontroller's stack is small.
    #[inline(always)]
    pub(crate) fn put(&mut self, made: Result<M>) -> Result<()> {
        match made {
            Ok(machine) => {
                self.place(machine);
                self.keep();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a machine that is still to be finished where it stays: it counts from
    /// [`Seat::keep`] on.
    #[inline(always)]
    pub(crate) fn place(&mut self, machine: M) -> &mut M {
        // SAFETY: checked by `new`: room for a state, aligned, of nobody else. Not marked, so that
        // nothing else looks at it.
        unsafe { (*self.kept).machine.write(machine) }
    }

    /// From now on there is something under way: what [`Seat::place`] wrote.
    pub(crate) fn keep(&mut self) {
        let Self { kept, work, work_len } = *self;
        // SAFETY: checked by `new`.
        unsafe {
            (&raw mut (*kept).work).write(work);
            (&raw mut (*kept).work_len).write(work_len);
            (&raw mut (*kept).mark).write(M::MARK);
        }
    }

    /// Makes the caller's table what decrypts the payload of the machine that is under way, if that
    /// is encrypted.
    ///
    /// # Safety
    /// The table stays where it is as long as the machine is under way, as the header asks for.
    #[cfg(feature = "encryption")]
    pub(crate) unsafe fn decrypt_with(&mut self, opener: Option<&Table>) -> Result<()> {
        let Some(opener) = opener else { return Ok(()) };
        // SAFETY: by this function's contract.
        let opener: &'static Table = unsafe { &*core::ptr::from_ref(opener) };
        self.machine()?.decrypt_with(opener)
    }

    /// The same: there is none in this build.
    ///
    /// # Safety
    /// None is needed here.
    #[cfg(not(feature = "encryption"))]
    pub(crate) unsafe fn decrypt_with(&mut self, opener: Option<&Table>) -> Result<()> {
        opener.map_or(Ok(()), |never| match *never {})
    }

    /// What is under way in this memory.
    ///
    /// # Errors
    /// `WrongState` if there is nothing, `BadArgument` with other working memory than it was
    /// opened with.
    pub(crate) fn machine(&mut self) -> Result<&mut M> {
        // SAFETY: checked by `new`; behind the mark stands what `put` wrote.
        unsafe {
            if (&raw const (*self.kept).mark).read() != M::MARK {
                return Err(Detail::WrongState.into());
            }
            let is_same = (*self.kept).work == self.work && (*self.kept).work_len == self.work_len;
            if !is_same {
                return Err(Detail::BadArgument.into());
            }
            Ok((*self.kept).machine.assume_init_mut())
        }
    }

    /// The same, moved out: nothing is under way any more.
    ///
    /// # Errors
    /// As [`Seat::machine`].
    pub(crate) fn take(&mut self) -> Result<M> {
        // SAFETY: `machine` points to a whole value. The mark goes: there is one owner of it.
        let machine = unsafe { core::ptr::read(self.machine()?) };
        self.clear();
        Ok(machine)
    }
}
