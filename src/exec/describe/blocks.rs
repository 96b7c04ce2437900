//! Which instruction sets an image holds, and which of its blocks are code of which.
//!
//! First all blocks vote: an instruction set that is not seen in many neighbouring blocks is not
//! there at all. Then the most plausible sequence of classes is found, in which changing costs
//! something (Viterbi, 1967): a weak block takes its neighbours' class.

use super::score::{BLOCK_LEN, Evidence, ISA_COUNT, ISAS, evidence};
use fwdelta_core::exec::layout::Content;
use rayon::prelude::*;

/// Evidence that one change of class between blocks has to be worth.
const CHANGE_COST: i32 = 48;
/// Evidence from which on a block counts in the vote, for itself and its predecessor.
const VOTE_MIN: i16 = 64;
/// Blocks in a row that make an instruction set of their own: 2 KiB.
const BLOCKS_MIN: u64 = 4;
/// In large images a block in 128 is code, or none is.
const LEN_PER_BLOCK: u64 = 128 * BLOCK_LEN as u64;
/// On average these blocks have the evidence of real code, which is 150 and more.
const FIRST_AVERAGE_MIN: u64 = 136;
/// Where a twelfth of the bytes is such blocks, they need not look as good: code for size, in an
/// image of many tables, has 120 to 130. In images that are no code it is less than a thirtieth.
const DENSE_SHARE: u64 = 12;
const DENSE_BLOCKS_MIN: u64 = 16;
const DENSE_AVERAGE_MIN: u64 = 100;
/// A second architecture has at least a sixteenth of the first one's evidence, 16 KiB, and on
/// average the evidence of flawless code.
const SECOND_SHARE: u64 = 16;
const SECOND_BLOCKS_MIN: u64 = 32;
const SECOND_AVERAGE_MIN: u64 = 144;
/// Blocks in a row that vote together, and about how many bytes of a large image do.
const SAMPLE_LEN: usize = 4 * BLOCK_LEN;
const SAMPLED_LEN: usize = 512 << 10;

/// The vote on the instruction sets of one or more images.
#[derive(Clone, Debug, Default)]
pub(super) struct Vote {
    points: [u64; ISA_COUNT],
    block_count: [u64; ISA_COUNT],
    len: u64,
}

impl Vote {
    /// Of the blocks of an image, or of samples from all over a large one.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let weight = bytes.len() / SAMPLED_LEN + 1;
        let parts = bytes.par_chunks(SAMPLE_LEN * weight);
        let counted = parts.fold(Self::default, |mut vote, part| {
            let sampled = if weight == 1 { part } else { &part[..SAMPLE_LEN.min(part.len())] };
            vote.add_blocks(sampled, weight as u64);
            vote
        });
        Self { len: bytes.len() as u64, ..counted.reduce(Self::default, Self::plus) }
    }

    /// Both together.
    pub(super) fn plus(mut self, other: Self) -> Self {
        self.points.iter_mut().zip(other.points).for_each(|(points, more)| *points += more);
        self.block_count.iter_mut().zip(other.block_count).for_each(|(count, more)| *count += more);
        self.len += other.len;
        self
    }

    /// Those blocks count that look most like what the block before does too.
    fn add_blocks(&mut self, bytes: &[u8], weight: u64) {
        let all: [usize; ISA_COUNT] = std::array::from_fn(|isa| isa);
        let mut before = None;
        for block in bytes.chunks(BLOCK_LEN) {
            let points = evidence(block, &all);
            let best =
                (0..ISA_COUNT).max_by_key(|isa| (points[*isa], ISA_COUNT - isa)).unwrap_or(0);
            let winner = (points[best] >= VOTE_MIN).then_some(best);
            if winner.is_some() && winner == before {
                self.points[best] += u64::from(points[best].unsigned_abs()) * weight;
                self.block_count[best] += weight;
            }
            before = winner;
        }
    }

    /// Positions in [`ISAS`] of what the images hold, the most frequent first.
    pub(super) fn established(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..ISA_COUNT).collect();
        order.sort_by_key(|isa| (std::cmp::Reverse(self.points[*isa]), *isa));
        let first = order[0];
        let block_count = self.block_count[first].max(1);
        let average = self.points[first] / block_count;
        let share_min = BLOCKS_MIN.max(self.len / LEN_PER_BLOCK);
        let is_enough = block_count >= share_min && average >= FIRST_AVERAGE_MIN;
        let is_flawless = block_count >= SECOND_BLOCKS_MIN && average >= SECOND_AVERAGE_MIN;
        let dense_min = DENSE_BLOCKS_MIN.max(self.len / (DENSE_SHARE * BLOCK_LEN as u64));
        let is_dense = block_count >= dense_min && average >= DENSE_AVERAGE_MIN;
        if !is_enough && !is_flawless && !is_dense {
            return Vec::new();
        }
        let counts = |isa: &usize| {
            let (points, block_count) = (self.points[*isa], self.block_count[*isa]);
            points > self.points[first] / SECOND_SHARE
                && block_count >= SECOND_BLOCKS_MIN
                && points / block_count >= SECOND_AVERAGE_MIN
        };
        order.retain(|isa| *isa == first || counts(isa));
        with_both_arm_states(order)
    }

    /// The more likely entry of [`ISAS`] that `content` stands for, and what comes with it.
    pub(super) fn only(&self, content: Content) -> Vec<usize> {
        let own = (0..ISA_COUNT).filter(|isa| ISAS[*isa].content == content);
        let best = own.max_by_key(|isa| (self.points[*isa], ISA_COUNT - isa));
        with_both_arm_states(best.into_iter().collect())
    }
}

/// Where there is Thumb code, there may be A32 code, and the reverse.
fn with_both_arm_states(mut isas: Vec<usize>) -> Vec<usize> {
    let is_arm = |isa: &usize| matches!(ISAS[*isa].content, Content::A32 | Content::Thumb);
    if isas.iter().any(is_arm) {
        let missing = (0..ISA_COUNT).filter(|isa| is_arm(isa) && !isas.contains(isa));
        isas.extend(missing.collect::<Vec<_>>());
    }
    isas
}

/// What each block is: one of `allowed`, or `None` for data; `data_points` is the evidence for data
/// that every block starts with, [`CODE_ONLY`] where there is none.
pub(super) fn classify(
    evidence: &[Evidence],
    allowed: &[usize],
    data_points: i32,
) -> Vec<Option<usize>> {
    let state_count = allowed.len() + 1;
    let points_of = |block: &Evidence, state: usize| match state.checked_sub(1) {
        Some(state) => i32::from(block[allowed[state]]),
        None => data_points,
    };
    let mut totals = vec![0i64; state_count];
    let mut came_from: Vec<u8> = Vec::with_capacity(evidence.len() * state_count);
    for block in evidence {
        let (best, best_total) = best_of(&totals);
        for (state, total) in totals.iter_mut().enumerate() {
            let stays = *total >= best_total - i64::from(CHANGE_COST);
            came_from.push(if stays { state } else { best } as u8);
            let before = if stays { *total } else { best_total - i64::from(CHANGE_COST) };
            *total = before + i64::from(points_of(block, state));
        }
    }
    trace_back(&came_from, best_of(&totals).0, state_count, allowed)
}

/// For [`classify`]: no block is data.
pub(super) const CODE_ONLY: i32 = -4096;

/// The first of the largest.
fn best_of(totals: &[i64]) -> (usize, i64) {
    let pairs = totals.iter().copied().enumerate();
    pairs.max_by_key(|(state, total)| (*total, std::cmp::Reverse(*state))).unwrap_or((0, 0))
}

fn trace_back(
    came_from: &[u8],
    last: usize,
    state_count: usize,
    allowed: &[usize],
) -> Vec<Option<usize>> {
    let mut state = last;
    let mut classes = Vec::with_capacity(came_from.len() / state_count);
    for origins in came_from.chunks_exact(state_count).rev() {
        classes.push(state.checked_sub(1).map(|state| allowed[state]));
        state = usize::from(origins[state]);
    }
    classes.reverse();
    classes
}
