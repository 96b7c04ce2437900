//! qbsdiff on whole images; its format is compressed with bzip2 already.

mod common;

use common::{Result, read, write};
use qbsdiff::{Bsdiff, Bspatch};

fn main() -> Result<()> {
    common::run(
        |old, new| {
            let mut patch = Vec::new();
            Bsdiff::new(old, new).compression_level(9).compare(&mut patch)?;
            Ok(patch)
        },
        |old, delta, new| {
            let (old, delta) = (read(old)?, read(delta)?);
            let mut out = Vec::new();
            Bspatch::new(&delta)?.apply(&old, &mut out)?;
            write(new, &out)
        },
    )
}
