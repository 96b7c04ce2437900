//! Deltas that are applied over the old image: which order of pages, which interval of
//! checkpoints, and a trial run of the result.

use fwdelta_core::apply::in_place::{Areas, Binding, Flash, Found, Progress, Rehearsal, Rewriting};
use fwdelta_core::apply::{Applier, Verified, verify_old};
use fwdelta_core::format::delta::{Coder, DeltaHeader, InPlace};
use fwdelta_core::storage::{Geometry, Source, Target};
use fwdelta_core::{Detail, Limits};

use super::create::Delta;
use super::media::RamFlash;
use crate::codec::pages::Schedule;
use crate::error::Result;

/// The flash of a device that updates in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes erased together.
    pub page_len: u32,
    /// Spare pages.
    pub spare_count: u8,
    /// Bytes programmed together, 1 to 32: only the footprint depends on it.
    pub write_len: u16,
    /// What an erased byte reads as: the same.
    pub erased: u8,
    /// Order of pages as in [`InPlace::block`]; `None`: the best.
    pub block: Option<u32>,
    /// Rewritten pages between checkpoints; `None`: the best.
    pub interval: Option<u8>,
}

/// What applying in place takes besides the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Pages that are rewritten; the others stay as they are.
    pub rewritten_count: u64,
    /// Bytes of state in a checkpoint.
    pub state_len: u64,
    /// Pages of the two areas for checkpoints together.
    pub checkpoint_pages: u64,
    /// Bytes of scratch flash: spare pages and checkpoints.
    pub scratch_len: u64,
    /// Most erases of one spare page.
    pub spare_erases: u64,
    /// Most erases of one page of an area for checkpoints.
    pub checkpoint_erases: u64,
}

/// Of two deltas of nearly the same length, the one with fewer checkpoints is better: less than
/// one part in so many is nearly the same.
const INTERVAL_WORTH: usize = 256;

/// Encodes in every way worth trying and keeps the smallest.
pub(super) fn choose(
    place: &Place,
    encode: impl Fn(&InPlace) -> Result<(Coder, Vec<u8>)>,
) -> Result<(InPlace, Coder, Vec<u8>)> {
    let mut best: Option<(InPlace, Coder, Vec<u8>)> = None;
    for in_place in candidates(place) {
        in_place.check()?;
        let (coder, payload) = encode(&in_place)?;
        if !coder.is_resumable() {
            return Err(Detail::BadArgument.into());
        }
        let worth = |len: usize| len + len / INTERVAL_WORTH;
        let is_better = best.as_ref().is_none_or(|(last, _, shortest)| {
            let len = payload.len();
            match in_place.interval < last.interval {
                true => worth(len) < shortest.len(),
                false => len < shortest.len(),
            }
        });
        if is_better {
            best = Some((in_place, coder, payload));
        }
    }
    best.ok_or(Detail::BadArgument.into())
}

/// Orders and intervals worth trying, those with long intervals first.
fn candidates(place: &Place) -> Vec<InPlace> {
    let Place { page_len, spare_count, .. } = *place;
    let mut all = Vec::new();
    let intervals = match place.interval {
        Some(interval) => vec![interval],
        None => (1..=spare_count.min(4)).rev().collect(),
    };
    for interval in intervals {
        let reach = spare_count.saturating_sub(interval);
        let mut blocks = vec![0, 1, u32::from(reach) + 1];
        blocks.dedup();
        for block in place.block.map_or(blocks, |block| vec![block]) {
            all.push(InPlace { page_len, block, spare_count, interval, check: 0 });
        }
    }
    all
}

/// New as coder 0 stores it: in the order in which pages are made.
pub(super) fn in_order(new: &[u8], in_place: Option<&InPlace>) -> Vec<u8> {
    let Some(in_place) = in_place else { return new.to_vec() };
    let pages = in_place.pages(new.len() as u64);
    let page = |place| {
        let bytes = pages.bytes_at(place);
        &new[bytes.pos as usize..bytes.end as usize]
    };
    (0..pages.count()).flat_map(page).copied().collect()
}

/// What a delta takes on a device whose flash is as `place` says.
///
/// # Errors
/// `BadArgument` for a delta that is not applied in place.
pub fn footprint(header: &DeltaHeader, place: &Place, old: &[u8], new: &[u8]) -> Result<Footprint> {
    let in_place = header.in_place.ok_or(Detail::BadArgument)?;
    let mut work = vec![0; Applier::workspace(header)? as usize];
    let areas = Areas::of(header, place.write_len, &mut work)?;
    let count = Schedule::new(&in_place, old, new).rewritten_count() as u64;
    let checkpoints = count.div_ceil(in_place.interval.into()).max(1);
    Ok(Footprint {
        rewritten_count: count,
        state_len: areas.state_len(),
        checkpoint_pages: 2 * areas.area_len() / u64::from(in_place.page_len),
        scratch_len: areas.scratch_len(),
        spare_erases: count.div_ceil(in_place.spare_count.into()),
        checkpoint_erases: checkpoints.div_ceil(2),
    })
}

/// Rewrites the image in `flash`, or goes on with it, to the end.
///
/// # Errors
/// As [`Rehearsal`] and [`Rewriting`].
pub fn rewrite<T: Source + Target, X: Source + Target, P: Source>(
    header: &DeltaHeader,
    flash: &mut Flash<'_, T, X, P>,
    limits: &Limits,
    binding: Binding,
) -> Result<Verified> {
    header.check(limits)?;
    let mut work = vec![0; Applier::workspace(header)? as usize];
    let mut rewriting = match Rewriting::look(header, &mut work, flash.scratch, &binding)? {
        Found::Nothing => {
            verify_old(header, flash.slot, &mut [0; 4096])?;
            let mut rehearsal = Rehearsal::open(header, &mut work, limits)?;
            while rehearsal.step(flash)? == Progress::Yield {}
            let ready = rehearsal.finish()?;
            Rewriting::begin(ready, header, &mut work, limits, binding, flash)?
        }
        Found::Begun | Found::Done => Rewriting::resume(header, &mut work, limits, binding, flash)?,
    };
    while rewriting.step(flash)? == Progress::Yield {}
    Ok(rewriting.finish()?)
}

/// Applies `delta` to flash in memory and compares.
pub(super) fn check(old: &[u8], new: &[u8], delta: &Delta, limits: &Limits) -> Result<()> {
    let header = &delta.header;
    let page_len = header.in_place.map_or(1, |in_place| in_place.page_len);
    let geometry = Geometry {
        len: (new.len() as u64).next_multiple_of(page_len.into()),
        sector_len: page_len,
        write_len: 32,
        erased: 0xff,
    };
    let mut work = vec![0; Applier::workspace(header)? as usize];
    let scratch_len = Areas::of(header, geometry.write_len, &mut work)?.scratch_len();
    let mut slot = RamFlash::new(old, geometry);
    let mut scratch = RamFlash::new(&[], Geometry { len: scratch_len, ..geometry });
    let payload = &mut &delta.payload[..];
    let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
    rewrite(header, &mut flash, limits, Binding::new(&delta.header_bytes(), &[]))?;
    if slot.bytes().get(..new.len()) == Some(new) { Ok(()) } else { Err(Detail::Bug.into()) }
}
