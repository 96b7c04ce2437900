//! Targets of the compiler, emulators and cross compilers: installed by name where possible.

use std::path::{Path, PathBuf};

use crate::tool::{command, find, output, succeeds};

/// Makes sure that the compiler has `target`; `Err` says why not.
pub(super) fn target(target: &str) -> Result<(), String> {
    let args = ["--print", "target-libdir", "--target", target];
    let installed =
        output(command("rustc").args(args)).is_ok_and(|dir| Path::new(dir.trim()).is_dir());
    if installed || succeeds(command("rustup").args(["target", "add", target])) {
        return Ok(());
    }
    Err(format!("target {target} is not installed and cannot be installed"))
}

/// The path of `program`, of a Debian package that is installed if this is root; `Err` says why
/// not.
pub(super) fn program(program: &str, package: &str) -> Result<PathBuf, String> {
    if let Some(path) = find(program) {
        return Ok(path);
    }
    package_installed(package)?;
    find(program).ok_or(format!("no {program}, although {package} is installed"))
}

/// Makes sure that the file `path` of a Debian package is there.
pub(super) fn file(path: &str, package: &str) -> Result<(), String> {
    if Path::new(path).is_file() { Ok(()) } else { package_installed(package) }
}

/// Installs a Debian package, unless FWDELTA_NO_INSTALL says that there is no time for that.
fn package_installed(package: &str) -> Result<(), String> {
    let is_root = output(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let may_install = std::env::var_os("FWDELTA_NO_INSTALL").is_none();
    if find("apt-get").is_none() || !is_root || !may_install {
        return Err(format!("install the Debian package {package}"));
    }
    println!("installing {package}");
    let install = || {
        let args = ["install", "--quiet", "--yes", "--no-install-recommends", package];
        succeeds(command("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // The lists of packages may be older than the packages.
    if install() || (succeeds(command("apt-get").arg("update")) && install()) {
        return Ok(());
    }
    Err(format!("the Debian package {package} cannot be installed"))
}
