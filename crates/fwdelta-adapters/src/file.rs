//! Files and block devices through the page cache.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use fwdelta_core::storage::{Geometry, ReadError, Source, Target};

/// A file or a block device as a slot, an old image, a payload or scratch flash: nothing is erased,
/// and [`Target::sync`] returns when everything is on the medium.
///
/// Core writes the output, syncs it, then writes the journal and syncs that; with each in a file
/// of its own, or on a device of its own, that order holds on the media too. That a new file has a
/// name survives a power cut only once its folder is synced: that is the caller's affair.
#[derive(Debug)]
pub struct FileSlot {
    file: File,
    len: u64,
}

impl FileSlot {
    /// A file that is there, or a block device, of the length that it has.
    ///
    /// # Errors
    /// When its length cannot be found out.
    pub fn new(mut file: File) -> io::Result<Self> {
        // A block device has no length in its metadata.
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len })
    }

    /// A file that is made to have `len` bytes; those that are new read as zeros.
    ///
    /// # Errors
    /// When it cannot, as on a block device of another length.
    pub fn with_len(file: File, len: u64) -> io::Result<Self> {
        let slot = Self::new(file)?;
        if slot.len != len {
            slot.file.set_len(len)?;
        }
        Ok(Self { len, ..slot })
    }

    /// Bytes that it has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn check(&self, pos: u64, len: usize) -> io::Result<()> {
        let end = pos.checked_add(len as u64).filter(|end| *end <= self.len);
        end.map(drop).ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

impl Source for FileSlot {
    type Error = io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<io::Error>> {
        let read = self.check(pos, buf.len()).and_then(|()| self.file.read_exact_at(buf, pos));
        read.map_err(ReadError::Io)
    }
}

impl Target for FileSlot {
    type Error = io::Error;

    fn geometry(&self) -> Geometry {
        Geometry { len: self.len, sector_len: 1, write_len: 1, erased: 0xff }
    }

    fn erase(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> io::Result<()> {
        self.check(pos, data.len())?;
        self.file.write_all_at(data, pos)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
