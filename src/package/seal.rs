//! From parts to a signed package: manifest, vendor blocks, envelope (docs/format.md, section 3).

use crate::cbor::encode;
use crate::core::format::auth::{Claim, Requirement, emit_requirement};
use crate::core::format::cbor::Writer;
use crate::core::format::manifest::{
    self, Blob, Component, DemandFacts, DependencyFacts, Manifest, Summary,
};
use crate::core::format::plmn::Plmn;
use crate::core::hash::sha256;
use crate::core::{Detail, limits};
use crate::error::{Error, Result};
use crate::package::assemble::{Parts, manifest_digest, sign_block, signed_payload};
use crate::package::keys::SecretKey;
use crate::release::{Requires, Version};

/// One component, its delta made.
#[derive(Clone, Debug)]
pub struct DraftComponent {
    /// Its name.
    pub name: String,
    /// The old image, if the new one is not sent in full.
    pub old: Option<Blob>,
    /// The new image.
    pub new: Blob,
    /// The encoded delta header.
    pub header: Vec<u8>,
    /// The delta payload, chained.
    pub payload: Vec<u8>,
    /// Where the payload will be found, if not in the envelope.
    pub detached: Option<String>,
    /// For whom the payload is encrypted, if it is.
    pub encryption: Option<Vec<u8>>,
}

/// Everything that goes into a package.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The sequence number.
    pub sequence: u64,
    /// UUID of the vendor.
    pub vendor_id: [u8; 16],
    /// UUID of the device class.
    pub class_id: [u8; 16],
    /// Where the package will be found.
    pub reference_uri: Option<String>,
    /// SUIT text, encoded.
    pub text: Option<Vec<u8>>,
    /// Prompts, encoded.
    pub prompts: Option<Vec<u8>>,
    /// The components, in order.
    pub components: Vec<DraftComponent>,
    /// Which operators must approve: none, any of a list, or any for an empty list.
    pub requirement: Option<Vec<Plmn>>,
    /// What it asks of the device.
    pub requires: Requires,
}

/// Size and digest of `bytes`.
#[must_use]
pub fn blob(bytes: &[u8]) -> Blob {
    Blob { len: bytes.len() as u64, digest: sha256(bytes) }
}

/// Signs `draft` with every key and gives the package. Without keys it is one that every device
/// refuses (109) until somebody signs it, with [`super::sign`].
///
/// # Errors
/// When there is no component, a name or uri is bad, or there are too many of something.
pub fn seal(draft: &Draft, keys: &[SecretKey]) -> Result<Vec<u8>> {
    if keys.len() > limits::BLOCK_COUNT_MAX {
        return Err(Error::input("--key", "give at most eight vendor keys"));
    }
    let manifest = encode(|w| emit_manifest(w, draft));
    // The parser is the rule book: what it refuses is never signed.
    Manifest::parse(&manifest, 0)?;
    let digest = manifest_digest(&manifest);
    let payload = signed_payload(&digest);
    let requirement = encode(|w| emit_requirement(w, draft.requirement.as_deref()));
    let requirement = Requirement::from_encoded(&requirement)?;
    let blocks = keys.iter().map(|key| {
        let claim = Claim::Vendor { kid: &key.public().kid(), requirement };
        sign_block(&claim, &payload, key)
    });
    let parts = Parts {
        digest,
        wrapper: Vec::new(),
        blocks: blocks.collect::<Result<_>>()?,
        manifest,
        text: draft.text.as_deref(),
        payloads: payloads(draft),
    };
    let package = parts.write();
    if Parts::read(&package)?.blocks != parts.blocks {
        return Err(Detail::Bug.into());
    }
    Ok(package)
}

/// Emits the manifest of `draft`, which nobody has checked yet.
///
/// # Errors
/// As the sink.
pub fn emit_manifest(
    writer: &mut Writer<crate::cbor::VecSink>,
    draft: &Draft,
) -> crate::core::Result<()> {
    // The text digest is over the byte string with its head, like the manifest's.
    let text = draft.text.as_ref().map(|text| sha256(&encode(|w| w.bytes(text))));
    let summary = Summary {
        sequence: draft.sequence,
        vendor_id: draft.vendor_id,
        class_id: draft.class_id,
        reference_uri: draft.reference_uri.as_deref(),
        text,
        prompts: draft.prompts.as_deref().map(blob),
    };
    let components: Vec<_> = draft.components.iter().map(component).collect();
    let hardware: Vec<_> = draft.requires.hardware.iter().map(Version::numbers).collect();
    let dependencies: Vec<_> = dependencies(&draft.requires).collect();
    let demands = demands(&draft.requires, &hardware, &dependencies);
    manifest::emit(writer, &summary, &components, &demands)
}

fn demands<'r>(
    requires: &Requires,
    hardware: &'r [&'r [i64]],
    dependencies: &'r [DependencyFacts<'r>],
) -> DemandFacts<'r> {
    DemandFacts {
        device_id: requires.device_id.map(uuid::Uuid::into_bytes),
        expires: requires.expires.map(|time| time.0),
        battery: requires.battery.map(|percent| percent.0),
        priority: requires.authorized.then_some(requires.priority.into()),
        hardware,
        dependencies,
    }
}

fn dependencies(requires: &Requires) -> impl Iterator<Item = DependencyFacts<'_>> {
    requires.component.iter().map(|(name, range)| DependencyFacts {
        name: name.as_str(),
        comparison: range.comparison,
        version: range.version.numbers(),
    })
}

fn component(draft: &DraftComponent) -> Component<'_> {
    Component {
        name: &draft.name,
        old: draft.old,
        new: draft.new,
        header: blob(&draft.header),
        delta: blob(&draft.payload),
        detached: draft.detached.as_deref(),
        encryption: draft.encryption.as_deref(),
    }
}

fn payloads(draft: &Draft) -> Vec<(String, &[u8])> {
    let mut payloads = Vec::new();
    payloads.extend(draft.prompts.as_deref().map(|prompts| ("#p".to_owned(), prompts)));
    for (index, component) in draft.components.iter().enumerate() {
        payloads.push((format!("#h{index}"), component.header.as_slice()));
        if component.detached.is_none() {
            payloads.push((format!("#payload{index}"), component.payload.as_slice()));
        }
    }
    payloads
}
