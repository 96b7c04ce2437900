//! From images to a signed package: a delta per component, then [`seal`].

use crate::core::format::manifest::{base_name, is_name};
use crate::core::format::plmn::Plmn;
use crate::core::hash::Sha256Digest;
use crate::diff::{self, Delta, Options, default_chunk_len};
use crate::error::{Error, Result};
use crate::package::assemble::Parts;
use crate::package::encrypt::Encryption;
use crate::package::keys::SecretKey;
use crate::package::seal::{Draft, DraftComponent, seal};
use crate::progress::Progress;
use crate::release::Release;

/// Images of one component.
#[derive(Clone, Copy, Debug)]
pub struct Images<'i> {
    /// The component's name.
    pub name: &'i str,
    /// The old image; `None` sends the new one in full.
    pub old: Option<&'i [u8]>,
    /// The new image.
    pub new: &'i [u8],
}

/// How to build.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// How deltas are made.
    pub diff: Options,
    /// Bytes of payload per authenticated chunk; the profile's default if `None`.
    pub chunk_len: Option<u32>,
    /// The sequence number.
    pub sequence: u64,
    /// Which operators must approve: none, any of a list, or any for an empty list.
    pub requirement: Option<Vec<Plmn>>,
    /// Puts payloads beside the envelope, with file names of this stem and uris under this base.
    pub detached: Option<Detached>,
    /// Leaves the text out of the package, for devices that show nothing.
    pub without_text: bool,
    /// SHA-256 of the release's bill of materials, which the signed text then carries.
    pub sbom: Option<Sha256Digest>,
    /// For whom payloads are encrypted; nobody if `None`.
    pub encryption: Option<Encryption>,
}

/// Where detached payloads will be found.
#[derive(Clone, Debug)]
pub struct Detached {
    /// What file names begin with.
    pub stem: String,
    /// What uris begin with; empty for bare file names.
    pub base_uri: String,
}

/// A finished package.
#[derive(Clone, Debug)]
pub struct Built {
    /// The envelope.
    pub package: Vec<u8>,
    /// Detached payloads by file name.
    pub payloads: Vec<(String, Vec<u8>)>,
    /// What each component's delta is like.
    pub deltas: Vec<BuiltDelta>,
}

/// Builds the way back from `forward`, which was built of the same components and options: a
/// package of reverse deltas that devices accept as long as `forward` waits for its confirmation.
/// Its sequence number is one less, so that a confirmed device refuses it in any case; it has
/// neither text nor prompts, and its payloads are integrated.
///
/// # Errors
/// As [`build`]; for a component that is sent in full, and for sequence number 0.
pub fn build_rollback(
    components: &[Images<'_>],
    release: &Release,
    keys: &[SecretKey],
    options: &BuildOptions,
    forward: &Built,
    progress: &dyn Progress,
) -> Result<Built> {
    let sequence = options
        .sequence
        .checked_sub(1)
        .ok_or_else(|| Error::input("--sequence", "there is no way back from sequence number 0"))?;
    let options = BuildOptions {
        sequence,
        detached: None,
        without_text: true,
        sbom: None,
        ..options.clone()
    };
    let mut reversed = Vec::new();
    for Images { name, old, new } in components {
        let old = old.filter(|_| !new.is_empty()).ok_or_else(|| {
            Error::input(name, "there is no way back from an image that is sent in full")
        })?;
        reversed.push(Images { name, old: Some(new), new: old });
    }
    let undoes = Some(Parts::read(&forward.package)?.digest);
    let requires = release.requires.of_the_device();
    let draft = Draft { prompts: None, requires, ..draft(&reversed, release, &options)? };
    built(draft, &reversed, keys, &options, undoes, progress)
}

/// The delta of one component, for reports.
#[derive(Clone, Debug)]
pub struct BuiltDelta {
    /// The component's name.
    pub name: String,
    /// Its header.
    pub header: crate::core::format::delta::DeltaHeader,
    /// Bytes of header and payload before they were cut into a chain.
    pub delta_len: usize,
    /// Whether its payload is encrypted.
    pub is_encrypted: bool,
}

/// Builds a package of `components`.
///
/// Every delta in it has been applied by core's interpreter and compared with its new image.
///
/// # Errors
/// As [`diff::create`] and [`seal`]; for component names outside the format's rules.
pub fn build(
    components: &[Images<'_>],
    release: &Release,
    keys: &[SecretKey],
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<Built> {
    let draft = draft(components, release, options)?;
    built(draft, components, keys, options, None, progress)
}

fn built(
    mut draft: Draft,
    components: &[Images<'_>],
    keys: &[SecretKey],
    options: &BuildOptions,
    undoes: Option<Sha256Digest>,
    progress: &dyn Progress,
) -> Result<Built> {
    let (mut payloads, mut deltas) = (Vec::new(), Vec::new());
    for (index, images) in components.iter().enumerate() {
        if !is_name(images.name) {
            let what = "a component name is 1 to 32 of a-z A-Z 0-9 . _ -";
            return Err(Error::input(images.name, what));
        }
        let old = images.old.unwrap_or(&[]);
        let bound = diff::Options { is_bound: true, ..options.diff };
        let mut delta = diff::create(old, images.new, &bound, progress)?;
        delta.header.undoes = undoes;
        let delta_len = delta.len();
        let chunk_len = options.chunk_len.unwrap_or(default_chunk_len(options.diff.profile));
        let sealed = options.encryption.as_ref().map(|it| it.seal(&delta.payload, chunk_len));
        let info = sealed.transpose()?.map(|sealed| {
            delta.payload = sealed.payload;
            sealed.info
        });
        let delta = delta.chained(chunk_len)?;
        let is_encrypted = info.is_some();
        let (name, header) = (images.name.to_owned(), delta.header);
        deltas.push(BuiltDelta { name, header, delta_len, is_encrypted });
        let mut component = draft_component(images.name, index, delta, options)?;
        component.encryption = info;
        if let Some(detached) = &options.detached {
            payloads.push((file_name(detached, index), component.payload.clone()));
        }
        draft.components.push(component);
    }
    let package = seal(&draft, keys)?;
    Ok(Built { package, payloads, deltas })
}

fn draft(components: &[Images<'_>], release: &Release, options: &BuildOptions) -> Result<Draft> {
    let names: Vec<_> = components.iter().map(|images| images.name).collect();
    if options.without_text && options.sbom.is_some() {
        let what = "its digest stands in the text, which is left out";
        return Err(Error::input("bill of materials", what));
    }
    let text = match options.without_text {
        true => None,
        false => Some(release.text_with_sbom(&names, options.sbom.as_ref())?),
    };
    Ok(Draft {
        sequence: options.sequence,
        vendor_id: release.vendor_id(),
        class_id: release.class_id(),
        reference_uri: release.links.reference_uri.as_ref().map(|uri| uri.as_str().to_owned()),
        text,
        prompts: Some(release.prompts_cbor()?),
        components: Vec::new(),
        requirement: options.requirement.clone(),
        requires: release.requires.clone(),
    })
}

fn draft_component(
    name: &str,
    index: usize,
    delta: Delta,
    options: &BuildOptions,
) -> Result<DraftComponent> {
    let detached = options.detached.as_ref().map(|detached| {
        let separator =
            if detached.base_uri.is_empty() || detached.base_uri.ends_with('/') { "" } else { "/" };
        format!("{}{separator}{}", detached.base_uri, file_name(detached, index))
    });
    if let (Some(uri), Some(detached)) = (&detached, &options.detached) {
        // A `#` or `?` in either would make the device look for a file of another name.
        let name = file_name(detached, index);
        if base_name(uri).ok() != Some(name.as_str()) {
            return Err(Error::input(uri, format!("devices cannot find {name} by this uri")));
        }
    }
    Ok(DraftComponent {
        name: name.to_owned(),
        old: delta.header.old,
        new: delta.header.new,
        header: delta.header_bytes(),
        payload: delta.payload,
        detached,
        encryption: None,
    })
}

fn file_name(detached: &Detached, index: usize) -> String {
    format!("{}.{index}.fwd", detached.stem)
}
