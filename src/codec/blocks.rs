//! Coders 2 and 6: symbols sorted by kind into the streams of blocks.

use fwdelta_core::codec::blocks::VARINT_LEN_MAX;

/// Collects symbols in the decoder's order; a block ends when it might not hold the next one.
pub(super) struct Blocks<const N: usize> {
    block_len: usize,
    streams: [Vec<u8>; N],
    content: Vec<u8>,
}

impl<const N: usize> Blocks<N> {
    /// Blocks of at most `block_len` bytes.
    pub(super) fn new(block_len: u32) -> Self {
        let streams = std::array::from_fn(|_| Vec::new());
        Self { block_len: block_len as usize, streams, content: Vec::new() }
    }

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

    /// Adds a number to stream `kind`.
    pub(super) fn number(&mut self, kind: usize, mut value: u64) {
        if self.room() < VARINT_LEN_MAX {
            self.end_block();
        }
        let stream = &mut self.streams[kind];
        while value >= 0x80 {
            stream.push(value as u8 | 0x80);
            value >>= 7;
        }
        stream.push(value as u8);
    }

    /// Adds bytes to stream `kind`.
    pub(super) fn bytes(&mut self, kind: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.room() == 0 {
                self.end_block();
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.room()));
            self.streams[kind].extend_from_slice(now);
            bytes = later;
        }
    }

    /// The content of the frame.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.end_block();
        self.content
    }
}
