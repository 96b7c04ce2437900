//! bidiff with one partition and one chunk, which makes its smallest patch; read by bipatch.

mod common;

use std::fs::File;
use std::io::{BufWriter, Write};

use common::Result;

fn main() -> Result<()> {
    common::run(
        |old, new| {
            let mut patch = Vec::new();
            bidiff::simple_diff(old, new, &mut patch)?;
            common::xz(&patch)
        },
        |old, delta, new| {
            let mut reader = bipatch::Reader::new(common::unxz_file(delta)?, File::open(old)?)?;
            let mut out = BufWriter::new(File::create(new)?);
            std::io::copy(&mut reader, &mut out)?;
            Ok(out.flush()?)
        },
    )
}
