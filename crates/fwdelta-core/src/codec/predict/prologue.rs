//! The prologue: segments, runs and listed covers, number by number.

use super::{Model, Number};
use crate::codec::range::BitCoder;
use crate::error::{Detail, Result};
use crate::exec::layout::{Class, Content, Run, Segment};
use crate::exec::map::Listed;
use crate::exec::space::Space;
use crate::state::Visit;

/// What an encoder describes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tables<'a> {
    /// Segments of old.
    pub old: &'a [Segment],
    /// Segments of new.
    pub new: &'a [Segment],
    /// Runs of old.
    pub runs: &'a [Run],
    /// Covers that serve the map, ascending and disjoint in new.
    pub covers: &'a [Listed],
}

/// How many there are of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Segments of old.
    pub old: u32,
    /// Segments of new.
    pub new: u32,
    /// Runs of old.
    pub runs: u32,
    /// Listed covers.
    pub covers: u32,
}

/// Diagonals (old minus new position) remembered.
const DIAGONAL_COUNT: usize = 4;

/// Old positions relative to the covers before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    old_end: u64,
    new_end: u64,
    recent: [i64; DIAGONAL_COUNT],
}

impl Places {
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.u64(&mut self.old_end)?;
        visit.u64(&mut self.new_end)?;
        self.recent.iter_mut().try_for_each(|diagonal| visit.i64(diagonal))
    }

    /// Codes which diagonal a cover at `new_pos` follows: one of the last, or none of them.
    pub fn which<M: Model, C: BitCoder>(
        &self,
        model: &mut M,
        coder: &mut C,
        number: Number,
        new_pos: u64,
        diagonal: i64,
    ) -> Result<usize> {
        let known = self.recent.iter().position(|recent| *recent == diagonal);
        let skipped = new_pos.wrapping_sub(self.new_end);
        let context = 64u32.wrapping_sub(skipped.leading_zeros()).min(8);
        let which = known.unwrap_or(DIAGONAL_COUNT) as u64;
        let which = model.number(coder, number, context, which)?;
        let which = usize::try_from(which).unwrap_or(usize::MAX);
        if which > DIAGONAL_COUNT { Err(Detail::BadStream.into()) } else { Ok(which) }
    }

    /// Codes how far from the last cover's end, on its diagonal, another one starts.
    pub fn distance<M: Model, C: BitCoder>(
        &self,
        model: &mut M,
        coder: &mut C,
        number: Number,
        new_pos: u64,
        diagonal: i64,
    ) -> Result<i64> {
        let last = self.old_end.wrapping_sub(self.new_end) as i64;
        let is_near = u32::from(new_pos != self.new_end);
        let by = model.signed(coder, number, is_near, diagonal.wrapping_sub(last))?;
        Ok(last.wrapping_add(by))
    }

    /// Where old goes on after the last cover.
    pub const fn old_end(&self) -> u64 {
        self.old_end
    }

    /// The diagonal of number `which`.
    pub fn recent(&self, which: usize) -> Option<i64> {
        self.recent.get(which).copied()
    }

    /// Enters a cover of `len` bytes.
    pub fn enter(&mut self, new_pos: u64, diagonal: i64, len: u64) {
        let known = self.recent.iter().position(|recent| *recent == diagonal);
        let end = known.unwrap_or(DIAGONAL_COUNT - 1);
        if let Some(moved) = self.recent.get_mut(..=end) {
            moved.rotate_right(1);
        }
        if let Some(first) = self.recent.first_mut() {
            *first = diagonal;
        }
        self.new_end = new_pos.wrapping_add(len);
        self.old_end = self.new_end.wrapping_add(diagonal as u64);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Old,
    New,
    Runs,
    Covers,
    Done,
}

/// Where the prologue stands.
#[derive(Debug)]
pub struct Prologue {
    section: Section,
    at: u32,
    field: u32,
    segment: Segment,
    run: Run,
    cover: (u64, i64, u64),
    places: Places,
}

impl Default for Prologue {
    fn default() -> Self {
        Self {
            section: Section::Old,
            at: 0,
            field: 0,
            segment: Segment::default(),
            run: Run::default(),
            cover: (0, 0, 0),
            places: Places::default(),
        }
    }
}

impl Prologue {
    /// Codes one number of what `counts` counts; `false` when there is none left. An encoder
    /// gives `tables`.
    ///
    /// # Errors
    /// `BadStream` for numbers out of range.
    pub fn step<M: Model, C: BitCoder>(
        &mut self,
        model: &mut M,
        coder: &mut C,
        counts: &Counts,
        space: &mut Space<'_>,
        tables: &Tables<'_>,
    ) -> Result<bool> {
        loop {
            let (count, next) = match self.section {
                Section::Old => (counts.old, Section::New),
                Section::New => (counts.new, Section::Runs),
                Section::Runs => (counts.runs, Section::Covers),
                Section::Covers => (counts.covers, Section::Done),
                Section::Done => return Ok(false),
            };
            if self.at < count {
                break;
            }
            if self.section == Section::Covers {
                space.map.seal();
            }
            (self.section, self.at, self.field) = (next, 0, 0);
            self.segment = Segment::default();
        }
        let at = self.at as usize;
        let is_whole = match self.section {
            Section::Old | Section::New => self.segment(model, coder, space, tables)?,
            Section::Runs => {
                let run = tables.runs.get(at).copied().unwrap_or_default();
                self.run(model, coder, space, &run)?
            }
            Section::Covers => {
                let cover = tables.covers.get(at).copied().unwrap_or_default();
                self.cover(model, coder, space, &cover)?
            }
            Section::Done => return Ok(false),
        };
        self.field = if is_whole { 0 } else { self.field + 1 };
        self.at += u32::from(is_whole);
        Ok(true)
    }

    /// A number of a segment, relative to the one before, in new to that of old.
    fn segment<M: Model, C: BitCoder>(
        &mut self,
        model: &mut M,
        coder: &mut C,
        space: &mut Space<'_>,
        tables: &Tables<'_>,
    ) -> Result<bool> {
        let at = self.at as usize;
        let is_new = self.section == Section::New;
        let like = if is_new { space.old.get(at) } else { None };
        let truths = if is_new { tables.new } else { tables.old };
        let truth = truths.get(at).copied().unwrap_or_default();
        let last = match at.checked_sub(1) {
            Some(before) if is_new => space.new.get(before),
            Some(before) => space.old.get(before),
            None => None,
        };
        let last = last.unwrap_or_default();
        let context = self.field * 2 + u32::from(like.is_some());
        let mut code = |truth: u64, guess: u64| -> Result<u64> {
            let by = truth.wrapping_sub(guess) as i64;
            Ok(guess.wrapping_add(model.signed(coder, Number::Layout, context, by)? as u64))
        };
        let segment = &mut self.segment;
        match self.field {
            0 => {
                let guess = like.map_or(last.pos.wrapping_add(last.len), |like| like.pos);
                segment.pos = code(truth.pos, guess)?;
            }
            1 => segment.len = code(truth.len, like.map_or(0, |like| like.len))?,
            2 => {
                let beyond = like.map_or(0, |like| like.span.wrapping_sub(like.len));
                segment.span = code(truth.span, segment.len.wrapping_add(beyond))?;
            }
            3 => {
                let by = segment.pos.wrapping_sub(last.pos);
                let guess = last.addr.wrapping_add(by);
                segment.addr = code(truth.addr, like.map_or(guess, |like| like.addr))?;
            }
            _ => {
                let module = like.map_or(last.module, |like| like.module);
                let module = code(truth.module.into(), module.into())?;
                segment.module = u32::try_from(module).map_err(|_| Detail::BadStream)?;
                let ordered = segment.module >= last.module && segment.pos >= last.pos;
                let to = if is_new { &mut space.new } else { &mut space.old };
                if !ordered || segment.span < segment.len || !to.push(segment) {
                    return Err(Detail::BadStream.into());
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run<M: Model, C: BitCoder>(
        &mut self,
        model: &mut M,
        coder: &mut C,
        space: &mut Space<'_>,
        truth: &Run,
    ) -> Result<bool> {
        if self.field == 0 {
            let by = truth.pos.wrapping_sub(self.run.pos);
            let by = model.number(coder, Number::Layout, 10, by)?;
            self.run.pos = self.run.pos.wrapping_add(by);
            return Ok(false);
        }
        let Class { content, wide, big_endian } = truth.class;
        let number = (content as u64) << 2 | u64::from(wide) << 1 | u64::from(big_endian);
        let number = model.number(coder, Number::Layout, 11, number)?;
        let content = u8::try_from(number >> 2).ok().and_then(Content::from_number);
        let content = content.ok_or(Detail::BadStream)?;
        self.run.class = Class { content, wide: number & 2 != 0, big_endian: number & 1 != 0 };
        if space.push_run(self.run) { Ok(true) } else { Err(Detail::BadStream.into()) }
    }

    fn cover<M: Model, C: BitCoder>(
        &mut self,
        model: &mut M,
        coder: &mut C,
        space: &mut Space<'_>,
        truth: &Listed,
    ) -> Result<bool> {
        let diagonal = i64::from(truth.old_pos) - i64::from(truth.new_pos);
        let (new_pos, known, len) = &mut self.cover;
        match self.field {
            0 => {
                let gap = u64::from(truth.new_pos).wrapping_sub(self.places.new_end);
                let gap = model.number(coder, Number::Gap, 0, gap)?;
                *new_pos = self.places.new_end.wrapping_add(gap);
                Ok(false)
            }
            1 => {
                let gap = new_pos.wrapping_sub(self.places.new_end);
                let context = 64u32.wrapping_sub(gap.leading_zeros()).min(8);
                let coded = u64::from(truth.len).wrapping_sub(1);
                *len = model.number(coder, Number::ListedLen, context, coded)?.wrapping_add(1);
                Ok(false)
            }
            2 => {
                let which =
                    self.places.which(model, coder, Number::ListedDiagonal, *new_pos, diagonal)?;
                match self.places.recent(which) {
                    Some(recent) => self.list(space, recent),
                    None => Ok(false),
                }
            }
            _ => {
                *known = self.places.distance(
                    model,
                    coder,
                    Number::ListedDistance,
                    *new_pos,
                    diagonal,
                )?;
                let diagonal = *known;
                self.list(space, diagonal)
            }
        }
    }

    fn list(&mut self, space: &mut Space<'_>, diagonal: i64) -> Result<bool> {
        let (new_pos, _, len) = self.cover;
        let old_pos = new_pos.checked_add_signed(diagonal).ok_or(Detail::BadCover)?;
        let fits = |number: u64| u32::try_from(number).map_err(|_| Detail::BadCover);
        fits(new_pos.wrapping_add(len))?;
        let cover = Listed { old_pos: fits(old_pos)?, new_pos: fits(new_pos)?, len: fits(len)? };
        if !space.map.push(cover) {
            return Err(Detail::BadStream.into());
        }
        self.places.enter(new_pos, diagonal, len);
        Ok(true)
    }
}
