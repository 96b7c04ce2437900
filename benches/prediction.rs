//! What making and applying predicted deltas costs, part by part, on the firmware in testdata:
//! describing both images, finding covers in three rounds, encoding and decoding for each profile.
//!
//! Bias: the images are small (14 to 337 KB). Profile `max` clears and indexes tables that are
//! larger than they are, so its speed on them says little about images of megabytes; all other
//! tables stay in the processor's cache.
#![allow(missing_docs)] // criterion's macros make public functions without them.

use std::path::Path;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use fwdelta::codec::predict::{Plan, encode};
use fwdelta::codec::projected;
use fwdelta::core::Limits;
use fwdelta::core::exec::map::Listed;
use fwdelta::core::format::delta::Coder;
use fwdelta::diff::{self, Delta, Options, Profile};
use fwdelta::exec::chain;
use fwdelta::exec::describe::{Description, Hints, describe_pair};
use fwdelta::matching::{self, Costs, Cover, View};
use fwdelta::progress::Silent;

const PROFILES: [(&str, Profile); 4] = [
    ("tiny", Profile::Tiny),
    ("small", Profile::Small),
    ("fast", Profile::Fast),
    ("max", Profile::Max),
];

struct Pair {
    name: String,
    old: Vec<u8>,
    new: Vec<u8>,
    descriptions: (Description, Description),
    covers: Vec<Cover>,
    /// By profile; applied, digest checked, and compared.
    deltas: Vec<Delta>,
}

fn pair(dir: &Path) -> Option<Pair> {
    let read = |file| std::fs::read(dir.join(file)).ok();
    let (old, new) = (read("old.bin")?, read("new.bin")?);
    let name = dir.file_name()?.to_string_lossy().into_owned();
    let descriptions = describe_pair(&old, &new, &Hints::default());
    let covers = diff::predicted_covers(&old, &new, &descriptions.0, &descriptions.1).unwrap();
    let deltas = PROFILES.map(|(_, profile)| {
        let options = Options { profile, threads: 1, is_streamed: true, ..Options::default() };
        let delta = diff::create(&old, &new, &options, &Silent).unwrap();
        assert_eq!(apply(&old, &delta), new, "the delta yields new");
        delta
    });
    let lens: Vec<usize> = deltas.iter().map(|delta| delta.payload.len()).collect();
    println!("{name}: {lens:?} bytes of payload in the order of the profiles");
    let [tiny, small, fast, max] = lens[..] else { unreachable!() };
    assert!(tiny >= small && small >= max && fast >= max, "{name}: more makes a delta no larger");
    Some(Pair { name, old, new, descriptions, covers, deltas: deltas.into() })
}

fn apply(old: &[u8], delta: &Delta) -> Vec<u8> {
    diff::apply(old, &delta.header, &delta.payload, &Limits::LINUX, &Silent).unwrap()
}

/// Every pair of testdata.
fn pairs() -> Vec<Pair> {
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/firmware");
    let mut dirs: Vec<_> =
        std::fs::read_dir(firmware).unwrap().map(|entry| entry.unwrap().path()).collect();
    dirs.sort();
    dirs.iter().filter_map(|dir| pair(dir)).collect()
}

fn plan<'a>(pair: &'a Pair, map: &'a [Listed]) -> Plan<'a> {
    Plan {
        old: &pair.old,
        new: &pair.new,
        covers: &pair.covers,
        map,
        old_segments: &pair.descriptions.0.segments,
        new_segments: &pair.descriptions.1.segments,
        runs: &pair.descriptions.0.runs,
    }
}

fn making(group: &mut BenchmarkGroup<'_, WallTime>, pair: &Pair) {
    let Pair { name, old, new, descriptions: (old_description, new_description), .. } = pair;
    group.throughput(Throughput::Bytes((old.len() + new.len()) as u64));
    group.bench_function(BenchmarkId::new("describe", name), |bencher| {
        bencher.iter(|| describe_pair(old, new, &Hints::default()));
    });
    let views = (View::plain(old), View::plain(new));
    group.bench_function(BenchmarkId::new("covers, one round", name), |bencher| {
        let options = matching::MatchOptions::default();
        bencher.iter(|| {
            matching::covers(&views.0, &views.1, &[], &[], &Costs::MAX, &options, &Silent).unwrap()
        });
    });
    group.bench_function(BenchmarkId::new("covers, three rounds with views", name), |bencher| {
        bencher
            .iter(|| diff::predicted_covers(old, new, old_description, new_description).unwrap());
    });
}

fn coding(group: &mut BenchmarkGroup<'_, WallTime>, pair: &Pair) {
    group.throughput(Throughput::Bytes(pair.new.len() as u64));
    for ((profile, _), delta) in PROFILES.iter().zip(&pair.deltas) {
        let id = |what: &str| BenchmarkId::new(format!("{what} {profile}"), &pair.name);
        match delta.header.coder {
            Coder::Predicted(shape) | Coder::PredictedMax(shape) => {
                let is_max = matches!(delta.header.coder, Coder::PredictedMax(_));
                let map = chain::select(&pair.covers, shape.covers as usize);
                let plan = plan(pair, &map);
                let shape = plan.counted(shape);
                group.bench_function(id("encode"), |bencher| {
                    bencher.iter(|| encode(&plan, &shape, is_max, &mut drop).unwrap());
                });
            }
            Coder::Projected(shape) => {
                let map = chain::select(&pair.covers, pair.covers.len());
                let plan = plan(pair, &map);
                let shape = plan.stream_counted(shape);
                group.bench_function(id("encode, before zstd,"), |bencher| {
                    bencher.iter(|| projected::content(&plan, &shape).unwrap());
                });
            }
            other => panic!("{} does not predict", other.name()),
        }
        group.bench_function(id("decode"), |bencher| {
            bencher.iter(|| apply(&pair.old, delta));
        });
    }
}

fn prediction_benches(criterion: &mut Criterion) {
    let pairs = pairs();
    assert!(!pairs.is_empty(), "no pairs in testdata");
    let mut group = criterion.benchmark_group("prediction");
    group.sample_size(10);
    for pair in &pairs {
        making(&mut group, pair);
        coding(&mut group, pair);
    }
    group.finish();
}

criterion_group!(benches, prediction_benches);
criterion_main!(benches);
