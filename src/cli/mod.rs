//! The command line: the only code that prints, reads the environment or touches paths.

mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;

/// Builds, signs, approves, verifies and applies firmware delta packages.
#[derive(Debug, Parser)]
#[command(name = "fwdelta", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {}

/// Parses the arguments, runs the command and gives the exit code.
///
/// 0 is success, 2 a usage error, otherwise 10 plus the error number of docs/format.md.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.command {}
}
