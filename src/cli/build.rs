//! `fwdelta build`: images in, a signed package out.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::args;
use super::engine::Engine;
use super::input::Input;
use super::output;
use super::progress::Bar;
use super::provenance::{Made, digest_of};
use super::recipients::Recipients;
use super::report::{self, Report};
use super::token;
use crate::core::Limits;
use crate::core::format::chain::CHUNK_LEN_MIN;
use crate::core::format::plmn::Plmn;
use crate::core::hash::{Sha256Digest, sha256};
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::build::{BuildOptions, Built, Detached, Images, build, build_rollback};

/// Build a signed package; without an old image the new one is sent in full
///
/// With several --old, one package per old image is written, each with the first eight digits of
/// its old image's SHA-256 in its name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta build --old v1.bin --new v2.bin --key vendor.key --sequence 7 -o update.suit
  fwdelta build --component boot:b1.bin:b2.bin --component app::a2.hex --key vendor.key \\
      --sequence 8 --release release.toml --require any -o update.suit
  fwdelta build --old v1.bin --new v2.bin --key vendor.key --sequence 7 --sbom v2.cdx.json \\
      --provenance update.intoto.json -o update.suit
  fwdelta build --old v1.bin --new v2.bin --key vendor.key --sequence 7 \\
      --recipient device.pub --group-key fleet.key -o update.suit")]
pub(crate) struct Args {
    /// Old image: raw, Intel HEX or S-record; repeat for one package per old image
    #[arg(long, value_name = "FILE")]
    old: Vec<PathBuf>,
    /// New image: raw, Intel HEX or S-record
    #[arg(long, value_name = "FILE", required_unless_present = "component")]
    new: Option<PathBuf>,
    /// A component of its own, OLD may be empty; repeatable, order is kept
    #[arg(long, value_name = "NAME:OLD:NEW", conflicts_with_all = ["old", "new"])]
    component: Vec<String>,
    /// Name of the component that --old and --new make
    #[arg(long, default_value = "main")]
    name: String,
    /// Vendor's private key, or a pkcs11: URI; repeat for several signatures
    #[arg(long, value_name = "FILE|URI", required_unless_present = "unsigned")]
    key: Vec<PathBuf>,
    /// Leave signing to `fwdelta sign`, which then also says what is required of operators
    #[arg(long, conflicts_with_all = ["key", "require"])]
    unsigned: bool,
    /// Sequence number, which only grows [default: the release file's]
    #[arg(long)]
    sequence: Option<u64>,
    /// Version, vendor, notes and prompts (docs/release-file.md)
    #[arg(long, value_name = "FILE")]
    release: Option<PathBuf>,
    #[command(flatten)]
    engine: Engine,
    /// Require an operator's approval: `any`, or PLMNs separated by commas
    #[arg(long, value_name = "any|PLMN,...", value_parser = requirement)]
    require: Option<Requirement>,
    /// Write payloads beside the package, to be found under this base URI (may be empty)
    #[arg(long, value_name = "BASE_URI", num_args = 0..=1, default_missing_value = "")]
    detached: Option<String>,
    /// Bytes of payload per authenticated chunk [default: 256 for tiny, 1024 for small and plain,
    /// 65536 otherwise]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(CHUNK_LENS))]
    chunk_len: Option<u32>,
    /// Write the way back as well: a package that leads from new to old, and that devices accept
    /// until the update is confirmed; it is approved like any other
    #[arg(long, value_name = "FILE")]
    rollback: Option<PathBuf>,
    #[command(flatten)]
    recipients: Recipients,
    /// Leave text out of the package, for devices that show nothing
    #[arg(long)]
    no_text: bool,
    /// The release's bill of materials, in any format: the signed text carries its SHA-256
    #[arg(long, value_name = "FILE", conflicts_with = "no_text")]
    sbom: Option<PathBuf>,
    /// Write what was made of what, and how, as an in-toto statement with SLSA provenance; it has
    /// a time in it only if SOURCE_DATE_EPOCH is set
    #[arg(long, value_name = "FILE")]
    provenance: Option<PathBuf>,
    /// URI of who vouches for this machine, for the statement [default: this version of fwdelta]
    #[arg(long, value_name = "URI", requires = "provenance")]
    builder_id: Option<String>,
    /// Where to write the package
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What the format allows and a Linux-class device accepts; a larger one no reader here takes.
const CHUNK_LENS: std::ops::RangeInclusive<i64> =
    CHUNK_LEN_MIN as i64..=Limits::LINUX.chunk_len as i64;

/// Which operators must approve; any for an empty list.
#[derive(Clone, Debug)]
pub(crate) struct Requirement(pub(crate) Vec<Plmn>);

pub(crate) fn requirement(text: &str) -> Result<Requirement, String> {
    if text == "any" {
        return Ok(Requirement(Vec::new()));
    }
    text.split(',').map(|part| args::plmn(part.trim())).collect::<Result<_, _>>().map(Requirement)
}

/// Files of one component.
struct Files {
    name: String,
    old: Option<Input>,
    new: Input,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    check_places(args)?;
    let release = args::release(args.release.as_deref())?;
    let keys = args.key.iter().map(|key| token::signer(key)).collect::<Result<Vec<_>>>()?;
    let sequence = args.sequence.or(release.sequence).ok_or_else(|| {
        Error::input("--sequence", "give a sequence number, here or in the release file")
    })?;
    let sbom = args.sbom.as_deref().map(digest_of).transpose()?;
    let bar = Bar::new();
    let (mut lines, mut packages) = (Vec::new(), Vec::new());
    let mut made = args.provenance.as_ref().map(|_| Made::default());
    for files in packages_of(args)? {
        let path = match args.old.len() {
            0 | 1 => args.output.clone(),
            _ => numbered(&args.output, files[0].old.as_ref())?,
        };
        let options = options(args, sequence, &path, sbom)?;
        let loaded = loaded(&files)?;
        let images = images(&loaded);
        let built = build(&images, &release, &keys, &options, &bar)?;
        let back = args.rollback.as_ref().map(|path| {
            let back = build_rollback(&images, &release, &keys, &options, &built, &bar)?;
            let path = match args.old.len() {
                0 | 1 => path.clone(),
                _ => numbered(path, files[0].old.as_ref())?,
            };
            write_all(&path, &back)?;
            if let Some(made) = &mut made {
                made.package(&path, &back);
            }
            Ok::<_, Error>(describe(&path, &back))
        });
        let back = back.transpose()?;
        write_all(&path, &built)?;
        if let Some(made) = &mut made {
            made.package(&path, &built);
            made.images(&images);
            made.options = options;
        }
        let (line, mut json) = describe(&path, &built);
        lines.push(line);
        if let Some((line, back)) = back {
            lines.push(format!("{line}, the way back"));
            json["rollback"] = back;
        }
        packages.push(json);
    }
    drop(bar);
    if let (Some(path), Some(mut made)) = (&args.provenance, made) {
        for input in [&args.release, &args.sbom].into_iter().flatten() {
            made.input(input)?;
        }
        output::write(path, &made.statement(&keys, args.builder_id.as_deref())?)?;
        lines.push(format!("{}: where they come from", path.display()));
    }
    Ok(Report::new(
        lines.join("\n"),
        json!({
            "packages": packages,
            "sequence": sequence,
            "provenance": args.provenance.as_deref().map(report::path),
        }),
    ))
}

/// Nothing that is read is written over.
fn check_places(args: &Args) -> Result<()> {
    let outputs = [Some(&args.output), args.rollback.as_ref(), args.provenance.as_ref()];
    let components = args.component.iter().flat_map(|spec| spec.split(':').skip(1)).map(Path::new);
    let some = [&args.new, &args.release, &args.sbom].into_iter().flatten();
    let files = some.chain(&args.old).chain(&args.key).chain(args.recipients.files());
    let inputs = files.map(PathBuf::as_path).chain(components).chain(args.engine.geometry());
    output::apart(outputs.into_iter().flatten().map(PathBuf::as_path), inputs)
}

fn options(
    args: &Args,
    sequence: u64,
    path: &Path,
    sbom: Option<Sha256Digest>,
) -> Result<BuildOptions> {
    let detached = args.detached.as_ref();
    Ok(BuildOptions {
        diff: args.engine.options()?,
        chunk_len: args.chunk_len,
        sequence,
        requirement: args.require.as_ref().map(|list| list.0.clone()),
        detached: detached
            .map(|base_uri| Detached { stem: stem(path), base_uri: base_uri.clone() }),
        without_text: args.no_text,
        sbom,
        encryption: args.recipients.encryption()?,
    })
}

fn packages_of(args: &Args) -> Result<Vec<Vec<Files>>> {
    if !args.component.is_empty() {
        let components = args.component.iter().map(|spec| component(spec));
        return Ok(vec![components.collect::<Result<_>>()?]);
    }
    let new = args.new.as_deref().ok_or_else(|| Error::input("--new", "give the new image"))?;
    let files = |old: Option<&Path>| {
        let old = old.map(Input::open).transpose()?;
        Ok(vec![Files { name: args.name.clone(), old, new: Input::open(new)? }])
    };
    if args.old.is_empty() {
        return Ok(vec![files(None)?]);
    }
    args.old.iter().map(|old| files(Some(old))).collect()
}

fn component(spec: &str) -> Result<Files> {
    let wrong = || {
        let what = format!("{spec:?} is not NAME:OLD:NEW, of which OLD may be empty");
        Error::input("--component", what)
    };
    let (name, files) = spec.split_once(':').ok_or_else(wrong)?;
    let (old, new) = files.split_once(':').ok_or_else(wrong)?;
    let old = Some(old).filter(|old| !old.is_empty());
    let old = old.map(|old| Input::open(Path::new(old))).transpose()?;
    Ok(Files { name: name.to_owned(), old, new: Input::open(Path::new(new))? })
}

/// The images of a component.
struct Loaded<'f> {
    name: &'f str,
    old: Option<Cow<'f, [u8]>>,
    new: Cow<'f, [u8]>,
}

fn loaded(files: &[Files]) -> Result<Vec<Loaded<'_>>> {
    let mut loaded = Vec::new();
    for part in files {
        let old = part.old.as_ref().map(Input::image).transpose()?;
        if old.as_deref().is_some_and(<[u8]>::is_empty) {
            let what = "the old image is empty; leave it out to send the new one in full";
            return Err(Error::input(&part.name, what));
        }
        loaded.push(Loaded { name: &part.name, old, new: part.new.image()? });
    }
    Ok(loaded)
}

fn images<'l>(loaded: &'l [Loaded<'_>]) -> Vec<Images<'l>> {
    let all = loaded.iter();
    all.map(|Loaded { name, old, new }| Images { name, old: old.as_deref(), new }).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or("payload".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// `update.suit` for an old image becomes `update-1a2b3c4d.suit`.
///
/// The digits are the image's, as in the manifest, not those of a hex file that holds it.
fn numbered(path: &Path, old: Option<&Input>) -> Result<PathBuf> {
    let image = old.map(Input::image).transpose()?.unwrap_or_default();
    let digits = hex(&sha256(&image)[..4]);
    let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
    let extension = extension.map_or(String::new(), |extension| format!(".{extension}"));
    Ok(path.with_file_name(format!("{}-{digits}{extension}", stem(path))))
}

/// Payloads first: a package is never there without what it refers to.
fn write_all(path: &Path, built: &Built) -> Result<()> {
    for (name, payload) in &built.payloads {
        output::write(&path.with_file_name(name), payload)?;
    }
    output::write(path, &built.package)
}

fn describe(path: &Path, built: &Built) -> (String, Value) {
    let payload_len: usize = built.payloads.iter().map(|(_, payload)| payload.len()).sum();
    let components: Vec<_> = built
        .deltas
        .iter()
        .map(|delta| {
            json!({
                "name": delta.name,
                "old_len": delta.header.old.map(|old| old.len),
                "old_sha256": delta.header.old.map(|old| hex(&old.digest)),
                "new_len": delta.header.new.len,
                "new_sha256": hex(&delta.header.new.digest),
                "delta_len": delta.delta_len,
                "payload_len": delta.header.payload_len,
                "encrypted": delta.is_encrypted,
                "workspace_len": delta.header.workspace_len,
                "coder": delta.header.coder.name(),
            })
        })
        .collect();
    let new_len: u64 = built.deltas.iter().map(|delta| delta.header.new.len).sum();
    let len = built.package.len() + payload_len;
    let percent = 100.0 * len as f64 / new_len.max(1) as f64;
    let line = format!("{}: {len} bytes, {percent:.1} % of the new image", path.display());
    let json = json!({
        "package": report::path(path),
        "len": built.package.len(),
        "detached": built.payloads.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "detached_len": payload_len,
        "components": components,
    });
    (line, json)
}
