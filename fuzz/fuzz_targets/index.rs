//! Laws: a table that is accepted is exactly what the emitter makes of what was read from it; in an
//! envelope it is opened again; and a plan for any device ends, its chain leads from image to
//! image, and every package is in the chain or has a reason.
//!
//! The input is a table, not an envelope, so that no digest stands between the fuzzer and the code
//! behind it; as an envelope it is tried too.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fwdelta::package::SecretKey;
use fwdelta::plan::{Device, Index, Opened, Slot, emit_table, open, parse_table, plan, seal};
use fwdelta_core::format::trust::Trust;
use fwdelta_core::verify::Ed25519;
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&[7; 32]));
const UNVERIFIED: Option<(&Trust<'_>, &Ed25519)> = None;

/// Runs what the first entries start from, with limits from the index.
fn device(index: &Index) -> Device {
    let mut components = BTreeMap::new();
    for part in index.entries.iter().flat_map(|entry| &entry.parts).take(4) {
        let sha256 = part.old.as_ref().unwrap_or(&part.new).digest;
        let slot_len = Some(part.new.len);
        components.entry(part.name.clone()).or_insert(Slot { sha256, slot_len });
    }
    let first = &index.entries[0];
    Device {
        components,
        sequence: first.sequence,
        index_sequence: 0,
        jump_max: first.order,
        vendor_id: None,
        class_id: None,
        workspace_len: first.parts.first().map(|part| part.workspace_len),
        download_len: None,
        one_slot: first.is_restore,
        groups: first.groups.clone(),
    }
}

fn check_plan(index: &Index) {
    let device = device(index);
    let Ok(found) = plan(index, &device, None) else { return };
    let steps = found.chain.iter().flat_map(|chain| &chain.steps);
    let steps: Vec<_> = steps.map(|step| step.entry).collect();
    let mut all: Vec<_> = found.rejected.iter().map(|(at, _)| *at).chain(steps.clone()).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), index.entries.len());
    let running = device.components.iter().map(|(name, slot)| (name.clone(), slot.sha256));
    let mut running: BTreeMap<_, _> = running.collect();
    for at in steps {
        for part in &index.entries[at].parts {
            let before = running.insert(part.name.clone(), part.new.digest);
            let old = part.old.as_ref().map(|old| old.digest);
            assert!(before.is_some() && (old.is_none() || old == before));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let _ = open(data, UNVERIFIED);
    let Ok(index) = parse_table(data) else { return };
    assert_eq!(emit_table(&index), data);
    check_plan(&index);
    let opened = Opened { index, sequence: 1, vendor_id: [1; 16], class_id: [2; 16] };
    let sealed = seal(&opened, std::slice::from_ref(&KEY)).expect("what was read can be sealed");
    assert_eq!(open(&sealed, UNVERIFIED).expect("it was just made"), opened);
});
