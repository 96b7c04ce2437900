//! `device.toml`: what a device is and how it is, for `verify` and `apply` (docs/device-file.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::core::format::plmn::Plmn;
use crate::core::verify::{Facts, Installed};
use crate::error::{Error, Result, in_line};
use crate::package::trust_file::Identity;
use crate::release::requires::{Percent, Time};
use crate::release::{ComponentName, Version};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vendor_id: Option<uuid::Uuid>,
    vendor_domain: Option<String>,
    class_id: Option<uuid::Uuid>,
    class: Option<String>,
    device_id: Option<uuid::Uuid>,
    hardware: Option<Version>,
    time: Option<Clock>,
    battery: Option<Percent>,
    free_space: Option<u64>,
    #[serde(default)]
    authorized: bool,
    #[serde(default)]
    installed: BTreeMap<ComponentName, Version>,
    #[serde(default)]
    sim: SimFile,
}

/// `"system"`, or a moment.
#[derive(Clone, Copy, Debug)]
enum Clock {
    System,
    At(u64),
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        if value.as_str() == Some("system") {
            return Ok(Clock::System);
        }
        let time = Time::deserialize(value).map_err(D::Error::custom)?;
        Ok(Clock::At(time.0))
    }
}

/// The SIM of a device file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimFile {
    /// Name of the file with the content of EF_FOTA, relative to the device file.
    pub ef_fota: Option<String>,
    /// Operator of the SIM.
    pub plmn: Option<String>,
    /// Whether there is a SIM, though without EF_FOTA.
    pub without_ef_fota: bool,
}

/// A device, as its file describes it.
#[derive(Clone, Debug, Default)]
pub struct DeviceFile {
    vendor_id: Option<[u8; 16]>,
    class_id: Option<[u8; 16]>,
    device_id: Option<[u8; 16]>,
    hardware: Option<Vec<i64>>,
    clock: Option<u64>,
    battery: Option<u8>,
    free_len: Option<u64>,
    is_authorized: bool,
    installed: Vec<(String, Vec<i64>)>,
    /// The SIM.
    pub sim: SimFile,
}

impl DeviceFile {
    /// Reads the text of a device file; `subject` names it, `now` is the system's clock in seconds
    /// since 1970, which is believed only where the file says so.
    ///
    /// # Errors
    /// When the text is wrong.
    pub fn parse(text: &str, subject: &str, now: u64) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|error| {
            Error::input(subject, in_line(text, error.span(), &error.message()))
        })?;
        let identity = Identity {
            vendor_id: file.vendor_id,
            vendor_domain: file.vendor_domain.as_deref(),
            class_id: file.class_id,
            class: file.class.as_deref(),
        };
        let (vendor_id, class_id) = identity.ids().map_err(|what| Error::input(subject, what))?;
        if let Some(plmn) = &file.sim.plmn {
            Plmn::parse(plmn).map_err(|_| {
                Error::input(subject, format!("[sim]: plmn \"{plmn}\" is not five or six digits"))
            })?;
        }
        let numbers = |version: &Version| version.numbers().to_vec();
        Ok(Self {
            vendor_id,
            class_id,
            device_id: file.device_id.map(uuid::Uuid::into_bytes),
            hardware: file.hardware.as_ref().map(numbers),
            clock: file.time.map(|clock| match clock {
                Clock::System => now,
                Clock::At(seconds) => seconds,
            }),
            battery: file.battery.map(|percent| percent.0),
            free_len: file.free_space,
            is_authorized: file.authorized,
            installed: file
                .installed
                .iter()
                .map(|(name, version)| (name.as_str().to_owned(), numbers(version)))
                .collect(),
            sim: file.sim,
        })
    }

    /// What is installed, as core reads it; [`DeviceFile::facts`] borrows it.
    #[must_use]
    pub fn installed(&self) -> Vec<Installed<'_>> {
        self.installed.iter().map(|(name, version)| Installed { name, version }).collect()
    }

    /// The facts, with what [`DeviceFile::installed`] gave.
    #[must_use]
    pub fn facts<'f>(&'f self, installed: &'f [Installed<'f>]) -> Facts<'f> {
        Facts {
            vendor_id: self.vendor_id,
            class_id: self.class_id,
            device_id: self.device_id,
            hardware: self.hardware.as_deref(),
            time: self.clock,
            battery: self.battery,
            free_len: self.free_len,
            is_authorized: self.is_authorized,
            installed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_file_and_an_empty_one() {
        let text = "vendor_domain = \"example.com\"\nclass = \"router\"\nhardware = \"2\"\n\
            device_id = \"00000000-0000-0000-0000-000000000009\"\ntime = \"system\"\n\
            battery = 80\nfree_space = 1000\nauthorized = true\n\
            [installed]\nmodem = \"1.4.0\"\n[sim]\nef_fota = \"sim.bin\"\nplmn = \"26201\"\n";
        let file = DeviceFile::parse(text, "device.toml", 77).unwrap();
        let installed = file.installed();
        let facts = file.facts(&installed);
        assert_eq!((facts.time, facts.battery, facts.free_len), (Some(77), Some(80), Some(1000)));
        assert_eq!((facts.hardware, facts.is_authorized), (Some(&[2][..]), true));
        assert_eq!(facts.installed, [Installed { name: "modem", version: &[1, 4, 0] }]);
        assert!(facts.vendor_id.is_some() && facts.class_id.is_some());
        assert_eq!(file.sim.ef_fota.as_deref(), Some("sim.bin"));
        let nothing = DeviceFile::parse("", "device.toml", 77).unwrap();
        assert_eq!(nothing.facts(&[]), Facts::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("colour = 1", "colour"),
            ("battery = 101", "percent"),
            ("time = 2026-11-21", "offset"),
            ("class = \"router\"", "vendor"),
            ("[sim]\nplmn = \"1\"", "digits"),
        ] {
            let error = DeviceFile::parse(text, "device.toml", 0).unwrap_err().to_string();
            assert!(error.starts_with("device.toml") && error.contains(what), "{error}");
        }
    }
}
