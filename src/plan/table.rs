//! The table of an index as CBOR, read and written side by side (docs/format-index.md).

use fwdelta_core::format::cbor::{Reader, Writer};
use fwdelta_core::format::manifest::is_name;
use fwdelta_core::limits::COMPONENT_COUNT_MAX;
use fwdelta_core::{Detail, Error, Result};

use super::{
    Entry, GROUP_COUNT_MAX, INDEX_ENTRY_COUNT_MAX, INDEX_LEN_MAX, Image, Index, Part,
    VERSION_TEXT_LEN_MAX,
};
use crate::cbor::{VecSink, encode, map, text, uint};
use crate::release::Uri;
use crate::release::plain::forbidden;

/// Version of the table.
const TABLE_VERSION: u64 = 1;

type Encoded = (Vec<u8>, Vec<u8>);

/// The table of `index`.
#[must_use]
pub fn emit(index: &Index) -> Vec<u8> {
    let entries = list(index.entries.iter().map(emit_entry));
    let mut items = vec![(uint(0), uint(TABLE_VERSION)), (uint(1), entries)];
    items.extend(index.next_url.as_ref().map(|url| (uint(2), text(url))));
    map(items)
}

fn emit_entry(entry: &Entry) -> Vec<u8> {
    let bytes = |digest: &[u8; 32]| encode(|w| w.bytes(digest));
    let mut items: Vec<Encoded> = vec![
        (uint(0), text(&entry.file)),
        (uint(1), uint(entry.size)),
        (uint(2), bytes(&entry.digest)),
        (uint(3), bytes(&entry.manifest)),
        (uint(4), uint(entry.sequence)),
        (uint(5), uint(entry.order)),
        (uint(6), encode(|w| w.boolean(entry.is_restore))),
        (uint(8), list(entry.parts.iter().map(emit_part))),
    ];
    items.extend(entry.undoes.as_ref().map(|digest| (uint(7), bytes(digest))));
    if !entry.groups.is_empty() {
        items.push((uint(9), list(entry.groups.iter().map(|group| text(group)))));
    }
    items.extend(entry.next_url.as_ref().map(|url| (uint(10), text(url))));
    map(items)
}

fn emit_part(part: &Part) -> Vec<u8> {
    let image = |image: &Image| encode(|w| emit_image(w, image));
    let mut items = vec![
        (uint(0), text(&part.name)),
        (uint(2), image(&part.new)),
        (uint(3), uint(part.workspace_len)),
        (uint(4), encode(|w| w.boolean(part.in_place))),
    ];
    items.extend(part.old.as_ref().map(|old| (uint(1), image(old))));
    map(items)
}

fn emit_image(writer: &mut Writer<VecSink>, image: &Image) -> Result<()> {
    writer.array(3)?;
    writer.text(&image.version)?;
    writer.uint(image.len)?;
    writer.bytes(&image.digest)
}

fn list(items: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = encode(|w| w.array(items.len() as u64));
    items.for_each(|item| bytes.extend(item));
    bytes
}

/// Reads a table; the inverse of [`emit`], byte for byte.
///
/// # Errors
/// Core's CBOR errors with positions, `TooManyKeys`, `TooManyComponents` and `StringTooLong` above
/// the limits of this module, `BadValue` for names, versions and addresses that are none.
pub fn parse(bytes: &[u8]) -> Result<Index> {
    if bytes.len() > INDEX_LEN_MAX {
        return Err(Detail::EnvelopeTooLarge.into());
    }
    let mut reader = Reader::new(bytes);
    let (mut version, mut index) = (None, Index::default());
    let mut fields = reader.map()?;
    while let Some(key) = fields.int_key(&mut reader)? {
        let unknown = reader.error(Detail::UnknownVersion);
        match key {
            0 => version = Some(reader.uint()?).filter(|version| *version == TABLE_VERSION),
            1 => index.entries = several(&mut reader, INDEX_ENTRY_COUNT_MAX, parse_entry)?,
            2 => index.next_url = Some(parse_url(&mut reader)?),
            _ => return Err(reader.error(Detail::UnknownKey)),
        }
        version.ok_or(unknown)?;
    }
    reader.finish()?;
    if index.entries.is_empty() { Err(Detail::MissingField.into()) } else { Ok(index) }
}

/// One item or more, at most `max`; the vector grows with what was read, not with what was said.
fn several<'a, T>(
    reader: &mut Reader<'a>,
    max: usize,
    read: impl Fn(&mut Reader<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let (many, none) = (reader.error(Detail::TooManyKeys), reader.error(Detail::MissingField));
    let count = reader.array()?;
    if count > max as u64 {
        return Err(many);
    }
    if count == 0 {
        return Err(none);
    }
    (0..count).map(|_| read(reader)).collect()
}

fn parse_entry(reader: &mut Reader<'_>) -> Result<Entry> {
    let missing = reader.error(Detail::MissingField);
    let (mut file, mut size, mut digest, mut manifest) = (None, None, None, None);
    let (mut sequence, mut order, mut is_restore, mut undoes) = (None, None, None, None);
    let (mut parts, mut groups, mut next_url) = (None, Vec::new(), None);
    let mut fields = reader.map()?;
    while let Some(key) = fields.int_key(reader)? {
        match key {
            0 => file = Some(parse_file(reader)?),
            1 => size = Some(reader.uint()?),
            2 => digest = Some(*reader.array_of::<32>()?),
            3 => manifest = Some(*reader.array_of::<32>()?),
            4 => sequence = Some(reader.uint()?),
            5 => order = Some(reader.uint()?),
            6 => is_restore = Some(reader.boolean()?),
            7 => undoes = Some(*reader.array_of::<32>()?),
            8 => parts = Some(parse_parts(reader)?),
            9 => groups = several(reader, GROUP_COUNT_MAX, parse_name)?,
            10 => next_url = Some(parse_url(reader)?),
            _ => return Err(reader.error(Detail::UnknownKey)),
        }
    }
    Ok(Entry {
        file: file.ok_or(missing)?,
        size: size.ok_or(missing)?,
        digest: digest.ok_or(missing)?,
        manifest: manifest.ok_or(missing)?,
        sequence: sequence.ok_or(missing)?,
        order: order.ok_or(missing)?,
        is_restore: is_restore.ok_or(missing)?,
        undoes,
        parts: parts.ok_or(missing)?,
        groups,
        next_url,
    })
}

fn parse_parts(reader: &mut Reader<'_>) -> Result<Vec<Part>> {
    let (many, twice) =
        (reader.error(Detail::TooManyComponents), reader.error(Detail::DuplicateComponent));
    let parts = several(reader, COMPONENT_COUNT_MAX, parse_part)
        .map_err(|error| if error.detail == Detail::TooManyKeys { many } else { error })?;
    let is_distinct =
        |(at, part): (usize, &Part)| parts.iter().take(at).all(|other| other.name != part.name);
    if parts.iter().enumerate().all(is_distinct) { Ok(parts) } else { Err(twice) }
}

fn parse_part(reader: &mut Reader<'_>) -> Result<Part> {
    let missing = reader.error(Detail::MissingField);
    let (mut name, mut old, mut new, mut workspace_len, mut in_place) =
        (None, None, None, None, None);
    let mut fields = reader.map()?;
    while let Some(key) = fields.int_key(reader)? {
        match key {
            0 => name = Some(parse_name(reader)?),
            1 => old = Some(parse_image(reader)?),
            2 => new = Some(parse_image(reader)?),
            3 => workspace_len = Some(reader.uint()?),
            4 => in_place = Some(reader.boolean()?),
            _ => return Err(reader.error(Detail::UnknownKey)),
        }
    }
    Ok(Part {
        name: name.ok_or(missing)?,
        old,
        new: new.ok_or(missing)?,
        workspace_len: workspace_len.ok_or(missing)?,
        in_place: in_place.ok_or(missing)?,
    })
}

fn parse_image(reader: &mut Reader<'_>) -> Result<Image> {
    reader.array_exact(3)?;
    let version = checked_text(reader, VERSION_TEXT_LEN_MAX, |text| {
        text.trim() == text && text.chars().all(|c| forbidden(c).is_none())
    })?;
    Ok(Image { version, len: reader.uint()?, digest: *reader.array_of::<32>()? })
}

fn parse_name(reader: &mut Reader<'_>) -> Result<String> {
    checked_text(reader, usize::MAX, is_name)
}

fn parse_file(reader: &mut Reader<'_>) -> Result<String> {
    checked_text(reader, fwdelta_core::limits::URI_LEN_MAX, is_file_name)
}

fn parse_url(reader: &mut Reader<'_>) -> Result<String> {
    checked_text(reader, usize::MAX, |text| Uri::new(text).is_ok_and(|uri| uri.as_str() == text))
}

/// A name that stays in its folder, on every system, and can be shown.
pub(super) fn is_file_name(name: &str) -> bool {
    let plain = |c: char| !matches!(c, '/' | '\\' | ':') && forbidden(c).is_none();
    !matches!(name, "" | "." | "..") && name.chars().all(plain)
}

fn checked_text(
    reader: &mut Reader<'_>,
    len_max: usize,
    is_good: impl Fn(&str) -> bool,
) -> Result<String> {
    let (bad, long): (Error, Error) =
        (reader.error(Detail::BadValue), reader.error(Detail::StringTooLong));
    let text = reader.text()?;
    if text.len() > len_max {
        return Err(long);
    }
    if is_good(text) { Ok(text.to_owned()) } else { Err(bad) }
}
