//! Where raw images are loaded.

use super::bytes::u32_at;
use super::runs::Patch;
use fwdelta_core::exec::layout::Class;

/// A raw image whose code is known.
pub(super) struct Image<'a> {
    pub(super) bytes: &'a [u8],
    /// Code by position.
    pub(super) patches: &'a [Patch],
    /// How words between code look.
    pub(super) data: Class,
}

/// Where Linux for arm64 runs: its header does not say (Documentation/arm64/booting.rst).
const LINUX_ARM64_BASE: u64 = 0xffff_8000_0800_0000;

/// The address of the first byte of each image; 0 if it is not known.
pub(super) fn bases(images: &[Image], given: Option<u64>) -> Vec<u64> {
    images.iter().map(|image| given.unwrap_or_else(|| of_format(image).unwrap_or(0))).collect()
}

/// What a header says.
fn of_format(image: &Image) -> Option<u64> {
    let is_linux = u32_at(image.bytes, 0x38, false) == Some(u32::from_le_bytes(*b"ARM\x64"));
    (is_linux && image.data.wide).then_some(LINUX_ARM64_BASE)
}
