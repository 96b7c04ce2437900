//! What the delta tests share: images, and a device that applies in pieces.
#![allow(dead_code, missing_docs, unreachable_pub)] // Every test file uses a part of it.

use std::path::Path;

use fwdelta::codec::zstd::Zstd;
use fwdelta::core::apply::{Applier, Io, Step};
use fwdelta::core::storage::Geometry;
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{Delta, Options, Profile, create};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;
use fwdelta_sim::{Flash, FlashError};

pub const PROFILES: [Profile; 3] = [Profile::Small, Profile::Fast, Profile::Bsdiff];

/// Small sectors and wide words, so that short images cross many of both.
pub const GEOMETRY: Geometry =
    Geometry { len: 1 << 20, sector_len: 512, write_len: 16, erased: 0xff };

/// Every pair of real firmware in testdata.
pub fn firmware() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/firmware");
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if let (Ok(old), Ok(new)) =
            (std::fs::read(path.join("old.bin")), std::fs::read(path.join("new.bin")))
        {
            pairs.push((path.file_name().unwrap().to_string_lossy().into_owned(), old, new));
        }
    }
    pairs.sort();
    assert!(!pairs.is_empty(), "there is no firmware in testdata");
    pairs
}

/// Noise of so many letters.
pub fn noise(random: &mut Random, len: usize, letters: usize) -> Vec<u8> {
    (0..len).map(|_| random.below(letters) as u8).collect()
}

/// Old and new as releases are: parts moved, inserted, dropped, bytes changed here and there.
pub fn edited(random: &mut Random, len: usize, edits: usize) -> (Vec<u8>, Vec<u8>) {
    let old = noise(random, len, 40);
    let mut new = old.clone();
    for _ in 0..edits {
        let at = random.below(new.len());
        let len = random.below(60);
        match random.below(4) {
            0 => drop(new.splice(at..at, noise(random, len, 256))),
            1 => drop(new.drain(at..(at + len).min(new.len() - 1))),
            2 => new[at] = new[at].wrapping_add(random.below(255) as u8 + 1),
            _ => {
                let from = random.below(old.len().saturating_sub(len).max(1));
                let part = old[from..(from + len).min(old.len())].to_vec();
                drop(new.splice(at..at, part));
            }
        }
    }
    (old, new)
}

pub fn delta(old: &[u8], new: &[u8], profile: Profile) -> Delta {
    create(old, new, &Options { profile, threads: 1 }, &Silent).unwrap()
}

/// What a device did: the verdict, and the cells of its slot.
#[derive(PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Result<(), Detail>,
    pub cells: Vec<u8>,
    pub erases: Vec<u32>,
}

/// Short: cells are long.
impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let blank = self.cells.iter().rev().take_while(|byte| **byte == 0xff).count();
        write!(f, "{:?} with {} cells written", self.verdict, self.cells.len() - blank)
    }
}

/// Applies to a flash, offering pieces of the length that `piece` gives. Breaking a rule of the
/// flash or working without end is a failed test.
pub fn apply(
    mut old: &[u8],
    delta: &Delta,
    geometry: Geometry,
    mut piece: impl FnMut() -> usize,
) -> Outcome {
    let mut flash = Flash::blank(geometry);
    let verdict = run(&mut old, delta, &mut flash, &mut piece);
    let broken: &[FlashError] = flash.violations();
    assert!(broken.is_empty(), "{broken:?}");
    Outcome { verdict, cells: flash.bytes().to_vec(), erases: flash.counts().erases.clone() }
}

fn run(
    old: &mut &[u8],
    delta: &Delta,
    flash: &mut Flash,
    piece: &mut dyn FnMut() -> usize,
) -> Result<(), Detail> {
    let Delta { header, payload } = delta;
    let limits = Limits { chunk_len: 1 << 24, ..Limits::LINUX };
    header.check(&limits).map_err(|error| error.detail)?;
    let len = Applier::workspace(header).map_err(|error| error.detail)?;
    let mut work = vec![0xa5; len as usize];
    let mut applier = Applier::open(header, &mut work, &limits).map_err(|error| error.detail)?;
    let mut io = Io { old, new: flash, decompressor: &mut Zstd::default() };
    let mut rest = &payload[..];
    // A call takes input, or works; idle ones are bounded by what is written.
    let mut calls_left = 16 * (payload.len() as u64 + header.new.len.min(1 << 21)) + 1000;
    loop {
        calls_left = calls_left.checked_sub(1).expect("works without end");
        let offered = &rest[..piece().min(rest.len())];
        let (taken, step) = applier.feed(&mut io, offered).map_err(|error| {
            assert!(error.old_intact, "two slots: the old image stands");
            error.detail
        })?;
        assert!(taken <= offered.len());
        rest = &rest[taken..];
        match step {
            Step::Done => break,
            Step::NeedInput if rest.is_empty() => return Err(Detail::PayloadSize),
            Step::NeedInput => assert_eq!(taken, offered.len()),
            Step::Yield => {}
        }
    }
    if !rest.is_empty() {
        return Err(Detail::TrailingBytes);
    }
    applier.finish(io.new).map(drop).map_err(|error| error.detail)
}
