//! Small checked values of a release file; an error is a sentence, the reader adds file and line.

use std::fmt;

use fwdelta_core::limits::NAME_LEN_MAX;
use serde::Deserialize;

use super::plain::Line;

/// Longest name of a vendor, model, class or release, in characters.
pub const NAME_CHARS_MAX: usize = 128;
/// Longest address, in characters; what a payload reference may have.
pub const URI_CHARS_MAX: usize = fwdelta_core::limits::URI_LEN_MAX;
/// Numbers in a version.
const NUMBER_COUNT_MAX: usize = 5;

/// A name for people.
pub type Name = Line<NAME_CHARS_MAX>;

/// A built-in name.
pub(super) fn known_name(text: &'static str) -> Name {
    // INVARIANT: built-in names are short and plain; a test reads every one of them.
    Name::new(text).expect("built-in name")
}

macro_rules! checked_string {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                Self::new(&text)
            }
        }

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_string!(Domain);
checked_string!(Uri);
checked_string!(ComponentName);

/// A domain name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Domain(String);

impl Domain {
    /// Checks the shape of `text` (RFC 1123 labels) and makes it lower case, because the vendor id
    /// depends on every byte.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        let label = |label: &str| {
            matches!(label.len(), 1..=63)
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() > 253 || !text.split('.').all(label) {
            let shown = text.escape_debug();
            return Err(format!(
                "\"{shown}\" is not a domain name such as example.com; \
                 write international names in their xn-- form"
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl Default for Domain {
    /// `example.invalid`: reserved, so it never collides with a vendor.
    fn default() -> Self {
        Self("example.invalid".to_owned())
    }
}

/// An absolute http or https address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Uri(String);

impl Uri {
    /// Checks scheme, host and characters (RFC 3986); credentials are refused, because addresses
    /// here are published.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("\"{}\" {why}", text.escape_debug());
        if text.len() > URI_CHARS_MAX {
            return Err(format!("an address of more than {URI_CHARS_MAX} characters"));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("", ""));
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(wrong("is not an address with http:// or https://"));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        if authority.is_empty() || authority.starts_with(':') {
            return Err(wrong("has no host"));
        }
        if authority.contains('@') {
            return Err(wrong("contains a user name or password; remove it"));
        }
        if !text.bytes().all(is_uri_byte) || !percent_is_hex(text) {
            return Err(wrong("contains characters that must be percent-encoded"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

fn percent_is_hex(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|part| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

/// The name of a component, as in `--component NAME:OLD:NEW`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ComponentName(String);

impl ComponentName {
    /// Checks the length and the characters: letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !matches!(text.len(), 1..=NAME_LEN_MAX) || !text.bytes().all(plain) {
            let shown = text.escape_debug();
            return Err(format!(
                "\"{shown}\" is not a component name: 1 to {NAME_LEN_MAX} letters, digits, \
                 hyphens, underscores or dots"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A version: one to five numbers, and perhaps `-alpha`, `-beta` or `-rc` with a number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Version {
    text: String,
    numbers: Vec<i64>,
}

impl Version {
    /// Reads `text`, as in `2.1.0` or `2.1.0-rc.3`.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        let numbers = version_numbers(text).ok_or_else(|| {
            format!(
                "\"{}\" is not a version such as 2.1.0 or 2.1.0-rc.1: one to {NUMBER_COUNT_MAX} \
                 numbers without leading zeros, then -alpha, -beta or -rc with a number",
                text.escape_debug()
            )
        })?;
        Ok(Self { text: text.to_owned(), numbers })
    }

    /// The text; it consists of letters, digits, dots and hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The numbers of SUIT's version parameter: pre-releases are -3 (alpha), -2 (beta) and -1 (rc),
    /// so that they sort before the release.
    #[must_use]
    pub fn numbers(&self) -> &[i64] {
        &self.numbers
    }
}

fn version_numbers(text: &str) -> Option<Vec<i64>> {
    let number = |digits: &str| {
        let canonical = digits == "0" || !digits.starts_with('0');
        let plain = matches!(digits.len(), 1..=10) && digits.bytes().all(|b| b.is_ascii_digit());
        if canonical && plain { digits.parse::<u32>().ok().map(i64::from) } else { None }
    };
    let (release, stage) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let mut numbers = release.split('.').map(number).collect::<Option<Vec<_>>>()?;
    if numbers.len() > NUMBER_COUNT_MAX {
        return None;
    }
    if let Some(stage) = stage {
        let (word, count) = stage.split_once('.').map_or((stage, None), |(a, b)| (a, Some(b)));
        let stages = [("alpha", -3), ("beta", -2), ("rc", -1)];
        numbers.push(stages.iter().find(|(name, _)| *name == word)?.1);
        if let Some(count) = count {
            numbers.push(number(count)?);
        }
    }
    Some(numbers)
}

impl Default for Version {
    fn default() -> Self {
        Self { text: "0.0.0".to_owned(), numbers: vec![0, 0, 0] }
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_numbers_that_sort() {
        let numbers = |text| Version::new(text).unwrap().numbers().to_vec();
        assert_eq!(numbers("2.1.0"), [2, 1, 0]);
        assert_eq!(numbers("7"), [7]);
        assert_eq!(numbers("2.1.0-rc.3"), [2, 1, 0, -1, 3]);
        assert!(numbers("2.1.0-alpha") < numbers("2.1.0-beta.9"));
        for text in ["", "1.", ".1", "01.2", "1.2.3.4.5.6", "v1", "1.0-gamma", "1.0+a", "1.0-rc.x"]
        {
            assert!(Version::new(text).is_err(), "{text}");
        }
        assert!(Version::new("4294967296").is_err());
        assert_eq!(Version::new("0.0.0"), Ok(Version::default()));
    }

    #[test]
    fn addresses_are_absolute_and_clean() {
        for text in ["https://e.com", "HTTP://e.com:8080/a%20b?c=d", "http://[::1]/x"] {
            assert!(Uri::new(text).is_ok(), "{text}");
        }
        for text in [
            "e.com/a",
            "ftp://e.com",
            "https://",
            "https:///a",
            "https://u:p@e.com/",
            "https://:80/",
            "https://e.com/a b",
            "https://e.com/ä",
            "https://e.com/%2",
            "https://e.com/%zz",
            "javascript://e.com/",
            "https://e.com/\"",
        ] {
            assert!(Uri::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn domains_and_component_names() {
        assert_eq!(Domain::new("Example.COM").unwrap().as_str(), "example.com");
        assert_eq!(Domain::new(Domain::default().as_str()), Ok(Domain::default()));
        for text in ["", "a..b", "-a.com", "münchen.de", "a b.com", "https://a.com"] {
            assert!(Domain::new(text).is_err(), "{text}");
        }
        assert!(ComponentName::new("boot_loader-1.x").is_ok());
        for text in ["", "a b", "a/b", &"x".repeat(33)] {
            assert!(ComponentName::new(text).is_err(), "{text}");
        }
        assert_eq!(known_name("device").as_str(), "device");
    }
}
