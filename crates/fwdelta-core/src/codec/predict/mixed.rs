//! The large model: for each decision up to twelve contexts, each with opinions of its own,
//! mixed by weights that learn.
//!
//! Flags and numbers have a probability, a slot, for each context. Bytes have more contexts, most
//! of them met once or twice: each has a trace, and what traces are worth is learnt for all alike.

use super::heads::{self, BYTE_TRACES, LITERAL_TRACES};
use super::mixer::Mixer;
use super::nodes::{BUCKET_LEN, Nodes};
use super::refined::{ROW_LEN, Refined};
use super::squash::{squash, stretch};
use super::traces::{NEXT, TRACE_COUNT, suggested};
use super::{ByteFeatures, FlagFeatures, LiteralFeatures, Model, hash};
use crate::codec::range::BitCoder;
use crate::error::Result;
use crate::exec::unit::KIND_COUNT;
use crate::state::Visit;

/// Bytes of a probability in memory: 22 bits, and 10 of how often it was met.
pub(super) const SLOT_LEN: usize = 4;
/// Opinions on a bit of a byte of a unit: one of each trace, one of a slot, and a constant. A
/// multiple of eight, as those of literals: so many are summed at once.
const BYTE_OPINIONS: usize = BYTE_TRACES + 2;
/// The same of a literal, but two of each trace.
const LITERAL_OPINIONS: usize = 2 * LITERAL_TRACES + 2;
/// Bytes of a set of weights for flags, numbers and bytes of units.
pub(super) const NARROW_LEN: usize = 4 * BYTE_OPINIONS;
/// Bytes of a set of weights for literals.
pub(super) const WIDE_LEN: usize = 4 * LITERAL_OPINIONS;
/// What traces are worth: a slot for each, of each context.
pub(super) const WORTH_COUNT: usize = TRACE_COUNT * (BYTE_TRACES + LITERAL_TRACES);

const FLAG_SETS: usize = 16;
const BYTE_SETS: usize = FLAG_SETS + 6 * KIND_COUNT;
/// Sets of the second mixing: numbers, flags, bytes.
const SECOND_SETS: usize = BYTE_SETS + 48 * KIND_COUNT;
const SECOND_FLAG_SETS: usize = SECOND_SETS + 16;
const SECOND_BYTE_SETS: usize = SECOND_FLAG_SETS + 256;
/// Sets for flags, numbers and bytes of units.
pub(super) const NARROW_COUNT: usize = SECOND_BYTE_SETS + 256;
/// Sets for literals: by match, by the byte before, by the bits before.
const BEFORE_SETS: usize = 32;
const NODE_SETS: usize = BEFORE_SETS + 256;
/// All of them.
pub(super) const WIDE_COUNT: usize = NODE_SETS + 256;
/// Entries of refinement: a row for the bits before and what the match expects.
pub(super) const REFINED_COUNT: usize = (3 << 8) * ROW_LEN;

/// Weights have 28 bits behind the point. Those of flags and numbers start at 0.25.
const WEIGHT_START: i32 = 1 << 26;
const BYTE_WEIGHT_START: i32 = 280_000 << 8;
const LITERAL_WEIGHT_START: i32 = 120_000 << 8;
/// How fast weights learn: flags and numbers, bytes of units.
const PACE: i32 = 1310;
const BYTE_PACE: i32 = 600;
/// The same of literals, at the start and in the end, by 65,536; the difference shrinks by a 2^14th
/// with each literal.
const LITERAL_PACE_START: i32 = 800 << 16;
const LITERAL_PACE_END: i32 = 220 << 16;
const LITERAL_PACE_SHIFT: u32 = 14;
/// Probabilities stop adapting more slowly at this count.
const COUNT_MAX: u32 = 127;
/// The same of what traces are worth.
const WORTH_COUNT_MAX: u32 = 255;
/// An opinion that is always the same.
const CONSTANT: i16 = 256;
/// Logarithm of how many times fewer slots there are than the model log says, and fewer buckets.
pub(super) const SLOT_LOG_LESS: u8 = 4;
/// See [`SLOT_LOG_LESS`].
pub(super) const BUCKET_LOG_LESS: u8 = 3;
/// Smallest probability of either value, of 65,536.
const PROBABILITY_FLOOR: u32 = 4;

/// How much probabilities adapt, of 65,536, by how often they were met.
#[derive(Debug)]
pub(super) struct Rates([u16; WORTH_COUNT_MAX as usize + 1]);

impl Rates {
    fn new() -> Self {
        let mut rates = [0; WORTH_COUNT_MAX as usize + 1];
        for (count, rate) in (0u32..).zip(&mut rates) {
            // 1 / (count + 1.6).
            *rate = 655_360u32.checked_div(10 * count + 16).unwrap_or(0) as u16;
        }
        Self(rates)
    }

    /// A slot after `bit`: the more often it was met, up to `most`, the less it moves.
    #[inline]
    pub(super) fn adapted(&self, slot: u32, bit: bool, most: u32) -> u32 {
        let (p, count) = (slot >> 10, slot & 1023);
        let rate = u64::from(self.0.get(count as usize).copied().unwrap_or(0));
        let p = if bit {
            p + ((u64::from((1 << 22) - 1 - p) * rate) >> 16) as u32
        } else {
            p - ((u64::from(p) * rate) >> 16) as u32
        };
        p << 10 | (count + 1).min(most)
    }
}

/// Probabilities, traces and weights.
#[derive(Debug)]
pub struct Mixed<'w> {
    slots: &'w mut [[u8; SLOT_LEN]],
    mask: u32,
    nodes: Nodes<'w>,
    worth: &'w mut [[u8; SLOT_LEN]],
    narrow: Mixer<'w, NARROW_LEN>,
    wide: Mixer<'w, WIDE_LEN>,
    refined: Refined<'w>,
    literal_pace: i32,
    rates: Rates,
}

/// The memory of a [`Mixed`]: each table has the length that the constants say, slots and buckets a
/// power of two.
pub(super) struct MixedTables<'w> {
    pub(super) slots: &'w mut [[u8; SLOT_LEN]],
    pub(super) buckets: &'w mut [[u8; BUCKET_LEN]],
    pub(super) worth: &'w mut [[u8; SLOT_LEN]],
    pub(super) narrow: &'w mut [[u8; NARROW_LEN]],
    pub(super) wide: &'w mut [[u8; WIDE_LEN]],
    pub(super) refined: &'w mut [[u8; SLOT_LEN]],
}

/// The contexts of a byte whose bits are coded.
struct Byte<const T: usize> {
    heads: [u32; T],
    buckets: [u32; T],
    /// Where in the buckets.
    place: u32,
    /// The bits so far, behind a 1.
    node: u32,
    /// Number of the first context's slots among what traces are worth.
    first: u32,
}

/// What is known of a bit: traces, where it stands what they are worth, and that.
struct Sight<const T: usize> {
    traces: [u8; T],
    places: [u32; T],
    worth: [u32; T],
    context: u32,
    slot: u32,
}

impl<const T: usize> Byte<T> {
    const fn new(heads: [u32; T], first: u32) -> Self {
        Self { heads, buckets: [0; T], place: 1, node: 1, first }
    }

    /// Looks the buckets up, at the start of each half.
    fn look_up(&mut self, nodes: &mut Nodes<'_>) {
        if self.node == 1 || self.node >> 4 == 1 {
            self.buckets = self.heads;
            for context in &mut self.buckets {
                *context = hash(*context, self.node);
            }
            nodes.fetch(&self.buckets);
            for bucket in &mut self.buckets {
                *bucket = nodes.find(*bucket);
            }
            self.place = 1;
        }
    }

    fn push(&mut self, bit: bool) {
        self.place = self.place << 1 | u32::from(bit);
        self.node = self.node << 1 | u32::from(bit);
    }

    /// The context with a slot for the next bit: that of all bits, and where in it. They stand side
    /// by side in memory, and there is no first node where something is coming.
    const fn beside(&self, context: u32, coming: u32) -> u32 {
        context.wrapping_add(if coming > 0 { coming - 1 } else { self.node })
    }

    /// 1 plus the next bit of `byte`, or 0 if its bits so far were others.
    fn coming(&self, byte: Option<u8>, bit_at: u32) -> u32 {
        match byte.map(u32::from) {
            Some(byte) if (byte | 256) >> (bit_at + 1) == self.node => 1 + (byte >> bit_at & 1),
            _ => 0,
        }
    }
}

impl<const T: usize> Sight<T> {
    /// An opinion of each trace, then the others.
    #[inline(always)]
    fn opinions<const N: usize>(&self) -> [i16; N] {
        let mut opinions = [0; N];
        for ((opinion, worth), trace) in opinions.iter_mut().zip(&self.worth).zip(&self.traces) {
            *opinion = if *trace == 0 { 0 } else { stretch(worth >> 20) };
        }
        self.with_others(opinions)
    }

    /// Two opinions of each trace, then the others.
    #[inline(always)]
    fn double_opinions<const N: usize>(&self) -> [i16; N] {
        let mut opinions = [0; N];
        let pairs = opinions.as_chunks_mut::<2>().0.iter_mut();
        for ((pair, worth), trace) in pairs.zip(&self.worth).zip(&self.traces) {
            let p = worth >> 20;
            *pair = if *trace == 0 { [0, 0] } else { [stretch(p), (p as i16 - 2048) >> 2] };
        }
        self.with_others(opinions)
    }

    fn with_others<const N: usize>(&self, mut opinions: [i16; N]) -> [i16; N] {
        if let [.., by_slot, constant] = opinions.as_mut_slice() {
            (*by_slot, *constant) = (stretch(self.slot >> 20), CONSTANT);
        }
        opinions
    }
}

impl<'w> Mixed<'w> {
    /// A model that has learnt nothing.
    #[must_use]
    pub(super) fn new(tables: MixedTables<'w>) -> Self {
        let MixedTables { slots, buckets, worth, narrow, wide, refined } = tables;
        slots.fill((1u32 << 31).to_le_bytes());
        for (trace, slot) in worth.iter_mut().enumerate() {
            *slot = (suggested(trace as u8) << 10).to_le_bytes();
        }
        let start = |set: usize| match set {
            BYTE_SETS..SECOND_SETS | SECOND_BYTE_SETS.. => BYTE_WEIGHT_START,
            _ => WEIGHT_START,
        };
        Self {
            mask: (slots.len() as u32).wrapping_sub(1),
            slots,
            nodes: Nodes::new(buckets),
            worth,
            narrow: Mixer::new(narrow, start),
            wide: Mixer::new(wide, |_| LITERAL_WEIGHT_START),
            refined: Refined::new(refined),
            literal_pace: LITERAL_PACE_START,
            rates: Rates::new(),
        }
    }

    fn slot(&self, context: u32) -> u32 {
        let bytes = self.slots.get((context & self.mask) as usize).copied();
        u32::from_le_bytes(bytes.unwrap_or_default())
    }

    fn learn_slot(&mut self, context: u32, slot: u32, bit: bool) {
        if let Some(place) = self.slots.get_mut((context & self.mask) as usize) {
            *place = self.rates.adapted(slot, bit, COUNT_MAX).to_le_bytes();
        }
    }

    /// Mixes opinions under two narrow sets, codes, and lets the weights learn.
    fn mix<C: BitCoder, const N: usize>(
        &mut self,
        coder: &mut C,
        opinions: &[i16; N],
        sets: [usize; 2],
        pace: i32,
        bit: bool,
    ) -> Result<bool> {
        let [a, b] = self.narrow.odds(opinions, sets);
        let bit = coder.bit(floored(squash((a + b) >> 1)), bit)?;
        let [first, second] = sets;
        self.narrow.learn(opinions, [(first, a), (second, b)], pace, bit);
        Ok(bit)
    }

    /// Codes a decision in contexts that have a slot each.
    fn code<C: BitCoder, const N: usize>(
        &mut self,
        coder: &mut C,
        contexts: &[u32; N],
        sets: [usize; 2],
        bit: bool,
    ) -> Result<bool> {
        let (mut slots, mut opinions) = ([0; N], [0; N]);
        for ((slot, opinion), context) in slots.iter_mut().zip(&mut opinions).zip(contexts) {
            *slot = self.slot(*context);
            *opinion = if *slot & 1023 == 0 { 0 } else { stretch(*slot >> 20) };
        }
        let bit = self.mix(coder, &opinions, sets, PACE, bit)?;
        for (context, slot) in contexts.iter().zip(slots) {
            self.learn_slot(*context, slot, bit);
        }
        Ok(bit)
    }

    /// What is known of the next bit of a byte, with one slot besides.
    #[inline(always)]
    fn see<const T: usize>(&self, byte: &Byte<T>, context: u32) -> Sight<T> {
        let (mut traces, mut places, mut worth) = ([0; T], [0; T], [0; T]);
        for (trace, bucket) in traces.iter_mut().zip(&byte.buckets) {
            *trace = self.nodes.trace(*bucket, byte.place);
        }
        for ((at, place), trace) in (byte.first..).zip(&mut places).zip(&traces) {
            *place = at << 8 | u32::from(*trace);
        }
        for (worth, place) in worth.iter_mut().zip(&places) {
            let slot = self.worth.get(*place as usize).copied();
            *worth = u32::from_le_bytes(slot.unwrap_or_default());
        }
        Sight { traces, places, worth, context, slot: self.slot(context) }
    }

    /// The bit was `bit`.
    fn learn<const T: usize>(&mut self, byte: &mut Byte<T>, sight: &Sight<T>, bit: bool) {
        for (bucket, trace) in byte.buckets.into_iter().zip(sight.traces) {
            let [zero, one] = NEXT.get(usize::from(trace)).copied().unwrap_or_default();
            self.nodes.set(bucket, byte.place, if bit { one } else { zero });
        }
        for (place, slot) in sight.places.into_iter().zip(sight.worth) {
            if let Some(to) = self.worth.get_mut(place as usize) {
                *to = self.rates.adapted(slot, bit, WORTH_COUNT_MAX).to_le_bytes();
            }
        }
        self.learn_slot(sight.context, sight.slot, bit);
        byte.push(bit);
    }

    /// Mixes opinions on a literal under three wide sets, refines, codes, and learns.
    fn mix_literal<C: BitCoder>(
        &mut self,
        coder: &mut C,
        opinions: &[i16; LITERAL_OPINIONS],
        sets: [usize; 3],
        row: u32,
        bit: bool,
    ) -> Result<bool> {
        let [a, b, c] = self.wide.odds(opinions, sets);
        let odds = (a + b + c) / 3;
        let refinement = self.refined.refine(row, odds);
        let p = (squash(odds) + refinement.p) >> 1;
        let bit = coder.bit(floored(p), bit)?;
        let [first, second, third] = sets;
        let sets = [(first, a), (second, b), (third, c)];
        self.wide.learn(opinions, sets, self.literal_pace >> 16, bit);
        self.refined.learn(refinement, &self.rates, bit);
        Ok(bit)
    }
}

/// Keeps a probability away from certainty.
fn floored(p: u32) -> u32 {
    p.clamp(PROBABILITY_FLOOR, 65_536 - PROBABILITY_FLOOR)
}

impl Model for Mixed<'_> {
    const IS_LARGE: bool = true;
    // Where so many were right, a flag costs more than what it tells: probabilities have a floor.
    const STREAK: u32 = 4096;

    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.slots.as_flattened_mut())?;
        self.nodes.state(visit)?;
        visit.bytes(self.worth.as_flattened_mut())?;
        self.narrow.state(visit)?;
        self.wide.state(visit)?;
        self.refined.state(visit)?;
        let mut pace = self.literal_pace as u32;
        visit.u32(&mut pace)?;
        self.literal_pace = pace as i32;
        Ok(())
    }

    fn decide<C: BitCoder>(
        &mut self,
        coder: &mut C,
        contexts: [u32; 2],
        set: usize,
        bit: bool,
    ) -> Result<bool> {
        let contexts = contexts.map(|context| hash(context, 1));
        self.code(coder, &contexts, [set, SECOND_SETS + set], bit)
    }

    fn miss<C: BitCoder>(
        &mut self,
        coder: &mut C,
        f: &FlagFeatures,
        is_miss: bool,
    ) -> Result<bool> {
        let kind = f.kind as u32;
        let base = kind << 10 | f.place << 5 | f.origin << 1 | u32::from(f.is_raw);
        let contexts = [
            hash(40, base | (f.misses & 7) << 16 | f.trust << 20),
            hash(41, base | (f.kind_misses & 15) << 16 | f.trust << 20),
            hash(hash(42, base), f.word),
            hash(hash(43, base), f.word ^ f.last_word.wrapping_mul(0x2f0b_4c47)),
            hash(44, base | f.edge << 16 | (f.misses & 3) << 24),
            hash(hash(45, base | f.trust << 24), f.target),
            hash(hash(46, base), f.misses & 0xff | f.count << 8 | f.trust << 12),
        ];
        let set = FLAG_SETS + 6 * f.kind as usize + f.place.min(5) as usize;
        let second = SECOND_FLAG_SETS + (f.misses & 255) as usize;
        self.code(coder, &contexts, [set, second], is_miss)
    }

    fn byte<C: BitCoder>(&mut self, coder: &mut C, f: &ByteFeatures, value: u8) -> Result<u8> {
        let (heads, last) = heads::of_byte(f);
        let set = BYTE_SETS
            + 48 * f.kind as usize
            + 24 * usize::from(f.differing != 0)
            + 3 * f.at.min(7) as usize;
        let mut byte = Byte::new(heads, 0);
        for bit_at in (0..8).rev() {
            byte.look_up(&mut self.nodes);
            let coming = byte.coming(Some(f.expected), bit_at);
            let node = byte.node;
            let sight = self.see(&byte, byte.beside(last, coming));
            let opinions: [_; BYTE_OPINIONS] = sight.opinions();
            let sets = [set + coming as usize, SECOND_BYTE_SETS + node as usize];
            let bit = self.mix(coder, &opinions, sets, BYTE_PACE, value >> bit_at & 1 != 0)?;
            self.learn(&mut byte, &sight, bit);
        }
        Ok(byte.node as u8)
    }

    fn literal<C: BitCoder>(
        &mut self,
        coder: &mut C,
        f: &LiteralFeatures,
        value: u8,
    ) -> Result<u8> {
        self.literal_pace -= (self.literal_pace - LITERAL_PACE_END) >> LITERAL_PACE_SHIFT;
        let before = f.tail as u32 & 255;
        let class = heads::match_class(f);
        let by_match = hash(29, class << 2 | (f.match_misses & 7) << 8);
        let mut byte = Byte::new(heads::of_literal(f), BYTE_TRACES as u32);
        for bit_at in (0..8).rev() {
            byte.look_up(&mut self.nodes);
            let coming = byte.coming(f.expected, bit_at);
            let node = byte.node;
            let sight = self.see(&byte, byte.beside(by_match, coming));
            let opinions: [_; LITERAL_OPINIONS] = sight.double_opinions();
            let sets = [
                2 * class as usize + usize::from(coming > 0),
                BEFORE_SETS + before as usize,
                NODE_SETS + node as usize,
            ];
            let row = coming << 8 | node;
            let bit = self.mix_literal(coder, &opinions, sets, row, value >> bit_at & 1 != 0)?;
            self.learn(&mut byte, &sight, bit);
        }
        Ok(byte.node as u8)
    }
}
