//! What a device does at every start.

use fwdelta_core::apply::in_place::{Binding, Flash, Found, Progress, Ready, Rehearsal, Rewriting};
use fwdelta_core::apply::{Applier, verify_old};
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::format::envelope::{PayloadKey, Span};
use fwdelta_core::format::trust::Trust;
use fwdelta_core::storage::{ReadError, Source};
use fwdelta_core::verify::{Device, Ed25519, Facts, Package, Sim};
use fwdelta_core::{Detail, Limits, Result};
use fwdelta_device::board::{SLOT_LEN, WORK_LEN};
use fwdelta_device::nor::{Cut, Misuse, Note, Part};
use fwdelta_device::semihosting::report;
use fwdelta_device::stack;

use crate::factory::{PACKAGE_LEN, PACKAGE_POS, SCRATCH_LEN, SCRATCH_POS, SLOT_POS, TRUST_LEN};

/// Bytes for the authenticated part of the package.
const ENVELOPE_LEN: usize = 2048;
/// Bytes for the trust anchor.
const ANCHOR_LEN: usize = 256;
/// Bytes hashed at a time.
const PIECE_LEN: usize = 64;

/// What an authentic package says.
struct Update {
    header: DeltaHeader,
    payload: Span,
    binding: Binding,
}

/// The payload in the staged package.
struct Payload<'a> {
    package: Part<'a>,
    start: u64,
}

impl Source for Payload<'_> {
    type Error = Misuse;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> core::result::Result<(), ReadError<Misuse>> {
        self.package.read(self.start + pos, buf)
    }
}

/// Verifies, then begins, resumes or does nothing. The phases have the same memory: the buffers of
/// the first are gone when the second begins.
pub(crate) fn start(cut: &Cut) -> Result<()> {
    let update = authenticate(cut);
    report("signature_stack", stack::peak().saturating_sub(ENVELOPE_LEN + ANCHOR_LEN) as u64);
    stack::paint();
    let result = match &update {
        Ok(update) => install(update, cut),
        Err(error) => Err(*error),
    };
    let peak = stack::peak();
    report("stack", peak.saturating_sub(WORK_LEN) as u64);
    report("ram", peak as u64);
    report("ram_len", stack::len() as u64);
    report("operations", cut.count().into());
    result
}

/// Everything that is known before the first byte of flash is written.
#[inline(never)]
fn authenticate(cut: &Cut) -> Result<Update> {
    let mut anchor = [0; ANCHOR_LEN];
    let (mut envelope, mut piece) = ([0; ENVELOPE_LEN], [0; PIECE_LEN]);
    let trust_len = Note::TrustLen.number().unwrap_or(0) as usize;
    let anchor = anchor.get_mut(..trust_len).ok_or(Detail::BadArgument)?;
    Part::new(0, TRUST_LEN, cut).read(0, anchor).map_err(|_| Detail::ReadFailed)?;
    let trust = Trust::parse(anchor)?;

    let limits = Limits { envelope_len: ENVELOPE_LEN, ..Limits::DEVICE };
    let device = Device { sim: Sim::Absent, sequence: None, facts: Facts::default() };
    let mut staged = package(cut);
    let len = Note::PackageLen.number().unwrap_or(0).into();
    let package =
        Package::verify(&mut staged, len, &mut envelope, &trust, &device, &Ed25519, &limits);
    let package = package.as_ref().map_err(|error| *error)?;
    package.check_texts(&mut staged, &mut piece)?;
    let header = package.header(&mut staged, 0, &limits)?;
    let payload = package.envelope.payload(PayloadKey::Delta(0)).ok_or(Detail::MissingPayload)?;
    package.check_delta(&mut staged, payload, 0, &mut piece)?;
    let binding = Binding::new(package.auth.digest, &[]);
    Ok(Update { header, payload, binding })
}

fn package(cut: &Cut) -> Part<'_> {
    Part::new(PACKAGE_POS, PACKAGE_LEN, cut)
}

#[inline(never)]
fn install(update: &Update, cut: &Cut) -> Result<()> {
    let Update { header, payload, binding } = update;
    let mut work = [0; WORK_LEN];
    let work = work.get_mut(..Applier::workspace(header)? as usize);
    let work = work.ok_or(Detail::WorkspaceTooSmall)?;
    report("workspace", work.len() as u64);
    report("context", size_of::<Rewriting<'_>>().max(size_of::<Rehearsal<'_>>()) as u64);
    let (mut slot, mut scratch) =
        (Part::new(SLOT_POS, SLOT_LEN, cut), Part::new(SCRATCH_POS, SCRATCH_LEN, cut));
    let mut payload = Payload { package: package(cut), start: payload.pos };
    let found = Rewriting::look(header, work, &mut scratch, binding)?;
    report("found", found as u64);
    let flash = &mut Flash { slot: &mut slot, scratch: &mut scratch, payload: &mut payload };
    match found {
        Found::Done => Ok(()),
        Found::Begun => resume(header, work, *binding, flash),
        Found::Nothing => {
            verify_old(header, flash.slot, work)?;
            begin(rehearse(header, work, flash)?, header, work, *binding, flash)
        }
    }
}

type Parts<'f, 'c> = Flash<'f, Part<'c>, Part<'c>, Payload<'c>>;

// A phase has a frame of its own, and none moves its state: there is no room for two of them.

#[inline(never)]
fn rehearse(header: &DeltaHeader, work: &mut [u8], flash: &mut Parts<'_, '_>) -> Result<Ready> {
    let mut rehearsal = Rehearsal::open(header, work, &Limits::DEVICE);
    let rehearsing = rehearsal.as_mut().map_err(|error| *error)?;
    while rehearsing.step(flash)? == Progress::Yield {}
    rehearsing.finish()
}

#[inline(never)]
fn begin(
    ready: Ready,
    header: &DeltaHeader,
    work: &mut [u8],
    binding: Binding,
    flash: &mut Parts<'_, '_>,
) -> Result<()> {
    finish(&mut Rewriting::begin(ready, header, work, &Limits::DEVICE, binding, flash), flash)
}

#[inline(never)]
fn resume(
    header: &DeltaHeader,
    work: &mut [u8],
    binding: Binding,
    flash: &mut Parts<'_, '_>,
) -> Result<()> {
    finish(&mut Rewriting::resume(header, work, &Limits::DEVICE, binding, flash), flash)
}

#[inline(never)]
fn finish(rewriting: &mut Result<Rewriting<'_>>, flash: &mut Parts<'_, '_>) -> Result<()> {
    let rewriting = rewriting.as_mut().map_err(|error| *error)?;
    while rewriting.step(flash)? == Progress::Yield {}
    rewriting.finish().map(drop)
}
