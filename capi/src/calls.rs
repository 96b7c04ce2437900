//! What the exported functions about deltas have in common: a table of the caller's is checked,
//! work is done on it, and its result is written or its error told.

use core::ffi::c_void;

use fwdelta_core::{Error, Result};

use crate::abi;
use crate::driver::Progress;
use crate::pointers::{Versioned, optional, slice, table, tell, writable};

/// A table that describes an update from one call to the next.
pub(crate) trait Lent: Versioned {
    /// The same, checked for one call.
    type Update<'a>
    where
        Self: 'a;

    /// Where the caller's callback for progress is.
    fn progress(&self) -> *const abi::Progress;

    /// Checks everything but the callbacks' doings.
    ///
    /// # Safety
    /// Every pointer in the table is null or as the header asks for.
    unsafe fn checked<'a>(&'a self, progress: &'a Progress<'a>) -> Result<Self::Update<'a>>;

    /// What an error of these checks says of the old image.
    fn early(error: Error) -> Error {
        error
    }
}

/// Does `work`; tells the caller what came of it, which goes to `out` if it is a value.
///
/// # Safety
/// `out` and `failure` are null or can be written.
pub(crate) unsafe fn answer<R>(
    out: *mut R,
    failure: *mut abi::Failure,
    work: impl FnOnce() -> Result<R>,
) -> u32 {
    let result = writable(out).and_then(|()| work()).map(|value| {
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { out.write(value) };
    });
    // SAFETY: passed on.
    unsafe { tell(result.map_err(|error| (error, None)), failure) }
}

/// Does `work` on the caller's update; tells the caller what came of it.
///
/// # Safety
/// `update` and `failure` are null or as the header asks for.
pub(crate) unsafe fn run<T: Lent>(
    update: *const T,
    failure: *mut abi::Failure,
    work: impl FnOnce(&mut T::Update<'_>) -> Result<()>,
) -> u32 {
    // SAFETY: passed on.
    let result = unsafe { run_checked(update, work) };
    // SAFETY: passed on.
    unsafe { tell(result.map_err(|error| (error, None)), failure) }
}

/// # Safety
/// As [`run`].
unsafe fn run_checked<T: Lent>(
    update: *const T,
    work: impl FnOnce(&mut T::Update<'_>) -> Result<()>,
) -> Result<()> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    let (update, progress) = unsafe {
        let update = table(update).map_err(T::early)?;
        (update, optional(update.progress()).map_err(T::early)?)
    };
    let progress = Progress::new(progress);
    // SAFETY: passed on.
    let mut update = unsafe { update.checked(&progress) }.map_err(T::early)?;
    // A read that the caller cut short comes back as failed.
    work(&mut update).map_err(|error| progress.or_cancelled(error))
}

/// As [`run`], with a value for `out`.
///
/// # Safety
/// `update`, `out` and `failure` are null or as the header asks for.
pub(crate) unsafe fn ask<T: Lent, R>(
    update: *const T,
    out: *mut R,
    failure: *mut abi::Failure,
    work: impl FnOnce(&mut T::Update<'_>) -> Result<R>,
) -> u32 {
    let work = |update: &mut T::Update<'_>| {
        writable(out).map_err(T::early)?;
        let value = work(update)?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { out.write(value) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Payload bytes that a caller has: pieces go in, how many were taken and what is due come out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) input: *const c_void,
    pub(crate) input_len: usize,
    pub(crate) taken: *mut usize,
    pub(crate) step: *mut u32,
}

/// As [`run`], with payload for the update.
///
/// # Safety
/// Every pointer is null or as the header asks for.
pub(crate) unsafe fn feed<T: Lent>(
    update: *const T,
    piece: Piece,
    failure: *mut abi::Failure,
    work: impl FnOnce(&mut T::Update<'_>, &[u8]) -> Result<(usize, u32)>,
) -> u32 {
    let Piece { input, input_len, taken, step } = piece;
    let work = |update: &mut T::Update<'_>| {
        writable(taken).map_err(T::early)?;
        writable(step).map_err(T::early)?;
        // SAFETY: a pointer of the caller, as the header asks for.
        let input = unsafe { slice(input.cast::<u8>(), input_len) }.map_err(T::early)?;
        let (count, next) = work(update, input)?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe {
            taken.write(count);
            step.write(next);
        }
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}
