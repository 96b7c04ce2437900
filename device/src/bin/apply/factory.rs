//! Files of the host to flash, and back: not a part of a device.

use fwdelta_core::storage::{Source, Target};
use fwdelta_device::board::{FLASH_LEN, PAGE_LEN, SLOT_LEN, STAGED_LEN};
use fwdelta_device::nor::{Cut, Note, Part, forget_notes};
use fwdelta_device::semihosting::File;

/// Bytes copied at a time.
const PIECE_LEN: usize = 256;

/// Where things stand in flash: trust anchor, package, slot, scratch, notes.
pub(crate) const TRUST_LEN: u32 = PAGE_LEN;
pub(crate) const PACKAGE_POS: u32 = TRUST_LEN;
pub(crate) const PACKAGE_LEN: u32 = SLOT_POS - PACKAGE_POS;
pub(crate) const SLOT_POS: u32 = STAGED_LEN;
pub(crate) const SCRATCH_POS: u32 = SLOT_POS + SLOT_LEN;
pub(crate) const SCRATCH_LEN: u32 = FLASH_LEN - PAGE_LEN - SCRATCH_POS;

/// Gives the flash its first content.
pub(crate) fn make() -> bool {
    forget_notes();
    let cut = Cut::never();
    let trust = fill(Part::new(0, TRUST_LEN, &cut), b"trust\0");
    let package = fill(Part::new(PACKAGE_POS, PACKAGE_LEN, &cut), b"package\0");
    let old = fill(Part::new(SLOT_POS, SLOT_LEN, &cut), b"old\0");
    let (Some(trust), Some(package), Some(_)) = (trust, package, old) else { return false };
    Note::TrustLen.take(trust);
    Note::PackageLen.take(package);
    Note::Made.take(1);
    true
}

/// Erases `part` and copies a file to its start; gives its length.
fn fill(mut part: Part<'_>, name: &'static [u8]) -> Option<u32> {
    let mut file = File::open(name)?;
    let (len, room) = (file.len(), part.geometry().len);
    for sector in 0..room as u32 / PAGE_LEN {
        part.erase(sector).ok()?;
    }
    for pos in (0..len).step_by(PIECE_LEN) {
        let mut piece = [0xff; PIECE_LEN];
        let count = PIECE_LEN.min(len - pos);
        if !file.read(&mut piece[..count]) {
            return None;
        }
        part.program(pos as u64, &piece).ok()?;
    }
    Some(len as u32)
}

/// Writes the slot to a file of the host, which compares it.
pub(crate) fn dump() -> bool {
    let cut = Cut::never();
    let mut slot = Part::new(SLOT_POS, SLOT_LEN, &cut);
    let Some(mut file) = File::create(b"new.out\0") else { return false };
    (0..SLOT_LEN).step_by(PIECE_LEN).all(|pos| {
        let mut piece = [0; PIECE_LEN];
        slot.read(pos.into(), &mut piece).is_ok() && file.write(&piece)
    })
}
