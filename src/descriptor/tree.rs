//! A bounded tree of the elements in an XML document.
//!
//! Descriptors come from anywhere, so everything that has made XML parsers expensive is refused or
//! counted: document length, depth, elements, attributes per element, document types, entities.

use std::borrow::Cow;

use fwdelta_core::{Detail, Error};
use quick_xml::NsReader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

use super::DdVersion;
use crate::release::plain::sanitised;

/// Longest descriptor, in bytes.
pub const DESCRIPTOR_LEN_MAX: usize = 64 * 1024;
/// Deepest nesting of elements.
const DEPTH_MAX: usize = 8;
/// Elements in a document.
const NODE_COUNT_MAX: usize = 1024;
/// Characters of a parser message worth showing.
const MESSAGE_CHARS_MAX: usize = 200;
/// Attributes of one element.
const ATTRIBUTE_COUNT_MAX: usize = 16;

/// One element.
#[derive(Debug)]
pub(super) struct Node {
    /// Name without a prefix; empty for an element of a foreign namespace.
    pub(super) name: String,
    /// Which of our namespaces it is in; `None` if in no namespace at all.
    pub(super) namespace: Option<DdVersion>,
    /// The `DDVersion` attribute.
    pub(super) version: Option<String>,
    /// Text directly inside, trimmed.
    pub(super) text: String,
    /// Elements directly inside.
    pub(super) children: Vec<Node>,
    /// Byte offset of its start tag.
    pub(super) pos: u64,
}

/// Reads the root element of `bytes`.
pub(super) fn read(bytes: &[u8]) -> crate::Result<Node> {
    if bytes.len() > DESCRIPTOR_LEN_MAX {
        return Err(Detail::StringTooLong.into());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = str::from_utf8(bytes)
        .map_err(|error| Error::at(Detail::BadUtf8, error.valid_up_to() as u64))?;
    let mut builder = Builder::default();
    let mut reader = NsReader::from_str(text);
    loop {
        let pos = reader.buffer_position();
        let (namespace, event) =
            reader.read_resolved_event().map_err(|error| xml_error(&error, pos))?;
        if matches!(event, Event::Eof) {
            return Ok(builder.finish().map_err(|detail| Error::at(detail, pos))?);
        }
        let namespace = known_namespace(&namespace);
        builder.event(event, namespace, pos).map_err(|detail| Error::at(detail, pos))?;
    }
}

/// The parser's error; its message may quote the document, so it is made safe to print.
fn xml_error(error: &quick_xml::Error, pos: u64) -> crate::Error {
    use quick_xml::name::NamespaceError::{TooDeeplyNested, TooManyBindings};
    let (detail, message) = match error {
        quick_xml::Error::Namespace(TooManyBindings(_) | TooDeeplyNested(_)) => {
            (Detail::TooManyKeys, "too many namespaces".to_owned())
        }
        other => (Detail::BadValue, sanitised(&other.to_string(), MESSAGE_CHARS_MAX)),
    };
    crate::Error::from(Error::at(detail, pos)).remedy(format_args!("XML: {message}"))
}

/// `Some(None)` for no namespace, `None` for a foreign one.
fn known_namespace(resolved: &ResolveResult<'_>) -> Option<Option<DdVersion>> {
    match resolved {
        ResolveResult::Unbound => Some(None),
        ResolveResult::Bound(Namespace(uri)) => {
            let version = DdVersion::ALL.into_iter().find(|version| version.namespace() == *uri);
            version.map(Some)
        }
        ResolveResult::Unknown(_) => None,
    }
}

fn check_encoding(encoding: Option<Cow<'_, str>>) -> Result<(), Detail> {
    let known = ["utf-8", "utf8", "us-ascii"];
    match encoding {
        Some(name) if !known.iter().any(|known| name.eq_ignore_ascii_case(known)) => {
            Err(Detail::NotBuiltIn)
        }
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Builder {
    /// Elements that are open, outermost first.
    open: Vec<Node>,
    root: Option<Node>,
    count: usize,
}

impl Builder {
    fn event(
        &mut self,
        event: Event<'_>,
        namespace: Option<Option<DdVersion>>,
        pos: u64,
    ) -> Result<(), Detail> {
        match event {
            Event::Start(tag) => self.open(&tag, namespace, pos),
            Event::Empty(tag) => {
                self.open(&tag, namespace, pos)?;
                self.close()
            }
            Event::End(_) => self.close(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.reference(&reference),
            Event::Decl(decl) => check_encoding(decl.encoding().and_then(Result::ok)),
            // Document types define entities, and with them expansions and foreign files.
            Event::DocType(_) => Err(Detail::NotBuiltIn),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn open(
        &mut self,
        tag: &BytesStart<'_>,
        namespace: Option<Option<DdVersion>>,
        pos: u64,
    ) -> Result<(), Detail> {
        self.count += 1;
        if self.open.len() >= DEPTH_MAX {
            return Err(Detail::TooDeep);
        }
        if self.count > NODE_COUNT_MAX {
            return Err(Detail::TooManyKeys);
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(Detail::TrailingBytes);
        }
        let local = tag.local_name();
        self.open.push(Node {
            name: if namespace.is_some() { local.into_inner().to_owned() } else { String::new() },
            namespace: namespace.flatten(),
            version: version_attribute(tag)?,
            text: String::new(),
            children: Vec::new(),
            pos,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Detail> {
        let mut node = self.open.pop().ok_or(Detail::BadValue)?;
        node.text = node.text.trim().to_owned();
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Detail> {
        match self.open.last_mut() {
            Some(node) => node.text.push_str(text),
            None if text.trim().is_empty() => {}
            None if self.root.is_none() => return Err(Detail::BadMagic),
            None => return Err(Detail::TrailingBytes),
        }
        Ok(())
    }

    /// Character references and the five entities of XML itself; there are no others without a
    /// document type.
    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Detail> {
        let character = match reference.resolve_char_ref().map_err(|_| Detail::BadValue)? {
            Some(character) => character,
            None => match reference.as_ref() {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "apos" => '\'',
                "quot" => '"',
                _ => return Err(Detail::NotBuiltIn),
            },
        };
        self.text(character.encode_utf8(&mut [0; 4]))
    }

    fn finish(self) -> Result<Node, Detail> {
        if self.open.is_empty() {
            self.root.ok_or(Detail::Truncated)
        } else {
            Err(Detail::Truncated)
        }
    }
}

/// Counts the attributes before their names are compared, which takes time by their square.
fn version_attribute(tag: &BytesStart<'_>) -> Result<Option<String>, Detail> {
    let mut unchecked = tag.attributes();
    if unchecked.with_checks(false).count() > ATTRIBUTE_COUNT_MAX {
        return Err(Detail::TooManyKeys);
    }
    let mut version = None;
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| Detail::BadValue)?;
        if attribute.key.into_inner() == "DDVersion" {
            version = Some(attribute.value.trim().to_owned());
        }
    }
    Ok(version)
}
