//! The caller's pointers: checked for null and alignment before they are followed; that they are
//! otherwise what the header asks for is the caller's promise.

use fwdelta_core::{Detail, Error, Limits, Result};

use crate::abi;
use crate::driver::{Chip, Progress, Sectors, Slot};

/// An error and the component it is about.
pub(crate) type About = (Error, Option<u8>);

/// Refuses a table of another version than this library's.
pub(crate) trait Versioned {
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
    Decryptor: unwrap open;
    Progress: step;
    Device:;
    Facts:;
    Update:;
    Flash: read erase program sync;
    Delta:;
    InPlace:;
    Stream:;
    TwoSlots:;
}

/// Follows a pointer.
///
/// # Safety
/// `pointer` is null, or points to a value that stays as it is for `'a`.
pub(crate) unsafe fn follow<'a, T>(pointer: *const T) -> Result<&'a T> {
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
pub(crate) unsafe fn table<'a, T: Versioned>(pointer: *const T) -> Result<&'a T> {
    // SAFETY: passed on.
    let table = unsafe { follow(pointer)? };
    let fits = table.abi() == abi::ABI_VERSION && table.is_whole();
    if fits { Ok(table) } else { Err(Detail::BadArgument.into()) }
}

/// Follows a pointer to a table that may be null.
///
/// # Safety
/// As [`follow`].
pub(crate) unsafe fn optional<'a, T: Versioned>(pointer: *const T) -> Result<Option<&'a T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on.
    unsafe { table(pointer) }.map(Some)
}

/// Follows a pointer to a slot that is only written.
///
/// # Safety
/// As [`follow`].
pub(crate) unsafe fn slot<'a>(
    pointer: *const abi::Target,
    progress: &'a Progress<'a>,
) -> Result<Slot<'a>> {
    // SAFETY: passed on.
    let table = unsafe { table(pointer)? };
    // SAFETY: passed on.
    let sectors = unsafe { sectors(table.first, table.first_count, table.sector_len)? };
    Ok(Slot { table, sectors, progress })
}

/// Follows a pointer to flash.
///
/// # Safety
/// As [`follow`].
pub(crate) unsafe fn chip<'a>(
    pointer: *const abi::Flash,
    progress: &'a Progress<'a>,
) -> Result<Chip<'a>> {
    // SAFETY: passed on.
    let table = unsafe { table(pointer)? };
    // SAFETY: passed on.
    let sectors = unsafe { sectors(table.first, table.first_count, table.sector_len)? };
    Ok(Chip { table, sectors, progress })
}

/// Follows a pointer to lengths of sectors.
///
/// # Safety
/// As [`slice`].
unsafe fn sectors<'a>(first: *const abi::Sectors, count: u32, len: u32) -> Result<Sectors<'a>> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    // SAFETY: passed on.
    let first = unsafe { slice(first, count)? };
    let is_sound = first.iter().all(|run| run.len > 1 && run.count > 0);
    if is_sound { Ok(Sectors { first, len }) } else { Err(Detail::BadArgument.into()) }
}

/// Follows a pointer to `len` values; null is allowed where there are none.
///
/// # Safety
/// `pointer` is null, or points to `len` values that stay as they are for `'a`.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, len: usize) -> Result<&'a [T]> {
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
pub(crate) unsafe fn slice_mut<'a, T>(pointer: *mut T, len: usize) -> Result<&'a mut [T]> {
    if len == 0 {
        return Ok(&mut []);
    }
    check_range(pointer, len)?;
    // SAFETY: not null, aligned, not too long, and the rest by this function's contract.
    Ok(unsafe { core::slice::from_raw_parts_mut(pointer, len) })
}

pub(crate) fn check_range<T>(pointer: *const T, len: usize) -> Result<()> {
    let fits = len.checked_mul(size_of::<T>()).is_some_and(|len| len <= isize::MAX as usize);
    let sound = fits && !pointer.is_null() && pointer.is_aligned();
    if sound { Ok(()) } else { Err(Detail::BadArgument.into()) }
}

/// Checks a pointer to a result, which is written once, at the end.
pub(crate) fn writable<T>(pointer: *mut T) -> Result<()> {
    check_range(pointer, 1)
}

/// The caller's ceilings.
pub(crate) fn limits(limits: &abi::Limits) -> Limits {
    Limits {
        envelope_len: usize::try_from(limits.envelope_len).unwrap_or(usize::MAX),
        image_len: limits.image_len,
        text_len: limits.text_len,
        chunk_len: limits.chunk_len,
        workspace_len: limits.workspace_len,
    }
}

/// Writes a result that needs nothing but its place.
///
/// # Safety
/// `out` is null or can be written.
pub(crate) unsafe fn give<T>(value: T, out: *mut T) -> u32 {
    match writable(out) {
        Ok(()) => {
            // SAFETY: not null, aligned, and the rest by this function's contract.
            unsafe { out.write(value) };
            0
        }
        Err(error) => u32::from(error.code()),
    }
}

/// Tells the caller what came of a call; gives what the function returns.
///
/// # Safety
/// `failure` is null or can be written.
pub(crate) unsafe fn tell(
    result: core::result::Result<(), About>,
    failure: *mut abi::Failure,
) -> u32 {
    let told = failure_of(result);
    let category = u32::from(told.category);
    if writable(failure).is_ok() {
        // SAFETY: not null, aligned, and the rest by this function's contract.
        unsafe { failure.write(told) };
    }
    category
}

fn failure_of(result: core::result::Result<(), About>) -> abi::Failure {
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
