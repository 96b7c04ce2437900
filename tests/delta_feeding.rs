//! The writes to the slot do not depend on how the payload arrives, and follow the slot's rules.

mod delta;

use fwdelta::core::storage::Geometry;
use fwdelta::core::{Detail, Limits};
use fwdelta_sim::Flash;
use fwdelta_sim::fault::{Fault, Kind, Random};

use delta::{Pair, Recorder, chained, every_coder, feed, firmware, record, short_pair};

const LIMITS: Limits = Limits::LINUX;

#[test]
fn any_pieces_give_the_same_writes_in_every_coder() {
    for (name, old, new) in firmware().into_iter().take(2) {
        for (pair, plain) in every_coder(&Pair { name, old, new }) {
            let (all_at_once, verdict) = record(&pair.old, &plain, &LIMITS);
            assert_eq!(verdict, Ok(()), "{}", pair.name);
            // A record that takes many calls must not look like a decoder without progress.
            for delta in [chained(&plain, 64), chained(&plain, 1000), plain] {
                let mut random = Random::new(delta.payload.len() as u64);
                for most in [1, 2, 70, 5000] {
                    let mut new = Recorder { len: delta.header.new.len, ..Recorder::default() };
                    let (header, payload) = (&delta.header, &delta.payload);
                    let piece_len = || 1 + random.below(most);
                    feed(&pair.old, header, payload, &mut new, &LIMITS, piece_len).unwrap();
                    let id = delta.header.coder.id();
                    assert!(new.calls == all_at_once.calls, "{} {id} {most}", pair.name);
                    assert!(new.bytes == pair.new, "{} {id} {most}", pair.name);
                }
            }
        }
    }
}

fn geometry(new_len: usize, sector_len: u32, write_len: u16, erased: u8) -> Geometry {
    let unit = if sector_len > 1 { u64::from(sector_len) } else { u64::from(write_len) };
    let len = (new_len as u64).next_multiple_of(unit) + 2 * unit;
    Geometry { len, sector_len, write_len, erased }
}

#[test]
fn every_geometry_gets_whole_words_each_once() {
    for (pair, delta) in every_coder(&short_pair()) {
        for write_len in [1, 2, 3, 4, 8, 16, 24, 32u16] {
            for sector_len in [1, 24 * 32, 24 * 128] {
                for erased in [0x00, 0xff] {
                    let slot = geometry(pair.new.len(), sector_len, write_len, erased);
                    let mut flash = Flash::blank(slot);
                    let (header, payload) = (&delta.header, &delta.payload);
                    feed(&pair.old, header, payload, &mut flash, &LIMITS, || 50).unwrap();
                    check(&flash, &slot, &pair.new);
                }
            }
        }
    }
}

fn check(flash: &Flash, slot: &Geometry, new: &[u8]) {
    assert_eq!(flash.violations(), &[], "{slot:?}");
    let (image, rest) = flash.bytes().split_at(new.len());
    assert!(image == new && rest.iter().all(|byte| *byte == slot.erased), "{slot:?}");
    let padded_len = (new.len() as u64).next_multiple_of(slot.write_len.into());
    assert_eq!(flash.counts().programmed_len, padded_len, "{slot:?}");
    if slot.sector_len > 1 {
        let used = new.len().div_ceil(slot.sector_len as usize);
        let (used, unused) = flash.counts().erases.split_at(used);
        assert!(used.iter().all(|count| *count == 1), "{slot:?}: each used sector once");
        assert!(unused.iter().all(|count| *count == 0), "{slot:?}: no other");
    }
}

#[test]
fn a_slot_that_does_not_fit_is_refused_untouched() {
    for (pair, delta) in every_coder(&short_pair()) {
        let (header, payload) = (&delta.header, &delta.payload);
        let len = (pair.new.len() as u64 - 1) / 32 * 32;
        let mut flash = Flash::blank(Geometry { len, sector_len: 1, write_len: 32, erased: 0 });
        let result = feed(&pair.old, header, payload, &mut flash, &LIMITS, || 500);
        assert_eq!(result, Err(Detail::NoSpace));
        assert_eq!(flash.counts().operations, 0);
    }
}

#[test]
fn a_driver_that_fails_ends_it_as_write_failed() {
    for (pair, delta) in every_coder(&short_pair()) {
        for at in 0..3 {
            let mut flash = Flash::blank(geometry(pair.new.len(), 768, 4, 0xff));
            flash.plan(Fault { at, kind: Kind::Error, seed: 1 });
            let (header, payload) = (&delta.header, &delta.payload);
            let result = feed(&pair.old, header, payload, &mut flash, &LIMITS, || 500);
            assert_eq!(result, Err(Detail::WriteFailed), "{} {at}", pair.name);
        }
    }
}
