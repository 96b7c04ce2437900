//! Coders 4 and 5, decoding (docs/format-delta.md, section 9).

use super::predicted::{Due, Made, Predicted};
use super::prologue::{Places, Prologue};
use super::{Coded, Counts, Model, Number, Tables, gap_end};
use crate::codec::input::{GROUP_LEN_MAX, Input};
use crate::codec::range::{BitCoder, RangeDecoder, RangeState};
use crate::codec::window::Window;
use crate::codec::{Decompressor, Feed, Op, Resumable, Saved, Symbols};
use crate::error::{Detail, Result};
use crate::state::Visit;
use crate::storage::Source;

/// Bytes of old indexed in one call.
const INDEX_LEN: u64 = 4096;

/// What is decoded next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Start,
    Index {
        pos: u64,
    },
    Prologue,
    Op,
    /// After literals: the listed cover if its place is reached, else another one.
    Cover,
    Distance {
        new_pos: u64,
    },
    CoverLen {
        old_pos: u64,
    },
}

impl Next {
    /// Between two bytes of new the prologue has not begun or is over.
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        let mut number = match self {
            Self::Start => 0,
            Self::Op => 1,
            Self::Cover => 2,
            Self::Index { pos: 0 } => 3,
            _ => return Err(Detail::Bug.into()),
        };
        visit.u8(&mut number)?;
        *self = match number {
            0 => Self::Start,
            1 => Self::Op,
            2 => Self::Cover,
            _ => Self::Index { pos: 0 },
        };
        Ok(())
    }
}

/// Decoder state between groups.
#[derive(Debug)]
pub(crate) struct Decoder<'w, M> {
    range: RangeState,
    predicted: Predicted<'w, M>,
    prologue: Prologue,
    counts: Counts,
    has_inline: bool,
    places: Places,
    next: Next,
    /// Number of the next listed cover.
    listed: usize,
    window: Window<'w>,
    /// Where the span at hand starts and ends in new, and where new ends.
    span: (u64, u64),
    new_len: u64,
    /// The last unit, and how many of its bytes were handed out.
    made: Made,
    given: u8,
}

impl<'w, M: Model> Decoder<'w, M> {
    /// Before the first byte; `window` holds old bytes.
    #[inline(always)]
    pub(crate) fn new(
        predicted: Predicted<'w, M>,
        counts: Counts,
        has_inline: bool,
        window: &'w mut [u8],
        lens: (u64, u64),
    ) -> Self {
        let (old_len, new_len) = lens;
        Self {
            range: RangeState::default(),
            predicted,
            prologue: Prologue::default(),
            counts,
            has_inline,
            places: Places::default(),
            next: Next::Start,
            listed: 0,
            window: Window::new(window, old_len),
            span: (0, new_len),
            new_len,
            made: Made::default(),
            given: 0,
        }
    }

    /// Where the next listed cover starts in the span, or goes on in it; where the span ends if
    /// none does.
    fn listed_pos(&self) -> u64 {
        let (start, end) = self.span;
        let cover = self.predicted.predictor.projection.space.map.cover(self.listed);
        match cover.map(|cover| u64::from(cover.new_pos).max(start)) {
            Some(pos) if pos < end || end == self.new_len => pos,
            _ => end,
        }
    }

    fn index<S: Source>(&mut self, old: &mut S, pos: u64) -> Result<()> {
        let left = self.window.old_len().saturating_sub(pos);
        if left == 0 || !M::IS_LARGE {
            self.predicted.start_new();
            self.next = Next::Prologue;
            return Ok(());
        }
        self.window.fill(old, pos, left.min(INDEX_LEN) as usize)?;
        let shown = self.window.view();
        self.predicted.index_old(pos, shown.bytes);
        self.next = Next::Index { pos: pos + shown.bytes.len() as u64 };
        Ok(())
    }

    /// The operation after the last one was finished.
    fn op_here<C: BitCoder>(&mut self, coder: &mut C) -> Result<Option<Op>> {
        let pos = self.predicted.pos();
        let gap = self.listed_pos().checked_sub(pos).ok_or(Detail::BadCover)?;
        self.next = Next::Cover;
        if gap == 0 {
            return Ok(None);
        }
        let len = match self.has_inline {
            true if !gap_end(&mut self.predicted.model, coder, false)? => {
                self.predicted.model.number(coder, Number::LiteralLen, 0, 0)?
            }
            _ => gap,
        };
        if len > gap {
            return Err(Detail::BadCover.into());
        }
        let listed = self.predicted.predictor.projection.space.map.cover(self.listed);
        let gap_pos = match listed {
            Some(cover) if len == gap => u64::from(cover.old_pos).wrapping_sub(gap),
            _ => self.places.old_end(),
        };
        self.predicted.start_literals(gap_pos, len);
        Ok(Some(Op::Literal { len }))
    }

    /// The cover after literals; `None` when more numbers are needed to know it.
    fn cover_here<C: BitCoder>(&mut self, coder: &mut C) -> Result<Option<Op>> {
        let new_pos = self.predicted.pos();
        if new_pos == self.listed_pos() {
            let cover = self.predicted.predictor.projection.space.map.cover(self.listed);
            let cover = cover.ok_or(Detail::BadCover)?;
            self.listed += 1;
            let (start, end) = self.span;
            let skipped = start.saturating_sub(cover.new_pos.into());
            let len = u64::from(cover.len).wrapping_sub(skipped);
            let len = if end < self.new_len { len.min(end - new_pos) } else { len };
            return Ok(Some(self.start(u64::from(cover.old_pos) + skipped, len)));
        }
        let numbers = &mut Coded { model: &mut self.predicted.model, coder };
        let which = self.places.which(numbers, Number::Diagonal, new_pos, 0)?;
        self.next = match self.places.recent(which) {
            Some(diagonal) => Next::CoverLen { old_pos: at(new_pos, diagonal)? },
            None => Next::Distance { new_pos },
        };
        Ok(None)
    }

    fn start(&mut self, old_pos: u64, len: u64) -> Op {
        let new_pos = self.predicted.pos();
        let diagonal = old_pos.wrapping_sub(new_pos) as i64;
        self.places.enter(new_pos, diagonal, len);
        self.predicted.start_cover(old_pos, len);
        (self.made, self.given, self.next) = (Made::default(), 0, Next::Op);
        Op::Cover { old_pos, len }
    }

    /// Copies noise from the input; gives how many bytes of it are at hand.
    fn noise(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> usize {
        let most = usize::try_from(self.predicted.noise_left()).unwrap_or(usize::MAX);
        let len = most.min(out.len()).min(input.readable().len());
        let out = out.get_mut(..len).unwrap_or(&mut []);
        crate::codec::copy(out, input.readable());
        input.consume(len);
        self.predicted.enter_noise(out);
        len
    }

    fn step<C: BitCoder>(&mut self, coder: &mut C) -> Result<Option<Op>> {
        match self.next {
            Next::Prologue => {
                let Predicted { model, predictor, .. } = &mut self.predicted;
                let tables = Tables::default();
                let space = &mut predictor.projection.space;
                if !self.prologue.step(&mut Coded { model, coder }, &self.counts, space, &tables)? {
                    self.next = Next::Op;
                    self.listed =
                        self.predicted.predictor.projection.space.map.first_after(self.span.0);
                }
                Ok(None)
            }
            Next::Op => self.op_here(coder),
            Next::Cover => self.cover_here(coder),
            Next::Distance { new_pos } => {
                let numbers = &mut Coded { model: &mut self.predicted.model, coder };
                let diagonal = self.places.distance(numbers, Number::Distance, new_pos, 0)?;
                self.next = Next::CoverLen { old_pos: at(new_pos, diagonal)? };
                Ok(None)
            }
            Next::CoverLen { old_pos } => {
                let len = self.predicted.model.number(coder, Number::CoverLen, 0, 0)?;
                let len = len.saturating_add(1);
                if len > self.listed_pos().saturating_sub(self.predicted.pos()) {
                    return Err(Detail::BadCover.into());
                }
                Ok(Some(self.start(old_pos, len)))
            }
            Next::Start | Next::Index { .. } => Err(Detail::Bug.into()),
        }
    }

    /// Hands out bytes of the last unit.
    fn give(&mut self, out: &mut [u8]) -> usize {
        let bytes = self.made.bytes.get(usize::from(self.given)..usize::from(self.made.len));
        let count = crate::codec::copy(out, bytes.unwrap_or(&[]));
        self.given += count as u8;
        count
    }
}

fn at(new_pos: u64, diagonal: i64) -> Result<u64> {
    let old_pos = new_pos.checked_add_signed(diagonal);
    old_pos.filter(|pos| *pos >> 62 == 0).ok_or(Detail::BadCover.into())
}

impl<M: Model> Symbols for Decoder<'_, M> {
    fn op<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        _: u64,
    ) -> Result<Option<Op>> {
        loop {
            match self.next {
                Next::Index { pos } => {
                    self.index(old, pos)?;
                    return Ok(Some(Op::Literal { len: 0 }));
                }
                _ if !feed.input.has_group(GROUP_LEN_MAX) => return Ok(None),
                Next::Start => {
                    self.range = RangeState::start(feed.input)?;
                    self.next = Next::Index { pos: 0 };
                }
                _ => {
                    let mut coder = RangeDecoder { state: self.range, input: feed.input };
                    let op = self.step(&mut coder)?;
                    self.range = coder.state;
                    if op.is_some() {
                        return Ok(op);
                    }
                }
            }
        }
    }

    fn literal<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        out: &mut [u8],
    ) -> Result<usize> {
        let mut count = 0;
        while let Some(room) = out.get_mut(count..).filter(|room| !room.is_empty()) {
            if self.predicted.noise_left() > 0 {
                let len = self.noise(feed.input, room);
                count += len;
                match len {
                    0 if feed.input.is_complete() => return Err(Detail::BadStream.into()),
                    0 => break,
                    _ => continue,
                }
            }
            if !feed.input.has_group(GROUP_LEN_MAX) {
                break;
            }
            let mut coder = RangeDecoder { state: self.range, input: feed.input };
            if self.predicted.block_due().is_some() {
                self.predicted.block(&mut coder, false)?;
                self.range = coder.state;
                continue;
            }
            let byte = self.predicted.literal(&mut coder, old, self.window.old_len(), 0)?;
            self.range = coder.state;
            if let Some(to) = room.first_mut() {
                *to = byte;
            }
            count += 1;
        }
        Ok(count)
    }

    fn cover<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        _: u64,
        out: &mut [u8],
        _: u64,
    ) -> Result<usize> {
        let mut done = 0usize;
        loop {
            done += self.give(out.get_mut(done..).unwrap_or(&mut []));
            let (old_pos, left) = self.predicted.left();
            if left == 0 && self.predicted.is_run_left() {
                return Err(Detail::BadCover.into());
            }
            if done == out.len() || left == 0 {
                break;
            }
            let is_ready = feed.input.has_group(GROUP_LEN_MAX);
            let mut coder = RangeDecoder { state: self.range, input: feed.input };
            if self.predicted.is_run_due() {
                if !is_ready {
                    break;
                }
                self.predicted.run(&mut coder)?;
                self.range = coder.state;
                continue;
            }
            if self.predicted.needs_input() && !is_ready {
                break;
            }
            let view = self.window.around(old, old_pos, left)?;
            let room = out.get_mut(done..).unwrap_or(&mut []);
            let known = self.predicted.known_units(view, room);
            if known > 0 {
                done += known;
                continue;
            }
            let at = old_pos.wrapping_sub(view.start) as usize;
            self.made = self.predicted.unit(&mut coder, view.bytes, at, Due::Unknown)?;
            self.range = coder.state;
            self.given = 0;
        }
        Ok(done)
    }

    fn end<D: Decompressor>(&mut self, _: &mut Feed<'_, '_, D>) -> Result<Option<()>> {
        if self.range.is_at_end() { Ok(Some(())) } else { Err(Detail::BadStream.into()) }
    }
}

impl<M: Model> Resumable for Decoder<'_, M> {
    fn seek(&mut self, pos: u64, end: u64) {
        self.span = (pos, end);
        self.predicted.seek(pos);
        (self.made, self.given) = (Made::default(), 0);
        self.listed = self.predicted.predictor.projection.space.map.first_after(pos);
        if self.next == Next::Cover {
            self.next = Next::Op;
        }
    }

    fn page_number(&mut self, input: &mut Input<'_>, context: u32) -> Result<Option<u64>> {
        if !input.has_group(GROUP_LEN_MAX) {
            return Ok(None);
        }
        if self.next == Next::Start {
            self.range = RangeState::start(input)?;
            self.next = Next::Index { pos: 0 };
        }
        let mut coder = RangeDecoder { state: self.range, input };
        let number = self.predicted.model.number(&mut coder, Number::Page, context, 0)?;
        self.range = coder.state;
        Ok(Some(number))
    }

    fn forget_old(&mut self) {
        self.window.forget();
    }
}

impl<M: Model> Saved for Decoder<'_, M> {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.range.state(visit)?;
        self.next.state(visit)?;
        self.predicted.state(visit)?;
        self.places.state(visit)?;
        visit.index(&mut self.listed)?;
        visit.u64(&mut self.span.0)?;
        visit.u64(&mut self.span.1)?;
        visit.bytes(&mut self.made.bytes)?;
        visit.u8(&mut self.made.len)?;
        visit.u8(&mut self.given)?;
        self.window.forget();
        Ok(())
    }
}
