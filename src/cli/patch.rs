//! `fwdelta patch`: an old image and a stand-alone delta in, the new image out.

use std::fs::File;
use std::path::{Path, PathBuf};

use fwdelta_core::apply::in_place::{Areas, Binding, Flash};
use fwdelta_core::apply::{Applier, verify_old};
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::{Detail, Limits};
use serde_json::json;

use super::output::{self, Beside};
use super::progress::Bar;
use super::report::Report;
use crate::diff::{self, FileFlash, FileSource, FileTarget, bsdiff40};
use crate::error::{Error, Result};
use crate::hex::hex;

/// Bytes of old hashed at a time.
const PIECE_LEN: usize = 1 << 16;

/// Applies a delta to OLD and writes NEW.
///
/// NEW appears whole or not at all. A wrong OLD gives exit code 16, a damaged DELTA 17 or 11.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fwdelta patch v1.bin v1-v2.fwd v2.bin\n  \
    fwdelta patch --in-place image.bin v1-v2.fwd --journal image.journal")]
pub(super) struct Args {
    /// Image the delta starts from; not used when the delta holds a full image.
    old: PathBuf,
    /// Delta file, in this project's format or BSDIFF40.
    delta: PathBuf,
    /// Image to write.
    #[arg(required_unless_present = "in_place")]
    new: Option<PathBuf>,
    /// Write new over OLD; after a power cut or a kill, the same command goes on
    #[arg(long, conflicts_with = "new", requires = "journal")]
    in_place: bool,
    /// File for checkpoints and old pages meanwhile; it is removed in the end
    #[arg(long, value_name = "FILE", requires = "in_place")]
    journal: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Report> {
    let delta = output::read(&args.delta)?;
    if let Some(journal) = &args.journal {
        return over_old(args, &delta, journal);
    }
    let mut new = Beside::create(new_path(args)?)?;
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
    let (path, delta_len, new_len) = (new_path(args)?.display(), delta.len(), new_image.len);
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

/// Rewrites OLD, or goes on with it.
fn over_old(args: &Args, delta: &[u8], journal: &Path) -> Result<Report> {
    let about_delta = |error: Error| error.about(args.delta.display());
    let (header, mut payload) = diff::parse_file(delta).map_err(about_delta)?;
    let in_place = header.in_place.ok_or_else(|| {
        let what = "the delta is not made to be applied in place";
        Error::input(args.delta.display(), what).remedy("make it with --in-place")
    })?;
    let pages = in_place.pages(header.new.len);
    let mut work = vec![0; Applier::workspace(&header).map_err(Error::from)? as usize];
    let areas = Areas::of(&header, 1, &mut work).map_err(Error::from)?;
    let longest = header.old.map_or(0, |old| old.len).max(pages.count() * pages.page_len());
    let open = |path: &Path, create: bool, len: u64| {
        let file = File::options().read(true).write(true).create(create).open(path);
        file.and_then(|file| FileFlash::new(file, len))
            .map_err(|error| Error::io("open", path, error))
    };
    if !journal.exists() {
        let (mut old, old_len) = open_old(args)?;
        check_old(args, &header, &mut old, old_len)?;
    }
    let mut scratch = open(journal, true, areas.scratch_len())?;
    let mut slot = open(&args.old, false, longest)?;
    let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload: &mut payload };
    let binding = Binding::new(header_bytes(delta), &[]);
    diff::rewrite(&header, &mut flash, &Limits::LINUX, binding)
        .map_err(|error| error.about(args.old.display()))?;
    let new_len = header.new.len;
    slot.cut(new_len).map_err(|error| Error::io("write", &args.old, error))?;
    std::fs::remove_file(journal).map_err(|error| Error::io("remove", journal, error))?;
    let text = format!("{}: {new_len} bytes in place; digest verified", args.old.display());
    let json = json!({
        "format": "fwdelta",
        "coder": header.coder.name(),
        "new_len": new_len,
        "new_sha256": hex(&header.new.digest),
        "delta_len": delta.len(),
        "workspace_len": header.workspace_len,
        "journal_len": areas.scratch_len(),
        "verified": true,
    });
    Ok(Report::new(text, json))
}

/// The header with what precedes it: all of a delta file but its payload.
fn header_bytes(delta: &[u8]) -> &[u8] {
    let payload_len = diff::parse_file(delta).map_or(0, |(_, payload)| payload.len());
    &delta[..delta.len() - payload_len]
}

fn new_path(args: &Args) -> Result<&Path> {
    args.new.as_deref().ok_or(Detail::BadArgument.into())
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
    let path = new_path(args)?.display();
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
