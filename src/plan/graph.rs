//! What a device can run as a graph: states, and the packages that lead from one to another.
//!
//! A state is the image of every component and the sequence number, because a device refuses lower
//! ones and those too far ahead. States are numbered in the order in which they are found.

use std::collections::HashMap;

use super::{Device, Entry, Part};
use crate::core::hash::Sha256Digest;

/// Images of all components, by number, and the sequence number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    images: Vec<u32>,
    sequence: u64,
}

/// What a package does, by numbers.
struct Edge {
    /// Component, image before (any for a full image), image after.
    parts: Vec<(usize, Option<u32>, u32)>,
    sequence: u64,
    size: u64,
}

/// What a package is to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It cannot have it.
    None,
    /// It may be a step of a plan.
    Step,
    /// It leads back to an older release.
    Restore,
}

/// Whether a package can be applied to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It starts from other images.
    Other,
    /// Its sequence number is lower than that of the state.
    TooLow,
    /// Its sequence number is too far ahead.
    TooHigh,
    /// It can.
    Yes,
}

/// The packages a device accepts, found by what they start from.
pub(super) struct Graph<'i> {
    names: Vec<&'i str>,
    digests: HashMap<Sha256Digest, u32>,
    edges: Vec<Option<Edge>>,
    /// Steps of plans.
    forward: Lists,
    /// What restores older releases.
    back: Lists,
    start: State,
    jump_max: u64,
}

/// Packages by what they start from.
#[derive(Default)]
struct Lists {
    /// By the first component and image they start from.
    by_old: HashMap<(usize, u32), Vec<u32>>,
    /// Those that start from anything.
    full: Vec<u32>,
}

impl Lists {
    fn register(&mut self, edge: &Edge, at: u32) {
        let first = edge.parts.iter().find_map(|(component, old, _)| Some((*component, (*old)?)));
        match first {
            Some(key) => self.by_old.entry(key).or_default().push(at),
            None => self.full.push(at),
        }
    }

    /// Packages that start from an image of `state`.
    fn candidates<'l>(&'l self, state: &'l State) -> impl Iterator<Item = u32> + 'l {
        let keys = state.images.iter().enumerate();
        let by_old = keys.filter_map(|(component, image)| self.by_old.get(&(component, *image)));
        by_old.flatten().copied()
    }
}

impl<'i> Graph<'i> {
    /// `use_of` says what each entry is to the device.
    pub(super) fn new(
        entries: &[Entry],
        use_of: impl Fn(usize) -> Use,
        device: &'i Device,
    ) -> Self {
        let mut graph = Self {
            names: device.components.keys().map(String::as_str).collect(),
            digests: HashMap::new(),
            edges: Vec::new(),
            forward: Lists::default(),
            back: Lists::default(),
            start: State { images: Vec::new(), sequence: device.sequence },
            jump_max: device.jump_max,
        };
        for slot in device.components.values() {
            let image = graph.number(&slot.sha256);
            graph.start.images.push(image);
        }
        for (at, entry) in entries.iter().enumerate() {
            let edge = graph.edge(entry);
            // There are at most `INDEX_ENTRY_COUNT_MAX` entries.
            match (use_of(at), &edge) {
                (Use::Step, Some(edge)) => graph.forward.register(edge, at as u32),
                (Use::Restore, Some(edge)) => graph.back.register(edge, at as u32),
                _ => {}
            }
            graph.edges.push(edge);
        }
        graph
    }

    fn number(&mut self, digest: &Sha256Digest) -> u32 {
        let next = self.digests.len() as u32;
        *self.digests.entry(*digest).or_insert(next)
    }

    /// `None` if the device lacks a component.
    fn edge(&mut self, entry: &Entry) -> Option<Edge> {
        let mut parts = Vec::new();
        for Part { name, old, new, .. } in &entry.parts {
            let component = self.names.iter().position(|known| known == name)?;
            let old = old.as_ref().map(|image| self.number(&image.digest));
            parts.push((component, old, self.number(&new.digest)));
        }
        Some(Edge { parts, sequence: entry.sequence, size: entry.size })
    }

    /// What the device runs.
    pub(super) fn start(&self) -> &State {
        &self.start
    }

    /// Bytes of a package.
    pub(super) fn size(&self, at: u32) -> u64 {
        self.edges.get(at as usize).and_then(Option::as_ref).map_or(0, |edge| edge.size)
    }

    /// Steps that start from anything.
    pub(super) fn anywhere(&self) -> &[u32] {
        &self.forward.full
    }

    /// Steps that start from an image of `state`.
    pub(super) fn candidates<'g>(&'g self, state: &'g State) -> impl Iterator<Item = u32> + 'g {
        self.forward.candidates(state)
    }

    /// The smallest package that restores the images of `before` where `after` runs.
    pub(super) fn restore(&self, after: &State, before: &State) -> Option<usize> {
        let open = self.back.candidates(after).chain(self.back.full.iter().copied());
        let fits = open.filter(|at| {
            self.fit(*at, after) == Fit::Yes && self.after(*at, after).images == before.images
        });
        fits.min_by_key(|at| (self.size(*at), *at)).map(|at| at as usize)
    }

    /// Whether package `at` can be applied to `state`.
    pub(super) fn fit(&self, at: u32, state: &State) -> Fit {
        let Some(Some(edge)) = self.edges.get(at as usize) else { return Fit::Other };
        let is_there = |(component, old, _): &(usize, Option<u32>, u32)| {
            old.is_none_or(|old| state.images.get(*component) == Some(&old))
        };
        if !edge.parts.iter().all(is_there) {
            Fit::Other
        } else if edge.sequence < state.sequence {
            Fit::TooLow
        } else if edge.sequence - state.sequence > self.jump_max {
            Fit::TooHigh
        } else {
            Fit::Yes
        }
    }

    /// Whether package `at` leads to the same state from wherever it is applied.
    pub(super) fn is_complete(&self, at: u32) -> bool {
        let edge = self.edges.get(at as usize).and_then(Option::as_ref);
        edge.is_some_and(|edge| edge.parts.len() == self.names.len())
    }

    /// The state after package `at`.
    pub(super) fn after(&self, at: u32, state: &State) -> State {
        let mut after = state.clone();
        if let Some(Some(edge)) = self.edges.get(at as usize) {
            after.sequence = edge.sequence;
            for (component, _, new) in &edge.parts {
                after.images.iter_mut().skip(*component).take(1).for_each(|image| *image = *new);
            }
        }
        after
    }

    /// Which image each component shall have, by name; others may have any.
    pub(super) fn goal(&self, wanted: &[(&str, &Sha256Digest)]) -> Goal {
        let number = |name: &&str| {
            let (_, digest) = wanted.iter().find(|(known, _)| known == name)?;
            // An image that no edge leads to is none of those with a number.
            Some(self.digests.get(*digest).copied().unwrap_or(u32::MAX))
        };
        Goal(self.names.iter().map(number).collect())
    }
}

/// The images that a plan leads to.
pub(super) struct Goal(Vec<Option<u32>>);

impl Goal {
    /// Whether `state` has them all.
    pub(super) fn is_reached(&self, state: &State) -> bool {
        let mut pairs = self.0.iter().zip(&state.images);
        pairs.all(|(wanted, image)| wanted.is_none_or(|wanted| wanted == *image))
    }
}
