//! Bytes of the new image that are made but not yet written.

/// Collects bytes up to a capacity.
#[derive(Debug)]
pub(super) struct Buffer<'w> {
    bytes: &'w mut [u8],
    capacity: usize,
    len: usize,
    /// Position in new of the first byte.
    start: u64,
}

impl<'w> Buffer<'w> {
    pub(super) fn new(bytes: &'w mut [u8]) -> Self {
        Self { bytes, capacity: 0, len: 0, start: 0 }
    }

    /// Bytes that there is memory for.
    pub(super) const fn memory_len(&self) -> usize {
        self.bytes.len()
    }

    /// Empties it for bytes from position `start` of new on, at most `capacity`.
    pub(super) fn restart(&mut self, start: u64, capacity: usize) {
        (self.start, self.len, self.capacity) = (start, 0, capacity.min(self.bytes.len()));
    }

    /// Position in new of the next byte.
    pub(super) const fn pos(&self) -> u64 {
        self.start.saturating_add(self.len as u64)
    }

    /// Position in new of the first byte.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    /// Where the next bytes go, at most `len`.
    pub(super) fn room(&mut self, len: u64) -> &mut [u8] {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let end = self.capacity.min(self.len.saturating_add(len));
        self.bytes.get_mut(self.len..end).unwrap_or(&mut [])
    }

    /// Takes the first `len` bytes of the room.
    pub(super) fn commit(&mut self, len: u64) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.len = self.len.saturating_add(len).min(self.capacity);
    }

    /// The bytes collected.
    pub(super) fn made(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The same, followed by `fill` up to a multiple of `unit`, as far as there is memory.
    pub(super) fn padded(&mut self, unit: usize, fill: u8) -> &[u8] {
        let wanted = self.len.checked_next_multiple_of(unit).unwrap_or(self.len);
        let end = wanted.min(self.bytes.len());
        if let Some(rest) = self.bytes.get_mut(self.len..end) {
            rest.fill(fill);
        }
        self.bytes.get(..end).unwrap_or(&[])
    }
}
