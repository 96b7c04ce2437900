//! PLMN: which mobile network, as MCC and MNC (3GPP TS 23.003, section 2.2).

use crate::error::{Detail, Result};

/// Five or six decimal digits: three of MCC, two or three of MNC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plmn {
    digits: [u8; 6],
    len: u8,
}

impl Plmn {
    /// Reads the text form, as in `26201`.
    ///
    /// # Errors
    /// `BadPlmn` for anything but five or six ASCII digits.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = text.as_bytes();
        if !matches!(bytes.len(), 5 | 6) || !bytes.iter().all(u8::is_ascii_digit) {
            return Err(Detail::BadPlmn.into());
        }
        let mut digits = [0; 6];
        for (to, from) in digits.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(Self { digits, len: bytes.len() as u8 })
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let digits = self.digits.get(..usize::from(self.len)).unwrap_or(&[]);
        core::str::from_utf8(digits).unwrap_or("")
    }

    /// The mobile country code, the first three digits.
    #[must_use]
    pub fn mcc(&self) -> &str {
        self.as_str().get(..3).unwrap_or("")
    }
}

impl core::fmt::Display for Plmn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::fmt::Debug for Plmn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_or_six_digits() {
        assert_eq!(Plmn::parse("26201").unwrap().as_str(), "26201");
        assert_eq!(Plmn::parse("310410").unwrap().mcc(), "310");
        for bad in ["", "2620", "2620100", "2620a", "２６２０１"] {
            assert_eq!(Plmn::parse(bad).unwrap_err().detail, Detail::BadPlmn, "{bad}");
        }
    }
}
