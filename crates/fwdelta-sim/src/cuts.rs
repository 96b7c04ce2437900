//! Power cuts at every moment of an update in place, and at every moment of the recoveries.

use std::cell::RefCell;

use fwdelta_core::apply::in_place::{Binding, Flash, Found, Progress, Rehearsal, Rewriting};
use fwdelta_core::apply::two_slots::{Settings, Writing};
use fwdelta_core::apply::{Applier, Io, Step};
use fwdelta_core::codec::NoDecompressor;
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::storage::Target as _;
use fwdelta_core::{Error, Limits};

use crate::board::{Action, Board, Moment, Region, perform};
use crate::fault::{Fault, Kind, Random};

/// Where new goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Over old.
    InPlace,
    /// Into a slot of its own, with a checkpoint every so many bytes.
    TwoSlots {
        /// Bytes of new from one checkpoint to the next.
        interval: u64,
    },
}

/// Bytes of payload offered at a time where new has a slot of its own.
const PIECE_LEN: usize = 61;

/// A device that is to be updated, and what shall come of it.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// Where new goes.
    pub mode: Mode,
    /// The header of the delta.
    pub header: &'a DeltaHeader,
    /// Its payload.
    pub payload: &'a [u8],
    /// The old image; with two slots it is elsewhere.
    pub old: &'a [u8],
    /// The new image.
    pub new: &'a [u8],
}

/// What was tried, and the worst that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Power cuts, each followed by a recovery up to the new image.
    pub cuts: u64,
    /// Operations of the longest recovery.
    pub operations_max: u64,
    /// Most erases of one sector, cuts and recoveries included.
    pub erases_max: u32,
}

impl Tally {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.operations_max = self.operations_max.max(other.operations_max);
        self.erases_max = self.erases_max.max(other.erases_max);
    }
}

/// How much to try.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Of the moments of an update one in so many is cut; 1 is all. In place, all moments are at
    /// which something is done to the slot: they are few, and decide.
    pub every: usize,
    /// The same of the moments of each recovery; 0 is none.
    pub nested_every: usize,
    /// Torn cells of each moment that are tried.
    pub seeds: u64,
}

impl Update<'_> {
    /// Boots: what a device does after each reset, up to the new image.
    ///
    /// # Errors
    /// What the device would report: without a cut there is nothing.
    pub fn boot(&self, board: &RefCell<Board>) -> Result<(), Error> {
        match self.mode {
            Mode::InPlace => self.rewrite(board),
            Mode::TwoSlots { interval } => self.write(board, interval),
        }
    }

    fn write(&self, board: &RefCell<Board>, interval: u64) -> Result<(), Error> {
        let Self { header, payload, mut old, .. } = *self;
        let (mut new, mut scratch) = (Region::slot(board), Region::scratch(board));
        let binding = Binding::new(&[1, 2, 3], &[]);
        let (limits, settings) = (Limits::LINUX, Settings { binding, interval });
        let mut work = vec![0xa5; Applier::workspace(header)? as usize];
        let found = Writing::look(header, &mut work, &limits, &mut scratch, &binding)?;
        let start = match found {
            Found::Done => return Ok(()),
            Found::Begun => Writing::resume,
            Found::Nothing => Writing::begin,
        };
        let mut writing = start(header, &mut work, &limits, &settings, &mut new, &mut scratch)?;
        let mut pos = writing.at().payload_pos as usize;
        let decompressor = &mut NoDecompressor;
        let mut io = Io { old: &mut old, new: &mut new, decompressor };
        loop {
            let piece = &payload[pos..payload.len().min(pos + PIECE_LEN)];
            let (taken, step) = writing.feed(&mut io, &mut scratch, piece)?;
            pos += taken;
            if step == Step::Done {
                return writing.finish(&mut new, &mut scratch).map(drop);
            }
        }
    }

    fn rewrite(&self, board: &RefCell<Board>) -> Result<(), Error> {
        let Self { header, payload, .. } = *self;
        let (mut slot, mut scratch) = (Region::slot(board), Region::scratch(board));
        let binding = Binding::new(&[1, 2, 3], &[]);
        let limits = Limits::LINUX;
        // Memory holds anything after a reset.
        let mut work = vec![0xa5; Applier::workspace(header)? as usize];
        let found = Rewriting::look(header, &mut work, &mut scratch, &binding)?;
        let mut io = Flash { slot: &mut slot, scratch: &mut scratch, payload: &mut { payload } };
        let mut rewriting = match found {
            Found::Done => return Ok(()),
            Found::Begun => Rewriting::resume(header, &mut work, &limits, binding, &mut io)?,
            Found::Nothing => {
                let is_old = board.borrow().slot().starts_with(self.old);
                assert!(is_old, "nothing was begun, and yet the old image is gone");
                let mut rehearsal = Rehearsal::open(header, &mut work, &limits)?;
                while rehearsal.step(&mut io)? == Progress::Yield {}
                let ready = rehearsal.finish()?;
                Rewriting::begin(ready, header, &mut work, &limits, binding, &mut io)?
            }
        };
        while rewriting.step(&mut io)? == Progress::Yield {}
        rewriting.finish().map(drop)
    }

    /// Boots a chip and records; `Err` says what is wrong.
    fn record(&self, board: Board) -> Result<(Board, Vec<Moment>), String> {
        Ok(self.try_boot(board.recording())?.into_moments())
    }

    /// Boots a chip; `Err` says what is wrong.
    fn try_boot(&self, board: Board) -> Result<Board, String> {
        let board = RefCell::new(board);
        let result = self.boot(&board);
        let board = board.into_inner();
        let broken = board.flash.violations();
        if !broken.is_empty() {
            return Err(format!("a rule of the flash is broken: {:?}", broken[0]));
        }
        result.map_err(|error| format!("a device is lost: {error} at byte {}", error.pos))?;
        if !board.slot().starts_with(self.new) {
            return Err("the device says that it is done, but has another image".to_owned());
        }
        Ok(board)
    }

    /// Tries cuts of every kind at the moments of an update of `board`.
    ///
    /// # Errors
    /// What the first device that was lost says, and where it was cut.
    pub fn try_cuts(&self, board: Board, plan: &Plan) -> Result<Tally, String> {
        let slot_len = board.slot().len() as u64;
        let moments = self.record(board)?.1;
        let mut tally = Tally::default();
        let is_tried = |(at, moment): &(usize, &Moment)| {
            let is_slot = self.mode == Mode::InPlace && touches(moment, slot_len);
            at.is_multiple_of(plan.every) || is_slot
        };
        for (at, moment) in moments.iter().enumerate().filter(is_tried) {
            for (kind, seed) in kinds(at, plan.seeds) {
                let action = brief(&moment.action);
                let here = format!(
                    "cut {kind:?} at operation {at} of {}, {action}, seed {seed}",
                    moments.len()
                );
                let board = cut(moment, kind, seed, slot_len);
                let before = board.flash.counts().operations;
                let (after, recovery) =
                    self.record(board).map_err(|error| format!("{error}: {here}"))?;
                tally.add(&seen(&after, before));
                if plan.nested_every > 0 {
                    let nested = self.try_nested(&recovery, plan, seed, slot_len);
                    tally.add(&nested.map_err(|error| format!("{error}: after {here}"))?);
                }
            }
        }
        Ok(tally)
    }

    fn try_nested(
        &self,
        moments: &[Moment],
        plan: &Plan,
        seed: u64,
        slot_len: u64,
    ) -> Result<Tally, String> {
        let mut tally = Tally::default();
        let first = Random::new(seed).below(plan.nested_every);
        for (at, moment) in moments.iter().enumerate().skip(first).step_by(plan.nested_every) {
            for (kind, seed) in kinds(at ^ seed as usize, 1) {
                let board = cut(moment, kind, seed, slot_len);
                let before = board.flash.counts().operations;
                let after = self.try_boot(board).map_err(|error| {
                    format!(
                        "{error}: cut {kind:?} at operation {at} of {}, {}",
                        moments.len(),
                        brief(&moment.action)
                    )
                })?;
                tally.add(&seen(&after, before));
            }
        }
        Ok(tally)
    }
}

/// Whether bytes before `end` are erased or programmed.
fn touches(moment: &Moment, end: u64) -> bool {
    match &moment.action {
        Action::Erase(sector) => *sector < moment.flash.sector(end).number,
        Action::Program(pos, _) => *pos < end,
        Action::Sync(_) => false,
    }
}

/// An action without its bytes.
fn brief(action: &Action) -> String {
    match action {
        Action::Program(pos, data) => format!("programming {} bytes at {pos}", data.len()),
        other => format!("{other:?}"),
    }
}

/// Every kind of cut; torn cells with several seeds.
fn kinds(at: usize, seeds: u64) -> impl Iterator<Item = (Kind, u64)> {
    let all = Kind::CUTS.into_iter().flat_map(move |kind| {
        let count = if kind == Kind::CutTorn { seeds } else { 1 };
        (0..count).map(move |seed| (kind, seed))
    });
    all.map(move |(kind, seed)| (kind, (at as u64).wrapping_mul(31).wrapping_add(seed)))
}

/// The chip after a cut, with power again.
fn cut(moment: &Moment, kind: Kind, seed: u64, slot_len: u64) -> Board {
    let mut flash = moment.flash.clone();
    let at = flash.counts().operations;
    flash.plan(Fault { at, kind, seed });
    let _ = perform(&mut flash, &moment.action);
    assert!(!flash.has_power(), "the cut took place");
    flash.reboot(seed);
    Board::new(flash, slot_len)
}

fn seen(board: &Board, before: u64) -> Tally {
    let counts = board.flash.counts();
    let (erases, operations_max) =
        (counts.erases.iter().copied().max(), counts.operations - before);
    Tally { cuts: 1, operations_max, erases_max: erases.unwrap_or(0) }
}
