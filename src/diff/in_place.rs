//! Deltas that are applied over the old image: the flash they are for, and a trial run.

use fwdelta_core::apply::in_place::{Areas, Binding, Flash, Found, Progress, Rehearsal, Rewriting};
use fwdelta_core::apply::{Applier, Verified, verify_old};
use fwdelta_core::format::delta::{DeltaHeader, InPlace};
use fwdelta_core::format::pages::{FirstPages, Room};
use fwdelta_core::format::sealed::OpenChunk;
use fwdelta_core::storage::{Geometry, Source, Target};
use fwdelta_core::{Detail, Limits};

use super::delta::Delta;
use super::media::RamFlash;
use super::ways::Way;
use crate::codec::pages::Order;
use crate::error::Result;

/// Most bytes that flash programs together.
const WRITE_LEN_MAX: u16 = 32;

/// The flash of a device that updates in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes erased together; with `first`, behind that.
    pub page_len: u32,
    /// Pages of other lengths before.
    pub first: FirstPages,
    /// Spare pages.
    pub spare_count: u8,
    /// Bytes programmed together, 1 to 32: only the footprint depends on it.
    pub write_len: u16,
    /// What an erased byte reads as: the same.
    pub erased: u8,
    /// Order of pages; `None`: the best.
    pub order: Option<Order>,
    /// Rewritten pages between checkpoints; `None`: the best.
    pub interval: Option<u8>,
    /// What checkpoints hold of old; `None`: what fits pages that checkpoints take anyway, with
    /// profiles that leave memory for the table of it.
    pub room: Option<Room>,
}

impl Place {
    /// Whether the format can say so, and pages are whole units of what is programmed together.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let Self { page_len, first, spare_count, write_len, .. } = *self;
        let mut lens = first.runs().iter().map(|run| run.len).chain([page_len]);
        if !(1..=WRITE_LEN_MAX).contains(&write_len)
            || !lens.all(|len| len.is_multiple_of(write_len.into()))
        {
            return false;
        }
        let interval = self.interval.unwrap_or(1);
        let room = self.room.unwrap_or(Room::NONE);
        InPlace { page_len, first, spare_count, interval, room, check: None }.check().is_ok()
    }

    /// Pages of an image.
    pub(super) fn page_count(&self, new_len: u64) -> u64 {
        let Self { page_len, first, spare_count, .. } = *self;
        let room = Room::NONE;
        let in_place = InPlace { page_len, first, spare_count, interval: 1, room, check: None };
        in_place.pages(new_len).count()
    }
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
    /// Most erases of one page of an area for checkpoints.
    pub checkpoint_erases: u64,
}

/// What a delta takes on a device whose flash is as `place` says.
///
/// # Errors
/// `BadArgument` for a delta that is not applied in place.
pub fn footprint(header: &DeltaHeader, place: &Place, old: &[u8], new: &[u8]) -> Result<Footprint> {
    let in_place = header.in_place.ok_or(Detail::BadArgument)?;
    let mut work = vec![0; Applier::workspace(header)? as usize];
    let areas = Areas::of(header, place.write_len, &mut work)?;
    let way = Way { in_place, order: Order::Ascending, turns: None, memory_len: None, smaller: 0 };
    let count = way.schedule(old, new, &[]).rewritten_count() as u64;
    // One when it begins, one before the first rewritten page of every interval.
    let checkpoints = count.div_ceil(in_place.interval.into()) + 1;
    Ok(Footprint {
        rewritten_count: count,
        state_len: areas.state_len(),
        checkpoint_pages: 2 * areas.area_len() / in_place.pages(new.len() as u64).largest(),
        scratch_len: areas.scratch_len(),
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
    rewrite_opened(header, None, flash, limits, binding)
}

/// The same of a payload that is decrypted with `opener`, if there is one.
///
/// # Errors
/// As [`rewrite`], `NotDecrypted`.
pub fn rewrite_opened<T: Source + Target, X: Source + Target, P: Source>(
    header: &DeltaHeader,
    opener: Option<&dyn OpenChunk>,
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
            opener.map_or(Ok(()), |opener| rehearsal.decrypt_with(opener))?;
            while rehearsal.step(flash)? == Progress::Yield {}
            let ready = rehearsal.finish()?;
            Rewriting::begin(ready, header, &mut work, limits, binding, flash)?
        }
        Found::Begun | Found::Done => Rewriting::resume(header, &mut work, limits, binding, flash)?,
    };
    opener.map_or(Ok(()), |opener| rewriting.decrypt_with(opener))?;
    while rewriting.step(flash)? == Progress::Yield {}
    Ok(rewriting.finish()?)
}

/// Applies `delta` to flash in memory and compares.
pub(super) fn check(old: &[u8], new: &[u8], delta: &Delta, limits: &Limits) -> Result<()> {
    let slot = run(old, delta, limits, 32)?.0;
    if slot.bytes().get(..new.len()) == Some(new) { Ok(()) } else { Err(Detail::Bug.into()) }
}

/// Slot and scratch flash in memory, in units of `write_len`, after applying `delta`.
fn run(old: &[u8], delta: &Delta, limits: &Limits, write_len: u16) -> Result<(RamFlash, RamFlash)> {
    let header = &delta.header;
    let pages = header.in_place.ok_or(Detail::BadArgument)?.pages(header.new.len);
    let largest = u32::try_from(pages.largest()).unwrap_or(u32::MAX);
    let len = pages.whole_len();
    let geometry = Geometry { len, sector_len: largest, write_len, erased: 0xff };
    let mut work = vec![0; Applier::workspace(header)? as usize];
    let scratch_len = Areas::of(header, write_len, &mut work)?.scratch_len();
    let ends = (0..pages.count()).map(|page| pages.place(page).end);
    let mut slot = RamFlash::with_sectors(old, geometry, ends);
    let mut scratch = RamFlash::new(&[], Geometry { len: scratch_len, ..geometry });
    let payload = &mut &delta.payload[..];
    let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
    rewrite(header, &mut flash, limits, Binding::new(&delta.header_bytes(), &[]))?;
    Ok((slot, scratch))
}

/// How often pages are erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wear {
    /// Most erases of a page of the slot.
    pub slot_max: u32,
    /// Pages of the slot that are erased.
    pub slot_pages: u64,
    /// Most erases of a spare page.
    pub spare_max: u32,
    /// Most erases of a page of the areas for checkpoints.
    pub area_max: u32,
    /// Erases of pages in all.
    pub total: u64,
}

/// Applies `delta` once more, to flash in memory, and counts erases: those of an update without a
/// power cut. Each cut adds one of an area, and of the page at hand.
///
/// # Errors
/// As [`rewrite`].
pub fn wear(old: &[u8], delta: &Delta, place: &Place) -> Result<Wear> {
    let workspace_len = Applier::workspace(&delta.header)?.max(delta.header.workspace_len);
    let limits = Limits { image_len: u64::MAX, workspace_len, ..Limits::LINUX };
    let (slot, scratch) = run(old, delta, &limits, place.write_len)?;
    let spare_count = usize::from(place.spare_count).min(scratch.erases().len());
    let (spare, areas) = scratch.erases().split_at(spare_count);
    let most = |erases: &[u32]| erases.iter().copied().max().unwrap_or(0);
    let all = slot.erases().iter().chain(scratch.erases());
    Ok(Wear {
        slot_max: most(slot.erases()),
        slot_pages: slot.erases().iter().filter(|count| **count > 0).count() as u64,
        spare_max: most(spare),
        area_max: most(areas),
        total: all.map(|count| u64::from(*count)).sum(),
    })
}
