//! The exported functions for deltas that go to a slot of their own with checkpoints.

use core::ffi::c_void;

use fwdelta_core::Result;

use crate::abi;
use crate::calls::{Lent, Piece, answer, ask, feed, run};
use crate::driver::{Medium, Old, Progress, Unpacker};
use crate::pointers::{chip, follow, limits, optional, slice_mut, table};
use crate::state::Seat;
use crate::two_slots::{self, Kept};

impl Lent for abi::TwoSlots {
    type Update<'a> = Kept<'a>;

    fn progress(&self) -> *const abi::Progress {
        self.progress
    }

    // SAFETY: what the trait asks of its caller is all that the block below needs.
    unsafe fn checked<'a>(&'a self, progress: &'a Progress<'a>) -> Result<Kept<'a>> {
        // SAFETY: for all of the block: pointers of the caller, as the header asks for.
        unsafe {
            let old = optional(self.old)?.map(|table| Medium { table, progress });
            Ok(Kept {
                delta: table(self.delta)?,
                old: Old(old),
                old_len: self.old_len,
                slot: chip(self.slot, progress)?,
                scratch: chip(self.scratch, progress)?,
                interval: self.interval,
                limits: limits(follow(self.limits)?),
                unpacker: Unpacker(optional(self.decompressor)?),
                decryptor: optional(self.decryptor)?,
                seat: Seat::new(self.state, self.work, self.work_len)?,
            })
        }
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
    // SAFETY: pointers of the caller, as the header asks for.
    let work = || unsafe {
        let (limits, work) = (self::limits(follow(limits)?), slice_mut(work, work_len)?);
        two_slots::scratch_len(table(delta)?, &limits, sector_len, write_len, work)
    };
    // SAFETY: passed on.
    unsafe { answer(out, failure, work) }
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
    // SAFETY: passed on.
    unsafe { ask(update, out, failure, |update| update.look()) }
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
    // SAFETY: passed on.
    unsafe { ask(update, out, failure, |update| update.resume()) }
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
    let piece = Piece { input, input_len, taken, step };
    // SAFETY: passed on.
    unsafe { feed(update, piece, failure, |update, input| update.feed(input)) }
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
