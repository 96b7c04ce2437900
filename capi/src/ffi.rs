//! The exported functions: pointers in, numbers out.
//!
//! Every pointer is checked for null and alignment before it is followed; that it is otherwise
//! what the header asks for is the caller's promise, and the reason for every `unsafe` here.

use core::ffi::{CStr, c_char};

use fwdelta_core::format::manifest::base_name;
use fwdelta_core::format::plmn::Plmn;
use fwdelta_core::limits::COMPONENT_COUNT_MAX;
use fwdelta_core::verify::codes::{SUCCESS, codes_of};
use fwdelta_core::verify::{Device, EfFota, Sim};
use fwdelta_core::{Detail, Error, Limits, Result};

use crate::abi;
use crate::driver::{Medium, Progress, Unpacker, Verifier};
use crate::names;
use crate::session::{About, Part, Parts, Request, Session, with_session};

/// Refuses a table of another version than this library's.
trait Versioned {
    fn abi(&self) -> u32;
    /// Whether every callback is there.
    fn is_whole(&self) -> bool;
}

macro_rules! versioned {
    ($($table:ident: $($callback:ident)*;)*) => {$(
        impl Versioned for abi::$table {
            fn abi(&self) -> u32 {
                self.abi
            }

            fn is_whole(&self) -> bool {
                true $(&& self.$callback.is_some())*
            }
        }
    )*};
}

versioned! {
    Source: read;
    Target: erase program sync;
    Crypto: verify_ed25519;
    Decompressor: start run;
    Progress: step;
    Device:;
    Update:;
}

/// Follows a pointer.
///
/// # Safety
/// `pointer` is null, or points to a value that stays as it is for `'a`.
unsafe fn follow<'a, T>(pointer: *const T) -> Result<&'a T> {
    if pointer.is_null() || !pointer.is_aligned() {
        return Err(Detail::BadArgument.into());
    }
    // SAFETY: not null, aligned, and the rest by this function's contract.
    Ok(unsafe { &*pointer })
}

/// Follows a pointer to a table.
///
/// # Safety
/// As [`follow`].
unsafe fn table<'a, T: Versioned>(pointer: *const T) -> Result<&'a T> {
    // SAFETY: passed on.
    let table = unsafe { follow(pointer)? };
    let fits = table.abi() == abi::ABI_VERSION && table.is_whole();
    if fits { Ok(table) } else { Err(Detail::BadArgument.into()) }
}

/// Follows a pointer to a table that may be null.
///
/// # Safety
/// As [`follow`].
unsafe fn optional<'a, T: Versioned>(pointer: *const T) -> Result<Option<&'a T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on.
    unsafe { table(pointer) }.map(Some)
}

/// Follows a pointer to `len` values; null is allowed where there are none.
///
/// # Safety
/// `pointer` is null, or points to `len` values that stay as they are for `'a`.
unsafe fn slice<'a, T>(pointer: *const T, len: usize) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    check_range(pointer, len)?;
    // SAFETY: not null, aligned, not too long, and the rest by this function's contract.
    Ok(unsafe { core::slice::from_raw_parts(pointer, len) })
}

/// Follows a pointer to `len` values to be written.
///
/// # Safety
/// `pointer` is null, or points to `len` values that nothing else uses for `'a`.
unsafe fn slice_mut<'a, T>(pointer: *mut T, len: usize) -> Result<&'a mut [T]> {
    if len == 0 {
        return Ok(&mut []);
    }
    check_range(pointer, len)?;
    // SAFETY: not null, aligned, not too long, and the rest by this function's contract.
    Ok(unsafe { core::slice::from_raw_parts_mut(pointer, len) })
}

fn check_range<T>(pointer: *const T, len: usize) -> Result<()> {
    let fits = len.checked_mul(size_of::<T>()).is_some_and(|len| len <= isize::MAX as usize);
    let sound = fits && !pointer.is_null() && pointer.is_aligned();
    if sound { Ok(()) } else { Err(Detail::BadArgument.into()) }
}

/// Checks a pointer to a result, which is written once, at the end.
fn writable<T>(pointer: *mut T) -> Result<()> {
    check_range(pointer, 1)
}

/// Checks everything but the callbacks' doings.
///
/// # Safety
/// As the header says of `fwdelta_update`.
unsafe fn request<'a>(update: &'a abi::Update, progress: &'a Progress<'a>) -> Result<Request<'a>> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    unsafe {
        Ok(Request {
            package: Medium { table: table(update.package)?, progress },
            package_len: update.package_len,
            trust: slice(update.trust, update.trust_len)?,
            device: device(table(update.device)?)?,
            limits: limits(follow(update.limits)?),
            verifier: Verifier::new(optional(update.crypto)?)?,
            unpacker: Unpacker(optional(update.decompressor)?),
            envelope_buf: slice_mut(update.envelope_buf, update.envelope_buf_len)?,
            work: slice_mut(update.work, update.work_len)?,
        })
    }
}

fn device(device: &abi::Device) -> Result<Device> {
    let bad = Error::from(Detail::BadArgument);
    let sim = match device.sim {
        abi::SIM_ABSENT => Sim::Absent,
        abi::SIM_WITHOUT_FOTA => Sim::WithoutFota,
        abi::SIM_WITH_FOTA => {
            let text = device.plmn.map(|c| c as u8);
            let text = CStr::from_bytes_until_nul(&text).ok().and_then(|text| text.to_str().ok());
            let plmn = Plmn::parse(text.ok_or(bad)?).map_err(|_| bad)?;
            Sim::WithFota { plmn, ef_fota: EfFota::parse(&device.ef_fota)? }
        }
        _ => return Err(bad),
    };
    Ok(Device { sim, sequence: (device.has_sequence != 0).then_some(device.sequence) })
}

fn limits(limits: &abi::Limits) -> Limits {
    Limits {
        envelope_len: usize::try_from(limits.envelope_len).unwrap_or(usize::MAX),
        image_len: limits.image_len,
        text_len: limits.text_len,
        chunk_len: limits.chunk_len,
        workspace_len: limits.workspace_len,
    }
}

/// Checks the storage of all components.
///
/// # Safety
/// As the header says of `fwdelta_part`.
unsafe fn parts<'a>(pointer: *const abi::Part, count: u32) -> Result<Parts<'a>> {
    let count = usize::try_from(count).ok().filter(|count| *count <= COMPONENT_COUNT_MAX);
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    unsafe {
        let raw = slice(pointer, count.ok_or(Detail::BadArgument)?)?;
        let mut parts = [None; COMPONENT_COUNT_MAX];
        for (part, raw) in parts.iter_mut().zip(raw) {
            *part = Some(Part {
                old: optional(raw.old)?,
                old_len: raw.old_len,
                payload: optional(raw.payload)?,
                payload_len: raw.payload_len,
                slot: table(raw.slot)?,
            });
        }
        Ok(parts)
    }
}

/// Does `work` on the caller's request; tells the caller what came of it.
///
/// # Safety
/// `update` and `failure` are null or as the header asks for.
unsafe fn run(
    update: *const abi::Update,
    failure: *mut abi::Failure,
    work: impl FnOnce(&mut Session<'_>) -> core::result::Result<(), About>,
) -> u32 {
    // SAFETY: passed on.
    let result = unsafe { run_checked(update, work) };
    let told = tell(result);
    let category = u32::from(told.category);
    if writable(failure).is_ok() {
        // SAFETY: not null, aligned, and the rest by this function's contract.
        unsafe { failure.write(told) };
    }
    category
}

/// # Safety
/// As [`run`].
unsafe fn run_checked(
    update: *const abi::Update,
    work: impl FnOnce(&mut Session<'_>) -> core::result::Result<(), About>,
) -> core::result::Result<(), About> {
    let alone = |error| (error, None);
    // SAFETY: passed on.
    let update = unsafe { table(update) }.map_err(alone)?;
    // SAFETY: passed on.
    let progress = Progress::new(unsafe { optional(update.progress) }.map_err(alone)?);
    // SAFETY: passed on.
    let request = unsafe { request(update, &progress) }.map_err(alone)?;
    let result = with_session(request, work);
    // A read that the caller cut short comes back as failed.
    result.map_err(
        |about| {
            if progress.is_cancelled() { (Detail::Cancelled.into(), None) } else { about }
        },
    )
}

fn tell(result: core::result::Result<(), About>) -> abi::Failure {
    let component = abi::NO_COMPONENT;
    let Err((error, index)) = result else {
        return abi::Failure { detail: 0, category: 0, old_intact: 1, component, pos: 0 };
    };
    abi::Failure {
        detail: error.detail as u16,
        category: error.code(),
        old_intact: u8::from(error.old_intact),
        component: index.map_or(component, u32::from),
        pos: error.pos,
    }
}

fn summary(session: &Session<'_>) -> abi::Summary {
    let package = &session.package;
    let said = &package.manifest.summary;
    let mut approved_by = [0; abi::PLMN_LEN];
    if let Some((plmn, _)) = package.decision.approval {
        for (to, from) in approved_by.iter_mut().zip(plmn.as_str().bytes()) {
            *to = from as c_char;
        }
    }
    abi::Summary {
        sequence: said.sequence,
        vendor_id: said.vendor_id,
        class_id: said.class_id,
        component_count: u32::from(package.manifest.component_count()),
        decision: package.decision.basis as u8,
        approval_mode: package.decision.approval.map_or(0, |(_, mode)| mode as u8),
        approved_by,
    }
}

fn text(text: Option<&str>) -> (*const c_char, u32) {
    let pointer = text.map_or(core::ptr::null(), |text| text.as_ptr().cast());
    (pointer, text.map_or(0, |text| u32::try_from(text.len()).unwrap_or(0)))
}

fn component(session: &mut Session<'_>, index: u8) -> core::result::Result<abi::Component, About> {
    let about = |error| (error, Some(index));
    let header = session.header(index)?;
    let part = session.package.manifest.component(index).map_err(about)?;
    let file_name = part.detached.map(base_name).transpose().map_err(about)?;
    let work_len = fwdelta_core::apply::Applier::workspace(&header).map_err(about)?;
    let (name, name_len) = text(Some(part.name));
    let (payload_uri, payload_uri_len) = text(part.detached);
    let (payload_name, payload_name_len) = text(file_name);
    Ok(abi::Component {
        name,
        name_len,
        payload_uri_len,
        payload_uri,
        payload_name,
        payload_name_len,
        has_old: u32::from(part.old.is_some()),
        old_len: part.old.map_or(0, |old| old.len),
        new_len: part.new.len,
        payload_len: part.delta.len,
        work_len,
        old_digest: part.old.map_or([0; 32], |old| old.digest),
        new_digest: part.new.digest,
        payload_digest: part.delta.digest,
    })
}

/// The version of the interface this library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn fwdelta_abi_version() -> u32 {
    abi::ABI_VERSION
}

/// Ceilings for microcontrollers.
///
/// # Safety
/// `out` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_limits_device(out: *mut abi::Limits) -> u32 {
    // SAFETY: passed on.
    unsafe { write_limits(&Limits::DEVICE, out) }
}

/// Ceilings for Linux-class devices.
///
/// # Safety
/// `out` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_limits_linux(out: *mut abi::Limits) -> u32 {
    // SAFETY: passed on.
    unsafe { write_limits(&Limits::LINUX, out) }
}

/// # Safety
/// `out` is null or can be written.
unsafe fn write_limits(limits: &Limits, out: *mut abi::Limits) -> u32 {
    let limits = abi::Limits {
        image_len: limits.image_len,
        text_len: limits.text_len,
        workspace_len: limits.workspace_len,
        envelope_len: u32::try_from(limits.envelope_len).unwrap_or(u32::MAX),
        chunk_len: limits.chunk_len,
    };
    // SAFETY: passed on.
    unsafe { give(limits, out) }
}

/// Writes a result that needs nothing but its place.
///
/// # Safety
/// `out` is null or can be written.
unsafe fn give<T>(value: T, out: *mut T) -> u32 {
    match writable(out) {
        Ok(()) => {
            // SAFETY: not null, aligned, and the rest by this function's contract.
            unsafe { out.write(value) };
            0
        }
        Err(error) => u32::from(error.code()),
    }
}

/// Steps 1 to 6 of docs/format.md, section 7, and texts and headers of step 7.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_verify(
    update: *const abi::Update,
    out: *mut abi::Summary,
    components: *mut abi::Component,
    component_max: u32,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |session: &mut Session<'_>| {
        let alone = |error| (error, None);
        writable(out).map_err(alone)?;
        let max = usize::try_from(component_max).unwrap_or(usize::MAX).min(COMPONENT_COUNT_MAX);
        if max > 0 {
            check_range(components, max).map_err(alone)?;
        }
        session.check_small()?;
        let count = session.package.manifest.component_count();
        for index in (0..count).take(max) {
            let found = component(session, index)?;
            // SAFETY: `components` was checked and has `max` places; written, never read.
            unsafe { components.add(usize::from(index)).write(found) };
        }
        // SAFETY: checked above, and the rest by this function's contract.
        unsafe { out.write(summary(session)) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Steps 1 to 8: everything before the first write.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_check(
    update: *const abi::Update,
    components: *const abi::Part,
    component_count: u32,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |session: &mut Session<'_>| {
        // SAFETY: passed on.
        let parts = unsafe { parts(components, component_count) };
        session.check(&parts.map_err(|error| (error, None))?)
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Steps 1 to 10: writes every new image.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_apply(
    update: *const abi::Update,
    components: *const abi::Part,
    component_count: u32,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |session: &mut Session<'_>| {
        // SAFETY: passed on.
        let parts = unsafe { parts(components, component_count) };
        session.apply(&parts.map_err(|error| (error, None))?)
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// The name of an error number; never null.
#[unsafe(no_mangle)]
pub extern "C" fn fwdelta_error_name(detail: u16) -> *const c_char {
    names::name(detail)
}

/// What device management protocols call an outcome; 0 is success.
///
/// # Safety
/// `out` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_codes_of(detail: u16, out: *mut abi::Codes) -> u32 {
    let codes = match (detail, names::detail(detail)) {
        (0, _) => SUCCESS,
        (_, Some(detail)) => codes_of(detail),
        (_, None) => return u32::from(Detail::BadArgument as u16 / 100),
    };
    let (fumo, install_notify, lwm2m) = (codes.fumo, codes.install_notify, codes.lwm2m);
    // SAFETY: passed on.
    unsafe { give(abi::Codes { fumo, install_notify, lwm2m }, out) }
}
