//! Matching, encoding and decoding on the firmware in testdata, with sizes beside bsdiff's.
//!
//! Bias: the images are small (14 to 337 KB), so costs per image (suffix array of few pages, a
//! zstd context) weigh more than on large ones; all of it is in the processor's cache.
#![allow(missing_docs)] // criterion's macros make public functions without them.

use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fwdelta::codec::{Script, bits, streams};
use fwdelta::core::Limits;
use fwdelta::diff::{self, Delta, Options, Profile, bsdiff40};
use fwdelta::matching::{self, Costs};
use fwdelta::progress::Silent;

const PROFILES: [(&str, Profile); 3] =
    [("small", Profile::Small), ("fast", Profile::Fast), ("bsdiff", Profile::Bsdiff)];

struct Pair {
    name: String,
    old: Vec<u8>,
    new: Vec<u8>,
    deltas: Vec<Delta>,
}

/// Every pair of testdata, with its deltas: applied, digest checked, and compared.
fn pairs() -> Vec<Pair> {
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/firmware");
    let mut dirs: Vec<_> =
        std::fs::read_dir(firmware).unwrap().map(|entry| entry.unwrap().path()).collect();
    dirs.sort();
    let read = |dir: &Path, file| std::fs::read(dir.join(file)).ok();
    let images = |dir: &Path| Some((read(dir, "old.bin")?, read(dir, "new.bin")?));
    let pair = |dir: &std::path::PathBuf| {
        let (old, new) = images(dir)?;
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let deltas = PROFILES.map(|(_, profile)| delta(&old, &new, profile)).into();
        Some(Pair { name, old, new, deltas })
    };
    dirs.iter().filter_map(pair).collect()
}

fn delta(old: &[u8], new: &[u8], profile: Profile) -> Delta {
    let delta =
        diff::create(old, new, &Options { profile, threads: 1, ..Options::default() }, &Silent)
            .unwrap();
    assert_eq!(apply(old, &delta), new, "the delta yields new, and its digest is new's");
    delta
}

fn apply(old: &[u8], delta: &Delta) -> Vec<u8> {
    diff::apply(old, &delta.header, &delta.payload, &Limits::LINUX, &Silent).unwrap()
}

/// Sizes, printed once; the promises about them are checked.
fn sizes(pairs: &[Pair]) {
    println!(
        "{:<18}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}{:>9}",
        "pair", "new", "small", "fast", "bsdiff", "BSDIFF40", "small/b", "fast/b"
    );
    for pair in pairs {
        let lens = pair.deltas.iter().map(|delta| delta.to_file().len());
        let [small, fast, bsdiff] = lens.collect::<Vec<_>>()[..] else { unreachable!() };
        let classic = bsdiff40::create(&pair.old, &pair.new, 1, &Silent).unwrap().len();
        let ratio = |len: usize| len as f64 / bsdiff as f64;
        let (name, new_len) = (&pair.name, pair.new.len());
        println!(
            "{name:<18}{new_len:>9}{small:>9}{fast:>9}{bsdiff:>9}{classic:>10}{:>9.3}{:>9.3}",
            ratio(small),
            ratio(fast)
        );
        assert!(small < bsdiff, "{name}: small is larger than the bsdiff crate's delta");
        assert!(fast * 100 <= bsdiff * 105, "{name}: fast is 5 % larger than bsdiff's");
    }
}

/// What coder 1 loses by the size of its table: payload bytes, printed once.
fn tables(pairs: &[Pair]) {
    println!("{:<18}{:>9}{:>9}{:>9}{:>9}{:>9}", "entries", 512, 1024, 2048, 4096, 65_536);
    for Pair { name, old, new, .. } in pairs {
        let covers = matching::plain_covers(old, new, &Costs::SMALL, &Silent).unwrap();
        let script = Script { old, new, covers: &covers };
        let len = |log| bits::encode(&script, log).unwrap().len();
        let [a, b, c, d, e] = [9, 10, 11, 12, 16].map(len);
        println!("{name:<18}{a:>9}{b:>9}{c:>9}{d:>9}{e:>9}");
        assert!(e <= a, "{name}: a larger table is no worse");
    }
}

fn delta_benches(criterion: &mut Criterion) {
    let pairs = pairs();
    assert!(!pairs.is_empty(), "no pairs in testdata");
    sizes(&pairs);
    tables(&pairs);
    let mut group = criterion.benchmark_group("delta");
    group.sample_size(10);
    for Pair { name, old, new, deltas } in &pairs {
        group.throughput(Throughput::Bytes((old.len() + new.len()) as u64));
        group.bench_function(BenchmarkId::new("match", name), |bencher| {
            bencher.iter(|| matching::plain_covers(old, new, &Costs::SMALL, &Silent).unwrap());
        });
        group.throughput(Throughput::Bytes(new.len() as u64));
        let covers = matching::plain_covers(old, new, &Costs::SMALL, &Silent).unwrap();
        let script = Script { old, new, covers: &covers };
        group.bench_function(BenchmarkId::new("encode small", name), |bencher| {
            bencher.iter(|| bits::encode(&script, 11).unwrap());
        });
        group.bench_function(BenchmarkId::new("encode fast, before zstd", name), |bencher| {
            bencher.iter(|| streams::content(&script, 1 << 18));
        });
        for ((profile, _), delta) in PROFILES.iter().zip(deltas) {
            group.bench_function(BenchmarkId::new(format!("decode {profile}"), name), |bencher| {
                bencher.iter(|| apply(old, delta));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, delta_benches);
criterion_main!(benches);
