//! Law: an image that is rewritten in place becomes the new one, with the same writes however the
//! payload was cut into chunks, and also if power is cut at any moment; with bits flipped in the
//! payload nothing is erased, or the result is right. What is written into a slot of its own is
//! the new image too, whenever power is cut.
#![no_main]

use std::cell::RefCell;

use fwdelta::diff::{Delta, FirstPages, Options, Order, PageRun, Place, Profile, Room, create};
use fwdelta::progress::Silent;
use fwdelta_core::apply::Applier;
use fwdelta_core::apply::in_place::Areas;
use fwdelta_core::storage::Geometry;
use fwdelta_core::{Error, Limits};
use fwdelta_fuzz::{Numbers, new_image};
use fwdelta_sim::board::{Action, Board};
use fwdelta_sim::cuts::{Mode, Update};
use fwdelta_sim::fault::{Fault, Kind};
use fwdelta_sim::flash::Flash;
use libfuzzer_sys::fuzz_target;

const PROFILES: [Profile; 3] = [Profile::Plain, Profile::Tiny, Profile::Small];
const ORDERS: [Option<Order>; 4] =
    [None, Some(Order::Ascending), Some(Order::Descending), Some(Order::Needs)];

const ROOMS: [Option<Room>; 4] =
    [None, Some(Room::NONE), Some(Room { len: 60, count: 3 }), Some(Room { len: 500, count: 12 })];

/// Lengths of pages are few, so that images of a few KB have many.
fn place(numbers: &mut Numbers<'_>) -> Place {
    let page_len = 64 << numbers.below(4);
    let mut first = FirstPages::NONE;
    let mut last = 0;
    for _ in 0..numbers.below(4) {
        let run =
            PageRun { len: 64 + 32 * numbers.below(8) as u32, count: 1 + numbers.below(5) as u32 };
        if run.len != last {
            first.push(run).expect("three fit");
            last = run.len;
        }
    }
    let first = if last == page_len { FirstPages::NONE } else { first };
    let spare_count = 1 + numbers.below(6) as u8;
    Place {
        page_len,
        first,
        spare_count,
        write_len: [1, 2, 4, 8, 16, 32][numbers.below(6)],
        erased: [0, 0xff][numbers.below(2)],
        order: ORDERS[numbers.below(4)],
        interval: Some(1 + (numbers.byte() % spare_count).min(7)),
        room: None,
    }
}

/// Bytes that images may have: looking for an order takes seconds where there are many pages, and
/// such an input keeps the fuzzer from a thousand others.
fn len_max(place: &Place) -> usize {
    match place.order {
        Some(Order::Ascending | Order::Descending) => usize::MAX,
        _ => 16 * place.page_len as usize,
    }
}

/// A device, and how it is updated.
struct Device<'a> {
    mode: Mode,
    place: Place,
    old: &'a [u8],
    new: &'a [u8],
    has_cache: bool,
}

impl Device<'_> {
    /// A chip that holds old, its sectors being pages; with two slots it holds something.
    fn board(&self, delta: &Delta) -> Board {
        let header = &delta.header;
        let Place { write_len, erased, .. } = self.place;
        let mut work = vec![0; Applier::workspace(header).expect("a header of ours") as usize];
        let geometry = Geometry { len: u64::MAX, sector_len: 256, write_len, erased };
        let (areas, sectors): (_, Vec<u32>) = match header.in_place {
            Some(in_place) => {
                let pages = in_place.pages(self.old.len().max(self.new.len()) as u64);
                let lens = (0..pages.count()).map(|page| pages.place(page).len() as u32);
                (Areas::of(header, write_len, &mut work), lens.collect())
            }
            None => {
                let areas = Areas::of_two_slots(header, &geometry, &mut work, &Limits::LINUX);
                (areas, vec![96; self.new.len().div_ceil(96)])
            }
        };
        let scratch_len = areas.expect("it fits").scratch_len();
        let slot_len = sectors.iter().map(|len| u64::from(*len)).sum::<u64>();
        let largest = match header.in_place {
            Some(in_place) => in_place.pages(header.new.len).largest(),
            None => 256,
        };
        let scratch = (0..scratch_len / largest).map(|_| largest as u32);
        let sectors: Vec<u32> = sectors.into_iter().chain(scratch).collect();
        let len = slot_len + scratch_len;
        let equal = Geometry { len, sector_len: write_len.into(), ..geometry };
        let image = &self.old[..self.old.len().min(slot_len as usize)];
        let flash = Flash::with_image(equal, image).with_sectors(&sectors);
        Board::new(if self.has_cache { flash.with_write_cache() } else { flash }, slot_len)
    }

    /// What a device does after a reset; no rule of the flash is broken.
    fn boot(&self, delta: &Delta, board: Board) -> (Board, Result<(), Error>) {
        let Self { mode, old, new, .. } = *self;
        let board = RefCell::new(board);
        let update = Update { mode, header: &delta.header, payload: &delta.payload, old, new };
        let result = update.boot(&board);
        let board = board.into_inner();
        let broken = board.flash.violations();
        assert!(broken.is_empty(), "{broken:?}");
        (board, result)
    }

    /// Everything that is done to the chip.
    fn writes(&self, delta: &Delta) -> Vec<Action> {
        let (board, result) = self.boot(delta, self.board(delta).recording_actions());
        assert_eq!(result, Ok(()));
        assert!(board.slot().starts_with(self.new), "another image");
        board.into_actions().1
    }

    fn cut(&self, delta: &Delta, fault: Fault) {
        let mut board = self.board(delta);
        board.flash.plan(fault);
        let (mut board, result) = self.boot(delta, board);
        if result.is_ok() {
            assert!(board.flash.has_power(), "it was not cut");
        }
        board.flash.reboot(fault.seed);
        let (board, result) = self.boot(delta, board);
        assert_eq!(result, Ok(()), "the device is lost");
        assert!(board.slot().starts_with(self.new), "another image");
    }

    fn flip(&self, delta: &Delta, at: usize, bit: usize) {
        let mut flipped = delta.clone();
        let Some(byte) = flipped.payload.get_mut(at) else { return };
        *byte ^= 1 << bit;
        let (board, result) = self.boot(&flipped, self.board(&flipped));
        match result {
            Ok(()) => assert!(board.slot().starts_with(self.new), "the bit mattered"),
            Err(error) if self.mode == Mode::InPlace => {
                assert!(error.old_intact && board.slot().starts_with(self.old), "{error}");
            }
            Err(_) => {}
        }
    }
}

// Profile, pages and flash, chunk, cut: when (2 bytes), how, seed; a bit to flip (2 bytes, 1),
// flags; length of old (2 bytes), old, then how new differs.
fuzz_target!(|data: &[u8]| {
    let mut numbers = Numbers(data);
    let profile = PROFILES[numbers.below(PROFILES.len())];
    let mut place = place(&mut numbers);
    let chunk_len = 64 + u32::from(numbers.byte());
    let (at, how) = (numbers.below(4096) as u64, numbers.below(3));
    let fault = Fault { at, kind: Kind::CUTS[how], seed: numbers.byte().into() };
    let (flipped, bit, flags) = (numbers.below(4096), numbers.below(8), numbers.byte());
    place.room = ROOMS[usize::from(flags >> 4 & 3)];
    let old_len = 1 + numbers.below(3000);
    let mut old = numbers.bytes(old_len).to_vec();
    let mut new = new_image(&old, &mut numbers);
    if flags & 1 == 0 {
        old.truncate(len_max(&place));
        new.truncate(len_max(&place));
    }
    if old.is_empty() {
        return;
    }
    let in_place = Some(place).filter(|_| flags & 1 == 0);
    let options = Options { profile, threads: 1, in_place, ..Options::default() };
    let delta = create(&old, &new, &options, &Silent).expect("nothing stops it");
    let mode = match in_place {
        Some(_) => Mode::InPlace,
        None => Mode::TwoSlots { interval: 1 + u64::from(flags) * 3 },
    };
    let device = Device { mode, place, old: &old, new: &new, has_cache: flags & 2 != 0 };
    let writes = device.writes(&delta);
    let chained = delta.clone().chained(chunk_len).expect("a length of ours");
    if mode == Mode::InPlace {
        assert!(writes == device.writes(&chained), "the writes depend on the chunks");
    }
    let fault = Fault { at: fault.at % (writes.len() as u64).max(1), ..fault };
    device.cut(if flags & 4 == 0 { &delta } else { &chained }, fault);
    device.flip(
        if flags & 8 == 0 { &delta } else { &chained },
        flipped % delta.payload.len().max(1),
        bit,
    );
});
