//! The `fwdelta` command.
fn main() {}
