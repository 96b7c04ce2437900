//! The cheapest chain, by Dijkstra's algorithm over what a device can run.
//!
//! Cost is bytes to download, then the number of packages; ties beyond that go to what comes first
//! in the index. All states that can be reached are visited, not only those up to the goal: so
//! every package that is left out can be told why.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use super::graph::{Fit, Goal, Graph, State, Use};
use super::verdict::{Reason, excluded, is_for, no_room};
use super::{Device, Entry, Index};
use crate::core::Detail;
use crate::core::hash::Sha256Digest;
use crate::error::{Error, Result};

/// States of a device that are looked at.
pub const PLAN_STATE_COUNT_MAX: usize = 100_000;
/// Packages that are tried on states, in all.
pub const PLAN_WORK_MAX: u64 = 50_000_000;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The chain; `None` if there is none, empty if the device is there already.
    pub chain: Option<Found>,
    /// Component and version that the plan leads to.
    pub goal: Vec<(String, String)>,
    /// Every other package by its number in the index, and why it is not in the chain.
    pub rejected: Vec<(usize, Reason)>,
    /// How often a package was tried on a state: a measure of the work.
    pub work: u64,
}

/// A chain of packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The packages, in order.
    pub steps: Vec<Step>,
    /// Bytes to download.
    pub cost: u64,
}

/// One package of a chain, by numbers in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The package.
    pub entry: usize,
    /// What leads back until this update is confirmed.
    pub rollback: Option<usize>,
    /// What leads back later.
    pub restore: Option<usize>,
}

/// Finds the cheapest chain for `device` to the release `version`, or to the last one: every
/// component gets the image of the package of highest order that changes it.
///
/// # Errors
/// An input error when no package for this device has that version; `TooManyKeys` when there are
/// more than [`PLAN_STATE_COUNT_MAX`] states or it takes more than [`PLAN_WORK_MAX`] trials.
pub fn plan(index: &Index, device: &Device, version: Option<&str>) -> Result<Plan> {
    let order_max = order_of(index, device, version)?;
    let verdicts: Vec<_> =
        index.entries.iter().map(|entry| excluded(entry, device, order_max)).collect();
    let wanted = wanted(index, device, order_max);
    let use_of = |at: usize| match (verdicts.get(at), index.entries.get(at)) {
        (Some(None), _) => Use::Step,
        (Some(Some(Reason::Restore)), Some(entry)) if can_have(entry, device) => Use::Restore,
        _ => Use::None,
    };
    let graph = Graph::new(&index.entries, use_of, device);
    let pairs: Vec<_> = wanted.iter().map(|(name, image)| (*name, &image.digest)).collect();
    let goal = graph.goal(&pairs);
    let mut search = Search::new(&graph, index.entries.len());
    search.run(&goal)?;
    let chain = search.goal.map(|at| search.chain(at, index, device));
    let used: HashSet<_> =
        chain.iter().flat_map(|chain| &chain.steps).map(|step| step.entry).collect();
    let rejected = verdicts.into_iter().enumerate().filter(|(at, _)| !used.contains(at));
    let rejected =
        rejected.map(|(at, verdict)| (at, verdict.unwrap_or_else(|| search.verdict(at))));
    let goal = wanted.iter().map(|(name, image)| ((*name).to_owned(), image.version.clone()));
    Ok(Plan { rejected: rejected.collect(), goal: goal.collect(), work: search.work, chain })
}

/// Whether `entry` says something about the releases meant for this device.
fn is_offered(entry: &Entry, device: &Device) -> bool {
    entry.undoes.is_none() && !entry.is_restore && is_for(entry, device)
}

fn order_of(index: &Index, device: &Device, version: Option<&str>) -> Result<u64> {
    let Some(version) = version else { return Ok(u64::MAX) };
    let has = |entry: &&Entry| entry.parts.iter().any(|part| part.new.version == version);
    let offered = index.entries.iter().filter(|entry| is_offered(entry, device));
    offered.filter(has).map(|entry| entry.order).max().ok_or_else(|| {
        let shown = version.escape_debug();
        Error::input("--to", format!("no package for this device leads to version \"{shown}\""))
    })
}

/// The image each component shall get: that of the highest order, the first of equal ones.
fn wanted<'i>(
    index: &'i Index,
    device: &Device,
    order_max: u64,
) -> BTreeMap<&'i str, &'i super::Image> {
    let mut wanted: BTreeMap<&str, (u64, &super::Image)> = BTreeMap::new();
    let offered = index.entries.iter().filter(|entry| is_offered(entry, device));
    for entry in offered.filter(|entry| entry.order <= order_max) {
        let known = entry.parts.iter().filter(|part| device.components.contains_key(&part.name));
        for part in known {
            let best = wanted.entry(&part.name).or_insert((entry.order, &part.new));
            if entry.order > best.0 {
                *best = (entry.order, &part.new);
            }
        }
    }
    wanted.into_iter().map(|(name, (_, image))| (name, image)).collect()
}

/// Bytes, then packages.
type Cost = (u64, u32);

/// A state that was found.
struct Node {
    state: State,
    cost: Cost,
    /// Package and state that lead here most cheaply; none for the start.
    via: Option<(u32, u32)>,
    is_settled: bool,
}

/// What is known about a package in the end.
#[derive(Clone, Copy)]
enum Seen {
    Never,
    Refused(Fit),
    /// Applied to the cheapest state that it fits: what that costs, and where it leads.
    Applied(Cost, u32),
}

struct Search<'g> {
    graph: &'g Graph<'g>,
    nodes: Vec<Node>,
    numbers: HashMap<State, u32>,
    queue: BinaryHeap<Reverse<(Cost, u32)>>,
    seen: Vec<Seen>,
    /// Packages that start from anything, as far as they are still to be tried.
    anywhere: Vec<u32>,
    goal: Option<u32>,
    work: u64,
}

impl<'g> Search<'g> {
    fn new(graph: &'g Graph<'g>, entry_count: usize) -> Self {
        let seen = vec![Seen::Never; entry_count];
        let (nodes, numbers, queue) = (Vec::new(), HashMap::new(), BinaryHeap::new());
        let anywhere = graph.anywhere().to_vec();
        let mut search = Self { graph, nodes, numbers, queue, seen, anywhere, goal: None, work: 0 };
        search.find(graph.start().clone(), (0, 0), None);
        search
    }

    /// Settles every state that can be reached, cheapest first.
    fn run(&mut self, goal: &Goal) -> Result<()> {
        while let Some(Reverse((cost, at))) = self.queue.pop() {
            let Some(node) = self.nodes.get_mut(at as usize) else { continue };
            if node.is_settled || node.cost != cost {
                continue;
            }
            node.is_settled = true;
            let state = node.state.clone();
            if self.goal.is_none() && goal.is_reached(&state) {
                self.goal = Some(at);
            }
            self.expand(at, &state, cost);
            if self.nodes.len() > PLAN_STATE_COUNT_MAX || self.work > PLAN_WORK_MAX {
                let remedy = "plan for a device with fewer groups, or split the index";
                return Err(Error::from(Detail::TooManyKeys).about("index").remedy(remedy));
            }
        }
        Ok(())
    }

    fn expand(&mut self, at: u32, state: &State, cost: Cost) {
        let graph = self.graph;
        for package in graph.candidates(state) {
            self.attempt(package, at, state, cost);
        }
        // States are settled by cost, so the first that a package fits is the best for it; one
        // that leads to the same state from anywhere need not be tried again.
        let mut anywhere = std::mem::take(&mut self.anywhere);
        anywhere.retain(|package| {
            self.attempt(*package, at, state, cost);
            !self.is_done(*package)
        });
        self.anywhere = anywhere;
    }

    fn is_done(&self, package: u32) -> bool {
        let seen = self.seen.get(package as usize);
        matches!(seen, Some(Seen::Applied(..))) && self.graph.is_complete(package)
    }

    /// Tries a package on the state `at`, which was just settled.
    fn attempt(&mut self, package: u32, at: u32, state: &State, cost: Cost) {
        self.work += 1;
        if self.is_done(package) {
            return;
        }
        let now = match self.graph.fit(package, state) {
            Fit::Other => return,
            Fit::Yes => {
                let there = (cost.0.saturating_add(self.graph.size(package)), cost.1 + 1);
                let after = self.graph.after(package, state);
                Seen::Applied(there, self.find(after, there, Some((package, at))))
            }
            refused => Seen::Refused(refused),
        };
        match self.seen.get_mut(package as usize) {
            None | Some(Seen::Applied(..)) => {}
            Some(seen) => *seen = now,
        }
    }

    /// The number of `state`, with its cost if that is lower than what was known.
    fn find(&mut self, state: State, cost: Cost, via: Option<(u32, u32)>) -> u32 {
        let next = self.nodes.len() as u32;
        let at = *self.numbers.entry(state.clone()).or_insert(next);
        match self.nodes.get_mut(at as usize) {
            None => self.nodes.push(Node { state, cost, via, is_settled: false }),
            Some(node) if cost < node.cost => (node.cost, node.via) = (cost, via),
            Some(_) => return at,
        }
        self.queue.push(Reverse((cost, at)));
        at
    }

    /// The chain to state `goal`, with what leads back from each step.
    fn chain(&self, goal: u32, index: &Index, device: &Device) -> Found {
        let mut found = Found::default();
        let rollbacks = rollbacks(index, device);
        let mut next = self.nodes.get(goal as usize);
        found.cost = next.map_or(0, |node| node.cost.0);
        while let Some(Node { state, via: Some((package, from)), .. }) = next {
            let before = self.nodes.get(*from as usize);
            let entry = *package as usize;
            let manifest = index.entries.get(entry).map(|entry| &entry.manifest);
            let rollback = manifest.and_then(|manifest| rollbacks.get(manifest).copied());
            let restore = before.and_then(|node| self.graph.restore(state, &node.state));
            found.steps.push(Step { entry, rollback, restore });
            next = before;
        }
        found.steps.reverse();
        found
    }

    /// Why a package that the device accepts is not in the chain.
    fn verdict(&self, at: usize) -> Reason {
        let (cost, to) = match self.seen.get(at) {
            Some(Seen::Applied(cost, to)) => (*cost, *to),
            Some(Seen::Refused(Fit::TooHigh)) => return Reason::SequenceTooHigh,
            Some(Seen::Refused(_)) => return Reason::SequenceTooLow,
            Some(Seen::Never) | None => return Reason::Unreachable,
        };
        let plan = self.goal.and_then(|goal| self.nodes.get(goal as usize)).map(|node| node.cost);
        let there = self.nodes.get(to as usize);
        let is_via = there.is_some_and(|node| node.via.is_some_and(|(via, _)| via as usize == at));
        match there {
            _ if plan.is_some_and(|plan| plan <= cost) => Reason::DearerThanPlan { cost: cost.0 },
            Some(node) if !is_via => Reason::DearerThere { cost: cost.0, best: node.cost.0 },
            _ => Reason::Aside { cost: cost.0 },
        }
    }
}

/// By the manifest that they undo, the smallest packages that lead back from it.
fn rollbacks(index: &Index, device: &Device) -> HashMap<Sha256Digest, usize> {
    let mut smallest: HashMap<Sha256Digest, (u64, usize)> = HashMap::new();
    for (at, entry) in index.entries.iter().enumerate() {
        let Some(undone) = entry.undoes.filter(|_| can_have(entry, device)) else { continue };
        let best = smallest.entry(undone).or_insert((entry.size, at));
        *best = (*best).min((entry.size, at));
    }
    smallest.into_iter().map(|(undone, (_, at))| (undone, at)).collect()
}

/// Whether the device may have a package and has room for it.
fn can_have(entry: &Entry, device: &Device) -> bool {
    is_for(entry, device) && no_room(entry, device).is_none()
}
