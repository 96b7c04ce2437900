//! One tool on one pair: make the delta, apply it, compare with new.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::records::{Outcome, Sizes};
use crate::corpus::Pair;
use crate::measure::{self, Cost};

/// An application shorter than this is run three times and the fastest counts: what else the
/// machine did matters most where little time passes.
const REPEAT_BELOW_S: f64 = 1.0;
const REPEATS: usize = 2;

/// What xdelta3 buffers of old by default; less makes larger deltas, even for small images.
const WINDOW_LEN_MIN: u64 = 64 << 20;
/// zstd's limits for `--long`.
const LOG_MIN: u32 = 10;
const LOG_MAX: u32 = 31;

/// Starts a command from its first word.
pub(crate) type Start<'a> = &'a dyn Fn(&str) -> Result<Command, String>;

pub(crate) struct Bench<'a> {
    pub(crate) work: PathBuf,
    pub(crate) timeout: Duration,
    pub(crate) start: Start<'a>,
}

impl Bench<'_> {
    /// Never an error: a tool that fails is a result, too.
    pub(crate) fn run(&self, pair: &Pair, make: &[String], apply: &[String]) -> Outcome {
        match self.try_run(pair, make, apply) {
            Ok(sizes) => Outcome::Exact(sizes),
            Err(message) => Outcome::Failed(message),
        }
    }

    fn try_run(&self, pair: &Pair, make: &[String], apply: &[String]) -> Result<Sizes, String> {
        let make_cost = self.chain(pair, make, &["patch", "mid"])?;
        let bytes = len(&self.file("patch"))?;
        let mut apply_cost = self.chain(pair, apply, &["out", "mid"])?;
        if !same(&self.file("out"), &pair.new)? {
            return Err("the reconstruction is not new".to_owned());
        }
        if apply_cost.wall_s < REPEAT_BELOW_S {
            for _ in 0..REPEATS {
                let again = self.chain(pair, apply, &["out", "mid"])?;
                let is_faster = again.wall_s < apply_cost.wall_s;
                apply_cost = if is_faster { again } else { apply_cost };
            }
        }
        Ok(Sizes { bytes, make: make_cost, apply: apply_cost })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// Runs commands one after the other, with the files named in `results` not there before.
    fn chain(&self, pair: &Pair, lines: &[String], results: &[&str]) -> Result<Cost, String> {
        for name in results {
            let _ = std::fs::remove_file(self.file(name));
        }
        let mut total = Cost::default();
        for line in lines {
            let mut words = line.split(' ');
            let mut command = (self.start)(words.next().unwrap_or_default())?;
            for word in words {
                command.arg(self.replaced(pair, word)?);
            }
            let cost = measure::run(&mut command, self.timeout, &self.file("log"))?;
            total = total.then(cost);
        }
        Ok(total)
    }

    fn replaced(&self, pair: &Pair, word: &str) -> Result<String, String> {
        let mut word = word.to_owned();
        let files = ["patch", "out", "mid"].map(|name| (name, self.file(name)));
        let images = [("old", pair.old.clone()), ("new", pair.new.clone())];
        for (name, path) in images.into_iter().chain(files) {
            word = word.replace(&format!("{{{name}}}"), &path.to_string_lossy());
        }
        if word.contains("{log}") {
            let covered = len(&pair.old)?.max(len(&pair.new)?);
            let log = covered.next_power_of_two().trailing_zeros().clamp(LOG_MIN, LOG_MAX);
            word = word.replace("{log}", &log.to_string());
        }
        if word == "{window}" {
            word = len(&pair.old)?.next_power_of_two().max(WINDOW_LEN_MIN).to_string();
        }
        Ok(word)
    }
}

pub(crate) fn len(path: &Path) -> Result<u64, String> {
    let meta = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(meta.len())
}

/// Compares piece by piece: this process must stay small, see [`Cost::rss_bytes`].
pub(crate) fn same(a: &Path, b: &Path) -> Result<bool, String> {
    if len(a)? != len(b)? {
        return Ok(false);
    }
    let mut equal = true;
    let (mut other, mut buffer) = (open(b)?, [0; 8192]);
    read_all(a, |piece| {
        let part = buffer.get_mut(..piece.len()).unwrap_or_default();
        equal &= other.read_exact(part).is_ok() && part == piece;
    })?;
    Ok(equal)
}

/// FNV-1a over old and new.
pub(crate) fn digest(pair: &Pair) -> Result<String, String> {
    let mut state = 0xcbf2_9ce4_8422_2325u64;
    for path in [&pair.old, &pair.new] {
        read_all(path, |piece| {
            for byte in piece {
                state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        })?;
    }
    Ok(format!("{state:016x}"))
}

fn open(path: &Path) -> Result<BufReader<File>, String> {
    File::open(path).map(BufReader::new).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_all(path: &Path, mut each: impl FnMut(&[u8])) -> Result<(), String> {
    let (mut file, mut buffer) = (open(path)?, [0; 8192]);
    loop {
        let read_len =
            file.read(&mut buffer).map_err(|error| format!("{}: {error}", path.display()))?;
        if read_len == 0 {
            return Ok(());
        }
        each(buffer.get(..read_len).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(test: &str, make: &str, apply: &str) -> Outcome {
        let work =
            std::env::temp_dir().join(format!("fwdelta-bench-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&work).unwrap();
        let (old, new) = (work.join("old"), work.join("new"));
        std::fs::write(&old, [1; 10_000]).unwrap();
        std::fs::write(&new, [2; 9_000]).unwrap();
        let pair = Pair { name: "pair".to_owned(), old, new };
        let start = |word: &str| Ok(Command::new(word));
        let timeout = Duration::from_secs(60);
        let bench = Bench { work: work.clone(), timeout, start: &start };
        let result = bench.run(&pair, &[make.to_owned()], &[apply.to_owned()]);
        std::fs::remove_dir_all(work).unwrap();
        result
    }

    #[test]
    fn a_copy_is_exact() {
        let Outcome::Exact(sizes) = outcome("copy", "cp {new} {patch}", "cp {patch} {out}") else {
            panic!("cp failed");
        };
        assert_eq!(sizes.bytes, 9_000);
    }

    #[test]
    fn what_is_not_new_does_not_count() {
        let wrong = outcome("wrong", "cp {new} {patch}", "cp {old} {out}");
        assert!(matches!(wrong, Outcome::Failed(message) if message.contains("not new")));
        let failed = outcome("failed", "cp {new}", "cp {patch} {out}");
        assert!(matches!(failed, Outcome::Failed(_)));
        let nothing = outcome("nothing", "true {patch}", "cp {patch} {out}");
        assert!(matches!(nothing, Outcome::Failed(_)), "no delta was written");
    }
}
