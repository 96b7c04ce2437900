//! What people say about a release: version, vendor, device, links, notes and prompts in several
//! languages, read from one `release.toml` (docs/release-file.md).
//!
//! Stands between `codec` and `package` because both package (vendor and class id, version, text,
//! prompts) and descriptor (names, links, prompts) are filled from it; it knows neither. Pure:
//! the caller loads the files it names.

pub mod country;
pub mod display;
mod file;
pub mod language;
pub mod notes;
pub mod plain;
pub mod prompts;
pub mod requires;
pub mod tag;
pub mod text;
mod values;

use std::collections::BTreeMap;

use serde::Deserialize;
use uuid::Uuid;

use crate::core::hash::Sha256Digest;
use crate::error::Result;
pub use display::Display;
pub use notes::{LanguageNotes, Notes};
pub use prompts::{Moment, PromptSet, Prompts, parse_prompts};
pub use requires::Requires;
pub use tag::Tag;
pub use text::{parse_sbom, parse_text};
pub use values::{ComponentName, Domain, NAME_CHARS_MAX, Name, URI_CHARS_MAX, Uri, Version};

/// UUID of a vendor: version 5 of its domain in the DNS name space (RFC 9562).
#[must_use]
pub fn vendor_id(domain: &str) -> [u8; 16] {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, domain.as_bytes()).into_bytes()
}

/// UUID of a device class: version 5 of its name in the name space of the vendor.
#[must_use]
pub fn class_id(vendor_id: [u8; 16], class: &str) -> [u8; 16] {
    Uuid::new_v5(&Uuid::from_bytes(vendor_id), class.as_bytes()).into_bytes()
}

/// Who makes the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vendor {
    /// Domain the vendor id is derived from; `example.invalid` when not given.
    pub domain: Domain,
    /// Name for people; the domain when not given.
    pub name: Option<Name>,
    /// Home page.
    pub homepage: Option<Uri>,
    /// Picture.
    pub logo: Option<Uri>,
    /// Where users get help.
    pub support: Option<Uri>,
}

impl Vendor {
    /// Name for people.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        self.name.as_ref().map_or(self.domain.as_str(), Name::as_str)
    }

    /// SUIT vendor id: UUIDv5 of the domain in the DNS namespace.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        vendor_id(self.domain.as_str())
    }
}

/// Which device the release is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    /// Class the class id is derived from: devices that run the same image.
    pub class: Name,
    /// Model for people; the class when not given.
    pub model: Option<Name>,
    /// More about the model.
    pub info: Option<Name>,
}

impl Default for Device {
    fn default() -> Self {
        Self { class: values::known_name("device"), model: None, info: None }
    }
}

impl Device {
    /// Model for people.
    #[must_use]
    pub fn shown_model(&self) -> &str {
        self.model.as_ref().unwrap_or(&self.class).as_str()
    }
}

/// Addresses for descriptors and the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Where the manifest itself can be had (SUIT reference URI).
    pub reference_uri: Option<Uri>,
    /// Where the device reports the outcome of a download.
    pub install_notify_uri: Option<Uri>,
    /// Where the device goes next, such as the next descriptor.
    pub next_url: Option<Uri>,
    /// More information for the user.
    pub info_url: Option<Uri>,
    /// Picture for the user.
    pub icon_url: Option<Uri>,
}

/// What is said about one component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Component {
    /// What it is.
    pub description: Option<Name>,
    /// Its version; that of the release when not given.
    pub version: Option<Name>,
}

/// One release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Version.
    pub version: Version,
    /// Sequence number, if the file sets it.
    pub sequence: Option<u64>,
    /// Who makes the device.
    pub vendor: Vendor,
    /// Which device it is for.
    pub device: Device,
    /// What it asks of the device.
    pub requires: Requires,
    /// Addresses.
    pub links: Links,
    /// Parameter handed to the installer by download agents (OMA `installParam`).
    pub install_param: Option<Name>,
    /// Components by name.
    pub components: BTreeMap<ComponentName, Component>,
    /// Displays that every prompt fits on, by name.
    pub displays: BTreeMap<ComponentName, Display>,
    /// Texts in all languages.
    pub notes: Notes,
}

impl Default for Release {
    /// Version 0.0.0 of an unnamed device by `example.invalid`, with English prompts.
    fn default() -> Self {
        Self {
            version: Version::default(),
            sequence: None,
            vendor: Vendor::default(),
            device: Device::default(),
            requires: Requires::default(),
            links: Links::default(),
            install_param: None,
            components: BTreeMap::new(),
            displays: BTreeMap::new(),
            notes: Notes::new(Tag::known("en"), BTreeMap::new()),
        }
    }
}

impl Release {
    /// Reads a release file. `subject` names it in errors; `load` gives the text of a notes file
    /// by the name written in the release file.
    ///
    /// # Errors
    /// Input errors naming file, line, reason and remedy; `StringTooLong` when the prompts are too
    /// long in sum; whatever `load` returns.
    pub fn parse(
        toml_text: &str,
        subject: &str,
        load: &mut dyn FnMut(&str) -> Result<String>,
    ) -> Result<Self> {
        file::parse(toml_text, subject, load)
    }

    /// Whether an operator's prompts fit on every display of this release, as its own do; a prompt
    /// that an operator leaves out is not shown on its network.
    ///
    /// # Errors
    /// An input error that names `subject`, the prompt, its language and the display.
    pub fn check_prompts(&self, prompts: &Prompts, subject: &str) -> Result<()> {
        for language in prompts.languages() {
            for moment in Moment::ALL {
                if let Some(prompt) = prompts.get(language, moment) {
                    file::fits_everywhere(self, (language, moment), prompt, subject)?;
                }
            }
        }
        Ok(())
    }

    /// SUIT vendor id.
    #[must_use]
    pub fn vendor_id(&self) -> [u8; 16] {
        self.vendor.id()
    }

    /// SUIT class id: UUIDv5 of the class name in the namespace of the vendor id.
    #[must_use]
    pub fn class_id(&self) -> [u8; 16] {
        class_id(self.vendor_id(), self.device.class.as_str())
    }

    /// Name of the release in `language`: as written, otherwise model and version.
    #[must_use]
    pub fn name(&self, language: &Tag) -> String {
        match self.notes.find(language, |notes| notes.name.as_ref()) {
            Some(name) => name.as_str().to_owned(),
            None => format!("{} {}", self.device.shown_model(), self.version),
        }
    }

    /// Description in `language`: as written, otherwise an English sentence.
    #[must_use]
    pub fn description(&self, language: &Tag) -> String {
        match self.notes.find(language, |notes| notes.description.as_ref()) {
            Some(description) => description.as_str().to_owned(),
            None => format!("Firmware update to version {}.", self.version),
        }
    }

    /// All four prompts in every language, fallbacks filled in.
    ///
    /// # Errors
    /// `StringTooLong` when they are too long in sum; [`Release::parse`] refuses such files.
    pub fn prompts(&self) -> Result<Prompts> {
        self.notes.prompts()
    }

    /// The prompts payload of the package.
    ///
    /// # Errors
    /// As [`Release::prompts`].
    pub fn prompts_cbor(&self) -> Result<Vec<u8>> {
        Ok(self.prompts()?.to_cbor())
    }

    /// The SUIT text map of the package, for `component_names`.
    ///
    /// # Errors
    /// `StringTooLong` above [`text::TEXT_LEN_MAX`] bytes.
    pub fn text_cbor(&self, component_names: &[&str]) -> Result<Vec<u8>> {
        text::encode(self, component_names, None)
    }

    /// The same with the digest of a bill of materials, if there is one.
    ///
    /// # Errors
    /// As [`Release::text_cbor`].
    pub fn text_with_sbom(
        &self,
        component_names: &[&str],
        sbom: Option<&Sha256Digest>,
    ) -> Result<Vec<u8>> {
        text::encode(self, component_names, sbom)
    }
}
