//! Law: however the payload is cut into pieces, the same bytes are written and the same verdict is
//! given; no rule of the flash is broken, and nothing is written beyond the new image.
#![no_main]

use fwdelta_core::apply::{Applier, Io, Step, memory_len};
use fwdelta_core::codec::{Decompressor, Flow};
use fwdelta_core::format::delta::{Coder, DeltaHeader, ImageId, Shape, StreamShape};
use fwdelta_core::storage::Geometry;
use fwdelta_core::{Detail, Limits, Result};
use fwdelta_sim::Flash;
use fwdelta_sim::fault::Random;
use libfuzzer_sys::fuzz_target;

const GEOMETRY: Geometry = Geometry { len: 64 << 10, sector_len: 512, write_len: 8, erased: 0xff };

/// Passes bytes through, so that the fuzzer writes streams and not frames of a compressor. A frame
/// ends with a zero after its announced 255 bytes at most.
#[derive(Debug, Default)]
struct Plain {
    left: usize,
    is_open: bool,
}

impl Decompressor for Plain {
    fn start(&mut self, _: u8) -> Result<()> {
        *self = Self { left: 0, is_open: true };
        Ok(())
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Flow> {
        let mut flow = Flow::default();
        if self.left == 0 && self.is_open {
            let Some(&len) = input.first() else { return Ok(flow) };
            (self.left, self.is_open) = (usize::from(len), false);
            flow.consumed = 1;
        }
        let len = self.left.min(input.len() - flow.consumed).min(output.len());
        output[..len].copy_from_slice(&input[flow.consumed..flow.consumed + len]);
        self.left -= len;
        flow.consumed += len;
        flow.produced = len;
        flow.done = self.left == 0;
        Ok(flow)
    }
}

/// Applies `payload` in pieces whose lengths `piece` gives; verdict and cells.
fn apply(
    header: &DeltaHeader,
    mut old: &[u8],
    payload: &[u8],
    mut piece: impl FnMut() -> usize,
) -> (Option<Detail>, Flash) {
    let mut flash = Flash::blank(GEOMETRY);
    let work_len = Applier::workspace(header).expect("small parameters") as usize;
    let mut work = vec![0; work_len];
    let limits = Limits::LINUX;
    let mut applier = match Applier::open(header, &mut work, &limits) {
        Ok(applier) => applier,
        Err(error) => return (Some(error.detail), flash),
    };
    let mut decompressor = Plain::default();
    let mut rest = payload;
    let verdict = loop {
        let (now, _) = rest.split_at(piece().min(rest.len()));
        let mut io = Io { old: &mut old, new: &mut flash, decompressor: &mut decompressor };
        match applier.feed(&mut io, now) {
            Err(error) => break Some(error.detail),
            Ok((_, Step::Done)) => {
                break applier.finish(&mut flash).err().map(|error| error.detail);
            }
            Ok((taken, step)) => {
                assert!(taken <= now.len());
                rest = &rest[taken..];
                if rest.is_empty() && step == Step::NeedInput {
                    break None;
                }
            }
        }
    };
    (verdict, flash)
}

/// Tables of coders 4 and 5: small ones, so that a run takes little time.
fn shape(parameter: u8, counts: &[u8; 4], is_max: bool) -> Shape {
    let log = |from: u8, count: u8| from + parameter % count;
    let count = |at: usize| u32::from(counts[at] % 6);
    Shape {
        model_log: log(8, 5),
        memo_log: log(1, 7),
        value_log: log(0, 3),
        buffer_log: log(7, 3),
        old_segments: count(0),
        new_segments: count(1),
        runs: count(2),
        covers: count(3),
        has_inline: counts[0] & 128 != 0,
        match_log: if is_max { log(8, 2) } else { 0 },
        ring_log: if is_max { log(8, 2) } else { 0 },
    }
}

fn stream_shape(parameter: u8, counts: &[u8; 4]) -> StreamShape {
    let Shape { old_segments, new_segments, runs, covers, .. } = shape(parameter, counts, false);
    StreamShape {
        window_log: 10 + parameter % 8,
        block_len: 256 + u32::from(parameter),
        buffer_log: 7 + parameter % 3,
        old_segments,
        new_segments,
        runs,
        covers,
    }
}

// Coder, its parameter, length of the new image (2 bytes), seed of the cuts, counts of the tables
// of coders 4 to 6 (4 bytes); then the payload.
fuzz_target!(|data: &[u8]| {
    let Some((&[coder, parameter, len_0, len_1, seed, ref counts @ ..], payload)) =
        data.split_first_chunk::<9>()
    else {
        return;
    };
    let (window_log, block_len) = (10 + parameter % 8, 64 + u32::from(parameter));
    let coder = match coder % 7 {
        0 => Coder::Stored,
        1 => Coder::Bits { model_log: 8 + parameter % 5 },
        2 => Coder::Streams { window_log, block_len },
        3 => Coder::Bsdiff { window_log, block_len },
        4 => Coder::Predicted(shape(parameter, counts, false)),
        5 => Coder::PredictedMax(shape(parameter, counts, true)),
        _ => Coder::Projected(stream_shape(parameter, counts)),
    };
    let old: Vec<u8> = (0..4096u32).map(|i| ((i * i) >> 3) as u8).collect();
    let new_len = u64::from(u16::from_le_bytes([len_0, len_1]) % 8192);
    let mut header = DeltaHeader {
        coder,
        old: Some(ImageId { len: old.len() as u64, digest: [0; 32] }),
        new: ImageId { len: new_len, digest: [0; 32] },
        workspace_len: 0,
        payload_len: payload.len() as u64,
        chain: None,
    };
    header.workspace_len = memory_len(&header).expect("small parameters");

    let (verdict, flash) = apply(&header, &old, payload, || usize::MAX);
    let mut random = Random::new(u64::from(seed));
    let cut = apply(&header, &old, payload, || 1 + random.below(1 + usize::from(seed) / 8));
    assert_eq!(verdict, cut.0, "the verdict depends on the pieces");
    assert!(flash.violations().is_empty(), "{:?}", flash.violations());
    assert!(cut.1.violations().is_empty(), "{:?}", cut.1.violations());
    assert!(flash.bytes() == cut.1.bytes(), "the bytes depend on the pieces");
    // The last word is padded.
    let written = new_len.next_multiple_of(8) as usize;
    assert!(flash.bytes()[written..].iter().all(|byte| *byte == 0xff), "written beyond the image");
});
