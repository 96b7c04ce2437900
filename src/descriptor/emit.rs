//! Descriptors as XML: strict, indented by two spaces, the same bytes for the same content.

use std::io;

use fwdelta_core::Detail;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{DdVersion, Descriptor, OBJECT_COUNT_MAX, Object, TEXT_CHARS_MAX};
use crate::error::{Error, Result};
use crate::release::plain::Line;

type Xml = Writer<Vec<u8>>;

/// Writes `descriptor`.
///
/// # Errors
/// Input errors for texts that are empty, longer than [`TEXT_CHARS_MAX`] or hold characters that
/// XML or a screen should not; `Unsupported` for what version 1.0 cannot say; `MissingField` for an
/// object without type or address; `TooManyKeys` for more than [`OBJECT_COUNT_MAX`] objects.
pub fn emit(descriptor: &Descriptor) -> Result<Vec<u8>> {
    check_texts(descriptor)?;
    check_shape(descriptor).map_err(|detail| Error::from(detail).about("descriptor"))?;
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    let written = match descriptor.version {
        DdVersion::V1 => write_v1(&mut xml, descriptor),
        DdVersion::V2 => write_v2(&mut xml, descriptor),
    };
    // INVARIANT: writing to a vector cannot fail.
    written.expect("a vector is never full");
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn check_texts(descriptor: &Descriptor) -> Result<()> {
    let vendor = &descriptor.vendor;
    let optional = [
        &descriptor.name,
        &descriptor.description,
        &vendor.name,
        &vendor.home,
        &vendor.logo,
        &vendor.support,
        &descriptor.next_url,
        &descriptor.info_url,
        &descriptor.icon_uri,
        &descriptor.install_notify_uri,
        &descriptor.install_param,
    ];
    let objects = descriptor.objects.iter().flat_map(|object| {
        object.types.iter().chain(&object.uris).chain(&object.id).chain(&object.version)
    });
    for text in optional.into_iter().flatten().chain(&descriptor.text).chain(objects) {
        let line = Line::<TEXT_CHARS_MAX>::new(text);
        line.map_err(|message| Error::input("descriptor", message))?;
    }
    Ok(())
}

fn check_shape(descriptor: &Descriptor) -> Result<(), Detail> {
    let objects = &descriptor.objects;
    if objects.len() > OBJECT_COUNT_MAX {
        return Err(Detail::TooManyKeys);
    }
    let complete = |object: &Object| !object.types.is_empty() && !object.uris.is_empty();
    if objects.is_empty() || !objects.iter().all(complete) {
        return Err(Detail::MissingField);
    }
    let fits_v1 = |object: &Object| {
        object.uris.len() == 1
            && object.install_size.is_none()
            && object.id.is_none()
            && object.version.is_none()
    };
    let vendor = &descriptor.vendor;
    let vendor_fits = vendor.home.is_none() && vendor.logo.is_none() && vendor.support.is_none();
    let all_fits = objects.len() == 1 && objects.iter().all(fits_v1) && vendor_fits;
    if descriptor.version == DdVersion::V1 && !(all_fits && descriptor.text.is_empty()) {
        return Err(Detail::UnknownVersion);
    }
    Ok(())
}

fn write_v1(xml: &mut Xml, descriptor: &Descriptor) -> io::Result<()> {
    start(xml)?;
    let media = xml.create_element("media").with_attribute(("xmlns", DdVersion::V1.namespace()));
    media.write_inner_content(|xml| {
        for object in &descriptor.objects {
            leaves(xml, "type", &object.types)?;
            leaf(xml, "size", &object.size.to_string())?;
            leaves(xml, "objectURI", &object.uris)?;
        }
        leaves(xml, "installNotifyURI", &descriptor.install_notify_uri)?;
        leaves(xml, "nextURL", &descriptor.next_url)?;
        leaf(xml, "DDVersion", DdVersion::V1.name())?;
        leaves(xml, "name", &descriptor.name)?;
        leaves(xml, "description", &descriptor.description)?;
        leaves(xml, "vendor", &descriptor.vendor.name)?;
        leaves(xml, "infoURL", &descriptor.info_url)?;
        leaves(xml, "iconURI", &descriptor.icon_uri)?;
        leaves(xml, "installParam", &descriptor.install_param)
    })?;
    Ok(())
}

fn write_v2(xml: &mut Xml, descriptor: &Descriptor) -> io::Result<()> {
    start(xml)?;
    let media = xml.create_element("media").with_attributes([
        ("xmlns", DdVersion::V2.namespace()),
        ("DDVersion", DdVersion::V2.name()),
    ]);
    media.write_inner_content(|xml| {
        let vendor = &descriptor.vendor;
        inner(xml, "vendor", |xml| {
            leaves(xml, "name", &vendor.name)?;
            leaves(xml, "home", &vendor.home)?;
            leaves(xml, "logo", &vendor.logo)?;
            leaves(xml, "support", &vendor.support)
        })?;
        leaves(xml, "nextURL", &descriptor.next_url)?;
        inner(xml, "product", |xml| write_product(xml, descriptor))
    })?;
    Ok(())
}

fn write_product(xml: &mut Xml, descriptor: &Descriptor) -> io::Result<()> {
    inner(xml, "meta", |xml| {
        leaves(xml, "name", &descriptor.name)?;
        leaves(xml, "description", &descriptor.description)?;
        leaves(xml, "text", &descriptor.text)?;
        leaves(xml, "infoURL", &descriptor.info_url)?;
        leaves(xml, "iconURI", &descriptor.icon_uri)?;
        leaves(xml, "installParam", &descriptor.install_param)?;
        leaves(xml, "installNotifyURI", &descriptor.install_notify_uri)
    })?;
    for object in &descriptor.objects {
        inner(xml, "mediaObject", |xml| {
            leaves(xml, "type", &object.types)?;
            leaf(xml, "size", &object.size.to_string())?;
            leaves(xml, "installSize", &object.install_size.map(|size| size.to_string()))?;
            leaves(xml, "objectID", &object.id)?;
            leaves(xml, "objectVersion", &object.version)?;
            inner(xml, "objectURI", |xml| leaves(xml, "server", &object.uris))
        })?;
    }
    Ok(())
}

fn start(xml: &mut Xml) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
}

fn inner(
    xml: &mut Xml,
    name: &str,
    content: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    xml.create_element(name).write_inner_content(content)?;
    Ok(())
}

fn leaf(xml: &mut Xml, name: &str, text: &str) -> io::Result<()> {
    xml.create_element(name).write_text_content(BytesText::new(text.trim()))?;
    Ok(())
}

fn leaves<'a>(
    xml: &mut Xml,
    name: &str,
    texts: impl IntoIterator<Item = &'a String>,
) -> io::Result<()> {
    texts.into_iter().try_for_each(|text| leaf(xml, name, text))
}
