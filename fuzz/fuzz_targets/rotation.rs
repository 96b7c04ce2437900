//! Law: an anchor that replaces another is what the emitter makes of what was read from it; and
//! however signatures turn out, none is accepted whose version is not higher, or too high.
#![no_main]

use fwdelta_core::format::auth::emit_block;
use fwdelta_core::format::key::PublicKey;
use fwdelta_core::format::rotation::{self, SignedTrust};
use fwdelta_core::format::trust::Trust;
use fwdelta_core::limits::TRUST_JUMP_MAX;
use fwdelta_core::verify::{Crypto, accept_trust};
use fwdelta_fuzz::emitted;
use libfuzzer_sys::fuzz_target;

/// Believes every signature, so that the fuzzer need not make one.
struct Credulous;

impl Crypto for Credulous {
    fn verify(&self, _: PublicKey<'_>, _: &[u8], _: &[u8]) -> Option<bool> {
        Some(true)
    }
}

const TRUST: &[u8] = include_bytes!("../seeds/trust/one-operator");

fuzz_target!(|data: &[u8]| {
    let current = Trust::parse(TRUST).expect("our own anchor");
    let accepted = accept_trust(&current, data, &Credulous);
    let Ok(signed) = SignedTrust::parse(data) else {
        assert!(accepted.is_err());
        return;
    };
    let blocks: Vec<_> = signed
        .endorsements()
        .map(|it| emitted(|writer| emit_block(writer, it.protected, it.proof)))
        .collect();
    let blocks = blocks.iter().map(Vec::as_slice);
    assert_eq!(emitted(|writer| rotation::emit(writer, signed.anchor, blocks)), data);
    if let Ok(new) = accepted {
        let ahead = new.version.checked_sub(current.version).expect("an older anchor");
        assert!((1..=TRUST_JUMP_MAX).contains(&ahead));
        assert!(signed.endorsements().count() >= usize::from(new.threshold));
    }
});
