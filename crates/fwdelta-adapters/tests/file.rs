//! Files as slots: what was written and synced is there, nothing beyond the end is touched, and
//! around the page cache it is the same.
#![allow(missing_docs)]
#![cfg(unix)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use fwdelta::diff::{FirstPages, Options, Place, Profile, create, rewrite};
use fwdelta::progress::Silent;
use fwdelta_adapters::{DirectSlot, FileSlot};
use fwdelta_core::apply::Applier;
use fwdelta_core::apply::in_place::{Areas, Binding, Flash};
use fwdelta_core::storage::{Source, Target};
use fwdelta_core::{Category, Limits};
use fwdelta_sim::fault::Random;

fn open(path: &Path, flags: i32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).custom_flags(flags).open(path)
}

/// Writes and reads pieces of all lengths at random, beside a copy in memory.
fn same_as_memory(slot: &mut (impl Source + Target), len: usize) {
    let mut random = Random::new(3);
    let mut memory = vec![0; len];
    slot.read(0, &mut memory).map_err(drop).unwrap();
    for step in 0..400 {
        let start = random.below(len);
        let count = random.below(1 << (step % 18)).min(len - start);
        if random.coin() {
            let data: Vec<u8> = (0..count).map(|_| random.bits() as u8).collect();
            slot.program(start as u64, &data).map_err(drop).unwrap();
            memory[start..start + count].copy_from_slice(&data);
        }
        if step % 50 == 0 {
            slot.sync().map_err(drop).unwrap();
        }
        let start = random.below(len);
        let mut buf = vec![0; random.below(1 << (step % 18)).min(len - start)];
        slot.read(start as u64, &mut buf).map_err(drop).unwrap();
        assert_eq!(buf, memory[start..start + buf.len()]);
    }
    assert!(slot.read(len as u64 - 1, &mut [0; 2]).is_err(), "it ends there");
    assert!(slot.program(len as u64 - 1, &[0; 2]).is_err());
    assert!(slot.program(u64::MAX, &[0; 2]).is_err());
    slot.sync().map_err(drop).unwrap();
}

/// `None`, said aloud, where the file system knows no such files.
fn direct(path: &Path) -> Option<DirectSlot> {
    match open(path, libc::O_DIRECT) {
        Ok(file) => Some(DirectSlot::new(file).unwrap()),
        Err(error) => {
            println!("SKIPPED: no O_DIRECT here: {error}");
            None
        }
    }
}

#[test]
fn a_file_holds_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slot");
    let mut slot = FileSlot::with_len(open(&path, 0).unwrap(), 200_000).unwrap();
    same_as_memory(&mut slot, 200_000);
    assert_eq!((slot.len(), std::fs::metadata(&path).unwrap().len()), (200_000, 200_000));
    let reopened = FileSlot::new(open(&path, 0).unwrap()).unwrap();
    assert_eq!((reopened.len(), reopened.is_empty()), (200_000, false));
}

#[test]
fn around_the_page_cache_it_is_the_same() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().join("slot");
    // Not a multiple of the block, and any file serves where there is no O_DIRECT.
    let len = 5 * 65_536 + 8192;
    FileSlot::with_len(open(&path, 0).unwrap(), len).unwrap();
    let plain = DirectSlot::new(open(&path, 0).unwrap()).unwrap();
    for mut slot in [Some(plain), direct(&path)].into_iter().flatten() {
        same_as_memory(&mut slot, len as usize);
    }
    let odd = dir.path().join("odd");
    FileSlot::with_len(open(&odd, 0).unwrap(), 5000).unwrap();
    assert!(DirectSlot::new(open(&odd, 0).unwrap()).is_err(), "no whole pages");
}

#[test]
fn an_image_is_rewritten_in_a_file_that_is_long_enough() {
    let mut random = Random::new(8);
    let old: Vec<u8> = (0..9000).map(|_| random.below(20) as u8).collect();
    let mut new = old.clone();
    new.splice(4000..4010, [1; 99]);
    let place = Place {
        page_len: 1024,
        first: FirstPages::NONE,
        spare_count: 2,
        write_len: 1,
        erased: 0,
        order: None,
        interval: None,
        room: None,
    };
    let options = Options { profile: Profile::Plain, in_place: Some(place), ..Options::default() };
    let delta = create(&old, &new, &options, &Silent).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    let scratch_len = Areas::of(&delta.header, 1, &mut work).unwrap().scratch_len();
    let run = |slot_len: u64, scratch_len: u64| {
        let path = dir.path().join("image");
        std::fs::write(&path, &old).unwrap();
        let mut slot = FileSlot::with_len(open(&path, 0).unwrap(), slot_len).unwrap();
        let scratch = open(&dir.path().join("scratch"), 0).unwrap();
        let mut scratch = FileSlot::with_len(scratch, scratch_len).unwrap();
        let payload = &mut &delta.payload[..];
        let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
        let binding = Binding::new(&delta.header_bytes(), b"");
        let result = rewrite(&delta.header, &mut flash, &Limits::LINUX, binding);
        std::fs::remove_file(dir.path().join("scratch")).unwrap();
        (result, std::fs::read(path).unwrap())
    };
    let (result, image) = run(10 << 10, scratch_len);
    assert!(result.is_ok() && image.starts_with(&new));
    for (slot_len, given_len) in [(8 << 10, scratch_len), (9 << 10, 0), (10 << 10, scratch_len - 1)]
    {
        let (result, image) = run(slot_len, given_len);
        let error = result.unwrap_err();
        let kinds = [Category::Storage, Category::Usage];
        assert!(kinds.contains(&error.category()), "{error}");
        // A journal that cannot be read does not tell whether an update has begun.
        assert!(error.old_intact() || given_len < scratch_len, "{error}");
        assert!(old.starts_with(&image[..image.len().min(old.len())]), "old stays");
    }
}
