//! The command line: the only code that prints, reads the environment or touches paths.

mod diff;
mod output;
mod patch;
mod progress;
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;
use report::Report;

/// Builds, signs, approves, verifies and applies firmware delta packages.
#[derive(Debug, Parser)]
#[command(name = "fwdelta", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Diff(diff::Args),
    Patch(patch::Args),
}

/// Parses the arguments, runs the command and gives the exit code.
///
/// 0 is success, 2 a usage error, otherwise 10 plus the error number of docs/format.md.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command, json } = Cli::parse();
    match run(&command) {
        Ok(report) => {
            report.print(json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: &Command) -> Result<Report> {
    match command {
        Command::Diff(args) => diff::run(args),
        Command::Patch(args) => patch::run(args),
    }
}
