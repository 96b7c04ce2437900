//! Costs learnt from a pair: what its last parse would cost to code.
//!
//! Entropies of counts stand for adaptive coders, which come close to them.

use super::costs::Costs;
use super::covers::Cover;
use super::log::{FRACTION_BITS, log2};
use super::view::View;

/// Fewer bytes of a kind say nothing: its cost stays.
const COUNT_MIN: u64 = 64;
/// What a string of one literal context and its successor costs to learn, in bits.
const LEARN_BITS: u64 = 6;
/// Diagonals a coder remembers.
const RECENT_COUNT: usize = 4;

/// What a byte inside a cover is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Equal,
    Soft,
    Differing,
}

/// Counts of symbols, by symbol.
#[derive(Debug, Default)]
struct Histogram(Vec<u64>);

impl Histogram {
    fn add(&mut self, symbol: u32) {
        let at = symbol as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        self.0[at] += 1;
    }

    fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().copied().filter(|count| *count > 0)
    }

    fn total(&self) -> u64 {
        self.counts().sum()
    }

    /// Entropy of all that was counted, in parts of a bit as [`log2`].
    fn entropy(&self) -> u64 {
        let total = log2(self.total());
        self.counts().map(|count| count * (total - log2(count))).sum()
    }
}

/// Numbers as a coder sees them: the length in bits as a symbol, then the bits.
#[derive(Debug, Default)]
struct Numbers {
    classes: Histogram,
    bits: u64,
}

impl Numbers {
    fn add(&mut self, number: u64) {
        let len = u64::BITS - number.leading_zeros();
        self.classes.add(len);
        self.bits += u64::from(len.saturating_sub(1));
    }

    fn cost(&self) -> u64 {
        self.classes.entropy() + (self.bits << FRACTION_BITS)
    }
}

/// Costs as `covers` of a pair show them; `costs` are those that led to the covers and stay where
/// there is too little to learn from. Lengths, beam and votes stay.
#[must_use]
pub fn estimate(old: &View, new: &View, covers: &[Cover], costs: &Costs) -> Costs {
    let bytes = Inside::count(old, new, covers);
    let turns = Turns::count(covers);
    let literals = Literals::count(new.exact, covers);
    let differing =
        bytes.cost(Kind::Differing).zip(mean(bytes.residuals.entropy(), &bytes.residuals));
    Costs {
        equal: bounded(bytes.cost(Kind::Equal), costs.equal, 1, 40),
        soft: bounded(bytes.cost(Kind::Soft), costs.soft, costs.soft / 2, costs.soft * 2),
        differing: bounded(differing.map(|(flag, value)| flag + value), costs.differing, 300, 1600),
        literal: bounded(literals.cost(), costs.literal, 200, 850),
        turn: bounded(turns.cost(), costs.turn, 1000, 5000),
        literal_run: bounded(turns.run_cost(), costs.literal_run, 200, 1500),
        ..*costs
    }
}

fn bounded(found: Option<u64>, otherwise: u64, least: u64, most: u64) -> u64 {
    found.map_or(otherwise, |cost| cost.clamp(least, most))
}

/// Hundredths of a bit for each of `histogram` when all cost `cost`.
fn mean(cost: u64, histogram: &Histogram) -> Option<u64> {
    each(cost, histogram.total())
}

fn each(cost: u64, count: u64) -> Option<u64> {
    let hundredths = |count: u64| (u128::from(cost) * 100 / u128::from(count)) >> FRACTION_BITS;
    (count >= COUNT_MIN).then(|| hundredths(count) as u64)
}

/// Bytes inside covers: which kind follows which, and by how much they differ.
#[derive(Debug, Default)]
struct Inside {
    /// By the kind before.
    follows: [[u64; 3]; 3],
    residuals: Histogram,
}

impl Inside {
    fn count(old: &View, new: &View, covers: &[Cover]) -> Self {
        let mut result = Self::default();
        for Cover { old_pos, new_pos, len } in covers {
            let (old_pos, new_pos, len) = (*old_pos as usize, *new_pos as usize, *len as usize);
            let exact = old.exact[old_pos..].iter().zip(&new.exact[new_pos..]);
            let soft = old.soft[old_pos..].iter().zip(&new.soft[new_pos..]);
            let mut before = Kind::Equal;
            for ((a, b), (soft_a, soft_b)) in exact.zip(soft).take(len) {
                let kind = match () {
                    () if a == b => Kind::Equal,
                    () if soft_a == soft_b => Kind::Soft,
                    () => Kind::Differing,
                };
                result.follows[before as usize][kind as usize] += 1;
                if kind == Kind::Differing {
                    result.residuals.add(b.wrapping_sub(*a).into());
                }
                before = kind;
            }
        }
        result
    }

    /// Of saying that a byte is of `kind`.
    fn cost(&self, kind: Kind) -> Option<u64> {
        let counts = self.follows.iter().map(|row| (row[kind as usize], row.iter().sum::<u64>()));
        let cost = |(count, total): (u64, u64)| count * (log2(total) - log2(count));
        let count = counts.clone().map(|(count, _)| count).sum();
        each(counts.filter(|(count, _)| *count > 0).map(cost).sum(), count)
    }
}

/// Where covers start and end.
#[derive(Debug, Default)]
struct Turns {
    recent_hits: Histogram,
    diagonals: Numbers,
    lens: Numbers,
    gaps: Numbers,
    count: u64,
}

impl Turns {
    fn count(covers: &[Cover]) -> Self {
        let mut result = Self::default();
        let (mut end, mut recent) = (0, [0i64; RECENT_COUNT]);
        for cover in covers {
            let diagonal = cover.old_pos as i64 - cover.new_pos as i64;
            let met = recent.iter().position(|of| *of == diagonal);
            result.recent_hits.add(met.unwrap_or(RECENT_COUNT) as u32);
            if met.is_none() {
                result.diagonals.add((diagonal - recent[0]).unsigned_abs() << 1);
            }
            recent[..=met.unwrap_or(RECENT_COUNT - 1)].rotate_right(1);
            recent[0] = diagonal;
            result.lens.add(cover.len);
            if cover.new_pos > end {
                result.gaps.add(cover.new_pos - end);
            }
            end = cover.new_pos + cover.len;
            result.count += 1;
        }
        result
    }

    fn cost(&self) -> Option<u64> {
        let cost = self.recent_hits.entropy() + self.diagonals.cost() + self.lens.cost();
        each(cost, self.count)
    }

    fn run_cost(&self) -> Option<u64> {
        mean(self.gaps.cost(), &self.gaps.classes)
    }
}

/// Bytes between covers, alone and by the byte before.
#[derive(Debug, Default)]
struct Literals {
    single: Histogram,
    pairs: Histogram,
    firsts: Histogram,
}

impl Literals {
    fn count(new: &[u8], covers: &[Cover]) -> Self {
        let mut result = Self::default();
        let ends = covers.iter().map(|cover| (cover.new_pos + cover.len) as usize);
        let starts = covers.iter().map(|cover| cover.new_pos as usize);
        let runs = std::iter::once(0).chain(ends).zip(starts.chain([new.len()]));
        for at in runs.flat_map(|(start, end)| start..end) {
            let before = at.checked_sub(1).map_or(0, |at| u32::from(new[at]));
            result.single.add(new[at].into());
            result.firsts.add(before);
            result.pairs.add(before << 8 | u32::from(new[at]));
        }
        result
    }

    /// The better of both readings, with what they cost to learn.
    fn cost(&self) -> Option<u64> {
        let learn = |of: &Histogram| (of.counts().count() as u64 * LEARN_BITS) << FRACTION_BITS;
        let single = self.single.entropy() + learn(&self.single);
        let pairs = self.pairs.entropy().saturating_sub(self.firsts.entropy()) + learn(&self.pairs);
        mean(single.min(pairs), &self.single)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::noise;
    use super::*;

    #[test]
    fn nothing_to_learn_from_leaves_costs_alone() {
        let empty = View::plain(&[]);
        assert_eq!(estimate(&empty, &empty, &[], &Costs::MAX), Costs::MAX);
        let (old, new) = (noise(1, 40), noise(2, 40));
        let covers = [Cover { old_pos: 3, new_pos: 5, len: 20 }];
        let found = estimate(&View::plain(&old), &View::plain(&new), &covers, &Costs::MAX);
        assert_eq!(found, Costs::MAX);
    }

    #[test]
    fn random_literals_cost_eight_bits_and_text_less() {
        let empty = View::plain(&[]);
        let literal = |new: &[u8]| estimate(&empty, &View::plain(new), &[], &Costs::MAX).literal;
        assert!((795..=802).contains(&literal(&noise(1, 1 << 20))));
        assert!(literal(b"the same words again and again ".repeat(500).as_slice()) < 300);
    }

    #[test]
    fn one_differing_byte_in_sixteen() {
        let old = noise(1, 1 << 16);
        let mut new = old.clone();
        new.iter_mut().step_by(16).for_each(|byte| *byte ^= 0x80);
        let covers = [Cover { old_pos: 0, new_pos: 0, len: 1 << 16 }];
        let found = estimate(&View::plain(&old), &View::plain(&new), &covers, &Costs::MAX);
        // -log2(15/16) is 0.09, -log2(1/16) is 4, and all differ by the same.
        assert!((8..=10).contains(&found.equal), "{}", found.equal);
        assert!((390..=400).contains(&found.differing), "{}", found.differing);
        let masked = vec![0; 1 << 16];
        let [old, new] = [&old, &new].map(|of| View { soft: &masked, ..View::plain(of) });
        let found = estimate(&old, &new, &covers, &Costs { soft: 300, ..Costs::MAX });
        assert!((390..=400).contains(&found.soft) && found.differing == Costs::MAX.differing);
    }
}
