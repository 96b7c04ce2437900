//! A NOR flash in memory: it knows which words were programmed since their sector was erased,
//! refuses what silicon would not do, counts, and loses power when told to.

use std::collections::HashSet;

use fwdelta_core::storage::{Geometry, ReadError, Sector, Source, Target};

use crate::fault::{Fault, Kind, Random};

/// Why an operation did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The range leaves the flash.
    OutOfBounds {
        /// First byte.
        pos: u64,
        /// Bytes.
        len: u64,
    },
    /// Position or length is not a multiple of the write length.
    Unaligned {
        /// First byte.
        pos: u64,
        /// Bytes.
        len: u64,
    },
    /// A word is programmed that was not erased since it was last programmed.
    NotErased {
        /// First byte of the word.
        pos: u64,
    },
    /// An erase on a medium that has none (`sector_len` 1).
    NoSectors,
    /// The planned driver error.
    Driver,
    /// Power is off until [`Flash::reboot`].
    NoPower,
}

impl FlashError {
    /// Whether the caller broke a rule, as opposed to a planned fault.
    #[must_use]
    pub const fn is_violation(self) -> bool {
        !matches!(self, FlashError::Driver | FlashError::NoPower)
    }
}

/// State of one word, the unit of programming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Erased,
    Programmed,
    /// Programming or erasing was cut short; reads back, but as anything.
    Torn,
    /// The same, and the error correction notices.
    Unreadable,
}

/// What has been done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Erase, program and sync calls, including those that failed by plan.
    pub operations: u64,
    /// Erases of each sector; empty on a medium without sectors.
    pub erases: Vec<u32>,
    /// Bytes programmed.
    pub programmed_len: u64,
    /// Read calls.
    pub reads: u64,
}

/// Words as they were before an operation that is not yet synced.
#[derive(Clone, Debug)]
struct Undo {
    first: usize,
    words: Vec<Word>,
    bytes: Vec<u8>,
}

/// The model.
#[derive(Clone, Debug)]
pub struct Flash {
    geometry: Geometry,
    /// Where sectors end; empty where all are of one length, or there are none.
    sector_ends: Vec<u64>,
    bytes: Vec<u8>,
    words: Vec<Word>,
    counts: Counts,
    fault: Option<Fault>,
    has_power: bool,
    /// Operations since the last sync, where a write cache may lose them.
    unsynced: Option<Vec<Undo>>,
    violations: Vec<FlashError>,
    /// Words cut short so late that they read well, for now.
    marginal: Vec<usize>,
}

impl Flash {
    /// An erased flash.
    ///
    /// # Panics
    /// When the geometry contradicts itself, which is a mistake in a test.
    #[must_use]
    pub fn blank(geometry: Geometry) -> Self {
        let Geometry { len, sector_len, write_len, erased } = geometry;
        assert!((1..=32).contains(&write_len), "write_len is 1 to 32");
        assert!(len.is_multiple_of(u64::from(write_len)), "the slot holds whole words");
        if sector_len > 1 {
            assert!(len.is_multiple_of(u64::from(sector_len)), "the slot holds whole sectors");
            assert!(sector_len.is_multiple_of(u32::from(write_len)), "sectors hold whole words");
        }
        let len = usize::try_from(len).expect("a model fits in memory");
        let sectors = if sector_len > 1 { len / sector_len as usize } else { 0 };
        Self {
            geometry,
            sector_ends: Vec::new(),
            bytes: vec![erased; len],
            words: vec![Word::Erased; len / usize::from(write_len)],
            counts: Counts { erases: vec![0; sectors], ..Counts::default() },
            fault: None,
            has_power: true,
            unsynced: None,
            violations: Vec::new(),
            marginal: Vec::new(),
        }
    }

    /// A flash that holds `image` from its start; the rest of the last word and what follows is
    /// erased.
    ///
    /// # Panics
    /// When the image does not fit.
    #[must_use]
    pub fn with_image(geometry: Geometry, image: &[u8]) -> Self {
        let mut flash = Self::blank(geometry);
        flash.bytes[..image.len()].copy_from_slice(image);
        let word_count = image.len().div_ceil(usize::from(geometry.write_len));
        flash.words[..word_count].fill(Word::Programmed);
        flash
    }

    /// The same flash with sectors of these lengths, which make up all of it.
    ///
    /// # Panics
    /// When they do not.
    #[must_use]
    pub fn with_sectors(mut self, lens: &[u32]) -> Self {
        let mut end = 0;
        for len in lens {
            end += u64::from(*len);
            assert!(len.is_multiple_of(self.geometry.write_len.into()), "sectors hold whole words");
            self.sector_ends.push(end);
        }
        assert_eq!(end, self.geometry.len, "sectors are all of it");
        self.counts.erases = vec![0; lens.len()];
        self.geometry.sector_len = lens.iter().copied().max().unwrap_or(1);
        self
    }

    /// The same flash behind a cache: what was not synced may be lost when power is cut.
    #[must_use]
    pub fn with_write_cache(mut self) -> Self {
        self.unsynced = Some(Vec::new());
        self
    }

    /// Plans a fault; it happens once.
    pub fn plan(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Restores power. Nothing but the cells has survived; words that read well last time though
    /// they were cut short may not do so again, as `seed` decides.
    pub fn reboot(&mut self, seed: u64) {
        self.has_power = true;
        let mut random = Random::new(seed);
        for word in std::mem::take(&mut self.marginal) {
            let is_torn = matches!(self.words[word], Word::Torn);
            match random.below(3) {
                0 if is_torn => self.tear(word, &mut random),
                _ => self.marginal.push(word),
            }
        }
        self.unsynced.iter_mut().for_each(Vec::clear);
    }

    /// Whether power is on.
    #[must_use]
    pub const fn has_power(&self) -> bool {
        self.has_power
    }

    /// The cells as they are; what torn words hold is as good as random.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What has been done so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Rules the caller broke, in order, even where it ignored the error.
    #[must_use]
    pub fn violations(&self) -> &[FlashError] {
        &self.violations
    }

    fn violate<T>(&mut self, error: FlashError) -> Result<T, FlashError> {
        self.violations.push(error);
        Err(error)
    }

    fn word_len(&self) -> usize {
        usize::from(self.geometry.write_len)
    }

    /// Position and length of a sector; beyond all of them, a range that is out of bounds.
    fn sector_range(&self, sector: u32) -> (u64, u64) {
        if self.sector_ends.is_empty() {
            let len = u64::from(self.geometry.sector_len);
            return (u64::from(sector) * len, len);
        }
        let number = sector as usize;
        let start =
            number.checked_sub(1).map_or(0, |at| self.sector_ends.get(at).copied().unwrap_or(0));
        let end = self.sector_ends.get(number).copied().unwrap_or(u64::MAX);
        (start, end - start)
    }

    fn has_sectors(&self) -> bool {
        self.geometry.sector_len > 1
    }

    /// The range in bytes, if it lies inside.
    fn range(&mut self, pos: u64, len: u64) -> Result<std::ops::Range<usize>, FlashError> {
        let end = pos.checked_add(len).filter(|end| *end <= self.geometry.len);
        match end {
            Some(end) => Ok(pos as usize..end as usize),
            None => self.violate(FlashError::OutOfBounds { pos, len }),
        }
    }

    /// Counts an operation on words `first..end`; gives the fault planned for it, if any.
    fn begin(&mut self, first: usize, end: usize) -> Option<Fault> {
        let number = self.counts.operations;
        self.counts.operations += 1;
        let word_len = self.word_len();
        if let Some(unsynced) = &mut self.unsynced {
            let words = self.words[first..end].to_vec();
            let bytes = self.bytes[first * word_len..end * word_len].to_vec();
            unsynced.push(Undo { first, words, bytes });
        }
        self.fault.take_if(|fault| fault.at == number)
    }

    /// Cuts power; with a write cache, of the operations since the sync the last ones may never
    /// have been, or any.
    fn cut(&mut self, random: &mut Random) -> FlashError {
        self.has_power = false;
        let word_len = self.word_len();
        if let Some(unsynced) = self.unsynced.take() {
            let (in_order, lost_count) = (random.coin(), random.below(unsynced.len() + 1));
            let mut written = HashSet::new();
            for (back, Undo { first, words, bytes }) in unsynced.into_iter().rev().enumerate() {
                let is_lost = if in_order { back < lost_count } else { random.coin() };
                let all = (first..).zip(words).zip(bytes.chunks(word_len));
                for ((at, word), bytes) in all {
                    if !is_lost {
                        written.insert(at);
                    } else if !written.contains(&at) {
                        self.words[at] = word;
                        self.bytes[at * word_len..][..word_len].copy_from_slice(bytes);
                    }
                }
            }
            self.unsynced = Some(Vec::new());
        }
        FlashError::NoPower
    }

    /// Makes durable what was done to `range`, which has a cache of its own.
    ///
    /// # Errors
    /// `NoPower`, and the planned fault.
    pub fn sync_part(&mut self, range: std::ops::Range<u64>) -> Result<(), FlashError> {
        if !self.has_power {
            return Err(FlashError::NoPower);
        }
        let fault = self.begin(0, 0);
        let mut random = Random::new(fault.map_or(0, |fault| fault.seed));
        match fault.map(|fault| fault.kind) {
            Some(Kind::Error) => Err(FlashError::Driver),
            Some(Kind::CutAfter) => {
                self.flush(&range);
                Err(self.cut(&mut random))
            }
            Some(_) => Err(self.cut(&mut random)),
            None => {
                self.flush(&range);
                Ok(())
            }
        }
    }

    /// Forgets how cells in `range` were.
    fn flush(&mut self, range: &std::ops::Range<u64>) {
        let word_len = self.word_len() as u64;
        if let Some(unsynced) = &mut self.unsynced {
            unsynced.retain(|undo| !range.contains(&(undo.first as u64 * word_len)));
        }
    }

    /// Leaves `word` half done: each bit is the old one, the new one, or anyone's guess.
    fn tear(&mut self, word: usize, random: &mut Random) {
        let word_len = self.word_len();
        for byte in &mut self.bytes[word * word_len..(word + 1) * word_len] {
            *byte = random.bits() as u8;
        }
        self.words[word] = if random.coin() { Word::Torn } else { Word::Unreadable };
    }

    fn program_words(&mut self, first: usize, data: &[u8]) {
        let word_len = self.word_len();
        let start = first * word_len;
        self.bytes[start..start + data.len()].copy_from_slice(data);
        self.words[first..first + data.len() / word_len].fill(Word::Programmed);
        self.marginal.retain(|word| *word < first || *word >= first + data.len() / word_len);
        self.counts.programmed_len += data.len() as u64;
    }

    fn erase_words(&mut self, first: usize, end: usize) {
        let word_len = self.word_len();
        self.bytes[first * word_len..end * word_len].fill(self.geometry.erased);
        self.words[first..end].fill(Word::Erased);
        self.marginal.retain(|word| *word < first || *word >= end);
    }

    /// Leaves `word` as if it were done, though it is not.
    fn tear_late(&mut self, word: usize) {
        self.words[word] = Word::Torn;
        self.marginal.push(word);
    }

    /// Some words of the sector look erased, others hold anything; none may be programmed before
    /// the sector has been erased in full.
    fn tear_erase(&mut self, first: usize, end: usize, random: &mut Random) {
        let how = random.below(4);
        for word in first..end {
            match if how == 3 { 0 } else { random.below(3) } {
                0 => {
                    self.erase_words(word, word + 1);
                    self.tear_late(word);
                }
                1 => self.tear(word, random),
                _ => {}
            }
        }
    }
}

impl Source for Flash {
    type Error = FlashError;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<FlashError>> {
        if !self.has_power {
            return Err(ReadError::Io(FlashError::NoPower));
        }
        self.counts.reads += 1;
        let range = self.range(pos, buf.len() as u64).map_err(ReadError::Io)?;
        let word_len = self.word_len();
        let words = range.start / word_len..range.end.div_ceil(word_len);
        if self.words[words].contains(&Word::Unreadable) && !buf.is_empty() {
            return Err(ReadError::Uncorrectable);
        }
        buf.copy_from_slice(&self.bytes[range]);
        Ok(())
    }
}

impl Target for Flash {
    type Error = FlashError;

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn sector(&self, pos: u64) -> Sector {
        if self.sector_ends.is_empty() {
            return self.geometry.sector(pos);
        }
        let number = self.sector_ends.partition_point(|end| *end <= pos) as u32;
        let (start, len) = self.sector_range(number);
        Sector { number, start, len }
    }

    fn erase(&mut self, sector: u32) -> Result<(), FlashError> {
        if !self.has_power {
            return Err(FlashError::NoPower);
        }
        if !self.has_sectors() {
            return self.violate(FlashError::NoSectors);
        }
        let (start, len) = self.sector_range(sector);
        let range = self.range(start, len)?;
        let (first, end) = (range.start / self.word_len(), range.end / self.word_len());
        let fault = self.begin(first, end);
        let mut random = Random::new(fault.map_or(0, |fault| fault.seed));
        match fault.map(|fault| fault.kind) {
            Some(Kind::Error) => return Err(FlashError::Driver),
            Some(Kind::CutBefore) => return Err(self.cut(&mut random)),
            Some(Kind::CutTorn) => self.tear_erase(first, end, &mut random),
            Some(Kind::CutAfter) | None => self.erase_words(first, end),
        }
        self.counts.erases[sector as usize] += 1;
        if fault.is_some() { Err(self.cut(&mut random)) } else { Ok(()) }
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), FlashError> {
        if !self.has_power {
            return Err(FlashError::NoPower);
        }
        let (len, word_len) = (data.len() as u64, self.word_len() as u64);
        if !pos.is_multiple_of(word_len) || !len.is_multiple_of(word_len) {
            return self.violate(FlashError::Unaligned { pos, len });
        }
        let range = self.range(pos, len)?;
        let (first, end) = (range.start / self.word_len(), range.end / self.word_len());
        let used = (first..end).find(|word| self.words[*word] != Word::Erased);
        if let (true, Some(word)) = (self.has_sectors(), used) {
            return self.violate(FlashError::NotErased { pos: word as u64 * word_len });
        }
        let fault = self.begin(first, end);
        let mut random = Random::new(fault.map_or(0, |fault| fault.seed));
        match fault.map(|fault| fault.kind) {
            Some(Kind::Error) => return Err(FlashError::Driver),
            Some(Kind::CutBefore) => return Err(self.cut(&mut random)),
            Some(Kind::CutTorn) if end > first => {
                let torn = first + random.below(end - first);
                if random.below(4) == 0 {
                    self.program_words(first, &data[..(torn + 1 - first) * self.word_len()]);
                    self.tear_late(torn);
                } else {
                    self.program_words(first, &data[..(torn - first) * self.word_len()]);
                    self.tear(torn, &mut random);
                }
            }
            _ => self.program_words(first, data),
        }
        if fault.is_some() { Err(self.cut(&mut random)) } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), FlashError> {
        self.sync_part(0..self.geometry.len)
    }
}

#[cfg(test)]
mod tests;
