//! What the new word of a unit may be.

use super::history::{Deltas, Values};
use super::memo::Memo;
use crate::error::Result;
use crate::exec::map::Trust;
use crate::exec::project::{Plain, Projection, Stand};
use crate::exec::space::Space;
use crate::exec::unit::{KIND_COUNT, Kind, Unit, load};
use crate::exec::{reference, thumb};
use crate::state::Visit;

/// Candidates of one unit at most.
pub(super) const CANDIDATE_COUNT: usize = 7;
/// Places candidates come from.
const ORIGIN_COUNT: usize = 6;
/// The unit's reference, led to where its target is in new.
const MAPPED: usize = 0;
/// The old word.
const RAW: usize = 1;
/// The old word changed like one or two strides before.
const STRIDES: [usize; 2] = [2, 3];
/// The old word changed like others of its value or operation.
const LIKE: [usize; 2] = [4, 5];
/// Stands for an origin that was not looked for.
const UNKNOWN: u8 = u8::MAX;
/// Of what a score can reach.
const SCORE_MAX: i16 = 256;
/// Trust in what the memo says, plus how often it was right.
const TRUST_MEMO: u32 = 8;
/// Trust in what is in the cover itself.
const TRUST_HOME: u32 = 6;
/// Trust where there is no reference.
const TRUST_NONE: u32 = 15;

/// Words that a unit may become, the likeliest first, all different.
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidates {
    words: [u64; CANDIDATE_COUNT],
    origins: [u8; CANDIDATE_COUNT],
    count: usize,
}

impl Candidates {
    fn add(&mut self, word: u64, origin: usize) {
        let known = self.words.get(..self.count).unwrap_or(&[]);
        if known.contains(&word) {
            return;
        }
        if let (Some(to), Some(from)) =
            (self.words.get_mut(self.count), self.origins.get_mut(self.count))
        {
            (*to, *from) = (word, origin as u8);
            self.count += 1;
        }
    }

    /// Word and origin of candidate number `at`.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<(u64, u8)> {
        let word = self.words.get(..self.count)?.get(at)?;
        Some((*word, *self.origins.get(at)?))
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }
}

/// A unit and what is predicted of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guess {
    /// The unit in old.
    pub unit: Unit,
    /// What it is most likely in new, and where that comes from.
    pub first: (u64, u8),
    /// All that it may be in new, that first, once [`Predictor::rank`] has listed them.
    pub candidates: Candidates,
    /// How the target was found, 15 without one.
    pub trust: u32,
    new_pos: u64,
    new_addr: u64,
    base: u64,
    mapped_target: u64,
    by_origin: ByOrigin,
}

/// A word of each origin that has one.
#[derive(Clone, Copy, Debug, Default)]
struct ByOrigin {
    words: [u64; ORIGIN_COUNT],
    /// Bit `i`: origin `i` has one.
    known: u8,
}

impl ByOrigin {
    fn put(&mut self, origin: usize, word: u64) {
        if let Some(slot) = self.words.get_mut(origin) {
            *slot = word;
            self.known |= 1 << (origin & 7);
        }
    }

    fn get(&self, origin: usize) -> Option<u64> {
        let is_known = self.known >> (origin & 7) & 1 != 0;
        self.words.get(origin).copied().filter(|_| is_known)
    }
}

/// Predicts units from what it knows of both images and has seen so far.
#[derive(Debug)]
pub struct Predictor<'w> {
    /// Both images, and the way through old.
    pub projection: Projection<'w>,
    memo: Memo<'w>,
    values: Values<'w>,
    deltas: Deltas,
    scores: [[i16; ORIGIN_COUNT]; KIND_COUNT],
    /// What [`best`] says of whole units of each kind, once it was asked.
    best: [u8; KIND_COUNT],
}

impl<'w> Predictor<'w> {
    /// Has seen nothing.
    #[must_use]
    #[inline(always)]
    pub fn new(space: Space<'w>, memo: Memo<'w>, values: Values<'w>) -> Self {
        Self {
            projection: Projection::new(space),
            memo,
            values,
            deltas: Deltas::default(),
            scores: [[0; ORIGIN_COUNT]; KIND_COUNT],
            best: [UNKNOWN; KIND_COUNT],
        }
    }

    /// Goes through what it knows.
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.projection.state(visit)?;
        self.memo.state(visit)?;
        self.values.state(visit)?;
        self.deltas.state(visit)?;
        for score in self.scores.as_flattened_mut() {
            let mut bytes = score.to_le_bytes();
            visit.bytes(&mut bytes)?;
            *score = i16::from_le_bytes(bytes);
        }
        self.best = [UNKNOWN; KIND_COUNT];
        Ok(())
    }

    /// What `unit` may be at `new_pos`.
    #[inline(always)]
    pub fn guess(&mut self, unit: &Unit, new_pos: u64) -> Guess {
        let mut guess = Guess { unit: *unit, new_pos, trust: TRUST_NONE, ..Guess::default() };
        self.refer(&mut guess);
        self.vary(&mut guess);
        let origin = match unit.kind.is_reference() || is_striding(unit) {
            true => self.best(unit),
            false => RAW,
        };
        guess.first = (guess.by_origin.get(origin).unwrap_or(unit.word), origin as u8);
        guess
    }

    /// The first candidate of [`Predictor::guess`], for units known to be that.
    pub fn first(&mut self, unit: &Unit, new_pos: u64) -> u64 {
        let Unit { kind, len, word, .. } = *unit;
        let is_striding = is_striding(unit);
        if !kind.is_reference() && !is_striding {
            return word;
        }
        if self.projection.is_home(unit) {
            return word;
        }
        let origin = self.best(unit);
        let plus = |delta: u32| word & !0xffff_ffff | u64::from((word as u32).wrapping_add(delta));
        let back = |at: usize| match (len, at) {
            (8, 2) => 6,
            (8, _) | (_, 2) => 2,
            _ => 1,
        };
        match origin {
            MAPPED => self.mapped(unit, new_pos),
            RAW => word,
            at @ (2 | 3) => plus(self.deltas.get(new_pos, back(at))),
            4 => plus(self.values.delta(word as u32)),
            _ => plus(self.deltas.get(new_pos, 6)),
        }
    }

    /// Units where `stand` is, in `most` bytes and at most `count`, that stay as they are if each
    /// is its first candidate; they are learnt as such. May be fewer than there are.
    pub fn plain(
        &mut self,
        view: &[u8],
        at: usize,
        stand: &Stand,
        most: usize,
        count: u64,
    ) -> Plain {
        let word = Unit { kind: Kind::Data, len: 4, ..Unit::default() };
        let are_words_plain = match self.best(&word) {
            RAW => true,
            // Changes of values are not looked up for so many.
            4 => false,
            _ => self.deltas.are_none(),
        };
        let plain = self.projection.plain(view, at, stand, (most, count), are_words_plain);
        if plain.are_words {
            self.deltas.stay(stand.new_pos, plain.len as u64);
        }
        plain
    }

    /// The origin of the first candidate.
    fn best(&mut self, unit: &Unit) -> usize {
        let at = unit.kind as usize;
        let (Some(scores), Some(known)) = (self.scores.get(at), self.best.get_mut(at)) else {
            return RAW;
        };
        if !is_whole(unit) {
            return best(scores, unit.kind, false).into();
        }
        if *known == UNKNOWN {
            *known = best(scores, unit.kind, true);
        }
        (*known).into()
    }

    /// A reference, led to where its target is in new.
    fn mapped(&mut self, unit: &Unit, new_pos: u64) -> u64 {
        let new_addr = self.projection.space.new_addr(new_pos);
        let base = self.base(unit);
        let target = match self.memo.get(unit.target) {
            Some((target, _)) => target,
            None => self.target(unit.target).0,
        };
        reference::write(unit, new_addr, target, base)
    }

    /// A unit became `word`, its first candidate, as was known before: only what later units
    /// need is kept of that.
    pub fn learn_known(&mut self, unit: &Unit, new_pos: u64, word: u64) {
        let delta = (word as u32).wrapping_sub(unit.word as u32);
        if is_striding(unit) || unit.kind == Kind::Data && unit.len == 8 {
            self.stride(unit, new_pos, word);
        }
        if delta != 0 && unit.len == 4 && unit.kind.is_value() {
            self.values.learn(unit.word as u32, delta);
        }
        if unit.is_part() {
            let new_addr = self.projection.space.new_addr(new_pos);
            self.projection.walker.read(unit, word, new_addr, 0);
        }
    }

    fn stride(&mut self, unit: &Unit, new_pos: u64, word: u64) {
        self.deltas.put(new_pos, (word as u32).wrapping_sub(unit.word as u32));
        if unit.len == 8 {
            let high = ((word >> 32) as u32).wrapping_sub((unit.word >> 32) as u32);
            self.deltas.put(new_pos.wrapping_add(4), high);
        }
    }

    /// Leads a reference to where its target is in new.
    fn refer(&mut self, guess: &mut Guess) {
        let unit = guess.unit;
        guess.by_origin.put(RAW, unit.word);
        if !unit.kind.is_reference() {
            return;
        }
        guess.new_addr = self.projection.space.new_addr(guess.new_pos);
        if self.projection.is_home(&unit) {
            guess.trust = TRUST_HOME;
            guess.by_origin.put(MAPPED, unit.word);
            return;
        }
        guess.base = self.base(&unit);
        let (mapped, trust) = self.target(unit.target);
        (guess.mapped_target, guess.trust) = (mapped, trust);
        let best = match self.memo.get(unit.target) {
            Some((target, count)) => {
                guess.trust = TRUST_MEMO + count;
                target
            }
            None => mapped,
        };
        let word = reference::write(&unit, guess.new_addr, best, guess.base);
        guess.by_origin.put(MAPPED, word);
    }

    /// What a reference counts from in new, 0 if that is its own address or nothing.
    fn base(&mut self, unit: &Unit) -> u64 {
        match unit.kind {
            Kind::Based => self.target(unit.aux).0,
            kind => self.projection.walker.base(kind),
        }
    }

    /// Where an old address is in new by the map or by what was seen near it, and how far that
    /// is to be trusted.
    fn target(&mut self, addr: u64) -> (u64, u32) {
        match self.projection.space.to_new(addr) {
            Some((to, Trust::Near)) => self.memo.near(addr, 4).unwrap_or((to, 2)),
            Some((to, trust)) => (to, trust as u32),
            None => self.memo.near(addr, 5).unwrap_or((addr, 3)),
        }
    }

    /// Words changed like others.
    fn vary(&mut self, guess: &mut Guess) {
        let Unit { word, kind, len, .. } = guess.unit;
        let pos = guess.new_pos;
        let plus = |delta: u32| word & !0xffff_ffff | u64::from((word as u32).wrapping_add(delta));
        let Guess { by_origin, .. } = guess;
        let mut put = |origin: usize, word: u64| by_origin.put(origin, word);
        if is_striding(&guess.unit) {
            let strides = if len == 8 { [6, 2] } else { [2, 1] };
            for (origin, stride) in STRIDES.into_iter().zip(strides) {
                put(origin, plus(self.deltas.get(pos, stride)));
            }
        }
        if len == 4 && kind.is_value() {
            for (origin, delta) in
                LIKE.into_iter().zip([self.values.delta(word as u32), self.deltas.get(pos, 6)])
            {
                put(origin, plus(delta));
            }
        } else if let Some(operation) = operation(&guess.unit) {
            for (origin, delta) in LIKE.into_iter().zip(self.values.of_operation(operation)) {
                put(origin, changed(&guess.unit, delta));
            }
        }
    }

    /// Lists the candidates, those whose origin was right most often first.
    pub fn rank(&self, guess: &mut Guess) {
        let kind = guess.unit.kind;
        let mut order: [usize; ORIGIN_COUNT] = [0, 1, 2, 3, 4, 5];
        if kind.is_reference() || is_striding(&guess.unit) {
            let none = [0; ORIGIN_COUNT];
            let scores = self.scores.get(kind as usize).unwrap_or(&none);
            let score = |origin: &usize| scores.get(*origin).copied().unwrap_or(0);
            insertion_sort(&mut order, |a, b| score(a) < score(b));
        } else {
            order = [1, 0, 2, 3, 4, 5];
        }
        for origin in order {
            let Some(word) = guess.by_origin.get(origin) else { continue };
            guess.candidates.add(word, origin);
            if origin == MAPPED && guess.trust >= TRUST_MEMO {
                let Guess { unit, new_addr, mapped_target, base, .. } = *guess;
                let word = reference::write(&unit, new_addr, mapped_target, base);
                guess.candidates.add(word, MAPPED);
            }
        }
    }

    /// The unit became `word`.
    pub fn learn(&mut self, guess: &Guess, word: u64) {
        let Guess { unit, new_pos, .. } = *guess;
        self.score(guess, word);
        let delta = (word as u32).wrapping_sub(unit.word as u32);
        if unit.len == 4 && unit.kind.is_value() {
            self.values.learn(unit.word as u32, delta);
        } else if let Some(operation) = operation(&unit)
            && let Some(delta) = change(&unit, word).filter(|delta| *delta != 0)
        {
            self.values.learn_operation(operation, delta);
        }
        if unit.len >= 4 {
            self.stride(&unit, new_pos, word);
        }
        if unit.kind.is_reference()
            && let Some(target) =
                self.projection.walker.read(&unit, word, guess.new_addr, guess.base)
        {
            self.remember(guess, word, target);
        }
    }

    fn remember(&mut self, guess: &Guess, word: u64, target: u64) {
        let from = guess.unit.target;
        if guess.trust == TRUST_HOME {
            return;
        }
        let is_known = guess.trust >= TRUST_MEMO;
        if guess.by_origin.get(MAPPED) == Some(word) {
            if guess.trust >= 2 {
                self.memo.learn(from, target, true, is_known);
            }
        } else if is_known || guess.mapped_target != target {
            self.memo.learn(from, target, true, true);
        }
    }

    fn score(&mut self, guess: &Guess, word: u64) {
        let kind = guess.unit.kind;
        if !kind.is_reference() && !is_striding(&guess.unit) {
            return;
        }
        let Some(scores) = self.scores.get_mut(kind as usize) else { return };
        for (score, origin) in scores.iter_mut().zip(0..) {
            if let Some(candidate) = guess.by_origin.get(origin) {
                let goal = if candidate == word { SCORE_MAX } else { 0 };
                *score += (goal - *score) / 8;
            }
        }
        if kind.is_reference()
            && let Some(score) = scores.first_mut()
        {
            *score += 1;
        }
        if let Some(best) = self.best.get_mut(kind as usize) {
            *best = UNKNOWN;
        }
    }
}

/// Whether a unit has the length that most of its kind have.
fn is_whole(unit: &Unit) -> bool {
    unit.len == 4
        || unit.kind == Kind::Pointer64
        || !(unit.kind.is_table_word() || unit.kind.is_value())
}

/// The origin with the highest score among those that units of `kind` have, the first of equal
/// ones.
fn best(scores: &[i16; ORIGIN_COUNT], kind: Kind, is_whole: bool) -> u8 {
    let is_striding = kind == Kind::Pointer64 || is_whole && kind.is_table_word();
    let is_value = is_whole && kind.is_value();
    let valid = [kind.is_reference(), true, is_striding, is_striding, is_value, is_value];
    let mut best = (RAW as u8, i16::MIN);
    for ((origin, score), is_valid) in (0..).zip(scores).zip(valid) {
        if is_valid && *score > best.1 {
            best = (origin, *score);
        }
    }
    best.0
}

/// Whether a unit may change like its neighbours in a table.
fn is_striding(unit: &Unit) -> bool {
    match unit.kind {
        Kind::Pointer64 => true,
        kind => unit.len == 4 && kind.is_table_word(),
    }
}

/// Number of an instruction's operation, for those that may change alike.
fn operation(unit: &Unit) -> Option<u32> {
    if unit.len != 4 {
        return None;
    }
    match unit.kind {
        Kind::Op => Some((unit.word >> 21) as u32 + 1),
        // Opcode and function.
        Kind::RiscVOp => Some((unit.word & 0x7c | unit.word >> 5 & 0x380) as u32 + 1),
        Kind::WideOp if thumb::immediate(unit.word as u32).is_some() => Some(7),
        Kind::WideOp => Some(0),
        _ => None,
    }
}

/// The unit changed by `delta`, immediates of Thumb by value.
fn changed(unit: &Unit, delta: u32) -> u64 {
    let word = unit.word as u32;
    if unit.kind != Kind::WideOp {
        return word.wrapping_add(delta).into();
    }
    let value = thumb::immediate(word).map(|value| value.wrapping_add(delta));
    match value.filter(|value| delta != 0 && (1..0x1_0000).contains(value)) {
        Some(value) => thumb::with_immediate(word, value).into(),
        None => word.into(),
    }
}

/// By what a unit changed, as [`changed`] takes it.
fn change(unit: &Unit, word: u64) -> Option<u32> {
    if unit.kind != Kind::WideOp {
        return Some((word as u32).wrapping_sub(unit.word as u32));
    }
    let before = thumb::immediate(unit.word as u32)?;
    Some(thumb::immediate(word as u32)?.wrapping_sub(before))
}

/// Sorts a few values, keeping the order of equal ones.
fn insertion_sort<T: Copy>(values: &mut [T], is_after: impl Fn(&T, &T) -> bool) {
    for end in 1..values.len() {
        let mut at = end;
        while at > 0
            && let (Some(a), Some(b)) = (values.get(at - 1), values.get(at))
            && is_after(a, b)
        {
            // INVARIANT: both were just read.
            values.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// The word of a unit in `bytes`, in the unit's byte order.
#[must_use]
pub(super) fn word_of(bytes: &[u8], len: u8, big_endian: bool) -> u64 {
    load(bytes.get(..usize::from(len)).unwrap_or(bytes), big_endian)
}
