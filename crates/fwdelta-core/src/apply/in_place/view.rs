//! The old image as the page at hand sees it.

use super::book::{Book, Home};
use crate::storage::{ReadError, Source};

/// Reads old bytes from the slot, from spare pages or from excerpts; lost ones are zeros.
pub(super) struct OldView<'a, 'w, T, X> {
    pub(super) book: &'a Book<'w>,
    pub(super) slot: &'a mut T,
    /// Spare pages; `None` in a rehearsal, when all old pages are where they were.
    pub(super) spare: Option<&'a mut X>,
    /// Where the excerpts of the last checkpoint are, in the same flash as spare pages.
    pub(super) excerpts_pos: u64,
}

impl<T: Source, X: Source> Source for OldView<'_, '_, T, X> {
    type Error = ();

    fn read(&mut self, mut pos: u64, mut buf: &mut [u8]) -> Result<(), ReadError<()>> {
        let pages = &self.book.pages;
        while !buf.is_empty() {
            let page = pages.page_of(pos);
            let place = pages.place(page);
            let within = pos.saturating_sub(place.pos);
            let (home, mut len) = (self.book.home(page), place.end.saturating_sub(pos).max(1));
            let mut kept = None;
            if home == Home::Lost {
                let left = self.book.excerpts.piece(pos);
                (kept, len) = (left.at, len.min(left.len));
            }
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(buf.len());
            let (piece, rest) = buf.split_at_mut_checked(len).ok_or(ReadError::Io(()))?;
            match (home, &mut self.spare) {
                (Home::Lost, _) if kept.is_none() => piece.fill(0),
                (Home::Lost, Some(scratch)) => {
                    let from = self.excerpts_pos.saturating_add(kept.unwrap_or(0));
                    scratch.read(from, piece).map_err(|_| ReadError::Io(()))?;
                }
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
