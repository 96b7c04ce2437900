//! The envelope of an index: that of a package, with one component `index` and one payload.
//!
//! Key ids, blocks and what they sign are those of packages, so the same keys and the same
//! verification serve both. Neither can be taken for the other: the manifest of an index is not a
//! recipe a device accepts (`UnknownRecipe`), and that of a package is not the one form accepted
//! here.

use super::{INDEX_LEN_MAX, Index, table};
use crate::cbor::encode;
use crate::core::Detail;
use crate::core::format::auth::{
    Authentication, Claim, Requirement, emit_requirement, emit_wrapper,
};
use crate::core::format::cbor::Reader;
use crate::core::format::manifest::Blob;
use crate::core::format::suit::{
    KEY_AUTHENTICATION, KEY_MANIFEST, TAG_ENVELOPE, emit_digest, parse_digest,
};
use crate::core::format::trust::Trust;
use crate::core::limits::BLOCK_COUNT_MAX;
use crate::core::verify::{Crypto, check_signers};
use crate::error::{Error, Result};
use crate::package::SecretKey;
use crate::package::assemble::{manifest_digest, sign_block, signed_payload};
use crate::package::seal::blob;

/// The payload that holds the table.
const PAYLOAD: &str = "#index";

/// An index and what its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The packages.
    pub index: Index,
    /// Sequence number of the index, which only grows.
    pub sequence: u64,
    /// UUID of the vendor.
    pub vendor_id: [u8; 16],
    /// UUID of the device class.
    pub class_id: [u8; 16],
}

/// The manifest, in its only form.
struct Head {
    sequence: u64,
    vendor_id: [u8; 16],
    class_id: [u8; 16],
    table: Blob,
}

/// Signs an index with every key.
///
/// # Errors
/// As [`open`] for an index that it would refuse, and when there is no key or too many.
pub fn seal(opened: &Opened, keys: &[SecretKey]) -> Result<Vec<u8>> {
    if keys.is_empty() || keys.len() > BLOCK_COUNT_MAX {
        return Err(Error::input("--key", "give one to eight vendor keys"));
    }
    let table = table::emit(&opened.index);
    let head = Head {
        sequence: opened.sequence,
        vendor_id: opened.vendor_id,
        class_id: opened.class_id,
        table: blob(&table),
    };
    let manifest = head.emit();
    let digest = manifest_digest(&manifest);
    let requirement = encode(|w| emit_requirement(w, None));
    let requirement = Requirement::from_encoded(&requirement)?;
    let payload = signed_payload(&digest);
    let blocks: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| {
            let claim = Claim::Vendor { kid: &key.public().kid(), requirement };
            sign_block(&claim, &payload, key)
        })
        .collect::<Result<_>>()?;
    let auth = encode(|w| emit_wrapper(w, &digest, blocks.iter().map(Vec::as_slice)));
    let bytes = encode(|w| {
        w.tag(TAG_ENVELOPE)?;
        w.map(3)?;
        w.int(KEY_AUTHENTICATION)?;
        w.bytes(&auth)?;
        w.int(KEY_MANIFEST)?;
        w.bytes(&manifest)?;
        w.text(PAYLOAD)?;
        w.bytes(&table)
    });
    // The parser is the rule book here too.
    if open(&bytes, None::<(&Trust<'_>, &crate::core::verify::Ed25519)>)? != *opened {
        return Err(Detail::Bug.into());
    }
    Ok(bytes)
}

/// Opens an index. With a trust anchor its vendors' signatures must reach the threshold before any
/// of the manifest or the table is parsed; without, only its digests are checked.
///
/// # Errors
/// As docs/format.md, steps 1 and 2 of the order of checks; then `UnknownRecipe` for another
/// manifest, `PayloadSize` and `PayloadDigest` for another table, and the errors of the table.
pub fn open(bytes: &[u8], trust: Option<(&Trust<'_>, &impl Crypto)>) -> Result<Opened> {
    if bytes.len() > INDEX_LEN_MAX {
        return Err(Detail::EnvelopeTooLarge.into());
    }
    let (auth, auth_pos, manifest, table) = envelope(bytes)?;
    let auth = Authentication::parse(auth, auth_pos)?;
    if manifest_digest(manifest) != *auth.digest {
        return Err(Detail::DigestMismatch.into());
    }
    if let Some((trust, crypto)) = trust {
        check_signers(&auth, trust, crypto)?;
    }
    let head = Head::parse(manifest)?;
    let found = blob(table);
    if found.len != head.table.len {
        return Err(Detail::PayloadSize.into());
    }
    if found.digest != head.table.digest {
        return Err(Detail::PayloadDigest.into());
    }
    let Head { sequence, vendor_id, class_id, .. } = head;
    Ok(Opened { index: table::parse(table)?, sequence, vendor_id, class_id })
}

type Parts<'a> = (&'a [u8], u64, &'a [u8], &'a [u8]);

/// Authentication wrapper with its position, manifest, table.
fn envelope(bytes: &[u8]) -> crate::core::Result<Parts<'_>> {
    let mut reader = Reader::new(bytes);
    reader.tag(TAG_ENVELOPE)?;
    let (mut auth, mut manifest, mut table) = (None, None, None);
    let mut map = reader.map()?;
    while let Some(key) = map.key(&mut reader)? {
        let unknown = key.error(Detail::UnknownKey);
        let (mut as_int, mut as_text) = (key, key);
        let value = reader.bytes()?;
        match (as_int.int(), as_text.text()) {
            (Ok(KEY_AUTHENTICATION), _) => auth = Some((value, reader.pos() - value.len() as u64)),
            (Ok(KEY_MANIFEST), _) => manifest = Some(value),
            (_, Ok(PAYLOAD)) => table = Some(value),
            _ => return Err(unknown),
        }
    }
    reader.finish()?;
    let missing = Detail::MissingField;
    let (auth, pos) = auth.ok_or(missing)?;
    Ok((auth, pos, manifest.ok_or(missing)?, table.ok_or(Detail::MissingPayload)?))
}

impl Head {
    /// `{1: 1, 2: sequence, 3: common, 7: validate, 20: install}` of docs/format-index.md.
    fn emit(&self) -> Vec<u8> {
        let digest = encode(|w| emit_digest(w, &self.table.digest));
        let shared = encode(|w| {
            w.array(6)?;
            w.uint(20)?;
            w.map(4)?;
            w.uint(1)?;
            w.bytes(&self.vendor_id)?;
            w.uint(2)?;
            w.bytes(&self.class_id)?;
            w.uint(3)?;
            w.bytes(&digest)?;
            w.uint(14)?;
            w.uint(self.table.len)?;
            [1, 15, 2, 15].into_iter().try_for_each(|item| w.uint(item))
        });
        let common = encode(|w| {
            w.map(2)?;
            w.uint(2)?;
            w.array(1)?;
            w.array(1)?;
            w.bytes(b"index")?;
            w.uint(4)?;
            w.bytes(&shared)
        });
        let install = encode(|w| {
            w.array(6)?;
            w.uint(20)?;
            w.map(1)?;
            w.uint(21)?;
            w.text(PAYLOAD)?;
            [21, 2, 3, 15].into_iter().try_for_each(|item| w.uint(item))
        });
        encode(|w| {
            w.map(5)?;
            w.uint(1)?;
            w.uint(1)?;
            w.uint(2)?;
            w.uint(self.sequence)?;
            w.uint(3)?;
            w.bytes(&common)?;
            w.uint(7)?;
            w.bytes(&[0x82, 3, 15])?;
            w.uint(20)?;
            w.bytes(&install)
        })
    }

    /// Reads what varies, then compares the whole with what [`Head::emit`] makes of it.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let head = Self::read(bytes).map_err(|_| Detail::UnknownRecipe)?;
        if head.emit() == bytes { Ok(head) } else { Err(Detail::UnknownRecipe.into()) }
    }

    fn read(bytes: &[u8]) -> crate::core::Result<Self> {
        let mut reader = Reader::new(bytes);
        reader.map()?;
        reader.uint()?;
        reader.uint()?;
        reader.uint()?;
        let sequence = reader.uint()?;
        reader.uint()?;
        let mut common = reader.nested()?;
        common.map()?;
        common.uint()?;
        common.skip()?;
        common.uint()?;
        let mut shared = common.nested()?;
        shared.array()?;
        shared.uint()?;
        shared.map()?;
        shared.uint()?;
        let vendor_id = *shared.array_of::<16>()?;
        shared.uint()?;
        let class_id = *shared.array_of::<16>()?;
        shared.uint()?;
        let digest = *parse_digest(&mut shared.nested()?)?;
        shared.uint()?;
        let table = Blob { len: shared.uint()?, digest };
        Ok(Self { sequence, vendor_id, class_id, table })
    }
}
