//! Which language a device shows: that of the device, else the country of the SIM's network, else
//! the country of the telephone number, else the default (RFC 4647 lookup at every step).

use std::fmt;

use super::country::{self, Country};
use super::tag::Tag;

/// What is known about the user's language; every part may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// Language of the device's user interface: a BCP 47 tag, or a POSIX locale as in
    /// `de_AT.UTF-8`.
    pub device_language: Option<&'a str>,
    /// PLMN of the SIM: three digits of MCC, then two or three of MNC.
    pub plmn: Option<&'a str>,
    /// Telephone number in international format, with or without `+` or `00`.
    pub msisdn: Option<&'a str>,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The device's language.
    DeviceLanguage,
    /// The country of the network, by its mobile country code.
    Plmn {
        /// The mobile country code.
        mcc: u16,
        /// ISO 3166-1 code of the country.
        country: &'static str,
    },
    /// The country of the telephone number.
    Msisdn {
        /// The prefix that matched.
        code: &'static str,
        /// ISO 3166-1 code of the country.
        country: &'static str,
    },
    /// Nothing matched: the default language.
    Default,
    /// The default language is not there either: the first of those available.
    First,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::DeviceLanguage => write!(f, "device language"),
            Reason::Plmn { mcc, country } => write!(f, "network country {mcc} ({country})"),
            Reason::Msisdn { code, country } => write!(f, "number prefix +{code} ({country})"),
            Reason::Default => write!(f, "default language"),
            Reason::First => write!(f, "first language available"),
        }
    }
}

/// The language chosen among those available, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The language.
    pub tag: &'a Tag,
    /// What decided.
    pub reason: Reason,
}

/// Chooses among `available`; `None` only if there is nothing to choose from.
///
/// A hint that is malformed, or whose languages are not available, is passed over: choosing a
/// language is a courtesy and never fails an update.
#[must_use]
pub fn choose<'a>(
    available: impl Iterator<Item = &'a Tag> + Clone,
    default: &Tag,
    hints: Hints<'_>,
) -> Option<Choice<'a>> {
    let by_device = || {
        let tag = locale_tag(hints.device_language?)?.lookup(available.clone())?;
        Some(Choice { tag, reason: Reason::DeviceLanguage })
    };
    let by_plmn = || {
        let mcc = mcc_of(hints.plmn?)?;
        let country = country::by_mcc(mcc)?;
        let tag = spoken_in(country, available.clone())?;
        Some(Choice { tag, reason: Reason::Plmn { mcc, country: country.iso } })
    };
    let by_msisdn = || {
        let digits = digits_of(hints.msisdn?)?;
        let (country, code) = country::by_number(&digits)?;
        let tag = spoken_in(country, available.clone())?;
        Some(Choice { tag, reason: Reason::Msisdn { code, country: country.iso } })
    };
    let by_default =
        || Some(Choice { tag: default.lookup(available.clone())?, reason: Reason::Default });
    let first = || Some(Choice { tag: available.clone().next()?, reason: Reason::First });
    by_device().or_else(by_plmn).or_else(by_msisdn).or_else(by_default).or_else(first)
}

fn spoken_in<'a>(
    country: &Country,
    available: impl Iterator<Item = &'a Tag> + Clone,
) -> Option<&'a Tag> {
    country.languages.iter().find_map(|language| {
        let tag = Tag::new(&format!("{language}-{}", country.iso)).ok()?;
        tag.lookup(available.clone())
    })
}

/// `de_AT.UTF-8@euro` is `de-AT`; `C` and `POSIX` are no language.
fn locale_tag(text: &str) -> Option<Tag> {
    let text = text.split(['.', '@']).next()?.trim();
    let tag = Tag::new(&text.replace('_', "-")).ok()?;
    if tag.as_str() == "posix" { None } else { Some(tag) }
}

fn mcc_of(plmn: &str) -> Option<u16> {
    let digits = plmn.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !matches!(plmn.len(), 5 | 6) {
        return None;
    }
    plmn.get(..3)?.parse().ok()
}

/// Digits after `+` or `00`; blanks, hyphens, dots and brackets are for people.
fn digits_of(msisdn: &str) -> Option<String> {
    let compact: String =
        msisdn.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '/' | '(' | ')')).collect();
    let digits = compact.strip_prefix('+').or(compact.strip_prefix("00")).unwrap_or(&compact);
    // E.164 allows 15 digits.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && matches!(digits.len(), 5..=15)).then(|| digits.to_owned())
}
