//! Instruction sets and address references, shared by generator and applier
//! (docs/format-delta.md, section 9).
//!
//! A [`walk::Walker`] cuts the old bytes of a cover into units, and says of each whether it refers
//! to an address; [`space::Space`] says where that address is in new; [`mod@reference`] writes it
//! into the unit's new place. All arithmetic is on integers and nothing looks farther than
//! [`unit::LOOK_AHEAD`] bytes.

pub mod a32;
pub mod a64;
pub mod data;
pub mod layout;
mod leg;
pub mod map;
pub mod mips;
pub mod project;
pub mod reference;
pub mod riscv;
pub mod space;
pub mod targets;
pub mod thumb;
pub mod unit;
pub mod walk;
pub mod x86;
mod x86_scan;
pub mod xtensa;
