//! Mistakes of people who are tired: a name given twice, a file of the wrong kind, a number with
//! too many digits. None costs a file, hangs, or ends in a panic.

#[path = "common/desk.rs"]
mod desk;

use desk::Desk;
use fwdelta::core::Detail;
use fwdelta_sim::fault::Random;
use serde_json::Value;

const ARGUMENT: u16 = Detail::BadArgument as u16;

const APPLY: &str = "apply u.suit --trust trust.toml --old old";
const BUILD: &str =
    "build --old old --new new --key vendor.key --sequence 7 --release release.toml";

/// A folder with one of everything.
fn bench() -> Desk {
    let desk = Desk::empty();
    let mut random = Random::new(7);
    let old: Vec<u8> = (0..5000).map(|_| random.bits() as u8).collect();
    let mut new = old.clone();
    new[1234] ^= 1;
    desk.write("old", &old);
    desk.write("new", &new);
    desk.write("release.toml", "version = \"2.0.0\"\n");
    desk.write("sim.hex", "000102030405060708090a0b0c0d0e0f\n");
    desk.write("sim.bin", [&[1][..], &(0..16).collect::<Vec<u8>>()].concat());
    for line in [
        "keygen --out vendor",
        "keygen --out op",
        "trust init --vendor-key vendor.pub -o trust.toml",
        "trust add trust.toml --operator 26201 --key op.pub",
        "trust compile trust.toml -o trust.cbor",
        "diff old new d.fwd",
        "diff old new ip.fwd --in-place",
        &format!("{BUILD} -o u.suit"),
        &format!("{BUILD} --in-place -o ip.suit"),
        "sign prepare u.suit --key op.pub --operator 26201 -o op.tbs",
    ] {
        desk.ok(&words(line));
    }
    desk
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn contents(desk: &Desk) -> Vec<(String, Vec<u8>)> {
    desk.names().into_iter().map(|name| (name.clone(), desk.read(&name))).collect()
}

#[test]
fn no_output_takes_the_place_of_an_input() {
    let desk = bench();
    let before = contents(&desk);
    let approve = "approve u.suit --operator 26201";
    let verify = "verify u.suit --trust trust.toml --old old";
    for (line, inputs) in [
        ("diff old new", "old new ./old"),
        ("diff old new x --reverse", "old new x"),
        ("patch old d.fwd", "d.fwd"),
        ("patch old d.fwd x --journal", "old d.fwd x x.partial"),
        ("patch old ip.fwd --in-place --journal", "old ip.fwd"),
        (&format!("{BUILD} -o"), "old new vendor.key release.toml"),
        (&format!("{BUILD} -o x --rollback"), "old new vendor.key x"),
        (&format!("{BUILD} -o x --provenance"), "vendor.key x"),
        ("build --component a:old:new --key vendor.key --sequence 7 -o", "old new vendor.key"),
        (&format!("{approve} --key op.key -o"), "op.key"),
        (&format!("{approve} --mode secret --string-file sim.hex -o"), "sim.hex"),
        ("sign prepare u.suit --key op.pub -o", "u.suit op.pub"),
        ("sign add u.suit --key op.key -o", "op.key"),
        ("sign attach u.suit --key op.pub --request op.tbs --signature d.fwd -o", "op.tbs d.fwd"),
        ("sign public --key op.key -o", "op.key"),
        ("export suit u.suit -o", "u.suit"),
        ("export mcuboot new --key vendor.key --image-version 1 -o", "new vendor.key"),
        ("index u.suit --key vendor.key --sequence 1 -o", "u.suit vendor.key"),
        ("trust compile trust.toml -o", "trust.toml"),
        ("trust rotate trust.toml --current trust.cbor -o", "trust.toml trust.cbor"),
        ("trust accept d.fwd --current trust.cbor -o", "d.fwd"),
        ("gate --trust trust.toml --ef-fota sim.bin --write-handoff", "trust.toml sim.bin"),
        (&format!("{verify} --write-result"), "u.suit trust.toml old"),
        (&format!("{APPLY} -o"), "u.suit trust.toml"),
        (&format!("{APPLY} -o x --journal"), "u.suit trust.toml old x x.partial"),
        (&format!("{APPLY} -o x --write-result"), "u.suit old x"),
        ("apply ip.suit --trust trust.toml --in-place old --journal", "ip.suit trust.toml old"),
    ] {
        for input in inputs.split_whitespace() {
            let message = desk.refuses(ARGUMENT, &words(&format!("{line} {input}")));
            assert!(message.contains("would take the place"), "{line} {input}: {message}");
            assert_eq!(contents(&desk), before, "{line} {input}");
        }
    }
}

#[test]
fn what_may_be_replaced_is() {
    let desk = bench();
    desk.ok(&words("approve u.suit --operator 26201 --key op.key -o u.suit"));
    desk.ok(&words(&format!("{APPLY} -o old")));
    assert_eq!(desk.read("old"), desk.read("new"));
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_stays_a_link() {
    let desk = bench();
    let link = |name, to: &str| std::os::unix::fs::symlink(to, desk.path(name)).unwrap();
    desk.write("latest.fwd", "of last week");
    link("link.fwd", "latest.fwd");
    desk.ok(&words("diff old new link.fwd"));
    assert!(std::fs::symlink_metadata(desk.path("link.fwd")).unwrap().is_symlink());
    assert_eq!(desk.read("latest.fwd"), desk.read("d.fwd"));
    link("nowhere.fwd", "gone/far.fwd");
    let before = desk.names();
    let message = desk.refuses(Detail::WriteFailed as u16, &words("diff old new nowhere.fwd"));
    assert!(message.contains("a link to nothing"), "{message}");
    assert_eq!(desk.names(), before);
}

#[test]
fn a_profile_that_needs_a_slot_is_refused_with_those_that_do_not() {
    let desk = bench();
    for profile in ["max", "bsdiff"] {
        let line = format!("diff old new x.fwd --in-place --profile {profile}");
        let message = desk.refuses(Detail::NotBuiltIn as u16, &words(&line));
        assert!(message.contains("`small`"), "{message}");
        assert!(!desk.names().contains(&"x.fwd".to_owned()));
    }
}

#[test]
fn a_journal_is_written_over_nothing_else() {
    let desk = bench();
    desk.write("letter", "Dear all");
    let before = contents(&desk);
    for line in [
        "patch old d.fwd x --journal letter",
        "patch old ip.fwd --in-place --journal letter",
        &format!("{APPLY} -o x --journal letter"),
        "apply ip.suit --trust trust.toml --in-place old --journal letter",
    ] {
        let message = desk.refuses(ARGUMENT, &words(line));
        assert!(message.contains("letter") && message.contains("journal"), "{message}");
        assert_eq!(contents(&desk), before, "{line}");
    }
    // Where there can be none, no empty partial image is left either.
    desk.refuses(Detail::WriteFailed as u16, &words("patch old d.fwd x --journal no/j"));
}

/// Its length is not known, its content may never come or never end.
#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_refused() {
    let desk = bench();
    for (line, rest) in [
        ("diff", "new x"),
        ("diff old", "x"),
        ("patch", "d.fwd x"),
        ("patch old", "x"),
        ("inspect", ""),
        ("verify", "--trust trust.toml"),
        ("verify u.suit --trust", ""),
        ("confirm --state", ""),
        ("build --key vendor.key --sequence 1 -o x --new", ""),
        ("build --key vendor.key --sequence 1 -o x --new new --release", ""),
        ("plan --index u.suit --device", ""),
        ("trust show", ""),
    ] {
        for (odd, what) in [("/dev/zero", "not a plain file"), ("/", "is a directory")] {
            let line = format!("{line} {odd} {rest} --json");
            let output = desk.run(&words(&line));
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let message = report["error"]["message"].as_str().unwrap();
            assert!(message.contains(what) && message.contains(odd), "{line}: {message}");
        }
    }
    assert!(!desk.path("x").exists());
    // A secret may come through a pipe, but not without end.
    let key = std::fs::File::open(desk.path("vendor.key")).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fwdelta"));
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::copy(&mut { key }, &mut writer).unwrap();
    drop(writer);
    command.current_dir(desk.dir.path()).stdin(reader);
    let status = command.args(words("sign public --key /dev/stdin -o x")).status().unwrap();
    assert!(status.success() && desk.read("x") == desk.read("vendor.pub"));
    let message = desk.refuses(ARGUMENT, &words("sign public --key /dev/zero -o y"));
    assert!(message.contains("is it the right file?"), "{message}");
}

/// Linux: elsewhere file systems refuse such names.
#[cfg(target_os = "linux")]
#[test]
fn names_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let desk = bench();
    let odd = OsStr::from_bytes(b"odd \xff\xfe");
    let next = String::from_utf8(desk.read("trust.toml")).unwrap();
    desk.write("next.toml", next.replace("version = 1", "version = 2"));
    for line in [
        "keygen --out",
        "keygen --algorithm a128kw --out",
        "diff old new",
        "patch old d.fwd",
        &format!("{BUILD} -o"),
        &format!("{BUILD} -o x --rollback"),
        &format!("{BUILD} -o x --provenance"),
        "approve u.suit --operator 26201 --key op.key -o",
        "sign prepare u.suit --key op.pub -o",
        "sign add u.suit --key op.key --operator 26201 -o",
        "sign public --key op.key -o",
        "export suit u.suit -o",
        "export mcuboot new --key vendor.key --image-version 1 -o",
        "index u.suit --key vendor.key --sequence 1 -o",
        "trust rotate next.toml --current trust.cbor --key vendor.key -o",
        "describe u.suit --base-uri https://updates.example.com/ --out-dir",
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fwdelta"));
        command.current_dir(desk.dir.path()).args(words(line)).arg(odd).arg("--json");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap();
        for name in ["", ".key", ".pub"] {
            let path = desk.dir.path().join([odd, OsStr::new(name)].join(OsStr::new("")));
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        }
    }
}

#[test]
fn absurd_numbers_are_refused_with_what_they_can_be() {
    let desk = bench();
    for (line, what) in [
        ("diff old new x --threads 100000", "0 to 1024"),
        ("diff old new x --in-place --page 3", "multiples of 32 from 64"),
        ("diff old new x --in-place --page 32M", "multiples of 32 from 64"),
        ("diff old new x --in-place --interval 6", "`interval` at most"),
        ("diff old new x --in-place --write 7", "`write`, 1 to 32 bytes"),
        ("diff old new x --format bsdiff40 --reverse y", "BSDIFF40 has no"),
        ("diff old new x --format bsdiff40 --ram 6K", "BSDIFF40 has no"),
        ("patch old d.fwd x --journal j --interval 0", "at least 4K"),
        ("keygen --out ./", "a folder"),
    ] {
        let message = desk.refuses(ARGUMENT, &words(line));
        assert!(message.contains(what), "{line}: {message}");
    }
}

#[test]
fn an_output_that_cannot_be_written_leaves_no_other_behind() {
    let desk = bench();
    let before = contents(&desk);
    for line in ["diff old new no/x --reverse y", "diff old new x --reverse no/y"] {
        let message = desk.refuses(Detail::WriteFailed as u16, &words(line));
        assert!(
            message.contains("cannot create no/") && !message.contains(".fwdelta"),
            "{message}"
        );
    }
    assert_eq!(contents(&desk), before);
}

#[test]
fn what_is_wrong_with_a_delta_is_said_of_the_delta() {
    let desk = bench();
    let old = desk.read("old");
    for (delta, line) in
        [("d.fwd", "patch old bad x"), ("ip.fwd", "patch old bad --in-place --journal j")]
    {
        let mut bytes = desk.read(delta);
        *bytes.last_mut().unwrap() ^= 1;
        desk.write("bad", &bytes);
        let output = desk.run(&words(line));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{line}");
        assert!(
            message.contains("bad: ") && message.contains("fetch it again"),
            "{line}: {message}"
        );
        // What is written in place is as far as it came, so a second line begins anew.
        desk.write("old", &old);
    }
    let message = desk.fails(&words("patch old new x")).1;
    assert!(message.contains("`fwdelta diff`"), "{message}");
}

#[test]
fn less_memory_is_never_said_to_be_more() {
    let desk = bench();
    let said = |line: &str| desk.json(&words(line))["memory_max"].as_u64().unwrap();
    assert!(said("diff old new x --memory 1") <= said("diff old new y"));
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let desk = bench();
    desk.ok(&words("keygen --algorithm a128kw --out fleet"));
    let secret = String::from_utf8(desk.read("fleet.key")).unwrap();
    desk.write("fleet.toml", &secret);
    for line in [
        "trust compile fleet.toml -o x",
        "trust add fleet.key --vendor-key vendor.pub",
        "verify u.suit --trust trust.toml --device fleet.key",
        "diff old new x --geometry fleet.key",
        "index --list fleet.key --key vendor.key --sequence 1 -o x",
        "build --new new --key fleet.key --sequence 1 -o x",
        "approve u.suit --operator 26201 --key op.key --prompts fleet.key -o x",
        "plan --index u.suit --device fleet.key",
    ] {
        let output = desk.run(&[&words(line)[..], &["--json"]].concat());
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success() && said.contains("fleet"), "{line}: {said}");
        assert!(!said.contains(secret.trim()), "{line}: {said}");
    }
}

#[test]
fn wrong_arguments_are_reported_as_json_too() {
    let desk = Desk::empty();
    for line in ["diff --json", "--json frobnicate", "keygen --json --nonsense"] {
        let output = desk.run(&words(line));
        assert_eq!(output.status.code(), Some(2), "{line}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["ok"], &report["exit_code"]), (&false.into(), &2.into()), "{report}");
        assert!(!output.stderr.is_empty());
    }
    assert!(desk.run(&words("diff")).stdout.is_empty(), "nobody asked for JSON");
    let help = desk.run(&words("diff --json --help"));
    assert!(help.status.success() && !help.stdout.starts_with(b"{"));
}
