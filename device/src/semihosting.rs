//! Calls to the emulator (Arm, "Semihosting for AArch32 and AArch64"): text, files, exit status.

use core::fmt;

const SYS_OPEN: usize = 0x01;
const SYS_CLOSE: usize = 0x02;
const SYS_WRITE0: usize = 0x04;
const SYS_WRITE: usize = 0x05;
const SYS_READ: usize = 0x06;
const SYS_FLEN: usize = 0x0c;
const SYS_GET_CMDLINE: usize = 0x15;
const SYS_EXIT: usize = 0x18;

/// `ADP_Stopped_ApplicationExit` and `ADP_Stopped_RunTimeErrorUnknown`: exit status 0 and 1.
const STOPPED: [usize; 2] = [0x20026, 0x20023];

/// Bytes of the command line at most.
const COMMAND_LEN: usize = 80;

/// One call; `argument` is a number or the address of a block of them.
fn call(operation: usize, argument: usize) -> isize {
    let mut r0 = operation;
    // SAFETY: the emulator reads and writes only what `argument` describes, which every caller in
    // this file owns during the call.
    unsafe {
        core::arch::asm!("bkpt #0xab", inout("r0") r0, in("r1") argument, options(nostack));
    }
    r0 as isize
}

/// Ends the emulator.
pub fn exit(is_good: bool) -> ! {
    loop {
        call(SYS_EXIT, STOPPED[usize::from(!is_good)]);
    }
}

/// Text for the emulator's standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.as_bytes().chunks(31) {
            let mut line = [0; 32];
            line[..piece.len()].copy_from_slice(piece);
            call(SYS_WRITE0, line.as_ptr() as usize);
        }
        Ok(())
    }
}

/// Prints `name` and a number, a line the host reads.
pub fn report(name: &str, number: u64) {
    let _ = fmt::write(&mut Console, format_args!("{name} {number}\n"));
}

/// Numbers of the command line, behind the program's name.
#[must_use]
pub fn arguments<const N: usize>() -> [u32; N] {
    let mut line = [0u8; COMMAND_LEN];
    let mut block = [line.as_mut_ptr() as usize, line.len()];
    let failed = call(SYS_GET_CMDLINE, block.as_mut_ptr() as usize) != 0;
    let text = core::str::from_utf8(&line).unwrap_or("");
    let mut words = text.trim_end_matches('\0').split_ascii_whitespace().skip(1);
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok());
    core::array::from_fn(|_| number(words.next()).filter(|_| !failed).unwrap_or(0))
}

/// A file of the host's.
#[derive(Debug)]
pub struct File(isize);

impl File {
    /// Opens for reading; `name` ends with a zero byte.
    #[must_use]
    pub fn open(name: &'static [u8]) -> Option<Self> {
        Self::with_mode(name, 1)
    }

    /// Makes anew, for writing; `name` ends with a zero byte.
    #[must_use]
    pub fn create(name: &'static [u8]) -> Option<Self> {
        Self::with_mode(name, 5)
    }

    fn with_mode(name: &'static [u8], mode: usize) -> Option<Self> {
        let block = [name.as_ptr() as usize, mode, name.len() - 1];
        let handle = call(SYS_OPEN, block.as_ptr() as usize);
        (handle >= 0).then_some(Self(handle))
    }

    /// Bytes in the file.
    #[must_use]
    pub fn len(&self) -> usize {
        let block = [self.0 as usize];
        usize::try_from(call(SYS_FLEN, block.as_ptr() as usize)).unwrap_or(0)
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the next bytes.
    pub fn read(&mut self, buf: &mut [u8]) -> bool {
        let block = [self.0 as usize, buf.as_mut_ptr() as usize, buf.len()];
        call(SYS_READ, block.as_ptr() as usize) == 0
    }

    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        let block = [self.0 as usize, bytes.as_ptr() as usize, bytes.len()];
        call(SYS_WRITE, block.as_ptr() as usize) == 0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let block = [self.0 as usize];
        call(SYS_CLOSE, block.as_ptr() as usize);
    }
}
