//! Prompts as a device reads them: which language to show, and the text of one moment
//! (docs/format.md, section 4).
//!
//! Layout: a CBOR map from language tag to a map from moment to text. Prompts are read where they
//! stand; nothing is kept.

use super::cbor::Reader;
use crate::error::{Detail, Result};

/// Longest prompt, in characters: what fits the screen of a small device.
pub const PROMPT_CHARS_MAX: usize = 256;
/// Longest prompts payload, in bytes.
pub const PROMPTS_LEN_MAX: usize = 16 * 1024;
/// Moments: before and after the download, before and after the update, 1 to this.
pub const MOMENT_MAX: u8 = 4;

/// The language shown to whom no better one is known.
const DEFAULT: &str = "en";
/// Longest tag, in bytes (RFC 5646, section 4.4.1, asks for at least 35).
const TAG_LEN_MAX: usize = 35;

/// A prompts payload that was read once and is whole.
#[derive(Clone, Copy, Debug)]
pub struct Prompts<'a>(&'a [u8]);

/// One language's prompts.
#[derive(Clone, Copy, Debug)]
struct Language<'a> {
    tag: &'a str,
    texts: [Option<&'a str>; MOMENT_MAX as usize],
}

impl<'a> Prompts<'a> {
    /// Reads all of the payload.
    ///
    /// # Errors
    /// CBOR errors, `StringTooLong` above [`PROMPTS_LEN_MAX`] bytes, `MissingField` for no language
    /// or no text, `UnknownKey` for another moment, `BadValue` for what is no tag or must not be
    /// shown.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > PROMPTS_LEN_MAX {
            return Err(Detail::StringTooLong.into());
        }
        let mut count = 0u32;
        each(bytes, |language| {
            count = count.saturating_add(1);
            let is_there = language.texts.iter().any(Option::is_some);
            if is_there { Ok(()) } else { Err(Detail::MissingField.into()) }
        })?;
        if count > 0 { Ok(Self(bytes)) } else { Err(Detail::MissingField.into()) }
    }

    /// The language to show: that of the device (RFC 4647 lookup; a BCP 47 tag, or a POSIX locale
    /// as in `de_AT.UTF-8`), else English, else the first.
    #[must_use]
    pub fn choose(&self, device_language: &str) -> &'a str {
        let locale = device_language.split(['.', '@']).next().unwrap_or("").trim();
        let by_device = (2..=TAG_LEN_MAX).contains(&locale.len()).then(|| self.lookup(locale));
        let chosen = by_device.flatten().or_else(|| self.lookup(DEFAULT));
        chosen.or_else(|| self.find(|_| true).map(|language| language.tag)).unwrap_or("")
    }

    /// The text of `moment` in the language of `tag`, or in one that it falls back to.
    #[must_use]
    pub fn text(&self, tag: &str, moment: u8) -> Option<&'a str> {
        let at = usize::from(moment.checked_sub(1)?);
        chain(tag).find_map(|range| {
            let language = self.find(|language| is_same(language.tag, range))?;
            language.texts.get(at).copied().flatten()
        })
    }

    fn lookup(&self, tag: &str) -> Option<&'a str> {
        chain(tag).find_map(|range| {
            self.find(|language| is_same(language.tag, range)).map(|language| language.tag)
        })
    }

    fn find(&self, is_it: impl Fn(&Language<'a>) -> bool) -> Option<Language<'a>> {
        let mut found = None;
        let read = each(self.0, |language| {
            if found.is_none() && is_it(&language) {
                found = Some(language);
            }
            Ok(())
        });
        read.ok().and(found)
    }
}

/// Gives one language after the other.
fn each<'a>(bytes: &'a [u8], mut give: impl FnMut(Language<'a>) -> Result<()>) -> Result<()> {
    let mut reader = Reader::new(bytes);
    let mut map = reader.map()?;
    while let Some(mut key) = map.key(&mut reader)? {
        let error = key.error(Detail::BadValue);
        let tag = key.text()?;
        let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(2..=TAG_LEN_MAX).contains(&tag.len()) || !tag.bytes().all(is_tag) {
            return Err(error);
        }
        give(Language { tag, texts: texts(&mut reader)? })?;
    }
    reader.finish()
}

fn texts<'a>(reader: &mut Reader<'a>) -> Result<[Option<&'a str>; MOMENT_MAX as usize]> {
    let mut texts = [None; MOMENT_MAX as usize];
    let mut map = reader.map()?;
    loop {
        let unknown = reader.error(Detail::UnknownKey);
        let Some(moment) = map.int_key(reader)? else { return Ok(texts) };
        let at = moment.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let slot = at.and_then(|at| texts.get_mut(at)).ok_or(unknown)?;
        let error = reader.error(Detail::BadValue);
        let text = reader.text()?;
        let is_plain = !text.is_empty()
            && text == text.trim()
            && text.chars().count() <= PROMPT_CHARS_MAX
            && text.chars().all(|character| forbidden(character).is_none());
        *slot = Some(text).filter(|_| is_plain);
        slot.ok_or(error)?;
    }
}

/// The tag and its fallbacks, most specific first: `zh-Hant-TW`, `zh-Hant`, `zh` (RFC 4647,
/// section 3.4).
fn chain(tag: &str) -> impl Iterator<Item = &str> {
    core::iter::successors(Some(tag), |tag| {
        let (shorter, _) = tag.rsplit_once(['-', '_'])?;
        // A singleton announces what follows it, so it goes with it.
        match shorter.rsplit_once(['-', '_']) {
            Some((rest, singleton)) if singleton.len() == 1 => Some(rest),
            _ => Some(shorter),
        }
    })
}

/// Whether two tags are the same: without regard to case, and `_` is as good as `-`.
fn is_same(a: &str, b: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

/// What a character does that it should not in a text for people, if anything.
///
/// Bidirectional controls (Unicode property `Bidi_Control`) are refused because they can make a
/// prompt read as the opposite of what was reviewed; non-characters because XML 1.0 forbids them.
#[must_use]
pub fn forbidden(character: char) -> Option<&'static str> {
    match character {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("a bidirectional control character")
        }
        '\u{2028}' | '\u{2029}' => Some("a line or paragraph separator"),
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => {
            Some("an invisible format character")
        }
        '\u{fdd0}'..='\u{fdef}' => Some("a non-character"),
        other if other.is_control() => Some("a control character"),
        other if u32::from(other) & 0xfffe == 0xfffe => Some("a non-character"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_anywhere_is_refused() {
        let whole = b"\xa2\x62de\xa2\x01\x62Ja\x04\x66Fertig\x62en\xa1\x01\x63Yes";
        let prompts = Prompts::parse(whole).unwrap();
        assert_eq!(prompts.choose("de_AT.UTF-8"), "de");
        assert_eq!(prompts.choose("DE-at"), "de");
        assert_eq!(prompts.choose("C"), "en");
        assert_eq!(prompts.choose("fr"), "en");
        assert_eq!(prompts.text("de-AT", 4), Some("Fertig"));
        assert_eq!((prompts.text("en", 4), prompts.text("de", 0)), (None, None));
        assert_eq!((prompts.text("de", 9), prompts.text("", 1)), (None, None));
        for len in 0..whole.len() {
            assert!(Prompts::parse(&whole[..len]).is_err(), "{len}");
        }
        assert_eq!(Prompts::parse(b"\xa1\x61d\xa1\x01\x61a").unwrap_err().detail, Detail::BadValue);
    }

    #[test]
    fn fallbacks_leave_out_a_singleton_with_what_it_announces() {
        assert!(chain("zh-Hant-TW").eq(["zh-Hant-TW", "zh-Hant", "zh"]));
        assert!(chain("de_AT-x-fwd").eq(["de_AT-x-fwd", "de_AT", "de"]));
    }
}
