//! The search against itself without any of its short cuts.

use super::*;

/// Byte by byte, a node for every path.
struct Plain<'a> {
    old: View<'a>,
    new: View<'a>,
    costs: Costs,
    nodes: Vec<(usize, i64, usize)>,
    active: Vec<(i64, i64, usize)>,
    literal: (i64, i64, usize),
    best: (i64, i64, usize),
}

impl Plain<'_> {
    fn covers(&mut self, candidates: &[Candidate], votes: &[Vote]) -> Vec<Cover> {
        self.enter(0, 0);
        for at in 0..self.new.len() {
            for candidate in candidates.iter().filter(|candidate| candidate.new_pos == at) {
                self.enter(at, candidate.diagonal);
            }
            for vote in votes.iter().filter(|vote| vote.new_pos == at as u64) {
                for path in &mut self.active {
                    if path.1 == vote.diagonal {
                        path.0 -= self.costs.bonus(vote.weight);
                        if path.0 < self.best.0 {
                            self.best = *path;
                        }
                    }
                }
            }
            self.advance(at);
        }
        self.trace()
    }

    fn node(&mut self, at: usize, diagonal: i64) -> usize {
        self.nodes.push((at, diagonal, self.best.2));
        self.nodes.len() - 1
    }

    fn enter(&mut self, at: usize, diagonal: i64) {
        let cost = self.best.0 + self.costs.turn as i64;
        let node = self.node(at, diagonal);
        if let Some(path) = self.active.iter_mut().find(|path| path.1 == diagonal) {
            if cost < path.0 {
                *path = (cost, diagonal, node);
            }
        } else if self.active.len() < self.costs.beam {
            self.active.push((cost, diagonal, node));
        } else {
            let worst = *self.active.iter().max().unwrap();
            let at = self.active.iter().position(|path| *path == worst).unwrap();
            if worst.0 > cost {
                self.active.swap_remove(at);
                self.active.push((cost, diagonal, node));
            }
        }
    }

    fn advance(&mut self, at: usize) {
        let costs = self.costs;
        if self.best.0 + (costs.literal_run as i64) < self.literal.0 {
            let node = self.node(at, LITERAL);
            self.literal = (self.best.0 + costs.literal_run as i64, LITERAL, node);
        }
        self.literal.0 += costs.literal as i64;
        self.best = self.literal;
        let inside = |diagonal: i64| (0..self.old.len() as i64).contains(&(at as i64 + diagonal));
        self.active.retain(|path| inside(path.1));
        for path in &mut self.active {
            let pos = (at as i64 + path.1) as usize;
            let exact = self.old.exact[pos] == self.new.exact[at];
            let soft = self.old.soft[pos] == self.new.soft[at];
            let cost = match (exact, soft) {
                (true, _) => costs.equal,
                (_, true) => costs.soft,
                _ => costs.differing,
            };
            path.0 += cost as i64;
            if path.0 < self.best.0 {
                self.best = *path;
            }
        }
        let limit = self.best.0 + (costs.turn + 4 * costs.literal) as i64;
        self.active.retain(|path| path.0 < limit);
    }

    fn trace(&self) -> Vec<Cover> {
        let (mut end, mut at) = (self.new.len(), self.best.2);
        let mut covers = Vec::new();
        while let Some((new_pos, diagonal, parent)) = self.nodes.get(at) {
            if *diagonal != LITERAL && *new_pos < end {
                let old_pos = (*new_pos as i64 + diagonal) as u64;
                let len = (end - new_pos) as u64;
                covers.push(Cover { old_pos, new_pos: *new_pos as u64, len });
            }
            (end, at) = (end.min(*new_pos), *parent);
        }
        covers.reverse();
        covers
    }
}

fn noise(seed: u32) -> impl FnMut(u32) -> u32 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(state >> 8) * u64::from(below)) >> 24) as u32
    }
}

/// Parts of old, some bytes changed, and noise between them.
fn edited(old: &[u8], random: &mut impl FnMut(u32) -> u32, letters: u32) -> Vec<u8> {
    let mut new = Vec::new();
    for _ in 0..12 {
        let start = random(old.len() as u32) as usize;
        let end = old.len().min(start + random(400) as usize);
        new.extend_from_slice(&old[start..end]);
        for _ in 0..random(6) {
            let at = random(new.len().max(1) as u32) as usize;
            new.get_mut(at).into_iter().for_each(|byte| *byte = byte.wrapping_add(1));
        }
        new.extend((0..random(30)).map(|_| random(letters) as u8));
    }
    new
}

fn random_votes(old_len: usize, new_len: usize, random: &mut impl FnMut(u32) -> u32) -> Vec<Vote> {
    let mut votes: Vec<Vote> = (0..random(40))
        .map(|_| {
            let (new_pos, old_pos) = (random(new_len as u32), random(old_len as u32));
            let diagonal = i64::from(old_pos) - i64::from(new_pos);
            Vote { new_pos: new_pos.into(), diagonal, weight: random(20) }
        })
        .collect();
    votes.sort_unstable();
    votes
}

fn random_candidates(votes: &[Vote], random: &mut impl FnMut(u32) -> u32) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = votes
        .iter()
        .map(|vote| Candidate { new_pos: vote.new_pos as usize, diagonal: vote.diagonal })
        .collect();
    for at in 0..found.len() {
        let back = random(50) as usize;
        let Candidate { new_pos, diagonal } = found[at];
        found.push(Candidate { new_pos: new_pos.saturating_sub(back), diagonal });
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn short_cuts_change_nothing() {
    for seed in 0..3000 {
        let mut random = noise(seed);
        let letters = [2, 4, 40, 250][seed as usize % 4];
        let old: Vec<u8> = (0..500 + random(1500)).map(|_| random(letters) as u8).collect();
        let new = edited(&old, &mut random, letters);
        let [old_soft, new_soft] = [&old, &new].map(|of| of.iter().map(|b| b & 0xFC).collect());
        let (old_soft, new_soft): (Vec<u8>, Vec<u8>) = (old_soft, new_soft);
        let old = View { soft: &old_soft, ..View::plain(&old) };
        let new = View { soft: &new_soft, ..View::plain(&new) };
        let votes = random_votes(old.len(), new.len(), &mut random);
        let mut candidates = random_candidates(&votes, &mut random);
        candidates.extend((0..60).map(|_| {
            let new_pos = random(new.len() as u32) as usize;
            Candidate { new_pos, diagonal: i64::from(random(old.len() as u32)) - new_pos as i64 }
        }));
        candidates.sort_unstable();
        let beam = [1, 3, 12][seed as usize % 3];
        let cheap = Costs { literal: 20, turn: 60, differing: 40, soft: 9, ..Costs::MAX };
        let kinds = [Costs::MAX, cheap, Costs { literal: 2, ..cheap }];
        let costs = Costs { beam, ..kinds[seed as usize / 12 % 3] };
        let end = 1 + random(new.len() as u32) as usize;
        let new = View { seek: &[], exact: &new.exact[..end], soft: &new.soft[..end] };
        let start = (0, LITERAL, usize::MAX);
        let (nodes, active) = (Vec::new(), Vec::new());
        let mut plain = Plain { old, new, costs, nodes, active, literal: start, best: start };
        let expected = plain.covers(&candidates, &votes);
        let mut search = Search::new(&old, &new, &costs, 0);
        search.run(&candidates, &votes, 0..end);
        assert_eq!(search.trace(end), expected, "seed {seed}");
        assert_eq!((search.literal.cost, search.least), (plain.literal.0, plain.best.0));
        let paths = search.active.iter().map(|path| (path.cost, path.diagonal));
        assert!(paths.eq(plain.active.iter().map(|path| (path.0, path.1))));
    }
}
