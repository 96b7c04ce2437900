//! From a device's key to the cipher of one payload (docs/format.md, section 3.5).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Detail, Result};
use crate::format::encryption::{
    ContentAlgorithm, EncryptionInfo, KDF_CONTEXT_LEN_MAX, Recipient, emit_kdf_context,
};
use crate::format::sealed::{Aead, Opening};

/// A device's key, wherever it is: it unwraps content keys.
pub trait ContentKeys {
    /// What it decrypts chunks with; it may as well be a handle into a key store.
    type Aead: Aead;

    /// The cipher with the content key that is wrapped for `recipient`; `None` if that is somebody
    /// else.
    fn unwrap(
        &self,
        recipient: &Recipient<'_>,
        algorithm: ContentAlgorithm,
    ) -> Option<Result<Self::Aead>>;
}

/// What opens the chunks of the payload that `info` is about.
///
/// # Errors
/// `NotRecipient` if `keys` has none of the keys it is encrypted for, `NotDecrypted` if the content
/// key does not unwrap.
pub fn open_content<K: ContentKeys>(
    info: &EncryptionInfo<'_>,
    keys: &K,
) -> Result<Opening<K::Aead>> {
    for recipient in info.recipients() {
        if let Some(aead) = keys.unwrap(&recipient, info.algorithm) {
            return Ok(Opening::new(info, aead?));
        }
    }
    Err(Detail::NotRecipient.into())
}

/// The key that wraps the content key, of the shared secret of ECDH: the x coordinate
/// (RFC 9053, sections 5.1 and 6.3.1). Wiped when dropped, as is what it is derived from on the
/// way; a hash function's own state is not.
///
/// # Errors
/// Never for 16 bytes of output; `Bug` instead of a panic.
pub fn derive_kek(shared: &[u8; 32]) -> Result<Zeroizing<[u8; 16]>> {
    let mut context = [0; KDF_CONTEXT_LEN_MAX];
    let len = emit_kdf_context(&mut context)?;
    let context = context.get(..len).ok_or(Detail::Bug)?;
    // HKDF without salt, and of one block (RFC 5869): the general one can panic.
    let extracted = hmac(&[0; 32], &[shared])?;
    let expanded = hmac(&extracted, &[context, &[1]])?;
    let kek = expanded.first_chunk().ok_or(Detail::Bug)?;
    Ok(Zeroizing::new(*kek))
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Detail::Bug)?;
    parts.iter().for_each(|part| mac.update(part));
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

#[cfg(feature = "encryption-software")]
pub use software::{SoftwareAead, SoftwareKey};

#[cfg(feature = "encryption-software")]
mod software {
    use super::{
        Aead, ContentAlgorithm, ContentKeys, Detail, Recipient, Result, Zeroizing, derive_kek,
    };
    use crate::format::encryption::{CONTENT_KEY_LEN_MAX, KID_LEN, NONCE_LEN};
    use crate::format::sealed::TAG_LEN;
    use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
    use aes_kw::KwAes128;

    /// A key in memory, with the id it is found by; the caller wipes it.
    #[derive(Clone, Copy)]
    pub enum SoftwareKey<'k> {
        /// The secret number of a P-256 key.
        Private {
            /// First 8 bytes of the SHA-256 of the uncompressed point.
            kid: [u8; KID_LEN],
            /// The number, big-endian.
            secret: &'k [u8; 32],
        },
        /// A key that a group shares.
        Group {
            /// What the group found it by.
            kid: [u8; KID_LEN],
            /// The key.
            key: &'k [u8; 16],
        },
    }

    /// Nothing of the key is shown.
    impl core::fmt::Debug for SoftwareKey<'_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("SoftwareKey")
        }
    }

    /// A cipher in software; its key schedule is in here, and wiped with it.
    #[allow(clippy::large_enum_variant, reason = "one per payload, and no heap to box it")]
    pub enum SoftwareAead {
        /// AES-128-GCM.
        A128Gcm(aes_gcm::Aes128Gcm),
        /// ChaCha20-Poly1305.
        ChaCha20Poly1305(chacha20poly1305::ChaCha20Poly1305),
    }

    impl SoftwareAead {
        /// A cipher with the first bytes of `key` that it needs.
        ///
        /// # Errors
        /// `Bug` instead of a panic.
        pub fn new(algorithm: ContentAlgorithm, key: &[u8; CONTENT_KEY_LEN_MAX]) -> Result<Self> {
            let key = key.get(..algorithm.key_len()).ok_or(Detail::Bug)?;
            let wrong = |_| Detail::Bug;
            Ok(match algorithm {
                ContentAlgorithm::A128Gcm => {
                    Self::A128Gcm(aes_gcm::Aes128Gcm::new_from_slice(key).map_err(wrong)?)
                }
                ContentAlgorithm::ChaCha20Poly1305 => Self::ChaCha20Poly1305(
                    chacha20poly1305::ChaCha20Poly1305::new_from_slice(key).map_err(wrong)?,
                ),
            })
        }
    }

    impl Aead for SoftwareAead {
        fn open(
            &self,
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            data: &mut [u8],
            tag: &[u8; TAG_LEN],
        ) -> bool {
            let opened = match self {
                Self::A128Gcm(aead) => {
                    aead.decrypt_inout_detached(nonce.into(), aad, data.into(), tag.into())
                }
                Self::ChaCha20Poly1305(aead) => {
                    aead.decrypt_inout_detached(nonce.into(), aad, data.into(), tag.into())
                }
            };
            opened.is_ok()
        }
    }

    impl ContentKeys for SoftwareKey<'_> {
        type Aead = SoftwareAead;

        fn unwrap(
            &self,
            recipient: &Recipient<'_>,
            algorithm: ContentAlgorithm,
        ) -> Option<Result<SoftwareAead>> {
            let key = self.content_key(recipient, algorithm)?;
            Some(key.and_then(|key| SoftwareAead::new(algorithm, &key)))
        }
    }

    impl SoftwareKey<'_> {
        /// The content key that is wrapped for `recipient`, zeros behind it; `None` if that is
        /// somebody else.
        pub fn content_key(
            &self,
            recipient: &Recipient<'_>,
            algorithm: ContentAlgorithm,
        ) -> Option<Result<Zeroizing<[u8; CONTENT_KEY_LEN_MAX]>>> {
            match (self, recipient) {
                (Self::Private { kid, secret }, Recipient::EcdhEs { kid: of, x, y, wrapped })
                    if kid == *of =>
                {
                    let kek = agree(secret, x, y);
                    Some(kek.and_then(|kek| unwrapped(&kek, wrapped, algorithm)))
                }
                (Self::Group { kid, key }, Recipient::Group { kid: of, wrapped }) if kid == *of => {
                    Some(unwrapped(key, wrapped, algorithm))
                }
                _ => None,
            }
        }
    }

    /// ECDH with the ephemeral point, which must be one of the curve.
    #[inline(never)]
    fn agree(secret: &[u8; 32], x: &[u8; 32], y: &[u8; 32]) -> Result<Zeroizing<[u8; 16]>> {
        let secret = p256::SecretKey::from_slice(secret).map_err(|_| Detail::BadArgument)?;
        let mut point = [4; 65];
        for (to, from) in point.iter_mut().skip(1).zip(x.iter().chain(y)) {
            *to = *from;
        }
        let public = p256::PublicKey::from_sec1_bytes(&point).map_err(|_| Detail::NotDecrypted)?;
        let shared = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), public.as_affine());
        let shared = Zeroizing::new((*shared.raw_secret_bytes()).into());
        derive_kek(&shared)
    }

    fn unwrapped(
        kek: &[u8; 16],
        wrapped: &[u8],
        algorithm: ContentAlgorithm,
    ) -> Result<Zeroizing<[u8; CONTENT_KEY_LEN_MAX]>> {
        let mut key = Zeroizing::new([0; CONTENT_KEY_LEN_MAX]);
        let room = key.get_mut(..algorithm.key_len()).ok_or(Detail::Bug)?;
        let kw = KwAes128::new(kek.into());
        let opened = kw.unwrap_key(wrapped, room).map_err(|_| Detail::NotDecrypted)?;
        if opened.len() != algorithm.key_len() {
            return Err(Detail::NotDecrypted.into());
        }
        Ok(key)
    }
}
