//! Law: an anchor that replaces another is accepted exactly if it can be read, its version is
//! higher by no more than allowed, and as many keys of both anchors signed it as each asks for. The
//! input is the new anchor, which is signed after it was changed, so that nothing stands between
//! the fuzzer and the code behind the signatures.
#![no_main]

use fwdelta_core::Detail;
use fwdelta_core::format::key::{Key, PublicKey};
use fwdelta_core::format::rotation;
use fwdelta_core::format::trust::{self, Keys, Policy, Trust};
use fwdelta_core::limits::{ENDORSEMENT_COUNT_MAX, TRUST_JUMP_MAX, TRUST_LEN_MAX};
use fwdelta_core::verify::accept_trust;
use fwdelta_fuzz::seal::{Seal, endorsement};
use fwdelta_fuzz::{Numbers, emitted};
use libfuzzer_sys::fuzz_target;

const SEED: &[u8] = include_bytes!("../seeds/trust/one-operator");

/// The present anchor: the vendor's keys of the seed and one more, any threshold.
fn current(numbers: &mut Numbers<'_>) -> Vec<u8> {
    let seed = Trust::parse(SEED).expect("our own anchor");
    let other = [0x42; 32];
    let mut keys: Vec<Key<'_>> = seed.vendor_keys.iter().collect();
    keys.push(PublicKey::Ed25519(&other).into());
    let threshold = 1 + numbers.below(keys.len()) as u8;
    let version = u64::from(numbers.byte());
    let vendor = (threshold, keys.as_slice());
    emitted(|writer| trust::emit(writer, version, vendor, &[], &Policy::default()))
}

/// How many of `keys` have signed with all that they have.
fn count(keys: Keys<'_>, signed: &[PublicKey<'_>]) -> u8 {
    keys.iter().filter(|key| key.both().all(|key| signed.contains(&key))).count() as u8
}

fn expected(current: &Trust<'_>, anchor: &[u8], signed: &[PublicKey<'_>]) -> Result<u64, Detail> {
    if anchor.len() > TRUST_LEN_MAX {
        return Err(Detail::EnvelopeTooLarge);
    }
    let enough = |trust: &Trust<'_>| count(trust.vendor_keys, signed) >= trust.threshold;
    let short = Err(Detail::VendorThreshold);
    if !enough(current) {
        return short;
    }
    let new = Trust::parse(anchor).map_err(|error| error.detail)?;
    match new.version.checked_sub(current.version) {
        _ if !enough(&new) => short,
        None | Some(0) => Err(Detail::Rollback),
        Some(1..=TRUST_JUMP_MAX) => Ok(new.version),
        Some(_) => Err(Detail::SequenceJump),
    }
}

// Threshold and version of the present anchor, which keys sign, then the new anchor.
fuzz_target!(|data: &[u8]| {
    let mut numbers = Numbers(data);
    let present = current(&mut numbers);
    let current = Trust::parse(&present).expect("it was just made");
    let mut choice = u32::from_le_bytes([(); 4].map(|()| numbers.byte()));
    let anchor = numbers.0;
    let new = Trust::parse(anchor).ok();
    let new_keys = new.iter().flat_map(|new| new.vendor_keys.iter());
    let mut signed: Vec<PublicKey<'_>> = Vec::new();
    for key in current.vendor_keys.iter().chain(new_keys).flat_map(Key::both) {
        if choice & 1 == 1 && !signed.contains(&key) && signed.len() < ENDORSEMENT_COUNT_MAX {
            signed.push(key);
        }
        choice = choice.rotate_right(1);
    }
    let blocks: Vec<_> = signed.iter().map(|key| endorsement(anchor, *key)).collect();
    let blocks = blocks.iter().map(Vec::as_slice);
    let file = emitted(|writer| rotation::emit(writer, anchor, blocks));
    let said = accept_trust(&current, &file, &Seal);
    let said = said.map(|new| new.version).map_err(|error| error.detail);
    assert_eq!(said, expected(&current, anchor, &signed));
    // One signature less never helps, and a changed anchor is not the signed one.
    if said.is_ok() {
        let mut changed = file.clone();
        let at = numbers.below(anchor.len());
        let start = file.windows(anchor.len()).position(|window| window == anchor);
        changed[start.expect("the anchor is in it") + at] ^= 1;
        assert!(accept_trust(&current, &changed, &Seal).is_err());
    }
});
