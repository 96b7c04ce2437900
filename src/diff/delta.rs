//! A delta by itself: its header and payload, as a file and cut into a chain.

use std::cmp::Ordering;

use fwdelta_core::Detail;
use fwdelta_core::apply::memory_len;
use fwdelta_core::format::cbor::Reader;
use fwdelta_core::format::chain::{CHUNK_LEN_MAX, CHUNK_LEN_MIN, ChainStart, HASH_LEN};
use fwdelta_core::format::delta::{DeltaHeader, ImageId, MAGIC};
use fwdelta_core::hash::sha256;

use crate::cbor;
use crate::error::Result;

/// A delta, ready for a file or a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// What a decoder must know first.
    pub header: DeltaHeader,
    /// What it decodes, as transported.
    pub payload: Vec<u8>,
}

impl Delta {
    /// The header's bytes.
    #[must_use]
    pub fn header_bytes(&self) -> Vec<u8> {
        header_bytes(&self.header)
    }

    /// Bytes of header and payload.
    pub(crate) fn len(&self) -> usize {
        self.header_bytes().len() + self.payload.len()
    }

    /// A stand-alone delta file (docs/format-delta.md, section 1).
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        let header = cbor::encode(|writer| writer.bytes(&self.header_bytes()));
        [&MAGIC[..], &header, &self.payload].concat()
    }

    /// The same delta with its payload cut into a hash chain, as packages carry it.
    ///
    /// # Errors
    /// `BadArgument` for a chunk length outside the format's bounds, or when there is a chain
    /// already.
    pub fn chained(mut self, chunk_len: u32) -> Result<Self> {
        let valid = (CHUNK_LEN_MIN..=CHUNK_LEN_MAX).contains(&chunk_len);
        if !valid || self.header.chain.is_some() {
            return Err(Detail::BadArgument.into());
        }
        let (payload, first_hash) = chain(&self.payload, chunk_len as usize);
        self.header.payload_len = payload.len() as u64;
        self.header.chain = Some(ChainStart { chunk_len, first_hash, is_sealed: false });
        self.header.workspace_len = memory_len(&self.header)?;
        Ok(Self { payload, ..self })
    }
}

pub(super) fn header_bytes(header: &DeltaHeader) -> Vec<u8> {
    cbor::encode(|writer| header.emit(writer))
}

pub(super) fn image_id(image: &[u8]) -> ImageId {
    ImageId { len: image.len() as u64, digest: sha256(image) }
}

/// Cuts `payload` into chunks, each followed by the hash of the next record; also the first hash.
#[must_use]
pub fn chain(payload: &[u8], chunk_len: usize) -> (Vec<u8>, [u8; HASH_LEN]) {
    let mut records: Vec<Vec<u8>> = payload.chunks(chunk_len.max(1)).map(<[u8]>::to_vec).collect();
    if records.is_empty() {
        records.push(Vec::new());
    }
    let mut hash: Option<[u8; HASH_LEN]> = None;
    for record in records.iter_mut().rev() {
        record.extend_from_slice(hash.as_ref().map_or(&[], |hash| hash));
        hash = Some(sha256(record));
    }
    (records.concat(), hash.unwrap_or_default())
}

/// Reads a stand-alone delta file: its header and its payload.
///
/// # Errors
/// `BadMagic`, as [`DeltaHeader::parse`], `BadValue` for a header with a chain, `PayloadSize` and
/// `TrailingBytes` when the payload is not of the length in the header.
pub fn parse_file(file: &[u8]) -> Result<(DeltaHeader, &[u8])> {
    let rest = file.strip_prefix(&MAGIC).ok_or(Detail::BadMagic)?;
    let mut reader = Reader::with_base(rest, MAGIC.len() as u64);
    let header = DeltaHeader::parse(reader.bytes()?)?;
    let payload = &file[reader.pos() as usize..];
    let len = payload.len() as u64;
    match (header.chain, len.cmp(&header.payload_len)) {
        (Some(_), _) => Err(Detail::BadValue.into()),
        (_, Ordering::Less) => Err(Detail::PayloadSize.into()),
        (_, Ordering::Greater) => Err(Detail::TrailingBytes.into()),
        (None, Ordering::Equal) => Ok((header, payload)),
    }
}
