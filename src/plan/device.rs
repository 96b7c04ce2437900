//! The device an update is planned for: what it runs and what it has room for, from a JSON file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::core::format::manifest::is_name;
use crate::core::hash::Sha256Digest;
use crate::core::limits::COMPONENT_COUNT_MAX;
use crate::error::{Error, Result};

/// Longest device file, in bytes.
const FILE_LEN_MAX: usize = 64 * 1024;
/// How far ahead a sequence number may be when the file does not say; that of the trust anchor.
const JUMP_MAX: u64 = 65_536;

/// A device. What is not said does not limit it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its components by name.
    pub components: BTreeMap<String, Slot>,
    /// Sequence number of the last confirmed update.
    #[serde(default)]
    pub sequence: u64,
    /// Sequence number of the last index that was used: an older one is refused.
    #[serde(default)]
    pub index_sequence: u64,
    /// How far ahead of `sequence` a package may be.
    #[serde(default = "jump_max")]
    pub jump_max: u64,
    /// UUID of the vendor.
    #[serde(default)]
    pub vendor_id: Option<Uuid>,
    /// UUID of the device class.
    #[serde(default)]
    pub class_id: Option<Uuid>,
    /// Bytes of working memory.
    #[serde(default)]
    pub workspace_len: Option<u64>,
    /// Bytes there are for a download.
    #[serde(default)]
    pub download_len: Option<u64>,
    /// Whether images can be replaced in place only.
    #[serde(default)]
    pub one_slot: bool,
    /// Groups it is in.
    #[serde(default)]
    pub groups: Vec<String>,
}

fn jump_max() -> u64 {
    JUMP_MAX
}

/// One component of a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// SHA-256 of the image it runs.
    #[serde(deserialize_with = "digest")]
    pub sha256: Sha256Digest,
    /// Bytes there are for the image.
    #[serde(default)]
    pub slot_len: Option<u64>,
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || serde::de::Error::custom("a SHA-256 is 64 hexadecimal digits");
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        let digits = text.get(at..at + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}

impl Device {
    /// Reads a device file; `subject` names it in errors.
    ///
    /// # Errors
    /// Input errors with line, reason and remedy.
    pub fn parse(json: &str, subject: &str) -> Result<Self> {
        let wrong = |what: String| Error::input(subject, what);
        if json.len() > FILE_LEN_MAX {
            return Err(wrong(format!("longer than {FILE_LEN_MAX} bytes")));
        }
        let device: Self = serde_json::from_str(json).map_err(|error| {
            let hint = "docs/format-index.md shows such a file";
            wrong(format!("{}; {hint}", crate::release::plain::sanitised(&error.to_string(), 200)))
        })?;
        if !(1..=COMPONENT_COUNT_MAX).contains(&device.components.len()) {
            return Err(wrong(format!("name one to {COMPONENT_COUNT_MAX} components")));
        }
        let mut names = device.components.keys().chain(&device.groups);
        if let Some(name) = names.find(|name| !is_name(name)) {
            let rule = "is no name: 1 to 32 of a-z A-Z 0-9 . _ -";
            return Err(wrong(format!("\"{}\" {rule}", name.escape_debug())));
        }
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_file_is_read_strictly() {
        let digest = "ab".repeat(32);
        let good = format!("{{\"components\": {{\"main\": {{\"sha256\": \"{digest}\"}}}}}}");
        let device = Device::parse(&good, "d.json").unwrap();
        assert_eq!(device.components["main"].sha256, [0xab; 32]);
        assert_eq!((device.jump_max, device.one_slot), (JUMP_MAX, false));
        for (bad, reason) in [
            (good.replace("main", "ma in"), "is no name"),
            (good.replace("abab\"", "ab\""), "64 hexadecimal"),
            (good.replace("sha256", "sha1"), "unknown field"),
            ("{\"components\": {}}".to_owned(), "one to 8"),
            ("{".to_owned(), "EOF"),
            (" ".repeat(FILE_LEN_MAX + 1), "longer than"),
        ] {
            let error = Device::parse(&bad, "d.json").unwrap_err().to_string();
            assert!(error.starts_with("d.json: ") && error.contains(reason), "{error}");
        }
    }
}
