//! Images as inputs of the generator: mapped into memory, Intel HEX and S-records flattened.

use std::borrow::Cow;
use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::image;

/// A file in memory without reading it first; only for inputs of the generator.
pub(crate) struct Input {
    map: Option<Mmap>,
    path: PathBuf,
}

impl Input {
    /// Maps a file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("read", path, error);
        let file = File::open(path).map_err(failed)?;
        let path = path.to_owned();
        if file.metadata().map_err(failed)?.len() == 0 {
            return Ok(Self { map: None, path });
        }
        // SAFETY: the map is only read. A file that another process changes meanwhile can make the
        // bytes inconsistent or raise SIGBUS; every delta is applied and compared before it is
        // written, so no wrong delta comes of it.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        Ok(Self { map: Some(map), path })
    }

    /// The image in the file: raw bytes as they are, HEX and SREC flattened.
    pub(crate) fn image(&self) -> Result<Cow<'_, [u8]>> {
        let name = self.path.display().to_string();
        Ok(image::load(self, &name, image::ERASED)?.bytes)
    }
}

impl Deref for Input {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}
