//! Payloads behind `embedded-io`, from media that give less than they are asked for, or fail.
#![allow(missing_docs)]

use embedded_io::{ErrorKind, ErrorType, Read, Seek, SeekFrom};
use fwdelta::diff::{Delta, Media, Options, Profile, RamFlash, create, write};
use fwdelta::progress::Silent;
use fwdelta_adapters::Stream;
use fwdelta_core::apply::Applier;
use fwdelta_core::apply::in_place::{Areas, Binding};
use fwdelta_core::apply::two_slots::Settings;
use fwdelta_core::storage::{Geometry, Source as _};
use fwdelta_core::{Category, Detail, Limits};

/// Bytes that come a few at a time, and end or fail after some.
struct Slow<'b> {
    bytes: &'b [u8],
    pos: u64,
    piece_len: usize,
    left: usize,
    fails: bool,
}

impl ErrorType for Slow<'_> {
    type Error = ErrorKind;
}

impl Read for Slow<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let rest = self.bytes.get(self.pos as usize..).unwrap_or(&[]);
        let len = rest.len().min(buf.len()).min(self.piece_len).min(self.left);
        if len == 0 && self.fails {
            return Err(ErrorKind::TimedOut);
        }
        buf[..len].copy_from_slice(&rest[..len]);
        (self.pos, self.left) = (self.pos + len as u64, self.left - len);
        Ok(len)
    }
}

impl Seek for Slow<'_> {
    fn seek(&mut self, pos: SeekFrom) -> Result<u64, ErrorKind> {
        let SeekFrom::Start(pos) = pos else { return Err(ErrorKind::Unsupported) };
        self.pos = pos;
        Ok(pos)
    }
}

fn update() -> (Vec<u8>, Vec<u8>, Delta) {
    let old: Vec<u8> = (0..5000u32).map(|i| ((i * i) >> 3) as u8).collect();
    let mut new = old.clone();
    new.splice(700..900, (0..300u32).map(|i| (i * 7 % 251) as u8));
    let options = Options { profile: Profile::Plain, threads: 1, ..Options::default() };
    let delta = create(&old, &new, &options, &Silent).unwrap();
    (old, new, delta)
}

/// Applies from `payload`, with old from a stream as well.
fn apply(old: &[u8], delta: &Delta, payload: Slow<'_>, new: &mut RamFlash) -> fwdelta::Result<()> {
    let whole = |bytes| Slow { bytes, pos: 0, piece_len: 3, left: usize::MAX, fails: false };
    let geometry = Geometry { len: 1 << 16, sector_len: 256, write_len: 4, erased: 0xff };
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    Areas::of_two_slots(&delta.header, &geometry, &mut work, &Limits::LINUX).unwrap();
    let mut media = Media {
        old: &mut Stream(whole(old)),
        new,
        scratch: &mut RamFlash::new(&[], geometry),
        payload: &mut Stream(payload),
        payload_start: 0,
    };
    let binding = Binding::new(&delta.header_bytes(), b"");
    let settings = Settings { binding, interval: 1024 };
    write(&delta.header, &mut media, &Limits::LINUX, &settings, &Silent).map(drop)
}

fn slot() -> RamFlash {
    RamFlash::new(&[], Geometry { len: 8192, sector_len: 512, write_len: 4, erased: 0xff })
}

#[test]
fn media_that_give_a_few_bytes_at_a_time_are_asked_again() {
    let (old, new, delta) = update();
    for piece_len in [1, 7, 1000] {
        let bytes = &delta.payload[..];
        let payload = Slow { bytes, pos: 0, piece_len, left: usize::MAX, fails: false };
        let mut slot = slot();
        apply(&old, &delta, payload, &mut slot).unwrap();
        assert!(slot.bytes().starts_with(&new));
    }
}

#[test]
fn media_that_end_or_fail_are_storage_errors() {
    let (old, _, delta) = update();
    for fails in [false, true] {
        for left in [0, 1, delta.payload.len() / 2, delta.payload.len() - 1] {
            let payload = Slow { bytes: &delta.payload, pos: 0, piece_len: 64, left, fails };
            let error = apply(&old, &delta, payload, &mut slot()).unwrap_err();
            assert_eq!((error.detail(), error.category()), (Detail::ReadFailed, Category::Storage));
            assert!(error.old_intact());
        }
    }
    let mut short =
        Stream(Slow { bytes: &old, pos: 0, piece_len: 9, left: usize::MAX, fails: false });
    assert!(short.read(4999, &mut [0; 1]).is_ok() && short.read(4999, &mut [0; 2]).is_err());
}
