//! The exported functions that need no package: the gate before a download, a new trust anchor, and
//! the two records in non-volatile memory.

use core::ffi::c_char;

use fwdelta_core::format::rotation::SignedTrust;
use fwdelta_core::format::trust::Trust;
use fwdelta_core::verify::handoff::{
    HANDOFF_LEN, Outcome, RESULT_LEN, emit_handoff, emit_result, parse_handoff,
};
use fwdelta_core::verify::{Sim, accept_trust, gate};
use fwdelta_core::{Detail, Error, Result};

use crate::abi;
use crate::driver::Verifier;
use crate::ffi::sim;
use crate::names;
use crate::pointers::{give, optional, slice, slice_mut, table, tell, writable};

/// Tells the caller what came of a call that is not about a component.
///
/// # Safety
/// `failure` is null or can be written.
unsafe fn told(result: Result<()>, failure: *mut abi::Failure) -> u32 {
    // SAFETY: passed on.
    unsafe { tell(result.map_err(|error| (error, None)), failure) }
}

/// Whether a download may be started.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_gate(
    trust: *const u8,
    trust_len: usize,
    device: *const abi::Device,
    failure: *mut abi::Failure,
) -> u32 {
    let ask = || {
        // SAFETY: pointers of the caller, as the header asks for.
        let (trust, device) = unsafe { (slice(trust, trust_len)?, table(device)?) };
        gate(&Trust::parse(trust)?.policy, &sim(device)?)
    };
    // SAFETY: passed on.
    unsafe { told(ask(), failure) }
}

/// Whether a signed anchor may replace the present one; where in it the new one stands.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_trust_accept(
    current: *const u8,
    current_len: usize,
    signed_trust: *const u8,
    signed_len: usize,
    crypto: *const abi::Crypto,
    out: *mut abi::Anchor,
    failure: *mut abi::Failure,
) -> u32 {
    let accept = || {
        writable(out)?;
        // SAFETY: for all of the block: pointers of the caller, as the header asks for.
        let (current, signed, verifier) = unsafe {
            (
                slice(current, current_len)?,
                slice(signed_trust, signed_len)?,
                Verifier::new(optional(crypto)?)?,
            )
        };
        let version = accept_trust(&Trust::parse(current)?, signed, &verifier)?.version;
        let anchor = SignedTrust::parse(signed)?.anchor;
        let found = abi::Anchor { anchor: anchor.as_ptr(), len: anchor.len(), version };
        // SAFETY: checked above, and the rest by this function's contract.
        unsafe { out.write(found) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { told(accept(), failure) }
}

/// Writes what the device knows of its SIM as a record.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_handoff_write(
    device: *const abi::Device,
    out: *mut u8,
    failure: *mut abi::Failure,
) -> u32 {
    let write = || {
        // SAFETY: pointers of the caller, as the header asks for.
        let (device, out) = unsafe { (table(device)?, slice_mut(out, HANDOFF_LEN)?) };
        copy(&emit_handoff(&sim(device)?), out);
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { told(write(), failure) }
}

/// Reads a record of the SIM into the fields of a device that are about it.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_handoff_read(
    record: *const u8,
    record_len: usize,
    device: *mut abi::Device,
    failure: *mut abi::Failure,
) -> u32 {
    let read = || {
        // SAFETY: pointers of the caller, as the header asks for.
        let (record, given) = unsafe { (slice(record, record_len)?, *table(device.cast_const())?) };
        let found = with_sim(given, record)?;
        // SAFETY: `table` has checked it, and the rest by this function's contract.
        unsafe { device.write(found) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { told(read(), failure) }
}

/// `device` with the SIM of a record.
fn with_sim(mut device: abi::Device, record: &[u8]) -> Result<abi::Device> {
    let found = parse_handoff(record)?;
    device.plmn = [0; abi::PLMN_LEN];
    device.ef_fota = [0; abi::EF_FOTA_LEN];
    device.sim = match found {
        Sim::Absent => abi::SIM_ABSENT,
        Sim::WithoutFota => abi::SIM_WITHOUT_FOTA,
        Sim::WithFota { plmn, ef_fota } => {
            for (to, from) in device.plmn.iter_mut().zip(plmn.as_str().bytes()) {
                *to = from as c_char;
            }
            device.ef_fota = ef_fota.bytes();
            abi::SIM_WITH_FOTA
        }
    };
    Ok(device)
}

/// Writes what became of a package as a record.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_result_write(
    detail: u16,
    sequence: u64,
    manifest: *const u8,
    out: *mut u8,
) -> u32 {
    let write = || {
        let detail = match detail {
            0 => None,
            number => Some(names::detail(number).ok_or(Error::from(Detail::BadArgument))?),
        };
        // SAFETY: pointers of the caller, as the header asks for.
        let (manifest, out) = unsafe {
            let given = if manifest.is_null() { &[0; 32][..] } else { slice(manifest, 32)? };
            (given, slice_mut(out, RESULT_LEN)?)
        };
        let manifest = manifest.try_into().map_err(|_| Detail::BadArgument)?;
        copy(&emit_result(&Outcome { detail, sequence, manifest }), out);
        Ok(())
    };
    // SAFETY: no result but the number.
    unsafe { told(write(), core::ptr::null_mut()) }
}

/// What of a result record the caller may want to know.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_result_read(
    record: *const u8,
    record_len: usize,
    out: *mut abi::Outcome,
) -> u32 {
    // SAFETY: a pointer of the caller, as the header asks for.
    let record = unsafe { slice(record, record_len) };
    match record.and_then(fwdelta_core::verify::handoff::parse_result) {
        Ok(Outcome { detail, sequence, manifest }) => {
            let detail = detail.map_or(0, |detail| detail as u16);
            // SAFETY: passed on.
            unsafe { give(abi::Outcome { sequence, detail, manifest }, out) }
        }
        Err(error) => u32::from(error.code()),
    }
}

fn copy(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
