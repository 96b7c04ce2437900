//! Images as inputs of the generator: mapped into memory, Intel HEX and S-records flattened.

use std::borrow::Cow;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::output;
use crate::error::{Error, Result};
use crate::image;
use crate::progress::{Progress, Stage};

/// A file in memory without reading it first; only for inputs of the generator.
pub(crate) struct Input {
    map: Option<Mmap>,
    path: PathBuf,
}

impl Input {
    /// Maps a plain file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("read", path, error);
        let file = output::open(path)?;
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

    /// Takes the file's pages out of the process; what is read again comes from the cache of the
    /// system.
    fn let_go(&self) {
        #[cfg(target_os = "linux")]
        if let Some(map) = &self.map {
            // SAFETY: the map is of a file and only read, so its pages hold what the file does;
            // what is wrong with advice is no harm.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }
}

/// Lets inputs go where a stage begins: sorting, which takes the most memory, has copies of what
/// it needs of them.
pub(crate) struct Frugal<'a, P> {
    pub(crate) progress: &'a P,
    pub(crate) inputs: [&'a Input; 2],
}

impl<P: Progress> Progress for Frugal<'_, P> {
    fn report(&self, stage: Stage, done: u64, total: u64) {
        if done == 0 {
            self.inputs.iter().for_each(|input| input.let_go());
        }
        self.progress.report(stage, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.progress.is_cancelled()
    }
}

impl Deref for Input {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}
