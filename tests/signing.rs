//! Signatures by keys that are elsewhere: prepared, made, attached; by several people; in a token.

#[path = "common/desk.rs"]
mod desk;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fwdelta::package::SecretKey;

/// A working folder with images and keys of every algorithm.
struct Desk(desk::Desk);

impl Deref for Desk {
    type Target = desk::Desk;

    fn deref(&self) -> &desk::Desk {
        &self.0
    }
}

impl DerefMut for Desk {
    fn deref_mut(&mut self) -> &mut desk::Desk {
        &mut self.0
    }
}

const TRUST: &str = r#"
version = 1
[vendor]
threshold = 2
keys = ["a.pub", { key = "b.pub", hybrid = "pq.pub" }]
[[operator]]
plmn = "26201"
modes = ["signed", "string"]
keys = ["op.pub"]
"#;
const STRING: &str = "000102030405060708090a0b0c0d0e0f";

impl Desk {
    fn new() -> Self {
        let desk = Self(desk::Desk::empty());
        let old: Vec<u8> = (0..4096u32).map(|i| ((i * i) >> 3) as u8).collect();
        let mut new = old.clone();
        new[1000..1008].copy_from_slice(b"new text");
        desk.write("old.bin", &old);
        desk.write("new.bin", &new);
        for (name, algorithm) in
            [("a", "ed25519"), ("b", "esp256"), ("pq", "ml-dsa-44"), ("op", "esp256")]
        {
            desk.ok(&["keygen", "--out", name, "--algorithm", algorithm]);
        }
        desk.write("trust.toml", TRUST.as_bytes());
        desk.write("sim.bin", [&[1][..], &(0..16).collect::<Vec<u8>>()].concat());
        desk.ok(&[
            "build",
            "--old",
            "old.bin",
            "--new",
            "new.bin",
            "--sequence",
            "7",
            "--unsigned",
            "-o",
            "draft.suit",
        ]);
        desk
    }

    fn verify(&self, package: &str) -> Vec<String> {
        let args = ["verify", package, "--trust", "trust.toml", "--ef-fota", "sim.bin", "--old"];
        [&args[..], &["old.bin"]].concat().into_iter().map(str::to_owned).collect()
    }

    /// What a signing service does: bytes in, signature out.
    fn sign_elsewhere(&self, key: &str, request: &str, signature: &str) {
        let pem = String::from_utf8(self.read(&format!("{key}.key"))).unwrap();
        let key = SecretKey::from_pem(&pem, key).unwrap();
        self.write(signature, key.sign(&self.read(request)).unwrap());
    }

    /// Prepares for `key`, signs elsewhere, attaches to `package`.
    fn attach(&self, draft: &str, key: &str, package: &str, output: &str, more: &[&str]) {
        let public = format!("{key}.pub");
        let prepare = ["sign", "prepare", draft, "--key", &public, "-o", "tbs"];
        self.ok(&[&prepare[..], more].concat());
        self.sign_elsewhere(key, "tbs", "sig");
        self.ok(&[
            "sign",
            "attach",
            package,
            "--key",
            &public,
            "--request",
            "tbs",
            "--signature",
            "sig",
            "-o",
            output,
        ]);
    }
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn people_sign_one_after_another_and_none_has_the_others_key() {
    let desk = Desk::new();
    let all = desk.verify("update.suit");
    desk.write("update.suit", desk.read("draft.suit"));
    desk.refuses(109, &strs(&all));
    // Everyone prepares from the draft; the order in which signatures come does not matter.
    desk.attach("draft.suit", "pq", "update.suit", "update.suit", &["--require", "26201"]);
    desk.refuses(402, &strs(&all));
    desk.attach("draft.suit", "b", "update.suit", "update.suit", &["--require", "26201"]);
    desk.refuses(402, &strs(&all));
    // What the others require is taken over.
    desk.attach("update.suit", "a", "update.suit", "update.suit", &[]);
    desk.refuses(507, &strs(&all));
    let approve = ["--operator", "26201", "--mode", "string", "--string", STRING];
    desk.attach("update.suit", "op", "update.suit", "update.suit", &approve);
    let report = desk.json(&strs(&all));
    assert_eq!(
        (&report["approved_by"], &report["approval_mode"]),
        (&"26201".into(), &"string".into())
    );
    let shown = desk.json(&["inspect", "update.suit"]);
    let algorithms: Vec<_> =
        shown["blocks"].as_array().unwrap().iter().map(|it| &it["algorithm"]).collect();
    assert_eq!(algorithms, ["ML-DSA-44", "ESP256", "Ed25519", "ESP256"]);
    desk.ok(&[
        "apply",
        "update.suit",
        "--trust",
        "trust.toml",
        "--ef-fota",
        "sim.bin",
        "--old",
        "old.bin",
        "-o",
        "applied.bin",
    ]);
    assert_eq!(desk.read("applied.bin"), desk.read("new.bin"));
}

#[test]
fn a_key_at_hand_signs_as_one_elsewhere_does() {
    let desk = Desk::new();
    desk.attach("draft.suit", "b", "draft.suit", "attached.suit", &[]);
    desk.ok(&["sign", "add", "draft.suit", "--key", "b.key", "-o", "added.suit"]);
    assert_eq!(desk.read("attached.suit"), desk.read("added.suit"));
    desk.ok(&[
        "build",
        "--old",
        "old.bin",
        "--new",
        "new.bin",
        "--sequence",
        "7",
        "--key",
        "b.key",
        "-o",
        "built.suit",
    ]);
    assert_eq!(desk.read("built.suit"), desk.read("added.suit"));
    desk.ok(&["sign", "public", "--key", "b.key", "-o", "again.pub"]);
    assert_eq!(desk.read("again.pub"), desk.read("b.pub"));
    let add = ["sign", "add", "added.suit", "--operator", "26201", "--key", "op.key", "-o", "x"];
    desk.ok(&add);
    desk.ok(&["approve", "added.suit", "--operator", "26201", "--key", "op.key", "-o", "y"]);
    assert_eq!(desk.read("x"), desk.read("y"));
}

#[test]
fn what_does_not_belong_together_is_not_attached() {
    let desk = Desk::new();
    desk.ok(&["sign", "prepare", "draft.suit", "--key", "b.pub", "-o", "tbs"]);
    desk.sign_elsewhere("b", "tbs", "sig");
    let attach =
        |package: &'static str, key: &'static str, request: &'static str, sig: &'static str| {
            [
                "sign",
                "attach",
                package,
                "--key",
                key,
                "--request",
                request,
                "--signature",
                sig,
                "-o",
                "out",
            ]
        };
    desk.refuses(403, &attach("draft.suit", "op.pub", "tbs", "sig"));
    desk.refuses(403, &attach("draft.suit", "a.pub", "tbs", "sig"));
    let mut changed = desk.read("sig");
    changed[5] ^= 1;
    desk.write("changed", &changed);
    desk.refuses(403, &attach("draft.suit", "b.pub", "tbs", "changed"));
    desk.refuses(403, &attach("draft.suit", "b.pub", "tbs", "old.bin"));
    desk.refuses(110, &attach("draft.suit", "b.pub", "old.bin", "sig"));
    // A stranger's signature of a request that names another key.
    desk.sign_elsewhere("op", "tbs", "of op");
    desk.refuses(404, &attach("draft.suit", "op.pub", "tbs", "of op"));
    desk.ok(&["build", "--new", "new.bin", "--sequence", "8", "--unsigned", "-o", "other.suit"]);
    let said = desk.refuses(401, &attach("other.suit", "b.pub", "tbs", "sig"));
    assert!(said.contains("another package"), "{said}");
    desk.ok(&attach("draft.suit", "b.pub", "tbs", "sig"));
    desk.refuses(116, &attach("out", "b.pub", "tbs", "sig"));
    // Vendors agree about what they require.
    let other = ["sign", "prepare", "out", "--key", "a.pub", "--require", "any", "-o", "tbs2"];
    desk.refuses(117, &other);
    // Lattice keys sign beside a vendor's only.
    desk.refuses(
        203,
        &["sign", "prepare", "out", "--operator", "26201", "--key", "pq.pub", "-o", "t"],
    );
}

#[test]
fn der_signatures_of_other_tools_are_taken() {
    let desk = Desk::new();
    desk.ok(&["sign", "prepare", "draft.suit", "--key", "b.pub", "-o", "tbs"]);
    desk.sign_elsewhere("b", "tbs", "sig");
    let signature = p256::ecdsa::Signature::from_slice(&desk.read("sig")).unwrap();
    desk.write("der", signature.to_der().as_bytes());
    assert_ne!(desk.read("der"), desk.read("sig"));
    for (name, output) in [("sig", "one"), ("der", "two")] {
        desk.ok(&[
            "sign",
            "attach",
            "draft.suit",
            "--key",
            "b.pub",
            "--request",
            "tbs",
            "--signature",
            name,
            "-o",
            output,
        ]);
    }
    assert_eq!(desk.read("one"), desk.read("two"));
}

#[test]
fn operators_prompts_come_with_their_signature() {
    let desk = Desk::new();
    desk.ok(&["sign", "add", "draft.suit", "--key", "a.key", "-o", "signed.suit"]);
    desk.write(
        "prompts.toml",
        b"[en]\nbefore_download = \"Ours\"\nafter_download = \"b\"\n\
        before_update = \"c\"\nafter_update = \"d\"\n",
    );
    desk.ok(&[
        "sign",
        "prepare",
        "signed.suit",
        "--operator",
        "26201",
        "--key",
        "op.pub",
        "--prompts",
        "prompts.toml",
        "-o",
        "tbs",
    ]);
    desk.sign_elsewhere("op", "tbs", "sig");
    let attach = [
        "sign",
        "attach",
        "signed.suit",
        "--key",
        "op.pub",
        "--request",
        "tbs",
        "--signature",
        "sig",
        "-o",
        "out",
    ];
    let without = desk.run(&attach);
    assert!(!without.status.success() && !desk.path("out").exists());
    desk.ok(&[&attach[..], &["--prompts", "prompts.toml"]].concat());
    assert!(desk.read("out").windows(4).any(|window| window == b"Ours"));
}

impl Desk {
    /// The arguments that attach `sig` of `request` by `key` to the new anchor in `file`.
    fn attach_to_anchor(file: &str, key: &str, request: &str, output: &str) -> Vec<String> {
        let line = format!(
            "sign attach {file} --current v1.cbor --key {key}.pub --request {request} \
             --signature sig -o {output}"
        );
        line.split(' ').map(str::to_owned).collect()
    }

    /// Prepares the new anchor in `file` for `key`, and signs elsewhere.
    fn prepare_anchor(&self, file: &str, key: &str) {
        let public = format!("{key}.pub");
        let prepare = ["sign", "prepare", file, "--current", "v1.cbor", "--key", &public];
        self.ok(&[&prepare[..], &["-o", "tbs"]].concat());
        self.sign_elsewhere(key, "tbs", "sig");
    }
}

#[test]
fn an_anchor_is_signed_by_people_whose_keys_are_elsewhere() {
    let desk = Desk::new();
    desk.ok(&["trust", "compile", "trust.toml", "-o", "v1.cbor"]);
    desk.write("trust.toml", TRUST.replace("version = 1", "version = 2").as_bytes());
    desk.ok(&["trust", "compile", "trust.toml", "-o", "v2.cbor"]);
    let accept = ["trust", "accept", "next.cbor", "--current", "v1.cbor", "-o", "got.cbor"];
    // Every one prepares from the trust file; signatures gather in the signed form.
    let mut file = "trust.toml";
    for (key, needed) in [("pq", 2), ("a", 1), ("b", 0)] {
        desk.prepare_anchor("trust.toml", key);
        let attach = Desk::attach_to_anchor(file, key, "tbs", "next.cbor");
        let report = desk.json(&strs(&attach));
        assert_eq!(report["complete"], needed == 0, "{key}");
        assert_eq!(report["current"]["signed"], 2 - needed, "{key}");
        if needed > 0 {
            desk.refuses(402, &accept);
        }
        file = "next.cbor";
    }
    desk.ok(&accept);
    assert_eq!(desk.read("got.cbor"), desk.read("v2.cbor"));
    // The same bytes as by keys at hand.
    let rotate = "trust rotate trust.toml --current v1.cbor --key pq.key --key a.key --key b.key";
    let rotate: Vec<_> = rotate.split(' ').chain(["-o", "at-hand.cbor"]).collect();
    desk.ok(&rotate);
    assert_eq!(desk.read("at-hand.cbor"), desk.read("next.cbor"));
}

#[test]
fn what_is_not_of_this_anchor_is_not_attached_to_it() {
    let desk = Desk::new();
    desk.ok(&["trust", "compile", "trust.toml", "-o", "v1.cbor"]);
    for (version, name) in [("2", "v2.cbor"), ("3", "v3.cbor"), ("1", "same.cbor")] {
        let text = TRUST.replace("version = 1", &format!("version = {version}"));
        desk.write("next.toml", text.as_bytes());
        desk.ok(&["trust", "compile", "next.toml", "-o", name]);
    }
    let fails = |detail: u16, file: &str, key: &str, request: &str| {
        desk.refuses(detail, &strs(&Desk::attach_to_anchor(file, key, request, "out")))
    };
    desk.prepare_anchor("v2.cbor", "a");
    let said = fails(401, "v3.cbor", "a", "tbs");
    assert!(said.contains("another anchor"), "{said}");
    fails(401, "v2.cbor", "b", "tbs");
    fails(401, "v2.cbor", "a", "new.bin");
    // What the same key signed of a package.
    desk.ok(&["sign", "prepare", "draft.suit", "--key", "a.pub", "-o", "package.tbs"]);
    fails(401, "v2.cbor", "a", "package.tbs");
    desk.sign_elsewhere("a", "package.tbs", "sig");
    fails(403, "v2.cbor", "a", "tbs");
    desk.sign_elsewhere("b", "tbs", "sig");
    fails(403, "v2.cbor", "a", "tbs");
    // Neither keys that would not count, nor versions that do not follow, nor a second time.
    let prepare = |file: &'static str, key: &'static str| {
        ["sign", "prepare", file, "--current", "v1.cbor", "--key", key, "-o", "out"]
    };
    assert!(desk.refuses(901, &prepare("v2.cbor", "op.pub")).contains("neither anchor"));
    assert!(desk.refuses(901, &prepare("same.cbor", "a.pub")).contains("version 1"));
    desk.sign_elsewhere("a", "tbs", "sig");
    desk.ok(&strs(&Desk::attach_to_anchor("v2.cbor", "a", "tbs", "next.cbor")));
    desk.refuses(116, &prepare("next.cbor", "a.pub"));
    fails(116, "next.cbor", "a", "tbs");
    // Without --current it is taken for a package, which it is not.
    for file in ["v2.cbor", "next.cbor", "next.toml"] {
        let said = desk.refuses(901, &["sign", "prepare", file, "--key", "a.pub", "-o", "out"]);
        assert!(said.contains("--current"), "{said}");
    }
}

/// SoftHSM's library, where Debian and others put it.
fn softhsm() -> Option<&'static Path> {
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ];
    places.into_iter().map(Path::new).find(|path| path.exists())
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[cfg(feature = "pkcs11")]
#[test]
fn a_key_that_never_leaves_its_token_signs() {
    let Some(library) = softhsm() else {
        eprintln!("SKIPPED: signing in a token: softhsm2 is not installed");
        return;
    };
    let mut desk = Desk::new();
    std::fs::create_dir(desk.path("tokens")).unwrap();
    let tokens = desk.path("tokens");
    desk.write(
        "softhsm2.conf",
        format!("directories.tokendir = {}\n", tokens.display()).as_bytes(),
    );
    let configuration = desk.path("softhsm2.conf").display().to_string();
    desk.environment = vec![
        ("SOFTHSM2_CONF", configuration.clone()),
        ("FWDELTA_PKCS11_MODULE", library.display().to_string()),
    ];
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "Release", "--so-pin", "87654321"])
        .args(["--pin", "1234"])
        .env("SOFTHSM2_CONF", configuration)
        .output();
    assert!(made.unwrap().status.success());
    desk.write("pin", b"1234\n");
    desk.write("wrong", b"4321\n");
    let uri = |object: &str, pin: &str| {
        format!("pkcs11:token=Release;object={object}?pin-source={}", desk.path(pin).display())
    };
    for (object, algorithm) in [("vendor", "ed25519"), ("operator", "esp256")] {
        let uri = uri(object, "pin");
        let keygen = ["keygen", "--token", &uri, "--algorithm", algorithm, "--out", object];
        desk.ok(&keygen);
        desk.ok(&["sign", "public", "--key", &uri, "-o", "again"]);
        assert_eq!(desk.read("again"), desk.read(&format!("{object}.pub")));
        std::fs::remove_file(desk.path(&format!("{object}.pub"))).unwrap();
        // Not another key of the same name.
        assert!(!desk.run(&keygen).status.success());
        std::fs::rename(desk.path("again"), desk.path(&format!("{object}.pub"))).unwrap();
    }
    let (vendor, operator) = (uri("vendor", "pin"), uri("operator", "pin"));
    desk.ok(&[
        "build",
        "--old",
        "old.bin",
        "--new",
        "new.bin",
        "--sequence",
        "7",
        "--key",
        &vendor,
        "--key",
        &operator,
        "-o",
        "two.suit",
    ]);
    desk.ok(&[
        "build",
        "--old",
        "old.bin",
        "--new",
        "new.bin",
        "--sequence",
        "7",
        "--key",
        &vendor,
        "-o",
        "update.suit",
    ]);
    desk.ok(&["sign", "add", "draft.suit", "--key", &vendor, "-o", "added.suit"]);
    assert_eq!(desk.read("added.suit"), desk.read("update.suit"));
    desk.ok(&[
        "approve",
        "update.suit",
        "--operator",
        "26201",
        "--key",
        &operator,
        "-o",
        "approved.suit",
    ]);
    let trust = "version = 1\n[vendor]\nkeys = [\"vendor.pub\"]\n[[operator]]\nplmn = \"26201\"\n\
                 keys = [\"operator.pub\"]\n";
    desk.write("trust.toml", trust.as_bytes());
    let report = desk.json(&strs(&desk.verify("approved.suit")));
    assert_eq!(report["approved_by"], "26201");
    // The PIN may be in the environment, and must be right.
    let bare = "pkcs11:token=Release;object=vendor";
    let add = |key: &str| {
        let args = ["sign", "add", "draft.suit", "--key", key, "-o", "again.suit"];
        desk.run(&args)
    };
    let said = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(add(bare)).contains("FWDELTA_PKCS11_PIN"));
    assert!(said(add(&uri("vendor", "wrong"))).contains("PIN is wrong"));
    assert!(said(add(&uri("nobody", "pin"))).contains("no such private key"));
    let elsewhere = uri("vendor", "pin").replace("Release", "Other");
    assert!(said(add(&elsewhere)).contains("no such token"));
    desk.environment.push(("FWDELTA_PKCS11_PIN", "1234".to_owned()));
    desk.ok(&["sign", "add", "draft.suit", "--key", bare, "-o", "by-environment.suit"]);
    assert_eq!(desk.read("by-environment.suit"), desk.read("added.suit"));
    // Only the token has private keys: what is in PEM on this disk is what was made as files.
    let is_private = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(11).any(|window| window == b"PRIVATE KEY")
    };
    let mut private: Vec<_> = files_below(desk.dir.path()).into_iter().filter(is_private).collect();
    private.sort();
    let names: Vec<_> = private.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["a.key", "b.key", "op.key", "pq.key"]);
}
