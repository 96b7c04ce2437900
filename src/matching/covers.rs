//! Covers by cost: a beam search over diagonals, in the manner of Viterbi.
//!
//! States at each byte of new are "literal" and a few diagonals; costs are estimates of what the
//! coders pay. Compared with greedy extension this keeps a diagonal through differing bytes when
//! it pays, and leaves it for a short exact match when that pays.

use rayon::prelude::*;

use super::candidates::{self, Candidate};
use super::costs::Costs;
use super::statistics::Statistics;
use super::view::{View, Vote};
use crate::error::Result;
use crate::progress::{Progress, Stage, checkpoint};

/// Bytes of new parsed independently of the rest; fixed, so that threads do not matter.
const PIECE_LEN: usize = 4 << 20;
/// Bytes between two looks at whether to stop.
const CHECK_LEN: usize = 1 << 18;

/// A part of new that is like a part of old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cover {
    /// Position in old.
    pub old_pos: u64,
    /// Position in new.
    pub new_pos: u64,
    /// Bytes.
    pub len: u64,
}

/// The diagonal of literals.
const LITERAL: i64 = i64::MIN;

/// From `new_pos` on the path follows `diagonal`, before that its parent.
#[derive(Clone, Copy)]
struct Node {
    new_pos: u64,
    diagonal: i64,
    parent: u32,
}

#[derive(Clone, Copy)]
struct Path {
    diagonal: i64,
    /// Votes may take it below nothing.
    cost: i64,
    node: u32,
}

/// The best covers of all of new.
pub(super) fn parse(
    old: &View,
    new: &View,
    statistics: &Statistics,
    votes: &[Vote],
    costs: &Costs,
    progress: &dyn Progress,
) -> Result<Vec<Cover>> {
    let starts: Vec<usize> = (0..new.len()).step_by(PIECE_LEN).collect();
    let pieces = starts.into_par_iter().map(|start| {
        let range = start..new.len().min(start + PIECE_LEN);
        let votes: Vec<Vote> = within(votes, &range, old.len()).collect();
        let candidates = candidates::find(old, new, range.clone(), statistics, &votes, costs);
        let mut search = Search::new(old, new, range.start, costs);
        search.run(&candidates, &votes, range, progress)
    });
    let mut covers: Vec<Cover> = Vec::new();
    for cover in pieces.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        match covers.last_mut() {
            Some(last) if continues(last, &cover) => last.len += cover.len,
            _ => covers.push(cover),
        }
    }
    Ok(covers)
}

/// The votes on `range` that are inside old.
fn within<'v>(
    votes: &'v [Vote],
    range: &std::ops::Range<usize>,
    old_len: usize,
) -> impl Iterator<Item = Vote> + use<'v> {
    let before = |end: usize| votes.partition_point(|vote| vote.new_pos < end as u64);
    let inside = move |vote: &&Vote| {
        vote.new_pos.checked_add_signed(vote.diagonal).is_some_and(|pos| pos < old_len as u64)
    };
    votes[before(range.start)..before(range.end)].iter().filter(inside).copied()
}

fn continues(last: &Cover, next: &Cover) -> bool {
    last.new_pos + last.len == next.new_pos && last.old_pos + last.len == next.old_pos
}

struct Search<'a> {
    old: &'a View<'a>,
    new: &'a View<'a>,
    costs: &'a Costs,
    nodes: Vec<Node>,
    active: Vec<Path>,
    literal: Path,
    best: Path,
}

impl<'a> Search<'a> {
    fn new(old: &'a View, new: &'a View, start: usize, costs: &'a Costs) -> Self {
        let root = Node { new_pos: start as u64, diagonal: LITERAL, parent: u32::MAX };
        let literal = Path { diagonal: LITERAL, cost: 0, node: 0 };
        let active = Vec::with_capacity(costs.beam);
        let mut search =
            Self { old, new, costs, nodes: vec![root], active, literal, best: literal };
        search.enter(start as u64, 0);
        search
    }

    fn run(
        &mut self,
        candidates: &[Candidate],
        votes: &[Vote],
        range: std::ops::Range<usize>,
        progress: &dyn Progress,
    ) -> Result<Vec<Cover>> {
        let mut coming = candidates.iter().peekable();
        let mut votes = votes.iter().peekable();
        for at in range.clone() {
            if at % CHECK_LEN == 0 {
                let total = self.new.len() as u64;
                checkpoint(progress, Stage::Match, (total + at as u64) / 2, total)?;
            }
            while let Some(next) = coming.next_if(|next| next.new_pos <= at as u64) {
                self.enter(at as u64, next.diagonal);
            }
            while let Some(next) = votes.next_if(|next| next.new_pos <= at as u64) {
                self.reward(next);
            }
            self.advance(at);
        }
        Ok(self.trace(range.end as u64))
    }

    fn node(&mut self, new_pos: u64, diagonal: i64) -> u32 {
        let parent = self.best.node;
        self.nodes.push(Node { new_pos, diagonal, parent });
        (self.nodes.len() - 1) as u32
    }

    /// Starts a path on `diagonal` from the best path so far, unless it is not worth it.
    fn enter(&mut self, new_pos: u64, diagonal: i64) {
        let cost = self.best.cost + self.costs.turn as i64;
        if let Some(at) = self.active.iter().position(|path| path.diagonal == diagonal) {
            if self.active[at].cost > cost {
                let node = self.node(new_pos, diagonal);
                self.active[at] = Path { diagonal, cost, node };
            }
            return;
        }
        if self.active.len() >= self.costs.beam {
            let key = |at: &usize| (self.active[*at].cost, self.active[*at].diagonal);
            let Some(worst) = (0..self.active.len()).max_by_key(key) else { return };
            if self.active[worst].cost <= cost {
                return;
            }
            self.active.swap_remove(worst);
        }
        let node = self.node(new_pos, diagonal);
        self.active.push(Path { diagonal, cost, node });
    }

    /// A vote makes its diagonal cheaper.
    fn reward(&mut self, vote: &Vote) {
        let Some(path) = self.active.iter_mut().find(|path| path.diagonal == vote.diagonal) else {
            return;
        };
        path.cost -= self.costs.bonus(vote.weight);
        if path.cost < self.best.cost {
            self.best = *path;
        }
    }

    /// Lets every path take the byte at `at`.
    fn advance(&mut self, at: usize) {
        let [equal, soft, differing] =
            [self.costs.equal, self.costs.soft, self.costs.differing].map(|cost| cost as i64);
        let [literal, turn, literal_run] =
            [self.costs.literal, self.costs.turn, self.costs.literal_run].map(|cost| cost as i64);
        if self.best.cost + literal_run < self.literal.cost {
            let node = self.node(at as u64, LITERAL);
            let cost = self.best.cost + literal_run;
            self.literal = Path { diagonal: LITERAL, cost, node };
        }
        self.literal.cost += literal;
        let mut best = self.literal;
        let (old, new) = (self.old, self.new);
        self.active.retain_mut(|path| {
            let old_pos = usize::try_from(at as i64 + path.diagonal).ok();
            let Some(pos) = old_pos.filter(|pos| *pos < old.len()) else { return false };
            path.cost += match () {
                () if old.exact[pos] == new.exact[at] => equal,
                () if old.soft[pos] == new.soft[at] => soft,
                () => differing,
            };
            if path.cost < best.cost {
                best = *path;
            }
            true
        });
        let limit = best.cost + turn + 4 * literal;
        self.active.retain(|path| path.cost < limit);
        self.best = best;
    }

    /// Walks back from the best end.
    fn trace(&self, end: u64) -> Vec<Cover> {
        let mut covers = Vec::new();
        let (mut end, mut at) = (end, self.best.node);
        while let Some(node) = self.nodes.get(at as usize) {
            if node.diagonal != LITERAL && node.new_pos < end {
                let old_pos = (node.new_pos as i64 + node.diagonal) as u64;
                covers.push(Cover { old_pos, new_pos: node.new_pos, len: end - node.new_pos });
            }
            end = end.min(node.new_pos);
            at = node.parent;
        }
        covers.reverse();
        covers
    }
}
