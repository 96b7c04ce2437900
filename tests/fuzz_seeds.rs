//! The seeds of the decoders' fuzz targets are what is made here: what a fuzzer would take long to
//! guess, that is payloads that decode, headers of every coder, and code of every instruction set.
//! `cargo xtask vectors` writes them anew. How each input is read stands in its fuzz target.

mod common;
mod delta;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fwdelta::codec::predict::{Plan, encode};
use fwdelta::codec::{Script, bits, bsdiff, projected, streams};
use fwdelta::core::apply::memory_len;
use fwdelta::core::exec::layout::Content;
use fwdelta::core::exec::map::Listed;
use fwdelta::core::format::delta::{Coder, DeltaHeader, Shape, StreamShape};
use fwdelta::core::format::encryption::ContentAlgorithm;
use fwdelta::descriptor::{FileFacts, PackageFacts, describe};
use fwdelta::diff::{Delta, Options, Profile};
use fwdelta::matching::{self, Costs};
use fwdelta::package::assemble::Parts;
use fwdelta::package::build::{BuildOptions, Images, build};
use fwdelta::package::encrypt::{Encryption, GroupKey, RecipientKey};
use fwdelta::package::{PublicKey, trust_file};
use fwdelta::plan::{Entry, Image, Index, Part, emit_table};
use fwdelta::progress::Silent;
use fwdelta::release::Release;
use fwdelta_sim::fault::Random;

use delta::{every_coder, short_pair};

/// By target and name.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

/// An input, number by number, as `Numbers` of the fuzz targets reads it.
#[derive(Default)]
struct Input(Vec<u8>);

impl Input {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A number that is read as one below `end`.
    fn below(self, number: u16, end: usize) -> Self {
        let bytes = number.to_le_bytes();
        let len = if end > 256 { 2 } else { 1 };
        self.bytes(&bytes[..len])
    }
}

/// What is left of an input that says how new differs.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    delta::noise(&mut Random::new(seed), len, 256)
}

/// Old of the target `apply`, where it is no code.
fn numbers() -> Vec<u8> {
    (0..4096u32).map(|i| ((i * i) >> 3) as u8).collect()
}

/// Parts of `old` with changes and literals between them.
fn changed(old: &[u8]) -> Vec<u8> {
    let mut new = [&old[100..700], &[7; 9], &old[2000..2500], &old[40..90]].concat();
    for at in [30, 31, 200, 640, 900] {
        new[at] ^= 0x5a;
    }
    new
}

/// Frames of the target's decompressor: a length, so many bytes, 0 for the last.
fn framed(content: &[u8]) -> Vec<u8> {
    let frame = |part: &[u8]| [&[part.len() as u8], part].concat();
    content.chunks(255).map(frame).collect::<Vec<_>>().concat()
}

/// Payloads of every coder under what the target makes of parameter 3, and the number of covers.
fn payloads(old: &[u8], new: &[u8]) -> (Vec<Vec<u8>>, u8) {
    let covers = matching::plain_covers(old, new, &Costs::SMALL, &Silent).unwrap();
    let script = Script { old, new, covers: &covers };
    let listed = |cover: &matching::Cover| {
        let [old_pos, new_pos, len] =
            [cover.old_pos, cover.new_pos, cover.len].map(|number| number as u32);
        Listed { old_pos, new_pos, len }
    };
    let map: Vec<Listed> = covers.iter().take(2).map(listed).collect();
    let (old_segments, new_segments, runs) = (&[][..], &[][..], &[][..]);
    let plan = Plan { old, new, covers: &covers, map: &map, old_segments, new_segments, runs };
    let predicted = |is_max| {
        let (match_log, ring_log) = if is_max { (9, 9) } else { (0, 0) };
        let shape =
            Shape { model_log: 11, memo_log: 4, value_log: 0, buffer_log: 7, ..Shape::default() };
        let shape = plan.counted(Shape { match_log, ring_log, ..shape });
        let mut payload = Vec::new();
        encode(&plan, &shape, is_max, &mut |piece| payload.extend(piece)).unwrap();
        payload
    };
    let streamed = {
        let (window_log, block_len, buffer_log) = (13, 259, 7);
        let shape = StreamShape { window_log, block_len, buffer_log, ..StreamShape::default() };
        let plan = Plan { map: &map, ..plan };
        framed(&projected::content(&plan, &plan.stream_counted(shape)).unwrap())
    };
    assert!(covers.len() < 6, "the target has room for no more");
    let payloads = vec![
        new.to_vec(),
        bits::encode(&script, 11).unwrap(),
        framed(&streams::content(&script, 67)),
        framed(&bsdiff::raw(old, new).unwrap()),
        predicted(false),
        predicted(true),
        streamed,
    ];
    (payloads, covers.len() as u8)
}

/// What a slot is like: number of the write unit, of the sector, whether it is short, erased byte.
const fn slot(write_unit: u8, sector: u8, is_short: u8, erased: u8) -> u8 {
    write_unit | sector << 3 | is_short << 5 | erased << 6
}

fn apply_seeds(seeds: &mut Seeds) {
    let old = numbers();
    let new = changed(&old);
    let (payloads, cover_count) = payloads(&old, &new);
    for (coder, payload) in payloads.into_iter().enumerate() {
        let head = Input::default().bytes(&[coder as u8, 3]).below(new.len() as u16, 8192);
        // Coders 4 and 5: no segments and runs, two covers listed, others inline; 6: all listed.
        let listed = if coder == 6 { cover_count } else { 2 };
        let head = head.bytes(&[40, 132, 0, 0, listed]).0;
        let devices: [(&str, [u8; 3]); 9] = [
            ("", [slot(3, 1, 0, 1), 0, 0]),
            ("-chained", [slot(4, 2, 0, 3), 0, 9]),
            ("-flipped", [slot(4, 2, 0, 3), 0, 137]),
            ("-bad-old", [slot(3, 1, 0, 1), 25, 0]),
            ("-bad-slot", [slot(3, 1, 0, 1), 10, 0]),
            ("-no-erase", [slot(3, 1, 0, 1), 2, 0]),
            ("-no-words", [slot(6, 1, 0, 1), 0, 0]),
            ("-wide-words", [slot(7, 0, 0, 1), 0, 0]),
            ("-files", [slot(0, 0, 0, 1), 0, 0]),
        ];
        for (name, device) in devices {
            let input = [&head[..], &device, &payload].concat();
            seeds.insert(("apply", format!("{coder}{name}")), input);
        }
        let long = [&head[..2], &[0xff, 0x1f], &head[4..], &[slot(5, 1, 1, 1), 0, 0]].concat();
        seeds.insert(("apply", format!("{coder}-long")), [&long[..], &payload].concat());
    }
}

fn header_seeds(seeds: &mut Seeds) {
    let made = every_coder(&short_pair());
    // What is stored says nothing of old in a file, but does in packages.
    let bound = made[1].1.header;
    for (pair, mut delta) in made {
        let name = delta.header.coder.name();
        delta.header.old = bound.old;
        seeds.insert(("delta_header", format!("made-{name}")), delta.header_bytes());
        let chained = delta.clone().chained(1024).unwrap();
        seeds.insert(("delta_header", format!("made-{name}-chained")), chained.header_bytes());
        let header = DeltaHeader { old: None, ..delta.header };
        let full = Delta { header, payload: Vec::new() };
        assert!(pair.new.len() as u64 == full.header.new.len);
        seeds.insert(("delta_header", format!("made-{name}-full")), full.header_bytes());
    }
    let shape =
        Shape { model_log: 9, memo_log: 2, value_log: 1, buffer_log: 8, ..Shape::default() };
    for shape in [
        Shape { covers: 1 << 24, ..shape },
        Shape { model_log: 25, ..shape },
        Shape { buffer_log: 21, ..shape },
        Shape { memo_log: 0, ..shape },
        Shape { runs: (1 << 24) + 1, ..shape },
    ] {
        let mut header = DeltaHeader { coder: Coder::Predicted(shape), ..bound };
        header.workspace_len = memory_len(&header).unwrap_or(0);
        let bytes = Delta { header, payload: Vec::new() }.header_bytes();
        let Shape { model_log, memo_log, buffer_log, runs, covers, .. } = shape;
        let name = format!("shape-{model_log}-{memo_log}-{buffer_log}-{runs}-{covers}");
        seeds.insert(("delta_header", name), bytes);
    }
}

/// Where code is loaded: position, address byte and its shift, as the target reads it.
const LOADED: [(u8, u8); 4] = [(1, 16), (0, 0), (255, 40), (8, 28)];

fn predicted_seeds(seeds: &mut Seeds) {
    for number in 0..44u8 {
        let (content, flags) = (number % 11, number / 11);
        let which = (number + flags) % 3;
        let mut input = Input::default().bytes(&[64 | which, 6, 4, 3, 2]);
        if which == 1 {
            input = input.bytes(&[1, 1]);
        }
        let (addr, shift) = LOADED[usize::from(number) % LOADED.len()];
        // The new image is loaded as the old one; both have memory behind them.
        for _ in 0..2 {
            input = input.bytes(&[addr, shift, 2]);
            input = input.bytes(&[0, 0]).below(1000, 1024).bytes(&[64, 0, 0, 1]);
            input = input.bytes(&[0, 0]).below(900, 1024).bytes(&[99, 4, 12, 1]);
        }
        // Two runs of the content, the first one of wide words or not, one of data between.
        let class = content | (flags & 1) << 6 | (flags & 2) << 6;
        input = input.bytes(&[3, class]).below(820, 1024);
        input = input.bytes(&[(flags & 1) << 6]).below(301, 1024);
        input = input.bytes(&[content]).below(0, 1024);
        input = input.below(1900, 4096).below(u16::from(number), 1 << 16);
        let input = input.bytes(&noise(u64::from(number), 220)).0;
        let name = format!("code-{content}-{flags}");
        assert!(Content::from_number(content).is_some());
        seeds.insert(("predicted", name), input);
    }
}

fn delta_seeds(seeds: &mut Seeds) {
    for number in 0..22u8 {
        let content = number % 11;
        let input = Input::default().bytes(&[number % 4, 128 | content]).below(2500, 8192);
        let input = input.below(u16::from(number) * 3, 1 << 16);
        let input = input.bytes(&noise(u64::from(number), 90)).0;
        seeds.insert(("delta", format!("code-{content}-{}", number / 11)), input);
    }
}

/// Old images with parts that move, on flash of every kind.
fn in_place_seeds(seeds: &mut Seeds) {
    for number in 0..18u8 {
        let (profile, shift) = (number % 3, number % 4);
        // Page length, runs of other lengths, spare pages, write unit, erased, order, interval.
        let runs = [&[0][..], &[1, 2, 3], &[2, 1, 0, 4, 3]][usize::from(number / 6)];
        let input = Input::default().bytes(&[profile, shift]).bytes(runs);
        let input = input.bytes(&[number % 6, number % 5, number & 1, number % 4, number]);
        let input = input.bytes(&[number * 3]).below(u16::from(number) * 29, 4096);
        let input = input.bytes(&[number % 3, number]).below(u16::from(number), 4096);
        let input = input.bytes(&[number % 8, number.reverse_bits() >> 4]).below(1400, 3000);
        let old = delta::noise(&mut Random::new(number.into()), 1401, 30);
        let input = input.bytes(&old).bytes(&noise(u64::from(number) + 50, 60)).0;
        seeds.insert(("in_place", format!("made-{number:02}")), input);
    }
}

/// Descriptors of both versions as they are written, and as others write them.
fn descriptor_seeds(seeds: &mut Seeds) {
    let toml = "version = \"2.1\"\nnext_url = \"https://e.com/n?a=1&b=2\"\n\
        [vendor]\nhomepage = \"https://e.com/\"\n[language.he.prompts]\n\
        before_download = \"<להוריד> & 'ok'?\"\n";
    let mut load = |_: &str| unreachable!("no files are named");
    let release = Release::parse(toml, "release.toml", &mut load).unwrap();
    let file = |name: &str| FileFacts {
        file_name: name.to_owned(),
        media_type: "a/b".to_owned(),
        size: 1000,
        sha256: [0xab; 32],
    };
    let package = PackageFacts {
        envelope: file("a.suit"),
        payloads: vec![file("p")],
        version: release.version.clone(),
        install_size: 7,
    };
    for file in describe(&package, &release, "https://e.com").unwrap() {
        if file.name != "index.json" {
            seeds.insert(("descriptor", file.name), file.bytes);
        }
    }
    let tolerated = "<d:media xmlns:d='urn:oma:xml:dl:dd:2.0' xmlns='urn:oma:xml:dl:dd:2.0' \
        xmlns:v='urn:v' DDVersion='2.0'><!-- c --><product><mediaObject><v:size>7</v:size>\
        <size> 1,000 </size><type>a/b</type><meta><name><![CDATA[a]]>&amp;&#65;</name></meta>\
        <objectURI>http://e.com/</objectURI></mediaObject></product></d:media>";
    seeds.insert(("descriptor", "tolerated".to_owned()), tolerated.into());
}

/// Indexes of one package, and of one of each kind.
fn index_seeds(seeds: &mut Seeds) {
    let image = |number: u8| Image { version: "1.0".into(), len: 9, digest: [number; 32] };
    let entry = |number: u8, old: Option<u8>, new: u8| Entry {
        file: format!("{number}.suit"),
        size: number.into(),
        digest: [number; 32],
        manifest: [number; 32],
        sequence: number.into(),
        order: new.into(),
        is_restore: false,
        undoes: None,
        parts: vec![Part {
            name: "a".into(),
            old: old.map(image),
            new: image(new),
            workspace_len: 5,
            in_place: false,
        }],
        groups: Vec::new(),
        next_url: None,
    };
    let mut index = Index { entries: vec![entry(1, Some(0), 1)], next_url: None };
    seeds.insert(("index", "one".to_owned()), emit_table(&index));
    let (mut back, mut restore) = (entry(2, Some(1), 0), entry(3, Some(2), 1));
    (back.undoes, restore.is_restore) = (Some([1; 32]), true);
    let mut rich = entry(4, Some(1), 2);
    rich.groups = vec!["lab".into()];
    rich.next_url = Some("https://e.com/".into());
    rich.parts.push(Part { name: "b".into(), old: None, ..rich.parts[0].clone() });
    index.entries.extend([back, restore, rich, entry(5, None, 2), entry(6, Some(0), 2)]);
    index.next_url = Some("https://e.com/i".into());
    seeds.insert(("index", "each-kind".to_owned()), emit_table(&index));
}

/// The string of the target's packages, allowed and not, blank, and files of other lengths.
fn ef_fota_seeds(seeds: &mut Seeds) {
    let string = b"the SIM's string";
    for (name, choice, condition, string) in [
        ("allowed", 0, 1, &string[..]),
        ("secret", 8, 1, string),
        ("signed", 16, 1, string),
        ("bit-3", 3, 8, string),
        ("not-allowed", 0, 0xfe, string),
        ("zeros", 0, 1, &[0; 16]),
        ("ones", 8, 0xff, &[0xff; 16]),
        ("short", 0, 1, &string[..15]),
    ] {
        let seed = [&[choice, condition], string].concat();
        seeds.insert(("ef_fota", name.to_owned()), seed);
    }
}

/// Manifests with demands of every kind, headers and payloads, before the target signs them; first
/// the numbers of its anchor, SIM, requirement and approvals.
fn resigned_seeds(seeds: &mut Seeds) {
    let (old, new) = common::tiny_pair();
    let plain = "version = \"1\"\n";
    let demanding = "version = \"1\"\n[requires]\nexpires = 1800000000\n\
        battery = 40\nauthorized = true\n\
        device_id = \"33333333-3333-3333-3333-333333333333\"\nhardware = [\"2.1\", \"3\"]\n\
        [requires.component]\nboot = \">= 1.1\"\n";
    // Keys, modes, policy; SIM and condition; requirement; approvals, by whom and how.
    let decisions: [(&str, &[u8]); 8] = [
        ("signed", &[0, 15, 0xe2, 2, 1, 1, 1, 0, 2]),
        ("string-of-two", &[1, 63, 0xe2, 2, 1, 2, 2, 0, 0x20, 1, 0x20]),
        ("secret", &[2, 2, 0xe2, 3, 1, 3, 2, 1, 1, 0, 2]),
        ("with-prompts", &[0, 4, 0xe2, 2, 1, 0, 3, 64, 2, 65, 0x82, 2, 2]),
        ("unapproved", &[0, 4, 0xe1, 2, 1, 0, 0]),
        ("no-sim", &[2, 4, 0xe2, 0, 0, 0, 0]),
        ("mismatch", &[0, 4, 0xe0, 2, 1, 0, 1, 1, 2]),
        ("not-allowed", &[0, 4, 0xe8, 2, 1, 4, 2, 0, 2, 1, 0xc2]),
    ];
    for (kind, toml) in [("plain", plain), ("demanding", demanding)] {
        let release = Release::parse(toml, "r.toml", &mut |_| Ok(String::new())).unwrap();
        for (name, numbers) in decisions {
            let old = (kind == "plain" || name != "secret").then_some(old.as_slice());
            let options = BuildOptions {
                diff: Options { profile: Profile::Plain, threads: 1, ..Options::default() },
                sequence: 6,
                ..BuildOptions::default()
            };
            let images = [Images { name: "main", old, new: &new }];
            let images = [images[0], Images { name: "modem", ..images[0] }];
            let count = 1 + usize::from(name.starts_with('s'));
            let key = [common::key("vendor")];
            let built = build(&images[..count], &release, &key, &options, &Silent).unwrap();
            let parts = Parts::read(&built.package).unwrap();
            let header = parts.payload("#h0").unwrap();
            let input = Input::default().bytes(numbers).below(77, 65_536);
            let input = input.below(header.len() as u16, 300).bytes(header);
            let input = input.below(parts.manifest.len() as u16, 4096).bytes(&parts.manifest);
            let input = input.bytes(parts.payload("#payload0").unwrap()).0;
            seeds.insert(("resigned", format!("{kind}-{name}")), input);
        }
    }
}

/// Anchors of every kind that may follow, with the numbers of the present one and who signs.
fn reanchored_seeds(seeds: &mut Seeds) {
    let vendors = [
        ("one", "keys = [\"a\"]"),
        ("two", "threshold = 2\nkeys = [\"a\", \"b p256\"]"),
        ("hybrid", "keys = [{ key = \"a\", hybrid = \"a lattice\" }]"),
    ];
    for (name, vendor) in vendors {
        let text = format!(
            "version = 9\n[vendor]\n{vendor}\n[[operator]]\nplmn = \"26201\"\nkeys = [\"o\"]\n\
             attach_keys = [\"s\"]\nmodes = [\"string\", \"signed\"]\n"
        );
        let mut load =
            |name: &str| -> fwdelta::Result<PublicKey> { Ok(common::key(name).public()) };
        let anchor = trust_file::compile(&text, "trust.toml", &mut load).unwrap();
        for (signers, bits) in [("all", 0xff), ("some", 0x15), ("none", 0)] {
            let input = Input::default().bytes(&[1, 8, bits, bits, bits, bits]).bytes(&anchor).0;
            seeds.insert(("reanchored", format!("{name}-{signers}")), input);
        }
    }
}

/// Encryption-infos for recipients of both kinds; payloads that decode, under what is done to their
/// chunks; images that are rewritten in place.
fn encrypted_seeds(seeds: &mut Seeds) {
    let (recipients, old) = (encryption_recipients(), numbers());
    let old = &old[..2048];
    let new = [&old[100..700], &[7; 9], &old[1000..1500], &old[40..90]].concat();
    for (number, algorithm) in
        [ContentAlgorithm::A128Gcm, ContentAlgorithm::ChaCha20Poly1305].into_iter().enumerate()
    {
        for (name, range) in [("device", 0..1), ("group", 1..2), ("both", 0..2)] {
            let encryption = Encryption::new(algorithm, recipients[range].to_vec()).unwrap();
            let encryption = encryption.with_random(Arc::new(|bytes| {
                bytes.fill(5);
                Ok(())
            }));
            let info = encryption.seal(&[], 64).unwrap().info;
            let seed = Input::default().bytes(&[0]).bytes(&info).0;
            seeds.insert(("encrypted", format!("info-{number}-{name}")), seed);
        }
        let covers = matching::plain_covers(old, &new, &Costs::SMALL, &Silent).unwrap();
        let script = Script { old, new: &new, covers: &covers };
        let payloads = [new.clone(), bits::encode(&script, 11).unwrap()];
        for (coder, payload) in payloads.into_iter().enumerate() {
            for change in 0..6u8 {
                let seed = Input::default().bytes(&[1, number as u8, 9, coder as u8]);
                let seed = seed.below(new.len() as u16, 4096).below(40, 300);
                let seed = seed.bytes(&[1, 0, change, 3, 2, 0, 0, 0, 0, 0, 0, 0]).bytes(&payload);
                let name = format!("stream-{number}-{coder}-{change}");
                seeds.insert(("encrypted", name), seed.0);
            }
        }
        for change in 0..6u8 {
            let seed = Input::default().bytes(&[2, number as u8, 20, change * 3]);
            let seed = seed.below(300 + u16::from(change), 4096).bytes(&[3]);
            let seed = seed.bytes(&[1, 0, change, 3, 2, 0, 30 + change, 1]).0;
            seeds.insert(("encrypted", format!("in-place-{number}-{change}")), seed);
        }
    }
}

/// A device, and the group whose key the target has.
fn encryption_recipients() -> [RecipientKey; 2] {
    let PublicKey::Esp256(point) = common::key("p256").public() else { panic!("a point") };
    [RecipientKey::Point(point), RecipientKey::Group(GroupKey::new([3; 16]))]
}

#[test]
fn seeds_are_as_they_are_made() {
    let mut seeds = Seeds::new();
    apply_seeds(&mut seeds);
    header_seeds(&mut seeds);
    predicted_seeds(&mut seeds);
    delta_seeds(&mut seeds);
    in_place_seeds(&mut seeds);
    descriptor_seeds(&mut seeds);
    index_seeds(&mut seeds);
    ef_fota_seeds(&mut seeds);
    resigned_seeds(&mut seeds);
    reanchored_seeds(&mut seeds);
    encrypted_seeds(&mut seeds);
    for ((target, name), seed) in seeds {
        let file = dir().join(target).join(name);
        if std::env::var_os("FWDELTA_REGENERATE").is_some() {
            std::fs::create_dir_all(dir().join(target)).unwrap();
            std::fs::write(&file, &seed).unwrap();
        }
        let stored = std::fs::read(&file).unwrap_or_default();
        assert!(stored == seed, "{}: `cargo xtask vectors` makes it anew", file.display());
    }
}
