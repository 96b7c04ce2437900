//! Ceilings the caller gives; checked before anything is sized by a number from the package.

/// Upper bounds for one package. Every field is checked before memory or time depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Authentication wrapper plus manifest, in bytes.
    pub envelope_len: usize,
    /// Largest old or new image, in bytes.
    pub image_len: u64,
    /// Largest SUIT text or prompts payload, in bytes; it is hashed, never held, by core.
    pub text_len: u64,
    /// Largest chunk of a payload, in bytes, without its trailing hash.
    pub chunk_len: u32,
    /// Largest workspace a delta may ask for, in bytes.
    pub workspace_len: u64,
}

/// Authentication blocks in one package.
pub const BLOCK_COUNT_MAX: usize = 8;
/// Components in one package.
pub const COMPONENT_COUNT_MAX: usize = 8;
/// Keys in one role of the trust anchor.
pub const KEY_COUNT_MAX: usize = 16;
/// Operators in one trust anchor.
pub const OPERATOR_COUNT_MAX: usize = 32;
/// Integrated payloads in one envelope: header and delta of each component, prompts per block.
pub const PAYLOAD_COUNT_MAX: usize = 2 * COMPONENT_COUNT_MAX + 1 + BLOCK_COUNT_MAX;
/// Recipients of an encrypted payload.
pub const RECIPIENT_COUNT_MAX: usize = 16;
/// Nesting of CBOR arrays, maps and tags.
pub const DEPTH_MAX: u8 = 8;
/// Revisions of the hardware in a manifest.
pub const HARDWARE_COUNT_MAX: usize = 16;
/// Numbers of a version in a manifest.
pub const VERSION_LEN_MAX: usize = 8;
/// Bytes of a component name.
pub const NAME_LEN_MAX: usize = 32;
/// Bytes of a payload reference (URI).
pub const URI_LEN_MAX: usize = 255;
/// Bytes of a delta header.
pub const HEADER_LEN_MAX: usize = 512;
/// PLMN entries in a vendor's operator requirement.
pub const REQUIRED_COUNT_MAX: usize = 16;
/// Bytes of a compiled trust anchor.
pub const TRUST_LEN_MAX: usize = 16 * 1024;
/// Signatures of a trust anchor that replaces another: as many keys as both may have.
pub const ENDORSEMENT_COUNT_MAX: usize = 2 * KEY_COUNT_MAX;
/// How far ahead of the device's the version of a new trust anchor may be.
pub const TRUST_JUMP_MAX: u64 = 1024;

impl Limits {
    /// For microcontrollers: 4 KiB of envelope, images to 16 MiB, 10 KiB of workspace.
    pub const DEVICE: Limits = Limits {
        envelope_len: 4096,
        image_len: 16 << 20,
        text_len: 64 << 10,
        chunk_len: 4096,
        workspace_len: 10 << 10,
    };

    /// For Linux-class devices: 64 KiB of envelope, images to 1 TiB, 24 MiB of workspace.
    pub const LINUX: Limits = Limits {
        envelope_len: 64 << 10,
        image_len: 1 << 40,
        text_len: 16 << 20,
        chunk_len: 1 << 20,
        workspace_len: 24 << 20,
    };
}
