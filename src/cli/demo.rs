//! `fwdelta demo`: the whole story on real firmware: build, approve, describe, verify, apply,
//! compare, and what is refused.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::output;
use super::progress::Bar;
use super::report::Report;
use crate::core::format::key::Algorithm;
use crate::core::format::plmn::Plmn;
use crate::core::format::trust::Trust;
use crate::core::hash::sha256;
use crate::core::verify::{Device, EfFota, Facts, Package, Sim};
use crate::core::{Detail, Limits};
use crate::descriptor::{self, FileFacts, PackageFacts};
use crate::diff::{Options, Profile, VecTarget};
use crate::error::{Error, Result};
use crate::package::build::{BuildOptions, Images, build};
use crate::package::receive::{self, Extent, Supply};
use crate::package::{ALGORITHMS, Approval, Method, PublicKey, SecretKey, approve, trust_file};
use crate::release::Release;

/// Build, approve, describe, verify and apply packages of real firmware, and print their sizes
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  fwdelta demo")]
pub(crate) struct Args {
    /// Folder of pairs, each a folder with old.bin and new.bin [default: testdata/firmware]
    dir: Option<PathBuf>,
}

const OPERATORS: [&str; 2] = ["26201", "310410"];
const TRUST: &str = "version = 1\n[vendor]\nkeys = [\"vendor\"]\n\
    [[operator]]\nplmn = \"26201\"\nkeys = [\"26201\"]\n\
    [[operator]]\nplmn = \"310410\"\nkeys = [\"310410\"]\n";

/// Everybody in the story.
struct Cast {
    vendor: SecretKey,
    operators: [SecretKey; 2],
    anchor: Vec<u8>,
    sim: Sim,
}

impl Cast {
    fn new() -> Result<Self> {
        let fresh = || SecretKey::generate(Algorithm::Ed25519);
        let vendor = fresh()?;
        let operators = [fresh()?, fresh()?];
        let mut load = |name: &str| -> Result<PublicKey> {
            let index = OPERATORS.iter().position(|plmn| *plmn == name);
            Ok(index.map_or(&vendor, |index| &operators[index]).public())
        };
        let anchor = trust_file::compile(TRUST, "trust", &mut load)?;
        let file = [&[1][..], b"the SIM's string"].concat();
        let sim =
            Sim::WithFota { plmn: Plmn::parse(OPERATORS[0])?, ef_fota: EfFota::parse(&file)? };
        Ok(Self { vendor, operators, anchor, sim })
    }

    /// A package for `old`, approved by both operators.
    fn package(&self, pair: &Pair, profile: Profile, bar: &Bar) -> Result<(Vec<u8>, usize)> {
        let options = BuildOptions {
            diff: Options { profile, threads: 0, ..Options::default() },
            sequence: 7,
            ..BuildOptions::default()
        };
        let images = Images { name: "main", old: Some(&pair.old), new: &pair.new };
        let keys = [self.vendor.clone()];
        let built = build(&[images], &Release::default(), &keys, &options, bar)?;
        let mut package = built.package;
        for (plmn, key) in OPERATORS.iter().zip(&self.operators) {
            let method = Method::Signed { key, string: None };
            let approval = Approval { plmn: Plmn::parse(plmn)?, method, prompts: None };
            package = approve(&package, &approval)?;
        }
        Ok((package, built.deltas[0].delta_len))
    }

    /// What a device with `old` makes of `package`.
    fn receive(&self, package: &[u8], old: &[u8], sim: Sim, bar: &Bar) -> Result<Vec<u8>> {
        let trust = Trust::parse(&self.anchor)?;
        let (mut buf, mut file, limits) = (vec![0; 4096], package, Limits::LINUX);
        let device = Device { sim, sequence: Some(6), facts: Facts::default() };
        let len = package.len() as u64;
        let package =
            Package::verify(&mut file, len, &mut buf, &trust, &device, &ALGORITHMS, &limits)?;
        let mut supply = Memory { old };
        let extent = Extent::Update;
        let checked = receive::check(&package, &mut file, &mut supply, extent, &limits, bar)?;
        let (mut new, header) = (VecTarget::default(), checked[0].header);
        receive::apply(&package, &mut file, &mut supply, 0, &header, &mut new, &limits, bar)?;
        Ok(new.0)
    }
}

/// The one old image of the story.
struct Memory<'o> {
    old: &'o [u8],
}

impl<'o> Supply for Memory<'o> {
    type File = &'o [u8];

    fn payload(&mut self, _: &str) -> Result<Option<(&'o [u8], u64)>> {
        Ok(None)
    }

    fn old(&mut self, _: &str) -> Result<Option<(&'o [u8], u64)>> {
        Ok(Some((self.old, self.old.len() as u64)))
    }
}

struct Pair {
    name: String,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// Sizes of one pair in bytes.
struct Row {
    name: String,
    full: usize,
    /// Delta and approved package, `small` then `fast`.
    sizes: [(usize, usize); 2],
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let pairs = pairs(&dir(args))?;
    let (cast, bar) = (Cast::new()?, Bar::new());
    let (mut rows, mut refusals) = (Vec::new(), Vec::new());
    for pair in &pairs {
        let mut sizes = [(0, 0); 2];
        for (profile, size) in [Profile::Small, Profile::Fast].into_iter().zip(&mut sizes) {
            let (package, delta_len) = cast.package(pair, profile, &bar)?;
            if cast.receive(&package, &pair.old, cast.sim, &bar)? != pair.new {
                return Err(Error::from(Detail::NewDigest).about(&pair.name));
            }
            describe(&package, pair)?;
            *size = (delta_len, package.len());
            if rows.is_empty() && profile == Profile::Small {
                refusals = refuse(&cast, &package, pair, &bar)?;
            }
        }
        rows.push(Row { name: pair.name.clone(), full: pair.new.len(), sizes });
    }
    drop(bar);
    Ok(Report::new(table(&rows, &refusals), to_json(&rows, &refusals)))
}

fn dir(args: &Args) -> PathBuf {
    let here = PathBuf::from("testdata/firmware");
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/firmware");
    args.dir.clone().unwrap_or(if here.is_dir() { here } else { built })
}

fn pairs(dir: &Path) -> Result<Vec<Pair>> {
    let failed = |error| Error::io("read", dir, error);
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let (old, new) = (path.join("old.bin"), path.join("new.bin"));
        if old.is_file() && new.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            pairs.push(Pair { name, old: output::read(&old)?, new: output::read(&new)? });
        }
    }
    pairs.sort_by(|a, b| a.name.cmp(&b.name));
    if pairs.is_empty() {
        let what = "no pairs here: each must be a folder with old.bin and new.bin";
        return Err(Error::input(dir.display(), what));
    }
    Ok(pairs)
}

/// The descriptors of the package are written and read back.
fn describe(package: &[u8], pair: &Pair) -> Result<()> {
    let release = Release::default();
    let facts = PackageFacts {
        envelope: FileFacts {
            file_name: "update.suit".to_owned(),
            media_type: descriptor::ENVELOPE_TYPE.to_owned(),
            size: package.len() as u64,
            sha256: sha256(package),
        },
        payloads: Vec::new(),
        version: release.version.clone(),
        install_size: pair.new.len() as u64,
    };
    let files = descriptor::describe(&facts, &release, "https://updates.example.com/")?;
    let descriptors = files.iter().filter(|file| file.media_type.ends_with("xml"));
    descriptors.map(|file| descriptor::parse(&file.bytes)).try_for_each(|read| read.map(|_| ()))
}

/// What must be refused, and that it is.
fn refuse(cast: &Cast, package: &[u8], pair: &Pair, bar: &Bar) -> Result<Vec<(String, Error)>> {
    let mut flipped = package.to_vec();
    if let Some(last) = flipped.last_mut() {
        *last ^= 1;
    }
    let mut wrong_old = pair.old.clone();
    wrong_old[0] ^= 1;
    let file = [&[0][..], b"the SIM's string"].concat();
    let plmn = Plmn::parse(OPERATORS[0])?;
    let forbidden = Sim::WithFota { plmn, ef_fota: EfFota::parse(&file)? };
    let cases = [
        ("one bit of the package flipped", cast.receive(&flipped, &pair.old, cast.sim, bar)),
        ("another old image", cast.receive(package, &wrong_old, cast.sim, bar)),
        ("a SIM that forbids updates", cast.receive(package, &pair.old, forbidden, bar)),
    ];
    let mut refusals = Vec::new();
    for (what, outcome) in cases {
        match outcome {
            Err(error) => refusals.push((what.to_owned(), error)),
            Ok(_) => return Err(Error::input("demo", format!("{what} was not refused"))),
        }
    }
    Ok(refusals)
}

fn table(rows: &[Row], refusals: &[(String, Error)]) -> String {
    let mut text = format!(
        "{:18}{:>11}{:>12}{:>12}{:>12}{:>12}\n",
        "bytes", "full image", "delta small", "package", "delta fast", "package"
    );
    for row in rows {
        let [small, fast] = row.sizes;
        text += &format!(
            "{:18}{:>11}{:>12}{:>12}{:>12}{:>12}\n",
            row.name, row.full, small.0, small.1, fast.0, fast.1
        );
    }
    text += "\neach package signed by the vendor, approved by operators 26201 and 310410,\n\
             described in OMA DD 1.0 and 2.0, verified with operator 26201's SIM, applied\n\n";
    for (what, error) in refusals {
        text += &format!("refused: {what}: {error}\n");
    }
    text + &format!("\n{} new images identical to the originals", 2 * rows.len())
}

fn to_json(rows: &[Row], refusals: &[(String, Error)]) -> Value {
    let sizes = |(delta, package): (usize, usize)| json!({ "delta": delta, "package": package });
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name,
                "full_image": row.full,
                "small": sizes(row.sizes[0]),
                "fast": sizes(row.sizes[1]),
            })
        })
        .collect();
    let refusals: Vec<_> = refusals
        .iter()
        .map(|(what, error)| json!({ "case": what, "detail": error.detail().name() }))
        .collect();
    json!({ "pairs": rows, "refused": refusals, "identical": true })
}
