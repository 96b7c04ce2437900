//! The exported functions for deltas, authenticated elsewhere, that have a slot of their own.

use core::ffi::c_void;

use fwdelta_core::Result;

use crate::abi;
use crate::calls::{Lent, Piece, feed, run};
use crate::driver::{Medium, Old, Payload, Progress, Unpacker};
use crate::pointers::{follow, limits, optional, slot, table};
use crate::state::Seat;
use crate::stream::Stream;

impl Lent for abi::Stream {
    type Update<'a> = Stream<'a>;

    fn progress(&self) -> *const abi::Progress {
        self.progress
    }

    // SAFETY: what the trait asks of its caller is all that the block below needs.
    unsafe fn checked<'a>(&'a self, progress: &'a Progress<'a>) -> Result<Stream<'a>> {
        // SAFETY: for all of the block: pointers of the caller, as the header asks for.
        unsafe {
            let old = optional(self.old)?.map(|table| Medium { table, progress });
            Ok(Stream {
                delta: table(self.delta)?,
                old: Old(old),
                old_len: self.old_len,
                slot: slot(self.slot, progress)?,
                limits: limits(follow(self.limits)?),
                unpacker: Unpacker(optional(self.decompressor)?),
                decryptor: optional(self.decryptor)?,
                seat: Seat::new(self.state, self.work, self.work_len)?,
            })
        }
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
    let piece = Piece { input, input_len, taken, step };
    // SAFETY: passed on.
    unsafe { feed(stream, piece, failure, |stream, input| stream.feed(input)) }
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
