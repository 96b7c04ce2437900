//! Vectors of encrypted packages, run by core, by the command, from C and by the independent
//! reader; `cargo xtask vectors` makes them anew. Packages of `index.tsv` have a slot of their own;
//! those of `in-place.tsv` rewrite `../old.bin`, and their index has the plain payload's digest.

use fwdelta::core::apply::in_place::{Areas, Flash};
use fwdelta::core::apply::{Applier, two_slots};
use fwdelta::core::format::delta::DeltaHeader;
use fwdelta::core::format::sealed::OpenChunk;
use fwdelta::core::storage::Geometry;
use fwdelta::diff::{FirstPages, Place, RamFlash, rewrite_opened};
use fwdelta::hex::hex;

use super::*;

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors/encrypted")
}

const INDEX: &str = "index.tsv";
const IN_PLACE: &str = "in-place.tsv";
/// Keys as a device has them: the key id, then the secret number of a P-256 key, or a group's key.
const KEYS: &str = "keys.tsv";
const TRUST: &str = "trust.cbor";
const HEADER: &str = "name\tkey\texpect";
const PLAIN_HEADER: &str = "name\tkey\texpect\tplain";
const KEYS_HEADER: &str = "name\tkid\tkey";

fn write(name: &str, bytes: &[u8]) {
    std::fs::write(dir().join(name), bytes).unwrap();
}

fn number(expected: Result<(), Detail>) -> u16 {
    expected.map_or_else(|detail| detail as u16, |()| 0)
}

fn made(algorithm: ContentAlgorithm, recipients: Vec<RecipientKey>) -> Encryption {
    fixed(Encryption::new(algorithm, recipients).unwrap())
}

fn regenerate() {
    std::fs::create_dir_all(dir()).unwrap();
    regenerate_keys();
    let mut lines = vec![HEADER.to_owned()];
    let mut add = |name: &str, package: &[u8], key: &str, expected: Result<(), Detail>| {
        write(&format!("{name}.suit"), package);
        lines.push(format!("{name}\t{key}\t{}", number(expected)));
    };
    for (algorithm, name) in BOTH.into_iter().zip(["a128gcm", "chacha20-poly1305"]) {
        let for_both = || vec![pair(2).0, pair(1).0, group(3).0];
        let good = resealed(&made(algorithm, for_both()), &|_| {});
        add(&format!("{name}-device"), &good, "device.key", Ok(()));
        add(&format!("{name}-group"), &good, "group.key", Ok(()));
        add(&format!("{name}-other-group"), &good, "other-group.key", Err(Detail::NotRecipient));
        add(&format!("{name}-no-key"), &good, "-", Err(Detail::NotRecipient));
    }
    for (name, change, expected) in CHANGES {
        let package = resealed(&made(BOTH[0], vec![group(3).0]), change);
        add(&format!("changed-{name}"), &package, "group.key", Err(*expected));
    }
    write(INDEX, (lines.join("\n") + "\n").as_bytes());
    regenerate_in_place();
}

fn regenerate_keys() {
    write("group.key", GroupKey::new([3; 16]).to_text().as_bytes());
    write("other-group.key", GroupKey::new([4; 16]).to_text().as_bytes());
    write("device.key", secret(1).to_pem().unwrap().as_bytes());
    write(TRUST, &anchor("no_sim = \"apply\""));
    let device = secret(1).public().kid();
    let lines = [
        KEYS_HEADER.to_owned(),
        format!("device.key\t{}\t{}", hex(&device), hex(&[1; 32])),
        format!("group.key\t{}\t{}", hex(&GroupKey::new([3; 16]).kid()), hex(&[3; 16])),
        format!("other-group.key\t{}\t{}", hex(&GroupKey::new([4; 16]).kid()), hex(&[4; 16])),
    ];
    write(KEYS, (lines.join("\n") + "\n").as_bytes());
}

fn regenerate_in_place() {
    let mut lines = vec![PLAIN_HEADER.to_owned()];
    for (algorithm, profile, name, key) in [
        (BOTH[0], Profile::Plain, "in-place-a128gcm", "device.key"),
        (BOTH[1], Profile::Plain, "in-place-chacha20-poly1305", "group.key"),
    ] {
        let encryption = made(algorithm, vec![pair(1).0, group(3).0]);
        let package = in_place(profile, Some(encryption));
        write(&format!("{name}.suit"), &package);
        let plain = in_place(profile, None);
        let payload = Parts::read(&plain).unwrap().payload("#payload0").unwrap().to_vec();
        lines.push(format!("{name}\t{key}\t0\t{}", hex(&sha256(&unchained(&payload)))));
        lines.push(format!("{name}\tother-group.key\t{}\t-", Detail::NotRecipient as u16));
    }
    write(IN_PLACE, (lines.join("\n") + "\n").as_bytes());
}

/// A package of the tiny pair that is applied in place.
fn in_place(profile: Profile, encryption: Option<Encryption>) -> Vec<u8> {
    let (old, new) = tiny_pair();
    package(Some(&old), &new, profile, &|options| {
        options.encryption.clone_from(&encryption);
        options.chunk_len = Some(CHUNK_LEN);
        options.diff.in_place = Some(Place {
            page_len: 256,
            first: FirstPages::NONE,
            spare_count: 1,
            write_len: 8,
            erased: 0xff,
            order: None,
            interval: Some(1),
            room: None,
        });
    })
}

/// The payload without the hashes of its chain.
fn unchained(payload: &[u8]) -> Vec<u8> {
    let (mut rest, mut plain) = (payload, Vec::new());
    while rest.len() > CHUNK_LEN as usize {
        plain.extend_from_slice(&rest[..CHUNK_LEN as usize]);
        rest = &rest[CHUNK_LEN as usize + 32..];
    }
    [&plain, rest].concat()
}

/// Packages with their key files, what becomes of them, and what else stands there.
type Lines = Vec<(String, Option<String>, u16, String)>;

/// The vectors of an index, made anew first where that is asked for.
fn vectors(index: &str, header: &str) -> Lines {
    static MADE: std::sync::Once = std::sync::Once::new();
    if std::env::var_os("FWDELTA_REGENERATE").is_some() {
        MADE.call_once(regenerate);
    }
    let text = std::fs::read_to_string(dir().join(index)).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(header));
    let read = |line: &str| {
        let fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
        let [name, key, expected, rest @ ..] = fields.as_slice() else { panic!("{line}") };
        let key = Some(key.clone()).filter(|key| key != "-");
        (name.clone(), key, expected.parse().unwrap(), rest.concat())
    };
    lines.map(read).collect()
}

fn keys(name: Option<&String>) -> Vec<DecryptKey> {
    let read = |name: &String| {
        let text = std::fs::read_to_string(dir().join(name)).unwrap();
        DecryptKey::from_text(&text, name).unwrap()
    };
    name.into_iter().map(read).collect()
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(dir().join(format!("{name}.suit"))).unwrap()
}

#[test]
fn core_gives_what_the_index_says() {
    let (_, new) = tiny_pair();
    let all = vectors(INDEX, HEADER);
    assert_eq!(all.len(), 8 + CHANGES.len());
    for (name, key, expected, _) in all {
        let found = updated(&read(&name), &keys(key.as_ref()));
        assert_eq!(found.as_ref().map_or_else(|detail| *detail as u16, |_| 0), expected, "{name}");
        assert!(found.is_err() || found == Ok(new.clone()), "{name}");
    }
}

/// What a device makes of a package that is applied in place.
fn rewritten(package: &[u8], keys: &[DecryptKey]) -> Result<Vec<u8>, Detail> {
    let (old, anchor) = (tiny_pair().0, std::fs::read(dir().join(TRUST)).unwrap());
    let device = Device { sim: Sim::Absent, sequence: Some(7), facts: Facts::default() };
    let run = || -> fwdelta::Result<Vec<u8>> {
        let (trust, mut buf, limits) = (Trust::parse(&anchor)?, vec![0; 4096], Limits::LINUX);
        let (mut file, len) = (package, package.len() as u64);
        let opened =
            Package::verify(&mut file, len, &mut buf, &trust, &device, &ALGORITHMS, &limits)?;
        let mut kit = Kit { old: OneOld(&old), keys };
        let extent = Extent::Update;
        let checked = receive::check(&opened, &mut file, &mut kit, extent, &limits, &Silent)?;
        let header: &DeltaHeader = &checked[0].header;
        let sector_len = header.in_place.unwrap().page_len;
        let geometry = Geometry { len: 2048, sector_len, write_len: 8, erased: 0xff };
        let mut work = vec![0; Applier::workspace(header)? as usize];
        let len = Areas::of(header, 8, &mut work)?.scratch_len();
        let mut slot = RamFlash::new(&old, geometry);
        let mut scratch = RamFlash::new(&[], Geometry { len, ..geometry });
        let opening = receive::opening(&opened, &kit, 0)?;
        let opener = opening.as_ref().map(|opening| opening as &dyn OpenChunk);
        let mut payload = receive::staged(&opened, &mut file, &mut kit, 0)?;
        let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload: &mut payload };
        let binding: two_slots::Binding = opened.binding(0)?;
        rewrite_opened(header, opener, &mut flash, &limits, binding)?;
        Ok(slot.bytes()[..header.new.len as usize].to_vec())
    };
    run().map_err(|error| error.detail())
}

#[test]
fn core_rewrites_in_place_what_the_index_says() {
    let all = vectors(IN_PLACE, PLAIN_HEADER);
    assert_eq!(all.len(), 4);
    for (name, key, expected, _) in all {
        let found = rewritten(&read(&name), &keys(key.as_ref()));
        assert_eq!(found.as_ref().map_or_else(|detail| *detail as u16, |_| 0), expected, "{name}");
        assert!(found.is_err() || found == Ok(tiny_pair().1), "{name}");
    }
}

#[test]
fn the_command_gives_the_same_numbers() {
    let (old, new) = tiny_pair();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut ways = Vec::new();
    for vector in vectors(INDEX, HEADER) {
        ways.push((vector.clone(), "-o new"));
        ways.push((vector, "-o new --journal journal"));
    }
    let in_place = vectors(IN_PLACE, PLAIN_HEADER);
    ways.extend(in_place.into_iter().map(|vector| (vector, "--in-place new --journal journal")));
    for ((name, key, expected, _), way) in ways {
        if way.contains("--in-place") {
            std::fs::write(path("new"), &old).unwrap();
        }
        let before = std::fs::read(path("new")).ok();
        let (package, trust) = (dir().join(format!("{name}.suit")), dir().join(TRUST));
        let mut line = format!("apply --json {} --trust {}", package.display(), trust.display());
        line += &format!(" --sim none {way}");
        if let Some(key) = key {
            line += &format!(" --decrypt-key {}", dir().join(key).display());
        }
        let (code, said) = fwdelta(folder.path(), &line.split(' ').collect::<Vec<_>>());
        let category = if expected == 0 { 0 } else { 10 + i32::from(expected / 100) };
        assert_eq!(code, category, "{name} {way}: {said}");
        let after = std::fs::read(path("new")).ok();
        assert!(if expected == 0 { after == Some(new.clone()) } else { after == before }, "{name}");
        for left in std::fs::read_dir(folder.path()).unwrap() {
            std::fs::remove_file(left.unwrap().path()).unwrap();
        }
    }
}
