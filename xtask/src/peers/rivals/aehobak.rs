//! aehobak, whose patches are made to be compressed by something else.
//!
//! Its applier writes no further than the capacity it is given, and its patch does not say how
//! long new is: eight bytes before the patch do.

mod common;

use common::{Result, read, unxz, write, xz};

fn main() -> Result<()> {
    common::run(
        |old, new| {
            let mut patch = (new.len() as u64).to_le_bytes().to_vec();
            aehobak::diff(old, new, &mut patch)?;
            xz(&patch)
        },
        |old, delta, new| {
            let (old, delta) = (read(old)?, unxz(&read(delta)?)?);
            let (len, delta) = delta.split_first_chunk().ok_or("no length")?;
            let mut out = Vec::with_capacity(u64::from_le_bytes(*len).try_into()?);
            aehobak::patch(&old, delta, &mut out)?;
            write(new, &out)
        },
    )
}
