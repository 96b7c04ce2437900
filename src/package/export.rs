//! Packages in forms that other tools read.

use crate::error::Result;
use crate::package::assemble::Parts;

/// An envelope of registered keys only, and what it carried besides.
#[derive(Clone, Debug)]
pub struct Bare<'p> {
    /// Authentication wrapper, manifest and, if there was one, text: keys 2, 3 and 23.
    pub envelope: Vec<u8>,
    /// The payloads that were integrated, by their key without its `#`.
    pub payloads: Vec<(String, &'p [u8])>,
}

/// Takes the integrated payloads out of a package.
///
/// Not one signed byte changes, so every block still verifies: payloads are bound by the digests
/// in the manifest (draft-ietf-suit-manifest, "Integrated Payloads"). Some readers of SUIT
/// envelopes know integer keys only and stop at the text keys of integrated payloads. Devices of
/// fwdelta want the package itself, as their delta headers come with the envelope.
///
/// # Errors
/// As [`Parts::read`].
pub fn bare(package: &[u8]) -> Result<Bare<'_>> {
    let mut parts = Parts::read(package)?;
    let payloads = std::mem::take(&mut parts.payloads);
    let envelope = parts.write();
    let plain = |(key, payload): (String, _)| (key.trim_start_matches('#').to_owned(), payload);
    Ok(Bare { envelope, payloads: payloads.into_iter().map(plain).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::sha256;
    use crate::package::SecretKey;
    use crate::package::build::{BuildOptions, Images, build};
    use crate::progress::Silent;
    use crate::release::Release;

    #[test]
    fn authentication_and_manifest_stay_and_payloads_go() {
        let images = [Images { name: "main", old: None, new: &[7; 4000] }];
        let key = SecretKey::from_seed(&sha256(b"vendor"));
        let options = BuildOptions { sequence: 7, ..BuildOptions::default() };
        let built = build(&images, &Release::default(), &[key], &options, &Silent).unwrap();
        let out = bare(&built.package).unwrap();
        let names: Vec<_> = out.payloads.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["p", "h0", "payload0"]);
        let [before, after] = [&built.package, &out.envelope].map(|it| Parts::read(it).unwrap());
        assert_eq!(before.wrapper, after.wrapper);
        assert_eq!(before.manifest, after.manifest);
        assert_eq!(before.text, after.text);
        assert!(after.payloads.is_empty());
        for (name, payload) in &out.payloads {
            assert_eq!(before.payload(&format!("#{name}")), Some(*payload));
        }
        assert!(bare(b"no package").is_err());
    }
}
