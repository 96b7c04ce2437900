//! `fwdelta confirm`: the last update has proved itself.

use std::path::PathBuf;

use serde_json::json;

use super::report::{Report, states};
use super::state::{State, WaysBack};
use crate::core::verify::stages::Stage;
use crate::error::{Error, Result};

/// Confirm the update that was applied with --unconfirmed: from now on it cannot be undone
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fwdelta confirm --state state.json")]
pub(super) struct Args {
    /// The device's state
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Report> {
    let path = &args.state;
    let stored = State::read(path)?;
    let pending = stored
        .pending
        .ok_or_else(|| Error::input(path.display(), "no update waits for its confirmation"))?;
    let sequence = pending.sequence;
    stored.after(sequence, None).prepare(path)?.commit()?;
    WaysBack::beside(path).forget()?;
    let text = format!("{}: update {sequence} is confirmed", path.display());
    let json = json!({ "sequence": sequence, "states": states(Stage::DoneKept) });
    Ok(Report::new(text, json))
}
