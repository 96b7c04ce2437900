//! `fwdelta plan`: the cheapest chain of updates for a device.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::report::Report;
use super::{args, output};
use crate::core::Detail;
use crate::core::format::trust::Trust;
use crate::core::verify::Ed25519;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::ALGORITHMS;
use crate::plan::{Device, Found, INDEX_LEN_MAX, Image, Index, Opened, Plan, Reason, open, plan};

/// Rejected packages listed where there is no chain; `--json` and a plan list all.
const SHOWN_MAX: usize = 32;

/// Name the cheapest chain of updates for a device, and why every other package is not in it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta plan --device device.json --index index.suit --trust trust.toml
  fwdelta plan --device device.json --index index.suit --to 2.1.0 --json")]
pub(crate) struct Args {
    /// What the device runs and has room for (docs/format-index.md)
    #[arg(long, value_name = "FILE")]
    device: PathBuf,
    /// The index
    #[arg(long, value_name = "FILE")]
    index: PathBuf,
    /// Verify the index with this trust file; without it only its digests are checked
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Version to lead to [default: the last release for the device]
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let device = Device::parse(&args::text(&args.device)?, &args.device.display().to_string())?;
    let opened = opened(args)?;
    check_device(&opened, &device, args)?;
    let found = plan(&opened.index, &device, args.to.as_deref())
        .map_err(|error| error.about(args.index.display()))?;
    let Some(chain) = &found.chain else {
        return Err(no_chain(args, &opened.index, &found));
    };
    let mut text = text(&opened.index, &found, chain);
    let is_verified = args.trust.is_some();
    if !is_verified {
        text += "\nthe index is not verified: give --trust";
    }
    let json = json!({
        "goal": goal(&found),
        "cost": chain.cost,
        "chain": chain_json(&opened.index, chain),
        "rejected": rejected(&opened.index, &found),
        "index_sequence": opened.sequence,
        "next_url": opened.index.next_url,
        "verified": is_verified,
    });
    Ok(Report::new(text, json))
}

fn opened(args: &Args) -> Result<Opened> {
    let about = |error: Error| error.about(args.index.display());
    let bytes = output::read_at_most(&args.index, INDEX_LEN_MAX)?;
    let Some(path) = &args.trust else {
        return open(&bytes, None::<(&Trust<'_>, &Ed25519)>).map_err(about);
    };
    let anchor = args::trust(path)?;
    let trust = Trust::parse(&anchor)?;
    open(&bytes, Some((&trust, &ALGORITHMS))).map_err(about)
}

fn check_device(opened: &Opened, device: &Device, args: &Args) -> Result<()> {
    let is = |id: Option<uuid::Uuid>, other: [u8; 16]| id.is_none_or(|id| id.into_bytes() == other);
    let detail = if !is(device.vendor_id, opened.vendor_id) {
        Detail::WrongVendor
    } else if !is(device.class_id, opened.class_id) {
        Detail::WrongClass
    } else if opened.sequence < device.index_sequence {
        Detail::Rollback
    } else {
        return Ok(());
    };
    Err(Error::from(detail).about(args.index.display()))
}

fn goal(found: &Plan) -> Value {
    let goal = found.goal.iter().map(|(name, version)| (name.clone(), version.as_str().into()));
    Value::Object(goal.collect())
}

fn version(image: &Image) -> String {
    if image.version.is_empty() {
        return hex(&image.digest).chars().take(8).collect();
    }
    image.version.clone()
}

fn text(index: &Index, found: &Plan, chain: &Found) -> String {
    let goal: Vec<_> =
        found.goal.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut lines = vec![match chain.steps.len() {
        0 => format!("nothing to do: the device has {}", goal.join(", ")),
        count => format!("{count} packages, {} bytes, to {}", chain.cost, goal.join(", ")),
    }];
    let file = |at: usize| index.entries.get(at).map_or("", |entry| &entry.file);
    for (place, step) in (1..).zip(&chain.steps) {
        let Some(entry) = index.entries.get(step.entry) else { continue };
        lines.push(format!("{place}. {} ({} bytes)", entry.file, entry.size));
        for part in &entry.parts {
            let old = part.old.as_ref().map_or("anything".to_owned(), version);
            lines.push(format!("   {} from {old} to {}", part.name, version(&part.new)));
        }
        let back = |at: Option<usize>| at.map_or("none", file);
        lines.push(format!("   rollback: {}", back(step.rollback)));
        lines.push(format!("   restore: {}", back(step.restore)));
        lines.extend(entry.next_url.iter().map(|url| format!("   then: {url}")));
    }
    lines.extend(index.next_url.iter().map(|url| format!("next index: {url}")));
    let rejected = found.rejected.iter();
    lines.extend(rejected.map(|(at, reason)| format!("not {}: {reason}", file(*at))));
    lines.join("\n")
}

fn chain_json(index: &Index, chain: &Found) -> Vec<Value> {
    let file = |at: Option<usize>| at.and_then(|at| index.entries.get(at)).map(|e| &e.file);
    let step = |step: &crate::plan::Step| {
        let entry = index.entries.get(step.entry)?;
        let parts = entry.parts.iter().map(|part| {
            json!({
                "component": part.name,
                "old": part.old.as_ref().map(image),
                "new": image(&part.new),
                "workspace_len": part.workspace_len,
            })
        });
        Some(json!({
            "file": entry.file,
            "size": entry.size,
            "sha256": hex(&entry.digest),
            "sequence": entry.sequence,
            "parts": parts.collect::<Vec<_>>(),
            "rollback": file(step.rollback),
            "restore": file(step.restore),
            "next_url": entry.next_url,
        }))
    };
    chain.steps.iter().filter_map(step).collect()
}

fn image(image: &Image) -> Value {
    json!({ "version": image.version, "len": image.len, "sha256": hex(&image.digest) })
}

fn rejected(index: &Index, found: &Plan) -> Vec<Value> {
    let one = |(at, reason): &(usize, Reason)| {
        let mut value = serde_json::to_value(reason).unwrap_or_default();
        value["text"] = reason.to_string().into();
        value["file"] = index.entries.get(*at).map_or("", |entry| &entry.file).into();
        value
    };
    found.rejected.iter().map(one).collect()
}

/// There is no way: every package says why.
fn no_chain(args: &Args, index: &Index, found: &Plan) -> Error {
    let goal: Vec<_> =
        found.goal.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut message = format!("no chain leads this device to {}:", goal.join(", "));
    for (at, reason) in found.rejected.iter().take(SHOWN_MAX) {
        let file = index.entries.get(*at).map_or("", |entry| &entry.file);
        message += &format!("\n  not {file}: {reason}");
    }
    let more = found.rejected.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        message += &format!("\n  and {more} more");
    }
    Error::Input { subject: args.index.display().to_string(), message, detail: Detail::OldDigest }
}
