//! `fwdelta trust init`, `add` and `revoke`: changes to a trust file.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::report::Report;
use super::super::{args, output};
use super::show;
use crate::core::format::auth::Kid;
use crate::core::format::plmn::Plmn;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::trust_edit::{self, OperatorChange};
use crate::package::trust_file;

/// Write a first trust file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta trust init --vendor-key vendor.pub -o trust.toml
  fwdelta trust init --vendor-key a.pub --vendor-key b.pub --threshold 2 -o trust.toml")]
pub(super) struct InitArgs {
    /// Public key of the vendor; as often as there are keys
    #[arg(long, value_name = "FILE", required = true)]
    vendor_key: Vec<PathBuf>,
    /// How many of them must have signed a package
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    threshold: u8,
    /// Domain of the vendor: packages of others are refused
    #[arg(long, value_name = "DOMAIN")]
    vendor_domain: Option<String>,
    /// Where to write the trust file; it must not be there yet
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Add vendor keys or an operator to a trust file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta trust add trust.toml --operator 26201 --key op.pub
  fwdelta trust add trust.toml --vendor-key backup.pub --threshold 2")]
pub(super) struct AddArgs {
    /// The trust file, changed in place
    file: PathBuf,
    /// Public key of the vendor
    #[arg(long, value_name = "FILE")]
    vendor_key: Vec<PathBuf>,
    /// How many vendor keys must have signed a package
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<u8>,
    /// PLMN of an operator, as in 26201
    #[arg(long, value_parser = args::plmn)]
    operator: Option<Plmn>,
    /// Public key the operator signs with
    #[arg(long, value_name = "FILE", requires = "operator")]
    key: Vec<PathBuf>,
    /// Public key that may attach validation strings for the operator
    #[arg(long, value_name = "FILE", requires = "operator")]
    attach_key: Vec<PathBuf>,
    /// A mode the operator's approvals may have: signed, string, secret or none
    #[arg(long, value_name = "MODE", requires = "operator",
          value_parser = ["signed", "string", "secret", "none"])]
    mode: Vec<String>,
    /// Approvals of the operator must carry the SIM's string
    #[arg(long, requires = "operator")]
    string_required: bool,
}

/// Take a key out of a trust file for good, and count its version up
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Devices go on trusting the key until they accept the new anchor: `fwdelta trust rotate`.
Example:
  fwdelta trust revoke trust.toml --key stolen.pub")]
pub(super) struct RevokeArgs {
    /// The trust file, changed in place
    file: PathBuf,
    /// The public key
    #[arg(long, value_name = "FILE", required_unless_present = "kid")]
    key: Option<PathBuf>,
    /// Its id, as `trust show` prints it
    #[arg(long, value_name = "16HEX", conflicts_with = "key")]
    kid: Option<String>,
}

pub(super) fn init(args: &InitArgs) -> Result<Report> {
    if args.output.exists() {
        let what = "it is there already; change it with `fwdelta trust add`";
        return Err(Error::input(args.output.display(), what));
    }
    let keys = named(&args.vendor_key, &args.output)?;
    let domain = args.vendor_domain.as_deref();
    save(&args.output, &trust_edit::initial(&keys, args.threshold, domain))
}

pub(super) fn add(args: &AddArgs) -> Result<Report> {
    let subject = args.file.display().to_string();
    let mut text = args::text(&args.file)?;
    if args.vendor_key.is_empty() && args.threshold.is_none() && args.operator.is_none() {
        return Err(Error::input("--vendor-key", "say what to add: a vendor key or an operator"));
    }
    if !args.vendor_key.is_empty() || args.threshold.is_some() {
        let keys = named(&args.vendor_key, &args.file)?;
        text = trust_edit::add_vendor(&text, &subject, &keys, args.threshold)?;
    }
    if let Some(plmn) = args.operator {
        let change = OperatorChange {
            plmn,
            keys: named(&args.key, &args.file)?,
            attach_keys: named(&args.attach_key, &args.file)?,
            modes: args.mode.clone(),
            string_required: args.string_required,
        };
        text = trust_edit::add_operator(&text, &subject, &change)?;
    }
    save(&args.file, &text)
}

pub(super) fn revoke(args: &RevokeArgs) -> Result<Report> {
    let subject = args.file.display().to_string();
    let kid = match (&args.key, &args.kid) {
        (Some(path), _) => args::public_key(path)?.kid(),
        (None, kid) => parse_kid(kid.as_deref().unwrap_or(""))?,
    };
    let dir = args.file.parent().unwrap_or(Path::new("")).to_owned();
    let mut load = |name: &str| args::public_key(&dir.join(name));
    let text = trust_edit::revoke(&args::text(&args.file)?, &subject, &kid, &mut load)?;
    let mut report = save(&args.file, &text)?;
    report.json["revoked"] = json!([hex(&kid)]);
    Ok(report)
}

fn parse_kid(text: &str) -> Result<Kid> {
    let wrong = || Error::input("--kid", "a key id is 16 hexadecimal digits");
    let number = u64::from_str_radix(text, 16).map_err(|_| wrong())?;
    if text.len() == 16 { Ok(number.to_be_bytes()) } else { Err(wrong()) }
}

/// Writes a trust file if what it says compiles.
fn save(path: &Path, text: &str) -> Result<Report> {
    let dir = path.parent().unwrap_or(Path::new(""));
    let subject = path.display().to_string();
    let mut load = |name: &str| args::public_key(&dir.join(name));
    let bytes = trust_file::compile(text, &subject, &mut load)?;
    output::write(path, text.as_bytes())?;
    let mut report = show(&bytes, path)?;
    report.text = format!("{}: written\n{}", path.display(), report.text);
    Ok(report)
}

/// Names of key files as a trust file at `beside` says them: relative to its folder if they are
/// below it, absolute otherwise.
fn named(keys: &[PathBuf], beside: &Path) -> Result<Vec<String>> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|error| Error::io("read", path, error));
    let file = absolute(beside)?;
    let dir = file.parent().unwrap_or(Path::new(""));
    let mut names = Vec::new();
    for key in keys {
        let path = absolute(key)?;
        let name = path.strip_prefix(dir).unwrap_or(&path).to_str();
        let not_text = || Error::input(key.display(), "the name of a key file must be UTF-8");
        names.push(name.ok_or_else(not_text)?.to_owned());
    }
    Ok(names)
}
