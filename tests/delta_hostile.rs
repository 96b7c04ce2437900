//! Damaged and hostile deltas: refused with the right number or harmless, never a panic, never
//! work without end, never a byte outside the slot.

mod delta;

use fwdelta::codec::zstd::compress;
use fwdelta::core::apply::memory_len;
use fwdelta::core::format::delta::{Coder, DeltaHeader, ImageId, StreamShape};
use fwdelta::core::hash::sha256;
use fwdelta::core::{Category, Detail};
use fwdelta::diff::{Delta, Profile, chain};
use fwdelta_sim::fault::Random;

use delta::{GEOMETRY, PROFILES, apply, edited};

fn images() -> (Vec<u8>, Vec<u8>) {
    edited(&mut Random::new(11), 4000, 30)
}

#[test]
fn a_flipped_bit_is_caught() {
    let (old, new) = images();
    let mut random = Random::new(12);
    for profile in PROFILES {
        let good = delta::delta(&old, &new, profile);
        for _ in 0..400 {
            let mut bad = good.clone();
            let at = random.below(bad.payload.len());
            bad.payload[at] ^= 1 << random.below(8);
            // A frame's header has bits without meaning; then the image is the right one.
            if let Err(detail) = apply(&old, &bad, GEOMETRY, || 300).verdict {
                let category = detail.category();
                let known = matches!(category, Category::Format | Category::Corrupt)
                    || detail == Detail::UnknownSection;
                assert!(known, "{profile:?} byte {at}: {detail:?}");
            }
        }
    }
}

#[test]
fn in_a_chain_no_damaged_byte_is_decoded() {
    let (old, new) = images();
    for profile in PROFILES {
        let good = delta::delta(&old, &new, profile).chained(200).unwrap();
        for at in 0..good.payload.len() {
            let mut bad = good.clone();
            bad.payload[at] ^= 0x10;
            let outcome = apply(&old, &bad, GEOMETRY, || 97);
            assert_eq!(outcome.verdict, Err(Detail::ChunkDigest), "{profile:?} byte {at}");
            assert!(at >= 232 || outcome.erases.iter().all(|count| *count == 0));
        }
    }
}

#[test]
fn a_payload_of_another_length_is_refused() {
    let (old, new) = images();
    for profile in PROFILES {
        let good = delta::delta(&old, &new, profile);
        for cut in 0..good.payload.len() {
            let short = Delta { payload: good.payload[..cut].to_vec(), ..good.clone() };
            let verdict = apply(&old, &short, GEOMETRY, || 333).verdict;
            assert_eq!(verdict, Err(Detail::PayloadSize), "{profile:?} cut at {cut}");
            // The header may agree with the cut.
            let mut agreed = short;
            agreed.header.payload_len = cut as u64;
            let verdict = apply(&old, &agreed, GEOMETRY, || 333).verdict;
            assert_eq!(verdict, Err(Detail::BadStream), "{profile:?} agreed cut at {cut}");
        }
        for more in [1, 10, 2000] {
            let mut long = good.clone();
            long.payload.extend(vec![0; more]);
            let verdict = apply(&old, &long, GEOMETRY, || 333).verdict;
            assert_eq!(verdict, Err(Detail::TrailingBytes), "{profile:?} {more} more");
            long.header.payload_len += more as u64;
            let verdict = apply(&old, &long, GEOMETRY, || 333).verdict;
            assert_eq!(verdict, Err(Detail::BadStream), "{profile:?} agreed {more} more");
        }
    }
}

#[test]
fn noise_for_a_payload_is_harmless() {
    let (old, _) = images();
    let mut random = Random::new(13);
    for case in 0..600 {
        let payload = delta::noise(&mut random, 1 + case % 400, 256);
        let header = header(Coder::Bits { model_log: 8 }, &old, &[0; 3000], payload.len());
        let outcome = apply(&old, &Delta { header, payload }, GEOMETRY, || 77);
        assert!(outcome.verdict.is_err());
        assert!(outcome.cells[3008..].iter().all(|byte| *byte == 0xff));
    }
}

#[test]
fn a_flipped_header_never_passes_for_another() {
    let (old, new) = images();
    let good = delta::delta(&old, &new, Profile::Small).chained(512).unwrap();
    let bytes = good.header_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let Ok(header) = DeltaHeader::parse(&flipped) else { continue };
            assert_ne!(header, good.header, "byte {at} bit {bit}");
            let bad = Delta { header, payload: good.payload.clone() };
            let verdict = apply(&old, &bad, GEOMETRY, || 500).verdict;
            // Old's identity and a generous workspace are the caller's to compare.
            let same = header.new == good.header.new;
            assert!(verdict.is_err() || same, "byte {at} bit {bit}: {verdict:?}");
        }
    }
}

fn header(coder: Coder, old: &[u8], new: &[u8], payload_len: usize) -> DeltaHeader {
    let id = |image: &[u8]| ImageId { len: image.len() as u64, digest: sha256(image) };
    let mut header = DeltaHeader {
        coder,
        old: Some(id(old)).filter(|old| old.len > 0),
        new: id(new),
        workspace_len: 0,
        payload_len: payload_len as u64,
        chain: None,
        in_place: None,
        undoes: None,
    };
    header.workspace_len = memory_len(&header).unwrap();
    header
}

/// The verdict on coder 3 content made by hand.
fn bsdiff(old: &[u8], new: &[u8], content: &[u8]) -> Result<(), Detail> {
    let payload = compress(content, 20).unwrap();
    let coder = Coder::Bsdiff { window_log: 20, block_len: 256 };
    let header = header(coder, old, new, payload.len());
    apply(old, &Delta { header, payload }, GEOMETRY, || 999).verdict
}

fn triple(cover_len: i64, literal_len: i64, seek: i64) -> Vec<u8> {
    let word = |value: i64| value.unsigned_abs() | u64::from(value < 0) << 63;
    [cover_len, literal_len, seek].map(|value| word(value).to_le_bytes()).concat()
}

#[test]
fn bsdiff_content_is_checked() {
    let old = b"0123456789";
    let case = |parts: &[&[u8]]| bsdiff(old, b"01234new", &parts.concat());
    let good = triple(5, 3, 0);
    assert_eq!(case(&[&good, &[0; 5], b"new"]), Ok(()));
    let (nothing, rest) = (triple(0, 0, -3), triple(0, 0, 3));
    assert_eq!(case(&[&nothing, &rest, &good, &[0; 5], b"new"]), Err(Detail::BadCover));
    let (there, back) = (triple(0, 0, 3), triple(0, 0, -3));
    assert_eq!(case(&[&there, &back, &good, &[0; 5], b"new"]), Ok(()));
    assert_eq!(case(&[&good, &[0; 5], b"new", &there]), Err(Detail::BadStream));
    assert_eq!(case(&[&good, &[0; 5], b"ne"]), Err(Detail::BadStream));
    assert_eq!(case(&[&good, &[0; 5], b"nex"]), Err(Detail::NewDigest));
    assert_eq!(case(&[&triple(-5, 3, 0), &[0; 5], b"new"]), Err(Detail::BadCover));
    assert_eq!(case(&[&triple(5, -3, 0), &[0; 5], b"new"]), Err(Detail::BadCover));
    assert_eq!(case(&[&triple(i64::MAX, 3, 0), &[0; 5]]), Err(Detail::BadCover));
    assert_eq!(case(&[&triple(5, 4, 0), &[0; 5], b"newx"]), Err(Detail::BadCover));
    let far = triple(0, 0, 6);
    assert_eq!(case(&[&far, &good, &[0; 5], b"new"]), Err(Detail::BadCover));
    assert_eq!(case(&[&triple(0, 0, 0).repeat(1000)]), Err(Detail::BadStream));
}

/// The verdict on coder 2 content made by hand: one block of the given streams.
fn streams(old: &[u8], new: &[u8], streams: [&[u8]; 4]) -> Result<(), Detail> {
    let mut content: Vec<u8> =
        streams.iter().flat_map(|stream| (stream.len() as u32).to_le_bytes()).collect();
    content.extend(streams.concat());
    let payload = compress(&content, 20).unwrap();
    let coder = Coder::Streams { window_log: 20, block_len: 256 };
    let header = header(coder, old, new, payload.len());
    apply(old, &Delta { header, payload }, GEOMETRY, || 999).verdict
}

#[test]
fn streams_are_checked() {
    let old = b"0123456789";
    let case = |all| streams(old, b"0x23456new", all);
    // Cover 7 bytes at 0 with one residual at 1, then 3 literals.
    let x = &[b'x' - b'1'][..];
    assert_eq!(case([&[0, 6, 0, 3], &[1, 5], x, b"new"]), Ok(()));
    assert_eq!(case([&[0, 6, 0, 3], &[1, 6], x, b"new"]), Err(Detail::BadCover));
    assert_eq!(case([&[0, 6, 0, 3], &[1, 4], x, b"new"]), Err(Detail::BadStream));
    assert_eq!(case([&[0, 6, 0, 3], &[1, 5], &[0], b"new"]), Err(Detail::BadStream));
    assert_eq!(case([&[0, 6, 0, 4], &[1, 5], x, b"newx"]), Err(Detail::BadCover));
    assert_eq!(case([&[0, 6, 0, 3], &[1, 5], x, b"newx"]), Err(Detail::BadStream));
    assert_eq!(case([&[0, 6, 0, 3, 0], &[1, 5], x, b"new"]), Err(Detail::BadStream));
    assert_eq!(case([&[0, 6, 1, 3], &[1, 5], x, b"new"]), Err(Detail::BadCover));
    assert_eq!(case([&[0, 6, 20, 3], &[1, 5], x, b"new"]), Err(Detail::BadCover));
    assert_eq!(case([&[0, 6, 0, 0x83, 0], &[1, 5], x, b"new"]), Err(Detail::BadStream));
    assert_eq!(case([&[0x80; 20], &[], &[], &[]]), Err(Detail::BadStream));
    assert_eq!(case([&[], &[], &[], &[]]), Err(Detail::BadStream));
    assert_eq!(case([&[0; 250], &[0; 250], &[], &[]]), Err(Detail::BadStream));
}

/// The same for coder 6, with no segments, no runs and `covers` covers.
fn projected(old: &[u8], new: &[u8], covers: u32, streams: [&[u8]; 8]) -> Result<(), Detail> {
    let mut content: Vec<u8> =
        streams.iter().flat_map(|stream| (stream.len() as u32).to_le_bytes()).collect();
    content.extend(streams.concat());
    let payload = compress(&content, 20).unwrap();
    let (window_log, block_len, buffer_log) = (20, 256, 7);
    let shape = StreamShape { window_log, block_len, buffer_log, covers, ..StreamShape::default() };
    let header = header(Coder::Projected(shape), old, new, payload.len());
    apply(old, &Delta { header, payload }, GEOMETRY, || 999).verdict
}

#[test]
fn projections_are_checked() {
    use Detail::{BadCover, BadStream};
    let old = b"0123456789";
    let case = |covers, all| projected(old, b"0x23456new", covers, all);
    // Cover 7 bytes at 0 on diagonal 0 with one residual at 1, then 3 literals.
    let x = &[b'x' - b'1'][..];
    let none = &[][..];
    let good = [none, &[0], &[6], &[0], none, &[1, 5], x, b"new"];
    assert_eq!(case(1, good), Ok(()));
    let with = |stream: usize, bytes: &'static [u8]| {
        let mut streams = good;
        streams[stream] = bytes;
        case(1, streams)
    };
    // It is not in the map, which changes nothing here; or on a new diagonal, which is the same.
    assert_eq!(with(3, &[8]), Ok(()));
    assert_eq!(case(1, [none, &[0], &[6], &[4], &[0], &[1, 5], x, b"new"]), Ok(()));
    assert_eq!(with(3, &[5]), Err(BadStream));
    assert_eq!(with(3, &[13]), Err(BadStream));
    assert_eq!(with(3, &[0x80, 0]), Err(BadStream));
    assert_eq!(with(1, &[1]), Err(Detail::NewDigest));
    assert_eq!(with(2, &[9]), Err(BadStream));
    assert_eq!(with(2, &[10]), Err(BadCover));
    assert_eq!(with(5, &[1, 6]), Err(BadStream));
    assert_eq!(with(5, &[1, 4]), Err(BadStream));
    assert_eq!(with(5, &[1, 5, 0]), Err(BadStream));
    assert_eq!(with(6, &[0]), Err(BadStream));
    assert_eq!(with(7, b"ne"), Err(BadStream));
    assert_eq!(with(7, b"newx"), Err(BadStream));
    assert_eq!(with(0, &[0]), Err(BadStream));
    assert_eq!(case(0, good), Err(BadStream));
    assert_eq!(case(2, good), Err(BadStream));
    assert_eq!(case(1 << 16, good), Err(BadStream));
    // On a diagonal that leads before old, or behind it.
    assert_eq!(case(1, [none, &[0], &[6], &[4], &[1], &[1, 5], x, b"new"]), Err(BadCover));
    assert_eq!(case(1, [none, &[0], &[6], &[4], &[20], &[1, 5], x, b"new"]), Err(BadCover));
}

#[test]
fn a_wider_window_than_stated_is_refused() {
    let new: Vec<u8> = (0..400_000u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    let content = [triple(0, new.len() as i64, 0), new.clone()].concat();
    let payload = compress(&content, 20).unwrap();
    let coder = Coder::Bsdiff { window_log: 12, block_len: 256 };
    let header = header(coder, b"", &new, payload.len());
    let verdict = apply(b"", &Delta { header, payload }, GEOMETRY, || 999).verdict;
    assert_eq!(verdict, Err(Detail::BadStream));
}

#[test]
fn chains_are_cut_as_described() {
    let (payload, first_hash) = chain(&[5; 150], 64);
    assert_eq!(payload.len(), 150 + 2 * 32);
    assert_eq!(payload[160..192], sha256(&payload[192..]));
    assert_eq!(payload[64..96], sha256(&payload[96..192]));
    assert_eq!(first_hash, sha256(&payload[..96]));
}
