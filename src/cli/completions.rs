//! `fwdelta completions` and `fwdelta man`: made from the same description as the parser.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use super::Cli;
use super::report::Report;
use crate::error::{Error, Result};

/// Print a shell's completion script
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fwdelta completions bash > /etc/bash_completion.d/fwdelta")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fwdelta", &mut script);
    text(script, "script")
}

/// Print the manual page
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fwdelta man | man -l -")]
pub(crate) struct ManArgs {}

pub(crate) fn run_man(_: &ManArgs) -> Result<Report> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(Cli::command());
    man.render(&mut page).map_err(|error| Error::input("manual page", error))?;
    text(page, "page")
}

fn text(bytes: Vec<u8>, key: &str) -> Result<Report> {
    let text = String::from_utf8(bytes).map_err(|error| Error::input(key, error))?;
    let json = json!({ key: text });
    Ok(Report::new(text.trim_end(), json))
}
