//! Names of error numbers as C strings, laid out when compiled.

use core::ffi::{CStr, c_char};

use fwdelta_core::Detail;

/// Bytes of a name with its terminating zero, rounded up.
const NAME_LEN: usize = 24;
const COUNT: usize = Detail::ALL.len();

/// Number and name of every detail, in numeric order.
static NAMES: [(u16, [u8; NAME_LEN]); COUNT] = table();

#[allow(clippy::indexing_slicing)] // Runs in the compiler only.
const fn table() -> [(u16, [u8; NAME_LEN]); COUNT] {
    let mut all = [(0, [0; NAME_LEN]); COUNT];
    let mut at = 0;
    while at < COUNT {
        let name = Detail::ALL[at].name().as_bytes();
        assert!(name.len() < NAME_LEN, "a name is longer than the table has room for");
        all[at].0 = Detail::ALL[at] as u16;
        let mut byte = 0;
        while byte < name.len() {
            all[at].1[byte] = name[byte];
            byte += 1;
        }
        at += 1;
    }
    all
}

/// The name of an error number, `Ok` for 0 and `Unknown` for what is none.
pub(crate) fn name(detail: u16) -> *const c_char {
    let unknown: &CStr = if detail == 0 { c"Ok" } else { c"Unknown" };
    let found = NAMES.iter().find(|(number, _)| *number == detail);
    found.map_or(unknown.as_ptr(), |(_, name)| name.as_ptr().cast())
}

/// The detail of an error number.
pub(crate) fn detail(number: u16) -> Option<Detail> {
    Detail::ALL.iter().copied().find(|detail| *detail as u16 == number)
}
