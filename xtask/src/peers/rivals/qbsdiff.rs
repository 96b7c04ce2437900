//! qbsdiff on whole images; its format is compressed with bzip2 already. Level 1 has the smallest
//! blocks, which makes its patches smaller: the streams change their nature as they go.

mod common;

use common::{Result, read, write};
use qbsdiff::{Bsdiff, Bspatch};

fn main() -> Result<()> {
    common::run(
        |old, new| {
            let mut patch = Vec::new();
            Bsdiff::new(old, new).compression_level(1).compare(&mut patch)?;
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
