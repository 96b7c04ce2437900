//! The command as people use it: every form of the documentation, and what goes wrong.

#[path = "common/desk.rs"]
mod desk;

use std::ops::Deref;
use std::path::Path;

use desk::Desk;
use serde_json::Value;

/// A working folder with keys, a trust file and EF_FOTA.
struct Bench(Desk);

impl Deref for Bench {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.0
    }
}

const TRUST: &str = r#"
version = 1
[vendor]
threshold = 1
keys = ["vendor.pub"]
[[operator]]
plmn = "26201"
keys = ["op.pub"]
"#;

const STRING: &str = "000102030405060708090a0b0c0d0e0f";

impl Bench {
    fn new() -> Self {
        let bench = Self(Desk::empty());
        bench.ok(&["keygen", "--out", "vendor"]);
        bench.ok(&["keygen", "--out", "op"]);
        bench.write("trust.toml", TRUST.as_bytes());
        let string: Vec<u8> = (0..16).collect();
        bench.write("sim.bin", [&[1][..], &string].concat());
        bench
    }
}

fn firmware(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/firmware");
    dir.join(name).to_str().unwrap().to_owned()
}

#[test]
fn the_documented_story() {
    let bench = Bench::new();
    let (old, new) = (firmware("moondancer/old.bin"), firmware("moondancer/new.bin"));
    bench.ok(&["diff", &old, &new, "delta", "--profile", "small", "--threads", "1"]);
    bench.ok(&["patch", &old, "delta", "patched"]);
    assert_eq!(bench.read("patched"), std::fs::read(&new).unwrap());
    let build = ["build", "--old", &old, "--new", &new, "--key", "vendor.key", "--sequence", "7"];
    bench.ok(&[&build[..], &["-o", "update.suit"]].concat());
    let approve = ["approve", "update.suit", "--operator", "26201", "--key", "op.key"];
    let string = ["--string", STRING, "-o", "approved.suit"];
    bench.ok(&[&approve[..], &string].concat());
    let verify = ["verify", "approved.suit", "--trust", "trust.toml", "--ef-fota", "sim.bin"];
    let report = bench.json(&verify);
    assert_eq!(report["decision"], "approved");
    assert_eq!(report["codes"]["fumo"], 200);
    assert_eq!(report["states"], serde_json::json!({ "fumo": 50, "lwm2m": 2 }));
    assert_eq!(report["components"][0]["old_checked"], false);
    let apply = ["apply", "approved.suit", "--trust", "trust.toml", "--old", &old, "-o", "new"];
    let report = bench.json(&[&apply[..], &["--ef-fota", "sim.bin", "--state", "st"]].concat());
    assert_eq!((&report["ok"], &report["sequence"]), (&Value::from(true), &Value::from(7)));
    assert_eq!(report["states"], serde_json::json!({ "fumo": 90, "lwm2m": 0 }));
    assert_eq!(bench.read("new"), std::fs::read(&new).unwrap());
    // Where no EF_FOTA is given the minimal trust file asks for no approval.
    bench.ok(&["apply", "update.suit", "--trust", "trust.toml", "--old", &old, "-o", "new2"]);
    let (code, message) =
        bench.fails(&["verify", "update.suit", "--trust", "trust.toml", "--ef-fota", "sim.bin"]);
    assert_eq!(code, 15, "{message}");
    // Every report names the codes for device management, of refusals too.
    let refused = ["verify", "update.suit", "--trust", "trust.toml", "--ef-fota", "sim.bin"];
    let output = bench.run(&[&refused[..], &["--json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let codes = serde_json::json!({ "fumo": 405, "install_notify": 953, "lwm2m": 8 });
    assert_eq!(report["codes"], codes);
    assert_eq!(report["states"], serde_json::json!({ "fumo": 80, "lwm2m": 0 }));
    let inspected = bench.json(&["inspect", "approved.suit"]);
    assert_eq!(inspected["blocks"][1]["plmn"], "26201");
    assert_eq!(inspected["blocks"][1]["has_string"], true);
    assert!(!inspected.to_string().contains(STRING), "the string is shown");
}

#[test]
fn keys_are_private_and_never_overwritten() {
    let bench = Bench::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(bench.path("vendor.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = bench.read("vendor.key");
    let (code, message) = bench.fails(&["keygen", "--out", "vendor"]);
    assert!(code == 19 && message.contains("exists already"), "{code} {message}");
    assert_eq!(bench.read("vendor.key"), before);
}

#[test]
fn several_components_in_order_with_one_in_full() {
    let bench = Bench::new();
    let (a, b) = (firmware("apollo/old.bin"), firmware("apollo/new.bin"));
    let (c, d) = (firmware("moondancer/old.bin"), firmware("moondancer/new.bin"));
    let boot = format!("boot:{a}:{b}");
    let app = format!("app:{c}:{d}");
    let config = format!("config::{b}");
    let build = ["build", "--component", &boot, "--component", &app, "--component", &config];
    let rest = [
        "--key",
        "vendor.key",
        "--sequence",
        "9",
        "-o",
        "all.suit",
        "--detached",
        "https://cdn.example.com/fw",
    ];
    let report = bench.json(&[&build[..], &rest].concat());
    assert_eq!(report["packages"][0]["detached"].as_array().unwrap().len(), 3);
    let (old_boot, old_app) = (format!("boot:{a}"), format!("app:{c}"));
    let apply = ["apply", "all.suit", "--trust", "trust.toml", "--old", &old_boot];
    let outputs = ["-o", "boot:b2", "-o", "app:a2", "-o", "config:c2"];
    let whole = [&apply[..], &["--old", &old_app], &outputs].concat();
    bench.ok(&whole);
    assert_eq!(bench.read("b2"), std::fs::read(&b).unwrap());
    assert_eq!(bench.read("a2"), std::fs::read(&d).unwrap());
    assert_eq!(bench.read("c2"), std::fs::read(&b).unwrap());
    // A component without its old image is refused before anything is written.
    for name in ["b2", "a2", "c2"] {
        std::fs::remove_file(bench.path(name)).unwrap();
    }
    let before = bench.names();
    let (code, message) = bench.fails(&[&apply[..], &outputs].concat());
    assert!(code == 19 && message.contains("app"), "{code} {message}");
    // A wrong old image of the last component too.
    let wrong = format!("app:{a}");
    let (code, _) = bench.fails(&[&apply[..], &["--old", &wrong], &outputs].concat());
    assert_eq!(code, 16);
    assert_eq!(bench.names(), before);
    // So is a missing payload, unless only the envelope is asked for.
    std::fs::remove_file(bench.path("all.1.fwd")).unwrap();
    let (code, message) = bench.fails(&whole);
    assert!(code == 18 && message.contains("all.1.fwd"), "{code} {message}");
    let envelope = ["verify", "all.suit", "--trust", "trust.toml", "--envelope-only"];
    let report = bench.json(&envelope);
    assert_eq!(report["components"][1]["payload_checked"], false);
    assert_eq!(bench.fails(&envelope[..4]).0, 18);
}

#[test]
fn one_package_for_each_old_image() {
    let bench = Bench::new();
    let (a, b) = (firmware("moondancer/old.bin"), firmware("apollo/old.bin"));
    let new = firmware("moondancer/new.bin");
    let build = ["build", "--old", &a, "--old", &b, "--new", &new, "--key", "vendor.key"];
    let report = bench.json(&[&build[..], &["--sequence", "3", "-o", "up.suit"]].concat());
    let packages = report["packages"].as_array().unwrap();
    assert_eq!(packages.len(), 2);
    for (package, old) in packages.iter().zip([&a, &b]) {
        let path = package["package"].as_str().unwrap();
        assert!(path.starts_with("up-") && path.ends_with(".suit"), "{path}");
        bench.ok(&["apply", path, "--trust", "trust.toml", "--old", old, "-o", "new"]);
        assert_eq!(bench.read("new"), std::fs::read(&new).unwrap());
    }
}

#[test]
fn a_full_image_restores_whatever_is_there() {
    let bench = Bench::new();
    let new = firmware("apollo/new.bin");
    for profile in ["small", "fast"] {
        let build = ["build", "--new", &new, "--key", "vendor.key", "--sequence", "3"];
        bench.ok(&[&build[..], &["--profile", profile, "-o", "full.suit"]].concat());
        bench.ok(&["apply", "full.suit", "--trust", "trust.toml", "-o", "new"]);
        assert_eq!(bench.read("new"), std::fs::read(&new).unwrap());
    }
}

#[test]
fn hex_and_srec_are_the_same_image_as_raw() {
    let bench = Bench::new();
    let old = firmware("apollo/old.bin");
    let mut packages = Vec::new();
    for name in ["image.bin", "image.hex", "image.srec"] {
        let new = firmware(&format!("formats/{name}"));
        let build = ["build", "--old", &old, "--new", &new, "--key", "vendor.key"];
        bench.ok(&[&build[..], &["--sequence", "3", "-o", "up.suit"]].concat());
        packages.push(bench.read("up.suit"));
    }
    assert_eq!(packages[0], packages[1]);
    assert_eq!(packages[0], packages[2]);
}

#[test]
fn sequence_numbers_never_go_back() {
    let bench = Bench::new();
    let (old, new) = (firmware("apollo/old.bin"), firmware("apollo/new.bin"));
    let apply = [
        "apply",
        "up.suit",
        "--trust",
        "trust.toml",
        "--old",
        &old,
        "-o",
        "new",
        "--state",
        "state",
    ];
    for (sequence, code, stored) in
        [("5", 0, 5), ("5", 0, 5), ("4", 15, 5), ("65541", 0, 65541), ("200000", 15, 65541)]
    {
        let build = ["build", "--old", &old, "--new", &new, "--key", "vendor.key", "-o", "up.suit"];
        bench.ok(&[&build[..], &["--sequence", sequence]].concat());
        assert_eq!(bench.run(&apply).status.code(), Some(code), "{sequence}");
        let state: Value = serde_json::from_slice(&bench.read("state")).unwrap();
        assert_eq!(state["sequence"], stored);
    }
    bench.ok(&[
        "build",
        "--old",
        &old,
        "--new",
        &new,
        "--key",
        "vendor.key",
        "-o",
        "up.suit",
        "--sequence",
        "65542",
    ]);
    bench.ok(&[&apply[..], &["--unconfirmed"]].concat());
    let state: Value = serde_json::from_slice(&bench.read("state")).unwrap();
    assert_eq!(state["sequence"], 65541);
    bench.write("state", b"nonsense");
    let (code, message) = bench.fails(&apply);
    assert!(code == 18 && message.contains("not a state file"), "{code} {message}");
}

#[test]
fn output_does_not_depend_on_threads() {
    let bench = Bench::new();
    let (old, new) = (firmware("trusted-firmware/old.bin"), firmware("trusted-firmware/new.bin"));
    for profile in ["small", "fast"] {
        let build = [
            "build",
            "--old",
            &old,
            "--new",
            &new,
            "--key",
            "vendor.key",
            "--sequence",
            "1",
            "--profile",
            profile,
        ];
        let mut packages = Vec::new();
        for threads in ["1", "2", "7"] {
            bench.ok(&[&build[..], &["--threads", threads, "-o", "up.suit"]].concat());
            packages.push(bench.read("up.suit"));
        }
        assert!(packages.windows(2).all(|pair| pair[0] == pair[1]), "{profile}");
    }
}

#[test]
fn descriptors_and_prompts_in_every_language() {
    let bench = Bench::new();
    bench.write(
        "release.toml",
        br#"
version = "2.1.0"
sequence = 12
[vendor]
domain = "example.com"
[device]
class = "router-x1"
[language.en]
name = "Router X1 2.1.0"
[language.de]
name = "Router X1 2.1.0"
[language.de.prompts]
before_update = "Jetzt neu starten?"
"#,
    );
    bench.write("op-prompts.toml", b"[de]\nbefore_update = \"Ihr Netz bittet um Geduld.\"\n");
    let (old, new) = (firmware("apollo/old.bin"), firmware("apollo/new.bin"));
    let build = ["build", "--old", &old, "--new", &new, "--key", "vendor.key"];
    bench.ok(&[&build[..], &["--release", "release.toml", "-o", "up.suit"]].concat());
    let approve = ["approve", "up.suit", "--operator", "26201", "--key", "op.key"];
    bench.ok(&[&approve[..], &["--prompts", "op-prompts.toml", "-o", "up.suit"]].concat());
    let describe = [
        "describe",
        "up.suit",
        "--release",
        "release.toml",
        "--base-uri",
        "https://u.example/",
        "--out-dir",
        "dd",
    ];
    let report = bench.json(&describe);
    let names: Vec<_> = report["files"].as_array().unwrap().iter().collect();
    assert!(names.len() >= 5, "{names:?}");
    assert!(bench.path("dd/index.json").is_file());
    let shown = |more: &[&str]| bench.json(&[&describe[..], more].concat())["shown"].clone();
    let german = shown(&["--device-language", "de-AT"]);
    assert_eq!(german["prompts"]["before_update"], "Jetzt neu starten?");
    assert_eq!(shown(&["--msisdn", "+4915112345678"])["language"], "de");
    assert_eq!(shown(&["--plmn", "26201"])["by_operator"], false, "nobody says whose key it is");
    let own = shown(&["--plmn", "26201", "--trust", "trust.toml"]);
    assert_eq!(own["prompts"]["before_update"], "Ihr Netz bittet um Geduld.");
    assert_eq!(own["by_operator"], true);
    // Nothing is written for a preview: every language, the operator's too, on every display.
    let preview = ["describe", "up.suit", "--preview", "--release", "displays.toml"];
    let release = bench.read("release.toml");
    let displays = b"[display.handset]\ncolumns = 40\nlines = 5\n";
    bench.write("displays.toml", [&release[..], displays].concat());
    let report = bench.json(&preview);
    let sets = report["preview"].as_array().unwrap();
    let of = |set: &Value| (set["language"].clone(), set["operator"].clone());
    let all: Vec<_> = sets.iter().map(of).collect();
    assert!(all.contains(&("de".into(), Value::Null)), "{all:?}");
    assert!(all.contains(&("de".into(), "26201".into())), "{all:?}");
    let german = sets.iter().find(|set| of(set) == ("de".into(), Value::Null)).unwrap();
    assert_eq!(german["display"], "handset");
    let prompt = &german["prompts"]["before_update"];
    assert_eq!(
        (&prompt["lines"][0], &prompt["fits"]),
        (&"Jetzt neu starten?".into(), &true.into())
    );
    let text = bench.ok(&preview);
    let line = format!("    |{:<40}|", "Jetzt neu starten?");
    assert!(text.lines().any(|shown| shown == line), "{text}");
    let trusted = ["--plmn", "26201", "--trust", "trust.toml"];
    let one = bench.json(&[&preview[..], &trusted].concat());
    assert_eq!(one["preview"].as_array().unwrap().len(), 1);
    assert_eq!(one["preview"][0]["operator"], "26201");
    bench.ok(&["verify", "up.suit", "--trust", "trust.toml", "--ef-fota", "sim.bin"]);
}

#[test]
fn bad_input_is_named_with_a_remedy() {
    let bench = Bench::new();
    let (old, new) = (firmware("apollo/old.bin"), firmware("apollo/new.bin"));
    let build = |key: &str, sequence: &[&str]| {
        let args = ["build", "--old", &old, "--new", &new, "--key", key, "-o", "up.suit"];
        bench.fails(&[&args[..], sequence].concat())
    };
    bench.write("cut.fwd", b"FWD\x01\x58");
    bench.write("cut.suit", [0xd8, 0x6b, 0xa2, 0x02]);
    for ((code, message), expected, what) in [
        (build("missing.key", &["--sequence", "1"]), 18, "missing.key"),
        (build("vendor.pub", &["--sequence", "1"]), 19, "keygen"),
        (build("vendor.key", &[]), 19, "--sequence"),
        (bench.fails(&["inspect", "cut.fwd"]), 11, "cut.fwd"),
        (bench.fails(&["inspect", "cut.suit"]), 11, "cut.suit"),
        (bench.fails(&["inspect", "."]), 18, "."),
        (bench.fails(&["approve"]), 2, "Usage"),
        (bench.fails(&["demo", "."]), 19, "old.bin"),
    ] {
        assert!(code == expected && message.contains(what), "{code} {message}");
    }
    assert!(!bench.path("up.suit").exists());
    bench.write("short.bin", [1; 16]);
    bench.ok(&[
        "build",
        "--old",
        &old,
        "--new",
        &new,
        "--key",
        "vendor.key",
        "--sequence",
        "1",
        "-o",
        "up.suit",
    ]);
    let verify = ["verify", "up.suit", "--trust", "trust.toml", "--ef-fota", "short.bin"];
    let (code, message) = bench.fails(&verify);
    assert!(code == 19 && message.contains("17 bytes"), "{code} {message}");
}

/// With commas between thousands, as the README has them.
fn in_thousands(number: &serde_json::Value) -> String {
    let digits = number.to_string();
    let group = |part: &[u8]| String::from_utf8_lossy(part).chars().rev().collect::<String>();
    let backwards: Vec<u8> = digits.bytes().rev().collect();
    let groups: Vec<_> = backwards.chunks(3).map(group).rev().collect();
    groups.join(",")
}

/// The row of the README's table for a pair of the demo.
fn row(pair: &serde_json::Value) -> String {
    let (small, fast) = (&pair["small"], &pair["fast"]);
    let numbers =
        [&pair["full_image"], &small["delta"], &small["package"], &fast["delta"], &fast["package"]];
    let cells = numbers.map(in_thousands).join(" | ");
    format!("| {} | {cells} |", pair["name"].as_str().unwrap())
}

#[test]
fn the_readme_has_the_sizes_of_the_demo() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let mut readme = std::fs::read_to_string(&path).unwrap();
    let demo = Bench::new().json(&["demo"]);
    assert_eq!(demo["identical"], true);
    for pair in demo["pairs"].as_array().unwrap() {
        let (row, start) = (row(pair), format!("| {} |", pair["name"].as_str().unwrap()));
        if std::env::var_os("FWDELTA_REGENERATE").is_some() {
            let line = readme.lines().find(|line| line.starts_with(&start)).unwrap().to_owned();
            readme = readme.replace(&line, &row);
            std::fs::write(&path, &readme).unwrap();
        }
        assert!(
            readme.contains(&row),
            "README.md should have\n{row}; `cargo xtask vectors` does it"
        );
    }
}

#[test]
fn trust_completions_and_manual() {
    let bench = Bench::new();
    bench.ok(&["trust", "compile", "trust.toml", "-o", "trust.cbor"]);
    let shown = bench.json(&["trust", "show", "trust.cbor"]);
    assert_eq!(shown["operators"][0]["modes"][0], "signed");
    assert_eq!(shown["policy"]["jump_max"], 65536);
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.ok(&["completions", shell]).contains("fwdelta"));
    }
    assert!(bench.ok(&["man"]).contains(".TH fwdelta"));
    for command in [
        "keygen",
        "diff",
        "patch",
        "build",
        "approve",
        "export",
        "describe",
        "index",
        "plan",
        "trust",
        "inspect",
        "verify",
        "apply",
        "demo",
        "completions",
    ] {
        let help = bench.ok(&[command, "--help"]);
        assert!(help.contains("Example"), "{command} has no example");
    }
}

#[test]
fn a_geometry_file_says_what_the_flash_is_like() {
    let bench = Bench::new();
    let (old, new) = (firmware("moondancer/old.bin"), firmware("moondancer/new.bin"));
    let file = "page = \"16K\"\nspare = 2\nwrite = 4\n[[first]]\nlen = \"4K\"\ncount = 3\n";
    bench.write("flash.toml", file.as_bytes());
    let report = bench.json(&["diff", &old, &new, "delta", "--geometry", "flash.toml"]);
    let place = &report["in_place"];
    assert_eq!(place["first_pages"], serde_json::json!([[4096, 3]]));
    assert_eq!((&place["page_len"], &place["spare_pages"]), (&16384.into(), &2.into()));
    assert_eq!(place["slot_erases_max"], 1);
    std::fs::copy(&old, bench.path("image")).unwrap();
    bench.ok(&["patch", "--in-place", "image", "delta", "--journal", "journal"]);
    assert_eq!(bench.read("image"), std::fs::read(&new).unwrap());
    bench.write("flash.toml", file.replace("4K", "16K").as_bytes());
    let (code, message) = bench.fails(&["diff", &old, &new, "delta", "--geometry", "flash.toml"]);
    assert!(code == 19 && message.contains("flash.toml"), "{code} {message}");
    let both = ["diff", &old, &new, "delta", "--geometry", "flash.toml", "--in-place"];
    assert_eq!(bench.fails(&both).0, 2);
}

#[test]
fn several_components_are_refused_in_place_before_anything_is_written() {
    let bench = Bench::new();
    let (a, b) = (firmware("apollo/old.bin"), firmware("apollo/new.bin"));
    let [boot, app] = [format!("boot:{a}:{b}"), format!("app:{b}:{a}")];
    let build = ["build", "--component", &boot, "--component", &app, "--key", "vendor.key"];
    let place = ["--sequence", "7", "--in-place", "--page", "1K", "--spare", "2"];
    bench.ok(&[&build[..], &place, &["-o", "two.suit"]].concat());
    let old = std::fs::read(&a).unwrap();
    bench.write("image", &old);
    let apply = ["apply", "two.suit", "--trust", "trust.toml", "--in-place", "image"];
    let message = bench.refuses(901, &[&apply[..], &["--journal", "journal"]].concat());
    assert!(message.contains("several components"), "{message}");
    assert_eq!(bench.read("image"), old);
}
