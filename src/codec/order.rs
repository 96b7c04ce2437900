//! In which order to rewrite pages, and which old ones to keep in spare pages.
//!
//! Which pages must come before which is a graph with cycles; to leave out the edges of least
//! weight (minimum feedback arc set) is hard, and the spare pages make it another problem still.
//! So orders are improved by moving pages and turning stretches round for as long as that helps:
//! insertion moves as in R. Martí and G. Reinelt, "The Linear Ordering Problem", 2011.

use std::collections::BTreeMap;

use fwdelta_core::format::pages::{InPlace, Pages, Span};

use crate::matching::Cover;

/// An order to make pages in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From front to back: nothing of it is coded.
    Ascending,
    /// From back to front.
    Descending,
    /// So that few old bytes are lost that are needed later, found by trying.
    Needs,
}

impl Order {
    /// Every order.
    pub const ALL: [Order; 3] = [Order::Ascending, Order::Descending, Order::Needs];
}

/// What each new page takes from old ones, in bytes: `of[new][old]`, and the same turned round.
#[derive(Clone, Debug)]
pub struct Needs {
    of: Vec<BTreeMap<u64, u64>>,
    /// Parts of covers, each between one page and another, in the order of their old pages.
    pub(super) parts: Vec<Cover>,
    pub(super) by: Vec<BTreeMap<u64, u64>>,
    pub(super) is_kept: Vec<bool>,
}

impl Needs {
    /// Of images and their covers.
    #[must_use]
    pub fn new(pages: &Pages, old: &[u8], new: &[u8], covers: &[Cover]) -> Self {
        let count = pages.count() as usize;
        let old_count = (old.len() as u64).checked_sub(1).map_or(0, |last| pages.page_of(last) + 1);
        let mut needs = Self {
            of: vec![BTreeMap::new(); count],
            by: vec![BTreeMap::new(); count.max(old_count as usize)],
            parts: Vec::new(),
            is_kept: Vec::new(),
        };
        for cover in covers {
            for part in by_page(pages, cover) {
                let (from, to) = (pages.page_of(part.old_pos), pages.page_of(part.new_pos));
                *needs.of[to as usize].entry(from).or_default() += part.len;
                *needs.by[from as usize].entry(to).or_default() += part.len;
                needs.parts.push(part);
            }
        }
        needs.parts.sort_by_key(|part| (part.old_pos, part.new_pos));
        let is_kept = |page| {
            let Span { pos, end } = pages.span(page, 1);
            old.get(pos as usize..end as usize) == new.get(pos as usize..end as usize)
        };
        needs.is_kept = (0..pages.count()).map(is_kept).collect();
        needs
    }

    /// The pages in an order.
    pub(super) fn order(&self, in_place: &InPlace, order: Order) -> Vec<u64> {
        let ascending: Vec<u64> = (0..self.of.len() as u64).collect();
        match order {
            Order::Ascending => ascending,
            Order::Descending => ascending.into_iter().rev().collect(),
            Order::Needs => search(self, in_place, ascending),
        }
    }

    /// Bytes of old page `page` that pages need which satisfy `is_later`.
    pub(super) fn value(&self, page: u64, is_later: impl Fn(u64) -> bool) -> u64 {
        let by = self.by.get(page as usize).into_iter().flatten();
        by.filter(|(user, _)| is_later(**user)).map(|(_, len)| len).sum()
    }
}

/// `cover` cut at the ends of pages of old and of new.
pub(super) fn by_page(pages: &Pages, cover: &Cover) -> impl Iterator<Item = Cover> + use<> {
    let (pages, cover, mut at) = (*pages, *cover, 0);
    std::iter::from_fn(move || {
        let (old_pos, new_pos) = (cover.old_pos + at, cover.new_pos + at);
        let to_end = |pos: u64| pages.place(pages.page_of(pos)).end - pos;
        let len = to_end(old_pos).min(to_end(new_pos)).min(cover.len - at);
        at += len;
        (len > 0).then_some(Cover { old_pos, new_pos, len })
    })
}

/// Spare pages, as they are filled.
pub(super) struct Spare {
    /// Page and number, plus 1, of what each holds.
    held: Vec<(Option<u64>, u64)>,
    interval: usize,
    victims: Vec<usize>,
    count: u64,
}

impl Spare {
    pub(super) fn new(in_place: &InPlace) -> Self {
        let held = vec![(None, 0); in_place.spare_count.into()];
        Self { held, interval: in_place.interval.into(), victims: Vec::new(), count: 0 }
    }

    /// What would be lost, in the bytes that `value` says pages are worth, if `page` was saved.
    pub(super) fn least(&self, value: impl Fn(u64) -> u64) -> u64 {
        let held = self.held.iter().map(|(page, _)| page.map_or(0, &value));
        held.min().unwrap_or(0)
    }

    /// Whether an interval begins with the next page.
    pub(super) const fn is_first(&self) -> bool {
        self.count.is_multiple_of(self.interval as u64)
    }

    /// Goes on without saving the next page.
    pub(super) const fn pass(&mut self) {
        self.count += 1;
    }

    /// Saves `page`; where an interval begins, names its victims, those whose pages are worth
    /// least. Gives their ages, and the pages that are lost.
    pub(super) fn save(&mut self, page: u64, value: impl Fn(u64) -> u64) -> (Vec<u64>, Vec<u64>) {
        let (mut ages, mut lost) = (Vec::new(), Vec::new());
        if self.is_first() {
            self.victims.clear();
            let has_choice = self.held.len() > self.interval;
            for _ in 0..self.interval {
                let mut free: Vec<usize> =
                    (0..self.held.len()).filter(|spare| !self.victims.contains(spare)).collect();
                free.sort_by_key(|spare| (self.held[*spare].1, *spare));
                let worth = |age: usize| self.held[free[age]].0.map_or(0, &value);
                let last = if has_choice { free.len() } else { 1 };
                let age = (0..last).min_by_key(|age| worth(*age)).unwrap_or(0);
                self.victims.push(free[age]);
                ages.extend(has_choice.then_some(age as u64));
            }
            for victim in &self.victims {
                lost.extend(self.held[*victim].0.take());
                self.held[*victim] = (None, 0);
            }
        }
        let victim = self.victims[(self.count % self.interval as u64) as usize];
        self.count += 1;
        self.held[victim] = (Some(page), self.count);
        (ages, lost)
    }
}

/// What it costs, in bytes of old that are lost, when a page does not follow the one before.
const BREAK_COST: u64 = 3;
/// The same of an excerpt.
const EXCERPT_COST: u64 = 6;
/// Work that may go into trying orders, in looks at a page.
const WORK_MAX: u64 = 400_000_000;
/// Passes over all pages that move single ones.
const PASS_COUNT: usize = 8;

/// The best order found: first without regard to spare pages, from three beginnings, then with.
fn search(needs: &Needs, in_place: &InPlace, ascending: Vec<u64>) -> Vec<u64> {
    let descending: Vec<u64> = ascending.iter().rev().copied().collect();
    let mut all = vec![ascending.clone(), descending.clone()];
    all.extend([sorted(needs, ascending), sorted(needs, descending)]);
    let mut meter = Meter::new(needs, in_place);
    let best = all.into_iter().min_by_key(|order| meter.cost(order)).unwrap_or_default();
    if meter.room > 0 { wandered(&mut meter, best) } else { improved(&mut meter, best) }
}

/// Moves pages to where they do least harm if nothing is kept.
fn sorted(needs: &Needs, mut order: Vec<u64>) -> Vec<u64> {
    // What is lost when `first` is rewritten before `second` is made.
    let lost = |first: u64, second: u64| -> i64 {
        if needs.is_kept[first as usize] {
            return 0;
        }
        needs.of[second as usize].get(&first).map_or(0, |len| *len as i64)
    };
    for _ in 0..PASS_COUNT {
        let mut is_better = false;
        for page in 0..order.len() as u64 {
            let at = order.iter().position(|other| *other == page).unwrap_or(0);
            let (mut change, mut best) = (0, (0, at));
            for to in (0..at).rev() {
                change += lost(page, order[to]) - lost(order[to], page);
                best = best.min((change, to));
            }
            change = 0;
            for (to, other) in order.iter().enumerate().skip(at + 1) {
                change += lost(*other, page) - lost(page, *other);
                if change < best.0 {
                    best = (change, to);
                }
            }
            if best.0 < 0 {
                order.remove(at);
                order.insert(best.1, page);
                is_better = true;
            }
        }
        if !is_better {
            break;
        }
    }
    order
}

/// Moves stretches of pages, and turns them round, while that loses less.
fn improved(meter: &mut Meter<'_>, mut order: Vec<u64>) -> Vec<u64> {
    let count = order.len();
    let mut work = WORK_MAX / (count.max(1) * (4 + meter.held_max)) as u64;
    let mut least = meter.cost(&order);
    let mut is_better = true;
    while std::mem::take(&mut is_better) && work > 0 {
        for len in [1, 2, 3, 5, 8, 16, 32] {
            for from in 0..count.saturating_sub(len - 1) {
                for to in 0..=count - len {
                    for is_turned in [false, true] {
                        if work == 0 || to == from && !is_turned || len == 1 && is_turned {
                            continue;
                        }
                        work -= 1;
                        let other = moved(&order, from, len, to, is_turned);
                        let lost = meter.cost(&other);
                        if lost < least {
                            (order, least, is_better) = (other, lost, true);
                        }
                    }
                }
            }
        }
    }
    order
}

/// Lengths of stretches that are moved, short ones more often.
const STRETCHES: [u64; 9] = [1, 1, 1, 2, 3, 5, 8, 16, 32];
/// Orders tried for each page.
const TRIES: u64 = 5000;
/// At first an order is taken that costs more than the last one by less than one part in so many;
/// in the end none.
const LENIENCE: u64 = 150;

/// Moves stretches of pages, and turns them round, also where that loses a little more: with
/// excerpts a page that is made earlier pays only when others follow. Threshold accepting:
/// G. Dueck and T. Scheuer, 1990.
fn wandered(meter: &mut Meter<'_>, order: Vec<u64>) -> Vec<u64> {
    let count = order.len() as u64;
    let work = WORK_MAX / (count.max(1) * (8 + meter.held_max as u64));
    let work = work.min(TRIES * count);
    let least = meter.cost(&order);
    let (mut best, mut at) = ((least, order.clone()), (least, order));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |end: u64| {
        // Xorshift: G. Marsaglia, 2003.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % end.max(1)
    };
    for left in (0..work).rev() {
        let len = STRETCHES[below(STRETCHES.len() as u64) as usize].min(count);
        let (room, is_turned) = (count - len + 1, below(3) == 0);
        let from = below(room);
        let to = if below(2) == 0 { below(room) } else { (from + below(9)).max(4) - 4 };
        let to = to.min(room - 1);
        let other = moved(&at.1, from as usize, len as usize, to as usize, is_turned);
        let lost = meter.cost(&other);
        if lost < best.0 {
            best = (lost, other.clone());
        }
        if lost <= at.0 + at.0 / LENIENCE * left / work {
            at = (lost, other);
        }
    }
    best.1
}

/// `order` with `len` pages from place `from` moved to place `to`.
fn moved(order: &[u64], from: usize, len: usize, to: usize, is_turned: bool) -> Vec<u64> {
    let mut part = order[from..from + len].to_vec();
    if is_turned {
        part.reverse();
    }
    let mut rest = [&order[..from], &order[from + len..]].concat();
    rest.splice(to..to, part);
    rest
}

/// Counts what orders cost.
struct Meter<'a> {
    needs: &'a Needs,
    /// What each page takes from others, and what is taken from each in all.
    of: Vec<Vec<(usize, u64)>>,
    all: Vec<u64>,
    /// Which pages take from each, itself included, and how much.
    by: Vec<Vec<(usize, u64)>>,
    left: Vec<u64>,
    /// Old pages in spare ones, the oldest first.
    held: Vec<usize>,
    held_max: usize,
    /// Bytes that excerpts may have, and by the turn that needs them last.
    room: u64,
    excerpts: Vec<u64>,
    used: u64,
    turn_of: Vec<usize>,
    /// Whether pages may be overwritten without being saved.
    has_choice: bool,
}

impl<'a> Meter<'a> {
    fn new(needs: &'a Needs, in_place: &InPlace) -> Self {
        let mut all = vec![0; needs.by.len()];
        let mut of = Vec::new();
        for (page, from) in needs.of.iter().enumerate() {
            let others = from.iter().map(|(from, len)| (*from as usize, *len));
            let others: Vec<_> = others.filter(|(from, _)| *from != page).collect();
            others.iter().for_each(|(from, len)| all[*from] += len);
            of.push(others);
        }
        let pairs = |users: &BTreeMap<u64, u64>| {
            users.iter().map(|(user, len)| (*user as usize, *len)).collect()
        };
        let held_max = usize::from(in_place.spare_count - in_place.interval) + 1;
        Self {
            needs,
            by: needs.by.iter().map(pairs).collect(),
            left: all.clone(),
            all,
            held: Vec::new(),
            held_max,
            room: in_place.room.len.into(),
            excerpts: vec![0; of.len()],
            used: 0,
            turn_of: vec![0; of.len()],
            has_choice: in_place.room.len > 0 && in_place.interval == 1,
            of,
        }
    }

    /// Bytes of old that are lost in an order, and what its breaks cost.
    fn cost(&mut self, order: &[u64]) -> u64 {
        self.left.copy_from_slice(&self.all);
        self.held.clear();
        self.excerpts.fill(0);
        self.used = 0;
        for (turn, page) in order.iter().enumerate() {
            self.turn_of[*page as usize] = turn;
        }
        let (mut cost, mut last) = (0, None);
        for (turn, page) in order.iter().enumerate() {
            cost += if last.is_some_and(|last: u64| last + 1 != *page) { BREAK_COST } else { 0 };
            last = Some(*page);
            let page = *page as usize;
            let is_kept = self.needs.is_kept[page];
            if let Some(lost) = (!is_kept).then(|| self.hold(page)).flatten() {
                cost += self.lose(lost, turn);
            }
            self.used -= std::mem::take(&mut self.excerpts[turn]);
            for (from, len) in &self.of[page] {
                self.left[*from] = self.left[*from].saturating_sub(*len);
            }
        }
        cost
    }

    /// Saves an old page, or does not; gives the page that is lost by that.
    fn hold(&mut self, page: usize) -> Option<usize> {
        if self.held.len() < self.held_max {
            self.held.push(page);
            return None;
        }
        let least = (0..self.held_max).min_by_key(|at| self.left[self.held[*at]]).unwrap_or(0);
        let own = self.needs.of[page].get(&(page as u64)).map_or(0, |len| *len);
        if self.has_choice && self.left[page] + own < self.left[self.held[least]] {
            return Some(page);
        }
        let lost = self.held.remove(least);
        self.held.push(page);
        Some(lost)
    }

    /// What is lost with old page `lost` at `turn`, excerpts being dropped that are needed last.
    fn lose(&mut self, lost: usize, turn: usize) -> u64 {
        if self.room == 0 {
            return std::mem::take(&mut self.left[lost]);
        }
        let mut cost = 0;
        for (user, len) in &self.by[lost] {
            let due = self.turn_of[*user];
            if due >= turn {
                self.excerpts[due] += len;
                self.used += len;
                cost += EXCERPT_COST;
            }
        }
        self.left[lost] = 0;
        let mut due = self.excerpts.len();
        while self.used > self.room && due > turn {
            due -= 1;
            let len = self.excerpts[due].min(self.used - self.room);
            self.excerpts[due] -= len;
            self.used -= len;
            cost += len;
        }
        cost
    }
}
