//! Where an update stands between two calls, in memory of the caller.
//!
//! The caller's `fwdelta_state` holds a mark and, behind it, a machine that borrows the caller's
//! working memory. Without the mark there is nothing to look at. A machine that is forgotten or
//! overwritten needs no care: it owns no memory, and its hash is of nothing secret.

use core::mem::MaybeUninit;

use fwdelta_core::apply::in_place::{Rehearsal, Rewriting};
use fwdelta_core::{Detail, Result};

use crate::abi;
use crate::pointers::check_range;

/// What says that a state holds a machine.
const MARK: u64 = 0x6677_6465_6c74_6102;

/// What is under way.
pub(crate) enum Stage {
    Rehearsal(Rehearsal<'static>),
    Rewriting(Rewriting<'static>),
}

#[repr(C)]
struct Kept {
    mark: u64,
    /// The working memory that the machine borrows.
    work: *mut u8,
    work_len: usize,
    stage: MaybeUninit<Stage>,
}

const _: () = assert!(size_of::<Kept>() <= size_of::<abi::State>(), "FWDELTA_STATE_WORD_COUNT");
const _: () = assert!(align_of::<Kept>() <= align_of::<abi::State>(), "alignment of a state");

/// The caller's state and working memory.
#[derive(Debug)]
pub(crate) struct Seat {
    kept: *mut Kept,
    work: *mut u8,
    work_len: usize,
}

impl Seat {
    /// Checks the pointers.
    ///
    /// # Safety
    /// `state` and `work` are null or as the header asks for: memory that nothing else uses from
    /// now on until the state is closed or opened anew.
    pub(crate) unsafe fn new(
        state: *mut abi::State,
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

    /// Keeps `stage`, which borrows what [`Seat::clear`] lent last.
    pub(crate) fn put(&mut self, stage: Stage) {
        let Self { kept, work, work_len } = *self;
        // SAFETY: checked by `new`: room for a state, aligned, of nobody else.
        unsafe {
            (&raw mut (*kept).work).write(work);
            (&raw mut (*kept).work_len).write(work_len);
            (&raw mut (*kept).stage).write(MaybeUninit::new(stage));
            (&raw mut (*kept).mark).write(MARK);
        }
    }

    /// What is under way in this memory.
    ///
    /// # Errors
    /// `WrongState` if there is nothing, `BadArgument` with other working memory than it was
    /// opened with.
    pub(crate) fn stage(&mut self) -> Result<&mut Stage> {
        // SAFETY: checked by `new`; behind the mark stands what `put` wrote.
        unsafe {
            if (&raw const (*self.kept).mark).read() != MARK {
                return Err(Detail::WrongState.into());
            }
            if (*self.kept).work != self.work || (*self.kept).work_len != self.work_len {
                return Err(Detail::BadArgument.into());
            }
            Ok((*self.kept).stage.assume_init_mut())
        }
    }

    /// The same, moved out: nothing is under way any more.
    ///
    /// # Errors
    /// As [`Seat::stage`].
    pub(crate) fn take(&mut self) -> Result<Stage> {
        // SAFETY: `stage` points to a whole value. The mark goes: there is one owner of it.
        let stage = unsafe { core::ptr::read(self.stage()?) };
        self.clear();
        Ok(stage)
    }
}
