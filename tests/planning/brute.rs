//! A planner that tries every chain, and random indexes for it: the oracle of the real one.

use std::collections::{BTreeMap, BTreeSet};

use fwdelta::plan::{Device, Entry, Image, Index, Part, Slot};

/// Numbers that depend on the seed only (xorshift64*, Vigna 2016).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

pub(crate) fn image(number: u64) -> Image {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    Image { version: format!("v{}", number % 100), len: 10 + number % 100, digest }
}

pub(crate) fn part(name: &str, old: Option<u64>, new: u64) -> Part {
    let (old, new) = (old.map(image), image(new));
    Part { name: name.to_owned(), old, new, workspace_len: 100, in_place: false }
}

pub(crate) fn entry(number: u64, size: u64, parts: Vec<Part>) -> Entry {
    Entry {
        file: format!("{number}.suit"),
        size,
        digest: image(1000 + number).digest,
        manifest: image(2000 + number).digest,
        sequence: 0,
        order: 0,
        is_restore: false,
        undoes: None,
        parts,
        groups: Vec::new(),
        next_url: None,
    }
}

pub(crate) fn device(images: &[(&str, u64)]) -> Device {
    let slot = |number: u64| Slot { sha256: image(number).digest, slot_len: None };
    Device {
        components: images.iter().map(|(name, at)| ((*name).to_owned(), slot(*at))).collect(),
        sequence: 0,
        index_sequence: 0,
        jump_max: 65_536,
        vendor_id: None,
        class_id: None,
        workspace_len: None,
        download_len: None,
        one_slot: false,
        groups: Vec::new(),
    }
}

/// Images of component `b` are numbered from 100.
fn random_part(random: &mut Random, name: &str) -> Part {
    let first = if name == "b" { 100 } else { 0 };
    let old = (!random.one_in(5)).then(|| first + random.below(4));
    let mut part = part(name, old, first + random.below(4));
    part.workspace_len = if random.one_in(8) { 1000 } else { 100 };
    part.in_place = random.one_in(2);
    part
}

/// A small index and a device, with everything that can matter in some of them.
pub(crate) fn random_case(seed: u64) -> (Index, Device, Option<String>) {
    let random = &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let two = random.one_in(2);
    let mut index = Index::default();
    for number in 0..1 + random.below(9) {
        let names: &[&str] = match random.below(4) {
            0 if two => &["b"],
            1 if two => &["a", "b"],
            2 if random.one_in(10) => &["absent"],
            _ => &["a"],
        };
        let parts = names.iter().map(|name| random_part(random, name)).collect();
        let mut entry = entry(number, random.below(20), parts);
        (entry.order, entry.sequence) = (random.below(4), random.below(6));
        entry.is_restore = random.one_in(12);
        entry.undoes = random.one_in(12).then(|| image(2000 + random.below(9)).digest);
        if random.one_in(6) {
            entry.groups = vec!["canary".to_owned()];
        }
        index.entries.push(entry);
    }
    let mut device = device(if two { &[("a", 0), ("b", 100)] } else { &[("a", 0)] });
    device.sequence = random.below(3);
    device.jump_max = if random.one_in(3) { 2 } else { 100 };
    device.workspace_len = random.one_in(2).then_some(500);
    device.download_len = random.one_in(4).then_some(12);
    device.one_slot = random.one_in(6);
    device.components.get_mut("a").unwrap().slot_len = random.one_in(4).then_some(12);
    if random.one_in(2) {
        device.groups.push("canary".to_owned());
    }
    (index, device, random.one_in(4).then(|| "v2".to_owned()))
}

type Images = BTreeMap<String, [u8; 32]>;

fn is_meant(entry: &Entry, device: &Device) -> bool {
    let is_member = entry.groups.iter().any(|group| device.groups.contains(group));
    entry.undoes.is_none() && !entry.is_restore && (entry.groups.is_empty() || is_member)
}

fn has_room(entry: &Entry, device: &Device) -> bool {
    entry.size <= device.download_len.unwrap_or(u64::MAX)
        && entry.parts.iter().all(|part| {
            let slot = device.components.get(&part.name);
            slot.is_some_and(|slot| part.new.len <= slot.slot_len.unwrap_or(u64::MAX))
                && part.workspace_len <= device.workspace_len.unwrap_or(u64::MAX)
                && (part.in_place || !device.one_slot)
        })
}

/// What the device runs after `entry`; `None` if it refuses it.
pub(crate) fn applied(
    entry: &Entry,
    device: &Device,
    (images, sequence): &(Images, u64),
) -> Option<(Images, u64)> {
    let fits = |part: &Part| {
        part.old.as_ref().is_none_or(|old| images.get(&part.name) == Some(&old.digest))
    };
    let follows = entry.sequence >= *sequence && entry.sequence - sequence <= device.jump_max;
    if !has_room(entry, device) || !follows || !entry.parts.iter().all(fits) {
        return None;
    }
    let mut images = images.clone();
    for part in &entry.parts {
        images.insert(part.name.clone(), part.new.digest);
    }
    Some((images, entry.sequence))
}

pub(crate) fn running(device: &Device) -> (Images, u64) {
    let images = device.components.iter().map(|(name, slot)| (name.clone(), slot.sha256));
    (images.collect(), device.sequence)
}

/// What a plan must lead to; `None` when no package for the device has the version.
pub(crate) fn goal(index: &Index, device: &Device, to: Option<&str>) -> Option<Images> {
    let meant: Vec<_> = index.entries.iter().filter(|entry| is_meant(entry, device)).collect();
    let highest = match to {
        None => u64::MAX,
        Some(to) => {
            let has = |entry: &&&Entry| entry.parts.iter().any(|part| part.new.version == to);
            meant.iter().filter(has).map(|entry| entry.order).max()?
        }
    };
    let mut goal = Images::new();
    for name in device.components.keys() {
        let mut best: Option<(u64, [u8; 32])> = None;
        for entry in meant.iter().filter(|entry| entry.order <= highest) {
            for part in entry.parts.iter().filter(|part| part.name == *name) {
                if best.is_none_or(|(order, _)| entry.order > order) {
                    best = Some((entry.order, part.new.digest));
                }
            }
        }
        goal.extend(best.map(|(_, digest)| (name.clone(), digest)));
    }
    Some(goal)
}

pub(crate) fn is_there(state: &(Images, u64), goal: &Images) -> bool {
    goal.iter().all(|(name, digest)| state.0.get(name) == Some(digest))
}

/// Bytes and packages of the cheapest chain: every chain without a state twice is tried.
pub(crate) fn cheapest(index: &Index, device: &Device, to: Option<&str>) -> Option<(u64, usize)> {
    let goal = goal(index, device, to)?;
    let highest = to.map_or(u64::MAX, |to| {
        let meant = index.entries.iter().filter(|entry| is_meant(entry, device));
        let has = |entry: &&Entry| entry.parts.iter().any(|part| part.new.version == to);
        meant.filter(has).map(|entry| entry.order).max().unwrap()
    });
    let open: Vec<_> = index
        .entries
        .iter()
        .filter(|entry| is_meant(entry, device) && entry.order <= highest)
        .collect();
    let mut best = None;
    let start = running(device);
    let mut seen = BTreeSet::from([start.clone()]);
    walk(&open, device, &goal, &start, (0, 0), &mut seen, &mut best);
    best
}

fn walk(
    open: &[&Entry],
    device: &Device,
    goal: &Images,
    state: &(Images, u64),
    cost: (u64, usize),
    seen: &mut BTreeSet<(Images, u64)>,
    best: &mut Option<(u64, usize)>,
) {
    if is_there(state, goal) && best.is_none_or(|best| cost < best) {
        *best = Some(cost);
    }
    for entry in open {
        let Some(next) = applied(entry, device, state) else { continue };
        if seen.insert(next.clone()) {
            let cost = (cost.0 + entry.size, cost.1 + 1);
            walk(open, device, goal, &next, cost, seen, best);
            seen.remove(&next);
        }
    }
}
