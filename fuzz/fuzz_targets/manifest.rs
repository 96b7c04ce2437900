//! Law: a manifest that is accepted is exactly what the emitter makes of what was read from it,
//! so no byte under the signature goes unread.
#![no_main]

use fwdelta_core::format::manifest::{self, Manifest};
use fwdelta_fuzz::emitted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(manifest) = Manifest::parse(data, 0) else { return };
    let components: Vec<_> = manifest.components().collect();
    assert_eq!(components.len(), usize::from(manifest.component_count()));
    let again = emitted(|writer| manifest::emit(writer, &manifest.summary, &components));
    assert_eq!(again, data);
});
