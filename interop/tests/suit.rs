//! What the other parser finds is compared with what was put in. docs/interoperability.md says what
//! it takes and what not; both are held here, so that a change of either side is noticed.
//!
//! The environment variable FWDELTA names the command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fwdelta_interop::{Found, raw_key, read, stated};

/// A folder with keys, and the command that works in it.
struct Desk(PathBuf);

impl Desk {
    fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// The file of this name.
    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).unwrap();
    }

    #[track_caller]
    fn run(&self, line: &str) {
        let program = std::env::var_os("FWDELTA").expect("run by `cargo xtask interoperability`");
        let output = Command::new(program).args(line.split(' ')).current_dir(&self.0).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn keygen(&self, name: &str, algorithm: &str) -> Vec<u8> {
        self.run(&format!("keygen --algorithm {algorithm} --out {name}"));
        raw_key(&String::from_utf8(self.file(&format!("{name}.pub"))).unwrap())
    }

    /// Builds `update.suit` of `old` and `new`, or of whatever else `images` names.
    fn build(&self, images: &str, key: &str) {
        self.run(&format!(
            "build {images} --key {key}.key --sequence 7 --profile small -o update.suit"
        ));
    }

    /// The package without its integrated payloads.
    fn envelope(&self) -> Vec<u8> {
        self.run("export suit update.suit -o manifest.suit");
        self.file("manifest.suit")
    }

    /// What the parser must find whatever the package is; images are files of this folder.
    #[track_caller]
    fn check(&self, raw_key: &[u8], images: &[(&str, Option<&str>, &str)]) -> Found {
        let found = read(&self.envelope(), raw_key).unwrap();
        assert_eq!(found.sequence, 7);
        assert_eq!(found.private, 0, "registered commands only");
        assert_eq!(found.copies, images.len());
        for (name, old, new) in images {
            let new = stated(&self.file(new));
            assert_eq!(found.digest_of(&format!("{name}/new")), Some(&new));
            let old = old.map(|old| stated(&self.file(old)));
            assert_eq!(found.digest_of(&format!("{name}/old")), old.as_ref());
        }
        found
    }
}

/// Two images that differ in a few places.
fn tiny_pair(desk: &Desk) {
    let old: Vec<u8> = (0..1024u32).map(|at| ((at * at) >> 5) as u8).collect();
    let mut new = old.clone();
    new[100] ^= 0x55;
    new[700..708].copy_from_slice(b"new text");
    new.extend_from_slice(b"and an end");
    desk.put("old", &old);
    desk.put("new", &new);
}

const BOTH: &str = "--old old --new new";

#[test]
fn a_delta_is_read_to_the_end_whoever_signed_it() {
    let desk = Desk::new("delta");
    let firmware = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/firmware/apollo");
    for name in ["old", "new"] {
        desk.put(name, &fs::read(firmware.join(name).with_extension("bin")).unwrap());
    }
    for algorithm in ["ed25519", "esp256"] {
        let key = desk.keygen(algorithm, algorithm);
        desk.build(BOTH, algorithm);
        let found = desk.check(&key, &[("main", Some("old"), "new")]);
        assert_eq!(
            found.components,
            ["main/old", "main/dhdr", "main/delta", "main/new", "prompts"]
        );
        assert_eq!(found.uris, ["#h0", "#payload0", "#p"]);
        // Vendor and class; header, delta, prompts, old and new; new once more when validated.
        assert_eq!(found.conditions, 2 + 5 + 1);
    }
}

#[test]
fn full_images_updates_in_place_and_detached_payloads_are_read() {
    let desk = Desk::new("forms");
    tiny_pair(&desk);
    let key = desk.keygen("vendor", "esp256");
    desk.build("--new new", "vendor");
    let found = desk.check(&key, &[("main", None, "new")]);
    assert_eq!(found.components, ["main/dhdr", "main/delta", "main/new", "prompts"]);

    let images = [("main", Some("old"), "new")];
    desk.build(&format!("{BOTH} --in-place --page 256 --spare 2"), "vendor");
    desk.check(&key, &images);

    desk.build(&format!("{BOTH} --detached https://updates.example/"), "vendor");
    let found = desk.check(&key, &images);
    let base = found.uris[1].strip_prefix("https://updates.example/").unwrap();
    assert_eq!(found.digest_of("main/delta"), Some(&stated(&desk.file(base))));
}

#[test]
fn the_first_block_is_verified_and_approvals_behind_it_do_not_disturb() {
    let desk = Desk::new("approved");
    tiny_pair(&desk);
    let key = desk.keygen("vendor", "esp256");
    let another = desk.keygen("another", "esp256");
    desk.keygen("operator", "ed25519");
    desk.build(BOTH, "vendor");
    desk.run("approve update.suit --operator 26201 --key operator.key -o update.suit");
    desk.check(&key, &[("main", Some("old"), "new")]);
    let envelope = desk.envelope();
    assert!(read(&envelope, &another).is_err(), "another key's signature");
    let mut changed = envelope.clone();
    let pos = changed.windows(4).rposition(|part| part == b"dhdr").unwrap();
    changed[pos] ^= 1;
    let error = read(&changed, &key).unwrap_err();
    assert!(error.contains("Invalid Digest"), "{error}");
}

/// Limits of the other parser, not ours: when one of these fails it has learnt something, and
/// docs/interoperability.md is to be changed.
#[test]
fn what_it_does_not_take() {
    let desk = Desk::new("limits");
    tiny_pair(&desk);
    let key = desk.keygen("vendor", "esp256");
    // Payloads in the envelope stand under text keys, and it knows integer keys only.
    desk.build(BOTH, "vendor");
    let error = read(&desk.file("update.suit"), &key).unwrap_err();
    assert!(error.contains("unexpected type"), "{error}");
    // It has room for 20 commands in a sequence: two components need more to install.
    desk.build("--component boot:old:new --component main:old:new", "vendor");
    let error = read(&desk.envelope(), &key).unwrap_err();
    assert!(error.contains("capacity was 20"), "{error}");
}
