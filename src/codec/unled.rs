//! Data whose words look like references but are none: where leading them makes more bytes wrong
//! than leaving them alone, coder 6 is told that there are no references.
//!
//! Coders 4 and 5 learn what is led; a projection is not asked. In position-independent files,
//! which are loaded at 0, any small number looks like an address.

use fwdelta_core::Result;
use fwdelta_core::codec::predict;
use fwdelta_core::exec::layout::{Class, Content, Run};
use fwdelta_core::exec::map::Listed;
use fwdelta_core::exec::project::{Projection, Stand, View};
use fwdelta_core::exec::unit::UNIT_LEN_MAX;
use fwdelta_core::format::shape::StreamShape;

use super::blocks::Blocks;
use super::predict::Plan;
use super::projected::started;
use crate::matching::Cover;

/// Bytes of old that are judged together.
const BLOCK_LEN: usize = 32;
/// What another run costs, in sixteenths of a byte.
const RUN_PRICE: i64 = 256;
/// The same of a correction: one that is new, one that came before, one of many such in a row.
/// What they cost under zstd depends on all others; these were best over 11 pairs
/// (docs/engine-notes.md).
const NEW_PRICE: i16 = 32;
const SEEN_PRICE: i16 = 4;
const STREAK_PRICE: i16 = 1;
const LONG_STREAK: u32 = 32;
const SEEN_LOG: u32 = 12;
/// Bytes projected at a time.
const PIECE_LEN: usize = 1 << 16;

/// The runs of `plan`, and those in between that have no references; `shape` is
/// [`Plan::stream_counted`].
///
/// # Errors
/// `BadStream` for numbers that the format does not hold.
pub fn runs(plan: &Plan<'_>, shape: &StreamShape) -> Result<Vec<Run>> {
    let len = usize::try_from(predict::projection_len(shape)).unwrap_or(usize::MAX);
    let mut work = vec![0; len];
    let mut projection = started(plan, shape, &mut work, &mut Blocks::new(shape.block_len))?;
    let mut judge = Judge::new(plan.old.len());
    for cover in plan.covers {
        judge.cover(plan, &mut projection, cover);
    }
    let mut runs = Vec::new();
    for (at, run) in plan.runs.iter().enumerate() {
        let end = run_end(plan, at).min(plan.old.len() as u64);
        match run.class.content {
            Content::Data => split(run, end as usize, &judge.gains, &mut runs),
            _ => runs.push(*run),
        }
    }
    Ok(runs)
}

fn run_end(plan: &Plan<'_>, at: usize) -> u64 {
    plan.runs.get(at + 1).map_or(u64::MAX, |next| next.pos)
}

/// Compares words that are led, and words that are left alone, with those of new.
struct Judge {
    /// What is saved of the price of corrections in each block of old if its words are led.
    gains: Vec<i16>,
    led: Corrections,
    left: Corrections,
    piece: Vec<u8>,
}

impl Judge {
    fn new(old_len: usize) -> Self {
        let gains = vec![0; old_len.div_ceil(BLOCK_LEN)];
        let piece = vec![0; PIECE_LEN];
        Self { gains, led: Corrections::default(), left: Corrections::default(), piece }
    }

    /// The data in a cover.
    fn cover(&mut self, plan: &Plan<'_>, projection: &mut Projection<'_>, cover: &Cover) {
        let end = cover.old_pos + cover.len;
        let first = plan.runs.partition_point(|run| run.pos <= cover.old_pos).saturating_sub(1);
        for (at, run) in plan.runs.iter().enumerate().skip(first) {
            if run.pos >= end {
                break;
            }
            let old_pos = run.pos.max(cover.old_pos);
            let left = run_end(plan, at).min(end) - old_pos;
            if run.class.content == Content::Data {
                let new_pos = cover.new_pos + (old_pos - cover.old_pos);
                projection.start_projection(&Listed::from(cover));
                self.data(plan, projection, Stand { old_pos, new_pos, left });
            }
        }
    }

    /// What is left at `stand`, which is all data.
    fn data(&mut self, plan: &Plan<'_>, projection: &mut Projection<'_>, mut stand: Stand) {
        let view = View { start: 0, bytes: plan.old };
        let mut piece = std::mem::take(&mut self.piece);
        while stand.left > 0 {
            let (old_pos, new_pos) = (stand.old_pos as usize, stand.new_pos as usize);
            let mut done = projection.project(view, &mut stand, &mut piece);
            if done == 0 {
                let unit;
                (unit, done) = projection.project_unit(view, &mut stand);
                piece[..UNIT_LEN_MAX].copy_from_slice(&unit);
            }
            let mut at = 0;
            while at < done {
                let block = (old_pos + at) / BLOCK_LEN;
                let end = done.min((block + 1) * BLOCK_LEN - old_pos);
                let (old, new) = (&plan.old[old_pos..][at..end], &plan.new[new_pos..][at..end]);
                let saved = self.left.price(old, new) - self.led.price(&piece[at..end], new);
                self.gains[block] = self.gains[block].saturating_add(saved);
                at = end;
            }
        }
        self.piece = piece;
    }
}

/// Cuts `run`, which ends at `end`, where that pays.
fn split(run: &Run, end: usize, gains: &[i16], runs: &mut Vec<Run>) {
    let start = run.pos as usize;
    if start >= end {
        return runs.push(*run);
    }
    let (first, last) = (start / BLOCK_LEN, (end - 1) / BLOCK_LEN);
    // What it costs at least to be led, or not, up to a block, and which of the two came before.
    let (mut costs, mut came) = ([0i64, 0], Vec::with_capacity(last - first + 1));
    for gain in &gains[first..=last] {
        let [led, left] = costs;
        let from = [left + RUN_PRICE < led, led + RUN_PRICE >= left];
        let gain = i64::from(*gain);
        costs = [led.min(left + RUN_PRICE) - gain.min(0), left.min(led + RUN_PRICE) + gain.max(0)];
        came.push(from);
    }
    let mut is_left = costs[1] < costs[0];
    let mut states = vec![false; came.len()];
    for (state, from) in states.iter_mut().zip(came).rev() {
        *state = is_left;
        is_left = from[usize::from(is_left)];
    }
    let words = Class { content: Content::Words, ..run.class };
    let mut last = None;
    for (at, is_left) in states.into_iter().enumerate() {
        if last != Some(is_left) {
            let pos = start.max((first + at) * BLOCK_LEN) as u64;
            runs.push(Run { pos, class: if is_left { words } else { run.class } });
            last = Some(is_left);
        }
    }
}

/// What corrections cost in sixteenths of a byte: little where the same ones came before, as those
/// of tables do that are out of step.
struct Corrections {
    /// Bytes since the last one.
    gap: u32,
    /// What the last one added.
    last: u8,
    /// How many in a row came before.
    streak: u32,
    /// Pairs of corrections, by their hashes.
    seen: Vec<u32>,
}

impl Default for Corrections {
    fn default() -> Self {
        Self { gap: 0, last: 0, streak: 0, seen: vec![0; 1 << SEEN_LOG] }
    }
}

impl Corrections {
    /// The price of `made`, which is to be `new`, at most a block.
    fn price(&mut self, made: &[u8], new: &[u8]) -> i16 {
        if made == new {
            self.gap = self.gap.saturating_add(made.len() as u32);
            return 0;
        }
        made.iter().zip(new).map(|(made, new)| self.price_of(*made, *new)).sum()
    }

    fn price_of(&mut self, made: u8, new: u8) -> i16 {
        if made == new {
            self.gap = self.gap.saturating_add(1);
            return 0;
        }
        let by = new.wrapping_sub(made);
        let pair = self.gap.min(0xffff) << 16 | u32::from(self.last) << 8 | u32::from(by);
        (self.gap, self.last) = (0, by);
        let seen = &mut self.seen[(pair.wrapping_mul(0x9e37_79b1) >> (32 - SEEN_LOG)) as usize];
        if std::mem::replace(seen, pair) != pair {
            self.streak = 0;
            return NEW_PRICE;
        }
        self.streak = self.streak.saturating_add(1);
        if self.streak < LONG_STREAK { SEEN_PRICE } else { STREAK_PRICE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_where_that_pays() {
        let run = Run { pos: 8, class: Class { wide: true, ..Class::default() } };
        let cut = |gains: &[i16]| {
            let mut runs = Vec::new();
            split(&run, BLOCK_LEN * gains.len(), gains, &mut runs);
            runs.iter().map(|run| (run.pos, run.class.content)).collect::<Vec<_>>()
        };
        let (data, words) = (Content::Data, Content::Words);
        assert_eq!(cut(&[0, 400, -300, 400]), [(8, data)], "two runs more cost more");
        assert_eq!(cut(&[400, -300, -300, 400]), [(8, data), (32, words), (96, data)]);
        assert_eq!(cut(&[400, 0, -300, 0]), [(8, data), (32, words)]);
        assert_eq!(cut(&[0, 0, -10, 0]), [(8, words)], "as a whole it costs nothing more");
    }

    #[test]
    fn corrections_that_came_before_are_cheap() {
        let mut corrections = Corrections::default();
        let mut price = |made: &[u8]| corrections.price(made, &[0; 8]);
        assert_eq!(price(&[0; 8]), 0);
        assert_eq!(price(&[0, 0, 0, 1, 0, 0, 0, 1]), 2 * NEW_PRICE);
        assert_eq!(price(&[0, 0, 0, 1, 0, 0, 0, 1]), 2 * SEEN_PRICE);
        let streak: i16 = (0..100).map(|_| price(&[0, 0, 0, 1, 0, 0, 0, 1])).sum();
        assert!(streak < 50 * SEEN_PRICE + 200 * STREAK_PRICE, "{streak}");
    }
}
