//! Which instructions and addresses an image holds: the generator's view of it.

pub mod describe;
