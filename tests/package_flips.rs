//! Any single byte changed is refused, with the number of the part it is in, and nothing is
//! written; a package that changes between check and use is refused chunk by chunk.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;

use common::{Changing, anchor, approved, package, pair, receive, sim, tiny_pair};
use fwdelta::core::format::auth::Authentication;
use fwdelta::core::format::envelope::Envelope;
use fwdelta::core::verify::{Device, Facts};
use fwdelta::core::{Category, Detail, Limits};
use fwdelta::diff::Profile;

const DEVICE_SEQUENCE: u64 = 6;

fn device() -> Device<'static> {
    Device { sim: sim("26201"), sequence: Some(DEVICE_SEQUENCE), facts: Facts::default() }
}

fn try_package(bytes: &[u8], old: &[u8], anchor: &[u8]) -> Result<Vec<u8>, Detail> {
    receive(&mut { bytes }, bytes.len(), old, anchor, device())
}

/// Which numbers a change may give, by where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Heads, keys, counts: the package is no longer well-formed.
    Frame,
    /// What a block says.
    Protected,
    /// A signature.
    Proof,
    /// The manifest or its digest.
    Manifest,
    /// Text, prompts, delta header, delta payload.
    Content,
}

impl Part {
    fn allows(self, detail: Detail) -> bool {
        match self {
            Part::Frame => {
                let is_shape = [Category::Format, Category::Unsupported, Category::Limit];
                is_shape.contains(&detail.category())
            }
            Part::Protected => [Category::Format, Category::Unsupported, Category::Signature]
                .contains(&detail.category()),
            Part::Proof => detail == Detail::BadSignature,
            Part::Manifest => detail == Detail::DigestMismatch,
            Part::Content => detail.category() == Category::Corrupt,
        }
    }
}

/// The parts of a package that are not frame.
fn parts(package: &[u8]) -> Vec<(Part, Range<usize>)> {
    let mut buf = vec![0; 4096];
    let len = package.len() as u64;
    let envelope = Envelope::scan(&mut { package }, len, &Limits::LINUX, &mut buf).unwrap();
    let auth = Authentication::parse(envelope.auth, envelope.auth_pos).unwrap();
    let find = |bytes: &[u8]| {
        let mut places = package.windows(bytes.len()).enumerate().filter(|(_, w)| *w == bytes);
        let start = places.next().unwrap().0;
        assert!(bytes.len() < 8 || places.next().is_none(), "ambiguous");
        start..start + bytes.len()
    };
    let mut parts = vec![(Part::Manifest, find(envelope.manifest))];
    parts.push((Part::Manifest, find(auth.digest)));
    for block in auth.blocks() {
        parts.push((Part::Protected, find(block.protected)));
        parts.push((Part::Proof, find(block.proof)));
    }
    let contents = envelope.payloads().map(|(_, span)| span).chain(envelope.text);
    for span in contents {
        parts.push((Part::Content, span.pos as usize..(span.pos + span.len) as usize));
    }
    parts
}

fn part_of(parts: &[(Part, Range<usize>)], pos: usize) -> Part {
    parts.iter().find(|(_, range)| range.contains(&pos)).map_or(Part::Frame, |(part, _)| *part)
}

/// Tries `positions` with `masks`; prints how many refusals each part gave.
fn flip(
    package: &[u8],
    old: &[u8],
    new: &[u8],
    positions: impl Iterator<Item = usize>,
    masks: &[u8],
) {
    let anchor = anchor("");
    assert_eq!(try_package(package, old, &anchor).as_deref(), Ok(new), "positive control");
    let parts = parts(package);
    let mut counts = BTreeMap::new();
    for pos in positions {
        for mask in masks {
            let mut changed = package.to_vec();
            changed[pos] ^= mask;
            let detail = try_package(&changed, old, &anchor)
                .expect_err(&format!("byte {pos} changed by {mask:#04x} was accepted"));
            let part = part_of(&parts, pos);
            assert!(part.allows(detail), "byte {pos} in {part:?} gave {detail:?}");
            *counts.entry((part, detail.category() as u8)).or_insert(0) += 1;
        }
    }
    println!("{counts:?}");
    assert!(counts.len() >= 5, "{counts:?}");
}

#[test]
fn every_byte_of_a_small_package() {
    let (old, new) = tiny_pair();
    for profile in [Profile::Small, Profile::Fast] {
        let package = approved(&package(Some(&old), &new, profile, &|_| ()));
        flip(&package, &old, &new, 0..package.len(), &[0x01, 0x80, 0xff]);
    }
}

#[test]
fn two_thousand_bytes_of_a_larger_package() {
    let (old, new) = pair("moondancer");
    for profile in [Profile::Small, Profile::Fast] {
        let package = approved(&package(Some(&old), &new, profile, &|_| ()));
        // A fixed multiplicative generator: the same positions in every run.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let random = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % package.len()
        });
        let exhaustive = std::env::var_os("FWDELTA_EXHAUSTIVE").is_some();
        let positions: Vec<_> = match exhaustive {
            true => (0..package.len()).collect(),
            false => random.take(2_000).collect(),
        };
        flip(&package, &old, &new, positions.into_iter(), &[0x10]);
    }
}

#[test]
fn every_truncation_and_a_byte_too_many() {
    let (old, new) = tiny_pair();
    let package = approved(&package(Some(&old), &new, Profile::Small, &|_| ()));
    let anchor = anchor("");
    for len in 0..package.len() {
        let detail = try_package(&package[..len], &old, &anchor).unwrap_err();
        assert!(Part::Frame.allows(detail), "{len}: {detail:?}");
    }
    let longer = [package.as_slice(), b"x"].concat();
    assert_eq!(try_package(&longer, &old, &anchor), Err(Detail::TrailingBytes));
}

/// RAUC CVE-2020-25860: the file that was verified is not the file that is installed.
#[test]
fn a_package_that_changes_after_it_was_checked() {
    let (old, new) = pair("moondancer");
    for profile in [Profile::Small, Profile::Fast] {
        let package = approved(&package(Some(&old), &new, profile, &|_| ()));
        let anchor = anchor("");
        let payload = parts(&package).last().unwrap().1.clone();
        let payload = parts(&package)
            .into_iter()
            .filter(|(part, _)| *part == Part::Content)
            .map(|(_, range)| range)
            .max_by_key(Range::len)
            .unwrap_or(payload);
        let mut changed = package.clone();
        changed[payload.start + payload.len() / 2] ^= 1;
        let (mut refused, mut switch_after) = (0, 0);
        loop {
            let mut source = Changing { first: &package, second: &changed, switch_after, read: 0 };
            match receive(&mut source, package.len(), &old, &anchor, device()) {
                Ok(image) => {
                    assert_eq!(image, new);
                    break;
                }
                Err(detail) => {
                    let fits = [Detail::PayloadDigest, Detail::ChunkDigest].contains(&detail);
                    assert!(fits, "{detail:?}");
                    refused += usize::from(detail == Detail::ChunkDigest);
                }
            }
            switch_after += 512;
        }
        assert!(refused > 0, "no chunk was refused");
    }
}

/// The command refuses every changed byte too, and leaves neither an output nor a temporary file.
#[test]
fn the_command_leaves_nothing_behind() {
    let (old, new) = tiny_pair();
    let package = approved(&package(Some(&old), &new, Profile::Small, &|_| ()));
    let work = tempfile::tempdir().unwrap();
    let path = |name: &str| work.path().join(name);
    std::fs::write(path("old"), &old).unwrap();
    std::fs::write(path("trust.cbor"), anchor("")).unwrap();
    let apply = |bytes: &[u8]| {
        std::fs::write(path("package"), bytes).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fwdelta"));
        command.current_dir(work.path()).args(["apply", "package", "--trust", "trust.cbor"]);
        command.args(["--old", "old", "-o", "new"]).output().unwrap().status.code().unwrap()
    };
    assert_eq!(apply(&package), 0, "positive control");
    assert_eq!(std::fs::read(path("new")).unwrap(), new);
    std::fs::remove_file(path("new")).unwrap();
    for pos in 0..package.len() {
        let mut changed = package.clone();
        changed[pos] ^= 1;
        let code = apply(&changed);
        assert!((11..=17).contains(&code), "byte {pos}: exit code {code}");
        assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 3, "byte {pos}");
    }
}
