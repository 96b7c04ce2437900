//! What a package says, for people and programs; nothing here decides anything.

use serde::Serialize;

use crate::cbor::encode;
use crate::core::format::auth::{Authentication, Block, Claim, Mode, emit_signed};
use crate::core::format::cbor::Reader;
use crate::core::format::delta::DeltaHeader;
use crate::core::format::encryption::{ContentAlgorithm, EncryptionInfo, Recipient};
use crate::core::format::key::{Algorithm, PublicKey};
use crate::core::format::manifest::{Blob, Component, Manifest};
use crate::core::format::plmn::Plmn;
use crate::core::format::trust::Trust;
use crate::core::hash::sha256;
use crate::core::verify::Crypto as _;
use crate::error::Result;
use crate::hex::hex;
use crate::package::assemble::{Parts, manifest_digest};
use crate::package::keys::ALGORITHMS;
use crate::release::text::LanguageText;
use crate::release::{Prompts, parse_prompts, parse_sbom, parse_text};

/// A package, described.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Bytes of the whole package.
    pub len: u64,
    /// Bytes without integrated payloads.
    pub envelope_len: u64,
    /// The sequence number.
    pub sequence: u64,
    /// UUID of the vendor.
    pub vendor_id: String,
    /// UUID of the device class.
    pub class_id: String,
    /// Where the package can be found.
    pub reference_uri: Option<String>,
    /// Digest the blocks sign.
    pub manifest_digest: String,
    /// Whether that is the manifest's digest.
    pub manifest_intact: bool,
    /// Which operators must approve: null for none, empty for any.
    pub required_operators: Option<Vec<String>>,
    /// What it asks of the device besides vendor and class.
    pub requires: RequiresDescription,
    /// Signatures and approvals.
    pub blocks: Vec<BlockDescription>,
    /// The components.
    pub components: Vec<ComponentDescription>,
    /// Version, as the text says.
    pub version: Option<String>,
    /// Languages of the text.
    pub text_languages: Vec<String>,
    /// Languages of the vendor's prompts.
    pub prompt_languages: Vec<String>,
    /// SHA-256 of the bill of materials, as the text says.
    pub sbom_sha256: Option<String>,
}

/// What a package asks of the device.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequiresDescription {
    /// Revisions of the hardware, as numbers; empty for any.
    pub hardware: Vec<Vec<i64>>,
    /// The only device it is for.
    pub device_id: Option<String>,
    /// Seconds since 1970 from which on it has expired.
    pub expires: Option<u64>,
    /// Charge of the battery at least, in percent.
    pub battery: Option<u8>,
    /// Importance, where an authorization is asked for.
    pub priority: Option<u64>,
    /// Other components, how their version is compared (SUIT's number), and with what.
    pub components: Vec<(String, u8, Vec<i64>)>,
}

/// One signature or approval.
#[derive(Clone, Debug, Serialize)]
pub struct BlockDescription {
    /// `vendor` or `operator`.
    pub role: &'static str,
    /// How it is signed, by its name in the COSE registry.
    pub algorithm: &'static str,
    /// Key id; none in mode secret.
    pub kid: Option<String>,
    /// The operator.
    pub plmn: Option<String>,
    /// How it approves.
    pub mode: Option<&'static str>,
    /// Whether a validation string is in it; the string is never shown.
    pub has_string: bool,
    /// Whether the operator has prompts of its own.
    pub has_prompts: bool,
    /// Bytes.
    pub len: u64,
}

/// One component.
#[derive(Clone, Debug, Serialize)]
pub struct ComponentDescription {
    /// Its name.
    pub name: String,
    /// The old image; none for a full image.
    pub old: Option<BlobDescription>,
    /// The new image.
    pub new: BlobDescription,
    /// The delta payload.
    pub payload: BlobDescription,
    /// Where the payload is, if detached.
    pub detached: Option<String>,
    /// How the payload is coded.
    pub coder: &'static str,
    /// Bytes of working memory the device needs.
    pub workspace_len: u64,
    /// Bytes of payload per authenticated chunk.
    pub chunk_len: Option<u32>,
    /// Whether it is applied over the old image.
    pub in_place: bool,
    /// For whom the payload is encrypted, if it is.
    pub encryption: Option<EncryptionDescription>,
    /// Digest of the manifest that it leads back from.
    pub undoes: Option<String>,
}

/// How and for whom a payload is encrypted.
#[derive(Clone, Debug, Serialize)]
pub struct EncryptionDescription {
    /// The cipher.
    pub cipher: &'static str,
    /// Key ids, of recipients and of groups.
    pub recipients: Vec<RecipientDescription>,
}

/// Who can unwrap the content key.
#[derive(Clone, Debug, Serialize)]
pub struct RecipientDescription {
    /// How it is wrapped.
    pub algorithm: &'static str,
    /// The id of the key that unwraps it.
    pub kid: String,
}

/// Size and digest.
#[derive(Clone, Debug, Serialize)]
pub struct BlobDescription {
    /// Bytes.
    pub len: u64,
    /// SHA-256.
    pub sha256: String,
}

impl From<Blob> for BlobDescription {
    fn from(blob: Blob) -> Self {
        Self { len: blob.len, sha256: hex(&blob.digest) }
    }
}

/// Describes a package; shapes are checked, signatures are not.
///
/// # Errors
/// As docs/format.md, for malformed packages.
pub fn describe(package: &[u8]) -> Result<Description> {
    let parts = Parts::read(package)?;
    let manifest = Manifest::parse(&parts.manifest, 0)?;
    let auth = parts.authentication()?;
    let text = parts.text.map(parse_text).transpose()?.unwrap_or_default();
    let prompts = parts.payload("#p").map(parse_prompts).transpose()?;
    let summary = &manifest.summary;
    let integrated: usize = parts.payloads.iter().map(|(_, payload)| payload.len()).sum();
    let mut components = Vec::new();
    for index in 0..manifest.component_count() {
        components.push(component(&parts, index, &manifest.component(index)?)?);
    }
    Ok(Description {
        len: package.len() as u64,
        envelope_len: (package.len() - integrated) as u64,
        sequence: summary.sequence,
        vendor_id: uuid(summary.vendor_id),
        class_id: uuid(summary.class_id),
        reference_uri: summary.reference_uri.map(str::to_owned),
        manifest_digest: hex(&parts.digest),
        manifest_intact: manifest_digest(&parts.manifest) == parts.digest,
        required_operators: auth.as_ref().and_then(required),
        requires: requires(&manifest),
        blocks: auth.as_ref().map(blocks).unwrap_or_default(),
        components,
        version: version(text.values()),
        text_languages: text.keys().cloned().collect(),
        prompt_languages: prompts
            .iter()
            .flat_map(Prompts::languages)
            .map(ToString::to_string)
            .collect(),
        sbom_sha256: parts.text.map(parse_sbom).transpose()?.flatten(),
    })
}

fn requires(manifest: &Manifest<'_>) -> RequiresDescription {
    let demands = &manifest.demands;
    let components = manifest.dependencies().map(|(name, wanted)| {
        (name.to_owned(), wanted.comparison as u8, wanted.version.numbers().collect())
    });
    RequiresDescription {
        hardware: demands.hardware().map(|it| it.version.numbers().collect()).collect(),
        device_id: demands.device_id.map(|id| uuid(*id)),
        expires: demands.expires,
        battery: demands.battery,
        priority: demands.priority,
        components: components.collect(),
    }
}

fn uuid(bytes: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(bytes).to_string()
}

fn version<'t>(mut texts: impl Iterator<Item = &'t LanguageText>) -> Option<String> {
    texts.find_map(|text| text.components.values().find_map(|part| part.version.clone()))
}

fn required(auth: &Authentication<'_>) -> Option<Vec<String>> {
    let requirement = auth.blocks().find_map(|block| match block.claim {
        Claim::Vendor { requirement, .. } => Some(requirement),
        Claim::Approval { .. } => None,
    })?;
    let list = || requirement.operators().map(|plmn| plmn.to_string()).collect();
    requirement.is_required().then(list)
}

fn blocks(auth: &Authentication<'_>) -> Vec<BlockDescription> {
    let describe = |block: Block<'_>| {
        let claim = &block.claim;
        let (mode, string, prompts) = match claim {
            Claim::Vendor { .. } => (None, None, None),
            Claim::Approval { mode, string, prompts, .. } => (Some(*mode), *string, *prompts),
        };
        BlockDescription {
            role: if mode.is_some() { "operator" } else { "vendor" },
            kid: claim.kid().map(|kid| hex(kid)),
            plmn: claim.plmn().map(|plmn| plmn.to_string()),
            mode: mode.map(mode_name),
            has_string: string.is_some(),
            has_prompts: prompts.is_some(),
            algorithm: block.algorithm.map_or("HMAC 256", Algorithm::name),
            len: block.len() as u64,
        }
    };
    auth.blocks().map(describe).collect()
}

/// The name of a mode on the command line and in reports.
#[must_use]
pub const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::String => "string",
        Mode::Secret => "secret",
        Mode::Signed => "signed",
    }
}

/// The operator's own prompts in a package, if a key that the anchor trusts for that operator
/// signed their digest, together with that of the manifest; anyone can add others.
///
/// # Errors
/// When the package is malformed.
pub fn signed_prompts<'p>(
    parts: &Parts<'p>,
    trust: &Trust<'_>,
    plmn: Plmn,
) -> Result<Option<&'p [u8]>> {
    let prompts = parts.payload(&format!("#q{plmn}"));
    let (Some(prompts), Some(entry)) = (prompts, trust.operator(plmn)) else { return Ok(None) };
    let auth = Authentication::parse(&parts.wrapper, 0)?;
    let is_signed = |block: &Block<'_>| {
        let Claim::Approval { kid: Some(kid), plmn: by, mode, prompts: Some(digest), .. } =
            block.claim
        else {
            return false;
        };
        let key = entry.keys_for(mode).find(kid).filter(|_| by == plmn);
        let message = encode(|w| emit_signed(w, false, block.protected, auth.payload));
        let is_by = |key: PublicKey<'_>| {
            block.algorithm == Some(key.algorithm())
                && ALGORITHMS.verify(key, &message, block.proof) == Some(true)
        };
        *digest == sha256(prompts) && key.is_some_and(is_by)
    };
    let intact = manifest_digest(&parts.manifest) == parts.digest;
    Ok(Some(prompts).filter(|_| intact && auth.blocks().any(|block| is_signed(&block))))
}

fn component(
    parts: &Parts<'_>,
    index: u8,
    component: &Component<'_>,
) -> Result<ComponentDescription> {
    let header = parts.payload(&format!("#h{index}"));
    let header = DeltaHeader::parse(header.ok_or(crate::core::Detail::MissingPayload)?)?;
    Ok(ComponentDescription {
        name: component.name.to_owned(),
        old: component.old.map(Into::into),
        new: component.new.into(),
        payload: component.delta.into(),
        detached: component.detached.map(str::to_owned),
        coder: header.coder.name(),
        workspace_len: header.workspace_len,
        chunk_len: header.chain.map(|chain| chain.chunk_len),
        in_place: header.in_place.is_some(),
        encryption: component.encryption.map(encryption).transpose()?,
        undoes: header.undoes.map(|digest| hex(&digest)),
    })
}

fn encryption(info: &[u8]) -> Result<EncryptionDescription> {
    let info = EncryptionInfo::parse(Reader::new(info))?;
    let recipients = info.recipients().map(|recipient| RecipientDescription {
        algorithm: match recipient {
            Recipient::EcdhEs { .. } => "ECDH-ES+A128KW",
            Recipient::Group { .. } => "A128KW",
        },
        kid: hex(recipient.kid()),
    });
    Ok(EncryptionDescription {
        cipher: match info.algorithm {
            ContentAlgorithm::A128Gcm => "A128GCM",
            ContentAlgorithm::ChaCha20Poly1305 => "ChaCha20/Poly1305",
        },
        recipients: recipients.collect(),
    })
}
