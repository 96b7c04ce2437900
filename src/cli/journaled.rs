//! New images that are written so that a later run goes on: a partial file, and a journal.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::args::size;
use super::{output, scratch};
use crate::core::Limits;
use crate::core::apply::Applier;
use crate::core::apply::in_place::Areas;
use crate::core::apply::two_slots::{Binding, Settings};
use crate::core::format::delta::DeltaHeader;
use crate::core::storage::Geometry;
use crate::diff::{FileFlash, PartialFile, Written};
use crate::error::{Error, Result};

/// Every checkpoint waits for the disk.
const INTERVAL_LEN_MIN: u64 = 4 << 10;

fn interval(text: &str) -> Result<u64, String> {
    let len = size(text)?;
    let is_enough = len >= INTERVAL_LEN_MIN;
    is_enough.then_some(len).ok_or_else(|| "an interval is at least 4K".to_owned())
}

/// Whether a later run is to go on where this one breaks off.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct JournalArgs {
    /// File for checkpoints: after a power cut or a kill, the same command goes on at the last one;
    /// in place it keeps old pages as well. It is removed in the end
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,
    /// Bytes of the new image from one checkpoint to the next, as in 512K
    #[arg(long, value_name = "BYTES", value_parser = interval, default_value = "4M",
          requires = "journal", conflicts_with = "in_place")]
    pub(super) interval: u64,
}

/// How much was made of an image, in this run and in others.
pub(super) struct Progressed {
    written: Written,
    /// Bytes that earlier runs wrote.
    before_len: u64,
}

impl Progressed {
    /// For programs: where this run began, how much it made, how much of that for a second time.
    pub(super) fn json(&self) -> Value {
        let at = self.written.resumed_at;
        let new_pos = at.map_or(0, |at| at.new_pos);
        json!({
            "resumed": at.is_some(),
            "resumed_at": new_pos,
            "payload_resumed_at": at.map_or(0, |at| at.payload_pos),
            "decoded_len": self.written.verified.new_image().len - new_pos,
            "decoded_again_len": self.again_len(),
        })
    }

    fn again_len(&self) -> u64 {
        let new_len = self.written.verified.new_image().len;
        let new_pos = self.written.resumed_at.map_or(0, |at| at.new_pos);
        self.before_len.min(new_len).saturating_sub(new_pos)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        self.written.resumed_at.map_or(String::new(), |at| {
            format!("; went on at byte {}, {} decoded again", at.new_pos, self.again_len())
        })
    }
}

/// Where a new image stands until it is whole.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

/// Another process may have given the file its last name before this one had it for itself.
#[cfg(unix)]
fn check_same(file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |error| Error::io("open", path, error);
    let (ours, there) = (file.metadata().map_err(failed)?, fs::metadata(path).map_err(failed)?);
    match (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
        true => Ok(()),
        false => Err(Error::input(path.display(), "another process has just written it")),
    }
}

#[cfg(not(unix))]
fn check_same(_: &File, _: &Path) -> Result<()> {
    Ok(())
}

/// A new image whose parts stay when the command ends early.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    beside: PathBuf,
    journal: PathBuf,
    file: PartialFile,
    before_len: u64,
}

impl Partial {
    /// Opens the partial file beside `path`, and its journal.
    pub(super) fn open(path: &Path, journal: &Path) -> Result<Self> {
        output::check_plain(path)?;
        let beside = beside(path);
        scratch::check(journal)?;
        if !beside.exists() && journal.exists() {
            fs::remove_file(journal).map_err(|error| Error::io("remove", journal, error))?;
        }
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(&beside);
        let file = file.map_err(|error| Error::io("create", &beside, error))?;
        scratch::lock(&file, &beside)?;
        check_same(&file, &beside)?;
        let meta = file.metadata().map_err(|error| Error::io("read", &beside, error))?;
        let (path, journal, before_len) = (path.to_owned(), journal.to_owned(), meta.len());
        Ok(Self { path, beside, journal, file: PartialFile(file), before_len })
    }

    /// Where the image goes in the end.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where checkpoints go.
    fn scratch(&self, header: &DeltaHeader) -> Result<FileFlash> {
        let geometry = Geometry { len: u64::MAX, sector_len: 1, write_len: 1, erased: 0xff };
        let mut work = vec![0; Applier::workspace(header)? as usize];
        let areas = Areas::of_two_slots(header, &geometry, &mut work, &Limits::LINUX)?;
        scratch::open(&self.journal, areas.scratch_len())
    }

    /// Writes the image, or the rest of it.
    pub(super) fn write(
        &mut self,
        header: &DeltaHeader,
        binding: Binding,
        interval: u64,
        write: impl FnOnce(&mut PartialFile, &mut FileFlash, &Settings) -> Result<Written>,
    ) -> Result<Progressed> {
        let mut scratch = self.scratch(header).inspect_err(|_| {
            if self.before_len == 0 {
                // Nothing is in it that a later run could go on with.
                let _ = fs::remove_file(&self.beside);
            }
        })?;
        let written = write(&mut self.file, &mut scratch, &Settings { binding, interval })?;
        Ok(Progressed { written, before_len: self.before_len })
    }

    /// Makes the image visible under its name, then forgets the journal.
    pub(super) fn commit(self, len: u64) -> Result<()> {
        let failed = |error| Error::io("write", &self.beside, error);
        self.file.0.set_len(len).map_err(failed)?;
        output::show(&self.file.0, &self.beside, &self.path)?;
        let removed = fs::remove_file(&self.journal);
        removed.map_err(|error| Error::io("remove", &self.journal, error))
    }
}
