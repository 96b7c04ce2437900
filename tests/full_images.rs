//! A full image, or one beside an unrelated old image, is never larger in profile `max` than what
//! xz makes of it.

mod delta;

use fwdelta::core::format::delta::Coder;
use fwdelta::diff::{Options, Profile, create};
use fwdelta::progress::Silent;

use delta::{firmware, noise};
use fwdelta_sim::fault::Random;

/// Bytes that `xz -9e` (5.4.1) makes of each new image of testdata/firmware.
const XZ_LENS: [(&str, usize); 3] =
    [("apollo", 9860), ("moondancer", 27_648), ("trusted-firmware", 39_420)];
/// Bytes that a delta may have more.
const MORE: usize = 64;

fn max_len(old: &[u8], new: &[u8]) -> usize {
    len(old, new, Profile::Max)
}

fn len(old: &[u8], new: &[u8], profile: Profile) -> usize {
    let options = Options { profile, is_streamed: profile == Profile::Fast, ..Options::default() };
    create(old, new, &options, &Silent).unwrap().to_file().len()
}

#[test]
fn full_images_are_not_larger_than_by_xz() {
    for (name, _, new) in firmware() {
        let (_, xz_len) = XZ_LENS.iter().find(|(of, _)| *of == name).unwrap();
        let len = max_len(&[], &new);
        assert!(len <= xz_len + MORE, "{name}: {len}, xz {xz_len}");
    }
}

#[test]
fn an_unrelated_old_image_does_no_harm() {
    let all = firmware();
    for ((_, old, _), (name, _, new)) in all.iter().cycle().skip(1).zip(&all) {
        let (_, xz_len) = XZ_LENS.iter().find(|(of, _)| of == name).unwrap();
        let len = max_len(old, new);
        assert!(len <= xz_len + MORE, "{name}: {len}, xz {xz_len}");
    }
}

/// Records of which each has strings that any other file of records has too.
fn records(random: &mut Random, [name, value]: [&str; 2], step: usize) -> Vec<u8> {
    let mut record = |number: usize| {
        let fraction = random.bits() % 10_000_000_000_000_000;
        let id = number * step;
        format!("{{\"id\": {id}, \"{name}\": \"n{number}\", \"{value}\": 0.{fraction:016}}}, ")
    };
    (0..1000).map(&mut record).collect::<String>().into_bytes()
}

/// Short covers, which are all that there are, cost more than literals that are well known.
#[test]
fn other_text_does_no_harm() {
    let random = &mut Random::new(4);
    let (old, new) = (records(random, ["name", "v"], 1), records(random, ["nam", "w"], 7));
    for (profile, share) in [(Profile::Max, 50), (Profile::Fast, 6)] {
        let (alone, beside) = (len(&[], &new, profile), len(&old, &new, profile));
        assert!(beside <= alone + alone / share, "{profile:?}: {beside}, alone {alone}");
    }
}

/// Where nothing is gained the image itself is sent, and of old not even the digest.
#[test]
fn what_has_no_smaller_form_costs_at_most_64_bytes() {
    use Profile::{Bsdiff, Fast, Max, Plain, Small, Tiny};
    let random = &mut Random::new(5);
    for new_len in [0, 1, 23, 24, 200, 255, 256, 4096, 33_000, 65_535, 65_536, 300_000] {
        let old = noise(random, 20_000, 256);
        // A coder that gains a few bytes needs more of them in the header.
        let start = new_len.min(random.below(60));
        let new = [&old[..start], &noise(random, new_len - start, 256)].concat();
        for profile in [Tiny, Small, Plain, Fast, Max, Bsdiff] {
            let len = len(&old, &new, profile);
            let most = new_len + new_len / 1000 + MORE;
            assert!(len <= most, "{profile:?}: {len} for {new_len}");
        }
    }
    let (old, new) = (noise(random, 3000, 256), noise(random, 3000, 256));
    for is_bound in [false, true] {
        let options = Options { is_bound, ..Options::default() };
        let header = create(&old, &new, &options, &Silent).unwrap().header;
        assert_eq!((header.coder, header.old.is_some()), (Coder::Stored, is_bound));
    }
}

/// Of short images that have little in common each cover costs more than it saves.
#[test]
fn beside_other_short_images_nothing_is_lost() {
    let random = &mut Random::new(6);
    let all = firmware();
    for _ in 0..60 {
        let mut part = || {
            let (_, _, image) = &all[random.below(all.len())];
            let len = 100 + random.below(3000);
            let start = random.below(image.len() - len);
            image[start..start + len].to_vec()
        };
        let (old, new) = (part(), part());
        for profile in [Profile::Tiny, Profile::Small, Profile::Plain, Profile::Fast, Profile::Max]
        {
            let (beside, alone) = (len(&old, &new, profile), len(&[], &new, profile));
            assert!(beside <= alone, "{profile:?}: {beside}, alone {alone}, of {}", new.len());
        }
    }
}

/// A compressed kernel within an image: the rest is modelled, noise is copied, and where it stands
/// twice it costs once.
#[test]
fn noise_costs_its_length() {
    let noise = noise(&mut Random::new(3), 300_000, 256);
    for (name, _, image) in firmware() {
        let alone = max_len(&[], &image);
        let once = max_len(&[], &[&image[..], &noise].concat());
        let most = alone + noise.len() + MORE;
        assert!(once <= most, "{name}: {once}, at most {most}");
        let twice = max_len(&[], &[&image[..], &noise, &image, &noise].concat());
        let most = alone + noise.len() * 101 / 100;
        assert!(twice <= most, "{name}: {twice}, at most {most}");
    }
}
