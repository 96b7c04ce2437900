//! The command line: the only code that prints, reads the environment or touches paths.
//!
//! One file per command. A command returns a `Report`; printing it, as text or with `--json`,
//! and turning errors into exit codes happens here.

mod apply;
mod approve;
mod args;
mod build;
mod completions;
mod confirm;
mod demo;
mod describe;
mod diff;
mod engine;
mod export;
mod gate;
mod geometry;
mod index;
mod input;
mod inspect;
mod journaled;
mod keygen;
mod memory;
mod output;
mod over;
mod patch;
#[cfg(feature = "pkcs11")]
mod pkcs11;
#[cfg(feature = "pkcs11")]
mod pkcs11_uri;
mod plan;
mod preview;
mod progress;
mod provenance;
mod recipients;
mod report;
mod scratch;
mod sign;
mod state;
mod token;
mod trust;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, Result};
use report::Report;

/// Builds, signs, approves, verifies and applies firmware delta packages.
#[derive(Debug, Parser)]
#[command(name = "fwdelta", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object instead of text, for errors too
    #[arg(long, global = true)]
    json: bool,
}

const EXIT_CODES: &str = "\
Exit codes: 0 success, 2 usage, otherwise 10 plus the error number:
11 format, 12 unsupported, 13 limit, 14 signature, 15 policy, 16 wrong old image,
17 corrupt, 18 storage, 19 usage, 20 bug";

#[derive(Debug, Subcommand)]
enum Command {
    Keygen(keygen::Args),
    Diff(diff::Args),
    Patch(patch::Args),
    Build(build::Args),
    Approve(approve::Args),
    Sign(sign::Args),
    Export(export::Args),
    Describe(describe::Args),
    Index(index::Args),
    Plan(plan::Args),
    Trust(trust::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Apply(apply::Args),
    Confirm(confirm::Args),
    Gate(gate::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    Man(completions::ManArgs),
}

/// Parses the arguments, runs the command and gives the exit code.
///
/// 0 is success, 2 a usage error, otherwise 10 plus the error number of docs/format.md.
#[must_use]
pub fn main() -> ExitCode {
    memory::return_what_is_freed();
    let Cli { command, json } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    match run(&command).and_then(|report| report.print(json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::print_error(&error, json);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help, or what is wrong with the arguments; with `--json` that is an object, too.
fn misused(error: &clap::Error) -> ExitCode {
    // There is nobody else to tell.
    let _ = error.print();
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    if error.use_stderr() && std::env::args_os().any(|arg| arg == "--json") {
        let message = error.render().to_string();
        let what = message.trim().trim_start_matches("error: ");
        report::print_error_json(&Error::input("arguments", what), code);
    }
    ExitCode::from(code)
}

fn run(command: &Command) -> Result<Report> {
    match command {
        Command::Keygen(args) => keygen::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Patch(args) => patch::run(args),
        Command::Build(args) => build::run(args),
        Command::Approve(args) => approve::run(args),
        Command::Sign(args) => sign::run(args),
        Command::Export(args) => export::run(args),
        Command::Describe(args) => describe::run(args),
        Command::Index(args) => index::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Trust(args) => trust::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Confirm(args) => confirm::run(args),
        Command::Gate(args) => gate::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => completions::run_man(args),
    }
}
