//! The caller's tables of callbacks as core's traits.

use core::cell::Cell;
use core::ffi::c_void;

use fwdelta_core::codec::{Decompressor, Flow};
use fwdelta_core::format::key::PublicKey;
use fwdelta_core::storage::{Geometry, ReadError, Sector, Source, Target};
use fwdelta_core::verify::Crypto;
use fwdelta_core::{Category, Detail, Error, Result};

use crate::abi;

/// Calls the caller between bounded pieces of work, and remembers if it said stop.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    table: Option<&'a abi::Progress>,
    done: Cell<u64>,
    total: Cell<u64>,
    cancelled: Cell<bool>,
}

impl<'a> Progress<'a> {
    pub(crate) const fn new(table: Option<&'a abi::Progress>) -> Self {
        Self { table, done: Cell::new(0), total: Cell::new(0), cancelled: Cell::new(false) }
    }

    /// Announces how many bytes of new images will be written.
    pub(crate) fn expect(&self, total: u64) {
        self.total.set(total);
    }

    /// `Cancelled` once the caller has said so.
    pub(crate) fn step(&self) -> Result<()> {
        if let Some(abi::Progress { ctx, step: Some(step), .. }) = self.table {
            // SAFETY: the caller's own callback with the caller's own context.
            let answer = unsafe { step(*ctx, self.done.get(), self.total.get()) };
            self.cancelled.set(self.cancelled.get() || answer != 0);
        }
        if self.is_cancelled() { Err(Detail::Cancelled.into()) } else { Ok(()) }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// `error`, or `Cancelled` where the caller said stop and a read came back as failed.
    pub(crate) fn or_cancelled(&self, error: Error) -> Error {
        let detail = if self.is_cancelled() { Detail::Cancelled } else { error.detail };
        Error { detail, ..error }
    }

    fn written(&self, len: usize) {
        self.done.set(self.done.get().saturating_add(len as u64));
    }
}

/// A readable medium; reading is also where long checks let the caller feed its watchdog.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medium<'a> {
    pub(crate) table: &'a abi::Source,
    pub(crate) progress: &'a Progress<'a>,
}

impl Source for Medium<'_> {
    type Error = ();

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> core::result::Result<(), ReadError<()>> {
        self.progress.step().map_err(|_| ReadError::Io(()))?;
        read_by(self.table.read, self.table.ctx, pos, buf)
    }
}

/// A callback that reads.
type ReadFn = unsafe extern "C" fn(*mut c_void, u64, *mut u8, usize) -> i32;
/// A callback that erases.
type EraseFn = unsafe extern "C" fn(*mut c_void, u32) -> i32;
/// A callback that programs.
type ProgramFn = unsafe extern "C" fn(*mut c_void, u64, *const u8, usize) -> i32;
/// A callback that makes durable.
type SyncFn = unsafe extern "C" fn(*mut c_void) -> i32;

fn read_by(
    callback: Option<ReadFn>,
    ctx: *mut c_void,
    pos: u64,
    buf: &mut [u8],
) -> core::result::Result<(), ReadError<()>> {
    let callback = callback.ok_or(ReadError::Io(()))?;
    // SAFETY: the caller's own callback; `buf` is valid for its length during the call.
    match unsafe { callback(ctx, pos, buf.as_mut_ptr(), buf.len()) } {
        0 => Ok(()),
        abi::READ_UNCORRECTABLE => Err(ReadError::Uncorrectable),
        _ => Err(ReadError::Io(())),
    }
}

fn erase_by(callback: Option<EraseFn>, ctx: *mut c_void, sector: u32) -> Answer {
    let callback = callback.ok_or(())?;
    // SAFETY: the caller's own callback with the caller's own context.
    done(unsafe { callback(ctx, sector) })
}

fn program_by(callback: Option<ProgramFn>, ctx: *mut c_void, pos: u64, data: &[u8]) -> Answer {
    let callback = callback.ok_or(())?;
    // SAFETY: the caller's own callback; `data` is valid for its length during the call.
    done(unsafe { callback(ctx, pos, data.as_ptr(), data.len()) })
}

fn sync_by(callback: Option<SyncFn>, ctx: *mut c_void) -> Answer {
    let callback = callback.ok_or(())?;
    // SAFETY: the caller's own callback with the caller's own context.
    done(unsafe { callback(ctx) })
}

/// An old image; a full image has none, and no cover to read it by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Old<'a>(pub(crate) Option<Medium<'a>>);

impl Source for Old<'_> {
    type Error = ();

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> core::result::Result<(), ReadError<()>> {
        self.0.as_mut().ok_or(ReadError::Uncorrectable)?.read(pos, buf)
    }
}

/// Where sectors are: some of other lengths, then all alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sectors<'a> {
    pub(crate) first: &'a [abi::Sectors],
    pub(crate) len: u32,
}

impl Sectors<'_> {
    /// Bytes of the longest; 1 where nothing is erased.
    fn longest(&self) -> u32 {
        self.first.iter().map(|run| run.len).fold(self.len, u32::max)
    }

    /// The one that holds byte `pos`.
    fn of(&self, pos: u64) -> Sector {
        let (mut number, mut start) = (0u64, 0u64);
        let behind = abi::Sectors { len: self.len, count: u32::MAX };
        for run in self.first.iter().chain([&behind]) {
            let (len, count) = (u64::from(run.len.max(1)), u64::from(run.count));
            let at = pos.saturating_sub(start).checked_div(len).unwrap_or(0);
            if at < count {
                let number = u32::try_from(number.saturating_add(at)).unwrap_or(u32::MAX);
                return Sector { number, start: start.saturating_add(at.saturating_mul(len)), len };
            }
            number = number.saturating_add(count);
            start = start.saturating_add(len.saturating_mul(count));
        }
        Sector { number: u32::MAX, start, len: u64::from(self.len.max(1)) }
    }
}

/// A slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'a> {
    pub(crate) table: &'a abi::Target,
    pub(crate) sectors: Sectors<'a>,
    pub(crate) progress: &'a Progress<'a>,
}

impl Target for Slot<'_> {
    type Error = ();

    fn geometry(&self) -> Geometry {
        let abi::Target { len, write_len, erased, .. } = *self.table;
        Geometry { len, sector_len: self.sectors.longest(), write_len, erased }
    }

    fn sector(&self, pos: u64) -> Sector {
        self.sectors.of(pos)
    }

    fn erase(&mut self, sector: u32) -> Answer {
        erase_by(self.table.erase, self.table.ctx, sector)
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Answer {
        program_by(self.table.program, self.table.ctx, pos, data)?;
        self.progress.written(data.len());
        Ok(())
    }

    fn sync(&mut self) -> Answer {
        sync_by(self.table.sync, self.table.ctx)
    }
}

/// Flash that is read as well: a slot that is rewritten in place, and what lies beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chip<'a> {
    pub(crate) table: &'a abi::Flash,
    pub(crate) sectors: Sectors<'a>,
    pub(crate) progress: &'a Progress<'a>,
}

impl Source for Chip<'_> {
    type Error = ();

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> core::result::Result<(), ReadError<()>> {
        self.progress.step().map_err(|_| ReadError::Io(()))?;
        read_by(self.table.read, self.table.ctx, pos, buf)
    }
}

impl Target for Chip<'_> {
    type Error = ();

    fn geometry(&self) -> Geometry {
        let abi::Flash { len, write_len, erased, .. } = *self.table;
        Geometry { len, sector_len: self.sectors.longest(), write_len, erased }
    }

    fn sector(&self, pos: u64) -> Sector {
        self.sectors.of(pos)
    }

    fn erase(&mut self, sector: u32) -> Answer {
        erase_by(self.table.erase, self.table.ctx, sector)
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Answer {
        program_by(self.table.program, self.table.ctx, pos, data)
    }

    fn sync(&mut self) -> Answer {
        sync_by(self.table.sync, self.table.ctx)
    }
}

/// A payload that starts somewhere in its medium.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    pub(crate) medium: Medium<'a>,
    pub(crate) pos: u64,
}

impl Source for Payload<'_> {
    type Error = ();

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> core::result::Result<(), ReadError<()>> {
        let pos = self.pos.checked_add(pos).ok_or(ReadError::Io(()))?;
        self.medium.read(pos, buf)
    }
}

/// What the caller's storage answers.
type Answer = core::result::Result<(), ()>;

fn done(answer: i32) -> Answer {
    if answer == 0 { Ok(()) } else { Err(()) }
}

/// Signature verification: the caller's, or the one built in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verifier<'a> {
    Callback(&'a abi::Crypto),
    #[cfg(feature = "ed25519")]
    BuiltIn,
}

impl<'a> Verifier<'a> {
    /// The caller's, or the one built in where the caller has none.
    pub(crate) fn new(table: Option<&'a abi::Crypto>) -> Result<Self> {
        match table {
            Some(table) => Ok(Self::Callback(table)),
            #[cfg(feature = "ed25519")]
            None => Ok(Self::BuiltIn),
            #[cfg(not(feature = "ed25519"))]
            None => Err(Detail::BadArgument.into()),
        }
    }
}

impl Crypto for Verifier<'_> {
    fn verify(&self, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
        match self {
            Self::Callback(table) => call(table, key, message, signature),
            #[cfg(feature = "ed25519")]
            Self::BuiltIn => built_in(key, message, signature),
        }
    }
}

/// Asks the caller's callbacks.
fn call(table: &abi::Crypto, key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
    let (text, text_len) = (message.as_ptr(), message.len());
    let abi::Crypto { ctx, verify_ed25519, verify_other, .. } = *table;
    if let PublicKey::Ed25519(key) = key {
        let signature: &[u8; 64] = signature.try_into().ok()?;
        let (key, proof) = (key.as_ptr(), signature.as_ptr());
        // SAFETY: the caller's own callback; the three buffers are valid for the lengths that the
        // header states during the call.
        let verdict = unsafe { verify_ed25519?(ctx, key, text, text_len, proof) };
        return Some(verdict == 0);
    }
    let algorithm = i32::try_from(key.algorithm().number()).ok()?;
    let (key, key_len) = (key.bytes().as_ptr(), key.bytes().len());
    let (proof, proof_len, verify) = (signature.as_ptr(), signature.len(), verify_other?);
    // SAFETY: the caller's own callback; the three buffers are valid for their lengths during the
    // call.
    let verdict = unsafe { verify(ctx, algorithm, key, key_len, text, text_len, proof, proof_len) };
    if verdict == Category::Unsupported as i32 { None } else { Some(verdict == 0) }
}

/// Asks what is linked.
#[cfg(feature = "ed25519")]
fn built_in(key: PublicKey<'_>, message: &[u8], signature: &[u8]) -> Option<bool> {
    let verdict = fwdelta_core::verify::Ed25519.verify(key, message, signature);
    #[cfg(feature = "esp256")]
    let verdict = verdict.or_else(|| fwdelta_core::verify::Esp256.verify(key, message, signature));
    #[cfg(feature = "ml-dsa-44")]
    let verdict = verdict.or_else(|| fwdelta_core::verify::MlDsa44.verify(key, message, signature));
    verdict
}

/// The caller's decompressor; coders that need one are refused where there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unpacker<'a>(pub(crate) Option<&'a abi::Decompressor>);

impl Unpacker<'_> {
    /// `NotBuiltIn` where there is none.
    pub(crate) fn is_there(self) -> Result<()> {
        if self.0.is_some() { Ok(()) } else { Err(Detail::NotBuiltIn.into()) }
    }
}

impl Decompressor for Unpacker<'_> {
    fn start(&mut self, window_log: u8) -> Result<()> {
        let Some(abi::Decompressor { ctx, start: Some(start), .. }) = self.0 else {
            return Err(Detail::NotBuiltIn.into());
        };
        // SAFETY: the caller's own callback with the caller's own context.
        let answer = unsafe { start(*ctx, window_log) };
        if answer == 0 { Ok(()) } else { Err(Detail::NotBuiltIn.into()) }
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Flow> {
        let Some(abi::Decompressor { ctx, run: Some(run), .. }) = self.0 else {
            return Err(Detail::NotBuiltIn.into());
        };
        let mut flow = abi::Flow::default();
        let (from, to) = (input.as_ptr(), output.as_mut_ptr());
        // SAFETY: the caller's own callback; both buffers are valid for their lengths and `flow`
        // for one value during the call.
        let answer = unsafe { run(*ctx, from, input.len(), to, output.len(), &mut flow) };
        if answer != 0 {
            return Err(Detail::BadStream.into());
        }
        let abi::Flow { consumed, produced, done } = flow;
        if consumed > input.len() || produced > output.len() {
            return Err(Detail::BadArgument.into());
        }
        Ok(Flow { consumed, produced, done: done != 0 })
    }
}
