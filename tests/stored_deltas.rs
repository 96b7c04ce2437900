//! Deltas in testdata/deltas, one per instruction set and profile, are the format: what is made
//! today applies in years, and what is made in years equals what is stored today.
//! `cargo xtask vectors` makes them anew, which is only right when the format changes.

#[path = "stored_deltas/damaged.rs"]
mod damaged;
mod program;

use std::path::{Path, PathBuf};
use std::sync::Once;

use fwdelta::core::Limits;
use fwdelta::core::hash::sha256;
use fwdelta::diff::{self, Delta, FirstPages, Options, Place, Profile, Room, create};
use fwdelta::exec::describe::Hints;
use fwdelta::progress::Silent;

use program::{machine, pair};

const INDEX: &str = "index.tsv";
const HEADER: &str = "name\told\tnew\tdelta_len";

/// By the name in the file's name.
const PROFILES: [(&str, Profile); 5] = [
    ("tiny", Profile::Tiny),
    ("small", Profile::Small),
    ("fast", Profile::Fast),
    ("max", Profile::Max),
    ("plain", Profile::Plain),
];

/// The flash of those that are applied in place.
const PLACE: Place = Place {
    page_len: 512,
    first: FirstPages::NONE,
    spare_count: 3,
    write_len: 8,
    erased: 0xff,
    order: None,
    interval: Some(2),
    room: Some(Room::NONE),
};

/// One delta that is stored.
#[derive(Clone)]
struct Case {
    name: String,
    options: Options,
    old: Vec<u8>,
    new: Vec<u8>,
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/deltas")
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for machine in machine::all() {
        let (old, new) = pair(&machine);
        for (profile_name, profile) in PROFILES {
            let name = format!("{}-{profile_name}", machine.name);
            let hints = Hints { content: Some(machine.content), base: Some(machine.base) };
            let options =
                Options { profile, hints, threads: 1, is_streamed: true, ..Options::default() };
            // The other instruction sets differ in what is predicted, not in how it is applied.
            if machine.name == "thumb" && matches!(profile_name, "tiny" | "small" | "plain") {
                let options = Options { in_place: Some(PLACE), ..options };
                let name = format!("{}-in-place-{profile_name}", machine.name);
                cases.push(Case { name, options, old: old.clone(), new: new.clone() });
            }
            cases.push(Case { name, options, old: old.clone(), new: new.clone() });
        }
    }
    cases
}

fn made(case: &Case) -> Delta {
    create(&case.old, &case.new, &case.options, &Silent).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(case: &Case, file: &[u8]) -> String {
    format!("{}\t{}\t{}\t{}", case.name, digest(&case.old), digest(&case.new), file.len())
}

fn file(case: &Case) -> Vec<u8> {
    static MADE: Once = Once::new();
    if std::env::var_os("FWDELTA_REGENERATE").is_some() {
        MADE.call_once(regenerate);
    }
    read(case)
}

fn read(case: &Case) -> Vec<u8> {
    std::fs::read(dir().join(format!("{}.fwd", case.name))).unwrap()
}

fn regenerate() {
    let _ = std::fs::remove_dir_all(dir());
    std::fs::create_dir_all(dir()).unwrap();
    let mut lines = vec![HEADER.to_owned()];
    for case in cases() {
        let bytes = made(&case).to_file();
        std::fs::write(dir().join(format!("{}.fwd", case.name)), &bytes).unwrap();
        lines.push(line(&case, &bytes));
    }
    std::fs::write(dir().join(INDEX), lines.join("\n") + "\n").unwrap();
    damaged::regenerate();
}

#[test]
fn stored_deltas_apply() {
    let (mut found, mut files) =
        (vec![HEADER.to_owned()], vec![INDEX.to_owned(), damaged::INDEX.to_owned()]);
    for case in cases() {
        let file = file(&case);
        let (header, payload) = diff::parse_file(&file).unwrap();
        let new = match header.in_place {
            Some(_) => damaged::rewritten(&case.old, &header, payload).unwrap(),
            None => diff::apply(&case.old, &header, payload, &Limits::LINUX, &Silent).unwrap(),
        };
        assert_eq!(digest(&new), digest(&case.new), "{}", case.name);
        found.push(line(&case, &file));
        files.push(format!("{}.fwd", case.name));
    }
    let index = std::fs::read_to_string(dir().join(INDEX)).unwrap();
    assert_eq!(index.lines().collect::<Vec<_>>(), found);
    let entries = std::fs::read_dir(dir()).unwrap();
    let mut there: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    there.sort();
    assert_eq!(there, files, "nothing else is stored");
}

#[test]
fn the_command_applies_stored_deltas() {
    for case in cases() {
        assert_eq!(damaged::by_command(&case, &file(&case), &case.old), 0, "{}", case.name);
    }
}

#[test]
fn the_same_deltas_are_made_today() {
    for case in cases() {
        let stored = file(&case);
        assert!(made(&case).to_file() == stored, "{} differs", case.name);
    }
}

/// Otherwise the deltas above would not guard what is special about an instruction set.
#[test]
fn references_of_every_instruction_set_are_predicted() {
    let len = |machine: &str, profile: &str| {
        let cases = cases();
        let name = format!("{machine}-{profile}");
        file(cases.iter().find(|case| case.name == name).unwrap()).len()
    };
    for machine in machine::all() {
        let [small, plain] = ["small", "plain"].map(|profile| len(machine.name, profile));
        println!("{}: small {small}, plain {plain} bytes", machine.name);
        assert!(small < plain * 7 / 8, "{}: {small}, plain {plain}", machine.name);
    }
}
