//! `fwdelta keygen`: a key pair in two PEM files.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::report::{self, Report};
use super::{output, token};
use crate::core::format::key::Algorithm;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::SecretKey;
use crate::package::encrypt::GroupKey;

/// Make a key pair: NAME.key (PKCS#8 PEM, mode 0600) and NAME.pub (SPKI PEM)
///
/// A group key is one file, NAME.key, of 32 hexadecimal digits.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta keygen --out vendor
  fwdelta keygen --algorithm esp256 --out operator
  fwdelta keygen --algorithm ecdh-es --out device
  fwdelta keygen --token 'pkcs11:token=Release;object=vendor' --out vendor")]
pub(crate) struct Args {
    /// Name of the files, without extension
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
    /// What the key signs or decrypts with; an ml-dsa-44 key signs beside a vendor's key of another
    /// algorithm
    #[arg(long, value_enum, default_value = "ed25519")]
    algorithm: AlgorithmName,
    /// Make the key in a token instead, as in pkcs11:token=Release;object=vendor; only NAME.pub
    /// is written
    #[arg(long, value_name = "URI")]
    token: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AlgorithmName {
    /// Small and fast in software
    Ed25519,
    /// ECDSA on P-256: what tokens and crypto cells have
    Esp256,
    /// Withstands quantum computers; signatures of 2,420 bytes
    #[value(name = "ml-dsa-44")]
    MlDsa44,
    /// Not for signing: a device's P-256 key, which packages are encrypted for
    EcdhEs,
    /// Not for signing: a key that a group of devices shares, which packages are encrypted for
    A128kw,
}

impl AlgorithmName {
    /// The curve and coding of the key pair; a group key is none.
    const fn pair(self) -> Option<Algorithm> {
        match self {
            Self::Ed25519 => Some(Algorithm::Ed25519),
            Self::Esp256 | Self::EcdhEs => Some(Algorithm::Esp256),
            Self::MlDsa44 => Some(Algorithm::MlDsa44),
            Self::A128kw => None,
        }
    }

    /// How reports call it.
    const fn name(self, algorithm: Algorithm) -> &'static str {
        match self {
            Self::EcdhEs => "ECDH-ES+A128KW",
            _ => algorithm.name(),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    if args.out.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Error::input(args.out.display(), "a folder; add a name for the files"));
    }
    if let Some(uri) = &args.token {
        return in_token(uri, args);
    }
    let Some(algorithm) = args.algorithm.pair() else { return group_key(args) };
    let (secret_path, public_path) = (with(&args.out, "key"), with(&args.out, "pub"));
    for path in [&secret_path, &public_path] {
        if path.exists() {
            let what = "exists already and is not overwritten; choose another name or remove it";
            return Err(Error::input(path.display(), what));
        }
    }
    let key = SecretKey::generate(algorithm)?;
    output::write_secret(&secret_path, key.to_pem()?.as_bytes())?;
    let public = key.public();
    let written = public.to_pem().and_then(|pem| output::write(&public_path, pem.as_bytes()));
    written.inspect_err(|_| {
        // Half of a pair nobody asked for, and the next attempt would find it there.
        let _ = std::fs::remove_file(&secret_path);
    })?;
    let kid = hex(&public.kid());
    let text = format!(
        "{}: keep it secret\n{}: {}, key id {kid}",
        secret_path.display(),
        public_path.display(),
        args.algorithm.name(algorithm)
    );
    let algorithm = args.algorithm.name(algorithm);
    let (secret, public) = (report::path(&secret_path), report::path(&public_path));
    let json = json!({ "key": secret, "pub": public, "kid": kid, "algorithm": algorithm });
    Ok(Report::new(text, json))
}

fn group_key(args: &Args) -> Result<Report> {
    let path = with(&args.out, "key");
    if path.exists() {
        let what = "exists already and is not overwritten; choose another name or remove it";
        return Err(Error::input(path.display(), what));
    }
    let key = GroupKey::generate()?;
    output::write_secret(&path, key.to_text().as_bytes())?;
    let kid = hex(&key.kid());
    let text = format!("{}: A128KW, key id {kid}; keep it secret", path.display());
    let json = json!({ "key": report::path(&path), "kid": kid, "algorithm": "A128KW" });
    Ok(Report::new(text, json))
}

fn in_token(uri: &str, args: &Args) -> Result<Report> {
    let path = with(&args.out, "pub");
    // Before the token has a key that nothing refers to.
    if path.exists() {
        let what = "exists already and is not overwritten; choose another name or remove it";
        return Err(Error::input(path.display(), what));
    }
    let algorithm = match args.algorithm {
        AlgorithmName::EcdhEs | AlgorithmName::A128kw => None,
        signing => signing.pair(),
    };
    let algorithm = algorithm.ok_or_else(|| {
        Error::input("--token", "keys for encryption are made in files; leave --token out")
    })?;
    let public = token::generate(uri, algorithm)?;
    output::write(&path, public.to_pem()?.as_bytes())?;
    let (kid, algorithm) = (hex(&public.kid()), public.algorithm().name());
    let text = format!("{}: {algorithm}, key id {kid}; the key is in the token", path.display());
    let json = json!({ "pub": report::path(&path), "kid": kid, "algorithm": algorithm });
    Ok(Report::new(text, json))
}

fn with(out: &Path, extension: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
