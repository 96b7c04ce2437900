//! How fast deltas are applied, beside HDiffPatch in the same run.

use std::path::Path;

use crate::python;
use crate::runner::{Done, Runner};
use crate::tool::{cargo, root, run};

/// Measures every pair of `dir` whose new image has 1 MB or more: a table, and medians.
pub(crate) fn all(runner: &mut Runner, dir: &Path) {
    runner.step("speed of applying", || {
        let python = python::with_modules(&["hdiffpatch"])?;
        let mut bench = cargo("bench --bench apply");
        bench.env("FWDELTA_PAIRS", root().join(dir)).env("FWDELTA_PYTHON", python);
        run(&mut bench).map(|()| Done::Passed)
    });
}
