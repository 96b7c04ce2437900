//! Functions and tests that a document names must exist.

/// Folders that a path in a document may be below.
const BASES: [&str; 3] = ["", "crates/fwdelta-core/src/", "src/"];

/// What stands as `` `path.rs::name` `` in `text`.
pub(crate) fn references(text: &str) -> impl Iterator<Item = (String, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|quoted| quoted.split_once(".rs::"));
    named.map(|(path, name)| (format!("{path}.rs"), name))
}

/// Whether `code` has this function; as a test, if it `must_be_test`.
fn has(code: &str, name: &str, must_be_test: bool) -> bool {
    let mut before = "";
    code.lines().map(str::trim).any(|line| {
        let after = line.split_once("fn ").and_then(|(_, rest)| rest.strip_prefix(name));
        let is_it = after.is_some_and(|rest| rest.starts_with(['(', '<']));
        let fits = is_it && (!must_be_test || before == "#[test]");
        before = line;
        fits
    })
}

/// What `text` names that `read` does not find; `read` gives the code of a path.
pub(crate) fn missing(text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let exists = |path: &str, name: &str| {
        let mut codes = BASES.iter().filter_map(|base| read(&format!("{base}{path}")));
        codes.any(|code| has(&code, name, path.starts_with("tests/")))
    };
    let lost = references(text).filter(|(path, name)| !exists(path, name));
    lost.map(|(path, name)| format!("{path}::{name} is named, but there is none")).collect()
}

/// Rows of the table under `heading` that name no test.
pub(crate) fn untested(text: &str, heading: &str) -> Vec<String> {
    let section = text.split_once(heading).map_or("", |(_, rest)| rest);
    let section = section.split("\n## ").next().unwrap_or("");
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let has_test = |row: &&str| references(row).any(|(path, _)| path.starts_with("tests/"));
    rows.filter(|row| !has_test(row)).map(|row| format!("no test is named: {row}")).collect()
}
