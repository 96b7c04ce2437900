//! Files in and out: outputs are written beside their destination, synced and renamed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::core::Detail;
use crate::error::{Error, Result};

/// Longest secret that is read; the longest there is is a key of some kilobytes in PEM.
const SECRET_LEN_MAX: u64 = 1 << 20;
/// Memory for one whose length is not known before.
const SECRET_PIECE_LEN: u64 = 16 << 10;

/// Opens a plain file. Of a pipe or a device the length is not known: it would be taken for an
/// empty file, waited for until someone writes to it, or read without end.
pub(crate) fn open(path: &Path) -> Result<File> {
    let failed = |error| Error::io("read", path, error);
    let meta = fs::metadata(path).map_err(failed)?;
    if meta.is_dir() {
        return Err(failed(ErrorKind::IsADirectory.into()));
    }
    if !meta.is_file() {
        return Err(Error::input(path.display(), "not a plain file; copy its content to one"));
    }
    File::open(path).map_err(failed)
}

/// Reads a whole plain file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let failed = |error| Error::io("read", path, error);
    let mut file = open(path)?;
    // A file longer than memory is refused before anything is read.
    let len = usize::try_from(file.metadata().map_err(failed)?.len()).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(len).map_err(|_| failed(ErrorKind::OutOfMemory.into()))?;
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Reads a secret, which may come through a pipe: so it need not stand in a file.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error| Error::io("read", path, error);
    let meta = fs::metadata(path).map_err(failed)?;
    if meta.is_dir() {
        return Err(failed(ErrorKind::IsADirectory.into()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    // Bytes that grow leave copies behind.
    bytes.reserve(meta.len().clamp(SECRET_PIECE_LEN, SECRET_LEN_MAX) as usize + 1);
    let file = File::open(path).map_err(failed)?;
    file.take(SECRET_LEN_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SECRET_LEN_MAX {
        let what = format!("longer than {SECRET_LEN_MAX} bytes; is it the right file?");
        return Err(Error::input(path.display(), what));
    }
    Ok(bytes)
}

/// Reads a whole plain file of at most `len_max` bytes; of a longer one no more is taken into
/// memory.
pub(crate) fn read_at_most(path: &Path, len_max: usize) -> Result<Vec<u8>> {
    let failed = |error| Error::io("read", path, error);
    let mut bytes = Vec::new();
    open(path)?.take(len_max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > len_max {
        return Err(Error::from(Detail::EnvelopeTooLarge).about(path.display()));
    }
    Ok(bytes)
}

/// Refuses an output that would take the place of an input, as of a key, or of another output.
///
/// Commands that may write over one of their inputs leave it out of `inputs`.
pub(crate) fn apart<'p>(
    outputs: impl IntoIterator<Item = &'p Path>,
    inputs: impl IntoIterator<Item = &'p Path>,
) -> Result<()> {
    let mut taken: Vec<PathBuf> = inputs.into_iter().map(place_of).collect();
    for path in outputs {
        let place = place_of(path);
        if taken.contains(&place) {
            let what = "it would take the place of another file that this command reads or writes; \
                        choose another name";
            return Err(Error::input(path.display(), what));
        }
        taken.push(place);
    }
    Ok(())
}

/// The same for all names of a file, whether it is there or not.
fn place_of(path: &Path) -> PathBuf {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    let beside = || dir.canonicalize().map(|dir| dir.join(name));
    path.canonicalize().or_else(|_| beside()).unwrap_or_else(|_| path.to_owned())
}

/// Writes `bytes` to `path`, so that the file is either whole or untouched.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    Beside::holding(path, bytes)?.commit()
}

/// The same for what only its owner may read, whatever stood there before.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut beside = Beside::private(path)?;
    let failed = |error| Error::io("write", path, error);
    beside.file().write_all(bytes).and_then(|()| beside.file().sync_all()).map_err(failed)?;
    let persisted = beside.temp.persist(path);
    persisted.map_err(|error| Error::io("create", path, error.error))?;
    sync_dir(path).map_err(failed)
}

/// Writes a new file only its owner can read; an existing file is an error.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| Error::io("create", path, error))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // A part of a secret is none, and what is there is never overwritten.
        let _ = fs::remove_file(path);
        Error::io("write", path, error)
    })
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
    /// /dev/null, would replace it. A link is followed: what it leads to is replaced, not the link.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(permissions());
        Self::made_by(&mut builder, &followed(path)?)
    }

    /// The same with these bytes.
    pub(crate) fn holding(path: &Path, bytes: &[u8]) -> Result<Self> {
        let mut beside = Self::create(path)?;
        beside.file().write_all(bytes).map_err(|error| Error::io("write", path, error))?;
        Ok(beside)
    }

    /// The same for its owner only, from the start: who opens a file before its mode is changed
    /// can go on reading it.
    fn private(path: &Path) -> Result<Self> {
        Self::made_by(&mut tempfile::Builder::new(), path)
    }

    fn made_by(builder: &mut tempfile::Builder<'_, '_>, path: &Path) -> Result<Self> {
        check_plain(path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let temp = builder
            .prefix(".fwdelta-")
            .tempfile_in(dir.unwrap_or(Path::new(".")))
            .map_err(|error| Error::io("create", path, nameless(error)))?;
        Ok(Self { temp, path: path.to_owned() })
    }

    /// The open file.
    pub(crate) fn file(&mut self) -> &mut File {
        self.temp.as_file_mut()
    }

    /// Makes all files visible under their names, or none as far as the file system allows: their
    /// bytes are on the medium before the first is renamed, and when a rename fails, what earlier
    /// ones replaced is put back. A power cut in between leaves some new and some old files, each
    /// whole; the same command then does the rest.
    pub(crate) fn commit_all(all: Vec<Self>) -> Result<()> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::io("write", &path, error)
        };
        for Self { temp, path } in &all {
            check_plain(path)?;
            set_mode(temp.as_file(), path).map_err(failed(path))?;
            temp.as_file().sync_all().map_err(failed(path))?;
        }
        let mut replaced: Vec<Replaced> = Vec::new();
        for Self { temp, path } in all {
            let before = Replaced::keep(&path);
            match temp.persist(&path) {
                Ok(_) => replaced.push(before),
                Err(error) => {
                    before.forget();
                    replaced.into_iter().rev().for_each(Replaced::put_back);
                    return Err(Error::io("create", &path, error.error));
                }
            }
        }
        for it in replaced {
            sync_dir(&it.path).map_err(failed(&it.path))?;
            it.forget();
        }
        Ok(())
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

/// What the system said, without the name of the file beside, which nobody gave.
fn nameless(error: std::io::Error) -> std::io::Error {
    let text = error.to_string();
    let said = text.split(" at path ").next().unwrap_or_default();
    std::io::Error::new(error.kind(), said)
}

/// What a rename replaced: a second name of it, where there was something and the file system can
/// give a file two names.
#[derive(Debug)]
struct Replaced {
    path: PathBuf,
    kept: Option<PathBuf>,
    was_there: bool,
}

impl Replaced {
    fn keep(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kept = path.with_file_name(format!(".fwdelta-{}-{name}", std::process::id()));
        let kept = fs::hard_link(path, &kept).is_ok().then_some(kept);
        Self { path: path.to_owned(), kept, was_there: path.exists() }
    }

    /// Best effort: there is an error to report already.
    fn put_back(self) {
        let _ = match &self.kept {
            Some(kept) => fs::rename(kept, &self.path),
            None if self.was_there => Ok(()),
            None => fs::remove_file(&self.path),
        };
    }

    fn forget(self) {
        if let Some(kept) = &self.kept {
            let _ = fs::remove_file(kept);
        }
    }
}

/// Where a link leads; any other path is itself.
fn followed(path: &Path) -> Result<PathBuf> {
    if !fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
        return Ok(path.to_owned());
    }
    path.canonicalize().map_err(|_| {
        let error = std::io::Error::other("it is a link to nothing; remove the link, or mend it");
        Error::io("write", path, error)
    })
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

/// What the umask leaves of reading and writing for everyone, as for any new file.
#[cfg(unix)]
fn permissions() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

/// The result gets the mode of the file it replaces, if there is one.
#[cfg(unix)]
fn set_mode(file: &File, path: &Path) -> std::io::Result<()> {
    fs::metadata(path).map_or(Ok(()), |meta| file.set_permissions(meta.permissions()))
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(path: &Path, text: &str) -> Beside {
        let mut beside = Beside::create(path).unwrap();
        beside.file().write_all(text.as_bytes()).unwrap();
        beside
    }

    #[cfg(unix)]
    #[test]
    fn what_is_private_never_was_anything_else() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let others = |file: &File| file.metadata().unwrap().permissions().mode() & 0o077;
        assert_eq!(others(Beside::private(&path).unwrap().file()), 0);
        fs::write(&path, "for all").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"for one").unwrap();
        assert_eq!(others(&File::open(&path).unwrap()), 0);
    }

    #[test]
    fn all_files_appear_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "old a").unwrap();
        fs::create_dir(path("gone")).unwrap();
        let all = |last: &Path| {
            vec![beside(&path("a"), "new a"), beside(&path("b"), "new b"), beside(last, "c")]
        };
        let names = || {
            let entries = fs::read_dir(dir.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        // The third cannot be renamed: its folder went away meanwhile.
        let files = all(&path("gone/c"));
        fs::remove_dir_all(path("gone")).unwrap();
        assert!(Beside::commit_all(files).is_err());
        assert_eq!(fs::read_to_string(path("a")).unwrap(), "old a");
        assert_eq!(names(), ["a"]);
        // Something else stands there by now: noticed before the first rename.
        let files = all(&path("c"));
        fs::create_dir(path("c")).unwrap();
        assert!(Beside::commit_all(files).is_err());
        assert_eq!(fs::read_to_string(path("a")).unwrap(), "old a");
        assert_eq!(names(), ["a", "c"]);
        fs::remove_dir(path("c")).unwrap();
        Beside::commit_all(all(&path("c"))).unwrap();
        assert_eq!(fs::read_to_string(path("a")).unwrap(), "new a");
        assert_eq!(names(), ["a", "b", "c"]);
    }
}
