//! The exported functions for deltas that were authenticated elsewhere.
//!
//! Nothing here reaches what verifies packages: a program that calls these alone links the
//! decoder alone.

use fwdelta_core::Result;

use crate::abi;
use crate::driver::{Medium, Payload, Progress};
use crate::in_place::{Update, unknown};
use crate::pointers::{chip, follow, limits, optional, slice_mut, table, tell, writable};
use crate::state::Seat;
use crate::{delta, driver};

/// Does `work`; tells the caller what came of it, which goes to `out` if it is a value.
///
/// # Safety
/// `out` and `failure` are null or can be written.
unsafe fn answer<T>(
    out: *mut T,
    failure: *mut abi::Failure,
    work: impl FnOnce() -> Result<T>,
) -> u32 {
    let result = writable(out).and_then(|()| work()).map(|value| {
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { out.write(value) };
    });
    // SAFETY: passed on.
    unsafe { tell(result.map_err(|error| (error, None)), failure) }
}

/// Reads the head of a stand-alone delta file.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_delta_of_file(
    file: *const abi::Source,
    file_len: u64,
    out: *mut abi::Delta,
    failure: *mut abi::Failure,
) -> u32 {
    let work = || {
        let progress = Progress::new(None);
        // SAFETY: a pointer of the caller, as the header asks for.
        let table = unsafe { table(file)? };
        delta::of_file(&mut Medium { table, progress: &progress }, file_len)
    };
    // SAFETY: passed on.
    unsafe { answer(out, failure, work) }
}

/// What a delta header says.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_delta_read(
    delta: *const abi::Delta,
    limits: *const abi::Limits,
    out: *mut abi::DeltaInfo,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: pointers of the caller, as the header asks for.
    let work = || unsafe { delta::info(table(delta)?, &self::limits(follow(limits)?)) };
    // SAFETY: passed on.
    unsafe { answer(out, failure, work) }
}

/// Bytes of scratch flash that an update in place takes.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_in_place_scratch_len(
    delta: *const abi::Delta,
    limits: *const abi::Limits,
    write_len: u16,
    work: *mut u8,
    work_len: usize,
    out: *mut u64,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: pointers of the caller, as the header asks for.
    let work = || unsafe {
        let limits = self::limits(follow(limits)?);
        delta::scratch_len(table(delta)?, &limits, write_len, slice_mut(work, work_len)?)
    };
    // SAFETY: passed on.
    unsafe { answer(out, failure, work) }
}

/// Does `work` on the caller's update in place; tells the caller what came of it.
///
/// # Safety
/// `update` and `failure` are null or as the header asks for.
unsafe fn run(
    update: *const abi::InPlace,
    failure: *mut abi::Failure,
    work: impl FnOnce(&mut Update<'_>) -> Result<()>,
) -> u32 {
    // SAFETY: passed on.
    let result = unsafe { run_checked(update, work) };
    // SAFETY: passed on.
    unsafe { tell(result.map_err(|error| (error, None)), failure) }
}

/// # Safety
/// As [`run`].
unsafe fn run_checked(
    update: *const abi::InPlace,
    work: impl FnOnce(&mut Update<'_>) -> Result<()>,
) -> Result<()> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    let (update, progress) = unsafe {
        let update = table(update).map_err(unknown)?;
        (update, optional(update.progress).map_err(unknown)?)
    };
    let progress = Progress::new(progress);
    // SAFETY: passed on.
    let mut update = unsafe { checked(update, &progress) }.map_err(unknown)?;
    // A read that the caller cut short comes back as failed.
    work(&mut update).map_err(|error| progress.or_cancelled(error))
}

/// Checks everything but the callbacks' doings.
///
/// # Safety
/// As the header says of `fwdelta_in_place`.
unsafe fn checked<'a>(
    update: &'a abi::InPlace,
    progress: &'a driver::Progress<'a>,
) -> Result<Update<'a>> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    unsafe {
        let delta = table(update.delta)?;
        let medium = Medium { table: table(update.payload)?, progress };
        Ok(Update {
            delta,
            limits: limits(follow(update.limits)?),
            slot: chip(update.slot, progress)?,
            scratch: chip(update.scratch, progress)?,
            payload: Payload { medium, pos: delta.payload_pos },
            decryptor: optional(update.decryptor)?,
            seat: Seat::new(update.state, update.work, update.work_len)?,
        })
    }
}

/// What was done so far.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_in_place_look(
    update: *const abi::InPlace,
    out: *mut u32,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |update: &mut Update<'_>| {
        writable(out).map_err(unknown)?;
        let found = update.look()?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { out.write(found) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Opens a rehearsal.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_in_place_rehearse(
    update: *const abi::InPlace,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(update, failure, |update| update.rehearse()) }
}

/// Begins what was rehearsed.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_in_place_begin(
    update: *const abi::InPlace,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(update, failure, |update| update.begin()) }
}

/// Goes on after a power cut or an error.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_in_place_resume(
    update: *const abi::InPlace,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(update, failure, |update| update.resume()) }
}

/// Does a bounded piece of work.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_in_place_step(
    update: *const abi::InPlace,
    out: *mut abi::Step,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |update: &mut Update<'_>| {
        writable(out).map_err(unknown)?;
        let step = update.step()?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { out.write(step) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Ends an update whose last step was done.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_in_place_finish(
    update: *const abi::InPlace,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(update, failure, |update| update.finish()) }
}

/// Forgets an update.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_in_place_clear(
    update: *const abi::InPlace,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(update, failure, |update| update.clear()) }
}
