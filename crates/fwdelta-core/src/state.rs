//! A decoder's state as bytes, so that it survives a power cut.
//!
//! Each part names its fields once, to a [`Visit`] that measures, saves or loads them: what is
//! saved cannot differ from what is loaded. The order is private to one build of this crate.

use crate::error::Result;

/// Goes through state, field by field, in an order that depends on the header only.
pub trait Visit {
    /// Reads `bytes` to save them, or fills them with what was saved.
    ///
    /// # Errors
    /// When storage fails, or what was saved is not valid.
    fn bytes(&mut self, bytes: &mut [u8]) -> Result<()>;

    /// A byte.
    ///
    /// # Errors
    /// As [`Visit::bytes`].
    fn u8(&mut self, number: &mut u8) -> Result<()> {
        self.bytes(core::slice::from_mut(number))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As [`Visit::bytes`].
    fn flag(&mut self, flag: &mut bool) -> Result<()> {
        let mut number = u8::from(*flag);
        self.u8(&mut number)?;
        *flag = number != 0;
        Ok(())
    }

    /// 32 bits.
    ///
    /// # Errors
    /// As [`Visit::bytes`].
    fn u32(&mut self, number: &mut u32) -> Result<()> {
        let mut bytes = number.to_le_bytes();
        self.bytes(&mut bytes)?;
        *number = u32::from_le_bytes(bytes);
        Ok(())
    }

    /// 64 bits.
    ///
    /// # Errors
    /// As [`Visit::bytes`].
    fn u64(&mut self, number: &mut u64) -> Result<()> {
        let mut bytes = number.to_le_bytes();
        self.bytes(&mut bytes)?;
        *number = u64::from_le_bytes(bytes);
        Ok(())
    }

    /// 64 bits with a sign.
    ///
    /// # Errors
    /// As [`Visit::bytes`].
    fn i64(&mut self, number: &mut i64) -> Result<()> {
        let mut bits = *number as u64;
        self.u64(&mut bits)?;
        *number = bits as i64;
        Ok(())
    }

    /// A count or index of a table, of 32 bits.
    ///
    /// # Errors
    /// As [`Visit::bytes`].
    fn index(&mut self, index: &mut usize) -> Result<()> {
        let mut number = *index as u32;
        self.u32(&mut number)?;
        *index = number as usize;
        Ok(())
    }
}

/// Whatever it is.
impl Visit for &mut dyn Visit {
    fn bytes(&mut self, bytes: &mut [u8]) -> Result<()> {
        (**self).bytes(bytes)
    }
}

/// Counts the bytes that a state takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure(pub u64);

impl Visit for Measure {
    fn bytes(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.0 = self.0.saturating_add(bytes.len() as u64);
        Ok(())
    }
}
