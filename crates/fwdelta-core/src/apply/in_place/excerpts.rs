//! Old bytes whose page is lost, but which a checkpoint still holds.

use crate::error::{Detail, Result};
use crate::format::pages::{Room, Span};
use crate::state::Visit;

/// Bytes of an entry: where an excerpt stood in old, how many bytes it has, for how many more
/// intervals it stays, and where it is in the checkpoint.
pub(in crate::apply) const EXCERPT_LEN: usize = 16;
/// It is not in a checkpoint yet.
const FRESH: u32 = u32::MAX;

/// A part of the old image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) pos: u64,
    pub(super) len: u16,
    life: u16,
    at: u32,
}

impl Excerpt {
    fn of(entry: [u8; EXCERPT_LEN]) -> Self {
        let [p @ .., a, b, c, d, e, f, g, h] = entry;
        Self {
            pos: u64::from_le_bytes(p),
            len: u16::from_le_bytes([a, b]),
            life: u16::from_le_bytes([c, d]),
            at: u32::from_le_bytes([e, f, g, h]),
        }
    }

    fn entry(self) -> [u8; EXCERPT_LEN] {
        let ([a, b], [c, d]) = (self.len.to_le_bytes(), self.life.to_le_bytes());
        let ([e, f, g, h], [i, j, k, l, m, n, o, p]) =
            (self.at.to_le_bytes(), self.pos.to_le_bytes());
        [i, j, k, l, m, n, o, p, a, b, c, d, e, f, g, h]
    }

    const fn end(self) -> u64 {
        self.pos.saturating_add(self.len as u64)
    }

    /// Where it is among the excerpts of the checkpoint, if it was written to one.
    pub(super) const fn place(self) -> Option<u64> {
        if self.at == FRESH { None } else { Some(self.at as u64) }
    }
}

/// What stands at a position of a lost page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where among the excerpts; `None`: nothing is left of it.
    pub(super) at: Option<u64>,
    /// Bytes of which this is true.
    pub(super) len: u64,
}

/// All excerpts of the interval at hand.
#[derive(Debug)]
pub(super) struct Excerpts<'w> {
    entries: &'w mut [[u8; EXCERPT_LEN]],
    count: u32,
    room_len: u32,
    /// Where the one named last ended in old.
    last_end: u64,
}

impl<'w> Excerpts<'w> {
    pub(super) fn new(room: Room, entries: &'w mut [[u8; EXCERPT_LEN]]) -> Self {
        entries.fill([0; EXCERPT_LEN]);
        Self { entries, count: 0, room_len: room.len, last_end: 0 }
    }

    /// Whether the stream says anything of excerpts.
    pub(super) const fn has_room(&self) -> bool {
        self.room_len > 0
    }

    /// Bytes that a checkpoint has for them.
    pub(super) const fn room_len(&self) -> u64 {
        self.room_len as u64
    }

    /// Those that there are, in the order in which they were named.
    pub(super) fn all(&self) -> impl Iterator<Item = Excerpt> + '_ {
        self.entries.iter().take(self.count as usize).map(|entry| Excerpt::of(*entry))
    }

    /// An interval begins: those that served their time are gone.
    pub(super) fn age(&mut self) {
        let (mut kept, count) = (0, self.count as usize);
        for at in 0..count {
            let Some(excerpt) = self.entries.get(at).map(|entry| Excerpt::of(*entry)) else {
                break;
            };
            if let (Some(life), Some(to)) =
                (excerpt.life.checked_sub(1), self.entries.get_mut(kept))
            {
                *to = Excerpt { life, ..excerpt }.entry();
                kept = kept.saturating_add(1);
            }
        }
        self.count = kept as u32;
    }

    /// One more, `by` bytes from where the last one ended, of `len` bytes, for `life` intervals
    /// behind the one that begins. Gives where it is in old.
    pub(super) fn name(&mut self, by: i64, len: u64, life: u64) -> Result<Span> {
        let pos = self.last_end.checked_add_signed(by).ok_or(Detail::BadStream)?;
        let end = pos.checked_add(len).ok_or(Detail::BadStream)?;
        let used: u64 = self.all().map(|excerpt| u64::from(excerpt.len)).sum();
        let (Ok(short_len), Ok(life)) = (u16::try_from(len), u16::try_from(life)) else {
            return Err(Detail::BadStream.into());
        };
        let entry = self.entries.get_mut(self.count as usize).ok_or(Detail::BadStream)?;
        if used.saturating_add(len) > u64::from(self.room_len) {
            return Err(Detail::BadStream.into());
        }
        *entry = Excerpt { pos, len: short_len, life, at: FRESH }.entry();
        self.count = self.count.saturating_add(1);
        self.last_end = end;
        Ok(Span { pos, end })
    }

    /// A checkpoint holds all of them now, one behind the other.
    pub(super) fn settle(&mut self) {
        let mut at = 0u32;
        for entry in self.entries.iter_mut().take(self.count as usize) {
            let excerpt = Excerpt::of(*entry);
            *entry = Excerpt { at, ..excerpt }.entry();
            at = at.saturating_add(excerpt.len.into());
        }
    }

    /// What is left at `pos` of old, whose page is lost.
    pub(super) fn piece(&self, pos: u64) -> Piece {
        let mut len = u64::MAX;
        for excerpt in self.all() {
            if excerpt.pos <= pos && pos < excerpt.end() {
                let within = pos.saturating_sub(excerpt.pos);
                let at = Some(excerpt.place().unwrap_or(0).saturating_add(within));
                return Piece { at, len: excerpt.end().saturating_sub(pos) };
            }
            if excerpt.pos > pos {
                len = len.min(excerpt.pos.saturating_sub(pos));
            }
        }
        Piece { at: None, len }
    }

    /// Goes through it all; where they are is known from their order.
    pub(super) fn state<V: Visit>(&mut self, visit: &mut V) -> Result<()> {
        visit.bytes(self.entries.as_flattened_mut())?;
        visit.u32(&mut self.count)?;
        visit.u64(&mut self.last_end)
    }
}
