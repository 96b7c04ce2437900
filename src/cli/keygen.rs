//! `fwdelta keygen`: a key pair in two PEM files.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::output;
use super::report::Report;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::SecretKey;

/// Make a key pair: NAME.key (PKCS#8 PEM, mode 0600) and NAME.pub (SPKI PEM)
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fwdelta keygen --out vendor")]
pub(crate) struct Args {
    /// Name of the files, without extension
    #[arg(long, value_name = "NAME")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let (secret_path, public_path) = (with(&args.out, "key"), with(&args.out, "pub"));
    for path in [&secret_path, &public_path] {
        if path.exists() {
            let what = "exists already and is not overwritten; choose another name or remove it";
            return Err(Error::input(path.display(), what));
        }
    }
    let key = SecretKey::generate()?;
    output::write_secret(&secret_path, key.to_pem()?.as_bytes())?;
    output::write(&public_path, key.public().to_pem()?.as_bytes())?;
    let kid = hex(&key.public().kid());
    let text = format!(
        "{}: keep it secret\n{}: key id {kid}",
        secret_path.display(),
        public_path.display()
    );
    let json = json!({ "key": secret_path, "pub": public_path, "kid": kid });
    Ok(Report::new(text, json))
}

fn with(out: &Path, extension: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
