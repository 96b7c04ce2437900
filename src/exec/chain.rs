//! Which covers serve as the map of addresses.

use std::cmp::Reverse;

use fwdelta_core::exec::map::Listed;

use crate::matching::Cover;

/// How much more a byte of the chain counts than one outside of it.
const CHAIN_WEIGHT: u64 = 64;

/// The covers that shall serve as the map, at most `count_max`, in order of new.
///
/// Best is the chain that ascends in old as well as in new and holds the most bytes (the heaviest
/// increasing subsequence); then come the longest others, as far as they do not hide one before.
#[must_use]
pub fn select(covers: &[Cover], count_max: usize) -> Vec<Listed> {
    let mut places: Vec<u64> = covers.iter().map(|cover| cover.old_pos).collect();
    places.sort_unstable();
    places.dedup();
    let rank = |cover: &Cover| places.partition_point(|place| *place < cover.old_pos);
    let ranks: Vec<usize> = covers.iter().map(rank).collect();
    let in_chain = heaviest_chain(covers, &ranks, places.len());
    let weight = |at: usize| covers[at].len * if in_chain[at] { CHAIN_WEIGHT } else { 1 };
    let mut order: Vec<_> = (0..covers.len()).map(|at| (Reverse(weight(at)), at)).collect();
    order.sort_unstable();
    // Where the selected ones end, by the rank of their start.
    let (mut ends, mut starts) = (vec![0; places.len()], Ranks::new(places.len()));
    let mut selected = Vec::new();
    for (_, at) in order {
        if selected.len() >= count_max {
            break;
        }
        let (start, end) = (covers[at].old_pos, covers[at].old_pos + covers[at].len);
        let before = starts.last_up_to(ranks[at]);
        let before_end: u64 = before.map_or(0, |rank| ends[rank]);
        let hidden = before_end.min(end).saturating_sub(start);
        let is_worth = end > before_end && end - start > 2 * hidden;
        if is_worth && before != Some(ranks[at]) {
            starts.insert(ranks[at]);
            ends[ranks[at]] = end;
            selected.push(at);
        }
    }
    selected.sort_unstable();
    selected.into_iter().map(|at| Listed::from(&covers[at])).collect()
}

/// A set of small numbers: a bit for each, a bit for each word of bits that is not zero, and so on.
struct Ranks {
    levels: Vec<Vec<u64>>,
}

impl Ranks {
    /// An empty set of numbers below `end`.
    fn new(end: usize) -> Self {
        let mut levels = vec![vec![0; end.div_ceil(64)]];
        while let Some(last) = levels.last().filter(|last| last.len() > 1) {
            let next = vec![0; last.len().div_ceil(64)];
            levels.push(next);
        }
        Self { levels }
    }

    fn insert(&mut self, mut rank: usize) {
        for level in &mut self.levels {
            level[rank / 64] |= 1 << (rank % 64);
            rank /= 64;
        }
    }

    /// The largest number in the set that is not above `rank`.
    fn last_up_to(&self, rank: usize) -> Option<usize> {
        let (mut at, mut mask) = (rank, u64::MAX >> (63 - rank % 64));
        for (depth, level) in self.levels.iter().enumerate() {
            let word = at / 64;
            let below = level[word] & mask;
            if below != 0 {
                let last = |word: u64| word.ilog2() as usize;
                let found = word * 64 + last(below);
                let finer = self.levels[..depth].iter().rev();
                return Some(finer.fold(found, |found, level| found * 64 + last(level[found])));
            }
            (at, mask) = (word, (1 << (word % 64)) - 1);
        }
        None
    }
}

impl From<&Cover> for Listed {
    fn from(cover: &Cover) -> Self {
        let [old_pos, new_pos, len] = [cover.old_pos, cover.new_pos, cover.len].map(|n| n as u32);
        Self { old_pos, new_pos, len }
    }
}

/// Whether each cover is in the chain that ascends in old and holds the most bytes.
fn heaviest_chain(covers: &[Cover], ranks: &[usize], rank_count: usize) -> Vec<bool> {
    // A Fenwick tree of the heaviest chain that ends at or before each old position.
    let mut tree: Vec<(u64, Option<usize>)> = vec![(0, None); rank_count + 1];
    let mut parents = vec![None; covers.len()];
    let mut best = (0, None);
    for (at, (cover, rank)) in covers.iter().zip(ranks.iter().copied()).enumerate() {
        let (mut heaviest, mut node) = ((0, None), rank);
        while node > 0 {
            if tree[node].0 > heaviest.0 {
                heaviest = tree[node];
            }
            node &= node - 1;
        }
        parents[at] = heaviest.1;
        let weight = heaviest.0 + cover.len;
        if weight > best.0 {
            best = (weight, Some(at));
        }
        node = rank + 1;
        while node < tree.len() {
            if tree[node].0 < weight {
                tree[node] = (weight, Some(at));
            }
            node += node & node.wrapping_neg();
        }
    }
    let mut in_chain = vec![false; covers.len()];
    let mut at = best.1;
    while let Some(here) = at {
        in_chain[here] = true;
        at = parents[here];
    }
    in_chain
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_of_ranks_is_a_set() {
        let mut state = 1u32;
        let mut random = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for end in [1, 63, 64, 65, 4096, 4097, 300_000] {
            let (mut ranks, mut set) = (Ranks::new(end), BTreeSet::new());
            assert_eq!(ranks.last_up_to(end - 1), None);
            for _ in 0..300 {
                let (rank, upper) = (random(end), random(end));
                ranks.insert(rank);
                set.insert(rank);
                let expected = set.range(..=upper).next_back().copied();
                assert_eq!(ranks.last_up_to(upper), expected, "{upper} of {end}");
            }
        }
    }

    #[test]
    fn the_chain_comes_first_and_what_is_hidden_never() {
        let cover = |old_pos, new_pos, len| Cover { old_pos, new_pos, len };
        let covers = [
            cover(0, 0, 100),
            cover(500, 100, 90),
            cover(100, 190, 50),
            cover(110, 240, 30),
            cover(150, 270, 60),
            cover(150, 330, 20),
        ];
        let starts = |count_max| {
            let selected = select(&covers, count_max);
            selected.iter().map(|cover| cover.new_pos).collect::<Vec<_>>()
        };
        // 100, 50, 60 and 20 ascend in old, the last two from the same place; 30 lies in 50.
        assert_eq!(starts(usize::MAX), [0, 100, 190, 270]);
        assert_eq!(starts(3), [0, 190, 270]);
    }
}
