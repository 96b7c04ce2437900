//! Covers by cost: a beam search over diagonals, in the manner of Viterbi.
//!
//! States at each byte of new are "literal" and a few diagonals; costs are estimates of what the
//! coders pay. Compared with greedy extension this keeps a diagonal through differing bytes when
//! it pays, and leaves it for a short exact match when that pays.

use rayon::prelude::*;

use super::candidates::{self, Candidate};
use super::statistics::Statistics;
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

/// Estimated costs, in hundredths of a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// A byte equal to old's.
    pub equal: u64,
    /// A byte that differs from old's.
    pub differing: u64,
    /// A byte that stands in the delta.
    pub literal: u64,
    /// Going to another diagonal.
    pub turn: u64,
    /// Going from a diagonal to literals.
    pub literal_run: u64,
    /// Shortest exact match worth trying, in bytes.
    pub match_len_min: u64,
    /// Diagonals kept in view.
    pub beam: usize,
}

impl Costs {
    /// For coder 1.
    pub const SMALL: Costs = Costs {
        equal: 3,
        differing: 900,
        literal: 600,
        turn: 2600,
        literal_run: 500,
        match_len_min: 4,
        beam: 12,
    };
    /// For three bzip2 streams: a triple takes 24 bytes before packing.
    pub const BSDIFF40: Costs = Costs { turn: 6000, match_len_min: 12, ..Costs::FAST };

    /// For coder 2.
    pub const FAST: Costs = Costs {
        equal: 3,
        differing: 1000,
        literal: 600,
        turn: 3600,
        literal_run: 600,
        match_len_min: 8,
        beam: 12,
    };
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
    cost: u64,
    node: u32,
}

/// The best covers of all of new.
pub(super) fn parse(
    old: &[u8],
    new: &[u8],
    statistics: &Statistics,
    costs: &Costs,
    progress: &dyn Progress,
) -> Result<Vec<Cover>> {
    let starts: Vec<usize> = (0..new.len()).step_by(PIECE_LEN).collect();
    let pieces = starts.into_par_iter().map(|start| {
        let range = start..new.len().min(start + PIECE_LEN);
        let candidates = candidates::find(old, new, range.clone(), statistics, costs);
        let mut search = Search::new(old, new, range.start, costs);
        search.run(&candidates, range, progress)
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

fn continues(last: &Cover, next: &Cover) -> bool {
    last.new_pos + last.len == next.new_pos && last.old_pos + last.len == next.old_pos
}

struct Search<'a> {
    old: &'a [u8],
    new: &'a [u8],
    costs: &'a Costs,
    nodes: Vec<Node>,
    active: Vec<Path>,
    literal: Path,
    best: Path,
}

impl<'a> Search<'a> {
    fn new(old: &'a [u8], new: &'a [u8], start: usize, costs: &'a Costs) -> Self {
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
        range: std::ops::Range<usize>,
        progress: &dyn Progress,
    ) -> Result<Vec<Cover>> {
        let mut coming = candidates.iter().peekable();
        for at in range.clone() {
            if at % CHECK_LEN == 0 {
                let total = self.new.len() as u64;
                checkpoint(progress, Stage::Match, (total + at as u64) / 2, total)?;
            }
            while let Some(next) = coming.next_if(|next| next.new_pos <= at as u64) {
                self.enter(at as u64, next.diagonal);
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
        let cost = self.best.cost + self.costs.turn;
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

    /// Lets every path take the byte at `at`.
    fn advance(&mut self, at: usize) {
        let Costs { equal, differing, literal, turn, literal_run, .. } = *self.costs;
        if self.best.cost + literal_run < self.literal.cost {
            let node = self.node(at as u64, LITERAL);
            let cost = self.best.cost + literal_run;
            self.literal = Path { diagonal: LITERAL, cost, node };
        }
        self.literal.cost += literal;
        let byte = self.new[at];
        let mut best = self.literal;
        let old = self.old;
        self.active.retain_mut(|path| {
            let old_pos = usize::try_from(at as i64 + path.diagonal).ok();
            let Some(before) = old_pos.and_then(|pos| old.get(pos)) else { return false };
            path.cost += if *before == byte { equal } else { differing };
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
