//! Packages that are applied in place: verified whole before anything is erased, gone on with after
//! a cut without asking trust or SIM again, and only with the package that was begun.
#![allow(missing_docs)]
#![cfg(unix)]

mod delta;

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use delta::edited;
use fwdelta_sim::fault::Random;

const TRUST: &str = "version = 1\n[vendor]\nkeys = [\"vendor.pub\"]\n[[operator]]\n\
                     plmn = \"26201\"\nkeys = [\"op.pub\"]\n";

/// A folder with keys, an approved package and the image it is for.
struct Bench {
    dir: tempfile::TempDir,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Bench {
    /// New is longer than old by more than a page, so that a limit on the length of files cuts its
    /// rewriting short near the end.
    fn new() -> Self {
        let (mut old, new) = edited(&mut Random::new(9), 60_000, 40);
        old.truncate(52_000);
        let bench = Self { dir: tempfile::tempdir().unwrap(), old, new };
        bench.write("old", &bench.old);
        bench.write("new", &bench.new);
        bench.write("trust.toml", TRUST.as_bytes());
        bench.write("sim.bin", &[&[1][..], &[7; 16]].concat());
        bench.ok("keygen --out vendor");
        bench.ok("keygen --out op");
        for (sequence, name) in [(7, "update.suit"), (8, "other.suit")] {
            bench.ok(&format!(
                "build --old old --new new --key vendor.key --sequence {sequence} --profile small \
                 --in-place --page 1K --spare 2 --order ascending -o {name}"
            ));
            bench.ok(&format!("approve {name} --operator 26201 --key op.key -o {name}"));
        }
        bench.write("image", &bench.old);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// A file that would grow beyond `len_max` kills the command.
    fn run(&self, args: &str, len_max: u64) -> Output {
        let script = format!("ulimit -f {}; exec \"$0\" {args}", len_max / 512);
        let mut command = Command::new("sh");
        command.current_dir(self.dir.path());
        command.args(["-c", &script, env!("CARGO_BIN_EXE_fwdelta")]).output().unwrap()
    }

    fn ok(&self, args: &str) -> String {
        let output = self.run(args, 1 << 30);
        assert!(output.status.success(), "{args}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn exit_code(&self, args: &str) -> i32 {
        let output = self.run(args, 1 << 30);
        output.status.code().unwrap_or_else(|| panic!("{output:?}"))
    }

    fn apply(&self, package: &str) -> String {
        format!(
            "apply {package} --trust trust.toml --ef-fota sim.bin --state st --json \
             --in-place image --journal journal"
        )
    }

    /// Applies until the image would grow by its last page; it is neither old nor new then.
    fn cut(&self) {
        let output = self.run(&self.apply("update.suit"), 58 << 10);
        assert!(output.status.signal().is_some(), "{output:?}");
        let image = self.read("image");
        assert!(image.len() > self.old.len() && image != self.new && self.path("journal").exists());
    }
}

#[test]
fn it_is_rewritten_and_confirmed() {
    let bench = Bench::new();
    let report = bench.ok(&bench.apply("update.suit"));
    assert!(report.contains("\"resumed\": false") && report.contains("\"approved\""), "{report}");
    assert_eq!(bench.read("image"), bench.new);
    let beside = "apply update.suit --trust trust.toml --ef-fota sim.bin --old old -o made";
    assert_eq!(bench.exit_code(beside), 19, "it is not for two slots");
    assert!(bench.path("st").exists() && !bench.path("journal").exists());
}

#[test]
fn a_resume_asks_neither_trust_nor_sim() {
    let bench = Bench::new();
    bench.cut();
    let turned = TRUST.replace("vendor.pub", "x").replace("op.pub", "vendor.pub");
    bench.write("trust.toml", turned.replace("x", "op.pub").as_bytes());
    bench.write("sim.bin", &[0; 17]);
    let report = bench.ok(&bench.apply("update.suit"));
    assert!(report.contains("\"resumed\": true") && report.contains("\"begun\""), "{report}");
    assert_eq!(bench.read("image"), bench.new);
    assert!(!bench.path("journal").exists());
    let again = bench.exit_code(&bench.apply("update.suit"));
    assert_eq!(again, 14, "without a journal trust is asked: not a vendor's key");
}

#[test]
fn an_encrypted_one_asks_for_its_key_at_every_start() {
    let bench = Bench::new();
    bench.ok("keygen --algorithm a128kw --out fleet");
    bench.ok("keygen --algorithm ecdh-es --out device");
    bench.ok("build --old old --new new --key vendor.key --sequence 7 --profile small --in-place \
         --page 1K --spare 2 --order ascending --group-key fleet.key --recipient device.pub \
         -o update.suit");
    bench.ok("approve update.suit --operator 26201 --key op.key -o update.suit");
    let plain = bench.apply("update.suit");
    assert_eq!(bench.exit_code(&plain), 15, "no key");
    assert_eq!(bench.read("image"), bench.old);
    let with_key = format!("{plain} --decrypt-key fleet.key");
    let output = bench.run(&with_key, 58 << 10);
    assert!(output.status.signal().is_some(), "{output:?}");
    let half = bench.read("image");
    assert!(half != bench.old && half != bench.new);
    let output = bench.run(&plain, 1 << 30);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(15), "{said}");
    assert!(said.contains("\"old_intact\": false") && said.contains("NotRecipient"), "{said}");
    assert_eq!(bench.read("image"), half, "without the key nothing is written");
    let report = bench.ok(&format!("{plain} --decrypt-key device.key"));
    assert!(report.contains("\"resumed\": true"), "{report}");
    assert_eq!(bench.read("image"), bench.new);
    assert!(!bench.path("journal").exists());
}

#[test]
fn another_package_does_not_go_on_with_it() {
    let bench = Bench::new();
    bench.cut();
    // The same images and policy, another manifest.
    assert_eq!(bench.exit_code(&bench.apply("other.suit")), 16, "the image is not the old one");
    let whole = bench.read("update.suit");
    for at in [whole.len() - 1, whole.len() - 300] {
        let mut changed = whole.clone();
        changed[at] ^= 4;
        bench.write("update.suit", &changed);
        assert_eq!(bench.exit_code(&bench.apply("update.suit")), 17, "byte {at}: its digest");
    }
    bench.write("update.suit", &whole);
    bench.ok(&bench.apply("update.suit"));
    assert_eq!(bench.read("image"), bench.new);
}

#[test]
fn nothing_is_written_before_all_is_verified() {
    let bench = Bench::new();
    let whole = bench.read("update.suit");
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    bench.write("changed.suit", &changed);
    bench.write("sim.bin", &[0; 17]);
    let cases = [("changed.suit", 15), ("update.suit", 15)];
    for (package, code) in cases {
        assert_eq!(bench.exit_code(&bench.apply(package)), code);
    }
    bench.write("sim.bin", &[&[1][..], &[7; 16]].concat());
    assert_eq!(bench.exit_code(&bench.apply("changed.suit")), 17);
    assert_eq!(bench.read("image"), bench.old);
    // A package for two slots, or an image that is not there.
    bench.ok("build --old old --new new --key vendor.key --sequence 7 -o two.suit");
    bench.ok("approve two.suit --operator 26201 --key op.key -o two.suit");
    assert_eq!(bench.exit_code(&bench.apply("two.suit")), 19);
    std::fs::remove_file(bench.path("image")).unwrap();
    assert_eq!(bench.exit_code(&bench.apply("update.suit")), 18);
}
