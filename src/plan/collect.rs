//! From finished packages to an index.

use std::collections::{BTreeMap, BTreeSet};

use super::list::Named;
use super::table::is_file_name;
use super::{Entry, Image, Index, Opened, Part, VERSION_TEXT_LEN_MAX};
use crate::core::format::delta::DeltaHeader;
use crate::core::format::manifest::{Blob, Component, Manifest};
use crate::core::hash::{Sha256Digest, sha256};
use crate::core::{Detail, limits};
use crate::error::{Error, Result};
use crate::package::assemble::{Parts, manifest_digest};
use crate::release::parse_text;
use crate::release::plain::{Line, sanitised};

/// One package to list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What people say of it; the file name without a folder.
    pub named: Named,
    /// What is in the index of it.
    entry: Entry,
    vendor_id: [u8; 16],
    class_id: [u8; 16],
}

impl Listed {
    /// Reads `package`; its shape and digest are checked, its signatures are not. `place`, from 1,
    /// is its order where `named` gives none.
    ///
    /// # Errors
    /// As docs/format.md for malformed packages, `DigestMismatch`, and an input error for a file
    /// name that cannot be listed.
    pub fn read(named: Named, package: &[u8], place: u64) -> Result<Self> {
        if !is_file_name(&named.file) || named.file.len() > limits::URI_LEN_MAX {
            let name = named.file.escape_debug();
            return Err(Error::input(name, "this file name cannot be listed; rename the file"));
        }
        let parts = Parts::read(package)?;
        if manifest_digest(&parts.manifest) != parts.digest {
            return Err(Detail::DigestMismatch.into());
        }
        let manifest = Manifest::parse(&parts.manifest, 0)?;
        let versions = versions(&parts)?;
        let mut entry = Entry {
            file: named.file.clone(),
            size: package.len() as u64,
            digest: sha256(package),
            manifest: parts.digest,
            sequence: manifest.summary.sequence,
            order: named.order.unwrap_or(place),
            is_restore: named.restore,
            undoes: None,
            parts: Vec::new(),
            groups: named.groups.clone(),
            next_url: named.next_url.as_ref().map(ToString::to_string),
        };
        for (at, component) in (0..).zip(manifest.components()) {
            let header = parts.payload(&format!("#h{at}")).ok_or(Detail::MissingPayload)?;
            let header = DeltaHeader::parse(header)?;
            if component.detached.is_some() {
                let sum = entry.size.checked_add(component.delta.len);
                entry.size = sum.ok_or(Detail::ImageTooLarge)?;
            }
            entry.undoes = entry.undoes.or(header.undoes);
            entry.parts.push(part(&component, &header, &named, versions.get(component.name)));
        }
        let (vendor_id, class_id) = (manifest.summary.vendor_id, manifest.summary.class_id);
        Ok(Self { named, entry, vendor_id, class_id })
    }
}

fn part(
    component: &Component<'_>,
    header: &DeltaHeader,
    named: &Named,
    text_version: Option<&String>,
) -> Part {
    let image = |blob: Blob, version: Option<String>| Image {
        version: version.unwrap_or_default(),
        len: blob.len,
        digest: blob.digest,
    };
    let said = |line: &Option<Line<VERSION_TEXT_LEN_MAX>>| {
        line.as_ref().map(|line| line.as_str().to_owned())
    };
    let new_version = said(&named.new_version).or(text_version.cloned());
    Part {
        name: component.name.to_owned(),
        old: component.old.map(|old| image(old, said(&named.old_version))),
        new: image(component.new, new_version),
        workspace_len: header.workspace_len,
        in_place: header.in_place.is_some(),
    }
}

/// Versions of components as the text says, in whichever language says one.
fn versions(parts: &Parts<'_>) -> Result<BTreeMap<String, String>> {
    let text = parts.text.map(parse_text).transpose()?.unwrap_or_default();
    let mut versions = BTreeMap::new();
    for (id, component) in text.values().flat_map(|language| &language.components) {
        let name = id.strip_suffix("/new").unwrap_or(id);
        let version =
            component.version.as_deref().map(|text| sanitised(text.trim(), VERSION_TEXT_LEN_MAX));
        let fits = |version: &String| !version.is_empty() && version.len() <= VERSION_TEXT_LEN_MAX;
        if let Some(version) = version.filter(fits) {
            versions.entry(name.to_owned()).or_insert(version);
        }
    }
    Ok(versions)
}

/// Makes an index of `packages`. Versions of old images that nobody said are those of the packages
/// that lead to the same image.
///
/// # Errors
/// Input errors for no package, one that is listed twice, or of another vendor or class than the
/// first.
pub fn collect(packages: Vec<Listed>, sequence: u64, next_url: Option<String>) -> Result<Opened> {
    let first = packages.first().ok_or_else(|| Error::input("index", "name a package to list"))?;
    let (vendor_id, class_id) = (first.vendor_id, first.class_id);
    let mut files = BTreeSet::new();
    for Listed { named, vendor_id: vendor, class_id: class, .. } in &packages {
        let wrong = |what| Err(Error::input(named.file.escape_debug(), what));
        if (*vendor, *class) != (vendor_id, class_id) {
            return wrong("another vendor or class than the first package; make one index of each");
        }
        if !files.insert(&named.file) {
            return wrong(
                "listed twice, or two files of this name; a device could not tell them apart",
            );
        }
    }
    let mut entries: Vec<_> = packages.into_iter().map(|listed| listed.entry).collect();
    name_old_versions(&mut entries);
    Ok(Opened { index: Index { entries, next_url }, sequence, vendor_id, class_id })
}

fn name_old_versions(entries: &mut [Entry]) {
    let mut versions: BTreeMap<Sha256Digest, String> = BTreeMap::new();
    let news = entries.iter().flat_map(|entry| &entry.parts).map(|part| &part.new);
    for image in news.filter(|image| !image.version.is_empty()) {
        versions.entry(image.digest).or_insert_with(|| image.version.clone());
    }
    let olds = entries.iter_mut().flat_map(|entry| &mut entry.parts).filter_map(|p| p.old.as_mut());
    for image in olds.filter(|image| image.version.is_empty()) {
        image.version = versions.get(&image.digest).cloned().unwrap_or_default();
    }
}
