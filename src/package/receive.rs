//! The device's side on a host: core verifies and applies, this feeds it from files or memory.

use crate::codec::zstd::Zstd;
use crate::core::apply::two_slots::Settings;
use crate::core::apply::{Applier, Io, Step, verify_old};
use crate::core::format::delta::DeltaHeader;
use crate::core::format::envelope::{PayloadKey, Span};
use crate::core::format::manifest::base_name;
use crate::core::format::sealed::{OpenChunk, Opening};
use crate::core::storage::{ReadError, Source, Target};
use crate::core::verify::{Package, SoftwareAead, open_content};
use crate::core::{Detail, Limits};
use crate::diff::{self, Media, Written};
use crate::error::{Error, Result};
use crate::package::encrypt::DecryptKey;
use crate::progress::{Progress, Stage, checkpoint};

/// Bytes read from storage at a time.
const SCRATCH_LEN: usize = 1 << 16;
/// Calls of the applier between two looks at whether to stop.
const CHECK_COUNT: u64 = 256;

/// Finds what is not in the package: detached payloads and old images, with their lengths.
pub trait Supply {
    /// What payloads and images are read from.
    type File: Source;

    /// The detached payload of this file name; `None` if there is none.
    ///
    /// # Errors
    /// When it is there but cannot be opened.
    fn payload(&mut self, file_name: &str) -> Result<Option<(Self::File, u64)>>;

    /// The old image of this component; `None` if the caller gave none.
    ///
    /// # Errors
    /// When it is there but cannot be opened.
    fn old(&mut self, component: &str) -> Result<Option<(Self::File, u64)>>;

    /// The keys that payloads may be encrypted for.
    fn keys(&self) -> &[DecryptKey] {
        &[]
    }
}

/// How much of a package is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The envelope with what is integrated; a detached payload may be missing.
    Envelope,
    /// Everything that is in the package or beside it; old images if the caller gave them.
    Package,
    /// Everything an update needs, every old image included.
    Update,
}

/// What was found of one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its delta header.
    pub header: DeltaHeader,
    /// Whether the payload was there and matched.
    pub payload: bool,
    /// Whether the old image was given and matched; true where none is needed.
    pub old: bool,
}

/// Steps 7 and 8 of docs/format.md, section 7, for all components.
///
/// # Errors
/// The first check that fails, said of the component where it is about one.
pub fn check<S: Source, U: Supply>(
    package: &Package<'_>,
    file: &mut S,
    supply: &mut U,
    extent: Extent,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Vec<Checked>> {
    let mut scratch = vec![0; SCRATCH_LEN];
    package.check_texts(file, &mut scratch)?;
    let count = package.manifest.component_count();
    let mut all = Vec::new();
    for index in 0..count {
        let header = package.header_of_encrypted(file, index, limits)?;
        all.push(Checked { header, payload: false, old: header.old.is_none() });
    }
    for index in 0..count {
        checkpoint(progress, Stage::Verify, u64::from(index), u64::from(count))?;
        let (mut payload, span) = match open_payload(package, file, supply, index) {
            Err(e) if e.detail() == Detail::MissingPayload && extent == Extent::Envelope => {
                continue;
            }
            found => found?,
        };
        let name = package.manifest.component(index)?.name;
        let about = |error| Error::from(error).about(format!("payload of component {name}"));
        package.check_delta(&mut payload, span, index, &mut scratch).map_err(about)?;
        all[usize::from(index)].payload = true;
    }
    for index in 0..count {
        if extent == Extent::Update || !supply.keys().is_empty() {
            opening(package, supply, index)?;
        }
    }
    for index in 0..count {
        let checked = &mut all[usize::from(index)];
        checked.old |= check_old(package, supply, index, &checked.header, extent, &mut scratch)?;
    }
    for Checked { header, .. } in &all {
        Applier::workspace(header)?;
    }
    checkpoint(progress, Stage::Verify, u64::from(count), u64::from(count))?;
    Ok(all)
}

/// What decrypts the payload of component `index`; `None` if it is not encrypted.
///
/// # Errors
/// `NotRecipient` if the caller gave no key that it is encrypted for, `NotDecrypted`.
pub fn opening<U: Supply>(
    package: &Package<'_>,
    supply: &U,
    index: u8,
) -> Result<Option<Opening<SoftwareAead>>> {
    let Some(info) = package.encryption(index)? else { return Ok(None) };
    let name = package.manifest.component(index)?.name;
    let about = |error| Error::from(error).about(format!("payload of component {name}"));
    for key in supply.keys() {
        match open_content(&info, &key.software()) {
            Err(error) if error.detail == Detail::NotRecipient => {}
            found => return found.map(Some).map_err(about),
        }
    }
    let remedy = "give a key that it is encrypted for, with --decrypt-key";
    Err(about(Detail::NotRecipient.into()).remedy(remedy))
}

fn check_old<U: Supply>(
    package: &Package<'_>,
    supply: &mut U,
    index: u8,
    header: &DeltaHeader,
    extent: Extent,
    scratch: &mut [u8],
) -> Result<bool> {
    let Some(id) = header.old else { return Ok(true) };
    let name = package.manifest.component(index)?.name;
    let about = |error: Error| error.about(format!("old image of component {name}"));
    match supply.old(name)? {
        Some((mut old, len)) => {
            if len != id.len {
                return Err(about(Detail::OldSize.into()));
            }
            verify_old(header, &mut old, scratch).map_err(|error| about(error.into()))?;
            Ok(true)
        }
        None if extent == Extent::Update => Err(about(Detail::MissingOld.into())),
        None => Ok(false),
    }
}

/// The payload of component `index`, wherever it is.
fn open_payload<'s, S: Source, U: Supply>(
    package: &Package<'_>,
    file: &'s mut S,
    supply: &mut U,
    index: u8,
) -> Result<(Payload<'s, S, U::File>, Span)> {
    let component = package.manifest.component(index)?;
    let Some(uri) = component.detached else {
        let span = package.envelope.payload(PayloadKey::Delta(index));
        return Ok((Payload::Integrated(file), span.ok_or(Detail::MissingPayload)?));
    };
    let name = base_name(uri)?;
    let missing = Error::from(Detail::MissingPayload).about(name);
    let (beside, len) = supply.payload(name)?.ok_or_else(|| {
        missing.remedy("put it beside the package or name its folder with --payload-dir")
    })?;
    Ok((Payload::Detached(beside), Span { pos: 0, len }))
}

/// Where a payload is read from.
enum Payload<'s, S, F> {
    Integrated(&'s mut S),
    Detached(F),
}

impl<S: Source, F: Source> Source for Payload<'_, S, F> {
    type Error = ();

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<()>> {
        match self {
            Payload::Integrated(file) => file.read(pos, buf).map_err(|_| ReadError::Io(())),
            Payload::Detached(file) => file.read(pos, buf).map_err(|_| ReadError::Io(())),
        }
    }
}

/// An old image; none is never read, as a full image has no covers.
struct Old<F>(Option<F>);

impl<F: Source> Source for Old<F> {
    type Error = ();

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<()>> {
        let file = self.0.as_mut().ok_or(ReadError::Uncorrectable)?;
        file.read(pos, buf).map_err(|_| ReadError::Io(()))
    }
}

/// Steps 9 and 10: decodes component `index` into `new`. [`check`] has passed before.
///
/// # Errors
/// As docs/format.md, section 7; [`Error::Cancelled`].
#[allow(clippy::too_many_arguments)] // What an update takes; a struct would only rename it.
pub fn apply<S: Source, U: Supply, T: Target>(
    package: &Package<'_>,
    file: &mut S,
    supply: &mut U,
    index: u8,
    header: &DeltaHeader,
    new: &mut T,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<()> {
    let name = package.manifest.component(index)?.name;
    let old = match header.old {
        Some(_) => Some(supply.old(name)?.ok_or(Detail::MissingOld)?.0),
        None => None,
    };
    let opening = opening(package, supply, index)?;
    let (mut payload, span) = open_payload(package, file, supply, index)?;
    let opener = opening.as_ref().map(|opening| opening as &dyn OpenChunk);
    feed_all(header, opener, &mut Old(old), &mut payload, span, new, limits, progress)
}

/// The same so that a later run goes on where this one breaks off; `new` still has what earlier
/// ones wrote.
///
/// # Errors
/// As [`apply`].
#[allow(clippy::too_many_arguments)] // As above.
pub fn apply_kept<S: Source, U: Supply, T: Source + Target, X: Source + Target>(
    package: &Package<'_>,
    file: &mut S,
    supply: &mut U,
    index: u8,
    header: &DeltaHeader,
    new: &mut T,
    scratch: &mut X,
    settings: &Settings,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<Written> {
    let name = package.manifest.component(index)?.name;
    let old = match header.old {
        Some(_) => Some(supply.old(name)?.ok_or(Detail::MissingOld)?.0),
        None => None,
    };
    let opening = opening(package, supply, index)?;
    let opener = opening.as_ref().map(|opening| opening as &dyn OpenChunk);
    let (mut payload, span) = open_payload(package, file, supply, index)?;
    let (old, payload, payload_start) = (&mut Old(old), &mut payload, span.pos);
    let mut media = Media { old, new, scratch, payload, payload_start };
    diff::write_opened(header, opener, &mut media, limits, settings, progress)
}

/// The payload of component `index` from its first byte on, as a rewriting in place reads it; where
/// it is encrypted, as it was sent.
///
/// # Errors
/// `MissingPayload`.
pub fn staged<'s, S: Source, U: Supply>(
    package: &Package<'_>,
    file: &'s mut S,
    supply: &mut U,
    index: u8,
) -> Result<impl Source + use<'s, S, U>> {
    let (payload, span) = open_payload(package, file, supply, index)?;
    Ok(Staged { payload, start: span.pos })
}

/// A payload, counted from its first byte.
struct Staged<P> {
    payload: P,
    start: u64,
}

impl<P: Source> Source for Staged<P> {
    type Error = P::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<P::Error>> {
        self.payload.read(self.start.saturating_add(pos), buf)
    }
}

#[allow(clippy::too_many_arguments)] // As above.
fn feed_all<O: Source, P: Source, T: Target>(
    header: &DeltaHeader,
    opener: Option<&dyn OpenChunk>,
    old: &mut O,
    payload: &mut P,
    span: Span,
    new: &mut T,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<()> {
    header.check(limits)?;
    let work_len =
        usize::try_from(Applier::workspace(header)?).map_err(|_| Detail::WorkspaceTooSmall)?;
    let mut work = vec![0; work_len];
    let mut applier = Applier::open(header, &mut work, limits)?;
    if let Some(opener) = opener {
        applier.decrypt_with(opener)?;
    }
    let mut io = Io { old, new, decompressor: &mut Zstd::default() };
    let (mut buf, mut start, mut end, mut read) = (vec![0; SCRATCH_LEN], 0, 0, 0u64);
    for call in 0u64.. {
        let (taken, step) = applier.feed(&mut io, &buf[start..end])?;
        start += taken;
        match step {
            Step::Done => break,
            Step::NeedInput if start == end => {
                let len = (span.len - read).min(SCRATCH_LEN as u64) as usize;
                if len == 0 {
                    return Err(Detail::PayloadSize.into());
                }
                let failed = crate::core::Error::at(Detail::ReadFailed, span.pos + read);
                payload.read(span.pos + read, &mut buf[..len]).map_err(|_| failed)?;
                (start, end, read) = (0, len, read + len as u64);
            }
            Step::NeedInput | Step::Yield => {}
        }
        if call % CHECK_COUNT == 0 {
            checkpoint(progress, Stage::Apply, read, span.len)?;
        }
    }
    applier.finish(io.new)?;
    checkpoint(progress, Stage::Apply, span.len, span.len)
}
