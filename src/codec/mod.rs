//! Encoders of the payload; the decoders, and the model they share, live in core.

pub mod bits;
mod blocks;
pub mod bsdiff;
mod excerpts;
pub(crate) mod noise;
mod order;
pub mod pages;
pub mod predict;
pub mod projected;
pub mod range;
pub mod streams;
pub mod unled;
pub mod zstd;

use fwdelta_core::format::pages::Span;

use crate::matching::Cover;

/// A new image in terms of old: covers, and literals between them.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// The old image.
    pub old: &'a [u8],
    /// The new image.
    pub new: &'a [u8],
    /// Ascending and disjoint in new.
    pub covers: &'a [Cover],
}

impl<'a> Script<'a> {
    /// All of new.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { pos: 0, end: self.new.len() as u64 }
    }

    /// Each cover with the literals before it, as slices.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        self.parts_in(self.span())
    }

    /// The same where all covers are in `span`.
    pub fn parts_in(&self, span: Span) -> impl Iterator<Item = Part<'a>> {
        let Script { old, new, covers } = *self;
        let mut end = span.pos as usize;
        covers.iter().map(move |cover| {
            let (start, len) = (cover.new_pos as usize, cover.len as usize);
            let literals = &new[end..start];
            end = start + len;
            let old_pos = cover.old_pos;
            let before = &old[old_pos as usize..][..len];
            Part { literals, old_pos, old: before, new: &new[start..end] }
        })
    }

    /// The literals after the last cover.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest_in(self.span())
    }

    /// The same where all covers are in `span`, and it ends there.
    #[must_use]
    pub fn rest_in(&self, span: Span) -> &'a [u8] {
        let end = self.covers.last().map_or(span.pos, |cover| cover.new_pos + cover.len);
        &self.new[end as usize..span.end as usize]
    }
}

/// A cover and the literals before it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Bytes of new that stand in the delta.
    pub literals: &'a [u8],
    /// Where the cover stands in old.
    pub old_pos: u64,
    /// Its bytes in old.
    pub old: &'a [u8],
    /// Its bytes in new.
    pub new: &'a [u8],
}

/// Equal bytes at the start of both.
#[must_use]
pub fn equal_len(old: &[u8], new: &[u8]) -> usize {
    let (mut old_words, mut new_words) = (old.chunks_exact(8), new.chunks_exact(8));
    let words = old_words.by_ref().zip(new_words.by_ref()).take_while(|(a, b)| a == b).count();
    let start = words * 8;
    let tail = old[start..].iter().zip(&new[start..]).take_while(|(a, b)| a == b).count();
    start + tail
}
