//! Matching keeps to the memory that it is given and to what it says it needs.
//!
//! A file of its own with one test: the allocator counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use fwdelta::matching::{Costs, MatchOptions, View, covers};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;

/// The system's allocator, which counts what is held, and what was held at most.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller keeps the rules of the trait, which are those of the system's.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as above.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    // SAFETY: as above.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        // What gets shorter stays where it is; what gets longer may be there twice for a while.
        let held = HELD.fetch_add(new_len, Relaxed) + new_len;
        if new_len > layout.size() {
            MOST.fetch_max(held, Relaxed);
        }
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, new_len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes of each image: enough that all of both is not seen at once in the least memory.
const LEN: usize = 5 << 20;

/// Parts of noise in another order, with a byte in 64 changed: covers and candidates everywhere.
fn pair() -> (Vec<u8>, Vec<u8>) {
    let mut random = Random::new(1);
    let old: Vec<u8> = (0..LEN / 8).flat_map(|_| random.bits().to_le_bytes()).collect();
    let parts: Vec<&[u8]> = old.chunks(5000).collect();
    let mut new = Vec::with_capacity(LEN);
    (0..parts.len()).for_each(|at| new.extend_from_slice(parts[at * 7919 % parts.len()]));
    new.iter_mut().step_by(64).for_each(|byte| *byte ^= 0x20);
    (old, new)
}

#[test]
fn what_is_taken_stays_below_the_bound() {
    let (old, new) = pair();
    let len = LEN as u64;
    let most = |memory_max| {
        let options = MatchOptions { memory_max, is_thorough: true };
        let before = HELD.load(Relaxed);
        MOST.store(before, Relaxed);
        let (old, new) = (View::plain(&old), View::plain(&new));
        let covers = covers(&old, &new, &[], &[], &Costs::MAX, &options, &Silent).unwrap();
        let covered: u64 = covers.iter().map(|cover| cover.len).sum();
        assert!(covered > len / 4, "{memory_max:?}: {covered} bytes covered");
        let most = (MOST.load(Relaxed) - before) as u64;
        let bound = options.memory_bound(len, len);
        assert!(most <= bound, "{memory_max:?}: {most} bytes, bound {bound}");
        most
    };
    let least = MatchOptions::MEMORY_MIN;
    assert!(most(None) > least, "the bound would not matter");
    most(Some(least));
    most(Some(least + (16 << 20)));
}
