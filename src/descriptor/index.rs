//! `index.json`: which descriptor is for whom, for the server that hands them out.

use crate::core::hash::sha256;
use serde::Serialize;

use super::{DdVersion, DescriptorFile, FileFacts, PackageFacts, join};
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::release::{Release, Tag};

/// Name of the index.
const INDEX_NAME: &str = "index.json";

#[derive(Serialize)]
struct Published {
    file: String,
    uri: String,
    media_type: String,
    size: u64,
    sha256: String,
}

impl Published {
    fn new(file: &FileFacts, base_uri: &str) -> Result<Self> {
        Ok(Self {
            file: file.file_name.clone(),
            uri: join(base_uri, &file.file_name)?,
            media_type: file.media_type.clone(),
            size: file.size,
            sha256: hex(&file.sha256),
        })
    }
}

#[derive(Serialize)]
struct Entry {
    language: String,
    version: &'static str,
    file: String,
    media_type: &'static str,
    size: usize,
    sha256: String,
}

/// The index while it is collected; fields are written in this order.
#[derive(Serialize)]
pub(super) struct Index {
    version: String,
    default_language: String,
    package: Published,
    payloads: Vec<Published>,
    descriptors: Vec<Entry>,
}

impl Index {
    pub(super) fn new(package: &PackageFacts, release: &Release, base_uri: &str) -> Result<Self> {
        let payloads = package.payloads.iter().map(|file| Published::new(file, base_uri));
        Ok(Self {
            version: package.version.to_string(),
            default_language: release.notes.default_language().to_string(),
            package: Published::new(&package.envelope, base_uri)?,
            payloads: payloads.collect::<Result<_>>()?,
            descriptors: Vec::new(),
        })
    }

    pub(super) fn add(&mut self, file: &str, language: &Tag, version: DdVersion, bytes: &[u8]) {
        self.descriptors.push(Entry {
            language: language.to_string(),
            version: version.name(),
            file: file.to_owned(),
            media_type: version.media_type(),
            size: bytes.len(),
            sha256: hex(&sha256(bytes)),
        });
    }

    pub(super) fn into_file(self) -> Result<DescriptorFile> {
        let mut bytes =
            serde_json::to_vec_pretty(&self).map_err(|error| Error::input(INDEX_NAME, error))?;
        bytes.push(b'\n');
        Ok(DescriptorFile { name: INDEX_NAME.to_owned(), media_type: "application/json", bytes })
    }
}
