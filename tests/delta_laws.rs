//! What deltas promise: the memory stated, the same bytes for any number of threads, the result of
//! the obvious applier.

mod delta;

use fwdelta::codec::Script;
use fwdelta::core::apply::Applier;
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{self, Options, Profile, bsdiff40, default_chunk_len};
use fwdelta::matching::{self, Costs};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;
use fwdelta_sim::naive;

use delta::{PROFILES, Pair, Recorder, feed, firmware, noise, record};

/// Firmware, and what firmware has not: nothing, one byte, repetition, noise, parts moved.
fn pairs() -> Vec<Pair> {
    let bytes = |seed, len| noise(&mut Random::new(seed), len, 256);
    let text = bytes(3, 20_000);
    let turned = [&text[9_000..], &text[..9_000]].concat();
    let stepped = text.iter().enumerate().map(|(i, byte)| byte ^ u8::from(i % 97 == 0)).collect();
    let made = [
        ("both empty", vec![], vec![]),
        ("new empty", text.clone(), vec![]),
        ("one byte", vec![1], vec![2]),
        ("equal", text.clone(), text.clone()),
        ("zeros", vec![0; 40_000], vec![0; 50_001]),
        ("noise", bytes(4, 5_000), bytes(5, 5_000)),
        ("turned", text.clone(), turned),
        ("every 97th byte", text, stepped),
    ];
    let made = made.map(|(name, old, new)| (name.to_owned(), old, new));
    let all = firmware().into_iter().chain(made);
    all.map(|(name, old, new)| Pair { name, old, new }).collect()
}

#[test]
fn a_full_image_is_a_delta_from_nothing() {
    for (name, _, new) in firmware() {
        for profile in PROFILES {
            let delta = delta::delta(&[], &new, profile);
            assert_eq!(delta.header.old, None);
            assert!(delta.payload.len() <= new.len(), "{name} {profile:?}: at worst stored");
            let (result, verdict) = record(&[], &delta, &Limits::LINUX);
            assert_eq!((verdict, result.bytes == new), (Ok(()), true), "{name} {profile:?}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    for Pair { name, old, new } in pairs() {
        for profile in [Profile::Small, Profile::Max, Profile::Plain] {
            let with = |threads| {
                diff::create(
                    &old,
                    &new,
                    &Options { profile, threads, is_streamed: true, ..Options::default() },
                    &Silent,
                )
            };
            let one = with(1).unwrap();
            for threads in [2, 7] {
                assert_eq!(with(threads).unwrap(), one, "{name} {profile:?} {threads}");
            }
        }
    }
    let (_, old, new) = firmware().swap_remove(0);
    let classic = |threads| bsdiff40::create(&old, &new, threads, &Silent).unwrap();
    assert_eq!(classic(2), classic(1));
}

#[test]
fn the_naive_applier_agrees() {
    for Pair { name, old, new } in pairs() {
        let covers = matching::plain_covers(&old, &new, &Costs::SMALL, &Silent).unwrap();
        let script = Script { old: &old, new: &new, covers: &covers };
        let mut steps = Vec::new();
        for part in script.parts() {
            steps.push(naive::Step::Literal(part.literals.to_vec()));
            let residual = part.new.iter().zip(part.old).map(|(new, old)| new.wrapping_sub(*old));
            let (old_pos, len) = (part.old_pos, part.new.len() as u64);
            steps.push(naive::Step::Cover { old_pos, len, residual: residual.collect() });
        }
        steps.push(naive::Step::Literal(script.rest().to_vec()));
        let (result, verdict) =
            record(&old, &delta::delta(&old, &new, Profile::Plain), &Limits::LINUX);
        assert_eq!(verdict, Ok(()), "{name}");
        assert!(naive::apply(&old, &steps).unwrap() == result.bytes, "{name}");
    }
}

#[test]
fn every_profile_keeps_to_its_memory_and_works_in_exactly_what_it_states() {
    let most = [
        (Profile::Tiny, 3 << 10),
        (Profile::Small, 10 << 10),
        (Profile::Fast, 4 << 20),
        (Profile::Max, 24 << 20),
        (Profile::Plain, 5_536),
    ];
    for (name, old, new) in firmware() {
        for (profile, most) in most {
            let chunk_len = default_chunk_len(profile);
            let delta = delta::delta(&old, &new, profile).chained(chunk_len).unwrap();
            let header = delta.header;
            assert!(header.workspace_len <= most, "{name} {profile:?}: {}", header.workspace_len);
            let is_exact = profile == Profile::Plain;
            assert!(!is_exact || header.workspace_len == most, "docs/format-delta.md, section 10");
            let limits = Limits { workspace_len: header.workspace_len, ..Limits::LINUX };
            let mut result = Recorder { len: header.new.len, ..Default::default() };
            feed(&old, &header, &delta.payload, &mut result, &limits, || 100).unwrap();
            assert!(result.bytes == new, "{name} {profile:?}");
            let mut work = vec![0; Applier::workspace(&header).unwrap() as usize - 1];
            let error = Applier::open(&header, &mut work, &limits).unwrap_err();
            assert_eq!(error.detail, Detail::WorkspaceTooSmall);
        }
    }
}
