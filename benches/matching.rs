//! Matching by its parts, on images of several MiB made here: what the suffix array costs, and what
//! the parse.
//!
//! Bias: the images are noise and repetition, not code; `edited` is kinder to caches than firmware
//! with moved functions, `shuffled` less kind.
#![allow(missing_docs)] // criterion's macros make public functions without them.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fwdelta::matching::{self, Costs, Cover, Statistics};
use fwdelta::progress::Silent;

const LEN: usize = 4 << 20;

struct Pair {
    name: &'static str,
    old: Vec<u8>,
    new: Vec<u8>,
    /// Bytes of new that must be covered.
    covered_min: usize,
}

fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

/// A byte in 64 changed, as where addresses have moved.
fn edited(old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    new.iter_mut().step_by(64).for_each(|byte| *byte ^= 0x20);
    new
}

/// Parts of a few hundred bytes in another order.
fn shuffled(old: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = old.chunks(500).collect();
    (0..parts.len()).flat_map(|at| parts[at * 7919 % parts.len()]).copied().collect()
}

fn pairs() -> Vec<Pair> {
    let old = noise(1, LEN);
    let pair = |name, old: &[u8], new: Vec<u8>, percent| {
        let covered_min = new.len() / 100 * percent;
        Pair { name, old: old.to_vec(), new, covered_min }
    };
    let zeros = vec![0; LEN];
    vec![
        pair("edited", &old, edited(&old), 99),
        pair("shuffled", &old, shuffled(&old), 99),
        pair("unrelated", &old, noise(2, LEN), 0),
        pair("zeros", &zeros[1000..], zeros.clone(), 99),
    ]
}

fn covers(pair: &Pair) -> Vec<Cover> {
    matching::plain_covers(&pair.old, &pair.new, &Costs::MAX, &Silent).unwrap()
}

fn matching_benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matching");
    group.sample_size(10);
    for pair in pairs() {
        let len: u64 = covers(&pair).iter().map(|cover| cover.len).sum();
        assert!(len >= pair.covered_min as u64, "{}: {len} bytes covered", pair.name);
        group.throughput(Throughput::Bytes((pair.old.len() + pair.new.len()) as u64));
        group.bench_function(BenchmarkId::new("statistics", pair.name), |bencher| {
            bencher.iter(|| Statistics::new(&pair.old, &pair.new).unwrap());
        });
        group.bench_function(BenchmarkId::new("statistics and parse", pair.name), |bencher| {
            bencher.iter(|| covers(&pair));
        });
    }
    group.finish();
}

criterion_group!(benches, matching_benches);
criterion_main!(benches);
