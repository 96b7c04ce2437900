//! The C side of the interface as `include/fwdelta.h` states it: tables, structures, constants.
//!
//! Meaning and units of every field stand in the header. `tests/c.rs` compares sizes, offsets and
//! constants of both.
// Long because it is all of the header once more, in one piece as that is.

use core::ffi::{c_char, c_void};

/// What every table and request carries in its first field.
pub const ABI_VERSION: u32 = 3;
/// [`Failure::component`] of an error that is not about one component.
pub const NO_COMPONENT: u32 = u32::MAX;
/// Bytes of EF_FOTA.
pub const EF_FOTA_LEN: usize = 17;
/// Bytes of a PLMN as text with its terminating zero, rounded up.
pub const PLMN_LEN: usize = 8;
/// [`Device::sim`]: no SIM.
pub const SIM_ABSENT: u8 = 0;
/// [`Device::sim`]: a SIM without EF_FOTA.
pub const SIM_WITHOUT_FOTA: u8 = 1;
/// [`Device::sim`]: a SIM with EF_FOTA.
pub const SIM_WITH_FOTA: u8 = 2;
/// What [`Source::read`] gives for cells that hold no valid word.
pub const READ_UNCORRECTABLE: i32 = 1;

/// [`InPlace`]: nothing was begun.
pub const FOUND_NOTHING: u32 = 0;
/// [`InPlace`]: it was begun and is to be resumed.
pub const FOUND_BEGUN: u32 = 1;
/// [`InPlace`]: the new image is in the slot.
pub const FOUND_DONE: u32 = 2;
/// Bytes of a delta header at most.
pub const HEADER_LEN_MAX: usize = 512;
/// Words of [`State`].
pub const STATE_WORD_COUNT: usize = 512;
/// Words of [`StreamState`].
pub const STREAM_WORD_COUNT: usize = 640;
/// Words of [`TwoSlotsState`].
pub const TWO_SLOTS_WORD_COUNT: usize = 672;
/// [`Stream`]: more payload is needed.
pub const STREAM_NEEDS_INPUT: u32 = 0;
/// [`Stream`]: there is more to do with what it has.
pub const STREAM_YIELDS: u32 = 1;
/// [`Stream`]: the new image is written.
pub const STREAM_DONE: u32 = 2;

/// `fwdelta_source`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Handed to the callback.
    pub ctx: *mut c_void,
    /// Fills `buf` from `pos`.
    pub read: Option<unsafe extern "C" fn(*mut c_void, u64, *mut u8, usize) -> i32>,
}

/// `fwdelta_sectors`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sectors {
    /// Bytes of each of them.
    pub len: u32,
    /// How many.
    pub count: u32,
}

/// `fwdelta_target`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Bytes erased together.
    pub sector_len: u32,
    /// Bytes in the slot.
    pub len: u64,
    /// Bytes programmed together.
    pub write_len: u16,
    /// What an erased byte reads as.
    pub erased: u8,
    /// Handed to the callbacks.
    pub ctx: *mut c_void,
    /// Erases a sector.
    pub erase: Option<unsafe extern "C" fn(*mut c_void, u32) -> i32>,
    /// Programs erased bytes.
    pub program: Option<unsafe extern "C" fn(*mut c_void, u64, *const u8, usize) -> i32>,
    /// Makes what was programmed durable.
    pub sync: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    /// Sectors of other lengths, before all others.
    pub first: *const Sectors,
    /// Entries of `first`.
    pub first_count: u32,
}

/// Verifies a signature of an algorithm other than Ed25519.
pub type VerifyOther = unsafe extern "C" fn(
    *mut c_void,
    i32,
    *const u8,
    usize,
    *const u8,
    usize,
    *const u8,
    usize,
) -> i32;

/// `fwdelta_crypto`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Crypto {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Handed to the callback.
    pub ctx: *mut c_void,
    /// Key of 32 bytes, message, signature of 64 bytes.
    pub verify_ed25519:
        Option<unsafe extern "C" fn(*mut c_void, *const u8, *const u8, usize, *const u8) -> i32>,
    /// Number of the algorithm in COSE, then key, message and signature with their lengths.
    pub verify_other: Option<VerifyOther>,
}

/// `fwdelta_decompressor`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Decompressor {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Handed to the callbacks.
    pub ctx: *mut c_void,
    /// Starts a frame.
    pub start: Option<unsafe extern "C" fn(*mut c_void, u8) -> i32>,
    /// Decompresses a piece.
    pub run: Option<
        unsafe extern "C" fn(*mut c_void, *const u8, usize, *mut u8, usize, *mut Flow) -> i32,
    >,
}

/// Decrypts in place, with the content key that was unwrapped last.
pub type OpenChunk = unsafe extern "C" fn(
    *mut c_void,
    *const u8,
    *const u8,
    usize,
    *mut u8,
    usize,
    *const u8,
) -> i32;

/// `fwdelta_decryptor`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Decryptor {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Handed to the callbacks.
    pub ctx: *mut c_void,
    /// Unwraps the content key.
    pub unwrap: Option<unsafe extern "C" fn(*mut c_void, *const Recipient) -> i32>,
    /// Nonce of 12 bytes, what is authenticated besides, data, tag of 16 bytes.
    pub open: Option<OpenChunk>,
    /// Where a package's is written to, and a delta's read from; null where neither is asked for.
    pub sealing: *mut Sealing,
}

/// `fwdelta_sealing`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sealing {
    /// For whom the payload is encrypted: this device.
    pub recipient: Recipient,
    /// What the nonces of its chunks are made from.
    pub nonce: [u8; 12],
}

/// `fwdelta_recipient`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Recipient {
    /// Number of the cipher in COSE.
    pub cipher: i32,
    /// Number in COSE of how the content key is wrapped.
    pub algorithm: i32,
    /// What the key is found by.
    pub kid: [u8; 8],
    /// The ephemeral point; zeros where there is none.
    pub point: [u8; 65],
    /// Bytes of `wrapped` that count.
    pub wrapped_len: u8,
    /// The content key, wrapped.
    pub wrapped: [u8; 40],
}

/// `fwdelta_flow`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// Input bytes used up.
    pub consumed: usize,
    /// Output bytes written.
    pub produced: usize,
    /// Not 0: the frame ended.
    pub done: u8,
}

/// `fwdelta_progress`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Handed to the callback.
    pub ctx: *mut c_void,
    /// Bytes written, bytes in all; not 0 cancels.
    pub step: Option<unsafe extern "C" fn(*mut c_void, u64, u64) -> i32>,
}

/// `fwdelta_limits`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest image.
    pub image_len: u64,
    /// Largest text or prompts.
    pub text_len: u64,
    /// Largest workspace.
    pub workspace_len: u64,
    /// Largest authenticated part of the envelope.
    pub envelope_len: u32,
    /// Largest chunk.
    pub chunk_len: u32,
}

/// `fwdelta_device`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// [`SIM_ABSENT`] to [`SIM_WITH_FOTA`]
    pub sim: u8,
    /// Whether `sequence` is there.
    pub has_sequence: u8,
    /// Content of the file.
    pub ef_fota: [u8; EF_FOTA_LEN],
    /// The SIM's operator, with a terminating zero.
    pub plmn: [c_char; PLMN_LEN],
    /// Of the last confirmed update.
    pub sequence: u64,
    /// What it is and how it is; null: it knows nothing of itself.
    pub facts: *const Facts,
    /// Manifest, 32 bytes, of the update that waits for its confirmation; null: none does.
    pub pending: *const u8,
}

/// `fwdelta_installed`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Installed {
    /// Its name, zero-terminated.
    pub name: *const c_char,
    /// Its version.
    pub numbers: *const i64,
    /// How many numbers that has.
    pub count: u32,
}

/// `fwdelta_facts`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Numbers of `hardware`.
    pub hardware_count: u32,
    /// Revision of the hardware; null: not known.
    pub hardware: *const i64,
    /// 16 bytes; null: the trust anchor's is checked alone.
    pub vendor_id: *const u8,
    /// The same.
    pub class_id: *const u8,
    /// 16 bytes; null: not known.
    pub device_id: *const u8,
    /// Seconds since 1970.
    pub time: u64,
    /// Bytes free for all new images together.
    pub free_len: u64,
    /// Whether `time` can be trusted.
    pub has_time: u8,
    /// Whether `battery` is known.
    pub has_battery: u8,
    /// Charge in percent.
    pub battery: u8,
    /// Whether `free_len` is to be checked.
    pub has_free_len: u8,
    /// Whether the user authorized this update.
    pub is_authorized: u8,
    /// Entries of `installed`.
    pub installed_count: u32,
    /// What is installed.
    pub installed: *const Installed,
}

/// `fwdelta_anchor`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    /// Where the new anchor stands in what was given.
    pub anchor: *const u8,
    /// Its length.
    pub len: usize,
    /// Its version.
    pub version: u64,
}

/// `fwdelta_outcome`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Sequence number of the package.
    pub sequence: u64,
    /// Why it failed; 0 for success.
    pub detail: u16,
    /// Digest of its manifest.
    pub manifest: [u8; 32],
}

/// `fwdelta_update`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// The staged package.
    pub package: *const Source,
    /// Its length.
    pub package_len: u64,
    /// The compiled trust anchor.
    pub trust: *const u8,
    /// Its length.
    pub trust_len: usize,
    /// What the device knows of itself.
    pub device: *const Device,
    /// Ceilings.
    pub limits: *const Limits,
    /// Signature verification; null for the built-in one.
    pub crypto: *const Crypto,
    /// Decompressor; null for none.
    pub decompressor: *const Decompressor,
    /// Decryption; null for none.
    pub decryptor: *const Decryptor,
    /// Called between steps; null for none.
    pub progress: *const Progress,
    /// Takes the authenticated part of the envelope.
    pub envelope_buf: *mut u8,
    /// Its length.
    pub envelope_buf_len: usize,
    /// Working memory.
    pub work: *mut u8,
    /// Its length.
    pub work_len: usize,
}

/// `fwdelta_part`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The old image; null where none is needed.
    pub old: *const Source,
    /// Its length.
    pub old_len: u64,
    /// The detached payload; null where it is in the package.
    pub payload: *const Source,
    /// Its length.
    pub payload_len: u64,
    /// The slot for the new image.
    pub slot: *const Target,
}

/// `fwdelta_summary`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Of the package.
    pub sequence: u64,
    /// UUID.
    pub vendor_id: [u8; 16],
    /// UUID.
    pub class_id: [u8; 16],
    /// How many components.
    pub component_count: u32,
    /// Basis of the operator decision.
    pub decision: u8,
    /// Mode of the approval that counted, 0 for none.
    pub approval_mode: u8,
    /// Whose approval it was, empty for none.
    pub approved_by: [c_char; PLMN_LEN],
    /// Bytes of the prompts for this device, 0 for none.
    pub prompts_len: u64,
    /// SHA-256 of the manifest.
    pub manifest: [u8; 32],
}

/// `fwdelta_prompt`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Prompt {
    /// What to show, in `work`; null for nothing.
    pub text: *const c_char,
    /// Tag of its language, in `work`; null for none.
    pub language: *const c_char,
    /// Bytes of `text`.
    pub text_len: u32,
    /// Bytes of `language`.
    pub language_len: u32,
    /// Whether it is the operator's.
    pub by_operator: u32,
}

/// `fwdelta_component`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Its name, in `envelope_buf`.
    pub name: *const c_char,
    /// Bytes.
    pub name_len: u32,
    /// Bytes of `payload_uri`.
    pub payload_uri_len: u32,
    /// Uri of the detached payload, in `envelope_buf`; null where it is in the package.
    pub payload_uri: *const c_char,
    /// Base name of that uri.
    pub payload_name: *const c_char,
    /// Bytes of `payload_name`.
    pub payload_name_len: u32,
    /// Whether an old image is needed.
    pub has_old: u32,
    /// Whether it leads back from the update that is pending.
    pub is_way_back: u32,
    /// Length of the old image.
    pub old_len: u64,
    /// Length of the new image.
    pub new_len: u64,
    /// Length of the payload.
    pub payload_len: u64,
    /// Bytes of `work` that applying takes.
    pub work_len: u64,
    /// SHA-256 of the old image.
    pub old_digest: [u8; 32],
    /// SHA-256 of the new image.
    pub new_digest: [u8; 32],
    /// SHA-256 of the payload.
    pub payload_digest: [u8; 32],
    /// Whether the payload is encrypted.
    pub is_encrypted: u32,
}

/// `fwdelta_error`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// The rule that was broken, 0 for success.
    pub detail: u16,
    /// Whose fault, as returned.
    pub category: u8,
    /// Whether the old images are whole.
    pub old_intact: u8,
    /// Which component, or [`NO_COMPONENT`].
    pub component: u32,
    /// Byte offset.
    pub pos: u64,
}

/// `fwdelta_codes`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    /// FUMO result code.
    pub fumo: u16,
    /// Install-notify status.
    pub install_notify: u16,
    /// LwM2M update result.
    pub lwm2m: u8,
}

/// `fwdelta_flash`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Flash {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Bytes erased together.
    pub sector_len: u32,
    /// Bytes in the medium.
    pub len: u64,
    /// Bytes programmed together.
    pub write_len: u16,
    /// What an erased byte reads as.
    pub erased: u8,
    /// Handed to the callbacks.
    pub ctx: *mut c_void,
    /// Fills `buf` from `pos`.
    pub read: Option<unsafe extern "C" fn(*mut c_void, u64, *mut u8, usize) -> i32>,
    /// Erases a sector.
    pub erase: Option<unsafe extern "C" fn(*mut c_void, u32) -> i32>,
    /// Programs erased bytes.
    pub program: Option<unsafe extern "C" fn(*mut c_void, u64, *const u8, usize) -> i32>,
    /// Makes what was programmed durable.
    pub sync: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    /// Sectors of other lengths, before all others.
    pub first: *const Sectors,
    /// Entries of `first`.
    pub first_count: u32,
}

/// `fwdelta_delta`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Delta {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// Bytes of `header` that count.
    pub header_len: u16,
    /// Number of the cipher in COSE; 0: the payload is not encrypted.
    pub cipher: u16,
    /// Where the payload starts in its medium.
    pub payload_pos: u64,
    /// Its length.
    pub payload_len: u64,
    /// Of the decision to install.
    pub decision: [u8; 32],
    /// The delta header.
    pub header: [u8; HEADER_LEN_MAX],
}

/// `fwdelta_delta_info`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DeltaInfo {
    /// Length of the old image.
    pub old_len: u64,
    /// Length of the new image.
    pub new_len: u64,
    /// Length of the payload.
    pub payload_len: u64,
    /// Bytes of `work` that applying takes.
    pub work_len: u64,
    /// In place: bytes that the slot must have.
    pub slot_len: u64,
    /// Whether an old image is needed.
    pub has_old: u8,
    /// Whether a decompressor is needed.
    pub needs_decompressor: u8,
    /// Whether it is applied in place.
    pub in_place: u8,
    /// In place: spare pages.
    pub spare_count: u8,
    /// In place: bytes of the longest page, which is as long as a spare page.
    pub page_len: u32,
    /// SHA-256 of the old image.
    pub old_digest: [u8; 32],
    /// SHA-256 of the new image.
    pub new_digest: [u8; 32],
}

/// `fwdelta_state`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Nobody's business.
    pub opaque: [u64; STATE_WORD_COUNT],
}

/// `fwdelta_in_place`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct InPlace {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// What is applied.
    pub delta: *const Delta,
    /// Where the old image stands and the new one will.
    pub slot: *const Flash,
    /// Spare pages and checkpoints.
    pub scratch: *const Flash,
    /// The payload, whole.
    pub payload: *const Source,
    /// Ceilings.
    pub limits: *const Limits,
    /// Decryption; null for none.
    pub decryptor: *const Decryptor,
    /// Called before every read; null for none.
    pub progress: *const Progress,
    /// Where the update stands from call to call.
    pub state: *mut State,
    /// Working memory.
    pub work: *mut u8,
    /// Its length.
    pub work_len: usize,
}

/// `fwdelta_step`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Not 0: there is nothing left to do.
    pub done: u32,
    /// Pages done.
    pub page_done: u64,
    /// Of how many.
    pub page_count: u64,
}

/// `fwdelta_stream_state`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StreamState {
    /// Nobody's business.
    pub opaque: [u64; STREAM_WORD_COUNT],
}

/// `fwdelta_stream`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// What is applied.
    pub delta: *const Delta,
    /// The old image; null where none is needed.
    pub old: *const Source,
    /// Its length.
    pub old_len: u64,
    /// The slot for the new image.
    pub slot: *const Target,
    /// Ceilings.
    pub limits: *const Limits,
    /// Decompressor; null for none.
    pub decompressor: *const Decompressor,
    /// Decryption; null for none.
    pub decryptor: *const Decryptor,
    /// Called before every read; null for none.
    pub progress: *const Progress,
    /// Where decoding stands from call to call.
    pub state: *mut StreamState,
    /// Working memory.
    pub work: *mut u8,
    /// Its length.
    pub work_len: usize,
}

/// `fwdelta_two_slots_state`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TwoSlotsState {
    /// Nobody's business.
    pub opaque: [u64; TWO_SLOTS_WORD_COUNT],
}

/// `fwdelta_two_slots`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TwoSlots {
    /// [`ABI_VERSION`]
    pub abi: u32,
    /// What is applied.
    pub delta: *const Delta,
    /// The old image; null where none is needed.
    pub old: *const Source,
    /// Its length.
    pub old_len: u64,
    /// The slot for the new image, which is read back.
    pub slot: *const Flash,
    /// Checkpoints.
    pub scratch: *const Flash,
    /// Bytes of the new image from one checkpoint to the next.
    pub interval: u64,
    /// Ceilings.
    pub limits: *const Limits,
    /// Decompressor; null for none.
    pub decompressor: *const Decompressor,
    /// Decryption; null for none.
    pub decryptor: *const Decryptor,
    /// Called before every read; null for none.
    pub progress: *const Progress,
    /// Where decoding stands from call to call.
    pub state: *mut TwoSlotsState,
    /// Working memory.
    pub work: *mut u8,
    /// Its length.
    pub work_len: usize,
}

/// `fwdelta_resume_at`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ResumeAt {
    /// The byte of payload to be fed next.
    pub payload_pos: u64,
    /// Bytes of the new image that are not made again.
    pub new_pos: u64,
}
