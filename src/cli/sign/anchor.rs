//! The same for a trust anchor that replaces another: bytes to sign out, a signature in.

use std::path::Path;

use super::super::report::{self, Report};
use super::super::{args, output, token, trust};
use super::{prepared, with_key};
use crate::core::Detail;
use crate::core::format::rotation::SignedTrust;
use crate::core::format::trust::Trust;
use crate::error::{Error, Result};
use crate::package::rotation;

/// Refuses an anchor where no other is named that it replaces.
pub(super) fn refuse(path: &Path, bytes: &[u8]) -> Result<()> {
    if !trust::is_source(path) && !SignedTrust::is_signed(bytes) && Trust::parse(bytes).is_err() {
        return Ok(());
    }
    let what = "a trust anchor; say with --current which one devices have now";
    Err(Error::input(path.display(), what))
}

/// What `key` is to sign of the anchor in `file`.
pub(super) fn prepare(file: &Path, current: &Path, key: &Path, request: &Path) -> Result<Report> {
    let key = token::public_key(key)?;
    let (current, new) = (args::trust(current)?, trust::either_form(file)?);
    let bytes = rotation::prepare(&current, &new, &key);
    prepared(&bytes.map_err(|error| error.about(file.display()))?, &key, request)
}

/// A signature on its way into an anchor.
pub(super) struct Attachment<'p> {
    pub(super) file: &'p Path,
    pub(super) current: &'p Path,
    pub(super) key: &'p Path,
    pub(super) request: &'p Path,
    pub(super) signature: &'p Path,
    pub(super) output: &'p Path,
}

impl Attachment<'_> {
    pub(super) fn attach(&self) -> Result<Report> {
        let key = token::public_key(self.key)?;
        let (current, new) = (args::trust(self.current)?, trust::either_form(self.file)?);
        let (request, proof) = (output::read(self.request)?, output::read(self.signature)?);
        let signed = rotation::attach(&current, &new, &request, &key, &proof);
        let signed = signed.map_err(|error| {
            let file = match error.detail() {
                Detail::BadSignature => self.signature,
                Detail::DigestMismatch => self.request,
                _ => self.file,
            };
            error.about(file.display())
        })?;
        let done = rotation::progress(&current, &signed)?;
        output::write(self.output, &signed)?;
        let text = trust::text_of(&done);
        let text = format!("{}: {} bytes{text}", self.output.display(), signed.len());
        let mut json = trust::json_of(&done);
        json["output"] = report::path(self.output);
        Ok(Report::new(text, with_key(json, &key)))
    }
}
