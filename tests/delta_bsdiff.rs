//! Other people's bsdiff: the crate's patcher as an oracle of coder 3, BSDIFF40 files both ways.

mod delta;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use bzip2::Compression;
use bzip2::read::{BzDecoder, BzEncoder};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{Profile, VecTarget, bsdiff40};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;

use delta::{edited, firmware};

#[test]
fn the_crate_patches_what_coder_3_carries() {
    let mut pairs = firmware();
    let (old, new) = edited(&mut Random::new(21), 3000, 30);
    pairs.push(("edited".to_owned(), old, new));
    for (name, old, new) in pairs {
        let delta = delta::delta(&old, &new, Profile::Bsdiff);
        let stream = zstd::decode_all(&delta.payload[..]).unwrap();
        let mut patched = Vec::new();
        bsdiff::patch(&old, &mut &stream[..], &mut patched).unwrap();
        assert!(patched == new, "{name}");
    }
}

/// The classic patcher as its author describes it, knowing nothing of ours.
fn bspatch(old: &[u8], file: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let word = u64::from_le_bytes(bytes.try_into().unwrap());
        let magnitude = (word & (u64::MAX >> 1)) as i64;
        if word >> 63 == 1 { -magnitude } else { magnitude }
    };
    assert_eq!(&file[..8], b"BSDIFF40");
    let [control_len, diff_len, new_len] = [8, 16, 24].map(|at| number(&file[at..at + 8]) as usize);
    let unpack = |bytes: &[u8]| {
        let mut unpacked = Vec::new();
        BzDecoder::new(bytes).read_to_end(&mut unpacked).unwrap();
        unpacked
    };
    let control = unpack(&file[32..32 + control_len]);
    let diff = unpack(&file[32 + control_len..][..diff_len]);
    let extra = unpack(&file[32 + control_len + diff_len..]);
    let (mut new, mut diff, mut extra) = (Vec::new(), &diff[..], &extra[..]);
    let mut old_pos = 0i64;
    for triple in control.chunks(24) {
        let cover_len = number(&triple[..8]) as usize;
        let old_bytes = &old[old_pos as usize..][..cover_len];
        new.extend(diff[..cover_len].iter().zip(old_bytes).map(|(a, b)| a.wrapping_add(*b)));
        diff = &diff[cover_len..];
        let extra_len = number(&triple[8..16]) as usize;
        new.extend_from_slice(&extra[..extra_len]);
        extra = &extra[extra_len..];
        old_pos += cover_len as i64 + number(&triple[16..]);
    }
    assert_eq!((new.len(), diff.len(), extra.len()), (new_len, 0, 0));
    new
}

fn ours(old: &[u8], file: &[u8]) -> Result<Vec<u8>, Detail> {
    let mut new = VecTarget::default();
    let len = old.len() as u64;
    bsdiff40::apply(&mut &*old, len, file, &mut new, &Limits::LINUX, &Silent)
        .map(|_| new.0)
        .map_err(|error| error.detail())
}

#[test]
fn bsdiff40_files_are_applied_by_an_independent_patcher() {
    for (name, old, new) in firmware() {
        let file = bsdiff40::create(&old, &new, 1, &Silent).unwrap();
        assert!(bspatch(&old, &file) == new, "{name}");
        assert!(file.len() < new.len(), "{name}");
    }
    for (old, new) in [(&b""[..], &b"new"[..]), (b"old", b""), (b"same", b"same")] {
        let file = bsdiff40::create(old, new, 1, &Silent).unwrap();
        assert_eq!(bspatch(old, &file), new);
        assert_eq!(ours(old, &file).as_deref(), Ok(new));
    }
}

#[test]
fn damaged_bsdiff40_files_are_refused_or_harmless() {
    let (old, new) = edited(&mut Random::new(22), 2000, 20);
    let file = bsdiff40::create(&old, &new, 1, &Silent).unwrap();
    let mut random = Random::new(23);
    for _ in 0..500 {
        let mut bad = file.clone();
        let at = random.below(bad.len());
        bad[at] ^= 1 << random.below(8);
        if let Err(detail) = ours(&old, &bad) {
            let number = detail as u16;
            assert!(number / 100 == 1 || number / 100 == 3, "byte {at}: {detail:?}");
        }
    }
    for cut in 0..file.len() {
        assert!(ours(&old, &file[..cut]).is_err(), "cut at {cut}");
    }
}

/// The real tools, where they are installed.
#[test]
fn the_installed_tools_agree() {
    let installed = |tool: &str| Command::new(tool).output().is_ok();
    if !installed("bsdiff") || !installed("bspatch") {
        // Not `eprintln!`, which the harness hides.
        std::io::stderr().write_all(b"SKIPPED: bsdiff and bspatch are not installed\n").unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = |tool: &str, names: [&str; 3]| {
        let paths = names.map(|name| dir.path().join(name));
        assert!(Command::new(tool).args(paths).status().unwrap().success(), "{tool}");
    };
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(Path::join(dir.path(), name), bytes).unwrap();
    };
    for (name, old, new) in firmware() {
        write("old", &old);
        write("new", &new);
        write("ours", &bsdiff40::create(&old, &new, 1, &Silent).unwrap());
        run("bspatch", ["old", "patched", "ours"]);
        assert!(read("patched") == new, "{name}: bspatch on our file");
        run("bsdiff", ["old", "new", "theirs"]);
        assert!(ours(&old, &read("theirs")).unwrap() == new, "{name}: our patch on their file");
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
        ours(&old, &file(&[[20, 4, 0]], 20, 4, 24)),
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
        assert_eq!(ours(&old, &file(control, 20, 4, 24)), Err(Detail::BadCover), "case {number}");
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
        assert!(expected.contains(&ours(&old, &good[..len]).unwrap_err()), "{len}");
    }
    let detail = |file: Vec<u8>| ours(&old, &file).unwrap_err();
    assert_eq!(detail(file(&[[20, 4, 0]], 20, 4, -24)), Detail::ImageTooLarge);
    assert_eq!(detail(file(&[[20, 4, 0]], 20, 4, i64::MAX)), Detail::ImageTooLarge);
    assert_eq!(detail(file(&[[20, 4, 0]], 20, 4, 25)), Detail::BadStream);
    assert_eq!(detail(file(&[[20, 4, 0]], 20, 4, 23)), Detail::BadStream);
    assert_eq!(detail(file(&[[20, 4, 0], [1, 0, 0]], 20, 4, 24)), Detail::BadCover);
    let mut other = good;
    other[0] = b'C';
    assert_eq!(detail(other), Detail::BadMagic);
}

/// A few hundred bytes of bzip2 unpack to gigabytes; what a file claims does not decide how many.
#[test]
fn bsdiff40_bombs_are_bounded() {
    let beyond = file(&[], 0, 0, (1 << 30) + 1);
    assert_eq!(ours(&[], &beyond), Err(Detail::ImageTooLarge));
    let control = pack(&vec![0; (48 << 20) + 24]);
    let mut bomb = b"BSDIFF40".to_vec();
    for number in [control.len() as i64, 0, 1 << 29] {
        bomb.extend_from_slice(&word(number));
    }
    bomb.extend_from_slice(&control);
    assert!(bomb.len() < 2_000, "{}", bomb.len());
    assert_eq!(ours(&[], &bomb), Err(Detail::BadStream));
}
