//! Keys on the command line: files, and keys in tokens by their URI.

use std::path::Path;

use super::args;
use crate::core::format::key::Algorithm;
use crate::error::Result;
use crate::package::{PublicKey, SecretKey};

/// A key to sign with: a private key file, or a `pkcs11:` URI.
pub(crate) fn signer(key: &Path) -> Result<SecretKey> {
    match uri(key) {
        Some(uri) => in_token(&uri),
        None => args::secret_key(key),
    }
}

/// The public half of a key: a public key file, or a `pkcs11:` URI.
pub(crate) fn public_key(key: &Path) -> Result<PublicKey> {
    match uri(key) {
        Some(uri) => in_token(&uri).map(|key| key.public()),
        None => args::public_key(key),
    }
}

/// The key as a URI (RFC 7512), if it is one. A file of such a name is reached as `./pkcs11:...`.
fn uri(key: &Path) -> Option<String> {
    key.to_str().filter(|key| key.starts_with("pkcs11:")).map(str::to_owned)
}

/// What an error may show of a URI: attributes that are known to hold no secret. A PIN that was
/// put into another one, misspelt or not, stays out.
pub(super) fn shown(uri: &str) -> String {
    let known = ["token", "serial", "object", "id", "type", "module-path", "pin-source"];
    let rest = uri.strip_prefix("pkcs11:").unwrap_or_default();
    let attributes = rest.split([';', '?', '&']);
    let harmless =
        attributes.filter(|it| it.split_once('=').is_some_and(|(n, _)| known.contains(&n)));
    format!("pkcs11:{}", harmless.collect::<Vec<_>>().join(";"))
}

#[cfg(feature = "pkcs11")]
fn in_token(uri: &str) -> Result<SecretKey> {
    super::pkcs11::open(uri)
}

/// Makes a key in a token; only the public half leaves it.
#[cfg(feature = "pkcs11")]
pub(crate) fn generate(uri: &str, algorithm: Algorithm) -> Result<PublicKey> {
    super::pkcs11::generate(uri, algorithm)
}

#[cfg(not(feature = "pkcs11"))]
fn in_token(uri: &str) -> Result<SecretKey> {
    Err(not_built_in(uri))
}

/// Makes a key in a token; only the public half leaves it.
#[cfg(not(feature = "pkcs11"))]
pub(crate) fn generate(uri: &str, _: Algorithm) -> Result<PublicKey> {
    Err(not_built_in(uri))
}

#[cfg(not(feature = "pkcs11"))]
fn not_built_in(uri: &str) -> crate::error::Error {
    let remedy = "build it with `--features pkcs11`, or sign with `sign prepare` and `sign attach`";
    crate::error::Error::from(crate::core::Detail::NotBuiltIn).about(shown(uri)).remedy(remedy)
}
