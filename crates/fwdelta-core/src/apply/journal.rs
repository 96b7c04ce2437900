//! Checkpoints, and the records after them.
//!
//! A checkpoint is a state, excerpts of old, then a seal; its area was erased before. Records
//! follow, each once: that the seal is whole, that a page is saved, that all is done. What has
//! another CRC or cannot be read is absent: nothing is concluded from bytes that look erased, since
//! a torn word may.

use super::areas::Areas;
use crate::crc::Crc32;
use crate::error::{Detail, Error, Result};
use crate::format::pages::INTERVAL_MAX;
use crate::hash::{Sha256, Sha256Digest};
use crate::state::Visit;
use crate::storage::{Geometry, ReadError, Source, Target};

/// Bytes of a record: a number and a CRC.
pub(super) const JOURNAL_RECORD_LEN: usize = 8;
/// Bytes of a seal: a generation, a part of the binding, a CRC.
pub(super) const SEAL_LEN: usize = 16;
/// Record: the seal is whole, other areas may be erased.
const CONFIRMED: u32 = u32::MAX - 1;
/// Record: the new image is in the slot and its digest is right.
const DONE: u32 = u32::MAX;
/// Bytes read or programmed at a time.
const PIECE_LEN: usize = 64;

/// What a journal belongs to: one package, and one decision to install it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding([u8; 32]);

impl Binding {
    /// Of the bytes of a delta header, and of whatever the decision to install was made from, so
    /// that another decision finds no journal. A resume asks no policy: it was asked before.
    #[must_use]
    pub fn new(header: &[u8], decision: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(&(header.len() as u64).to_le_bytes());
        hash.update(header);
        hash.update(decision);
        Self(hash.finish())
    }

    const fn bytes(&self) -> &Sha256Digest {
        &self.0
    }
}

const FEW_COUNT: usize = INTERVAL_MAX as usize;

/// Pages, at most one interval of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Few {
    pages: [u32; FEW_COUNT],
    count: usize,
}

impl Few {
    fn push(&mut self, page: u32) {
        if let Some(slot) = self.pages.get_mut(self.count) {
            *slot = page;
            self.count += 1;
        }
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        self.pages.get(..self.count).unwrap_or(&[])
    }
}

/// What checkpoints are made of.
pub(super) trait Stateful {
    /// Goes through all that a later run needs.
    fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()>;

    /// Pages that earlier runs saved from the last checkpoint on.
    fn ahead(&self) -> Few {
        Few::default()
    }
}

/// What a journal says of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was not begun: the old image is whole.
    Nothing,
    /// It was begun: resume it.
    Begun,
    /// It is done, and the digest of the new image was right.
    Done,
}

/// A valid area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) area: u64,
    pub(super) generation: u32,
    /// Pages that its records say were saved.
    pub(super) saved: Few,
    is_confirmed: bool,
    pub(super) is_done: bool,
}

/// Reads, where what cannot be read is absent.
fn read<X: Source>(scratch: &mut X, pos: u64, buf: &mut [u8]) -> Result<bool> {
    match scratch.read(pos, buf) {
        Ok(()) => Ok(true),
        Err(ReadError::Uncorrectable) => Ok(false),
        Err(ReadError::Io(_)) => Err(Error::at(Detail::ReadFailed, pos)),
    }
}

fn record_crc(binding: &Binding, generation: u32, record: u32, number: u32) -> u32 {
    let mut crc = Crc32::default();
    crc.update(binding.bytes());
    for part in [generation, record, number] {
        crc.update(&part.to_le_bytes());
    }
    crc.finish()
}

fn seal_crc(binding: &Binding, state: Crc32, generation: u32) -> u32 {
    let mut crc = state;
    crc.update(binding.bytes());
    crc.update(&generation.to_le_bytes());
    crc.finish()
}

fn words<const N: usize>(words: [u32; N]) -> [[u8; 4]; N] {
    words.map(u32::to_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let (words, _) = bytes.as_chunks::<4>();
    words.get(at).map_or(0, |word| u32::from_le_bytes(*word))
}

/// The part of the binding that a seal repeats.
fn mark(binding: &Binding) -> [u32; 2] {
    [word(binding.bytes(), 0), word(binding.bytes(), 1)]
}

/// Looks whether area number `area` holds a checkpoint.
fn check<X: Source>(
    areas: &Areas,
    scratch: &mut X,
    binding: &Binding,
    area: u64,
) -> Result<Option<Checkpoint>> {
    let mut seal = [0; SEAL_LEN];
    if !read(scratch, areas.seal_pos(area), &mut seal)?
        || [word(&seal, 1), word(&seal, 2)] != mark(binding)
    {
        return Ok(None);
    }
    let (mut crc, mut pos) = (Crc32::default(), areas.area_pos(area));
    while pos < areas.seal_pos(area) {
        let mut piece = [0; PIECE_LEN];
        let len = (areas.seal_pos(area).saturating_sub(pos)).min(PIECE_LEN as u64);
        let piece = piece.get_mut(..len as usize).ok_or(Detail::Bug)?;
        if !read(scratch, pos, piece)? {
            return Ok(None);
        }
        crc.update(piece);
        pos = pos.saturating_add(len);
    }
    let generation = word(&seal, 0);
    if seal_crc(binding, crc, generation) != word(&seal, 3) {
        return Ok(None);
    }
    let mut found =
        Checkpoint { area, generation, saved: Few::default(), is_confirmed: false, is_done: false };
    for record in 0..areas.record_count() {
        let mut bytes = [0; JOURNAL_RECORD_LEN];
        let is_there = read(scratch, areas.record_pos(area, record), &mut bytes)?;
        let number = word(&bytes, 0);
        if !is_there || record_crc(binding, generation, record, number) != word(&bytes, 1) {
            break;
        }
        match number {
            CONFIRMED => found.is_confirmed = true,
            DONE => found.is_done = true,
            page => found.saved.push(page),
        }
    }
    Ok(Some(found))
}

/// The checkpoint to go on from.
///
/// The newest, unless it is not confirmed: its seal may be torn and read well only this time. Then
/// the one before, if it is still there: nothing was done since.
pub(super) fn find<X: Source>(
    areas: &Areas,
    scratch: &mut X,
    binding: &Binding,
) -> Result<Option<Checkpoint>> {
    let first = check(areas, scratch, binding, 0)?;
    let second = check(areas, scratch, binding, 1)?;
    let (Some(a), Some(b)) = (first, second) else { return Ok(first.or(second)) };
    let (new, before) = if a.generation > b.generation { (a, b) } else { (b, a) };
    Ok(Some(if new.is_confirmed { new } else { before }))
}

/// What the scratch flash says of a delta.
pub(super) fn look<X: Source>(areas: &Areas, scratch: &mut X, binding: &Binding) -> Result<Found> {
    let found = find(areas, scratch, binding)?;
    Ok(found.map_or(Found::Nothing, |found| match found.is_done {
        true => Found::Done,
        false => Found::Begun,
    }))
}

/// Forgets it; where nothing is erased, by writing over the seals.
pub(super) fn clear<X: Target>(areas: &Areas, scratch: &mut X) -> Result<()> {
    for area in [0, 1] {
        erase(scratch, areas.area_pos(area), areas.area_len())?;
        if scratch.geometry().sector_len <= 1 {
            put(scratch, areas.seal_pos(area), &mut [0; SEAL_LEN])?;
        }
    }
    sync(scratch)
}

/// Erases `len` bytes from `pos` on, which are whole sectors; nothing on media without sectors.
pub(super) fn erase<T: Target>(target: &mut T, pos: u64, len: u64) -> Result<()> {
    if target.geometry().sector_len <= 1 {
        return Ok(());
    }
    check_whole(target, pos, len)?;
    let (mut at, end) = (pos, pos.saturating_add(len));
    while at < end {
        let sector = target.sector(at);
        target.erase(sector.number).map_err(|_| Error::at(Detail::WriteFailed, at))?;
        // A driver must not make this an endless loop.
        at = Some(sector.end()).filter(|end| *end > at).ok_or(Detail::BadArgument)?;
    }
    Ok(())
}

/// Checks that `len` bytes from `pos` on are whole sectors and write units.
pub(super) fn check_whole<T: Target>(target: &T, pos: u64, len: u64) -> Result<()> {
    let (end, write_len) = (pos.saturating_add(len), u64::from(target.geometry().write_len));
    let is_whole = len == 0
        || target.sector(pos).start == pos
            && target.sector(end.saturating_sub(1)).end() == end
            && pos.is_multiple_of(write_len)
            && end.is_multiple_of(write_len);
    if is_whole { Ok(()) } else { Err(Error::at(Detail::BadArgument, pos)) }
}

pub(super) fn sync<T: Target>(target: &mut T) -> Result<()> {
    target.sync().map_err(|_| Detail::WriteFailed.into())
}

/// Programs what it is given, in whole write units.
pub(super) struct Checkpointer<'a, T> {
    target: &'a mut T,
    geometry: Geometry,
    pos: u64,
    buf: [u8; PIECE_LEN],
    len: usize,
    crc: Crc32,
}

impl<'a, T: Target> Checkpointer<'a, T> {
    fn new(target: &'a mut T, pos: u64) -> Self {
        let geometry = target.geometry();
        Self { target, geometry, pos, buf: [0; PIECE_LEN], len: 0, crc: Crc32::default() }
    }

    fn flush(&mut self) -> Result<()> {
        let bytes = self.buf.get(..self.len).ok_or(Detail::Bug)?;
        let failed = Error::at(Detail::WriteFailed, self.pos);
        self.crc.update(bytes);
        self.target.program(self.pos, bytes).map_err(|_| failed)?;
        self.pos = self.pos.saturating_add(self.len as u64);
        self.len = 0;
        Ok(())
    }

    /// Fills the last write unit with erased bytes.
    fn finish(&mut self) -> Result<Crc32> {
        let unit = usize::from(self.geometry.write_len);
        let end = self.len.checked_next_multiple_of(unit).ok_or(Detail::Bug)?;
        self.buf.get_mut(self.len..end).ok_or(Detail::Bug)?.fill(self.geometry.erased);
        self.len = end;
        if end > 0 {
            self.flush()?;
        }
        Ok(self.crc)
    }
}

/// What stood in the same flash before.
impl<T: Source> Source for Checkpointer<'_, T> {
    type Error = T::Error;

    fn read(
        &mut self,
        pos: u64,
        buf: &mut [u8],
    ) -> core::result::Result<(), ReadError<Self::Error>> {
        self.target.read(pos, buf)
    }
}

impl<T: Target> Visit for Checkpointer<'_, T> {
    fn bytes(&mut self, mut bytes: &mut [u8]) -> Result<()> {
        let unit = usize::from(self.geometry.write_len);
        let odd = PIECE_LEN.checked_rem(unit).ok_or(Detail::BadArgument)?;
        let capacity = PIECE_LEN.saturating_sub(odd);
        while !bytes.is_empty() {
            let room = self.buf.get_mut(self.len..capacity).ok_or(Detail::Bug)?;
            let len = crate::codec::copy(room, bytes);
            self.len = self.len.saturating_add(len);
            bytes = bytes.get_mut(len..).ok_or(Detail::Bug)?;
            if self.len == capacity {
                self.flush()?;
            }
        }
        Ok(())
    }
}

/// Reads what was saved.
pub(super) struct Loader<'a, X> {
    scratch: &'a mut X,
    pos: u64,
}

impl<'a, X> Loader<'a, X> {
    pub(super) fn new(scratch: &'a mut X, areas: &Areas, area: u64) -> Self {
        Self { scratch, pos: areas.area_pos(area) }
    }
}

impl<X: Source> Visit for Loader<'_, X> {
    fn bytes(&mut self, bytes: &mut [u8]) -> Result<()> {
        let failed = Error::at(Detail::ReadFailed, self.pos);
        self.scratch.read(self.pos, bytes).map_err(|_| failed)?;
        self.pos = self.pos.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

/// Where records go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Journal {
    pub(super) areas: Areas,
    pub(super) binding: Binding,
    pub(super) area: u64,
    pub(super) generation: u32,
    /// Number of the next record.
    record: u32,
}

impl Journal {
    /// After checkpoint number `generation`, in `area`; 0 for none.
    pub(super) const fn new(areas: Areas, binding: Binding, area: u64, generation: u32) -> Self {
        Self { areas, binding, area, generation, record: 0 }
    }

    /// Saves the state of `machine` in the other area and goes on there.
    pub(super) fn save<T: Target, M: Stateful>(
        &mut self,
        scratch: &mut T,
        machine: &mut M,
    ) -> Result<()> {
        let mut writer = self.open(scratch)?;
        machine.state(&mut writer)?;
        self.seal(writer, &machine.ahead())
    }

    /// Begins a checkpoint in the other area.
    pub(super) fn open<'a, T: Target>(&self, scratch: &'a mut T) -> Result<Checkpointer<'a, T>> {
        let pos = self.areas.area_pos(self.area ^ 1);
        erase(scratch, pos, self.areas.area_len())?;
        Ok(Checkpointer::new(scratch, pos))
    }

    /// Ends the checkpoint that was begun, and goes on behind it. Pages `ahead` were saved by
    /// earlier runs.
    pub(super) fn seal<T: Target>(
        &mut self,
        mut writer: Checkpointer<'_, T>,
        ahead: &Few,
    ) -> Result<()> {
        let (area, generation) = (self.area ^ 1, self.generation.saturating_add(1));
        let crc = writer.finish()?;
        let scratch = writer.target;
        let [a, b] = mark(&self.binding);
        let crc = seal_crc(&self.binding, crc, generation);
        // What the seal vouches for is durable before it, pages of the slot included.
        sync(scratch)?;
        let seal_pos = self.areas.seal_pos(area);
        put(scratch, seal_pos, words([generation, a, b, crc]).as_flattened_mut())?;
        (self.area, self.generation, self.record) = (area, generation, 0);
        // What earlier runs saved since is part of it.
        for page in ahead.as_slice() {
            self.append(scratch, *page)?;
        }
        self.append(scratch, CONFIRMED)
    }

    /// Old page `page` is saved.
    pub(super) fn saved<T: Target>(&mut self, scratch: &mut T, page: u32) -> Result<()> {
        self.append(scratch, page)
    }

    pub(super) fn done<T: Target>(&mut self, scratch: &mut T) -> Result<()> {
        self.append(scratch, DONE)
    }

    /// Writes a record. What was written before is durable before it, it before what follows.
    fn append<T: Target>(&mut self, scratch: &mut T, number: u32) -> Result<()> {
        sync(scratch)?;
        let crc = record_crc(&self.binding, self.generation, self.record, number);
        let pos = self.areas.record_pos(self.area, self.record);
        put(scratch, pos, words([number, crc]).as_flattened_mut())?;
        self.record = self.record.saturating_add(1);
        sync(scratch)
    }
}

fn put<T: Target>(scratch: &mut T, pos: u64, bytes: &mut [u8]) -> Result<()> {
    let mut writer = Checkpointer::new(scratch, pos);
    writer.bytes(bytes)?;
    writer.finish().map(drop)
}
