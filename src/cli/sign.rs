//! `fwdelta sign`: signatures by keys that are not on this machine, or that come later.

mod anchor;

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::build::{Requirement, requirement};
use super::report::{self, Report};
use super::{approve, args, output, token, trust};
use crate::core::format::auth::Mode;
use crate::core::format::plmn::Plmn;
use crate::core::hash::sha256;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::PublicKey;
use crate::package::sign::{self, Statement};

/// Sign elsewhere, or later: bytes to sign out, a signature in; or add one by a key at hand
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta build --old v1.bin --new v2.bin --unsigned --sequence 7 -o draft.suit
  fwdelta sign prepare draft.suit --key vendor.pub --require any -o vendor.tbs
  openssl pkeyutl -sign -rawin -inkey vendor.key -in vendor.tbs -out vendor.sig
  fwdelta sign attach draft.suit --key vendor.pub --request vendor.tbs \\
      --signature vendor.sig -o update.suit
  fwdelta sign add update.suit --key 'pkcs11:token=Release;object=second' -o signed.suit
  fwdelta sign prepare signed.suit --operator 26201 --key op.pub -o op.tbs
  fwdelta sign prepare trust.toml --current trust.cbor --key vendor.pub -o anchor.tbs
  fwdelta sign attach trust.toml --current trust.cbor --key vendor.pub --request anchor.tbs \\
      --signature anchor.sig -o next.cbor")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the bytes that a key is to sign
    Prepare {
        /// The package, which may have no signature yet, or the new trust anchor
        package: PathBuf,
        /// The trust anchor that devices have now, if a new one is to be signed
        #[arg(long, value_name = "FILE", conflicts_with_all = ["operator", "require"])]
        current: Option<PathBuf>,
        /// The public key, or a pkcs11: URI
        #[arg(long, value_name = "FILE|URI")]
        key: PathBuf,
        #[command(flatten)]
        statement: StatementArgs,
        /// Where to write the bytes to sign
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Add a signature of prepared bytes, if it verifies
    Attach {
        /// The package or anchor that they were prepared for; signatures may have been added since
        package: PathBuf,
        /// The trust anchor that devices have now, if a new one is signed
        #[arg(long, value_name = "FILE", conflicts_with = "prompts")]
        current: Option<PathBuf>,
        /// The public key
        #[arg(long, value_name = "FILE|URI")]
        key: PathBuf,
        /// The bytes that were to be signed
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// Their signature: raw, or DER for ESP256
        #[arg(long, value_name = "FILE")]
        signature: PathBuf,
        /// The operator's prompts that the bytes were prepared with
        #[arg(long, value_name = "FILE")]
        prompts: Option<PathBuf>,
        /// Where to write the package or anchor
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Add a signature by a key at hand
    Add {
        /// The package, which may have no signature yet
        package: PathBuf,
        /// The private key, or a pkcs11: URI
        #[arg(long, value_name = "FILE|URI")]
        key: PathBuf,
        #[command(flatten)]
        statement: StatementArgs,
        /// Where to write the package
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Write the public half of a private key
    Public {
        /// The private key, or a pkcs11: URI
        #[arg(long, value_name = "FILE|URI")]
        key: PathBuf,
        /// Where to write the public key
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// What a signature shall say.
#[derive(Debug, clap::Args)]
struct StatementArgs {
    /// Approve for this operator, as in 26201; without it the signature is a vendor's
    #[arg(long, value_parser = args::plmn)]
    operator: Option<Plmn>,
    /// Vendors: require an operator's approval, `any` or PLMNs separated by commas [default: what
    /// earlier vendor signatures say, else none]
    #[arg(long, value_name = "any|PLMN,...", value_parser = requirement)]
    #[arg(conflicts_with = "operator")]
    require: Option<Requirement>,
    /// Operators: signed, or string under a key that may attach strings
    #[arg(long, value_enum, default_value = "signed", requires = "operator")]
    mode: ModeName,
    /// Operators: the validation string as 32 hexadecimal digits; other users can see it
    #[arg(long, value_name = "32HEX", conflicts_with = "string_file", requires = "operator")]
    string: Option<String>,
    /// Operators: file with the validation string as 32 hexadecimal digits
    #[arg(long, value_name = "FILE", requires = "operator")]
    string_file: Option<PathBuf>,
    /// Operators: prompts of their own (TOML: a table per language)
    #[arg(long, value_name = "FILE", requires = "operator")]
    prompts: Option<PathBuf>,
    /// Operators: the release file, whose displays these prompts must fit on
    #[arg(long, value_name = "FILE", requires = "prompts")]
    release: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    Signed,
    String,
}

impl StatementArgs {
    fn files(&self) -> [Option<&PathBuf>; 3] {
        [self.string_file.as_ref(), self.prompts.as_ref(), self.release.as_ref()]
    }

    fn prompts(&self) -> Result<Option<Vec<u8>>> {
        approve::prompts(self.prompts.as_deref(), self.release.as_deref())
    }

    fn statement<'p>(&self, prompts: Option<&'p [u8]>) -> Result<Statement<'p>> {
        let Some(plmn) = self.operator else {
            let requirement = self.require.as_ref().map(|list| list.0.clone());
            return Ok(Statement::Vendor { requirement });
        };
        let string = approve::string(self.string.as_deref(), self.string_file.as_deref())?;
        let mode = match self.mode {
            ModeName::Signed => Mode::Signed,
            ModeName::String if string.is_none() => {
                let what = "this mode needs the validation string: --string or --string-file";
                return Err(Error::input("--string", what));
            }
            ModeName::String => Mode::String,
        };
        Ok(Statement::Operator { plmn, mode, string, prompts })
    }
}

/// Nothing that is read is written over, but a package or signed anchor that gets one signature
/// more.
fn check_places(command: &Command) -> Result<()> {
    let (output, inputs) = match command {
        Command::Prepare { package, current, key, statement, output } => (
            output,
            [&[Some(package), current.as_ref(), Some(key)], &statement.files()[..]].concat(),
        ),
        Command::Attach { package, current, key, request, signature, prompts, output } => {
            let source = Some(package).filter(|path| trust::is_source(path));
            let proofs = [Some(key), Some(request), Some(signature)];
            (output, [&proofs[..], &[source, current.as_ref(), prompts.as_ref()]].concat())
        }
        Command::Add { key, statement, output, .. } => {
            (output, [&[Some(key)], &statement.files()[..]].concat())
        }
        Command::Public { key, output } => (output, vec![Some(key)]),
    };
    output::apart([output.as_path()], inputs.into_iter().flatten().map(PathBuf::as_path))
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    check_places(&args.command)?;
    match &args.command {
        Command::Prepare { package, current: Some(current), key, output, .. } => {
            anchor::prepare(package, current, key, output)
        }
        Command::Attach {
            package: file,
            current: Some(current),
            key,
            request,
            signature,
            output,
            ..
        } => anchor::Attachment { file, current, key, request, signature, output }.attach(),
        Command::Prepare { package, key, statement, output, .. } => {
            let key = token::public_key(key)?;
            let bytes = package_at(package)?;
            let prompts = statement.prompts()?;
            let request = sign::prepare(&bytes, &key, &statement.statement(prompts.as_deref())?);
            prepared(&request.map_err(|error| error.about(package.display()))?, &key, output)
        }
        Command::Attach { package, key, request, signature, prompts, output, .. } => {
            let key = token::public_key(key)?;
            let (bytes, tbs) = (package_at(package)?, output::read(request)?);
            let prompts = approve::prompts(prompts.as_deref(), None)?;
            let proof = output::read(signature)?;
            let signed = sign::attach(&bytes, &tbs, &key, &proof, prompts.as_deref());
            let signed = signed.map_err(|error| {
                let file = if error.detail() == crate::core::Detail::BadSignature {
                    signature
                } else {
                    package
                };
                error.about(file.display())
            })?;
            written(&signed, &bytes, &key, output)
        }
        Command::Add { package, key, statement, output } => {
            let key = token::signer(key)?;
            let bytes = output::read(package)?;
            let prompts = statement.prompts()?;
            let signed = sign::sign(&bytes, &key, &statement.statement(prompts.as_deref())?);
            let signed = signed.map_err(|error| error.about(package.display()))?;
            written(&signed, &bytes, &key.public(), output)
        }
        Command::Public { key, output } => {
            let key = token::signer(key)?.public();
            output::write(output, key.to_pem()?.as_bytes())?;
            let text = format!("{}: {}", output.display(), name(&key));
            Ok(Report::new(text, with_key(json!({ "pub": report::path(output) }), &key)))
        }
    }
}

fn package_at(path: &Path) -> Result<Vec<u8>> {
    let bytes = output::read(path)?;
    anchor::refuse(path, &bytes)?;
    Ok(bytes)
}

fn name(key: &PublicKey) -> String {
    format!("{}, key id {}", key.algorithm().name(), hex(&key.kid()))
}

fn with_key(mut json: Value, key: &PublicKey) -> Value {
    json["kid"] = hex(&key.kid()).into();
    json["algorithm"] = key.algorithm().name().into();
    json
}

fn prepared(request: &[u8], key: &PublicKey, path: &Path) -> Result<Report> {
    output::write(path, request)?;
    // Some services sign a digest, and people compare one.
    let digest = hex(&sha256(request));
    let text = format!(
        "{}: {} bytes to sign, SHA-256 {digest}\nby {}",
        path.display(),
        request.len(),
        name(key)
    );
    let json = json!({ "request": report::path(path), "len": request.len(), "sha256": digest });
    Ok(Report::new(text, with_key(json, key)))
}

fn written(signed: &[u8], before: &[u8], key: &PublicKey, path: &Path) -> Result<Report> {
    output::write(path, signed)?;
    let added = signed.len() - before.len();
    let text = format!("{}: signed by {}, {added} bytes more", path.display(), name(key));
    let json = json!({ "package": report::path(path), "len": signed.len(), "added_len": added });
    Ok(Report::new(text, with_key(json, key)))
}
