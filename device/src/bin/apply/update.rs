//! What a device does at every start.

use fwdelta_core::apply::in_place::{
    Binding, Flash, Found, Progress, Ready, Rehearsal, Rewriting, Seat,
};
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

const LIMITS: Limits = Limits { envelope_len: ENVELOPE_LEN, ..Limits::DEVICE };

/// What a package says.
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

/// Goes on with what the journal knows; else verifies, then begins. What was begun was verified
/// before: neither signatures nor policy are asked again, only whether the payload is still what it
/// was. The phases have the same memory: the buffers of one are gone when the next begins.
pub(crate) fn start(cut: &Cut) -> Result<()> {
    let mut update = reopen(cut);
    let found = update.as_ref().map_err(|error| *error).and_then(|update| look(update, cut));
    report("found", found.map_or(u64::MAX, |found| found as u64));
    let looked = stack::peak();
    if found == Ok(Found::Nothing) {
        stack::paint();
        update = authenticate(cut);
        report("signature_stack", (stack::peak() - ENVELOPE_LEN - ANCHOR_LEN) as u64);
        stack::paint();
    }
    let result = match &update {
        Ok(update) => found.and_then(|found| install(update, found, cut)),
        Err(error) => Err(*error),
    };
    let peak = stack::peak().max(looked);
    report("stack", peak.saturating_sub(WORK_LEN) as u64);
    report("ram", peak as u64);
    report("ram_len", stack::len() as u64);
    report("operations", cut.count().into());
    result
}

/// What the staged package says, authentic or not.
#[inline(never)]
fn reopen(cut: &Cut) -> Result<Update> {
    let mut envelope = [0; ENVELOPE_LEN];
    let mut staged = package(cut);
    let package = Package::reopen(&mut staged, package_len(), &mut envelope, &LIMITS);
    described(package.as_ref().map_err(|error| *error)?, &mut staged)
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

    let device = Device { sim: Sim::Absent, sequence: None, facts: Facts::default() };
    let (mut staged, len) = (package(cut), package_len());
    let package =
        Package::verify(&mut staged, len, &mut envelope, &trust, &device, &Ed25519, &LIMITS);
    let package = package.as_ref().map_err(|error| *error)?;
    package.check_texts(&mut staged, &mut piece)?;
    described(package, &mut staged)
}

/// The delta of a package, its header and payload checked against the manifest.
#[inline(never)]
fn described(package: &Package<'_>, staged: &mut Part<'_>) -> Result<Update> {
    let mut piece = [0; PIECE_LEN];
    let header = package.header(staged, 0, &LIMITS)?;
    let payload = package.envelope.payload(PayloadKey::Delta(0)).ok_or(Detail::MissingPayload)?;
    package.check_delta(staged, payload, 0, &mut piece)?;
    Ok(Update { header, payload, binding: package.binding(0)? })
}

fn package_len() -> u64 {
    Note::PackageLen.number().unwrap_or(0).into()
}

fn package(cut: &Cut) -> Part<'_> {
    Part::new(PACKAGE_POS, PACKAGE_LEN, cut)
}

#[inline(never)]
fn look(update: &Update, cut: &Cut) -> Result<Found> {
    let mut work = [0; WORK_LEN];
    let mut scratch = Part::new(SCRATCH_POS, SCRATCH_LEN, cut);
    let work = lent(&mut work, &update.header)?;
    Rewriting::look(&update.header, work, &mut scratch, &update.binding)
}

/// As much working memory as the header asks for.
fn lent<'w>(work: &'w mut [u8], header: &DeltaHeader) -> Result<&'w mut [u8]> {
    let len = Applier::workspace(header)? as usize;
    work.get_mut(..len).ok_or(Detail::WorkspaceTooSmall.into())
}

#[inline(never)]
fn install(update: &Update, found: Found, cut: &Cut) -> Result<()> {
    let Update { header, payload, binding } = update;
    let mut work = [0; WORK_LEN];
    let work = lent(&mut work, header)?;
    report("workspace", work.len() as u64);
    report("context", size_of::<Rewriting<'_>>().max(size_of::<Rehearsal<'_>>()) as u64);
    let (mut slot, mut scratch) =
        (Part::new(SLOT_POS, SLOT_LEN, cut), Part::new(SCRATCH_POS, SCRATCH_LEN, cut));
    let mut payload = Payload { package: package(cut), start: payload.pos };
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

// A phase has a frame of its own, with the seat of its state: there is no room for two of them.

#[inline(never)]
fn rehearse(header: &DeltaHeader, work: &mut [u8], flash: &mut Parts<'_, '_>) -> Result<Ready> {
    let mut seat = Seat::default();
    let rehearsal = seat.open(header, work, &LIMITS)?;
    while rehearsal.step(flash)? == Progress::Yield {}
    rehearsal.finish()
}

#[inline(never)]
fn begin(
    ready: Ready,
    header: &DeltaHeader,
    work: &mut [u8],
    binding: Binding,
    flash: &mut Parts<'_, '_>,
) -> Result<()> {
    let mut seat = Seat::default();
    finish(seat.begin(ready, header, work, &LIMITS, binding, flash)?, flash)
}

#[inline(never)]
fn resume(
    header: &DeltaHeader,
    work: &mut [u8],
    binding: Binding,
    flash: &mut Parts<'_, '_>,
) -> Result<()> {
    let mut seat = Seat::default();
    finish(seat.resume(header, work, &LIMITS, binding, flash)?, flash)
}

#[inline(never)]
fn finish(rewriting: &mut Rewriting<'_>, flash: &mut Parts<'_, '_>) -> Result<()> {
    while rewriting.step(flash)? == Progress::Yield {}
    rewriting.finish().map(drop)
}
