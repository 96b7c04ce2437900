//! `fwdelta verify`, and what `apply` shares with it: the device's side of a package.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Value, json};

use super::args::{self, SimArgs};
use super::output;
use super::progress::Bar;
use super::recipients::decrypt_keys;
use super::report::{Report, states, success_codes};
use super::state::{Pending, State};
use crate::core::format::envelope::Envelope;
use crate::core::format::manifest::Manifest;
use crate::core::format::trust::Trust;
use crate::core::hash::{Sha256Digest, sha256};
use crate::core::storage::{ReadError, Source};
use crate::core::verify::handoff::{Outcome, emit_result};
use crate::core::verify::stages::Stage;
use crate::core::verify::{Basis, Device, Package};
use crate::core::{Detail, Limits};
use crate::diff::FileSource;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::image;
use crate::package::ALGORITHMS;
use crate::package::assemble::{key_text, manifest_digest};
use crate::package::encrypt::DecryptKey;
use crate::package::inspect::mode_name;
use crate::package::receive::{self, Checked, Extent, Supply};
use crate::release::parse_sbom;

/// Sequence number and digest of a manifest.
type Said = (u64, Sha256Digest);

/// What the device knows and has.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// The package
    pub package: PathBuf,
    /// Whom the device trusts: trust.toml, or a compiled anchor
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Old image, as NAME:FILE where there are several components
    #[arg(long, value_name = "FILE")]
    pub old: Vec<String>,
    #[command(flatten)]
    sim: SimArgs,
    /// Where detached payloads are [default: beside the package]
    #[arg(long, value_name = "DIR")]
    payload_dir: Option<PathBuf>,
    /// What the device is and how it is (docs/device-file.md): hardware revision, id, clock,
    /// battery, free space, installed versions, SIM [default: nothing is known]
    #[arg(long, value_name = "FILE")]
    device: Option<PathBuf>,
    /// The old image is the file as it is, even if it looks like Intel HEX or S-records.
    #[arg(skip)]
    raw_old: bool,
    /// Of the package that was verified.
    #[arg(skip)]
    said: Rc<Cell<Option<Said>>>,
    /// Write the outcome as a record for non-volatile memory (docs/format.md, section 10), whether
    /// the package is accepted or refused
    #[arg(long, value_name = "FILE")]
    write_result: Option<PathBuf>,
    /// Key that payloads are encrypted for: a recipient's private key, or a group key; repeatable
    #[arg(long, value_name = "FILE")]
    decrypt_key: Vec<PathBuf>,
    /// The device's state: the sequence number of its last confirmed update
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

impl DeviceArgs {
    /// The state, or that of a device before its first update.
    pub(crate) fn stored(&self) -> Result<State> {
        self.state.as_deref().map_or(Ok(State::default()), State::read)
    }

    /// Files that are read, or that stand for what a device knows; without old images, which new
    /// ones may replace.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Path> {
        let some = [&self.device, &self.state].into_iter().flatten();
        let all = [&self.package, &self.trust].into_iter().chain(some);
        all.chain(self.sim.files()).chain(&self.decrypt_key).map(PathBuf::as_path)
    }

    /// Refuses a record that would take the place of one of them or of `others`.
    pub(crate) fn check_result<'p>(&'p self, others: impl Iterator<Item = &'p Path>) -> Result<()> {
        let inputs = self.inputs().chain(files_of(&self.old)).chain(others);
        output::apart(self.write_result.as_deref(), inputs)
    }

    /// Leaves a record of the outcome, if one is asked for; `result` stays the answer.
    pub(crate) fn recorded<R>(&self, result: Result<R>) -> Result<R> {
        let Some(path) = &self.write_result else { return result };
        // What was verified; of what was refused before, what it is, not what it claims to be.
        let said = self.said.get().or_else(|| self.read_said().ok());
        let (sequence, manifest) = said.unwrap_or((0, [0; 32]));
        let detail = result.as_ref().err().map(Error::detail);
        let record = emit_result(&Outcome { detail, sequence, manifest });
        let written = output::write(path, &record);
        let value = result?;
        written.map(|()| value)
    }

    /// Sequence number and digest of the manifest in the package, which nothing is known of.
    fn read_said(&self) -> Result<Said> {
        with_file(self, |file, len, buf| {
            let manifest = Envelope::scan(file, len, &Limits::LINUX, buf)?.manifest;
            let sequence = Manifest::parse(manifest, 0)?.summary.sequence;
            Ok((sequence, manifest_digest(manifest)))
        })
    }

    /// The same with another package.
    pub(crate) fn with_package(&self, package: PathBuf) -> Self {
        Self { package, said: Rc::default(), ..self.clone() }
    }

    /// Remembers which package it is that passed: its file may change meanwhile.
    fn remember(&self, package: &Package<'_>) {
        self.said.set(Some((package.manifest.summary.sequence, *package.auth.digest)));
    }

    /// The same with these old images.
    pub(crate) fn with_old(&self, old: Vec<String>) -> Self {
        Self { old, raw_old: true, ..self.clone() }
    }
}

/// Verify a package as a device would, without applying it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta verify approved.suit --trust trust.toml --ef-fota sim.bin --json
  fwdelta verify approved.suit --trust trust.toml --sim no-fota --old v1.bin")]
pub(crate) struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Check the envelope only; detached payloads may be missing
    #[arg(long)]
    envelope_only: bool,
    /// The release's bill of materials, compared with the digest in the signed text
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    args.device.check_result(args.sbom.as_deref().into_iter())?;
    let extent = if args.envelope_only { Extent::Envelope } else { Extent::Package };
    let verified = with_package(&args.device, extent, |opened| {
        let missing = opened.checked.iter().filter(|checked| !checked.payload).count();
        let mut text = format!("{}: verified", args.device.package.display());
        text += &format!("\noperator decision: {}", basis_text(opened.package.decision.basis));
        if missing > 0 {
            text += &format!("\n{missing} detached payloads not there, not checked");
        }
        if opened.checked.iter().any(|checked| !checked.old) {
            text += "\nold image not given, not checked";
        }
        let sbom = signed_sbom(&args.device.package, opened)?;
        let mut json = opened.json();
        json["sbom_sha256"] = json!(sbom);
        if let Some(path) = &args.sbom {
            check_sbom(path, sbom.as_deref())?;
            text += "\nbill of materials: the one that was signed";
        }
        json["sbom_checked"] = args.sbom.is_some().into();
        Ok(Report::new(text, json))
    });
    args.device.recorded(verified)
}

/// What the text says of the bill of materials. It is read once more, from the file that was
/// verified, whose content may have changed meanwhile: so its digest is compared again.
fn signed_sbom(path: &Path, opened: &mut Opened<'_, '_>) -> Result<Option<String>> {
    let about = |detail: Detail| Error::from(detail).about(path.display());
    let Some(span) = opened.package.envelope.text else { return Ok(None) };
    // At most the limit for texts, as the envelope was read with it.
    let mut text = vec![0; usize::try_from(span.len).map_err(|_| about(Detail::StringTooLong))?];
    opened.file.read(span.pos, &mut text).map_err(|_| about(Detail::ReadFailed))?;
    if opened.package.manifest.summary.text != Some(manifest_digest(&text)) {
        return Err(about(Detail::TextDigest));
    }
    parse_sbom(&text)
}

fn check_sbom(path: &Path, signed: Option<&str>) -> Result<()> {
    let wrong = |what| Err(Error::input(path.display(), what));
    match signed {
        None => wrong("the package names no bill of materials, or its text was removed"),
        Some(signed) if signed == hex(&sha256(&output::read(path)?)) => Ok(()),
        Some(_) => wrong("not the bill of materials whose digest the vendor signed"),
    }
}

/// A package that has passed every check before the first write.
pub(crate) struct Opened<'p, 'b> {
    pub package: &'p Package<'b>,
    pub file: &'p mut FileSource,
    pub supply: &'p mut Files,
    pub checked: Vec<Checked>,
    pub bar: &'p Bar,
}

impl Opened<'_, '_> {
    /// Whether it leads back from an update.
    pub(crate) fn is_way_back(&self) -> bool {
        self.checked.iter().any(|checked| checked.header.undoes.is_some())
    }

    /// What was found, for programs.
    pub(crate) fn json(&self) -> Value {
        let manifest = &self.package.manifest;
        let decision = &self.package.decision;
        let components: Vec<_> = manifest
            .components()
            .zip(&self.checked)
            .map(|(component, checked)| {
                json!({
                    "name": component.name,
                    "new_len": component.new.len,
                    "new_sha256": hex(&component.new.digest),
                    "payload_checked": checked.payload,
                    "encrypted": component.encryption.is_some(),
                    "old_checked": checked.old,
                    "workspace_len": checked.header.workspace_len,
                })
            })
            .collect();
        json!({
            "sequence": manifest.summary.sequence,
            "decision": basis_name(decision.basis),
            "approved_by": decision.approval.map(|(plmn, _)| plmn.to_string()),
            "approval_mode": decision.approval.map(|(_, mode)| mode_name(mode)),
            "components": components,
            // Whose prompts a device would show: only those of an approval that counted.
            "prompts": self.package.prompts().map(|(key, _)| key_text(key)),
            "codes": success_codes(),
            "states": states(Stage::Ready),
        })
    }
}

fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Approved => "approved",
        Basis::Unapproved => "unapproved",
        Basis::WithoutFota => "sim-without-ef-fota",
        Basis::WithoutSim => "no-sim",
        Basis::Begun => "begun",
    }
}

fn basis_text(basis: Basis) -> &'static str {
    match basis {
        Basis::Approved => "approved by the SIM's operator",
        Basis::Unapproved => "not approved, which the device's policy allows",
        Basis::WithoutFota => "the SIM has no EF_FOTA",
        Basis::WithoutSim => "no SIM, which the device's policy allows",
        Basis::Begun => "made before an earlier run began",
    }
}

/// Verifies the package and everything `extent` asks for, then does `work`.
pub(crate) fn with_package<R>(
    args: &DeviceArgs,
    extent: Extent,
    work: impl FnOnce(&mut Opened<'_, '_>) -> Result<R>,
) -> Result<R> {
    with_state(args, args.stored()?, extent, work)
}

fn with_state<R>(
    args: &DeviceArgs,
    state: State,
    extent: Extent,
    work: impl FnOnce(&mut Opened<'_, '_>) -> Result<R>,
) -> Result<R> {
    let anchor = args::trust(&args.trust)?;
    let trust = Trust::parse(&anchor)?;
    let profile = args::device(args.device.as_deref())?;
    let dir = args.device.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let sim = args.sim.or(&profile.sim, dir)?.sim(&trust)?;
    let installed = profile.installed();
    let facts = profile.facts(&installed);
    let device = Device { sim, sequence: state.sequence, facts };
    let limits = &Limits::LINUX;
    with_file(args, |file, len, buf| {
        let mut package = Package::verify(file, len, buf, &trust, &device, &ALGORITHMS, limits)
            .map_err(|error| Error::from(error).about(args.package.display()))?;
        args.remember(&package);
        if let Some(Pending { manifest, .. }) = state.pending {
            package = package.with_pending(manifest);
        }
        checked(args, extent, &package, file, |opened| {
            // Without a device file `verify` looks at the package alone.
            if extent == Extent::Update || args.device.is_some() {
                let about = |error| Error::from(error).about(args.package.display());
                opened.package.check_conditions(&facts).map_err(about)?;
            }
            work(opened)
        })
    })
}

/// Verifies the package that leads back from the update with this manifest, as it would be while
/// that is pending; its old images are not there yet.
pub(crate) fn with_way_back<R>(
    args: &DeviceArgs,
    manifest: Sha256Digest,
    work: impl FnOnce(&mut Opened<'_, '_>) -> Result<R>,
) -> Result<R> {
    let state = State { pending: Some(Pending { sequence: 0, manifest }), ..args.stored()? };
    with_state(args, state, Extent::Package, work)
}

/// Opens a package that an earlier run accepted, if `is_begun` says of its journal that it was,
/// checks it whole, then does `work`; `None` if it was not. Neither trust nor SIM are asked again.
pub(crate) fn with_begun<R>(
    args: &DeviceArgs,
    is_begun: impl FnOnce(&Package<'_>, &mut FileSource) -> Result<bool>,
    work: impl FnOnce(&mut Opened<'_, '_>) -> Result<R>,
) -> Result<Option<R>> {
    with_file(args, |file, len, buf| {
        let package = Package::reopen(file, len, buf, &Limits::LINUX)
            .map_err(|error| Error::from(error).about(args.package.display()))?;
        match is_begun(&package, file)? {
            true => {
                args.remember(&package);
                checked(args, Extent::Package, &package, file, work).map(Some)
            }
            false => Ok(None),
        }
    })
}

/// With the package's file, its length, and memory for what is authenticated of it.
fn with_file<R>(
    args: &DeviceArgs,
    work: impl FnOnce(&mut FileSource, u64, &mut [u8]) -> Result<R>,
) -> Result<R> {
    let (mut file, len) = open(&args.package)?;
    let envelope_len = Limits::LINUX.envelope_len;
    let mut buf = vec![0; envelope_len.min(usize::try_from(len).unwrap_or(usize::MAX))];
    work(&mut file, len, &mut buf)
}

fn checked<R>(
    args: &DeviceArgs,
    extent: Extent,
    package: &Package<'_>,
    file: &mut FileSource,
    work: impl FnOnce(&mut Opened<'_, '_>) -> Result<R>,
) -> Result<R> {
    let about = |error: Error| error.about(args.package.display());
    let mut supply = Files::new(args, &package.manifest)?;
    let bar = Bar::new();
    let limits = Limits::LINUX;
    let checked = receive::check(package, file, &mut supply, extent, &limits, &bar)
        .map_err(|error| if error.has_subject() { error } else { about(error) })?;
    work(&mut Opened { package, file, supply: &mut supply, checked, bar: &bar })
}

fn open(path: &Path) -> Result<(FileSource, u64)> {
    let file = output::open(path)?;
    let meta = file.metadata().map_err(|error| Error::io("read", path, error))?;
    Ok((FileSource(file), meta.len()))
}

/// Old images and detached payloads as files.
pub(crate) struct Files {
    olds: Vec<(String, PathBuf)>,
    raw_old: bool,
    payload_dir: PathBuf,
    keys: Vec<DecryptKey>,
}

impl Files {
    fn new(args: &DeviceArgs, manifest: &Manifest<'_>) -> Result<Self> {
        // The image of `--in-place` stands for the old one.
        if args.raw_old && !args.old.is_empty() && manifest.component_count() > 1 {
            let what = "a package with several components is not applied in place by this command; \
                        build one for each of them";
            return Err(Error::input("--in-place", what));
        }
        let olds = named(&args.old, manifest, "--old")?;
        let beside = args.package.parent().unwrap_or(Path::new(""));
        let payload_dir = args.payload_dir.clone().unwrap_or(beside.to_owned());
        let keys = decrypt_keys(&args.decrypt_key)?;
        Ok(Self { olds, raw_old: args.raw_old, payload_dir, keys })
    }
}

/// Every file that `NAME:FILE` or `FILE` can mean, before components are known.
pub(crate) fn files_of(given: &[String]) -> impl Iterator<Item = &Path> {
    given.iter().flat_map(|text| {
        let named = text.split_once(':').map(|(_, path)| path);
        [Some(text.as_str()), named].into_iter().flatten().map(Path::new)
    })
}

/// Assigns `NAME:FILE`, or a bare `FILE` where there is one component, to components.
pub(crate) fn named(
    given: &[String],
    manifest: &Manifest<'_>,
    option: &str,
) -> Result<Vec<(String, PathBuf)>> {
    let names: Vec<_> = manifest.components().map(|component| component.name).collect();
    let mut all: Vec<(String, PathBuf)> = Vec::new();
    for text in given {
        let split = text.split_once(':').filter(|(name, _)| names.contains(name));
        let (name, path) = match (split, names.as_slice()) {
            (Some((name, path)), _) => (name, path),
            (None, [only]) => (*only, text.as_str()),
            (None, _) => {
                let what = format!("say which component it is for, as NAME:{text}, NAME one of");
                return Err(Error::input(option, format!("{what} {}", names.join(", "))));
            }
        };
        if all.iter().any(|(known, _)| known == name) {
            return Err(Error::input(option, format!("component {name} is given twice")));
        }
        all.push((name.to_owned(), path.into()));
    }
    Ok(all)
}

impl Supply for Files {
    type File = Stored;

    fn payload(&mut self, file_name: &str) -> Result<Option<(Stored, u64)>> {
        let path = self.payload_dir.join(file_name);
        if path.exists() { open(&path).map(|found| Some(Stored::plain(found))) } else { Ok(None) }
    }

    fn keys(&self) -> &[DecryptKey] {
        &self.keys
    }

    fn old(&mut self, component: &str) -> Result<Option<(Stored, u64)>> {
        let path = self.olds.iter().find(|(name, _)| name == component);
        path.map(|(_, path)| match self.raw_old {
            true => open(path).map(Stored::plain),
            false => Stored::image(path),
        })
        .transpose()
    }
}

/// A file as it is, or the image that a hex file describes.
#[derive(Debug)]
pub(crate) enum Stored {
    Plain(FileSource),
    Flat(Vec<u8>),
}

impl Stored {
    fn plain((file, len): (FileSource, u64)) -> (Self, u64) {
        (Stored::Plain(file), len)
    }

    /// An image as the generator reads it: Intel HEX and S-records flattened, anything else left
    /// in its file.
    fn image(path: &Path) -> Result<(Self, u64)> {
        let (mut file, len) = open(path)?;
        let mut start = vec![0; usize::try_from(len.min(HEX_LINE_LEN_MAX)).unwrap_or(0)];
        let failed = |_| Error::from(Detail::ReadFailed).about(path.display());
        file.read(0, &mut start).map_err(failed)?;
        let name = path.display().to_string();
        // A misnamed file is refused here as the generator would refuse it.
        let format = image::load(&start, &name, image::ERASED).map(|image| image.format);
        if image::detect(&start) == image::Format::Raw && format.is_ok() {
            return Ok((Stored::Plain(file), len));
        }
        if len > HEX_LEN_MAX {
            let what = "a hex file longer than what one image can be; convert it to a raw image";
            return Err(Error::input(name, what));
        }
        let bytes = output::read(path)?;
        let flat = image::load(&bytes, &name, image::ERASED)?.bytes.into_owned();
        let len = flat.len() as u64;
        Ok((Stored::Flat(flat), len))
    }
}

/// Enough of a file to tell what it is.
const HEX_LINE_LEN_MAX: u64 = 1024;
/// Longest hex file that is read: records of one byte each.
const HEX_LEN_MAX: u64 = 16 * image::FLAT_LEN_MAX;

impl Source for Stored {
    type Error = std::io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<std::io::Error>> {
        match self {
            Stored::Plain(file) => file.read(pos, buf),
            Stored::Flat(bytes) => {
                let end = || ReadError::Io(std::io::ErrorKind::UnexpectedEof.into());
                let start = usize::try_from(pos).map_err(|_| end())?;
                let from = bytes.get(start..).and_then(|rest| rest.get(..buf.len()));
                buf.copy_from_slice(from.ok_or_else(end)?);
                Ok(())
            }
        }
    }
}
