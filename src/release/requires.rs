//! What a release asks of the device it goes to: `[requires]` of the release file, and the moments
//! and versions that device profiles have in common with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use uuid::Uuid;

use super::values::{ComponentName, Version};
use crate::core::format::manifest::Comparison;

/// Demands on the device besides vendor and class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requires {
    /// Revisions of the hardware; any if there are none.
    pub hardware: Vec<Version>,
    /// UUID of the only device it is for.
    pub device_id: Option<Uuid>,
    /// From when on it is not installed any more.
    pub expires: Option<Time>,
    /// Charge of the battery at least, in percent.
    pub battery: Option<Percent>,
    /// Whether the user, or who decides in the user's stead, must authorize it.
    pub authorized: bool,
    /// How important it is, where that is asked; lower is more so.
    pub priority: u32,
    /// Versions of components that are installed.
    pub component: BTreeMap<ComponentName, VersionRange>,
}

impl Requires {
    /// What the way back from an update still asks: what the device is, not how it is just then.
    #[must_use]
    pub fn of_the_device(&self) -> Self {
        Self { hardware: self.hardware.clone(), device_id: self.device_id, ..Self::default() }
    }
}

/// Zero to one hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct Percent(pub u8);

impl TryFrom<u8> for Percent {
    type Error = String;

    fn try_from(percent: u8) -> Result<Self, String> {
        if percent > 100 {
            Err("a charge is 0 to 100 percent".to_owned())
        } else {
            Ok(Self(percent))
        }
    }
}

/// A comparison and a version, as in `>= 1.4.0`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VersionRange {
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub version: Version,
}

impl TryFrom<String> for VersionRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The longer signs first: `>=` begins with `>`.
        let signs = [
            (">=", Comparison::AtLeast),
            ("<=", Comparison::AtMost),
            (">", Comparison::Greater),
            ("<", Comparison::Less),
            ("=", Comparison::Equal),
        ];
        let found = signs.into_iter().find_map(|(sign, comparison)| {
            text.trim().strip_prefix(sign).map(|rest| (comparison, rest.trim()))
        });
        let (comparison, rest) =
            found.ok_or("say how the version is compared, as in \">= 1.4.0\"")?;
        Ok(Self { comparison, version: Version::new(rest)? })
    }
}

/// Seconds since 1970 (UTC), written as a date and time with offset, or as that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = match toml::Value::deserialize(deserializer)? {
            toml::Value::Integer(seconds) => u64::try_from(seconds).ok(),
            toml::Value::Datetime(at) => seconds_of(&at),
            toml::Value::String(text) => text.parse().ok().and_then(|at| seconds_of(&at)),
            _ => None,
        };
        let what = "a moment is a date and time with offset, as in 2027-01-31T12:00:00Z, not \
                    before 1970";
        seconds.map(Self).ok_or_else(|| D::Error::custom(what))
    }
}

/// Seconds since 1970 of a date and time that says its offset.
fn seconds_of(at: &toml::value::Datetime) -> Option<u64> {
    let (date, time) = (at.date?, at.time?);
    let offset = match at.offset? {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes),
    };
    let days = days_of(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let minutes = (days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute) - offset;
    u64::try_from(minutes * 60 + i64::from(time.second.unwrap_or(0))).ok()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March, so that the day
/// that comes and goes is their last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        requires: Requires,
    }

    fn read(text: &str) -> Result<Requires, String> {
        toml::from_str(&format!("[requires]\n{text}"))
            .map(|file: File| file.requires)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn moments_are_seconds_since_1970() {
        // Compared with `date -u -d ... +%s`.
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2026-11-21T23:00:00+01:00", 1_795_298_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            for form in [text.to_owned(), format!("\"{text}\""), seconds.to_string()] {
                let read = read(&format!("expires = {form}")).unwrap();
                assert_eq!(read.expires, Some(Time(seconds)), "{form}");
            }
        }
        for text in ["1969-12-31T23:59:59Z", "2026-11-21", "\"tomorrow\"", "-1", "true"] {
            assert!(read(&format!("expires = {text}")).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_say_how_they_compare() {
        let requires = read(
            "hardware = [\"2\", \"3.1\"]\nbattery = 30\nauthorized = true\n\
             [requires.component]\nmodem = \">= 1.4.0\"\nboot = \"<2\"",
        )
        .unwrap();
        assert_eq!(requires.hardware.len(), 2);
        let ranges: Vec<_> = requires.component.values().map(|range| range.comparison).collect();
        assert_eq!(ranges, [Comparison::Less, Comparison::AtLeast]);
        for wrong in ["battery = 101", "[requires.component]\nmodem = \"1.4\"", "colour = 1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
