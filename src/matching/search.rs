//! A beam search over diagonals, in the manner of Viterbi.
//!
//! States at each byte of new are "literal" and a few diagonals; costs are estimates of what the
//! coders pay. Compared with greedy extension this keeps a diagonal through differing bytes when
//! it pays, and leaves it for a short exact match when that pays.
//!
//! Where every path in view finds its byte equal, all costs move alike and nothing is decided: such
//! runs are compared word by word and added at once. The result is the same as byte by byte.

use super::candidates::Candidate;
use super::costs::Costs;
use super::covers::Cover;
use super::run::common;
use super::view::{View, Vote};

/// The diagonal of literals.
const LITERAL: i64 = i64::MIN;
/// No node yet.
const NONE: u32 = u32::MAX;
/// Bytes compared ahead for one path: what is lost when the path is given up.
const AHEAD_LEN: usize = 1024;

/// From `new_pos` on the path follows `diagonal`, before that its parent.
#[derive(Clone, Copy, Debug)]
struct Node {
    new_pos: usize,
    diagonal: i64,
    parent: u32,
}

#[derive(Clone, Copy, Debug)]
struct Path {
    diagonal: i64,
    /// Votes may take it below nothing.
    cost: i64,
    /// Where the path went to this diagonal, and the node it came from.
    new_pos: usize,
    parent: u32,
    /// Its own node, once another path comes from it: most never have one.
    node: u32,
    /// Up to here old and new are known to be equal.
    equal_end: usize,
}

impl Path {
    const fn new(diagonal: i64, cost: i64, new_pos: usize, parent: u32) -> Self {
        Self { diagonal, cost, new_pos, parent, node: NONE, equal_end: 0 }
    }
}

/// [`Costs`] as what is added to a path.
#[derive(Clone, Copy, Debug)]
struct Steps {
    equal: i64,
    soft: i64,
    differing: i64,
    literal: i64,
    literal_run: i64,
    turn: i64,
}

impl From<&Costs> for Steps {
    fn from(costs: &Costs) -> Self {
        let signed = |cost: u64| cost.min(1 << 32) as i64;
        Self {
            equal: signed(costs.equal),
            soft: signed(costs.soft),
            differing: signed(costs.differing),
            literal: signed(costs.literal),
            literal_run: signed(costs.literal_run),
            turn: signed(costs.turn),
        }
    }
}

pub(super) struct Search<'a> {
    old: &'a View<'a>,
    new: &'a View<'a>,
    costs: &'a Costs,
    steps: Steps,
    nodes: Vec<Node>,
    active: Vec<Path>,
    literal: Path,
    /// The diagonal of the cheapest path, and what that costs.
    best: i64,
    least: i64,
}

impl<'a> Search<'a> {
    /// A search of new from `start` on.
    pub(super) fn new(old: &'a View, new: &'a View, costs: &'a Costs, start: usize) -> Self {
        let literal = Path::new(LITERAL, 0, start, NONE);
        let active = Vec::with_capacity(costs.beam);
        let (steps, nodes) = (Steps::from(costs), Vec::new());
        let (best, least) = (LITERAL, 0);
        let mut search = Self { old, new, costs, steps, nodes, active, literal, best, least };
        search.enter(start, 0);
        search
    }

    /// Goes on over `range` with its candidates and votes, both ascending.
    pub(super) fn run(
        &mut self,
        candidates: &[Candidate],
        votes: &[Vote],
        range: std::ops::Range<usize>,
    ) {
        let (mut candidates, mut votes) = (candidates.iter().peekable(), votes.iter().peekable());
        let mut at = range.start;
        while at < range.end {
            while let Some(next) = candidates.next_if(|next| next.new_pos <= at) {
                self.enter(at, next.diagonal);
            }
            while let Some(next) = votes.next_if(|next| next.new_pos <= at as u64) {
                self.reward(next);
            }
            let candidate = candidates.peek().map_or(range.end, |next| next.new_pos);
            let vote = votes.peek().map_or(range.end, |next| next.new_pos as usize);
            self.advance(at);
            at = self.quiet(at + 1, range.end.min(candidate).min(vote));
        }
    }

    /// From `at`, just behind a byte taken singly, up to `end`: nothing enters here.
    fn quiet(&mut self, mut at: usize, end: usize) -> usize {
        while at < end {
            let len = self.uniform_len(at, end);
            if len > 0 {
                self.skip(at, len);
                at += len;
            } else {
                self.advance(at);
                at += 1;
            }
        }
        at
    }

    /// For how many bytes before `end` nothing is decided.
    fn uniform_len(&mut self, at: usize, end: usize) -> usize {
        if self.active.is_empty() {
            return end - at;
        }
        if self.best == LITERAL || self.steps.literal <= self.steps.equal {
            return 0;
        }
        let mut len = end - at;
        for path in &mut self.active {
            look_ahead(self.old, self.new, path, at);
            len = len.min(path.equal_end - at);
            if len == 0 {
                break;
            }
        }
        len
    }

    /// Takes `len` bytes that are equal on every diagonal in view.
    fn skip(&mut self, at: usize, len: usize) {
        let Steps { equal, literal, literal_run, .. } = self.steps;
        if self.active.is_empty() {
            self.literal.cost += literal * len as i64;
            (self.best, self.least) = (LITERAL, self.literal.cost);
            return;
        }
        // Literals could begin anew at every byte from the first where that is cheaper than to
        // have begun earlier: then the last beginning counts.
        let ahead = self.literal.cost - self.least - literal_run;
        let first = if ahead > 0 { 0 } else { (-ahead / (literal - equal) + 1) as usize };
        let before = self.least;
        if first < len {
            let cost = before + equal * (len as i64 - 1) + literal_run + literal;
            let parent = self.anchor();
            self.literal = Path::new(LITERAL, cost, at + len - 1, parent);
        } else {
            self.literal.cost += literal * len as i64;
        }
        for path in &mut self.active {
            path.cost += equal * len as i64;
        }
        self.least += equal * len as i64;
    }

    /// The node of the best path.
    fn anchor(&mut self) -> u32 {
        let best = self.active.iter_mut().find(|path| path.diagonal == self.best);
        let path = best.unwrap_or(&mut self.literal);
        if path.node == NONE {
            path.node = self.nodes.len() as u32;
            let Path { new_pos, diagonal, parent, .. } = *path;
            self.nodes.push(Node { new_pos, diagonal, parent });
        }
        path.node
    }

    /// Starts a path on `diagonal` from the best path so far, unless it is not worth it.
    fn enter(&mut self, new_pos: usize, diagonal: i64) {
        let cost = self.least + self.steps.turn;
        if let Some(at) = self.active.iter().position(|path| path.diagonal == diagonal) {
            if self.active[at].cost > cost {
                self.active[at] = Path::new(diagonal, cost, new_pos, self.anchor());
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
        let parent = self.anchor();
        self.active.push(Path::new(diagonal, cost, new_pos, parent));
    }

    /// A vote makes its diagonal cheaper.
    fn reward(&mut self, vote: &Vote) {
        let Some(path) = self.active.iter_mut().find(|path| path.diagonal == vote.diagonal) else {
            return;
        };
        path.cost -= self.costs.bonus(vote.weight);
        if path.cost < self.least {
            (self.best, self.least) = (path.diagonal, path.cost);
        }
    }

    /// Lets every path take the byte at `at`.
    fn advance(&mut self, at: usize) {
        let Steps { equal, soft, differing, literal, literal_run, turn } = self.steps;
        if self.least + literal_run < self.literal.cost {
            let cost = self.least + literal_run;
            self.literal = Path::new(LITERAL, cost, at, self.anchor());
        }
        self.literal.cost += literal;
        let (old, new) = (self.old, self.new);
        let (exact, masked) = (new.exact[at], new.soft[at]);
        let (mut best, mut least, mut most) = (LITERAL, self.literal.cost, i64::MIN);
        let mut is_inside = true;
        for path in &mut self.active {
            let Some(pos) = old_pos(old, path.diagonal, at) else {
                is_inside = false;
                continue;
            };
            // No branches: which it is cannot be guessed.
            let repaired = if old.soft[pos] == masked { soft } else { differing };
            path.cost += if old.exact[pos] == exact { equal } else { repaired };
            most = most.max(path.cost);
            if path.cost < least {
                (best, least) = (path.diagonal, path.cost);
            }
        }
        (self.best, self.least) = (best, least);
        if !is_inside {
            self.active.retain(|path| old_pos(old, path.diagonal, at).is_some());
        }
        let limit = least + turn + 4 * literal;
        if most >= limit {
            self.active.retain(|path| path.cost < limit);
        }
    }

    /// Walks back from the best end: the covers of everything before `end`.
    pub(super) fn trace(&mut self, end: usize) -> Vec<Cover> {
        let mut covers = Vec::new();
        let (mut end, mut at) = (end, self.anchor());
        while let Some(node) = self.nodes.get(at as usize) {
            if node.diagonal != LITERAL && node.new_pos < end {
                let old_pos = (node.new_pos as i64 + node.diagonal) as u64;
                let (new_pos, len) = (node.new_pos as u64, (end - node.new_pos) as u64);
                covers.push(Cover { old_pos, new_pos, len });
            }
            end = end.min(node.new_pos);
            at = node.parent;
        }
        covers.reverse();
        covers
    }
}

/// Where in old `diagonal` meets `new_pos`.
fn old_pos(old: &View, diagonal: i64, new_pos: usize) -> Option<usize> {
    usize::try_from(new_pos as i64 + diagonal).ok().filter(|pos| *pos < old.len())
}

/// Finds out how far the path stays equal from `at` on.
fn look_ahead(old: &View, new: &View, path: &mut Path, at: usize) {
    if path.equal_end > at {
        return;
    }
    let len = old_pos(old, path.diagonal, at).map_or(0, |pos| {
        let ahead = &new.exact[at..new.len().min(at + AHEAD_LEN)];
        common(&old.exact[pos..], ahead)
    });
    path.equal_end = at + len;
}

#[cfg(test)]
mod tests;
