//! Whether short covers are worth what they cost, by the coder itself.
//!
//! Matching takes all literals to cost the same. The large model knows text and tables so well that
//! there they cost a third of that, and a short cover more than it saves.

use std::borrow::Cow;

use fwdelta_core::exec::map::Listed;
use fwdelta_core::format::shape::Shape;

use super::create::Options;
use super::predicted::Pair;
use crate::codec::predict::{self, Prices};
use crate::error::Result;
use crate::matching::Cover;

/// Covers of so many bytes are worth it.
const WORTHY_LEN: u64 = 64;
/// Where one byte in so many is in shorter ones, it pays to ask, but in long images not the time.
const ASKED_SHARE: u64 = 64;
const ASKED_LEN_MAX: usize = 4 << 20;
/// What a cover has to save, in eighths of what it costs: without it others become cheaper, and
/// literals better known.
const SAVED_EIGHTHS: u64 = 9;
/// What has to be saved in all, one byte of so many and 128 bytes: estimates are not better.
const SAVED_SHARE: u64 = 128;
const SAVED_MIN: u64 = 128 << 11;
/// Logarithms by which tables of probabilities and of strings are smaller than those of the
/// payload: prices are hardly others, and there is room for them twice.
const LESS: [u8; 2] = [2, 1];
/// Smaller ones stay as they are.
const ROOMY_LOG: u8 = 16;

impl Pair<'_> {
    /// Those of `covers` that cost coder 5 less than literals in their place, and all long ones.
    ///
    /// # Errors
    /// As the encoder.
    pub(super) fn worthy<'c>(
        &self,
        covers: &'c [Cover],
        options: &Options,
    ) -> Result<Cow<'c, [Cover]>> {
        let Some(long) = long(covers, WORTHY_LEN, self.new.len()) else {
            return Ok(covers.into());
        };
        let ends = |cover: &Cover| [cover.new_pos, cover.new_pos + cover.len];
        let marks: Vec<u64> = covers.iter().filter(is_short).flat_map(ends).collect();
        let with = || self.prices(covers, &[], options);
        let without = || self.prices(&long, &marks, options);
        let (shape, _) = self.pricing(covers, options);
        let (with, without) = match self.fits_twice(&shape, options) {
            true => rayon::join(with, without),
            false => (with(), without()),
        };
        let (with, without) = (with?, without?);
        let literals = without.literals.chunks_exact(2).map(|ends| ends[1] - ends[0]).collect();
        let first = Weighed::new(covers, &with, literals);
        if without.total >= with.total - with.total / 10 {
            let is_better = first.saved > with.total / SAVED_SHARE + SAVED_MIN;
            return Ok(if is_better { first.covers.into() } else { covers.into() });
        }
        // As a whole they do harm, so little is known of each: the better of them are asked again.
        let with = self.prices(&first.covers, &[], options)?;
        Ok(match with.total < without.total {
            true => Weighed::new(&first.covers, &with, first.literals).covers.into(),
            false => long.into(),
        })
    }

    fn prices(&self, covers: &[Cover], marks: &[u64], options: &Options) -> Result<Prices> {
        let (shape, map) = self.pricing(covers, options);
        Ok(predict::prices(&self.plan(covers, &map), &shape, marks)?)
    }

    /// Tables to ask with.
    fn pricing(&self, covers: &[Cover], options: &Options) -> (Shape, Vec<Listed>) {
        let (shape, map) = self.sized(covers, options, 0);
        let less = |log: u8, by: u8| if log > ROOMY_LOG { log - by } else { log };
        let (model_log, match_log) =
            (less(shape.model_log, LESS[0]), less(shape.match_log, LESS[1]));
        (Shape { model_log, match_log, ..shape }, map)
    }
}

/// Those of `covers` that have `len_min` bytes, if it is to be asked whether others are worth it.
pub(super) fn long(covers: &[Cover], len_min: u64, new_len: usize) -> Option<Vec<Cover>> {
    let (long, short): (Vec<Cover>, Vec<Cover>) =
        covers.iter().copied().partition(|cover| cover.len >= len_min);
    let short_len: u64 = short.iter().map(|cover| cover.len).sum();
    let is_asked = short_len > new_len as u64 / ASKED_SHARE && new_len <= ASKED_LEN_MAX;
    is_asked.then_some(long)
}

fn is_short(cover: &&Cover) -> bool {
    cover.len < WORTHY_LEN
}

/// The covers that are worth it.
struct Weighed {
    covers: Vec<Cover>,
    /// What literals in the place of each short one cost.
    literals: Vec<u64>,
    /// By leaving out the others.
    saved: u64,
}

impl Weighed {
    /// Of `covers` with their prices; `literals` are what would be in the place of each short one.
    fn new(covers: &[Cover], prices: &Prices, literals: Vec<u64>) -> Self {
        let (mut weighed, mut all) =
            (Self { covers: Vec::new(), literals: Vec::new(), saved: 0 }, literals.into_iter());
        for (cover, price) in covers.iter().zip(&prices.covers) {
            if !is_short(&cover) {
                weighed.covers.push(*cover);
                continue;
            }
            let Some(literals) = all.next() else { continue };
            if price * SAVED_EIGHTHS <= literals * 8 {
                weighed.covers.push(*cover);
                weighed.literals.push(literals);
            } else {
                weighed.saved += price.saturating_sub(literals);
            }
        }
        weighed
    }
}
