//! Reads descriptors of any origin: tolerant of order, unknown elements and `<size>1,000</size>`,
//! strict about what must be there and must not be ambiguous.

use fwdelta_core::{Detail, Error};

use super::tree::{self, Node};
use super::{DdVersion, Descriptor, OBJECT_COUNT_MAX, Object, TEXT_CHARS_MAX, VendorInfo};
use crate::error::Result;
use crate::release::plain::sanitised;

type CoreResult<T> = fwdelta_core::Result<T>;

/// Reads a descriptor of either version. Texts are made safe to print.
///
/// # Errors
/// `Format` for XML that is malformed, incomplete, ambiguous or not UTF-8; `Unsupported` for
/// document types, entities, other encodings and other versions; `Limit` for a document or text
/// that is too long, too deep or has too many elements, attributes or objects.
pub fn parse(bytes: &[u8]) -> Result<Descriptor> {
    let descriptor = tree::read(bytes).and_then(|root| Ok(read(&root)?));
    descriptor.map_err(|error| error.about("descriptor"))
}

fn read(root: &Node) -> CoreResult<Descriptor> {
    if root.name != "media" {
        return Err(Error::at(Detail::BadMagic, root.pos));
    }
    let mut descriptor = Descriptor {
        version: version(root)?,
        name: None,
        description: None,
        text: Vec::new(),
        vendor: vendor(root)?,
        objects: Vec::new(),
        next_url: root.text_of("nextURL")?,
        info_url: None,
        icon_uri: None,
        install_notify_uri: None,
        install_param: None,
    };
    match descriptor.version {
        DdVersion::V1 => {
            read_meta(root, &mut descriptor)?;
            descriptor.objects.push(object(root)?);
        }
        DdVersion::V2 => read_products(root, &mut descriptor)?,
    }
    Ok(descriptor)
}

/// By namespace, else by `DDVersion`; the two must not contradict each other.
fn version(root: &Node) -> CoreResult<DdVersion> {
    let unknown = Error::at(Detail::UnknownVersion, root.pos);
    let written = match &root.version {
        Some(attribute) => Some(attribute.clone()),
        None => root.text_of("DDVersion")?,
    };
    let by_number = match written.as_deref().map(|text| text.split('.').next().unwrap_or("")) {
        None => None,
        Some("1") => Some(DdVersion::V1),
        Some("2") => Some(DdVersion::V2),
        Some(_) => return Err(unknown),
    };
    match (root.namespace, by_number) {
        (Some(a), Some(b)) if a != b => Err(unknown),
        (Some(version), _) | (None, Some(version)) => Ok(version),
        (None, None) => Ok(DdVersion::V1),
    }
}

fn vendor(root: &Node) -> CoreResult<VendorInfo> {
    let Some(node) = root.one("vendor")? else { return Ok(VendorInfo::default()) };
    if node.children.is_empty() {
        return Ok(VendorInfo { name: node.shown()?, ..VendorInfo::default() });
    }
    Ok(VendorInfo {
        name: node.text_of("name")?,
        home: node.text_of("home")?,
        logo: node.text_of("logo")?,
        support: node.text_of("support")?,
    })
}

fn read_products(root: &Node, descriptor: &mut Descriptor) -> CoreResult<()> {
    let mut metas = Vec::new();
    for product in root.all("product") {
        metas.extend(product.one("meta")?);
        for node in product.all("mediaObject") {
            if descriptor.objects.len() >= OBJECT_COUNT_MAX {
                return Err(Error::at(Detail::TooManyKeys, node.pos));
            }
            descriptor.objects.push(object(node)?);
            metas.extend(node.one("meta")?);
        }
    }
    if descriptor.objects.is_empty() {
        return Err(Error::at(Detail::MissingField, root.pos));
    }
    // What is said first is said of the whole package.
    metas.first().map_or(Ok(()), |meta| read_meta(meta, descriptor))
}

fn read_meta(node: &Node, descriptor: &mut Descriptor) -> CoreResult<()> {
    descriptor.name = node.text_of("name")?;
    descriptor.description = node.text_of("description")?;
    descriptor.info_url = node.text_of("infoURL")?;
    descriptor.icon_uri = node.text_of("iconURI")?;
    descriptor.install_param = node.text_of("installParam")?;
    descriptor.install_notify_uri = node.text_of("installNotifyURI")?;
    if descriptor.version == DdVersion::V2 {
        descriptor.text = node.texts_of("text")?;
    }
    Ok(())
}

fn object(node: &Node) -> CoreResult<Object> {
    let missing = Error::at(Detail::MissingField, node.pos);
    let mut object = Object {
        types: node.texts_of("type")?,
        size: number(node.one("size")?)?.ok_or(missing)?,
        ..Object::default()
    };
    if let Some(uri) = node.one("objectURI")? {
        object.uris = uri.texts_of("server")?;
        if object.uris.is_empty() {
            object.uris.extend(uri.shown()?);
        }
    }
    if node.name == "mediaObject" {
        object.install_size = number(node.one("installSize")?)?;
        object.id = node.text_of("objectID")?;
        object.version = node.text_of("objectVersion")?;
    }
    if object.types.is_empty() || object.uris.is_empty() {
        return Err(missing);
    }
    Ok(object)
}

/// A number as people write it: `1000`, `1,000`, `1 000`.
fn number(node: Option<&Node>) -> CoreResult<Option<u64>> {
    let Some(node) = node else { return Ok(None) };
    let bad = Error::at(Detail::BadValue, node.pos);
    let group = |c: char| c == ',' || c.is_whitespace();
    let digits: String = node.text.chars().filter(|c| !group(*c)).collect();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && node.children.is_empty();
    if plain { digits.parse().map(Some).map_err(|_| bad) } else { Err(bad) }
}

impl Node {
    fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a Node> + use<'a, 'n> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The only child of this name: a second one would make readers disagree.
    fn one(&self, name: &str) -> CoreResult<Option<&Node>> {
        let mut found = self.all(name);
        let first = found.next();
        match found.next() {
            Some(second) => Err(Error::at(Detail::DuplicateKey, second.pos)),
            None => Ok(first),
        }
    }

    /// Its text, safe to print; `None` if empty.
    fn shown(&self) -> CoreResult<Option<String>> {
        // Line breaks inside a text are layout.
        let words: Vec<_> = self.text.split(['\n', '\r', '\t']).map(str::trim).collect();
        let text = if words.len() > 1 { words.join(" ") } else { self.text.clone() };
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(Error::at(Detail::StringTooLong, self.pos));
        }
        let text = sanitised(&text, TEXT_CHARS_MAX);
        Ok((!text.is_empty()).then_some(text))
    }

    fn text_of(&self, name: &str) -> CoreResult<Option<String>> {
        self.one(name)?.map_or(Ok(None), Node::shown)
    }

    fn texts_of(&self, name: &str) -> CoreResult<Vec<String>> {
        self.all(name).filter_map(|node| node.shown().transpose()).collect()
    }
}
