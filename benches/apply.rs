//! How fast deltas are applied from memory to memory, in one thread, beside another tool that does
//! the same in the same run: `cargo xtask speed DIR`, which installs that one.
//!
//! Pairs are folders of DIR with the files `old` and `new`; those whose new image has less than
//! 1 MB are left out. The best of several applications counts, ours and theirs in turn.
//!
//! Bias: HDiffPatch, with zstd, is called as a Python module, once, in a process that has the
//! images in memory; it does not verify what it makes, we hash it and the payload.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use fwdelta::core::Limits;
use fwdelta::diff::{self, Options, Profile};
use fwdelta::progress::Silent;

/// Images that are shorter are applied before a clock notices.
const LEN_MIN: u64 = 1_000_000;
/// Applications of each delta.
const TRIES: usize = 7;
/// What is promised of the median: profile, and its speed as a part of HDiffPatch's.
const PROFILES: [(&str, Profile, f64); 2] =
    [("small", Profile::Small, 0.10), ("fast", Profile::Fast, 0.35)];

const THEIRS: &str = "
import hdiffpatch, sys, time
old, new = (open(path, 'rb').read() for path in sys.argv[1:])
delta = hdiffpatch.diff(old, new, compression='zstd')
for _ in sys.stdin:
    start = time.perf_counter()
    made = hdiffpatch.apply(old, delta)
    took = time.perf_counter() - start
    assert made == new
    print(took, len(delta), flush=True)
";

/// HDiffPatch with a pair in memory.
struct Theirs {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Theirs {
    fn start(python: &Path, old: &Path, new: &Path) -> Self {
        let mut child = Command::new(python)
            .args(["-c", THEIRS])
            .args([old, new])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python with hdiffpatch");
        let (ask, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, ask, answers: BufReader::new(answers) }
    }

    /// Seconds of one application.
    fn apply(&mut self) -> f64 {
        writeln!(self.ask).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.split(' ').next().and_then(|word| word.parse().ok()).expect("its patcher works")
    }

    fn stop(mut self) {
        drop(self.ask);
        assert!(self.child.wait().unwrap().success(), "its patcher made another image");
    }
}

/// Speeds in MB/s of new: of each profile, and theirs.
fn measure(python: &Path, dir: &Path) -> ([f64; 2], f64) {
    let (old_path, new_path) = (dir.join("old"), dir.join("new"));
    let [old, new] = [&old_path, &new_path].map(|path| std::fs::read(path).unwrap());
    let deltas = PROFILES.map(|(_, profile, _)| {
        let options = Options { profile, ..Options::default() };
        diff::create(&old, &new, &options, &Silent).unwrap()
    });
    let mut theirs = Theirs::start(python, &old_path, &new_path);
    let mut best = [f64::MAX; 3];
    for _ in 0..TRIES {
        for (best, delta) in best.iter_mut().zip(&deltas) {
            let start = Instant::now();
            let (header, payload) = (&delta.header, &delta.payload);
            let made = diff::apply(&old, header, payload, &Limits::LINUX, &Silent).unwrap();
            *best = best.min(start.elapsed().as_secs_f64());
            assert!(made == new, "the delta yields new");
        }
        best[2] = best[2].min(theirs.apply());
    }
    theirs.stop();
    let [small, fast, theirs] = best.map(|seconds| new.len() as f64 / 1e6 / seconds);
    ([small, fast], theirs)
}

fn pairs(dir: &Path) -> Vec<PathBuf> {
    let is_long = |path: &PathBuf| {
        let len = |name| std::fs::metadata(path.join(name)).map(|file| file.len());
        len("old").is_ok() && len("new").is_ok_and(|len| len >= LEN_MIN)
    };
    let entries = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    let mut pairs: Vec<PathBuf> = entries.filter(is_long).collect();
    pairs.sort();
    pairs
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn main() {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(dir), Some(python)) = (variable("FWDELTA_PAIRS"), variable("FWDELTA_PYTHON")) else {
        println!("run `cargo xtask speed DIR`: it names the pairs and installs the other tool");
        return;
    };
    println!("| pair | new | `small` | `fast` | HDiffPatch | `small` / it | `fast` / it |");
    println!("|---|---|---|---|---|---|---|");
    let mut ratios = [Vec::new(), Vec::new()];
    for pair in pairs(&dir) {
        let (ours, theirs) = measure(&python, &pair);
        let parts = ours.map(|speed| speed / theirs);
        let (name, len) = (pair.file_name().unwrap().to_string_lossy(), pair.join("new"));
        let len = std::fs::metadata(len).unwrap().len() as f64 / 1e6;
        let [small, fast] = ours;
        println!(
            "| {name} | {len:.1} MB | {small:.0} | {fast:.0} | {theirs:.0} | {:.3} | {:.2} |",
            parts[0], parts[1]
        );
        for (all, part) in ratios.iter_mut().zip(parts) {
            all.push(part);
        }
    }
    for ((name, _, promised), parts) in PROFILES.into_iter().zip(ratios) {
        let count = parts.len();
        println!(
            "median of {count}: `{name}` at {:.3} of HDiffPatch, {promised} promised",
            median(parts)
        );
    }
}
