//! Chromium's Zucchini; it recognises executables itself and takes anything else as bytes.

mod common;

use common::{Result, read, unxz, write, xz};

fn main() -> Result<()> {
    common::run(
        |old, new| xz(&zucchini::generate(old, new)?),
        |old, delta, new| {
            let (old, delta) = (read(old)?, unxz(&read(delta)?)?);
            write(new, &zucchini::apply(&old, &delta)?)
        },
    )
}
