//! A working folder for tests of the command.
#![allow(dead_code, missing_docs, unreachable_pub)] // Every test file uses a part of it.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A folder that is gone in the end, and what the command finds in its environment.
pub struct Desk {
    pub dir: tempfile::TempDir,
    pub environment: Vec<(&'static str, String)>,
}

impl Desk {
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Names of what is in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwdelta"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.dir.path()).args(args).output().unwrap()
    }

    /// Runs what must succeed; gives what was said.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same with the report for programs.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
    }

    /// Runs what must fail; gives the exit code and what was said.
    #[track_caller]
    pub fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}: {output:?}");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Runs what must fail with this detail and leave nothing behind; gives what was said.
    #[track_caller]
    pub fn refuses(&self, detail: u16, args: &[&str]) -> String {
        let before = self.names();
        let output = self.run(&[args, &["--json"]].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["error"]["detail"], detail, "{args:?}: {report}");
        assert_eq!(self.names(), before, "{args:?} left something behind");
        report["error"]["message"].as_str().unwrap().to_owned()
    }
}
