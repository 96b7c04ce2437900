//! Intel HEX (Intel, Hexadecimal Object File Format Specification, revision A, 1988).

use ihex::{ReaderError, Record};

use super::memory::Memory;
use super::{Fault, lines};

/// What the last extended address record says of the following data.
#[derive(Clone, Copy)]
enum Upper {
    /// Address bits 16 to 31.
    Linear(u16),
    /// Address bits 4 to 19; offsets wrap within the segment.
    Segment(u16),
}

/// Reads all records.
pub(super) fn read(bytes: &[u8]) -> Result<Memory, Fault> {
    let mut memory = Memory::default();
    let mut upper = Upper::Linear(0);
    let mut ended = false;
    for (number, line) in lines(bytes) {
        if ended {
            return Err(Fault::at(number, "a record after the end-of-file record"));
        }
        match parse(line).map_err(|message| Fault::at(number, message))? {
            Record::Data { offset, value } => {
                let address = place(upper, offset, value.len())
                    .map_err(|message| Fault::at(number, message))?;
                memory.put(address, &value, number)?;
            }
            Record::EndOfFile => ended = true,
            Record::ExtendedSegmentAddress(segment) => upper = Upper::Segment(segment),
            Record::ExtendedLinearAddress(high) => upper = Upper::Linear(high),
            // Where a debugger would start the program; no part of the image.
            Record::StartSegmentAddress { .. } | Record::StartLinearAddress(_) => {}
        }
    }
    let cut = "the end-of-file record is missing: the file is cut off; export or copy it again";
    if ended { Ok(memory) } else { Err(Fault::whole(cut)) }
}

fn parse(line: &[u8]) -> Result<Record, String> {
    let line = str::from_utf8(line).map_err(|_| "not a text line".to_owned())?;
    Record::from_record_string(line).map_err(|error| match error {
        ReaderError::ChecksumMismatch(..) => {
            "wrong checksum: the line was damaged or edited; export the file again".to_owned()
        }
        other => other.to_string(),
    })
}

fn place(upper: Upper, offset: u16, len: usize) -> Result<u64, String> {
    match upper {
        Upper::Linear(high) => Ok(u64::from(high) << 16 | u64::from(offset)),
        Upper::Segment(_) if usize::from(offset) + len > 1 << 16 => {
            Err("the record wraps around the end of its 64 KiB segment".to_owned())
        }
        Upper::Segment(segment) => Ok((u64::from(segment) << 4) + u64::from(offset)),
    }
}
