//! Two records in non-volatile memory: what a handoff agent read from the SIM, for the update agent
//! that has no access to it, and what the update agent made of a package, for who reports it
//! (docs/format.md, section 10).

use super::codes::{Codes, SUCCESS, codes_of};
use super::operator::{EF_FOTA_LEN, EfFota, Sim};
use crate::crc::Crc32;
use crate::error::{Detail, Result};
use crate::format::plmn::Plmn;
use crate::hash::Sha256Digest;

/// Bytes of a handoff record.
pub const HANDOFF_LEN: usize = 40;
/// Bytes of a result record.
pub const RESULT_LEN: usize = 56;
/// What a handoff record begins with.
pub const HANDOFF_MAGIC: [u8; 4] = *b"FWDH";
/// What a result record begins with.
pub const RESULT_MAGIC: [u8; 4] = *b"FWDR";
const VERSION: u8 = 1;
const PLMN_LEN: usize = 6;
const CRC_LEN: usize = 4;

/// Appends to a record of fixed length, which never runs full.
struct Record<const LEN: usize> {
    bytes: [u8; LEN],
    len: usize,
}

impl<const LEN: usize> Record<LEN> {
    fn new(magic: [u8; 4]) -> Self {
        let mut record = Self { bytes: [0; LEN], len: 0 };
        record.put(&magic);
        record.put(&[VERSION]);
        record
    }

    fn put(&mut self, bytes: &[u8]) {
        let room = self.bytes.iter_mut().skip(self.len);
        for (to, from) in room.zip(bytes) {
            *to = *from;
        }
        self.len = self.len.saturating_add(bytes.len());
    }

    /// The record, zeros up to its CRC.
    fn finish(mut self) -> [u8; LEN] {
        self.len = LEN.saturating_sub(CRC_LEN);
        let crc = crc_of(self.bytes.get(..self.len).unwrap_or(&[]));
        self.put(&crc.to_le_bytes());
        self.bytes
    }
}

fn crc_of(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::default();
    crc.update(bytes);
    crc.finish()
}

/// What stands between magic with version and CRC, both checked.
fn body(bytes: &[u8], len: usize, magic: [u8; 4]) -> Result<&[u8]> {
    let start = magic.len();
    if bytes.len() != len || bytes.get(..start) != Some(magic.as_slice()) {
        return Err(Detail::BadMagic.into());
    }
    let (covered, crc) = bytes.split_last_chunk::<CRC_LEN>().ok_or(Detail::BadMagic)?;
    if u32::from_le_bytes(*crc) != crc_of(covered) {
        // Torn by a power cut, or worn out.
        return Err(Detail::StateFailed.into());
    }
    let (version, body) =
        covered.get(start..).and_then(<[u8]>::split_first).ok_or(Detail::BadMagic)?;
    if *version == VERSION { Ok(body) } else { Err(Detail::UnknownVersion.into()) }
}

/// The record of a SIM.
#[must_use]
pub fn emit_handoff(sim: &Sim) -> [u8; HANDOFF_LEN] {
    let mut record = Record::new(HANDOFF_MAGIC);
    match sim {
        Sim::Absent => record.put(&[0]),
        Sim::WithoutFota => record.put(&[1]),
        Sim::WithFota { plmn, ef_fota } => {
            record.put(&[2]);
            let mut digits = [0; PLMN_LEN];
            for (to, from) in digits.iter_mut().zip(plmn.as_str().bytes()) {
                *to = from;
            }
            record.put(&digits);
            record.put(&ef_fota.bytes());
        }
    }
    record.finish()
}

/// Reads the record of a SIM. One that was never written or was torn is an error and not "no SIM":
/// a device that updates without a SIM must not do so because its memory was erased.
///
/// # Errors
/// `BadMagic` for what is no record, erased memory among it; `StateFailed` for a torn one;
/// `UnknownVersion`; `BadValue`, `BadPlmn`.
pub fn parse_handoff(bytes: &[u8]) -> Result<Sim> {
    let body = body(bytes, HANDOFF_LEN, HANDOFF_MAGIC)?;
    let (state, rest) = body.split_first().ok_or(Detail::BadValue)?;
    let (digits, rest) = rest.split_first_chunk::<PLMN_LEN>().ok_or(Detail::BadValue)?;
    let (file, spare) = rest.split_first_chunk::<EF_FOTA_LEN>().ok_or(Detail::BadValue)?;
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let is_bare = is_zero(digits) && is_zero(file);
    let sim = match state {
        0 if is_bare => Sim::Absent,
        1 if is_bare => Sim::WithoutFota,
        2 => {
            let text = core::str::from_utf8(digits).map_err(|_| Detail::BadPlmn)?;
            let plmn = Plmn::parse(text.trim_end_matches('\0'))?;
            Sim::WithFota { plmn, ef_fota: EfFota::parse(file)? }
        }
        _ => return Err(Detail::BadValue.into()),
    };
    if is_zero(spare) { Ok(sim) } else { Err(Detail::BadValue.into()) }
}

/// What became of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it was refused or failed; none for success.
    pub detail: Option<Detail>,
    /// Its sequence number, 0 where it could not be read.
    pub sequence: u64,
    /// Digest of its manifest, zeros where it could not be read.
    pub manifest: Sha256Digest,
}

impl Outcome {
    /// What device management protocols call it.
    #[must_use]
    pub fn codes(&self) -> Codes {
        self.detail.map_or(SUCCESS, codes_of)
    }
}

/// The record of an outcome.
#[must_use]
pub fn emit_result(outcome: &Outcome) -> [u8; RESULT_LEN] {
    let codes = outcome.codes();
    let mut record = Record::new(RESULT_MAGIC);
    record.put(&[codes.lwm2m]);
    record.put(&outcome.detail.map_or(0, |detail| detail as u16).to_le_bytes());
    record.put(&codes.fumo.to_le_bytes());
    record.put(&codes.install_notify.to_le_bytes());
    record.put(&outcome.sequence.to_le_bytes());
    record.put(&outcome.manifest);
    record.finish()
}

/// Reads the record of an outcome.
///
/// # Errors
/// As [`parse_handoff`]; `BadValue` where the codes are not those of the detail.
pub fn parse_result(bytes: &[u8]) -> Result<Outcome> {
    let all = body(bytes, RESULT_LEN, RESULT_MAGIC)?;
    let bad = Detail::BadValue;
    let (_, rest) = all.split_first().ok_or(bad)?;
    let (number, rest) = rest.split_first_chunk::<2>().ok_or(bad)?;
    let (_, rest) = rest.split_first_chunk::<4>().ok_or(bad)?;
    let (sequence, rest) = rest.split_first_chunk::<8>().ok_or(bad)?;
    let (manifest, _) = rest.split_first_chunk::<32>().ok_or(bad)?;
    let number = u16::from_le_bytes(*number);
    let detail = match number {
        0 => None,
        _ => Some(*Detail::ALL.iter().find(|it| **it as u16 == number).ok_or(bad)?),
    };
    let outcome = Outcome { detail, sequence: u64::from_le_bytes(*sequence), manifest: *manifest };
    // The codes follow from the detail, so whoever reads either reads the same.
    if emit_result(&outcome).as_slice() == bytes { Ok(outcome) } else { Err(bad.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sims() -> [Sim; 4] {
        let file = *b"\x01the SIM's string";
        let with = |plmn: &str| Sim::WithFota {
            plmn: Plmn::parse(plmn).unwrap(),
            ef_fota: EfFota::parse(&file).unwrap(),
        };
        [Sim::Absent, Sim::WithoutFota, with("26201"), with("310410")]
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        for sim in sims() {
            assert_eq!(parse_handoff(&emit_handoff(&sim)), Ok(sim));
        }
        for detail in Detail::ALL.iter().map(|detail| Some(*detail)).chain([None]) {
            let outcome = Outcome { detail, sequence: 7, manifest: [9; 32] };
            assert_eq!(parse_result(&emit_result(&outcome)), Ok(outcome));
        }
    }

    #[test]
    fn memory_that_was_never_written_is_no_record() {
        for erased in [0x00, 0xff] {
            let detail = |result: Result<Sim>| result.unwrap_err().detail;
            assert_eq!(detail(parse_handoff(&[erased; HANDOFF_LEN])), Detail::BadMagic);
            assert!(parse_result(&[erased; RESULT_LEN]).is_err());
        }
        assert!(parse_handoff(&[]).is_err() && parse_result(&[]).is_err());
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        for sim in sims() {
            let record = emit_handoff(&sim);
            for bit in 0..HANDOFF_LEN * 8 {
                let mut changed = record;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(parse_handoff(&changed).is_err(), "bit {bit}");
            }
            assert!(parse_handoff(&record[1..]).is_err());
        }
        let record = emit_result(&Outcome { detail: None, sequence: 1, manifest: [1; 32] });
        for bit in 0..RESULT_LEN * 8 {
            let mut changed = record;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_result(&changed).is_err(), "bit {bit}");
        }
    }

    /// Bytes whose CRC is right, but not what a record may hold.
    #[test]
    fn what_no_sim_is_like_is_refused() {
        let forged = |edit: &dyn Fn(&mut [u8; HANDOFF_LEN])| {
            let mut record = emit_handoff(&sims()[2]);
            edit(&mut record);
            let crc = crc_of(&record[..HANDOFF_LEN - 4]).to_le_bytes();
            record[HANDOFF_LEN - 4..].copy_from_slice(&crc);
            parse_handoff(&record).map_err(|error| error.detail)
        };
        assert!(forged(&|_| ()).is_ok());
        assert_eq!(forged(&|record| record[4] = 2), Err(Detail::UnknownVersion));
        assert_eq!(forged(&|record| record[5] = 3), Err(Detail::BadValue));
        // The strings of a SIM that is not there.
        assert_eq!(forged(&|record| record[5] = 0), Err(Detail::BadValue));
        assert_eq!(forged(&|record| record[6] = b'x'), Err(Detail::BadPlmn));
        assert_eq!(forged(&|record| record[30] = 1), Err(Detail::BadValue));
    }
}
