//! The exported functions for callbacks of a decryptor: key derivation, and in software the rest.
//!
//! They return a category as all others do, and tell no more: there is one way to be wrong.

use fwdelta_core::Detail;
#[cfg(feature = "encryption-software")]
use fwdelta_core::format::encryption::{
    CONTENT_KEY_LEN_MAX, ContentAlgorithm, NONCE_LEN, Recipient,
};
#[cfg(feature = "encryption-software")]
use fwdelta_core::format::sealed::{Aead as _, TAG_LEN};
#[cfg(feature = "encryption-software")]
use fwdelta_core::verify::{SoftwareAead, SoftwareKey};
use fwdelta_core::{Error, Result};

use crate::abi;
#[cfg(feature = "encryption-software")]
use crate::pointers::{follow, slice_mut};
#[cfg(feature = "encryption")]
use crate::pointers::{slice, writable};

/// What functions return.
fn told(result: Result<()>) -> u32 {
    result.map_or_else(|error: Error| u32::from(error.code()), |()| 0)
}

/// Follows a pointer to an array.
///
/// # Safety
/// `pointer` is null, or points to `N` bytes that stay as they are for `'a`.
#[cfg(feature = "encryption")]
unsafe fn array<'a, const N: usize>(pointer: *const u8) -> Result<&'a [u8; N]> {
    // SAFETY: passed on.
    let bytes = unsafe { slice(pointer, N) }?;
    bytes.first_chunk().ok_or(Detail::BadArgument.into())
}

/// The key that wraps a content key, from a shared secret.
///
/// # Safety
/// `shared` is null or has 32 bytes, `kek` is null or has room for 16.
#[unsafe(no_mangle)]
#[cfg_attr(not(feature = "encryption"), allow(unused_variables))]
pub unsafe extern "C" fn fwdelta_derive_kek(shared: *const u8, kek: *mut u8) -> u32 {
    #[cfg(feature = "encryption")]
    let work = || {
        writable(kek.cast::<[u8; 16]>())?;
        // SAFETY: pointers of the caller, as the header asks for.
        let derived = fwdelta_core::verify::derive_kek(unsafe { array(shared) }?)?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { kek.cast::<[u8; 16]>().write(*derived) };
        Ok(())
    };
    #[cfg(not(feature = "encryption"))]
    let work = || Err(Detail::NotBuiltIn.into());
    told(work())
}

/// Unwraps a content key in software.
///
/// # Safety
/// `recipient` is null or a whole value, `kid` is null or has 8 bytes, `key` is null or has
/// `key_len`, `content_key` is null or has room for 32.
#[unsafe(no_mangle)]
#[cfg_attr(not(feature = "encryption-software"), allow(unused_variables))]
pub unsafe extern "C" fn fwdelta_unwrap_key(
    recipient: *const abi::Recipient,
    kid: *const u8,
    key: *const u8,
    key_len: usize,
    content_key: *mut u8,
) -> u32 {
    #[cfg(feature = "encryption-software")]
    let work = || {
        writable(content_key.cast::<[u8; CONTENT_KEY_LEN_MAX]>())?;
        // SAFETY: for all of the block: pointers of the caller, as the header asks for.
        let (recipient, kid, key) =
            unsafe { (follow(recipient)?, array(kid)?, slice(key, key_len)?) };
        let unwrapped = unwrapped(recipient, kid, key)?;
        // SAFETY: checked, and the rest by this function's contract.
        unsafe { content_key.cast::<[u8; CONTENT_KEY_LEN_MAX]>().write(*unwrapped) };
        Ok(())
    };
    #[cfg(not(feature = "encryption-software"))]
    let work = || Err(Detail::NotBuiltIn.into());
    told(work())
}

#[cfg(feature = "encryption-software")]
fn unwrapped(
    recipient: &abi::Recipient,
    kid: &[u8; 8],
    key: &[u8],
) -> Result<zeroize::Zeroizing<[u8; CONTENT_KEY_LEN_MAX]>> {
    let bad = Error::from(Detail::BadArgument);
    let cipher = ContentAlgorithm::from_number(recipient.cipher.into()).ok_or(bad)?;
    let (x, rest) = recipient.point.get(1..).and_then(<[u8]>::split_first_chunk).ok_or(bad)?;
    let y = rest.first_chunk().ok_or(bad)?;
    let wrapped = recipient.wrapped.get(..usize::from(recipient.wrapped_len)).ok_or(bad)?;
    let algorithm = recipient.algorithm.into();
    let recipient = Recipient::from_parts(algorithm, &recipient.kid, (x, y), wrapped)?;
    let software = match (key.len(), key.first_chunk::<32>(), key.first_chunk::<16>()) {
        (32, Some(secret), _) => SoftwareKey::Private { kid: *kid, secret },
        (16, _, Some(key)) => SoftwareKey::Group { kid: *kid, key },
        _ => return Err(bad),
    };
    software.content_key(&recipient, cipher).ok_or(Detail::NotRecipient)?
}

/// Decrypts a chunk in software, in its place.
///
/// # Safety
/// `content_key` is null or has 32 bytes, `nonce` is null or has 12, `aad` is null or has
/// `aad_len`, `data` is null or has `data_len` that nothing else uses, `tag` is null or has 16.
#[unsafe(no_mangle)]
#[cfg_attr(not(feature = "encryption-software"), allow(unused_variables))]
pub unsafe extern "C" fn fwdelta_open_chunk(
    cipher: i32,
    content_key: *const u8,
    nonce: *const u8,
    aad: *const u8,
    aad_len: usize,
    data: *mut u8,
    data_len: usize,
    tag: *const u8,
) -> u32 {
    #[cfg(feature = "encryption-software")]
    let work = || {
        let algorithm = ContentAlgorithm::from_number(cipher.into()).ok_or(Detail::BadArgument)?;
        // SAFETY: for all of the block: pointers of the caller, as the header asks for.
        let (key, nonce, aad, data, tag) = unsafe {
            let nonce = array::<NONCE_LEN>(nonce)?;
            let tag = array::<TAG_LEN>(tag)?;
            (array(content_key)?, nonce, slice(aad, aad_len)?, slice_mut(data, data_len)?, tag)
        };
        let is_right = SoftwareAead::new(algorithm, key)?.open(nonce, aad, data, tag);
        if is_right { Ok(()) } else { Err(Detail::NotDecrypted.into()) }
    };
    #[cfg(not(feature = "encryption-software"))]
    let work = || Err(Detail::NotBuiltIn.into());
    told(work())
}
