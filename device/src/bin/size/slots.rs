//! What a device with two slots does.

use fwdelta_core::apply::{Applier, Io, Step, verify_old};
use fwdelta_core::codec::NoDecompressor;
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::storage::Source;
use fwdelta_core::{Limits, Result};

use crate::medium::Medium;

/// With a header from storage.
#[inline(never)]
pub(crate) fn run() -> Result<()> {
    let (mut bytes, mut work) = ([0; 256], [0; 4096]);
    let Ok(()) = Medium.read(0, &mut bytes) else { return Ok(()) };
    let header = &DeltaHeader::parse(&bytes)?;
    verify_old(header, &mut Medium, &mut work)?;
    let mut applier = Applier::open(header, &mut work, &Limits::DEVICE)?;
    let decompressor = &mut NoDecompressor;
    let mut io = Io { old: &mut Medium, new: &mut Medium, decompressor };
    while applier.feed(&mut io, &bytes)?.1 != Step::Done {}
    applier.finish(&mut Medium).map(drop)
}
