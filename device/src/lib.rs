//! What programs for the emulated boards share: start-up, semihosting, the stack, the flash.
#![no_std]

pub mod board;
pub mod nor;
pub mod semihosting;
pub mod stack;

core::arch::global_asm!(include_str!("../board/start.S"));
