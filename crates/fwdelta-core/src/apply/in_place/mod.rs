//! Rewriting the old image in place, page by page (docs/format-delta.md, section 14).
//!
//! First a [`Rehearsal`]: everything is decoded and nothing is written. Only a digest that is
//! right gives [`Ready`], and only that begins a [`Rewriting`]. From then on the power may be cut
//! at any time, any number of times: the last checkpoint says where to go on, the spare pages
//! hold what was overwritten since.

mod areas;
mod book;
mod excerpts;
mod machine;
mod rehearsal;
mod rewriting;
mod seat;
mod view;

pub use areas::excerpts_len;
pub(super) use areas::{book_len, marks_len};
pub use machine::{
    EXCERPT_BY, EXCERPT_BYTES, EXCERPT_COUNT, EXCERPT_LIFE, KEPT, SPAN_COUNT, SPAN_START, UNSAVED,
    VICTIM,
};
pub use rehearsal::{Ready, Rehearsal};
pub use rewriting::Rewriting;
pub use seat::Seat;

pub use super::areas::Areas;
pub use super::journal::{Binding, Found};

use crate::error::{Detail, Result};
use crate::format::delta::{DeltaHeader, InPlace};
use crate::storage::Geometry;

/// What the caller lends for one call.
#[derive(Debug)]
pub struct Flash<'a, T, X, P> {
    /// Where the old image stands and the new one will.
    pub slot: &'a mut T,
    /// Spare pages, then two areas for checkpoints: [`Areas::scratch_len`] bytes.
    pub scratch: &'a mut X,
    /// The payload, whole, from its first byte on.
    pub payload: &'a mut P,
}

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A bounded piece of work is done, at most one page operation: feed the watchdog, go on.
    Yield,
    /// All is done.
    Done,
}

/// The parameters of key 14.
pub(super) fn parameters(header: &DeltaHeader) -> Result<InPlace> {
    let in_place = header.in_place.ok_or(Detail::BadArgument)?;
    in_place.check()?;
    Ok(in_place)
}

/// Checks that the slot has room for all pages of new, and for old.
fn check_slot(geometry: &Geometry, header: &DeltaHeader) -> Result<()> {
    super::output::check_geometry(geometry)?;
    let pages = parameters(header)?.pages(header.new.len);
    let len = pages.whole_len().max(header.old.map_or(0, |old| old.len));
    if len <= geometry.len { Ok(()) } else { Err(Detail::NoSpace.into()) }
}
