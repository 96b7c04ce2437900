//! Laws of coders 4 and 5, for real and assembled code that was edited in any way: the new image
//! comes back in every profile, threads and pieces do not matter, the memory stated is needed and
//! enough, and what is cut off is missed.

mod delta;
mod program;

use std::sync::LazyLock;

use fwdelta::core::apply::Applier;
use fwdelta::core::format::delta::{Coder, DeltaHeader};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{Delta, Options, Profile, create};
use fwdelta::exec::describe::Hints;
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;
use proptest::prelude::*;

use delta::{PREDICTING, PROFILES, Recorder, feed, firmware, record};
use program::{Program, machine};

/// Longest part of an image that a property takes.
const PART_LEN: usize = 6000;

/// Old and new, and what is known of them.
type Hinted = (Vec<u8>, Vec<u8>, Hints);

/// Pairs of real firmware, and of an assembled program for each machine.
static PAIRS: LazyLock<Vec<Hinted>> = LazyLock::new(|| {
    let real = firmware().into_iter().map(|(_, old, new)| (old, new, Hints::default()));
    let assembled = machine::all().into_iter().map(|machine| {
        let mut random = Random::new(machine.base + 1);
        let old = Program::new(&mut random, 60);
        let new = old.edited(&mut random);
        let hints = Hints { content: Some(machine.content), base: Some(machine.base) };
        (old.assemble(&machine), new.assemble(&machine), hints)
    });
    real.chain(assembled).collect()
});

/// So many cases in a debug run; a hundred times as many in the nightly one.
fn cases(count: u32) -> ProptestConfig {
    let times = if std::env::var_os("FWDELTA_EXHAUSTIVE").is_some() { 100 } else { 1 };
    ProptestConfig::with_cases(count * times)
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Insert,
    Delete,
    Replace,
    Duplicate,
    Move,
    /// Adds to numbers, as where what they refer to has moved.
    Nudge,
}

fn edits() -> impl Strategy<Value = Vec<(Edit, usize, usize, u64)>> {
    let kind = prop_oneof![
        Just(Edit::Insert),
        Just(Edit::Delete),
        Just(Edit::Replace),
        Just(Edit::Duplicate),
        Just(Edit::Move),
        Just(Edit::Nudge)
    ];
    let len = prop_oneof![4 => 1usize..9, 4 => 1usize..200, 1 => 200usize..3000];
    proptest::collection::vec((kind, 0usize..PART_LEN, len, any::<u64>()), 0..12)
}

fn edit(image: &mut Vec<u8>, (kind, at, len, seed): (Edit, usize, usize, u64)) {
    let mut random = Random::new(seed);
    let at = at % (image.len() + 1);
    let end = image.len().min(at + len);
    let noise: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
    match kind {
        Edit::Insert => drop(image.splice(at..at, noise)),
        Edit::Delete => drop(image.drain(at..end)),
        Edit::Replace => drop(image.splice(at..end, noise)),
        Edit::Duplicate => {
            let to = random.below(image.len() + 1);
            let part = image[at..end].to_vec();
            drop(image.splice(to..to, part));
        }
        Edit::Nudge => {
            let (every, by) = ([4, 8, 12][random.below(3)], random.below(9) as u8);
            image[at..end].iter_mut().step_by(every).for_each(|byte| *byte = byte.wrapping_add(by));
        }
        Edit::Move => {
            let part: Vec<u8> = image.drain(at..end).collect();
            let to = random.below(image.len() + 1);
            drop(image.splice(to..to, part));
        }
    }
}

/// A part of a pair, whose new image was edited; parts do not start at the same place.
fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    hinted_pair().prop_map(|(old, new, _)| (old, new))
}

/// The same, and what is said of it: what is true, what is true of another pair, or nothing.
fn hinted_pair() -> impl Strategy<Value = Hinted> {
    let which = (0..PAIRS.len(), any::<u64>());
    (which, 0..PART_LEN, 0..PART_LEN, edits()).prop_map(|((at, seed), old_len, new_len, edits)| {
        let (old, new, hints) = &PAIRS[at];
        let mut random = Random::new(seed);
        let start = random.below(old.len().saturating_sub(PART_LEN));
        let part = |image: &[u8], len: usize| {
            image[start.min(image.len())..image.len().min(start + len)].to_vec()
        };
        let (old, mut new) = (part(old, old_len), part(new, new_len));
        edits.into_iter().for_each(|one| edit(&mut new, one));
        let base = hints.base.map(|base| base + start as u64);
        let hints = match random.below(4) {
            0 => Hints::default(),
            1 => PAIRS[random.below(PAIRS.len())].2,
            _ => Hints { base, ..*hints },
        };
        (old, new, hints)
    })
}

/// Applies in exactly the memory that the header states.
fn applied(old: &[u8], delta: &Delta) -> Result<Vec<u8>, Detail> {
    let workspace_len = delta.header.workspace_len;
    let (new, verdict) = record(old, delta, &Limits { workspace_len, ..Limits::LINUX });
    verdict.map(|()| new.bytes)
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn every_profile_is_exact(
        (old, new, hints) in hinted_pair(),
        chunk_len in 64u32..2000,
        is_streamed in any::<bool>(),
    ) {
        for profile in PROFILES {
            // Full images would be smaller of the shortest.
            let is_bound = true;
            let options =
                Options { profile, hints, threads: 1, is_streamed, is_bound, ..Options::default() };
            let delta = create(&old, &new, &options, &Silent).unwrap();
            prop_assert!(applied(&old, &delta) == Ok(new.clone()), "{profile:?}");
            let chained = delta.chained(chunk_len).unwrap();
            prop_assert!(applied(&old, &chained) == Ok(new.clone()), "{profile:?} in chunks");
        }
    }

    #[test]
    fn pieces_do_not_matter((old, new) in pair(), most in 1usize..300, seed in any::<u64>()) {
        for profile in [Profile::Tiny, Profile::Max] {
            let delta = delta::delta(&old, &new, profile);
            let (whole, verdict) = record(&old, &delta, &Limits::LINUX);
            prop_assert_eq!(verdict, Ok(()));
            let mut random = Random::new(seed);
            let mut some = || 1 + random.below(most);
            let mut one = || 1usize;
            for piece_len in [&mut one as &mut dyn FnMut() -> usize, &mut some] {
                let (header, payload) = (&delta.header, &delta.payload);
                let mut made = Recorder { len: header.new.len, ..Recorder::default() };
                feed(&old, header, payload, &mut made, &Limits::LINUX, piece_len).unwrap();
                prop_assert!(made.calls == whole.calls, "{profile:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn threads_do_not_matter((old, new) in pair(), is_streamed in any::<bool>()) {
        for profile in PREDICTING {
            let make = |threads| {
                let options = Options { profile, threads, is_streamed, ..Options::default() };
                create(&old, &new, &options, &Silent).unwrap()
            };
            let one = make(1);
            prop_assert!(make(2) == one && make(7) == one, "{profile:?}");
        }
    }

    /// Whatever the device has is kept to, if it is as much as the smallest tables need.
    #[test]
    fn device_memory_is_kept_to(
        (old, new) in pair(),
        log in 12u32..22,
        more in 0u64..4096,
        is_streamed in any::<bool>(),
    ) {
        let device_memory_len = Some((1 << log) + more);
        for profile in [Profile::Tiny, Profile::Small, Profile::Fast] {
            let options = Options { profile, device_memory_len, is_streamed, ..Options::default() };
            let delta = create(&old, &new, &options, &Silent).unwrap();
            prop_assert!(Some(delta.header.workspace_len) <= device_memory_len, "{profile:?}");
            prop_assert!(applied(&old, &delta) == Ok(new.clone()), "{profile:?}");
        }
    }

    /// What is not enough for the smallest tables is refused, and what is said to be enough is.
    #[test]
    fn too_little_device_memory_is_refused((old, new) in pair(), len in 1u64..4 << 20) {
        for profile in [Profile::Tiny, Profile::Plain, Profile::Max] {
            let options = Options { profile, device_memory_len: Some(len), ..Options::default() };
            match create(&old, &new, &options, &Silent) {
                Ok(delta) => {
                    prop_assert!(delta.header.workspace_len <= len, "{profile:?}");
                    prop_assert!(applied(&old, &delta) == Ok(new.clone()), "{profile:?}");
                }
                Err(error) => {
                    prop_assert_eq!(error.detail(), Detail::BadArgument);
                    prop_assert!(len < 1 << 20, "{}", error);
                }
            }
        }
    }
}

/// Of short images `fast` makes what `small` makes, with as much memory as it likes: smaller than
/// streams.
#[test]
fn fast_takes_the_coder_of_small_for_short_images() {
    let name = |delta: &Delta| delta.header.coder.name();
    for (old, new, _) in PAIRS.iter() {
        let options = Options { profile: Profile::Fast, ..Options::default() };
        let made = |options| create(old, new, &options, &Silent).unwrap();
        let (short, streamed) = (made(options), made(Options { is_streamed: true, ..options }));
        let small = made(Options { profile: Profile::Small, ..options });
        assert_eq!((name(&short), name(&streamed)), (name(&small), "projected"));
        assert!(short.payload.len() < streamed.payload.len());
        assert!(short.payload.len() <= small.payload.len());
        assert!(applied(old, &short).as_ref() == Ok(new));
    }
    let (old, new) = (vec![1; 1_000_001], vec![2; 1_000_001]);
    for (new, coder) in [(&new[..1_000_000], "predicted"), (&new, "projected")] {
        assert_eq!(name(&delta_of(&old, new)), coder);
    }
}

fn delta_of(old: &[u8], new: &[u8]) -> Delta {
    let options = Options { profile: Profile::Fast, ..Options::default() };
    create(old, new, &options, &Silent).unwrap()
}

/// No number of the format is as long as such an address: nothing is predicted then.
#[test]
fn an_address_without_end_is_no_obstacle() {
    let (old, new, _) = &PAIRS[0];
    for base in [1 << 61, 0x5000_0000_0000_0000, u64::MAX] {
        let hints = Hints { base: Some(base), ..Hints::default() };
        for profile in PREDICTING {
            let options = Options { profile, hints, is_streamed: true, ..Options::default() };
            let delta = create(old, new, &options, &Silent).unwrap();
            assert!(applied(old, &delta).as_ref() == Ok(new), "{profile:?} at {base:x}");
        }
    }
}

/// A delta of each predicting profile for each pair, cut down to a length that is quick to try.
fn short_deltas() -> impl Iterator<Item = (Vec<u8>, Vec<u8>, Delta)> {
    PAIRS.iter().flat_map(|(old, new, _)| {
        let [old, new] = [old, new].map(|image| image[..image.len().min(2500)].to_vec());
        PREDICTING.map(|profile| {
            let delta = delta::delta(&old, &new, profile);
            (old.clone(), new.clone(), delta)
        })
    })
}

#[test]
fn the_memory_stated_is_needed_and_enough() {
    for (old, new, delta) in short_deltas() {
        let coder = delta.header.coder;
        assert!((4..=6).contains(&coder.id()), "{coder:?}");
        // That of a decompressor is not in the caller's buffer.
        let window_len = match coder {
            Coder::Projected(shape) => 1 << shape.window_log,
            _ => 0,
        };
        assert!(applied(&old, &delta) == Ok(new));
        let len = Applier::workspace(&delta.header).unwrap();
        assert_eq!(len + window_len, delta.header.workspace_len);
        let mut work = vec![0; len as usize - 1];
        let error = Applier::open(&delta.header, &mut work, &Limits::LINUX).unwrap_err();
        assert_eq!(error.detail, Detail::WorkspaceTooSmall);
        let stated = delta.header.workspace_len;
        let header = DeltaHeader { workspace_len: stated - 1, ..delta.header };
        work.push(0);
        let error = Applier::open(&header, &mut work, &Limits::LINUX).unwrap_err();
        assert_eq!(error.detail, Detail::WorkspaceTooSmall);
        let limits = Limits { workspace_len: stated - 1, ..Limits::LINUX };
        let error = Applier::open(&delta.header, &mut work, &limits).unwrap_err();
        assert_eq!(error.detail, Detail::WorkspaceTooSmall);
    }
}

/// A short pair with compressed data, so to speak, in the middle of new, or at its end.
fn noisy_pairs() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let (old, _, _) = &PAIRS[0];
    let old = old[..2500].to_vec();
    let mut random = Random::new(7);
    let noise: Vec<u8> = (0..3000).map(|_| random.bits() as u8).collect();
    [1000, 2500].map(|at| (old.clone(), [&old[..at], &noise, &old[at..]].concat())).into_iter()
}

#[test]
fn noise_costs_its_length() {
    for (old, new) in noisy_pairs() {
        for profile in [Profile::Tiny, Profile::Small] {
            let delta = delta::delta(&old, &new, profile);
            assert!(applied(&old, &delta).as_ref() == Ok(&new));
            // Its length, a cover or two, and the description of an image of nothing special.
            assert!((3000..3064).contains(&delta.payload.len()), "{}", delta.payload.len());
        }
    }
}

/// A compressed kernel: the little of it that is not compressed comes from old all the same, and
/// the rest costs its length in every profile.
#[test]
fn the_head_of_noise_is_covered() {
    let (head, _) = program::long_pair(&machine::all()[0]);
    let head = &head[..4000];
    let mut random = Random::new(8);
    let mut body = || -> Vec<u8> { (0..400_000).map(|_| random.bits() as u8).collect() };
    let (old, new) = ([head, &body()].concat(), [head, &body()].concat());
    for profile in [Profile::Tiny, Profile::Small, Profile::Fast, Profile::Max] {
        let delta = delta::delta(&old, &new, profile);
        assert!(applied(&old, &delta).as_ref() == Ok(&new));
        let more = delta.payload.len() as i64 - 400_000;
        assert!((0..600).contains(&more), "{profile:?}: {more}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let step = if std::env::var_os("FWDELTA_EXHAUSTIVE").is_some() { 1 } else { 7 };
    let noisy = noisy_pairs().map(|(old, new)| {
        let delta = delta::delta(&old, &new, Profile::Small);
        (old, new, delta)
    });
    for (old, new, Delta { header, payload }) in short_deltas().chain(noisy) {
        let last = payload.len().saturating_sub(8)..payload.len();
        for payload_len in (0..payload.len()).step_by(step).chain(last) {
            let header = DeltaHeader { payload_len: payload_len as u64, ..header };
            let cut = Delta { header, payload: payload[..payload_len].to_vec() };
            let (made, verdict) = record(&old, &cut, &Limits::LINUX);
            assert_eq!(verdict, Err(Detail::BadStream), "{} {payload_len}", header.coder.name());
            assert!(new.starts_with(&made.bytes), "{} {payload_len}", header.coder.name());
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_or_does_not_matter() {
    let step = if std::env::var_os("FWDELTA_EXHAUSTIVE").is_some() { 1 } else { 53 };
    let mut refused = 0;
    for (old, new, Delta { header, payload }) in short_deltas() {
        for bit in (0..8 * payload.len()).step_by(step) {
            let mut payload = payload.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            match applied(&old, &Delta { header, payload }) {
                Ok(made) => assert!(made == new),
                Err(Detail::BadStream | Detail::BadCover | Detail::NewDigest) => refused += 1,
                Err(detail) => panic!("{detail:?}"),
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

/// Most of a delta that says so little would be what the images are, which nothing needs then.
#[test]
fn of_images_that_hardly_differ_nothing_is_said() {
    for machine in machine::all() {
        let (old, _) = program::long_pair(&machine);
        let mut new = old.clone();
        let at = new.len() * 7 / 8;
        new[at..at + 3].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        for profile in [Profile::Max, Profile::Small] {
            let options = Options { profile, is_streamed: true, ..Options::default() };
            let delta = create(&old, &new, &options, &Silent).unwrap();
            let (Coder::Predicted(shape) | Coder::PredictedMax(shape)) = delta.header.coder else {
                panic!("{}: {:?}", machine.name, delta.header.coder)
            };
            assert_eq!((shape.runs, shape.old_segments), (0, 0), "{}", machine.name);
            assert!(delta.payload.len() < 30, "{}: {}", machine.name, delta.payload.len());
        }
    }
}

/// Where so much stays, its length is coded. The digest is that of the delta's file: it changes
/// only with the format.
#[test]
fn long_stretches_that_stay_cost_nothing() {
    for (name, digest) in [
        ("a64", "adfbf017601377b650716354f2a6779d34a9310969451d298ea641bf1995ece8"),
        ("x86-64", "a9f93271c29b817e6aa7c19ca5390e2b05ca825d705a44b0bf59a676394aa423"),
    ] {
        let machine = machine::all().into_iter().find(|machine| machine.name == name).unwrap();
        let (old, new) = program::long_pair(&machine);
        let hints = Hints { content: Some(machine.content), base: Some(machine.base) };
        let options = Options { profile: Profile::Max, hints, ..Options::default() };
        let delta = create(&old, &new, &options, &Silent).unwrap();
        let applied =
            fwdelta::diff::apply(&old, &delta.header, &delta.payload, &Limits::LINUX, &Silent);
        assert!(applied.unwrap() == new, "{name}");
        assert!(delta.payload.len() < 100, "{name}: {}", delta.payload.len());
        let Coder::PredictedMax(shape) = delta.header.coder else { panic!("{name}") };
        assert!(shape.runs > 0, "{name}: its references moved");
        let found = fwdelta::core::hash::sha256(&delta.to_file());
        let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, digest, "{name}");
    }
}
