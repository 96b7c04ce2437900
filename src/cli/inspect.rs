//! `fwdelta inspect`: what a package says.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::output;
use super::report::Report;
use crate::error::{Error, Result};
use crate::package::inspect::{Description, describe};

/// Show what a package contains; nothing is verified
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fwdelta inspect approved.suit --json")]
pub(crate) struct Args {
    /// The package
    package: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let package = output::read(&args.package)?;
    let description = describe(&package).map_err(|error| error.about(args.package.display()))?;
    let json = serde_json::to_value(&description)
        .map_err(|error| Error::input(args.package.display(), error))?;
    Ok(Report::new(text(&description), json))
}

fn text(d: &Description) -> String {
    let mut text = format!(
        "sequence {}, version {}, {} bytes ({} without payloads)\nvendor {}  class {}",
        d.sequence,
        d.version.as_deref().unwrap_or("not stated"),
        d.len,
        d.envelope_len,
        d.vendor_id,
        d.class_id
    );
    // INVARIANT: writing to a string cannot fail.
    let mut line = |line: String| writeln!(text, "\n{line}").unwrap_or_default();
    for component in &d.components {
        let old = component.old.as_ref().map_or("full image".to_owned(), |old| {
            format!("from {} bytes, sha256 {}", old.len, old.sha256)
        });
        line(format!(
            "component {}: {} bytes, {}\n  {old}\n  to   {} bytes, sha256 {}\n  \
             needs {} bytes of memory",
            component.name,
            component.payload.len,
            component.coder,
            component.new.len,
            component.new.sha256,
            component.workspace_len
        ));
    }
    for block in &d.blocks {
        let who = match (&block.plmn, block.mode) {
            (Some(plmn), Some(mode)) => format!("operator {plmn}, mode {mode}"),
            _ => "vendor".to_owned(),
        };
        let key = block.kid.as_deref().unwrap_or("none");
        let string = if block.has_string { ", with string" } else { "" };
        line(format!("signed by {who}: key {key}, {} bytes{string}", block.len));
    }
    match &d.required_operators {
        None => line("no operator approval required by the vendor".to_owned()),
        Some(list) if list.is_empty() => line("any operator's approval required".to_owned()),
        Some(list) => line(format!("approval required by one of {}", list.join(", "))),
    }
    line(format!("languages: {}", d.prompt_languages.join(", ")));
    while text.contains("\n\n") {
        text = text.replace("\n\n", "\n");
    }
    text.trim_end().to_owned()
}
