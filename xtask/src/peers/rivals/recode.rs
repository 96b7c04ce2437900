//! The streams of a BSDIFF40 file with xz instead of bzip2, their reader, and xz by itself.
//!
//! Layout: three little-endian 64-bit numbers (length of new, of the compressed control and of the
//! compressed differences), then control, differences and extra bytes.

mod common;

use std::io::Read;

use bzip2::read::BzDecoder;
use common::{Result, read, unxz, write, xz};

const HEADER_LEN: usize = 24;
const BSDIFF40_HEADER_LEN: usize = 32;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["recode", bsdiff40, out] => write(out, &recode(&read(bsdiff40)?)?),
        ["patch", old, delta, new] => write(new, &patch(&read(old)?, &read(delta)?)?),
        ["xz", raw, out] => write(out, &xz(&read(raw)?)?),
        ["unxz", delta, out] => write(out, &unxz(&read(delta)?)?),
        _ => Err("recode BSDIFF40 OUT | patch OLD PATCH NEW | xz IN OUT | unxz IN OUT".into()),
    }
}

fn recode(file: &[u8]) -> Result<Vec<u8>> {
    let (header, body) = file.split_at_checked(BSDIFF40_HEADER_LEN).ok_or("no header")?;
    let (control, body) = body.split_at_checked(number(header, 8)? as usize).ok_or("short")?;
    let (difference, extra) = body.split_at_checked(number(header, 16)? as usize).ok_or("short")?;
    let streams = [control, difference, extra].map(|stream| {
        let mut raw = Vec::new();
        BzDecoder::new(stream).read_to_end(&mut raw)?;
        xz(&raw)
    });
    let [control, difference, extra] = streams;
    let (control, difference, extra) = (control?, difference?, extra?);
    let mut out = (number(header, 24)? as u64).to_le_bytes().to_vec();
    out.extend((control.len() as u64).to_le_bytes());
    out.extend((difference.len() as u64).to_le_bytes());
    out.extend([control, difference, extra].concat());
    Ok(out)
}

fn patch(old: &[u8], delta: &[u8]) -> Result<Vec<u8>> {
    let (header, body) = delta.split_at_checked(HEADER_LEN).ok_or("no header")?;
    let (control, body) = body.split_at_checked(number(header, 8)? as usize).ok_or("short")?;
    let (difference, extra) = body.split_at_checked(number(header, 16)? as usize).ok_or("short")?;
    let (control, difference, extra) = (unxz(control)?, unxz(difference)?, unxz(extra)?);
    let (mut difference, mut extra) = (difference.as_slice(), extra.as_slice());
    let mut new = Vec::with_capacity(number(header, 0)? as usize);
    let mut old_pos = 0i64;
    for triple in control.chunks_exact(24) {
        let (add_len, copy_len) = (number(triple, 0)? as usize, number(triple, 8)? as usize);
        let (add, rest) = difference.split_at_checked(add_len).ok_or("short")?;
        difference = rest;
        // As in bspatch: what lies outside old counts as zero.
        let old_byte = |pos: i64| usize::try_from(pos).ok().and_then(|pos| old.get(pos).copied());
        new.extend(
            add.iter()
                .zip(old_pos..)
                .map(|(byte, pos)| byte.wrapping_add(old_byte(pos).unwrap_or(0))),
        );
        let (copy, rest) = extra.split_at_checked(copy_len).ok_or("short")?;
        extra = rest;
        new.extend(copy);
        old_pos += add_len as i64 + number(triple, 16)?;
    }
    Ok(new)
}

/// bsdiff's numbers: magnitude and a sign in the highest bit.
fn number(bytes: &[u8], pos: usize) -> Result<i64> {
    let bytes = bytes.get(pos..pos + 8).ok_or("short")?;
    let raw = u64::from_le_bytes(bytes.try_into()?);
    let magnitude = (raw & (u64::MAX >> 1)) as i64;
    Ok(if raw >> 63 == 1 { -magnitude } else { magnitude })
}
