//! `fwdelta apply`: verify, decode, check, and only then show the new image.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::output::Beside;
use super::report::Report;
use super::verify::{DeviceArgs, Opened, named, prepare_state, with_package};
use crate::core::{Detail, Limits};
use crate::diff::FileTarget;
use crate::error::{Error, Result};
use crate::package::receive::{self, Extent};

/// Verify a package and write the new images
///
/// Every check comes before the first write. New images are written beside their destination and
/// renamed once all of them match their digests; on any error nothing is left behind.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta apply approved.suit --trust trust.toml --old v1.bin -o v2.bin --ef-fota sim.bin
  fwdelta apply all.suit --trust trust.toml --old boot:b1 --old app:a1 -o boot:b2 -o app:a2")]
pub(crate) struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// New image to write, as NAME:FILE where there are several components
    #[arg(short, long, value_name = "FILE", required = true)]
    output: Vec<String>,
    /// Leave --state as it is: the new image has not proved itself yet
    #[arg(long)]
    unconfirmed: bool,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    with_package(&args.device, Extent::Update, |opened| {
        let outputs = outputs(args, opened)?;
        let mut written = Vec::new();
        for (index, path) in outputs.iter().enumerate() {
            written.push(write_one(opened, index, path)?);
        }
        let sequence = opened.package.manifest.summary.sequence;
        let state = args.device.state.as_deref().filter(|_| !args.unconfirmed);
        written.extend(state.map(|path| prepare_state(path, sequence)).transpose()?);
        for file in written {
            file.commit()?;
        }
        let mut json = opened.json();
        json["outputs"] = json!(outputs);
        let names: Vec<_> = outputs.iter().map(|path| path.display().to_string()).collect();
        Ok(Report::new(format!("{}: written, digest checked", names.join(", ")), json))
    })
}

/// The output of every component, in their order; checks that there is room for each.
fn outputs(args: &Args, opened: &Opened<'_, '_>) -> Result<Vec<PathBuf>> {
    let manifest = &opened.package.manifest;
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
