//! Laws of deltas that are applied in place; power cuts are in `in_place_power.rs`.
#![allow(missing_docs)]

mod delta;

use delta::{edited, firmware};
use fwdelta::core::apply::in_place::{Areas, Binding, Flash, Progress, Rehearsal, Rewriting};
use fwdelta::core::apply::{Applier, in_place};
use fwdelta::core::format::delta::DeltaHeader;
use fwdelta::core::storage::{Geometry, Target as _};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{
    self, Delta, FirstPages, Options, Order, PageRun, Place, Profile, RamFlash, Room, create,
    footprint, rewrite, wear,
};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;

const PLACE: Place = Place {
    page_len: 1024,
    first: FirstPages::NONE,
    spare_count: 3,
    write_len: 8,
    erased: 0xff,
    order: None,
    interval: Some(1),
    room: None,
};

/// Makes a delta, which applies it in place and compares.
fn made(old: &[u8], new: &[u8], profile: Profile, place: Place) -> Delta {
    let options = Options { profile, threads: 1, in_place: Some(place), ..Options::default() };
    create(old, new, &options, &Silent).unwrap()
}

fn slot(image: &[u8]) -> RamFlash {
    let geometry = Geometry { len: 1 << 19, sector_len: 1024, write_len: 8, erased: 0xff };
    RamFlash::new(image, geometry)
}

fn scratch(header: &DeltaHeader) -> RamFlash {
    let mut work = vec![0; Applier::workspace(header).unwrap() as usize];
    let len = Areas::of(header, 8, &mut work).unwrap().scratch_len();
    RamFlash::new(&[], Geometry { len, sector_len: 1024, write_len: 8, erased: 0xff })
}

#[test]
fn real_firmware_is_rewritten_and_pages_wear_as_reported() {
    let (name, old, new) = firmware().swap_remove(0);
    for profile in [Profile::Tiny, Profile::Small, Profile::Plain] {
        let delta = made(&old, &new, profile, Place { page_len: 4096, ..PLACE });
        let parsed = diff::parse_file(&delta.to_file()).unwrap().0;
        assert_eq!(parsed, delta.header, "{name}");
        let (mut slot, mut scratch) = (slot(&old), scratch(&delta.header));
        let payload = &mut &delta.payload[..];
        let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
        let binding = Binding::new(&delta.header_bytes(), b"");
        rewrite(&delta.header, &mut flash, &Limits::LINUX, binding).unwrap();
        assert!(slot.bytes().starts_with(&new), "{name}");
        assert!(slot.erases().iter().all(|count| *count <= 1), "each page once at most");
        let reported = footprint(&delta.header, &PLACE, &old, &new).unwrap();
        // The same as `wear` counts, page by page: here sectors are a fourth of a page.
        let wear = wear(&old, &delta, &PLACE).unwrap();
        assert_eq!((wear.slot_max, wear.slot_pages), (1, reported.rewritten_count));
        assert_eq!(u64::from(wear.area_max), reported.checkpoint_erases);
        let (spare, areas) = scratch.erases().split_at(usize::from(PLACE.spare_count) * 4);
        assert_eq!(spare.iter().max(), Some(&wear.spare_max));
        assert_eq!(areas.iter().max(), Some(&wear.area_max));
        let all = slot.erases().iter().chain(scratch.erases());
        assert_eq!(4 * wear.total, all.map(|count| u64::from(*count)).sum::<u64>(), "{name}");
    }
}

/// Sectors of a slot behind a boot loader on an STM32F4, a 16th of their lengths.
fn mixed() -> FirstPages {
    let mut first = FirstPages::NONE;
    for (len, count) in [(1024, 2), (4096, 1)] {
        first.push(PageRun { len, count }).unwrap();
    }
    first
}

#[test]
fn sectors_of_several_lengths_are_pages() {
    let (_, old, new) = firmware().swap_remove(0);
    let place = Place { page_len: 8192, first: mixed(), interval: None, ..PLACE };
    let delta = made(&old, &new, Profile::Small, place);
    let parsed = diff::parse_file(&delta.to_file()).unwrap().0;
    assert_eq!((parsed, parsed.in_place.unwrap().first), (delta.header, mixed()));
    let pages = delta.header.in_place.unwrap().pages(new.len() as u64);
    assert_eq!(pages.largest(), 8192);
    // All of one length, as long as the longest: a delta for that is no smaller by much.
    let equal = made(&old, &new, Profile::Small, Place { first: FirstPages::NONE, ..place });
    assert!(delta.payload.len() < equal.payload.len() * 11 / 10);
    // A slot with other sectors is refused before anything is erased.
    let mut slot = slot(&old);
    let mut none = scratch(&equal.header);
    let payload = &mut &delta.payload[..];
    let mut flash = Flash { slot: &mut slot, scratch: &mut none, payload };
    let binding = Binding::new(&delta.header_bytes(), b"");
    let wide = RamFlash::new(&old, Geometry { sector_len: 8192, ..flash.slot.geometry() });
    *flash.slot = wide;
    let error = rewrite(&delta.header, &mut flash, &Limits::LINUX, binding).unwrap_err();
    assert_eq!((error.detail(), error.old_intact()), (Detail::BadArgument, true));
    assert!(slot.erases().iter().all(|count| *count == 0) && slot.bytes().starts_with(&old));
}

#[test]
fn tables_of_pages_have_one_form() {
    let run = |len, count| PageRun { len, count };
    let cases: [(&[PageRun], bool); 7] = [
        (&[run(64, 1), run(128, 3)], true),
        (&[run(64, 1), run(64, 3)], false),
        (&[run(64, 1), run(1024, 3)], false),
        (&[run(64, 0)], false),
        (&[run(65, 1)], false),
        (&[run(32, 1)], false),
        (&[run(1 << 25, 1)], false),
    ];
    for (runs, is_valid) in cases {
        let mut first = FirstPages::NONE;
        runs.iter().for_each(|run| first.push(*run).unwrap());
        assert_eq!(Place { first, ..PLACE }.is_valid(), is_valid, "{runs:?}");
    }
    let mut first = FirstPages::NONE;
    for at in 0..6 {
        first.push(run(64 + 32 * at, 1)).unwrap();
    }
    assert_eq!(first.push(run(64, 1)).unwrap_err().detail, Detail::BadValue);
}

#[test]
fn edited_images_of_every_length_in_every_order() {
    let mut random = Random::new(5);
    for len in [1, 63, 64, 65, 700, 5000] {
        for order in Order::ALL {
            let (old, new) = edited(&mut random, len, 9);
            let place = Place { page_len: 64, order: Some(order), spare_count: 2, ..PLACE };
            for (old, new) in [(&old, &new), (&new, &old), (&new, &Vec::new())] {
                made(old, new, Profile::Plain, place);
                made(old, new, Profile::Tiny, Place { interval: Some(2), ..place });
            }
        }
    }
}

/// Pages that need each other in a circle: with one spare page something is lost but for excerpts.
fn rotated(len: usize) -> (Vec<u8>, Vec<u8>) {
    let old = delta::noise(&mut Random::new(7), len, 256);
    let new: Vec<u8> = old.chunks(700).rev().flatten().copied().collect();
    (old, new)
}

#[test]
fn checkpoints_hold_what_is_needed_later() {
    let (old, new) = rotated(9000);
    for profile in [Profile::Plain, Profile::Tiny, Profile::Small] {
        for (spare_count, interval) in [(1, 1), (2, 1), (2, 2), (3, 2)] {
            for order in Order::ALL {
                let place = Place { spare_count, interval: Some(interval), ..PLACE };
                let sized = |room| {
                    let place = Place { order: Some(order), room: Some(room), ..place };
                    let delta = made(&old, &new, profile, place);
                    let parsed = diff::parse_file(&delta.to_file()).unwrap().0;
                    assert_eq!(parsed.in_place.unwrap().room, room);
                    delta.payload.len()
                };
                let without = sized(Room::NONE);
                let (some, more) =
                    (sized(Room { len: 300, count: 4 }), sized(Room { len: 1500, count: 20 }));
                // Where little room does, more only makes numbers longer.
                assert!(some < without && more <= some + 2, "{without}, {some}, {more}");
            }
        }
    }
    // Without being told, profile `small` takes no more than what its areas have anyway.
    let place = Place { page_len: 4096, spare_count: 1, ..PLACE };
    let (_, old, _) = firmware().swap_remove(0);
    let new: Vec<u8> = old.chunks(700).rev().flatten().copied().collect();
    let areas = |room| {
        let delta = made(&old, &new, Profile::Small, Place { room, ..place });
        let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
        let areas = Areas::of(&delta.header, 8, &mut work).unwrap();
        let room = delta.header.in_place.unwrap().room;
        (delta.payload.len(), areas.scratch_len(), areas.state_len(), room, work.len())
    };
    let (before, without, state_len, _, _) = areas(Some(Room::NONE));
    let (after, with, whole_len, room, work_len) = areas(None);
    assert!(without == with && after < before, "{before}, {after}");
    // The coder gives up memory for that where it is worth it, never takes more.
    assert!(whole_len - u64::from(room.len) <= state_len && work_len <= 10 << 10, "{room:?}");
}

#[test]
fn a_damaged_payload_is_found_before_anything_is_erased() {
    let (old, new) = edited(&mut Random::new(3), 6000, 20);
    let Delta { header, payload } = made(&old, &new, Profile::Small, PLACE);
    for at in (0..payload.len()).step_by(7) {
        let mut damaged = payload.clone();
        damaged[at] ^= 0x10;
        let (mut slot, mut none) = (slot(&old), slot(&[]));
        let payload = &mut &damaged[..];
        let mut flash = Flash { slot: &mut slot, scratch: &mut none, payload };
        let mut work = vec![0; Applier::workspace(&header).unwrap() as usize];
        let mut rehearsal = Rehearsal::open(&header, &mut work, &Limits::LINUX).unwrap();
        let result = loop {
            match rehearsal.step(&mut flash) {
                Ok(Progress::Yield) => {}
                Ok(Progress::Done) => break rehearsal.finish(),
                Err(error) => break Err(error),
            }
        };
        assert!(result.is_err_and(|error| error.old_intact), "damaged at {at}");
        assert!(slot.erases().iter().all(|count| *count == 0));
    }
}

/// Before the journal was read nobody knows; a boot loader must not boot then.
#[test]
fn an_error_says_that_old_is_intact_only_where_it_is_known() {
    let (old, new) = edited(&mut Random::new(3), 6000, 20);
    let Delta { header, payload } = made(&old, &new, Profile::Small, PLACE);
    let (limits, binding) = (Limits::LINUX, Binding::new(b"delta", b""));
    let mut work = vec![0; Applier::workspace(&header).unwrap() as usize];
    let (mut slot, mut scratch) = (slot(&old), scratch(&header));
    let payload = &mut &payload[..];
    let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
    let error = Rewriting::resume(&header, &mut work, &limits, binding, &mut flash).unwrap_err();
    assert_eq!((error.detail, error.old_intact), (Detail::WrongState, false));
    let mut rehearse = |flash: &mut Flash<'_, _, _, _>| {
        let mut rehearsal = Rehearsal::open(&header, &mut work, &limits).unwrap();
        while rehearsal.step(flash).unwrap() == Progress::Yield {}
        let (done, count) = rehearsal.progress();
        assert!(done == count && count > 0);
        rehearsal.finish().unwrap()
    };
    let (first, second) = (rehearse(&mut flash), rehearse(&mut flash));
    let mut begin =
        |ready| Rewriting::begin(ready, &header, &mut work, &limits, binding, &mut flash).err();
    assert_eq!(begin(first), None);
    let error = begin(second).unwrap();
    assert_eq!((error.detail, error.old_intact), (Detail::WrongState, false));
    let short = &mut work[..100];
    let error = Rewriting::look(&header, short, flash.scratch, &binding).unwrap_err();
    assert_eq!((error.detail, error.old_intact), (Detail::WorkspaceTooSmall, false));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (old, new) = edited(&mut Random::new(3), 3000, 9);
    let delta = made(&old, &new, Profile::Small, PLACE);
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    let two_slots = Applier::open(&delta.header, &mut work, &Limits::LINUX);
    assert_eq!(two_slots.unwrap_err().detail, Detail::NotBuiltIn);
    let plain = DeltaHeader { in_place: None, ..delta.header };
    let opened = in_place::Rehearsal::open(&plain, &mut work, &Limits::LINUX);
    assert_eq!(opened.unwrap_err().detail, Detail::BadArgument);
    for profile in [Profile::Max, Profile::Bsdiff] {
        let options = Options { profile, in_place: Some(PLACE), ..Options::default() };
        let error = create(&old, &new, &options, &Silent).unwrap_err();
        assert_eq!(error.detail(), Detail::NotBuiltIn);
    }
    let options =
        Options { in_place: Some(Place { page_len: 100, ..PLACE }), ..Options::default() };
    assert_eq!(create(&old, &new, &options, &Silent).unwrap_err().detail(), Detail::BadValue);
}
