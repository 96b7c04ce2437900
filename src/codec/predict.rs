//! Coders 4 and 5: walks covers and literals through the code that decodes them.

use fwdelta_core::Result;
use fwdelta_core::codec::predict::{
    self, Coded, Counts, Due, Model, Number, Numbers, Places, Predicted, Prologue, Tables, gap_end,
};
use fwdelta_core::exec::layout::{Run, Segment};
use fwdelta_core::exec::map::Listed;
use fwdelta_core::format::pages::Span;
use fwdelta_core::format::shape::Shape;

use super::noise::{Noise, is_nearly_noise};
use super::pages::{Pacer, Schedule, Shadow, within};
use super::range::RangeEncoder;
use crate::matching::Cover;

/// A new image in terms of old, with what is known of both.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The old image.
    pub old: &'a [u8],
    /// The new image.
    pub new: &'a [u8],
    /// Ascending and disjoint in new.
    pub covers: &'a [Cover],
    /// Those of them that serve as the map of addresses, in the same order.
    pub map: &'a [Listed],
    /// Segments of old.
    pub old_segments: &'a [Segment],
    /// Segments of new.
    pub new_segments: &'a [Segment],
    /// Runs of old.
    pub runs: &'a [Run],
}

impl Plan<'_> {
    /// `shape` with the numbers of entries that this plan has.
    #[must_use]
    pub fn counted(&self, shape: Shape) -> Shape {
        Shape {
            old_segments: self.old_segments.len() as u32,
            new_segments: self.new_segments.len() as u32,
            runs: self.runs.len() as u32,
            covers: self.map.len() as u32,
            has_inline: self.map.len() < self.covers.len(),
            ..shape
        }
    }
}

/// Encodes for coder 4 what is made in place in the order of `schedule`; `plan` has covers of what
/// can be read then.
///
/// # Errors
/// As [`encode`].
pub fn encode_in_place(plan: &Plan<'_>, shape: &Shape, schedule: &Schedule) -> Result<Vec<u8>> {
    let len = predict::tables_len(shape, false);
    let mut work = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let mut encoder = Encoder::new(plan, shape, predict::small(shape, &mut work)?);
    encoder.pace = Some((Pacer::new(schedule), schedule.shadow(plan.old)));
    let mut is_first = true;
    while let Some((span, numbers)) = encoder.pace.as_mut().and_then(|(pacer, _)| pacer.next_span())
    {
        encoder.say(numbers)?;
        if std::mem::take(&mut is_first) {
            encoder.prologue()?;
        }
        encoder.predicted.seek(span.pos);
        encoder.span(span)?;
        encoder.arrive(span.end - 1)?;
    }
    Ok(encoder.coder.finish())
}

/// Payload bytes that are handed out together.
const PIECE_LEN: usize = 1 << 13;

/// Encodes for coder 4, or 5 if `is_max`; `shape` is [`Plan::counted`]. What is ready of the
/// payload goes to `sink`, piece by piece.
///
/// # Errors
/// `BadStream` for numbers that the format does not hold.
pub fn encode(
    plan: &Plan<'_>,
    shape: &Shape,
    is_max: bool,
    sink: &mut dyn FnMut(Vec<u8>),
) -> Result<()> {
    let len = predict::tables_len(shape, is_max);
    let mut work = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    if is_max {
        let predicted = predict::large(shape, &mut work, plan.old.len() as u64)?;
        let noise = Some(Noise::of(plan.new, plan.covers));
        Encoder { noise, ..Encoder::new(plan, shape, predicted) }.run(sink)?;
    } else {
        Encoder::new(plan, shape, predict::small(shape, &mut work)?).run(sink)?;
    }
    Ok(())
}

/// What the parts of a payload cost, in 256ths of a bit.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// Of each cover: to announce it, and the units in it.
    pub covers: Vec<u64>,
    /// Of all literals up to each of the marks.
    pub literals: Vec<u64>,
    /// Of the payload.
    pub total: u64,
}

/// Encodes for coder 5 to learn what that costs; `marks`, ascending, are positions that no cover
/// holds.
///
/// # Errors
/// As [`encode`].
pub fn prices(plan: &Plan<'_>, shape: &Shape, marks: &[u64]) -> Result<Prices> {
    let len = predict::tables_len(shape, true);
    let mut work = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let predicted = predict::large(shape, &mut work, plan.old.len() as u64)?;
    let noise = Some(Noise::of(plan.new, plan.covers));
    let meter = Some(Meter { marks, ..Meter::default() });
    let encoder = Encoder { noise, meter, ..Encoder::new(plan, shape, predicted) };
    let mut ignored = |_| ();
    let meter = encoder.run(&mut ignored)?;
    Ok(meter.map(|meter| meter.prices).unwrap_or_default())
}

/// Takes down prices.
#[derive(Clone, Debug, Default)]
struct Meter<'a> {
    /// Of those that are not reached yet.
    marks: &'a [u64],
    /// All literals so far, and those of them that went through the coder.
    literals: u64,
    coded: u64,
    prices: Prices,
}

impl Meter<'_> {
    /// Literals up to `pos` have cost `more` since the last that were added.
    fn reach(&mut self, pos: u64, more: u64) {
        while let Some((_, rest)) = self.marks.split_first().filter(|(mark, _)| **mark <= pos) {
            self.prices.literals.push(self.literals + more);
            self.marks = rest;
        }
    }
}

struct Encoder<'a, 'w, M> {
    plan: &'a Plan<'a>,
    shape: &'a Shape,
    predicted: Predicted<'w, M>,
    coder: RangeEncoder,
    places: Places,
    /// Where it is known; a small model asks block by block.
    noise: Option<Noise>,
    /// What is said of pages, and old as it can be seen; `None`: nothing, and all of it.
    pace: Option<(Pacer, Shadow<'a>)>,
    /// Where the payload goes while it is made, if anywhere.
    sink: Option<&'a mut dyn FnMut(Vec<u8>)>,
    /// For whom prices matter more than the payload.
    meter: Option<Meter<'a>>,
}

impl<'a, 'w, M: Model> Encoder<'a, 'w, M> {
    fn new(plan: &'a Plan<'a>, shape: &'a Shape, predicted: Predicted<'w, M>) -> Self {
        let (coder, places) = (RangeEncoder::default(), Places::default());
        let (noise, pace, sink, meter) = (None, None, None, None);
        Self { plan, shape, predicted, coder, places, noise, pace, sink, meter }
    }

    fn run(mut self, sink: &'a mut dyn FnMut(Vec<u8>)) -> Result<Option<Meter<'a>>> {
        if self.plan.new.is_empty() {
            return Ok(self.meter);
        }
        if M::IS_LARGE {
            self.predicted.index_old(0, self.plan.old);
        }
        self.predicted.start_new();
        self.prologue()?;
        self.sink = Some(sink);
        self.span(Span { pos: 0, end: self.plan.new.len() as u64 })?;
        let rest = self.rest_price();
        if let Some(meter) = &mut self.meter {
            meter.prices.total = rest + meter.literals;
        }
        if let Some(sink) = self.sink {
            sink(self.coder.finish());
        }
        Ok(self.meter)
    }

    /// Hands out what is ready.
    fn hand_out(&mut self) {
        if let Some(sink) = self.sink.as_mut().filter(|_| self.coder.ready_len() >= PIECE_LEN) {
            sink(self.coder.take());
        }
    }

    fn say(&mut self, numbers: Vec<(u32, u64)>) -> Result<()> {
        for number in numbers {
            if self.predicted.is_counting() {
                self.coder.defer(number);
            } else {
                let (context, value) = number;
                self.predicted.model.number(&mut self.coder, Number::Page, context, value)?;
            }
        }
        Ok(())
    }

    /// Something at position `pos` is coded next.
    fn arrive(&mut self, pos: u64) -> Result<()> {
        match &mut self.pace {
            Some((pacer, _)) => {
                let numbers = pacer.arrive(pos);
                self.say(numbers)
            }
            None => Ok(()),
        }
    }

    /// Codes the part of new in `span`.
    fn span(&mut self, span: Span) -> Result<()> {
        let Plan { covers, map, .. } = *self.plan;
        let first = map
            .partition_point(|cover| u64::from(cover.new_pos) + u64::from(cover.len) <= span.pos);
        let mut listed = map[first..].iter().copied().peekable();
        for (number, cover) in within(covers, span) {
            let next = listed.peek().copied();
            let start = covers[number].new_pos;
            let is_listed = next.is_some_and(|next| u64::from(next.new_pos) == start);
            let before = self.rest_price();
            self.literals(cover.new_pos, next, span.end)?;
            if is_listed {
                listed.next();
            } else {
                self.place(&cover)?;
            }
            self.cover(&cover)?;
            let after = self.rest_price();
            if let Some(meter) = &mut self.meter {
                meter.prices.covers.push(after - before);
            }
        }
        self.literals(span.end, listed.peek().copied(), span.end)
    }

    /// What all but literals cost so far.
    fn rest_price(&self) -> u64 {
        self.meter.as_ref().map_or(0, |meter| self.coder.price().saturating_sub(meter.coded))
    }

    fn prologue(&mut self) -> Result<()> {
        let Plan { map, old_segments, new_segments, runs, .. } = *self.plan;
        let (covers, hidden) = (map, &[][..]);
        let tables = Tables { old: old_segments, new: new_segments, runs, covers, hidden };
        let counts = Counts::from(self.shape);
        let mut prologue = Prologue::default();
        let Predicted { model, predictor, .. } = &mut self.predicted;
        let (numbers, space) =
            (&mut Coded { model, coder: &mut self.coder }, &mut predictor.projection.space);
        while prologue.step(numbers, &counts, space, &tables)? {}
        Ok(())
    }

    /// The literals up to `end`, where a cover starts or the span ends, at `span_end`; `next` is
    /// the next listed cover.
    fn literals(&mut self, end: u64, next: Option<Listed>, span_end: u64) -> Result<()> {
        let pos = self.predicted.pos();
        let next = next.filter(|next| u64::from(next.new_pos) < span_end);
        let listed_pos = next.map_or(span_end, |next| u64::from(next.new_pos).max(pos));
        let gap = listed_pos - pos;
        if gap == 0 {
            return Ok(());
        }
        self.arrive(pos)?;
        if self.shape.has_inline {
            let (model, coder) = (&mut self.predicted.model, &mut self.coder);
            if !gap_end(model, coder, end == listed_pos)? {
                model.number(coder, Number::LiteralLen, 0, end - pos)?;
            }
        }
        let gap_pos = match next {
            Some(next) if end == listed_pos => u64::from(next.old_pos).wrapping_sub(gap),
            _ => self.places.old_end(),
        };
        self.predicted.start_literals(gap_pos, end - pos);
        let (mut old, old_len) = (self.plan.old, self.plan.old.len() as u64);
        let (before, mut copied) = (self.coder.price(), 0);
        for (pos, byte) in (pos..).zip(&self.plan.new[pos as usize..end as usize]) {
            self.arrive(pos)?;
            if let Some(meter) = &mut self.meter {
                meter.reach(pos, self.coder.price() - before + copied);
            }
            if let Some(len) = self.predicted.block_due() {
                let is_noise = self.is_noise(Span { pos, end: pos + len });
                self.predicted.block(&mut self.coder, is_noise)?;
            }
            if self.predicted.noise_left() > 0 {
                self.coder.put_as_is(*byte);
                self.predicted.enter_noise(&[*byte]);
                copied += 8 << 8;
            } else {
                self.predicted.literal(&mut self.coder, &mut old, old_len, *byte)?;
            }
            self.hand_out();
        }
        if let Some(meter) = &mut self.meter {
            let coded = self.coder.price() - before;
            meter.reach(end, coded + copied);
            meter.literals += coded + copied;
            meter.coded += coded;
        }
        Ok(())
    }

    /// Whether literals had better be copied.
    fn is_noise(&self, block: Span) -> bool {
        match &self.noise {
            Some(noise) => noise.holds(block),
            None => is_nearly_noise(&self.plan.new[block.pos as usize..block.end as usize]),
        }
    }

    /// Where a cover stands that is not listed.
    fn place(&mut self, cover: &Cover) -> Result<()> {
        self.arrive(cover.new_pos)?;
        let diagonal = cover.old_pos as i64 - cover.new_pos as i64;
        let (model, coder) = (&mut self.predicted.model, &mut self.coder);
        let mut numbers = Coded { model, coder };
        let which = self.places.which(&mut numbers, Number::Diagonal, cover.new_pos, diagonal)?;
        if self.places.recent(which).is_none() {
            self.places.distance(&mut numbers, Number::Distance, cover.new_pos, diagonal)?;
        }
        numbers.number(Number::CoverLen, 0, cover.len - 1)?;
        Ok(())
    }

    fn cover(&mut self, cover: &Cover) -> Result<()> {
        let diagonal = cover.old_pos as i64 - cover.new_pos as i64;
        self.places.enter(cover.new_pos, diagonal, cover.len);
        self.predicted.start_cover(cover.old_pos, cover.len);
        let end = cover.new_pos + cover.len;
        while self.predicted.pos() < end {
            let (at, pos) = (self.predicted.left().0 as usize, self.predicted.pos());
            let new = &self.plan.new[pos as usize..end as usize];
            self.arrive(pos)?;
            let old = self.pace.as_mut().map_or(self.plan.old, |(_, shadow)| shadow.at(pos));
            self.predicted.unit(&mut self.coder, old, at, Due::Known(new))?;
            self.hand_out();
        }
        self.predicted.end_cover(&mut self.coder)
    }
}
