//! Which lines of the device's decoders, and of what verifies packages, the fuzz targets reach.
//! Every line is counted that some target was compiled with; test modules are not compiled, so they
//! do not count.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::fuzz::{self, Build, committed_dirs, found_dir, host};
use crate::runner::{Done, Runner, StepResult};
use crate::tool::{command, output, root, run, succeeds, target_dir};

/// Code of core, and the targets that feed it.
struct Part {
    name: &'static str,
    targets: &'static [&'static str],
    /// Below `crates/fwdelta-core/src`: folders, and files, by how they begin.
    files: &'static [&'static str],
    /// Percent of lines that all targets together must reach.
    reached_min: usize,
}

const PARTS: [Part; 2] = [
    Part {
        name: "the decoders",
        targets: &["apply", "delta", "delta_header", "in_place", "predicted"],
        files: &[
            "apply/",
            "codec/",
            "exec/",
            "format/chain.rs",
            "format/delta.rs",
            "format/pages.rs",
            "format/shape.rs",
            "hash.rs",
            "storage.rs",
        ],
        reached_min: 85,
    },
    Part {
        name: "verification",
        targets: &[
            "authentication",
            "encrypted",
            "envelope",
            "handoff",
            "reanchored",
            "resigned",
            "trust",
        ],
        files: &[
            "format/auth.rs",
            "format/cbor.rs",
            "format/encryption.rs",
            "format/envelope.rs",
            "format/key.rs",
            "format/manifest",
            "format/plmn.rs",
            "format/rotation.rs",
            "format/sealed.rs",
            "format/trust.rs",
            "verify/",
        ],
        reached_min: 84,
    },
];

/// Arguments of one run: far below what any system takes.
const FILES_MAX: usize = 500;

/// By line: whether it is reached.
type Lines = BTreeMap<u32, bool>;

/// By path below core's `src`.
type Files = BTreeMap<String, Lines>;

/// Fuzzes for `time` each if that is not zero, then runs all inputs there are and counts.
pub(crate) fn all(runner: &mut Runner, time: Duration) {
    if !time.is_zero() {
        let names = PARTS.iter().flat_map(|part| part.targets).map(|name| (*name).to_owned());
        fuzz::some(runner, &names.collect::<Vec<_>>(), time, Build::Plain);
    }
    let Some(tools) = tools() else {
        let reason = "there is no llvm-cov, and `rustup component add llvm-tools` failed";
        return runner.skip("coverage", reason);
    };
    for part in &PARTS {
        runner.step(&format!("coverage of {}", part.name), || measure(&tools, part));
    }
}

/// The folder of the compiler's own tools: those of another LLVM may not read its files.
fn tools() -> Option<PathBuf> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"])).ok()?;
    let tools = Path::new(sysroot.trim()).join("lib/rustlib").join(host().ok()?).join("bin");
    let has_tools = || ["llvm-cov", "llvm-profdata"].iter().all(|name| tools.join(name).is_file());
    if !has_tools() {
        succeeds(command("rustup").args(["component", "add", "llvm-tools"]));
    }
    has_tools().then_some(tools)
}

fn measure(tools: &Path, part: &Part) -> StepResult {
    let programs = fuzz::compile(Build::Counted, part.targets)?;
    let reached = part.targets.iter().map(|name| one(tools, &programs, name, part));
    let reached = reached.collect::<Result<Vec<Files>, String>>()?;
    let together = union(&reached);
    println!("{}", table(part, &reached, &together));
    let missed = target_dir().join("coverage").join(format!("missed {}.txt", part.name));
    std::fs::write(&missed, missed_lines(&together)).map_err(|error| error.to_string())?;
    println!("Lines that no target reaches: {}", missed.display());
    let (count, total) = together.values().map(tally).fold((0, 0), add);
    if total == 0 {
        return Err("no line was counted".to_owned());
    }
    if count * 100 < total * part.reached_min {
        return Err(format!("{count} of {total} lines reached, below {} %", part.reached_min));
    }
    Ok(Done::Passed)
}

/// Runs the inputs of one target, and reads which lines they reach.
fn one(tools: &Path, programs: &Path, name: &str, part: &Part) -> Result<Files, String> {
    let dir = target_dir().join("coverage").join(name);
    // Counts of earlier runs are of another build.
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let inputs = inputs(name)?;
    let program = programs.join(name);
    for (number, some) in inputs.chunks(FILES_MAX).enumerate() {
        let mut counted = command(&program);
        let profile = dir.join(format!("{number}.profraw"));
        counted.args(some).env("LLVM_PROFILE_FILE", profile).stderr(Stdio::null());
        let status = counted.status().map_err(|error| format!("{name}: {error}"))?;
        if !status.success() {
            return Err(format!("{name}: {status}; `cargo xtask fuzz` says on which input"));
        }
    }
    println!("{name}: {} inputs", inputs.len());
    if inputs.is_empty() {
        return Ok(Files::new());
    }
    let profile = dir.join("profile");
    let mut merge = command(tools.join("llvm-profdata"));
    run(merge.args(["merge", "-sparse", "-o"]).arg(&profile).arg(&dir))?;
    let mut export = command(tools.join("llvm-cov"));
    export.args(["export", "--format=lcov", "--instr-profile"]).arg(&profile).arg(&program);
    Ok(lines(&output(&mut export)?, part))
}

/// Every file that the target starts from, in order.
fn inputs(name: &str) -> Result<Vec<PathBuf>, String> {
    let mut inputs = Vec::new();
    for dir in committed_dirs(name).chain([found_dir(name)].into_iter().filter(|dir| dir.is_dir()))
    {
        let entries = std::fs::read_dir(&dir).map_err(|error| error.to_string())?;
        inputs.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    inputs.sort();
    Ok(inputs)
}

/// The part's lines of a report in the format of lcov.
fn lines(report: &str, part: &Part) -> Files {
    let source = root().join("crates/fwdelta-core/src");
    let source = std::fs::canonicalize(&source).unwrap_or(source);
    let mut files = Files::new();
    let mut file: Option<&mut Lines> = None;
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file =
                counted(Path::new(path), &source, part).map(|name| files.entry(name).or_default());
        } else if let (Some(file), Some(line)) = (&mut file, line.strip_prefix("DA:")) {
            let mut numbers = line.split(',').filter_map(|number| number.parse::<u64>().ok());
            if let (Some(line), Some(count)) = (numbers.next(), numbers.next()) {
                *file.entry(line as u32).or_default() |= count > 0;
            }
        }
    }
    files
}

/// The name of a file of the part below `source`; nothing for other files.
fn counted(path: &Path, source: &Path, part: &Part) -> Option<String> {
    let name = path.strip_prefix(source).ok()?.to_str()?.replace('\\', "/");
    part.files.iter().any(|start| name.starts_with(start)).then_some(name)
}

fn union(all: &[Files]) -> Files {
    let mut together = Files::new();
    for (name, lines) in all.iter().flatten() {
        let file = together.entry(name.clone()).or_default();
        lines.iter().for_each(|(line, reached)| *file.entry(*line).or_default() |= reached);
    }
    together
}

/// Lines reached and lines in all.
fn tally(lines: &Lines) -> (usize, usize) {
    (lines.values().filter(|reached| **reached).count(), lines.len())
}

fn add(one: (usize, usize), other: (usize, usize)) -> (usize, usize) {
    (one.0 + other.0, one.1 + other.1)
}

/// A row for each file, a column for each target. All columns are shares of the same lines.
fn table(part: &Part, reached: &[Files], together: &Files) -> String {
    let mut text = format!("{:<32}{:>7}", "Percent of lines reached", "lines");
    part.targets.iter().for_each(|name| text += &format!("{name:>15}"));
    text += &format!("{:>15}\n", "together");
    let columns = || reached.iter().chain([together]);
    let mut row = |name: &str, total: usize, counts: &[usize]| {
        text += &format!("{name:<32}{total:>7}");
        counts.iter().for_each(|count| text += &percent(*count, total));
        text += "\n";
    };
    for (name, lines) in together {
        let count = |files: &Files| files.get(name).map_or(0, |lines| tally(lines).0);
        row(name, lines.len(), &columns().map(count).collect::<Vec<_>>());
    }
    let total = together.values().map(tally).fold((0, 0), add).1;
    let count = |files: &Files| files.values().map(tally).fold((0, 0), add).0;
    row("all", total, &columns().map(count).collect::<Vec<_>>());
    text
}

fn percent(count: usize, total: usize) -> String {
    format!("{:>15.1}", count as f64 * 100.0 / total.max(1) as f64)
}

/// One line per file: what no target reaches, as ranges.
fn missed_lines(together: &Files) -> String {
    let mut text = String::new();
    for (name, lines) in together {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut last_reached = true;
        for (line, reached) in lines {
            match ranges.last_mut() {
                _ if *reached => {}
                Some(range) if !last_reached => range.1 = *line,
                _ => ranges.push((*line, *line)),
            }
            last_reached = *reached;
        }
        let ranges = ranges.iter().map(|(from, to)| format!(" {from}-{to}"));
        text += &format!("{name}:{}\n", ranges.collect::<String>());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> String {
        let source = std::fs::canonicalize(root().join("crates/fwdelta-core/src")).unwrap();
        let source = source.display();
        format!(
            "SF:{source}/hash.rs\nDA:1,3\nDA:2,0\nDA:3,0\nDA:7,0\nend_of_record\n\
             SF:{source}/verify/mod.rs\nDA:1,0\nend_of_record\n\
             SF:/elsewhere/hash.rs\nDA:9,1\nend_of_record\n"
        )
    }

    #[test]
    fn only_files_of_the_part_count_and_targets_add_up() {
        let one = lines(&report(), &PARTS[0]);
        assert_eq!(one.keys().collect::<Vec<_>>(), ["hash.rs"]);
        assert_eq!(tally(&one["hash.rs"]), (1, 4));
        let other = lines(&report().replace("DA:2,0", "DA:2,1"), &PARTS[0]);
        let verification = lines(&report(), &PARTS[1]);
        assert_eq!(verification.keys().collect::<Vec<_>>(), ["verify/mod.rs"]);
        let both = union(&[one.clone(), other]);
        assert_eq!(tally(&both["hash.rs"]), (2, 4));
        assert_eq!(missed_lines(&one), "hash.rs: 2-7\n");
        let empty = Files::new();
        let table = table(&PARTS[0], &[one, both.clone(), empty.clone(), empty], &both);
        let all = table.lines().last().unwrap();
        let cells: Vec<&str> = all.split_whitespace().collect();
        assert_eq!(cells, ["all", "4", "25.0", "50.0", "0.0", "0.0", "50.0"]);
    }
}
