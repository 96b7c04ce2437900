//! Law: a delta header that is accepted is exactly what the emitter makes of what was read from
//! it; what it states is within limits before anything is sized by it, and enough to open.
#![no_main]

use fwdelta_core::apply::Applier;
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::{Detail, Limits};
use fwdelta_fuzz::emitted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(header) = DeltaHeader::parse(data) else { return };
    assert_eq!(emitted(|writer| header.emit(writer)), data);
    let limits = Limits::DEVICE;
    let (Ok(()), Ok(len)) = (header.check(&limits), Applier::workspace(&header)) else { return };
    assert!(len <= limits.workspace_len && len <= header.workspace_len);
    let mut work = vec![0; len as usize];
    if header.in_place.is_some() {
        // `Rewriting` applies those.
        let refused = Applier::open(&header, &mut work, &limits).unwrap_err();
        return assert_eq!(refused.detail, Detail::NotBuiltIn);
    }
    assert!(Applier::open(&header, &mut work, &limits).is_ok());
    work.pop();
    assert!(Applier::open(&header, &mut work, &limits).is_err(), "less than stated is enough");
});
