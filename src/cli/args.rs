//! Arguments that several commands share, and how they are read.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use zeroize::Zeroizing;

use super::output;
use crate::core::format::plmn::Plmn;
use crate::core::format::rotation::SignedTrust;
use crate::core::format::trust::Trust;
use crate::core::verify::handoff::parse_handoff;
use crate::core::verify::{EF_FOTA_LEN, EfFota, Sim};
use crate::diff::Profile;
use crate::error::{Error, Result};
use crate::package::device_file::{DeviceFile, SimFile};
use crate::package::{PublicKey, SecretKey, trust_file};
use crate::release::Release;

/// Reads a private key file.
pub(crate) fn secret_key(path: &Path) -> Result<SecretKey> {
    let pem = secret(path)?;
    SecretKey::from_pem(&pem, &path.display().to_string())
}

/// Reads a public key file.
pub(crate) fn public_key(path: &Path) -> Result<PublicKey> {
    PublicKey::from_pem(&text(path)?, &path.display().to_string())
}

/// Reads a text file.
pub(crate) fn text(path: &Path) -> Result<String> {
    let bytes = output::read(path)?;
    String::from_utf8(bytes).map_err(|_| Error::input(path.display(), "not a UTF-8 text file"))
}

/// Reads a secret in text form.
pub(crate) fn secret(path: &Path) -> Result<Zeroizing<String>> {
    let bytes = output::read_secret(path)?;
    let text = std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned()));
    text.map_err(|_| Error::input(path.display(), "not a UTF-8 text file"))
}

/// A PLMN on the command line.
pub(crate) fn plmn(text: &str) -> Result<Plmn, String> {
    Plmn::parse(text).map_err(|_| "a PLMN is five or six digits, as in 26201".to_owned())
}

/// Sixteen bytes as 32 hexadecimal digits. Not for clap, which repeats a wrong value in its
/// message: a validation string with a typing error is still a secret.
pub(crate) fn string16(text: &str) -> Result<[u8; 16], String> {
    let wrong = || "a validation string is 32 hexadecimal digits".to_owned();
    let text = text.trim();
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

/// Reads a trust file: `.toml` is compiled on the fly, anything else must be compiled already.
pub(crate) fn trust(path: &Path) -> Result<Vec<u8>> {
    let subject = path.display().to_string();
    if path.extension().is_some_and(|extension| extension == "toml") {
        let dir = path.parent().unwrap_or(Path::new(""));
        return trust_file::compile(&text(path)?, &subject, &mut |name| {
            public_key(&dir.join(name))
        });
    }
    let bytes = output::read(path)?;
    if SignedTrust::is_signed(&bytes) {
        let what = "an anchor that replaces another; `fwdelta trust accept` checks it and gives \
                    the one to trust";
        return Err(Error::input(subject, what));
    }
    Trust::parse(&bytes).map_err(|error| Error::from(error).about(&subject))?;
    Ok(bytes)
}

/// Reads a device file; without one the device knows nothing of itself.
pub(crate) fn device(path: Option<&Path>) -> Result<DeviceFile> {
    let Some(path) = path else { return Ok(DeviceFile::default()) };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    DeviceFile::parse(&text(path)?, &path.display().to_string(), now)
}

/// Reads a release file and the notes files it names; sane defaults without one.
pub(crate) fn release(path: Option<&Path>) -> Result<Release> {
    let Some(path) = path else { return Ok(Release::default()) };
    let dir = path.parent().unwrap_or(Path::new(""));
    let subject = path.display().to_string();
    Release::parse(&text(path)?, &subject, &mut |name| text(&dir.join(name)))
}

/// What deltas are made for.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum ProfileName {
    /// Microcontrollers with 8 KiB of RAM: at most 3 KiB of working memory
    Tiny,
    /// Microcontrollers: at most 10 KiB of working memory
    #[default]
    Small,
    /// Linux-class devices, speed first: a few MiB of working memory
    Fast,
    /// Linux-class devices, size first: at most 24 MiB of working memory
    Max,
    /// Nothing is predicted: the decoder with the least code
    Plain,
    /// Streams of the bsdiff crate, as a test oracle; quadratic time on repetitive data
    Bsdiff,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Tiny => Profile::Tiny,
            ProfileName::Small => Profile::Small,
            ProfileName::Plain => Profile::Plain,
            ProfileName::Fast => Profile::Fast,
            ProfileName::Max => Profile::Max,
            ProfileName::Bsdiff => Profile::Bsdiff,
        }
    }
}

/// What SIM the device has.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SimArgs {
    /// Content of the SIM's EF_FOTA: a file of 17 bytes, condition byte and validation string
    #[arg(long, value_name = "FILE", conflicts_with = "sim")]
    ef_fota: Option<PathBuf>,
    /// The device has no SIM, or one without EF_FOTA [default: none]
    #[arg(long, value_enum)]
    sim: Option<SimState>,
    /// Operator of the SIM [default: the only one in the trust file]
    #[arg(long, value_parser = plmn, requires = "ef_fota")]
    plmn: Option<Plmn>,
    /// The SIM as a handoff agent left it in non-volatile memory (docs/format.md, section 10)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ef_fota", "sim"])]
    handoff: Option<PathBuf>,
}

/// Reads EF_FOTA: its bytes, or as hexadecimal digits, as tools for SIMs print it.
fn ef_fota(path: &Path) -> Result<EfFota> {
    let mut bytes = output::read_secret(path)?;
    let digits: Option<Vec<u8>> = bytes
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| char::from(*byte).to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = Zeroizing::new(digits.unwrap_or_default());
    if digits.len() == 2 * EF_FOTA_LEN {
        let pairs = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
        bytes = Zeroizing::new(pairs.collect());
    }
    EfFota::parse(&bytes).map_err(|_| {
        let what = format!("EF_FOTA is 17 bytes or 34 digits, this file has {}", bytes.len());
        Error::input(path.display(), what)
    })
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SimState {
    None,
    NoFota,
}

impl SimArgs {
    /// Files that hold a SIM.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.ef_fota.iter().chain(&self.handoff)
    }

    /// What is given here, and where nothing is, what a device file in `dir` says.
    pub(crate) fn or(&self, file: &SimFile, dir: &Path) -> Result<Self> {
        if self.ef_fota.is_some() || self.sim.is_some() || self.handoff.is_some() {
            return Ok(self.clone());
        }
        let own = file.plmn.as_deref().map(plmn).transpose();
        Ok(Self {
            ef_fota: file.ef_fota.as_ref().map(|name| dir.join(name)),
            sim: file.without_ef_fota.then_some(SimState::NoFota),
            plmn: self.plmn.or(own.map_err(|what| Error::input("plmn", what))?),
            handoff: None,
        })
    }

    /// The SIM as core knows it.
    pub(crate) fn sim(&self, trust: &Trust<'_>) -> Result<Sim> {
        if let Some(path) = &self.handoff {
            let bytes = output::read_secret(path)?;
            let about = |error| Error::from(error).about(path.display());
            return parse_handoff(&bytes).map_err(about);
        }
        let Some(path) = &self.ef_fota else {
            return Ok(match self.sim {
                Some(SimState::NoFota) => Sim::WithoutFota,
                Some(SimState::None) | None => Sim::Absent,
            });
        };
        let ef_fota = ef_fota(path)?;
        let only = || {
            let mut operators = trust.operators();
            operators.next().filter(|_| operators.next().is_none()).map(|entry| entry.plmn)
        };
        let plmn = self.plmn.or_else(only).ok_or_else(|| {
            Error::input("--plmn", "the trust file has several operators or none; name the SIM's")
        })?;
        Ok(Sim::WithFota { plmn, ef_fota })
    }
}

/// Bytes, with K, M or G for powers of 1,024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.to_ascii_uppercase().chars().last() {
        Some('K') => (&text[..text.len() - 1], 10),
        Some('M') => (&text[..text.len() - 1], 20),
        Some('G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    number.ok_or_else(|| "a size is a number of bytes, as in 6144, 6K or 512M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!([size("6K"), size("512m"), size("7")], [Ok(6144), Ok(512 << 20), Ok(7)]);
        assert!(size("K").is_err() && size("").is_err() && size("99999999999G").is_err());
    }
}
