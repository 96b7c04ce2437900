//! How to test a flash driver of your own (docs/device-guide.md): put it on the model of a chip,
//! cut the power before, in the middle of and after every operation of an update, start again.
//!
//! Replace `Driver` by yours, and the calls of `Chip` in it by those of your chip.
#![allow(missing_docs)]

use std::cell::RefCell;

use fwdelta_core::apply::in_place::{Areas, Binding, Flash, Found, Progress, Rehearsal, Rewriting};
use fwdelta_core::apply::{Applier, memory_len};
use fwdelta_core::format::delta::{Coder, DeltaHeader, ImageId, InPlace};
use fwdelta_core::format::pages::{FirstPages, Room};
use fwdelta_core::hash::sha256;
use fwdelta_core::storage::{Geometry, ReadError, Source, Target};
use fwdelta_core::{Error, Limits};
use fwdelta_sim::fault::every_cut;
use fwdelta_sim::flash::{Flash as Chip, FlashError};

const PAGE_LEN: u32 = 256;
const WRITE_LEN: u16 = 8;
const SLOT_LEN: u64 = 6 * PAGE_LEN as u64;

/// The driver under test: a part of the chip.
#[derive(Clone, Copy)]
struct Driver<'c> {
    chip: &'c RefCell<Chip>,
    start: u64,
    len: u64,
    /// A mistake: it says that all is durable without waiting for it.
    forgets_to_sync: bool,
}

impl Source for Driver<'_> {
    type Error = FlashError;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<FlashError>> {
        self.chip.borrow_mut().read(self.start + pos, buf)
    }
}

impl Target for Driver<'_> {
    type Error = FlashError;

    fn geometry(&self) -> Geometry {
        Geometry { len: self.len, sector_len: PAGE_LEN, write_len: WRITE_LEN, erased: 0xff }
    }

    fn erase(&mut self, sector: u32) -> Result<(), FlashError> {
        let first = (self.start / u64::from(PAGE_LEN)) as u32;
        self.chip.borrow_mut().erase(first + sector)
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), FlashError> {
        self.chip.borrow_mut().program(self.start + pos, data)
    }

    fn sync(&mut self) -> Result<(), FlashError> {
        if self.forgets_to_sync { Ok(()) } else { self.chip.borrow_mut().sync() }
    }
}

/// The simplest delta there is: the new image, page by page. What is tested is the driver.
struct Update {
    header: DeltaHeader,
    new: Vec<u8>,
}

impl Update {
    fn new(old: &[u8], new: &[u8]) -> Self {
        let id = |image: &[u8]| ImageId { len: image.len() as u64, digest: sha256(image) };
        let in_place = InPlace {
            page_len: PAGE_LEN,
            first: FirstPages::NONE,
            spare_count: 2,
            interval: 1,
            room: Room::NONE,
            check: None,
        };
        let mut header = DeltaHeader {
            coder: Coder::Stored,
            old: Some(id(old)),
            new: id(new),
            workspace_len: 0,
            payload_len: new.len() as u64,
            chain: None,
            in_place: Some(in_place),
            undoes: None,
        };
        header.workspace_len = memory_len(&header).unwrap();
        Self { header, new: new.to_vec() }
    }

    fn work(&self) -> Vec<u8> {
        // Memory holds anything after a reset.
        vec![0xa5; Applier::workspace(&self.header).unwrap() as usize]
    }

    fn scratch_len(&self) -> u64 {
        Areas::of(&self.header, WRITE_LEN, &mut self.work()).unwrap().scratch_len()
    }

    /// What the device does at every start.
    fn boot(&self, chip: &RefCell<Chip>, forgets_to_sync: bool) -> Result<(), Error> {
        let (header, limits, binding) = (&self.header, &Limits::DEVICE, Binding::new(&[7], &[]));
        let mut slot = Driver { chip, start: 0, len: SLOT_LEN, forgets_to_sync };
        let mut scratch = Driver { start: SLOT_LEN, len: self.scratch_len(), ..slot };
        let (mut work, mut payload) = (self.work(), self.new.as_slice());
        let found = Rewriting::look(header, &mut work, &mut scratch, &binding)?;
        let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload: &mut payload };
        let mut rewriting = match found {
            Found::Done => return Ok(()),
            Found::Begun => Rewriting::resume(header, &mut work, limits, binding, &mut flash)?,
            Found::Nothing => {
                let mut rehearsal = Rehearsal::open(header, &mut work, limits)?;
                while rehearsal.step(&mut flash)? == Progress::Yield {}
                let ready = rehearsal.finish()?;
                Rewriting::begin(ready, header, &mut work, limits, binding, &mut flash)?
            }
        };
        while rewriting.step(&mut flash)? == Progress::Yield {}
        rewriting.finish().map(drop)
    }

    /// A chip that holds `old`; what is written to it may be lost until it is synced.
    fn chip(&self, old: &[u8]) -> Chip {
        let len = SLOT_LEN + self.scratch_len();
        let geometry = Geometry { len, sector_len: PAGE_LEN, write_len: WRITE_LEN, erased: 0xff };
        Chip::with_image(geometry, old).with_write_cache()
    }

    /// Tries every cut; gives how many there were, or what happened to the first device lost.
    fn try_cuts(&self, old: &[u8], forgets_to_sync: bool) -> Result<usize, String> {
        let start = RefCell::new(self.chip(old));
        let before = start.borrow().counts().operations;
        self.boot(&start, forgets_to_sync).map_err(|error| format!("without a cut: {error}"))?;
        let count = start.borrow().counts().operations - before;
        let mut tried = 0;
        for mut fault in every_cut(count, &[1, 2, 3]) {
            fault.at += before;
            let mut chip = self.chip(old);
            chip.plan(fault);
            let chip = RefCell::new(chip);
            let cut = self.boot(&chip, forgets_to_sync);
            assert!(cut.is_err() && !chip.borrow().has_power(), "the power was cut");
            chip.borrow_mut().reboot(fault.seed);
            let again = self.boot(&chip, forgets_to_sync);
            again.map_err(|error| format!("lost after {fault:?}: {error}"))?;
            if !chip.borrow().bytes().starts_with(&self.new) {
                return Err(format!("another image after {fault:?}"));
            }
            if let Some(broken) = chip.borrow().violations().first() {
                return Err(format!("a rule of the chip is broken after {fault:?}: {broken:?}"));
            }
            tried += 1;
        }
        Ok(tried)
    }
}

fn images() -> (Vec<u8>, Vec<u8>) {
    let old: Vec<u8> = (0..1300u32).map(|at| (at * 7 / 3) as u8).collect();
    let new = (0..1400u32).map(|at| (at * 5 / 3) as u8).collect();
    (old, new)
}

#[test]
fn no_power_cut_loses_a_device_with_this_driver() {
    let (old, new) = images();
    let tried = Update::new(&old, &new).try_cuts(&old, false).unwrap();
    assert!(tried > 500, "{tried} cuts");
}

#[test]
fn a_driver_that_forgets_to_sync_is_found() {
    let (old, new) = images();
    let lost = Update::new(&old, &new).try_cuts(&old, true).unwrap_err();
    assert!(lost.contains("after Fault"), "{lost}");
}
