//! `fwdelta patch`: an old image and a stand-alone delta in, the new image out.

use std::path::{Path, PathBuf};

use fwdelta_core::apply::in_place::{Binding, Found};
use fwdelta_core::apply::verify_old;
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::{Category, Detail, Limits};
use serde_json::json;

use super::journaled::{JournalArgs, Partial, Progressed, beside};
use super::output::{self, Beside};
use super::over::Over;
use super::progress::Bar;
use super::report::Report;
use crate::diff::{self, FileSource, FileTarget, Media, bsdiff40};
use crate::error::{Error, Result};
use crate::hex::hex;

/// Bytes of old hashed at a time.
const PIECE_LEN: usize = 1 << 16;

/// Applies a delta to OLD and writes NEW.
///
/// NEW appears whole or not at all; with --journal what was made of it stays in NEW.partial until
/// then. A wrong OLD gives exit code 16, a damaged DELTA 17 or 11.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fwdelta patch v1.bin v1-v2.fwd v2.bin\n  \
    fwdelta patch v1.bin v1-v2.fwd v2.bin --journal v2.journal\n  \
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
    #[command(flatten)]
    keep: JournalArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Report> {
    check_places(args)?;
    let delta = output::read(&args.delta)?;
    let journal = args.keep.journal.as_deref();
    if let Some(journal) = journal.filter(|_| args.in_place) {
        return over_old(args, &delta, journal);
    }
    let bar = Bar::new();
    if let Some(journal) = journal {
        return kept(args, &delta, journal, &bar);
    }
    let mut new = Beside::create(new_path(args)?)?;
    let report = if bsdiff40::is_bsdiff40(&delta) {
        classic(args, &delta, &mut new, &bar)?
    } else {
        native(args, &delta, &mut new, &bar)?
    };
    drop(bar);
    new.commit()?;
    Ok(report)
}

/// NEW may be OLD, which it replaces when it is whole.
fn check_places(args: &Args) -> Result<()> {
    let new = args.new.as_deref();
    output::apart(new, [args.delta.as_path()])?;
    let Some(journal) = args.keep.journal.as_deref() else { return Ok(()) };
    let inputs = [args.old.as_path(), &args.delta].into_iter().chain(new);
    let partial = new.map(beside);
    output::apart(partial.as_deref().into_iter().chain([journal]), inputs)
}

/// A delta and the old image it is for, checked.
fn opened<'d>(args: &Args, delta: &'d [u8]) -> Result<(DeltaHeader, &'d [u8], FileSource)> {
    let about_delta = |error: Error| mending(error.about(args.delta.display()));
    let (header, payload) = diff::parse_file(delta).map_err(about_delta)?;
    header.check(&Limits::LINUX).map_err(|error| about_delta(error.into()))?;
    if header.in_place.is_some() {
        let what = "it is made to be applied over OLD, with --in-place and --journal";
        return Err(Error::input(args.delta.display(), what));
    }
    let (mut old, old_len) = open_old(args)?;
    check_old(args, &header, &mut old, old_len)?;
    Ok((header, payload, old))
}

/// Names the delta, or what could not be written.
fn about(args: &Args, error: Error) -> Error {
    match (error.detail(), &args.new) {
        (Detail::WriteFailed, Some(new)) => error.about(new.display()).remedy("is the disk full?"),
        _ => mending(error.about(args.delta.display())),
    }
}

/// Says what to do about a delta that is wrong.
fn mending(error: Error) -> Error {
    let text = match (error.detail(), error.category()) {
        (Detail::BadMagic, _) => "give a file that `fwdelta diff` or `bsdiff` wrote",
        (_, Category::Format | Category::Corrupt) => {
            "it is damaged: fetch it again, or make it again"
        }
        (_, Category::Unsupported) => "a later release of this program may have it",
        _ => return error,
    };
    error.remedy(text)
}

fn native(args: &Args, delta: &[u8], new: &mut Beside, bar: &Bar) -> Result<Report> {
    let (header, payload, mut old) = opened(args, delta)?;
    let target = &mut FileTarget(new.file());
    diff::apply_to(&mut old, &header, payload, target, &Limits::LINUX, bar)
        .map_err(|error| about(args, error))?;
    report(args, &header, delta.len(), None)
}

/// Writes NEW so that a later run goes on.
fn kept(args: &Args, delta: &[u8], journal: &Path, bar: &Bar) -> Result<Report> {
    let (header, mut payload, mut old) = opened(args, delta)?;
    let mut new = Partial::open(new_path(args)?, journal)?;
    let binding = Binding::new(header_bytes(delta), &[]);
    let (old, payload) = (&mut old, &mut payload);
    let done = new.write(&header, binding, args.keep.interval, |new, scratch, settings| {
        let mut media = Media { old, new, scratch, payload, payload_start: 0 };
        diff::write(&header, &mut media, &Limits::LINUX, settings, bar)
    });
    let done = done.map_err(|error| about(args, error))?;
    new.commit(header.new.len)?;
    report(args, &header, delta.len(), Some(&done))
}

fn report(
    args: &Args,
    header: &DeltaHeader,
    delta_len: usize,
    done: Option<&Progressed>,
) -> Result<Report> {
    let (path, new_len) = (new_path(args)?.display(), header.new.len);
    let verified = match header.old {
        Some(_) => "digests of old and new verified",
        None => "a full image, which needs nothing of OLD; digest of new verified",
    };
    let mut text = format!("{path}: {new_len} bytes; {verified}");
    let mut json = json!({
        "format": "fwdelta",
        "coder": header.coder.name(),
        "old_len": header.old.map_or(0, |old| old.len),
        "old_sha256": header.old.map(|old| hex(&old.digest)),
        "new_len": new_len,
        "new_sha256": hex(&header.new.digest),
        "delta_len": delta_len,
        "workspace_len": header.workspace_len,
        "verified": true,
    });
    if let Some(done) = done {
        text += &done.text();
        json["journal"] = done.json();
    }
    Ok(Report::new(text, json))
}

/// Rewrites OLD, or goes on with it.
fn over_old(args: &Args, delta: &[u8], journal: &Path) -> Result<Report> {
    let about_delta = |error: Error| mending(error.about(args.delta.display()));
    let (header, mut payload) = diff::parse_file(delta).map_err(about_delta)?;
    header.check(&Limits::LINUX).map_err(|error| about_delta(error.into()))?;
    let _lock = Over::lock(&args.old)?;
    let over = Over::new(header, &args.delta, &args.old, journal)?;
    let binding = Binding::new(header_bytes(delta), &[]);
    let found = over.look(&binding)?;
    if found == Found::Nothing {
        let (mut old, old_len) = open_old(args)?;
        check_old(args, &header, &mut old, old_len)?;
    }
    over.rewrite(None, &mut payload, binding).map_err(mending)?;
    over.forget()?;
    let (path, new_len) = (args.old.display(), header.new.len);
    let text = format!("{path}: {new_len} bytes in place; digest verified");
    let json = json!({
        "format": "fwdelta",
        "coder": header.coder.name(),
        "new_len": new_len,
        "new_sha256": hex(&header.new.digest),
        "delta_len": delta.len(),
        "workspace_len": header.workspace_len,
        "journal_len": over.scratch_len(),
        "resumed": found != Found::Nothing,
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
        .map_err(|error| about(args, error))?;
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
    let file = output::open(&args.old)?;
    let len = file.metadata().map_err(failed)?.len();
    Ok((FileSource(file), len))
}
