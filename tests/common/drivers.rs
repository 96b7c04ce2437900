//! What tests of drivers share: a small delta that is applied in place, and the flash it takes.
#![allow(dead_code, missing_docs, unreachable_pub)] // Every test file uses a part of it.

use fwdelta::core::apply::Applier;
use fwdelta::core::apply::in_place::Areas;
use fwdelta::diff::{Delta, FirstPages, Options, Place, Profile, create};
use fwdelta::progress::Silent;

pub const PLACE: Place = Place {
    page_len: 256,
    first: FirstPages::NONE,
    spare_count: 2,
    write_len: 8,
    erased: 0xff,
    order: None,
    interval: Some(1),
    room: None,
};

/// A delta that is applied in place.
pub fn in_place(old: &[u8], new: &[u8]) -> Delta {
    let options = Options {
        profile: Profile::Plain,
        threads: 1,
        in_place: Some(PLACE),
        ..Options::default()
    };
    create(old, new, &options, &Silent).unwrap()
}

/// Bytes of scratch flash for it.
pub fn scratch_len(delta: &Delta, write_len: u16) -> u64 {
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    Areas::of(&delta.header, write_len, &mut work).unwrap().scratch_len()
}
