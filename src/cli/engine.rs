//! Arguments of the commands that make deltas: what is made, for which device, with how much.

use clap::ValueEnum;
use serde::Deserialize;

use std::path::{Path, PathBuf};

use super::args::{ProfileName, size};
use super::geometry::{self, page};
use crate::core::exec::layout::Content;
use crate::diff::{FirstPages, Options, Order, Place};
use crate::error::{Error, Result};
use crate::exec::describe::Hints;

/// How deltas are made.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Engine {
    /// What the delta is made for
    #[arg(long, value_enum, default_value_t)]
    profile: ProfileName,
    /// Working memory of the device, as in 6K: tables and listed covers are fitted to it
    #[arg(long, value_name = "BYTES", value_parser = size)]
    ram: Option<u64>,
    /// Memory that matching may use, as in 512M, besides images; less than 64M counts as that
    #[arg(long, value_name = "BYTES", value_parser = size)]
    memory: Option<u64>,
    /// Profile fast makes streams of images up to 1 MB as well: the device was built without the
    /// decoder of small, or has no time for it
    #[arg(long)]
    streams_only: bool,
    #[command(flatten)]
    flash: FlashArgs,
    #[command(flatten)]
    image: Image,
    /// Threads to work with, 0 for one per processor; the delta is the same for any number
    #[arg(long, default_value_t = 0, value_parser = threads)]
    threads: usize,
}

/// The flash of a device that updates in place.
#[derive(Clone, Debug, clap::Args)]
struct FlashArgs {
    /// The device writes new over old, page by page, and survives power cuts meanwhile
    #[arg(long)]
    in_place: bool,
    /// The same with a file that says what the flash is like (docs/in-place.md): page lengths,
    /// which may differ, spare pages and so on
    #[arg(long, value_name = "FILE", conflicts_with = "in_place")]
    geometry: Option<PathBuf>,
    /// Bytes that the flash erases together, as in 4K; a multiple of 32
    #[arg(long, value_name = "BYTES", value_parser = page, default_value = "4K",
          requires = "in_place")]
    page: u32,
    /// Spare pages that keep old ones: the more, the smaller the delta
    #[arg(long, value_name = "PAGES", default_value_t = 5, requires = "in_place",
          value_parser = clap::value_parser!(u8).range(1..))]
    spare: u8,
    /// Bytes that the flash programs together, for the report
    #[arg(long, value_name = "BYTES", default_value_t = 8, requires = "in_place",
          value_parser = clap::value_parser!(u16).range(1..=32))]
    write: u16,
    /// What an erased byte reads as, for the report
    #[arg(long, value_name = "BYTE", value_parser = byte, default_value = "0xff",
          requires = "in_place")]
    erased: u8,
    /// Order in which pages are made [default: the best]
    #[arg(long, value_enum, requires = "in_place")]
    order: Option<OrderName>,
    /// Pages from one checkpoint to the next, at most --spare [default: the best]
    #[arg(long, value_name = "PAGES", requires = "in_place",
          value_parser = clap::value_parser!(u8).range(1..))]
    interval: Option<u8>,
}

#[derive(Clone, Copy, Debug, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OrderName {
    /// From front to back
    Ascending,
    /// From back to front
    Descending,
    /// Those first whose old bytes are needed least
    Needs,
}

impl OrderName {
    pub(super) const fn order(self) -> Order {
        match self {
            Self::Ascending => Order::Ascending,
            Self::Descending => Order::Descending,
            Self::Needs => Order::Needs,
        }
    }
}

/// What is known of raw images.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Image {
    /// Instruction set of raw images, instead of what is inferred; `data` holds for ELF files, too
    #[arg(long, value_enum)]
    arch: Option<Arch>,
    /// Address at which the first byte of a raw image is loaded, as in 0x8000000
    #[arg(long, value_name = "ADDRESS", value_parser = number)]
    base: Option<u64>,
}

impl Image {
    /// What inference is told.
    pub(super) fn hints(&self) -> Hints {
        Hints { content: self.arch.map(Arch::content), base: self.base }
    }
}

impl Engine {
    /// The profile.
    pub(super) const fn profile(&self) -> ProfileName {
        self.profile
    }

    /// Whether something is said of the device that only this project's format can say.
    pub(super) const fn is_for_device(&self) -> bool {
        self.ram.is_some()
            || self.streams_only
            || self.flash.in_place
            || self.flash.geometry.is_some()
    }

    /// The geometry file.
    pub(super) fn geometry(&self) -> Option<&Path> {
        self.flash.geometry.as_deref()
    }

    /// Threads to work with.
    pub(super) const fn threads(&self) -> usize {
        self.threads
    }

    /// The flash of a device that updates in place.
    ///
    /// # Errors
    /// When the geometry file cannot be read, or what is said of the flash is wrong.
    pub(super) fn place(&self) -> Result<Option<Place>> {
        let FlashArgs { in_place, ref geometry, page, spare, write, erased, order, interval } =
            self.flash;
        if let Some(path) = geometry {
            return geometry::read(path).map(Some);
        }
        let place = Place {
            page_len: page,
            first: FirstPages::NONE,
            spare_count: spare,
            write_len: write,
            erased,
            order: order.map(OrderName::order),
            interval,
            room: None,
        };
        if in_place && !place.is_valid() {
            return Err(Error::input(
                "--page, --spare, --write, --interval",
                geometry::WHAT_IS_VALID,
            ));
        }
        Ok(in_place.then_some(place))
    }

    /// What the generator is told.
    ///
    /// # Errors
    /// As [`Engine::place`].
    pub(super) fn options(&self) -> Result<Options> {
        Ok(Options {
            profile: self.profile.into(),
            threads: self.threads,
            hints: self.image.hints(),
            device_memory_len: self.ram,
            in_place: self.place()?,
            memory_max: self.memory,
            is_streamed: self.streams_only,
            is_bound: false,
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Arch {
    /// No code: nothing but data
    Data,
    /// AArch64
    Aarch64,
    /// 32-bit ARM, and Thumb where it looks like that
    Arm,
    /// Thumb, Thumb-2
    Thumb,
    /// x86-64
    #[value(name = "x86-64")]
    X86_64,
    /// 32-bit x86
    I386,
    /// RISC-V, 32 or 64 bits
    Riscv,
    /// MIPS
    Mips,
    /// Xtensa
    Xtensa,
}

impl Arch {
    const fn content(self) -> Content {
        match self {
            Self::Data => Content::Data,
            Self::Aarch64 => Content::A64,
            Self::Arm => Content::A32,
            Self::Thumb => Content::Thumb,
            Self::X86_64 => Content::X86_64,
            Self::I386 => Content::I386,
            Self::Riscv => Content::RiscV,
            Self::Mips => Content::Mips,
            Self::Xtensa => Content::Xtensa,
        }
    }
}

/// More threads than any machine has work for are a mistake that takes all of its memory.
const THREAD_COUNT_MAX: usize = 1024;

fn threads(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count <= THREAD_COUNT_MAX);
    count.ok_or_else(|| format!("a number of threads is 0 to {THREAD_COUNT_MAX}"))
}

/// A number, decimal or after 0x hexadecimal.
fn number(text: &str) -> Result<u64, String> {
    let wrong = |_| "a number is decimal, or hexadecimal as in 0x8000000".to_owned();
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).map_err(wrong),
        None => text.parse().map_err(wrong),
    }
}

/// A byte, decimal or after 0x hexadecimal.
fn byte(text: &str) -> Result<u8, String> {
    number(text)?.try_into().map_err(|_| "a byte is at most 255, as in 0xff".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!([number("0x08008000"), number("16")], [Ok(0x0800_8000), Ok(16)]);
        assert!(number("0x").is_err() && number("ten").is_err());
    }
}
