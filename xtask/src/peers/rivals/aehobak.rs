//! aehobak, whose patches are made to be compressed by something else.

mod common;

use common::{Result, read, unxz, write, xz};

fn main() -> Result<()> {
    common::run(
        |old, new| {
            let mut patch = Vec::new();
            aehobak::diff(old, new, &mut patch)?;
            xz(&patch)
        },
        |old, delta, new| {
            let (old, delta) = (read(old)?, unxz(&read(delta)?)?);
            let mut out = Vec::new();
            aehobak::patch(&old, &delta, &mut out)?;
            write(new, &out)
        },
    )
}
