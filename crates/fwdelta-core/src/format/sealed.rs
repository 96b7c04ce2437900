//! A payload that is encrypted chunk by chunk (docs/format.md, section 3.5): each chunk of the
//! hash chain is a ciphertext with its tag, opened where it stands once its hash was verified. So
//! no byte that was not authenticated is released, and a device needs no memory more than the
//! cipher's own.
//!
//! Nonces are made as in STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, CRYPTO 2015): number of the
//! chunk, and whether it is the last one.

use core::fmt;

pub use super::chain::TAG_LEN;
use super::encryption::{AAD_LEN_MAX, ContentAlgorithm, EncryptionInfo, NONCE_LEN, emit_aad};
use crate::error::{Detail, Result};

/// A cipher with the content key in it: built in, or a device's crypto cell.
pub trait Aead {
    /// Decrypts `data` in place and says whether `tag` is right. Where it is not, what `data` holds
    /// is not used.
    fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> bool;
}

/// Opens the chunks of one payload.
pub trait OpenChunk: fmt::Debug {
    /// Decrypts chunk number `index` in place, and gives how many bytes at its start are plain.
    ///
    /// # Errors
    /// `NotDecrypted`, `BadValue` for more chunks than there are nonces.
    fn open(&self, index: u64, is_last: bool, chunk: &mut [u8]) -> Result<usize>;
}

/// The nonce of a chunk: that of the payload, with number and end of the chunk added.
///
/// # Errors
/// `BadValue` from chunk 2^32 on.
pub fn chunk_nonce(
    payload: &[u8; NONCE_LEN],
    index: u64,
    is_last: bool,
) -> Result<[u8; NONCE_LEN]> {
    let [a, b, c, d] = u32::try_from(index).map_err(|_| Detail::BadValue)?.to_be_bytes();
    let mut nonce = [0, 0, 0, 0, 0, 0, 0, a, b, c, d, u8::from(is_last)];
    for (to, from) in nonce.iter_mut().zip(payload) {
        *to ^= *from;
    }
    Ok(nonce)
}

/// A cipher, and what its nonces and authenticated data are made from.
pub struct Opening<A> {
    aead: A,
    nonce: [u8; NONCE_LEN],
    algorithm: ContentAlgorithm,
}

impl<A> Opening<A> {
    /// Opens the payload of `info` with its content key, which `aead` has.
    #[must_use]
    pub const fn new(info: &EncryptionInfo<'_>, aead: A) -> Self {
        Self::of(info.algorithm, info.nonce, aead)
    }

    /// The same of a payload whose cipher and base nonce were stored.
    #[must_use]
    pub const fn of(algorithm: ContentAlgorithm, nonce: &[u8; NONCE_LEN], aead: A) -> Self {
        Self { aead, nonce: *nonce, algorithm }
    }
}

/// Nothing of the key is shown.
impl<A> fmt::Debug for Opening<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opening")
    }
}

impl<A: Aead> OpenChunk for Opening<A> {
    fn open(&self, index: u64, is_last: bool, chunk: &mut [u8]) -> Result<usize> {
        let nonce = chunk_nonce(&self.nonce, index, is_last)?;
        let (data, tag) = chunk.split_last_chunk_mut::<TAG_LEN>().ok_or(Detail::NotDecrypted)?;
        let mut aad = [0; AAD_LEN_MAX];
        let aad_len = emit_aad(self.algorithm, &mut aad)?;
        let aad = aad.get(..aad_len).ok_or(Detail::Bug)?;
        if self.aead.open(&nonce, aad, data, tag) {
            Ok(data.len())
        } else {
            // What a cipher may have left there is no plaintext that anyone vouches for.
            data.fill(0);
            Err(Detail::NotDecrypted.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_differ_in_number_and_end_and_are_not_reused() {
        let base = [0xa5; NONCE_LEN];
        let mut seen = [[0; NONCE_LEN]; 12];
        let numbers = [0, 1, 2, 255, 256, u64::from(u32::MAX)];
        let all = numbers.into_iter().flat_map(|index| [(index, false), (index, true)]);
        for (slot, (index, is_last)) in all.enumerate() {
            let nonce = chunk_nonce(&base, index, is_last).unwrap();
            assert!(!seen[..slot].contains(&nonce), "{index} {is_last}");
            seen[slot] = nonce;
        }
        let error = chunk_nonce(&base, 1 << 32, false).unwrap_err();
        assert_eq!(error.detail, Detail::BadValue);
    }
}
