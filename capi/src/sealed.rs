//! Encrypted payloads: keys and ciphers of the caller's.

#[cfg(feature = "encryption")]
use fwdelta_core::Category;
use fwdelta_core::format::delta::DeltaHeader;
#[cfg(feature = "encryption")]
use fwdelta_core::format::encryption::{
    ContentAlgorithm, EncryptionInfo, NONCE_LEN, Recipient, WRAPPED_LEN_MAX,
};
#[cfg(feature = "encryption")]
pub(crate) use fwdelta_core::format::sealed::OpenChunk;
#[cfg(feature = "encryption")]
use fwdelta_core::format::sealed::{Aead, Opening, TAG_LEN};
use fwdelta_core::{Detail, Result};

use crate::abi;
#[cfg(feature = "encryption")]
use crate::pointers::follow;

/// The caller's cipher, which has the content key.
#[cfg(feature = "encryption")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cipher<'a>(&'a abi::Decryptor);

/// What opens the chunks of a package's payload.
#[cfg(feature = "encryption")]
pub(crate) type Opener<'a> = Opening<Cipher<'a>>;

/// The caller's table as what opens the chunks of a delta: it stays with the caller, so that a
/// state has no copy of it.
#[cfg(feature = "encryption")]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Table(abi::Decryptor);

/// There is none in this build.
#[cfg(not(feature = "encryption"))]
#[derive(Debug)]
pub(crate) enum Table {}
#[cfg(not(feature = "encryption"))]
pub(crate) type Opener<'a> = (Table, &'a ());

/// Nothing is opened in this build.
#[cfg(not(feature = "encryption"))]
pub(crate) trait OpenChunk {}
#[cfg(not(feature = "encryption"))]
impl OpenChunk for Opener<'_> {}
#[cfg(not(feature = "encryption"))]
impl OpenChunk for Table {}

#[cfg(feature = "encryption")]
impl OpenChunk for Table {
    fn open(&self, index: u64, is_last: bool, chunk: &mut [u8]) -> Result<usize> {
        // SAFETY: a pointer of the caller, which as the header asks for stays what it was when this
        // table was taken.
        let sealing = unsafe { follow(self.0.sealing.cast_const()) }?;
        let algorithm = ContentAlgorithm::from_number(sealing.recipient.cipher.into());
        let algorithm = algorithm.ok_or(Detail::UnknownAlgorithm)?;
        Opening::of(algorithm, &sealing.nonce, Cipher(&self.0)).open(index, is_last, chunk)
    }
}

/// Says of the header that its payload is encrypted, where it is.
///
/// # Errors
/// `BadArgument` for a header without chain.
pub(crate) fn mark(header: &mut DeltaHeader, delta: &abi::Delta) -> Result<()> {
    if delta.cipher != 0 {
        header.chain.as_mut().ok_or(Detail::BadArgument)?.is_sealed = true;
    }
    Ok(())
}

#[cfg(feature = "encryption")]
impl Aead for Cipher<'_> {
    fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> bool {
        let abi::Decryptor { ctx, open: Some(open), .. } = *self.0 else { return false };
        let (nonce, tag, len) = (nonce.as_ptr(), tag.as_ptr(), data.len());
        // SAFETY: the caller's own callback; the buffers are valid for their lengths, which for
        // nonce and tag the header states, during the call.
        unsafe { open(ctx, nonce, aad.as_ptr(), aad.len(), data.as_mut_ptr(), len, tag) == 0 }
    }
}

/// Asks the caller to unwrap; `None` where `recipient` is somebody else.
#[cfg(feature = "encryption")]
fn unwrap<'a>(table: &'a abi::Decryptor, recipient: &abi::Recipient) -> Option<Result<Cipher<'a>>> {
    let abi::Decryptor { ctx, unwrap: Some(unwrap), .. } = *table else { return None };
    // SAFETY: the caller's own callback; `recipient` is valid during the call.
    match unsafe { unwrap(ctx, recipient) } {
        0 => Some(Ok(Cipher(table))),
        other if other == Category::Policy as i32 => None,
        _ => Some(Err(Detail::NotDecrypted.into())),
    }
}

/// A recipient as the header shows it.
#[cfg(feature = "encryption")]
fn shown(recipient: &Recipient<'_>, algorithm: ContentAlgorithm) -> abi::Recipient {
    let mut shown = abi::Recipient {
        cipher: algorithm.number() as i32,
        algorithm: recipient.algorithm() as i32,
        kid: *recipient.kid(),
        point: [0; 65],
        wrapped_len: recipient.wrapped().len().min(WRAPPED_LEN_MAX) as u8,
        wrapped: [0; WRAPPED_LEN_MAX],
    };
    for (to, from) in shown.wrapped.iter_mut().zip(recipient.wrapped()) {
        *to = *from;
    }
    if let Recipient::EcdhEs { x, y, .. } = recipient {
        for (to, from) in shown.point.iter_mut().zip([4].iter().chain(*x).chain(*y)) {
            *to = *from;
        }
    }
    shown
}

/// The recipient that the caller has a key of, with what is to be kept, and what opens chunks then.
///
/// # Errors
/// `NotRecipient`, `NotDecrypted`.
#[cfg(feature = "encryption")]
pub(crate) fn find<'a>(
    info: &EncryptionInfo<'_>,
    decryptor: Option<&'a abi::Decryptor>,
) -> Result<(abi::Sealing, Opener<'a>)> {
    let decryptor = decryptor.ok_or(Detail::NotRecipient)?;
    for recipient in info.recipients() {
        let recipient = shown(&recipient, info.algorithm);
        if let Some(cipher) = unwrap(decryptor, &recipient) {
            let sealing = abi::Sealing { recipient, nonce: *info.nonce };
            return Ok((sealing, Opening::new(info, cipher?)));
        }
    }
    Err(Detail::NotRecipient.into())
}

/// What opens the payload of a delta whose package was verified before; `None` where that is not
/// encrypted.
///
/// # Errors
/// `NotRecipient`, `NotDecrypted`; `UnknownAlgorithm` for what is no cipher; `BadArgument` where
/// what was kept of the package is missing, or of another one.
///
/// # Safety
/// `sealing` of the decryptor is null or as the header asks for.
#[cfg(feature = "encryption")]
pub(crate) unsafe fn of_delta<'a>(
    delta: &abi::Delta,
    decryptor: Option<&'a abi::Decryptor>,
) -> Result<Option<&'a Table>> {
    if delta.cipher == 0 {
        return Ok(None);
    }
    ContentAlgorithm::from_number(delta.cipher.into()).ok_or(Detail::UnknownAlgorithm)?;
    let decryptor = decryptor.ok_or(Detail::NotRecipient)?;
    // SAFETY: passed on.
    let sealing = unsafe { follow(decryptor.sealing.cast_const()) }?;
    if sealing.recipient.cipher != i32::from(delta.cipher) {
        return Err(Detail::BadArgument.into());
    }
    unwrap(decryptor, &sealing.recipient).ok_or(Detail::NotRecipient)??;
    // SAFETY: `Table` is transparent.
    Ok(Some(unsafe { &*(&raw const *decryptor).cast() }))
}

/// The same: this build has no decryption.
///
/// # Errors
/// `NotBuiltIn` for a payload that is encrypted.
///
/// # Safety
/// None is needed here.
#[cfg(not(feature = "encryption"))]
pub(crate) unsafe fn of_delta<'a>(
    delta: &abi::Delta,
    _: Option<&'a abi::Decryptor>,
) -> Result<Option<&'a Table>> {
    if delta.cipher == 0 { Ok(None) } else { Err(Detail::NotBuiltIn.into()) }
}
