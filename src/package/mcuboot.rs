//! Images as MCUboot wants them: header, payload and a trailer of type-length-value entries.
//!
//! Layout and numbers are those of MCUboot's docs/design.md ("Image format") and of imgtool 2.5,
//! in little endian:
//!
//! ```text
//! header (32 bytes, then 0xff up to header_len) | payload
//! | 0x6908, length | security counter, dependencies, vendor's entries     covered by the hash
//! | 0x6907, length | SHA-256, hash of the public key, signature           not covered
//! ```

use crate::core::Detail;
use crate::core::hash::{Sha256Digest, sha256};
use crate::error::{Error, Result};
use crate::package::{PublicKey, SecretKey};

/// Bytes of the header that mean something.
pub const HEADER_LEN_MIN: u16 = 32;
/// Where imgtool lets vendors choose their own types.
pub const VENDOR_TYPES: std::ops::RangeInclusive<u16> = 0x00a0..=0xfffe;

const IMAGE_MAGIC: u32 = 0x96f3_b83d;
const INFO_MAGIC: u16 = 0x6907;
const PROTECTED_INFO_MAGIC: u16 = 0x6908;
const KEY_HASH: u16 = 0x01;
const SHA_256: u16 = 0x10;
const ECDSA_SIGNATURE: u16 = 0x22;
const ED25519_SIGNATURE: u16 = 0x24;
const DEPENDENCY: u16 = 0x40;
const SECURITY_COUNTER: u16 = 0x50;
/// DER of a SubjectPublicKeyInfo up to the key (RFC 8410, section 4; RFC 5480, section 2).
const ED25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256_SPKI: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
/// What erased flash reads as, and the rest of the header is filled with.
const ERASED: u8 = 0xff;
/// Type and length of an entry, and of a whole area.
const ENTRY_HEAD_LEN: usize = 4;

/// A version as MCUboot has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// As in 1.2.3+4.
    pub major: u8,
    /// As in 1.2.3+4.
    pub minor: u8,
    /// As in 1.2.3+4.
    pub revision: u16,
    /// As in 1.2.3+4.
    pub build: u32,
}

impl std::str::FromStr for Version {
    type Err = String;

    /// Reads `MAJOR[.MINOR[.REVISION]][+BUILD]`; what is missing is 0.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("{text}: a version is MAJOR.MINOR.REVISION+BUILD, as in 1.2.3+4");
        let (numbers, build) = text.split_once('+').unwrap_or((text, "0"));
        let mut numbers = numbers.split('.');
        let mut next = || match numbers.next() {
            Some(number) => number.parse::<u16>().map_err(|_| wrong()),
            None => Ok(0),
        };
        let byte = |number: u16| u8::try_from(number).map_err(|_| wrong());
        let version = Self {
            major: byte(next()?)?,
            minor: byte(next()?)?,
            revision: next()?,
            build: build.parse().map_err(|_| wrong())?,
        };
        if numbers.next().is_some() { Err(wrong()) } else { Ok(version) }
    }
}

impl Version {
    fn bytes(self) -> [u8; 8] {
        let [r0, r1] = self.revision.to_le_bytes();
        let [b0, b1, b2, b3] = self.build.to_le_bytes();
        [self.major, self.minor, r0, r1, b0, b1, b2, b3]
    }
}

/// Another image that must be there in at least this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Number of the image, from 0.
    pub image: u8,
    /// The oldest version that will do.
    pub version: Version,
}

impl std::str::FromStr for Dependency {
    type Err = String;

    /// Reads `IMAGE:VERSION`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("{text}: a dependency is IMAGE:VERSION, as in 1:1.2.3");
        let (image, version) = text.split_once(':').ok_or_else(wrong)?;
        Ok(Self { image: image.parse().map_err(|_| wrong())?, version: version.parse()? })
    }
}

/// What an image says besides its payload.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    /// Its version.
    pub version: Version,
    /// Bytes before the payload, at least [`HEADER_LEN_MIN`]; a multiple of 4.
    pub header_len: u16,
    /// Where it is loaded, for images that run from RAM; else 0.
    pub load_address: u32,
    /// Rollback protection: images with a lower one are refused.
    pub security_counter: Option<u32>,
    /// What other images must be there.
    pub dependencies: Vec<Dependency>,
    /// Protected entries of the vendor's own types ([`VENDOR_TYPES`]).
    pub custom: Vec<(u16, Vec<u8>)>,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            version: Version::default(),
            header_len: HEADER_LEN_MIN,
            load_address: 0,
            security_counter: None,
            dependencies: Vec::new(),
            custom: Vec::new(),
        }
    }
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Image {
    /// All of it.
    pub bytes: Vec<u8>,
    /// The digest in it: of header, payload and protected entries.
    pub digest: Sha256Digest,
}

/// Makes an image and signs it with an Ed25519 or P-256 key.
///
/// # Errors
/// Lengths that do not fit their fields, types that are not the vendor's, a key of another kind,
/// and what the key's holder says.
pub fn sign_image(payload: &[u8], options: &ImageOptions, key: &SecretKey) -> Result<Image> {
    let protected = protected(options)?;
    let mut bytes = header(payload.len(), protected.len(), options)?;
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&protected);
    let digest = sha256(&bytes);
    let mut entries = Vec::new();
    entry(&mut entries, SHA_256, &digest)?;
    let (prefix, kind, signature) = signature(&bytes, &digest, key)?;
    let spki = [prefix, key.public().raw().bytes()].concat();
    entry(&mut entries, KEY_HASH, &sha256(&spki))?;
    entry(&mut entries, kind, &signature)?;
    bytes.extend_from_slice(&area(INFO_MAGIC, &entries)?);
    Ok(Image { bytes, digest })
}

/// What stands before the raw key in its SubjectPublicKeyInfo, type and value of the signature.
///
/// Ed25519 signs the digest, as MCUboot does where the image itself is not signed ("pure"); ECDSA
/// hashes what it signs, so it is given what the digest is of.
fn signature(
    hashed: &[u8],
    digest: &Sha256Digest,
    key: &SecretKey,
) -> Result<(&'static [u8], u16, Vec<u8>)> {
    match key.public() {
        PublicKey::Ed25519(_) => Ok((ED25519_SPKI, ED25519_SIGNATURE, key.sign(digest)?)),
        PublicKey::Esp256(_) => {
            let raw = p256::ecdsa::Signature::from_slice(&key.sign(hashed)?);
            let raw = raw.map_err(|_| Error::from(Detail::Bug))?;
            Ok((P256_SPKI, ECDSA_SIGNATURE, raw.to_der().as_bytes().to_vec()))
        }
        PublicKey::MlDsa44(_) => {
            Err(Error::input("--key", "MCUboot knows Ed25519 and P-256, not ML-DSA-44"))
        }
    }
}

fn header(payload_len: usize, protected_len: usize, options: &ImageOptions) -> Result<Vec<u8>> {
    let ImageOptions { header_len, load_address, version, .. } = options;
    if *header_len < HEADER_LEN_MIN || header_len % 4 != 0 {
        let what = format!("at least {HEADER_LEN_MIN} bytes and a multiple of 4");
        return Err(Error::input("--header-len", what));
    }
    let payload_len = u32::try_from(payload_len)
        .map_err(|_| Error::from(Detail::ImageTooLarge).about("an MCUboot image"))?;
    let mut bytes = IMAGE_MAGIC.to_le_bytes().to_vec();
    bytes.extend_from_slice(&load_address.to_le_bytes());
    bytes.extend_from_slice(&header_len.to_le_bytes());
    bytes.extend_from_slice(&short(protected_len)?.to_le_bytes());
    bytes.extend_from_slice(&payload_len.to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&version.bytes());
    // Padding of the structure, which is not that behind it.
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.resize(usize::from(*header_len), ERASED);
    Ok(bytes)
}

/// The protected area; none at all if there is nothing in it.
fn protected(options: &ImageOptions) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    if let Some(counter) = options.security_counter {
        entry(&mut entries, SECURITY_COUNTER, &counter.to_le_bytes())?;
    }
    for Dependency { image, version } in &options.dependencies {
        let value = [&[*image, 0, 0, 0][..], &version.bytes()].concat();
        entry(&mut entries, DEPENDENCY, &value)?;
    }
    for (kind, value) in &options.custom {
        if !VENDOR_TYPES.contains(kind) {
            let [from, to] = [VENDOR_TYPES.start(), VENDOR_TYPES.end()];
            let what = format!("types of one's own are {from:#06x} to {to:#06x}");
            return Err(Error::input(format!("{kind:#06x}"), what));
        }
        entry(&mut entries, *kind, value)?;
    }
    if entries.is_empty() { Ok(Vec::new()) } else { area(PROTECTED_INFO_MAGIC, &entries) }
}

fn entry(to: &mut Vec<u8>, kind: u16, value: &[u8]) -> Result<()> {
    to.extend_from_slice(&kind.to_le_bytes());
    to.extend_from_slice(&short(value.len())?.to_le_bytes());
    to.extend_from_slice(value);
    Ok(())
}

fn area(magic: u16, entries: &[u8]) -> Result<Vec<u8>> {
    let len = short(entries.len() + ENTRY_HEAD_LEN)?;
    Ok([&magic.to_le_bytes()[..], &len.to_le_bytes(), entries].concat())
}

fn short(len: usize) -> Result<u16> {
    let what = "the entries behind the image are more than 65535 bytes";
    u16::try_from(len).map_err(|_| Error::input("an MCUboot image", what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::format::key::Algorithm;

    fn key(algorithm: Algorithm) -> SecretKey {
        SecretKey::from_seed_of(algorithm, &[7; 32]).unwrap()
    }

    #[test]
    fn header_and_areas_are_laid_out_as_mcuboot_says() {
        let options = ImageOptions {
            version: "1.2.770+67305985".parse().unwrap(),
            header_len: 64,
            load_address: 0x2000_0000,
            security_counter: Some(9),
            dependencies: vec!["1:3.4.5".parse().unwrap()],
            custom: vec![(0x00a1, b"own".to_vec())],
        };
        let image = sign_image(b"payload!", &options, &key(Algorithm::Ed25519)).unwrap();
        let protected_len = 4 + (4 + 4) + (4 + 12) + (4 + 3);
        let head = [
            &[0x3d, 0xb8, 0xf3, 0x96, 0, 0, 0, 0x20, 64, 0, protected_len, 0, 8, 0, 0, 0][..],
            &[0, 0, 0, 0, 1, 2, 2, 3, 1, 2, 3, 4, 0, 0, 0, 0],
        ];
        assert_eq!(image.bytes[..32], head.concat());
        assert!(image.bytes[32..64].iter().all(|byte| *byte == 0xff));
        assert_eq!(&image.bytes[64..72], b"payload!");
        let hashed = 72 + usize::from(protected_len);
        assert_eq!(image.digest, sha256(&image.bytes[..hashed]));
        let protected = [
            &[0x08, 0x69, protected_len, 0, 0x50, 0, 4, 0, 9, 0, 0, 0][..],
            &[0x40, 0, 12, 0, 1, 0, 0, 0, 3, 4, 5, 0, 0, 0, 0, 0, 0xa1, 0, 3, 0],
            b"own",
        ];
        assert_eq!(image.bytes[72..hashed], protected.concat());
        let rest_len = (4 + (4 + 32) * 2 + 4 + 64) as u8;
        let rest = [&[0x07, 0x69, rest_len, 0, 0x10, 0, 32, 0][..], &image.digest].concat();
        assert!(image.bytes[hashed..].starts_with(&rest));
        assert_eq!(image.bytes.len(), hashed + usize::from(rest_len));
    }

    #[test]
    fn without_entries_there_is_no_protected_area_and_wrong_ones_are_refused() {
        let key = key(Algorithm::Esp256);
        let plain = sign_image(b"payload!", &ImageOptions::default(), &key).unwrap();
        assert_eq!(plain.bytes[10..12], [0, 0]);
        assert_eq!(plain.bytes[40..42], [0x07, 0x69]);
        let refused = |options| sign_image(b"payload!", &options, &key).is_err();
        for header_len in [0, 31, 34] {
            assert!(refused(ImageOptions { header_len, ..ImageOptions::default() }));
        }
        for custom in [(0x9f, Vec::new()), (0xffff, Vec::new()), (0xa0, vec![0; 65535])] {
            assert!(refused(ImageOptions { custom: vec![custom], ..ImageOptions::default() }));
        }
        #[cfg(feature = "ml-dsa-44")]
        assert!(sign_image(b"", &ImageOptions::default(), &self::key(Algorithm::MlDsa44)).is_err());
    }

    #[test]
    fn versions_and_dependencies_are_read_or_refused() {
        let version = |text: &str| text.parse::<Version>();
        let expected = Version { major: 1, minor: 2, revision: 3, build: 4 };
        assert_eq!(version("1.2.3+4"), Ok(expected));
        assert_eq!(version("7"), Ok(Version { major: 7, ..Version::default() }));
        for text in ["", "a", "256", "1.256", "1.2.65536", "1.2.3.4", "1+4294967296", "1+", "-1"] {
            assert!(version(text).is_err(), "{text}");
        }
        let dependency: Dependency = "2:1.2.3+4".parse().unwrap();
        assert_eq!(dependency, Dependency { image: 2, version: expected });
        for text in ["1", ":1", "256:1", "1:x"] {
            assert!(text.parse::<Dependency>().is_err(), "{text}");
        }
    }
}
