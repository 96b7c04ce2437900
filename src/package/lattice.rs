//! ML-DSA-44 keys in PEM files (RFC 9881, private keys as their seed).

use ml_dsa::pkcs8::der::pem::LineEnding;
use ml_dsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ml_dsa::signature::{Keypair as _, Signer as _};
use ml_dsa::{EncodedVerifyingKey, MlDsa44, VerifyingKey};
use zeroize::Zeroizing;

use crate::core::format::key::ML_DSA_44_KEY_LEN;
use crate::error::{Error, Result};

pub(super) type SigningKey = ml_dsa::SigningKey<MlDsa44>;
type Bytes = [u8; ML_DSA_44_KEY_LEN];

pub(super) fn from_seed(seed: &[u8; 32]) -> SigningKey {
    SigningKey::from_seed(seed.into())
}

pub(super) fn from_private_pem(pem: &str) -> Option<SigningKey> {
    SigningKey::from_pkcs8_pem(pem).ok()
}

pub(super) fn to_private_pem(key: &SigningKey) -> Result<Zeroizing<String>> {
    key.to_pkcs8_pem(LineEnding::LF).map_err(|error| Error::input("private key", error))
}

pub(super) fn public(key: &SigningKey) -> Box<Bytes> {
    bytes(&key.verifying_key())
}

pub(super) fn sign(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    key.sign(message).encode().to_vec()
}

pub(super) fn from_public_pem(pem: &str) -> Option<Box<Bytes>> {
    VerifyingKey::<MlDsa44>::from_public_key_pem(pem).ok().map(|key| bytes(&key))
}

pub(super) fn to_public_pem(bytes: &Bytes) -> Result<String> {
    let key = VerifyingKey::<MlDsa44>::decode(&EncodedVerifyingKey::<MlDsa44>::from(*bytes));
    key.to_public_key_pem(LineEnding::LF).map_err(|error| Error::input("public key", error))
}

fn bytes(key: &VerifyingKey<MlDsa44>) -> Box<Bytes> {
    Box::new(key.encode().into())
}
