//! Law: whatever the package and however signatures turn out, verification ends with a verdict
//! and without a panic; what is accepted is authentic, new enough, and approved as it says.
#![no_main]

use fwdelta_core::Limits;
use fwdelta_core::format::auth::Claim;
use fwdelta_core::format::key::PublicKey;
use fwdelta_core::format::plmn::Plmn;
use fwdelta_core::format::trust::Trust;
use fwdelta_core::verify::{Basis, Crypto, Device, EfFota, Facts, Package, Sim};
use libfuzzer_sys::fuzz_target;

/// Believes every signature, so that the fuzzer need not make one.
struct Credulous;

impl Crypto for Credulous {
    fn verify(&self, _: PublicKey<'_>, _: &[u8], _: &[u8]) -> Option<bool> {
        Some(true)
    }
}

const SEQUENCE: u64 = 5;

/// Lists the signers of the seeds: a vendor, and 26201 with a key for signing and one for strings.
const TRUST: &[u8] = include_bytes!("../seeds/trust/one-operator");

// The first byte is the condition byte of EF_FOTA, and says which kind of SIM there is.
fuzz_target!(|input: &[u8]| {
    let Some((&condition, data)) = input.split_first() else { return };
    let plmn = Plmn::parse("26201").expect("five digits");
    let mut file = [0x55; 17];
    file[0] = condition;
    let sim = match condition >> 6 {
        0 => Sim::Absent,
        1 => Sim::WithoutFota,
        _ => Sim::WithFota { plmn, ef_fota: EfFota::parse(&file).expect("the file has 17 bytes") },
    };
    let trust = Trust::parse(TRUST).expect("our own anchor");
    let device = Device { sim, sequence: Some(SEQUENCE), facts: Facts::default() };
    let mut buf = [0; Limits::DEVICE.envelope_len];
    let (mut source, len) = (data, data.len() as u64);
    let verdict =
        Package::verify(&mut source, len, &mut buf, &trust, &device, &Credulous, &Limits::DEVICE);
    let Ok(package) = verdict else { return };
    assert!(package.manifest.summary.sequence >= SEQUENCE);
    let is_vendor = |claim: Claim<'_>| matches!(claim, Claim::Vendor { .. });
    assert!(package.auth.blocks().any(|block| is_vendor(block.claim)));
    if matches!(sim, Sim::WithFota { .. }) {
        assert_eq!(condition & 1, 1, "updates are not allowed");
        assert_eq!(package.decision.basis, Basis::Approved);
    }
    let mut scratch = [0; 64];
    let _ = package.check_texts(&mut source, &mut scratch);
});
