//! The exported functions for packages: pointers in, numbers out.
//!
//! Every pointer goes through [`crate::pointers`]; that it is what the header asks for is the
//! caller's promise, and the reason for every `unsafe` here.

use core::ffi::{CStr, c_char};

use fwdelta_core::format::manifest::base_name;
use fwdelta_core::format::plmn::Plmn;
use fwdelta_core::format::prompts::MOMENT_MAX;
use fwdelta_core::limits::COMPONENT_COUNT_MAX;
use fwdelta_core::verify::codes::{SUCCESS, codes_of};
use fwdelta_core::verify::{Device, EfFota, Facts, Installed, Sim};
use fwdelta_core::{Detail, Error, Limits, Result};

use crate::abi;
use crate::driver::{Medium, Progress, Unpacker, Verifier};
use crate::names;
use crate::pointers::{
    About, check_range, follow, give, limits, optional, slice, slice_mut, slot, table, tell,
    writable,
};
use crate::session::{Part, Parts, Request, Session, with_session};

/// Checks everything but the callbacks' doings.
///
/// # Safety
/// As the header says of `fwdelta_update`.
unsafe fn request<'a>(
    update: &'a abi::Update,
    progress: &'a Progress<'a>,
    room: &'a mut Room<'a>,
) -> Result<Request<'a>> {
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    unsafe {
        let raw = table(update.device)?;
        Ok(Request {
            package: Medium { table: table(update.package)?, progress },
            package_len: update.package_len,
            trust: slice(update.trust, update.trust_len)?,
            device: device(raw, room)?,
            pending: array(raw.pending)?,
            limits: limits(follow(update.limits)?),
            verifier: Verifier::new(optional(update.crypto)?)?,
            unpacker: Unpacker(optional(update.decompressor)?),
            decryptor: optional(update.decryptor)?,
            envelope_buf: slice_mut(update.envelope_buf, update.envelope_buf_len)?,
            work: slice_mut(update.work, update.work_len)?,
        })
    }
}

/// Room for what is installed, which core wants in one piece.
type Room<'a> = [Installed<'a>; COMPONENT_COUNT_MAX];

/// Checks what the device is and how it is.
///
/// # Safety
/// As the header says of `fwdelta_facts`.
unsafe fn facts<'a>(facts: Option<&'a abi::Facts>, room: &'a mut Room<'a>) -> Result<Facts<'a>> {
    let Some(raw) = facts else { return Ok(Facts::default()) };
    let count = usize::try_from(raw.installed_count).unwrap_or(usize::MAX);
    let len = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    // SAFETY: for all of the block: pointers of the caller, as the header asks for.
    unsafe {
        let installed = slice(raw.installed, count)?;
        let room = room.get_mut(..installed.len()).ok_or(Detail::BadArgument)?;
        for (to, from) in room.iter_mut().zip(installed) {
            follow(from.name)?;
            let name = CStr::from_ptr(from.name).to_str().map_err(|_| Detail::BadArgument)?;
            *to = Installed { name, version: slice(from.numbers, len(from.count))? };
        }
        let hardware = match raw.hardware.is_null() {
            true => None,
            false => Some(slice(raw.hardware, len(raw.hardware_count))?),
        };
        Ok(Facts {
            vendor_id: array(raw.vendor_id)?,
            class_id: array(raw.class_id)?,
            device_id: array(raw.device_id)?,
            hardware,
            time: (raw.has_time != 0).then_some(raw.time),
            battery: (raw.has_battery != 0).then_some(raw.battery),
            free_len: (raw.has_free_len != 0).then_some(raw.free_len),
            is_authorized: raw.is_authorized != 0,
            installed: room,
        })
    }
}

/// Follows a pointer to `N` bytes, a UUID or a digest, that may be null.
///
/// # Safety
/// `pointer` is null or points to as many bytes.
unsafe fn array<const N: usize>(pointer: *const u8) -> Result<Option<[u8; N]>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on.
    let bytes = unsafe { slice(pointer, N) }?;
    bytes.try_into().map(Some).map_err(|_| Detail::BadArgument.into())
}

/// Checks the SIM.
pub(crate) fn sim(device: &abi::Device) -> Result<Sim> {
    let bad = Error::from(Detail::BadArgument);
    Ok(match device.sim {
        abi::SIM_ABSENT => Sim::Absent,
        abi::SIM_WITHOUT_FOTA => Sim::WithoutFota,
        abi::SIM_WITH_FOTA => {
            let text = device.plmn.map(|c| c as u8);
            let text = CStr::from_bytes_until_nul(&text).ok().and_then(|text| text.to_str().ok());
            let plmn = Plmn::parse(text.ok_or(bad)?).map_err(|_| bad)?;
            Sim::WithFota { plmn, ef_fota: EfFota::parse(&device.ef_fota)? }
        }
        _ => return Err(bad),
    })
}

/// Checks everything the caller says of its device.
///
/// # Safety
/// As the header says of `fwdelta_device`.
unsafe fn device<'a>(device: &abi::Device, room: &'a mut Room<'a>) -> Result<Device<'a>> {
    let sim = sim(device)?;
    // SAFETY: passed on.
    let facts = unsafe { facts(optional(device.facts)?, room) }?;
    Ok(Device { sim, sequence: (device.has_sequence != 0).then_some(device.sequence), facts })
}

/// Checks the storage of all components.
///
/// # Safety
/// As the header says of `fwdelta_part`.
unsafe fn parts<'a>(
    pointer: *const abi::Part,
    count: u32,
    progress: &'a Progress<'a>,
) -> Result<Parts<'a>> {
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
                slot: slot(raw.slot, progress)?,
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
    // SAFETY: passed on.
    unsafe { tell(result, failure) }
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
    let mut room = [Installed { name: "", version: &[] }; COMPONENT_COUNT_MAX];
    // SAFETY: passed on.
    let request = unsafe { request(update, &progress, &mut room) }.map_err(alone)?;
    let result = with_session(request, work);
    // A read that the caller cut short comes back as failed.
    result.map_err(
        |about| {
            if progress.is_cancelled() { (Detail::Cancelled.into(), None) } else { about }
        },
    )
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
        prompts_len: package.prompts().map_or(0, |(_, span)| span.len),
        manifest: *package.auth.digest,
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
        is_way_back: u32::from(header.undoes.is_some()),
        old_len: part.old.map_or(0, |old| old.len),
        new_len: part.new.len,
        payload_len: part.delta.len,
        work_len,
        old_digest: part.old.map_or([0; 32], |old| old.digest),
        new_digest: part.new.digest,
        payload_digest: part.delta.digest,
        is_encrypted: u32::from(header.is_sealed()),
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
        let parts = unsafe { parts(components, component_count, session.progress()) };
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
        let parts = unsafe { parts(components, component_count, session.progress()) };
        session.apply(&parts.map_err(|error| (error, None))?)
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Steps 1 to 7 for a package that leads back from another one.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_check_way_back(
    back: *const abi::Update,
    forward: *const abi::Component,
    forward_count: u32,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |session: &mut Session<'_>| {
        let count = usize::try_from(forward_count).unwrap_or(usize::MAX);
        // SAFETY: a pointer of the caller, as the header asks for.
        let forward = unsafe { slice(forward, count) };
        session.check_way_back(forward.map_err(|error| (error, None))?)
    };
    // SAFETY: passed on.
    unsafe { run(back, failure, work) }
}

/// Steps 1 to 7 for one component; its delta.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_delta_of_package(
    update: *const abi::Update,
    component: u32,
    payload: *const abi::Source,
    payload_len: u64,
    out: *mut abi::Delta,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |session: &mut Session<'_>| {
        let alone = |error| (error, None);
        writable(out).map_err(alone)?;
        // SAFETY: a pointer of the caller, as the header asks for.
        let payload = unsafe { optional(payload) }.map_err(alone)?;
        let index = u8::try_from(component).map_err(|_| alone(Detail::BadArgument.into()))?;
        let (delta, sealing) = session.delta(index, payload, payload_len)?;
        if let (Some(sealing), Some(decryptor)) = (sealing, session.decryptor) {
            writable(decryptor.sealing).map_err(alone)?;
            // SAFETY: checked, and the rest by this function's contract.
            unsafe { decryptor.sealing.write(sealing) };
        }
        // SAFETY: checked above, and the rest by this function's contract.
        unsafe { out.write(delta) };
        Ok(())
    };
    // SAFETY: passed on.
    unsafe { run(update, failure, work) }
}

/// Steps 1 to 6, and one prompt.
///
/// # Safety
/// Every pointer is null or as the header asks for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwdelta_prompt_of(
    update: *const abi::Update,
    moment: u32,
    language: *const c_char,
    out: *mut abi::Prompt,
    failure: *mut abi::Failure,
) -> u32 {
    let work = |session: &mut Session<'_>| {
        let alone = |error| (error, None);
        writable(out).map_err(alone)?;
        let moment = u8::try_from(moment).ok().filter(|moment| (1..=MOMENT_MAX).contains(moment));
        let moment = moment.ok_or(Error::from(Detail::BadArgument)).map_err(alone)?;
        // What is not UTF-8 is no language, and like any unknown one no reason to fail.
        let language = match language.is_null() {
            true => "",
            // SAFETY: not null, and zero-terminated as the header asks for.
            false => unsafe { CStr::from_ptr(language) }.to_str().unwrap_or(""),
        };
        let prompt = session.prompt(moment, language).map_err(alone)?;
        // SAFETY: checked above, and the rest by this function's contract.
        unsafe { out.write(prompt) };
        Ok(())
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
