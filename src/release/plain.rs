//! Plain text that is safe to put before a user: no control characters, nothing that reorders or
//! hides what is written, bounded in length. These are checks at the door: whoever holds a
//! [`Line`] or a [`Body`] needs no further care.

pub use fwdelta_core::format::prompts::forbidden;
use serde::Deserialize;

/// `text` for display: forbidden characters become U+FFFD, the rest is cut at `chars_max`.
#[must_use]
pub fn sanitised(text: &str, chars_max: usize) -> String {
    let shown = |c| if forbidden(c).is_some() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(chars_max).map(shown).collect()
}

/// As [`sanitised`], but line feeds and tabs stay.
#[must_use]
pub fn sanitised_body(text: &str, chars_max: usize) -> String {
    let keep = |c| matches!(c, '\n' | '\t') || forbidden(c).is_none();
    let shown = |c| if keep(c) { c } else { char::REPLACEMENT_CHARACTER };
    text.chars().take(chars_max).map(shown).collect()
}

fn check(text: &str, chars_max: usize, allowed: &[char]) -> Result<(), String> {
    if text.is_empty() {
        return Err("the text is empty; leave the entry out instead".to_owned());
    }
    let bad = text.chars().filter(|c| !allowed.contains(c));
    if let Some((character, what)) = bad.filter_map(|c| Some((c, forbidden(c)?))).next() {
        let code = u32::from(character);
        return Err(format!("the text contains {what} (U+{code:04X}); remove it"));
    }
    let count = text.chars().count();
    if count > chars_max {
        return Err(format!("the text has {count} characters; at most {chars_max} are allowed"));
    }
    Ok(())
}

/// One line of 1 to `MAX` characters, without blanks at its ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Line<const MAX: usize>(String);

impl<const MAX: usize> Line<MAX> {
    /// Checks `text`.
    ///
    /// # Errors
    /// What is wrong and how to mend it, as a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        check(text, MAX, &[])?;
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Line<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

/// Text of several lines, at most `MAX` characters; line ends are LF.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Body<const MAX: usize>(String);

impl<const MAX: usize> Body<MAX> {
    /// Checks `text`.
    ///
    /// # Errors
    /// What is wrong and how to mend it, as a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.replace("\r\n", "\n");
        let text = text.trim();
        check(text, MAX, &['\n', '\t'])?;
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Body<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_deceive() {
        for (text, expected) in [
            ("Install \u{202e}?won", "U+202E"),
            ("a\u{2066}b", "bidirectional"),
            ("line\nbreak", "control"),
            ("bell\u{7}", "U+0007"),
            ("c1 \u{85}x", "control"),
            ("zero\u{feff}width", "invisible"),
            ("x\u{ffff}", "non-character"),
            ("   ", "empty"),
            ("0123456789A", "11 characters"),
        ] {
            let error = Line::<10>::new(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        assert_eq!(Line::<10>::new("  ÄÖÜäöüß€  ").unwrap().as_str(), "ÄÖÜäöüß€");
        // Joiners carry meaning in Persian and Hindi and stay.
        assert!(Line::<10>::new("می\u{200c}خواهم").is_ok());
    }

    #[test]
    fn bodies_keep_their_lines() {
        assert_eq!(Body::<99>::new("\r\na\r\n\tb\r\n").unwrap().as_str(), "a\n\tb");
        assert!(Body::<99>::new("a\u{1b}[2Jb").unwrap_err().contains("U+001B"));
        assert_eq!(sanitised_body("a\n\u{1b}b", 9), "a\n\u{fffd}b");
        assert_eq!(sanitised("a\nb", 2), "a\u{fffd}");
    }
}
