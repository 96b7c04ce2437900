//! Drivers that fail, read short, find no valid words, or have another geometry than they need:
//! the error is of storage or usage, and where it says that old is intact, it is.
#![allow(missing_docs)]

mod delta;
#[path = "common/drivers.rs"]
mod drivers;

use std::cell::Cell;

use delta::{Pair, edited, short_pair};
use drivers::in_place;
use fwdelta::core::apply::Applier;
use fwdelta::core::apply::in_place::{Areas, Binding, Flash, Rewriting};
use fwdelta::core::apply::two_slots::{Settings, Writing};
use fwdelta::core::storage::{Geometry, ReadError, Sector, Source, Target};
use fwdelta::core::{Category, Detail, Limits};
use fwdelta::diff::{Delta, Media, Profile, RamFlash, rewrite, write};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;

const LIMITS: Limits = Limits::LINUX;
const GEOMETRY: Geometry = Geometry { len: 0, sector_len: 256, write_len: 8, erased: 0xff };

/// How a driver fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It says so, without doing anything.
    Error,
    /// It reads or does a part, and says so.
    Short,
    /// Cells hold no valid word; what is no read fails.
    Uncorrectable,
}

/// Which operation of all media fails, and whether those behind it do as well.
struct Plan {
    left: Cell<u64>,
    fault: Fault,
    is_lasting: bool,
}

impl Plan {
    fn new(at: u64, fault: Fault, is_lasting: bool) -> Self {
        Self { left: Cell::new(at), fault, is_lasting }
    }

    fn fault(&self) -> Option<Fault> {
        let left = self.left.get();
        let stays = left == 0 && self.is_lasting;
        self.left.set(if stays { 0 } else { left.wrapping_sub(1) });
        (left == 0).then_some(self.fault)
    }
}

/// A medium whose operations fail as planned.
struct Faulty<'a> {
    flash: &'a mut RamFlash,
    plan: &'a Plan,
}

impl Source for Faulty<'_> {
    type Error = std::io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        let failed = |kind: std::io::ErrorKind| Err(ReadError::Io(kind.into()));
        match self.plan.fault() {
            None => self.flash.read(pos, buf),
            Some(Fault::Error) => failed(std::io::ErrorKind::Other),
            Some(Fault::Uncorrectable) => Err(ReadError::Uncorrectable),
            Some(Fault::Short) => {
                let half = buf.len() / 2;
                let _ = self.flash.read(pos, &mut buf[..half]);
                failed(std::io::ErrorKind::UnexpectedEof)
            }
        }
    }
}

impl Target for Faulty<'_> {
    type Error = std::io::Error;

    fn geometry(&self) -> Geometry {
        self.flash.geometry()
    }

    fn sector(&self, pos: u64) -> Sector {
        self.flash.sector(pos)
    }

    fn erase(&mut self, sector: u32) -> std::io::Result<()> {
        match self.plan.fault() {
            None => self.flash.erase(sector),
            Some(_) => Err(std::io::ErrorKind::Other.into()),
        }
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> std::io::Result<()> {
        let Some(fault) = self.plan.fault() else { return self.flash.program(pos, data) };
        if fault == Fault::Short {
            self.flash.program(pos, &data[..data.len() / 16 * 8])?;
        }
        Err(std::io::ErrorKind::WriteZero.into())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.plan.fault().map_or(Ok(()), |_| Err(std::io::ErrorKind::Other.into()))
    }
}

/// Every way to fail at every operation, or a sample of them, until one run comes to its end
/// without.
fn each_fault(run: impl Fn(&Plan) -> Option<fwdelta::Error>) {
    let kinds = [Category::Storage, Category::Usage];
    let step = if std::env::var_os("FWDELTA_EXHAUSTIVE").is_some() { 1 } else { 7 };
    for fault in [Fault::Error, Fault::Short, Fault::Uncorrectable] {
        for is_lasting in [false, true] {
            let mut failed_count = 0;
            for at in (0..).step_by(step) {
                let plan = Plan::new(at, fault, is_lasting);
                let error = run(&plan);
                if plan.left.get() > 0 && plan.left.get() <= at {
                    break;
                }
                let Some(error) = error else { continue };
                assert!(kinds.contains(&error.category()), "{error} at {at}, {fault:?}");
                failed_count += 1;
            }
            assert!(failed_count > 20, "{failed_count} of {fault:?}");
        }
    }
}

fn images() -> (Vec<u8>, Vec<u8>) {
    edited(&mut Random::new(4), 1500, 5)
}

fn scratch_len(delta: &Delta) -> u64 {
    drivers::scratch_len(delta, GEOMETRY.write_len)
}

#[test]
fn in_place_no_driver_makes_a_wrong_error_or_a_lost_image() {
    let (old, new) = images();
    let delta = in_place(&old, &new);
    let binding = Binding::new(&delta.header_bytes(), b"");
    let scratch_len = scratch_len(&delta);
    each_fault(|plan| {
        let payload_geometry = Geometry { sector_len: 1, ..GEOMETRY };
        let mut payload = RamFlash::new(&delta.payload, payload_geometry);
        let mut slot = RamFlash::new(&old, Geometry { len: new.len() as u64, ..GEOMETRY });
        let mut scratch = RamFlash::new(&[], Geometry { len: scratch_len, ..GEOMETRY });
        let mut flash = Flash {
            slot: &mut Faulty { flash: &mut slot, plan },
            scratch: &mut Faulty { flash: &mut scratch, plan },
            payload: &mut Faulty { flash: &mut payload, plan },
        };
        let error = rewrite(&delta.header, &mut flash, &LIMITS, binding).err();
        if error.as_ref().is_some_and(fwdelta::Error::old_intact) {
            assert!(slot.bytes().starts_with(&old), "{error:?}");
        }
        // With a driver that works again the same call goes on.
        let payload = &mut &delta.payload[..];
        let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
        rewrite(&delta.header, &mut flash, &LIMITS, binding).unwrap();
        assert!(slot.bytes().starts_with(&new), "{error:?}");
        error
    });
}

#[test]
fn in_two_slots_neither() {
    let Pair { old, new, .. } = short_pair();
    let delta = delta::delta(&old, &new, Profile::Plain);
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    let areas = Areas::of_two_slots(&delta.header, &GEOMETRY, &mut work, &LIMITS).unwrap();
    let binding = Binding::new(&delta.header_bytes(), b"");
    let settings = Settings { binding, interval: 1024 };
    each_fault(|plan| {
        let geometry = Geometry { len: new.len() as u64, ..GEOMETRY };
        let mut slot = RamFlash::new(&[], geometry);
        let mut scratch = RamFlash::new(&[], Geometry { len: areas.scratch_len(), ..GEOMETRY });
        let mut payload = RamFlash::new(&delta.payload, Geometry { sector_len: 1, ..GEOMETRY });
        let mut first = RamFlash::new(&old, GEOMETRY);
        let mut media = Media {
            old: &mut Faulty { flash: &mut first, plan },
            new: &mut Faulty { flash: &mut slot, plan },
            scratch: &mut Faulty { flash: &mut scratch, plan },
            payload: &mut Faulty { flash: &mut payload, plan },
            payload_start: 0,
        };
        let error = write(&delta.header, &mut media, &LIMITS, &settings, &Silent).err();
        assert!(error.as_ref().is_none_or(fwdelta::Error::old_intact), "{error:?}");
        let mut media = Media {
            old: &mut &old[..],
            new: &mut slot,
            scratch: &mut scratch,
            payload: &mut &delta.payload[..],
            payload_start: 0,
        };
        write(&delta.header, &mut media, &LIMITS, &settings, &Silent).unwrap();
        assert!(slot.bytes().starts_with(&new), "{error:?}");
        error
    });
}

/// Whether two geometries are refused, with what error, and that nothing was written.
fn refused(old: &[u8], delta: &Delta, slot: Geometry, scratch: Geometry) -> (Detail, bool) {
    // As short as it says, unlike `RamFlash::new`, which makes sectors whole.
    let sectors = |len: u64| (1..=len.div_ceil(256)).map(move |number| len.min(number * 256));
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    let mut slot = RamFlash::with_sectors(old, slot, sectors(slot.len));
    let mut scratch = RamFlash::with_sectors(&[], scratch, sectors(scratch.len));
    let binding = Binding::new(&delta.header_bytes(), b"");
    let payload = &mut &delta.payload[..];
    let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
    let error = rewrite(&delta.header, &mut flash, &LIMITS, binding).unwrap_err();
    let resumed = Rewriting::resume(&delta.header, &mut work, &LIMITS, binding, &mut flash);
    let resumed = resumed.unwrap_err();
    assert!(!resumed.old_intact);
    assert!(resumed.detail == error.detail() || resumed.detail == Detail::WrongState);
    let erases = slot.erases().iter().chain(scratch.erases()).sum::<u32>();
    assert!(erases == 0 && slot.bytes().starts_with(old) && error.category() as u8 >= 8);
    (error.detail(), error.old_intact())
}

#[test]
fn too_short_is_too_little_room_and_other_units_are_usage() {
    let (old, new) = images();
    let delta = in_place(&old, &new);
    let len = (old.len().max(new.len()) as u64).next_multiple_of(256);
    let slot = Geometry { len, ..GEOMETRY };
    let scratch = Geometry { len: scratch_len(&delta), ..GEOMETRY };
    let short = |geometry: Geometry, by: u64| Geometry { len: geometry.len - by, ..geometry };
    // Before the journal was read nobody knows whether old is intact.
    assert_eq!(refused(&old, &delta, slot, short(scratch, 8)), (Detail::NoSpace, false));
    assert_eq!(refused(&old, &delta, slot, short(scratch, 256)), (Detail::NoSpace, false));
    assert_eq!(refused(&old, &delta, slot, short(scratch, scratch.len)), (Detail::NoSpace, false));
    let wide = |geometry: Geometry| Geometry { write_len: 64, ..geometry };
    assert_eq!(refused(&old, &delta, slot, wide(scratch)), (Detail::BadArgument, false));
    assert_eq!(refused(&old, &delta, wide(slot), scratch), (Detail::BadArgument, true));
    // The slot has room for old, but not for the last page of new.
    let (old, new) = (&new[..700], &new[..]);
    let delta = in_place(old, new);
    let slot = Geometry { len: 768, ..GEOMETRY };
    let scratch = Geometry { len: scratch_len(&delta), ..GEOMETRY };
    assert_eq!(refused(old, &delta, slot, scratch), (Detail::NoSpace, true));
    let mut scratch = RamFlash::new(&[], short(scratch, 256));
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    let cleared = Rewriting::clear(&delta.header, &mut work, &mut scratch).unwrap_err();
    assert_eq!(cleared.detail, Detail::NoSpace);
    assert!(scratch.erases().iter().all(|count| *count == 0));
}

#[test]
fn with_two_slots_all_calls_say_so() {
    let Pair { old, new, .. } = short_pair();
    let Delta { header, .. } = delta::delta(&old, &new, Profile::Plain);
    let mut work = vec![0; Applier::workspace(&header).unwrap() as usize];
    let areas = Areas::of_two_slots(&header, &GEOMETRY, &mut work, &LIMITS).unwrap();
    let binding = Binding::new(b"", b"");
    let (settings, limits) = (Settings { binding, interval: 1 }, &LIMITS);
    let short_len = areas.scratch_len() - 256;
    let scratch = &mut RamFlash::new(&[], Geometry { len: short_len, ..GEOMETRY });
    let slot = &mut RamFlash::new(&[], Geometry { len: new.len() as u64, ..GEOMETRY });
    let errors = [
        Writing::look(&header, &mut work, limits, scratch, &binding).map(drop),
        Writing::clear(&header, &mut work, limits, scratch),
        Writing::begin(&header, &mut work, limits, &settings, slot, scratch).map(drop),
        Writing::resume(&header, &mut work, limits, &settings, slot, scratch).map(drop),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!((error.detail, error.old_intact), (Detail::NoSpace, true));
        assert_eq!(error.category(), Category::Storage);
    }
    assert!(scratch.erases().iter().chain(slot.erases()).all(|count| *count == 0));
    // A slot that is too short, or programmed in units that no slot has.
    let scratch_geometry = Geometry { len: areas.scratch_len(), ..GEOMETRY };
    let short = Geometry { len: new.len() as u64 - 1, ..GEOMETRY };
    let wide = Geometry { write_len: 64, ..GEOMETRY };
    for (geometry, detail) in [(short, Detail::NoSpace), (wide, Detail::BadArgument)] {
        let mut slot = RamFlash::with_sectors(&[], geometry, [short.len].into_iter());
        let mut scratch = RamFlash::new(&[], scratch_geometry);
        let begun = Writing::begin(&header, &mut work, limits, &settings, &mut slot, &mut scratch);
        let error = begun.unwrap_err();
        assert_eq!((error.detail, error.old_intact), (detail, true));
        assert!(scratch.erases().iter().chain(slot.erases()).all(|count| *count == 0));
    }
}
