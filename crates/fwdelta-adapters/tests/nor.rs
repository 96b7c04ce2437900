//! Flash behind `embedded-storage`, over a model that enforces the rules of flash and of traits.
#![allow(missing_docs)]

#[path = "../../../tests/common/drivers.rs"]
mod drivers;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use fwdelta::diff::{Delta, rewrite};
use fwdelta_adapters::{BadPart, Nor};
use fwdelta_core::apply::in_place::{Binding, Flash as Parts};
use fwdelta_core::storage::{Geometry, ReadError, Source as _, Target as _};
use fwdelta_core::{Category, Detail, Limits};
use fwdelta_sim::fault::{Fault, Kind, Random};
use fwdelta_sim::{Flash, FlashError};

/// A chip that reads in units of `R` bytes, writes in units of `W` and erases `E` at a time.
struct Chip<const R: usize, const W: usize, const E: usize>(Flash);

#[derive(Debug, PartialEq, Eq)]
struct ChipError(Option<FlashError>);

impl NorFlashError for ChipError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const R: usize, const W: usize, const E: usize> Chip<R, W, E> {
    /// Holds `image`; has `len` bytes.
    fn new(image: &[u8], len: usize) -> Self {
        let (len, write_len) = (len as u64, W.min(32) as u16);
        let geometry = Geometry { len, sector_len: E as u32, write_len, erased: 0xff };
        Self(Flash::with_image(geometry, image))
    }
}

impl<const R: usize, const W: usize, const E: usize> ErrorType for Chip<R, W, E> {
    type Error = ChipError;
}

impl<const R: usize, const W: usize, const E: usize> ReadNorFlash for Chip<R, W, E> {
    const READ_SIZE: usize = R;

    fn read(&mut self, at: u32, buf: &mut [u8]) -> Result<(), ChipError> {
        assert!((at as usize).is_multiple_of(R) && buf.len().is_multiple_of(R), "whole units");
        self.0.read(at.into(), buf).map_err(|error| match error {
            ReadError::Uncorrectable => ChipError(None),
            ReadError::Io(error) => ChipError(Some(error)),
        })
    }

    fn capacity(&self) -> usize {
        self.0.bytes().len()
    }
}

impl<const R: usize, const W: usize, const E: usize> NorFlash for Chip<R, W, E> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = E;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), ChipError> {
        assert!((from as usize).is_multiple_of(E) && (to as usize).is_multiple_of(E));
        let mut sectors = from as usize / E..to as usize / E;
        let each = sectors.try_for_each(|sector| self.0.erase(sector as u32));
        each.map_err(|error| ChipError(Some(error)))
    }

    fn write(&mut self, at: u32, data: &[u8]) -> Result<(), ChipError> {
        self.0.program(at.into(), data).map_err(|error| ChipError(Some(error)))
    }
}

/// Images, and a delta that is applied in place.
fn update() -> (Vec<u8>, Vec<u8>, Delta) {
    let mut random = Random::new(7);
    let old: Vec<u8> = (0..3000).map(|_| random.below(30) as u8).collect();
    let mut new = old.clone();
    new.splice(100..150, [9; 70]);
    new.swap(1000, 2000);
    new.drain(2500..2600);
    let delta = drivers::in_place(&old, &new);
    (old, new, delta)
}

fn scratch_len(delta: &Delta, write_len: u16) -> usize {
    drivers::scratch_len(delta, write_len) as usize
}

/// Rewrites what is in `slot`.
fn apply<const R: usize, const W: usize, const E: usize>(
    delta: &Delta,
    slot: &mut Chip<R, W, E>,
    scratch: &mut Chip<R, W, E>,
) -> fwdelta::Result<()> {
    let torn = |error: &ChipError| error.0.is_none();
    let (slot_len, scratch_len) = (slot.capacity() as u32, scratch.capacity() as u32);
    let mut slot = Nor::new(slot, 0, slot_len).unwrap().with_uncorrectable(torn);
    let mut scratch = Nor::new(scratch, 0, scratch_len).unwrap().with_uncorrectable(torn);
    let payload = &mut &delta.payload[..];
    let mut parts = Parts { slot: &mut slot, scratch: &mut scratch, payload };
    let binding = Binding::new(&delta.header_bytes(), b"");
    rewrite(&delta.header, &mut parts, &Limits::LINUX, binding).map(drop)
}

#[test]
fn reads_start_and_end_anywhere() {
    let image: Vec<u8> = (0..=255).collect();
    let mut chip = Chip::<16, 16, 64>::new(&image, 256);
    let mut part = Nor::new(&mut chip, 64, 128).unwrap();
    for start in 0..128 {
        for end in start..=128 {
            let mut buf = vec![0; end - start];
            part.read(start as u64, &mut buf).unwrap();
            assert_eq!(buf, image[64 + start..64 + end], "{start} to {end}");
        }
    }
    assert!(part.read(127, &mut [0; 2]).is_err(), "not beyond the part");
    assert!(part.erase(2).is_err() && part.program(128, &[0; 16]).is_err());
    part.erase(1).unwrap();
    let mut buf = [0; 3];
    part.read(63, &mut buf).unwrap();
    assert_eq!(buf, [127, 0xff, 0xff], "sector 1 of the part is sector 2 of the chip");
}

#[test]
fn an_image_is_rewritten_in_place() {
    let (old, new, delta) = update();
    let mut slot = Chip::<4, 8, 256>::new(&old, 4096);
    let mut scratch = Chip::<4, 8, 256>::new(&[], scratch_len(&delta, 8));
    apply(&delta, &mut slot, &mut scratch).unwrap();
    assert!(slot.0.bytes().starts_with(&new));
    assert!(slot.0.violations().is_empty() && scratch.0.violations().is_empty());
}

#[test]
fn after_any_error_of_the_driver_it_goes_on() {
    let (old, new, delta) = update();
    let scratch_len = scratch_len(&delta, 4);
    let mut failed = 0;
    for at in 0.. {
        // One time in the slot, one time in the scratch flash.
        let mut chips = [(&old[..], 4096), (&[][..], scratch_len)]
            .map(|(image, len)| Chip::<1, 4, 128>::new(image, len));
        chips[at as usize % 2].0.plan(Fault { at: at / 2, kind: Kind::Error, seed: 0 });
        let [slot, scratch] = &mut chips;
        match apply(&delta, slot, scratch) {
            Ok(()) if at > 200 => break,
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.category(), Category::Storage, "{error}");
                let is_old = slot.0.bytes().starts_with(&old);
                assert!(!error.old_intact() || is_old, "operation {at}: it is not intact");
                failed += 1;
                apply(&delta, slot, scratch).unwrap();
            }
        }
        assert!(slot.0.bytes().starts_with(&new), "operation {at}");
    }
    assert!(failed > 100, "{failed} errors");
}

#[test]
fn units_that_do_not_fit_are_misuse() {
    let (old, _, delta) = update();
    let usage = |result: fwdelta::Result<()>| {
        let error = result.unwrap_err();
        assert_eq!((error.detail(), error.category()), (Detail::BadArgument, Category::Usage));
    };
    let mut wide = Chip::<1, 64, 256>::new(&old, 4096);
    usage(apply(&delta, &mut wide, &mut Chip::new(&[], 1 << 16)));
    assert!(wide.0.bytes().starts_with(&old), "nothing was written");
    let mut coarse = Chip::<1, 8, 1024>::new(&old, 4096);
    usage(apply(&delta, &mut coarse, &mut Chip::new(&[], 1 << 16)));
    assert!(coarse.0.bytes().starts_with(&old), "nothing was written");
    assert!(wide.0.bytes().starts_with(&old) && coarse.0.bytes().starts_with(&old));
    let mut short = Chip::<1, 8, 256>::new(&old[..2048], 2048);
    let error = apply(&delta, &mut short, &mut Chip::new(&[], 1 << 16)).unwrap_err();
    assert_eq!(error.category(), Category::Storage, "old is longer than the slot: {error}");
    let mut chip = Chip::<1, 8, 256>::new(&old, 4096);
    for (start, len) in [(0, 4352), (128, 256), (256, 128), (4096, 256), (u32::MAX - 255, 256)] {
        assert_eq!(Nor::new(&mut chip, start, len).err(), Some(BadPart), "{start}, {len}");
    }
}
