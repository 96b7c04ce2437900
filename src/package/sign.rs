//! Signing where the key is not: bytes to sign out, a signature in (docs/signing.md).
//!
//! What is signed is the COSE `Sig_structure`, which holds the protected header. So a request says
//! all of what its block will say, and nothing has to be kept beside it.

use crate::cbor::encode;
use crate::core::Detail;
use crate::core::format::auth::{
    Authentication, Claim, Mode, Requirement, emit_block, emit_requirement, emit_signed,
    emit_wrapper,
};
use crate::core::format::cbor::Reader;
use crate::core::format::key::Algorithm;
use crate::core::format::plmn::Plmn;
use crate::core::hash::sha256;
use crate::core::verify::Crypto as _;
use crate::error::{Error, Result};
use crate::package::approve::{append, check_string, intact};
use crate::package::assemble::Parts;
use crate::package::keys::{ALGORITHMS, PublicKey, SecretKey};

/// What a signature shall say.
#[derive(Clone, Debug)]
pub enum Statement<'a> {
    /// The vendor's signature.
    Vendor {
        /// Which operators must approve, as [`crate::package::seal::Draft::requirement`]; `None`
        /// is what earlier vendor signatures say, or no requirement if there is none.
        requirement: Option<Vec<Plmn>>,
    },
    /// An operator's approval.
    Operator {
        /// The operator.
        plmn: Plmn,
        /// `Signed`, or `String` for a clear string under a key that may attach it.
        mode: Mode,
        /// The validation string.
        string: Option<[u8; 16]>,
        /// The operator's own prompts, as a prompts payload.
        prompts: Option<&'a [u8]>,
    },
}

impl<'a> Statement<'a> {
    fn prompts(&self) -> Option<&'a [u8]> {
        match self {
            Statement::Operator { prompts, .. } => *prompts,
            Statement::Vendor { .. } => None,
        }
    }
}

/// The bytes that `key` is to sign, so that `package` gets a block that says `statement`.
///
/// # Errors
/// When the package is damaged or full, has a block by this key already, its vendors require
/// something else, or the statement does not fit key or package.
pub fn prepare(package: &[u8], key: &PublicKey, statement: &Statement<'_>) -> Result<Vec<u8>> {
    let parts = intact(package)?;
    let kid = key.kid();
    let required = match statement {
        Statement::Vendor { requirement } => requirement_of(&parts, requirement.as_deref())?,
        Statement::Operator { .. } => Vec::new(),
    };
    let digest;
    let claim = match statement {
        Statement::Vendor { .. } => {
            Claim::Vendor { kid: &kid, requirement: Requirement::from_encoded(&required)? }
        }
        Statement::Operator { plmn, mode, string, prompts } => {
            digest = prompts.map(sha256);
            let (string, prompts) = (string.as_ref(), digest.as_ref());
            Claim::Approval { kid: Some(&kid), plmn: *plmn, mode: *mode, string, prompts }
        }
    };
    let protected = encode(|w| claim.emit(w, key.algorithm()));
    let stand_in = encode(|w| emit_block(w, &protected, &vec![0; key.algorithm().signature_len()]));
    // Nobody is asked for a signature that could not be attached.
    add(parts.clone(), stand_in, statement.prompts())?;
    Ok(encode(|w| emit_signed(w, false, &protected, &parts.signed_payload())))
}

/// Gives `package` with the block that `request` was made for. The signature is checked before
/// anything is made of it; one of ESP256 may be `r || s` or DER.
///
/// # Errors
/// When request, key, signature and package do not belong together, and as [`prepare`].
pub fn attach(
    package: &[u8],
    request: &[u8],
    key: &PublicKey,
    signature: &[u8],
    prompts: Option<&[u8]>,
) -> Result<Vec<u8>> {
    let parts = intact(package)?;
    let (protected, payload) = read_request(request)?;
    if payload != parts.signed_payload() {
        let remedy = "the request was made for another package; prepare one for this";
        return Err(Error::from(Detail::DigestMismatch).remedy(remedy));
    }
    let signature = verified(key, request, signature)?;
    let block = encode(|w| emit_block(w, protected, &signature));
    check_key(&parts, &block, key)?;
    add(parts, block, prompts)
}

/// [`prepare`], sign and [`attach`] at once.
///
/// # Errors
/// As these, and when whoever holds the key does not sign.
pub fn sign(package: &[u8], key: &SecretKey, statement: &Statement<'_>) -> Result<Vec<u8>> {
    let public = key.public();
    let request = prepare(package, &public, statement)?;
    attach(package, &request, &public, &key.sign(&request)?, statement.prompts())
}

/// The requirement item of a new vendor block: what the others say, or what is asked for.
fn requirement_of(parts: &Parts<'_>, wanted: Option<&[Plmn]>) -> Result<Vec<u8>> {
    let asked = encode(|w| emit_requirement(w, wanted));
    match vendors_say(parts)? {
        Some(said) if wanted.is_some() && said != asked => {
            let remedy = "leave --require out, and what earlier vendors signed is signed again";
            Err(Error::from(Detail::VendorsDisagree).remedy(remedy))
        }
        Some(said) => Ok(said),
        None => Ok(asked),
    }
}

/// The requirement item of the vendor blocks that are there.
fn vendors_say(parts: &Parts<'_>) -> Result<Option<Vec<u8>>> {
    let Some(auth) = parts.authentication()? else { return Ok(None) };
    Ok(auth.blocks().find_map(|block| match block.claim {
        Claim::Vendor { requirement, .. } => Some(encoded(requirement)),
        Claim::Approval { .. } => None,
    }))
}

fn encoded(requirement: Requirement<'_>) -> Vec<u8> {
    let listed: Vec<_> = requirement.operators().collect();
    encode(|w| emit_requirement(w, requirement.is_required().then_some(listed.as_slice())))
}

/// Protected header and payload of a `Sig_structure`.
fn read_request(request: &[u8]) -> Result<(&[u8], &[u8])> {
    let read = || -> crate::core::Result<Option<(&[u8], &[u8])>> {
        let mut reader = Reader::new(request);
        reader.array_exact(4)?;
        let context = reader.text()?;
        let (protected, external, payload) = (reader.bytes()?, reader.bytes()?, reader.bytes()?);
        reader.finish()?;
        let fits = context == "Signature1" && external.is_empty();
        Ok(fits.then_some((protected, payload)))
    };
    let foreign = || {
        let remedy = "not a request of `fwdelta sign prepare`";
        Error::from(Detail::BadValue).remedy(remedy)
    };
    read().map_err(|_| foreign())?.ok_or_else(foreign)
}

/// The signature as COSE has it, if it is one of `request` by `key`; of ESP256 DER is taken too.
pub(super) fn verified(key: &PublicKey, request: &[u8], signature: &[u8]) -> Result<Vec<u8>> {
    let signature = plain(key.algorithm(), signature);
    if ALGORITHMS.verify(key.raw(), request, &signature) == Some(true) {
        return Ok(signature);
    }
    let remedy = format!(
        "it is not a signature of these bytes by this key ({} of {} bytes expected)",
        key.algorithm().name(),
        key.algorithm().signature_len()
    );
    Err(Error::from(Detail::BadSignature).remedy(remedy))
}

/// ESP256 as COSE has it: tools other than tokens give DER.
fn plain(algorithm: Algorithm, signature: &[u8]) -> Vec<u8> {
    if algorithm == Algorithm::Esp256
        && let Ok(read) = p256::ecdsa::Signature::from_der(signature)
    {
        return read.to_bytes().to_vec();
    }
    signature.to_vec()
}

/// The block names the key that signed it, and its algorithm.
fn check_key(parts: &Parts<'_>, block: &[u8], key: &PublicKey) -> Result<()> {
    let wrapper = encode(|w| emit_wrapper(w, &parts.digest, [block].into_iter()));
    let auth = Authentication::parse(&wrapper, 0)?;
    let block = auth.blocks().next().ok_or(Detail::Bug)?;
    let named = block.claim.kid() == Some(&key.kid());
    if named && block.algorithm == Some(key.algorithm()) {
        return Ok(());
    }
    Err(Error::from(Detail::WrongRole).remedy("the request was made for another key"))
}

/// Appends a signed block, its prompts with it.
fn add(parts: Parts<'_>, block: Vec<u8>, prompts: Option<&[u8]>) -> Result<Vec<u8>> {
    let wrapper = encode(|w| emit_wrapper(w, &parts.digest, [block.as_slice()].into_iter()));
    let auth = Authentication::parse(&wrapper, 0)?;
    let claim = auth.blocks().next().ok_or(Detail::Bug)?.claim;
    match claim {
        Claim::Vendor { requirement, .. } => {
            if vendors_say(&parts)?.is_some_and(|said| said != encoded(requirement)) {
                return Err(Detail::VendorsDisagree.into());
            }
            append(parts, block, None)
        }
        Claim::Approval { plmn, string, prompts: digest, .. } => {
            check_string(&parts, plmn, false, string.is_some())?;
            let there = parts.payload(&format!("#q{plmn}"));
            let prompts = prompts.or(there).filter(|_| digest.is_some());
            if prompts.map(sha256).as_ref() != digest {
                let what = "give the prompts that the request was made with";
                return Err(Error::input("--prompts", what));
            }
            append(parts, block, prompts.map(|prompts| (plmn, prompts)))
        }
    }
}
