//! The old image as the page at hand sees it.

use super::book::{Book, Home};
use crate::storage::{ReadError, Source};

/// Reads old bytes from the slot or from spare pages; lost ones are zeros.
pub(super) struct OldView<'a, 'w, T, X> {
    pub(super) book: &'a Book<'w>,
    pub(super) slot: &'a mut T,
    /// Spare pages; `None` in a rehearsal, when all old pages are where they were.
    pub(super) spare: Option<&'a mut X>,
}

impl<T: Source, X: Source> Source for OldView<'_, '_, T, X> {
    type Error = ();

    fn read(&mut self, mut pos: u64, mut buf: &mut [u8]) -> Result<(), ReadError<()>> {
        let pages = &self.book.pages;
        while !buf.is_empty() {
            let page = pages.page_of(pos);
            let place = pages.place(page);
            let within = pos.saturating_sub(place.pos);
            let len = place.end.saturating_sub(pos).max(1);
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(buf.len());
            let (piece, rest) = buf.split_at_mut_checked(len).ok_or(ReadError::Io(()))?;
            match (self.book.home(page), &mut self.spare) {
                (Home::Lost, _) => piece.fill(0),
                (Home::Spare(spare), Some(scratch)) => {
                    let from = spare.saturating_mul(pages.largest()).saturating_add(within);
                    scratch.read(from, piece).map_err(|_| ReadError::Io(()))?;
                }
                _ => self.slot.read(pos, piece).map_err(|_| ReadError::Io(()))?,
            }
            pos = pos.saturating_add(len as u64);
            buf = rest;
        }
        Ok(())
    }
}
