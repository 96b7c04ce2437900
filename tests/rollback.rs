//! The way back: made in the same run, accepted as long as the update it leads back from waits for
//! its confirmation, and only then.
#![allow(missing_docs)]

mod delta;

use std::path::PathBuf;
use std::process::{Command, Output};

use delta::edited;
use fwdelta::core::hash::sha256;
use fwdelta::diff;
use fwdelta_sim::fault::Random;

const TRUST: &str = "version = 1\n[vendor]\nthreshold = 1\nkeys = [\"vendor.pub\"]\n\
                     [device]\nno_sim = \"apply\"\n";

struct Bench {
    dir: tempfile::TempDir,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let (old, new) = edited(&mut Random::new(4), 9000, 12);
        let bench = Self { dir: tempfile::tempdir().unwrap(), old, new };
        bench.write("old", &bench.old);
        bench.write("new", &bench.new);
        bench.write("trust.toml", TRUST.as_bytes());
        bench.ok("keygen --out vendor");
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

    fn run(&self, args: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwdelta"));
        command.current_dir(self.dir.path()).args(args.split(' ')).output().unwrap()
    }

    fn ok(&self, args: &str) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code of what must fail.
    fn fails(&self, args: &str) -> i32 {
        let output = self.run(args);
        assert!(!output.status.success(), "{args}: {output:?}");
        output.status.code().unwrap()
    }

    fn build(&self, sequence: u64, more: &str) {
        self.ok(&format!(
            "build --old old --new new --key vendor.key --sequence {sequence} -o up{sequence} \
             --rollback back{sequence}{more}"
        ));
    }

    fn apply(&self, package: &str, old: &str, new: &str, more: &str) -> String {
        format!("apply {package} --trust trust.toml --state st --old {old} -o {new}{more}")
    }
}

#[test]
fn an_update_is_undone_until_it_is_confirmed() {
    let bench = Bench::new();
    bench.build(8, "");
    bench.write("st", b"{\"sequence\": 6}");
    let back = bench.apply("back8", "new", "undone", "");
    assert_eq!(bench.fails(&back), 15, "nothing is pending");
    let keep = " --unconfirmed --keep-rollback back8";
    bench.ok(&bench.apply("up8", "old", "made", keep));
    assert_eq!(bench.read("made"), bench.new);
    assert_eq!(bench.read("st.rollback"), bench.read("back8"), "it is kept");
    bench.ok(&bench.apply("st.rollback", "made", "undone", ""));
    assert_eq!(bench.read("undone"), bench.old);
    assert!(!bench.path("st.rollback").exists(), "nothing is left to undo");
    assert!(bench.read("st").starts_with(b"{\"sequence\":6}"), "nor was anything confirmed");
    assert_eq!(bench.fails(&back), 15, "it was undone");
    assert_eq!(bench.fails("confirm --state st"), 19);
    // Once more, and now it proves itself.
    bench.ok(&bench.apply("up8", "old", "made", keep));
    bench.ok("confirm --state st");
    assert!(!bench.path("st.rollback").exists());
    assert_eq!(bench.fails(&back), 15, "confirmed");
    assert!(bench.read("st").starts_with(b"{\"sequence\":8}"));
}

#[test]
fn it_leads_back_from_one_package_only() {
    let bench = Bench::new();
    bench.build(8, "");
    bench.build(9, "");
    let wrong = bench.apply("up9", "old", "made", " --unconfirmed --keep-rollback back8");
    assert_eq!(bench.fails(&wrong), 15, "of the same images, but of another package");
    let wrong = bench.apply("up9", "old", "made", " --unconfirmed --keep-rollback up8");
    assert_eq!(bench.fails(&wrong), 19, "no way back at all");
    let mut damaged = bench.read("back9");
    *damaged.last_mut().unwrap() ^= 1;
    bench.write("damaged", &damaged);
    let wrong = bench.apply("up9", "old", "made", " --unconfirmed --keep-rollback damaged");
    assert_eq!(bench.fails(&wrong), 17);
    assert!(!bench.path("made").exists() && !bench.path("st.rollback").exists());
    // One that fails does not cost the way back from the one before.
    bench.ok(&bench.apply("up8", "old", "made", " --unconfirmed --keep-rollback back8"));
    let wrong = bench.apply("up9", "new", "other", " --unconfirmed --keep-rollback back9");
    assert_eq!(bench.fails(&wrong), 16, "not the old image");
    assert_eq!(bench.read("st.rollback"), bench.read("back8"));
    bench.ok(&bench.apply("up9", "old", "made", " --unconfirmed --keep-rollback back9"));
    assert_eq!(bench.read("st.rollback"), bench.read("back9"));
    bench.ok(&bench.apply("up9", "old", "made", " --unconfirmed"));
    assert!(!bench.path("st.rollback").exists(), "this time nothing is kept");
    assert_eq!(bench.fails(&bench.apply("back8", "made", "undone", "")), 15);
    // A device that does not know what is pending knows its sequence number.
    bench.ok(&bench.apply("back9", "made", "undone", ""));
    assert!(!bench.path("st").exists(), "as before the first update");
    bench.write("st", b"{\"sequence\": 9}");
    assert_eq!(bench.fails(&bench.apply("back9", "made", "undone", "")), 15);
}

#[test]
fn there_is_a_way_back_in_place() {
    let bench = Bench::new();
    bench.build(8, " --in-place --page 1K --spare 2");
    bench.write("image", &bench.old);
    let apply = |package: &str, more: &str| {
        format!("apply {package} --trust trust.toml --state st --in-place image --journal j{more}")
    };
    bench.ok(&apply("up8", " --unconfirmed --keep-rollback back8"));
    assert_eq!(bench.read("image"), bench.new);
    bench.ok(&apply("st.rollback", ""));
    assert_eq!(bench.read("image"), bench.old);
    let said = bench.ok("inspect back8 --json");
    assert!(said.contains("\"in_place\": true") && !said.contains("\"undoes\": null"), "{said}");
}

#[test]
fn what_was_sent_in_full_has_no_way_back() {
    let bench = Bench::new();
    let full = "build --new new --key vendor.key --sequence 8 -o up --rollback back";
    assert_eq!(bench.fails(full), 19);
    let first = "build --old old --new new --key vendor.key --sequence 0 -o up --rollback back";
    assert_eq!(bench.fails(first), 19);
}

#[test]
fn a_delta_is_reversed_in_the_same_run() {
    let bench = Bench::new();
    bench.ok("diff old new delta --reverse back");
    let forward = bench.read("delta");
    let (header, payload) = diff::parse_file(&forward).unwrap();
    let back = bench.read("back");
    let reverse = diff::parse_file(&back).unwrap().0;
    let header_bytes = diff::Delta { header, payload: payload.to_vec() }.header_bytes();
    assert_eq!(reverse.undoes, Some(sha256(&header_bytes)));
    assert_eq!((reverse.old, Some(reverse.new)), (Some(header.new), header.old));
    bench.ok("patch new back again");
    assert_eq!(bench.read("again"), bench.old);
}
