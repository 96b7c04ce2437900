//! Other people's bsdiff and bspatch, and the `bsdiff` crate, agree with ours.

#[path = "common/delta.rs"]
mod common;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use bzip2::Compression;
use bzip2::read::BzEncoder;
use common::{create, firmware, record, short_pair};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{Profile, VecTarget, bsdiff40};
use fwdelta::progress::Silent;

/// Whether a program can be started; if not, says so past the test's captured output.
fn there_is(program: &str) -> bool {
    let found = Command::new(program).output().is_ok();
    if !found {
        let note = format!("SKIPPED: {program} is not installed, no comparison with it\n");
        std::io::stderr().write_all(note.as_bytes()).unwrap();
    }
    found
}

fn run(program: &str, dir: &Path, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn patched(old: &[u8], file: &[u8]) -> Result<Vec<u8>, Detail> {
    let mut new = VecTarget::default();
    let (len, limits) = (old.len() as u64, Limits::LINUX);
    bsdiff40::apply(&mut { old }, len, file, &mut new, &limits, &Silent)
        .map_err(|error| error.detail())?;
    Ok(new.0)
}

#[test]
fn debian_bspatch_applies_what_we_write() {
    let there = there_is("bspatch");
    for pair in firmware() {
        let file = bsdiff40::create(&pair.old, &pair.new, 1, &Silent).unwrap();
        assert!(patched(&pair.old, &file).unwrap() == pair.new, "{}: our own", pair.name);
        if there {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("old"), &pair.old).unwrap();
            std::fs::write(dir.path().join("patch"), &file).unwrap();
            run("bspatch", dir.path(), &["old", "new", "patch"]);
            let new = std::fs::read(dir.path().join("new")).unwrap();
            assert!(new == pair.new, "{}: bspatch's", pair.name);
        }
    }
}

#[test]
fn we_apply_what_debian_bsdiff_writes() {
    if !there_is("bsdiff") {
        return;
    }
    for pair in firmware() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("old"), &pair.old).unwrap();
        std::fs::write(dir.path().join("new"), &pair.new).unwrap();
        run("bsdiff", dir.path(), &["old", "new", "patch"]);
        let file = std::fs::read(dir.path().join("patch")).unwrap();
        assert!(patched(&pair.old, &file).unwrap() == pair.new, "{}", pair.name);
        let output = Command::new(env!("CARGO_BIN_EXE_fwdelta"))
            .args(["patch", "old", "patch", "ours"])
            .current_dir(dir.path())
            .output();
        assert!(output.unwrap().status.success());
        assert!(std::fs::read(dir.path().join("ours")).unwrap() == pair.new, "{}", pair.name);
    }
}

#[test]
fn the_bsdiff_crate_makes_the_same_of_coder_3() {
    for pair in firmware() {
        let delta = create(&pair.old, &pair.new, Profile::Bsdiff);
        let content = zstd::decode_all(&delta.payload[..]).unwrap();
        let mut new = Vec::new();
        bsdiff::patch(&pair.old, &mut &content[..], &mut new).unwrap();
        let (ours, verdict) = record(&pair.old, &delta, &Limits::LINUX);
        assert_eq!(verdict, Ok(()));
        assert!(ours.bytes == new && new == pair.new, "{}", pair.name);
    }
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    BzEncoder::new(bytes, Compression::fast()).read_to_end(&mut packed).unwrap();
    packed
}

fn word(n: i64) -> [u8; 8] {
    (n.unsigned_abs() | u64::from(n < 0) << 63).to_le_bytes()
}

fn file(control: &[[i64; 3]], difference_len: usize, extra_len: usize, new_len: i64) -> Vec<u8> {
    let control: Vec<u8> = control.iter().flatten().flat_map(|n| word(*n)).collect();
    let [control, differences, extra] =
        [control, vec![0; difference_len], vec![9; extra_len]].map(|stream| pack(&stream));
    let lens = [control.len() as i64, differences.len() as i64, new_len].map(word).concat();
    [b"BSDIFF40".to_vec(), lens, control, differences, extra].concat()
}

/// bspatch wrote before and behind its buffers for these (CVE-2014-9862, CVE-2020-14315).
#[test]
fn bsdiff40_with_negative_or_overflowing_lengths_is_a_bad_cover() {
    let old = [5; 50];
    assert_eq!(
        patched(&old, &file(&[[20, 4, 0]], 20, 4, 24)),
        Ok([[5; 20].to_vec(), vec![9; 4]].concat())
    );
    let cases: [&[[i64; 3]]; 9] = [
        &[[-1, 25, 0]],
        &[[25, -1, 0]],
        &[[i64::MIN + 1, 0, 0]],
        &[[i64::MAX, 0, 0]],
        &[[0, i64::MAX, 0]],
        &[[10, 0, 0], [i64::MAX - 5, 14, 0]],
        &[[10, 0, -11], [10, 4, 0]],
        &[[10, 0, 31], [10, 4, 0]],
        &[[0, 0, i64::MAX], [20, 4, 0]],
    ];
    for (number, control) in cases.iter().enumerate() {
        assert_eq!(
            patched(&old, &file(control, 20, 4, 24)),
            Err(Detail::BadCover),
            "case {number}"
        );
    }
}

#[test]
fn bsdiff40_that_is_broken_is_refused() {
    let old = [5; 50];
    let good = file(&[[20, 4, 0]], 20, 4, 24);
    for len in 0..good.len() {
        let expected = match len {
            0..32 => [Detail::Truncated, Detail::Truncated],
            _ => [Detail::Truncated, Detail::BadStream],
        };
        assert!(expected.contains(&patched(&old, &good[..len]).unwrap_err()), "{len}");
    }
    let detail = |file: Vec<u8>| patched(&old, &file).unwrap_err();
    assert_eq!(detail(file(&[[20, 4, 0]], 20, 4, -24)), Detail::ImageTooLarge);
    assert_eq!(detail(file(&[[20, 4, 0]], 20, 4, i64::MAX)), Detail::ImageTooLarge);
    assert_eq!(detail(file(&[[20, 4, 0]], 20, 4, 25)), Detail::BadStream);
    assert_eq!(detail(file(&[[20, 4, 0]], 20, 4, 23)), Detail::BadStream);
    assert_eq!(detail(file(&[[20, 4, 0], [1, 0, 0]], 20, 4, 24)), Detail::BadCover);
    let mut other = good;
    other[0] = b'C';
    assert_eq!(detail(other), Detail::BadMagic);
    let pair = short_pair();
    assert!(!bsdiff40::is_bsdiff40(&create(&pair.old, &pair.new, Profile::Small).payload));
}
