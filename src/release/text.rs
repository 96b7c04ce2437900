//! SUIT text (draft-ietf-suit-manifest, "Severable Elements: Text"): for people, never policy.
//!
//! `{ tag: { 1: description, 2: update description, [h'NAME', h'new']: { 1: vendor name,
//! 2: model name, 3: vendor domain, 4: model info, 5: component description, 6: version } } }`

use std::collections::BTreeMap;

use fwdelta_core::Detail;
use fwdelta_core::format::cbor::{Major, Reader};
use fwdelta_core::limits::{COMPONENT_COUNT_MAX, Limits};
use serde::Serialize;

use super::notes::{DESCRIPTION_CHARS_MAX, NOTES_CHARS_MAX, NotesBody};
use super::plain::{sanitised, sanitised_body};
use super::prompts::LANGUAGE_COUNT_MAX;
use super::values::{NAME_CHARS_MAX, Name};
use super::{Release, Tag};
use crate::cbor;
use crate::core::hash::Sha256Digest;
use crate::error::{Error, Result};
use crate::hex::hex;

/// Longest text, in bytes: what the smallest device profile accepts.
pub const TEXT_LEN_MAX: usize = Limits::DEVICE.text_len as usize;

/// Where the digest of a bill of materials stands among the languages, and what is before it.
const SBOM_TAG: &str = "x-sbom";
const SBOM_PREFIX: &str = "sha-256:";

/// The texts of one component, as read from a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ComponentText {
    /// Name of the vendor.
    pub vendor_name: Option<String>,
    /// Name of the model.
    pub model_name: Option<String>,
    /// Domain of the vendor.
    pub vendor_domain: Option<String>,
    /// More about the model.
    pub model_info: Option<String>,
    /// What the component is.
    pub description: Option<String>,
    /// Version of the component.
    pub version: Option<String>,
}

/// The texts of one language, as read from a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LanguageText {
    /// Description of the release.
    pub description: Option<String>,
    /// Release notes.
    pub update_description: Option<String>,
    /// Components by their identifier, its parts joined by `/`.
    pub components: BTreeMap<String, ComponentText>,
}

/// The text map of `release` for `component_names`; see [`Release::text_cbor`].
pub(super) fn encode(
    release: &Release,
    component_names: &[&str],
    sbom: Option<&Sha256Digest>,
) -> Result<Vec<u8>> {
    let languages = release.notes.languages().map(|language| {
        (cbor::text(language.as_str()), language_map(release, language, component_names))
    });
    let bytes = cbor::map(languages.chain(sbom.map(sbom_entry)));
    if bytes.len() > TEXT_LEN_MAX {
        let remedy = format!(
            "the texts take {} bytes, {TEXT_LEN_MAX} are allowed; shorten the release notes and \
             link to the rest with info_url",
            bytes.len()
        );
        return Err(Error::from(Detail::StringTooLong).about("release notes").remedy(remedy));
    }
    Ok(bytes)
}

/// The digest as a text of its own, under a tag for private use (RFC 5646, section 2.2.7): readers
/// that know nothing of it see one more language, which nobody prefers.
fn sbom_entry(digest: &Sha256Digest) -> (Vec<u8>, Vec<u8>) {
    let said = format!("{SBOM_PREFIX}{}", hex(digest));
    (cbor::text(SBOM_TAG), cbor::map([(cbor::uint(1), cbor::text(&said))]))
}

fn language_map(release: &Release, language: &Tag, component_names: &[&str]) -> Vec<u8> {
    let mut entries = vec![(cbor::uint(1), cbor::text(&release.description(language)))];
    if let Some(notes) = release.notes.find(language, |notes| notes.notes.as_ref()) {
        entries.push((cbor::uint(2), cbor::text(NotesBody::as_str(notes))));
    }
    entries.extend(component_names.iter().map(|name| {
        let id = cbor::encode(|writer| {
            writer.array(2)?;
            writer.bytes(name.as_bytes())?;
            writer.bytes(b"new")
        });
        (id, component_map(release, name))
    }));
    cbor::map(entries)
}

fn component_map(release: &Release, name: &str) -> Vec<u8> {
    let said = release.components.iter().find(|(known, _)| known.as_str() == name);
    let said = said.map(|(_, component)| component);
    let version = said.and_then(|component| component.version.as_ref());
    let texts = [
        Some(release.vendor.shown_name()),
        Some(release.device.shown_model()),
        Some(release.vendor.domain.as_str()),
        release.device.info.as_ref().map(Name::as_str),
        said.and_then(|component| component.description.as_ref()).map(Name::as_str),
        Some(version.map_or(release.version.as_str(), Name::as_str)),
    ];
    let keyed = (1..).zip(texts);
    cbor::map(keyed.filter_map(|(key, text)| Some((cbor::uint(key), cbor::text(text?)))))
}

/// The SHA-256 of the bill of materials that a text map carries, as lower-case digits, if it does.
///
/// # Errors
/// As [`parse_text`]; `BadValue` for one that is not written as we do.
pub fn parse_sbom(bytes: &[u8]) -> Result<Option<String>> {
    let Some(entry) = read(bytes)?.1 else { return Ok(None) };
    let digits = entry.description.as_deref().and_then(|it| it.strip_prefix(SBOM_PREFIX));
    let is_digest =
        |it: &&str| it.len() == 64 && it.bytes().all(|c| b"0123456789abcdef".contains(&c));
    let digits = digits.filter(is_digest).map(str::to_owned);
    digits.map(Some).ok_or_else(|| Error::from(Detail::BadValue).about("bill of materials"))
}

/// Reads a text map for display: unknown keys are passed over, texts are cut at the lengths a
/// release file allows and made safe to print. The CBOR must be deterministic.
///
/// # Errors
/// Core's CBOR errors with positions, `StringTooLong` above [`TEXT_LEN_MAX`] bytes, `TooManyKeys`
/// for more languages or components than a package may have.
pub fn parse_text(bytes: &[u8]) -> Result<BTreeMap<String, LanguageText>> {
    Ok(read(bytes)?.0)
}

/// Texts by language, and the bill of materials.
type Texts = (BTreeMap<String, LanguageText>, Option<LanguageText>);

fn read(bytes: &[u8]) -> Result<Texts> {
    if bytes.len() > TEXT_LEN_MAX {
        return Err(Error::from(Detail::StringTooLong).about("text"));
    }
    read_languages(bytes).map_err(|error| Error::from(error).about("text"))
}

fn read_languages(bytes: &[u8]) -> fwdelta_core::Result<Texts> {
    let (mut languages, mut sbom) = (BTreeMap::new(), None);
    let mut reader = Reader::new(bytes);
    let mut map = reader.map()?;
    while let Some(mut key) = map.key(&mut reader)? {
        let too_many = key.error(Detail::TooManyKeys);
        let tag = sanitised(key.text()?, NAME_CHARS_MAX);
        if tag == SBOM_TAG {
            sbom = Some(read_language(&mut reader)?);
            continue;
        }
        if languages.len() >= LANGUAGE_COUNT_MAX {
            return Err(too_many);
        }
        let text = read_language(&mut reader)?;
        languages.insert(tag, text);
    }
    reader.finish()?;
    Ok((languages, sbom))
}

fn read_language(reader: &mut Reader<'_>) -> fwdelta_core::Result<LanguageText> {
    let mut language = LanguageText::default();
    let mut map = reader.map()?;
    while let Some(mut key) = map.key(reader)? {
        match key.peek()?.major {
            Major::Uint => match key.uint()? {
                1 => language.description = shown(reader, DESCRIPTION_CHARS_MAX)?,
                2 => language.update_description = shown(reader, NOTES_CHARS_MAX)?,
                _ => drop(reader.skip()?),
            },
            Major::Array => {
                if language.components.len() >= COMPONENT_COUNT_MAX {
                    return Err(key.error(Detail::TooManyKeys));
                }
                let name = component_name(&mut key)?;
                let component = read_component(reader)?;
                language.components.insert(name, component);
            }
            _ => drop(reader.skip()?),
        }
    }
    Ok(language)
}

fn component_name(key: &mut Reader<'_>) -> fwdelta_core::Result<String> {
    let mut parts = Vec::new();
    for _ in 0..key.array()? {
        let part = key.bytes()?;
        parts.push(sanitised(&String::from_utf8_lossy(part), NAME_CHARS_MAX));
    }
    Ok(parts.join("/"))
}

fn read_component(reader: &mut Reader<'_>) -> fwdelta_core::Result<ComponentText> {
    let mut component = ComponentText::default();
    let mut map = reader.map()?;
    while let Some(mut key) = map.key(reader)? {
        let slot = match key.uint().unwrap_or(0) {
            1 => &mut component.vendor_name,
            2 => &mut component.model_name,
            3 => &mut component.vendor_domain,
            4 => &mut component.model_info,
            5 => &mut component.description,
            6 => &mut component.version,
            _ => {
                reader.skip()?;
                continue;
            }
        };
        *slot = shown(reader, NAME_CHARS_MAX)?;
    }
    Ok(component)
}

/// The next item if it is text, safe to print.
fn shown(reader: &mut Reader<'_>, chars_max: usize) -> fwdelta_core::Result<Option<String>> {
    if reader.peek()?.major != Major::Text {
        reader.skip()?;
        return Ok(None);
    }
    Ok(Some(sanitised_body(reader.text()?, chars_max)))
}
