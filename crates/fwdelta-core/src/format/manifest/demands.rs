//! What a manifest demands of the device besides vendor and class (docs/format.md, section 3.4):
//! conditions at the head of the install sequence, each there or not, in one order.

use super::{REPORT_CONDITION, Recipe as _, command, parameter};
use crate::error::{Detail, Result};
use crate::format::cbor::{Reader, Sink, Writer};
use crate::limits::{HARDWARE_COUNT_MAX, VERSION_LEN_MAX};

/// How a version is compared (draft-ietf-suit-update-management, condition version).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Comparison {
    /// Higher than.
    Greater = 1,
    /// At least.
    AtLeast = 2,
    /// Exactly.
    Equal = 3,
    /// At most.
    AtMost = 4,
    /// Lower than.
    Less = 5,
}

impl Comparison {
    fn of(number: u64) -> Option<Self> {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Less};
        [Greater, AtLeast, Equal, AtMost, Less].into_iter().find(|it| *it as u64 == number)
    }
}

/// A version of a manifest: one to [`VERSION_LEN_MAX`] numbers, those of a stage before a release
/// negative.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    numbers: Reader<'a>,
    count: u64,
}

impl<'a> Version<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let error = reader.error(Detail::BadValue);
        let count = reader.array()?;
        if !(1..=VERSION_LEN_MAX as u64).contains(&count) {
            return Err(error);
        }
        let version = Self { numbers: *reader, count };
        for _ in 0..count {
            reader.int()?;
        }
        Ok(version)
    }

    /// The numbers.
    pub fn numbers(&self) -> impl Iterator<Item = i64> + use<'a> {
        let mut reader = self.numbers;
        (0..self.count).filter_map(move |_| reader.int().ok())
    }
}

/// What a version must be like.
#[derive(Clone, Copy, Debug)]
pub struct VersionMatch<'a> {
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub version: Version<'a>,
}

impl<'a> VersionMatch<'a> {
    /// Reads `20, {28: [comparison, version]}, 28, 15`.
    fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        reader.is(&[command::OVERRIDE])?;
        reader.map_of(1)?;
        reader.is(&[parameter::VERSION])?;
        reader.sequence(2)?;
        let error = reader.error(Detail::BadValue);
        let comparison = Comparison::of(reader.uint()?).ok_or(error)?;
        let version = Version::parse(reader)?;
        reader.is(&[command::VERSION, REPORT_CONDITION])?;
        Ok(Self { comparison, version })
    }

    /// Whether `found` is as it must be. Numbers that are missing count as 0, so that `1.2` is
    /// `1.2.0` and later than `1.2.0-rc.1`.
    #[must_use]
    pub fn accepts(&self, found: &[i64]) -> bool {
        use core::cmp::Ordering::{Equal, Greater, Less};
        let wanted = self.version.numbers().chain(core::iter::repeat(0));
        let padded = found.iter().copied().chain(core::iter::repeat(0));
        let len = found.len().max(VERSION_LEN_MAX);
        let ordering = padded.take(len).cmp(wanted.take(len));
        match self.comparison {
            Comparison::Greater => ordering == Greater,
            Comparison::AtLeast => ordering != Less,
            Comparison::Equal => ordering == Equal,
            Comparison::AtMost => ordering != Greater,
            Comparison::Less => ordering == Less,
        }
    }
}

/// All demands of a manifest, their shape checked.
#[derive(Clone, Copy, Debug)]
pub struct Demands<'a> {
    /// The only device the package is for.
    pub device_id: Option<&'a [u8; 16]>,
    /// Seconds since 1970 (UTC) from which on it has expired.
    pub expires: Option<u64>,
    /// Charge of the battery at least, in percent.
    pub battery: Option<u8>,
    /// Asked before installing; lower numbers are more important.
    pub priority: Option<u64>,
    /// At the alternatives for the hardware, and how many there are.
    hardware: (Reader<'a>, u8),
    /// At the first dependency, and how many there are.
    dependencies: (Reader<'a>, u8),
}

/// Entries of the list of component identifiers that only stand for facts about the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FactEntries {
    pub(super) hardware: bool,
    pub(super) dependencies: u8,
}

impl FactEntries {
    pub(super) fn count(self) -> usize {
        usize::from(self.hardware) + usize::from(self.dependencies)
    }
}

/// Reads `20, {key: ...}` if it is there; the parameter's value is next then.
fn parameter_follows(reader: &mut Reader<'_>, key: u64) -> Result<bool> {
    let mut ahead = *reader;
    let fits = ahead.is(&[command::OVERRIDE]).and_then(|()| ahead.map_of(1));
    if fits.and_then(|()| ahead.is(&[key])).is_err() {
        return Ok(false);
    }
    *reader = ahead;
    Ok(true)
}

/// Items of the install sequence that one parameter and its condition take.
const PARAMETER_ITEMS: usize = 4;
/// Those of a condition on another component.
const INDEXED_ITEMS: usize = 6;
/// Those of alternatives.
const ALTERNATIVES_ITEMS: usize = 4;

impl<'a> Demands<'a> {
    /// Reads the head of an install sequence; gives how many of its items that took. `first` is the
    /// position of the first of `entries` in the list of component identifiers.
    pub(super) fn parse(
        reader: &mut Reader<'a>,
        entries: FactEntries,
        first: usize,
    ) -> Result<(Self, usize)> {
        let mut items = 0;
        let mut uint = |reader: &mut Reader<'a>, key: u64, max: u64| -> Result<Option<u64>> {
            if !parameter_follows(reader, key)? {
                return Ok(None);
            }
            let error = reader.error(Detail::BadValue);
            let value = reader.uint()?;
            reader.is(&[key, REPORT_CONDITION])?;
            items += PARAMETER_ITEMS;
            if value <= max { Ok(Some(value)) } else { Err(error) }
        };
        let expires = uint(reader, parameter::USE_BEFORE, u64::MAX)?;
        let mut device_id = None;
        if parameter_follows(reader, parameter::DEVICE)? {
            device_id = Some(reader.array_of()?);
            reader.is(&[command::DEVICE, REPORT_CONDITION])?;
        }
        let battery = uint(reader, parameter::BATTERY, 100)?.map(|percent| percent as u8);
        let priority = uint(reader, parameter::PRIORITY, u64::MAX)?;
        if device_id.is_some() {
            items += PARAMETER_ITEMS;
        }
        let (hardware, used) = parse_hardware(reader, entries.hardware, first)?;
        items += used;
        let start = first.saturating_add(usize::from(entries.hardware));
        let dependencies = (*reader, entries.dependencies);
        for index in 0..usize::from(entries.dependencies) {
            reader.is(&[command::SET_INDEX, start.saturating_add(index) as u64])?;
            VersionMatch::parse(reader)?;
            items += INDEXED_ITEMS;
        }
        let demands = Self { device_id, expires, battery, priority, hardware, dependencies };
        Ok((demands, items))
    }

    /// Revisions of the hardware the package is for; any if there are none.
    pub fn hardware(&self) -> impl Iterator<Item = VersionMatch<'a>> + use<'a> {
        let (mut reader, count) = self.hardware;
        (0..count).filter_map(move |_| match count {
            1 => VersionMatch::parse(&mut reader).ok(),
            _ => VersionMatch::parse(&mut reader.nested().and_then(sequence_of_match).ok()?).ok(),
        })
    }

    /// What the versions of dependencies must be like, in the order of their names.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = VersionMatch<'a>> + use<'a> {
        let (mut reader, count) = self.dependencies;
        (0..count).filter_map(move |_| {
            reader.skip().ok()?;
            reader.skip().ok()?;
            VersionMatch::parse(&mut reader).ok()
        })
    }
}

/// A command sequence that holds one version match and nothing else.
fn sequence_of_match(mut reader: Reader<'_>) -> Result<Reader<'_>> {
    reader.sequence(PARAMETER_ITEMS)?;
    Ok(reader)
}

/// Reads one revision: hardware is listed, not compared.
fn parse_revision(reader: &mut Reader<'_>) -> Result<()> {
    let error = reader.error(Detail::UnknownRecipe);
    let revision = VersionMatch::parse(reader)?;
    if revision.comparison == Comparison::Equal { Ok(()) } else { Err(error) }
}

/// Reads the condition on the hardware: one match, or alternatives.
fn parse_hardware<'a>(
    reader: &mut Reader<'a>,
    is_there: bool,
    entry: usize,
) -> Result<((Reader<'a>, u8), usize)> {
    if !is_there {
        return Ok(((*reader, 0), 0));
    }
    reader.is(&[command::SET_INDEX, entry as u64])?;
    let start = *reader;
    if reader.is(&[command::TRY_EACH]).is_err() {
        *reader = start;
        parse_revision(reader)?;
        return Ok(((start, 1), INDEXED_ITEMS));
    }
    let many = reader.error(Detail::TooManyKeys);
    let few = reader.error(Detail::UnknownRecipe);
    let count = u8::try_from(reader.array()?).map_err(|_| many)?;
    if usize::from(count) > HARDWARE_COUNT_MAX {
        return Err(many);
    }
    if count < 2 {
        return Err(few);
    }
    let first = *reader;
    for _ in 0..count {
        let mut item = sequence_of_match(reader.nested()?)?;
        parse_revision(&mut item)?;
        item.finish()?;
    }
    Ok(((first, count), ALTERNATIVES_ITEMS))
}

/// A dependency to emit: the component's name and what its version must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependencyFacts<'f> {
    /// The component.
    pub name: &'f str,
    /// How its version is compared.
    pub comparison: Comparison,
    /// With what.
    pub version: &'f [i64],
}

/// Demands to emit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DemandFacts<'f> {
    /// See [`Demands::device_id`].
    pub device_id: Option<[u8; 16]>,
    /// See [`Demands::expires`].
    pub expires: Option<u64>,
    /// See [`Demands::battery`].
    pub battery: Option<u8>,
    /// See [`Demands::priority`].
    pub priority: Option<u64>,
    /// Revisions of the hardware.
    pub hardware: &'f [&'f [i64]],
    /// Versions of other components.
    pub dependencies: &'f [DependencyFacts<'f>],
}

impl DemandFacts<'_> {
    /// Entries of the list of component identifiers.
    pub(super) fn entry_count(&self) -> u64 {
        u64::from(!self.hardware.is_empty()).saturating_add(self.dependencies.len() as u64)
    }

    /// Items of the install sequence.
    pub(super) fn item_count(&self) -> u64 {
        let parameters = [
            self.device_id.is_some(),
            self.expires.is_some(),
            self.battery.is_some(),
            self.priority.is_some(),
        ];
        let parameters = parameters.into_iter().filter(|there| *there).count();
        let hardware = match self.hardware.len() {
            0 => 0,
            1 => INDEXED_ITEMS,
            _ => ALTERNATIVES_ITEMS,
        };
        let dependencies = INDEXED_ITEMS.saturating_mul(self.dependencies.len());
        (PARAMETER_ITEMS * parameters).saturating_add(hardware).saturating_add(dependencies) as u64
    }

    /// Emits the head of the install sequence; `first` is the position of the first fact entry.
    pub(super) fn emit<S: Sink>(&self, writer: &mut Writer<S>, first: u64) -> Result<()> {
        emit_uint(writer, parameter::USE_BEFORE, self.expires)?;
        if let Some(id) = &self.device_id {
            super::emit::uints(writer, &[command::OVERRIDE])?;
            writer.map(1)?;
            writer.uint(parameter::DEVICE)?;
            writer.bytes(id)?;
            super::emit::uints(writer, &[command::DEVICE, REPORT_CONDITION])?;
        }
        emit_uint(writer, parameter::BATTERY, self.battery.map(u64::from))?;
        emit_uint(writer, parameter::PRIORITY, self.priority)?;
        let mut entry = first;
        if !self.hardware.is_empty() {
            super::emit::uints(writer, &[command::SET_INDEX, entry])?;
            self.emit_hardware(writer)?;
            entry = entry.saturating_add(1);
        }
        for dependency in self.dependencies {
            super::emit::uints(writer, &[command::SET_INDEX, entry])?;
            emit_match(writer, dependency.comparison, dependency.version)?;
            entry = entry.saturating_add(1);
        }
        Ok(())
    }

    fn emit_hardware<S: Sink>(&self, writer: &mut Writer<S>) -> Result<()> {
        if let [only] = self.hardware {
            return emit_match(writer, Comparison::Equal, only);
        }
        writer.uint(command::TRY_EACH)?;
        writer.array(self.hardware.len() as u64)?;
        self.hardware.iter().try_for_each(|revision| {
            writer.nested(&|w| {
                w.array(PARAMETER_ITEMS as u64)?;
                emit_match(w, Comparison::Equal, revision)
            })
        })
    }
}

fn emit_uint<S: Sink>(writer: &mut Writer<S>, key: u64, value: Option<u64>) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    writer.uint(command::OVERRIDE)?;
    writer.map(1)?;
    // The numbers of these parameters and of their conditions are the same.
    super::emit::uints(writer, &[key, value, key, REPORT_CONDITION])
}

fn emit_match<S: Sink>(
    writer: &mut Writer<S>,
    comparison: Comparison,
    version: &[i64],
) -> Result<()> {
    writer.uint(command::OVERRIDE)?;
    writer.map(1)?;
    writer.uint(parameter::VERSION)?;
    writer.array(2)?;
    writer.uint(comparison as u64)?;
    writer.array(version.len() as u64)?;
    version.iter().try_for_each(|number| writer.int(*number))?;
    super::emit::uints(writer, &[command::VERSION, REPORT_CONDITION])
}
