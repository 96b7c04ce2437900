//! A slot and the scratch flash beside it in one chip, so that operations have one order; a write
//! cache, if there is one, is each part's own.

use std::cell::RefCell;
use std::ops::Range;

use fwdelta_core::storage::{Geometry, ReadError, Sector, Source, Target};

use crate::flash::{Flash, FlashError};

/// What is done to a chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Erases a sector.
    Erase(u32),
    /// Programs bytes at a position.
    Program(u64, Vec<u8>),
    /// Makes a part durable.
    Sync(Range<u64>),
}

/// A chip just before something is done to it.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The chip.
    pub flash: Flash,
    /// What comes next.
    pub action: Action,
}

/// A chip, and what was done to it.
#[derive(Clone, Debug)]
pub struct Board {
    /// The chip: the slot, then the scratch flash.
    pub flash: Flash,
    slot_len: u64,
    /// Every moment since recording began.
    log: Option<Vec<Moment>>,
    /// The same without the chip, which takes much less memory.
    actions: Option<Vec<Action>>,
}

impl Board {
    /// A chip whose first `slot_len` bytes are the slot.
    #[must_use]
    pub const fn new(flash: Flash, slot_len: u64) -> Self {
        Self { flash, slot_len, log: None, actions: None }
    }

    /// Records from now on.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.log = Some(Vec::new());
        self
    }

    /// Records only what is done, from now on.
    #[must_use]
    pub fn recording_actions(mut self) -> Self {
        self.actions = Some(Vec::new());
        self
    }

    /// The actions that were recorded, apart.
    #[must_use]
    pub fn into_actions(mut self) -> (Self, Vec<Action>) {
        let actions = self.actions.take().unwrap_or_default();
        (self, actions)
    }

    /// What was recorded, apart.
    #[must_use]
    pub fn into_moments(mut self) -> (Self, Vec<Moment>) {
        let moments = self.log.take().unwrap_or_default();
        (self, moments)
    }

    /// The bytes of the slot.
    #[must_use]
    pub fn slot(&self) -> &[u8] {
        &self.flash.bytes()[..self.slot_len as usize]
    }

    fn act(&mut self, action: Action) -> Result<(), FlashError> {
        if let Some(log) = &mut self.log {
            log.push(Moment { flash: self.flash.clone(), action: action.clone() });
        }
        if let Some(actions) = &mut self.actions {
            actions.push(action.clone());
        }
        perform(&mut self.flash, &action)
    }
}

/// Does it.
///
/// # Errors
/// As the flash.
pub fn perform(flash: &mut Flash, action: &Action) -> Result<(), FlashError> {
    match action {
        Action::Erase(sector) => flash.erase(*sector),
        Action::Program(pos, data) => flash.program(*pos, data),
        Action::Sync(part) => flash.sync_part(part.clone()),
    }
}

/// A part of a board.
#[derive(Clone, Copy, Debug)]
pub struct Region<'b> {
    board: &'b RefCell<Board>,
    start: u64,
    len: u64,
}

impl<'b> Region<'b> {
    /// The slot.
    #[must_use]
    pub fn slot(board: &'b RefCell<Board>) -> Self {
        let len = board.borrow().slot_len;
        Self { board, start: 0, len }
    }

    /// The rest.
    #[must_use]
    pub fn scratch(board: &'b RefCell<Board>) -> Self {
        let start = board.borrow().slot_len;
        let len = board.borrow().flash.geometry().len - start;
        Self { board, start, len }
    }
}

impl Source for Region<'_> {
    type Error = FlashError;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<FlashError>> {
        let len = buf.len() as u64;
        if pos + len > self.len {
            return Err(ReadError::Io(FlashError::OutOfBounds { pos, len }));
        }
        self.board.borrow_mut().flash.read(self.start + pos, buf)
    }
}

impl Target for Region<'_> {
    type Error = FlashError;

    fn geometry(&self) -> Geometry {
        Geometry { len: self.len, ..self.board.borrow().flash.geometry() }
    }

    /// Sectors of a part are counted from its start.
    fn sector(&self, pos: u64) -> Sector {
        let flash = &self.board.borrow().flash;
        let Sector { number, start, len } = flash.sector(self.start + pos);
        let first = flash.sector(self.start).number;
        Sector { number: number - first, start: start.saturating_sub(self.start), len }
    }

    fn erase(&mut self, sector: u32) -> Result<(), FlashError> {
        let (first, end) = {
            let flash = &self.board.borrow().flash;
            let last = flash.sector((self.start + self.len).saturating_sub(1));
            (flash.sector(self.start).number, last.number + 1)
        };
        if sector >= end - first {
            return Err(FlashError::OutOfBounds { pos: u64::from(sector), len: 0 });
        }
        self.board.borrow_mut().act(Action::Erase(first + sector))
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), FlashError> {
        let len = data.len() as u64;
        if pos + len > self.len {
            return Err(FlashError::OutOfBounds { pos, len });
        }
        self.board.borrow_mut().act(Action::Program(self.start + pos, data.to_vec()))
    }

    fn sync(&mut self) -> Result<(), FlashError> {
        self.board.borrow_mut().act(Action::Sync(self.start..self.start + self.len))
    }
}
