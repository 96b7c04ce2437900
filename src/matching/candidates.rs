//! Diagonals worth trying, and from where in new.

use super::costs::Costs;
use super::statistics::Statistics;
use super::view::{View, Vote};

/// Farthest that a match is extended backwards over differing bytes.
const BACK_LEN_MAX: usize = 4096;
/// Bytes looked at backwards per byte of new, on average: keeps near-periodic data linear.
const BACK_LEN_MEAN: usize = 64;
/// How far the score may fall below its best before the extension stops.
const BACK_DROP: i64 = 40 * 5;

/// From `new_pos` on, new may follow old on `diagonal` (old minus new position).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) new_pos: u64,
    pub(super) diagonal: i64,
}

impl From<&Vote> for Candidate {
    fn from(vote: &Vote) -> Self {
        Self { new_pos: vote.new_pos, diagonal: vote.diagonal }
    }
}

/// All candidates of `new[range]`, ascending, each once; `votes` are those on it.
pub(super) fn find(
    old: &View,
    new: &View,
    range: std::ops::Range<usize>,
    statistics: &Statistics,
    votes: &[Vote],
    costs: &Costs,
) -> Vec<Candidate> {
    let mut found: Vec<_> = votes.iter().map(Candidate::from).collect();
    let mut last_len = 0;
    let mut budget = range.len().saturating_mul(BACK_LEN_MEAN);
    for at in range.clone() {
        let longest = statistics.at(at);
        // A match one byte shorter than the last is only the rest of it.
        let is_rest = longest.len < last_len;
        last_len = longest.len;
        if is_rest || longest.len < costs.match_len_min {
            continue;
        }
        let diagonal = longest.old_pos as i64 - at as i64;
        let before = &new.soft[range.start..at];
        let before = &before[before.len().saturating_sub(budget.min(BACK_LEN_MAX))..];
        let (back_len, looked) = backwards(&old.soft[..longest.old_pos as usize], before);
        budget -= looked;
        found.push(Candidate { new_pos: (at - back_len) as u64, diagonal });
        if back_len > 0 {
            found.push(Candidate { new_pos: at as u64, diagonal });
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// How many bytes before both ends belong to the match although some differ: where the score,
/// five for an equal byte and minus seven for another, is highest. Also how many were looked at.
fn backwards(old: &[u8], new: &[u8]) -> (usize, usize) {
    let (mut score, mut best, mut best_len) = (0i64, 0i64, 0);
    let mut looked = 0;
    for (len, (a, b)) in old.iter().rev().zip(new.iter().rev()).enumerate() {
        looked = len + 1;
        score += if a == b { 5 } else { -7 };
        if score > best {
            (best, best_len) = (score, len + 1);
        }
        if score < best - BACK_DROP {
            break;
        }
    }
    (best_len, looked)
}
