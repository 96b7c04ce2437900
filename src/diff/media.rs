//! Where images are read from and written to on a host.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use fwdelta_core::storage::{Geometry, ReadError, Sector, Source, Target};

/// A file as an image to read.
#[derive(Debug)]
pub struct FileSource(pub File);

impl Source for FileSource {
    type Error = io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<io::Error>> {
        self.0.seek(SeekFrom::Start(pos)).map_err(ReadError::Io)?;
        self.0.read_exact(buf).map_err(ReadError::Io)
    }
}

/// Files are as long as they get, and nothing in them is erased.
const FILE_GEOMETRY: Geometry =
    Geometry { len: u64::MAX, sector_len: 1, write_len: 1, erased: 0xff };

/// A file as the slot for a new image: no erase, written from front to back.
#[derive(Debug)]
pub struct FileTarget<'a>(pub &'a mut File);

impl Target for FileTarget<'_> {
    type Error = io::Error;

    fn geometry(&self) -> Geometry {
        FILE_GEOMETRY
    }

    fn erase(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(pos))?;
        self.0.write_all(data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A file as the slot for a new image that a later run may go on with: what is written can be read
/// again, and is on the disk once it is synced.
#[derive(Debug)]
pub struct PartialFile(pub File);

impl Source for PartialFile {
    type Error = io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<io::Error>> {
        self.0.seek(SeekFrom::Start(pos)).map_err(ReadError::Io)?;
        self.0.read_exact(buf).map_err(ReadError::Io)
    }
}

impl Target for PartialFile {
    type Error = io::Error;

    fn geometry(&self) -> Geometry {
        FILE_GEOMETRY
    }

    fn erase(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> io::Result<()> {
        FileTarget(&mut self.0).program(pos, data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Memory as the slot for a new image; grows with what is written.
#[derive(Debug, Default)]
pub struct VecTarget(pub Vec<u8>);

impl Target for VecTarget {
    type Error = io::Error;

    fn geometry(&self) -> Geometry {
        Geometry { len: u64::MAX, sector_len: 1, write_len: 1, erased: 0xff }
    }

    fn erase(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> io::Result<()> {
        if pos != self.0.len() as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.0.try_reserve(data.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Memory as flash that is erased in sectors, to rewrite an image in.
#[derive(Clone, Debug)]
pub struct RamFlash {
    bytes: Vec<u8>,
    geometry: Geometry,
    /// Where sectors end.
    ends: Vec<u64>,
    erases: Vec<u32>,
}

impl RamFlash {
    /// Flash that holds `image` and is erased behind it; `geometry.len` is made to fit it.
    #[must_use]
    pub fn new(image: &[u8], mut geometry: Geometry) -> Self {
        let sector_len = u64::from(geometry.sector_len.max(1));
        geometry.len = geometry.len.max(image.len() as u64).next_multiple_of(sector_len);
        let ends = (1..=geometry.len / sector_len).map(|sector| sector * sector_len);
        Self::with_sectors(image, geometry, ends)
    }

    /// The same with sectors that end where `ends` says, in ascending order; behind the last of
    /// them they are as long as `geometry` says.
    #[must_use]
    pub fn with_sectors(
        image: &[u8],
        mut geometry: Geometry,
        ends: impl Iterator<Item = u64>,
    ) -> Self {
        let (mut ends, sector_len): (Vec<_>, _) = (ends.collect(), geometry.sector_len.max(1));
        let len = geometry.len.max(image.len() as u64);
        while ends.last().is_none_or(|end| *end < len) && len > 0 {
            ends.push(ends.last().unwrap_or(&0) + u64::from(sector_len));
        }
        geometry.len = ends.last().copied().unwrap_or(0);
        let mut bytes = image.to_vec();
        bytes.resize(geometry.len as usize, geometry.erased);
        let erases = vec![0; ends.len()];
        Self { bytes, geometry, ends, erases }
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How often each sector was erased.
    #[must_use]
    pub fn erases(&self) -> &[u32] {
        &self.erases
    }

    fn range(&self, pos: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
        let start = usize::try_from(pos).unwrap_or(usize::MAX);
        let end = start.checked_add(len).filter(|end| *end <= self.bytes.len());
        end.map(|end| start..end).ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

impl Source for RamFlash {
    type Error = io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<io::Error>> {
        let range = self.range(pos, buf.len()).map_err(ReadError::Io)?;
        buf.copy_from_slice(&self.bytes[range]);
        Ok(())
    }
}

impl Target for RamFlash {
    type Error = io::Error;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn sector(&self, pos: u64) -> Sector {
        let number = self.ends.partition_point(|end| *end <= pos);
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = self.ends.get(number).copied().unwrap_or(start);
        Sector { number: number as u32, start, len: end - start }
    }

    fn erase(&mut self, sector: u32) -> io::Result<()> {
        let number = sector as usize;
        let end = *self.ends.get(number).ok_or(io::ErrorKind::InvalidInput)?;
        let Sector { start, len, .. } = self.sector(end - 1);
        let range = self.range(start, len as usize)?;
        self.bytes[range].fill(self.geometry.erased);
        self.erases[number] += 1;
        Ok(())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> io::Result<()> {
        let range = self.range(pos, data.len())?;
        self.bytes[range].copy_from_slice(data);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is rewritten in place: no erase, synced to the disk.
#[derive(Debug)]
pub struct FileFlash {
    file: File,
    len: u64,
}

impl FileFlash {
    /// A file, which is as long as `len` from now on.
    ///
    /// # Errors
    /// When its length cannot be set.
    pub fn new(file: File, len: u64) -> io::Result<Self> {
        if file.metadata()?.len() < len {
            file.set_len(len)?;
        }
        Ok(Self { file, len })
    }

    /// A file that grows to `len` bytes at most, when it is written behind its end.
    #[must_use]
    pub const fn growing(file: File, len: u64) -> Self {
        Self { file, len }
    }

    /// Cuts the file to `len` bytes and makes that durable.
    ///
    /// # Errors
    /// Those of the system.
    pub fn cut(self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.sync_all()
    }
}

impl Source for FileFlash {
    type Error = io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<io::Error>> {
        self.file.seek(SeekFrom::Start(pos)).map_err(ReadError::Io)?;
        self.file.read_exact(buf).map_err(ReadError::Io)
    }
}

impl Target for FileFlash {
    type Error = io::Error;

    fn geometry(&self) -> Geometry {
        Geometry { len: self.len, sector_len: 1, write_len: 1, erased: 0xff }
    }

    fn erase(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(pos))?;
        self.file.write_all(data)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// An image that must be written once more: nothing is kept, which spares its memory.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    expected: &'a [u8],
    is_equal: bool,
}

impl<'a> Comparison<'a> {
    /// With `image`, from front to back.
    pub(super) const fn new(image: &'a [u8]) -> Self {
        Self { expected: image, is_equal: true }
    }

    /// Whether all of the image was written and nothing else.
    pub(super) const fn is_same(&self) -> bool {
        self.is_equal && self.expected.is_empty()
    }
}

impl Target for Comparison<'_> {
    type Error = io::Error;

    fn geometry(&self) -> Geometry {
        Geometry { len: u64::MAX, sector_len: 1, write_len: 1, erased: 0xff }
    }

    fn erase(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn program(&mut self, _: u64, data: &[u8]) -> io::Result<()> {
        match self.expected.strip_prefix(data) {
            Some(rest) => self.expected = rest,
            None => self.is_equal = false,
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_must_be_the_image() {
        let same = |pieces: &[&[u8]]| {
            let mut target = Comparison::new(b"image");
            for piece in pieces {
                target.program(0, piece).unwrap();
            }
            target.is_same()
        };
        assert!(same(&[b"im", b"", b"age"]));
        assert!(!same(&[b"im"]) && !same(&[b"image", b"s"]) && !same(&[b"imige"]));
        assert!(!same(&[b"imi", b"image"]), "once wrong is wrong");
    }
}
