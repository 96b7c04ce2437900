//! `fwdelta trust rotate`, `accept` and `show`: how one anchor follows another.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::report::{self, Report};
use super::super::{args, output, token};
use crate::core::format::rotation::SignedTrust;
use crate::core::format::trust::Trust;
use crate::core::verify::accept_trust;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::ALGORITHMS;
use crate::package::rotation::{Progress, endorse, progress};

/// Sign an anchor that replaces another, so that devices accept it
///
/// As many keys must sign as the present anchor asks for, and as many as the new one does. They
/// can do so at different times and places: give the output to the next signer. Whose key is in no
/// file here signs with `fwdelta sign prepare` and `attach`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta trust rotate trust.toml --current trust.cbor --key a.key --key b.key -o next.cbor
  fwdelta trust rotate half.cbor --current trust.cbor --key c.key -o next.cbor")]
pub(super) struct RotateArgs {
    /// The new anchor: trust.toml, a compiled anchor, or what another signer gave
    file: PathBuf,
    /// The anchor devices have now: trust.toml or compiled
    #[arg(long, value_name = "FILE")]
    current: PathBuf,
    /// Private key of the vendor, in the present anchor or in the new one
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Where to write the signed anchor
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Check a signed anchor as a device would, and write the anchor to trust from then on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fwdelta trust accept next.cbor --current trust.cbor -o trust.cbor")]
pub(super) struct AcceptArgs {
    /// The signed anchor
    file: PathBuf,
    /// The anchor the device has: trust.toml or compiled
    #[arg(long, value_name = "FILE")]
    current: PathBuf,
    /// Where to write the new anchor; the present one may be replaced
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn rotate(args: &RotateArgs) -> Result<Report> {
    // What another signer gave may be replaced, the source of the new anchor may not.
    let source = Some(&args.file).filter(|file| is_source(file));
    let inputs = [&args.current].into_iter().chain(&args.key).chain(source);
    output::apart([args.output.as_path()], inputs.map(PathBuf::as_path))?;
    let current = args::trust(&args.current)?;
    let new = either_form(&args.file)?;
    let keys: Vec<_> = args.key.iter().map(|path| token::signer(path)).collect::<Result<_>>()?;
    let about = |error: Error| error.about(args.file.display());
    let signed = endorse(&current, &new, &keys).map_err(about)?;
    let done = progress(&current, &signed).map_err(about)?;
    output::write(&args.output, &signed)?;
    let text = format!("{}: {} bytes{}", args.output.display(), signed.len(), text_of(&done));
    let mut json = json_of(&done);
    json["output"] = report::path(&args.output);
    Ok(Report::new(text, json))
}

pub(super) fn accept(args: &AcceptArgs) -> Result<Report> {
    output::apart([args.output.as_path()], [args.file.as_path()])?;
    let current = args::trust(&args.current)?;
    let bytes = output::read(&args.file)?;
    let about = |error| Error::from(error).about(args.file.display());
    if !SignedTrust::is_signed(&bytes) {
        let what = "it is not signed; sign it with `fwdelta trust rotate`";
        return Err(Error::input(args.file.display(), what));
    }
    accept_trust(&Trust::parse(&current)?, &bytes, &ALGORITHMS).map_err(about)?;
    let anchor = SignedTrust::parse(&bytes).map_err(about)?.anchor;
    let done = progress(&current, &bytes)?;
    output::write(&args.output, anchor)?;
    let mut report = super::show(anchor, &args.file)?;
    report.text = format!("{}: accepted\n{}", args.output.display(), report.text);
    report.json["rotation"] = json_of(&done);
    Ok(report)
}

/// Shows any form; who signed it counts only against the anchor it replaces, which is not known
/// here.
pub(super) fn show(file: &Path) -> Result<Report> {
    let bytes = either_form(file)?;
    if !SignedTrust::is_signed(&bytes) {
        return super::show(&bytes, file);
    }
    let signed =
        SignedTrust::parse(&bytes).map_err(|error| Error::from(error).about(file.display()))?;
    let kids: Vec<_> = signed.endorsements().map(|endorsement| hex(endorsement.kid)).collect();
    let mut report = super::show(signed.anchor, file)?;
    report.text += &format!("\nsigned, not verified, by: {}", kids.join(" "));
    report.json["endorsed_by"] = json!(kids);
    Ok(report)
}

/// A file that people write, which is compiled when it is read.
pub(in crate::cli) fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// A trust file compiled, or a compiled anchor, signed or not.
pub(in crate::cli) fn either_form(path: &Path) -> Result<Vec<u8>> {
    if is_source(path) {
        return args::trust(path);
    }
    let bytes = output::read(path)?;
    if SignedTrust::is_signed(&bytes) { Ok(bytes) } else { args::trust(path) }
}

fn kids(kids: &[[u8; 8]]) -> Vec<String> {
    kids.iter().map(|kid| hex(kid)).collect()
}

/// What a rotation still lacks, for people.
pub(in crate::cli) fn text_of(done: &Progress) -> String {
    let count = |(have, need): (u8, u8)| match need.checked_sub(have) {
        None | Some(0) => format!("{have} signed, enough"),
        Some(missing) => format!("{have} signed, {missing} more must"),
    };
    let mut text = format!(
        "\nkeys of the present anchor: {}\nkeys of the new anchor: {}",
        count(done.current),
        count(done.new)
    );
    for (what, list) in [("revoked", &done.revoked), ("added", &done.added)] {
        if !list.is_empty() {
            text += &format!("\n{what}: {}", kids(list).join(" "));
        }
    }
    text
}

/// The same for programs.
pub(in crate::cli) fn json_of(done: &Progress) -> Value {
    let count = |(have, need)| json!({ "signed": have, "needed": need });
    json!({
        "complete": done.is_complete(),
        "current": count(done.current),
        "new": count(done.new),
        "revoked": kids(&done.revoked),
        "added": kids(&done.added),
    })
}
