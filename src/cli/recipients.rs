//! For whom `fwdelta build` encrypts, and with what `apply` and `verify` decrypt.

use std::path::{Path, PathBuf};

use super::args;
use crate::core::format::encryption::ContentAlgorithm;
use crate::error::{Error, Result};
use crate::package::PublicKey;
use crate::package::encrypt::{DecryptKey, Encryption, GroupKey, RecipientKey};

/// Who shall be able to read the payloads.
#[derive(Debug, clap::Args)]
pub(crate) struct Recipients {
    /// Encrypt payloads for the holder of this P-256 public key, as `fwdelta keygen --algorithm
    /// ecdh-es` makes it; repeat for several
    #[arg(long, value_name = "FILE")]
    recipient: Vec<PathBuf>,
    /// Encrypt payloads for all who hold this key, as `fwdelta keygen --algorithm a128kw` makes
    /// it; repeatable
    #[arg(long, value_name = "FILE")]
    group_key: Vec<PathBuf>,
    /// How payloads are encrypted, where they are
    #[arg(long, value_enum, default_value = "chacha20-poly1305")]
    cipher: CipherName,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CipherName {
    /// Fast in software, in constant time on any processor
    #[value(name = "chacha20-poly1305")]
    ChaCha20Poly1305,
    /// AES-128-GCM: what crypto cells have
    #[value(name = "a128gcm")]
    A128Gcm,
}

impl Recipients {
    /// Files of keys.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.recipient.iter().chain(&self.group_key)
    }

    /// For whom, if for anyone.
    pub(crate) fn encryption(&self) -> Result<Option<Encryption>> {
        let mut recipients = Vec::new();
        for path in &self.recipient {
            recipients.push(point(path)?);
        }
        for path in &self.group_key {
            let text = args::secret(path)?;
            let key = GroupKey::from_text(&text, &path.display().to_string())?;
            recipients.push(RecipientKey::Group(key));
        }
        if recipients.is_empty() {
            return Ok(None);
        }
        let algorithm = match self.cipher {
            CipherName::ChaCha20Poly1305 => ContentAlgorithm::ChaCha20Poly1305,
            CipherName::A128Gcm => ContentAlgorithm::A128Gcm,
        };
        Encryption::new(algorithm, recipients).map(Some)
    }
}

fn point(path: &Path) -> Result<RecipientKey> {
    match args::public_key(path)? {
        PublicKey::Esp256(point) => Ok(RecipientKey::Point(point)),
        _ => {
            let what = "not a key on P-256, which recipients have; make one with `fwdelta keygen \
                --algorithm ecdh-es --out NAME`";
            Err(Error::input(path.display(), what))
        }
    }
}

/// Reads the keys that content keys are unwrapped with.
pub(crate) fn decrypt_keys(paths: &[PathBuf]) -> Result<Vec<DecryptKey>> {
    let read = |path: &PathBuf| {
        let text = args::secret(path)?;
        DecryptKey::from_text(&text, &path.display().to_string())
    };
    paths.iter().map(read).collect()
}
