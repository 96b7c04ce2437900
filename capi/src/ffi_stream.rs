//! The exported functions for deltas, authenticated elsewhere, that have a slot of their own.

use core::ffi::c_void;

use fwdelta_core::Result;

use crate::abi;
use crate::driver::{Medium, Old, Payload, Progress, Unpacker};
use crate::pointers::{follow, limits, optional, slice, slot, table, tell, writable};
use crate::state::Seat;
use crate::stream::Stream;

/// Does `work` on the caller's stream; tells the caller what came of it.
///
/// # Safety
/// `stream` and `failure` are null or as the header asks for.
unsafe fn run(
    stream: *const abi::Stream,
    failure: *mut abi::Failure,
    work: impl FnOnce(&mut Stream<'_>) -> Result<()>,
) -> u32 {
    // SAFETY: passed on.
    let result = unsafe { run_checked(stream, work) };
    // SAFETY: passed on.
    unsafe { tell(result.map_err(|error| (error, None)), failure) }
}

/// # Safety
/// As [`run`].
unsafe fn run_checked(
    stream: *const abi::Stream,
    work: impl FnOnce(&mut Stream<'_>) -> Result<()>,
) -> Result<()> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    let (stream, progress) = unsafe {
        let stream = table(stream)?;
        (stream, Progress::new(optional(stream.progress)?))
    };
    // SAFETY: passed on.
    let mut stream = unsafe { checked(stream, &progress)? };
    // A read that the caller cut short comes back as failed.
    work(&mut stream).map_err(|error| progress.or_cancelled(error))
}

/// Checks everything but the callbacks' doings.
///
/// # Safety
/// As the header says of `fwdelta_stream`.
unsafe fn checked<'a>(stream: &'a abi::Stream, progress: &'a Progress<'a>) -> Result<Stream<'a>> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    unsafe {
        let old = optional(stream.old)?.map(|table| Medium { table, progress });
        Ok(Stream {
            delta: table(stream.delta)?,
            old: Old(old),
            old_len: stream.old_len,
            slot: slot(stream.slot, progress)?,
            limits: limits(follow(stream.limits)?),
            unpacker: Unpacker(optional(stream.decompressor)?),
            decryptor: optional(stream.decryptor)?,
            seat: Seat::new(stream.state, stream.work, stream.work_len)?,
        })
    }
}

/// Checks everything but the payload, and starts.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_stream_open(
    stream: *const abi::Stream,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(stream, failure, |stream| stream.open()) }
}

/// Takes payload bytes.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_stream_feed(
    stream: *const abi::Stream,
    input: *const c_void,
    input_len: usize,
    taken: *mut usize,
    step: *mut u32,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |stream: &mut Stream<'_>| {
        writable(taken)?;
        writable(step)?;
        // SAFETY: a pointer of the caller, as the header asks for.
        let (count, next) = stream.feed(unsafe { slice(input.cast::<u8>(), input_len)? })?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe {
            taken.write(count);
            step.write(next);
        }
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(stream, failure, work) }
}

/// Makes the new image durable and checks its digest.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_stream_finish(
    stream: *const abi::Stream,
    failure: *mut abi::Failure,
) -> u32 {
    // SAFETY: passed on.
    unsafe { run(stream, failure, |stream| stream.finish()) }
}

/// All of it, from a medium.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_stream_run(
    stream: *const abi::Stream,
    payload: *const abi::Source,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |stream: &mut Stream<'_>| {
        // SAFETY: a pointer of the caller, as the header asks for.
        let table = unsafe { table(payload)? };
        let medium = Medium { table, progress: stream.slot.progress };
        stream.run(Payload { medium, pos: 0 })
    };
    // SAFETY: passed on.
    unsafe { run(stream, failure, work) }
}
