//! Stored deltas, each damaged in many ways: library, command and C interface (capi/tests/deltas.c)
//! refuse each with the same number.

use std::fs;
use std::process::Command;

use fwdelta::core::apply::in_place::{Areas, Binding, Flash};
use fwdelta::core::apply::{Applier, verify_old};
use fwdelta::core::format::delta::DeltaHeader;
use fwdelta::core::storage::Geometry;
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{self, RamFlash, rewrite};
use fwdelta::error::Result;
use fwdelta::progress::Silent;

use super::{Case, cases, dir, file, read};

pub(crate) const INDEX: &str = "damaged.tsv";
const HEADER: &str = "name\tchange\tat\texpect";

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// A bit of the byte here is flipped.
    Flip(usize),
    /// Only so many bytes are left.
    Cut(usize),
    /// So many zeros are added.
    Grow(usize),
    /// The file is whole; a bit of the byte here of the old image is flipped.
    Old(usize),
}

impl Change {
    fn columns(self) -> (&'static str, usize) {
        match self {
            Self::Flip(at) => ("flip", at),
            Self::Cut(at) => ("cut", at),
            Self::Grow(at) => ("grow", at),
            Self::Old(at) => ("old", at),
        }
    }

    fn parse(name: &str, at: &str) -> Self {
        let at = at.parse().unwrap();
        match name {
            "flip" => Self::Flip(at),
            "cut" => Self::Cut(at),
            "grow" => Self::Grow(at),
            "old" => Self::Old(at),
            _ => panic!("{name} is no change"),
        }
    }

    /// The changed file and old image.
    fn of(self, case: &Case) -> (Vec<u8>, Vec<u8>) {
        let (mut file, mut old) = (read(case), case.old.clone());
        match self {
            Self::Flip(at) => file[at] ^= 0x10,
            Self::Cut(len) => file.truncate(len),
            Self::Grow(by) => file.resize(file.len() + by, 0),
            Self::Old(at) => old[at] ^= 0x10,
        }
        (file, old)
    }
}

/// Flash of the longest image, without sectors: geometry has tests of its own.
fn flash(image: &[u8], len: u64) -> RamFlash {
    RamFlash::new(image, Geometry { len, sector_len: 1, write_len: 1, erased: 0xff })
}

/// New, made in place of old.
pub(crate) fn rewritten(old: &[u8], header: &DeltaHeader, payload: &[u8]) -> Result<Vec<u8>> {
    let mut work = vec![0; Applier::workspace(header)? as usize];
    let scratch_len = Areas::of(header, 1, &mut work)?.scratch_len();
    let (mut slot, mut scratch) = (flash(old, 1 << 16), flash(&[], scratch_len));
    let mut media = Flash { slot: &mut slot, scratch: &mut scratch, payload: &mut { payload } };
    rewrite(header, &mut media, &Limits::LINUX, Binding::new(b"", b""))?;
    Ok(slot.bytes()[..header.new.len as usize].to_vec())
}

/// What the library says: 0 if it makes new.
fn by_library(case: &Case, file: &[u8], old: &[u8]) -> u16 {
    let apply = || {
        let (header, payload) = diff::parse_file(file)?;
        header.check(&Limits::LINUX)?;
        if header.old.is_some_and(|id| id.len != old.len() as u64) {
            return Err(Detail::OldSize.into());
        }
        verify_old(&header, &mut { old }, &mut [0; 4096])?;
        match header.in_place {
            Some(_) => rewritten(old, &header, payload),
            None => diff::apply(old, &header, payload, &Limits::LINUX, &Silent),
        }
    };
    match apply() {
        Ok(new) => {
            assert!(new == case.new, "{}: another image is accepted", case.name);
            0
        }
        Err(error) => error.detail() as u16,
    }
}

/// What the command says: 0 if it makes new.
pub(crate) fn by_command(case: &Case, file: &[u8], old: &[u8]) -> u16 {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("delta"), file).unwrap();
    fs::write(path("old"), old).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fwdelta"));
    command.args(["patch", "--json"]).arg(path("old")).arg(path("delta"));
    match case.options.in_place {
        Some(_) => command.arg("--in-place").arg("--journal").arg(path("journal")),
        None => command.arg(path("new")),
    };
    let output = command.output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    if output.status.success() {
        let made = if case.options.in_place.is_some() { "old" } else { "new" };
        assert!(fs::read(path(made)).unwrap() == case.new, "{}: another image", case.name);
        return 0;
    }
    let detail = u16::try_from(report["error"]["detail"].as_u64().unwrap()).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(detail / 100) + 10), "{report}");
    detail
}

/// Whether a device with flash for the stored delta gets as far as with any flash.
fn is_comparable(case: &Case, file: &[u8]) -> bool {
    let stored = read(case);
    let (stored, _) = diff::parse_file(&stored).unwrap();
    diff::parse_file(file).ok().is_none_or(|(header, _)| {
        header.new.len == stored.new.len && header.in_place == stored.in_place
    })
}

/// Those of one instruction set, which need no decompressor.
fn damaged() -> Vec<Case> {
    let mut cases = cases();
    cases.retain(|case| case.name.starts_with("thumb") && !case.name.ends_with("fast"));
    cases
}

fn changes(case: &Case) -> Vec<Change> {
    let len = read(case).len();
    let mut changes = vec![Change::Grow(0), Change::Grow(1), Change::Old(0)];
    changes.extend([0, 3, 5, 40, len / 2, len - 1].map(Change::Cut));
    changes.push(Change::Old(case.old.len() - 1));
    changes.extend((0..130).step_by(3).map(Change::Flip));
    changes.extend((130..len).step_by(29).map(Change::Flip));
    changes.retain(|change| is_comparable(case, &change.of(case).0));
    changes
}

pub(crate) fn regenerate() {
    let mut lines = vec![HEADER.to_owned()];
    for case in damaged() {
        for change in changes(&case) {
            let (file, old) = change.of(&case);
            let (name, at) = change.columns();
            let expect = by_library(&case, &file, &old);
            lines.push(format!("{}\t{name}\t{at}\t{expect}", case.name));
        }
    }
    fs::write(dir().join(INDEX), lines.join("\n") + "\n").unwrap();
}

/// Each damaged file and old image, with the number they are refused with.
fn stored() -> Vec<(Case, Vec<u8>, Vec<u8>, u16)> {
    let cases = damaged();
    // What is stored may be made anew just now.
    file(&cases[0]);
    let index = fs::read_to_string(dir().join(INDEX)).unwrap();
    let mut lines = index.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let stored = lines.map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, change, at, expect] = columns[..] else { panic!("{line}") };
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let (file, old) = Change::parse(change, at).of(case);
        (case.clone(), file, old, expect.parse().unwrap())
    });
    stored.collect()
}

#[test]
fn the_library_refuses_with_the_stored_number() {
    let mut numbers = std::collections::BTreeSet::new();
    for (line, (case, file, old, expect)) in (2..).zip(stored()) {
        assert_eq!(by_library(&case, &file, &old), expect, "line {line} of {INDEX}");
        numbers.insert(expect);
    }
    println!("{numbers:?}");
    assert!(numbers.len() > 12, "{numbers:?}");
}

/// Not of every line by default: a process takes its time.
#[test]
fn the_command_refuses_with_the_stored_number() {
    let step = if std::env::var_os("FWDELTA_EXHAUSTIVE").is_some() { 1 } else { 5 };
    for (line, (case, file, old, expect)) in (2..).zip(stored()).step_by(step) {
        assert_eq!(by_command(&case, &file, &old), expect, "line {line} of {INDEX}");
    }
}
