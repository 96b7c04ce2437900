//! Law: a delta header that is accepted is exactly what the emitter makes of what was read from
//! it, and checking it against limits ends with a verdict.
#![no_main]

use fwdelta_core::Limits;
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_fuzz::emitted;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(header) = DeltaHeader::parse(data) else { return };
    assert_eq!(emitted(|writer| header.emit(writer)), data);
    let _ = header.check(&Limits::DEVICE);
});
