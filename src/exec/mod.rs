//! Which instructions and addresses an image holds: the generator's view of it.

pub mod atlas;
pub mod chain;
pub mod describe;
pub mod views;
pub mod votes;
