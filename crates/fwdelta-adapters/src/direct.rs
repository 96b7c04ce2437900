//! Files and block devices around the page cache: what the caller opened with `O_DIRECT`.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use fwdelta_core::storage::{Geometry, ReadError, Source, Target};

/// Bytes that memory and positions are multiples of: more than any medium asks for.
const ALIGN: usize = 4096;
/// Bytes held in memory, and written at a time.
const BLOCK_LEN: usize = 64 << 10;

/// A file or a block device opened with `O_DIRECT`, in blocks of 64 KiB: an image of gigabytes does
/// not drive everything else out of the page cache. Its length is a multiple of 4 KiB.
///
/// One block is in memory. It is written when another one is wanted, and by [`Target::sync`],
/// which then makes all of it durable.
#[derive(Debug)]
pub struct DirectSlot {
    file: File,
    len: u64,
    /// Twice as long as needed for alignment; what is used of it starts at `start`.
    memory: Vec<u8>,
    start: usize,
    /// Position of the block in memory, if there is one, and whether it was changed.
    at: Option<u64>,
    is_changed: bool,
}

impl DirectSlot {
    /// A file or block device of the length that it has.
    ///
    /// # Errors
    /// When its length cannot be found out, or is not a multiple of 4 KiB.
    pub fn new(mut file: File) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        if !len.is_multiple_of(ALIGN as u64) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let memory = vec![0; BLOCK_LEN + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        Ok(Self { file, len, memory, start, at: None, is_changed: false })
    }

    /// The block in memory, as far as the medium goes.
    fn block(&mut self, at: u64) -> io::Result<&mut [u8]> {
        let len = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let end = self.start + len.min(BLOCK_LEN);
        self.memory.get_mut(self.start..end).ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(at) = self.at.filter(|_| self.is_changed) else { return Ok(()) };
        let len = self.block(at)?.len();
        let block = self.memory.get(self.start..self.start + len).unwrap_or(&[]);
        self.file.write_all_at(block, at)?;
        self.is_changed = false;
        Ok(())
    }

    /// Takes the block that holds `pos` into memory; gives where in it `pos` is.
    fn show(&mut self, pos: u64) -> io::Result<usize> {
        let at = pos - pos % BLOCK_LEN as u64;
        if self.at != Some(at) {
            self.flush()?;
            // It holds nothing valid if reading fails.
            self.at = None;
            let len = self.block(at)?.len();
            let block = self.memory.get_mut(self.start..self.start + len).unwrap_or(&mut []);
            self.file.read_exact_at(block, at)?;
            self.at = Some(at);
        }
        Ok((pos - at) as usize)
    }

    /// Goes through `len` bytes from `pos` on, block by block: `work` gets the bytes in memory and
    /// how many came before.
    fn each(
        &mut self,
        mut pos: u64,
        len: usize,
        mut work: impl FnMut(&mut [u8], usize),
    ) -> io::Result<()> {
        let end = pos.checked_add(len as u64).filter(|end| *end <= self.len);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut done = 0;
        while pos < end {
            let within = self.show(pos)?;
            let block = self.block(pos - within as u64)?;
            let piece = (block.len() - within).min(len - done);
            work(block.get_mut(within..within + piece).unwrap_or(&mut []), done);
            (pos, done) = (pos + piece as u64, done + piece);
        }
        Ok(())
    }
}

impl Source for DirectSlot {
    type Error = io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<io::Error>> {
        let len = buf.len();
        let copy = |from: &mut [u8], done: usize| {
            let to = buf.get_mut(done..).unwrap_or(&mut []);
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        };
        self.each(pos, len, copy).map_err(ReadError::Io)
    }
}

impl Target for DirectSlot {
    type Error = io::Error;

    fn geometry(&self) -> Geometry {
        Geometry { len: self.len, sector_len: 1, write_len: 1, erased: 0xff }
    }

    fn erase(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn program(&mut self, mut pos: u64, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let left = BLOCK_LEN - (pos % BLOCK_LEN as u64) as usize;
            let (now, rest) = data.split_at(left.min(data.len()));
            self.each(pos, now.len(), |to, _| {
                to.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            })?;
            self.is_changed = true;
            (pos, data) = (pos + now.len() as u64, rest);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_data()
    }
}
