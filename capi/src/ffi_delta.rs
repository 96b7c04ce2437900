//! The exported functions for deltas that were authenticated elsewhere.
//!
//! Nothing here reaches what verifies packages: a program that calls these alone links the
//! decoder alone.

use fwdelta_core::{Error, Result};

use crate::abi;
use crate::calls::{Lent, answer, ask, run};
use crate::delta;
use crate::driver::{Medium, Payload, Progress};
use crate::in_place::{Update, unknown};
use crate::pointers::{chip, follow, limits, optional, slice_mut, table};
use crate::state::Seat;

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

impl Lent for abi::InPlace {
    type Update<'a> = Update<'a>;

    fn progress(&self) -> *const abi::Progress {
        self.progress
    }

    // SAFETY: what the trait asks of its caller is all that the block below needs.
    unsafe fn checked<'a>(&'a self, progress: &'a Progress<'a>) -> Result<Update<'a>> {
        // SAFETY: for all of the block: pointers of the caller, as the header asks for.
        unsafe {
            let delta = table(self.delta)?;
            let medium = Medium { table: table(self.payload)?, progress };
            Ok(Update {
                delta,
                limits: limits(follow(self.limits)?),
                slot: chip(self.slot, progress)?,
                scratch: chip(self.scratch, progress)?,
                payload: Payload { medium, pos: delta.payload_pos },
                decryptor: optional(self.decryptor)?,
                seat: Seat::new(self.state, self.work, self.work_len)?,
            })
        }
    }

    // Nobody knows yet whether an earlier run began.
    fn early(error: Error) -> Error {
        unknown(error)
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
    // SAFETY: passed on.
    unsafe { ask(update, out, failure, |update| update.look()) }
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
    // SAFETY: passed on.
    unsafe { ask(update, out, failure, |update| update.step()) }
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
