//! Law: a manifest that is accepted is exactly what the emitter makes of what was read from it,
//! so no byte under the signature goes unread.
#![no_main]

use fwdelta_core::format::manifest::{self, DemandFacts, DependencyFacts, Manifest, Version};
use fwdelta_fuzz::emitted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(manifest) = Manifest::parse(data, 0) else { return };
    let components: Vec<_> = manifest.components().collect();
    assert_eq!(components.len(), usize::from(manifest.component_count()));
    let numbers = |version: Version<'_>| version.numbers().collect::<Vec<_>>();
    let hardware: Vec<_> = manifest.demands.hardware().collect();
    let hardware: Vec<_> = hardware.iter().map(|revision| numbers(revision.version)).collect();
    let hardware: Vec<_> = hardware.iter().map(Vec::as_slice).collect();
    let wanted: Vec<_> = manifest.dependencies().collect();
    let versions: Vec<_> = wanted.iter().map(|(_, wanted)| numbers(wanted.version)).collect();
    let dependencies: Vec<_> = wanted
        .iter()
        .zip(&versions)
        .map(|((name, wanted), version)| DependencyFacts {
            name,
            comparison: wanted.comparison,
            version,
        })
        .collect();
    let demands = DemandFacts {
        device_id: manifest.demands.device_id.copied(),
        expires: manifest.demands.expires,
        battery: manifest.demands.battery,
        priority: manifest.demands.priority,
        hardware: &hardware,
        dependencies: &dependencies,
    };
    let again = emitted(|writer| manifest::emit(writer, &manifest.summary, &components, &demands));
    assert_eq!(again, data);
});
