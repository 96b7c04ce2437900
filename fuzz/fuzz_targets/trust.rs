//! Law: a trust anchor that is accepted is exactly what the emitter makes of what was read from
//! it, so no key or policy goes unread.
#![no_main]

use fwdelta_core::format::key::Key;
use fwdelta_core::format::trust::{self, Keys, OperatorFacts, Trust};
use fwdelta_fuzz::emitted;
use libfuzzer_sys::fuzz_target;

fn list(keys: Keys<'_>) -> Vec<Key<'_>> {
    keys.iter().collect()
}

fuzz_target!(|data: &[u8]| {
    let Ok(anchor) = Trust::parse(data) else { return };
    let keys: Vec<_> = anchor
        .operators()
        .map(|operator| (list(operator.keys), list(operator.attach_keys)))
        .collect();
    let facts: Vec<_> = anchor
        .operators()
        .zip(&keys)
        .map(|(operator, (keys, attach_keys))| OperatorFacts {
            plmn: operator.plmn,
            keys,
            modes: operator.modes,
            string_required: operator.string_required,
            attach_keys,
        })
        .collect();
    let vendor_keys = list(anchor.vendor_keys);
    let again = emitted(|writer| {
        let vendor = (anchor.threshold, vendor_keys.as_slice());
        trust::emit(writer, anchor.version, vendor, &facts, &anchor.policy)
    });
    assert_eq!(again, data);
});
