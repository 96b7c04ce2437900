//! Rules of the house as tests: floors, sizes, no panics, numbers equal to the documents.
//!
//! Every rule comes with a second test which shows that it finds what it is for.

#[path = "tidy/named.rs"]
mod named;
#[path = "tidy/numbers.rs"]
mod numbers;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/stages.rs"]
mod stages;

use std::fs;
use std::path::{Path, PathBuf};

use fwdelta::core::Detail;
use source::Source;

/// Folders of code we wrote.
const FOLDERS: [&str; 10] = [
    "src",
    "crates",
    "xtask/src",
    "tests",
    "benches",
    "capi",
    "fuzz",
    "device",
    "interop",
    "examples",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries {
        let is_built = path.ends_with("target");
        if path.is_dir() && !is_built {
            files_below(&path, extension, found);
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
}

fn sources(extension: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        files_below(&root().join(folder), extension, &mut paths);
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        Source::new(&name, &fs::read_to_string(path).unwrap())
    };
    paths.iter().map(read).collect()
}

fn assert_clean(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

fn assert_rule(rule: fn(&Source) -> Vec<String>) {
    let sources = sources("rs");
    assert!(sources.len() > 20, "only {} files found: the walk is broken", sources.len());
    assert_clean(&sources.iter().flat_map(rule).collect::<Vec<_>>());
}

/// `rule` finds something in `bad`, on line `line`, and nothing in `good`.
fn assert_catches(
    rule: fn(&Source) -> Vec<String>,
    path: &str,
    bad: &str,
    line: usize,
    good: &str,
) {
    let found = rule(&Source::new(path, bad));
    let place = format!("{path}:{line}:");
    assert!(found.iter().any(|finding| finding.starts_with(&place)), "{found:?} for {bad}");
    assert_clean(&rule(&Source::new(path, good)));
}

const CORE: &str = "crates/fwdelta-core/src/format/a.rs";
const HOST: &str = "src/diff/a.rs";

#[test]
fn lines_are_short() {
    assert_rule(rules::lines_are_short);
    for extension in ["py", "c", "h"] {
        let findings =
            sources(extension).iter().flat_map(rules::lines_are_short).collect::<Vec<_>>();
        assert_clean(&findings);
    }
}

#[test]
fn a_long_line_is_found() {
    let (bad, good) = (format!("\n// {}", "ü".repeat(98)), format!("// {}", "ü".repeat(97)));
    assert_catches(rules::lines_are_short, HOST, &bad, 2, &good);
}

#[test]
fn files_are_short() {
    assert_rule(rules::files_are_short);
}

#[test]
fn a_long_file_is_found() {
    let lines = |count: usize| "//\n".repeat(count);
    let explained = format!("// Long because of this test.\n{}", lines(700));
    assert_catches(rules::files_are_short, HOST, &lines(601), 601, &lines(600));
    assert_catches(rules::files_are_short, HOST, &lines(700), 700, &explained);
    let too_long = format!("// Long because of this test.\n{}", lines(1000));
    assert_catches(rules::files_are_short, HOST, &too_long, 1001, &explained);
}

#[test]
fn imports_go_down() {
    assert_rule(rules::imports_go_down);
}

#[test]
fn an_import_that_goes_up_is_found() {
    let rule = rules::imports_go_down;
    assert_catches(rule, CORE, "\nuse crate::apply::X;", 2, "use crate::error::Error;");
    assert_catches(rule, CORE, "use super::super::verify::X;", 1, "use super::cbor::Reader;");
    assert_catches(rule, HOST, "use crate::{error::E, package};", 1, "use crate::{error::E};");
    assert_catches(rule, HOST, "use crate::{\n    cli,\n};", 1, "use crate::matching::{a, b};");
    assert_catches(rule, CORE, "use crate::Verifier;", 1, "use crate::{Error, Limits};");
    assert_catches(rule, HOST, "fn a() { crate::cli::b() }", 1, "fn a() { crate::codec::b() }");
    let peers = "use crate::descriptor::Y;";
    let test = "#[cfg(test)]\nuse crate::descriptor::Y;";
    assert_catches(rule, "src/package/mod.rs", peers, 1, test);
    assert_catches(rule, "src/progress.rs", "use super::cli;", 1, "use super::error;");
    let stranger = rule(&Source::new("src/unheard_of.rs", ""));
    assert_eq!(stranger.len(), 1, "a module without a floor is found");
}

/// Numbers in the first column of the table behind `heading`, ranges as in `101 to 103`.
fn numbers_of_table(document: &str, heading: &str) -> Vec<u16> {
    let (_, part) = document.split_once(heading).unwrap_or_default();
    let rows = part.lines().take_while(|line| !line.starts_with("## "));
    let first = rows.filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let mut numbers = Vec::new();
    for range in first.flat_map(|cell| cell.split(',')) {
        let (from, to) = range.split_once(" to ").unwrap_or((range, range));
        if let (Ok(from), Ok(to)) = (from.trim().parse::<u16>(), to.trim().parse()) {
            numbers.extend(from..=to);
        }
    }
    numbers
}

#[test]
fn the_device_guide_says_what_to_do_at_each_error() {
    let guide = fs::read_to_string(root().join("docs/device-guide.md")).unwrap();
    let mut told = numbers_of_table(&guide, "## What to do at each error");
    told.sort_unstable();
    let all: Vec<u16> = Detail::ALL.iter().map(|detail| *detail as u16).collect();
    assert_eq!(told, all, "each number of error.rs once, and no other");
}

/// FUMO, install-notify and LwM2M of a row of docs/status-codes.md, by what stands first in it.
fn status_codes(document: &str) -> std::collections::BTreeMap<String, (u16, u16, u8)> {
    let mut rows = std::collections::BTreeMap::new();
    for line in document.lines() {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [keys, _, fumo, notify, lwm2m] = cells.as_slice() else { continue };
        let (Ok(fumo), Ok(notify), Ok(lwm2m)) = (fumo.parse(), notify.parse(), lwm2m.parse())
        else {
            continue;
        };
        for key in keys.split(',') {
            let before = rows.insert(key.trim().to_owned(), (fumo, notify, lwm2m));
            assert_eq!(before, None, "{key} is there twice");
        }
    }
    rows
}

#[test]
fn status_codes_are_as_documented() {
    use fwdelta::core::verify::codes::{Codes, DEFERRED, SUCCESS, codes_of};
    let document = fs::read_to_string(root().join("docs/status-codes.md")).unwrap();
    let mut rows = status_codes(&document);
    let tuple = |codes: Codes| (codes.fumo, codes.install_notify, codes.lwm2m);
    assert_eq!(rows.remove("success"), Some(tuple(SUCCESS)));
    assert_eq!(rows.remove("deferred"), Some(tuple(DEFERRED)));
    let mut used = std::collections::BTreeSet::new();
    for detail in Detail::ALL {
        let own = (*detail as u16).to_string();
        let category = format!("category {}", detail.category() as u8);
        let key = if rows.contains_key(&own) { own } else { category };
        assert_eq!(rows.get(&key), Some(&tuple(codes_of(*detail))), "{detail:?}, row {key}");
        used.insert(key);
    }
    assert_eq!(used.len(), rows.len(), "rows of no detail in docs/status-codes.md");
}

#[test]
fn rows_of_status_codes_are_read() {
    let rows = status_codes("| a | b | c | d | e |\n| 1, 2 | x | 400 | 900 | 3 |\n| 9 | x | 1 |");
    assert_eq!(rows.len(), 2);
    assert_eq!((rows["1"], rows["2"]), ((400, 900, 3), (400, 900, 3)));
}

#[test]
fn ranges_of_numbers_are_read() {
    let document =
        "## A\n| 1 | no |\n## B\n| n | x |\n| --- | |\n| 101 to 103, 105 | do |\n## C\n| 9 |";
    assert_eq!(numbers_of_table(document, "## B"), [101, 102, 103, 105]);
}

#[test]
fn only_cli_touches_the_world() {
    assert_rule(rules::only_cli_touches_the_world);
}

#[test]
fn a_print_outside_cli_is_found() {
    let rule = rules::only_cli_touches_the_world;
    assert_catches(rule, HOST, "\nfn a() { println!(); }", 2, "// println!()");
    assert_catches(rule, HOST, "use std::fs;", 1, "use std::fs::File;");
    assert_catches(rule, HOST, "File::open(path)", 1, "fn a(file: &File) {}");
    assert_catches(rule, HOST, "use std::{io, env};", 1, "use std::{io, path::Path};");
    assert_catches(rule, HOST, "use std::time::Instant;", 1, "use std::time::Duration;");
    assert_clean(&rule(&Source::new("src/cli/a.rs", "fn a() { println!(); }")));
}

#[test]
fn core_stands_alone() {
    assert_rule(rules::core_stands_alone);
}

#[test]
fn std_in_core_is_found() {
    let rule = rules::core_stands_alone;
    assert_catches(rule, CORE, "use std::fmt;", 1, "use core::fmt;");
    assert_catches(rule, CORE, "extern crate alloc;", 1, "#[cfg(test)]\nextern crate std;");
}

#[test]
fn unsafe_is_explained() {
    assert_rule(rules::unsafe_is_explained);
}

#[test]
fn unexplained_unsafe_is_found() {
    let rule = rules::unsafe_is_explained;
    assert_catches(rule, CORE, "// SAFETY: no.\nunsafe {}", 2, "#![forbid(unsafe_code)]");
    assert_catches(rule, "capi/src/lib.rs", "unsafe {}", 1, "// SAFETY: fits.\nunsafe {}");
    let documented =
        "/// # Safety\n/// Valid.\n#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn a();";
    let bare = "#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn a();";
    assert_catches(rule, "capi/src/lib.rs", bare, 2, documented);
    let pointer = "struct A(Option<unsafe extern \"C\" fn(u8) -> i32>);";
    assert_catches(rule, "capi/src/lib.rs", "unsafe { (a.0)(1) }", 1, pointer);
}

#[test]
fn nothing_panics() {
    assert_rule(rules::nothing_panics);
}

#[test]
fn a_panic_is_found() {
    let rule = rules::nothing_panics;
    let explained = "// INVARIANT: checked above.\na.unwrap();";
    assert_catches(rule, HOST, "\na.unwrap();", 2, explained);
    assert_catches(rule, CORE, "a.expect(\"b\");", 1, "reader.expect(Major::Uint);");
    assert_catches(rule, CORE, "todo!()", 1, "#[test]\nfn a() {\n    b.unwrap();\n}");
    assert_catches(rule, CORE, "unreachable!()", 1, "// unreachable!()");
}

#[test]
fn core_does_not_index() {
    assert_rule(rules::core_does_not_index);
}

#[test]
fn an_index_in_core_is_found() {
    let rule = rules::core_does_not_index;
    let good = "#[derive(A)]\nfn a(b: &[u8; 4], c: &mut [[u8; 2]; 3]) -> [u8; 2] { [0; 2] }";
    assert_catches(rule, CORE, "let a = b[0];", 1, good);
    assert_catches(rule, CORE, "f(x)[1..]", 1, "let [a, ..] = b;");
    assert_catches(rule, CORE, "a[0][1] = 2;", 1, "// INVARIANT: const.\na[0] = 1;");
    assert_catches(rule, CORE, "a.copy_from_slice(b);", 1, "a.iter().zip(b);");
}

fn documents() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files_below(&root().join("docs"), "md", &mut paths);
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.retain(|path| name(path).starts_with("format"));
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn constants_are_as_documented() {
    let sources = sources("rs");
    let constants = numbers::constants(&sources);
    let mut findings = Vec::new();
    let mut count = 0;
    for (name, text) in documents() {
        count += numbers::documented_constants(&text).len();
        findings.extend(numbers::check_constants(&format!("docs/{name}"), &text, &constants));
    }
    assert!(count >= 10, "only {count} constants found in docs/format*.md");
    assert_clean(&findings);
}

#[test]
fn a_constant_that_differs_is_found() {
    let code = "pub const A: usize = 16 * 1024;\n\
        const B: u64 = 2 * (A as u64 + 1) // two\n    << 1;\n\
        const MAGIC: [u8; 4] = *b\"FWD1\";\npub const LIST: &[u8] = &[1];";
    let constants = numbers::constants(&[Source::new("src/a.rs", code)]);
    let check = |rows: &str| {
        let document =
            format!("## 9. Constants\n\n| constant | value |\n|---|---|\n{rows}\n# Next\n");
        numbers::check_constants("docs/format.md", &document, &constants)
    };
    let good = "| A | 16384 |\n| `A` | 16,384 | note |\n| B | 65540 |\n| MAGIC | `\"FWD1\"` |";
    assert_clean(&check(good));
    for bad in ["| A | 16383 |", "| B | 2 |", "| C | 1 |", "| MAGIC | FWD2 |", "| LIST | 1 |"] {
        assert_eq!(check(bad).len(), 1, "{bad}");
        assert!(check(bad)[0].starts_with("docs/format.md:5: "), "{:?}", check(bad));
    }
    let elsewhere = "# Other\n| A | 1 |\n";
    assert_clean(&numbers::check_constants("docs/format.md", elsewhere, &constants));
}

#[test]
fn error_numbers_are_as_documented() {
    let code = fs::read_to_string(root().join("crates/fwdelta-core/src/error.rs")).unwrap();
    let code = numbers::code_details(&code);
    assert_eq!(code.len(), fwdelta::core::Detail::ALL.len(), "the table in error.rs was not read");
    for detail in fwdelta::core::Detail::ALL {
        assert_eq!(code.get(detail.name()), Some(&(*detail as u16)));
    }
    let document = fs::read_to_string(root().join("docs/format.md")).unwrap();
    assert_clean(&numbers::check_details(&code, &numbers::documented_details(&document)));
}

#[test]
fn an_error_number_that_differs_is_found() {
    let code = numbers::code_details("    Truncated = 101, \"ends\";\n    BadTag = 106, \"tag\";");
    let check = |rows| numbers::check_details(&code, &numbers::documented_details(rows));
    let good = "| 101 | Truncated | ends |\n| 106 | BadTag | tag |";
    assert_clean(&check(good));
    assert_eq!(check("| 102 | Truncated | ends |\n| 106 | BadTag | tag |").len(), 1);
    assert_eq!(check("| 101 | Truncated | ends |").len(), 1);
    assert_eq!(check(&format!("{good}\n| 107 | BadUtf8 | text |")).len(), 1);
}

/// ORIGIN.md names a digest for each image, and the image has it.
#[test]
fn firmware_is_what_its_origin_says() {
    let mut origins = Vec::new();
    files_below(&root().join("testdata/firmware"), "md", &mut origins);
    origins.retain(|path| path.ends_with("ORIGIN.md"));
    let mut checked = 0;
    for origin in origins {
        let text = fs::read_to_string(&origin).unwrap();
        for image in ["old.bin", "new.bin"] {
            let Ok(bytes) = fs::read(origin.with_file_name(image)) else { continue };
            let digest: String = fwdelta::hex::hex(&fwdelta::core::hash::sha256(&bytes));
            let row = text.lines().find(|line| line.starts_with(&format!("| `{image}` |")));
            let row = row.unwrap_or_else(|| panic!("{} has no row {image}", origin.display()));
            assert!(row.contains(&format!("| {} | `{digest}` |", bytes.len())), "{row}");
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} images found");
}

#[test]
fn the_threat_model_names_checks_and_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    assert!(named::references(&text).count() > 100, "the table is not read");
    let read = |path: &str| fs::read_to_string(root().join(path)).ok();
    assert_clean(&named::missing(&text, &read));
    for heading in ["\n## 4. Attacks", "\n## 5. Keys that leak", "\n## 6. Holes that others had"] {
        assert_clean(&named::untested(&text, heading));
    }
}

#[test]
fn a_check_or_test_that_does_not_exist_is_found() {
    let read = |path: &str| match path {
        "src/a.rs" => Some("pub fn check<T>() {}\nfn checked() {}".to_owned()),
        "tests/b.rs" => Some("#[test]\nfn shown() {\n}\nfn helper() {\n}".to_owned()),
        _ => None,
    };
    let missing = |text: &str| named::missing(text, &read).len();
    assert_eq!(missing("| x | `a.rs::check`, `a.rs::checked` | `tests/b.rs::shown` |"), 0);
    assert_eq!(missing("`a.rs::chec` `a.rs::other` `c.rs::check`"), 3);
    assert_eq!(missing("`tests/b.rs::helper`"), 1);
    let table = "\n## A\n\n| attack | test |\n|---|---|\n| one | `tests/b.rs::shown` |\n";
    assert!(named::untested(table, "\n## A").is_empty());
    let row = "| two | `a.rs::check` |\n## B\n| three | |\n";
    assert_eq!(named::untested(&format!("{table}{row}"), "\n## A").len(), 1);
}
