//! `fwdelta index`: packages in, a signed index of them out.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::report::{self, Report};
use super::{args, output, token};
use crate::error::{Error, Result};
use crate::plan::{List, Listed, Named, collect, seal};

/// Make a signed index of packages, for `fwdelta plan`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fwdelta index 1.0-1.1.suit 1.1-1.2.suit full-1.2.suit --key vendor.key --sequence 3 -o index.suit
  fwdelta index --list packages.toml --key vendor.key --sequence 4 -o index.suit")]
pub(crate) struct Args {
    /// Packages, in the order of their releases
    #[arg(value_name = "PACKAGE", required_unless_present = "list")]
    packages: Vec<PathBuf>,
    /// Packages with their groups, order and versions (docs/format-index.md); they come first
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Vendor's private key, or a `pkcs11:` URI; repeat for several signatures
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Sequence number of the index, which only grows
    #[arg(long)]
    sequence: u64,
    /// Where to write the index
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let inputs = args.packages.iter().chain(&args.list).chain(&args.key);
    output::apart([args.output.as_path()], inputs.map(PathBuf::as_path))?;
    let keys = args.key.iter().map(|path| token::signer(path)).collect::<Result<Vec<_>>>()?;
    let list = match &args.list {
        Some(path) => List::parse(&args::text(path)?, &path.display().to_string())?,
        None => List::default(),
    };
    let dir = args.list.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let listed = list.package.into_iter().map(|named| (dir.join(&named.file), named));
    let plain = args.packages.iter().map(|path| (path.clone(), Named::default()));
    let mut packages = Vec::new();
    for (place, (path, named)) in (1..).zip(listed.chain(plain)) {
        packages.push(read(&path, named, place)?);
    }
    let next_url = list.next_url.map(|url| url.to_string());
    let opened = collect(packages, args.sequence, next_url)?;
    let bytes = seal(&opened, &keys)?;
    output::write(&args.output, &bytes)?;
    let count = opened.index.entries.len();
    let text = format!("{}: {count} packages, {} bytes", args.output.display(), bytes.len());
    let files: Vec<_> = opened.index.entries.iter().map(|entry| &entry.file).collect();
    let json = json!({
        "index": report::path(&args.output),
        "sequence": args.sequence,
        "len": bytes.len(),
        "packages": files,
    });
    Ok(Report::new(text, json))
}

fn read(path: &Path, named: Named, place: u64) -> Result<Listed> {
    let about = |error: Error| error.about(path.display());
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::input(path.display(), "not a file name in UTF-8"))?;
    let package = output::read(path)?;
    let named = Named { file: name.to_owned(), ..named };
    Listed::read(named, &package, place).map_err(about)
}
