//! `fwdelta trust`: the anchor devices read, from the first trust file to its replacement.

mod edit;
mod rotate;

use std::path::PathBuf;

pub(super) use rotate::{either_form, is_source, json_of, text_of};

use clap::Subcommand;
use serde_json::{Value, json};

use super::report::Report;
use super::{args, output};
use crate::core::format::auth::Mode;
use crate::core::format::key::{Key, PublicKey};
use crate::core::format::trust::{Keys, MODE_NONE_BIT, Operator, Trust};
use crate::error::{Error, Result};
use crate::hex::hex;

/// Make, change, compile, rotate or show a trust anchor
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta trust init --vendor-key vendor.pub -o trust.toml
  fwdelta trust add trust.toml --operator 26201 --key op.pub
  fwdelta trust compile trust.toml -o trust.cbor
  fwdelta trust revoke trust.toml --key stolen.pub
  fwdelta trust rotate trust.toml --current trust.cbor --key vendor.key -o next.cbor
  fwdelta trust accept next.cbor --current trust.cbor -o trust.cbor
  fwdelta trust show trust.cbor --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(edit::InitArgs),
    Add(edit::AddArgs),
    Revoke(edit::RevokeArgs),
    /// Compile trust.toml into canonical CBOR
    Compile {
        /// The trust file
        file: PathBuf,
        /// Where to write the compiled anchor
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    Rotate(rotate::RotateArgs),
    Accept(rotate::AcceptArgs),
    /// Show a trust file or a compiled anchor
    Show {
        /// The file
        file: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    match &args.command {
        Command::Init(args) => edit::init(args),
        Command::Add(args) => edit::add(args),
        Command::Revoke(args) => edit::revoke(args),
        Command::Compile { file, output } => {
            output::apart([output.as_path()], [file.as_path()])?;
            let bytes = args::trust(file)?;
            output::write(output, &bytes)?;
            let mut report = show(&bytes, file)?;
            report.text = format!("{}: {} bytes\n{}", output.display(), bytes.len(), report.text);
            Ok(report)
        }
        Command::Rotate(args) => rotate::rotate(args),
        Command::Accept(args) => rotate::accept(args),
        Command::Show { file } => rotate::show(file),
    }
}

/// What an anchor says; private keys are nowhere in it.
fn show(bytes: &[u8], file: &std::path::Path) -> Result<Report> {
    let trust = Trust::parse(bytes).map_err(|error| Error::from(error).about(file.display()))?;
    let kids = |keys: Keys<'_>| keys.iter().map(kids_of).collect::<Vec<_>>();
    let names = |keys: Keys<'_>| keys.iter().map(name_of).collect::<Vec<_>>().join(", ");
    let vendor = kids(trust.vendor_keys);
    let mut text = format!(
        "version {}\nvendor: {} of {} keys must sign: {}",
        trust.version,
        trust.threshold,
        vendor.len(),
        names(trust.vendor_keys)
    );
    let (mut operators, mut warnings) = (Vec::new(), Vec::new());
    for entry in trust.operators() {
        warnings.extend(gives_key_away(&entry));
        let modes = mode_names(entry.modes);
        let keys = kids(entry.keys);
        let rule = if entry.string_required { "required" } else { "optional" };
        text += &format!(
            "\noperator {}: {} (string {rule}): {}",
            entry.plmn,
            modes.join(", "),
            names(entry.keys)
        );
        operators.push(json!({
            "plmn": entry.plmn.as_str(),
            "modes": modes,
            "string_required": entry.string_required,
            "keys": keys,
            "attach_keys": kids(entry.attach_keys),
        }));
    }
    let policy = &trust.policy;
    let choice = |apply| if apply { "apply" } else { "refuse" };
    let id = |id: Option<[u8; 16]>| id.map_or(Value::Null, |id| hex(&id).into());
    let (unapproved, no_sim) = (choice(policy.apply_unapproved), choice(policy.apply_without_sim));
    text += &format!("\npolicy: unapproved {unapproved}, without SIM {no_sim}");
    warnings.iter().for_each(|warning| text += &format!("\nwarning: {warning}"));
    let json = json!({
        "version": trust.version,
        "warnings": warnings,
        "threshold": trust.threshold,
        "vendor_keys": vendor,
        "operators": operators,
        "policy": {
            "vendor_id": id(policy.vendor_id),
            "class_id": id(policy.class_id),
            "unapproved": unapproved,
            "no_sim": no_sim,
            "allow_bit": policy.allow_bit,
            "jump_max": policy.jump_max,
        },
    });
    Ok(Report::new(text, json))
}

/// A string that is in clear in one package is the key of mode secret for every other one.
fn gives_key_away(entry: &Operator<'_>) -> Option<String> {
    let is_clear =
        entry.accepts(Mode::String) || entry.accepts(Mode::Signed) && entry.string_required;
    (entry.accepts(Mode::Secret) && is_clear).then(|| {
        let plmn = entry.plmn;
        format!(
            "operator {plmn}: mode secret beside strings in clear; who has read the string in one \
             package can approve any other; accept secret alone, or not at all"
        )
    })
}

/// Key id; of a hybrid key both, with a plus between them.
fn kids_of(key: Key<'_>) -> String {
    key.both().map(|key| hex(&key.kid())).collect::<Vec<_>>().join("+")
}

/// Key id and algorithm; of a hybrid key both.
fn name_of(key: Key<'_>) -> String {
    let name = |key: PublicKey<'_>| format!("{} ({})", hex(&key.kid()), key.algorithm().name());
    key.both().map(name).collect::<Vec<_>>().join(" with ")
}

fn mode_names(modes: u8) -> Vec<&'static str> {
    [
        (Mode::String.bit(), "string"),
        (Mode::Secret.bit(), "secret"),
        (Mode::Signed.bit(), "signed"),
        (MODE_NONE_BIT, "none"),
    ]
    .into_iter()
    .filter(|(bit, _)| modes & bit != 0)
    .map(|(_, name)| name)
    .collect()
}
