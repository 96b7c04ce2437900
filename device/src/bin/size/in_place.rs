//! What a boot loader does that rewrites its only slot (docs/in-place.md).

use fwdelta_core::apply::in_place::{Binding, Flash, Found, Progress, Rewriting, Seat};
use fwdelta_core::apply::verify_old;
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
    let (limits, binding) = (&Limits::DEVICE, Binding::new(&bytes, &[]));
    let (slot, scratch, payload) = (&mut Medium, &mut Medium, &mut Medium);
    let mut flash = Flash { slot, scratch, payload };
    let (mut first, mut second) = (Seat::default(), Seat::default());
    let rewriting = match Rewriting::look(header, &mut work, flash.scratch, &binding)? {
        Found::Done => return Ok(()),
        Found::Begun => second.resume(header, &mut work, limits, binding, &mut flash)?,
        Found::Nothing => {
            verify_old(header, flash.slot, &mut work)?;
            let rehearsal = first.open(header, &mut work, limits)?;
            while rehearsal.step(&mut flash)? == Progress::Yield {}
            let ready = rehearsal.finish()?;
            second.begin(ready, header, &mut work, limits, binding, &mut flash)?
        }
    };
    while rewriting.step(&mut flash)? == Progress::Yield {}
    rewriting.finish().map(drop)
}
