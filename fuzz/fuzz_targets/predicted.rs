//! Law: coders 4 and 5 give back the new image for every description of both images, also a wrong
//! one, and for every choice of covers, in exactly the memory stated; with bits flipped the payload
//! is refused.
#![no_main]

use fwdelta::codec::predict::{Plan, encode};
use fwdelta::codec::{projected, zstd};
use fwdelta::matching::Cover;
use fwdelta_core::apply::memory_len;
use fwdelta_core::exec::layout::{Class, Content, Run, Segment};
use fwdelta_core::exec::map::Listed;
use fwdelta_core::format::delta::{Coder, DeltaHeader, ImageId, Shape, StreamShape};
use fwdelta_core::hash::sha256;
use fwdelta_fuzz::{Numbers, apply, apply_flipped, soup};
use libfuzzer_sys::fuzz_target;

fn shape(numbers: &mut Numbers<'_>, is_max: bool) -> Shape {
    let mut log = |from: u8, count: usize| from + numbers.below(count) as u8;
    let mut shape = Shape {
        model_log: log(8, 7),
        memo_log: log(1, 8),
        value_log: log(0, 5),
        buffer_log: log(7, 3),
        ..Shape::default()
    };
    if is_max {
        (shape.match_log, shape.ring_log) = (log(8, 3), log(8, 3));
    }
    shape
}

/// Mostly such as the format holds: ascending, with addresses near each other.
fn segments(numbers: &mut Numbers<'_>) -> Vec<Segment> {
    let addr = u64::from(numbers.byte()) << numbers.below(57);
    let mut last = Segment { addr, ..Segment::default() };
    let count = numbers.below(5);
    let next = |_| {
        let is_apart = numbers.byte() < 250;
        last.pos += last.len * u64::from(is_apart) + numbers.below(64) as u64;
        last.len = numbers.below(1024) as u64;
        last.span = last.len + numbers.below(128) as u64;
        last.addr = last.addr.wrapping_add(u64::from(numbers.byte()) << numbers.below(24));
        last.module += u32::from(numbers.byte() & 3 == 0);
        last
    };
    (0..count).map(next).collect()
}

fn runs(numbers: &mut Numbers<'_>) -> Vec<Run> {
    let mut pos = 0;
    let count = numbers.below(6);
    let next = |_| {
        let number = numbers.byte();
        let content = Content::from_number(number % 11).unwrap_or_default();
        let class = Class { content, wide: number & 64 != 0, big_endian: number & 128 != 0 };
        let run = Run { pos, class };
        pos += numbers.below(1024) as u64;
        run
    };
    (0..count).map(next).collect()
}

/// Covers, which of them are listed, and new.
type Script = (Vec<Cover>, Vec<Listed>, Vec<u8>);

fn script(old: &[u8], numbers: &mut Numbers<'_>) -> Script {
    let (mut covers, mut map, mut new) = (Vec::new(), Vec::new(), Vec::new());
    while !numbers.0.is_empty() && new.len() < 4096 {
        let literal_len = numbers.below(12);
        new.extend_from_slice(numbers.bytes(literal_len));
        let old_pos = numbers.below(old.len());
        let len = numbers.below(1024).min(old.len() - old_pos);
        if len == 0 {
            continue;
        }
        let new_pos = new.len();
        new.extend_from_slice(&old[old_pos..old_pos + len]);
        for _ in 0..numbers.below(8) {
            let at = new_pos + numbers.below(len);
            new[at] = new[at].wrapping_add(numbers.byte());
        }
        covers.push(Cover { old_pos: old_pos as u64, new_pos: new_pos as u64, len: len as u64 });
        if numbers.byte() & 3 != 0 {
            let [old_pos, new_pos, len] = [old_pos, new_pos, len].map(|number| number as u32);
            map.push(Listed { old_pos, new_pos, len });
        }
    }
    (covers, map, new)
}

fn id(image: &[u8]) -> ImageId {
    ImageId { len: image.len() as u64, digest: sha256(image) }
}

/// The payload in coder 4, 5 or 6.
fn coded(plan: &Plan<'_>, shape: &Shape, which: u8) -> fwdelta_core::Result<(Coder, Vec<u8>)> {
    if which == 2 {
        let (window_log, block_len) = (12, 256 << (shape.model_log & 3));
        let shape = StreamShape { window_log, block_len, ..StreamShape::default() };
        let shape =
            StreamShape { buffer_log: 7 + shape.window_log % 3, ..plan.stream_counted(shape) };
        let content = projected::content(plan, &shape)?;
        return Ok((Coder::Projected(shape), zstd::compress(&content, window_log)?));
    }
    let shape = plan.counted(*shape);
    let mut payload = Vec::new();
    encode(plan, &shape, which == 1, &mut |piece| payload.extend(piece))?;
    Ok((if which == 1 { Coder::PredictedMax(shape) } else { Coder::Predicted(shape) }, payload))
}

// Coder and whether old is code that runs describe, tables, segments of both images, runs, old or
// the seed of the code; then how new is made of it.
fuzz_target!(|data: &[u8]| {
    let mut numbers = Numbers(data);
    let flags = numbers.byte();
    let which = (flags & 63) % 3;
    let is_max = which == 1;
    let shape = shape(&mut numbers, is_max);
    let [old_segments, new_segments] = [(); 2].map(|()| segments(&mut numbers));
    let runs = runs(&mut numbers);
    let old_len = numbers.below(4096);
    let code = match flags & 64 {
        0 => numbers.bytes(old_len).to_vec(),
        _ => soup::image(old_len, &old_segments, &runs, numbers.below(1 << 16) as u64),
    };
    let old = &code[..];
    let mut flips = Numbers(old);
    let (covers, map, new) = script(old, &mut numbers);
    let plan = Plan {
        old,
        new: &new,
        covers: &covers,
        map: &map,
        old_segments: &old_segments,
        new_segments: &new_segments,
        runs: &runs,
    };
    // Refused are descriptions that the format does not hold.
    let Ok((coder, payload)) = coded(&plan, &shape, which) else { return };
    let mut header = DeltaHeader {
        coder,
        old: Some(id(old)).filter(|old| old.len > 0),
        new: id(&new),
        workspace_len: 0,
        payload_len: payload.len() as u64,
        chain: None,
        in_place: None,
        undoes: None,
    };
    header.workspace_len = memory_len(&header).expect("small tables");
    let made = apply(old, &header, &payload);
    assert!(made.as_ref() == Ok(&new), "{:?}", made.map(|made| made.len()));
    apply_flipped(old, &new, &header, &payload, &mut flips);
});
