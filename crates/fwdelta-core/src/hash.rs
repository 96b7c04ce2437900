//! SHA-256, the only digest of all formats.

use sha2::Digest as _;

use crate::error::{Detail, Error, Result};
use crate::storage::Source;

/// A SHA-256 digest.
pub type Sha256Digest = [u8; 32];

/// An incremental SHA-256.
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// An empty hash.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds `len` bytes of `source` from `pos`, read through `scratch`.
    ///
    /// # Errors
    /// `ReadFailed`, and `BadArgument` for an empty scratch buffer.
    pub fn update_from<S: Source>(
        &mut self,
        source: &mut S,
        mut pos: u64,
        mut len: u64,
        scratch: &mut [u8],
    ) -> Result<()> {
        if scratch.is_empty() {
            return Err(Detail::BadArgument.into());
        }
        while len > 0 {
            let piece_len = usize::try_from(len).unwrap_or(usize::MAX).min(scratch.len());
            let piece = scratch.get_mut(..piece_len).ok_or(Detail::Bug)?;
            source.read(pos, piece).map_err(|_| Error::at(Detail::ReadFailed, pos))?;
            self.update(piece);
            pos = pos.saturating_add(piece_len as u64);
            len = len.saturating_sub(piece_len as u64);
        }
        Ok(())
    }

    /// The digest of all bytes added.
    #[must_use]
    pub fn finish(self) -> Sha256Digest {
        self.0.finalize().into()
    }
}

/// The digest of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Sha256Digest {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

/// The digest of `len` bytes of `source` from `pos`, read through `scratch`.
///
/// # Errors
/// `ReadFailed`, and `BadArgument` for an empty scratch buffer.
pub fn hash_source<S: Source>(
    source: &mut S,
    pos: u64,
    len: u64,
    scratch: &mut [u8],
) -> Result<Sha256Digest> {
    let mut hash = Sha256::new();
    hash.update_from(source, pos, len, scratch)?;
    Ok(hash.finish())
}

/// Compares in time that depends on the length only; for strings and authentication tags.
#[must_use]
pub fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0u8, |sum, (x, y)| sum | (x ^ y));
    // `black_box` keeps the loop from being turned into an early exit.
    a.len() == b.len() && core::hint::black_box(difference) == 0
}
