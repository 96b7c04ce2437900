//! An image file that is rewritten in place, with the file that stands for scratch flash.

use std::fs::File;
use std::path::Path;

use super::output;
use crate::core::Limits;
use crate::core::apply::Applier;
use crate::core::apply::in_place::{Areas, Binding, Flash, Found, Rewriting};
use crate::core::format::delta::DeltaHeader;
use crate::core::format::sealed::OpenChunk;
use crate::core::storage::Source;
use crate::diff::{self, FileFlash};
use crate::error::{Error, Result};

/// The image, and the journal.
pub(super) struct Over<'p> {
    header: DeltaHeader,
    image: &'p Path,
    journal: &'p Path,
    scratch_len: u64,
}

impl<'p> Over<'p> {
    /// Both are files, or the journal is not there yet.
    pub(super) fn new(header: DeltaHeader, image: &'p Path, journal: &'p Path) -> Result<Self> {
        output::check_plain(image)?;
        output::check_plain(journal)?;
        header.in_place.ok_or_else(|| {
            let what = "it is not made to be applied in place";
            Error::input("the delta", what).remedy("make it with --in-place")
        })?;
        let mut work = vec![0; Applier::workspace(&header)? as usize];
        let scratch_len = Areas::of(&header, 1, &mut work)?.scratch_len();
        Ok(Self { header, image, journal, scratch_len })
    }

    /// Bytes of the journal.
    pub(super) const fn scratch_len(&self) -> u64 {
        self.scratch_len
    }

    /// What the journal says, if there is one.
    pub(super) fn look(&self, binding: &Binding) -> Result<Found> {
        if !self.journal.exists() {
            return Ok(Found::Nothing);
        }
        let mut work = vec![0; Applier::workspace(&self.header)? as usize];
        let mut scratch = FileFlash::new(self.open(self.journal, false)?, self.scratch_len)
            .map_err(|error| Error::io("write", self.journal, error))?;
        Ok(Rewriting::look(&self.header, &mut work, &mut scratch, binding)?)
    }

    fn open(&self, path: &Path, create: bool) -> Result<File> {
        let file = File::options().read(true).write(true).create(create).truncate(false).open(path);
        file.map_err(|error| Error::io("open", path, error))
    }

    /// Rewrites the image, or goes on with it; then cuts the file to the new length.
    pub(super) fn rewrite<P: Source>(
        &self,
        opener: Option<&dyn OpenChunk>,
        payload: &mut P,
        binding: Binding,
    ) -> Result<()> {
        let Self { header, image, journal, scratch_len } = self;
        let pages = header.in_place.map_or(0, |it| it.pages(header.new.len).whole_len());
        let longest = header.old.map_or(0, |old| old.len).max(pages);
        // It is not longer than before until it is begun: the old image is still one then.
        let mut slot = FileFlash::growing(self.open(image, false)?, longest);
        let mut scratch = FileFlash::new(self.open(journal, true)?, *scratch_len)
            .map_err(|error| Error::io("write", journal, error))?;
        let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
        diff::rewrite_opened(header, opener, &mut flash, &Limits::LINUX, binding)
            .map_err(|error| error.about(image.display()))?;
        slot.cut(header.new.len).map_err(|error| Error::io("write", image, error))
    }

    /// Removes the journal: the last thing done.
    pub(super) fn forget(&self) -> Result<()> {
        let removed = std::fs::remove_file(self.journal);
        removed.map_err(|error| Error::io("remove", self.journal, error))
    }
}
