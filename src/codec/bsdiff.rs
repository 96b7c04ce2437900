//! Coder 3: the `bsdiff` crate's stream under zstd.

use fwdelta_core::{Detail, Result};

/// The raw stream: control, differences and extra bytes in turn.
///
/// The crate's own matching is quadratic on repetitive data: an oracle for tests, not a product.
///
/// # Errors
/// `Bug` when the crate fails.
pub fn raw(old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
    let mut stream = Vec::new();
    bsdiff::diff(old, new, &mut stream).map_err(|_| Detail::Bug)?;
    Ok(stream)
}
