//! Payloads that only some can read (docs/format.md, section 3.5): sealing them, and the keys of
//! those who open them.

use std::fmt;
use std::sync::Arc;

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_kw::KwAes128;
use chacha20poly1305::ChaCha20Poly1305;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use zeroize::Zeroizing;

use crate::cbor::encode;
use crate::core::Detail;
use crate::core::format::encryption::{
    self, AAD_LEN_MAX, ContentAlgorithm, KID_LEN, NONCE_LEN, Recipient, emit_aad,
};
use crate::core::format::sealed::{TAG_LEN, chunk_nonce};
use crate::core::hash::sha256;
use crate::core::limits::RECIPIENT_COUNT_MAX;
use crate::core::verify::{SoftwareKey, derive_kek};
use crate::error::{Error, Result};
use crate::package::keys::PublicKey;

/// What the id of a group's key is derived with.
const GROUP_KID: &[u8] = b"fwdelta/group-key/v1";
/// Bytes of a group's key.
const GROUP_KEY_LEN: usize = 16;

/// Where random bytes come from.
type Random = dyn Fn(&mut [u8]) -> Result<()> + Send + Sync;

/// For whom payloads are encrypted, and how.
#[derive(Clone)]
pub struct Encryption {
    algorithm: ContentAlgorithm,
    recipients: Vec<RecipientKey>,
    random: Arc<Random>,
}

/// Shows no key.
impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encryption({:?}, {} recipients)", self.algorithm, self.recipients.len())
    }
}

/// Who shall be able to read.
#[derive(Clone)]
pub enum RecipientKey {
    /// The holder of the private half of this point of P-256, uncompressed.
    Point([u8; 65]),
    /// All who hold this key.
    Group(GroupKey),
}

/// A payload that was sealed.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Its chunks, one after the other, each with its tag.
    pub payload: Vec<u8>,
    /// The parameter that says for whom.
    pub info: Vec<u8>,
}

impl Encryption {
    /// Encrypts for `recipients`, with keys and nonces from the operating system.
    ///
    /// # Errors
    /// When there is no recipient, or more than sixteen.
    pub fn new(algorithm: ContentAlgorithm, recipients: Vec<RecipientKey>) -> Result<Self> {
        if !(1..=RECIPIENT_COUNT_MAX).contains(&recipients.len()) {
            return Err(Error::input("--recipient", "give 1 to 16 recipients and group keys"));
        }
        let random = |bytes: &mut [u8]| {
            getrandom::fill(bytes).map_err(|error| Error::input("random numbers", error))
        };
        Ok(Self { algorithm, recipients, random: Arc::new(random) })
    }

    /// The same with other random bytes. Only for vectors that must not change: who encrypts two
    /// payloads with the same bytes gives both away. No command comes here.
    #[must_use]
    pub fn with_random(self, random: Arc<Random>) -> Self {
        Self { random, ..self }
    }

    /// Encrypts `payload` in chunks of `chunk_len` bytes, tag included, with a content key that is
    /// made here and nowhere kept: so no nonce is ever used twice with one key.
    ///
    /// # Errors
    /// When there are no random numbers, or more chunks than nonces.
    pub fn seal(&self, payload: &[u8], chunk_len: u32) -> Result<Sealed> {
        let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; NONCE_LEN]);
        (self.random)(key.as_mut_slice())?;
        (self.random)(&mut nonce)?;
        let key = &key[..self.algorithm.key_len()];
        let payload = self.sealed(payload, chunk_len, key, &nonce)?;
        let mut wraps = Vec::new();
        for recipient in &self.recipients {
            wraps.push(self.wrap(recipient, key)?);
        }
        let recipients: Vec<_> = wraps.iter().map(Wrap::as_recipient).collect();
        let info = encode(|w| encryption::emit(w, self.algorithm, &nonce, &recipients));
        Ok(Sealed { payload, info })
    }

    fn sealed(
        &self,
        payload: &[u8],
        chunk_len: u32,
        key: &[u8],
        nonce: &[u8; NONCE_LEN],
    ) -> Result<Vec<u8>> {
        let data_len = (chunk_len as usize).checked_sub(TAG_LEN).filter(|len| *len > 0);
        let data_len = data_len.ok_or(Detail::BadArgument)?;
        let mut aad = [0; AAD_LEN_MAX];
        let aad_len = emit_aad(self.algorithm, &mut aad)?;
        let cipher = Cipher::new(self.algorithm, key)?;
        // An empty payload is one chunk of a tag: that it is empty is authentic too.
        let count = payload.len().div_ceil(data_len).max(1);
        let mut sealed = Vec::with_capacity(payload.len() + count * TAG_LEN);
        for index in 0..count {
            let start = index * data_len;
            let end = (start + data_len).min(payload.len());
            let nonce = chunk_nonce(nonce, index as u64, index + 1 == count)?;
            let mut chunk = payload[start..end].to_vec();
            let tag = cipher.seal(&nonce, &aad[..aad_len], &mut chunk)?;
            sealed.append(&mut chunk);
            sealed.extend(tag);
        }
        Ok(sealed)
    }

    fn wrap(&self, recipient: &RecipientKey, key: &[u8]) -> Result<Wrap> {
        match recipient {
            RecipientKey::Group(group) => {
                Ok(Wrap { kid: group.kid(), point: None, wrapped: wrapped(&group.0, key)? })
            }
            RecipientKey::Point(point) => {
                let public = p256::PublicKey::from_sec1_bytes(point);
                let public = public.map_err(|_| Error::input("--recipient", "not on P-256"))?;
                let ephemeral = self.ephemeral()?;
                let shared =
                    p256::ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), public.as_affine());
                let shared = Zeroizing::new((*shared.raw_secret_bytes()).into());
                let kek = derive_kek(&shared)?;
                let kid = PublicKey::Esp256(*point).kid();
                let own = ephemeral.public_key().to_sec1_point(false);
                let own = own.as_bytes().try_into().map_err(|_| Detail::Bug)?;
                Ok(Wrap { kid, point: Some(own), wrapped: wrapped(&kek, key)? })
            }
        }
    }

    /// A key for one recipient of one payload.
    fn ephemeral(&self) -> Result<p256::SecretKey> {
        // One number in 2^32 is not below the order of the curve.
        for _ in 0..8 {
            let mut bytes = Zeroizing::new([0; 32]);
            (self.random)(bytes.as_mut_slice())?;
            if let Ok(key) = p256::SecretKey::from_slice(bytes.as_slice()) {
                return Ok(key);
            }
        }
        Err(Error::input("random numbers", "they are not random"))
    }
}

fn wrapped(kek: &[u8; 16], key: &[u8]) -> Result<Vec<u8>> {
    let mut wrapped = vec![0; key.len() + 8];
    KwAes128::new(kek.into()).wrap_key(key, &mut wrapped).map_err(|_| Detail::Bug)?;
    Ok(wrapped)
}

/// A content key, wrapped for one recipient.
struct Wrap {
    kid: [u8; KID_LEN],
    point: Option<[u8; 65]>,
    wrapped: Vec<u8>,
}

impl Wrap {
    fn as_recipient(&self) -> Recipient<'_> {
        let (kid, wrapped) = (&self.kid, self.wrapped.as_slice());
        let halves = self.point.as_ref().and_then(|point| {
            let (x, y) = point[1..].split_first_chunk::<32>()?;
            Some((x, y.first_chunk::<32>()?))
        });
        match halves {
            Some((x, y)) => Recipient::EcdhEs { kid, x, y, wrapped },
            None => Recipient::Group { kid, wrapped },
        }
    }
}

#[allow(clippy::large_enum_variant, reason = "one per payload")]
enum Cipher {
    A128Gcm(Aes128Gcm),
    ChaCha20Poly1305(ChaCha20Poly1305),
}

impl Cipher {
    fn new(algorithm: ContentAlgorithm, key: &[u8]) -> Result<Self> {
        let made = match algorithm {
            ContentAlgorithm::A128Gcm => Aes128Gcm::new_from_slice(key).map(Self::A128Gcm),
            ContentAlgorithm::ChaCha20Poly1305 => {
                ChaCha20Poly1305::new_from_slice(key).map(Self::ChaCha20Poly1305)
            }
        };
        made.map_err(|_| Detail::Bug.into())
    }

    fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG_LEN]> {
        let tag = match self {
            Self::A128Gcm(aead) => aead.encrypt_inout_detached(nonce.into(), aad, data.into()),
            Self::ChaCha20Poly1305(aead) => {
                aead.encrypt_inout_detached(nonce.into(), aad, data.into())
            }
        };
        Ok(tag.map_err(|_| Detail::Bug)?.into())
    }
}

/// A key that a group of devices shares; wiped when dropped, never printed.
#[derive(Clone)]
pub struct GroupKey(Zeroizing<[u8; GROUP_KEY_LEN]>);

impl GroupKey {
    /// A new one from the operating system's random numbers.
    ///
    /// # Errors
    /// When the operating system has none.
    pub fn generate() -> Result<Self> {
        let mut key = Zeroizing::new([0; GROUP_KEY_LEN]);
        getrandom::fill(key.as_mut_slice())
            .map_err(|error| Error::input("random numbers", error))?;
        Ok(Self(key))
    }

    /// One that is known.
    #[must_use]
    pub fn new(key: [u8; GROUP_KEY_LEN]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Reads a file's text, 32 hexadecimal digits; `subject` names the file.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_text(text: &str, subject: &str) -> Result<Self> {
        let digits = text.trim().as_bytes();
        let mut key = Zeroizing::new([0; GROUP_KEY_LEN]);
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut is_hex = digits.len() == 2 * GROUP_KEY_LEN;
        for (to, pair) in key.iter_mut().zip(digits.chunks(2)) {
            let value = pair.iter().try_fold(0, |value, byte| Some(value << 4 | digit(*byte)?));
            is_hex &= value.is_some();
            *to = value.unwrap_or(0) as u8;
        }
        if is_hex {
            return Ok(Self(key));
        }
        let what = "not a group key of 32 hexadecimal digits; make one with `fwdelta keygen \
            --algorithm a128kw --out NAME`";
        Err(Error::input(subject, what))
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * GROUP_KEY_LEN + 1));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        text
    }

    /// What it is found by: 8 bytes of a digest, which tell nothing of a random key.
    #[must_use]
    pub fn kid(&self) -> [u8; KID_LEN] {
        let mut input = Zeroizing::new(GROUP_KID.to_vec());
        input.extend(self.0.iter());
        let mut kid = [0; KID_LEN];
        kid.copy_from_slice(&sha256(&input)[..KID_LEN]);
        kid
    }
}

/// A key that content keys are unwrapped with; wiped when dropped, never printed.
#[derive(Clone)]
pub struct DecryptKey(Opener);

#[derive(Clone)]
enum Opener {
    Private { kid: [u8; KID_LEN], secret: Zeroizing<[u8; 32]> },
    Group(GroupKey),
}

impl fmt::Debug for DecryptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptKey")
    }
}

impl From<GroupKey> for DecryptKey {
    fn from(key: GroupKey) -> Self {
        Self(Opener::Group(key))
    }
}

impl DecryptKey {
    /// Reads the text of a PKCS#8 PEM file, or of a group key; `subject` names the file.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_text(text: &str, subject: &str) -> Result<Self> {
        use p256::pkcs8::DecodePrivateKey as _;
        if !text.contains("-----BEGIN") {
            return GroupKey::from_text(text, subject).map(Self::from);
        }
        let key = p256::SecretKey::from_pkcs8_pem(text).map_err(|_| {
            let what = "not a P-256 private key in PKCS#8 PEM; make one with `fwdelta keygen \
                --algorithm ecdh-es --out NAME`";
            Error::input(subject, what)
        })?;
        Self::from_secret(&key)
    }

    /// The private half of a recipient.
    ///
    /// # Errors
    /// `Bug` instead of a panic.
    pub fn from_secret(key: &p256::SecretKey) -> Result<Self> {
        let point = key.public_key().to_sec1_point(false);
        let point = point.as_bytes().try_into().map_err(|_| Detail::Bug)?;
        let kid = PublicKey::Esp256(point).kid();
        let secret = Zeroizing::new(key.to_bytes().into());
        Ok(Self(Opener::Private { kid, secret }))
    }

    /// As core uses it.
    #[must_use]
    pub fn software(&self) -> SoftwareKey<'_> {
        match &self.0 {
            Opener::Private { kid, secret } => SoftwareKey::Private { kid: *kid, secret },
            Opener::Group(group) => SoftwareKey::Group { kid: group.kid(), key: &group.0 },
        }
    }
}
