//! The decoder, and where it stands: what a checkpoint saves.

use super::areas::Memory;
use super::book::{Book, Home};
use super::excerpts::Excerpts;
use super::view::OldView;
use crate::apply::buffer::Buffer;
use crate::apply::journal::{Checkpointer, Few, Stateful};
use crate::apply::run::{Pause, Phase, Run};
use crate::codec::bits::Bits;
use crate::codec::input::Input;
use crate::codec::predict::{self, Averaged, Counts};
use crate::codec::stored::Stored;
use crate::codec::{Feed, NoDecompressor, Resumable, Saved};
use crate::error::{Detail, Error, Result};
use crate::format::chain::{HASH_LEN, TAG_LEN};
use crate::format::delta::{Coder, DeltaHeader, InPlace};
use crate::format::pages::Span;
#[cfg(feature = "encryption")]
use crate::format::sealed::OpenChunk;
use crate::state::Visit;
use crate::storage::{Source, Target};

/// Contexts of numbers that say something of pages: where a span starts, how many pages it has,
/// whether a page stays as it is, where an old page is saved to.
pub const SPAN_START: u32 = 0;
/// See [`SPAN_START`].
pub const SPAN_COUNT: u32 = 1;
/// See [`SPAN_START`].
pub const KEPT: u32 = 2;
/// See [`SPAN_START`].
pub const VICTIM: u32 = 3;
/// The same of old bytes that the next checkpoint is to hold: how many stretches of them, how far
/// each is from the last one, its bytes less 1, for how many more intervals; whether pages of the
/// interval are overwritten without being saved.
pub const EXCERPT_COUNT: u32 = 4;
/// See [`EXCERPT_COUNT`].
pub const EXCERPT_BY: u32 = 5;
/// See [`EXCERPT_COUNT`].
pub const EXCERPT_BYTES: u32 = 6;
/// See [`EXCERPT_COUNT`].
pub const EXCERPT_LIFE: u32 = 7;
/// See [`EXCERPT_COUNT`].
pub const UNSAVED: u32 = 8;

/// Bytes of payload read at a time.
const PIECE_LEN: usize = 64;

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one of them per applier, and no heap to box it")]
enum Decoder<'w> {
    Stored(Stored),
    Bits(Bits<'w>),
    #[cfg(feature = "coder-predicted")]
    Predicted(predict::decoder::Decoder<'w, Averaged<'w>>),
}

/// Calls a method of whichever decoder it is. One that is not built in is never made.
macro_rules! each {
    ($decoder:expr, $symbols:ident => $call:expr) => {
        match $decoder {
            Decoder::Stored($symbols) => $call,
            Decoder::Bits($symbols) if cfg!(feature = "coder-plain") => $call,
            #[cfg(feature = "coder-predicted")]
            Decoder::Predicted($symbols) => $call,
            _ => Err(Detail::Bug.into()),
        }
    };
}

/// Makes new bytes, page by page.
#[derive(Debug)]
pub(super) struct Machine<'w> {
    pub(super) header: DeltaHeader,
    pub(super) book: Book<'w>,
    pub(super) buffer: Buffer<'w>,
    input: Input<'w>,
    /// Whether records are verified as they come; if not, they were before.
    is_chained: bool,
    /// Bytes of payload that were read, without hashes unless it is chained.
    read: u64,
    decoder: Decoder<'w>,
    /// The next page is known but not begun.
    pub(super) is_announced: bool,
    phase: Phase,
    /// Bytes of the span at hand still to come.
    left: u64,
}

impl<'w> Machine<'w> {
    /// Without memory: it makes nothing before it is lent some.
    ///
    /// It is made in two steps, so that one place is enough for it: what is large is assigned where
    /// it stays, and nothing of it is returned.
    #[inline(always)]
    pub(super) fn vacant(header: &DeltaHeader, in_place: &InPlace) -> Self {
        let pages = in_place.pages(header.new.len);
        let excerpts = Excerpts::new(in_place.room, &mut []);
        Self {
            header: *header,
            book: Book::new(in_place, pages, &mut [], &mut [], excerpts),
            buffer: Buffer::new(&mut []),
            input: Input::unchained(0, false, &mut []),
            is_chained: false,
            read: 0,
            decoder: Decoder::Stored(Stored),
            is_announced: false,
            phase: Phase::Op,
            left: 0,
        }
    }

    /// Before the first byte, with `work`, which has `Applier::workspace` bytes.
    #[inline(never)]
    pub(super) fn lend(&mut self, work: &'w mut [u8], is_chained: bool) -> Result<()> {
        let (header, in_place) = (&self.header, super::parameters(&self.header)?);
        let Memory { marks, spare, excerpts, coder, input, output } = Memory::cut(header, work)?;
        let excerpts = Excerpts::new(in_place.room, excerpts);
        let pages = in_place.pages(header.new.len);
        self.book = Book::new(&in_place, pages, marks, spare, excerpts);
        self.buffer = Buffer::new(output);
        self.input = match is_chained {
            true => Input::new(header, input),
            false => Input::unchained(content_len(header), header.is_sealed(), input),
        };
        self.is_chained = is_chained;
        match header.coder {
            Coder::Stored => self.decoder = Decoder::Stored(Stored),
            Coder::Bits { model_log } if cfg!(feature = "coder-plain") => {
                self.decoder = Decoder::Bits(Bits::new(model_log, coder));
            }
            #[cfg(feature = "coder-predicted")]
            Coder::Predicted(shape) => {
                let (tables, window) = crate::apply::split_window(&shape, coder)?;
                let lens = (header.old.map_or(0, |old| old.len), header.new.len);
                let predicted = predict::small(&shape, tables)?;
                let (counts, inline) = (Counts::from(&shape), shape.has_inline);
                self.decoder = Decoder::Predicted(predict::decoder::Decoder::new(
                    predicted, counts, inline, window, lens,
                ));
            }
            _ => return Err(Detail::NotBuiltIn.into()),
        }
        Ok(())
    }

    /// All that a later run needs, compiled once for all visits: a device has little room for code.
    #[inline(never)]
    fn state_once(&mut self, visit: &mut &mut dyn Visit) -> Result<()> {
        self.book.state(visit)?;
        let mut at = self.input.pos(content_len(&self.header));
        visit.u64(&mut at)?;
        self.input.resume_at(content_len(&self.header), at);
        self.read = at;
        visit.flag(&mut self.is_announced)?;
        visit.u64(&mut self.left)?;
        self.phase.state(visit)?;
        each!(&mut self.decoder, symbols => symbols.state(visit))
    }

    /// Goes on to the next page: decodes which one it is, and whether it is rewritten.
    pub(super) fn announce<P: Source>(&mut self, payload: &mut P) -> Result<()> {
        if self.book.is_span_over() {
            let span = self.span(payload)?;
            each!(&mut self.decoder, symbols => {
                symbols.seek(span.pos, span.end);
                Result::Ok(())
            })?;
            (self.phase, self.left) = (Phase::Op, span.end.saturating_sub(span.pos));
        } else {
            self.book.next_page();
        }
        if self.number(payload, KEPT)? == 0 {
            if self.book.excerpts.has_room() && self.book.victims_due() > 0 {
                self.name_excerpts(payload)?;
            }
            self.book.mark();
        }
        self.is_announced = true;
        Ok(())
    }

    /// Begins the page announced: decodes, before the first rewritten one of an interval, which
    /// spare pages may be overwritten.
    pub(super) fn enter<P: Source>(&mut self, payload: &mut P) -> Result<()> {
        if self.book.is_marked() {
            self.name_victims(payload)?;
        }
        self.is_announced = false;
        each!(&mut self.decoder, symbols => {
            symbols.forget_old();
            Result::Ok(())
        })?;
        self.make_room(self.book.bytes().pos, 1);
        Ok(())
    }

    fn span<P: Source>(&mut self, payload: &mut P) -> Result<Span> {
        if super::parameters(&self.header)?.check.is_none() {
            return self.book.start_span(0, self.book.pages.count());
        }
        let folded = self.number(payload, SPAN_START)?;
        let by = unfolded(folded);
        let count = self.number(payload, SPAN_COUNT)?.saturating_add(1);
        self.book.start_span(by, count)
    }

    /// What the next checkpoint holds of old: bytes that can be read now.
    fn name_excerpts<P: Source>(&mut self, payload: &mut P) -> Result<()> {
        self.book.excerpts.age();
        for _ in 0..self.number(payload, EXCERPT_COUNT)? {
            let folded = self.number(payload, EXCERPT_BY)?;
            let len = self.number(payload, EXCERPT_BYTES)?.saturating_add(1);
            let life = self.number(payload, EXCERPT_LIFE)?;
            let span = self.book.excerpts.name(unfolded(folded), len, life)?;
            let page = self.book.pages.page_of(span.pos);
            let is_there = span.end <= self.header.old.map_or(0, |old| old.len)
                && span.end <= self.book.pages.place(page).end
                && self.book.home(page) != Home::Lost;
            if !is_there {
                return Err(Error::at(Detail::BadStream, span.pos));
            }
        }
        Ok(())
    }

    fn name_victims<P: Source>(&mut self, payload: &mut P) -> Result<()> {
        let due = self.book.victims_due();
        if due > 0 && self.book.excerpts.has_room() {
            let is_unsaved = self.number(payload, UNSAVED)? != 0;
            self.book.set_unsaved(is_unsaved);
        }
        if self.book.is_unsaved() {
            return Ok(());
        }
        for at in 0..due {
            let has_choice = self.book.has_choice();
            let age = if has_choice { self.number(payload, VICTIM)? } else { 0 };
            self.book.name_victim(at, age)?;
        }
        if due > 0 {
            self.book.settle_victims();
        }
        Ok(())
    }

    /// A number that says something of pages.
    fn number<P: Source>(&mut self, payload: &mut P, context: u32) -> Result<u64> {
        loop {
            let input = &mut self.input;
            let number = each!(&mut self.decoder, symbols => symbols.page_number(input, context))?;
            match number {
                Some(number) => return Ok(number),
                None => self.take(payload)?,
            }
        }
    }

    /// Empties the buffer for bytes of the page at hand from `pos` on, in units of `write_len`.
    pub(super) fn make_room(&mut self, pos: u64, write_len: u16) {
        let left = self.book.bytes().end.saturating_sub(pos);
        let odd = self.buffer.memory_len().checked_rem(write_len.into()).unwrap_or(0);
        let whole = self.buffer.memory_len().saturating_sub(odd);
        self.buffer.restart(pos, usize::try_from(left).unwrap_or(usize::MAX).min(whole));
    }

    /// Empties the buffer for old bytes from `pos` on, in units of `write_len`.
    pub(super) fn make_room_for_old(&mut self, pos: u64, write_len: u16) {
        let odd = self.buffer.memory_len().checked_rem(write_len.into()).unwrap_or(0);
        self.buffer.restart(pos, self.buffer.memory_len().saturating_sub(odd));
    }

    /// Makes bytes until the buffer is full; `false` if it is not yet.
    pub(super) fn make<T: Source, X: Source, P: Source>(
        &mut self,
        slot: &mut T,
        spare: Option<&mut X>,
        excerpts_pos: u64,
        payload: &mut P,
    ) -> Result<bool> {
        let Self { header, book, buffer, input, decoder, phase, left, .. } = self;
        let old_len = header.old.map_or(0, |old| old.len);
        let mut old = OldView { book, slot, spare, excerpts_pos };
        let mut feed = Feed { input, decompressor: &mut NoDecompressor };
        let mut run = Run { phase, left, buffer, old_len };
        let pause = each!(decoder, symbols => run.run(symbols, &mut feed, &mut old))?;
        match pause {
            Pause::Full => Ok(true),
            Pause::Idle => Ok(false),
            Pause::Starved => self.take(payload).map(|()| false),
            Pause::End => Err(Detail::Bug.into()),
        }
    }

    /// Whether the stream ends where new does; `false` if more of it is to come.
    pub(super) fn end<P: Source>(&mut self, payload: &mut P) -> Result<bool> {
        let mut feed = Feed { input: &mut self.input, decompressor: &mut NoDecompressor };
        let is_end = each!(&mut self.decoder, symbols => crate::apply::is_end(symbols, &mut feed))?;
        if !is_end {
            self.take(payload)?;
        }
        Ok(is_end)
    }

    /// What decrypts the payload.
    #[cfg(feature = "encryption")]
    pub(super) fn decrypt_with(&mut self, opener: &'w dyn OpenChunk) -> Result<()> {
        self.input.decrypt_with(opener)
    }

    /// Reads one record of payload.
    fn take<P: Source>(&mut self, payload: &mut P) -> Result<()> {
        if self.input.is_complete() {
            return Err(Detail::BadStream.into());
        }
        if let Some(chain) = self.header.chain.filter(|it| it.is_sealed && !self.is_chained) {
            return self.take_chunk(payload, chain.chunk_len);
        }
        loop {
            let mut piece = [0; PIECE_LEN];
            let (pos, len) = self.next_piece();
            let piece = piece.get_mut(..len).ok_or(Detail::Bug)?;
            payload.read(pos, piece).map_err(|_| Error::at(Detail::ReadFailed, pos))?;
            let taken = self.input.take(piece)?;
            self.read = self.read.saturating_add(taken as u64);
            if !self.input.is_arriving() {
                return Ok(());
            }
        }
    }

    /// Reads and opens the sealed chunk that holds the next byte, in the memory that its record had
    /// in the rehearsal. Its tag is checked again: nothing of it was kept since.
    #[cfg(feature = "encryption")]
    fn take_chunk<P: Source>(&mut self, payload: &mut P, chunk_len: u32) -> Result<()> {
        let chunk_len = u64::from(chunk_len);
        let plain_len = chunk_len.saturating_sub(TAG_LEN as u64);
        let index = self.read.checked_div(plain_len).unwrap_or(0);
        let used = self.read.saturating_sub(index.saturating_mul(plain_len));
        let pos = index.saturating_mul(chunk_len.saturating_add(HASH_LEN as u64));
        let left = self.header.payload_len.saturating_sub(pos);
        let (len, is_last) = (left.min(chunk_len) as usize, left <= chunk_len);
        let room = self.input.chunk_room(len)?;
        payload.read(pos, room).map_err(|_| Error::at(Detail::ReadFailed, pos))?;
        let taken = self.input.accept_chunk(index, is_last, len, used as usize)?;
        self.read = self.read.saturating_add(taken as u64);
        Ok(())
    }

    #[cfg(not(feature = "encryption"))]
    fn take_chunk<P: Source>(&mut self, _: &mut P, _: u32) -> Result<()> {
        Err(Detail::NotBuiltIn.into())
    }

    /// Where the next bytes stand in the payload, and how many follow each other there.
    fn next_piece(&self) -> (u64, usize) {
        let most = |len: u64| len.min(PIECE_LEN as u64) as usize;
        let payload_len = self.header.payload_len;
        let Some(chain) = self.header.chain.filter(|_| !self.is_chained) else {
            return (self.read, most(payload_len.saturating_sub(self.read)));
        };
        let chunk_len = u64::from(chain.chunk_len);
        let chunk = self.read.checked_div(chunk_len).unwrap_or(0);
        let pos = self.read.saturating_add(chunk.saturating_mul(HASH_LEN as u64));
        let chunk_left = chunk.saturating_add(1).saturating_mul(chunk_len) - self.read;
        let left = content_len(&self.header).saturating_sub(self.read);
        (pos, most(left.min(chunk_left)))
    }

    /// Writes all excerpts to a checkpoint: those of the last one, which stand at `from`, and those
    /// that were named since, whose pages are where they were then.
    pub(super) fn save_excerpts<T: Source, X: Source + Target>(
        &mut self,
        slot: &mut T,
        writer: &mut Checkpointer<'_, X>,
        from: u64,
    ) -> Result<()> {
        let mut left = self.book.excerpts.room_len();
        for excerpt in self.book.excerpts.all() {
            let (mut pos, mut done) = (excerpt.pos, 0u64);
            while done < excerpt.len.into() {
                let mut piece = [0; PIECE_LEN];
                let len = u64::from(excerpt.len).saturating_sub(done).min(PIECE_LEN as u64);
                let piece = piece.get_mut(..len as usize).ok_or(Detail::Bug)?;
                let page = self.book.pages.page_of(pos);
                let within = pos.saturating_sub(self.book.pages.place(page).pos);
                let is_read = match (excerpt.place(), self.book.home(page)) {
                    (Some(at), _) => {
                        let at = from.saturating_add(at).saturating_add(done);
                        writer.read(at, piece).is_ok()
                    }
                    (None, Home::Spare(spare)) => {
                        let start = spare.saturating_mul(self.book.pages.largest());
                        writer.read(start.saturating_add(within), piece).is_ok()
                    }
                    // Lost are only those of the page at hand, which still has to be erased.
                    (None, Home::Slot | Home::Lost) => slot.read(pos, piece).is_ok(),
                };
                if !is_read {
                    return Err(Error::at(Detail::ReadFailed, pos));
                }
                writer.bytes(piece)?;
                (pos, done) = (pos.saturating_add(len), done.saturating_add(len));
            }
            left = left.saturating_sub(excerpt.len.into());
        }
        while left > 0 {
            let mut piece = [0; PIECE_LEN];
            let len = left.min(PIECE_LEN as u64);
            writer.bytes(piece.get_mut(..len as usize).ok_or(Detail::Bug)?)?;
            left = left.saturating_sub(len);
        }
        Ok(())
    }

    /// Where the old bytes of `page` end; at or before its start if there are none.
    pub(super) fn old_end(&self, page: u64) -> u64 {
        let old_len = self.header.old.map_or(0, |old| old.len);
        self.book.pages.place(page).end.min(old_len)
    }
}

/// Between two pages.
impl Stateful for Machine<'_> {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.state_once(&mut (visit as &mut dyn Visit))
    }

    fn ahead(&self) -> Few {
        self.book.ahead
    }
}

/// The signed number that is sent as `folded`.
const fn unfolded(folded: u64) -> i64 {
    (folded >> 1) as i64 ^ -((folded & 1) as i64)
}

/// Bytes of payload as they are decoded: without the hashes between its chunks, and their tags.
fn content_len(header: &DeltaHeader) -> u64 {
    let Some(chain) = header.chain else { return header.payload_len };
    let record_len = u64::from(chain.chunk_len).saturating_add(HASH_LEN as u64);
    let with_last = header.payload_len.saturating_add(HASH_LEN as u64);
    let hashes = with_last.div_ceil(record_len.max(1)).saturating_sub(1);
    let len = header.payload_len.saturating_sub(hashes.saturating_mul(HASH_LEN as u64));
    let tag_len = if chain.is_sealed { TAG_LEN as u64 } else { 0 };
    len.saturating_sub(hashes.saturating_add(1).saturating_mul(tag_len))
}
