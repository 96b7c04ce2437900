//! Golden vectors: every file in testdata/vectors gives the outcome its index says, from core and
//! from the command alike. `cargo xtask vectors` makes them anew.

#[path = "vectors/algorithms.rs"]
mod algorithms;
mod common;
mod delta;
#[path = "vectors/forge.rs"]
mod forge;
#[path = "vectors/rotations.rs"]
mod rotations;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{STRING, key, plmn, receive, tiny_pair};
use fwdelta::core::Detail;
use fwdelta::core::format::trust::Trust;
use fwdelta::core::verify::{Device, EfFota, Facts, Installed, Sim, accept_trust};
use fwdelta::package::{ALGORITHMS, PublicKey, trust_file};

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors")
}

const ROTATIONS: &str = "rotations.tsv";
const ROTATIONS_HEADER: &str = "name\texpect";
const INDEX: &str = "index.tsv";
const HEADER: &str = "name\ttrust\told\tsim\tsequence\tfacts\texpect";

/// One line of the index, as read.
struct Line {
    name: String,
    trust: PathBuf,
    old: PathBuf,
    sim: String,
    sequence: Option<u64>,
    facts: Known,
    expect: u16,
}

/// What a device knows of itself, as the index says: `-`, or `KEY=VALUE` with semicolons between.
/// Keys other than the ones named here are components with their versions.
#[derive(Debug, Default)]
struct Known {
    hardware: Option<Vec<i64>>,
    device_id: Option<[u8; 16]>,
    time: Option<u64>,
    battery: Option<u8>,
    free_len: Option<u64>,
    is_authorized: bool,
    installed: Vec<(String, Vec<i64>)>,
}

fn known(text: &str) -> Known {
    let numbers = |text: &str| text.split('.').map(|it| it.parse().unwrap()).collect::<Vec<i64>>();
    let mut known = Known::default();
    for (key, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
        match key {
            "hardware" => known.hardware = Some(numbers(value)),
            "device" => {
                known.device_id = Some(u128::from_str_radix(value, 16).unwrap().to_be_bytes());
            }
            "time" => known.time = Some(value.parse().unwrap()),
            "battery" => known.battery = Some(value.parse().unwrap()),
            "free" => known.free_len = Some(value.parse().unwrap()),
            "authorized" => known.is_authorized = value == "1",
            name => known.installed.push((name.to_owned(), numbers(value))),
        }
    }
    known
}

impl Known {
    fn installed(&self) -> Vec<Installed<'_>> {
        self.installed.iter().map(|(name, version)| Installed { name, version }).collect()
    }

    fn facts<'f>(&'f self, installed: &'f [Installed<'f>]) -> Facts<'f> {
        Facts {
            vendor_id: None,
            class_id: None,
            device_id: self.device_id,
            hardware: self.hardware.as_deref(),
            time: self.time,
            battery: self.battery,
            free_len: self.free_len,
            is_authorized: self.is_authorized,
            installed,
        }
    }

    /// The same as a device file.
    fn toml(&self) -> String {
        let version = |numbers: &[i64]| match numbers {
            [release @ .., -1] => format!("{}-rc", dotted(release)),
            numbers => dotted(numbers),
        };
        let mut lines = Vec::new();
        lines.extend(self.hardware.iter().map(|it| format!("hardware = \"{}\"", version(it))));
        let uuid = |id: &[u8; 16]| format!("device_id = \"{:032x}\"", u128::from_be_bytes(*id));
        lines.extend(self.device_id.as_ref().map(uuid));
        lines.extend(self.time.map(|it| format!("time = {it}")));
        lines.extend(self.battery.map(|it| format!("battery = {it}")));
        lines.extend(self.free_len.map(|it| format!("free_space = {it}")));
        lines.push(format!("authorized = {}\n[installed]", self.is_authorized));
        let installed = self.installed.iter();
        lines.extend(installed.map(|(name, it)| format!("{name} = \"{}\"", version(it))));
        lines.join("\n")
    }
}

fn dotted(numbers: &[i64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

fn index() -> Vec<Line> {
    static MADE: std::sync::Once = std::sync::Once::new();
    if std::env::var_os("FWDELTA_REGENERATE").is_some() {
        MADE.call_once(regenerate);
    }
    let text = std::fs::read_to_string(dir().join(INDEX)).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let read = |line: &str| {
        let fields: Vec<_> = line.split('\t').collect();
        let [name, trust, old, sim, sequence, facts, expect] = fields.as_slice() else {
            panic!("seven fields: {line}")
        };
        Line {
            name: (*name).to_owned(),
            trust: dir().join(trust),
            old: dir().join(old),
            sim: (*sim).to_owned(),
            sequence: sequence.parse().ok(),
            facts: known(facts),
            expect: expect.parse().unwrap(),
        }
    };
    lines.map(read).collect()
}

#[test]
fn core_gives_the_expected_detail() {
    let (_, new) = tiny_pair();
    let lines = index();
    assert!(lines.len() > 100, "{}", lines.len());
    let mut wrong = Vec::new();
    for line in &lines {
        let package = std::fs::read(dir().join(format!("{}.suit", line.name))).unwrap();
        let (old, anchor) =
            (std::fs::read(&line.old).unwrap(), std::fs::read(&line.trust).unwrap());
        let installed = line.facts.installed();
        let facts = line.facts.facts(&installed);
        let device = Device { sim: sim(&line.sim), sequence: line.sequence, facts };
        let outcome = receive(&mut package.as_slice(), package.len(), &old, &anchor, device);
        let detail = outcome.as_ref().map_or_else(|detail| *detail as u16, |_| 0);
        if detail != line.expect {
            wrong.push(format!("{}: {detail}, expected {}", line.name, line.expect));
        }
        if let Ok(image) = outcome {
            assert_eq!(image, new, "{}", line.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn sim(text: &str) -> Sim {
    match text.split_once(':') {
        Some((operator, file)) => {
            let bytes = std::fs::read(dir().join(file)).unwrap();
            Sim::WithFota { plmn: plmn(operator), ef_fota: EfFota::parse(&bytes).unwrap() }
        }
        None if text == "no-fota" => Sim::WithoutFota,
        None => Sim::Absent,
    }
}

#[test]
fn the_command_gives_the_same_number_and_leaves_nothing_behind() {
    let elsewhere = tempfile::tempdir().unwrap();
    for line in index() {
        let work = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwdelta"));
        command.args(["apply", "--json"]).arg(dir().join(format!("{}.suit", line.name)));
        command.arg("--trust").arg(&line.trust).arg("--old").arg(&line.old);
        command.arg("-o").arg(work.path().join("new"));
        let profile = elsewhere.path().join("device.toml");
        std::fs::write(&profile, line.facts.toml()).unwrap();
        command.arg("--device").arg(&profile);
        match line.sim.split_once(':') {
            Some((operator, file)) => {
                command.args(["--plmn", operator, "--ef-fota"]).arg(dir().join(file));
            }
            None => {
                command.args(["--sim", &line.sim]);
            }
        }
        let state = work.path().join("state");
        if let Some(sequence) = line.sequence {
            std::fs::write(&state, format!("{{\"sequence\":{sequence}}}")).unwrap();
            command.arg("--state").arg(&state);
        }
        let output = command.output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = if line.expect == 0 { 0 } else { 10 + i32::from(line.expect / 100) };
        assert_eq!(output.status.code(), Some(expected), "{}: {report}", line.name);
        let left: Vec<_> = std::fs::read_dir(work.path()).unwrap().collect();
        if line.expect == 0 {
            assert_eq!(report["ok"], true);
            assert_eq!(left.len(), 2, "{}", line.name);
        } else {
            assert_eq!(report["error"]["detail"], line.expect, "{}", line.name);
            assert_eq!(report["error"]["old_intact"], true);
            assert_eq!(left.len(), 1, "{}: something was left behind", line.name);
        }
    }
}

/// Name, file and expectation of every anchor that is to replace `rotation-current.cbor`.
fn rotations() -> Vec<(String, PathBuf, u16)> {
    index();
    let text = std::fs::read_to_string(dir().join(ROTATIONS)).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(ROTATIONS_HEADER));
    let read = |line: &str| {
        let (name, expect) = line.split_once('\t').unwrap();
        let file = dir().join(format!("rotation-{name}.cbor"));
        (name.to_owned(), file, expect.parse().unwrap())
    };
    lines.map(read).collect()
}

#[test]
fn anchors_follow_each_other_as_expected() {
    let bytes = std::fs::read(dir().join("rotation-current.cbor")).unwrap();
    let trust = Trust::parse(&bytes).unwrap();
    for (name, file, expect) in rotations() {
        let signed = std::fs::read(&file).unwrap();
        let accepted = accept_trust(&trust, &signed, &ALGORITHMS);
        let detail = accepted.map_or_else(|error| error.detail as u16, |_| 0);
        assert_eq!(detail, expect, "{name}");
    }
}

#[test]
fn the_command_accepts_anchors_as_expected() {
    let current = dir().join("rotation-current.cbor");
    let work = tempfile::tempdir().unwrap();
    let output = work.path().join("anchor");
    for (name, file, expect) in rotations() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwdelta"));
        command.args(["trust", "accept", "--json"]).arg(&file).arg("--current").arg(&current);
        let done = command.arg("-o").arg(&output).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        if expect == 0 {
            assert_eq!(report["ok"], true, "{name}");
            let anchor = std::fs::read(&output).unwrap();
            assert_eq!(Some(Trust::parse(&anchor).unwrap().version), report["version"].as_u64());
            std::fs::remove_file(&output).unwrap();
        } else {
            // The command says of what is no signed anchor how to make one.
            let shape = name == "bare" && report["error"]["detail"] == 901;
            assert!(shape || report["error"]["detail"] == expect, "{name}: {report}");
            assert!(!output.exists(), "{name}");
        }
    }
}

#[test]
fn every_reachable_rule_has_a_vector() {
    // What no package can show: driver failures, misuse, cancelling, and rules of other inputs.
    let elsewhere = [
        Detail::BadMagic,
        Detail::UnknownSection,
        Detail::TooManyKeys,
        Detail::ChunkTooLarge,
        Detail::ReadFailed,
        Detail::WriteFailed,
        Detail::StateFailed,
        Detail::BadArgument,
        Detail::WrongState,
        Detail::MissingOld,
        Detail::Cancelled,
        Detail::Bug,
        // Encrypted packages have vectors of their own (tests/encryption.rs).
        Detail::NotRecipient,
        Detail::NotDecrypted,
    ];
    let shown: Vec<_> = index().iter().map(|line| line.expect).collect();
    for detail in Detail::ALL {
        let there = shown.contains(&(*detail as u16));
        assert_eq!(there, !elsewhere.contains(detail), "{detail:?}");
    }
}

/// Writes every vector and what they need.
fn regenerate() {
    let dir = dir();
    std::fs::create_dir_all(&dir).unwrap();
    // Folders in it are of other tests.
    let files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).for_each(|path| std::fs::remove_file(path).unwrap());
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
    let (old, new) = tiny_pair();
    let mut other = old.clone();
    other[0] ^= 1;
    write("old.bin", &old);
    write("new.bin", &new);
    write("other.bin", &other);
    write("shorter.bin", &old[1..]);
    write("first64.bin", &old[..64]);
    write("ef-fota.bin", &[&[1][..], &STRING].concat());
    write("ef-fota-blank.bin", &[&[1][..], &[0xff; 16]].concat());
    write("ef-fota-forbids.bin", &[&[0][..], &STRING].concat());
    for (name, text) in anchors().into_iter().chain(algorithms::anchors()) {
        let mut load = |name: &str| -> fwdelta::Result<PublicKey> { Ok(key(name).public()) };
        write(name, &trust_file::compile(&text, name, &mut load).unwrap());
    }
    let mut lines = vec![HEADER.to_owned()];
    for vector in forge::all().into_iter().chain(algorithms::all()) {
        write(&format!("{}.suit", vector.name), &vector.package);
        let expect = vector.expect.map_or(0, |detail| detail as u16);
        let forge::Vector { name, trust, old, sim, sequence, facts, .. } = vector;
        lines.push(format!("{name}\t{trust}\t{old}\t{sim}\t{sequence}\t{facts}\t{expect}"));
    }
    write("rotation-current.cbor", &rotations::current());
    let mut rows = vec![ROTATIONS_HEADER.to_owned()];
    for (name, expect, anchor) in rotations::all() {
        write(&format!("rotation-{name}.cbor"), &anchor);
        rows.push(format!("{name}\t{}", expect.map_or(0, |detail| detail as u16)));
    }
    write(ROTATIONS, (rows.join("\n") + "\n").as_bytes());
    write(INDEX, (lines.join("\n") + "\n").as_bytes());
}

fn anchors() -> [(&'static str, String); 8] {
    let text = |vendor: &str, modes: &str, device: &str| {
        format!(
            "version = 1\n[vendor]\n{vendor}\n[[operator]]\nplmn = \"26201\"\n\
             keys = [\"26201\"]\n{modes}\n[[operator]]\nplmn = \"310410\"\nkeys = [\"310410\"]\n\
             [device]\n{device}\n"
        )
    };
    let vendor = "keys = [\"vendor\"]";
    let modes = "modes = [\"string\", \"secret\", \"signed\"]\nstrings_differ = true";
    let ours = "vendor_domain = \"example.invalid\"\nclass = \"device\"";
    [
        ("trust.cbor", text(vendor, modes, ours)),
        ("trust-lax.cbor", text(vendor, modes, &format!("{ours}\nunapproved = \"apply\""))),
        ("trust-no-sim.cbor", text(vendor, modes, &format!("{ours}\nno_sim = \"refuse\""))),
        ("trust-none.cbor", text(vendor, "modes = [\"signed\", \"none\"]", ours)),
        ("trust-strict.cbor", text(vendor, "string = \"required\"", ours)),
        ("trust-other-vendor.cbor", text(vendor, modes, "vendor_domain = \"example.com\"")),
        ("trust-other-class.cbor", text(vendor, modes, &ours.replace("device", "other"))),
        (
            "trust-threshold.cbor",
            text("threshold = 2\nkeys = [\"vendor\", \"vendor 2\"]", modes, ours),
        ),
    ]
}
