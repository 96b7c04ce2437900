//! Operator approval: one more block, nothing else changed (docs/format.md, section 5).

use crate::cbor::encode;
use crate::core::Detail;
use crate::core::format::auth::{Claim, Mode, emit_block};
use crate::core::format::key::Algorithm;
use crate::core::format::manifest::Manifest;
use crate::core::format::plmn::Plmn;
use crate::core::hash::sha256;
use crate::core::verify::secret_mac;
use crate::error::{Error, Result};
use crate::package::assemble::{Parts, manifest_digest, sign_block};
use crate::package::keys::SecretKey;

/// How an operator approves, with what that takes.
#[derive(Clone, Copy)]
pub enum Method<'k> {
    /// A clear string, attached under a trusted key.
    String {
        /// The attaching key.
        key: &'k SecretKey,
        /// The validation string.
        string: [u8; 16],
    },
    /// A MAC under the string, which stays out of the package.
    Secret {
        /// The validation string.
        string: [u8; 16],
    },
    /// The operator's signature.
    Signed {
        /// The operator's key.
        key: &'k SecretKey,
        /// The validation string, if it is to be checked too.
        string: Option<[u8; 16]>,
    },
}

impl Method<'_> {
    fn mode(&self) -> Mode {
        match self {
            Method::String { .. } => Mode::String,
            Method::Secret { .. } => Mode::Secret,
            Method::Signed { .. } => Mode::Signed,
        }
    }

    fn has_string(&self) -> bool {
        !matches!(self, Method::Signed { string: None, .. })
    }
}

/// One approval to add.
#[derive(Clone, Copy)]
pub struct Approval<'a> {
    /// The operator.
    pub plmn: Plmn,
    /// How it approves.
    pub method: Method<'a>,
    /// The operator's own prompts, as a prompts payload.
    pub prompts: Option<&'a [u8]>,
}

/// Gives `package` with one more approval; every other byte of content stays as it is.
///
/// # Errors
/// When the package is malformed, its digest is wrong, there is no room for another block, the key
/// has approved already, or the operator's string is in it in another mode.
pub fn approve(package: &[u8], approval: &Approval<'_>) -> Result<Vec<u8>> {
    let parts = intact(package)?;
    let is_secret = approval.method.mode() == Mode::Secret;
    check_string(&parts, approval.plmn, is_secret, approval.method.has_string() && !is_secret)?;
    let block = block(approval, &parts.signed_payload())?;
    if parts.blocks.contains(&block) {
        return Err(Error::input(approval.plmn, "it has approved this package already"));
    }
    append(parts, block, approval.prompts.map(|prompts| (approval.plmn, prompts)))
}

/// Takes a package apart whose manifest is the one that its blocks sign.
pub(super) fn intact(package: &[u8]) -> Result<Parts<'_>> {
    let parts = Parts::read(package)?;
    if manifest_digest(&parts.manifest) != parts.digest {
        return Err(Detail::DigestMismatch.into());
    }
    Manifest::parse(&parts.manifest, 0)?;
    Ok(parts)
}

/// The package with one more block, and the prompts that it gives a digest of.
pub(super) fn append<'p>(
    mut parts: Parts<'p>,
    block: Vec<u8>,
    prompts: Option<(Plmn, &'p [u8])>,
) -> Result<Vec<u8>> {
    if parts.blocks_left() == 0 {
        return Err(Detail::TooManyBlocks.into());
    }
    if let Some((plmn, prompts)) = prompts {
        let key = format!("#q{plmn}");
        match parts.payload(&key) {
            Some(there) if there != prompts => {
                let what = "the package has other prompts of this operator";
                return Err(Error::input(plmn, what));
            }
            Some(_) => {}
            None => parts.payloads.push((key, prompts)),
        }
    }
    parts.blocks.push(block);
    let approved = parts.write();
    // What was written must read as it should before anyone ships it.
    let again = Parts::read(&approved)?;
    if again.blocks != parts.blocks || again.manifest != parts.manifest {
        return Err(Detail::Bug.into());
    }
    Ok(approved)
}

fn block(approval: &Approval<'_>, payload: &[u8]) -> Result<Vec<u8>> {
    let prompts = approval.prompts.map(sha256);
    let (plmn, mode) = (approval.plmn, approval.method.mode());
    let (key, string) = match &approval.method {
        Method::String { key, string } => (Some(*key), Some(string)),
        Method::Signed { key, string } => (Some(*key), string.as_ref()),
        Method::Secret { .. } => (None, None),
    };
    let kid = key.map(|key| key.public().kid());
    let claim =
        Claim::Approval { kid: kid.as_ref(), plmn, mode, string, prompts: prompts.as_ref() };
    match (&approval.method, key) {
        (Method::Secret { string }, _) => {
            let protected = encode(|w| claim.emit(w, Algorithm::Ed25519));
            let mac = secret_mac(string, plmn, &protected, payload)?;
            Ok(encode(|w| emit_block(w, &protected, &mac)))
        }
        (_, Some(key)) => sign_block(&claim, payload, key),
        (_, None) => Err(Detail::Bug.into()),
    }
}

/// An operator uses its string in one mode only: a clear one gives away the key of a secret one.
pub(super) fn check_string(
    parts: &Parts<'_>,
    operator: Plmn,
    adds_secret: bool,
    adds_clear: bool,
) -> Result<()> {
    let Some(auth) = parts.authentication()? else { return Ok(()) };
    for block in auth.blocks() {
        let Claim::Approval { plmn, mode, string, .. } = block.claim else { continue };
        let (clear, secret) = (string.is_some(), mode == Mode::Secret);
        if plmn == operator && (secret && adds_clear || clear && adds_secret) {
            let what = "its string is in this package in another mode; use one mode only";
            return Err(Error::input(plmn, what));
        }
    }
    Ok(())
}
