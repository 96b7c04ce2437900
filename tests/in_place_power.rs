//! Law: cut the power of a device that is updated in place before, in the middle of or after any
//! operation of its flash, then of any of its recovery: in the end it has the new image.
//!
//! A part of the cuts is tried by default, all of them when `FWDELTA_EXHAUSTIVE=1`.
#![allow(missing_docs)]

mod delta;

use std::time::Instant;

use delta::edited;
use fwdelta::codec::Script;
use fwdelta::codec::bits::encode_in_place;
use fwdelta::codec::pages::{Needs, Order, Schedule};
use fwdelta::codec::predict;
use fwdelta::core::apply::in_place::Areas;
use fwdelta::core::apply::{Applier, memory_len};
use fwdelta::core::exec::layout::{Class, Content, Run, Segment};
use fwdelta::core::exec::map::Listed;
use fwdelta::core::format::delta::{Coder, DeltaHeader, ImageId, InPlace, Shape};
use fwdelta::core::format::pages::{FirstPages, PageRun, Room, check_of};
use fwdelta::core::hash::sha256;
use fwdelta::core::storage::Geometry;
use fwdelta::matching::{self, Costs, Cover};
use fwdelta::progress::Silent;
use fwdelta_sim::board::Board;
use fwdelta_sim::cuts::{Mode, Plan, Tally, Update};
use fwdelta_sim::fault::Random;
use fwdelta_sim::flash::Flash;

/// How a delta is coded: the states that are saved differ.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coding {
    Stored,
    Bits,
    Predicted,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    page_len: u32,
    /// Pages of other lengths before: sectors of the slot then, those of the scratch flash are all
    /// of one length.
    first: &'static [PageRun],
    sector_len: u32,
    write_len: u16,
    erased: u8,
    spare_count: u8,
    interval: u8,
    /// What checkpoints hold of old.
    room: Room,
    order: Order,
    coding: Coding,
    has_cache: bool,
}

const CASE: Case = Case {
    page_len: 64,
    first: &[],
    sector_len: 64,
    write_len: 8,
    erased: 0xff,
    spare_count: 3,
    interval: 1,
    room: Room::NONE,
    order: Order::Needs,
    coding: Coding::Bits,
    has_cache: false,
};

/// As those of an STM32F4, a 256th of their lengths.
const MIXED: [PageRun; 2] = [PageRun { len: 64, count: 4 }, PageRun { len: 256, count: 1 }];
/// They become shorter again.
const TWO_BANKS: [PageRun; 4] = [
    PageRun { len: 64, count: 2 },
    PageRun { len: 256, count: 2 },
    PageRun { len: 96, count: 5 },
    PageRun { len: 224, count: 1 },
];

/// Every page size, write unit, erased value, number of spare pages, interval, order and coder.
fn cases() -> Vec<Case> {
    let (up, down) = (Order::Ascending, Order::Descending);
    let mut all = vec![
        Case { write_len: 1, spare_count: 1, order: up, ..CASE },
        Case { write_len: 2, spare_count: 2, order: down, erased: 0, ..CASE },
        Case { write_len: 4, spare_count: 3, order: up, interval: 2, ..CASE },
        Case { write_len: 8, spare_count: 4, order: down, interval: 3, erased: 0, ..CASE },
        Case { write_len: 16, spare_count: 5, ..CASE },
        Case { write_len: 32, spare_count: 5, interval: 5, order: up, ..CASE },
        Case { page_len: 128, sector_len: 64, spare_count: 2, interval: 2, ..CASE },
        Case { page_len: 256, sector_len: 128, write_len: 32, erased: 0, ..CASE },
        Case { page_len: 256, sector_len: 256, order: down, write_len: 4, ..CASE },
        Case { has_cache: true, order: up, ..CASE },
        Case { has_cache: true, spare_count: 1, order: down, write_len: 4, ..CASE },
        Case { has_cache: true, order: down, interval: 2, erased: 0, write_len: 32, ..CASE },
        Case { has_cache: true, sector_len: 1, write_len: 1, ..CASE },
        Case { coding: Coding::Stored, order: up, interval: 2, ..CASE },
        Case { first: &MIXED, page_len: 512, sector_len: 512, order: up, ..CASE },
        Case { first: &MIXED, page_len: 512, sector_len: 64, write_len: 32, interval: 2, ..CASE },
        Case {
            first: &TWO_BANKS,
            page_len: 128,
            sector_len: 32,
            write_len: 16,
            has_cache: true,
            ..CASE
        },
        Case {
            first: &TWO_BANKS,
            page_len: 128,
            sector_len: 256,
            order: down,
            spare_count: 1,
            ..CASE
        },
    ];
    for (order, interval) in [(up, 1), (down, 2), (Order::Needs, 1)] {
        let coding = Coding::Predicted;
        let page = Case { page_len: 256, sector_len: 256, write_len: 16, ..CASE };
        all.push(Case { order, interval, coding, ..page });
    }
    let room = |len, count| Room { len, count };
    all.extend([
        Case { room: room(50, 3), spare_count: 1, write_len: 1, order: up, ..CASE },
        Case { room: room(100, 5), spare_count: 1, write_len: 32, ..CASE },
        Case { room: room(77, 4), spare_count: 2, interval: 2, order: down, ..CASE },
        Case { room: room(90, 4), spare_count: 1, erased: 0, has_cache: true, ..CASE },
        Case {
            room: room(99, 9),
            first: &TWO_BANKS,
            page_len: 128,
            sector_len: 32,
            spare_count: 1,
            order: up,
            ..CASE
        },
        Case {
            room: room(200, 6),
            page_len: 256,
            sector_len: 256,
            write_len: 16,
            spare_count: 1,
            coding: Coding::Predicted,
            ..CASE
        },
    ]);
    all
}

struct Built {
    old: Vec<u8>,
    new: Vec<u8>,
    header: DeltaHeader,
    payload: Vec<u8>,
}

/// Images of at least 16 pages that share most of their bytes, some pages entirely.
fn images(case: &Case) -> (Vec<u8>, Vec<u8>) {
    let (mut random, page) = (Random::new(case.page_len.into()), case.page_len as usize);
    let (mut old, mut new) = edited(&mut random, 18 * page + 7, 14);
    let len = 3 * page;
    new[..2 * page].copy_from_slice(&old[..2 * page]);
    let swapped = old[4 * page..4 * page + len].to_vec();
    new[9 * page + 5..9 * page + 5 + len].copy_from_slice(&swapped);
    old.truncate(17 * page + 30);
    (old, new)
}

fn id(image: &[u8]) -> ImageId {
    ImageId { len: image.len() as u64, digest: sha256(image) }
}

fn first(case: &Case) -> FirstPages {
    let mut first = FirstPages::NONE;
    case.first.iter().for_each(|run| first.push(*run).unwrap());
    first
}

fn build(case: &Case) -> Built {
    let (old, new) = images(case);
    let Case { page_len, spare_count, interval, room, order, coding, .. } = *case;
    let (first, check) = (first(case), None);
    let mut in_place = InPlace { page_len, first, spare_count, interval, room, check };
    let pages = in_place.pages(new.len() as u64);
    let covers = matching::plain_covers(&old, &new, &Costs::SMALL, &Silent).unwrap();
    let needs = Needs::new(&pages, &old, &new, &covers);
    let schedule = Schedule::new(&in_place, order, pages, &needs);
    let covers = schedule.readable(&covers);
    let script = Script { old: &old, new: &new, covers: &covers };
    if schedule.is_ordered() {
        in_place.check = Some(check_of(&sha256(&schedule.made(&new))));
    }
    let (coder, payload) = match coding {
        Coding::Stored => (Coder::Stored, new.clone()),
        Coding::Bits => {
            let model_log = 8;
            let payload = encode_in_place(&script, model_log, &schedule).unwrap();
            (Coder::Bits { model_log }, payload)
        }
        Coding::Predicted => predicted(&script, &schedule),
    };
    let mut header = DeltaHeader {
        coder,
        old: Some(id(&old)),
        new: id(&new),
        workspace_len: 0,
        payload_len: payload.len() as u64,
        chain: None,
        in_place: Some(in_place),
        undoes: None,
    };
    header.workspace_len = memory_len(&header).unwrap();
    Built { old, new, header, payload }
}

/// Small tables, so that many cuts are tried in the pages and not in checkpoints.
fn predicted(script: &Script<'_>, schedule: &Schedule) -> (Coder, Vec<u8>) {
    let listed = |cover: &Cover| Listed {
        old_pos: cover.old_pos as u32,
        new_pos: cover.new_pos as u32,
        len: cover.len as u32,
    };
    let map: Vec<Listed> = script.covers.iter().step_by(2).map(listed).collect();
    let len = script.old.len() as u64;
    let segment = Segment { pos: 0, len, addr: 0x8000, span: len, module: 0 };
    let class = Class { content: Content::Thumb, ..Class::default() };
    let plan = predict::Plan {
        old: script.old,
        new: script.new,
        covers: script.covers,
        map: &map,
        old_segments: &[segment],
        new_segments: &[segment],
        runs: &[Run { pos: 0, class }],
    };
    let shape = Shape { model_log: 8, memo_log: 1, buffer_log: 8, ..Shape::default() };
    let shape = plan.counted(shape);
    let payload = predict::encode_in_place(&plan, &shape, schedule).unwrap();
    (Coder::Predicted(shape), payload)
}

fn board(case: &Case, built: &Built) -> Board {
    let Case { sector_len, write_len, erased, has_cache, .. } = *case;
    let longest = built.old.len().max(built.new.len()) as u64;
    let in_place = built.header.in_place.unwrap();
    let pages = in_place.pages(longest);
    let slot_len = pages.whole_len();
    let mut work = vec![0; Applier::workspace(&built.header).unwrap() as usize];
    let areas = Areas::of(&built.header, write_len, &mut work).unwrap();
    // Sectors are divided below, where they differ.
    let equal_len = if case.first.is_empty() { sector_len } else { write_len.into() };
    let len = slot_len + areas.scratch_len();
    let geometry = Geometry { len, sector_len: equal_len, write_len, erased };
    let mut flash = Flash::with_image(geometry, &built.old);
    if !case.first.is_empty() {
        let mut sectors: Vec<u32> =
            (0..pages.count()).map(|page| pages.place(page).len() as u32).collect();
        let scratch_count = areas.scratch_len() / u64::from(sector_len);
        sectors.extend((0..scratch_count).map(|_| sector_len));
        flash = flash.with_sectors(&sectors);
    }
    Board::new(if has_cache { flash.with_write_cache() } else { flash }, slot_len)
}

fn try_case(case: &Case, plan: &Plan) -> Result<Tally, String> {
    let built = build(case);
    let Built { old, new, header, payload } = &built;
    let pages = header.in_place.unwrap().pages(new.len() as u64).count();
    assert!(pages >= 16, "{pages} pages");
    let mode = Mode::InPlace;
    Update { mode, header, payload, old, new }.try_cuts(board(case, &built), plan)
}

#[test]
fn a_power_cut_at_any_moment_is_survived() {
    let is_full = std::env::var_os("FWDELTA_EXHAUSTIVE").is_some();
    let plan = match is_full {
        true => Plan { every: 1, nested_every: 41, seeds: 4 },
        false => Plan { every: 7, nested_every: 211, seeds: 2 },
    };
    let mut all = Tally::default();
    for case in cases() {
        let start = Instant::now();
        // Their checkpoints are long: most of their moments are alike.
        let is_long = case.coding == Coding::Predicted && !is_full;
        let plan = Plan { every: plan.every * if is_long { 5 } else { 1 }, ..plan };
        let tally = try_case(&case, &plan).unwrap_or_else(|error| panic!("{error}\n{case:?}"));
        println!(
            "{:>8} cuts, at most {} erases of a page and {} operations in one recovery, \
                  in {:.1} s: {case:?}",
            tally.cuts,
            tally.erases_max,
            tally.operations_max,
            start.elapsed().as_secs_f64()
        );
        all.add(&tally);
    }
    println!("{:>8} cuts in all, none lost", all.cuts);
    assert!(all.cuts > if is_full { 1_000_000 } else { 3_000 });
}
