//! Coder 2: symbols sorted by kind into the streams of blocks.

use fwdelta_core::codec::streams::{Kind, STREAM_COUNT, VARINT_LEN_MAX};

use super::{Script, equal_len};

/// Collects symbols in the decoder's order; a block ends when it might not hold the next one.
struct Blocks {
    block_len: usize,
    streams: [Vec<u8>; STREAM_COUNT],
    content: Vec<u8>,
}

impl Blocks {
    fn room(&self) -> usize {
        self.block_len - self.streams.iter().map(Vec::len).sum::<usize>()
    }

    fn end_block(&mut self) {
        if self.room() == self.block_len {
            return;
        }
        for stream in &self.streams {
            self.content.extend_from_slice(&(stream.len() as u32).to_le_bytes());
        }
        for stream in &mut self.streams {
            self.content.append(stream);
        }
    }

    fn number(&mut self, kind: Kind, mut value: u64) {
        if self.room() < VARINT_LEN_MAX {
            self.end_block();
        }
        let stream = &mut self.streams[kind as usize];
        while value >= 0x80 {
            stream.push(value as u8 | 0x80);
            value >>= 7;
        }
        stream.push(value as u8);
    }

    fn bytes(&mut self, kind: Kind, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.room() == 0 {
                self.end_block();
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.room()));
            self.streams[kind as usize].extend_from_slice(now);
            bytes = later;
        }
    }
}

const fn folded(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The content of the frame, in blocks of at most `block_len` bytes.
#[must_use]
pub fn content(script: &Script<'_>, block_len: u32) -> Vec<u8> {
    let mut blocks =
        Blocks { block_len: block_len as usize, streams: Default::default(), content: Vec::new() };
    let (mut new_pos, mut diagonal) = (0u64, 0i64);
    for part in script.parts() {
        blocks.number(Kind::Control, part.literals.len() as u64);
        blocks.bytes(Kind::Literal, part.literals);
        new_pos += part.literals.len() as u64;
        blocks.number(Kind::Control, part.new.len() as u64 - 1);
        let here = part.old_pos as i64 - new_pos as i64;
        blocks.number(Kind::Control, folded(here - diagonal));
        diagonal = here;
        new_pos += part.new.len() as u64;
        residual(&mut blocks, part.old, part.new);
    }
    if !script.rest().is_empty() {
        blocks.number(Kind::Control, script.rest().len() as u64);
        blocks.bytes(Kind::Literal, script.rest());
    }
    blocks.end_block();
    blocks.content
}

fn residual(blocks: &mut Blocks, mut old: &[u8], mut new: &[u8]) {
    while !new.is_empty() {
        let gap = equal_len(old, new);
        blocks.number(Kind::Gap, gap as u64);
        (old, new) = (&old[gap..], &new[gap..]);
        if let ([before, old_rest @ ..], [after, new_rest @ ..]) = (old, new) {
            blocks.bytes(Kind::Residual, &[after.wrapping_sub(*before)]);
            (old, new) = (old_rest, new_rest);
        }
    }
}
