//! What device management protocols call an outcome.
//!
//! FUMO: OMA-TS-DM-FUMO-V1_0; install-notify: OMA Download 1.0; LwM2M: object 5, OMA-TS-LWM2M_Core.

use crate::error::{Category, Detail};

/// The outcome in three protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// FUMO result code.
    pub fumo: u16,
    /// Install-notify status.
    pub install_notify: u16,
    /// LwM2M update result.
    pub lwm2m: u8,
}

/// Success.
pub const SUCCESS: Codes = Codes { fumo: 200, install_notify: 900, lwm2m: 1 };

/// The codes of a refusal or failure.
#[must_use]
pub const fn codes_of(detail: Detail) -> Codes {
    let (fumo, install_notify, lwm2m) = match detail {
        Detail::WrongVendor
        | Detail::WrongClass
        | Detail::WrongHardware
        | Detail::WrongDevice
        | Detail::DependencyVersion => (403, 953, 8),
        // Deferred: nothing is wrong with package or device, it is only not yet time.
        Detail::NotAuthorized | Detail::BatteryLow => (401, 902, 11),
        Detail::NoSpace | Detail::ImageTooLarge => (502, 901, 2),
        Detail::WorkspaceTooSmall | Detail::ChunkTooLarge => (502, 901, 3),
        Detail::Cancelled => (401, 902, 10),
        _ => match detail.category() {
            Category::Signature => (404, 953, 5),
            Category::Corrupt => (402, 953, 5),
            Category::Format => (402, 906, 5),
            Category::WrongOld => (403, 953, 8),
            Category::Policy => (405, 953, 8),
            Category::Unsupported => (408, 953, 6),
            Category::Limit => (501, 901, 3),
            Category::Storage => (410, 954, 8),
            Category::Usage | Category::Bug => (409, 954, 8),
        },
    };
    Codes { fumo, install_notify, lwm2m }
}
