//! The device's side on a host: core verifies and applies, this feeds it from files or memory.

use crate::codec::zstd::Zstd;
use crate::core::apply::{Applier, Io, Step, verify_old};
use crate::core::format::delta::DeltaHeader;
use crate::core::format::envelope::{PayloadKey, Span};
use crate::core::format::manifest::base_name;
use crate::core::storage::{Source, Target};
use crate::core::verify::Package;
use crate::core::{Detail, Limits};
use crate::error::{Error, Result};
use crate::progress::{Progress, Stage, checkpoint};

/// Bytes read from storage at a time.
const SCRATCH_LEN: usize = 1 << 16;
/// Calls of the applier between two looks at whether to stop.
const CHECK_COUNT: u32 = 256;

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
        let header = package.header(file, index, limits)?;
        all.push(Checked { header, payload: false, old: header.old.is_none() });
    }
    for index in 0..count {
        checkpoint(progress, Stage::Verify, u64::from(index), u64::from(count))?;
        let found = with_payload(package, file, supply, index, |source, span| {
            Ok(package.check_delta(source, span, index, &mut scratch)?)
        });
        match found {
            Ok(()) => all[usize::from(index)].payload = true,
            Err(e) if e.detail() == Detail::MissingPayload && extent == Extent::Envelope => {}
            Err(error) => return Err(error),
        }
    }
    for index in 0..count {
        let checked = &mut all[usize::from(index)];
        checked.old |= check_old(package, supply, index, &checked.header, extent, &mut scratch)?;
    }
    checkpoint(progress, Stage::Verify, u64::from(count), u64::from(count))?;
    Ok(all)
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

/// Runs `work` on the payload of component `index`, wherever it is.
fn with_payload<S: Source, U: Supply, R>(
    package: &Package<'_>,
    file: &mut S,
    supply: &mut U,
    index: u8,
    mut work: impl FnMut(&mut dyn Bytes, Span) -> Result<R>,
) -> Result<R> {
    let component = package.manifest.component(index)?;
    let Some(uri) = component.detached else {
        let span = package.envelope.payload(PayloadKey::Delta(index));
        return work(file, span.ok_or(Detail::MissingPayload)?);
    };
    let name = base_name(uri)?;
    let found = supply.payload(name)?;
    let missing = Error::from(Detail::MissingPayload).about(name);
    let (mut source, len) = found.ok_or_else(|| {
        missing.remedy("put it beside the package or name its folder with --payload-dir")
    })?;
    work(&mut source, Span { pos: 0, len }).map_err(|error| error.about(name))
}

/// Any source, whatever its error: core only asks whether a read worked.
trait Bytes {
    fn read_at(&mut self, pos: u64, buf: &mut [u8]) -> Option<()>;
}

impl<S: Source> Bytes for S {
    fn read_at(&mut self, pos: u64, buf: &mut [u8]) -> Option<()> {
        self.read(pos, buf).ok()
    }
}

impl Source for &mut dyn Bytes {
    type Error = ();

    fn read(
        &mut self,
        pos: u64,
        buf: &mut [u8],
    ) -> std::result::Result<(), crate::core::storage::ReadError<()>> {
        self.read_at(pos, buf).ok_or(crate::core::storage::ReadError::Io(()))
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
    let mut old: Box<dyn Bytes + '_> = Box::new(Nothing);
    let file_of_old;
    if header.old.is_some() {
        file_of_old = supply.old(name)?.ok_or(Detail::MissingOld)?.0;
        old = Box::new(file_of_old);
    }
    with_payload(package, file, supply, index, |payload, span| {
        let mut payload = payload;
        feed_all(header, &mut &mut *old, &mut payload, span, new, limits, progress)
    })
}

/// The old image of a component sent in full.
struct Nothing;

impl Source for Nothing {
    type Error = ();

    fn read(
        &mut self,
        _: u64,
        _: &mut [u8],
    ) -> std::result::Result<(), crate::core::storage::ReadError<()>> {
        Err(crate::core::storage::ReadError::Uncorrectable)
    }
}

fn feed_all<O: Source, P: Source, T: Target>(
    header: &DeltaHeader,
    old: &mut O,
    payload: &mut P,
    span: Span,
    new: &mut T,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<()> {
    header.check(limits)?;
    let work_len = usize::try_from(Applier::workspace(header)?).map_err(|_| Detail::WorkspaceTooSmall)?;
    let mut work = vec![0; work_len];
    let mut applier = Applier::open(header, &mut work, limits)?;
    let mut io = Io { old, new, decompressor: &mut Zstd::default() };
    let (mut buf, mut start, mut end, mut read) = (vec![0; SCRATCH_LEN], 0, 0, 0u64);
    for call in 0u32.. {
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
