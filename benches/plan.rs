//! Planning on indexes of 10,000 packages: what `fwdelta plan` does after the signature.
//!
//! Bias: digests are made up, so no index is read from disk; `open` includes hashing 3 MB.
#![allow(missing_docs)] // criterion's macros make public functions without them.

#[path = "../tests/planning/brute.rs"]
#[allow(dead_code)] // The random cases are the tests'.
mod brute;

use brute::{device, entry, part};
use criterion::{Criterion, criterion_group, criterion_main};
use fwdelta::core::format::trust::Trust;
use fwdelta::core::verify::Ed25519;
use fwdelta::package::SecretKey;
use fwdelta::plan::{Index, Opened, open, plan, seal};

/// What package `at` starts from, if not from anything, and what it leads to.
type Shape = fn(u64) -> (Option<u64>, u64);

const SHAPES: [(&str, Shape); 3] = [
    ("100 releases, any to any", |at| (Some(at / 100), at % 100)),
    ("a chain of 10,000", |at| (Some(at), at + 1)),
    ("5,000 deltas, 5,000 full images", |at| {
        if at % 2 == 0 { (Some(at / 2), at / 2 + 1) } else { (None, at / 2) }
    }),
];

fn index(shape: Shape) -> Index {
    let entries = (0..10_000).map(|at| {
        let (old, new) = shape(at);
        let mut entry = entry(at, 1 + (at * 7919) % 1009, vec![part("a", old, new)]);
        (entry.order, entry.sequence) = (new, new);
        entry
    });
    Index { entries: entries.collect(), next_url: None }
}

fn planning(criterion: &mut Criterion) {
    let device = device(&[("a", 0)]);
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10);
    for (name, shape) in SHAPES {
        let index = index(shape);
        assert!(plan(&index, &device, None).unwrap().chain.is_some());
        group.bench_function(name, |bencher| {
            bencher.iter(|| plan(&index, &device, None).unwrap());
        });
    }
    let (vendor_id, class_id) = ([1; 16], [2; 16]);
    let opened = Opened { index: index(SHAPES[0].1), sequence: 1, vendor_id, class_id };
    let bytes = seal(&opened, &[SecretKey::from_seed(&[7; 32])]).unwrap();
    group.bench_function("open", |bencher| {
        bencher.iter(|| open(&bytes, None::<(&Trust<'_>, &Ed25519)>).unwrap());
    });
    group.finish();
}

criterion_group!(benches, planning);
criterion_main!(benches);
