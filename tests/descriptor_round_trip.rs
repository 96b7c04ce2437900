//! Descriptors: what is published, that it is read back, and that hostile XML is refused.

use std::fmt::Write as _;

use fwdelta::core::{Category, Detail};
use fwdelta::descriptor::{
    DESCRIPTOR_LEN_MAX, DdVersion, Descriptor, DescriptorFile, ENVELOPE_TYPE, FileFacts, Object,
    PackageFacts, VendorInfo, describe, emit, parse,
};
use fwdelta::release::{Release, Version};
use proptest::prelude::*;

const BASE: &str = "https://updates.example.com/x1";

const RELEASE: &str = r#"
version = "2.1.0"
default_language = "en"
install_notify_uri = "https://updates.example.com/notify?id=1&v=2"
next_url = "https://updates.example.com/next"
info_url = "https://www.example.com/2.1.0"
icon_url = "https://www.example.com/x1.png"
install_param = "slot=b"
[vendor]
domain = "example.com"
name = "Müller & <Söhne>"
homepage = "https://www.example.com/"
[device]
model = "X1"
[language.en]
prompts.before_download = "Fish & \"chips\" > <x> ]]> now?"
[language.de]
name = "X1 Fassung 2.1.0"
prompts.before_download = "Jetzt herunterladen?"
"#;

fn release() -> Release {
    let mut load = |_: &str| unreachable!("no files are named");
    Release::parse(RELEASE, "release.toml", &mut load).unwrap()
}

fn file(file_name: &str, media_type: &str, size: u64) -> FileFacts {
    let (file_name, media_type) = (file_name.to_owned(), media_type.to_owned());
    FileFacts { file_name, media_type, size, sha256: [0xab; 32] }
}

fn package(payloads: Vec<FileFacts>) -> PackageFacts {
    PackageFacts {
        envelope: file("update 1.suit", ENVELOPE_TYPE, 1_234_567),
        payloads,
        version: Version::new("2.1.0").unwrap(),
        install_size: 4_000_000,
    }
}

fn described(payloads: Vec<FileFacts>) -> Vec<DescriptorFile> {
    describe(&package(payloads), &release(), BASE).unwrap()
}

fn text_of<'a>(files: &'a [DescriptorFile], name: &str) -> &'a str {
    let file = files.iter().find(|file| file.name == name).unwrap();
    std::str::from_utf8(&file.bytes).unwrap()
}

#[test]
fn version_1_is_written_as_published() {
    let files = described(Vec::new());
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<media xmlns="http://www.openmobilealliance.org/xmlns/dd">
  <type>application/suit-envelope+cose</type>
  <size>1234567</size>
  <objectURI>https://updates.example.com/x1/update%201.suit</objectURI>
  <installNotifyURI>https://updates.example.com/notify?id=1&amp;v=2</installNotifyURI>
  <nextURL>https://updates.example.com/next</nextURL>
  <DDVersion>1.0</DDVersion>
  <name>X1 Fassung 2.1.0</name>
  <description>Jetzt herunterladen?</description>
  <vendor>Müller &amp; &lt;Söhne&gt;</vendor>
  <infoURL>https://www.example.com/2.1.0</infoURL>
  <iconURI>https://www.example.com/x1.png</iconURI>
  <installParam>slot=b</installParam>
</media>
"#;
    assert_eq!(text_of(&files, "fwdelta-2.1.0.de.dd"), expected);
}

#[test]
fn version_2_is_written_as_published() {
    let files = described(Vec::new());
    let expected = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<media xmlns="urn:oma:xml:dl:dd:2.0" DDVersion="2.0">
  <vendor>
    <name>Müller &amp; &lt;Söhne&gt;</name>
    <home>https://www.example.com/</home>
  </vendor>
  <nextURL>https://updates.example.com/next</nextURL>
  <product>
    <meta>
      <name>X1 2.1.0</name>
      <description>Fish &amp; &quot;chips&quot; &gt; &lt;x&gt; ]]&gt; now?</description>
      <text>Firmware update to version 2.1.0.</text>
      <infoURL>https://www.example.com/2.1.0</infoURL>
      <iconURI>https://www.example.com/x1.png</iconURI>
      <installParam>slot=b</installParam>
      <installNotifyURI>https://updates.example.com/notify?id=1&amp;v=2</installNotifyURI>
    </meta>
    <mediaObject>
      <type>application/suit-envelope+cose</type>
      <size>1234567</size>
      <installSize>4000000</installSize>
      <objectID>sha256:{}</objectID>
      <objectVersion>2.1.0</objectVersion>
      <objectURI>
        <server>https://updates.example.com/x1/update%201.suit</server>
      </objectURI>
    </mediaObject>
  </product>
</media>
"#,
        "ab".repeat(32)
    );
    assert_eq!(text_of(&files, "fwdelta-2.1.0.en.dd2"), expected);
}

#[test]
fn there_is_one_file_per_language_and_version_and_an_index_of_them() {
    let files = described(Vec::new());
    let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    let expected = [
        "fwdelta-2.1.0.de.dd",
        "fwdelta-2.1.0.de.dd2",
        "fwdelta-2.1.0.en.dd",
        "fwdelta-2.1.0.en.dd2",
        "index.json",
    ];
    assert_eq!(names, expected);
    assert_eq!(files, described(Vec::new()));
    let index: serde_json::Value = serde_json::from_str(text_of(&files, "index.json")).unwrap();
    assert_eq!(index["version"], "2.1.0");
    assert_eq!(index["default_language"], "en");
    assert_eq!(index["package"]["uri"], format!("{BASE}/update%201.suit"));
    let entries = index["descriptors"].as_array().unwrap();
    assert_eq!(entries.len(), 4);
    for (entry, file) in entries.iter().zip(&files) {
        assert_eq!(entry["file"], file.name);
        assert_eq!(entry["media_type"], file.media_type);
        assert_eq!(entry["size"], file.bytes.len());
        let digest = fwdelta::core::hash::sha256(&file.bytes);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(entry["sha256"], hex);
    }
    assert_eq!(entries[0]["language"], "de");
    assert_eq!(entries[1]["version"], "2.0");
}

#[test]
fn detached_payloads_are_listed_in_2_and_chained_in_1() {
    let payloads =
        || ["a.bin", "b.bin"].map(|name| file(name, "application/octet-stream", 10)).to_vec();
    let files = described(payloads());
    let read = |name: &str| parse(text_of(&files, name).as_bytes()).unwrap();
    let all = read("fwdelta-2.1.0.de.dd2");
    assert_eq!(all.objects.len(), 3);
    assert_eq!(all.objects[2].uris, [format!("{BASE}/b.bin")]);
    assert_eq!(all.objects.iter().filter_map(|object| object.install_size).sum::<u64>(), 4_000_000);
    let mut name = "fwdelta-2.1.0.de.dd".to_owned();
    for (part, file) in [(2, "update%201.suit"), (3, "a.bin")] {
        let one = read(&name);
        assert_eq!(one.objects[0].uris, [format!("{BASE}/{file}")]);
        name = format!("fwdelta-2.1.0.de.{part}.dd");
        assert_eq!(one.next_url, Some(format!("{BASE}/{name}")));
    }
    let last = read(&name);
    assert_eq!(last.objects[0].uris, [format!("{BASE}/b.bin")]);
    assert_eq!(last.next_url.as_deref(), Some("https://updates.example.com/next"));
}

#[test]
fn a_bad_base_or_file_name_is_refused() {
    assert!(describe(&package(Vec::new()), &release(), "updates.example.com").is_err());
    assert!(describe(&package(vec![file("a/b", "x/y", 1)]), &release(), BASE).is_err());
    let mut nameless = package(Vec::new());
    nameless.envelope.media_type = String::new();
    assert!(describe(&nameless, &release(), BASE).is_err());
}

#[test]
fn real_descriptors_are_read_with_tolerance() {
    // Order, unknown elements, comments, CDATA, grouping, relative address, no namespace.
    let text = "\u{feff}<?xml version='1.0'?>\n<!-- made by hand -->\n<media>\n\
        <DDVersion>1.0</DDVersion><objectURI>game.jar</objectURI><extra><size>9</size></extra>\n\
        <size> 1,000 </size><type>a/b</type><type>c/d</type>\n\
        <name><![CDATA[A & B]]></name><description>two\n   lines &#x41;&lt;</description></media>";
    let read = parse(text.as_bytes()).unwrap();
    assert_eq!(read.version, DdVersion::V1);
    assert_eq!((read.objects[0].size, read.objects[0].types.len()), (1000, 2));
    assert_eq!(read.objects[0].uris, ["game.jar"]);
    assert_eq!(read.name.as_deref(), Some("A & B"));
    assert_eq!(read.description.as_deref(), Some("two lines A<"));

    // A prefixed root with children in the default namespace, meta inside the object.
    let text = r#"<dd:media xmlns:dd="urn:oma:xml:dl:dd:2.0" xmlns="urn:oma:xml:dl:dd:2.0"
        xmlns:v="urn:vendor" DDVersion="2.0"><product><mediaObject><v:size>7</v:size>
        <meta><name>N</name></meta><size>5</size><type>a/b</type>
        <objectURI>http://e.com/o</objectURI></mediaObject></product></dd:media>"#;
    let read = parse(text.as_bytes()).unwrap();
    assert_eq!((read.version, read.objects[0].size), (DdVersion::V2, 5));
    assert_eq!(read.name.as_deref(), Some("N"));

    // What a screen should not show is replaced.
    let text = "<media><type>t</type><size>1</size><objectURI>u</objectURI>\
        <name>a\u{202e}b&#x1b;[1m</name></media>";
    let read = parse(text.as_bytes()).unwrap();
    assert_eq!(read.name.as_deref(), Some("a\u{fffd}b\u{fffd}[1m"));
}

#[test]
fn hostile_or_wrong_xml_is_refused_with_its_reason() {
    let body = "<type>t</type><size>1</size><objectURI>u</objectURI>";
    let media = |inside: &str| format!("<media>{inside}</media>");
    let v2 = "xmlns=\"urn:oma:xml:dl:dd:2.0\"";
    let mut attributes = String::from("<media");
    (0..17).for_each(|index| write!(attributes, " a{index}=''").unwrap());
    let mut namespaces = String::from("<media");
    (0..999).for_each(|index| write!(namespaces, " xmlns:a{index}='u'").unwrap());
    let cases = [
        (String::new(), Detail::Truncated),
        ("no xml".into(), Detail::BadMagic),
        ("<media>".into(), Detail::Truncated),
        (media(body) + &media(body), Detail::TrailingBytes),
        (format!("<root>{body}</root>"), Detail::BadMagic),
        (media(""), Detail::MissingField),
        (media("<size>1</size><objectURI>u</objectURI>"), Detail::MissingField),
        (media("<type>t</type><objectURI>u</objectURI>"), Detail::MissingField),
        (media("<type>t</type><size>1</size><objectURI/>"), Detail::MissingField),
        (media(&format!("{body}<size>2</size>")), Detail::DuplicateKey),
        (media(&format!("{body}<objectURI>v</objectURI>")), Detail::DuplicateKey),
        (media(&body.replace(">1<", ">-1<")), Detail::BadValue),
        (media(&body.replace(">1<", ">1.5<")), Detail::BadValue),
        (media(&body.replace(">1<", "><")), Detail::BadValue),
        (media(&body.replace(">1<", ">99999999999999999999<")), Detail::BadValue),
        (format!("<!DOCTYPE media [<!ENTITY a 'b'>]>{}", media(body)), Detail::NotBuiltIn),
        (media(&format!("<name>&a;</name>{body}")), Detail::NotBuiltIn),
        (media("<name>&#0;</name>"), Detail::BadValue),
        (media("<name>&#xD800;</name>"), Detail::BadValue),
        (media("<name></type>"), Detail::BadValue),
        (attributes + "/>", Detail::TooManyKeys),
        ("<media a='' a=''/>".into(), Detail::BadValue),
        (namespaces + "/>", Detail::TooManyKeys),
        ("<a>".repeat(9), Detail::TooDeep),
        (media(&"<x/>".repeat(1024)), Detail::TooManyKeys),
        (format!("<media {v2}><product/></media>"), Detail::MissingField),
        (format!("<media {v2} DDVersion='1.0'>{body}</media>"), Detail::UnknownVersion),
        (media(&format!("<DDVersion>3.0</DDVersion>{body}")), Detail::UnknownVersion),
        (format!("<media xmlns='urn:other'>{body}</media>"), Detail::BadMagic),
        (format!("<?xml version='1.0' encoding='UTF-16'?>{}", media(body)), Detail::NotBuiltIn),
        (media(&format!("<name>{}</name>{body}", "n".repeat(1025))), Detail::StringTooLong),
        (" ".repeat(DESCRIPTOR_LEN_MAX + 1), Detail::StringTooLong),
        (
            format!(
                "<media {v2}><product>{}</product></media>",
                format!("<mediaObject>{body}</mediaObject>").repeat(65)
            ),
            Detail::TooManyKeys,
        ),
    ];
    for (text, detail) in cases {
        let error = parse(text.as_bytes()).unwrap_err();
        let shown: String = text.chars().take(120).collect();
        assert_eq!(error.detail(), detail, "{shown}: {error}");
    }
    assert_eq!(parse(b"<media>\xff</media>").unwrap_err().detail(), Detail::BadUtf8);
}

/// As long as a document may be, and made of one thing only: each is refused by a count, or read in
/// one pass, whatever the XML parser does with it.
#[test]
fn documents_made_of_one_hostile_thing_are_refused() {
    let filled = |start: &str, unit: &dyn Fn(usize) -> String, end: &str| {
        let mut text = start.to_owned();
        let mut at = 0;
        while text.len() + unit(at).len() + end.len() <= DESCRIPTOR_LEN_MAX {
            text += &unit(at);
            at += 1;
        }
        assert!(at > 1000, "{at} times {}", unit(0));
        text + end
    };
    let same = |text: &'static str| move |_: usize| text.to_owned();
    let entity = "<!DOCTYPE media [<!ENTITY a 'aaaaaaaa'>]><media><name>";
    let long = "</name><type>t</type><size>1</size><objectURI>u</objectURI></media>";
    let cases = [
        (filled("<media", &|at| format!(" a{at}=''"), "/>"), Detail::TooManyKeys),
        (filled("<media", &same(" a=''"), "/>"), Detail::TooManyKeys),
        (filled("<media", &|at| format!(" xmlns:a{at}='u'"), "/>"), Detail::TooManyKeys),
        (filled("<media", &same(" xmlns='u'"), "/>"), Detail::TooManyKeys),
        (filled("<a:media xmlns:a='u'>", &same("<a:b xmlns:a='u'>"), ""), Detail::TooDeep),
        (filled("", &same("<media>"), ""), Detail::TooDeep),
        (filled("<media>", &same("<a/>"), "</media>"), Detail::TooManyKeys),
        (filled("<media>", &same("<a xmlns='u'/>"), "</media>"), Detail::TooManyKeys),
        (filled(entity, &same("&a;"), "</name></media>"), Detail::NotBuiltIn),
        (filled("<media><name>", &same("&amp;"), "</name></media>"), Detail::StringTooLong),
        (filled("<media><name>", &same("&#65;"), long), Detail::StringTooLong),
        (filled("<media><name>", &same("<![CDATA[]]>"), "</name></media>"), Detail::MissingField),
        (filled("<media><name>", &same("<!---->"), "</media>"), Detail::BadValue),
        (filled("<media", &same("<"), ">"), Detail::Truncated),
    ];
    for (text, detail) in cases {
        let error = parse(text.as_bytes()).unwrap_err();
        let shown: String = text.chars().take(80).collect();
        assert_eq!(error.detail(), detail, "{shown}: {error}");
    }
}

/// Scripts of all widths and directions, and what XML must escape.
const LANGUAGES: [(&str, &str); 18] = [
    ("ar", "هل تريد تنزيل الإصدار 2.1 الآن؟"),
    ("de", "Jetzt <herunterladen> & \"später\" installieren?"),
    ("de-AT", "Heuer noch?"),
    ("el", "Λήψη τώρα;"),
    ("en", "Fish &amp; 'chips' ]]>?"),
    ("fa", "می‌خواهید؟"),
    ("fr", "Télécharger\u{a0}?"),
    ("he", "להוריד עכשיו?"),
    ("hi", "अभी डाउनलोड करें?"),
    ("ja", "今すぐダウンロードしますか？"),
    ("ko", "지금 다운로드할까요?"),
    ("pt-BR", "Baixar agora?"),
    ("ru", "Загрузить?"),
    ("sr-Latn", "Preuzeti?"),
    ("th", "ดาวน์โหลดตอนนี้ไหม?"),
    ("tr", "Şimdi indirilsin mi?"),
    ("vi", "Tải xuống bây giờ?"),
    ("zh-Hant-TW", "現在下載嗎？😀"),
];

#[test]
fn languages_by_versions_by_components_survive_a_round_trip() {
    let mut toml = "version = \"2.1.0\"\ndefault_language = \"en\"\n".to_owned();
    for (tag, prompt) in LANGUAGES {
        write!(toml, "[language.{tag}.prompts]\nbefore_download = '''{prompt}'''\n").unwrap();
    }
    let mut load = |_: &str| unreachable!("no files are named");
    let release = Release::parse(&toml, "release.toml", &mut load).unwrap();
    let mut count = 0;
    for parts in 0..4u64 {
        let payload = |at| file(&format!("payload {at}"), "application/octet-stream", at << 40);
        let package = package((0..parts).map(payload).collect());
        let files = describe(&package, &release, BASE).unwrap();
        assert_eq!(files, describe(&package, &release, BASE).unwrap(), "the same bytes twice");
        for file in files.iter().filter(|file| file.name != "index.json") {
            let read = parse(&file.bytes).unwrap();
            let tag = file.name.strip_prefix("fwdelta-2.1.0.").unwrap().split('.').next();
            let (_, prompt) = LANGUAGES.iter().find(|(known, _)| Some(*known) == tag).unwrap();
            assert_eq!(read.description.as_deref(), Some(*prompt), "{}", file.name);
            assert_eq!(emit(&read).unwrap(), file.bytes, "{}", file.name);
            count += 1;
        }
    }
    assert!(count >= 200, "{count}");
}

#[test]
fn a_cut_off_descriptor_is_refused_wherever_it_ends() {
    for file in described(Vec::new()).iter().filter(|file| file.name != "index.json") {
        let whole = file.bytes.trim_ascii_end();
        assert!(parse(whole).is_ok());
        for len in 0..whole.len() {
            assert!(parse(&whole[..len]).is_err(), "{} cut at {len}", file.name);
        }
    }
}

#[test]
fn only_what_can_be_read_back_is_written() {
    let good = parse(text_of(&described(Vec::new()), "fwdelta-2.1.0.de.dd").as_bytes()).unwrap();
    let refuse = |change: &dyn Fn(&mut Descriptor)| {
        let mut descriptor = good.clone();
        change(&mut descriptor);
        emit(&descriptor).unwrap_err().category()
    };
    assert_eq!(refuse(&|d| d.name = Some("a\u{0}".into())), Category::Usage);
    assert_eq!(refuse(&|d| d.name = Some(String::new())), Category::Usage);
    assert_eq!(refuse(&|d| d.objects.clear()), Category::Format);
    assert_eq!(refuse(&|d| d.objects[0].uris.clear()), Category::Format);
    assert_eq!(refuse(&|d| d.text.push("t".into())), Category::Unsupported);
    assert_eq!(refuse(&|d| d.objects[0].install_size = Some(1)), Category::Unsupported);
    assert_eq!(refuse(&|d| d.vendor.home = Some("h".into())), Category::Unsupported);
    assert_eq!(refuse(&|d| d.objects = vec![d.objects[0].clone(); 2]), Category::Unsupported);
    assert_eq!(refuse(&|d| d.objects = vec![d.objects[0].clone(); 65]), Category::Limit);
}

/// Text with everything XML must escape, but nothing that is refused, and no outer blanks.
fn line() -> impl Strategy<Value = String> {
    "[&<>\"'\\]a-zäж漢😀]([ &<>\"'\\]a-z;#\\[äж漢😀]{0,30}[&<>\"'\\]a-z;])?"
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    prop::option::of(line())
}

fn object(version: DdVersion) -> BoxedStrategy<Object> {
    let types = prop::collection::vec(line(), 1..3);
    match version {
        DdVersion::V1 => (types, any::<u64>(), line())
            .prop_map(|(types, size, uri)| Object {
                types,
                size,
                uris: vec![uri],
                ..Object::default()
            })
            .boxed(),
        DdVersion::V2 => {
            let uris = prop::collection::vec(line(), 1..3);
            (types, any::<u64>(), any::<Option<u64>>(), maybe(), maybe(), uris)
                .prop_map(|(types, size, install_size, id, version, uris)| Object {
                    types,
                    size,
                    install_size,
                    id,
                    version,
                    uris,
                })
                .boxed()
        }
    }
}

fn descriptor(version: DdVersion) -> impl Strategy<Value = Descriptor> {
    let v2 = version == DdVersion::V2;
    let count = if v2 { 1..4 } else { 1..2 };
    let texts = prop::collection::vec(line(), 0..=if v2 { 3 } else { 0 });
    let objects = prop::collection::vec(object(version), count);
    let vendor = [(); 4].map(|()| maybe());
    let others = [(); 7].map(|()| maybe());
    (texts, objects, vendor, others).prop_map(move |(text, objects, vendor, others)| {
        let [name, home, logo, support] = vendor;
        let mut vendor = VendorInfo { name, ..VendorInfo::default() };
        if v2 {
            vendor = VendorInfo { home, logo, support, ..vendor };
        }
        let [name, description, next_url, info_url, icon_uri, notify, install_param] = others;
        let install_notify_uri = notify;
        Descriptor {
            version,
            name,
            description,
            text,
            vendor,
            objects,
            next_url,
            info_url,
            icon_uri,
            install_notify_uri,
            install_param,
        }
    })
}

proptest! {
    #[test]
    fn version_1_round_trips(written in descriptor(DdVersion::V1)) {
        let bytes = emit(&written).unwrap();
        prop_assert_eq!(parse(&bytes).unwrap(), written);
    }

    #[test]
    fn version_2_round_trips(written in descriptor(DdVersion::V2)) {
        let bytes = emit(&written).unwrap();
        prop_assert_eq!(parse(&bytes).unwrap(), written);
    }

    #[test]
    fn every_language_of_a_release_round_trips(
        languages in prop::collection::btree_map("[a-z]{2}(-[A-Z]{2})?", line(), 1..6),
        model in line(),
    ) {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let first = languages.keys().next().unwrap();
        let mut toml = format!(
            "version = \"3.0\"\ndefault_language = \"{first}\"\n[device]\nmodel = \"{}\"\n",
            quoted(&model)
        );
        for (language, prompt) in &languages {
            let prompt = quoted(prompt);
            let table = format!("[language.{language}.prompts]");
            write!(toml, "{table}\nbefore_download = \"{prompt}\"\n").unwrap();
        }
        let mut load = |_: &str| unreachable!("no files are named");
        let release = Release::parse(&toml, "release.toml", &mut load).unwrap();
        let files = describe(&package(Vec::new()), &release, BASE).unwrap();
        prop_assert_eq!(files.len(), 2 * languages.len() + 1);
        for (pair, (language, prompt)) in files.chunks(2).zip(&languages) {
            for file in pair {
                let infix = [".", language, "."].concat();
                prop_assert!(file.name.contains(&infix));
                let read = parse(&file.bytes).unwrap();
                prop_assert_eq!(read.description.as_ref(), Some(prompt));
                prop_assert_eq!(&emit(&read).unwrap(), &file.bytes);
            }
        }
    }

    #[test]
    fn damaged_descriptors_never_panic(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..6),
        cut in any::<prop::sample::Index>(),
        version in 0usize..2,
    ) {
        let mut damaged = described(Vec::new()).swap_remove(version).bytes;
        let at = at.index(damaged.len());
        damaged.splice(at..at + 1, bytes);
        let _ = parse(&damaged);
        damaged.truncate(cut.index(damaged.len()));
        let _ = parse(&damaged);
    }
}
