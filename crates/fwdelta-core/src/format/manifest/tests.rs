use super::*;
use crate::format::cbor::SliceSink;

fn blob(n: u8) -> Blob {
    Blob { len: u64::from(n) * 1000, digest: [n; 32] }
}

fn component(name: &'static str, old: bool, detached: Option<&'static str>) -> Component<'static> {
    let old = old.then(|| blob(1));
    Component {
        name,
        old,
        new: blob(2),
        header: blob(3),
        delta: blob(4),
        detached,
        encryption: None,
    }
}

fn summary() -> Summary<'static> {
    Summary {
        sequence: 7,
        vendor_id: [1; 16],
        class_id: [2; 16],
        reference_uri: Some("https://updates.example.com/p.suit"),
        text: Some([5; 32]),
        prompts: Some(blob(6)),
    }
}

fn emitted<'b>(buf: &'b mut [u8], s: &Summary<'_>, components: &[Component<'_>]) -> &'b [u8] {
    let mut writer = Writer(SliceSink::new(buf));
    emit(&mut writer, s, components, &DemandFacts::default()).unwrap();
    let len = writer.0.written().len();
    &buf[..len]
}

fn detail(bytes: &[u8]) -> Detail {
    Manifest::parse(bytes, 0).unwrap_err().detail
}

#[test]
fn parse_of_emit_is_identity() {
    let detached = Some("https://cdn.example.com/a/kernel.fwd?x=1");
    let all = [
        component("boot", true, None),
        component("kernel", false, detached),
        component("rootfs", true, None),
    ];
    let bare = Summary { reference_uri: None, text: None, prompts: None, ..summary() };
    for summary in [summary(), bare] {
        for count in 1..=all.len() {
            let mut buf = [0; 4096];
            let bytes = emitted(&mut buf, &summary, &all[..count]);
            let manifest = Manifest::parse(bytes, 0).unwrap();
            assert_eq!(manifest.summary, summary);
            assert_eq!(usize::from(manifest.component_count()), count);
            for (index, component) in all[..count].iter().enumerate() {
                assert_eq!(manifest.component(index as u8).as_ref(), Ok(component));
            }
        }
    }
}

#[test]
fn a_changed_recipe_is_never_read_as_another() {
    let mut buf = [0; 2048];
    let len = emitted(&mut buf, &summary(), &[component("main", true, None)]).len();
    let original = Manifest::parse(&buf[..len], 0).unwrap();
    let (facts, part) = (original.summary, original.component(0).unwrap());
    for pos in 0..len {
        for bit in 0..8 {
            let mut changed = buf;
            changed[pos] ^= 1 << bit;
            let Ok(manifest) = Manifest::parse(&changed[..len], 0) else { continue };
            // What still parses differs in a value, and re-emits to exactly the changed bytes.
            let component = manifest.component(0).unwrap();
            assert!((manifest.summary, component) != (facts, part));
            let mut again = [0; 2048];
            let again = emitted(&mut again, &manifest.summary, &[component]);
            assert_eq!(again, &changed[..len]);
        }
    }
}

#[test]
fn refuses_duplicates_truncation_and_bad_references() {
    let mut buf = [0; 4096];
    let twice = [component("a", true, None), component("a", true, None)];
    assert_eq!(detail(emitted(&mut buf, &summary(), &twice)), Detail::DuplicateComponent);
    let bad = [component("a b", true, None)];
    assert_eq!(detail(emitted(&mut buf, &summary(), &bad)), Detail::BadValue);
    for uri in ["https://x/", "#p", "x/..", ""] {
        let bad = [component("a", true, Some(uri))];
        assert_eq!(detail(emitted(&mut buf, &summary(), &bad)), Detail::BadReference, "{uri}");
    }
    let same = [component("a", true, Some("x/p")), component("b", true, Some("y/p"))];
    assert_eq!(detail(emitted(&mut buf, &summary(), &same)), Detail::BadReference);
    let good = [component("a", true, None)];
    let len = emitted(&mut buf, &summary(), &good).len();
    for len in 0..len {
        assert!(Manifest::parse(&buf[..len], 0).is_err());
    }
}

fn numbers(of: Version<'_>) -> ([i64; 8], usize) {
    let mut all = [0; 8];
    all.iter_mut().zip(of.numbers()).for_each(|(to, from)| *to = from);
    (all, of.numbers().count())
}

#[test]
fn demands_are_read_as_they_were_written() {
    let versions: [&[i64]; 3] = [&[2], &[3, 1], &[1, 2, -1, 4]];
    let dependency = |name, comparison, version| DependencyFacts { name, comparison, version };
    let dependencies = [
        dependency("modem", Comparison::AtLeast, versions[1]),
        dependency("boot", Comparison::Less, versions[2]),
    ];
    for choice in 0..1 << 5 {
        let has = |bit: u8| choice >> bit & 1 == 1;
        for hardware in 0..=versions.len() {
            let facts = DemandFacts {
                device_id: has(0).then_some([9; 16]),
                expires: has(1).then_some(1_900_000_000),
                battery: has(2).then_some(30),
                priority: has(3).then_some(0),
                hardware: &versions[..hardware],
                dependencies: if has(4) { &dependencies } else { &[] },
            };
            let mut buf = [0; 4096];
            let mut writer = Writer(SliceSink::new(&mut buf));
            let parts = [component("boot", true, None), component("kernel", false, None)];
            emit(&mut writer, &summary(), &parts, &facts).unwrap();
            let manifest = Manifest::parse(writer.0.written(), 0).unwrap();
            let demands = manifest.demands;
            assert_eq!(demands.device_id.copied(), facts.device_id);
            assert_eq!((demands.expires, demands.battery), (facts.expires, facts.battery));
            assert_eq!(demands.priority, facts.priority);
            assert_eq!(demands.hardware().count(), hardware);
            for (read, written) in demands.hardware().zip(versions) {
                assert_eq!(read.comparison, Comparison::Equal);
                assert_eq!(&numbers(read.version).0[..written.len()], written);
                assert_eq!(numbers(read.version).1, written.len());
            }
            assert_eq!(manifest.dependencies().count(), facts.dependencies.len());
            for ((name, read), written) in manifest.dependencies().zip(facts.dependencies) {
                assert_eq!((name, read.comparison), (written.name, written.comparison));
                assert_eq!(&numbers(read.version).0[..written.version.len()], written.version);
            }
            assert_eq!(manifest.component(1), Ok(parts[1]));
        }
    }
}

#[test]
fn versions_compare_number_by_number() {
    let accepts = |comparison, wanted: &[i64], found: &[i64]| {
        let mut buf = [0; 64];
        let mut writer = Writer(SliceSink::new(&mut buf));
        writer.array(wanted.len() as u64).unwrap();
        wanted.iter().for_each(|number| writer.int(*number).unwrap());
        let written = writer.0.written().len();
        let version = Version::parse(&mut Reader::new(&buf[..written])).unwrap();
        VersionMatch { comparison, version }.accepts(found)
    };
    use Comparison::{AtLeast, AtMost, Equal, Greater, Less};
    // 1.2 is 1.2.0, and later than 1.2.0-rc.1.
    assert!(accepts(Equal, &[1, 2], &[1, 2, 0]) && accepts(Greater, &[1, 2, 0, -1, 1], &[1, 2]));
    assert!(accepts(AtLeast, &[1, 2], &[1, 10]) && !accepts(AtLeast, &[1, 2], &[1, 1, 99]));
    assert!(accepts(AtMost, &[1, 2], &[1, 2]) && !accepts(Less, &[1, 2], &[1, 2, 0]));
    assert!(accepts(Less, &[1, 2], &[1, 2, -1]) && !accepts(Greater, &[1, 2], &[1, 2]));
    // A device whose version is longer than a manifest's can be.
    assert!(accepts(Greater, &[1], &[1, 0, 0, 0, 0, 0, 0, 0, 1]));
}
