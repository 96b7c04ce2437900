//! apply(diff(old, new)) = new, in the memory stated, the same bytes for any number of threads.

#[path = "common/delta.rs"]
mod common;

use common::{PROFILES, Pair, create, feed, firmware, noise, record};
use fwdelta::codec::Script;
use fwdelta::core::apply::Applier;
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{self, Options, Profile, bsdiff40};
use fwdelta::matching::{self, Costs};
use fwdelta::progress::Silent;
use fwdelta_sim::naive;
use proptest::prelude::*;

fn pair(name: &str, old: Vec<u8>, new: Vec<u8>) -> Pair {
    Pair { name: name.to_owned(), old, new }
}

/// What real firmware has not: nothing, one byte, repetition, noise, everything moved.
fn synthetic() -> Vec<Pair> {
    let text = noise(3, 20_000);
    let turned = [&text[9_000..], &text[..9_000]].concat();
    let stepped: Vec<u8> =
        text.iter().enumerate().map(|(i, b)| b ^ u8::from(i % 97 == 0)).collect();
    let period: Vec<u8> = (0..30_000u32).map(|i| (i % 7) as u8).collect();
    vec![
        pair("both empty", vec![], vec![]),
        pair("new empty", text.clone(), vec![]),
        pair("one byte", vec![1], vec![2]),
        pair("equal", text.clone(), text.clone()),
        pair("zeros", vec![0; 40_000], vec![0; 50_001]),
        pair("period", period[..20_000].to_vec(), period[3..].to_vec()),
        pair("noise", noise(4, 5_000), noise(5, 5_000)),
        pair("turned", text.clone(), turned),
        pair("every 97th byte", text, stepped),
    ]
}

#[test]
fn a_delta_yields_new_and_its_file_parses_to_itself() {
    for Pair { name, old, new } in firmware().into_iter().chain(synthetic()) {
        for profile in PROFILES {
            let delta = create(&old, &new, profile);
            let file = delta.to_file().unwrap();
            let (header, payload) = diff::parse_file(&file).unwrap();
            assert_eq!((header, payload), (delta.header, &delta.payload[..]), "{name} {profile:?}");
            let result = diff::apply(&old, &header, payload, &Limits::LINUX, &Silent);
            assert!(result.unwrap() == new, "{name} {profile:?}");
        }
    }
}

#[test]
fn a_full_image_is_a_delta_from_nothing() {
    for Pair { name, new, .. } in firmware() {
        for profile in PROFILES {
            let delta = create(&[], &new, profile);
            assert_eq!(delta.header.old, None);
            assert!(delta.payload.len() <= new.len(), "{name} {profile:?}: at worst stored");
            let (result, verdict) = record(&[], &delta, &Limits::LINUX);
            assert_eq!((verdict, result.bytes == new), (Ok(()), true), "{name} {profile:?}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    for Pair { name, old, new } in firmware().into_iter().chain(synthetic()) {
        for profile in [Profile::Small, Profile::Fast] {
            let with = |threads| diff::create(&old, &new, &Options { profile, threads }, &Silent);
            let one = with(1).unwrap();
            for threads in [2, 7] {
                assert_eq!(with(threads).unwrap(), one, "{name} {profile:?} {threads}");
            }
        }
    }
    let images = firmware().swap_remove(0);
    let classic = |threads| bsdiff40::create(&images.old, &images.new, threads, &Silent).unwrap();
    assert_eq!(classic(2), classic(1));
}

/// More than one piece of the matcher, which works on pieces in parallel.
#[test]
fn any_number_of_threads_gives_the_same_covers_across_pieces() {
    let old = noise(8, 1 << 18);
    let mut new = old.repeat(17);
    new.rotate_left(12_345);
    new.splice(4_000_000..4_000_000, noise(9, 1000));
    let with = |count| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
        pool.install(|| matching::covers(&old, &new, &Costs::SMALL, &Silent)).unwrap()
    };
    let one = with(1);
    assert!(one.len() >= 3 && one.len() < 100, "{} covers", one.len());
    assert_eq!(with(2), one);
    assert_eq!(with(7), one);
}

#[test]
fn the_naive_applier_agrees() {
    for Pair { name, old, new } in firmware().into_iter().chain(synthetic()) {
        let covers = matching::covers(&old, &new, &Costs::SMALL, &Silent).unwrap();
        let script = Script { old: &old, new: &new, covers: &covers };
        let mut steps = Vec::new();
        for part in script.parts() {
            steps.push(naive::Step::Literal(part.literals.to_vec()));
            let residual = part.new.iter().zip(part.old).map(|(new, old)| new.wrapping_sub(*old));
            let (old_pos, len) = (part.old_pos, part.new.len() as u64);
            steps.push(naive::Step::Cover { old_pos, len, residual: residual.collect() });
        }
        steps.push(naive::Step::Literal(script.rest().to_vec()));
        let (result, verdict) = record(&old, &create(&old, &new, Profile::Small), &Limits::LINUX);
        assert_eq!(verdict, Ok(()), "{name}");
        assert!(naive::apply(&old, &steps).unwrap() == result.bytes, "{name}");
    }
}

#[test]
fn small_fits_ten_kib_and_works_in_exactly_what_it_states() {
    for Pair { name, old, new } in firmware() {
        let delta = create(&old, &new, Profile::Small).chained(1024).unwrap();
        let header = delta.header;
        assert_eq!(header.workspace_len, 8_544, "docs/format-delta.md, section 9");
        assert!(header.workspace_len <= Limits::DEVICE.workspace_len);
        let mut result = common::Recorder { len: header.new.len, ..Default::default() };
        feed(&old, &header, &delta.payload, &mut result, &Limits::DEVICE, || 100).unwrap();
        assert!(result.bytes == new, "{name}");
        let mut work = vec![0; Applier::workspace(&header).unwrap() as usize - 1];
        let error = Applier::open(&header, &mut work, &Limits::DEVICE).unwrap_err();
        assert_eq!(error.detail, Detail::WorkspaceTooSmall);
    }
}

/// The example of docs/format-delta.md, section 11.
#[test]
fn the_worked_example_is_made_again() {
    let old = b"boot: init clocks, init uart, init flash, jump to application v1.0 at 0x08004000";
    let new = b"boot: init clocks, init uart, init watchdog, init flash, jump to application v1.1 \
                at 0x08004000";
    let document = include_str!("../docs/format-delta.md");
    for text in [&old[..], &new[..]] {
        assert!(document.contains(std::str::from_utf8(text).unwrap()));
    }
    let example = document.split_once("## 11.").unwrap().1.split("```\n").nth(1).unwrap();
    let byte = |pair: &str| u8::from_str_radix(pair, 16).unwrap();
    let example: Vec<u8> = example.split_whitespace().map(byte).collect();
    assert_eq!(create(old, new, Profile::Small).to_file().unwrap(), example);
}

/// What a developer does to code between two releases.
#[derive(Clone, Debug)]
enum Edit {
    Insert(Vec<u8>),
    Remove(usize),
    Change(Vec<u8>),
    Move { len: usize, to: prop::sample::Index },
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, Edit)>> {
    let bytes = |max| prop::collection::vec(any::<u8>(), 1..max);
    let edit = prop_oneof![
        bytes(200).prop_map(Edit::Insert),
        (1usize..900).prop_map(Edit::Remove),
        bytes(12).prop_map(Edit::Change),
        (1usize..900, any::<prop::sample::Index>()).prop_map(|(len, to)| Edit::Move { len, to }),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), edit), 0..12)
}

fn edited(old: &[u8], edits: &[(prop::sample::Index, Edit)]) -> Vec<u8> {
    let mut new = old.to_vec();
    for (at, edit) in edits {
        let at = at.index(new.len() + 1);
        let end = |len| new.len().min(at + len);
        match edit {
            Edit::Insert(bytes) => drop(new.splice(at..at, bytes.iter().copied())),
            Edit::Remove(len) => drop(new.drain(at..end(*len))),
            Edit::Change(bytes) => {
                let end = end(bytes.len());
                new.splice(at..end, bytes.iter().copied());
            }
            Edit::Move { len, to } => {
                let moved: Vec<u8> = new.drain(at..end(*len)).collect();
                let to = to.index(new.len() + 1);
                new.splice(to..to, moved);
            }
        }
    }
    new
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn edited_code_comes_out_as_edited(edits in edits(), start in 0usize..8000, swap: bool) {
        let code = firmware().swap_remove(0).old;
        let old = &code[start..start + 4000];
        let new = edited(old, &edits);
        let (old, new) = if swap { (&new[..], old) } else { (old, &new[..]) };
        for profile in [Profile::Small, Profile::Fast] {
            let delta = create(old, new, profile).chained(64).unwrap();
            let (result, verdict) = record(old, &delta, &Limits::LINUX);
            prop_assert_eq!(verdict, Ok(()));
            prop_assert!(result.bytes == new);
        }
    }
}
