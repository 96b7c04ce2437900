//! The SUIT manifest: the accepted recipe grammar, parsed and emitted (docs/format.md, 3.1, 3.2).
//!
//! The parser is a matcher: it walks the whole manifest once and refuses anything but the grammar.
//! It keeps readers, not tables; accessors walk again, which costs a device no memory.

use super::cbor::{Major, Reader, Sink, Writer};
use super::suit::{KEY_TEXT, emit_digest, parse_digest};
use crate::error::{Detail, Error, Result};
use crate::hash::Sha256Digest;
use crate::limits::{COMPONENT_COUNT_MAX, NAME_LEN_MAX, URI_LEN_MAX};

/// SUIT conditions and directives of the accepted recipes.
mod command {
    pub(super) const VENDOR: u64 = 1;
    pub(super) const CLASS: u64 = 2;
    pub(super) const IMAGE_MATCH: u64 = 3;
    pub(super) const SET_INDEX: u64 = 12;
    pub(super) const TRY_EACH: u64 = 15;
    pub(super) const OVERRIDE: u64 = 20;
    pub(super) const FETCH: u64 = 21;
    pub(super) const COPY: u64 = 22;
    pub(super) const DEVICE: u64 = 24;
    pub(super) const VERSION: u64 = 28;
}

/// SUIT parameters of the accepted recipes.
mod parameter {
    pub(super) const VENDOR: u64 = 1;
    pub(super) const CLASS: u64 = 2;
    pub(super) const DIGEST: u64 = 3;
    pub(super) const USE_BEFORE: u64 = 4;
    pub(super) const SIZE: u64 = 14;
    pub(super) const URI: u64 = 21;
    pub(super) const ENCRYPTION: u64 = 19;
    pub(super) const SOURCE: u64 = 22;
    pub(super) const DEVICE: u64 = 24;
    pub(super) const BATTERY: u64 = 26;
    pub(super) const PRIORITY: u64 = 27;
    pub(super) const VERSION: u64 = 28;
}

const REPORT_CONDITION: u64 = 15;
const REPORT_DIRECTIVE: u64 = 2;
const OLD: &[u8] = b"old";
const HEADER: &[u8] = b"dhdr";
const DELTA: &[u8] = b"delta";
const NEW: &[u8] = b"new";
const PROMPTS: &[u8] = b"prompts";
/// Stands for the device's hardware, with its revision as version.
const HARDWARE: &[u8] = b"hardware";
/// What is installed of a component, with its version.
const INSTALLED: &[u8] = b"installed";
/// The uri of the vendor's prompts.
const PROMPTS_URI: &str = "#p";

/// Size and digest of an image or a payload.
pub use super::delta::ImageId as Blob;

/// One updatable part of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component<'a> {
    /// Its name.
    pub name: &'a str,
    /// The image the update starts from; none where the new image is sent in full.
    pub old: Option<Blob>,
    /// The image that shall result.
    pub new: Blob,
    /// The delta header.
    pub header: Blob,
    /// The delta payload.
    pub delta: Blob,
    /// The uri of the payload if it is detached.
    pub detached: Option<&'a str>,
    /// For whom the payload is encrypted, and how: what `EncryptionInfo::parse` reads.
    pub encryption: Option<&'a [u8]>,
}

/// What a manifest says besides its components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The sequence number, which only grows.
    pub sequence: u64,
    /// UUID of the vendor.
    pub vendor_id: [u8; 16],
    /// UUID of the device class.
    pub class_id: [u8; 16],
    /// Where the package can be found.
    pub reference_uri: Option<&'a str>,
    /// Digest of the text with its byte string head.
    pub text: Option<Sha256Digest>,
    /// The vendor's prompts.
    pub prompts: Option<Blob>,
}

/// A manifest, wholly checked.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    /// Everything but the components.
    pub summary: Summary<'a>,
    /// What it demands of the device.
    pub demands: Demands<'a>,
    layout: Layout<'a>,
    /// At the first component's parameters.
    shared: Reader<'a>,
    /// At the first fetch.
    install: Reader<'a>,
}

/// Which entries the list of component identifiers has.
#[derive(Clone, Copy, Debug)]
struct Layout<'a> {
    ids: Reader<'a>,
    names: u8,
    /// Bit K: component K has an old image.
    with_old: u8,
    prompts: bool,
    facts: FactEntries,
}

impl<'a> Layout<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let count = reader.array()?;
        let ids = *reader;
        let facts = FactEntries::default();
        let mut layout = Self { ids, names: 0, with_old: 0, prompts: false, facts };
        let end = usize::try_from(count).unwrap_or(usize::MAX);
        while layout.all_entries() < end {
            layout.entry(reader)?;
        }
        let fits = layout.all_entries() == end && layout.names > 0;
        if fits { Ok(layout) } else { Err(reader.error(Detail::UnknownRecipe)) }
    }

    /// Reads the entries of one named component, or one of those behind them.
    fn entry(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let start = *reader;
        if reader.array()? == 1 {
            return self.lone_entry(reader);
        }
        *reader = start;
        if self.names > 0 && parse_id(&mut { *reader }, None)?.1 == INSTALLED {
            return self.dependency(reader);
        }
        if self.prompts || self.facts.count() > 0 {
            return Err(start.error(Detail::UnknownRecipe));
        }
        if usize::from(self.names) == COMPONENT_COUNT_MAX {
            return Err(reader.error(Detail::TooManyComponents));
        }
        let mut ahead = *reader;
        let name = parse_id(&mut ahead, None)?.0;
        if (0..self.names).any(|index| self.name(index) == Ok(name)) {
            return Err(start.error(Detail::DuplicateComponent));
        }
        let mut with_old = *reader;
        if parse_id(&mut with_old, Some(name))?.1 == OLD {
            *reader = with_old;
            self.with_old |= 1 << self.names;
        }
        for role in [HEADER, DELTA, NEW] {
            let error = reader.error(Detail::UnknownRecipe);
            if parse_id(reader, Some(name))?.1 != role {
                return Err(error);
            }
        }
        self.names += 1;
        Ok(())
    }

    /// Reads `prompts` or `hardware`, in this order.
    fn lone_entry(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let error = reader.error(Detail::UnknownRecipe);
        let found = reader.bytes()?;
        if found == HARDWARE && self.facts.count() == 0 {
            self.facts.hardware = true;
        } else if found == PROMPTS && !self.prompts && self.facts.count() == 0 {
            self.prompts = true;
        } else {
            return Err(error);
        }
        Ok(())
    }

    /// Reads `[name, 'installed']`; every name once.
    fn dependency(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        let start = *reader;
        let name = parse_id(reader, None)?.0;
        if usize::from(self.facts.dependencies) == COMPONENT_COUNT_MAX {
            return Err(start.error(Detail::TooManyComponents));
        }
        if (0..self.facts.dependencies).any(|index| self.dependency_name(index) == Ok(name)) {
            return Err(start.error(Detail::DuplicateComponent));
        }
        self.facts.dependencies = self.facts.dependencies.saturating_add(1);
        Ok(())
    }

    /// The component that dependency `index` is on.
    fn dependency_name(&self, index: u8) -> Result<&'a str> {
        let before = self.entries() + usize::from(self.facts.hardware) + usize::from(index);
        self.name_at(before)
    }

    /// How many entries there are, those that only stand for facts included.
    fn all_entries(&self) -> usize {
        self.entries() + self.facts.count()
    }

    fn has_old(&self, index: u8) -> bool {
        self.with_old >> index & 1 == 1
    }

    /// Position in the list of the first entry of component `index`.
    fn first(&self, index: u8) -> usize {
        let before = (1u16 << index).wrapping_sub(1) & u16::from(self.with_old);
        3 * usize::from(index) + before.count_ones() as usize
    }

    /// Position in the list of the delta header's entry.
    fn header(&self, index: u8) -> usize {
        self.first(index) + usize::from(self.has_old(index))
    }

    fn entries(&self) -> usize {
        self.first(self.names) + usize::from(self.prompts)
    }

    fn name(&self, index: u8) -> Result<&'a str> {
        self.name_at(self.first(index))
    }

    fn name_at(&self, entry: usize) -> Result<&'a str> {
        let mut reader = self.ids;
        for _ in 0..entry {
            reader.skip()?;
        }
        Ok(parse_id(&mut reader, None)?.0)
    }
}

/// Reads `[name, role]`; `name` is checked if given.
fn parse_id<'a>(reader: &mut Reader<'a>, name: Option<&str>) -> Result<(&'a str, &'a [u8])> {
    let start = *reader;
    if reader.array()? != 2 {
        return Err(start.error(Detail::UnknownRecipe));
    }
    let error = reader.error(Detail::BadValue);
    let found = core::str::from_utf8(reader.bytes()?).map_err(|_| error)?;
    if !is_name(found) {
        return Err(error);
    }
    if name.is_some_and(|name| name != found) {
        return Err(start.error(Detail::UnknownRecipe));
    }
    Ok((found, reader.bytes()?))
}

/// Whether `name` can name a component: 1 to 32 of `a-z A-Z 0-9 . _ -`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(fits)
}

/// The file name a detached payload is found by.
///
/// # Errors
/// `StringTooLong`, `BadReference`.
pub fn base_name(uri: &str) -> Result<&str> {
    if uri.len() > URI_LEN_MAX {
        return Err(Detail::StringTooLong.into());
    }
    // By bytes: searching backwards in text keeps a path to a panic in core's own code.
    let end = uri.bytes().position(|b| matches!(b, b'?' | b'#')).unwrap_or(uri.len());
    let path = uri.get(..end).unwrap_or("");
    let start = path.bytes().rposition(|b| b == b'/').map_or(0, |slash_pos| slash_pos + 1);
    let name = path.get(start..).unwrap_or("");
    let bad = name.is_empty() || name == "." || name == ".." || name.contains('\\');
    if bad || uri.starts_with('#') { Err(Detail::BadReference.into()) } else { Ok(name) }
}

/// Recipe items: what is not exactly as expected is an unknown recipe.
trait Recipe<'a> {
    fn is(&mut self, values: &[u64]) -> Result<()>;
    fn map_of(&mut self, count: u64) -> Result<()>;
    fn sequence(&mut self, items: usize) -> Result<()>;
}

impl<'a> Recipe<'a> for Reader<'a> {
    fn is(&mut self, values: &[u64]) -> Result<()> {
        for value in values {
            let head = self.peek()?;
            if head.major != Major::Uint || head.arg != *value {
                return Err(self.error(Detail::UnknownRecipe));
            }
            self.uint()?;
        }
        Ok(())
    }

    fn map_of(&mut self, count: u64) -> Result<()> {
        let head = self.peek()?;
        if head.major != Major::Map || head.arg != count {
            return Err(self.error(Detail::UnknownRecipe));
        }
        self.expect(Major::Map).map(|_| ())
    }

    fn sequence(&mut self, items: usize) -> Result<()> {
        let error = self.error(Detail::UnknownRecipe);
        if self.array()? == items as u64 { Ok(()) } else { Err(error) }
    }
}

/// Reads `12, index, 20, {3: digest, 14: size}`.
fn parse_blob(reader: &mut Reader<'_>, index: usize) -> Result<Blob> {
    reader.is(&[command::SET_INDEX, index as u64, command::OVERRIDE])?;
    reader.map_of(2)?;
    reader.is(&[parameter::DIGEST])?;
    let mut item = reader.nested()?;
    let digest = *parse_digest(&mut item)?;
    item.finish()?;
    reader.is(&[parameter::SIZE])?;
    Ok(Blob { len: reader.uint()?, digest })
}

/// Reads `12, index, 20, {21: uri}, 21, 2, 3, 15`.
fn parse_fetch<'a>(reader: &mut Reader<'a>, index: usize) -> Result<&'a str> {
    reader.is(&[command::SET_INDEX, index as u64, command::OVERRIDE])?;
    reader.map_of(1)?;
    reader.is(&[parameter::URI])?;
    let uri = reader.text()?;
    let fetch = [command::FETCH, REPORT_DIRECTIVE, command::IMAGE_MATCH, REPORT_CONDITION];
    reader.is(&fetch)?;
    Ok(uri)
}

fn parse_match(reader: &mut Reader<'_>, index: usize) -> Result<()> {
    let items = [command::SET_INDEX, index as u64, command::IMAGE_MATCH, REPORT_CONDITION];
    reader.is(&items)
}

const BLOB_ITEMS: usize = 4;
const FETCH_ITEMS: usize = 8;
const MATCH_ITEMS: usize = 4;
const COPY_ITEMS: usize = 8;

impl<'a> Manifest<'a> {
    /// Checks a manifest; `pos` is where `bytes` stand in the package.
    ///
    /// # Errors
    /// As docs/format.md, sections 3.1 and 3.2.
    pub fn parse(bytes: &'a [u8], pos: u64) -> Result<Self> {
        let mut reader = Reader::with_base(bytes, pos);
        let fields = Fields::parse(&mut reader)?;
        let missing = Error::at(Detail::MissingField, pos);
        let (layout, shared) = parse_common(fields.common.ok_or(missing)?)?;
        let (summary_ids, shared) = parse_shared(shared, &layout)?;
        let (demands, install) = parse_install(fields.install.ok_or(missing)?, &layout)?;
        parse_validate(fields.validate.ok_or(missing)?, &layout)?;
        let mut summary = Summary {
            sequence: fields.sequence.ok_or(missing)?,
            vendor_id: summary_ids.0,
            class_id: summary_ids.1,
            reference_uri: fields.reference_uri,
            text: fields.text.copied(),
            prompts: None,
        };
        let mut manifest = Self { summary, demands, layout, shared, install };
        if layout.prompts {
            summary.prompts = Some(manifest.blob(layout.entries().wrapping_sub(1))?);
        }
        manifest.summary = summary;
        manifest.check_uris()?;
        Ok(manifest)
    }

    /// How many components there are.
    #[must_use]
    pub fn component_count(&self) -> u8 {
        self.layout.names
    }

    /// All components, in order.
    pub fn components(&self) -> impl Iterator<Item = Component<'a>> + '_ {
        (0..self.layout.names).filter_map(|index| self.component(index).ok())
    }

    /// Component number `index`.
    ///
    /// # Errors
    /// `BadArgument` for an index out of range.
    pub fn component(&self, index: u8) -> Result<Component<'a>> {
        if index >= self.layout.names {
            return Err(Detail::BadArgument.into());
        }
        let header = self.layout.header(index);
        let uri = self.delta_uri(index)?;
        Ok(Component {
            name: self.layout.name(index)?,
            old: match self.layout.has_old(index) {
                true => Some(self.blob(self.layout.first(index))?),
                false => None,
            },
            header: self.blob(header)?,
            delta: self.blob(header + 1)?,
            new: self.blob(header + 2)?,
            detached: (!uri.starts_with('#')).then_some(uri),
            encryption: self.encryption(index)?,
        })
    }

    /// What the package asks of other components that are installed: names, and what the versions
    /// must be like.
    pub fn dependencies(&self) -> impl Iterator<Item = (&'a str, VersionMatch<'a>)> + '_ {
        let names =
            (0..self.layout.facts.dependencies).map(|index| self.layout.dependency_name(index));
        names
            .zip(self.demands.dependencies())
            .filter_map(|(name, wanted)| Some((name.ok()?, wanted)))
    }

    fn blob(&self, entry: usize) -> Result<Blob> {
        let mut reader = self.shared;
        for _ in 0..entry * BLOB_ITEMS {
            reader.skip()?;
        }
        parse_blob(&mut reader, entry)
    }

    fn delta_uri(&self, index: u8) -> Result<&'a str> {
        let mut reader = self.install;
        for _ in 0..(2 * usize::from(index) + 1) * FETCH_ITEMS {
            reader.skip()?;
        }
        parse_fetch(&mut reader, self.layout.header(index) + 1)
    }

    /// Integrated payloads have the one name of their component; file names differ.
    fn check_uris(&self) -> Result<()> {
        for index in 0..self.layout.names {
            let uri = self.delta_uri(index)?;
            let number = [b'0'.wrapping_add(index)];
            if uri.strip_prefix("#payload").is_some_and(|rest| rest.as_bytes() == number) {
                continue;
            }
            let name = base_name(uri).map_err(|e| Error::at(e.detail, self.install.pos()))?;
            for other in 0..index {
                if base_name(self.delta_uri(other)?) == Ok(name) {
                    return Err(Error::at(Detail::BadReference, self.install.pos()));
                }
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Fields<'a> {
    sequence: Option<u64>,
    common: Option<Reader<'a>>,
    reference_uri: Option<&'a str>,
    validate: Option<Reader<'a>>,
    install: Option<Reader<'a>>,
    text: Option<&'a Sha256Digest>,
}

impl<'a> Fields<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let mut fields = Self::default();
        let mut map = reader.map()?;
        let mut version = None;
        while let Some(key) = map.int_key(reader)? {
            match key {
                1 => {
                    let unknown = reader.error(Detail::UnknownVersion);
                    version = Some(reader.uint()?);
                    if version != Some(1) {
                        return Err(unknown);
                    }
                }
                2 => fields.sequence = Some(reader.uint()?),
                3 => fields.common = Some(reader.nested()?),
                4 => fields.reference_uri = Some(parse_reference(reader)?),
                7 => fields.validate = Some(reader.nested()?),
                20 => fields.install = Some(reader.nested()?),
                KEY_TEXT => fields.text = Some(parse_digest(reader)?),
                _ => return Err(reader.error(Detail::UnknownKey)),
            }
        }
        reader.finish()?;
        if version.is_some() { Ok(fields) } else { Err(reader.error(Detail::MissingField)) }
    }
}

fn parse_reference<'a>(reader: &mut Reader<'a>) -> Result<&'a str> {
    let error = reader.error(Detail::StringTooLong);
    let uri = reader.text()?;
    if uri.len() > URI_LEN_MAX { Err(error) } else { Ok(uri) }
}

fn parse_common<'a>(mut reader: Reader<'a>) -> Result<(Layout<'a>, Reader<'a>)> {
    let missing = reader.error(Detail::MissingField);
    let (mut layout, mut shared) = (None, None);
    let mut map = reader.map()?;
    while let Some(key) = map.int_key(&mut reader)? {
        match key {
            2 => layout = Some(Layout::parse(&mut reader)?),
            4 => shared = Some(reader.nested()?),
            _ => return Err(reader.error(Detail::UnknownKey)),
        }
    }
    reader.finish()?;
    Ok((layout.ok_or(missing)?, shared.ok_or(missing)?))
}

type Ids = ([u8; 16], [u8; 16]);

fn parse_shared<'a>(mut reader: Reader<'a>, layout: &Layout<'_>) -> Result<(Ids, Reader<'a>)> {
    reader.sequence(6 + BLOB_ITEMS * layout.entries())?;
    reader.is(&[command::OVERRIDE])?;
    reader.map_of(2)?;
    reader.is(&[parameter::VENDOR])?;
    let vendor_id = *reader.array_of()?;
    reader.is(&[parameter::CLASS])?;
    let class_id = *reader.array_of()?;
    let ids = [command::VENDOR, REPORT_CONDITION, command::CLASS, REPORT_CONDITION];
    reader.is(&ids)?;
    let start = reader;
    for index in 0..layout.entries() {
        parse_blob(&mut reader, index)?;
    }
    reader.finish()?;
    Ok(((vendor_id, class_id), start))
}

fn parse_install<'a>(
    mut reader: Reader<'a>,
    layout: &Layout<'_>,
) -> Result<(Demands<'a>, Reader<'a>)> {
    let names = usize::from(layout.names);
    let fetches = FETCH_ITEMS * (2 * names + usize::from(layout.prompts));
    let matches = MATCH_ITEMS * layout.with_old.count_ones() as usize;
    let error = reader.error(Detail::UnknownRecipe);
    let count = reader.array()?;
    let (demands, items) = Demands::parse(&mut reader, layout.facts, layout.entries())?;
    if count != (items + fetches + matches + COPY_ITEMS * names) as u64 {
        return Err(error);
    }
    let start = reader;
    for index in 0..layout.names {
        let error = reader.error(Detail::BadReference);
        let uri = parse_fetch(&mut reader, layout.header(index))?;
        let number = [b'0'.wrapping_add(index)];
        if uri.strip_prefix("#h").map(str::as_bytes) != Some(number.as_slice()) {
            return Err(error);
        }
        parse_fetch(&mut reader, layout.header(index) + 1)?;
    }
    if layout.prompts {
        let error = reader.error(Detail::BadReference);
        if parse_fetch(&mut reader, layout.entries().wrapping_sub(1))? != PROMPTS_URI {
            return Err(error);
        }
    }
    for index in (0..layout.names).filter(|index| layout.has_old(*index)) {
        parse_match(&mut reader, layout.first(index))?;
    }
    for index in 0..layout.names {
        parse_copy(&mut reader, layout.header(index) + 1)?;
    }
    reader.finish()?;
    Ok((demands, start))
}

fn parse_validate(mut reader: Reader<'_>, layout: &Layout<'_>) -> Result<()> {
    reader.sequence(MATCH_ITEMS * usize::from(layout.names))?;
    for index in 0..layout.names {
        parse_match(&mut reader, layout.header(index) + 2)?;
    }
    reader.finish()
}

mod copy;
mod demands;
mod emit;
use copy::parse_copy;
use demands::FactEntries;
pub use demands::{Comparison, DemandFacts, Demands, DependencyFacts, Version, VersionMatch};
pub use emit::emit;

#[cfg(test)]
mod tests;
