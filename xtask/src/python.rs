//! A Python 3 with the modules a script needs.

use std::path::{Path, PathBuf};

use crate::tool::{command, find, run, succeeds, target_dir};

/// Finds an interpreter that has `modules`, or makes one: a virtual environment under target/,
/// else Debian packages. The modules are required, so not finding any way is an error.
pub(crate) fn with_modules(modules: &[&str]) -> Result<PathBuf, String> {
    let import = format!("import {}", modules.join(", "));
    let has_modules = |python: &Path| succeeds(command(python).args(["-c", &import]));
    let venv = target_dir().join("python");
    let ours = venv.join("bin/python3");
    let known = [find("python3"), Some("/usr/bin/python3".into()), Some(ours.clone())];
    if let Some(python) = known.into_iter().flatten().find(|python| has_modules(python)) {
        return Ok(python);
    }
    if let Err(message) = create(&venv, &ours, modules) {
        println!("no virtual environment ({message}); trying Debian packages");
        install_debian_packages(modules)?;
        return Some(PathBuf::from("/usr/bin/python3"))
            .filter(|python| has_modules(python))
            .ok_or(format!("no Python 3 with {}", modules.join(" and ")));
    }
    Ok(ours)
}

fn create(venv: &Path, python: &Path, modules: &[&str]) -> Result<(), String> {
    // One that was given up half-way has an interpreter and no pip.
    if !python.with_file_name("pip").is_file() {
        let base = find("python3").ok_or("there is no python3")?;
        run(command(base).args(["-m", "venv"]).arg(venv))?;
    }
    run(command(python).args(["-m", "pip", "install", "--quiet"]).args(modules))
}

fn install_debian_packages(modules: &[&str]) -> Result<(), String> {
    let packages = modules.iter().map(|module| format!("python3-{module}"));
    run(command("apt-get").args(["install", "--yes", "python3"]).args(packages))
}

/// An interpreter of its own below target/ that has `modules`, for what few machines have: in
/// `packages` they stand as the registry knows them, with their versions. The error says why they
/// cannot be had.
pub(crate) fn of_its_own(
    name: &str,
    modules: &[&str],
    packages: &[&str],
) -> Result<PathBuf, String> {
    let venv = target_dir().join(name);
    let ours = venv.join("bin/python3");
    let import = format!("import {}", modules.join(", "));
    if succeeds(command(&ours).args(["-c", &import])) {
        return Ok(ours);
    }
    create(&venv, &ours, packages)?;
    Ok(ours)
}
