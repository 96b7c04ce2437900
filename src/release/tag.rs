//! Language tags (BCP 47: RFC 5646 syntax, RFC 4647 lookup).

use std::fmt;

use serde::Deserialize;

/// Longest tag in bytes (RFC 5646, section 4.4.1, asks for at least 35).
pub const TAG_LEN_MAX: usize = 35;

/// A well-formed tag in canonical case: `de`, `de-AT`, `zh-Hant-TW`.
///
/// Sorted as text; no registry is asked whether the subtags exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Tag(String);

impl Tag {
    /// Checks the shape of `text` and puts it in canonical case.
    ///
    /// # Errors
    /// What is wrong, as a sentence. Grandfathered and private-use-only tags are refused.
    pub fn new(text: &str) -> Result<Self, String> {
        let wrong = |why| {
            format!("\"{}\" is not a language tag such as de or pt-BR: {why}", text.escape_debug())
        };
        if text.len() > TAG_LEN_MAX {
            return Err(format!("a language tag of more than {TAG_LEN_MAX} characters"));
        }
        check_shape(text).map_err(wrong)?;
        Ok(Self(canonical_case(text)))
    }

    /// A tag that is known to be well-formed and canonical.
    pub(super) fn known(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag and its fallbacks, most specific first: `zh-Hant-TW`, `zh-Hant`, `zh`
    /// (RFC 4647, section 3.4).
    pub fn chain(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.as_str()), |tag| {
            let shorter = tag.rsplit_once('-')?.0;
            // A singleton announces what follows it, so it goes with it.
            match shorter.rsplit_once('-') {
                Some((rest, singleton)) if singleton.len() == 1 => Some(rest),
                _ => Some(shorter),
            }
        })
    }

    /// The best of `available` for this tag, by the fallback chain.
    #[must_use]
    pub fn lookup<'a>(&self, available: impl Iterator<Item = &'a Tag> + Clone) -> Option<&'a Tag> {
        self.chain().find_map(|range| available.clone().find(|tag| tag.as_str() == range))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Tag {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

fn is_alpha(subtag: &str) -> bool {
    subtag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_region(subtag: &str) -> bool {
    subtag.len() == 2 && is_alpha(subtag)
        || subtag.len() == 3 && subtag.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_variant(subtag: &str) -> bool {
    subtag.len() >= 5 || subtag.len() == 4 && subtag.as_bytes()[0].is_ascii_digit()
}

/// `language ["-" extlang] ["-" script] ["-" region] *("-" variant) *("-" extension)
/// ["-" privateuse]` (RFC 5646, section 2.1).
fn check_shape(text: &str) -> Result<(), &'static str> {
    let alnum = |subtag: &str| subtag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if text.split('-').any(|subtag| !matches!(subtag.len(), 1..=8) || !alnum(subtag)) {
        return Err("parts are 1 to 8 letters or digits, joined by hyphens");
    }
    let mut subtags = text.split('-').peekable();
    let language = subtags.next().unwrap_or("");
    if language.len() < 2 || !is_alpha(language) {
        return Err("it does not start with a language of 2 to 8 letters");
    }
    for _ in 0..3 {
        if language.len() <= 3 {
            subtags.next_if(|subtag| subtag.len() == 3 && is_alpha(subtag));
        }
    }
    subtags.next_if(|subtag| subtag.len() == 4 && is_alpha(subtag));
    subtags.next_if(|subtag| is_region(subtag));
    let mut seen = Vec::new();
    while let Some(variant) = subtags.next_if(|subtag| is_variant(subtag)) {
        note_once(&mut seen, variant)?;
    }
    check_extensions(subtags)
}

fn check_extensions<'a>(subtags: impl Iterator<Item = &'a str>) -> Result<(), &'static str> {
    let mut subtags = subtags.peekable();
    let mut seen = Vec::new();
    while let Some(singleton) = subtags.next() {
        if singleton.len() != 1 {
            return Err("a part is not where it belongs");
        }
        note_once(&mut seen, singleton)?;
        let private = singleton.eq_ignore_ascii_case("x");
        let mut count = 0;
        while subtags.next_if(|subtag| private || subtag.len() > 1).is_some() {
            count += 1;
        }
        if count == 0 {
            return Err("nothing follows a single letter");
        }
    }
    Ok(())
}

fn note_once(seen: &mut Vec<String>, subtag: &str) -> Result<(), &'static str> {
    let subtag = subtag.to_ascii_lowercase();
    if seen.contains(&subtag) {
        return Err("a part occurs twice");
    }
    seen.push(subtag);
    Ok(())
}

/// Lower case, but `Hant` and `TW` before any singleton (RFC 5646, section 2.1.1).
fn canonical_case(text: &str) -> String {
    let mut after_singleton = false;
    let mut subtags: Vec<String> = Vec::new();
    for (index, subtag) in text.split('-').enumerate() {
        let mut subtag = subtag.to_ascii_lowercase();
        if index > 0 && !after_singleton {
            match subtag.len() {
                2 => subtag.make_ascii_uppercase(),
                4 if is_alpha(&subtag) => subtag[..1].make_ascii_uppercase(),
                _ => {}
            }
        }
        after_singleton |= subtag.len() == 1;
        subtags.push(subtag);
    }
    subtags.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonicalises_case() {
        for (text, canonical) in [
            ("DE", "de"),
            ("de-at", "de-AT"),
            ("ZH-hant-tw", "zh-Hant-TW"),
            ("zh-cmn-HANS-cn", "zh-cmn-Hans-CN"),
            ("es-419", "es-419"),
            ("SL-rozaj-BISKE-1994", "sl-rozaj-biske-1994"),
            ("de-CH-1901", "de-CH-1901"),
            ("en-US-U-islamcal", "en-US-u-islamcal"),
            ("en-a-BB-aa-x-AA-b", "en-a-bb-aa-x-aa-b"),
        ] {
            assert_eq!(Tag::new(text).unwrap().as_str(), canonical);
            assert_eq!(Tag::new(canonical).unwrap().as_str(), canonical);
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for text in [
            "",
            "d",
            "de_AT",
            "de-",
            "-de",
            "de--AT",
            "x-private",
            "i-klingon",
            "de-AT-AT",
            "419",
            "de-a",
            "de-rozaj-rozaj",
            "de-a-bb-a-cc",
            "german",
            "toolonglanguage",
            "dé",
            "de-x",
            "de-AT-Latn",
        ] {
            // "german" has the shape of a registered language of 5 to 8 letters.
            assert_eq!(Tag::new(text).is_ok(), text == "german", "{text}");
        }
        assert!(Tag::new(&format!("de{}", "-abcde".repeat(9))).is_err());
    }

    #[test]
    fn falls_back_by_truncation() {
        let tag = Tag::new("zh-Hant-CN-x-private1-private2").unwrap();
        let chain: Vec<_> = tag.chain().collect();
        // The example of RFC 4647, section 3.4.
        assert_eq!(
            chain,
            [
                "zh-Hant-CN-x-private1-private2",
                "zh-Hant-CN-x-private1",
                "zh-Hant-CN",
                "zh-Hant",
                "zh"
            ]
        );
        let available = ["en", "zh-Hant", "zh"].map(|text| Tag::new(text).unwrap());
        assert_eq!(tag.lookup(available.iter()), Some(&available[1]));
        assert_eq!(Tag::new("fr-CA").unwrap().lookup(available.iter()), None);
    }
}
