//! Law: cut the power of a device that writes new into a slot of its own before, in the middle of
//! or after any operation of its flash, then of any of its recovery: in the end it has the new
//! image, having made at most an interval again (`two_slots.rs`).
//!
//! A part of the cuts is tried by default, all of them when `FWDELTA_EXHAUSTIVE=1`.
#![allow(missing_docs)]

mod delta;

use delta::{chained, delta, noise, short_pair};
use fwdelta::core::Limits;
use fwdelta::core::apply::Applier;
use fwdelta::core::apply::in_place::Areas;
use fwdelta::core::storage::Geometry;
use fwdelta::diff::Profile;
use fwdelta_sim::board::Board;
use fwdelta_sim::cuts::{Mode, Plan, Tally, Update};
use fwdelta_sim::fault::Random;
use fwdelta_sim::flash::Flash;

#[derive(Clone, Copy, Debug)]
struct Case {
    profile: Profile,
    chunk_len: Option<u32>,
    sector_len: u32,
    /// Sectors of the slot, where they differ; they are repeated.
    sectors: &'static [u32],
    write_len: u16,
    erased: u8,
    interval: u64,
    has_cache: bool,
}

const CASE: Case = Case {
    profile: Profile::Plain,
    chunk_len: None,
    sector_len: 256,
    sectors: &[],
    write_len: 8,
    erased: 0xff,
    interval: 1024,
    has_cache: false,
};

const CASES: [Case; 6] = [
    CASE,
    Case { chunk_len: Some(64), write_len: 32, has_cache: true, interval: 512, ..CASE },
    Case { profile: Profile::Tiny, sector_len: 128, write_len: 1, interval: 2048, ..CASE },
    Case { profile: Profile::Tiny, chunk_len: Some(128), erased: 0, has_cache: true, ..CASE },
    Case { sector_len: 1, write_len: 1, has_cache: true, interval: 700, ..CASE },
    Case { sectors: &[128, 128, 64, 256], interval: 300, has_cache: true, ..CASE },
];

fn try_case(case: &Case, plan: &Plan) -> Tally {
    let pair = short_pair();
    let made = delta(&pair.old, &pair.new, case.profile);
    let made = case.chunk_len.map_or(made.clone(), |len| chained(&made, len));
    let Case { sector_len, write_len, erased, interval, .. } = *case;
    let slot_len = (pair.new.len() as u64).next_multiple_of(576);
    let scratch = Geometry { len: u64::MAX, sector_len, write_len, erased };
    let mut work = vec![0; Applier::workspace(&made.header).unwrap() as usize];
    let areas = Areas::of_two_slots(&made.header, &scratch, &mut work, &Limits::LINUX).unwrap();
    // A slot holds something, and so may its scratch flash.
    let unit = u64::from(sector_len.max(64));
    let slot_len = if case.sectors.is_empty() { slot_len.next_multiple_of(unit) } else { slot_len };
    let scratch_len = areas.scratch_len().next_multiple_of(write_len.into());
    let equal_len = if case.sectors.is_empty() { sector_len } else { write_len.into() };
    let len = slot_len + scratch_len;
    let geometry = Geometry { len, sector_len: equal_len, write_len, erased };
    let junk = noise(&mut Random::new(5), geometry.len as usize, 256);
    let mut flash = Flash::with_image(geometry, &junk);
    if !case.sectors.is_empty() {
        let mut left = slot_len;
        let mut sectors = Vec::new();
        for len in case.sectors.iter().cycle().take_while(|len| {
            left = left.wrapping_sub(u64::from(**len));
            left < slot_len
        }) {
            sectors.push(*len);
        }
        assert_eq!(sectors.iter().map(|len| u64::from(*len)).sum::<u64>(), slot_len);
        sectors.extend((0..scratch_len / u64::from(sector_len)).map(|_| sector_len));
        flash = flash.with_sectors(&sectors);
    }
    let flash = if case.has_cache { flash.with_write_cache() } else { flash };
    let (mode, header, payload) = (Mode::TwoSlots { interval }, &made.header, &made.payload[..]);
    let update = Update { mode, header, payload, old: &pair.old, new: &pair.new };
    let tally = update.try_cuts(Board::new(flash, slot_len), plan);
    tally.unwrap_or_else(|error| panic!("{error}\n{case:?}"))
}

#[test]
fn a_power_cut_at_any_moment_is_survived() {
    let is_full = std::env::var_os("FWDELTA_EXHAUSTIVE").is_some();
    let plan = match is_full {
        true => Plan { every: 1, nested_every: 211, seeds: 2 },
        false => Plan { every: 7, nested_every: 211, seeds: 2 },
    };
    let mut all = Tally::default();
    for case in CASES {
        let tally = try_case(&case, &plan);
        println!(
            "{:>8} cuts, at most {} erases of a sector: {case:?}",
            tally.cuts, tally.erases_max
        );
        all.add(&tally);
    }
    println!("{:>8} cuts in all, none lost", all.cuts);
    assert!(all.cuts > if is_full { 50_000 } else { 1_000 });
}
