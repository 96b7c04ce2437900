//! `fwdelta patch`: an old image and a stand-alone delta in, the new image out.

use std::fs::File;
use std::path::PathBuf;

use fwdelta_core::apply::verify_old;
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::{Detail, Limits};
use serde_json::json;

use super::output::{self, Beside};
use super::progress::Bar;
use super::report::Report;
use crate::diff::{self, FileSource, FileTarget, bsdiff40};
use crate::error::{Error, Result};
use crate::hex::hex;

/// Bytes of old hashed at a time.
const PIECE_LEN: usize = 1 << 16;

/// Applies a delta to OLD and writes NEW.
///
/// NEW appears whole or not at all. A wrong OLD gives exit code 16, a damaged DELTA 17 or 11.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fwdelta patch v1.bin v1-v2.fwd v2.bin")]
pub(super) struct Args {
    /// Image the delta starts from; not used when the delta holds a full image.
    old: PathBuf,
    /// Delta file, in this project's format or BSDIFF40.
    delta: PathBuf,
    /// Image to write.
    new: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Report> {
    let delta = output::read(&args.delta)?;
    let mut new = Beside::create(&args.new)?;
    let bar = Bar::new();
    let report = if bsdiff40::is_bsdiff40(&delta) {
        classic(args, &delta, &mut new, &bar)?
    } else {
        native(args, &delta, &mut new, &bar)?
    };
    drop(bar);
    new.commit()?;
    Ok(report)
}

fn native(args: &Args, delta: &[u8], new: &mut Beside, bar: &Bar) -> Result<Report> {
    let about_delta = |error: Error| error.about(args.delta.display());
    let (header, payload) = diff::parse_file(delta).map_err(about_delta)?;
    let limits = Limits::LINUX;
    header.check(&limits).map_err(|error| about_delta(error.into()))?;
    let (mut old, old_len) = open_old(args)?;
    check_old(args, &header, &mut old, old_len)?;
    let target = &mut FileTarget(new.file());
    let verified = diff::apply_to(&mut old, &header, payload, target, &limits, bar);
    let new_image = verified.map_err(about_delta)?.new_image();
    let (path, delta_len, new_len) = (args.new.display(), delta.len(), new_image.len);
    let text = format!("{path}: {new_len} bytes; digests of old and new verified");
    let json = json!({
        "format": "fwdelta",
        "coder": header.coder.name(),
        "old_len": old_len,
        "old_sha256": header.old.map(|old| hex(&old.digest)),
        "new_len": new_len,
        "new_sha256": hex(&new_image.digest),
        "delta_len": delta_len,
        "workspace_len": header.workspace_len,
        "verified": true,
    });
    Ok(Report::new(text, json))
}

fn check_old(args: &Args, header: &DeltaHeader, old: &mut FileSource, old_len: u64) -> Result<()> {
    let wrong = |error: Error| {
        let error = error.about(args.old.display());
        error.remedy("give the image that the delta was made from")
    };
    match &header.old {
        Some(id) if id.len != old_len => Err(wrong(Detail::OldSize.into())),
        _ => verify_old(header, old, &mut [0; PIECE_LEN]).map_err(|error| wrong(error.into())),
    }
}

fn classic(args: &Args, delta: &[u8], new: &mut Beside, bar: &Bar) -> Result<Report> {
    let (mut old, old_len) = open_old(args)?;
    let target = &mut FileTarget(new.file());
    let new_len = bsdiff40::apply(&mut old, old_len, delta, target, &Limits::LINUX, bar)
        .map_err(|error| error.about(args.delta.display()))?;
    let path = args.new.display();
    let text = format!("{path}: {new_len} bytes; BSDIFF40 has no digests: nothing verified");
    let json = json!({
        "format": "bsdiff40",
        "old_len": old_len,
        "new_len": new_len,
        "delta_len": delta.len(),
        "verified": false,
    });
    Ok(Report::new(text, json))
}

fn open_old(args: &Args) -> Result<(FileSource, u64)> {
    let failed = |error| Error::io("read", &args.old, error);
    let file = File::open(&args.old).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    Ok((FileSource(file), len))
}
