//! What a header declares is checked before memory is taken for it.
//!
//! A file of its own with one test: the allocator counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use fwdelta::core::apply::memory_len;
use fwdelta::core::format::chain::ChainStart;
use fwdelta::core::format::delta::{Coder, DeltaHeader, ImageId, Shape, StreamShape};
use fwdelta::core::format::shape::ENTRY_COUNT_MAX;
use fwdelta::core::{Detail, Limits};
use fwdelta::diff;
use fwdelta::progress::Silent;

/// The system's allocator, which notes the largest request.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Watched {
    // SAFETY: the caller keeps the rules of the trait, which are those of the system's.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as above.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// sentry-cli #1279: a size in a file was allocated before anything looked at it.
#[test]
fn a_header_that_declares_much_is_refused_before_allocation() {
    let id = |len| ImageId { len, digest: [0; 32] };
    let small = DeltaHeader {
        coder: Coder::Bits { model_log: 11 },
        old: Some(id(16)),
        new: id(20),
        workspace_len: 1 << 20,
        payload_len: 4,
        chain: None,
        in_place: None,
        undoes: None,
    };
    let large = Coder::Streams { window_log: 23, block_len: 1 << 24 };
    let shape = Shape { model_log: 8, memo_log: 1, buffer_log: 7, ..Shape::default() };
    let predicted = Coder::Predicted(Shape { covers: ENTRY_COUNT_MAX, ..shape });
    let predicted_max = Coder::PredictedMax(Shape { match_log: 24, ring_log: 24, ..shape });
    let all = ENTRY_COUNT_MAX;
    let streams = StreamShape { window_log: 10, block_len: 256, ..StreamShape::default() };
    let projected = Coder::Projected(StreamShape { covers: all, buffer_log: 7, ..streams });
    let described = Shape { old_segments: all, new_segments: all, runs: all, ..shape };
    let chain = Some(ChainStart { chunk_len: 1 << 24, first_hash: [0; 32], is_sealed: false });
    let most = 1 << 62;
    let cases = [
        (DeltaHeader { new: id(most - 1), ..small }, Detail::ImageTooLarge),
        (DeltaHeader { old: Some(id(most - 1)), ..small }, Detail::ImageTooLarge),
        (DeltaHeader { workspace_len: u64::MAX, ..small }, Detail::WorkspaceTooSmall),
        (DeltaHeader { chain, ..small }, Detail::ChunkTooLarge),
        (DeltaHeader { coder: Coder::Bits { model_log: 20 }, ..small }, Detail::WorkspaceTooSmall),
        (DeltaHeader { coder: large, ..small }, Detail::WorkspaceTooSmall),
        (DeltaHeader { coder: predicted, ..small }, Detail::WorkspaceTooSmall),
        (DeltaHeader { coder: predicted_max, ..small }, Detail::WorkspaceTooSmall),
        (DeltaHeader { coder: projected, ..small }, Detail::WorkspaceTooSmall),
        (DeltaHeader { coder: Coder::Predicted(described), ..small }, Detail::WorkspaceTooSmall),
        // A length within the limits takes no memory before its bytes are made.
        (DeltaHeader { new: id(1 << 40), ..small }, Detail::BadStream),
        (DeltaHeader { payload_len: most - 1, new: id(1 << 40), ..small }, Detail::PayloadSize),
    ];
    let memory = memory_len(&small).unwrap() as usize;
    for (number, (header, detail)) in cases.iter().enumerate() {
        LARGEST.store(0, Ordering::Relaxed);
        let result = diff::apply(&[0; 16], header, &[0xff; 4], &Limits::LINUX, &Silent);
        let largest = LARGEST.load(Ordering::Relaxed);
        assert_eq!(result.unwrap_err().detail(), *detail, "case {number}");
        assert!(largest <= memory, "case {number} took {largest} bytes");
    }
}
