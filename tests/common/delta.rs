//! What the delta tests share: pairs of images, deltas of every coder, an applier driven by hand.
#![allow(dead_code, missing_docs, unreachable_pub)] // Every test file uses a part of it.

use std::convert::Infallible;
use std::path::Path;

use fwdelta::codec::zstd::Zstd;
use fwdelta::core::apply::{Applier, Io, Step};
use fwdelta::core::format::delta::DeltaHeader;
use fwdelta::core::storage::{Geometry, Target};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{self, Delta, Options, Profile};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;

pub const PROFILES: [Profile; 3] = [Profile::Small, Profile::Fast, Profile::Bsdiff];

pub struct Pair {
    pub name: String,
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

/// Every pair in testdata, by name.
pub fn firmware() -> Vec<Pair> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/firmware");
    let mut pairs = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let read = |file| std::fs::read(path.join(file)).ok();
        if let (Some(old), Some(new)) = (read("old.bin"), read("new.bin")) {
            pairs.push(Pair { name, old, new });
        }
    }
    pairs.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(pairs.len() >= 2, "testdata has its pairs");
    pairs
}

pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.bits() as u8).collect()
}

/// A few KB of real code with edits in it: quick to try thousands of times.
pub fn short_pair() -> Pair {
    let first = firmware().swap_remove(0);
    let old = first.old[..3000].to_vec();
    let mut new = first.new[..3000].to_vec();
    new.splice(700..700, noise(1, 50));
    new.drain(1500..1620);
    new.extend_from_slice(&first.old[9000..9300]);
    Pair { name: "short".to_owned(), old, new }
}

pub fn create(old: &[u8], new: &[u8], profile: Profile) -> Delta {
    diff::create(old, new, &Options { profile, threads: 1 }, &Silent).unwrap()
}

/// A delta of every coder for `pair`; the stored one carries noise.
pub fn every_coder(pair: &Pair) -> Vec<(Pair, Delta)> {
    let (name, old) = (pair.name.clone(), pair.old.clone());
    let stored = Pair { name: format!("{name} noise"), old, new: noise(7, 3000) };
    let delta = create(&stored.old, &stored.new, Profile::Small);
    let mut all = vec![(stored, delta)];
    for profile in PROFILES {
        let Pair { name, old, new } = pair;
        let copy = Pair { name: name.clone(), old: old.clone(), new: new.clone() };
        all.push((copy, create(old, new, profile)));
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
