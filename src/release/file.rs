//! The release file: TOML in, [`Release`] out. docs/release-file.md describes it for people.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::display::Display;
use super::notes::{self, LanguageNotes, Notes, NotesBody};
use super::prompts::{LANGUAGE_COUNT_MAX, Moment, PromptSet};
use super::tag::Tag;
use super::{
    Component, ComponentName, Device, Links, Name, Release, Requires, Uri, Vendor, Version,
};
use crate::error::{Error, Result};

/// Longest release, notes or prompts file, in bytes.
pub(super) const FILE_LEN_MAX: usize = 256 * 1024;

/// A TOML table whose keys are compared after they were made canonical, so that `de-at` and
/// `de-AT` are one language given twice and not two.
#[derive(Debug)]
pub(super) struct UniqueMap<K, V>(pub(super) BTreeMap<K, V>);

impl<K: Ord, V> Default for UniqueMap<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, K, V> Deserialize<'de> for UniqueMap<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for UniqueVisitor<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    type Value = UniqueMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key::<K>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("{key} is given twice; join the two")));
            }
            let value = access.next_value()?;
            map.insert(key, value);
        }
        Ok(UniqueMap(map))
    }
}

/// One `[language.TAG]` table: a notes file, or the notes themselves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    file: Option<Spanned<String>>,
    name: Option<Name>,
    description: Option<notes::Description>,
    notes: Option<NotesBody>,
    #[serde(default)]
    prompts: PromptSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Version,
    sequence: Option<u64>,
    default_language: Option<Spanned<Tag>>,
    #[serde(default)]
    vendor: Vendor,
    #[serde(default)]
    device: Device,
    #[serde(default)]
    requires: Requires,
    reference_uri: Option<Uri>,
    install_notify_uri: Option<Uri>,
    next_url: Option<Uri>,
    info_url: Option<Uri>,
    icon_url: Option<Uri>,
    install_param: Option<Name>,
    #[serde(default)]
    component: UniqueMap<ComponentName, Component>,
    #[serde(default)]
    display: UniqueMap<ComponentName, Spanned<Display>>,
    #[serde(default)]
    language: UniqueMap<Tag, Language>,
}

/// Reads TOML of any shape with errors that name `subject`, the line and the reason.
pub(super) fn from_toml<T: DeserializeOwned>(text: &str, subject: &str) -> Result<T> {
    if text.len() > FILE_LEN_MAX {
        let message = format!("longer than {FILE_LEN_MAX} bytes; move release notes to the web");
        return Err(Error::input(subject, message));
    }
    toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => at_line(subject, line_of(text, span.start), error.message()),
        None => Error::input(subject, error.message()),
    })
}

/// An input error in line `line` of `subject`.
pub(super) fn at_line(subject: &str, line: usize, message: impl fmt::Display) -> Error {
    Error::input(subject, format_args!("line {line}: {message}"))
}

fn line_of(text: &str, pos: usize) -> usize {
    1 + text.bytes().take(pos).filter(|byte| *byte == b'\n').count()
}

/// See [`Release::parse`].
pub(super) fn parse(
    text: &str,
    subject: &str,
    load: &mut dyn FnMut(&str) -> Result<String>,
) -> Result<Release> {
    let file: File = from_toml(text, subject)?;
    if file.language.0.len() > LANGUAGE_COUNT_MAX {
        let message = format!("more than {LANGUAGE_COUNT_MAX} languages; leave some out");
        return Err(Error::input(subject, message));
    }
    let mut languages = BTreeMap::new();
    for (tag, language) in file.language.0 {
        let notes = language_notes(language, text, subject, load)?;
        languages.insert(tag, notes);
    }
    let default_language = default_language(file.default_language, &languages, text, subject)?;
    let release = Release {
        version: file.version,
        sequence: file.sequence,
        vendor: file.vendor,
        device: file.device,
        requires: file.requires,
        links: Links {
            reference_uri: file.reference_uri,
            install_notify_uri: file.install_notify_uri,
            next_url: file.next_url,
            info_url: file.info_url,
            icon_url: file.icon_url,
        },
        install_param: file.install_param,
        components: file.component.0,
        displays: displays(file.display.0, text, subject)?,
        notes: Notes::new(default_language, languages),
    };
    // Only now, with all fallbacks in place, can the sum of the prompts be known.
    release.notes.prompts().map_err(|error| error.about(subject))?;
    check_displays(&release, subject)?;
    Ok(release)
}

fn displays(
    given: BTreeMap<ComponentName, Spanned<Display>>,
    text: &str,
    subject: &str,
) -> Result<BTreeMap<ComponentName, Display>> {
    let mut displays = BTreeMap::new();
    for (name, display) in given {
        let line = line_of(text, display.span().start);
        let display = display.into_inner();
        display.check().map_err(|what| at_line(subject, line, what))?;
        displays.insert(name, display);
    }
    Ok(displays)
}

/// Every prompt in every language, fallbacks and built-in ones too: a user would see those.
fn check_displays(release: &Release, subject: &str) -> Result<()> {
    for language in release.notes.languages() {
        for moment in Moment::ALL {
            let prompt = release.notes.prompt(language, moment);
            fits_everywhere(release, (language, moment), prompt, subject)?;
        }
    }
    Ok(())
}

/// Whether a prompt fits on every display of the release.
pub(super) fn fits_everywhere(
    release: &Release,
    (language, moment): (&Tag, Moment),
    prompt: &str,
    subject: &str,
) -> Result<()> {
    for (name, display) in &release.displays {
        display.fits(prompt).map_err(|what| {
            let moment = moment.name();
            let shorten = "shorten it, or give this language a prompt of its own";
            let what = format!("prompt {moment} of {language} {what} ({name}); {shorten}");
            Error::input(subject, what)
        })?;
    }
    Ok(())
}

fn language_notes(
    language: Language,
    text: &str,
    subject: &str,
    load: &mut dyn FnMut(&str) -> Result<String>,
) -> Result<LanguageNotes> {
    let Language { file, name, description, notes, prompts } = language;
    let inline = LanguageNotes { name, description, notes, prompts };
    let Some(file) = file else { return Ok(inline) };
    if inline != LanguageNotes::default() {
        let line = line_of(text, file.span().start);
        let message = "a language has either a file or its texts here; remove one of the two";
        return Err(at_line(subject, line, message));
    }
    let path = file.get_ref();
    notes::parse(&load(path)?, path)
}

fn default_language(
    given: Option<Spanned<Tag>>,
    languages: &BTreeMap<Tag, LanguageNotes>,
    text: &str,
    subject: &str,
) -> Result<Tag> {
    let english = Tag::known("en");
    match given {
        Some(tag) if languages.is_empty() || languages.contains_key(tag.get_ref()) => {
            Ok(tag.into_inner())
        }
        Some(tag) => {
            let (line, tag) = (line_of(text, tag.span().start), tag.into_inner());
            let message = format!("there is no [language.{tag}]; add it or choose another");
            Err(at_line(subject, line, message))
        }
        None if languages.is_empty() || languages.contains_key(&english) => Ok(english),
        None => match languages.keys().next() {
            Some(only) if languages.len() == 1 => Ok(only.clone()),
            _ => {
                Err(Error::input(subject, "several languages and no English; set default_language"))
            }
        },
    }
}
