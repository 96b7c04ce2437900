//! Records at addresses, flattened to one image.

use super::{FLAT_LEN_MAX, Fault, GAP_LEN_MAX};

/// Where one record's bytes go and where they stand in [`Memory::data`].
#[derive(Debug)]
struct Span {
    address: u64,
    data_pos: usize,
    len: usize,
    line: usize,
}

impl Span {
    const fn end(&self) -> u64 {
        self.address + self.len as u64
    }
}

/// The data records of a hex file; takes no more memory than the file itself.
#[derive(Debug, Default)]
pub(super) struct Memory {
    data: Vec<u8>,
    spans: Vec<Span>,
}

impl Memory {
    /// Adds the record in `line`.
    pub(super) fn put(&mut self, address: u64, data: &[u8], line: usize) -> Result<(), Fault> {
        if address + data.len() as u64 > 1 << 32 {
            return Err(Fault::at(line, "the record reaches beyond 32-bit addresses"));
        }
        if !data.is_empty() {
            let data_pos = self.data.len();
            self.spans.push(Span { address, data_pos, len: data.len(), line });
            self.data.extend_from_slice(data);
        }
        Ok(())
    }

    /// The lowest address and everything from there on, gaps as `fill`.
    pub(super) fn flatten(mut self, fill: u8) -> Result<(u64, Vec<u8>), Fault> {
        self.spans.sort_by_key(|span| (span.address, span.line));
        let (Some(first), Some(last)) = (self.spans.first(), self.spans.last()) else {
            return Err(Fault::whole("there is no data in it; was the right file exported?"));
        };
        for pair in self.spans.windows(2) {
            check_neighbours(&pair[0], &pair[1])?;
        }
        let base = first.address;
        // Without overlaps the last span also ends last.
        let flat_len = last.end() - base;
        if flat_len > FLAT_LEN_MAX {
            let message = format!(
                "the data spreads over {flat_len} bytes from {base:#010x}, more than the \
                 {FLAT_LEN_MAX} allowed for a hex file; use a raw image"
            );
            return Err(Fault::at(last.line, message));
        }
        let mut flat = vec![fill; flat_len as usize];
        for span in &self.spans {
            let pos = (span.address - base) as usize;
            let data = &self.data[span.data_pos..span.data_pos + span.len];
            flat[pos..pos + span.len].copy_from_slice(data);
        }
        Ok((base, flat))
    }
}

fn check_neighbours(low: &Span, high: &Span) -> Result<(), Fault> {
    if high.address < low.end() {
        let (line, other) = (low.line.max(high.line), low.line.min(high.line));
        let message = format!(
            "the record overlaps the one in line {other} at {:#010x}; \
             do not join files that hold the same addresses",
            high.address
        );
        return Err(Fault::at(line, message));
    }
    let gap = high.address - low.end();
    if gap > GAP_LEN_MAX {
        let message = format!(
            "a gap of {gap} bytes between {:#010x} and {:#010x}, more than the {GAP_LEN_MAX} \
             allowed; export each memory region to a file of its own",
            low.end(),
            high.address
        );
        return Err(Fault::at(high.line, message));
    }
    Ok(())
}
