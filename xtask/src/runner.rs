//! Runs steps one after the other, times them and sums them up; nothing is swallowed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How a step ended without failing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Passed,
    /// It could not run here; the reason is printed twice.
    Skipped(String),
}

/// What a step gives back; an error is a sentence for people.
pub(crate) type StepResult = Result<Done, String>;

#[derive(Debug)]
struct Record {
    name: String,
    result: StepResult,
    time: Duration,
}

/// The steps so far. A failed step does not stop the next: one run shows everything.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    records: Vec<Record>,
}

impl Runner {
    /// Runs and times one step.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> StepResult) {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = work();
        let time = start.elapsed();
        println!("=== {name}: {} in {:.1} s", describe(&result), time.as_secs_f64());
        self.records.push(Record { name: name.to_owned(), result, time });
    }

    /// What all steps so far have taken.
    pub(crate) fn time(&self) -> Duration {
        self.records.iter().map(|record| record.time).sum()
    }

    /// Notes a step that cannot run here.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        self.step(name, || Ok(Done::Skipped(reason.to_owned())));
    }

    /// Prints the summary and gives the exit code.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n=== summary");
        for Record { name, result, time } in &self.records {
            println!("{:>8.1} s  {name}: {}", time.as_secs_f64(), describe(result));
        }
        let failed = self.records.iter().filter(|record| record.result.is_err()).count();
        let skipped = self
            .records
            .iter()
            .filter(|record| matches!(record.result, Ok(Done::Skipped(_))))
            .count();
        let passed = self.records.len() - failed - skipped;
        println!(
            "{:>8.1} s  {passed} passed, {failed} failed, {skipped} SKIPPED",
            self.time().as_secs_f64()
        );
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn describe(result: &StepResult) -> String {
    match result {
        Ok(Done::Passed) => "ok".to_owned(),
        Ok(Done::Skipped(reason)) => format!("SKIPPED: {reason}"),
        Err(message) => format!("FAILED: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_run_and_a_skip_does_not() {
        let mut runner = Runner::default();
        runner.step("a", || Ok(Done::Passed));
        runner.skip("b", "no network");
        assert_eq!(runner.records[1].result, Ok(Done::Skipped("no network".to_owned())));
        assert_eq!(runner.time(), runner.records[0].time + runner.records[1].time);
        assert_eq!(format!("{:?}", runner.finish()), format!("{:?}", ExitCode::SUCCESS));
        let mut runner = Runner::default();
        runner.step("a", || Err("broken".to_owned()));
        runner.step("b", || Ok(Done::Passed));
        assert_eq!(runner.records.len(), 2, "a failed step must not stop the next");
        assert_eq!(format!("{:?}", runner.finish()), format!("{:?}", ExitCode::FAILURE));
    }
}
