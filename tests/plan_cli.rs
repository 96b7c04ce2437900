//! `fwdelta index` and `fwdelta plan` as people use them.

#[path = "common/desk.rs"]
mod desk;

use std::ops::Deref;
use std::process::Output;

use desk::Desk;
use fwdelta::core::hash::sha256;
use fwdelta::hex::hex;
use serde_json::Value;

struct Bench(Desk);

impl Deref for Bench {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.0
    }
}

impl Bench {
    /// Three releases with deltas between neighbours, one over two, a full image, ways back.
    fn new() -> Self {
        let bench = Self(Desk::empty());
        bench.ok(&["keygen", "--out", "vendor"]);
        bench.write("trust.toml", "version = 1\n[vendor]\nkeys = [\"vendor.pub\"]\n");
        for (number, version) in ["1.0", "1.1", "1.2"].into_iter().enumerate() {
            let mut image: Vec<u8> = (0..6000u32).map(|at| ((at * at) >> 7) as u8).collect();
            image.truncate(5000 + number * 100);
            image.iter_mut().step_by(97).for_each(|byte| *byte ^= number as u8);
            std::fs::write(bench.path(version), image).unwrap();
            let release = format!("version = \"{version}\"\n");
            bench.write(&format!("{version}.toml"), &release);
        }
        bench.build("1.0", "1.1", "2", &["--rollback", "back.suit"]);
        bench.build("1.1", "1.2", "3", &["--detached"]);
        bench.build("1.0", "1.2", "3", &["--profile", "max"]);
        bench.build("full", "1.2", "3", &[]);
        bench.build("1.2", "1.1", "4", &[]);
        bench.write("packages.toml", LIST);
        bench
    }

    fn build(&self, old: &str, new: &str, sequence: &str, more: &[&str]) {
        let (release, output) = (format!("{new}.toml"), format!("{old}-{new}.suit"));
        let olds = if old == "full" { vec![] } else { vec!["--old", old] };
        let fixed = ["build", "--new", new, "--key", "vendor.key", "--sequence", sequence];
        let named = ["--release", &release, "-o", &output];
        self.ok(&[&fixed[..], &named, &olds, more].concat());
    }

    /// A device that runs `version`, with more entries.
    fn device(&self, version: &str, more: &str) {
        let digest = hex(&sha256(&std::fs::read(self.path(version)).unwrap()));
        let text = format!("{{\"components\": {{\"main\": {{\"sha256\": \"{digest}\"}}}}{more}}}");
        self.write("device.json", &text);
    }

    fn plan(&self, more: &[&str]) -> Value {
        let args = ["plan", "--device", "device.json", "--index", "index.suit", "--json"];
        serde_json::from_str(&self.ok(&[&args, more].concat())).unwrap()
    }
}

const LIST: &str = "next_url = \"https://e.com/next.suit\"\n\
    [[package]]\nfile = \"1.0-1.1.suit\"\norder = 1\nnext_url = \"https://e.com/1.2.dd\"\n\
    [[package]]\nfile = \"1.1-1.2.suit\"\norder = 2\n\
    [[package]]\nfile = \"1.0-1.2.suit\"\norder = 2\ngroups = [\"canary\"]\n\
    [[package]]\nfile = \"full-1.2.suit\"\norder = 2\n\
    [[package]]\nfile = \"1.2-1.1.suit\"\norder = 1\nrestore = true\n\
    [[package]]\nfile = \"back.suit\"\norder = 0\nold_version = \"1.1\"\n";

fn files(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["file"].as_str().unwrap()).collect()
}

#[test]
fn a_chain_is_planned_from_a_signed_index() {
    let bench = Bench::new();
    let make = ["index", "--list", "packages.toml", "--key", "vendor.key", "--sequence", "1"];
    bench.ok(&[&make[..], &["-o", "index.suit"]].concat());
    bench.device("1.0", "");
    let plan = bench.plan(&["--trust", "trust.toml"]);
    assert_eq!(files(&plan["chain"]), ["1.0-1.1.suit", "1.1-1.2.suit"]);
    assert_eq!((&plan["verified"], &plan["goal"]["main"]), (&true.into(), &"1.2".into()));
    assert_eq!(plan["next_url"], "https://e.com/next.suit");
    let [first, second] = [&plan["chain"][0], &plan["chain"][1]];
    assert_eq!((&first["rollback"], &first["restore"]), (&"back.suit".into(), &Value::Null));
    assert_eq!((&second["rollback"], &second["restore"]), (&Value::Null, &"1.2-1.1.suit".into()));
    assert_eq!(second["parts"][0]["old"]["version"], "1.1", "named by what leads there");
    assert_eq!(first["next_url"], "https://e.com/1.2.dd");
    // The size of a detached payload counts.
    let entries = std::fs::read_dir(bench.dir.path()).unwrap().map(Result::unwrap);
    let of_chain = |name: &str| name == "1.0-1.1.suit" || name.starts_with("1.1-1.2.");
    let chain = entries.filter(|entry| of_chain(entry.file_name().to_str().unwrap()));
    let lens: Vec<u64> = chain.map(|entry| entry.metadata().unwrap().len()).collect();
    assert_eq!((lens.len(), &plan["cost"]), (3, &lens.iter().sum::<u64>().into()));
    assert_eq!(
        files(&plan["rejected"]),
        ["1.0-1.2.suit", "full-1.2.suit", "1.2-1.1.suit", "back.suit"]
    );
    assert_eq!(plan["rejected"][0]["reason"], "group");
    let text = bench.ok(&["plan", "--device", "device.json", "--index", "index.suit"]);
    assert!(text.contains("main from 1.0 to 1.1") || text.contains("to 1.1"), "{text}");
    assert!(text.contains("not 1.0-1.2.suit: ") && text.contains("not verified"), "{text}");
}

#[test]
fn groups_memory_and_versions_change_the_plan() {
    let bench = Bench::new();
    let make = ["index", "--list", "packages.toml", "--key", "vendor.key", "--sequence", "1"];
    bench.ok(&[&make[..], &["-o", "index.suit"]].concat());
    bench.device("1.0", ", \"groups\": [\"canary\"]");
    assert_eq!(files(&bench.plan(&[])["chain"]), ["1.0-1.2.suit"]);
    // Profile max takes more memory than a microcontroller has.
    bench.device("1.0", ", \"groups\": [\"canary\"], \"workspace_len\": 10240");
    let plan = bench.plan(&[]);
    assert_eq!(files(&plan["chain"]), ["1.0-1.1.suit", "1.1-1.2.suit"]);
    assert_eq!(plan["rejected"][0]["reason"], "workspace");
    assert_eq!(files(&bench.plan(&["--to", "1.1"])["chain"]), ["1.0-1.1.suit"]);
    bench.device("1.2", "");
    assert_eq!(bench.plan(&[])["chain"], Value::Array(Vec::new()));
    bench.device("1.0", ", \"workspace_len\": 1");
    let args = ["plan", "--device", "device.json", "--index", "index.suit"];
    let (code, message) = bench.fails(&args);
    assert_eq!(code, 16, "{message}");
    assert!(message.contains("not 1.0-1.1.suit: takes "), "{message}");
}

#[test]
fn what_cannot_be_listed_or_believed_is_refused() {
    let bench = Bench::new();
    let make = |more: &[&str]| {
        let args = ["index", "--key", "vendor.key", "--sequence", "1", "-o", "index.suit"];
        bench.run(&[&args, more].concat())
    };
    let says = |output: Output, code: i32, reason: &str| {
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(reason), "{message}");
    };
    says(make(&["1.0-1.1.suit", "1.0-1.1.suit"]), 19, "listed twice");
    says(make(&["1.0"]), 11, "1.0: ");
    says(make(&[]), 2, "required");
    bench.write("other.toml", "version = \"1.1\"\n[device]\nclass = \"other\"\n");
    let new = ["build", "--new", "1.1", "--key", "vendor.key", "--sequence", "1"];
    bench.ok(&[&new[..], &["--release", "other.toml", "-o", "other.suit"]].concat());
    says(make(&["1.0-1.1.suit", "other.suit"]), 19, "another vendor or class");
    assert!(!bench.path("index.suit").exists(), "nothing is half written");
    assert!(make(&["1.0-1.1.suit"]).status.success());
    bench.device("1.0", "");
    // Another vendor's trust file: the signature does not count.
    bench.ok(&["keygen", "--out", "stranger"]);
    bench.write("trust.toml", "version = 1\n[vendor]\nkeys = [\"stranger.pub\"]\n");
    let args = ["plan", "--device", "device.json", "--index", "index.suit"];
    let (code, message) = bench.fails(&[&args[..], &["--trust", "trust.toml"]].concat());
    assert_eq!(code, 14, "{message}");
    bench.device("1.0", ", \"class_id\": \"00000000-0000-0000-0000-000000000000\"");
    let (code, message) = bench.fails(&args);
    assert_eq!(code, 15, "{message}");
    bench.device("1.0", ", \"index_sequence\": 2");
    let (code, message) = bench.fails(&args);
    assert!(code == 15 && message.contains("Rollback"), "{message}");
    bench.device("1.0", ", \"index_sequence\": 1");
    std::fs::File::create(bench.path("huge")).unwrap().set_len(1 << 32).unwrap();
    let huge = ["plan", "--device", "device.json", "--index", "huge"];
    assert_eq!(bench.fails(&huge).0, 13);
    let package = ["plan", "--device", "device.json", "--index", "1.0-1.1.suit"];
    assert_eq!(bench.fails(&package).0, 12);
}
