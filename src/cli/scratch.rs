//! The file that stands for scratch flash. It says at its end that it is one, so that no other
//! file, as the old image, is taken for a journal and written over.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::output::{self, Beside};
use crate::diff::FileFlash;
use crate::error::{Error, Result};

/// What stands behind scratch flash.
const MARK: &[u8; 16] = b"fwdelta journal\n";

/// Opens a journal with `len` bytes of scratch flash; `None` where there is no file, or the journal
/// of a delta that needs another length.
///
/// # Errors
/// When the file is no journal.
pub(super) fn find(path: &Path, len: u64) -> Result<Option<FileFlash>> {
    let Some(found_len) = marked_len(path)? else { return Ok(None) };
    if found_len != len {
        return Ok(None);
    }
    let failed = |error| Error::io("open", path, error);
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    FileFlash::new(file, len).map(Some).map_err(failed)
}

/// The same, and a new journal where there is `None`. It gets its name when it has its mark.
pub(super) fn open(path: &Path, len: u64) -> Result<FileFlash> {
    if let Some(found) = find(path, len)? {
        return Ok(found);
    }
    let mut beside = Beside::create(path)?;
    let file = beside.file();
    let written = file.seek(SeekFrom::Start(len)).and_then(|_| file.write_all(MARK));
    written.map_err(|error| Error::io("write", path, error))?;
    beside.commit()?;
    let failed = |error| Error::io("open", path, error);
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    FileFlash::new(file, len).map_err(failed)
}

/// Bytes before the mark; `None` where there is no file, or an empty one.
fn marked_len(path: &Path) -> Result<Option<u64>> {
    let mut file = match output::open(path) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let failed = |error| Error::io("read", path, error);
    let len = file.metadata().map_err(failed)?.len();
    if len == 0 {
        return Ok(None);
    }
    let mut end = [0; MARK.len()];
    let before = len.checked_sub(end.len() as u64);
    if let Some(before) = before {
        let read = file.seek(SeekFrom::Start(before)).and_then(|_| file.read_exact(&mut end));
        read.map_err(failed)?;
    }
    if end != *MARK {
        let what = "there is something else than a journal in it, which would be lost; name a file \
                    that is not there, or remove it";
        return Err(Error::input(path.display(), what));
    }
    Ok(before)
}

/// Refuses a journal that is none.
pub(super) fn check(path: &Path) -> Result<()> {
    marked_len(path).map(|_| ())
}

/// Keeps other processes that do the same from `file`, until it is closed: two that write one image
/// would make a third of it. Where files cannot be locked nothing is.
pub(super) fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let what = "another process is writing it; wait until that is done";
            Err(Error::input(path.display(), what))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::storage::{Source as _, Target as _};

    #[test]
    fn only_a_journal_is_taken_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        assert!(find(&path, 100).unwrap().is_none());
        open(&path, 100).unwrap().program(0, b"state").unwrap();
        let mut bytes = [0; 5];
        find(&path, 100).unwrap().unwrap().read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"state");
        assert!(find(&path, 99).unwrap().is_none());
        for other in [&b"x"[..], &[0; 200], &[0xff; 200]] {
            std::fs::write(&path, other).unwrap();
            assert!(check(&path).is_err() && find(&path, 184).is_err() && open(&path, 1).is_err());
            assert_eq!(std::fs::read(&path).unwrap(), other);
        }
        std::fs::write(&path, []).unwrap();
        assert!(check(&path).is_ok());
    }

    #[test]
    fn one_process_at_a_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let first = open();
        lock(&first, file.path()).unwrap();
        assert!(lock(&open(), file.path()).is_err());
        drop(first);
        lock(&open(), file.path()).unwrap();
    }
}
