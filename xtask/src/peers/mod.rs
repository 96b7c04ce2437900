//! Other people's delta tools and ours on the same pairs: `cargo xtask peers`.

mod bench;
mod catalogue;
mod code;
mod install;
mod markdown;
mod options;
mod plots;
mod records;
mod stats;
mod summary;
mod svg;

use std::path::{Path, PathBuf};

use bench::Bench;
use catalogue::{Package, RIVALS, Rival};
use install::Installed;
use options::Options;
use records::{Machine, Measurements, Outcome, PairRecord, Run};

use crate::corpus::{Pair, pairs};
use crate::runner::{Done, Runner, StepResult};
use crate::tool::{cargo, command, output, root, run, target_dir};

/// Not a product but a test oracle, and quadratic on repetitive data.
const ORACLE: &str = "bsdiff";

/// One way to make a delta, as it will be run and written down.
struct Tool {
    name: String,
    is_ours: bool,
    version: String,
    make: Vec<String>,
    apply: Vec<String>,
    only_for: Option<code::Code>,
}

/// Measures all tools on all pairs and writes JSON, tables and plots; wrong options are told.
pub(crate) fn all(runner: &mut Runner, args: &[&str]) {
    let mut options = None;
    runner.step("options", || {
        options = Some(Options::parse(args)?);
        Ok(Done::Passed)
    });
    let Some(options) = options else { return };
    let mut tools = Vec::new();
    runner.step("build the command", || {
        run(&mut cargo("build --release --bin fwdelta"))?;
        tools = ours()?;
        Ok(Done::Passed)
    });
    let mut installed = Installed::default();
    tools.retain(|tool| options.wants_tool(&tool.name));
    tools.extend(rivals(runner, &mut installed, &options));
    for name in &options.tools {
        if !tools.iter().any(|tool| tool.name == *name) {
            runner.skip(name, "no such tool, or it is not installed");
        }
    }
    let Some(found) = measure_all(runner, &options, &installed, &tools) else { return };
    runner.step("tables and plots", || report(&options, &found));
}

/// Every profile that `fwdelta diff --help` names.
fn ours() -> Result<Vec<Tool>, String> {
    let help = output(command(fwdelta()).args(["diff", "--help"]))?;
    let git = output(command("git").args(["describe", "--always", "--dirty"]));
    let version = git.map_or("unknown".to_owned(), |text| text.trim().to_owned());
    let tool = |profile: &String| Tool {
        name: profile.clone(),
        is_ours: true,
        version: version.clone(),
        make: vec![format!("fwdelta diff {{old}} {{new}} {{patch}} --profile {profile}")],
        apply: vec!["fwdelta patch {old} {patch} {out}".to_owned()],
        only_for: None,
    };
    let profiles = profiles(&help);
    if profiles.is_empty() {
        return Err("`fwdelta diff --help` names no profiles".to_owned());
    }
    Ok(profiles.iter().filter(|name| *name != ORACLE).map(tool).collect())
}

fn fwdelta() -> PathBuf {
    target_dir().join("release/fwdelta")
}

/// The names in lines `- NAME: ...` below `--profile`.
fn profiles(help: &str) -> Vec<String> {
    let Some((_, below)) = help.split_once("--profile <") else { return Vec::new() };
    let lines = below.lines().take_while(|line| !line.trim_start().starts_with("--"));
    let name = |line: &str| {
        let (name, _) = line.trim_start().strip_prefix("- ")?.split_once(':')?;
        Some(name.to_owned())
    };
    lines.filter_map(name).collect()
}

/// Installs what the wanted rivals need; those that lack something are left out.
fn rivals(runner: &mut Runner, installed: &mut Installed, options: &Options) -> Vec<Tool> {
    let wanted: Vec<&Rival> =
        RIVALS.iter().filter(|rival| options.wants_tool(rival.name)).collect();
    let mut packages: Vec<Package> = Vec::new();
    for package in wanted.iter().flat_map(|rival| rival.packages) {
        if !packages.contains(package) {
            packages.push(*package);
        }
    }
    installed.get(runner, &packages);
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let tool = |rival: &&Rival| {
        let versions = rival.packages.iter().map(|package| installed.version(*package));
        let versions = versions.collect::<Option<Vec<_>>>()?;
        Some(Tool {
            name: rival.name.to_owned(),
            is_ours: false,
            version: versions.first().map_or(String::new(), |version| (*version).to_owned()),
            make: owned(rival.make),
            apply: owned(rival.apply),
            only_for: rival.only_for,
        })
    };
    wanted.iter().filter_map(tool).collect()
}

/// A step per pair; the file is written after each, so that nothing measured is lost.
fn measure_all(
    runner: &mut Runner,
    options: &Options,
    installed: &Installed,
    tools: &[Tool],
) -> Option<Measurements> {
    let mut found = Measurements::default();
    runner.step("earlier measurements", || {
        if !options.resume {
            return Ok(Done::Passed);
        }
        found = Measurements::read(&options.json)?;
        if options.timeout.as_secs() > found.timeout_s {
            found.forget_failures();
        }
        println!("{} pairs in {}", found.pairs.len(), options.json.display());
        Ok(Done::Passed)
    });
    (found.machine, found.timeout_s) = (machine(), options.timeout.as_secs());
    let start = |word: &str| match word {
        "fwdelta" => Ok(command(fwdelta())),
        word => installed.start(word),
    };
    let work = target_dir().join("peers/work");
    let bench = Bench { work, timeout: options.timeout, start: &start };
    let pairs: Vec<Pair> =
        pairs(&options.corpus).into_iter().filter(|pair| options.wants_pair(&pair.name)).collect();
    if pairs.is_empty() {
        let message = format!("no pair DIR/*/{{old,new}} in {}", options.corpus.display());
        runner.step("pairs", || Err(message));
        return None;
    }
    for pair in &pairs {
        if !is_update(pair) {
            found.pairs.retain(|other| other.name != pair.name);
            runner.skip(&pair.name, "old and new are the same");
            continue;
        }
        runner.step(&pair.name, || {
            let record = measure_pair(&bench, pair, tools, &found, options)?;
            found.pairs.retain(|other| other.name != pair.name);
            found.pairs.push(record);
            found.pairs.sort_by(|a, b| a.name.cmp(&b.name));
            found.write(&options.json)?;
            Ok(Done::Passed)
        });
    }
    Some(found)
}

/// Whether the images differ: else a delta is nothing but its header, and says nothing of a tool.
/// They are read piece by piece: what is held here would count as memory of what is started.
fn is_update(pair: &Pair) -> bool {
    // Which one cannot be read, the step says.
    bench::same(&pair.old, &pair.new).map_or(true, |same| !same)
}

fn measure_pair(
    bench: &Bench<'_>,
    pair: &Pair,
    tools: &[Tool],
    found: &Measurements,
    options: &Options,
) -> Result<PairRecord, String> {
    std::fs::create_dir_all(&bench.work).map_err(|error| error.to_string())?;
    let code = code::of_file(&pair.new)?;
    let mut record = PairRecord {
        name: pair.name.clone(),
        old_len: bench::len(&pair.old)?,
        new_len: bench::len(&pair.new)?,
        digest: bench::digest(pair)?,
        runs: Vec::new(),
    };
    let earlier =
        found.pairs.iter().find(|other| other.name == record.name && other.digest == record.digest);
    let fits = |tool: &&Tool| tool.only_for.is_none_or(|only| only == code);
    for tool in tools.iter().filter(fits) {
        let mut run = Run {
            tool: tool.name.clone(),
            is_ours: tool.is_ours,
            version: tool.version.clone(),
            settings: [tool.make.as_slice(), &tool.apply].concat(),
            outcome: Outcome::default(),
        };
        match earlier.and_then(|earlier| kept(earlier, &run)) {
            Some(outcome) => run.outcome = outcome,
            None => run.outcome = bench.run(pair, &tool.make, &tool.apply),
        }
        println!("{}", line(&run));
        record.runs.push(run);
    }
    let unwanted = |run: &&Run| !options.wants_tool(&run.tool);
    let others = earlier.into_iter().flat_map(|earlier| &earlier.runs).filter(unwanted);
    record.runs.extend(others.cloned());
    std::fs::remove_dir_all(&bench.work).map_err(|error| error.to_string())?;
    Ok(record)
}

/// A rival measured before in the same version and with the same settings.
fn kept(earlier: &PairRecord, run: &Run) -> Option<Outcome> {
    let same = |other: &&Run| {
        !run.is_ours
            && other.tool == run.tool
            && other.version == run.version
            && other.settings == run.settings
    };
    earlier.runs.iter().find(same).map(|other| other.outcome.clone())
}

fn line(run: &Run) -> String {
    match &run.outcome {
        Outcome::Failed(message) => format!("{:<20} FAILED: {message}", run.tool),
        Outcome::Exact(sizes) => {
            let (make, apply) = (sizes.make, sizes.apply);
            format!(
                "{:<20} {:>10} bytes   make {:>8.2} s {:>7.1} MB   apply {:>7.3} s {:>7.1} MB",
                run.tool,
                sizes.bytes,
                make.wall_s,
                make.rss_bytes as f64 / 1e6,
                apply.wall_s,
                apply.rss_bytes as f64 / 1e6
            )
        }
    }
}

fn machine() -> Machine {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        cpu: model.map_or("unknown".to_owned(), |(_, name)| name.to_owned()),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
    }
}

/// Without some of the rivals nobody is the best of all, so such a run does not touch docs/.
fn report(options: &Options, found: &Measurements) -> StepResult {
    let text = markdown::tables(found);
    println!("{text}");
    let docs = if options.tools.is_empty() { root().join("docs") } else { work_docs(&text)? };
    let benchmarks = docs.join("benchmarks.md");
    let page = read(&benchmarks)?;
    write(&benchmarks, &markdown::splice(&page, &text)?)?;
    for (name, plot) in plots::all(found) {
        write(&docs.join("plots").join(name), &plot)?;
    }
    println!("{}, {} and plots/", options.json.display(), benchmarks.display());
    Ok(Done::Passed)
}

/// A page for parts of the comparison, below target/.
fn work_docs(text: &str) -> Result<PathBuf, String> {
    let dir = target_dir().join("peers/docs");
    let page = markdown::splice(&format!("{}\n{}\n", markdown::BEGIN, markdown::END), text)?;
    write(&dir.join("benchmarks.md"), &page)?;
    Ok(dir)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let message = |error| format!("{}: {error}", path.display());
    path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(message)?;
    std::fs::write(path, text).map_err(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_from_the_help_text() {
        let help = "Options:\n      --profile <PROFILE>\n          What for\n\n          Possible \
                    values:\n          - small:  Smallest: x\n          - fast:   Fastest\n\n\
                    \x20     --format <FORMAT>\n          - other: y\n";
        assert_eq!(profiles(help), ["small", "fast"]);
        assert!(profiles("no such option").is_empty());
    }

    #[test]
    fn a_rival_is_kept_and_we_are_measured_again() {
        let record = records::tests::sample().pairs.remove(0);
        let (ours, rival) = (record.runs[0].clone(), record.runs[2].clone());
        assert_eq!(kept(&record, &rival), Some(rival.outcome.clone()));
        assert_eq!(kept(&record, &ours), None);
        let newer = Run { version: "2".to_owned(), ..rival };
        assert_eq!(kept(&record, &newer), None);
    }
}
