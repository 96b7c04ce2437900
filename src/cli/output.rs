//! Files in and out: outputs are written beside their destination, synced and renamed.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::core::Detail;
use crate::error::{Error, Result};

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::io("read", path, error))
}

/// Reads a whole file of at most `len_max` bytes; of a longer one no more is taken into memory.
pub(crate) fn read_at_most(path: &Path, len_max: usize) -> Result<Vec<u8>> {
    let failed = |error| Error::io("read", path, error);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(len_max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > len_max {
        return Err(Error::from(Detail::EnvelopeTooLarge).about(path.display()));
    }
    Ok(bytes)
}

/// Writes `bytes` to `path`, so that the file is either whole or untouched.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut beside = Beside::create(path)?;
    beside.file().write_all(bytes).map_err(|error| Error::io("write", path, error))?;
    beside.commit()
}

/// Writes a new file only its owner can read; an existing file is an error.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| Error::io("create", path, error))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| Error::io("write", path, error))
}

/// A file being written beside its destination; removed again unless committed.
#[derive(Debug)]
pub(crate) struct Beside {
    temp: NamedTempFile,
    path: PathBuf,
}

impl Beside {
    /// Opens a file beside `path`. What stands there must be a plain file or nothing: a rename
    /// onto a folder would fail only after other files were renamed, and one onto a device, as
    /// /dev/null, would replace it.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        check_plain(path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let temp = tempfile::Builder::new()
            .prefix(".fwdelta-")
            .tempfile_in(dir.unwrap_or(Path::new(".")))
            .map_err(|error| Error::io("create", path, error))?;
        Ok(Self { temp, path: path.to_owned() })
    }

    /// The open file.
    pub(crate) fn file(&mut self) -> &mut File {
        self.temp.as_file_mut()
    }

    /// Makes the file visible under its name once its bytes are on the medium.
    pub(crate) fn commit(self) -> Result<()> {
        let Self { temp, path } = self;
        let (file, beside) = temp.into_parts();
        show(&file, &beside, &path)?;
        // It has another name now.
        let _ = beside.keep();
        Ok(())
    }
}

/// What stands at `path` is a plain file or nothing.
pub(crate) fn check_plain(path: &Path) -> Result<()> {
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        let error = std::io::Error::other("it is there and not a plain file");
        return Err(Error::io("write", path, error));
    }
    Ok(())
}

/// Gives a file its name once its bytes are on the medium.
pub(crate) fn show(file: &File, beside: &Path, path: &Path) -> Result<()> {
    set_mode(file, path).map_err(|error| Error::io("write", path, error))?;
    file.sync_all().map_err(|error| Error::io("write", path, error))?;
    fs::rename(beside, path).map_err(|error| Error::io("create", path, error))?;
    sync_dir(path).map_err(|error| Error::io("write", path, error))
}

/// The rename survives a power cut once the folder is on the medium.
#[cfg(unix)]
fn sync_dir(path: &Path) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_dir(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Temporary files are private; the result gets the mode of the file it replaces, or 0644.
#[cfg(unix)]
fn set_mode(file: &File, path: &Path) -> std::io::Result<()> {
    let mode = fs::metadata(path).map_or_else(
        |_| std::os::unix::fs::PermissionsExt::from_mode(0o644),
        |meta| meta.permissions(),
    );
    file.set_permissions(mode)
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: &Path) -> std::io::Result<()> {
    Ok(())
}
