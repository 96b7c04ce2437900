//! Integers at positions of an image, in either byte order; nothing beyond its end.

use std::ops::Range;

/// The `N` bytes at `pos`.
fn array_at<const N: usize>(bytes: &[u8], pos: usize) -> Option<[u8; N]> {
    bytes.get(pos..pos.checked_add(N)?)?.try_into().ok()
}

/// The 16-bit integer at `pos`.
pub(super) fn u16_at(bytes: &[u8], pos: usize, big_endian: bool) -> Option<u16> {
    let array = array_at(bytes, pos)?;
    Some(if big_endian { u16::from_be_bytes(array) } else { u16::from_le_bytes(array) })
}

/// The 32-bit integer at `pos`.
pub(super) fn u32_at(bytes: &[u8], pos: usize, big_endian: bool) -> Option<u32> {
    let array = array_at(bytes, pos)?;
    Some(if big_endian { u32::from_be_bytes(array) } else { u32::from_le_bytes(array) })
}

/// The 64-bit integer at `pos`.
pub(super) fn u64_at(bytes: &[u8], pos: usize, big_endian: bool) -> Option<u64> {
    let array = array_at(bytes, pos)?;
    Some(if big_endian { u64::from_be_bytes(array) } else { u64::from_le_bytes(array) })
}

/// The bytes of a range given by untrusted numbers, if all of them exist.
pub(super) fn slice(bytes: &[u8], pos: u64, len: u64) -> Option<&[u8]> {
    let range: Range<usize> =
        usize::try_from(pos).ok()?..usize::try_from(pos.checked_add(len)?).ok()?;
    bytes.get(range)
}

/// The lowest `bits` bits of `value`, as a signed number.
pub(super) fn signed(value: u32, bits: u32) -> i32 {
    let shift = 32 - bits;
    ((value << shift) as i32) >> shift
}
