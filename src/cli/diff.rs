//! `fwdelta diff`: two images in, a stand-alone delta out.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::engine::Engine;
use super::input::{Frugal, Input};
use super::output::{self, Beside};
use super::progress::Bar;
use super::report::Report;
use crate::core::Detail;
use crate::core::hash::sha256;
use crate::diff::{self, Delta, Place, bsdiff40};
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::matching::MatchOptions;

/// Makes a delta that turns OLD into NEW.
///
/// The delta is applied and its result compared with NEW before it is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    fwdelta diff v1.bin v2.bin v1-v2.fwd --profile small")]
pub(super) struct Args {
    /// Image the devices have; an empty file makes a full image.
    old: PathBuf,
    /// Image the devices shall have.
    new: PathBuf,
    /// Delta file to write.
    delta: PathBuf,
    #[command(flatten)]
    engine: Engine,
    /// Write the way back as well: a delta that turns NEW into OLD
    #[arg(long, value_name = "FILE")]
    reverse: Option<PathBuf>,
    /// File format; bsdiff40 is what `bspatch` applies and has no digests and no profile.
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// This project's format, see docs/format.md.
    #[default]
    Fwdelta,
    /// Classic BSDIFF40.
    Bsdiff40,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Report> {
    let outputs = [Some(args.delta.as_path()), args.reverse.as_deref()];
    let inputs = [Some(args.old.as_path()), Some(&args.new), args.engine.geometry()];
    output::apart(outputs.into_iter().flatten(), inputs.into_iter().flatten())?;
    let (old, new) = (Input::open(&args.old)?, Input::open(&args.new)?);
    let bar = Bar::new();
    let (file, back, details) = match args.format {
        FormatName::Fwdelta => native(args, &old, &new, &bar)?,
        FormatName::Bsdiff40 => {
            if args.reverse.is_some() || args.engine.is_for_device() {
                let what = "BSDIFF40 has no profile, no limit of memory, no way back and is not \
                            applied in place; leave such options out, or take format fwdelta";
                return Err(Error::input("--format", what));
            }
            let file = bsdiff40::create(&old, &new, args.engine.threads(), &bar)?;
            (file, None, json!({ "format": "bsdiff40" }))
        }
    };
    drop(bar);
    let back = args.reverse.as_deref().zip(back.as_deref());
    let all = [Some((args.delta.as_path(), file.as_slice())), back].into_iter().flatten();
    let written = all.map(|(path, bytes)| Beside::holding(path, bytes)).collect::<Result<_>>()?;
    Beside::commit_all(written)?;
    Ok(report(args, old.len(), new.len(), file.len(), details))
}

/// The delta, that of the way back, and what is to be said of them.
type Made = (Vec<u8>, Option<Vec<u8>>, Value);

fn native(args: &Args, old: &Input, new: &Input, bar: &Bar) -> Result<Made> {
    let bar = &Frugal { progress: bar, inputs: [old, new] };
    let (old, new): (&[u8], &[u8]) = (old, new);
    let options = args.engine.options()?;
    let delta = diff::create(old, new, &options, bar)?;
    let matching = MatchOptions { memory_max: options.memory_max, ..MatchOptions::default() };
    let (old_len, new_len) = (old.len() as u64, new.len() as u64);
    let header = &delta.header;
    let mut details = json!({
        "format": "fwdelta",
        "profile": args.engine.profile().to_possible_value().map(|name| name.get_name().to_owned()),
        "coder": header.coder.name(),
        "old_sha256": header.old.map(|old| hex(&old.digest)),
        "new_sha256": hex(&header.new.digest),
        "payload_len": header.payload_len,
        "workspace_len": header.workspace_len,
        "matching_memory_max": matching.memory_bound(old_len, new_len),
        "memory_max": options.memory_bound(old_len, new_len),
    });
    let mut back = None;
    if args.reverse.is_some() {
        let mut delta_back = diff::create(new, old, &options, bar)?;
        delta_back.header.undoes = Some(sha256(&delta.header_bytes()));
        let file = back.insert(delta_back.to_file());
        details["reverse_len"] = file.len().into();
    }
    if let Some(place) = &options.in_place {
        details["in_place"] = in_place(&delta, place, old, new)?;
    }
    Ok((delta.to_file(), back, details))
}

/// What applying takes besides the slot.
fn in_place(delta: &Delta, place: &Place, old: &[u8], new: &[u8]) -> Result<Value> {
    let footprint = diff::footprint(&delta.header, place, old, new)?;
    let parameters = delta.header.in_place.ok_or(Detail::BadArgument)?;
    let wear = diff::wear(old, delta, place)?;
    let first = parameters.first.runs().iter().map(|run| json!([run.len, run.count]));
    Ok(json!({
        "page_len": parameters.page_len,
        "first_pages": first.collect::<Vec<_>>(),
        "pages": parameters.pages(delta.header.new.len).count(),
        "spare_pages": parameters.spare_count,
        "interval": parameters.interval,
        "is_ascending": parameters.check.is_none(),
        "rewritten_pages": footprint.rewritten_count,
        "checkpoint_pages": footprint.checkpoint_pages,
        "state_len": footprint.state_len,
        "scratch_len": footprint.scratch_len,
        "slot_erases_max": wear.slot_max,
        "spare_erases_max": wear.spare_max,
        "checkpoint_erases_max": wear.area_max,
        "erases": wear.total,
    }))
}

fn report(
    args: &Args,
    old_len: usize,
    new_len: usize,
    delta_len: usize,
    mut details: Value,
) -> Report {
    let percent = 100.0 * delta_len as f64 / new_len.max(1) as f64;
    let memory = details["workspace_len"].as_u64();
    let memory = memory.map_or(String::new(), |len| format!("; {len} bytes of memory to apply"));
    let text = format!(
        "{}: {delta_len} bytes, {percent:.1} % of new (old {old_len}, new {new_len} bytes){memory}",
        args.delta.display(),
    );
    let mut text = text;
    if old_len > 0 && details["old_sha256"].is_null() && details["format"] == "fwdelta" {
        text.push_str("\nnothing of the old image is of use: a full image, which needs none");
    }
    if let Some(it) = details.get("in_place") {
        let number = |name: &str| it[name].as_u64().unwrap_or(0);
        text.push_str(&format!(
            "\nin place: {} of {} pages rewritten, each erased {} times, {} spare pages at most \
             {} times and {} for checkpoints at most {} times; a checkpoint every {} pages, {} \
             bytes of state",
            number("rewritten_pages"),
            number("pages"),
            number("slot_erases_max"),
            number("spare_pages"),
            number("spare_erases_max"),
            number("checkpoint_pages"),
            number("checkpoint_erases_max"),
            number("interval"),
            number("state_len"),
        ));
    }
    for (name, len) in [("old_len", old_len), ("new_len", new_len), ("delta_len", delta_len)] {
        details[name] = len.into();
    }
    Report::new(text, details)
}
