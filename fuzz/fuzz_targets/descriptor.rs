//! Law: whatever XML comes, reading it ends with an error or with texts that are safe to show; what
//! was read and can be written comes out the same when it is read again, and as the same bytes.
#![no_main]

use fwdelta::descriptor::{Descriptor, OBJECT_COUNT_MAX, TEXT_CHARS_MAX, emit, parse};
use fwdelta::release::plain::forbidden;
use fwdelta_core::Category;
use libfuzzer_sys::fuzz_target;

fn texts(descriptor: &Descriptor) -> impl Iterator<Item = &String> {
    let vendor = &descriptor.vendor;
    let optional = [
        &descriptor.name,
        &descriptor.description,
        &descriptor.next_url,
        &descriptor.info_url,
        &descriptor.icon_uri,
        &descriptor.install_notify_uri,
        &descriptor.install_param,
        &vendor.name,
        &vendor.home,
        &vendor.logo,
        &vendor.support,
    ];
    let objects = descriptor.objects.iter();
    let objects =
        objects.flat_map(|o| o.types.iter().chain(&o.uris).chain(&o.id).chain(&o.version));
    optional.into_iter().flatten().chain(&descriptor.text).chain(objects)
}

fuzz_target!(|data: &[u8]| {
    let Ok(read) = parse(data) else { return };
    assert!((1..=OBJECT_COUNT_MAX).contains(&read.objects.len()));
    for text in texts(&read) {
        assert!(text.chars().count() <= TEXT_CHARS_MAX && !text.is_empty());
        assert!(text.chars().all(|c| forbidden(c).is_none()), "{text:?}");
    }
    match emit(&read) {
        Ok(written) => {
            assert_eq!(parse(&written).expect("what we write can be read"), read);
            assert_eq!(emit(&read).expect("it could be written before"), written);
        }
        // Version 1.0 cannot say everything that a document without a version can.
        Err(error) => assert_eq!(error.category(), Category::Unsupported, "{error}"),
    }
});
