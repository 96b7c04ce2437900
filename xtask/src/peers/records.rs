//! Measurements as they are kept: written after every pair, read again to go on.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::stats::geometric_mean;
use crate::measure::Cost;

/// A whole run of `cargo xtask peers`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurements {
    pub(crate) machine: Machine,
    /// Seconds after which a run was given up.
    pub(crate) timeout_s: u64,
    pub(crate) pairs: Vec<PairRecord>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairRecord {
    pub(crate) name: String,
    pub(crate) old_len: u64,
    pub(crate) new_len: u64,
    /// Of old and new; not cryptographic, it only notices files that were exchanged.
    pub(crate) digest: String,
    pub(crate) runs: Vec<Run>,
}

/// One tool on one pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) tool: String,
    pub(crate) is_ours: bool,
    pub(crate) version: String,
    /// The commands, with names in braces for files.
    pub(crate) settings: Vec<String>,
    /// What came of it; the reason if nothing did.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// A delta counts only if it gave the new image, byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Exact(Sizes),
    Failed(String),
}

impl Default for Outcome {
    fn default() -> Self {
        Self::Failed("not run".to_owned())
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sizes {
    pub(crate) bytes: u64,
    pub(crate) make: Cost,
    pub(crate) apply: Cost,
}

impl Run {
    pub(crate) fn sizes(&self) -> Option<&Sizes> {
        match &self.outcome {
            Outcome::Exact(sizes) => Some(sizes),
            Outcome::Failed(_) => None,
        }
    }
}

impl PairRecord {
    pub(crate) fn bytes_of(&self, tool: &str) -> Option<u64> {
        let run = self.runs.iter().find(|run| run.tool == tool)?;
        run.sizes().map(|sizes| sizes.bytes)
    }

    /// The rival with the smallest exact delta; by name among equals.
    pub(crate) fn best_rival(&self) -> Option<(&str, u64)> {
        let rivals = self.runs.iter().filter(|run| !run.is_ours);
        let sizes = rivals.filter_map(|run| Some((run.tool.as_str(), run.sizes()?.bytes)));
        sizes.min_by_key(|(name, bytes)| (*bytes, *name))
    }

    /// The tool's delta relative to the best rival's.
    pub(crate) fn ratio(&self, tool: &str) -> Option<f64> {
        let (_, best) = self.best_rival()?;
        Some(self.bytes_of(tool)? as f64 / best as f64)
    }
}

impl Measurements {
    /// An empty one if the file is not there.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let message = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(message)?;
        std::fs::write(path, text + "\n").map_err(message)
    }

    /// With more time they may succeed.
    pub(crate) fn forget_failures(&mut self) {
        for pair in &mut self.pairs {
            pair.runs.retain(|run| run.sizes().is_some());
        }
    }

    /// Tools in the order of their first run.
    pub(crate) fn tools(&self) -> Vec<&str> {
        let mut tools: Vec<&str> = Vec::new();
        for run in self.pairs.iter().flat_map(|pair| &pair.runs) {
            if !tools.contains(&run.tool.as_str()) {
                tools.push(&run.tool);
            }
        }
        tools
    }

    pub(crate) fn is_ours(&self, tool: &str) -> bool {
        self.pairs.iter().flat_map(|pair| &pair.runs).any(|run| run.tool == tool && run.is_ours)
    }

    /// Of the tool's ratio to the best rival, over the pairs that `wanted` names.
    pub(crate) fn mean_ratio(&self, tool: &str, wanted: impl Fn(&str) -> bool) -> Option<f64> {
        let pairs = self.pairs.iter().filter(|pair| wanted(&pair.name));
        geometric_mean(&pairs.filter_map(|pair| pair.ratio(tool)).collect::<Vec<_>>())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn run(tool: &str, is_ours: bool, bytes: Option<u64>) -> Run {
        let cost = Cost { wall_s: 0.5, cpu_s: 0.25, rss_bytes: 4_000_000 };
        let outcome = match bytes {
            Some(bytes) => Outcome::Exact(Sizes { bytes, make: cost, apply: cost }),
            None => Outcome::Failed("no result after 1 s".to_owned()),
        };
        Run { tool: tool.to_owned(), is_ours, outcome, ..Run::default() }
    }

    /// Two pairs; the rival `b` failed on the second.
    pub(crate) fn sample() -> Measurements {
        let pair = |name: &str, new_len, runs| PairRecord {
            name: name.to_owned(),
            old_len: 1_000_000,
            new_len,
            runs,
            ..PairRecord::default()
        };
        let first = vec![
            run("small", true, Some(500)),
            run("fast", true, Some(800)),
            run("bsdiff", false, Some(2000)),
            run("b", false, Some(1000)),
        ];
        let second = vec![
            run("small", true, Some(2000)),
            run("fast", true, Some(1500)),
            run("bsdiff", false, Some(1000)),
            run("b", false, None),
        ];
        Measurements {
            pairs: vec![
                pair("mcu_one_small", 2_000_000, first),
                pair("exe_two_large", 2_000, second),
            ],
            ..Measurements::default()
        }
    }

    #[test]
    fn the_best_rival_is_exact_and_not_ours() {
        let pairs = sample().pairs;
        assert_eq!(pairs[0].best_rival(), Some(("b", 1000)));
        assert_eq!(pairs[1].best_rival(), Some(("bsdiff", 1000)));
        assert_eq!(pairs[1].bytes_of("b"), None);
        assert_eq!(pairs[0].ratio("small"), Some(0.5));
    }

    #[test]
    fn means_are_over_the_pairs_asked_for() {
        let all = sample();
        assert_eq!(all.mean_ratio("small", |name| name.ends_with("_large")), Some(2.0));
        assert!((all.mean_ratio("small", |_| true).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(all.mean_ratio("none", |_| true), None);
        assert_eq!(all.tools(), ["small", "fast", "bsdiff", "b"]);
        assert!(all.is_ours("fast") && !all.is_ours("b"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = serde_json::to_string(&sample()).unwrap();
        assert_eq!(serde_json::from_str::<Measurements>(&text).unwrap(), sample());
    }
}
