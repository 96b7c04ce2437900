//! Finds the rivals or installs them below target/peers; nothing of it becomes a dependency.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::catalogue::{COMMON, PROGRAMS, Package, Program};
use crate::runner::{Done, Runner};
use crate::tool::{cargo, command, find, output, root, run, succeeds, target_dir};

/// What is there, and how it is started.
#[derive(Default)]
pub(crate) struct Installed {
    /// Version by package.
    versions: BTreeMap<String, String>,
    python: Option<Python>,
    apt_is_fresh: bool,
}

/// An interpreter, and the folder of modules when there is no virtual environment.
#[derive(Clone)]
struct Python {
    program: PathBuf,
    modules: Option<PathBuf>,
}

fn key(package: Package) -> String {
    match package {
        Package::Debian(name) => format!("Debian {name}"),
        Package::Python(name) => format!("PyPI {name}"),
        Package::Crate(name) => format!("crate {name}"),
    }
}

fn crates_dir() -> PathBuf {
    target_dir().join("peers/crates")
}

impl Installed {
    /// Gets each package; one that cannot be had is SKIPPED, and its rivals with it.
    pub(crate) fn get(&mut self, runner: &mut Runner, packages: &[Package]) {
        for package in packages {
            runner.step(&format!("have {}", key(*package)), || match self.install(*package) {
                Ok(version) => {
                    println!("{} {version}", key(*package));
                    self.versions.insert(key(*package), version);
                    Ok(Done::Passed)
                }
                Err(message) => Ok(Done::Skipped(message)),
            });
        }
    }

    /// The version of a package that is there.
    pub(crate) fn version(&self, package: Package) -> Option<&str> {
        self.versions.get(&key(package)).map(String::as_str)
    }

    /// The program and first arguments of a command's first word, and its environment.
    pub(crate) fn start(&self, word: &str) -> Result<std::process::Command, String> {
        if let Some(name) = word.strip_prefix("crate:") {
            return Ok(command(crates_dir().join("target/release").join(format!("peer-{name}"))));
        }
        if word == "{python}" {
            let python = self.python.as_ref().ok_or("there is no Python")?;
            let mut started = command(&python.program);
            started.arg(root().join("xtask/src/peers/rivals/run.py"));
            if let Some(modules) = &python.modules {
                started.env("PYTHONPATH", modules);
            }
            return Ok(started);
        }
        find(word).map(command).ok_or(format!("{word} is not installed"))
    }

    fn install(&mut self, package: Package) -> Result<String, String> {
        match package {
            Package::Debian(name) => self.debian(name),
            Package::Python(name) => self.pypi(name),
            Package::Crate(name) => {
                let program = PROGRAMS.iter().find(|program| program.name == name);
                build(program.ok_or(format!("no program for {name}"))?)
            }
        }
    }

    /// The package's program has its name.
    fn debian(&mut self, name: &str) -> Result<String, String> {
        if find(name).is_none() {
            let apt = find("apt-get").ok_or(format!("{name} is not installed, nor is apt-get"))?;
            if !self.apt_is_fresh {
                run(command(&apt).args(["update", "--quiet"]))?;
                self.apt_is_fresh = true;
            }
            run(command(&apt).args(["install", "--yes", "--quiet", name]))?;
        }
        find(name).ok_or(format!("{name} is not installed"))?;
        let version = output(command("dpkg-query").args(["-W", "-f=${Version}", name]));
        Ok(version.unwrap_or_else(|_| "unknown".to_owned()))
    }

    fn pypi(&mut self, name: &str) -> Result<String, String> {
        let python = match &self.python {
            Some(python) => python.clone(),
            None => self.python.insert(interpreter()?).clone(),
        };
        let script = format!("import {name}, importlib.metadata as m; print(m.version('{name}'))");
        let ask = || {
            let mut ask = command(&python.program);
            if let Some(modules) = &python.modules {
                ask.env("PYTHONPATH", modules);
            }
            ask.args(["-c", &script]);
            ask
        };
        if !succeeds(&mut ask()) {
            let mut pip = command(&python.program);
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            if let Some(modules) = &python.modules {
                pip.arg("--target").arg(modules);
            }
            run(pip.arg(name))?;
        }
        Ok(output(&mut ask())?.trim().to_owned())
    }
}

/// A virtual environment, or Python itself with a folder for modules.
fn interpreter() -> Result<Python, String> {
    let base = find("python3").ok_or("there is no python3")?;
    let venv = target_dir().join("peers/venv");
    let program = venv.join("bin/python3");
    let works = |program: &Path| succeeds(command(program).args(["-m", "pip", "--version"]));
    if works(&program) {
        return Ok(Python { program, modules: None });
    }
    if run(command(&base).args(["-m", "venv"]).arg(&venv)).is_ok() && works(&program) {
        return Ok(Python { program, modules: None });
    }
    let modules = target_dir().join("peers/python");
    Ok(Python { program: base, modules: Some(modules) })
}

/// Generates a package around a rival's library and builds it; gives the library's version.
fn build(program: &Program) -> Result<String, String> {
    let dir = crates_dir().join(program.name);
    // Its own workspace: it lies below ours, and must not be taken for a member. Its own name: a
    // package must not be called like what it depends on.
    let manifest = format!(
        "[package]\nname = \"peer-{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nliblzma = {{ version = \"0.4\", features = [\"static\"] }}\n{}",
        program.name, program.dependencies
    );
    let files = [
        ("Cargo.toml", manifest.as_str()),
        ("src/main.rs", program.source),
        ("src/common.rs", COMMON),
    ];
    for (name, text) in files {
        write_if_new(&dir.join(name), text)?;
    }
    let mut cargo = cargo("build --release --quiet --manifest-path");
    cargo.arg(dir.join("Cargo.toml")).arg("--target-dir").arg(crates_dir().join("target"));
    if program.needs_cxx23 {
        cargo.env("CXX", cxx23()?);
    }
    run(&mut cargo)?;
    let library = if program.name == "recode" { "liblzma" } else { program.name };
    let lock = fs::read_to_string(dir.join("Cargo.lock")).map_err(|error| error.to_string())?;
    locked_version(&lock, library).ok_or(format!("{library} is not in the lock file"))
}

/// A file that has not changed must not be built again.
fn write_if_new(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let message = |error| format!("{}: {error}", path.display());
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(message)?;
    fs::write(path, text).map_err(message)
}

/// The first compiler that knows C++23 by name.
fn cxx23() -> Result<String, String> {
    let known = std::env::var("CXX").into_iter().chain(["clang++".to_owned(), "g++".to_owned()]);
    let args = ["-std=c++23", "-fsyntax-only", "-x", "c++", "/dev/null"];
    let compiles = |compiler: &String| succeeds(command(compiler).args(args));
    known.into_iter().find(compiles).ok_or("no C++ compiler with -std=c++23".to_owned())
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"ab\"\nversion = \"1.2\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"3.4\"\n";
        assert_eq!(locked_version(lock, "b").as_deref(), Some("3.4"));
        assert_eq!(locked_version(lock, "c"), None);
    }

    #[test]
    fn what_is_missing_is_an_error() {
        let nothing = Installed::default();
        assert!(nothing.start("no-such-program-anywhere").is_err());
        assert!(nothing.start("{python}").is_err());
        assert_eq!(nothing.version(Package::Debian("bsdiff")), None);
    }
}
