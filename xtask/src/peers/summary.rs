//! What one tool did over all pairs.

use super::catalogue::RIVALS;
use super::records::{Measurements, PairRecord, Sizes};
use super::stats::median;

/// Speed says little where the start of a process is most of the time.
const TIMED_FROM_LEN: u64 = 1_000_000;

pub(crate) struct Summary {
    pub(crate) tool: String,
    pub(crate) version: String,
    pub(crate) is_ours: bool,
    /// Pairs on which it was exact, and on which it ran.
    pub(crate) exact_count: usize,
    pub(crate) run_count: usize,
    /// Geometric mean of its delta's size relative to the best rival's.
    pub(crate) ratio: Option<f64>,
    pub(crate) speed: Option<Speed>,
}

/// Medians over pairs; megabytes are those of new.
pub(crate) struct Speed {
    pub(crate) make_mb_s: f64,
    /// By processor time instead of wall time.
    pub(crate) make_cpu_mb_s: f64,
    /// Peak memory per byte of old and new.
    pub(crate) make_memory: f64,
    pub(crate) apply_mb_s: f64,
    /// The largest, not the median.
    pub(crate) apply_rss_max: u64,
}

/// Whether there is an image large enough to be timed; if not, all are used.
pub(crate) fn has_large(found: &Measurements) -> bool {
    found.pairs.iter().any(|pair| pair.new_len >= TIMED_FROM_LEN)
}

/// Ours first, then the rivals in the order of the catalogue.
pub(crate) fn all(found: &Measurements) -> Vec<Summary> {
    let mut summaries: Vec<Summary> =
        found.tools().into_iter().map(|tool| summary(found, tool)).collect();
    let place = |tool: &str| RIVALS.iter().position(|rival| rival.name == tool);
    summaries.sort_by_key(|summary| (!summary.is_ours, place(&summary.tool)));
    summaries
}

fn summary(found: &Measurements, tool: &str) -> Summary {
    let runs = found.pairs.iter().flat_map(|pair| &pair.runs).filter(|run| run.tool == tool);
    let runs: Vec<_> = runs.collect();
    let timed_from = if has_large(found) { TIMED_FROM_LEN } else { 0 };
    let timed = found.pairs.iter().filter(|pair| pair.new_len >= timed_from);
    let sizes =
        |pair: &'_ PairRecord| pair.runs.iter().find(|run| run.tool == tool)?.sizes().copied();
    let samples: Vec<(&PairRecord, Sizes)> =
        timed.filter_map(|pair| Some((pair, sizes(pair)?))).collect();
    Summary {
        tool: tool.to_owned(),
        version: runs.last().map_or(String::new(), |run| run.version.clone()),
        is_ours: runs.iter().any(|run| run.is_ours),
        exact_count: runs.iter().filter(|run| run.sizes().is_some()).count(),
        run_count: runs.len(),
        ratio: found.mean_ratio(tool, |_| true),
        speed: speed(&samples),
    }
}

fn speed(samples: &[(&PairRecord, Sizes)]) -> Option<Speed> {
    let over = |value: &dyn Fn(&PairRecord, &Sizes) -> f64| {
        median(&samples.iter().map(|(pair, sizes)| value(pair, sizes)).collect::<Vec<_>>())
    };
    // Times are in tenths of milliseconds; none is shorter than one of them.
    let rate = |pair: &PairRecord, seconds: f64| pair.new_len as f64 / 1e6 / seconds.max(1e-4);
    Some(Speed {
        make_mb_s: over(&|pair, sizes| rate(pair, sizes.make.wall_s))?,
        make_cpu_mb_s: over(&|pair, sizes| rate(pair, sizes.make.cpu_s))?,
        make_memory: over(&|pair, sizes| {
            sizes.make.rss_bytes as f64 / (pair.old_len + pair.new_len).max(1) as f64
        })?,
        apply_mb_s: over(&|pair, sizes| rate(pair, sizes.apply.wall_s))?,
        apply_rss_max: samples.iter().map(|(_, sizes)| sizes.apply.rss_bytes).max()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::records::tests::sample;
    use super::*;

    #[test]
    fn speed_is_that_of_large_images() {
        let summaries = all(&sample());
        let names: Vec<_> = summaries.iter().map(|summary| summary.tool.as_str()).collect();
        assert_eq!(names, ["small", "fast", "b", "bsdiff"]);
        let rival = &summaries[2];
        assert_eq!((rival.exact_count, rival.run_count, rival.is_ours), (1, 2, false));
        let speed = rival.speed.as_ref().unwrap();
        assert_eq!((speed.make_mb_s, speed.make_cpu_mb_s), (4.0, 8.0));
        assert_eq!(speed.make_memory, 4.0 / 3.0);
        assert_eq!(speed.apply_rss_max, 4_000_000);
    }

    #[test]
    fn without_large_images_all_are_timed() {
        let mut found = sample();
        found.pairs.remove(0);
        assert!(!has_large(&found));
        assert!(all(&found)[0].speed.is_some());
    }
}
