//! The prologue: segments, runs and listed covers, number by number.

use super::{Number, Numbers};
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
    /// Listed covers, ascending and disjoint in new.
    pub covers: &'a [Listed],
    /// For each of them whether it does not serve as a part of the map; empty when all do.
    pub hidden: &'a [bool],
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
    /// Whether some of them may not serve as a part of the map.
    pub may_hide: bool,
}

/// Diagonals (old minus new position) remembered.
const DIAGONAL_COUNT: usize = 4;
/// Added to the number of a diagonal when the cover is hidden.
const HIDDEN: usize = 8;

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
    pub fn which<N: Numbers>(
        &self,
        numbers: &mut N,
        number: Number,
        new_pos: u64,
        diagonal: i64,
    ) -> Result<usize> {
        let which = self.which_of(numbers, number, new_pos, diagonal, 0)?;
        if which > DIAGONAL_COUNT { Err(Detail::BadStream.into()) } else { Ok(which) }
    }

    /// The same with `more` added to the number.
    fn which_of<N: Numbers>(
        &self,
        numbers: &mut N,
        number: Number,
        new_pos: u64,
        diagonal: i64,
        more: usize,
    ) -> Result<usize> {
        let known = self.recent.iter().position(|recent| *recent == diagonal);
        let skipped = new_pos.wrapping_sub(self.new_end);
        let context = 64u32.wrapping_sub(skipped.leading_zeros()).min(8);
        let which = known.unwrap_or(DIAGONAL_COUNT).saturating_add(more) as u64;
        let which = numbers.number(number, context, which)?;
        Ok(usize::try_from(which).unwrap_or(usize::MAX))
    }

    /// Codes how far from the last cover's end, on its diagonal, another one starts.
    pub fn distance<N: Numbers>(
        &self,
        numbers: &mut N,
        number: Number,
        new_pos: u64,
        diagonal: i64,
    ) -> Result<i64> {
        let last = self.old_end.wrapping_sub(self.new_end) as i64;
        let is_near = u32::from(new_pos != self.new_end);
        let by = numbers.signed(number, is_near, diagonal.wrapping_sub(last))?;
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
    is_hidden: bool,
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
            is_hidden: false,
            places: Places::default(),
        }
    }
}

impl Prologue {
    /// Whether there is no number left; then the map is in order.
    pub fn is_done(&mut self, counts: &Counts, space: &mut Space<'_>) -> bool {
        loop {
            let (count, next) = match self.section {
                Section::Old => (counts.old, Section::New),
                Section::New => (counts.new, Section::Runs),
                Section::Runs => (counts.runs, Section::Covers),
                Section::Covers => (counts.covers, Section::Done),
                Section::Done => return true,
            };
            if self.at < count {
                return false;
            }
            if self.section == Section::Covers {
                space.map.seal();
            }
            (self.section, self.at, self.field) = (next, 0, 0);
            self.segment = Segment::default();
        }
    }

    /// Codes one number of what `counts` counts; `false` when there is none left. An encoder
    /// gives `tables`.
    ///
    /// # Errors
    /// `BadStream` for numbers out of range.
    pub fn step<N: Numbers>(
        &mut self,
        numbers: &mut N,
        counts: &Counts,
        space: &mut Space<'_>,
        tables: &Tables<'_>,
    ) -> Result<bool> {
        if self.is_done(counts, space) {
            return Ok(false);
        }
        self.advance(numbers, counts, space, tables)?;
        Ok(true)
    }

    /// Codes one number, where [`Prologue::is_done`] is not the case.
    ///
    /// # Errors
    /// `BadStream` for numbers out of range.
    pub fn advance<N: Numbers>(
        &mut self,
        numbers: &mut N,
        counts: &Counts,
        space: &mut Space<'_>,
        tables: &Tables<'_>,
    ) -> Result<()> {
        let at = self.at as usize;
        let is_whole = match self.section {
            Section::Old | Section::New => self.segment(numbers, space, tables)?,
            Section::Runs => {
                let run = tables.runs.get(at).copied().unwrap_or_default();
                self.run(numbers, space, &run)?
            }
            Section::Covers => {
                let cover = tables.covers.get(at).copied().unwrap_or_default();
                if let Some(is_hidden) = tables.hidden.get(at) {
                    self.is_hidden = *is_hidden;
                }
                self.cover(numbers, space, &cover, counts.may_hide)?
            }
            Section::Done => false,
        };
        self.field = if is_whole { 0 } else { self.field + 1 };
        self.at += u32::from(is_whole);
        Ok(())
    }

    /// A number of a segment, relative to the one before, in new to that of old.
    fn segment<N: Numbers>(
        &mut self,
        numbers: &mut N,
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
            Ok(guess.wrapping_add(numbers.signed(Number::Layout, context, by)? as u64))
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

    fn run<N: Numbers>(
        &mut self,
        numbers: &mut N,
        space: &mut Space<'_>,
        truth: &Run,
    ) -> Result<bool> {
        if self.field == 0 {
            let by = truth.pos.wrapping_sub(self.run.pos);
            let by = numbers.number(Number::Layout, 10, by)?;
            self.run.pos = self.run.pos.wrapping_add(by);
            return Ok(false);
        }
        let Class { content, wide, big_endian } = truth.class;
        let number = (content as u64) << 2 | u64::from(wide) << 1 | u64::from(big_endian);
        let number = numbers.number(Number::Layout, 11, number)?;
        let content = u8::try_from(number >> 2).ok().and_then(Content::from_number);
        let content = content.ok_or(Detail::BadStream)?;
        if !content.is_built_in() {
            return Err(Detail::NotBuiltIn.into());
        }
        self.run.class = Class { content, wide: number & 2 != 0, big_endian: number & 1 != 0 };
        if space.push_run(self.run) { Ok(true) } else { Err(Detail::BadStream.into()) }
    }

    fn cover<N: Numbers>(
        &mut self,
        numbers: &mut N,
        space: &mut Space<'_>,
        truth: &Listed,
        may_hide: bool,
    ) -> Result<bool> {
        let diagonal = i64::from(truth.old_pos) - i64::from(truth.new_pos);
        let (new_pos, known, len) = &mut self.cover;
        match self.field {
            0 => {
                let gap = u64::from(truth.new_pos).wrapping_sub(self.places.new_end);
                let gap = numbers.number(Number::Gap, 0, gap)?;
                *new_pos = self.places.new_end.wrapping_add(gap);
                Ok(false)
            }
            1 => {
                let gap = new_pos.wrapping_sub(self.places.new_end);
                let context = 64u32.wrapping_sub(gap.leading_zeros()).min(8);
                let coded = u64::from(truth.len).wrapping_sub(1);
                *len = numbers.number(Number::ListedLen, context, coded)?.wrapping_add(1);
                Ok(false)
            }
            2 => {
                let more = if self.is_hidden { HIDDEN } else { 0 };
                let kind = Number::ListedDiagonal;
                let which = self.places.which_of(numbers, kind, *new_pos, diagonal, more)?;
                let hidden = which.checked_sub(HIDDEN).filter(|_| may_hide);
                self.is_hidden = hidden.is_some();
                let which = hidden.unwrap_or(which);
                if which > DIAGONAL_COUNT {
                    return Err(Detail::BadStream.into());
                }
                match self.places.recent(which) {
                    Some(recent) => self.list(space, recent),
                    None => Ok(false),
                }
            }
            _ => {
                *known =
                    self.places.distance(numbers, Number::ListedDistance, *new_pos, diagonal)?;
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
        if !space.map.push(cover, self.is_hidden) {
            return Err(Detail::BadStream.into());
        }
        self.places.enter(new_pos, diagonal, len);
        Ok(true)
    }
}
