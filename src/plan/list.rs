//! The list of packages that people write, in TOML: what a package does not say of itself.

use serde::Deserialize;

use crate::core::format::manifest::is_name;
use crate::error::{Error, Result, in_line};
use crate::release::Uri;
use crate::release::plain::Line;

use super::{GROUP_COUNT_MAX, INDEX_ENTRY_COUNT_MAX, VERSION_TEXT_LEN_MAX};

/// Longest list, in bytes.
const FILE_LEN_MAX: usize = 4 * 1024 * 1024;

/// Packages and where the next index is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Where the next index is.
    pub next_url: Option<Uri>,
    /// The packages, in order.
    #[serde(default)]
    pub package: Vec<Named>,
}

/// One package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its file, relative to the list.
    pub file: String,
    /// Rank of the release it leads to; its place in the list, from 1, if not said.
    pub order: Option<u64>,
    /// Groups it is for; everyone if there are none.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether it leads back to an older release on purpose.
    #[serde(default)]
    pub restore: bool,
    /// Version of what it starts from; looked up in the other packages if not said.
    pub old_version: Option<Line<VERSION_TEXT_LEN_MAX>>,
    /// Version of what it leads to; that in the package's text if not said.
    pub new_version: Option<Line<VERSION_TEXT_LEN_MAX>>,
    /// Where a download agent goes after it.
    pub next_url: Option<Uri>,
}

impl List {
    /// Reads a list; `subject` names it in errors.
    ///
    /// # Errors
    /// Input errors with line, reason and remedy.
    pub fn parse(text: &str, subject: &str) -> Result<Self> {
        let wrong = |what: String| Error::input(subject, what);
        if text.len() > FILE_LEN_MAX {
            return Err(wrong(format!("longer than {FILE_LEN_MAX} bytes; split the list")));
        }
        let list: Self = toml::from_str(text)
            .map_err(|error| wrong(in_line(text, error.span(), &error.message())))?;
        if list.package.len() > INDEX_ENTRY_COUNT_MAX {
            return Err(wrong(format!(
                "more than {INDEX_ENTRY_COUNT_MAX} packages; split the list"
            )));
        }
        for named in &list.package {
            let about = |what: &str| wrong(format!("{}: {what}", named.file.escape_debug()));
            if named.groups.len() > GROUP_COUNT_MAX {
                return Err(about(&format!("more than {GROUP_COUNT_MAX} groups")));
            }
            if !named.groups.iter().all(|group| is_name(group)) {
                return Err(about("a group is 1 to 32 of a-z A-Z 0-9 . _ -"));
            }
            let long = |version: &Option<Line<VERSION_TEXT_LEN_MAX>>| {
                version.as_ref().is_some_and(|line| line.as_str().len() > VERSION_TEXT_LEN_MAX)
            };
            if long(&named.old_version) || long(&named.new_version) {
                return Err(about(&format!("a version has at most {VERSION_TEXT_LEN_MAX} bytes")));
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_strictly() {
        let text = "next_url = \"https://e.com/i\"\n[[package]]\nfile = \"a.suit\"\norder = 3\n\
            groups = [\"canary\"]\nold_version = \"1.0\"\n[[package]]\nfile = \"b.suit\"\n\
            restore = true\n";
        let list = List::parse(text, "list.toml").unwrap();
        assert_eq!((list.package[0].order, list.package[1].order), (Some(3), None));
        assert!(list.package[1].restore && list.package[1].groups.is_empty());
        for (bad, reason) in [
            (text.replace("canary", "can ary"), "a group is"),
            (text.replace("1.0", &"1".repeat(65)), "65 characters"),
            (text.replace("1.0", "1\\u202E0"), "U+202E"),
            (text.replace("1.0", &"é".repeat(64)), "64 bytes"),
            (text.replace("restore", "restor"), "unknown field"),
            (text.replace("https", "ftp"), "http"),
            ("x".repeat(FILE_LEN_MAX + 1), "longer than"),
        ] {
            let error = List::parse(&bad, "list.toml").unwrap_err().to_string();
            assert!(error.starts_with("list.toml: ") && error.contains(reason), "{error}");
        }
    }
}
