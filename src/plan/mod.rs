//! Many packages for one device: an index of them, signed like a package, and the cheapest chain
//! of updates through it (docs/format-index.md).
//!
//! An index lists packages with what they start from and lead to; a device is what it runs and what
//! it has room for. [`plan`] finds the chain and says of every other package why it is not in it.
//! Nothing here is policy: each package of a chain is verified as if there were no index.

mod collect;
mod device;
mod graph;
mod list;
mod search;
mod signed;
mod table;
mod verdict;

pub use collect::{Listed, collect};
pub use device::{Device, Slot};
pub use list::{List, Named};
pub use search::{Found, PLAN_STATE_COUNT_MAX, PLAN_WORK_MAX, Plan, Step, plan};
pub use signed::{Opened, open, seal};
pub use table::{emit as emit_table, parse as parse_table};
pub use verdict::Reason;

use crate::core::hash::Sha256Digest;

/// Longest index, in bytes.
pub const INDEX_LEN_MAX: usize = 8 * 1024 * 1024;
/// Packages in one index.
pub const INDEX_ENTRY_COUNT_MAX: usize = 16384;
/// Groups of one package.
pub const GROUP_COUNT_MAX: usize = 16;
/// Longest version, in bytes.
pub const VERSION_TEXT_LEN_MAX: usize = 64;

/// What an index says: packages in the order they were listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The packages.
    pub entries: Vec<Entry>,
    /// Where the next index is, once a device has done what this one holds.
    pub next_url: Option<String>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// File name, without a folder.
    pub file: String,
    /// Bytes to download: the envelope and its detached payloads.
    pub size: u64,
    /// SHA-256 of the envelope's file.
    pub digest: Sha256Digest,
    /// SHA-256 of the manifest, which names the package for good: approvals do not change it.
    pub manifest: Sha256Digest,
    /// Sequence number.
    pub sequence: u64,
    /// Rank of the release it leads to: devices are led to the highest.
    pub order: u64,
    /// Whether it leads back to an older release on purpose.
    pub is_restore: bool,
    /// The manifest it leads back from; devices accept it until that update is confirmed.
    pub undoes: Option<Sha256Digest>,
    /// What it changes, each component once.
    pub parts: Vec<Part>,
    /// Groups of devices it is for; everyone if there are none.
    pub groups: Vec<String>,
    /// Where a download agent goes after this package.
    pub next_url: Option<String>,
}

/// What a package does to one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name of the component.
    pub name: String,
    /// What it starts from; nothing for a full image.
    pub old: Option<Image>,
    /// What it leads to.
    pub new: Image,
    /// Bytes of working memory it takes.
    pub workspace_len: u64,
    /// Whether it is applied over the old image, without a second slot.
    pub in_place: bool,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// Version, for people; empty if nobody knows.
    pub version: String,
    /// Bytes.
    pub len: u64,
    /// SHA-256.
    pub digest: Sha256Digest,
}
