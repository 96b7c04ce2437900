//! OMA download descriptors: small XML files that tell a download agent what it is about to load.
//!
//! Version 1.0 (`application/vnd.oma.dd+xml`) describes one object and has no language attribute,
//! so there is one file per language and an index; objects beside the envelope are chained by
//! `nextURL`. Version 2.0 (`application/vnd.oma.dd2+xml`) lists all objects in one file. Both only
//! inform: nothing in a descriptor is policy, and the package is verified whatever it says.

mod address;
mod emit;
mod index;
mod parse;
mod tree;

pub use address::join;
pub use emit::emit;
pub use parse::parse;
pub use tree::DESCRIPTOR_LEN_MAX;

use crate::error::Result;
use crate::hex::hex;
use crate::release::{Moment, Name, Release, Tag, Uri, Version};

/// Media type of the envelope.
pub const ENVELOPE_TYPE: &str = "application/suit-envelope+cose";
/// Longest text in a descriptor, in characters.
pub const TEXT_CHARS_MAX: usize = 1024;
/// Objects in one descriptor.
pub const OBJECT_COUNT_MAX: usize = 64;

/// Version of the descriptor format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DdVersion {
    /// Download Descriptor 1.0.
    V1,
    /// Download Descriptor 2.0.
    V2,
}

impl DdVersion {
    /// Both, in order.
    pub const ALL: [DdVersion; 2] = [DdVersion::V1, DdVersion::V2];

    /// As written in `DDVersion`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DdVersion::V1 => "1.0",
            DdVersion::V2 => "2.0",
        }
    }

    /// The XML namespace.
    #[must_use]
    pub const fn namespace(self) -> &'static str {
        match self {
            DdVersion::V1 => "http://www.openmobilealliance.org/xmlns/dd",
            DdVersion::V2 => "urn:oma:xml:dl:dd:2.0",
        }
    }

    /// Media type of the descriptor.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            DdVersion::V1 => "application/vnd.oma.dd+xml",
            DdVersion::V2 => "application/vnd.oma.dd2+xml",
        }
    }

    /// Registered file extension, without a dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            DdVersion::V1 => "dd",
            DdVersion::V2 => "dd2",
        }
    }
}

/// The vendor, as shown by a download agent; version 1.0 knows the name only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VendorInfo {
    /// Name.
    pub name: Option<String>,
    /// Home page.
    pub home: Option<String>,
    /// Picture.
    pub logo: Option<String>,
    /// Where users get help.
    pub support: Option<String>,
}

/// One object to download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// Media types: its own first, then those the device must also know.
    pub types: Vec<String>,
    /// Length in bytes.
    pub size: u64,
    /// Bytes needed once installed (2.0).
    pub install_size: Option<u64>,
    /// Identifier (2.0); ours is `sha256:` and the digest.
    pub id: Option<String>,
    /// Version (2.0).
    pub version: Option<String>,
    /// Addresses; one in 1.0, several servers in 2.0.
    pub uris: Vec<String>,
}

/// A descriptor of either version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Format version.
    pub version: DdVersion,
    /// Name for the user.
    pub name: Option<String>,
    /// Description for the user; ours is the prompt before the download.
    pub description: Option<String>,
    /// More text (2.0).
    pub text: Vec<String>,
    /// The vendor.
    pub vendor: VendorInfo,
    /// What to download: exactly one object in 1.0.
    pub objects: Vec<Object>,
    /// Where to go after the download.
    pub next_url: Option<String>,
    /// More information for the user.
    pub info_url: Option<String>,
    /// Picture for the user.
    pub icon_uri: Option<String>,
    /// Where to report the outcome.
    pub install_notify_uri: Option<String>,
    /// Parameter for the installer.
    pub install_param: Option<String>,
}

/// What is known about one file to be downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Name without a directory; it stands under the base URI.
    pub file_name: String,
    /// Media type.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
    /// Digest.
    pub sha256: [u8; 32],
}

/// What is known about a finished package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFacts {
    /// The envelope; its media type is [`ENVELOPE_TYPE`].
    pub envelope: FileFacts,
    /// Payloads that stand beside the envelope, in the order of their components.
    pub payloads: Vec<FileFacts>,
    /// Version of the firmware; part of every file name.
    pub version: Version,
    /// Bytes of all new images together.
    pub install_size: u64,
}

impl PackageFacts {
    fn files(&self) -> impl Iterator<Item = &FileFacts> {
        std::iter::once(&self.envelope).chain(&self.payloads)
    }
}

/// One file to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorFile {
    /// Name; safe in a URL as it stands.
    pub name: String,
    /// Media type to serve it with.
    pub media_type: &'static str,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Writes the descriptors of a package in every language and both versions, and `index.json`, all
/// to be published under `base_uri` beside the package. The same input gives the same bytes.
///
/// # Errors
/// Input errors for a base URI or file name that does not make a usable address, and as [`emit`].
pub fn describe(
    package: &PackageFacts,
    release: &Release,
    base_uri: &str,
) -> Result<Vec<DescriptorFile>> {
    let mut files = Vec::new();
    let mut index = index::Index::new(package, release, base_uri)?;
    for language in release.notes.languages() {
        for version in DdVersion::ALL {
            for (name, descriptor) in descriptors(package, release, base_uri, language, version)? {
                let bytes = emit(&descriptor)?;
                index.add(&name, language, version, &bytes);
                files.push(DescriptorFile { name, media_type: version.media_type(), bytes });
            }
        }
    }
    files.push(index.into_file()?);
    Ok(files)
}

/// The descriptors of one language and version: one for all objects, or one per object in 1.0.
fn descriptors(
    package: &PackageFacts,
    release: &Release,
    base_uri: &str,
    language: &Tag,
    version: DdVersion,
) -> Result<Vec<(String, Descriptor)>> {
    let objects = objects(package, base_uri, version)?;
    let parts: Vec<_> = match version {
        DdVersion::V1 => objects.into_iter().map(|object| vec![object]).collect(),
        DdVersion::V2 => vec![objects],
    };
    let names: Vec<_> = (1..=parts.len())
        .map(|part| file_name(&package.version, language, version, part))
        .collect();
    let mut described = Vec::new();
    for (index, objects) in parts.into_iter().enumerate() {
        let mut descriptor = descriptor(release, language, version, objects);
        if let Some(next) = names.get(index + 1) {
            descriptor.next_url = Some(join(base_uri, next)?);
        }
        described.push((names[index].clone(), descriptor));
    }
    Ok(described)
}

/// `fwdelta-2.1.0.de.dd`; parts after the first are numbered: `fwdelta-2.1.0.de.2.dd`.
fn file_name(version: &Version, language: &Tag, format: DdVersion, part: usize) -> String {
    let part = if part > 1 { format!(".{part}") } else { String::new() };
    format!("fwdelta-{version}.{language}{part}.{}", format.extension())
}

fn objects(package: &PackageFacts, base_uri: &str, version: DdVersion) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    for file in package.files() {
        let mut object = Object {
            types: vec![file.media_type.clone()],
            size: file.size,
            uris: vec![join(base_uri, &file.file_name)?],
            ..Object::default()
        };
        if version == DdVersion::V2 {
            object.id = Some(format!("sha256:{}", hex(&file.sha256)));
            object.version = Some(package.version.to_string());
            // The installed size is that of the whole package; it is told once.
            object.install_size = objects.is_empty().then_some(package.install_size);
        }
        objects.push(object);
    }
    Ok(objects)
}

fn descriptor(
    release: &Release,
    language: &Tag,
    version: DdVersion,
    objects: Vec<Object>,
) -> Descriptor {
    let uri = |uri: &Option<Uri>| uri.as_ref().map(Uri::to_string);
    let mut vendor =
        VendorInfo { name: Some(release.vendor.shown_name().to_owned()), ..VendorInfo::default() };
    let mut text = Vec::new();
    if version == DdVersion::V2 {
        vendor.home = uri(&release.vendor.homepage);
        vendor.logo = uri(&release.vendor.logo);
        vendor.support = uri(&release.vendor.support);
        text.push(release.description(language));
    }
    Descriptor {
        version,
        name: Some(release.name(language)),
        description: Some(release.notes.prompt(language, Moment::BeforeDownload).to_owned()),
        text,
        vendor,
        objects,
        next_url: uri(&release.links.next_url),
        info_url: uri(&release.links.info_url),
        icon_uri: uri(&release.links.icon_url),
        install_notify_uri: uri(&release.links.install_notify_uri),
        install_param: release.install_param.as_ref().map(|name| Name::as_str(name).to_owned()),
    }
}
