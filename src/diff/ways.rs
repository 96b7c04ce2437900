//! Ways to encode what is applied in place: orders of pages, intervals of checkpoints, and how much
//! of a checkpoint is the coder's and how much is for old bytes.

use fwdelta_core::Detail;
use fwdelta_core::apply::in_place::Areas;
use fwdelta_core::format::delta::{Coder, InPlace};
use fwdelta_core::format::pages::{EXCERPTS_LEN_MAX, Room, check_of};
use fwdelta_core::hash::sha256;

use super::in_place::Place;
use crate::codec::pages::{Needs, Order, Schedule};
use crate::error::{Error, Result};
use crate::matching::Cover;

/// Of two deltas of nearly the same length, the one with fewer checkpoints is better: less than
/// one part in so many is nearly the same.
const INTERVAL_WORTH: usize = 1024;
/// Longest interval that is tried.
const INTERVAL_TRIED_MAX: u8 = 2;
/// Most pages for which the order by needs is tried: its time grows with their square.
const NEEDS_COUNT_MAX: u64 = 1024;

/// Bytes of an excerpt, more or less: one of few bytes is not worth its entry.
const EXCERPT_LEN_MEAN: u64 = 128;
/// Bytes of an entry of the table of excerpts.
const EXCERPT_ENTRY_LEN: u64 = 16;
/// Most excerpts without being told, and the fewest that are worth it.
const EXCERPTS_MAX: u64 = 32;
/// See [`EXCERPTS_MAX`].
const EXCERPTS_MIN: u64 = 4;
/// The coder may have so many of so many parts of the memory that there is: a smaller state leaves
/// room for excerpts in the same pages.
const MEMORY_STEPS: u64 = 16;
/// See [`MEMORY_STEPS`]: the least.
const MEMORY_STEP_MIN: u64 = 8;

/// The one for which an order of pages is sought that serves for all.
const MEMORY_STEP_SEARCHED: u64 = 13;

/// One way to encode.
pub(super) struct Way {
    pub(super) in_place: InPlace,
    pub(super) order: Order,
    /// Pages in the order in which they are made; `None`: as `order` says.
    pub(super) turns: Option<Vec<u64>>,
    /// Working memory for tables, that of excerpts included; `None`: what the profile affords.
    pub(super) memory_len: Option<u64>,
    /// How many steps smaller tables are than there is room for, which leaves more to covers.
    pub(super) smaller: usize,
}

impl Way {
    fn with_room(&self, room: Room) -> Self {
        Self { in_place: InPlace { room, ..self.in_place }, turns: self.turns.clone(), ..*self }
    }

    /// The plan for images and covers.
    pub(super) fn schedule(&self, old: &[u8], new: &[u8], covers: &[Cover]) -> Schedule {
        let pages = self.in_place.pages(new.len() as u64);
        let needs = Needs::new(&pages, old, new, covers);
        match &self.turns {
            Some(turns) => {
                Schedule::of_turns(&self.in_place, self.order, pages, &needs, turns.clone())
            }
            None => Schedule::new(&self.in_place, self.order, pages, &needs),
        }
    }
}

/// What was encoded, in the best way.
pub(super) struct Chosen {
    pub(super) in_place: InPlace,
    pub(super) coder: Coder,
    pub(super) payload: Vec<u8>,
    order: Order,
    turns: Vec<u64>,
    memory_len: Option<u64>,
}

/// What was encoded with so much memory for tables.
struct Fitted {
    chosen: Chosen,
    memory_len: u64,
    /// Whether the order of pages was sought for about as much room.
    is_near: bool,
}

/// What there is to encode, and how.
pub(super) struct Work<'a, E, P, A> {
    pub(super) place: &'a Place,
    pub(super) page_count: u64,
    /// Whether checkpoints may hold excerpts without being told.
    pub(super) may_excerpt: bool,
    /// How many sizes of tables are tried.
    pub(super) table_count: usize,
    /// Gives the payload, and new in the order in which it is made if that is not its own.
    pub(super) encode: E,
    /// Gives the coder with its tables, and the order of pages, without encoding.
    pub(super) plan: P,
    /// Working memory of the device for tables.
    pub(super) memory_len: u64,
    /// Where things are in scratch flash.
    pub(super) areas: A,
}

impl<E, P, A> Work<'_, E, P, A>
where
    E: Fn(&Way) -> Result<(Coder, Vec<u8>, Option<Vec<u8>>)>,
    P: Fn(&Way) -> (Coder, Vec<u64>),
    A: Fn(InPlace, Coder) -> Result<Areas>,
{
    /// Encodes in every way worth trying and keeps the smallest.
    pub(super) fn choose(&self) -> Result<Chosen> {
        let chosen = self.with_excerpts()?;
        let area_len = (self.areas)(chosen.in_place, chosen.coder)?.area_len();
        let (order, memory_len) = (chosen.order, chosen.memory_len);
        let in_place = InPlace { check: None, ..chosen.in_place };
        let turns = Some(chosen.turns.clone());
        let mut best = Some(chosen);
        for smaller in 1..self.table_count {
            let way = Way { in_place, order, turns: turns.clone(), memory_len, smaller };
            self.try_within(way, area_len, &mut best)?;
        }
        best.ok_or(Detail::BadArgument.into())
    }

    /// The smallest with the largest tables.
    fn with_excerpts(&self) -> Result<Chosen> {
        let room = self.place.room.unwrap_or(Room::NONE);
        let mut best = None;
        for way in self.ways(room) {
            self.try_way(way, &mut best)?;
        }
        let Some(chosen) = best else { return Err(Detail::BadArgument.into()) };
        if self.place.room.is_some() || !self.may_excerpt {
            return Ok(chosen);
        }
        let area_len = (self.areas)(chosen.in_place, chosen.coder)?.area_len();
        let Some(fitted) = self.fitted(&chosen, area_len)? else { return Ok(chosen) };
        let memory_len = Some(fitted.memory_len);
        let ways = self.ways_after(&fitted);
        let mut best = Some(chosen);
        better_of(&mut best, fitted.chosen);
        for way in ways {
            self.try_within(Way { memory_len, ..way }, area_len, &mut best)?;
        }
        best.ok_or(Detail::BadArgument.into())
    }

    /// Ways worth trying with the room that was found: the other intervals in the same order of
    /// pages, and an order of its own if it was sought for much more or less room.
    fn ways_after(&self, fitted: &Fitted) -> Vec<Way> {
        let Fitted { chosen, is_near, .. } = fitted;
        let found = chosen.in_place;
        let ways = self.ways(found.room).into_iter().filter_map(|way| {
            match way.in_place.interval == found.interval {
                true => (way.order == Order::Needs && !is_near).then_some(way),
                false if way.order != chosen.order => None,
                false => Some(Way { turns: Some(chosen.turns.clone()), ..way }),
            }
        });
        ways.collect()
    }

    /// Encodes with excerpts, as `chosen` was without, for steps of memory: the less the coder has,
    /// the more of old fits areas of `area_len` bytes. By two steps for as long as that helps, then
    /// those beside the best; all in one order of pages, as to find one takes longer than the rest.
    fn fitted(&self, chosen: &Chosen, area_len: u64) -> Result<Option<Fitted>> {
        let mut way = Way {
            in_place: InPlace { room: Room::NONE, check: None, ..chosen.in_place },
            order: chosen.order,
            turns: Some(chosen.turns.clone()),
            memory_len: Some(self.memory_at(MEMORY_STEP_SEARCHED)),
            smaller: 0,
        };
        let room = self.room(&way, area_len)?;
        way.turns = Some((self.plan)(&Way { turns: None, ..way.with_room(room) }).1);
        let (mut best, mut best_step) = (None, MEMORY_STEPS);
        for step in (MEMORY_STEP_MIN..=MEMORY_STEPS).rev().step_by(2) {
            if self.try_step(&mut way, step, area_len, &mut best)? {
                best_step = step;
            } else if best.is_some() {
                break;
            }
        }
        for step in [best_step + 1, best_step - 1] {
            let is_step = (MEMORY_STEP_MIN..=MEMORY_STEPS).contains(&step) && best.is_some();
            if is_step && self.try_step(&mut way, step, area_len, &mut best)? {
                best_step = step;
            }
        }
        let memory_len = self.memory_at(best_step);
        let is_near = best_step.abs_diff(MEMORY_STEP_SEARCHED) <= 1;
        Ok(best.map(|chosen| Fitted { chosen, memory_len, is_near }))
    }

    const fn memory_at(&self, step: u64) -> u64 {
        self.memory_len / MEMORY_STEPS * step
    }

    /// [`Self::try_within`] with the memory of a step, and as much room as that leaves.
    fn try_step(
        &self,
        way: &mut Way,
        step: u64,
        area_len: u64,
        best: &mut Option<Chosen>,
    ) -> Result<bool> {
        way.memory_len = Some(self.memory_at(step));
        let room = self.room(way, area_len)?;
        Ok(room != Room::NONE && self.try_within(way.with_room(room), area_len, best)?)
    }

    /// Excerpts that areas of `area_len` bytes have room for beside the state of the coder.
    fn room(&self, way: &Way, area_len: u64) -> Result<Room> {
        let unused = |room: Room| {
            let way = way.with_room(room);
            let areas = (self.areas)(way.in_place, (self.plan)(&way).0)?;
            // A longer interval has more records, the state two more numbers than without.
            let more_len = u64::from(INTERVAL_TRIED_MAX) * 32 + 16;
            let whole_len = area_len.saturating_add(areas.unused_len(&way.in_place));
            Ok::<_, Error>(whole_len.saturating_sub(areas.area_len().saturating_add(more_len)))
        };
        let count = unused(Room::NONE)? / (EXCERPT_LEN_MEAN + EXCERPT_ENTRY_LEN);
        let count = count.min(EXCERPTS_MAX);
        if count < EXCERPTS_MIN {
            return Ok(Room::NONE);
        }
        // Their table takes memory from the coder, or makes the state longer.
        let room = Room { len: 1, count: count as u8 };
        let len = unused(room)?.min(EXCERPTS_LEN_MAX.into());
        Ok(if len == 0 { Room::NONE } else { Room { len: len as u32, ..room } })
    }

    /// [`Self::try_way`] if areas get no longer than that. Gives whether it is the best now.
    fn try_within(&self, way: Way, area_len: u64, best: &mut Option<Chosen>) -> Result<bool> {
        let other = self.tried(way)?;
        let fits = (self.areas)(other.in_place, other.coder)?.area_len() <= area_len;
        Ok(fits && better_of(best, other))
    }

    fn try_way(&self, way: Way, best: &mut Option<Chosen>) -> Result<()> {
        better_of(best, self.tried(way)?);
        Ok(())
    }

    fn tried(&self, mut way: Way) -> Result<Chosen> {
        way.in_place.check()?;
        let turns = way.turns.take().unwrap_or_else(|| (self.plan)(&way).1);
        let way = Way { turns: Some(turns.clone()), ..way };
        let memory_len = way.memory_len;
        let (coder, payload, made) = (self.encode)(&way)?;
        let check = made.map(|made| check_of(&sha256(&made)));
        let in_place = InPlace { check, ..way.in_place };
        Ok(Chosen { in_place, coder, payload, order: way.order, turns, memory_len })
    }

    /// Orders and intervals worth trying, those with long intervals first.
    fn ways(&self, room: Room) -> Vec<Way> {
        let Place { page_len, first, spare_count, order, interval, .. } = *self.place;
        let intervals = match interval {
            Some(interval) => vec![interval],
            None => (1..=spare_count.min(INTERVAL_TRIED_MAX)).rev().collect(),
        };
        let mut all = Vec::new();
        for interval in intervals {
            let orders = Order::ALL.iter().filter(|it| order.is_none_or(|order| order == **it));
            let is_quick = |it: &Order| *it != Order::Needs || self.page_count <= NEEDS_COUNT_MAX;
            for order in orders.copied().filter(is_quick) {
                let check = None;
                let in_place = InPlace { page_len, first, spare_count, interval, room, check };
                all.push(Way { in_place, order, turns: None, memory_len: None, smaller: 0 });
            }
        }
        all
    }
}

/// Keeps `it` if it is better than what was found before. Gives whether it is.
fn better_of(best: &mut Option<Chosen>, it: Chosen) -> bool {
    let is_best = best.as_ref().is_none_or(|best| is_better(&it, best));
    if is_best {
        *best = Some(it);
    }
    is_best
}

/// Whether `it` is better than what was found before.
fn is_better(it: &Chosen, before: &Chosen) -> bool {
    let worth = |len: usize| len + len / INTERVAL_WORTH;
    let len = it.payload.len();
    match it.in_place.interval < before.in_place.interval {
        true => worth(len) < before.payload.len(),
        false => len < before.payload.len(),
    }
}
