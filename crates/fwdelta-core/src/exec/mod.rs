//! Instruction sets and address references, shared by generator and applier.

pub mod layout;
