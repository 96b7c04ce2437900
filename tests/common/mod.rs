//! What the package tests share: keys, firmware, a package with two approvals, a device.
#![allow(dead_code, missing_docs, unreachable_pub)] // Every test file uses a part of it.

use std::path::{Path, PathBuf};

use fwdelta::core::format::key::Algorithm;
use fwdelta::core::format::plmn::Plmn;
use fwdelta::core::format::trust::Trust;
use fwdelta::core::storage::{ReadError, Source};
use fwdelta::core::verify::{Device, EfFota, Package, Sim};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{Options, Profile, VecTarget};
use fwdelta::package::build::{BuildOptions, Images, build};
use fwdelta::package::receive::{self, Extent, Supply};
use fwdelta::package::{ALGORITHMS, Approval, Method, PublicKey, SecretKey, approve, trust_file};
use fwdelta::progress::Silent;
use fwdelta::release::Release;

pub const STRING: [u8; 16] = *b"the SIM's string";

/// A key that depends on its name only, whose last word may be that of an algorithm.
pub fn key(name: &str) -> SecretKey {
    let algorithm = match name.rsplit(' ').next() {
        Some("p256") => Algorithm::Esp256,
        Some("lattice") => Algorithm::MlDsa44,
        _ => Algorithm::Ed25519,
    };
    SecretKey::from_seed_of(algorithm, &fwdelta::core::hash::sha256(name.as_bytes())).unwrap()
}

pub fn plmn(text: &str) -> Plmn {
    Plmn::parse(text).unwrap()
}

pub fn firmware() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/firmware")
}

/// The old and new image of a pair in testdata.
pub fn pair(name: &str) -> (Vec<u8>, Vec<u8>) {
    let dir = firmware().join(name);
    (std::fs::read(dir.join("old.bin")).unwrap(), std::fs::read(dir.join("new.bin")).unwrap())
}

/// Two images that differ in a few places, small enough to try every byte of their package.
pub fn tiny_pair() -> (Vec<u8>, Vec<u8>) {
    let (old, _) = pair("apollo");
    let old = old[..1024].to_vec();
    let mut new = old.clone();
    new[100] ^= 0x55;
    new[700..708].copy_from_slice(b"new text");
    new.extend_from_slice(b"and an end");
    (old, new)
}

/// Builds a package with one component.
pub fn package(
    old: Option<&[u8]>,
    new: &[u8],
    profile: Profile,
    edit: &dyn Fn(&mut BuildOptions),
) -> Vec<u8> {
    let mut options = BuildOptions {
        diff: Options { profile, threads: 1, is_streamed: true, ..Options::default() },
        sequence: 7,
        ..BuildOptions::default()
    };
    edit(&mut options);
    let images = [Images { name: "main", old, new }];
    build(&images, &Release::default(), &[key("vendor")], &options, &Silent).unwrap().package
}

/// Approved by 26201 with its signature and by 310410 with signature and string.
pub fn approved(package: &[u8]) -> Vec<u8> {
    let [a, b] = [key("26201"), key("310410")];
    let first = Method::Signed { key: &a, string: None };
    let second = Method::Signed { key: &b, string: Some(STRING) };
    let add = |package: &[u8], operator, method| {
        approve(package, &Approval { plmn: plmn(operator), method, prompts: None }).unwrap()
    };
    add(&add(package, "26201", first), "310410", second)
}

/// Trusts every signer of [`approved`].
pub fn anchor(device: &str) -> Vec<u8> {
    let text = format!(
        "version = 1\n[vendor]\nkeys = [\"vendor\"]\n[[operator]]\nplmn = \"26201\"\n\
         keys = [\"26201\"]\n[[operator]]\nplmn = \"310410\"\nkeys = [\"310410\"]\n\
         [device]\n{device}\n"
    );
    let mut load = |name: &str| -> fwdelta::Result<PublicKey> { Ok(key(name).public()) };
    trust_file::compile(&text, "trust.toml", &mut load).unwrap()
}

pub fn sim(operator: &str) -> Sim {
    let file = [&[1][..], &STRING].concat();
    Sim::WithFota { plmn: plmn(operator), ef_fota: EfFota::parse(&file).unwrap() }
}

/// One old image for every component, no detached payloads.
pub struct OneOld<'o>(pub &'o [u8]);

impl<'o> Supply for OneOld<'o> {
    type File = &'o [u8];

    fn payload(&mut self, _: &str) -> fwdelta::Result<Option<(&'o [u8], u64)>> {
        Ok(None)
    }

    fn old(&mut self, _: &str) -> fwdelta::Result<Option<(&'o [u8], u64)>> {
        Ok(Some((self.0, self.0.len() as u64)))
    }
}

/// Everything a device does; the new image only if every check passed.
pub fn receive(
    package: &mut impl Source,
    len: usize,
    old: &[u8],
    anchor: &[u8],
    device: Device<'_>,
) -> Result<Vec<u8>, Detail> {
    let trust = Trust::parse(anchor).map_err(|error| error.detail)?;
    let (mut buf, limits) = (vec![0; 4096], Limits::LINUX);
    let opened =
        Package::verify(package, len as u64, &mut buf, &trust, &device, &ALGORITHMS, &limits)
            .map_err(|error| error.detail)?;
    let mut supply = OneOld(old);
    let detail = |error: fwdelta::Error| error.detail();
    let checked = receive::check(&opened, package, &mut supply, Extent::Update, &limits, &Silent)
        .map_err(detail)?;
    opened.check_conditions(&device.facts).map_err(|error| error.detail)?;
    let mut new = VecTarget::default();
    let header = checked[0].header;
    receive::apply(&opened, package, &mut supply, 0, &header, &mut new, &limits, &Silent)
        .map_err(detail)?;
    Ok(new.0)
}

/// Reads `first` until `switch_after` bytes were read in all, then `second`.
pub struct Changing<'b> {
    pub first: &'b [u8],
    pub second: &'b [u8],
    pub switch_after: usize,
    pub read: usize,
}

impl Source for Changing<'_> {
    type Error = std::convert::Infallible;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        let now = if self.read < self.switch_after { &mut self.first } else { &mut self.second };
        self.read += buf.len();
        now.read(pos, buf)
    }
}
