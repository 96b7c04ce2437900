//! Coder 1, adaptive bits (docs/format-delta.md, section 6): operations out of the model.

use super::input::{GROUP_LEN_MAX, Input};
use super::model::{Model, Number, Residual};
use super::range::{BitCoder, RangeDecoder, RangeState};
use super::{Decompressor, Feed, Op, Resumable, Saved, Symbols};
use crate::error::{Detail, Result};
use crate::state::Visit;
use crate::storage::Source;

/// Diagonals (old minus new position) remembered.
pub const DIAGONAL_COUNT: usize = 4;

/// Old positions relative to what was covered before: shared by decoder and encoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    old_pos: u64,
    new_pos: u64,
    recent: [i64; DIAGONAL_COUNT],
}

impl Places {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.u64(&mut self.old_pos)?;
        visit.u64(&mut self.new_pos)?;
        self.recent.iter_mut().try_for_each(|diagonal| visit.i64(diagonal))
    }

    /// Goes on at position `pos` of new.
    pub const fn seek(&mut self, pos: u64) {
        self.new_pos = pos;
    }

    /// After a literal run.
    pub fn skip(&mut self, len: u64) {
        self.new_pos = self.new_pos.wrapping_add(len);
    }

    /// Codes where a cover of old starts, `skipped` literal bytes after the last one, then its
    /// length; an encoder gives both.
    ///
    /// # Errors
    /// `BadStream` when the input ends, `BadCover` for a position outside 62 bits.
    pub fn code<C: BitCoder>(
        &mut self,
        model: &mut Model<'_>,
        coder: &mut C,
        old_pos: u64,
        skipped: u64,
    ) -> Result<u64> {
        let context = u32::from(skipped == 0);
        let diagonal = old_pos.wrapping_sub(self.new_pos) as i64;
        let known = self.recent.iter().position(|d| *d == diagonal);
        let which = known.unwrap_or(DIAGONAL_COUNT) as u64;
        let which = model.number(coder, Number::Diagonal, context, which)?;
        let diagonal = match self.recent.get(usize::try_from(which).unwrap_or(usize::MAX)) {
            Some(diagonal) => *diagonal,
            None if which == DIAGONAL_COUNT as u64 => self.far(model, coder, old_pos)?,
            None => return Err(Detail::BadStream.into()),
        };
        let found = usize::try_from(which).unwrap_or(0).min(DIAGONAL_COUNT - 1);
        for at in (1..=found).rev() {
            let before = self.recent.get(at - 1).copied().unwrap_or(0);
            if let Some(slot) = self.recent.get_mut(at) {
                *slot = before;
            }
        }
        if let Some(first) = self.recent.first_mut() {
            *first = diagonal;
        }
        super::moved(self.new_pos, diagonal)
    }

    fn far<C: BitCoder>(&self, model: &mut Model<'_>, coder: &mut C, old_pos: u64) -> Result<i64> {
        let by = old_pos.wrapping_sub(self.old_pos) as i64;
        let back = model.backward(coder, by < 0)?;
        let old_pos = if back {
            let by = model.number(coder, Number::Backward, 0, !by as u64)?;
            self.old_pos.checked_sub(by + 1)
        } else {
            let by = model.number(coder, Number::Forward, 0, by as u64)?;
            self.old_pos.checked_add(by)
        };
        let old_pos = old_pos.filter(|pos| *pos >> 62 == 0).ok_or(Detail::BadCover)?;
        Ok(old_pos.wrapping_sub(self.new_pos) as i64)
    }

    /// After a cover of `len` bytes at `old_pos`.
    pub fn cover(&mut self, old_pos: u64, len: u64) {
        self.old_pos = old_pos.wrapping_add(len);
        self.new_pos = self.new_pos.wrapping_add(len);
    }
}

/// What is decoded next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Start,
    Prologue,
    LiteralLen,
    Place,
    CoverLen { old_pos: u64 },
}

impl Due {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        let (mut number, mut old_pos) = match *self {
            Self::Start => (0, 0),
            Self::Prologue => (1, 0),
            Self::LiteralLen => (2, 0),
            Self::Place => (3, 0),
            Self::CoverLen { old_pos } => (4, old_pos),
        };
        visit.u8(&mut number)?;
        visit.u64(&mut old_pos)?;
        *self = match number {
            0 => Self::Start,
            1 => Self::Prologue,
            2 => Self::LiteralLen,
            3 => Self::Place,
            _ => Self::CoverLen { old_pos },
        };
        Ok(())
    }
}

/// Decoder state between groups.
#[derive(Debug)]
pub(crate) struct Bits<'w> {
    range: RangeState,
    model: Model<'w>,
    places: Places,
    due: Due,
    /// Length of the literal run before the cover at hand.
    skipped: u64,
    /// Zero residuals known to come.
    zeros: u64,
}

impl<'w> Bits<'w> {
    /// Bytes of model.
    pub(crate) const fn buf_len(model_log: u8) -> u64 {
        2 << model_log
    }

    /// Starts over `buf`, which has [`Bits::buf_len`] bytes.
    pub(crate) fn new(model_log: u8, buf: &'w mut [u8]) -> Self {
        let (entries, _) = buf.as_chunks_mut::<2>();
        let (range, places) = (RangeState::default(), Places::default());
        let model = Model::new(entries, model_log);
        Self { range, model, places, due: Due::Start, skipped: 0, zeros: 0 }
    }

    fn number(&mut self, input: &mut Input<'_>, kind: Number, context: u32) -> Result<u64> {
        let mut coder = RangeDecoder { state: self.range, input };
        let number = self.model.number(&mut coder, kind, context, 0)?;
        self.range = coder.state;
        Ok(number)
    }
}

impl Symbols for Bits<'_> {
    fn op<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        _: u64,
    ) -> Result<Option<Op>> {
        loop {
            if !feed.input.has_group(GROUP_LEN_MAX) {
                return Ok(None);
            }
            let input = &mut *feed.input;
            match self.due {
                Due::Start => {
                    self.range = RangeState::start(input)?;
                    self.due = Due::Prologue;
                }
                Due::Prologue => match self.number(input, Number::Section, 0)? {
                    0 => self.due = Due::LiteralLen,
                    _ => return Err(Detail::UnknownSection.into()),
                },
                Due::LiteralLen => {
                    let len = self.number(input, Number::LiteralLen, 0)?;
                    self.skipped = len;
                    self.places.skip(len);
                    self.due = Due::Place;
                    return Ok(Some(Op::Literal { len }));
                }
                Due::Place => {
                    let mut coder = RangeDecoder { state: self.range, input };
                    let skipped = self.skipped;
                    let old_pos = self.places.code(&mut self.model, &mut coder, 0, skipped)?;
                    self.range = coder.state;
                    self.due = Due::CoverLen { old_pos };
                }
                Due::CoverLen { old_pos } => {
                    let len = self.number(input, Number::CoverLen, 0)?.saturating_add(1);
                    self.places.cover(old_pos, len);
                    self.model.start_cover();
                    (self.zeros, self.due) = (0, Due::LiteralLen);
                    return Ok(Some(Op::Cover { old_pos, len }));
                }
            }
        }
    }

    fn literal<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        _: &mut S,
        out: &mut [u8],
    ) -> Result<usize> {
        let mut count = 0;
        for to in out {
            if !feed.input.has_group(GROUP_LEN_MAX) {
                break;
            }
            let mut coder = RangeDecoder { state: self.range, input: feed.input };
            *to = self.model.literal(&mut coder, 0)?;
            self.range = coder.state;
            count += 1;
        }
        Ok(count)
    }

    fn cover<S: Source, D: Decompressor>(
        &mut self,
        feed: &mut Feed<'_, '_, D>,
        old: &mut S,
        old_pos: u64,
        out: &mut [u8],
        left: u64,
    ) -> Result<usize> {
        super::read_old(old, old_pos, out)?;
        let mut done = 0usize;
        while done < out.len() {
            let rest = out.get_mut(done..).unwrap_or(&mut []);
            let here = usize::try_from(self.zeros).unwrap_or(usize::MAX).min(rest.len());
            if here > 0 {
                self.model.skip(rest.get(..here).unwrap_or(&[]));
                self.zeros -= here as u64;
                done += here;
                continue;
            }
            if !feed.input.has_group(GROUP_LEN_MAX) {
                break;
            }
            let Some(byte) = rest.first_mut() else { break };
            let mut coder = RangeDecoder { state: self.range, input: feed.input };
            let residual = self.model.residual(&mut coder, Residual::Zeros(0))?;
            self.range = coder.state;
            match residual {
                Residual::Zeros(zeros) => {
                    self.zeros = zeros;
                    if zeros > left.saturating_sub(done as u64) {
                        return Err(Detail::BadCover.into());
                    }
                }
                Residual::Value(value) => {
                    *byte = byte.wrapping_add(value);
                    self.model.advance(*byte, value);
                    done += 1;
                }
            }
        }
        Ok(done)
    }

    fn end<D: Decompressor>(&mut self, _: &mut Feed<'_, '_, D>) -> Result<Option<()>> {
        if self.range.is_at_end() { Ok(Some(())) } else { Err(Detail::BadStream.into()) }
    }
}

impl Resumable for Bits<'_> {
    /// At the end of a span an operation ends; the next one begins with literals, maybe none.
    fn seek(&mut self, pos: u64, _: u64) {
        self.places.seek(pos);
        self.model.seek(pos);
        if self.due == Due::Place {
            self.due = Due::LiteralLen;
        }
    }

    fn page_number(&mut self, input: &mut Input<'_>, context: u32) -> Result<Option<u64>> {
        if !input.has_group(GROUP_LEN_MAX) {
            return Ok(None);
        }
        if self.due == Due::Start {
            self.range = RangeState::start(input)?;
            self.due = Due::Prologue;
        }
        self.number(input, Number::Page, context).map(Some)
    }

    fn forget_old(&mut self) {}
}

impl Saved for Bits<'_> {
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.range.state(visit)?;
        self.model.state(visit)?;
        self.places.state(visit)?;
        self.due.state(visit)?;
        visit.u64(&mut self.skipped)?;
        visit.u64(&mut self.zeros)
    }
}
