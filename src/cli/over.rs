//! An image file that is rewritten in place, with the file that stands for scratch flash.

use std::fs::File;
use std::path::Path;

use super::{output, scratch};
use crate::core::apply::Applier;
use crate::core::apply::in_place::{Areas, Binding, Flash, Found, Rewriting};
use crate::core::format::delta::DeltaHeader;
use crate::core::format::sealed::OpenChunk;
use crate::core::storage::Source;
use crate::core::{Category, Limits};
use crate::diff::{self, FileFlash};
use crate::error::{Error, Result};

/// A delta, the file it is in, the image, and the journal.
pub(super) struct Over<'p> {
    header: DeltaHeader,
    source: &'p Path,
    image: &'p Path,
    journal: &'p Path,
    scratch_len: u64,
}

impl<'p> Over<'p> {
    /// Keeps other processes from the image as long as the result lives: from before it is looked
    /// at to the removal of the journal.
    pub(super) fn lock(image: &Path) -> Result<File> {
        let file = output::open(image)?;
        scratch::lock(&file, image)?;
        Ok(file)
    }

    /// Both are files, or the journal is not there yet.
    pub(super) fn new(
        header: DeltaHeader,
        source: &'p Path,
        image: &'p Path,
        journal: &'p Path,
    ) -> Result<Self> {
        output::check_plain(image)?;
        output::check_plain(journal)?;
        header.in_place.ok_or_else(|| {
            let what = "the delta is not made to be applied in place; make it with --in-place";
            Error::input(source.display(), what)
        })?;
        let mut work = vec![0; Applier::workspace(&header)? as usize];
        let scratch_len = Areas::of(&header, 1, &mut work)?.scratch_len();
        Ok(Self { header, source, image, journal, scratch_len })
    }

    /// Bytes of the journal.
    pub(super) const fn scratch_len(&self) -> u64 {
        self.scratch_len
    }

    /// What the journal says, if there is one.
    pub(super) fn look(&self, binding: &Binding) -> Result<Found> {
        let Some(mut scratch) = scratch::find(self.journal, self.scratch_len)? else {
            return Ok(Found::Nothing);
        };
        let mut work = vec![0; Applier::workspace(&self.header)? as usize];
        Ok(Rewriting::look(&self.header, &mut work, &mut scratch, binding)?)
    }

    /// Rewrites the image, or goes on with it; then cuts the file to the new length.
    pub(super) fn rewrite<P: Source>(
        &self,
        opener: Option<&dyn OpenChunk>,
        payload: &mut P,
        binding: Binding,
    ) -> Result<()> {
        let Self { header, source, image, journal, scratch_len } = self;
        let pages = header.in_place.map_or(0, |it| it.pages(header.new.len).whole_len());
        let longest = header.old.map_or(0, |old| old.len).max(pages);
        // It is not longer than before until it is begun: the old image is still one then.
        let file = File::options().read(true).write(true).open(image);
        let file = file.map_err(|error| Error::io("open", image, error))?;
        let mut slot = FileFlash::growing(file, longest);
        let mut scratch = scratch::open(journal, *scratch_len)?;
        let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
        diff::rewrite_opened(header, opener, &mut flash, &Limits::LINUX, binding).map_err(
            |error| match error.category() {
                Category::Storage | Category::WrongOld => error.about(image.display()),
                _ => error.about(source.display()),
            },
        )?;
        slot.cut(header.new.len).map_err(|error| Error::io("write", image, error))
    }

    /// Removes the journal: the last thing done.
    pub(super) fn forget(&self) -> Result<()> {
        let removed = std::fs::remove_file(self.journal);
        removed.map_err(|error| Error::io("remove", self.journal, error))
    }
}
