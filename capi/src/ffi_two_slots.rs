//! The exported functions for deltas that go to a slot of their own with checkpoints.

use core::ffi::c_void;

use fwdelta_core::Result;

use crate::abi;
use crate::driver::{Medium, Old, Progress, Unpacker};
use crate::pointers::{chip, follow, limits, optional, slice, slice_mut, table, tell, writable};
use crate::state::Seat;
use crate::two_slots::{self, Kept};

/// Does `work` on the caller's update; tells the caller what came of it.
///
/// # Safety
/// `update` and `failure` are null or as the header asks for.
unsafe fn run(
    update: *const abi::TwoSlots,
    failure: *mut abi::Failure,
    work: impl FnOnce(&mut Kept<'_>) -> Result<()>,
) -> u32 {
    // SAFETY: passed on.
    let result = unsafe { run_checked(update, work) };
    // SAFETY: passed on.
    unsafe { tell(result.map_err(|error| (error, None)), failure) }
}

/// # Safety
/// As [`run`].
unsafe fn run_checked(
    update: *const abi::TwoSlots,
    work: impl FnOnce(&mut Kept<'_>) -> Result<()>,
) -> Result<()> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    let (update, progress) = unsafe {
        let update = table(update)?;
        (update, Progress::new(optional(update.progress)?))
    };
    // SAFETY: passed on.
    let mut update = unsafe { checked(update, &progress)? };
    // A read that the caller cut short comes back as failed.
    work(&mut update).map_err(|error| progress.or_cancelled(error))
}

/// Checks everything but the callbacks' doings.
///
/// # Safety
/// As the header says of `fwdelta_two_slots`.
unsafe fn checked<'a>(update: &'a abi::TwoSlots, progress: &'a Progress<'a>) -> Result<Kept<'a>> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    unsafe {
        let old = optional(update.old)?.map(|table| Medium { table, progress });
        Ok(Kept {
            delta: table(update.delta)?,
            old: Old(old),
            old_len: update.old_len,
            slot: chip(update.slot, progress)?,
            scratch: chip(update.scratch, progress)?,
            interval: update.interval,
            limits: limits(follow(update.limits)?),
            unpacker: Unpacker(optional(update.decompressor)?),
            decryptor: optional(update.decryptor)?,
            seat: Seat::new(update.state, update.work, update.work_len)?,
        })
    }
}

/// Bytes of scratch flash that checkpoints take.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_two_slots_scratch_len(
    delta: *const abi::Delta,
    limits: *const abi::Limits,
    sector_len: u32,
    write_len: u16,
    work: *mut u8,
    work_len: usize,
    out: *mut u64,
    failure: *mut abi::Failure,
) -> u32 {
    let work = || {
        writable(out)?;
        // SAFETY: pointers of the caller, as the header asks for.
        let len = unsafe {
            let (limits, work) = (self::limits(follow(limits)?), slice_mut(work, work_len)?);
            two_slots::scratch_len(table(delta)?, &limits, sector_len, write_len, work)?
        };
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { out.write(len) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { tell(work().map_err(|error| (error, None)), failure) }
}

/// What was done so far.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_two_slots_look(
    update: *const abi::TwoSlots,
    out: *mut u32,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |update: &mut Kept<'_>| {
        writable(out)?;
        let found = update.look()?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { out.write(found) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Begins, also where an earlier run got somewhere.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_two_slots_begin(
    update: *const abi::TwoSlots,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(update, failure, |update| update.begin()) }
}

/// Goes on from the last checkpoint.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_two_slots_resume(
    update: *const abi::TwoSlots,
    out: *mut abi::ResumeAt,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |update: &mut Kept<'_>| {
        writable(out)?;
        let at = update.resume()?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { out.write(at) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Takes payload bytes.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_two_slots_feed(
    update: *const abi::TwoSlots,
    input: *const c_void,
    input_len: usize,
    taken: *mut usize,
    step: *mut u32,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |update: &mut Kept<'_>| {
        writable(taken)?;
        writable(step)?;
        // SAFETY: a pointer of the caller, as the header asks for.
        let (count, next) = update.feed(unsafe { slice(input.cast::<u8>(), input_len)? })?;
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

/// Makes the new image durable, checks its digest, and records that it is done.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_two_slots_finish(
    update: *const abi::TwoSlots,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(update, failure, |update| update.finish()) }
}

/// Forgets what was begun or done.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_two_slots_clear(
    update: *const abi::TwoSlots,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(update, failure, |update| update.clear()) }
}
