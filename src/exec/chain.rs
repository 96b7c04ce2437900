//! Which covers serve as the map of addresses.

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
    let in_chain = heaviest_chain(covers);
    let mut order: Vec<usize> = (0..covers.len()).collect();
    let weight = |at: usize| covers[at].len * if in_chain[at] { CHAIN_WEIGHT } else { 1 };
    order.sort_by_key(|at| (std::cmp::Reverse(weight(*at)), *at));
    let mut starts = std::collections::BTreeMap::new();
    let mut selected = Vec::new();
    for at in order {
        if selected.len() >= count_max {
            break;
        }
        let (start, end) = (covers[at].old_pos, covers[at].old_pos + covers[at].len);
        let before = starts.range(..=start).next_back().map_or(0, |(_, end): (&u64, &u64)| *end);
        let hidden = before.min(end).saturating_sub(start);
        let is_worth = end > before && end - start > 2 * hidden;
        if is_worth && !starts.contains_key(&start) {
            starts.insert(start, end);
            selected.push(at);
        }
    }
    selected.sort_unstable();
    selected.into_iter().map(|at| Listed::from(&covers[at])).collect()
}

impl From<&Cover> for Listed {
    fn from(cover: &Cover) -> Self {
        let [old_pos, new_pos, len] = [cover.old_pos, cover.new_pos, cover.len].map(|n| n as u32);
        Self { old_pos, new_pos, len }
    }
}

/// Whether each cover is in the chain that ascends in old and holds the most bytes.
fn heaviest_chain(covers: &[Cover]) -> Vec<bool> {
    let mut places: Vec<u64> = covers.iter().map(|cover| cover.old_pos).collect();
    places.sort_unstable();
    places.dedup();
    // A Fenwick tree of the heaviest chain that ends at or before each old position.
    let mut tree: Vec<(u64, Option<usize>)> = vec![(0, None); places.len() + 1];
    let mut parents = vec![None; covers.len()];
    let mut best = (0, None);
    for (at, cover) in covers.iter().enumerate() {
        let rank = places.partition_point(|place| *place < cover.old_pos);
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
