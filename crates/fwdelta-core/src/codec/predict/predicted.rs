//! Units and literals through a model: the same code decodes and encodes.

use super::blocks::Blocks;
use super::cover::{Cover, Run};
use super::literals::{Matches, Past};
use super::predictor::{Guess, Predictor, word_of};
use super::{ByteFeatures, FlagFeatures, LiteralFeatures, Model, Number};
use crate::codec::range::BitCoder;
use crate::error::{Detail, Result};
use crate::exec::project::{SIGHT, Stand, View};
use crate::exec::unit::{KIND_COUNT, Kind, UNIT_LEN_MAX, Unit, store};
use crate::state::Visit;
use crate::storage::Source;

/// Whether units of runs are copied together: where code is flash, one at a time will do.
const COPIES_RUNS: bool = cfg!(any(target_pointer_width = "64", feature = "coder-fast"));
/// Bytes looked at behind those that may be copied: neighbours in a table.
const LOOK_LEN: usize = 8;

/// The new bytes of a unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made {
    /// The bytes.
    pub bytes: [u8; UNIT_LEN_MAX],
    /// How many.
    pub len: u8,
}

/// What comes next, as an encoder knows it.
#[derive(Clone, Copy, Debug)]
pub enum Due<'a> {
    /// Nobody knows: it is decoded.
    Unknown,
    /// New goes on like this.
    Known(&'a [u8]),
}

/// Codes new bytes.
#[derive(Debug)]
pub struct Predicted<'w, M> {
    /// What it predicts with.
    pub predictor: Predictor<'w>,
    /// What it codes with.
    pub model: M,
    matches: Option<Matches<'w>>,
    blocks: Blocks,
    cover: Cover,
    pos: u64,
    tail: u64,
    misses: u32,
    kind_misses: [u8; KIND_COUNT],
    last_word: u32,
    last_kind: Kind,
    /// Old position of the byte next to the literal at hand.
    gap_pos: u64,
    gap: [u8; 16],
    gap_start: u64,
    gap_len: usize,
}

impl<'w, M: Model> Predicted<'w, M> {
    /// Before the first byte.
    #[must_use]
    #[inline(always)]
    pub fn new(predictor: Predictor<'w>, model: M, matches: Option<Matches<'w>>) -> Self {
        Self {
            predictor,
            model,
            matches,
            blocks: Blocks::default(),
            cover: Cover::default(),
            pos: 0,
            tail: 0,
            misses: 0,
            kind_misses: [0; KIND_COUNT],
            last_word: 0,
            last_kind: Kind::Bytes,
            gap_pos: u64::MAX,
            gap: [0; 16],
            gap_start: 0,
            gap_len: 0,
        }
    }

    /// Position in new.
    #[must_use]
    pub const fn pos(&self) -> u64 {
        self.pos
    }

    /// Kind of the last unit, for accounts of where bits go.
    #[must_use]
    pub const fn last_kind(&self) -> Kind {
        self.last_kind
    }

    /// Bytes of the cover at hand still to come, and where they stand in old.
    #[must_use]
    pub const fn left(&self) -> (u64, u64) {
        (self.cover.old_pos, self.cover.left)
    }

    /// Goes through everything but old bytes that are read again.
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        self.model.state(visit)?;
        self.predictor.state(visit)?;
        self.blocks.state(visit)?;
        self.cover.state(visit)?;
        visit.u64(&mut self.pos)?;
        visit.u64(&mut self.tail)?;
        visit.u32(&mut self.misses)?;
        visit.bytes(&mut self.kind_misses)?;
        visit.u32(&mut self.last_word)?;
        let Some(matches) = &mut self.matches else { return Ok(()) };
        self.gap_len = 0;
        visit.u64(&mut self.gap_pos)?;
        matches.state(visit)
    }

    /// Goes on at position `pos` of new, in the middle of nothing.
    pub fn seek(&mut self, pos: u64) {
        self.pos = pos;
        (self.cover, self.blocks) = (Cover::default(), Blocks::default());
    }

    /// Enters old into the index of matches; to be called from its front to its back.
    pub fn index_old(&mut self, pos: u64, bytes: &[u8]) {
        if let Some(matches) = &mut self.matches {
            matches.index_old(pos, bytes);
        }
    }

    /// Old is indexed, the first byte of new comes next.
    pub fn start_new(&mut self) {
        if let Some(matches) = &mut self.matches {
            matches.start_new();
        }
    }

    /// A run of `len` literals begins; `gap_pos` is where old goes on beside it.
    pub fn start_literals(&mut self, gap_pos: u64, len: u64) {
        self.gap_pos = gap_pos;
        self.blocks = Blocks::of(len);
        if let Some(matches) = &mut self.matches {
            matches.start_run();
        }
    }

    /// A cover begins.
    pub fn start_cover(&mut self, old_pos: u64, len: u64) {
        self.cover = Cover { old_pos, left: len, ..Cover::default() };
        let stand = Stand { old_pos, new_pos: self.pos, left: len };
        self.predictor.projection.start_cover(&stand);
        self.last_word = 0;
    }

    fn enter(&mut self, byte: u8) {
        self.tail = self.tail << 8 | u64::from(byte);
        self.pos = self.pos.wrapping_add(1);
        if let Some(matches) = &mut self.matches {
            matches.push(byte);
        }
    }

    /// Whether a run was longer than its cover.
    #[must_use]
    pub const fn is_run_left(&self) -> bool {
        self.cover.left == 0 && matches!(self.cover.run, Run::Left(1..))
    }

    /// Whether the next unit of a decoder needs input.
    #[must_use]
    pub const fn needs_input(&self) -> bool {
        !matches!(self.cover.run, Run::Left(1..))
    }

    /// Whether a decoder's next step is the length of a run and not a unit.
    #[must_use]
    pub fn is_run_due(&self) -> bool {
        self.cover.streak == M::STREAK && self.cover.run == Run::None
    }

    /// Decodes how many units will be as predicted.
    ///
    /// # Errors
    /// `BadStream`.
    pub fn run<C: BitCoder>(&mut self, coder: &mut C) -> Result<()> {
        self.cover.run = Run::Left(self.model.number(coder, Number::Run, 0, 0)?);
        Ok(())
    }

    /// Codes the next unit, which stands at `at` in `view`.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    pub fn unit<C: BitCoder>(
        &mut self,
        coder: &mut C,
        view: &[u8],
        at: usize,
        due: Due<'_>,
    ) -> Result<Made> {
        let Cover { old_pos, left, .. } = self.cover;
        let unit = self.predictor.projection.unit(view, at, old_pos, left);
        let len = unit.len;
        let is_big = self.predictor.projection.is_big_endian();
        let truth = match due {
            Due::Known(new) => Some(word_of(new, len, is_big)),
            Due::Unknown => None,
        };
        let word = self.word(coder, unit, truth, is_big)?;
        let made = Made { bytes: store(word, len, is_big), len };
        self.enter_unit(&made);
        self.last_word = unit.word as u32;
        self.last_kind = unit.kind;
        self.advance(len.into());
        Ok(made)
    }

    /// Decodes units of a run into `out`, as long as whole ones fit and `view` shows enough around
    /// them; gives how many bytes.
    pub fn known_units(&mut self, view: View<'_>, out: &mut [u8]) -> usize {
        let end = view.start.saturating_add(view.bytes.len() as u64);
        let (mut done, mut may_be_plain) = (0usize, COPIES_RUNS && !M::IS_LARGE);
        while let Run::Left(count @ 1..) = self.cover.run
            && let Some(room) = out.get_mut(done..).filter(|room| room.len() >= UNIT_LEN_MAX)
            && self.cover.left > 0
            && self.cover.old_pos + SIGHT <= end
        {
            if may_be_plain {
                let len;
                (len, may_be_plain) = self.plain_units(view, count, room);
                done += len;
                if len > 0 {
                    continue;
                }
            }
            done += self.known_unit(view, count, room);
            may_be_plain = COPIES_RUNS && !M::IS_LARGE;
        }
        done
    }

    /// Decodes a unit of a run, of which `count` bytes are left.
    #[inline]
    fn known_unit(&mut self, view: View<'_>, count: u64, out: &mut [u8]) -> usize {
        let Cover { old_pos, left, .. } = self.cover;
        let at = old_pos.wrapping_sub(view.start) as usize;
        let unit = self.predictor.projection.unit(view.bytes, at, old_pos, left);
        self.cover.run = Run::Left(count - 1);
        let word = self.predictor.first(&unit, self.pos);
        self.predictor.learn_known(&unit, self.pos, word);
        let is_big = self.predictor.projection.is_big_endian();
        let made = Made { bytes: store(word, unit.len, is_big), len: unit.len };
        if let Some(room) = out.first_chunk_mut::<UNIT_LEN_MAX>() {
            *room = made.bytes;
        }
        self.enter_unit(&made);
        self.last_word = unit.word as u32;
        self.advance(unit.len.into());
        unit.len.into()
    }

    /// Copies units of a run, of which `count` are left, that stay as they are; gives how many
    /// bytes, and whether there may be more of them.
    fn plain_units(&mut self, view: View<'_>, count: u64, out: &mut [u8]) -> (usize, bool) {
        let Cover { old_pos, left, .. } = self.cover;
        let at = old_pos.wrapping_sub(view.start) as usize;
        let bytes = view.bytes.get(at..).unwrap_or(&[]);
        let most = out.len().min(bytes.len().saturating_sub(LOOK_LEN));
        let stand = Stand { old_pos, new_pos: self.pos, left };
        let plain = self.predictor.plain(view.bytes, at, &stand, most, count);
        let len = crate::codec::copy(out, bytes.get(..plain.len).unwrap_or(&[]));
        self.cover.run = Run::Left(count.saturating_sub(plain.units));
        self.enter_bytes(bytes.get(..len).unwrap_or(&[]));
        self.advance(len as u64);
        (len, plain.is_cut)
    }

    /// Enters bytes of new that no match is looked for in.
    fn enter_bytes(&mut self, bytes: &[u8]) {
        if let Some(matches) = &mut self.matches {
            matches.pass(bytes);
        }
        for byte in bytes.get(bytes.len().saturating_sub(8)..).unwrap_or(&[]) {
            self.tail = self.tail << 8 | u64::from(*byte);
        }
        self.pos = self.pos.wrapping_add(bytes.len() as u64);
    }

    /// Enters the bytes of a unit.
    fn enter_unit(&mut self, made: &Made) {
        let unused = 64u32.wrapping_sub(8 * u32::from(made.len)) & 63;
        let bytes = u64::from_be_bytes(made.bytes) >> unused;
        let kept = if made.len >= 8 { 0 } else { self.tail << (8 * u32::from(made.len)) };
        self.tail = kept | bytes;
        self.pos = self.pos.wrapping_add(made.len.into());
        if let Some(matches) = &mut self.matches {
            matches.pass(made.bytes.get(..usize::from(made.len)).unwrap_or(&[]));
        }
    }

    fn advance(&mut self, len: u64) {
        self.cover.old_pos = self.cover.old_pos.wrapping_add(len);
        self.cover.left = self.cover.left.saturating_sub(len);
        self.cover.done = self.cover.done.saturating_add(len);
    }

    /// Ends a cover for an encoder.
    ///
    /// # Errors
    /// None from an encoder.
    pub fn end_cover<C: BitCoder>(&mut self, coder: &mut C) -> Result<()> {
        if let Run::Counted(count) = self.cover.run {
            self.cover.run = Run::None;
            self.code_run(coder, count)?;
        }
        Ok(())
    }

    /// Whether an encoder is within a run.
    #[must_use]
    pub const fn is_counting(&self) -> bool {
        matches!(self.cover.run, Run::Counted(_))
    }

    /// Codes the length of a run, and what was deferred until it is known.
    fn code_run<C: BitCoder>(&mut self, coder: &mut C, count: u64) -> Result<()> {
        self.model.number(coder, Number::Run, 0, count)?;
        while let Some((context, value)) = coder.deferred() {
            self.model.number(coder, Number::Page, context, value)?;
        }
        Ok(())
    }

    fn word<C: BitCoder>(
        &mut self,
        coder: &mut C,
        unit: Unit,
        truth: Option<u64>,
        is_big: bool,
    ) -> Result<u64> {
        let mut place = 0;
        match (self.cover.run, truth) {
            (Run::None, Some(_)) if self.cover.streak == M::STREAK => {
                self.cover.run = Run::Counted(0);
            }
            (Run::Left(0), _) => {
                (self.cover.run, self.cover.streak, place) = (Run::None, 0, 1);
            }
            _ => {}
        }
        if let Run::Counted(count) = self.cover.run {
            let first = self.predictor.first(&unit, self.pos);
            if truth == Some(first) {
                self.cover.run = Run::Counted(count + 1);
                self.predictor.learn_known(&unit, self.pos, first);
                return Ok(first);
            }
            self.code_run(coder, count)?;
            (self.cover.run, self.cover.streak, place) = (Run::None, 0, 1);
        }
        if let Run::Left(left) = self.cover.run {
            self.cover.run = Run::Left(left - 1);
            let first = self.predictor.first(&unit, self.pos);
            self.predictor.learn_known(&unit, self.pos, first);
            return Ok(first);
        }
        let mut guess = self.predictor.guess(&unit, self.pos);
        if M::IS_LARGE {
            self.predictor.rank(&mut guess);
        }
        let word = self.choose(coder, &mut guess, truth, is_big, place)?;
        self.predictor.learn(&guess, word);
        Ok(word)
    }

    /// Codes which candidate is right, from number `place` on, or the bytes when none is.
    fn choose<C: BitCoder>(
        &mut self,
        coder: &mut C,
        guess: &mut Guess,
        truth: Option<u64>,
        is_big: bool,
        place: usize,
    ) -> Result<u64> {
        let mut features = self.features(guess);
        let mut found = None;
        for at in place.. {
            let Some((word, origin)) = self.candidate(guess, at) else { break };
            (features.place, features.origin) = (at as u32, origin.into());
            let is_miss = truth.is_some_and(|truth| truth != word);
            if !self.model.miss(coder, &features, is_miss)? {
                found = Some((word, at));
                break;
            }
        }
        let is_miss = !matches!(found, Some((_, 0)));
        self.cover.streak = if is_miss { 0 } else { self.cover.streak.saturating_add(1) };
        self.misses = self.misses << 1 | u32::from(is_miss);
        if let Some(misses) = self.kind_misses.get_mut(guess.unit.kind as usize) {
            *misses = *misses << 1 | u8::from(is_miss);
        }
        match found {
            Some((word, _)) => Ok(word),
            None => self.bytes(coder, guess, truth, is_big),
        }
    }

    /// Candidate number `at`: most are never asked for any but the first.
    fn candidate(&self, guess: &mut Guess, at: usize) -> Option<(u64, u8)> {
        if at == 0 {
            return Some(guess.first);
        }
        if guess.candidates.count() == 0 {
            self.predictor.rank(guess);
        }
        guess.candidates.get(at)
    }

    fn features(&self, guess: &Guess) -> FlagFeatures {
        let unit = &guess.unit;
        let Cover { left, done, .. } = self.cover;
        let target = if unit.kind.is_reference() { unit.target } else { unit.word };
        let kind_misses = self.kind_misses.get(unit.kind as usize).copied().unwrap_or(0);
        let near_end = 64u32.wrapping_sub(left.leading_zeros()).min(7);
        FlagFeatures {
            kind: unit.kind,
            place: 0,
            origin: 0,
            is_raw: guess.first.0 == unit.word,
            trust: guess.trust,
            misses: self.misses,
            kind_misses: kind_misses.into(),
            word: unit.word as u32,
            last_word: self.last_word,
            edge: near_end | u32::from(done < 16) << 3,
            target: (target ^ target >> 32) as u32,
            count: guess.candidates.count() as u32,
        }
    }

    /// Codes the bytes of a unit that no candidate had right, in the order of new.
    fn bytes<C: BitCoder>(
        &mut self,
        coder: &mut C,
        guess: &Guess,
        truth: Option<u64>,
        is_big: bool,
    ) -> Result<u64> {
        let unit = &guess.unit;
        let expected = store(guess.first.0, unit.len, is_big);
        let raw = store(unit.word, unit.len, is_big);
        let truth = store(truth.unwrap_or(0), unit.len, is_big);
        let mut made = [0; UNIT_LEN_MAX];
        let mut features = ByteFeatures {
            kind: unit.kind,
            at: 0,
            expected: 0,
            raw: 0,
            word: unit.word as u32,
            so_far: 0,
            differing: 0,
            is_last: false,
            tail: self.tail,
        };
        let places = made.iter_mut().zip(expected).zip(raw).zip(truth);
        for (at, (((slot, expected), raw), truth)) in places.take(unit.len.into()).enumerate() {
            features.at = at as u32;
            (features.expected, features.raw) = (expected, raw);
            features.is_last = at + 1 == usize::from(unit.len) && features.differing == 0;
            let byte = self.model.byte(coder, &features, truth)?;
            *slot = byte;
            features.differing |= u32::from(byte != expected) << at;
            features.so_far = features.so_far << 8 | u32::from(byte);
            features.tail = features.tail << 8 | u64::from(byte);
        }
        Ok(word_of(&made, unit.len, is_big))
    }

    /// How many literals the block has that begins here, if one does.
    #[must_use]
    pub fn block_due(&self) -> Option<u64> {
        self.blocks.due()
    }

    /// Codes whether the block that begins here is noise, whose bytes stand as they are between
    /// those of the range coder.
    ///
    /// # Errors
    /// `BadStream` when the input ends.
    pub fn block<C: BitCoder>(&mut self, coder: &mut C, is_noise: bool) -> Result<()> {
        let context = 1 << 22 | u32::from(self.blocks.is_noise);
        let is_noise = self.model.decide(coder, [context; 2], 3, is_noise)?;
        self.blocks.start(is_noise);
        if let Some(matches) = self.matches.as_mut().filter(|_| is_noise) {
            matches.start_run();
        }
        Ok(())
    }

    /// How many bytes of noise come next.
    #[must_use]
    pub const fn noise_left(&self) -> u64 {
        self.blocks.noise_left()
    }

    /// These come, at most [`Predicted::noise_left`].
    pub fn enter_noise(&mut self, bytes: &[u8]) {
        self.enter_bytes(bytes);
        self.blocks.pass(bytes.len() as u64);
        self.gap_pos = self.gap_pos.wrapping_add(bytes.len() as u64);
    }

    /// Codes a literal byte that is no noise.
    ///
    /// # Errors
    /// `BadStream` when the input ends, `ReadFailed`.
    pub fn literal<C: BitCoder, S: Source>(
        &mut self,
        coder: &mut C,
        old: &mut S,
        old_len: u64,
        truth: u8,
    ) -> Result<u8> {
        let gap = if M::IS_LARGE { self.gap(old, old_len)? } else { 0 };
        let past = match &mut self.matches {
            Some(matches) => matches.past(old)?,
            None => Past::default(),
        };
        let features = LiteralFeatures {
            pos: self.pos,
            tail: self.tail,
            gap,
            expected: past.expected,
            match_len: past.len,
            match_misses: past.misses,
        };
        let byte = self.model.literal(coder, &features, truth)?;
        if let Some(matches) = &mut self.matches {
            matches.settle(past.expected, byte);
        }
        self.enter(byte);
        self.blocks.pass(1);
        self.gap_pos = self.gap_pos.wrapping_add(1);
        Ok(byte)
    }

    /// The byte of old beside the literal at hand; 0 outside of old.
    fn gap<S: Source>(&mut self, old: &mut S, old_len: u64) -> Result<u8> {
        let pos = self.gap_pos;
        if pos >= old_len {
            return Ok(0);
        }
        if pos.wrapping_sub(self.gap_start) >= self.gap_len as u64 {
            let len = (old_len - pos).min(self.gap.len() as u64) as usize;
            let room = self.gap.get_mut(..len).unwrap_or(&mut []);
            old.read(pos, room).map_err(|_| Detail::ReadFailed)?;
            (self.gap_start, self.gap_len) = (pos, len);
        }
        Ok(self.gap.get(pos.wrapping_sub(self.gap_start) as usize).copied().unwrap_or(0))
    }
}
