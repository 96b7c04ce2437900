//! The encoder half of core's binary range coder.

use std::collections::VecDeque;

use fwdelta_core::Result;
use fwdelta_core::codec::range::{BitCoder, CODE_LEN, RANGE_MIN};

/// Encodes decisions into bytes.
#[derive(Debug)]
pub struct RangeEncoder {
    low: u64,
    range: u32,
    /// The last byte that a carry may still change, and how many 0xff follow it.
    held: Option<u8>,
    held_ff_count: u64,
    out: Vec<u8>,
    /// Bytes shifted out so far, and those of them that are sure.
    shifted: u64,
    sure: u64,
    /// Bytes that stand as they are, behind so many of the coder's own.
    as_is: VecDeque<(u64, Vec<u8>)>,
    /// Numbers to be coded behind the length of the run at hand.
    deferred: VecDeque<(u32, u64)>,
}

impl Default for RangeEncoder {
    fn default() -> Self {
        Self {
            low: 0,
            range: u32::MAX,
            held: None,
            held_ff_count: 0,
            out: Vec::new(),
            shifted: 0,
            sure: 0,
            as_is: VecDeque::new(),
            deferred: VecDeque::new(),
        }
    }
}

impl RangeEncoder {
    /// Puts off a number until the length of the run at hand is coded.
    pub(super) fn defer(&mut self, number: (u32, u64)) {
        self.deferred.push_back(number);
    }

    /// Puts a byte where a decoder has read all of the coder's bytes that it has needed so far.
    pub(super) fn put_as_is(&mut self, byte: u8) {
        let place = self.shifted + CODE_LEN as u64;
        match self.as_is.back_mut().filter(|(last, _)| *last == place) {
            Some((_, bytes)) => bytes.push(byte),
            None => self.as_is.push_back((place, vec![byte])),
        }
    }

    /// Bytes that are sure and were not taken yet.
    #[must_use]
    pub fn ready_len(&self) -> usize {
        self.out.len()
    }

    /// Takes them.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// What was coded so far, in 256ths of a bit, to a tenth of a bit.
    #[must_use]
    pub(super) fn price(&self) -> u64 {
        let zeros = self.range.leading_zeros();
        let mantissa = (self.range << zeros) >> 23 & 0xff;
        let log = u64::from(31 - zeros) << 8 | u64::from(mantissa);
        (self.shifted + 4) * 8 * 256 - log
    }

    /// Flushes and gives the bytes that were not taken.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        for _ in 0..CODE_LEN {
            self.shift();
        }
        self.release(0);
        self.out
    }

    /// Moves the top byte of `low` out, holding it back while a carry may reach it.
    fn shift(&mut self) {
        self.shifted += 1;
        let carry = (self.low >> 32) as u8;
        let top = (self.low >> 24) as u8;
        if carry != 0 || top != 0xff {
            self.release(carry);
            self.held = Some(top);
        } else if self.held.is_some() {
            self.held_ff_count += 1;
        } else {
            self.held = Some(top);
        }
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    fn release(&mut self, carry: u8) {
        if let Some(held) = self.held.take() {
            self.push(held.wrapping_add(carry));
            for _ in 0..self.held_ff_count {
                self.push(0xff_u8.wrapping_add(carry));
            }
        }
        self.held_ff_count = 0;
    }

    /// Appends a byte that is sure, and what stands behind it.
    fn push(&mut self, byte: u8) {
        self.out.push(byte);
        self.sure += 1;
        while let Some((_, bytes)) = self.as_is.pop_front_if(|(place, _)| *place == self.sure) {
            self.out.extend(bytes);
        }
    }
}

impl BitCoder for RangeEncoder {
    fn bit(&mut self, p: u32, bit: bool) -> Result<bool> {
        let bound = (self.range >> 16) * p;
        if bit {
            self.range = bound;
        } else {
            self.low += u64::from(bound);
            self.range -= bound;
        }
        while self.range < RANGE_MIN {
            self.range <<= 8;
            self.shift();
        }
        Ok(bit)
    }

    fn deferred(&mut self) -> Option<(u32, u64)> {
        self.deferred.pop_front()
    }
}
