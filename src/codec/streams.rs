//! Coder 2: symbols sorted by kind into the streams of blocks.

use fwdelta_core::codec::streams::{Kind, STREAM_COUNT};

use super::blocks::Blocks;
use super::{Script, equal_len};

const fn folded(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The content of the frame, in blocks of at most `block_len` bytes.
#[must_use]
pub fn content(script: &Script<'_>, block_len: u32) -> Vec<u8> {
    let mut blocks = Blocks::<STREAM_COUNT>::new(block_len);
    let (mut new_pos, mut diagonal) = (0u64, 0i64);
    for part in script.parts() {
        blocks.number(Kind::Control as usize, part.literals.len() as u64);
        blocks.bytes(Kind::Literal as usize, part.literals);
        new_pos += part.literals.len() as u64;
        blocks.number(Kind::Control as usize, part.new.len() as u64 - 1);
        let here = part.old_pos as i64 - new_pos as i64;
        blocks.number(Kind::Control as usize, folded(here - diagonal));
        diagonal = here;
        new_pos += part.new.len() as u64;
        residual(&mut blocks, part.old, part.new);
    }
    if !script.rest().is_empty() {
        blocks.number(Kind::Control as usize, script.rest().len() as u64);
        blocks.bytes(Kind::Literal as usize, script.rest());
    }
    blocks.finish()
}

fn residual(blocks: &mut Blocks<STREAM_COUNT>, mut old: &[u8], mut new: &[u8]) {
    while !new.is_empty() {
        let gap = equal_len(old, new);
        blocks.number(Kind::Gap as usize, gap as u64);
        (old, new) = (&old[gap..], &new[gap..]);
        if let ([before, old_rest @ ..], [after, new_rest @ ..]) = (old, new) {
            blocks.bytes(Kind::Residual as usize, &[after.wrapping_sub(*before)]);
            (old, new) = (old_rest, new_rest);
        }
    }
}
