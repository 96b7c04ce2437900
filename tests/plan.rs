//! Plans: equal to trying every chain, quick on large indexes, with a reason for all that is left
//! out; indexes: signed, read back to the byte, refused when hostile.

#[path = "planning/brute.rs"]
mod brute;
mod common;

use brute::{applied, cheapest, device, entry, goal, image, is_there, part, random_case, running};
use fwdelta::core::format::trust::Trust;
use fwdelta::core::verify::Ed25519;
use fwdelta::core::{Category, Detail};
use fwdelta::plan::{
    Device, Entry, INDEX_ENTRY_COUNT_MAX, Index, Opened, Plan, Reason, emit_table, open,
    parse_table, plan, seal,
};

/// `FWDELTA_EXHAUSTIVE` widens the sample.
fn case_count() -> u64 {
    if std::env::var_os("FWDELTA_EXHAUSTIVE").is_some() { 100_000 } else { 2000 }
}

#[test]
fn plans_equal_brute_force() {
    let (mut found_count, mut none_count, mut long_count) = (0, 0, 0);
    for seed in 1..=case_count() {
        let (index, device, to) = random_case(seed);
        let to = to.as_deref();
        let Some(goal) = goal(&index, &device, to) else {
            let error = plan(&index, &device, to).unwrap_err();
            assert_eq!(error.category(), Category::Usage, "seed {seed}");
            continue;
        };
        let found = plan(&index, &device, to).unwrap();
        let expected = cheapest(&index, &device, to);
        let cost = found.chain.as_ref().map(|chain| (chain.cost, chain.steps.len()));
        assert_eq!(cost, expected, "seed {seed}");
        let steps = found.chain.iter().flat_map(|chain| &chain.steps);
        let steps: Vec<usize> = steps.map(|step| step.entry).collect();
        let mut state = running(&device);
        for at in &steps {
            state = applied(&index.entries[*at], &device, &state).unwrap();
        }
        assert!(expected.is_none() || is_there(&state, &goal), "seed {seed}");
        // Every package is in the chain or has a reason, once.
        let mut all: Vec<_> = found.rejected.iter().map(|(at, _)| *at).chain(steps).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, (0..index.entries.len()).collect::<Vec<_>>(), "seed {seed}");
        found_count += u32::from(expected.is_some());
        none_count += u32::from(expected.is_none());
        long_count += u32::from(expected.is_some_and(|(_, steps)| steps > 1));
        assert_eq!(plan(&index, &device, to).unwrap(), found, "the same plan twice");
    }
    // The sample must have something to find, or the test says nothing.
    assert!(
        found_count > 400 && none_count > 200 && long_count > 40,
        "{found_count} {none_count} {long_count}"
    );
}

/// 100 releases with deltas between any two, or full images only, or all leading everywhere.
fn large(shape: impl Fn(u64) -> (Option<u64>, u64)) -> Index {
    let entries = (0..10_000).map(|at| {
        let (old, new) = shape(at);
        let mut entry = entry(at, 1 + (at * 7919) % 1009, vec![part("a", old, new)]);
        (entry.order, entry.sequence) = (new, new);
        entry
    });
    Index { entries: entries.collect(), next_url: None }
}

#[test]
fn ten_thousand_edges_take_work_in_proportion() {
    let device = device(&[("a", 0)]);
    let pairs = large(|at| (Some(at / 100), at % 100));
    let found = plan(&pairs, &device, None).unwrap();
    assert!(found.chain.is_some_and(|chain| !chain.steps.is_empty()));
    assert!(found.work <= 2 * 10_000, "{}", found.work);
    let line = large(|at| (Some(at), at + 1));
    let found = plan(&line, &device, None).unwrap();
    assert_eq!(found.chain.unwrap().steps.len(), 10_000);
    assert!(found.work <= 10_000, "{}", found.work);
    // 5,000 full images fit each of 5,000 states, and are applied to the cheapest only.
    let mixed = large(|at| if at % 2 == 0 { (Some(at / 2), at / 2 + 1) } else { (None, at / 2) });
    let found = plan(&mixed, &device, None).unwrap();
    assert!(found.chain.is_some());
    assert!(found.work <= 2 * 10_000, "{}", found.work);
}

#[test]
fn a_device_with_too_many_states_is_refused() {
    // Each of eight components can be any of twelve images by itself.
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut entries = Vec::new();
    for (at, name) in (0..).zip(names) {
        entries.extend((0..12).map(|new| entry(at * 12 + new, 1, vec![part(name, None, new)])));
    }
    let device = device(&names.map(|name| (name, 99)));
    let error = plan(&Index { entries, next_url: None }, &device, None).unwrap_err();
    assert_eq!(error.detail(), Detail::TooManyKeys);
}

fn story() -> Index {
    let mut entries = vec![
        entry(0, 10, vec![part("a", Some(0), 1)]),
        entry(1, 10, vec![part("a", Some(1), 2)]),
        entry(2, 100, vec![part("a", None, 2)]),
        entry(3, 5, vec![part("a", Some(2), 1)]),
        entry(4, 4, vec![part("a", Some(1), 0)]),
        entry(5, 9, vec![part("a", Some(77), 2)]),
        entry(6, 1, vec![part("a", Some(0), 2)]),
        entry(7, 12, vec![part("a", Some(0), 1)]),
        entry(8, 3, vec![part("a", Some(0), 5)]),
    ];
    for (at, (order, sequence)) in
        [(1, 1), (2, 2), (2, 2), (0, 3), (0, 0), (2, 2), (2, 2), (1, 1), (1, 1)]
            .into_iter()
            .enumerate()
    {
        (entries[at].order, entries[at].sequence) = (order, sequence);
    }
    entries[3].is_restore = true;
    entries[4].undoes = Some(entries[0].manifest);
    Index { entries, next_url: None }
}

fn reason_of(found: &Plan, at: usize) -> &Reason {
    &found.rejected.iter().find(|(other, _)| *other == at).unwrap().1
}

#[test]
fn a_plan_names_its_way_back_and_every_reason() {
    let index = story();
    let mut device = device(&[("a", 0)]);
    // The direct way is the cheapest until it takes too much memory.
    let found = plan(&index, &device, None).unwrap();
    assert_eq!(found.chain.unwrap().steps.iter().map(|s| s.entry).collect::<Vec<_>>(), [6]);
    let mut index = index;
    index.entries[6].parts[0].workspace_len = 5000;
    device.workspace_len = Some(4096);
    let found = plan(&index, &device, None).unwrap();
    let chain = found.chain.clone().unwrap();
    let steps: Vec<_> = chain.steps.iter().map(|s| (s.entry, s.rollback, s.restore)).collect();
    assert_eq!((steps, chain.cost), (vec![(0, Some(4), None), (1, None, Some(3))], 20));
    assert_eq!(found.goal, [("a".to_owned(), "v2".to_owned())]);
    for (at, reason) in [
        (2, Reason::DearerThanPlan { cost: 100 }),
        (3, Reason::Restore),
        (4, Reason::WayBack),
        (5, Reason::Unreachable),
        (6, Reason::Workspace { needed: 5000, available: 4096 }),
        (7, Reason::DearerThere { cost: 12, best: 10 }),
        (8, Reason::Aside { cost: 3 }),
    ] {
        assert_eq!(reason_of(&found, at), &reason, "{at}");
        assert!(!reason.to_string().is_empty());
    }
}

#[test]
fn every_limit_of_a_device_is_a_reason() {
    let one = |edit: &dyn Fn(&mut Entry, &mut Device)| {
        let mut entry = entry(0, 50, vec![part("a", Some(0), 1)]);
        (entry.order, entry.sequence) = (1, 5);
        let mut device = device(&[("a", 0)]);
        edit(&mut entry, &mut device);
        let found = plan(&Index { entries: vec![entry], next_url: None }, &device, None).unwrap();
        found.rejected.into_iter().next().map(|(_, reason)| reason)
    };
    let a = || "a".to_owned();
    let canary = || vec!["canary".to_owned()];
    assert_eq!(one(&|_, _| {}), None);
    let download = Reason::Download { needed: 50, available: 49 };
    assert_eq!(one(&|_, d| d.download_len = Some(49)), Some(download));
    let slot = Reason::SlotTooSmall { component: a(), needed: 11, available: 10 };
    assert_eq!(one(&|_, d| d.components.get_mut("a").unwrap().slot_len = Some(10)), Some(slot));
    let second = Reason::SecondSlot { component: a() };
    assert_eq!(one(&|_, d| d.one_slot = true), Some(second));
    assert_eq!(one(&|e, d| (e.parts[0].in_place, d.one_slot) = (true, true)), None);
    assert_eq!(one(&|e, _| e.groups = canary()), Some(Reason::Group));
    assert_eq!(one(&|e, d| (e.groups, d.groups) = (canary(), canary())), None);
    let absent = Reason::NoComponent { component: "b".to_owned() };
    assert_eq!(one(&|e, _| e.parts.push(part("b", None, 1))), Some(absent));
    assert_eq!(one(&|_, d| d.sequence = 6), Some(Reason::SequenceTooLow));
    assert_eq!(one(&|_, d| d.sequence = 5), None);
    assert_eq!(one(&|_, d| d.jump_max = 4), Some(Reason::SequenceTooHigh));
    let found = plan(&story(), &device(&[("a", 0)]), Some("v1")).unwrap();
    assert_eq!(reason_of(&found, 1), &Reason::AboveGoal);
    assert!(plan(&story(), &device(&[("a", 0)]), Some("v9")).is_err());
}

fn opened() -> Opened {
    let mut index = story();
    index.next_url = Some("https://e.com/next".to_owned());
    index.entries[2].next_url = Some("https://e.com/3".to_owned());
    index.entries[2].groups = vec!["canary".to_owned(), "lab".to_owned()];
    Opened { index, sequence: 3, vendor_id: [1; 16], class_id: [2; 16] }
}

const UNVERIFIED: Option<(&Trust<'_>, &Ed25519)> = None;

#[test]
fn an_index_is_signed_like_a_package() {
    let (keys, opened) = ([common::key("vendor")], opened());
    let bytes = seal(&opened, &keys).unwrap();
    assert_eq!(bytes, seal(&opened, &keys).unwrap(), "the same bytes twice");
    let anchor = common::anchor("");
    let trust = Trust::parse(&anchor).unwrap();
    assert_eq!(open(&bytes, Some((&trust, &Ed25519))).unwrap(), opened);
    let foreign = seal(&opened, &[common::key("26201")]).unwrap();
    let detail = |bytes: &[u8]| open(bytes, Some((&trust, &Ed25519))).unwrap_err().detail();
    assert_eq!(detail(&foreign), Detail::WrongRole);
    assert_eq!(detail(&seal(&opened, &[common::key("x")]).unwrap()), Detail::VendorThreshold);
    assert!(seal(&opened, &[]).is_err());
    // A package is no index, and an index no package.
    let (old, new) = common::tiny_pair();
    let package = common::package(Some(&old), &new, fwdelta::diff::Profile::Plain, &|_| {});
    assert_eq!(detail(&package), Detail::UnknownKey);
    let refused = fwdelta::package::inspect::describe(&bytes).unwrap_err();
    assert!(matches!(refused.category(), Category::Format | Category::Unsupported), "{refused}");
}

/// Whatever byte is changed, the index is refused; where no key is asked, by its shape or digests.
#[test]
fn every_flipped_byte_is_refused() {
    let bytes = seal(&opened(), &[common::key("vendor")]).unwrap();
    let anchor = common::anchor("");
    let trust = Trust::parse(&anchor).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(open(&flipped, Some((&trust, &Ed25519))).is_err(), "byte {at}");
        let _ = open(&flipped, UNVERIFIED);
        assert!(open(&bytes[..at], UNVERIFIED).is_err(), "cut at {at}");
    }
}

#[test]
fn hostile_tables_are_refused_by_their_rule() {
    let table = emit_table(&opened().index);
    assert_eq!(parse_table(&table).unwrap(), opened().index);
    let with = |edit: &dyn Fn(&mut Index)| {
        let mut index = opened().index;
        edit(&mut index);
        parse_table(&emit_table(&index)).unwrap_err().detail
    };
    let long = "x".repeat(300);
    assert_eq!(with(&|i| i.entries.clear()), Detail::MissingField);
    assert_eq!(with(&|i| i.entries[0].parts.clear()), Detail::MissingField);
    for bad in ["", "..", "a/b", "a\\b", "C:x", "a\nb", "a\u{202e}b"] {
        assert_eq!(with(&|i| i.entries[0].file = bad.to_owned()), Detail::BadValue, "{bad:?}");
    }
    assert_eq!(with(&|i| i.entries[0].file = long.clone()), Detail::StringTooLong);
    assert_eq!(with(&|i| i.entries[0].parts[0].name = "a b".into()), Detail::BadValue);
    assert_eq!(with(&|i| i.entries[0].groups = vec!["a b".into()]), Detail::BadValue);
    assert_eq!(with(&|i| i.entries[0].groups = vec!["a".into(); 17]), Detail::TooManyKeys);
    assert_eq!(with(&|i| i.entries[0].parts[0].new.version = long.clone()), Detail::StringTooLong);
    assert_eq!(with(&|i| i.entries[0].parts[0].new.version = "\u{7}".into()), Detail::BadValue);
    assert_eq!(with(&|i| i.next_url = Some("javascript:x".into())), Detail::BadValue);
    let twice = part("a", None, 1);
    assert_eq!(with(&|i| i.entries[0].parts.push(twice.clone())), Detail::DuplicateComponent);
    let nine = || (0..9).map(|at| part(&at.to_string(), None, 1)).collect();
    assert_eq!(with(&|i| i.entries[0].parts = nine()), Detail::TooManyComponents);
    // A count that is not followed by as many entries takes no memory.
    for (bytes, detail) in [
        (&b"\xa2\x00\x01\x01\x9b\xff\xff\xff\xff\xff\xff\xff\xff"[..], Detail::TooManyKeys),
        (b"\xa2\x00\x01\x01\x9b\x00\x00\x00\x00\x00\x00\x40\x00", Detail::NotCanonical),
        (b"\xa2\x00\x01\x01\x99\x40\x00", Detail::Truncated),
        (b"\xa2\x00\x01\x01\x99\x40\x01", Detail::TooManyKeys),
        (b"\xa1\x00\x02", Detail::UnknownVersion),
        (b"\xa1\x03\x02", Detail::UnknownKey),
        (b"\xa0", Detail::MissingField),
    ] {
        assert_eq!(parse_table(bytes).unwrap_err().detail, detail, "{bytes:02x?}");
    }
    assert_eq!(INDEX_ENTRY_COUNT_MAX, 0x4000);
    assert_eq!(image(3).version, "v3");
}
