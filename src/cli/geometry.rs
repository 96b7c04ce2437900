//! The geometry file: the flash of a device that updates in place (docs/in-place.md).

use std::path::Path;

use serde::Deserialize;

use super::args::{self, size};
use super::engine::OrderName;
use crate::diff::{FirstPages, PageRun, Place};
use crate::error::{Error, Result, in_line};

/// What flash can be.
pub(super) const WHAT_IS_VALID: &str = concat!(
    "page lengths are multiples of 32 from 64 bytes to 16M, entries of `first` that follow each ",
    "other differ, as does `page` from the last one, `spare` is at least 1, `interval` at most ",
    "that and 8, and `write`, 1 to 32 bytes, goes into each page a whole number of times",
);

/// Bytes: a number, or text as in "16K".
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Len {
    Number(u32),
    Text(String),
}

impl Len {
    fn bytes(&self) -> Result<u32, String> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => page(text),
        }
    }
}

/// Pages of one length at the start of the slot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    len: Len,
    #[serde(default = "one")]
    count: u32,
}

const fn one() -> u32 {
    1
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flash {
    page: Len,
    #[serde(default)]
    first: Vec<Run>,
    spare: u8,
    #[serde(default = "write_len")]
    write: u16,
    #[serde(default = "erased")]
    erased: u8,
    order: Option<OrderName>,
    interval: Option<u8>,
}

const fn write_len() -> u16 {
    8
}

const fn erased() -> u8 {
    0xff
}

/// A length of 32 bits.
pub(super) fn page(text: &str) -> Result<u32, String> {
    size(text)?.try_into().map_err(|_| "a page has less than 4G".to_owned())
}

/// Reads a geometry file.
pub(super) fn read(path: &Path) -> Result<Place> {
    parse(&args::text(path)?).map_err(|message| Error::input(path.display(), message))
}

fn parse(text: &str) -> Result<Place, String> {
    let flash: Flash =
        toml::from_str(text).map_err(|error| in_line(text, error.span(), &error.message()))?;
    let mut first = FirstPages::NONE;
    for run in &flash.first {
        let run = PageRun { len: run.len.bytes()?, count: run.count };
        first.push(run).map_err(|_| "there are at most six entries of `first`".to_owned())?;
    }
    let place = Place {
        page_len: flash.page.bytes()?,
        first,
        spare_count: flash.spare,
        write_len: flash.write,
        erased: flash.erased,
        order: flash.order.map(OrderName::order),
        interval: flash.interval,
        room: None,
    };
    if !place.is_valid() {
        return Err(WHAT_IS_VALID.to_owned());
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Order;

    const FILE: &str = "page = \"128K\"\nspare = 2\nwrite = 4\nerased = 0\norder = \"needs\"\n\
                        [[first]]\nlen = \"16K\"\ncount = 2\n[[first]]\nlen = 65536\n";

    #[test]
    fn a_file_says_what_flags_say() {
        let place = parse(FILE).unwrap();
        let runs = [PageRun { len: 16 << 10, count: 2 }, PageRun { len: 64 << 10, count: 1 }];
        assert_eq!((place.page_len, place.first.runs()), (128 << 10, runs.as_slice()));
        assert_eq!((place.spare_count, place.write_len, place.erased), (2, 4, 0));
        assert_eq!((place.order, place.interval), (Some(Order::Needs), None));
        let short = parse("page = 4096\nspare = 5").unwrap();
        assert_eq!((short.write_len, short.erased, short.first), (8, 255, FirstPages::NONE));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (good, bad) in [
            ("128K", "100"),
            ("128K", "64K"),
            ("65536", "16384"),
            ("count = 2", "count = 0"),
            ("spare = 2", "spare = 0"),
            ("spare = 2", "spares = 2"),
            ("spare = 2", "spare = 2\ninterval = 3"),
            ("write = 4", "write = 0"),
            ("write = 4", "write = 33"),
            ("\"needs\"", "\"none\""),
        ] {
            assert!(parse(&FILE.replace(good, bad)).is_err(), "{bad}");
        }
        let runs: String = (1..9).map(|at| format!("[[first]]\nlen = {}\n", 64 * at)).collect();
        assert!(parse(&format!("page = 4096\nspare = 1\n{runs}")).is_err());
    }
}
