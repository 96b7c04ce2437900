//! When and how a flash operation goes wrong, repeatable by seed.

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The driver reports an error and changes nothing; the device stays up.
    Error,
    /// Power is lost just before the operation touches a cell.
    CutBefore,
    /// Power is lost in the middle: some cells are done, some hold anything, some are untouched.
    CutTorn,
    /// Power is lost when the cells are done but the caller has not been told.
    CutAfter,
}

impl Kind {
    /// Every kind of power cut.
    pub const CUTS: [Kind; 3] = [Kind::CutBefore, Kind::CutTorn, Kind::CutAfter];
}

/// One planned fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Number of the operation (erase, program, sync), counted from 0 since the flash was made.
    pub at: u64,
    /// How it goes wrong.
    pub kind: Kind,
    /// Decides what torn cells hold and how much of a write cache survives.
    pub seed: u64,
}

/// Every kind of cut at every one of `operation_count` operations, once per seed.
pub fn every_cut(operation_count: u64, seeds: &[u64]) -> impl Iterator<Item = Fault> {
    let cuts = move |at| Kind::CUTS.into_iter().map(move |kind| (at, kind));
    let all = (0..operation_count).flat_map(cuts);
    all.flat_map(|(at, kind)| seeds.iter().map(move |&seed| Fault { at, kind, seed }))
}

/// SplitMix64 (Steele, Lea and Flood, 2014): good enough to choose cells, and four lines long.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence for `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.bits() % end as u64) as usize }
    }

    /// True one time in two.
    pub fn coin(&mut self) -> bool {
        self.bits() & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_is_planned_once() {
        let all: Vec<_> = every_cut(5, &[1, 2]).collect();
        assert_eq!(all.len(), 5 * 3 * 2);
        let unique: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
        assert!(all.iter().all(|fault| fault.at < 5 && fault.kind != Kind::Error));
    }

    #[test]
    fn the_same_seed_gives_the_published_sequence() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
        assert!((0..100).all(|_| random.below(7) < 7));
    }
}
