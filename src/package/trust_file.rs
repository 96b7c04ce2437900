//! `trust.toml`, what people write, compiled into the trust anchor devices read
//! (docs/trust-file.md).

use serde::Deserialize;

use crate::cbor::encode;
use crate::core::format::auth::Mode;
use crate::core::format::key::Key;
use crate::core::format::plmn::Plmn;
use crate::core::format::trust::{self, MODE_NONE_BIT, OperatorFacts, Policy, Trust};
use crate::error::{Error, Result, in_line};
use crate::hex::hex;
use crate::package::keys::PublicKey;
use crate::release::{class_id, vendor_id};

/// Reads a public key file named in a trust file.
pub type LoadKey<'l> = dyn FnMut(&str) -> Result<PublicKey> + 'l;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    /// Key ids that must not come back.
    #[serde(default)]
    revoked: Vec<String>,
    vendor: Vendor,
    #[serde(default)]
    operator: Vec<OperatorEntry>,
    #[serde(default)]
    device: DeviceEntry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vendor {
    #[serde(default = "one")]
    threshold: u8,
    keys: Vec<VendorKey>,
}

/// A key file, or one with the ML-DSA-44 key that must sign beside it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum VendorKey {
    One(String),
    Hybrid(Hybrid),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hybrid {
    key: String,
    hybrid: String,
}

fn one() -> u8 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorEntry {
    plmn: String,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default = "signed")]
    modes: Vec<ModeName>,
    #[serde(default)]
    string: StringRule,
    #[serde(default)]
    attach_keys: Vec<String>,
    /// No string of mode secret is used in clear.
    #[serde(default)]
    strings_differ: bool,
}

impl OperatorEntry {
    /// A string that is in clear in one package is the key of mode secret for every other one.
    fn refuse_key_given_away(&self, subject: &str) -> Result<()> {
        let accepts = |wanted: ModeName| self.modes.iter().any(|mode| mode.bit() == wanted.bit());
        let is_clear = accepts(ModeName::String)
            || accepts(ModeName::Signed) && self.string == StringRule::Required;
        if !accepts(ModeName::Secret) || !is_clear || self.strings_differ {
            return Ok(());
        }
        let what = format!(
            "operator {}: mode secret beside strings in clear: who has read the string in one \
             package can approve any other; accept secret alone, or not at all, or say \
             strings_differ = true if no SIM's string is used in both ways",
            self.plmn
        );
        Err(Error::input(subject, what))
    }
}

fn signed() -> Vec<ModeName> {
    vec![ModeName::Signed]
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModeName {
    String,
    Secret,
    Signed,
    None,
}

impl ModeName {
    fn bit(self) -> u8 {
        match self {
            ModeName::String => Mode::String.bit(),
            ModeName::Secret => Mode::Secret.bit(),
            ModeName::Signed => Mode::Signed.bit(),
            ModeName::None => MODE_NONE_BIT,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum StringRule {
    #[default]
    Optional,
    Required,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Refuse,
    Apply,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceEntry {
    vendor_id: Option<uuid::Uuid>,
    vendor_domain: Option<String>,
    class_id: Option<uuid::Uuid>,
    class: Option<String>,
    unapproved: Option<Choice>,
    no_sim: Option<Choice>,
    allow_bit: Option<u8>,
    jump_max: Option<u64>,
}

/// How people say who makes a device and of which class it is: by id or by name.
pub(crate) struct Identity<'a> {
    pub(crate) vendor_id: Option<uuid::Uuid>,
    pub(crate) vendor_domain: Option<&'a str>,
    pub(crate) class_id: Option<uuid::Uuid>,
    pub(crate) class: Option<&'a str>,
}

/// A vendor or class id, if it is checked.
type Id = Option<[u8; 16]>;

impl Identity<'_> {
    /// The ids of vendor and class, or what is wrong.
    pub(crate) fn ids(&self) -> Result<(Id, Id), &'static str> {
        let vendor = match (self.vendor_id, self.vendor_domain) {
            (Some(_), Some(_)) => return Err("give vendor_id or vendor_domain, not both"),
            (id, domain) => id.map(uuid::Uuid::into_bytes).or(domain.map(vendor_id)),
        };
        let class = match (self.class_id, self.class, vendor) {
            (Some(_), Some(_), _) => return Err("give class_id or class, not both"),
            (None, Some(_), None) => return Err("class needs vendor_id or vendor_domain"),
            (id, name, vendor) => {
                let named = name.zip(vendor).map(|(name, vendor)| class_id(vendor, name));
                id.map(uuid::Uuid::into_bytes).or(named)
            }
        };
        Ok((vendor, class))
    }
}

impl DeviceEntry {
    fn policy(&self, subject: &str) -> Result<Policy> {
        let wrong = |what: &str| Error::input(subject, format!("[device]: {what}"));
        let identity = Identity {
            vendor_id: self.vendor_id,
            vendor_domain: self.vendor_domain.as_deref(),
            class_id: self.class_id,
            class: self.class.as_deref(),
        };
        let (vendor, class) = identity.ids().map_err(wrong)?;
        let default = Policy::default();
        let applies = |choice: Option<Choice>, default| {
            choice.map_or(default, |choice| choice == Choice::Apply)
        };
        let allow_bit = self.allow_bit.unwrap_or(default.allow_bit);
        if allow_bit > 7 {
            return Err(wrong("allow_bit is 0 to 7"));
        }
        Ok(Policy {
            vendor_id: vendor,
            class_id: class,
            apply_unapproved: applies(self.unapproved, default.apply_unapproved),
            apply_without_sim: applies(self.no_sim, default.apply_without_sim),
            allow_bit,
            jump_max: self.jump_max.unwrap_or(default.jump_max),
        })
    }
}

/// Compiles the text of a trust file; `subject` names it, `load` reads the key files it names.
///
/// # Errors
/// When the text is wrong, a key cannot be read, or the result breaks a rule of docs/format.md,
/// section 6.
pub fn compile(text: &str, subject: &str, load: &mut LoadKey<'_>) -> Result<Vec<u8>> {
    let file: File = toml::from_str(text)
        .map_err(|error| Error::input(subject, in_line(text, error.span(), &error.message())))?;
    let mut trusted = |name: &str| {
        let key = load(name)?;
        refuse_revoked(&file.revoked, &key, name, subject).map(|()| key)
    };
    let vendor_keys = vendor_keys(&file.vendor.keys, &mut trusted)?;
    let mut keys = |names: &[String]| -> Result<Vec<PublicKey>> {
        names.iter().map(|name| trusted(name)).collect()
    };
    let mut entries = Vec::new();
    for entry in &file.operator {
        let plmn = Plmn::parse(&entry.plmn).map_err(|_| {
            let what = format!("operator plmn \"{}\" is not five or six digits", entry.plmn);
            Error::input(subject, what)
        })?;
        entry.refuse_key_given_away(subject)?;
        entries.push((plmn, keys(&entry.keys)?, keys(&entry.attach_keys)?, entry));
    }
    entries.sort_by_key(|entry| entry.0);
    let lists: Vec<_> = entries.iter().map(|(_, keys, more, _)| (raw(keys), raw(more))).collect();
    let operators: Vec<_> = entries
        .iter()
        .zip(&lists)
        .map(|((plmn, .., entry), (keys, attach_keys))| OperatorFacts {
            plmn: *plmn,
            keys,
            modes: entry.modes.iter().fold(0, |sum, mode| sum | mode.bit()),
            string_required: entry.string == StringRule::Required,
            attach_keys,
        })
        .collect();
    let policy = file.device.policy(subject)?;
    let vendor_keys: Vec<_> = vendor_keys
        .iter()
        .map(|(key, companion)| Key {
            key: key.raw(),
            companion: companion.as_ref().map(PublicKey::raw),
        })
        .collect();
    let vendor = (file.vendor.threshold, vendor_keys.as_slice());
    let bytes = encode(|w| trust::emit(w, file.version, vendor, &operators, &policy));
    Trust::parse(&bytes).map_err(|error| explain(error.detail, error, subject))?;
    Ok(bytes)
}

/// The vendor's keys with their companions.
fn vendor_keys(
    keys: &[VendorKey],
    load: &mut LoadKey<'_>,
) -> Result<Vec<(PublicKey, Option<PublicKey>)>> {
    let mut pair = |key: &VendorKey| match key {
        VendorKey::One(name) => Ok((load(name)?, None)),
        VendorKey::Hybrid(Hybrid { key, hybrid }) => Ok((load(key)?, Some(load(hybrid)?))),
    };
    keys.iter().map(&mut pair).collect()
}

fn raw(keys: &[PublicKey]) -> Vec<Key<'_>> {
    keys.iter().map(|key| key.raw().into()).collect()
}

fn refuse_revoked(revoked: &[String], key: &PublicKey, name: &str, subject: &str) -> Result<()> {
    let kid = hex(&key.kid());
    if revoked.iter().any(|revoked| revoked.eq_ignore_ascii_case(&kid)) {
        let what = format!("key {name} ({kid}) is revoked; take it out of the lists");
        return Err(Error::input(subject, what));
    }
    Ok(())
}

fn explain(detail: crate::core::Detail, error: crate::core::Error, subject: &str) -> Error {
    use crate::core::Detail;
    let remedy = match detail {
        Detail::DuplicateBlock => {
            "a key is listed twice; every role needs keys of its own, only operators may share one"
        }
        Detail::NotCanonical => "an operator is listed twice; merge its entries",
        Detail::BadValue => "threshold must be 1 to the number of vendor keys, modes not empty",
        Detail::MissingField => {
            "the vendor, and operators that sign or attach strings, need a key each"
        }
        Detail::UnknownAlgorithm => {
            "an ML-DSA-44 key stands beside a vendor's: { key = \"a.pub\", hybrid = \"b.pub\" }"
        }
        Detail::EnvelopeTooLarge => "at most 16 KiB in all; an ML-DSA-44 key takes 1,318 bytes",
        Detail::TooManyKeys => "at most 16 keys a role and 32 operators",
        _ => return Error::from(error).about(subject),
    };
    Error::from(error).about(subject).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::keys::SecretKey;

    const MINIMAL: &str = r#"
        version = 1
        [vendor]
        threshold = 1
        keys = ["vendor.pub"]
        [[operator]]
        plmn = "26201"
        keys = ["op.pub"]
    "#;

    fn load(name: &str) -> Result<PublicKey> {
        let seed = if name == "vendor.pub" { 1 } else { 2 };
        Ok(SecretKey::from_seed(&[seed; 32]).public())
    }

    #[test]
    fn the_minimal_file_has_the_documented_defaults() {
        let bytes = compile(MINIMAL, "trust.toml", &mut load).unwrap();
        let trust = Trust::parse(&bytes).unwrap();
        assert_eq!(trust.policy, Policy::default());
        let operator = trust.operator(Plmn::parse("26201").unwrap()).unwrap();
        assert_eq!((operator.modes, operator.string_required), (4, false));
    }

    #[test]
    fn errors_name_the_file_and_the_remedy() {
        for (from, to, what) in [
            ("26201", "2620", "five or six digits"),
            ("threshold = 1", "threshold = 2", "threshold"),
            ("op.pub", "vendor.pub", "keys of its own"),
            ("version = 1", "version = 1\nnonsense = 2", "nonsense"),
        ] {
            let text = MINIMAL.replace(from, to);
            let error = compile(&text, "trust.toml", &mut load).unwrap_err().to_string();
            assert!(error.starts_with("trust.toml") && error.contains(what), "{error}");
        }
    }
}
