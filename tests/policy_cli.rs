//! The command where policy meets files: the gate, records for non-volatile memory, device files,
//! hex files as old images, modes of new files, prompts that nobody signed.

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{STRING, anchor, approved, key, package, plmn, tiny_pair};
use fwdelta::core::Detail;
use fwdelta::core::verify::handoff::{Outcome, parse_result};
use fwdelta::diff::Profile;
use fwdelta::package::assemble::Parts;
use fwdelta::package::{Approval, Method, approve};
use fwdelta::release::Prompts;
use serde_json::Value;

struct Bench(tempfile::TempDir);

impl Bench {
    /// A folder with an approved package, its images, an anchor and SIMs.
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let (old, new) = tiny_pair();
        let package = approved(&package(Some(&old), &new, Profile::Plain, &|_| ()));
        bench.write("p.suit", &package);
        bench.write("old.bin", &old);
        bench.write("new.bin", &new);
        bench.write("trust.cbor", &anchor(""));
        bench.write("sim.bin", &[&[1][..], &STRING].concat());
        bench.write("forbids.bin", &[&[0xfe][..], &STRING].concat());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn run(&self, args: &str) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwdelta"));
        command.current_dir(self.0.path()).args(args.split_whitespace()).arg("--json");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args}: {text}"))
    }

    fn detail(&self, args: &str) -> u64 {
        self.run(args)["error"]["detail"].as_u64().unwrap_or(0)
    }
}

const APPLY: &str = "apply p.suit --trust trust.cbor --old old.bin";

#[test]
fn the_gate_and_what_it_hands_over() {
    let bench = Bench::new();
    let gate = "gate --trust trust.cbor --plmn 26201 --write-handoff nvm.bin";
    let open = bench.run(&format!("{gate} --ef-fota sim.bin"));
    assert_eq!(
        (open["may_download"].as_bool(), open["plmn"].as_str()),
        (Some(true), Some("26201"))
    );
    let handed = bench.run("verify p.suit --trust trust.cbor --handoff nvm.bin");
    assert_eq!(handed["decision"], "approved");
    assert_eq!(handed["approved_by"], "26201");
    // What the gate refuses is handed over all the same, and refused with the package too.
    let refused = bench.detail(&format!("{gate} --ef-fota forbids.bin"));
    assert_eq!(refused, Detail::FotaNotAllowed as u64);
    let refused = bench.detail("verify p.suit --trust trust.cbor --handoff nvm.bin");
    assert_eq!(refused, Detail::FotaNotAllowed as u64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(bench.path("nvm.bin")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the record holds the SIM's string");
    }
    bench.write("nvm.bin", &[0xff; 40]);
    let erased = bench.detail("verify p.suit --trust trust.cbor --handoff nvm.bin");
    assert_eq!(erased, Detail::BadMagic as u64);
    // The file as tools for SIMs print it.
    let digits: String = bench.read("sim.bin").iter().map(|byte| format!("{byte:02X} ")).collect();
    bench.write("sim.txt", format!("{digits}\n").as_bytes());
    let read = bench.run("verify p.suit --trust trust.cbor --plmn 26201 --ef-fota sim.txt");
    assert_eq!(read["decision"], "approved");
    bench.write("short.bin", &[1; 16]);
    let short = bench.run("gate --trust trust.cbor --plmn 26201 --ef-fota short.bin");
    assert_eq!(short["ok"], false);
}

#[test]
fn the_outcome_is_recorded_whatever_it_is() {
    let bench = Bench::new();
    let digest = Parts::read(&bench.read("p.suit")).unwrap().digest;
    let sim = "--plmn 26201 --ef-fota";
    for (sim_file, detail) in [("forbids.bin", Some(Detail::FotaNotAllowed)), ("sim.bin", None)] {
        let said =
            bench.detail(&format!("{APPLY} {sim} {sim_file} -o out.bin --write-result result.bin"));
        assert_eq!(said, detail.map_or(0, |detail| detail as u64));
        let outcome = parse_result(&bench.read("result.bin")).unwrap();
        assert_eq!(outcome, Outcome { detail, sequence: 7, manifest: digest });
        assert_eq!(bench.path("out.bin").exists(), detail.is_none());
    }
    // A package that claims to be another one is named as what it is.
    let honest = bench.read("p.suit");
    let mut lying = Parts::read(&honest).unwrap();
    lying.digest = [9; 32];
    bench.write("p.suit", &lying.write());
    let said = bench.detail(&format!("{APPLY} -o out.bin --write-result result.bin"));
    assert_eq!(said, Detail::DigestMismatch as u64);
    assert_eq!(parse_result(&bench.read("result.bin")).unwrap().manifest, digest);
    bench.write("p.suit", b"no package");
    bench.run(&format!("{APPLY} -o out.bin --write-result result.bin"));
    let outcome = parse_result(&bench.read("result.bin")).unwrap();
    assert_eq!((outcome.sequence, outcome.manifest), (0, [0; 32]));
    assert!(outcome.detail.is_some());
}

/// An update that was begun may be finished after the counter has moved on.
#[test]
fn a_confirmed_update_never_takes_the_counter_back() {
    let bench = Bench::new();
    let pending = "{\"sequence\": 9, \"pending\": {\"sequence\": 7, \"manifest\": \"MANIFEST\"}}";
    bench.write("state.json", pending.replace("MANIFEST", &"ab".repeat(32)).as_bytes());
    assert_eq!(bench.run("confirm --state state.json")["sequence"], 7);
    let stored: Value = serde_json::from_slice(&bench.read("state.json")).unwrap();
    assert_eq!(stored, serde_json::json!({ "sequence": 9 }));
    let old = "--trust trust.cbor --state state.json";
    let again = bench.detail(&format!("verify p.suit {old} --sim none"));
    assert_eq!(again, Detail::Rollback as u64);
}

/// A string in clear in one package is the key of mode secret for every other one.
#[test]
fn an_anchor_that_gives_a_key_away_is_refused() {
    let bench = Bench::new();
    bench.run("keygen --out k");
    let compiled = |rules: &str| {
        let text = format!(
            "version = 1\n[vendor]\nkeys = [\"k.pub\"]\n[[operator]]\nplmn = \"26201\"\n\
             keys = [\"o.pub\"]\n{rules}\n"
        );
        bench.write("t.toml", text.as_bytes());
        bench.run("trust compile t.toml -o t.cbor")
    };
    let warnings = |said: &serde_json::Value| said["warnings"].as_array().map(Vec::len);
    bench.run("keygen --out o");
    for rules in [
        "modes = [\"secret\", \"string\"]",
        "modes = [\"secret\", \"signed\"]\nstring = \"required\"",
    ] {
        let said = compiled(rules);
        let message = said["error"]["message"].as_str().unwrap();
        assert!(message.contains("operator 26201: mode secret beside strings"), "{message}");
        // Who knows better says so, and whoever looks at the anchor is told.
        let said = compiled(&format!("{rules}\nstrings_differ = true"));
        assert_eq!(warnings(&said), Some(1), "{said}");
        assert_eq!(warnings(&bench.run("trust show t.cbor")), Some(1));
    }
    for rules in [
        "modes = [\"secret\", \"signed\"]",
        "modes = [\"secret\"]",
        "modes = [\"string\", \"signed\"]\nstring = \"required\"",
    ] {
        assert_eq!(warnings(&compiled(rules)), Some(0), "{rules}");
    }
}

/// A pipe in the place of a package would be waited for without end.
#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_not_opened() {
    let bench = Bench::new();
    let said = bench.run("verify /dev/zero --trust trust.cbor");
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("/dev/zero") && message.contains("not a plain file"), "{message}");
    let said = bench.run("verify p.suit --trust trust.cbor --old /dev/zero");
    assert!(said["error"]["message"].as_str().unwrap().contains("not a plain file"), "{said}");
}

#[test]
fn a_device_file_says_the_sim_and_what_is_checked() {
    let bench = Bench::new();
    let apply = format!("{APPLY} -o out.bin --device device.toml");
    bench.write("device.toml", b"[sim]\nef_fota = \"forbids.bin\"\nplmn = \"26201\"\n");
    assert_eq!(bench.detail(&apply), Detail::FotaNotAllowed as u64);
    // What the command line says goes before the file.
    assert_eq!(bench.detail(&format!("{apply} --sim no-fota")), 0);
    bench.write("device.toml", b"vendor_domain = \"example.com\"\n");
    assert_eq!(bench.detail(&apply), Detail::WrongVendor as u64);
    bench.write("device.toml", b"free_space = 10\n");
    assert_eq!(bench.detail(&apply), Detail::NoSpace as u64);
    bench.write("device.toml", b"free_space = many\n");
    let wrong = bench.run(&apply);
    assert!(wrong["error"]["message"].as_str().unwrap().contains("device.toml"), "{wrong}");
}

/// Intel HEX of `image` from address 0.
fn intel_hex(image: &[u8]) -> String {
    let record = |address: usize, kind: u8, data: &[u8]| {
        let [high, low] = (address as u16).to_be_bytes();
        let bytes = [&[data.len() as u8, high, low, kind], data].concat();
        let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
        let digits: String = bytes.iter().chain([&sum]).map(|it| format!("{it:02X}")).collect();
        format!(":{digits}\n")
    };
    let lines = image.chunks(16).enumerate().map(|(index, data)| record(16 * index, 0, data));
    lines.chain([record(0, 1, &[])]).collect()
}

#[test]
fn old_images_may_be_hex_files() {
    let bench = Bench::new();
    let (old, new) = tiny_pair();
    bench.write("old.hex", intel_hex(&old).as_bytes());
    let applied = bench.run("apply p.suit --trust trust.cbor --old old.hex -o out.bin");
    assert_eq!(applied["ok"], true, "{applied}");
    assert_eq!(bench.read("out.bin"), new);
    // One that is broken is named, with the line; nothing is decoded from its text.
    bench.write("old.hex", intel_hex(&old).replacen(":10", ":11", 1).as_bytes());
    let broken = bench.run("verify p.suit --trust trust.cbor --old old.hex");
    let message = broken["error"]["message"].as_str().unwrap();
    assert!(message.contains("old.hex") && message.contains("line 1"), "{message}");
}

#[cfg(unix)]
#[test]
fn new_files_have_the_mode_that_the_umask_leaves() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let mode =
        |name: &str| std::fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o777;
    let program = env!("CARGO_BIN_EXE_fwdelta");
    for (umask, expected) in [("077", 0o600), ("022", 0o644), ("002", 0o664)] {
        let _ = std::fs::remove_file(bench.path("out.bin"));
        let script = format!("umask {umask}; {program} {APPLY} -o out.bin");
        let done = Command::new("sh").current_dir(bench.0.path()).args(["-c", &script]).output();
        assert!(done.unwrap().status.success());
        assert_eq!(mode("out.bin"), expected, "umask {umask}");
    }
    // One that is replaced keeps its mode.
    let private = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(bench.path("out.bin"), private).unwrap();
    assert_eq!(bench.detail(&format!("{APPLY} -o out.bin")), 0);
    assert_eq!(mode("out.bin"), 0o640);
}

#[test]
fn prompts_of_an_operator_are_shown_if_its_key_signed_them() {
    let bench = Bench::new();
    let text = "[en]\nbefore_download = \"Free of charge for you\"\n";
    let prompts = Prompts::from_toml(text, "prompts.toml").unwrap().to_cbor();
    let base = package(Some(&tiny_pair().0), &tiny_pair().1, Profile::Plain, &|_| ());
    let with = |signer: &str| {
        let method = Method::Signed { key: &key(signer), string: None };
        let approval = Approval { plmn: plmn("26201"), method, prompts: Some(&prompts) };
        bench.write("q.suit", &approve(&base, &approval).unwrap());
    };
    let describe = "describe q.suit --base-uri https://e.example/ --out-dir dd --plmn 26201";
    let shown = |trust: &str| {
        let report = bench.run(&format!("{describe} {trust}"));
        let by_operator = report["shown"]["by_operator"].as_bool().unwrap();
        assert_eq!(report["shown"]["verified"].as_bool(), Some(by_operator));
        by_operator
    };
    with("26201");
    assert!(shown("--trust trust.cbor"));
    assert!(!shown(""), "whose key it is nobody knows");
    with("stranger");
    assert!(!shown("--trust trust.cbor"));
}

#[test]
fn prompts_of_an_operator_fit_on_the_displays_of_the_release() {
    let bench = Bench::new();
    bench.run("keygen --out o");
    bench.write("release.toml", b"version = \"1.0\"\n[display.handset]\nchars = 110\n");
    bench.write("prompts.toml", b"[en]\nbefore_update = \"Now?\"\n");
    let approve = "approve p.suit --operator 20801 --key o.key --prompts prompts.toml -o out.suit";
    let add = "sign add p.suit --operator 20801 --key o.key --prompts prompts.toml -o out.suit";
    let long = "x".repeat(111);
    for command in [approve, add] {
        let command = format!("{command} --release release.toml");
        assert_eq!(bench.run(&command)["ok"], true);
        for text in [
            format!("[en]\nbefore_update = \"{long}\"\n"),
            format!("[en]\nbefore_update = \"Now?\"\n[de]\nafter_update = \"{long}\"\n"),
        ] {
            bench.write("prompts.toml", text.as_bytes());
            let said = bench.run(&command);
            let message = said["error"]["message"].as_str().unwrap();
            assert!(message.starts_with("prompts.toml") && message.contains("handset"), "{said}");
        }
        bench.write("prompts.toml", b"[en]\nbefore_update = \"Now?\"\n");
    }
}
