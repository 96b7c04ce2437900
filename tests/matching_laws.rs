//! Laws of matching, for any bytes: covers ascend, are disjoint and inside; threads, views that
//! are copies and memory bounds change nothing that matters.
#![allow(missing_docs)]

use fwdelta::matching::{self, Costs, Cover, MatchOptions, View, Vote};
use fwdelta::progress::Silent;
use proptest::prelude::*;

fn check(covers: &[Cover], old: &[u8], new: &[u8]) {
    let mut end = 0;
    for Cover { old_pos, new_pos, len } in covers {
        assert!(*len > 0 && *new_pos >= end && old_pos + len <= old.len() as u64);
        end = new_pos + len;
    }
    assert!(end <= new.len() as u64);
}

fn plain(old: &[u8], new: &[u8], costs: &Costs) -> Vec<Cover> {
    let covers = matching::plain_covers(old, new, costs, &Silent).unwrap();
    check(&covers, old, new);
    covers
}

fn covered(covers: &[Cover]) -> u64 {
    covers.iter().map(|cover| cover.len).sum()
}

fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

/// Old, and new made of pieces of it, long enough for several pieces of the parse.
fn moved() -> (Vec<u8>, Vec<u8>) {
    let old = noise(1, 900_000);
    let mut new = [&old[400_000..], &noise(2, 5000), &old[..350_000]].concat();
    new.iter_mut().step_by(997).for_each(|byte| *byte ^= 1);
    (old, new)
}

#[test]
fn threads_change_nothing() {
    let (old, new) = moved();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| plain(&old, &new, &Costs::MAX))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn borders_between_pieces_cost_nothing() {
    let (old, new) = moved();
    let covers = plain(&old, &new, &Costs::MAX);
    assert!(covers.len() <= 3, "{covers:?}");
    assert!(covered(&covers) >= 849_990);
}

#[test]
fn a_vote_decides_between_equals() {
    let part = noise(1, 400);
    let old = [&part, &noise(2, 300)[..], &part, &noise(3, 300), &part].concat();
    let new = [&noise(4, 100)[..], &part].concat();
    for old_pos in [0u64, 700, 1400] {
        let vote = Vote { new_pos: 150, diagonal: old_pos as i64 - 100, weight: 9 };
        let outside = Vote { new_pos: 151, diagonal: 1 << 40, weight: 99 };
        let before = Vote { new_pos: 151, diagonal: -200, weight: 99 };
        let (view, options) = (View::plain(&old), MatchOptions::default());
        let votes = [vote, before, outside];
        let covers = matching::covers(
            &view,
            &View::plain(&new),
            &[],
            &votes,
            &Costs::MAX,
            &options,
            &Silent,
        );
        let covers = covers.unwrap();
        check(&covers, &old, &new);
        assert_eq!(covers, [Cover { old_pos, new_pos: 100, len: 400 }]);
    }
}

#[test]
fn soft_views_keep_a_diagonal_that_exact_bytes_would_lose() {
    let old = noise(1, 4000);
    let mut new = old.clone();
    new[1000..3000].iter_mut().for_each(|byte| *byte ^= 0x40);
    let soft = |image: &[u8]| image.iter().map(|byte| byte & 0x3F).collect::<Vec<u8>>();
    let (old_soft, new_soft) = (soft(&old), soft(&new));
    assert!(covered(&plain(&old, &new, &Costs::MAX)) < 2100);
    let old = View { soft: &old_soft, ..View::plain(&old) };
    let new = View { soft: &new_soft, ..View::plain(&new) };
    let options = MatchOptions::default();
    let covers = matching::covers(&old, &new, &[], &[], &Costs::MAX, &options, &Silent).unwrap();
    assert_eq!(covers, [Cover { old_pos: 0, new_pos: 0, len: 4000 }]);
}

#[test]
fn readings_of_different_lengths_are_refused() {
    let (image, options) = ([1, 2, 3], MatchOptions::default());
    let odd = View { soft: &image[..2], ..View::plain(&image) };
    let error = matching::covers(&odd, &odd, &[], &[], &Costs::MAX, &options, &Silent).unwrap_err();
    assert_eq!(error.detail(), fwdelta::core::Detail::BadArgument);
}

#[test]
fn a_small_bound_still_finds_what_has_moved() {
    let old = noise(1, 6 << 20);
    let new = [&old[5 << 20..], &old[..5 << 20]].concat();
    let options = MatchOptions { memory_max: Some(1), ..MatchOptions::default() };
    assert!(matching::memory_needed(6 << 20, 6 << 20) > options.memory_bound(6 << 20, 6 << 20));
    let (old_view, new_view) = (View::plain(&old), View::plain(&new));
    let covers =
        matching::covers(&old_view, &new_view, &[], &[], &Costs::FAST, &options, &Silent).unwrap();
    check(&covers, &old, &new);
    assert!(covered(&covers) > (6 << 20) - 1000, "{}", covered(&covers));
}

#[test]
fn unrelated_images_have_no_covers() {
    assert_eq!(plain(&noise(1, 3 << 20), &noise(2, 3 << 20), &Costs::SMALL), []);
}

proptest! {
    #[test]
    fn any_bytes_give_legal_covers(
        old in prop::collection::vec(0u8..4, 0..600),
        new in prop::collection::vec(0u8..4, 0..600),
        votes in prop::collection::vec((0u64..700, -700i64..700, any::<u32>()), 0..40),
        beam in 0usize..4,
    ) {
        let mut votes: Vec<Vote> = votes
            .into_iter()
            .map(|(new_pos, diagonal, weight)| Vote { new_pos, diagonal, weight })
            .collect();
        votes.sort_unstable();
        let costs = Costs { turn: 500, beam, ..Costs::MAX };
        let (old_view, new_view) = (View::plain(&old), View::plain(&new));
        let options = MatchOptions::default();
        let covers =
            matching::covers(&old_view, &new_view, &[], &votes, &costs, &options, &Silent).unwrap();
        check(&covers, &old, &new);
        let found = matching::estimate(&old_view, &new_view, &covers, &costs);
        prop_assert!(found.equal < found.differing && found.literal < 1000);
    }
}

/// What is known already changes what is sought, not what is found.
#[test]
fn long_images_are_covered_whether_or_not_they_are_searched_as_a_whole() {
    let old = noise(1, 2 << 20);
    let mut new = [&old[1 << 20..], &noise(2, 5000), &old[..1 << 20]].concat();
    // Something short from a place where nothing else has changed.
    new[3000..3300].copy_from_slice(&old[700_000..700_300]);
    new.iter_mut().skip(100_000).step_by(1999).for_each(|byte| *byte ^= 1);
    let (old_view, new_view) = (View::plain(&old), View::plain(&new));
    let found = |known: &[Cover], is_thorough| {
        let options = MatchOptions { is_thorough, ..MatchOptions::default() };
        let (costs, progress) = (&Costs::MAX, &Silent);
        let found =
            matching::covers(&old_view, &new_view, known, &[], costs, &options, progress).unwrap();
        check(&found, &old, &new);
        found
    };
    let (quick, thorough) = (found(&[], false), found(&[], true));
    let least = (2u64 << 20) - 1000;
    assert!(covered(&quick) >= least - 300 && covered(&thorough) >= least);
    assert!(thorough.iter().any(|cover| cover.old_pos == 700_000 && cover.len == 300));
    assert_eq!(found(&thorough, true), thorough);
}
