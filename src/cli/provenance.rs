//! What `fwdelta build` notes for its statement of provenance.

use std::path::Path;

use super::output;
use crate::core::hash::{Sha256Digest, sha256};
use crate::error::{Error, Result};
use crate::package::SecretKey;
use crate::package::build::{BuildOptions, Built, Images};
use crate::package::provenance::{Artifact, Provenance, statement};

/// The moment that reproducible builds say they were made at, in seconds since 1970.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// What was made so far, and of what.
#[derive(Debug, Default)]
pub(super) struct Made {
    subjects: Vec<Artifact>,
    inputs: Vec<Artifact>,
    /// Of the last package; all of a run have the same but for the names of payloads.
    pub(super) options: BuildOptions,
}

impl Made {
    /// Notes a package and its payloads.
    pub(super) fn package(&mut self, path: &Path, built: &Built) {
        let payloads = built.payloads.iter().map(|(name, payload)| artifact(name, payload));
        self.subjects.extend(payloads);
        self.subjects.push(artifact(&file_name(path), &built.package));
    }

    /// Notes the images of a package, which are taken out of hex files first.
    pub(super) fn images(&mut self, images: &[Images<'_>]) {
        for Images { name, old, new } in images {
            self.inputs.extend(old.map(|old| artifact(&format!("{name}/old"), old)));
            self.inputs.push(artifact(&format!("{name}/new"), new));
        }
    }

    /// Notes another file that decided about the packages.
    pub(super) fn input(&mut self, path: &Path) -> Result<()> {
        self.inputs.push(Artifact { name: file_name(path), digest: digest_of(path)? });
        Ok(())
    }

    /// The statement as the bytes of a file.
    pub(super) fn statement(self, keys: &[SecretKey], builder_id: Option<&str>) -> Result<Vec<u8>> {
        let Self { subjects, inputs, options } = self;
        let (options, made_at) = (&options, epoch()?);
        let said = Provenance { subjects, inputs, options, keys, builder_id, made_at };
        Ok(format!("{:#}\n", statement(&said)).into_bytes())
    }
}

/// SHA-256 of a file.
pub(super) fn digest_of(path: &Path) -> Result<Sha256Digest> {
    Ok(sha256(&output::read(path)?))
}

fn artifact(name: &str, bytes: &[u8]) -> Artifact {
    Artifact { name: name.to_owned(), digest: sha256(bytes) }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn epoch() -> Result<Option<u64>> {
    let Some(said) = std::env::var_os(EPOCH) else { return Ok(None) };
    let seconds = said.to_str().and_then(|it| it.parse().ok());
    let wrong = || Error::input(EPOCH, "seconds since 1970 are a number");
    seconds.map(Some).ok_or_else(wrong)
}
