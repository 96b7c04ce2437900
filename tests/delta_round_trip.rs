//! Laws of making and applying: the new image comes back, in any pieces, from any thread count.

mod delta;

use fwdelta::core::format::delta::{Coder, DeltaHeader};
use fwdelta::core::storage::Geometry;
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{self, Delta, Options, Profile, create};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;
use proptest::prelude::*;

use delta::{GEOMETRY, PROFILES, apply, edited, firmware, noise};

/// The image at the start of the slot, and nothing behind its last word.
fn assert_holds(cells: &[u8], new: &[u8], geometry: &Geometry, what: &str) {
    let (image, rest) = cells.split_at(new.len());
    assert!(image == new, "{what}: another image");
    assert!(rest.iter().all(|byte| *byte == geometry.erased), "{what}: written behind the image");
}

#[test]
fn firmware_comes_back_in_every_profile() {
    for (name, old, new) in firmware() {
        for profile in PROFILES {
            let delta = delta::delta(&old, &new, profile);
            let what = format!("{name} {profile:?}");
            assert!(delta.payload.len() < new.len() * 3 / 4, "{what}: not much of a delta");
            for delta in [delta.clone(), delta.chained(1024).unwrap()] {
                let outcome = apply(&old, &delta, GEOMETRY, || usize::MAX);
                assert_eq!(outcome.verdict, Ok(()), "{what}");
                assert_holds(&outcome.cells, &new, &GEOMETRY, &what);
                let sectors = new.len().div_ceil(512);
                assert!(outcome.erases[..sectors].iter().all(|count| *count == 1), "{what}");
                assert!(outcome.erases[sectors..].iter().all(|count| *count == 0), "{what}");
            }
        }
    }
}

#[test]
fn the_small_profile_keeps_to_its_memory() {
    for (name, old, new) in firmware() {
        let delta = delta::delta(&old, &new, Profile::Small).chained(1024).unwrap();
        assert!(delta.header.workspace_len <= 10 << 10, "{name}");
        assert_eq!(delta.header.check(&Limits::DEVICE), Ok(()), "{name}");
    }
}

/// An ELF file with a segment that is as long as half of all addresses.
fn far_apart(image: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 64];
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    for (at, value) in [(16, 2u8), (18, 183), (20, 1), (32, 64), (52, 64), (54, 56), (56, 2)] {
        file[at] = value;
    }
    let len = image.len() as u64;
    for (offset, size, span) in [(0, len, len), (len / 2, 0, 1 << 63)] {
        let (flags, addr) = (6u64 << 32 | 1, 0x1000);
        for word in [flags, offset, addr, addr, size, span, 16] {
            file.extend_from_slice(&word.to_le_bytes());
        }
    }
    [&file, image].concat()
}

/// Where the format cannot say what an image is, nothing is said; it is predicted all the same.
#[test]
fn addresses_out_of_reach_cost_no_more_than_the_description() {
    for (name, old, new) in firmware() {
        let (old, new) = (far_apart(&old), far_apart(&new));
        for profile in [Profile::Tiny, Profile::Small, Profile::Max] {
            let delta = delta::delta(&old, &new, profile);
            let is_predicted =
                matches!(delta.header.coder, Coder::Predicted(_) | Coder::PredictedMax(_));
            assert!(is_predicted, "{name} {profile:?}: {}", delta.header.coder.name());
            if profile == Profile::Tiny {
                assert!(delta.header.workspace_len <= 3 << 10, "{name}");
            }
        }
    }
}

#[test]
fn pieces_do_not_matter() {
    let mut random = Random::new(1);
    let (old, new) = edited(&mut random, 6000, 40);
    for profile in PROFILES {
        let plain = delta::delta(&old, &new, profile);
        for delta in [plain.clone(), plain.clone().chained(64).unwrap()] {
            let whole = apply(&old, &delta, GEOMETRY, || usize::MAX);
            assert_eq!(whole.verdict, Ok(()));
            for len in [1, 7, 63, 64, 65, 1056] {
                assert_eq!(apply(&old, &delta, GEOMETRY, || len), whole, "{profile:?} by {len}");
            }
            let mut some = Random::new(2);
            assert_eq!(apply(&old, &delta, GEOMETRY, || some.below(99)), whole, "{profile:?}");
        }
    }
}

#[test]
fn threads_do_not_matter() {
    // More than one piece of matching, 4 MiB each.
    let mut random = Random::new(3);
    let (old, new) = edited(&mut random, 5 << 20, 300);
    for profile in [Profile::Fast, Profile::Plain] {
        let make = |threads| {
            create(
                &old,
                &new,
                &Options { profile, threads, is_streamed: true, ..Options::default() },
                &Silent,
            )
            .unwrap()
        };
        let one = make(1);
        assert!(one.payload.len() < new.len() / 50, "{profile:?}: {}", one.payload.len());
        assert_eq!(make(3), one, "{profile:?}");
    }
}

#[test]
fn repetitive_data_is_no_trap() {
    let zeros = |len| vec![0u8; len];
    let period = |len: usize, of: usize| (0..len).map(|at| (at % of) as u8).collect::<Vec<_>>();
    let mut shifted = zeros(300_000);
    shifted.insert(150_000, 1);
    let pairs = [
        (zeros(300_000), zeros(400_000)),
        (zeros(300_000), shifted),
        (period(300_000, 7), period(300_001, 7)),
        (period(200_000, 251), period(300_000, 250)),
        (zeros(1), zeros(200_000)),
    ];
    for (old, new) in pairs {
        for profile in [Profile::Tiny, Profile::Max, Profile::Plain] {
            let delta = delta::delta(&old, &new, profile);
            assert!(delta.payload.len() < new.len() / 20, "{profile:?} {}", delta.payload.len());
        }
    }
}

#[test]
fn what_does_not_shrink_is_stored() {
    let mut random = Random::new(4);
    let new = noise(&mut random, 5000, 256);
    for old in [Vec::new(), noise(&mut random, 5000, 256)] {
        for profile in PROFILES {
            let delta = delta::delta(&old, &new, profile);
            assert_eq!(delta.header.coder, Coder::Stored, "{profile:?}");
            assert_eq!(delta.payload, new);
        }
    }
    let empty = delta::delta(b"old", &[], Profile::Small).chained(64).unwrap();
    assert_eq!(apply(b"old", &empty, GEOMETRY, || 1).verdict, Ok(()));
}

#[test]
fn every_geometry_is_served() {
    let mut random = Random::new(5);
    let (old, new) = edited(&mut random, 5000, 30);
    let delta = delta::delta(&old, &new, Profile::Small).chained(256).unwrap();
    for (sector_len, write_len, erased) in
        [(1, 1, 0xff), (128, 1, 0xff), (4096, 8, 0), (1024, 32, 0xff), (96, 24, 0x5a), (64, 2, 0)]
    {
        let geometry = Geometry { len: 12_288, sector_len, write_len, erased };
        let outcome = apply(&old, &delta, geometry, || 100);
        assert_eq!(outcome.verdict, Ok(()), "{geometry:?}");
        assert_holds(&outcome.cells, &new, &geometry, "geometry");
    }
}

#[test]
fn a_slot_too_small_is_left_alone() {
    let new = vec![7; 1000];
    let delta = delta::delta(&[], &new, Profile::Small);
    let geometry = Geometry { len: 512, ..GEOMETRY };
    let outcome = apply(&[], &delta, geometry, || 100);
    assert_eq!(outcome.verdict, Err(Detail::NoSpace));
    assert!(outcome.erases.iter().all(|count| *count == 0));
}

#[test]
fn files_are_read_back() {
    let mut random = Random::new(6);
    let (old, new) = edited(&mut random, 3000, 20);
    let delta = delta::delta(&old, &new, Profile::Small);
    let mut file = delta.to_file();
    let (header, payload) = diff::parse_file(&file).unwrap();
    assert_eq!(Delta { header, payload: payload.to_vec() }, delta);
    assert_eq!(DeltaHeader::parse(&delta.header_bytes()), Ok(header));
    let limits = Limits::LINUX;
    assert_eq!(diff::apply(&old, &header, payload, &limits, &Silent).unwrap(), new);
    let detail = |file: &[u8]| diff::parse_file(file).unwrap_err().detail();
    assert_eq!(detail(&file[..file.len() - 1]), Detail::PayloadSize);
    file.push(0);
    assert_eq!(detail(&file), Detail::TrailingBytes);
    assert_eq!(detail(b"FWX\x01"), Detail::BadMagic);
    let chained = delta.chained(64).unwrap().to_file();
    assert_eq!(detail(&chained), Detail::BadValue);
}

#[test]
fn the_worked_example_is_what_is_made() {
    let document = include_str!("../docs/format-delta.md");
    let (_, example) = document.split_once("## 12. Worked examples").unwrap();
    let mut images = example.lines().filter_map(|line| line.strip_prefix("    "));
    let (old, new) = (images.next().unwrap(), images.next().unwrap());
    let (_, block) = example.split_once("```\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let hex = block.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap());
    let delta = delta::delta(old.as_bytes(), new.as_bytes(), Profile::Plain);
    assert_eq!(delta.to_file(), hex.collect::<Vec<_>>());
}

#[test]
fn work_stops_when_asked() {
    struct Stop;
    impl fwdelta::progress::Progress for Stop {
        fn report(&self, _: fwdelta::progress::Stage, _: u64, _: u64) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let result = create(b"old image", b"new image", &Options::default(), &Stop);
    assert_eq!(result.unwrap_err().detail(), Detail::Cancelled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_pair_comes_back(
        seed in any::<u64>(),
        len in 1usize..3000,
        edits in 0usize..60,
        chunk_len in 64u32..300,
    ) {
        let (old, new) = edited(&mut Random::new(seed), len, edits);
        for profile in PROFILES {
            let delta = delta::delta(&old, &new, profile).chained(chunk_len).unwrap();
            let outcome = apply(&old, &delta, GEOMETRY, || 50);
            prop_assert_eq!(outcome.verdict, Ok(()));
            prop_assert!(outcome.cells.starts_with(&new));
        }
    }

    #[test]
    fn unrelated_bytes_come_back(
        old in proptest::collection::vec(any::<u8>(), 0..300),
        new in proptest::collection::vec(0u8..4, 0..600),
    ) {
        for profile in PROFILES {
            let delta = delta::delta(&old, &new, profile);
            prop_assert_eq!(apply(&old, &delta, GEOMETRY, || 9).verdict, Ok(()));
        }
    }
}
