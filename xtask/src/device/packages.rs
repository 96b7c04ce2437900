//! Packages for the emulated boards, made from testdata/firmware with keys that are thrown away.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tool::{cargo, command, root, run, target_dir};

/// What a board is given: a folder with files `old`, `package` and `trust`.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) dir: PathBuf,
    pub(super) new: PathBuf,
}

/// What kind of update.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Folder of testdata/firmware.
    pub(super) pair: &'static str,
    pub(super) profile: &'static str,
    /// Bytes of a page; none: to a slot of its own.
    pub(super) page_len: Option<u32>,
}

impl Kind {
    pub(super) fn name(&self) -> String {
        let place = self.page_len.map_or("two-slots".to_owned(), |len| format!("pages-of-{len}"));
        format!("{}-{}-{place}", self.pair, self.profile)
    }
}

/// Makes packages, signed by one key.
#[derive(Debug)]
pub(super) struct Maker {
    program: PathBuf,
    dir: PathBuf,
}

impl Maker {
    /// Builds the command, makes a key and a trust anchor.
    pub(super) fn new() -> Result<Self, String> {
        run(&mut cargo("build --bin fwdelta"))?;
        let (program, dir) = (target_dir().join("debug/fwdelta"), target_dir().join("device"));
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(|error| failed(&dir, &error))?;
        }
        fs::create_dir_all(&dir).map_err(|error| failed(&dir, &error))?;
        let maker = Self { program, dir };
        let trust = "version = 1\n[vendor]\nthreshold = 1\nkeys = [\"vendor.pub\"]\n";
        write(&maker.dir.join("trust.toml"), trust.as_bytes())?;
        maker.run(&["keygen", "--out", "vendor"])?;
        maker.run(&["trust", "compile", "trust.toml", "-o", "trust"])?;
        Ok(maker)
    }

    fn run(&self, args: &[&str]) -> Result<(), String> {
        let output = command(&self.program).current_dir(&self.dir).args(args).output();
        let output = output.map_err(|error| failed(&self.program, &error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("fwdelta {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// Makes an update.
    pub(super) fn make(&self, kind: &Kind) -> Result<Update, String> {
        let (name, firmware) = (kind.name(), root().join("testdata/firmware").join(kind.pair));
        let (old, new) = (firmware.join("old.bin"), firmware.join("new.bin"));
        let dir = self.dir.join(&name);
        fs::create_dir_all(&dir).map_err(|error| failed(&dir, &error))?;
        let package = format!("{name}/package");
        let (old_name, new_name) = (old.to_string_lossy(), new.to_string_lossy());
        let mut args = vec!["build", "--key", "vendor.key", "--sequence", "7"];
        args.extend(["--old", &old_name, "--new", &new_name, "-o", &package]);
        args.extend(["--profile", kind.profile]);
        let page = kind.page_len.map(|len| len.to_string());
        if let Some(page) = &page {
            args.extend(["--in-place", "--page", page, "--spare", "5"]);
        }
        self.run(&args)?;
        for (from, name) in [(old, "old"), (self.dir.join("trust"), "trust")] {
            fs::copy(&from, dir.join(name)).map_err(|error| failed(&from, &error))?;
        }
        Ok(Update { dir, new })
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
