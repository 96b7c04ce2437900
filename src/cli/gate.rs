//! `fwdelta gate`: whether a download may be started at all.

use std::path::PathBuf;

use serde_json::json;

use super::args::{self, SimArgs};
use super::output;
use super::report::Report;
use crate::core::format::trust::Trust;
use crate::core::verify::handoff::emit_handoff;
use crate::core::verify::{Sim, gate};
use crate::error::{Error, Result};

/// Say whether a download may be started: what the SIM forbids is refused before it costs anything
///
/// The SIM is asked again when the package is there: it may have been changed, and the operator's
/// approval stands in the package.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta gate --trust trust.toml --ef-fota sim.bin
  fwdelta gate --trust trust.cbor --ef-fota sim.bin --plmn 26201 --write-handoff nvm.bin")]
pub(crate) struct Args {
    /// Whom the device trusts: trust.toml, or a compiled anchor
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    #[command(flatten)]
    sim: SimArgs,
    /// Write the SIM as a record for the update agent, whatever the answer; only its owner can
    /// read it
    #[arg(long, value_name = "FILE")]
    write_handoff: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let inputs = [&args.trust].into_iter().chain(args.sim.files());
    output::apart(args.write_handoff.as_deref(), inputs.map(PathBuf::as_path))?;
    let anchor = args::trust(&args.trust)?;
    let trust = Trust::parse(&anchor)?;
    let sim = args.sim.sim(&trust)?;
    if let Some(path) = &args.write_handoff {
        output::write_private(path, &emit_handoff(&sim))?;
    }
    gate(&trust.policy, &sim).map_err(|error| Error::from(error).about("SIM"))?;
    let (word, plmn) = match sim {
        Sim::Absent => ("no-sim", None),
        Sim::WithoutFota => ("sim-without-ef-fota", None),
        Sim::WithFota { plmn, .. } => ("ef-fota-allows", Some(plmn.to_string())),
    };
    let json = json!({ "may_download": true, "because": word, "plmn": plmn });
    Ok(Report::new(format!("a download may be started: {word}"), json))
}
