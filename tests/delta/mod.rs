//! What the delta tests share: images, and a device that applies in pieces.
#![allow(dead_code, missing_docs, unreachable_pub)] // Every test file uses a part of it.

use std::convert::Infallible;
use std::path::Path;

use fwdelta::codec::zstd::{Zstd, compress};
use fwdelta::codec::{self, Script};
use fwdelta::core::apply::{Applier, Io, Step, memory_len};
use fwdelta::core::format::delta::{Coder, DeltaHeader, ImageId};
use fwdelta::core::hash::sha256;
use fwdelta::core::storage::{Geometry, Target};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{Delta, Options, Profile, create};
use fwdelta::matching::{self, Costs};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;
use fwdelta_sim::{Flash, FlashError};

pub const PROFILES: [Profile; 6] =
    [Profile::Tiny, Profile::Small, Profile::Fast, Profile::Max, Profile::Plain, Profile::Bsdiff];

/// Profiles that predict.
pub const PREDICTING: [Profile; 4] = [Profile::Tiny, Profile::Small, Profile::Fast, Profile::Max];

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

/// With `fast`, a delta of coder 6 as of long images: a short one is of coder 4 otherwise, as those
/// of `small`.
pub fn delta(old: &[u8], new: &[u8], profile: Profile) -> Delta {
    let options = Options { profile, threads: 1, is_streamed: true, ..Options::default() };
    create(old, new, &options, &Silent).unwrap()
}

/// A delta of coder 2, which profiles make only for images longer than prediction goes.
pub fn streams(old: &[u8], new: &[u8]) -> Delta {
    let (window_log, block_len) = (17, 1 << 16);
    let covers = matching::plain_covers(old, new, &Costs::FAST, &Silent).unwrap();
    let content = codec::streams::content(&Script { old, new, covers: &covers }, block_len);
    let payload = compress(&content, window_log).unwrap();
    let id = |image: &[u8]| ImageId { len: image.len() as u64, digest: sha256(image) };
    let mut header = DeltaHeader {
        coder: Coder::Streams { window_log, block_len },
        old: Some(id(old)).filter(|old| old.len > 0),
        new: id(new),
        workspace_len: 0,
        payload_len: payload.len() as u64,
        chain: None,
        in_place: None,
        undoes: None,
    };
    header.workspace_len = memory_len(&header).unwrap();
    Delta { header, payload }
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

#[derive(Clone)]
pub struct Pair {
    pub name: String,
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

/// A few KB of real code with edits in it: quick to try thousands of times.
pub fn short_pair() -> Pair {
    let (_, code, next) = firmware().swap_remove(0);
    let mut new = next[..3000].to_vec();
    new.splice(700..700, noise(&mut Random::new(1), 50, 256));
    new.drain(1500..1620);
    new.extend_from_slice(&code[9000..9300]);
    Pair { name: "short".to_owned(), old: code[..3000].to_vec(), new }
}

/// A delta of every coder for `pair`; the stored one carries noise.
pub fn every_coder(pair: &Pair) -> Vec<(Pair, Delta)> {
    let (name, old) = (pair.name.clone(), pair.old.clone());
    let stored =
        Pair { name: format!("{name} noise"), old, new: noise(&mut Random::new(7), 3000, 256) };
    let stored_delta = delta(&stored.old, &stored.new, Profile::Plain);
    let made = |profile| delta(&pair.old, &pair.new, profile);
    let mut all = vec![(stored, stored_delta)];
    for delta in [
        made(Profile::Plain),
        streams(&pair.old, &pair.new),
        made(Profile::Bsdiff),
        made(Profile::Small),
        made(Profile::Max),
    ] {
        all.push((pair.clone(), delta));
    }
    for (id, (_, delta)) in all.iter().enumerate() {
        assert_eq!(delta.header.coder.id(), id as u64, "each coder once");
    }
    all
}

/// The same delta as packages carry it.
pub fn chained(delta: &Delta, chunk_len: u32) -> Delta {
    delta.clone().chained(chunk_len).unwrap()
}

/// What is done to a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Erase(u32),
    Program(u64, Vec<u8>),
    Sync,
}

/// A slot that records; more than `len` bytes of new is a panic.
#[derive(Debug, Default)]
pub struct Recorder {
    pub len: u64,
    pub calls: Vec<Call>,
    pub bytes: Vec<u8>,
}

impl Target for Recorder {
    type Error = Infallible;

    fn geometry(&self) -> Geometry {
        Geometry { len: u64::MAX, sector_len: 1000, write_len: 1, erased: 0xff }
    }

    fn erase(&mut self, sector: u32) -> Result<(), Infallible> {
        self.calls.push(Call::Erase(sector));
        Ok(())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), Infallible> {
        assert_eq!(pos, self.bytes.len() as u64, "from front to back");
        self.bytes.extend_from_slice(data);
        assert!(self.bytes.len() as u64 <= self.len, "more than the header says");
        self.calls.push(Call::Program(pos, data.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Infallible> {
        self.calls.push(Call::Sync);
        Ok(())
    }
}

/// Feeds `payload` in pieces of the lengths that `piece_len` gives, in memory that holds other
/// data and is as long as the header makes a device expect; counts the calls.
pub fn feed<T: Target>(
    old: &[u8],
    header: &DeltaHeader,
    payload: &[u8],
    new: &mut T,
    limits: &Limits,
    mut piece_len: impl FnMut() -> usize,
) -> Result<(), Detail> {
    let detail = |error: fwdelta::core::Error| error.detail;
    header.check(limits).map_err(detail)?;
    let work_len = Applier::workspace(header).map_err(detail)?;
    assert!(work_len <= header.workspace_len && work_len <= limits.workspace_len);
    let mut work = vec![0xa5; work_len as usize];
    let mut applier = Applier::open(header, &mut work, limits).map_err(detail)?;
    let mut io = Io { old: &mut { old }, new, decompressor: &mut Zstd::default() };
    // A call takes input, programs a buffer of 64 bytes or more, or does 256 operations.
    let mut calls_left = 2 * payload.len() as u64 + header.new.len / 64 + 64;
    let (mut start, mut end) = (0, 0);
    loop {
        calls_left = calls_left.checked_sub(1).expect("the applier comes to an end");
        let (taken, step) = applier.feed(&mut io, &payload[start..end]).map_err(detail)?;
        start += taken;
        match step {
            Step::Done => break,
            Step::NeedInput if start == payload.len() => return Err(Detail::PayloadSize),
            Step::NeedInput if start == end => {
                end = payload.len().min(start + piece_len().max(1));
            }
            Step::NeedInput | Step::Yield => {}
        }
    }
    assert_eq!(start, payload.len(), "all of the payload is used");
    applier.finish(io.new).map(|_| ()).map_err(detail)
}

/// Feeds all at once into a recorder.
pub fn record(old: &[u8], delta: &Delta, limits: &Limits) -> (Recorder, Result<(), Detail>) {
    let mut new = Recorder { len: delta.header.new.len, ..Recorder::default() };
    let result = feed(old, &delta.header, &delta.payload, &mut new, limits, || usize::MAX >> 1);
    (new, result)
}
