//! Exception vectors of Cortex-M (Armv7-M Architecture Reference Manual, B1.5.3): a stack pointer,
//! then addresses of handlers, odd because they are Thumb code.

use super::bytes::u32_at;

/// Headers of boot loaders end, and tables begin, at multiples of this within [`SEARCH_LEN`].
const SEARCH_STEP: usize = 0x20;
const SEARCH_LEN: usize = 0x1000;
/// Exceptions of the architecture, from reset on, that have handlers.
const SYSTEM_HANDLERS: [usize; 10] = [1, 2, 3, 4, 5, 6, 11, 12, 14, 15];
/// The first interrupt of the device, and where tables end at the latest.
const FIRST_INTERRUPT: usize = 16;
const VECTORS_MAX: usize = 256;
/// Handlers of the architecture besides reset that must be there; somewhere else than at the
/// start of an image, all but these may be missing.
const HANDLERS_MIN: usize = 2;
const HANDLERS_ELSEWHERE_MIN: usize = 5;
/// Where the architecture puts memory: code and SRAM. The stack is in the second, or in the upper
/// half of the first.
const STACK_ADDRS: std::ops::Range<u32> = 0x0200_0000..0x4000_0001;
/// Handlers may lie in a boot loader as well, but most are in the image.
const HANDLERS_END: u32 = 0x6000_0000;

/// A table of exception vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VectorTable {
    /// Its position in the image.
    pub(super) pos: u64,
    /// Where the stack begins: mostly the end of RAM.
    pub(super) stack: u64,
    /// Distinct handlers, ascending, as the table has them: odd.
    pub(super) handlers: Vec<u64>,
}

impl VectorTable {
    /// The table at the start of an image, or behind a header.
    pub(super) fn find(image: &[u8]) -> Option<Self> {
        let starts = (0..SEARCH_LEN.min(image.len())).step_by(SEARCH_STEP);
        starts.into_iter().find_map(|pos| Self::at(image, pos))
    }

    fn at(image: &[u8], pos: usize) -> Option<Self> {
        let vector = |i: usize| u32_at(image, pos + i * 4, false);
        let stack = vector(0).filter(|stack| stack % 4 == 0 && STACK_ADDRS.contains(stack))?;
        let is_handler = |addr: u32| addr & 1 == 1 && addr < HANDLERS_END;
        vector(1).filter(|reset| is_handler(*reset))?;
        let mut handlers = Vec::new();
        for i in SYSTEM_HANDLERS {
            match vector(i)? {
                0 => {}
                addr if is_handler(addr) => handlers.push(addr),
                _ => return None,
            }
        }
        let count_min = if pos == 0 { HANDLERS_MIN } else { HANDLERS_ELSEWHERE_MIN };
        if handlers.len() <= count_min {
            return None;
        }
        let interrupts = (FIRST_INTERRUPT..VECTORS_MAX).map_while(vector);
        let interrupts = interrupts.take_while(|addr| *addr == 0 || is_handler(*addr));
        handlers.extend(interrupts.filter(|addr| *addr != 0));
        handlers.sort_unstable();
        handlers.dedup();
        let handlers = nearest(&handlers, image.len());
        Some(Self { pos: pos as u64, stack: u64::from(stack), handlers })
    }

    /// Whether all handlers lie in an image of `image_len` bytes that is loaded at `base`.
    pub(super) fn fits(&self, base: u64, image_len: u64) -> bool {
        let lies_inside = |addr: &u64| addr.wrapping_sub(base) < image_len;
        base.wrapping_add(self.pos).is_multiple_of(0x80) && self.handlers.iter().all(lies_inside)
    }
}

/// The most handlers that one image of this length can hold.
fn nearest(handlers: &[u32], image_len: usize) -> Vec<u64> {
    let within = |first: usize| {
        let from = handlers[first];
        handlers[first..].iter().take_while(move |addr| ((**addr - from) as usize) < image_len)
    };
    let best = (0..handlers.len()).rev().max_by_key(|first| within(*first).count());
    best.map_or(Vec::new(), |first| within(first).map(|addr| u64::from(*addr)).collect())
}
