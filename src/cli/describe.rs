//! `fwdelta describe`: download descriptors and prompts of a finished package.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::report::{self, Report};
use super::{args, output, preview};
use crate::core::Detail;
use crate::core::format::manifest::base_name;
use crate::core::format::plmn::Plmn;
use crate::core::format::trust::Trust;
use crate::core::hash::sha256;
use crate::descriptor::{DescriptorFile, FileFacts, PackageFacts, describe};
use crate::error::{Error, Result};
use crate::package::assemble::Parts;
use crate::package::inspect::{self, Description, signed_prompts};
use crate::release::language::{Choice, Hints, choose};
use crate::release::{Moment, Prompts, Release, Tag, parse_prompts};

/// Write OMA download descriptors (1.0 and 2.0) in every language, with an index
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta describe approved.suit --release release.toml \\
      --base-uri https://updates.example.com/ --out-dir dd/
  fwdelta describe approved.suit --out-dir dd/ --base-uri https://u.example/ --msisdn +43660123
  fwdelta describe approved.suit --release release.toml --preview")]
pub(crate) struct Args {
    /// The package
    package: PathBuf,
    /// Version, vendor, notes and prompts (docs/release-file.md)
    #[arg(long, value_name = "FILE")]
    release: Option<PathBuf>,
    /// Where package, payloads and descriptors will be published
    #[arg(long, value_name = "URI", required_unless_present = "preview")]
    base_uri: Option<String>,
    /// Folder to write to; made if it is not there
    #[arg(long, value_name = "DIR", required_unless_present = "preview")]
    out_dir: Option<PathBuf>,
    /// Write nothing; show the four prompts in each language of the package, on each display of the
    /// release file, as its user would see them
    #[arg(long, conflicts_with_all = ["base_uri", "out_dir"])]
    preview: bool,
    /// Where detached payloads are [default: beside the package]
    #[arg(long, value_name = "DIR")]
    payload_dir: Option<PathBuf>,
    /// Show what a device with this language would show
    #[arg(long, value_name = "TAG")]
    device_language: Option<String>,
    /// Show what a device with this operator's SIM would show
    #[arg(long, value_parser = args::plmn)]
    plmn: Option<Plmn>,
    /// Whom the device trusts: without it, an operator's own prompts are not shown, as anyone can
    /// add some
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Show what a device with this telephone number would show
    #[arg(long, value_name = "NUMBER")]
    msisdn: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let release = args::release(args.release.as_deref())?;
    let package = output::read(&args.package)?;
    let about = |error: Error| match error.has_subject() {
        true => error,
        false => error.about(args.package.display()),
    };
    let (Some(base_uri), Some(out_dir)) = (&args.base_uri, &args.out_dir) else {
        return preview(args, &package, &release).map_err(about);
    };
    let description = inspect::describe(&package).map_err(about)?;
    let facts = facts(args, &package, &description, &release)?;
    let files = describe(&facts, &release, base_uri)?;
    write_all(out_dir, &files)?;
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    let mut text = format!("{}: {} files", out_dir.display(), names.len());
    let mut json = json!({ "out_dir": report::path(out_dir), "files": names });
    if args.asks_for_one() {
        let shown = shown(args, &package).map_err(about)?;
        for (moment, prompt) in &shown.prompts {
            text += &format!("\n{}: {prompt}", moment.name());
        }
        let verified = match shown.by_operator {
            true => "signed by the operator",
            false => "not verified, see `fwdelta verify`",
        };
        text += &format!("\nlanguage {}, by {}; {verified}", shown.language, shown.reason);
        json["shown"] = shown.json();
    }
    Ok(Report::new(text, json))
}

impl Args {
    /// Whether one device is meant, not all.
    fn asks_for_one(&self) -> bool {
        (&self.device_language, &self.plmn, &self.msisdn) != (&None, &None, &None)
    }
}

/// All languages of the vendor's prompts and of each operator's, or those of one device.
fn preview(args: &Args, package: &[u8], release: &Release) -> Result<Report> {
    if args.asks_for_one() {
        let Shown { by_operator, language, prompts, .. } = shown(args, package)?;
        let by = args.plmn.filter(|_| by_operator);
        return Ok(preview::report(&[preview::Set { by, language, prompts }], release));
    }
    let parts = Parts::read(package)?;
    let mut sets = Vec::new();
    for (key, bytes) in &parts.payloads {
        let by = match key.strip_prefix("#q") {
            Some(plmn) => Some(Plmn::parse(plmn)?),
            None if key == "#p" => None,
            None => continue,
        };
        let prompts = parse_prompts(bytes)?;
        for tag in prompts.languages() {
            let language = tag.to_string();
            sets.push(preview::Set { by, language, prompts: all_of(&prompts, tag) });
        }
    }
    if sets.is_empty() {
        return Err(Error::input("prompts", "the package has none"));
    }
    Ok(preview::report(&sets, release))
}

fn all_of(prompts: &Prompts, tag: &Tag) -> Vec<(Moment, String)> {
    let text = |moment| prompts.get(tag, moment).map(str::to_owned);
    Moment::ALL.into_iter().filter_map(|moment| Some((moment, text(moment)?))).collect()
}

fn facts(
    args: &Args,
    package: &[u8],
    description: &Description,
    release: &Release,
) -> Result<PackageFacts> {
    let dir = args.package.parent().unwrap_or(Path::new(""));
    let payload_dir = args.payload_dir.as_deref().unwrap_or(dir);
    let name = args.package.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| Error::input(args.package.display(), "not a file name"))?;
    let mut payloads = Vec::new();
    for uri in description.components.iter().filter_map(|part| part.detached.as_deref()) {
        let name = base_name(uri)?;
        let bytes = output::read(&payload_dir.join(name))?;
        payloads.push(file_facts(name.to_owned(), "application/octet-stream", &bytes));
    }
    Ok(PackageFacts {
        envelope: file_facts(name, crate::descriptor::ENVELOPE_TYPE, package),
        payloads,
        version: release.version.clone(),
        install_size: install_size(description)?,
    })
}

/// Bytes of all new images; the manifest is not verified here and may say anything.
fn install_size(description: &Description) -> Result<u64> {
    let mut lens = description.components.iter().map(|part| part.new.len);
    let sum = lens.try_fold(0u64, u64::checked_add);
    sum.ok_or(Detail::ImageTooLarge.into())
}

fn file_facts(file_name: String, media_type: &str, bytes: &[u8]) -> FileFacts {
    let media_type = media_type.to_owned();
    FileFacts { file_name, media_type, size: bytes.len() as u64, sha256: sha256(bytes) }
}

fn write_all(dir: &Path, files: &[DescriptorFile]) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    files.iter().try_for_each(|file| output::write(&dir.join(&file.name), &file.bytes))
}

/// What one device would show.
struct Shown {
    language: String,
    reason: String,
    /// Whether they are the operator's, which are shown only when its key signed them.
    by_operator: bool,
    prompts: Vec<(Moment, String)>,
}

impl Shown {
    fn json(&self) -> Value {
        let prompts: serde_json::Map<_, _> = self
            .prompts
            .iter()
            .map(|(moment, prompt)| (moment.name().to_owned(), prompt.as_str().into()))
            .collect();
        json!({
            "language": self.language,
            "reason": self.reason,
            "by_operator": self.by_operator,
            "verified": self.by_operator,
            "prompts": prompts,
        })
    }
}

/// The prompts in the package, the operator's own where there are some for the SIM.
fn shown(args: &Args, package: &[u8]) -> Result<Shown> {
    let parts = Parts::read(package)?;
    let anchor = args.trust.as_deref().map(args::trust).transpose()?;
    let own = match (&anchor, args.plmn) {
        (Some(anchor), Some(plmn)) => signed_prompts(&parts, &Trust::parse(anchor)?, plmn)?,
        _ => None,
    };
    let missing = || Error::input("prompts", "the package has none");
    let bytes = own.or_else(|| parts.payload("#p")).ok_or_else(missing)?;
    let prompts: Prompts = parse_prompts(bytes)?;
    let hints = Hints {
        device_language: args.device_language.as_deref(),
        plmn: args.plmn.as_ref().map(Plmn::as_str),
        msisdn: args.msisdn.as_deref(),
    };
    let default = Tag::new("en").map_err(|what| Error::input("en", what))?;
    let choice: Choice<'_> = choose(prompts.languages(), &default, hints).ok_or_else(missing)?;
    Ok(Shown {
        language: choice.tag.to_string(),
        reason: choice.reason.to_string(),
        by_operator: own.is_some(),
        prompts: all_of(&prompts, choice.tag),
    })
}
