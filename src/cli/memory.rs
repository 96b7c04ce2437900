//! How the process holds memory.

/// Blocks of this length and more are mapped, and go back to the system when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_LEN_MIN: i32 = 512 << 10;

/// Makes the allocator of glibc give back what is freed.
///
/// Left alone it keeps a block in its heap once it has freed one as long (mallopt(3), "dynamic
/// mmap threshold"). Stages of the generator take tables of the length of the images one after the
/// other: between them stands what lasts, so the heap would grow where it could be used again.
pub(super) fn return_what_is_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: sets a number of the allocator, before any other thread runs. A refusal leaves
        // things as they were.
        unsafe { libc::mallopt(parameter, MAPPED_LEN_MIN) };
    }
}
