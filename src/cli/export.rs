//! `fwdelta export`: what other tools read.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::input::Input;
use super::output::{self, Beside};
use super::report::{self, Report};
use super::token;
use crate::core::hash::{Sha256Digest, sha256};
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::package::assemble::{Parts, manifest_digest};
use crate::package::export::bare;
use crate::package::inspect::{ComponentDescription, describe};
use crate::package::mcuboot::{self, Dependency, ImageOptions, Version, sign_image};

/// Write a package in a form that other tools read (docs/interoperability.md)
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta export suit update.suit --payload-dir payloads -o manifest.suit
  fwdelta export mcuboot app.bin --key boot.key --image-version 1.2.3 --header-len 512 \\
      --package update.suit -o app.signed.bin")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// An envelope with integer keys only: every signed byte, no integrated payload
    Suit {
        /// The package
        package: PathBuf,
        /// Write the payloads that were integrated to this folder, by their names without `#`
        #[arg(long, value_name = "DIR")]
        payload_dir: Option<PathBuf>,
        /// Where to write the envelope
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// An image that MCUboot boots: header, payload and signed entries behind it
    Mcuboot(Box<McubootArgs>),
}

#[derive(Debug, clap::Args)]
struct McubootArgs {
    /// The payload: raw, Intel HEX or S-record
    image: PathBuf,
    /// Private key (Ed25519 or P-256), or a pkcs11: URI
    #[arg(long, value_name = "FILE|URI")]
    key: PathBuf,
    /// Version of the image
    #[arg(long, value_name = "MAJOR.MINOR.REVISION+BUILD")]
    image_version: Version,
    /// Bytes of the header, with what the linker left for it
    #[arg(long, value_name = "BYTES", default_value_t = mcuboot::HEADER_LEN_MIN)]
    header_len: u16,
    /// Where it is loaded, if it runs from RAM
    #[arg(long, value_name = "ADDRESS", value_parser = number, default_value = "0")]
    load_address: u32,
    /// Security counter: images with a lower one are refused
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    security_counter: Option<u32>,
    /// Another image that must be there in at least this version; repeatable
    #[arg(long, value_name = "IMAGE:VERSION")]
    dependency: Vec<Dependency>,
    /// A package with this image: the digest of its manifest becomes a protected entry
    #[arg(long, value_name = "FILE")]
    package: Option<PathBuf>,
    /// Type of that entry
    #[arg(long, value_name = "TYPE", value_parser = kind, default_value = "0x00a0",
          requires = "package")]
    digest_type: u16,
    /// Where to write the image
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// A number, hexadecimal behind `0x`.
fn number(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "a number up to 0xffffffff, as in 0x20000000".to_owned())
}

fn kind(text: &str) -> Result<u16, String> {
    let kind = number(text).ok().and_then(|it| u16::try_from(it).ok());
    let wrong = || "a type that MCUboot leaves to vendors, 0x00a0 to 0xfffe".to_owned();
    kind.filter(|it| mcuboot::VENDOR_TYPES.contains(it)).ok_or_else(wrong)
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    match &args.command {
        Command::Suit { package, payload_dir, output } => {
            suit(package, payload_dir.as_deref(), output)
        }
        Command::Mcuboot(args) => mcuboot_image(args),
    }
}

fn suit(path: &Path, payload_dir: Option<&Path>, to: &Path) -> Result<Report> {
    output::apart([to], [path].into_iter().chain(payload_dir))?;
    let package = output::read(path)?;
    let bare = bare(&package).map_err(|error| error.about(path.display()))?;
    let mut files = Vec::new();
    if let Some(dir) = payload_dir {
        std::fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
        for (name, payload) in &bare.payloads {
            files.push(Beside::holding(&dir.join(name), payload)?);
        }
    }
    // The envelope last: it is never there without what it refers to.
    files.push(Beside::holding(to, &bare.envelope)?);
    Beside::commit_all(files)?;
    let payloads: Vec<_> = bare.payloads.iter().map(|(name, _)| name).collect();
    let text = format!(
        "{}: {} bytes without {} integrated payloads",
        to.display(),
        bare.envelope.len(),
        payloads.len()
    );
    let json =
        json!({ "envelope": report::path(to), "len": bare.envelope.len(), "payloads": payloads });
    Ok(Report::new(text, json))
}

fn mcuboot_image(args: &McubootArgs) -> Result<Report> {
    let inputs = [&args.image, &args.key].into_iter().chain(&args.package);
    output::apart([args.output.as_path()], inputs.map(PathBuf::as_path))?;
    let input = Input::open(&args.image)?;
    let payload = input.image()?;
    let manifest = args.package.as_deref().map(|path| package_digest(path, &payload));
    let manifest = manifest.transpose()?;
    let options = ImageOptions {
        version: args.image_version,
        header_len: args.header_len,
        load_address: args.load_address,
        security_counter: args.security_counter,
        dependencies: args.dependency.clone(),
        custom: manifest.iter().map(|digest| (args.digest_type, digest.to_vec())).collect(),
    };
    let image = sign_image(&payload, &options, &token::signer(&args.key)?)?;
    output::write(&args.output, &image.bytes)?;
    let text = format!(
        "{}: {} bytes, {} more than the payload, hash {}",
        args.output.display(),
        image.bytes.len(),
        image.bytes.len() - payload.len(),
        hex(&image.digest)
    );
    let json = json!({
        "image": report::path(&args.output),
        "len": image.bytes.len(),
        "payload_len": payload.len(),
        "sha256": hex(&image.digest),
        "manifest_digest": manifest.map(|digest| hex(&digest)),
    });
    Ok(Report::new(text, json))
}

/// Of the package's manifest, if this is an image that the package leads to.
fn package_digest(path: &Path, payload: &[u8]) -> Result<Sha256Digest> {
    let package = output::read(path)?;
    let about = |error: Error| error.about(path.display());
    let described = describe(&package).map_err(about)?;
    let digest = hex(&sha256(payload));
    let is_new = |it: &ComponentDescription| it.new.sha256 == digest;
    if !described.components.iter().any(is_new) {
        let what = format!("no component of it becomes this image, SHA-256 {digest}");
        return Err(Error::input(path.display(), what));
    }
    Ok(manifest_digest(&Parts::read(&package).map_err(about)?.manifest))
}
