//! The command that applies a delta, and for whom its payload is encrypted (docs/format.md, 3.5).

use super::{
    COPY_ITEMS, FETCH_ITEMS, Layout, MATCH_ITEMS, Manifest, REPORT_CONDITION, REPORT_DIRECTIVE,
    Reader, Recipe as _, Result, command, parameter,
};

/// Reads `12, delta + 1, 20, {? 19: encryption, 22: delta}, 22, 2, 3, 15`.
pub(super) fn parse_copy<'a>(reader: &mut Reader<'a>, delta: usize) -> Result<Option<&'a [u8]>> {
    reader.is(&[command::SET_INDEX, delta as u64 + 1, command::OVERRIDE])?;
    let mut encryption = None;
    if reader.peek()?.arg == 2 {
        reader.map_of(2)?;
        reader.is(&[parameter::ENCRYPTION])?;
        encryption = Some(checked_encryption(reader)?);
    } else {
        reader.map_of(1)?;
    }
    reader.is(&[parameter::SOURCE, delta as u64, command::COPY, REPORT_DIRECTIVE])?;
    reader.is(&[command::IMAGE_MATCH, REPORT_CONDITION])?;
    Ok(encryption)
}

#[cfg(feature = "encryption")]
fn checked_encryption<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    crate::format::encryption::EncryptionInfo::parse(reader.clone().nested()?)?;
    reader.bytes()
}

#[cfg(not(feature = "encryption"))]
fn checked_encryption<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    Err(reader.error(crate::error::Detail::NotBuiltIn))
}

impl<'a> Manifest<'a> {
    /// What parameter 19 holds, where component `index` is copied to.
    pub(super) fn encryption(&self, index: u8) -> Result<Option<&'a [u8]>> {
        let mut reader = self.install;
        let Layout { names, prompts, with_old, .. } = self.layout;
        let fetches = FETCH_ITEMS * (2 * usize::from(names) + usize::from(prompts));
        let matches = MATCH_ITEMS * with_old.count_ones() as usize;
        for _ in 0..fetches + matches + COPY_ITEMS * usize::from(index) {
            reader.skip()?;
        }
        parse_copy(&mut reader, self.layout.header(index) + 1)
    }
}
