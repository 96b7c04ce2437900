//! Motorola S-records (M68000 Family Programmer's Reference Manual, appendix C).

use super::memory::Memory;
use super::{Fault, lines};

/// Longest record: 255 counted bytes after type and count.
const BODY_LEN_MAX: usize = 255;

/// One record: type digit and the counted bytes without the checksum.
struct Record {
    kind: u8,
    body: Vec<u8>,
}

/// Reads all records.
pub(super) fn read(bytes: &[u8]) -> Result<Memory, Fault> {
    let mut memory = Memory::default();
    let mut data_count = 0u64;
    let mut ended = false;
    for (number, line) in lines(bytes) {
        let fault = |message: &str| Fault::at(number, message);
        if ended {
            return Err(fault("a record after the termination record"));
        }
        let Record { kind, body } = parse(line).map_err(fault)?;
        let (address, data) = split(kind, &body).map_err(fault)?;
        match kind {
            b'1'..=b'3' => {
                data_count += 1;
                memory.put(address, data, number)?;
            }
            b'5' | b'6' if address != data_count => {
                return Err(fault("the record count is wrong: records are missing or repeated"));
            }
            b'7'..=b'9' => ended = true,
            // The header is free text; a right count needs no action.
            _ => {}
        }
    }
    let cut = "the termination record (S7, S8 or S9) is missing: the file is cut off; \
               export or copy it again";
    if ended { Ok(memory) } else { Err(Fault::whole(cut)) }
}

fn parse(line: &[u8]) -> Result<Record, &'static str> {
    let [b'S', kind @ (b'0'..=b'3' | b'5'..=b'9'), digits @ ..] = line else {
        return Err("not an S-record: it must start with S0 to S3 or S5 to S9");
    };
    let bytes = unhex(digits).ok_or("not an even number of hexadecimal digits")?;
    let Some((&count, rest)) = bytes.split_first() else { return Err("too short") };
    if rest.len() != usize::from(count) || rest.len() > BODY_LEN_MAX {
        return Err("the record is not as long as it says");
    }
    let Some((&checksum, body)) = rest.split_last() else { return Err("too short") };
    let sum = body.iter().fold(count, |sum, byte| sum.wrapping_add(*byte));
    if !sum != checksum {
        return Err("wrong checksum: the line was damaged or edited; export the file again");
    }
    Ok(Record { kind: *kind, body: body.to_vec() })
}

/// Address (or count) and data of a record body.
fn split(kind: u8, body: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let address_len = match kind {
        b'2' | b'6' | b'8' => 3,
        b'3' | b'7' => 4,
        _ => 2,
    };
    let (address, data) = body.split_at_checked(address_len).ok_or("too short for its type")?;
    if kind >= b'5' && !data.is_empty() {
        return Err("a count or termination record with data");
    }
    Ok((address.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)), data))
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}
