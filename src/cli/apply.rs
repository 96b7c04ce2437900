//! `fwdelta apply`: verify, decode, check, and only then show the new image.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::journaled::{JournalArgs, Partial, Progressed, beside};
use super::output::{self, Beside};
use super::over::Over;
use super::report::{self, Report, states};
use super::state::{State, WaysBack};
use super::verify::{DeviceArgs, Opened, files_of, named, with_begun, with_package, with_way_back};
use crate::core::apply::in_place::Found;
use crate::core::format::sealed::OpenChunk;
use crate::core::verify::Package;
use crate::core::verify::stages::Stage;
use crate::core::{Detail, Limits};
use crate::diff::{FileSource, FileTarget};
use crate::error::{Error, Result};
use crate::package::receive::{self, Extent};

/// Verify a package and write the new images
///
/// Every check comes before the first write. New images are written beside their destination and
/// renamed once all of them match their digests, and if one cannot be renamed those before it are
/// put back; on any error nothing is left behind but, with --journal, what a later run goes on
/// with. A power cut between two renames leaves whole files, old and new; the same command does the
/// rest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta apply approved.suit --trust trust.toml --old v1.bin -o v2.bin --ef-fota sim.bin
  fwdelta apply all.suit --trust trust.toml --old boot:b1 --old app:a1 -o boot:b2 -o app:a2
  fwdelta apply approved.suit --trust trust.toml --in-place image.bin --journal image.journal")]
pub(crate) struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// New image to write, as NAME:FILE where there are several components
    #[arg(short, long, value_name = "FILE", required_unless_present = "in_place")]
    output: Vec<String>,
    /// Old image to write the new one over; once begun, the same command goes on after a power cut
    /// or a kill, without asking trust or SIM again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["old", "output"], requires = "journal")]
    in_place: Option<PathBuf>,
    #[command(flatten)]
    keep: JournalArgs,
    /// The new image has not proved itself yet: --state only remembers that it waits for
    /// `fwdelta confirm`, and until then it can be undone
    #[arg(long)]
    unconfirmed: bool,
    /// Package that leads back, as `build --rollback` makes it: checked like this one before
    /// anything is written, and kept beside --state until the update is confirmed or undone
    #[arg(long, value_name = "FILE", requires_all = ["state", "unconfirmed"])]
    keep_rollback: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    check_places(args)?;
    args.device.recorded(applied(args))
}

/// Nothing that is read is written over, but an old image by the new one.
fn check_places(args: &Args) -> Result<()> {
    let Args { device, output, in_place, keep, keep_rollback, .. } = args;
    let outputs = || files_of(output);
    let back = || keep_rollback.as_deref().into_iter();
    output::apart(outputs(), device.inputs().chain(back()))?;
    let partial: Vec<_> = outputs().map(beside).collect();
    let images = || files_of(&device.old).chain(outputs()).chain(in_place.as_deref());
    let others = || images().chain(back()).chain(partial.iter().map(PathBuf::as_path));
    output::apart(keep.journal.as_deref(), device.inputs().chain(others()))?;
    device.check_result(others().chain(keep.journal.as_deref()))
}

fn applied(args: &Args) -> Result<Report> {
    if let (Some(image), Some(journal)) = (&args.in_place, &args.keep.journal) {
        return over_old(args, image, journal);
    }
    with_package(&args.device, Extent::Update, |opened| {
        let outputs = outputs(args, opened)?;
        keep_way_back(args, opened)?;
        if let Some(journal) = &args.keep.journal {
            return kept(args, opened, &outputs, journal);
        }
        let mut written = Vec::new();
        for (index, path) in outputs.iter().enumerate() {
            written.push(write_one(opened, index, path)?);
        }
        written.extend(next_state(args, opened)?);
        Beside::commit_all(written)?;
        settle_way_back(args)?;
        let mut json = applied_json(args, opened);
        json["outputs"] = outputs.iter().map(|path| report::path(path)).collect();
        let names: Vec<_> = outputs.iter().map(|path| path.display().to_string()).collect();
        Ok(Report::new(format!("{}: written, digest checked", names.join(", ")), json))
    })
}

/// What was found, and where the update stands now.
fn applied_json(args: &Args, opened: &Opened<'_, '_>) -> Value {
    let stage = match (opened.is_way_back(), args.unconfirmed) {
        (true, _) => Stage::FailedKept,
        (false, true) => Stage::Updating,
        (false, false) => Stage::DoneKept,
    };
    let mut json = opened.json();
    json["states"] = states(stage);
    json
}

/// The state after this package, on its way into its file: one that leads back leaves nothing
/// pending, another one is pending or confirmed.
fn next_state(args: &Args, opened: &Opened<'_, '_>) -> Result<Option<Beside>> {
    let Some(path) = &args.device.state else { return Ok(None) };
    let (stored, package) = (State::read(path)?, opened.package);
    let sequence = package.manifest.summary.sequence;
    let next = if opened.is_way_back() {
        State { pending: None, ..stored }
    } else {
        stored.after(sequence, args.unconfirmed.then_some(*package.auth.digest))
    };
    // Before the first update there is nothing to store once it is undone.
    if next == State::default() {
        std::fs::remove_file(path).map_err(|error| Error::io("remove", path, error))?;
        return Ok(None);
    }
    next.prepare(path).map(Some)
}

/// Verifies the package that leads back, and keeps it, before anything is written.
fn keep_way_back(args: &Args, opened: &Opened<'_, '_>) -> Result<()> {
    let Some(state) = &args.device.state else { return Ok(()) };
    let Some(path) = &args.keep_rollback else { return WaysBack::beside(state).keep(None) };
    let forward = &opened.package.manifest;
    let device = args.device.with_package(path.clone()).with_old(Vec::new());
    with_way_back(&device, *opened.package.auth.digest, |back| {
        let fits = back.package.manifest.component_count() == forward.component_count()
            && back.is_way_back()
            && forward.components().zip(back.package.manifest.components()).all(|(there, back)| {
                there.name == back.name
                    && Some(there.new) == back.old
                    && there.old == Some(back.new)
            });
        if !fits {
            let what = "it does not lead back from this update";
            return Err(Error::input(path.display(), what));
        }
        Ok(())
    })?;
    WaysBack::beside(state).keep(Some(&output::read(path)?))
}

/// What leads back from the update that is pending now is kept, if anything is.
fn settle_way_back(args: &Args) -> Result<()> {
    let Some(path) = &args.device.state else { return Ok(()) };
    match State::read(path)?.pending {
        Some(_) => WaysBack::beside(path).take(),
        None => WaysBack::beside(path).forget(),
    }
}

/// The output of every component, in their order; checks that there is room for each.
fn outputs(args: &Args, opened: &Opened<'_, '_>) -> Result<Vec<PathBuf>> {
    let manifest = &opened.package.manifest;
    if opened.checked.iter().any(|checked| checked.header.in_place.is_some()) {
        let what = "it is made to be applied over the old image, with --in-place and --journal";
        return Err(Error::input(args.device.package.display(), what));
    }
    let mut given = named(&args.output, manifest, "--output")?;
    let mut outputs = Vec::new();
    for component in manifest.components() {
        let found = given.iter().position(|(name, _)| name == component.name);
        let found = found.ok_or_else(|| {
            Error::input("--output", format!("no output for component {}", component.name))
        })?;
        let path = given.swap_remove(found).1;
        if outputs.contains(&path) || args.device.state.as_ref() == Some(&path) {
            let what = "given twice; every component and the state need a file of their own";
            return Err(Error::input(path.display(), what));
        }
        outputs.push(path);
    }
    let total: u64 = manifest.components().map(|component| component.new.len).sum();
    for path in &outputs {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        let free = fs4::available_space(dir).map_err(|error| Error::io("create", path, error))?;
        if free < total {
            let remedy = format!("{total} bytes are needed, {free} are free");
            return Err(Error::from(Detail::NoSpace).about(dir.display()).remedy(remedy));
        }
    }
    Ok(outputs)
}

fn write_one(opened: &mut Opened<'_, '_>, index: usize, path: &Path) -> Result<Beside> {
    let header = opened.checked[index].header;
    let mut beside = Beside::create(path)?;
    receive::apply(
        opened.package,
        opened.file,
        opened.supply,
        index as u8,
        &header,
        &mut FileTarget(beside.file()),
        &Limits::LINUX,
        opened.bar,
    )
    .map_err(|error| if error.has_subject() { error } else { error.about(path.display()) })?;
    Ok(beside)
}

/// Writes new images so that a later run goes on; each has a journal of its own.
fn kept(
    args: &Args,
    opened: &mut Opened<'_, '_>,
    outputs: &[PathBuf],
    journal: &Path,
) -> Result<Report> {
    let mut written = Vec::new();
    for (index, path) in outputs.iter().enumerate() {
        let name = opened.package.manifest.component(index as u8)?.name;
        let journal = match outputs.len() {
            1 => journal.to_owned(),
            _ => PathBuf::from(format!("{}.{name}", journal.display())),
        };
        written.push(keep_one(args, opened, index, path, &journal)?);
    }
    let state = next_state(args, opened)?;
    let mut json = applied_json(args, opened);
    json["outputs"] = outputs.iter().map(|path| report::path(path)).collect();
    json["journals"] = written.iter().map(|(_, done)| done.json()).collect();
    let mut texts = Vec::new();
    for ((new, done), checked) in written.into_iter().zip(&opened.checked) {
        texts.push(format!("{}: written, digest checked{}", new.path().display(), done.text()));
        new.commit(checked.header.new.len)?;
    }
    state.map_or(Ok(()), Beside::commit)?;
    settle_way_back(args)?;
    Ok(Report::new(texts.join("\n"), json))
}

fn keep_one(
    args: &Args,
    opened: &mut Opened<'_, '_>,
    index: usize,
    path: &Path,
    journal: &Path,
) -> Result<(Partial, Progressed)> {
    let Opened { package, file, supply, checked, bar } = opened;
    let (header, index) = (checked[index].header, index as u8);
    let mut partial = Partial::open(path, journal)?;
    let binding = package.binding(index)?;
    let done = partial.write(&header, binding, args.keep.interval, |new, scratch, settings| {
        let limits = &Limits::LINUX;
        receive::apply_kept(
            package, *file, *supply, index, &header, new, scratch, settings, limits, *bar,
        )
    });
    let done = done.map_err(|error| match error.has_subject() {
        true => error,
        false => error.about(path.display()),
    })?;
    Ok((partial, done))
}

/// Rewrites the old image, or goes on with it.
fn over_old(args: &Args, image: &Path, journal: &Path) -> Result<Report> {
    let _lock = Over::lock(image)?;
    let is_begun = |package: &Package<'_>, file: &mut FileSource| {
        // One that was not begun is verified in full below, which says what is wrong with it.
        let Ok(header) = package.header_of_encrypted(file, 0, &Limits::LINUX) else {
            return Ok(false);
        };
        if header.in_place.is_none() {
            return Ok(false);
        }
        Ok(Over::new(header, &args.device.package, image, journal)?.look(&package.binding(0)?)?
            != Found::Nothing)
    };
    if journal.exists() {
        let resumed = with_begun(&args.device, is_begun, |opened| {
            rewritten(args, opened, image, journal, true)
        })?;
        if let Some(report) = resumed {
            return Ok(report);
        }
    }
    let old = vec![image.display().to_string()];
    let device = args.device.with_old(old);
    with_package(&device, Extent::Update, |opened| {
        keep_way_back(args, opened)?;
        rewritten(args, opened, image, journal, false)
    })
}

fn rewritten(
    args: &Args,
    opened: &mut Opened<'_, '_>,
    image: &Path,
    journal: &Path,
    is_resumed: bool,
) -> Result<Report> {
    let [checked] = opened.checked.as_slice() else {
        let what = "a package with several components is not applied in place by this command";
        return Err(Error::input("--in-place", what));
    };
    let over = Over::new(checked.header, &args.device.package, image, journal)?;
    let Opened { package, file, supply, .. } = opened;
    let begun = |error: Error| if is_resumed { error.after_begin() } else { error };
    let opening = receive::opening(package, *supply, 0).map_err(begun)?;
    let opener = opening.as_ref().map(|opening| opening as &dyn OpenChunk);
    let mut payload = receive::staged(package, *file, *supply, 0)?;
    over.rewrite(opener, &mut payload, package.binding(0)?)?;
    drop(payload);
    next_state(args, opened)?.map_or(Ok(()), Beside::commit)?;
    over.forget()?;
    settle_way_back(args)?;
    let mut json = applied_json(args, opened);
    json["outputs"] = json!([report::path(image)]);
    json["resumed"] = is_resumed.into();
    json["journal_len"] = over.scratch_len().into();
    let how = if is_resumed { "gone on with, " } else { "" };
    Ok(Report::new(format!("{}: {how}rewritten, digest checked", image.display()), json))
}
