//! The device's state between updates: the sequence number of the last confirmed one, and which one
//! waits for its confirmation.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::output::{self, Beside};
use crate::core::Detail;
use crate::core::hash::Sha256Digest;
use crate::error::{Error, Result};
use crate::hex::hex;

/// Longest state file that is read; it holds two numbers and a digest.
const STATE_LEN_MAX: usize = 1 << 16;

/// What the state file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Sequence number of the last confirmed update.
    pub(super) sequence: Option<u64>,
    /// The update that was applied and is not confirmed.
    pub(super) pending: Option<Pending>,
}

/// An update that has not proved itself yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// Its sequence number.
    pub(super) sequence: u64,
    /// Digest of its manifest.
    pub(super) manifest: Sha256Digest,
}

impl State {
    /// What is stored; nothing before the first update.
    ///
    /// Only a file that is not there means nothing: one that cannot be read must not switch the
    /// check against rollback off.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = match output::read_at_most(path, STATE_LEN_MAX) {
            Ok(bytes) => bytes,
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(Error::Io { source, .. }) => return Err(failed(path, &source)),
            Err(error) => return Err(failed(path, &error)),
        };
        let what = "not a state file; it must be {\"sequence\": NUMBER}";
        parse(&bytes).ok_or_else(|| failed(path, &what))
    }

    /// The state after an update of this sequence number, which is pending if it has a `manifest`
    /// to be undone by, or else confirmed. The number never goes back: an update that was begun is
    /// gone on with without asking it, and another one may have been confirmed meanwhile.
    pub(super) fn after(self, sequence: u64, manifest: Option<Sha256Digest>) -> Self {
        match manifest {
            Some(manifest) => Self { pending: Some(Pending { sequence, manifest }), ..self },
            None => Self { sequence: self.sequence.max(Some(sequence)), pending: None },
        }
    }

    /// The state on its way into its file: written before new images are shown, so that what can
    /// fail has failed by then; the caller commits it last.
    pub(super) fn prepare(&self, path: &Path) -> Result<Beside> {
        let mut value = json!({});
        if let Some(sequence) = self.sequence {
            value["sequence"] = sequence.into();
        }
        if let Some(Pending { sequence, manifest }) = &self.pending {
            value["pending"] = json!({ "sequence": sequence, "manifest": hex(manifest) });
        }
        let mut beside = Beside::create(path).map_err(|error| failed(path, &error))?;
        let written = beside.file().write_all(format!("{value}\n").as_bytes());
        written.map_err(|error| failed(path, &error))?;
        Ok(beside)
    }
}

fn parse(bytes: &[u8]) -> Option<State> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let number = |value: &Value| value.as_u64();
    let sequence = match &value["sequence"] {
        Value::Null => None,
        value => Some(number(value)?),
    };
    let pending = match &value["pending"] {
        Value::Null => None,
        value => Some(Pending {
            sequence: number(&value["sequence"])?,
            manifest: digest(value["manifest"].as_str()?)?,
        }),
    };
    (sequence.is_some() || pending.is_some()).then_some(State { sequence, pending })
}

fn digest(text: &str) -> Option<Sha256Digest> {
    let mut bytes = [0; 32];
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (at, byte) in bytes.iter_mut().enumerate().filter(|_| is_hex) {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    is_hex.then_some(bytes)
}

/// The packages that lead back: from the pending update, and from the one that is being applied
/// until it is pending. Another one that fails must not cost the way back from the first.
#[derive(Debug)]
pub(super) struct WaysBack {
    pending: PathBuf,
    coming: PathBuf,
}

impl WaysBack {
    /// Beside the state.
    pub(super) fn beside(state: &Path) -> Self {
        let named = |ending: &str| {
            let mut name = state.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            state.with_file_name(name)
        };
        Self { pending: named(".rollback"), coming: named(".rollback-coming") }
    }

    /// Keeps the package for the update that is applied next, or none.
    pub(super) fn keep(&self, package: Option<&[u8]>) -> Result<()> {
        package.map_or_else(|| remove(&self.coming), |bytes| output::write(&self.coming, bytes))
    }

    /// That update is pending now.
    pub(super) fn take(&self) -> Result<()> {
        if !self.coming.exists() {
            return remove(&self.pending);
        }
        let failed = |error| Error::io("create", &self.pending, error);
        let file = std::fs::File::open(&self.coming).map_err(failed)?;
        output::show(&file, &self.coming, &self.pending)
    }

    /// Nothing is pending any more.
    pub(super) fn forget(&self) -> Result<()> {
        remove(&self.coming)?;
        remove(&self.pending)
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::from(Detail::StateFailed).about(path.display()).remedy(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let pending = Some(Pending { sequence: 9, manifest: [0xa5; 32] });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        assert_eq!(State::read(&path).unwrap(), State::default());
        for (sequence, pending) in [(Some(8), None), (Some(8), pending), (None, pending)] {
            let state = State { sequence, pending };
            state.prepare(&path).unwrap().commit().unwrap();
            assert_eq!(State::read(&path).unwrap(), state);
        }
    }

    #[test]
    fn the_sequence_number_never_goes_back() {
        let pending = Some(Pending { sequence: 7, manifest: [1; 32] });
        for (stored, then) in [(None, 7), (Some(6), 7), (Some(7), 7), (Some(9), 9)] {
            let stored = State { sequence: stored, pending: None };
            let confirmed = State { sequence: Some(then), pending: None };
            assert_eq!(stored.after(7, None), confirmed);
            let waits = stored.after(7, Some([1; 32]));
            assert_eq!(waits, State { pending, ..stored });
            assert_eq!(waits.after(7, None), confirmed);
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let short = "{\"pending\": {\"sequence\": 1, \"manifest\": \"a5\"}}";
        for text in ["", "{}", "{\"sequence\": -1}", "{\"sequence\": \"1\"}", short] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
