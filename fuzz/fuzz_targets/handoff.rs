//! Law: EF_FOTA and the records in non-volatile memory that are accepted are what the emitters make
//! of what was read from them; and no string of a SIM that was never provisioned is given out.
#![no_main]

use fwdelta_core::format::trust::Policy;
use fwdelta_core::verify::handoff::{emit_handoff, emit_result, parse_handoff, parse_result};
use fwdelta_core::verify::{EfFota, Sim, gate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(sim) = parse_handoff(data) {
        assert_eq!(emit_handoff(&sim), data);
        let forbids = matches!(sim, Sim::WithFota { ef_fota, .. } if !ef_fota.allows(0));
        assert_eq!(gate(&Policy::default(), &sim).is_err(), forbids);
    }
    if let Ok(outcome) = parse_result(data) {
        assert_eq!(emit_result(&outcome), data);
    }
    if let Ok(file) = EfFota::parse(data) {
        assert_eq!(file.bytes(), data);
        let blank = data[1..] == [0; 16] || data[1..] == [0xff; 16];
        assert_eq!(file.string().is_none(), blank);
    }
});
