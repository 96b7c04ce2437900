//! Law: however the payload is cut into pieces, the same bytes are written and the same verdict is
//! given, also where the payload is a chain, where memories fail and for every kind of slot; no
//! rule of the flash is broken, nothing is written beyond the new image, and it is accepted with
//! its own digest only.
#![no_main]

use fwdelta::diff::chain;
use fwdelta_core::apply::{Applier, Io, Step, memory_len, verify_old};
use fwdelta_core::codec::{Decompressor, Flow};
use fwdelta_core::exec::layout::{Class, Content, Run, Segment};
use fwdelta_core::format::chain::ChainStart;
use fwdelta_core::format::delta::{Coder, DeltaHeader, ImageId, Shape, StreamShape};
use fwdelta_core::hash::sha256;
use fwdelta_core::storage::{Geometry, ReadError, Source, Target};
use fwdelta_core::{Detail, Limits, Result};
use fwdelta_fuzz::{Numbers, soup};
use fwdelta_sim::fault::{Fault, Kind, Random};
use fwdelta_sim::{Flash, FlashError};
use libfuzzer_sys::fuzz_target;

const OLD_LEN: usize = 4096;

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

/// An old image of which a byte may be unreadable.
#[derive(Clone, Copy, Debug)]
struct Old<'d> {
    bytes: &'d [u8],
    bad_pos: Option<u64>,
}

impl Source for Old<'_> {
    type Error = ();

    fn read(
        &mut self,
        pos: u64,
        buf: &mut [u8],
    ) -> core::result::Result<(), ReadError<Self::Error>> {
        let end = pos.saturating_add(buf.len() as u64);
        if self.bad_pos.is_some_and(|bad_pos| (pos..end).contains(&bad_pos)) {
            return Err(ReadError::Uncorrectable);
        }
        self.bytes.read(pos, buf).map_err(|_| ReadError::Io(()))
    }
}

/// A flash that may say what it is not.
struct Slot {
    flash: Flash,
    said: Geometry,
}

impl Target for Slot {
    type Error = FlashError;

    fn geometry(&self) -> Geometry {
        self.said
    }

    fn erase(&mut self, sector: u32) -> core::result::Result<(), FlashError> {
        self.flash.erase(sector)
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> core::result::Result<(), FlashError> {
        self.flash.program(pos, data)
    }

    fn sync(&mut self) -> core::result::Result<(), FlashError> {
        self.flash.sync()
    }
}

/// What a device is like: its slot, and what goes wrong.
struct Device {
    said: Geometry,
    is_sound: bool,
    old_bad_pos: Option<u64>,
    /// Number of the operation on the slot that fails.
    failing: Option<u64>,
}

impl Device {
    fn new(slot: u8, fault: u8) -> Self {
        let write_len = [1, 2, 4, 8, 16, 32, 0, 33][usize::from(slot & 7)];
        let sector_len = [1, 256, 512, 4096][usize::from(slot >> 3 & 3)];
        let len = if slot & 32 == 0 { 16 << 10 } else { 4096 };
        let number = u64::from(fault >> 2);
        let said = Geometry { len, sector_len, write_len, erased: slot >> 6 };
        Self {
            said,
            is_sound: (1..=32).contains(&write_len),
            old_bad_pos: (fault & 3 == 1).then_some(number * 64),
            failing: (fault & 3 == 2).then_some(number),
        }
    }

    fn slot(&self) -> Slot {
        let write_len = if self.is_sound { self.said.write_len } else { 8 };
        let mut flash = Flash::blank(Geometry { write_len, ..self.said });
        if let Some(at) = self.failing {
            flash.plan(Fault { at, kind: Kind::Error, seed: 0 });
        }
        Slot { flash, said: self.said }
    }
}

/// Applies `payload` in pieces whose lengths `piece` gives; verdict and cells.
fn apply(
    header: &DeltaHeader,
    old: &[u8],
    payload: &[u8],
    device: &Device,
    mut piece: impl FnMut() -> usize,
) -> (core::result::Result<(), Detail>, Flash) {
    let mut slot = device.slot();
    let verdict = run(header, old, payload, device.old_bad_pos, &mut slot, &mut piece);
    let Slot { flash, .. } = slot;
    assert!(flash.violations().is_empty(), "{:?}", flash.violations());
    // The last word is padded.
    let word_len = u64::from(device.said.write_len).max(1);
    let written = header.new.len.next_multiple_of(word_len) as usize;
    let beyond = flash.bytes().get(written..).unwrap_or(&[]);
    assert!(beyond.iter().all(|byte| *byte == device.said.erased), "written beyond the image");
    (verdict.map_err(|error| error.detail), flash)
}

fn run(
    header: &DeltaHeader,
    bytes: &[u8],
    payload: &[u8],
    bad_pos: Option<u64>,
    slot: &mut Slot,
    piece: &mut dyn FnMut() -> usize,
) -> Result<()> {
    let mut old = Old { bytes, bad_pos };
    let mut work = vec![0xa5; Applier::workspace(header).expect("small parameters") as usize];
    let mut applier = Applier::open(header, &mut work, &Limits::LINUX)?;
    let mut decompressor = Plain::default();
    let mut rest = payload;
    loop {
        let (now, _) = rest.split_at(piece().min(rest.len()));
        let mut io = Io { old: &mut old, new: slot, decompressor: &mut decompressor };
        let (taken, step) = match applier.feed(&mut io, now) {
            Ok(progress) => progress,
            Err(error) => {
                let again = applier.feed(&mut io, now).map_err(|error| error.detail);
                assert_eq!(again, Err(Detail::WrongState), "an error is not the last word");
                return Err(error);
            }
        };
        assert!(taken <= now.len());
        rest = &rest[taken..];
        match step {
            Step::Done => assert_eq!(applier.feed(&mut io, &[]), Ok((0, Step::Done))),
            Step::NeedInput if rest.is_empty() => {}
            Step::NeedInput | Step::Yield => continue,
        }
        return applier.finish(slot).map(|verified| assert_eq!(verified.new_image(), header.new));
    }
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

fn coder(number: u8, parameter: u8, counts: &[u8; 4]) -> Coder {
    let (window_log, block_len) = (10 + parameter % 8, 64 + u32::from(parameter));
    match number % 7 {
        0 => Coder::Stored,
        1 => Coder::Bits { model_log: 8 + parameter % 5 },
        2 => Coder::Streams { window_log, block_len },
        3 => Coder::Bsdiff { window_log, block_len },
        4 => Coder::Predicted(shape(parameter, counts, false)),
        5 => Coder::PredictedMax(shape(parameter, counts, true)),
        _ => Coder::Projected(stream_shape(parameter, counts)),
    }
}

/// Numbers, or code of the instruction set `kind - 1`.
fn old_image(kind: u8) -> Vec<u8> {
    let content = kind.checked_sub(1).and_then(Content::from_number);
    let Some(content) = content else {
        return (0..OLD_LEN as u32).map(|i| ((i * i) >> 3) as u8).collect();
    };
    let len = OLD_LEN as u64;
    let segment = Segment { len, span: len, addr: 0x8000, ..Segment::default() };
    let run = Run { pos: 0, class: Class { content, ..Class::default() } };
    soup::image(OLD_LEN, &[segment], &[run], 1)
}

// Coder and the kind of old, the coder's parameter, length of the new image (2 bytes), seed of the
// cuts, counts of the tables of coders 4 to 6 (4 bytes), slot, what fails, chunks; then the
// payload, which in chunks may have a bit flipped.
fuzz_target!(|data: &[u8]| {
    let mut numbers = Numbers(data);
    let (kind, parameter) = (numbers.byte(), numbers.byte());
    let new_len = numbers.below(8192) as u64;
    let seed = numbers.byte();
    let counts = [(); 4].map(|()| numbers.byte());
    let device = Device::new(numbers.byte(), numbers.byte());
    let chunks = numbers.byte();
    let old = old_image(kind / 7);
    let mut header = DeltaHeader {
        coder: coder(kind, parameter, &counts),
        old: Some(ImageId { len: old.len() as u64, digest: sha256(&old) }),
        new: ImageId { len: new_len, digest: [0; 32] },
        workspace_len: 0,
        payload_len: 0,
        chain: None,
        in_place: None,
        undoes: None,
    };
    let mut payload = numbers.0.to_vec();
    if chunks > 0 {
        let chunk_len = 64 + u32::from(chunks & 127);
        let (chained, first_hash) = chain(&payload, chunk_len as usize);
        payload = chained;
        header.chain = Some(ChainStart { chunk_len, first_hash, is_sealed: false });
        let flipped = payload.get_mut(usize::from(seed)).filter(|_| chunks & 128 != 0);
        flipped.into_iter().for_each(|byte| *byte ^= 1);
    }
    header.payload_len = payload.len() as u64;
    header.workspace_len = memory_len(&header).expect("small parameters");
    let mut source = Old { bytes: &old, bad_pos: device.old_bad_pos };
    let is_good = verify_old(&header, &mut source, &mut [0; 100]).is_ok();
    assert_eq!(is_good, device.old_bad_pos.is_none_or(|pos| pos >= OLD_LEN as u64));

    let (mut verdict, flash) = apply(&header, &old, &payload, &device, || usize::MAX);
    assert_ne!(verdict, Ok(()), "the digest does not matter");
    if verdict == Err(Detail::NewDigest) {
        header.new.digest = sha256(&flash.bytes()[..new_len as usize]);
        verdict = Ok(());
    }
    let mut random = Random::new(u64::from(seed));
    let piece = || 1 + random.below(1 + usize::from(seed) / 8);
    let cut = apply(&header, &old, &payload, &device, piece);
    assert_eq!(verdict, cut.0, "the verdict depends on the pieces");
    assert!(flash.bytes() == cut.1.bytes(), "the bytes depend on the pieces");
});
