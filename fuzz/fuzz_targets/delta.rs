//! Law: a delta turns the old image into the new one, whatever they are and in every profile; with
//! bits flipped it is refused.
#![no_main]

use fwdelta::diff::{Options, Profile, create};
use fwdelta::exec::describe::Hints;
use fwdelta::progress::Silent;
use fwdelta_core::exec::layout::{Class, Content, Run, Segment};
use fwdelta_fuzz::program::machine;
use fwdelta_fuzz::{Numbers, apply, apply_flipped, new_image, soup};
use libfuzzer_sys::fuzz_target;

const PROFILES: [Profile; 6] =
    [Profile::Tiny, Profile::Small, Profile::Fast, Profile::Max, Profile::Plain, Profile::Bsdiff];

/// Code of an instruction set, loaded where images of it may be.
fn code(content: Content, len: usize, seed: u64) -> Vec<u8> {
    let machines = machine::all();
    let machine = machines.iter().find(|machine| machine.content == content);
    let (len, addr) = (len as u64, machine.map_or(0, |machine| machine.base));
    let class = Class { content, wide: seed & 1 != 0, big_endian: seed & 2 != 0 };
    let segment = Segment { len, addr, span: len, ..Segment::default() };
    soup::image(len as usize, &[segment], &[Run { pos: 0, class }], seed)
}

// Profile, instruction set and whether old is code of it, length of old (2 bytes); then old or the
// seed of the code, then how new differs.
fuzz_target!(|data: &[u8]| {
    let mut numbers = Numbers(data);
    let profile = PROFILES[numbers.below(PROFILES.len())];
    let kind = numbers.byte();
    let (is_streamed, is_bound) = (kind & 64 == 0, kind & 32 == 0);
    let hints = Hints { content: Content::from_number(kind % 16), base: None };
    let old_len = numbers.below(8192);
    let old = match hints.content.filter(|_| kind & 128 != 0) {
        Some(content) => code(content, old_len, numbers.below(1 << 16) as u64),
        None => numbers.bytes(old_len).to_vec(),
    };
    let old = &old[..];
    let mut flips = Numbers(old);
    let new = new_image(old, &mut numbers);
    let options =
        Options { profile, hints, threads: 1, is_streamed, is_bound, ..Options::default() };
    let delta = create(old, &new, &options, &Silent).expect("nothing stops it");
    let made = apply(old, &delta.header, &delta.payload);
    assert!(made.as_ref() == Ok(&new), "{:?}", made.map(|made| made.len()));
    apply_flipped(old, &new, &delta.header, &delta.payload, &mut flips);
});
