//! What the generator costs on data that nobody wants to diff but somebody will: time that grows
//! with the length and no faster, deltas that are never much larger than new, memory below what
//! was asked for, images above 4 GiB.

mod data;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::corpus::pairs;
use crate::measure::{self, Cost};
use crate::runner::{Done, Runner, StepResult};
use crate::tool::{cargo, command, root, run, target_dir};
use data::{KINDS, Kind};

const PROFILES: [&str; 5] = ["tiny", "small", "fast", "max", "plain"];
/// Bytes that a delta may have beyond its share of new: the header.
const HEADER_LEN: u64 = 192;
/// Four times the data may take this much more time: what is quadratic takes 16 times, what is
/// linear 4 and some more, since it leaves the processor's caches.
const GROWTH_MAX: f64 = 10.0;
/// Below that many seconds, time is that of starting.
const TIME_MIN: f64 = 0.1;
/// A run that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(900);
/// Bytes of each image where `--memory` is tried, and what it says.
const BOUNDED_LEN: u64 = 24_000_000;
const BOUNDS: [&str; 3] = ["64M", "160M", "1G"];
/// What images above 4 GiB are given.
const LARGE_BOUND: &str = "2G";

/// Runs everything; each kind of data is a step.
pub(crate) fn all(runner: &mut Runner) {
    let mut program = None;
    runner.step("build the command", || {
        run(&mut cargo("build --release --bin fwdelta"))?;
        let bench = Bench::new(target_dir().join("release/fwdelta"))?;
        program = Some(bench);
        Ok(Done::Passed)
    });
    let Some(bench) = program else { return };
    for kind in &KINDS {
        runner.step(&format!("extremes: {}", kind.name), || bench.grow(kind));
    }
    runner.step("extremes: bounded memory", || bench.bounded());
    runner.step("extremes: images above 4 GiB", || bench.large());
}

/// The command, and where its files go.
struct Bench {
    program: PathBuf,
    dir: PathBuf,
}

/// One delta.
struct Made {
    cost: Cost,
    delta_len: u64,
    new_len: u64,
    /// What the command said it would stay below.
    memory_max: u64,
}

impl Bench {
    fn new(program: PathBuf) -> Result<Self, String> {
        let dir = target_dir().join("extremes");
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        Ok(Self { program, dir })
    }

    /// Makes a delta, which checks itself, and keeps to what it said of its memory.
    fn diff(&self, pair: &[PathBuf; 2], options: &[&str]) -> Result<Made, String> {
        let [old, new] = pair;
        let mut diff = command(&self.program);
        diff.arg("diff").args([old, new]).arg(self.delta()).arg("--json").args(options);
        let log = self.dir.join("log");
        let cost = measure::run(&mut diff, TIMEOUT, &log)?;
        let report = std::fs::read(&log).map_err(|error| error.to_string())?;
        let report: Value = serde_json::from_slice(&report).map_err(|error| error.to_string())?;
        let number = |key: &str| report[key].as_u64().ok_or(format!("no {key} in the report"));
        let (delta_len, new_len) = (number("delta_len")?, number("new_len")?);
        let made = Made { cost, delta_len, new_len, memory_max: number("memory_max")? };
        if made.cost.rss_bytes > made.memory_max {
            let (used, most) = (made.cost.rss_bytes, made.memory_max);
            return Err(format!("{options:?}: {used} bytes of memory, {most} stated"));
        }
        Ok(made)
    }

    fn delta(&self) -> PathBuf {
        self.dir.join("delta")
    }

    /// Every profile on a quarter of the length and on all of it.
    fn grow(&self, kind: &Kind) -> StepResult {
        println!("{:>8}{:>12}{:>12}{:>10}{:>8}", "", "new", "delta", "CPU s", "times");
        for profile in PROFILES {
            let options = ["--profile", profile, "--threads", "1"];
            let quarter = self.diff(&kind.write(kind.len / 4, &self.dir)?, &options)?;
            let whole = self.diff(&kind.write(kind.len, &self.dir)?, &options)?;
            let Made { delta_len, new_len, .. } = whole;
            let time = whole.cost.cpu_s;
            let times = time / quarter.cost.cpu_s.max(TIME_MIN);
            println!("{profile:>8}{new_len:>12}{delta_len:>12}{time:>10.2}{times:>8.1}");
            if delta_len > new_len * kind.share_max / 1000 + HEADER_LEN {
                return Err(format!("{profile}: a delta of {delta_len} bytes for {new_len}"));
            }
            if times > GROWTH_MAX {
                return Err(format!("{profile}: {times:.1} times the time for 4 times the data"));
            }
        }
        Ok(Done::Passed)
    }

    /// Real firmware and images of some size, with little and with enough memory.
    fn bounded(&self) -> StepResult {
        let paths = data::SHUFFLED.write(BOUNDED_LEN, &self.dir)?;
        let firmware = pairs(&root().join("testdata/firmware")).into_iter();
        let firmware = firmware.map(|pair| (pair.name, [pair.old, pair.new]));
        println!("{:<18}{:>8}{:>8}{:>12}{:>8}{:>8}", "", "", "", "delta", "MB", "stated");
        for (name, paths) in firmware.chain([(data::SHUFFLED.name.to_owned(), paths)]) {
            for (profile, bound) in ["fast", "plain"].iter().flat_map(|p| BOUNDS.map(|b| (p, b))) {
                let made = self.diff(&paths, &["--profile", profile, "--memory", bound])?;
                let [used, most] =
                    [made.cost.rss_bytes, made.memory_max].map(|len| len / 1_000_000);
                let delta_len = made.delta_len;
                println!("{name:<18}{profile:>8}{bound:>8}{delta_len:>12}{used:>8}{most:>8}");
            }
        }
        Ok(Done::Passed)
    }

    /// Through files, from end to end, with less memory than the images are long.
    fn large(&self) -> StepResult {
        let firmware = root().join("testdata/firmware/trusted-firmware");
        let paths = ["large.old", "large.new", "large.made"].map(|name| self.dir.join(name));
        let [old, new, made] = &paths;
        for (path, code, is_new) in [(old, "old.bin", false), (new, "new.bin", true)] {
            let code = std::fs::read(firmware.join(code)).map_err(|error| error.to_string())?;
            data::write_large(path, &code, is_new)?;
        }
        let result = ["plain", "max"].into_iter().try_for_each(|profile| {
            let (diff, patch) = self.large_one(profile, old, new, made)?;
            println!(
                "{profile}: diff {:.0} s, patch {:.0} s of wall time",
                diff.wall_s, patch.wall_s
            );
            Ok(())
        });
        // Written in full, they take much room.
        for path in &paths {
            let _ = std::fs::remove_file(path);
        }
        result.map(|()| Done::Passed)
    }

    fn large_one(
        &self,
        profile: &str,
        old: &Path,
        new: &Path,
        made: &Path,
    ) -> Result<(Cost, Cost), String> {
        let mut diff = limited(&self.program, 2 << 30);
        diff.arg("diff").args([old, new]).arg(self.delta()).args(["--profile", profile]);
        diff.args(["--memory", LARGE_BOUND]);
        let diff = measure::run(&mut diff, TIMEOUT, &self.dir.join("log"))?;
        // Old and new are compared with their digests.
        let mut patch = limited(&self.program, 64 << 20);
        patch.arg("patch").arg(old).arg(self.delta()).arg(made);
        let patch = measure::run(&mut patch, TIMEOUT, &self.dir.join("log"))?;
        Ok((diff, patch))
    }
}

/// `program` with `bytes` of memory besides the files that it maps, which the system may drop; it
/// fails when it asks for more. Where a shell knows no such limit, it runs without.
fn limited(program: &Path, bytes: u64) -> Command {
    let script = format!("ulimit -d {} 2>/dev/null; exec \"$0\" \"$@\"", bytes >> 10);
    let mut limited = command("sh");
    limited.args(["-c", &script]).arg(program);
    limited
}
