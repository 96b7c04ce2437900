//! Keys in tokens: smart cards, hardware security modules, SoftHSM (PKCS#11).

use std::sync::{Arc, Mutex};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as TokenError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::args;
use super::pkcs11_uri::Uri;
use crate::core::format::key::Algorithm;
use crate::core::hash::sha256;
use crate::error::{Error, Result};
use crate::package::{PublicKey, SecretKey, Signer};

/// Names the library that speaks to the token, where the URI does not.
const MODULE: &str = "FWDELTA_PKCS11_MODULE";
/// Has the PIN, where the URI names no file with it.
const PIN: &str = "FWDELTA_PKCS11_PIN";
/// `CKA_EC_PARAMS` of P-256: the object identifier 1.2.840.10045.3.1.7.
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// `CKA_EC_PARAMS` of Ed25519: the curve's name (PKCS#11 version 2.41), which SoftHSM takes, too.
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";

/// A private key in a token, logged in.
struct TokenKey {
    // One operation at a time in a session.
    session: Mutex<Session>,
    handle: ObjectHandle,
    public: PublicKey,
    uri: String,
}

impl Signer for TokenKey {
    fn public(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let session = self.session.lock().map_err(|_| crate::core::Detail::Bug)?;
        let signed = match self.public.algorithm() {
            // The token gets the digest: not every one hashes itself.
            Algorithm::Esp256 => session.sign(&Mechanism::Ecdsa, self.handle, &sha256(message)),
            _ => session.sign(&eddsa(), self.handle, message),
        };
        signed.map_err(|error| said(&self.uri, "sign", &error))
    }
}

fn eddsa() -> Mechanism<'static> {
    Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519))
}

/// The key that `uri` names.
pub(super) fn open(uri: &str) -> Result<SecretKey> {
    let parsed = Uri::parse(uri)?;
    let session = session(uri, &parsed, false)?;
    let handle = find(uri, &parsed, &session, ObjectClass::PRIVATE_KEY, "private key")?;
    let public = find(uri, &parsed, &session, ObjectClass::PUBLIC_KEY, "public key")?;
    let public = read_public(uri, &session, public)?;
    let uri = uri.to_owned();
    Ok(SecretKey::elsewhere(Arc::new(TokenKey {
        session: Mutex::new(session),
        handle,
        public,
        uri,
    })))
}

/// Makes a key pair in the token, named as `uri` says; the private key cannot be taken out.
pub(super) fn generate(uri: &str, algorithm: Algorithm) -> Result<PublicKey> {
    let parsed = Uri::parse(uri)?;
    let label = parsed.object.clone().ok_or_else(|| {
        Error::input(uri, "say what the new key is called: pkcs11:token=...;object=NAME")
    })?;
    let (mechanism, curve) = match algorithm {
        Algorithm::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, ED25519_NAME),
        Algorithm::Esp256 => (Mechanism::EccKeyPairGen, P256),
        Algorithm::MlDsa44 => {
            let what = "tokens make Ed25519 and P-256 keys here; ML-DSA-44 keys are files";
            return Err(Error::input(uri, what));
        }
    };
    let session = session(uri, &parsed, true)?;
    let label = label.into_bytes();
    let named = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.clone())];
    let there = session.find_objects(&named).map_err(|error| said(uri, "look for keys", &error))?;
    if !there.is_empty() {
        let what = "the token has a key of this name, which is not overwritten; choose another";
        return Err(Error::input(uri, what));
    }
    let id = parsed.id.clone().unwrap_or_else(|| sha256(&label)[..8].to_vec());
    let both = [Attribute::Token(true), Attribute::Label(label), Attribute::Id(id)];
    let public = [Attribute::Verify(true), Attribute::EcParams(curve.to_vec())];
    let private = [
        Attribute::Private(true),
        Attribute::Sign(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
    ];
    let made = session.generate_key_pair(
        &mechanism,
        &[&both[..], &public].concat(),
        &[&both[..], &private].concat(),
    );
    let (public, _) = made.map_err(|error| said(uri, "make a key", &error))?;
    read_public(uri, &session, public)
}

/// A session with the token, logged in.
fn session(uri: &str, parsed: &Uri, may_write: bool) -> Result<Session> {
    let module = module(uri, parsed)?;
    let slot = slot(uri, parsed, &module)?;
    let session =
        if may_write { module.open_rw_session(slot) } else { module.open_ro_session(slot) };
    let session = session.map_err(|error| said(uri, "open a session", &error))?;
    match session.login(UserType::User, Some(&pin(uri, parsed)?)) {
        // By another key of this command.
        Ok(()) | Err(TokenError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(error) => Err(said(uri, "log in", &error)),
    }
}

fn module(uri: &str, parsed: &Uri) -> Result<Pkcs11> {
    let path = parsed.module_path.clone().or_else(|| std::env::var(MODULE).ok());
    let path = path.ok_or_else(|| {
        let what = "name the token's library: ?module-path=FILE";
        Error::input(uri, format!("{what}, or {MODULE} in the environment"))
    })?;
    // A bare name would be searched for in folders that others may write to.
    if !std::path::Path::new(&path).is_absolute() {
        return Err(Error::input(path, "give the whole path of the token's library"));
    }
    let module = Pkcs11::new(&path).map_err(|error| said(&path, "be loaded", &error))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // By another key of this command.
        Ok(()) | Err(TokenError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(said(&path, "be used", &error)),
    }
}

/// The one slot whose token fits.
fn slot(uri: &str, parsed: &Uri, module: &Pkcs11) -> Result<Slot> {
    let failed = |error| said(uri, "list its tokens", &error);
    let mut fitting = Vec::new();
    for slot in module.get_slots_with_token().map_err(failed)? {
        let token = module.get_token_info(slot).map_err(failed)?;
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found.trim_end())
        };
        let fits = is(&parsed.token, token.label()) && is(&parsed.serial, token.serial_number());
        if fits && token.token_initialized() {
            fitting.push(slot);
        }
    }
    match fitting.as_slice() {
        [slot] => Ok(*slot),
        [] => Err(Error::input(uri, "there is no such token; `token=` is its label")),
        _ => Err(Error::input(uri, "several tokens fit; add token= or serial=")),
    }
}

fn pin(uri: &str, parsed: &Uri) -> Result<AuthPin> {
    let text = match (&parsed.pin_source, std::env::var(PIN)) {
        (Some(source), _) => {
            let path = source.strip_prefix("file://").or_else(|| source.strip_prefix("file:"));
            args::secret(path.unwrap_or(source).as_ref())?
        }
        (None, Ok(text)) => Zeroizing::new(text),
        (None, Err(_)) => {
            let what = "the token wants its PIN: ?pin-source=FILE";
            return Err(Error::input(uri, format!("{what}, or {PIN} in the environment")));
        }
    };
    Ok(AuthPin::from(text.trim_end_matches(['\r', '\n'])))
}

/// The one object of `class` that fits.
fn find(
    uri: &str,
    parsed: &Uri,
    session: &Session,
    class: ObjectClass,
    what: &str,
) -> Result<ObjectHandle> {
    let mut wanted = vec![Attribute::Class(class)];
    wanted.extend(parsed.object.clone().map(|label| Attribute::Label(label.into_bytes())));
    wanted.extend(parsed.id.clone().map(Attribute::Id));
    let found =
        session.find_objects(&wanted).map_err(|error| said(uri, "look for keys", &error))?;
    match found.as_slice() {
        [object] => Ok(*object),
        [] => Err(Error::input(uri, format!("the token has no such {what}; `object=` is a label"))),
        _ => Err(Error::input(uri, format!("more than one {what} fits; add object= or id="))),
    }
}

fn read_public(uri: &str, session: &Session, object: ObjectHandle) -> Result<PublicKey> {
    let wanted = [AttributeType::KeyType, AttributeType::EcPoint];
    let attributes = session.get_attributes(object, &wanted);
    let attributes = attributes.map_err(|error| said(uri, "show its public key", &error))?;
    let (mut kind, mut point) = (None, Vec::new());
    for attribute in attributes {
        match attribute {
            Attribute::KeyType(found) => kind = Some(found),
            Attribute::EcPoint(found) => point = found,
            _ => {}
        }
    }
    // A DER octet string in version 2 of the standard; some tokens leave its head out.
    let raw = match point.as_slice() {
        [0x04, len, rest @ ..] if rest.len() == usize::from(*len) => rest,
        all => all,
    };
    match (kind, <[u8; 32]>::try_from(raw)) {
        (Some(KeyType::EC_EDWARDS), Ok(key)) => Ok(PublicKey::Ed25519(key)),
        (Some(KeyType::EC), _) => PublicKey::from_point(raw, uri),
        _ => Err(Error::input(uri, "neither an Ed25519 nor a P-256 key")),
    }
}

/// What a token or its library did not do; messages of theirs have no PIN in them.
fn said(subject: &str, action: &str, error: &TokenError) -> Error {
    let reason = match error {
        TokenError::Pkcs11(RvError::PinIncorrect, _) => "the PIN is wrong".to_owned(),
        TokenError::Pkcs11(RvError::PinLocked, _) => "the PIN is locked".to_owned(),
        TokenError::Pkcs11(RvError::MechanismInvalid, _) => {
            "the token does not have this algorithm".to_owned()
        }
        other => other.to_string(),
    };
    Error::input(subject, format!("cannot {action}: {reason}"))
}
