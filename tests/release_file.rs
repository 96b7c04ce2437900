//! The release file: the documented example, defaults, errors, and what goes into the package.

use std::collections::BTreeMap;

use fwdelta::core::Detail;
use fwdelta::core::format::cbor::Reader;
use fwdelta::release::language::{Hints, Reason, choose};
use fwdelta::release::prompts::PROMPTS_LEN_MAX;
use fwdelta::release::text::TEXT_LEN_MAX;
use fwdelta::release::{Moment, Prompts, Release, Tag, parse_prompts, parse_text};
use fwdelta::{Error, Result};
use proptest::prelude::*;

const DOC: &str = include_str!("../docs/release-file.md");

/// The fenced blocks of the documentation: release file, two notes files, operator prompts.
fn doc_blocks() -> Vec<&'static str> {
    let fenced = DOC.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap().1).collect()
}

fn doc_release() -> Release {
    let blocks = doc_blocks();
    let files = BTreeMap::from([("notes/en.md", blocks[1]), ("notes/de.toml", blocks[2])]);
    let mut load = |name: &str| Ok(files[name].to_owned());
    Release::parse(blocks[0], "release.toml", &mut load).unwrap()
}

fn no_files(name: &str) -> Result<String> {
    Err(Error::input(name, "no such file"))
}

fn parse(text: &str) -> Result<Release> {
    Release::parse(text, "release.toml", &mut no_files)
}

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_documented_example_means_what_it_says() {
    let release = doc_release();
    assert_eq!((release.version.numbers(), release.sequence), (&[2, 1, 0][..], Some(7)));
    assert_eq!(release.vendor.shown_name(), "Example Devices");
    assert_eq!(release.links.info_url.as_ref().unwrap().as_str().len(), 39);
    assert_eq!(release.name(&tag("en")), "Router X1 release 2.1.0");
    // Only the description is Austrian; name and notes are German.
    assert_eq!(release.name(&tag("de-AT")), "Router X1, Version 2.1.0");
    assert!(release.description(&tag("de-AT")).ends_with("für Österreich geprüft."));
    let prompt = |language, moment| release.notes.prompt(&tag(language), moment).to_owned();
    assert_eq!(prompt("de", Moment::AfterDownload), "Version 2.1.0 wurde heruntergeladen.");
    assert_eq!(prompt("de-AT", Moment::AfterDownload), "Version 2.1.0 wurde heruntergeladen.");
    assert!(prompt("de-AT", Moment::AfterUpdate).starts_with("Das Update"));
    // German has no prompt after the update, so the default language's is used.
    assert_eq!(prompt("de", Moment::AfterUpdate), "Your router now runs release 2.1.0.");
    assert!(prompt("en", Moment::BeforeUpdate).ends_with("minute. Install release 2.1.0 now?"));
    let operator = Prompts::from_toml(doc_blocks()[3], "op.toml").unwrap();
    assert_eq!(operator.languages().count(), 2);
}

#[test]
fn the_documented_limits_are_the_ones_enforced() {
    for (what, limit) in [
        ("all prompts of a release, encoded", PROMPTS_LEN_MAX),
        ("all texts of a package, encoded", TEXT_LEN_MAX),
        ("a prompt", fwdelta::release::prompts::PROMPT_CHARS_MAX),
        ("languages", fwdelta::release::prompts::LANGUAGE_COUNT_MAX),
        ("a description", fwdelta::release::notes::DESCRIPTION_CHARS_MAX),
        ("release notes of one language", fwdelta::release::notes::NOTES_CHARS_MAX),
        ("an address", fwdelta::release::URI_CHARS_MAX),
        ("a name, a model, a class", fwdelta::release::NAME_CHARS_MAX),
    ] {
        let row = DOC.lines().find(|line| line.starts_with(&format!("| {what} |"))).unwrap();
        let digits = row.split('|').nth(2).unwrap().replace(',', "");
        let number = digits.split_whitespace().next().unwrap().parse::<usize>();
        assert_eq!(number, Ok(limit), "{what}");
    }
}

#[test]
fn ids_are_the_uuids_other_tools_compute() {
    // Python: vendor = uuid5(NAMESPACE_DNS, "example.com"); uuid5(vendor, "router-x1")
    let release = doc_release();
    assert_eq!(hex(&release.vendor_id()), VENDOR_ID);
    assert_eq!(hex(&release.class_id()), CLASS_ID);
    let shouted = parse("version = \"1\"\nvendor.domain = \"EXAMPLE.com\"").unwrap();
    assert_eq!(shouted.vendor_id(), release.vendor_id());
}

const VENDOR_ID: &str = "cfbff0d193755685968c48ce8b15ae17";
const CLASS_ID: &str = "4c33b4873448511780ce498ba008a6a3";

#[test]
fn without_a_file_there_are_sane_defaults() {
    let release = Release::default();
    assert_eq!(release, parse("version = \"0.0.0\"").unwrap());
    assert_eq!(release.vendor.domain.as_str(), "example.invalid");
    assert_eq!(release.name(&tag("en")), "device 0.0.0");
    let prompts = parse_prompts(&release.prompts_cbor().unwrap()).unwrap();
    for moment in Moment::ALL {
        assert_eq!(prompts.get(&tag("en"), moment), Some(moment.english()));
    }
    assert!(parse_text(&release.text_cbor(&["main"]).unwrap()).unwrap().contains_key("en"));
}

#[test]
fn the_default_language_is_given_or_obvious() {
    let default = |text: &str| {
        parse(&format!("version = \"1\"\n{text}"))
            .map(|release| release.notes.default_language().to_string())
            .map_err(|error| error.to_string())
    };
    assert_eq!(default("[language.fr]\nname = \"N\"").as_deref(), Ok("fr"));
    assert_eq!(default("[language.fr]\n[language.en]").as_deref(), Ok("en"));
    assert_eq!(default("default_language = \"FR\"\n[language.fr]").as_deref(), Ok("fr"));
    assert_eq!(default("default_language = \"fr\"").as_deref(), Ok("fr"));
    assert!(default("[language.fr]\n[language.de]").unwrap_err().contains("set default_language"));
    let error = default("default_language = \"es\"\n[language.fr]").unwrap_err();
    assert!(error.starts_with("release.toml: line 2: there is no [language.es]"), "{error}");
}

#[test]
fn errors_name_file_line_reason_and_remedy() {
    for (text, expected) in [
        ("", "missing field `version`"),
        ("version = 2", "line 1: "),
        ("version = \"x\"", "line 1: \"x\" is not a version"),
        ("version = \"1\"\nversoin = 1", "line 2: unknown field `versoin`"),
        ("version = \"1\"\n\n[vendor]\ndomian = \"a\"", "line 4: unknown field `domian`"),
        ("version = \"1\"\n[vendor]\ndomain = \"a b\"", "line 3: \"a b\" is not a domain name"),
        ("version = \"1\"\ninfo_url = \"ftp://a\"", "line 2: \"ftp://a\" is not an address"),
        ("version = \"1\"\nsequence = -1", "line 2: "),
        ("version = \"1\"\n[device]\nclass = \"\"", "line 3: the text is empty"),
        ("version = \"1\"\n[language.de_AT]", "line 2: \"de_AT\" is not"),
        ("version = \"1\"\n[language.\"de-at\"]\n[language.de-AT]", "de-AT is given twice"),
        ("version = \"1\"\n[component.\"a/b\"]", "line 2: \"a/b\" is not a component"),
        (
            "version = \"1\"\n[language.de.prompts]\nbefore_update = \"\\u202Enow\"",
            "line 3: the text contains a bidirectional control character (U+202E)",
        ),
        (
            "version = \"1\"\n[language.de]\nname = \"N\"\nfile = \"a.md\"",
            "line 4: a language has either a file or its texts here",
        ),
        ("version = \"1\"\n[language.de]\nfile = \"a.md\"", "a.md: no such file"),
        ("version = \"1", "line 1: "),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.detail(), Detail::BadArgument);
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
    let mut load = |_: &str| Ok("name = \"\\u0007\"".to_owned());
    let text = "version = \"1\"\n[language.de]\nfile = \"notes/de.toml\"";
    let error = Release::parse(text, "release.toml", &mut load).unwrap_err().to_string();
    assert!(error.starts_with("notes/de.toml: line 1: the text contains a control"), "{error}");
}

#[test]
fn every_prompt_fits_every_display_or_is_refused() {
    let text = |display: &str| {
        format!(
            "version = \"1.0\"\n[language.en.prompts]\nbefore_download = \"Load now?\"\n\
             after_download = \"Loaded.\"\nbefore_update = \"Restart now?\"\n\
             after_update = \"Done.\"\n[language.ja.prompts]\n\
             before_download = \"今すぐダウンロードしますか\"\n[display.lcd]\n{display}\n"
        )
    };
    assert!(parse(&text("columns = 14\nlines = 2")).is_ok());
    assert!(parse(&text("chars = 13")).is_ok());
    for (display, reason) in [
        ("columns = 14\nlines = 1", "prompt before_download of ja takes 2 lines of 14 cells"),
        ("columns = 20", "takes 26 cells, the display has 20 (lcd)"),
        ("chars = 11", "prompt before_update of en has 12 characters"),
        ("lines = 2", "line 9: lines need columns"),
        ("columns = 0", "line 9: 0 shows nothing"),
        ("width = 3", "unknown field"),
    ] {
        let error = parse(&text(display)).unwrap_err().to_string();
        assert!(error.starts_with("release.toml: ") && error.contains(reason), "{error}");
    }
    // What nobody wrote is shown too, in English.
    let bare = parse("version = \"1.0\"\n[display.lcd]\nchars = 20\n").unwrap_err().to_string();
    assert!(bare.contains("before_download of en"), "{bare}");
}

#[test]
fn sums_are_limited_too() {
    let long = "ä".repeat(256);
    let language = |index: u32| {
        format!("[language.a{}]\nprompts.before_update = \"{long}\"\n", char_of(index))
    };
    let text: String = (0..40).map(language).collect();
    let text = format!("version = \"1\"\ndefault_language = \"aaa\"\n{text}");
    assert_eq!(parse(&text).unwrap_err().detail(), Detail::StringTooLong);

    let notes = "x".repeat(16_000);
    let language = |index| format!("[language.a{}]\nnotes = \"{notes}\"\n", char_of(index));
    let text: String = (0..5).map(language).collect();
    let release = parse(&format!("version = \"1\"\ndefault_language = \"aaa\"\n{text}")).unwrap();
    assert_eq!(release.text_cbor(&["main"]).unwrap_err().detail(), Detail::StringTooLong);

    let huge = format!("version = \"1\"\n#{}", " ".repeat(300_000));
    assert!(parse(&huge).unwrap_err().to_string().contains("longer than"));
    let deep = format!("version = \"1\"\nx = {}", "[".repeat(100_000));
    assert!(parse(&deep).is_err());
}

/// Two letters counting up from `aa`.
fn char_of(index: u32) -> String {
    let letter = |value: u32| char::from_u32('a' as u32 + value).unwrap();
    format!("{}{}", letter(index / 26), letter(index % 26))
}

#[test]
fn text_has_the_keys_of_suit_in_deterministic_order() {
    let release = doc_release();
    let bytes = release.text_cbor(&["kernel", "fs"]).unwrap();
    assert_eq!(bytes, doc_release().text_cbor(&["kernel", "fs"]).unwrap());
    assert!(bytes.starts_with(b"\xa3\x62de\xa4\x01\x78"), "{bytes:02x?}");
    // Component ids sort by their encoding: the shorter name first, whatever the order given.
    let kernel = bytes.windows(12).position(|w| w == b"\x82\x46kernel\x43new").unwrap();
    let fs = bytes.windows(8).position(|w| w == b"\x82\x42fs\x43new").unwrap();
    assert!(fs < kernel);

    let text = parse_text(&bytes).unwrap();
    assert_eq!(text.keys().collect::<Vec<_>>(), ["de", "de-AT", "en"]);
    let english = &text["en"];
    assert!(english.description.as_ref().unwrap().starts_with("Faster roaming"));
    assert!(english.update_description.as_ref().unwrap().starts_with("## Changes"));
    let kernel = &english.components["kernel/new"];
    assert_eq!(kernel.vendor_name.as_deref(), Some("Example Devices"));
    assert_eq!(kernel.model_name.as_deref(), Some("Router X1"));
    assert_eq!(kernel.vendor_domain.as_deref(), Some("example.com"));
    assert_eq!(kernel.model_info.as_deref(), Some("LTE router, hardware revision B"));
    assert_eq!(kernel.description.as_deref(), Some("Linux kernel"));
    assert_eq!(kernel.version.as_deref(), Some("6.12.4"));
    let fs = &english.components["fs/new"];
    assert_eq!((fs.description.as_deref(), fs.version.as_deref()), (None, Some("2.1.0")));
}

#[test]
fn foreign_text_is_passed_over_or_made_safe() {
    // Unknown key 9, a text where bytes stand, an escape sequence, a key that is text.
    let bytes = b"\xa1\x62en\xa4\x01\x65a\x1b[1m\x02\x41x\x09\x82\x01\x02\x61z\x00";
    let text = parse_text(bytes).unwrap();
    assert_eq!(text["en"].description.as_deref(), Some("a\u{fffd}[1m"));
    assert_eq!(text["en"].update_description, None);
    let many: Vec<u8> =
        (0..65u8).flat_map(|i| [0x62, b'0' + i / 40, b'0' + i % 40, 0xa0]).collect();
    let many = [&[0xb8, 65][..], &many].concat();
    assert_eq!(parse_text(&many).unwrap_err().detail(), Detail::TooManyKeys);
    let huge = vec![0; TEXT_LEN_MAX + 1];
    assert_eq!(parse_text(&huge).unwrap_err().detail(), Detail::StringTooLong);
}

#[test]
fn languages_are_chosen_in_the_documented_order() {
    let available = ["de", "de-AT", "en", "es", "fr", "pt-BR", "zh-Hant"].map(tag);
    let decide = |device_language, plmn, msisdn| {
        let hints = Hints { device_language, plmn, msisdn };
        let choice = choose(available.iter(), &tag("en"), hints).unwrap();
        (choice.tag.to_string(), choice.reason.to_string())
    };
    for (device, plmn, msisdn, expected, reason) in [
        (Some("de-CH"), Some("20801"), None, "de", "device language"),
        (Some("de_AT.UTF-8"), None, None, "de-AT", "device language"),
        (Some("C"), None, Some("+33612345678"), "fr", "number prefix +33 (FR)"),
        (Some("ja"), Some("23201"), Some("+33612345678"), "de-AT", "network country 232 (AT)"),
        // Switzerland: German is there, so neither French nor Italian is asked for.
        (None, Some("22801"), None, "de", "network country 228 (CH)"),
        (None, Some("206010"), None, "fr", "network country 206 (BE)"),
        (None, Some("72405"), None, "pt-BR", "network country 724 (BR)"),
        (None, Some("46601"), None, "zh-Hant", "network country 466 (TW)"),
        // Japan is known, Japanese is not available; the number decides.
        (None, Some("44010"), Some("0052 55 1234 5678"), "es", "number prefix +52 (MX)"),
        (None, Some("2620"), Some("+1 (809) 555-0100"), "es", "number prefix +1809 (DO)"),
        (None, Some("2620x"), Some("+12125550100"), "en", "number prefix +1 (US)"),
        (None, Some("99999"), Some("not a number"), "en", "default language"),
        (None, None, Some("+"), "en", "default language"),
        (Some("pt"), None, None, "en", "default language"),
        (None, None, None, "en", "default language"),
    ] {
        let decided = decide(device, plmn, msisdn);
        assert_eq!(decided, (expected.into(), reason.into()), "{device:?} {plmn:?} {msisdn:?}");
    }
    let first = choose(available.iter(), &tag("it"), Hints::default()).unwrap();
    assert_eq!((first.tag.as_str(), first.reason), ("de", Reason::First));
    assert_eq!(choose([].iter(), &tag("en"), Hints::default()), None);
}

proptest! {
    #[test]
    fn prompts_round_trip(
        languages in prop::collection::btree_map(
            "[a-z]{2,3}(-[A-Z]{2})?",
            prop::collection::vec("[^\\p{C}\\p{Z}]{1,60}", 4),
            1..8,
        ),
    ) {
        let mut toml = String::new();
        for (language, prompts) in &languages {
            toml += &format!("[\"{language}\"]\n");
            for (moment, prompt) in Moment::ALL.iter().zip(prompts) {
                let quoted = prompt.replace('\\', "\\\\").replace('"', "\\\"");
                toml += &format!("{} = \"{quoted}\"\n", moment.name());
            }
        }
        let prompts = Prompts::from_toml(&toml, "p.toml").unwrap();
        let bytes = prompts.to_cbor();
        let read = parse_prompts(&bytes).unwrap();
        prop_assert_eq!(&read, &prompts);
        prop_assert_eq!(read.to_cbor(), bytes.clone());
        for (language, written) in &languages {
            for (moment, prompt) in Moment::ALL.into_iter().zip(written) {
                prop_assert_eq!(read.get(&tag(language), moment), Some(prompt.as_str()));
            }
        }
        prop_assert!(Reader::new(&bytes).skip().is_ok());
    }

    #[test]
    fn hostile_payloads_never_panic_and_accepted_ones_are_canonical(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        at in 0usize..200,
        byte in any::<u8>(),
    ) {
        let mut flipped = doc_release().prompts_cbor().unwrap();
        flipped[at] = byte;
        for bytes in [bytes, flipped] {
            if let Ok(prompts) = parse_prompts(&bytes) {
                prop_assert_eq!(prompts.to_cbor(), bytes.clone());
            }
            let _ = parse_text(&bytes);
        }
    }

    #[test]
    fn hostile_release_files_never_panic(
        text in "(version = \"1\"\n)?[\\[\\]{}a-z\"=.\n#_\u{202e}-]{0,80}",
    ) {
        let _ = parse(&text);
        let mut load = |_: &str| Ok(text.clone());
        for file in ["a.md", "a.toml"] {
            let release = format!("version = \"1\"\n[language.en]\nfile = \"{file}\"");
            let _ = Release::parse(&release, "release.toml", &mut load);
        }
    }
}
