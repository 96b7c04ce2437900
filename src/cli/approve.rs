//! `fwdelta approve`: add an operator's approval to a finished package.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::report::{self, Report};
use super::{args, output, token};
use crate::core::format::plmn::Plmn;
use crate::error::{Error, Result};
use crate::package::{Approval, Method, SecretKey, approve};

/// Add an operator's approval; manifest, blocks and payloads stay identical to the byte
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta approve update.suit --operator 26201 --key op.key -o approved.suit
  fwdelta approve update.suit --operator 26201 --mode secret --string-file sim.hex \\
    -o approved.suit")]
pub(crate) struct Args {
    /// The package
    package: PathBuf,
    /// PLMN of the operator, as in 26201
    #[arg(long, value_parser = args::plmn)]
    operator: Plmn,
    /// The operator's private key (modes signed and string), or a pkcs11: URI
    #[arg(long, value_name = "FILE|URI")]
    key: Option<PathBuf>,
    /// signed: the operator's signature; string: a clear validation string under an attaching
    /// key; secret: a MAC under the string, forgeable by whoever holds such a SIM
    #[arg(long, value_enum, default_value = "signed")]
    mode: ModeName,
    /// The validation string as 32 hexadecimal digits; other users of this machine can see it
    #[arg(long, value_name = "32HEX", conflicts_with = "string_file")]
    string: Option<String>,
    /// File with the validation string as 32 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    string_file: Option<PathBuf>,
    /// The operator's own prompts (TOML: a table per language), shown instead of the vendor's
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// The release file, whose displays the operator's prompts must fit on
    #[arg(long, value_name = "FILE", requires = "prompts")]
    release: Option<PathBuf>,
    /// Where to write the approved package
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    String,
    Secret,
    Signed,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    // The package may be replaced by the approved one.
    let inputs = [&args.key, &args.string_file, &args.prompts, &args.release];
    output::apart([args.output.as_path()], inputs.into_iter().flatten().map(PathBuf::as_path))?;
    let package = output::read(&args.package)?;
    let key = args.key.as_deref().map(token::signer).transpose()?;
    let prompts = prompts(args.prompts.as_deref(), args.release.as_deref())?;
    let method = method(args, key.as_ref())?;
    let approval = Approval { plmn: args.operator, method, prompts: prompts.as_deref() };
    let approved =
        approve(&package, &approval).map_err(|error| error.about(args.package.display()))?;
    output::write(&args.output, &approved)?;
    let added = approved.len() - package.len();
    let mode = format!("{:?}", args.mode).to_lowercase();
    let text = format!(
        "{}: approved by {} ({mode}), {} bytes, {added} more than before",
        args.output.display(),
        args.operator,
        approved.len()
    );
    let json = json!({
        "package": report::path(&args.output),
        "operator": args.operator.as_str(),
        "mode": mode,
        "len": approved.len(),
        "added_len": added,
    });
    Ok(Report::new(text, json))
}

fn method<'k>(args: &Args, key: Option<&'k SecretKey>) -> Result<Method<'k>> {
    let key = || key.ok_or_else(|| Error::input("--key", "this mode needs the operator's key"));
    let given = string(args.string.as_deref(), args.string_file.as_deref())?;
    let needed = || {
        let what = "this mode needs the validation string: --string or --string-file";
        given.ok_or_else(|| Error::input("--string", what))
    };
    Ok(match args.mode {
        ModeName::Signed => Method::Signed { key: key()?, string: given },
        ModeName::String => Method::String { key: key()?, string: needed()? },
        ModeName::Secret if args.key.is_some() => {
            let what = "mode secret takes no key: whoever knows the string can approve";
            return Err(Error::input("--key", what));
        }
        ModeName::Secret => Method::Secret { string: needed()? },
    })
}

/// A validation string, from the command line or a file.
pub(crate) fn string(text: Option<&str>, file: Option<&Path>) -> Result<Option<[u8; 16]>> {
    let string = match (text, file) {
        (Some(text), _) => {
            Some(args::string16(text).map_err(|what| Error::input("--string", what))?)
        }
        (None, Some(path)) => {
            let read = args::string16(&args::secret(path)?);
            Some(read.map_err(|what| Error::input(path.display(), what))?)
        }
        (None, None) => None,
    };
    match string {
        Some(string) if string == [0; 16] || string == [0xff; 16] => {
            let what = "sixteen times 00 or FF is an unprovisioned SIM and never matches";
            Err(Error::input("--string", what))
        }
        other => Ok(other),
    }
}

/// An operator's prompts as a payload, if they fit on every display of the release.
pub(crate) fn prompts(path: Option<&Path>, release: Option<&Path>) -> Result<Option<Vec<u8>>> {
    let Some(path) = path else { return Ok(None) };
    let subject = path.display().to_string();
    let prompts = crate::release::prompts::Prompts::from_toml(&args::text(path)?, &subject)?;
    args::release(release)?.check_prompts(&prompts, &subject)?;
    Ok(Some(prompts.to_cbor()))
}
