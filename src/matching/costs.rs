//! What the parse believes that coding costs.

use super::log::log2;

/// Above this many, more votes say nothing more.
const VOTE_WEIGHT_MAX: u32 = 16;

/// Estimated costs, in hundredths of a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// A byte equal to old's.
    pub equal: u64,
    /// A byte that differs from old's where the soft views are equal.
    pub soft: u64,
    /// A byte that differs from old's.
    pub differing: u64,
    /// A byte that stands in the delta.
    pub literal: u64,
    /// Going to another diagonal.
    pub turn: u64,
    /// Going from a diagonal to literals.
    pub literal_run: u64,
    /// What a vote takes off the cost, per doubling of its weight plus one.
    pub vote: u64,
    /// Shortest exact match worth trying, in bytes.
    pub match_len_min: u64,
    /// Diagonals kept in view.
    pub beam: usize,
}

impl Costs {
    /// For coder 1.
    pub const SMALL: Costs = Costs {
        equal: 3,
        soft: 900,
        differing: 900,
        literal: 600,
        turn: 2600,
        literal_run: 500,
        vote: 0,
        match_len_min: 4,
        beam: 12,
    };
    /// For three bzip2 streams: a triple takes 24 bytes before packing.
    pub const BSDIFF40: Costs = Costs { turn: 6000, match_len_min: 12, ..Costs::FAST };

    /// For coder 2.
    pub const FAST: Costs = Costs {
        equal: 3,
        soft: 1000,
        differing: 1000,
        literal: 600,
        turn: 3600,
        literal_run: 600,
        vote: 0,
        match_len_min: 8,
        beam: 12,
    };
    /// For prediction of references, first round; later rounds know more and pay more for what
    /// they must repair.
    pub const MAX: Costs = Costs {
        equal: 3,
        soft: 60,
        differing: 900,
        literal: 550,
        turn: 3000,
        literal_run: 600,
        vote: 600,
        match_len_min: 6,
        beam: 12,
    };
    /// The same once the views hold labels of targets.
    pub const MAX_LATER: Costs = Costs { soft: 200, ..Costs::MAX };
    /// The same for corrections under a general decompressor: one more costs more.
    pub const PROJECTED_LATER: Costs = Costs { soft: 450, literal: 500, ..Costs::MAX };

    /// What votes of `weight` take off, in hundredths of a bit.
    pub(super) fn bonus(&self, weight: u32) -> i64 {
        let doublings = log2(u64::from(weight.min(VOTE_WEIGHT_MAX)) + 1);
        (self.vote.saturating_mul(doublings) >> super::log::FRACTION_BITS) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_counts_by_doublings() {
        let bonus = |weight| Costs::MAX.bonus(weight);
        assert_eq!([bonus(0), bonus(1), bonus(3), bonus(7)], [0, 600, 1200, 1800]);
        assert_eq!(bonus(u32::MAX), bonus(16));
    }
}
