//! Runs one program and says how long it took and how much memory it had at most.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wait4::{ResUse, Wait4};

/// The shortest and the longest time between two looks at a child.
const POLL_MIN: Duration = Duration::from_micros(100);
const POLL_MAX: Duration = Duration::from_millis(20);

/// What a run cost. Start of the process included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    /// User and system time of all threads.
    pub(crate) cpu_s: f64,
    /// Largest resident set, bytes. A child starts as a copy of this process, so nothing below its
    /// own few megabytes can be seen; that is why files are never read into memory here.
    pub(crate) rss_bytes: u64,
}

impl Cost {
    /// One program after the other: times add up, memory does not.
    pub(crate) fn then(self, next: Self) -> Self {
        Self {
            wall_s: self.wall_s + next.wall_s,
            cpu_s: self.cpu_s + next.cpu_s,
            rss_bytes: self.rss_bytes.max(next.rss_bytes),
        }
    }
}

/// Runs `command`; what it prints goes to the file `log`. After `timeout` it is killed, it alone.
pub(crate) fn run(command: &mut Command, timeout: Duration, log: &Path) -> Result<Cost, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let err = out.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
    let used = loop {
        let elapsed = start.elapsed();
        match child.try_wait4().map_err(|error| format!("{name}: {error}"))? {
            Some(used) => break used,
            None if elapsed > timeout => {
                child.kill().map_err(|error| format!("{name}: {error}"))?;
                child.wait().map_err(|error| format!("{name}: {error}"))?;
                return Err(format!("no result after {} s", timeout.as_secs()));
            }
            // A hundredth of the time so far: the error stays below one per cent.
            None => std::thread::sleep((elapsed / 100).clamp(POLL_MIN, POLL_MAX)),
        }
    };
    let cost = cost(start.elapsed(), &used);
    if used.status.success() {
        return Ok(cost);
    }
    Err(format!("{}: {}", used.status, last_line(log)))
}

fn cost(wall: Duration, used: &ResUse) -> Cost {
    let cpu = used.rusage.utime + used.rusage.stime;
    Cost { wall_s: rounded(wall), cpu_s: rounded(cpu), rss_bytes: used.rusage.maxrss }
}

/// Tenths of a millisecond: more digits would be noise.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10_000.0
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<Cost, String> {
        let dir = std::env::temp_dir();
        let log = dir.join(format!("fwdelta-measure-{}-{}", std::process::id(), script.len()));
        let result = run(Command::new("sh").args(["-c", script]), timeout, &log);
        let _ = std::fs::remove_file(log);
        result
    }

    #[test]
    fn a_run_has_time_and_memory() {
        let cost = shell("exit 0", Duration::from_secs(60)).unwrap();
        assert!(cost.wall_s > 0.0 && cost.rss_bytes > 100_000, "{cost:?}");
    }

    #[test]
    fn failure_and_timeout_are_told_apart() {
        let failed = shell("echo because >&2; exit 3", Duration::from_secs(60)).unwrap_err();
        assert!(failed.contains("because") && failed.contains('3'), "{failed}");
        let late = shell("exec sleep 60", Duration::ZERO).unwrap_err();
        assert!(late.contains("no result"), "{late}");
    }

    #[test]
    fn memory_is_the_largest_of_a_chain() {
        let first = Cost { wall_s: 1.0, cpu_s: 2.0, rss_bytes: 7 };
        let sum = first.then(Cost { wall_s: 0.5, cpu_s: 0.5, rss_bytes: 5 });
        assert_eq!(sum, Cost { wall_s: 1.5, cpu_s: 2.5, rss_bytes: 7 });
    }
}
