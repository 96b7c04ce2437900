//! The four prompts, per language, and their payload in the package.
//!
//! Layout: a CBOR map from language tag to a map from moment (1 to 4) to text, deterministic.

use std::collections::BTreeMap;

use fwdelta_core::Detail;
use fwdelta_core::format::cbor::Reader;
use serde::Deserialize;

use super::file::UniqueMap;
use super::plain::Line;
use super::tag::Tag;
use crate::cbor;
use crate::error::{Error, Result};

pub use fwdelta_core::format::prompts::{PROMPT_CHARS_MAX, PROMPTS_LEN_MAX};

/// Languages in one release or payload.
pub const LANGUAGE_COUNT_MAX: usize = 64;

/// One prompt.
pub type Prompt = Line<PROMPT_CHARS_MAX>;

/// When a prompt is shown; the number is its key in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Moment {
    /// Before the package is downloaded; also in the download descriptor.
    BeforeDownload = 1,
    /// After the download.
    AfterDownload = 2,
    /// Before the first destructive write.
    BeforeUpdate = 3,
    /// After the new image runs.
    AfterUpdate = 4,
}

impl Moment {
    /// All moments, in order.
    pub const ALL: [Moment; 4] =
        [Moment::BeforeDownload, Moment::AfterDownload, Moment::BeforeUpdate, Moment::AfterUpdate];

    /// The name used in release files and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Moment::BeforeDownload => "before_download",
            Moment::AfterDownload => "after_download",
            Moment::BeforeUpdate => "before_update",
            Moment::AfterUpdate => "after_update",
        }
    }

    /// The English prompt used when nobody wrote one.
    #[must_use]
    pub const fn english(self) -> &'static str {
        match self {
            Moment::BeforeDownload => "A firmware update is available. Download it now?",
            Moment::AfterDownload => {
                "The firmware update has been downloaded and can be installed."
            }
            Moment::BeforeUpdate => {
                "The device will restart to install the firmware update. \
                 Do not switch it off meanwhile. Install it now?"
            }
            Moment::AfterUpdate => "The firmware was updated successfully.",
        }
    }
}

/// The prompts of one language; what is absent is taken from a fallback language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptSet {
    /// Before the download.
    pub before_download: Option<Prompt>,
    /// After the download.
    pub after_download: Option<Prompt>,
    /// Before the update.
    pub before_update: Option<Prompt>,
    /// After the update.
    pub after_update: Option<Prompt>,
}

impl PromptSet {
    /// The prompt of `moment`.
    #[must_use]
    pub const fn get(&self, moment: Moment) -> Option<&Prompt> {
        match moment {
            Moment::BeforeDownload => self.before_download.as_ref(),
            Moment::AfterDownload => self.after_download.as_ref(),
            Moment::BeforeUpdate => self.before_update.as_ref(),
            Moment::AfterUpdate => self.after_update.as_ref(),
        }
    }

    /// The place of the prompt of `moment`.
    pub const fn slot(&mut self, moment: Moment) -> &mut Option<Prompt> {
        match moment {
            Moment::BeforeDownload => &mut self.before_download,
            Moment::AfterDownload => &mut self.after_download,
            Moment::BeforeUpdate => &mut self.before_update,
            Moment::AfterUpdate => &mut self.after_update,
        }
    }

    fn is_empty(&self) -> bool {
        Moment::ALL.iter().all(|moment| self.get(*moment).is_none())
    }

    fn to_cbor(&self) -> Vec<u8> {
        let entry = |moment| {
            let prompt = self.get(moment)?;
            Some((cbor::uint(moment as u64), cbor::text(prompt.as_str())))
        };
        cbor::map(Moment::ALL.into_iter().filter_map(entry))
    }
}

/// Prompts in several languages, within the limits of the payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompts(BTreeMap<Tag, PromptSet>);

impl Prompts {
    /// Takes `languages`; every language must have at least one prompt.
    ///
    /// # Errors
    /// `MissingField` for an empty map or language, `TooManyKeys` above [`LANGUAGE_COUNT_MAX`],
    /// `StringTooLong` above [`PROMPTS_LEN_MAX`] bytes.
    pub fn new(languages: BTreeMap<Tag, PromptSet>) -> Result<Self> {
        if languages.len() > LANGUAGE_COUNT_MAX {
            return Err(Error::from(Detail::TooManyKeys).about("prompts"));
        }
        if languages.is_empty() || languages.values().any(PromptSet::is_empty) {
            return Err(Error::from(Detail::MissingField).about("prompts"));
        }
        let prompts = Self(languages);
        if prompts.to_cbor().len() > PROMPTS_LEN_MAX {
            let remedy = format!("shorten them to {PROMPTS_LEN_MAX} bytes or give fewer languages");
            return Err(Error::from(Detail::StringTooLong).about("prompts").remedy(remedy));
        }
        Ok(prompts)
    }

    /// Reads a prompts file: TOML with one table per language, such as an operator gives.
    ///
    /// # Errors
    /// Input errors naming `subject`, the line, the reason and the remedy.
    pub fn from_toml(text: &str, subject: &str) -> Result<Self> {
        let languages: UniqueMap<Tag, PromptSet> = super::file::from_toml(text, subject)?;
        Self::new(languages.0).map_err(|error| error.about(subject))
    }

    /// The languages, sorted.
    pub fn languages(&self) -> impl Iterator<Item = &Tag> + Clone {
        self.0.keys()
    }

    /// The prompt of `moment` in `language` or its fallbacks (RFC 4647, section 3.4).
    #[must_use]
    pub fn get(&self, language: &Tag, moment: Moment) -> Option<&str> {
        let sets = language.chain().filter_map(|range| {
            self.0.iter().find(|(tag, _)| tag.as_str() == range).map(|(_, set)| set)
        });
        sets.filter_map(|set| set.get(moment)).map(Prompt::as_str).next()
    }

    /// The payload.
    #[must_use]
    pub fn to_cbor(&self) -> Vec<u8> {
        cbor::map(self.0.iter().map(|(tag, set)| (cbor::text(tag.as_str()), set.to_cbor())))
    }
}

/// Reads a prompts payload; the inverse of [`Prompts::to_cbor`], byte for byte.
///
/// # Errors
/// Core's CBOR errors with positions, `UnknownKey` for another moment, `BadValue` for a tag that
/// is not canonical or a prompt with forbidden characters, and those of [`Prompts::new`].
pub fn parse_prompts(bytes: &[u8]) -> Result<Prompts> {
    if bytes.len() > PROMPTS_LEN_MAX {
        return Err(Error::from(Detail::StringTooLong).about("prompts"));
    }
    let prompts = read_languages(bytes).map_err(|error| Error::from(error).about("prompts"))?;
    Prompts::new(prompts)
}

fn read_languages(bytes: &[u8]) -> fwdelta_core::Result<BTreeMap<Tag, PromptSet>> {
    let mut languages = BTreeMap::new();
    let mut reader = Reader::new(bytes);
    let mut map = reader.map()?;
    while let Some(mut key) = map.key(&mut reader)? {
        let error = key.error(Detail::BadValue);
        let text = key.text()?;
        let tag = Tag::new(text).ok().filter(|tag| tag.as_str() == text).ok_or(error)?;
        languages.insert(tag, read_set(&mut reader)?);
    }
    reader.finish()?;
    Ok(languages)
}

fn read_set(reader: &mut Reader<'_>) -> fwdelta_core::Result<PromptSet> {
    let mut set = PromptSet::default();
    let mut map = reader.map()?;
    loop {
        let unknown = reader.error(Detail::UnknownKey);
        let Some(key) = map.int_key(reader)? else { return Ok(set) };
        let moment = Moment::ALL.into_iter().find(|moment| *moment as i64 == key).ok_or(unknown)?;
        let error = reader.error(Detail::BadValue);
        let text = reader.text()?;
        // The payload holds what was checked at the door, so nothing is trimmed here.
        let prompt = Prompt::new(text).ok().filter(|prompt| prompt.as_str() == text);
        *set.slot(moment) = Some(prompt.ok_or(error)?);
    }
}

#[cfg(test)]
mod tests {
    use super::super::language::{Hints, choose};
    use super::*;
    use fwdelta_core::format::prompts as device;

    /// The country of a network is left out: it takes tables that a device need not have.
    #[test]
    fn a_device_chooses_as_the_command_does() {
        let more = "[zh-Hant]\nbefore_update = \"x\"\n[pt-BR]\nafter_update = \"y\"\n";
        for prompts in [sample(), Prompts::from_toml(more, "more").unwrap()] {
            let bytes = prompts.to_cbor();
            let on_device = device::Prompts::parse(&bytes).unwrap();
            for language in [
                "de",
                "de-AT",
                "de_AT.UTF-8",
                "de-CH-1996",
                "en-GB",
                "EN",
                "fr",
                "C",
                "POSIX",
                "",
                "zh-Hant-TW",
                "zh-Hans",
                "zh_hant_HK@x",
                "pt",
                "pt-br",
                "de-x-private",
                " de ",
                "-",
            ] {
                let hints = Hints { device_language: Some(language), ..Hints::default() };
                let choice = choose(prompts.languages(), &tag("en"), hints).unwrap();
                let tag = on_device.choose(language);
                assert_eq!(tag, choice.tag.as_str(), "{language}");
                for moment in Moment::ALL {
                    let text = prompts.get(choice.tag, moment);
                    assert_eq!(on_device.text(tag, moment as u8), text, "{language} {moment:?}");
                }
            }
        }
    }

    fn tag(text: &str) -> Tag {
        Tag::new(text).unwrap()
    }

    fn sample() -> Prompts {
        let german = "[de]\nbefore_download = \"Jetzt laden?\"\nafter_update = \"Fertig.\"\n\
                      [en]\nbefore_download = \"Download now?\"\n\
                      [de-AT]\nafter_update = \"Passt.\"\n";
        Prompts::from_toml(german, "op.toml").unwrap()
    }

    #[test]
    fn payload_is_deterministic_and_read_back() {
        let prompts = sample();
        let bytes = prompts.to_cbor();
        assert!(
            bytes.starts_with(b"\xa3\x62de\xa2\x01\x6cJetzt laden?\x04\x67Fertig.\x62en\xa1\x01")
        );
        assert_eq!(parse_prompts(&bytes).unwrap(), prompts);
        assert_eq!(prompts.get(&tag("de-AT"), Moment::BeforeDownload), Some("Jetzt laden?"));
        assert_eq!(prompts.get(&tag("de-AT"), Moment::AfterUpdate), Some("Passt."));
        assert_eq!(prompts.get(&tag("en"), Moment::AfterUpdate), None);
        assert_eq!(prompts.get(&tag("fr"), Moment::BeforeDownload), None);
    }

    #[test]
    fn payload_is_read_strictly() {
        for (bytes, detail) in [
            (&b"\xa0"[..], Detail::MissingField),
            (b"\xa1\x62de\xa0", Detail::MissingField),
            (b"\xa1\x62DE\xa1\x01\x61a", Detail::BadValue),
            (b"\xa1\x62d_\xa1\x01\x61a", Detail::BadValue),
            (b"\xa1\x62de\xa1\x05\x61a", Detail::UnknownKey),
            (b"\xa1\x62de\xa1\x01\x61\x07", Detail::BadValue),
            (b"\xa1\x62de\xa1\x01\x62a ", Detail::BadValue),
            (b"\xa1\x62de\xa1\x01\x60", Detail::BadValue),
            (b"\xa1\x62de\xa1\x01\x41a", Detail::WrongType),
            (b"\xa1\x62de\xa2\x01\x61a\x01\x61a", Detail::DuplicateKey),
            (b"\xa2\x62en\xa1\x01\x61a\x62de\xa1\x01\x61a", Detail::NotCanonical),
            (b"\xa1\x62de\xa1\x01\x61a\x00", Detail::TrailingBytes),
            (b"\xa1\x62de\xa1\x01\x61", Detail::Truncated),
            (b"\xa1\x62de\xa1\x01\x61\xff", Detail::BadUtf8),
        ] {
            let error = parse_prompts(bytes).unwrap_err();
            assert_eq!(error.detail(), detail, "{bytes:02x?}: {error}");
            let on_device = device::Prompts::parse(bytes);
            // The device looks at the shape of a tag, not at its case.
            let is_lenient = bytes.starts_with(b"\xa1\x62DE");
            assert_eq!(on_device.err().map(|error| error.detail), (!is_lenient).then_some(detail));
        }
        let long = [&b"\xa1\x62de\xa1\x01\x79\x01\x01"[..], &[b'a'; 257]].concat();
        assert_eq!(parse_prompts(&long).unwrap_err().detail(), Detail::BadValue);
        let huge = vec![0; PROMPTS_LEN_MAX + 1];
        assert_eq!(parse_prompts(&huge).unwrap_err().detail(), Detail::StringTooLong);
    }
}
