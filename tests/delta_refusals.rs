//! Deltas that are broken, by chance or by intent: refused, within bounds, and nothing leaks.

mod delta;

use fwdelta::codec::zstd::compress;
use fwdelta::core::apply::memory_len;
use fwdelta::core::format::delta::{BLOCK_LEN_MIN, Coder, DeltaHeader, WINDOW_LOG_MIN};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{Delta, Profile};
use fwdelta_sim::fault::Random;

use delta::{Recorder, chained, every_coder, record, short_pair};

/// Enough for the pairs here, little enough that no mutation makes a test slow.
const LIMITS: Limits = Limits { image_len: 1 << 20, workspace_len: 2 << 20, ..Limits::LINUX };

/// One to three changes: a bit, a byte, a byte more, a byte less, an end cut off.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0..3 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << random.below(8)),
            3..5 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = random.bits() as u8),
            5 => bytes.insert(at, random.bits() as u8),
            6 => drop(bytes.drain(at..bytes.len().min(at + 1))),
            _ => bytes.truncate(bytes.len() - random.below(4).min(bytes.len())),
        }
    }
    bytes
}

#[test]
fn a_mutated_payload_never_yields_another_image() {
    for (pair, delta) in every_coder(&short_pair()) {
        let mut random = Random::new(delta.header.coder.id());
        let mut refused = 0;
        for _ in 0..2000 {
            let payload = mutated(&delta.payload, &mut random);
            let header = DeltaHeader { payload_len: payload.len() as u64, ..delta.header };
            let (new, result) = record(&pair.old, &Delta { header, payload }, &LIMITS);
            match result {
                Ok(()) => assert!(new.bytes == pair.new),
                Err(detail) => {
                    refused += 1;
                    let expected = [Detail::BadStream, Detail::BadCover, Detail::UnknownSection];
                    assert!(
                        detail == Detail::NewDigest || expected.contains(&detail),
                        "{detail:?}"
                    );
                }
            }
        }
        assert!(refused > 1900, "{} of 2000", refused);
    }
}

#[test]
fn a_mutated_header_is_refused_or_makes_the_same_image() {
    for (pair, delta) in every_coder(&short_pair()) {
        for delta in [chained(&delta, 300), delta] {
            let bytes = delta.header_bytes();
            let mut random = Random::new(99 + delta.header.coder.id());
            let mut refused = 0;
            for _ in 0..600 {
                let Ok(header) = DeltaHeader::parse(&mutated(&bytes, &mut random)) else {
                    refused += 1;
                    continue;
                };
                let payload = delta.payload.clone();
                let (new, result) = record(&pair.old, &Delta { header, payload }, &LIMITS);
                assert!(new.bytes.len() as u64 <= header.new.len);
                match result {
                    Ok(()) => assert!(new.bytes == pair.new),
                    Err(_) => refused += 1,
                }
            }
            assert!(refused > 300, "{refused} of 600");
        }
    }
}

/// A payload whose end is missing, at every place: an error, and only right bytes before it.
///
/// In `lz4_flex` a short stream gave out old memory (CVE-2026-32829); the working memory here is
/// filled with other data, which would come out.
#[test]
fn a_payload_cut_short_gives_an_error_and_no_stale_bytes() {
    for (pair, delta) in every_coder(&short_pair()) {
        for payload_len in 0..delta.payload.len() {
            let header = DeltaHeader { payload_len: payload_len as u64, ..delta.header };
            let payload = delta.payload[..payload_len].to_vec();
            let (new, result) = record(&pair.old, &Delta { header, payload }, &LIMITS);
            let name = header.coder.name();
            assert_eq!(result, Err(Detail::BadStream), "{name} {payload_len}");
            assert!(pair.new.starts_with(&new.bytes), "{name} {payload_len}");
        }
    }
}

/// A delta of coder 2 or 3 with this content in its frame.
fn with_content(coder: Coder, content: &[u8], new_len: u64) -> Delta {
    let mut header = delta::delta(&[1; 100], &[1; 400], Profile::Plain).header;
    let payload = compress(content, WINDOW_LOG_MIN).unwrap();
    (header.coder, header.new.len, header.payload_len) = (coder, new_len, payload.len() as u64);
    header.workspace_len = memory_len(&header).unwrap();
    Delta { header, payload }
}

const STREAMS: Coder = Coder::Streams { window_log: WINDOW_LOG_MIN, block_len: BLOCK_LEN_MIN };
const BSDIFF: Coder = Coder::Bsdiff { window_log: WINDOW_LOG_MIN, block_len: BLOCK_LEN_MIN };

fn outcome(delta: &Delta) -> (Vec<u8>, Result<(), Detail>) {
    let (new, result) = record(&[1; 100], delta, &LIMITS);
    (new.bytes, result)
}

fn block(streams: [&[u8]; 4]) -> Vec<u8> {
    let lens = streams.map(|stream| (stream.len() as u32).to_le_bytes());
    [lens.concat(), streams.concat()].concat()
}

/// CVE-2026-32829 again, with a whole frame whose content is too short.
#[test]
fn a_short_content_gives_an_error_and_no_stale_bytes() {
    let literal = block([&[40], &[], &[], &[7; 40]]);
    assert_eq!(
        outcome(&with_content(STREAMS, &literal, 40)),
        (vec![7; 40], Err(Detail::NewDigest))
    );
    for len in 0..literal.len() {
        let short = with_content(STREAMS, &literal[..len], 40);
        assert_eq!(outcome(&short), (vec![], Err(Detail::BadStream)), "{len}");
    }
    let triple = [triple(0, 40, 0), vec![7; 40]].concat();
    assert_eq!(outcome(&with_content(BSDIFF, &triple, 40)), (vec![7; 40], Err(Detail::NewDigest)));
    for len in 0..triple.len() {
        let short = with_content(BSDIFF, &triple[..len], 40);
        assert_eq!(outcome(&short), (vec![], Err(Detail::BadStream)), "{len}");
    }
}

fn triple(cover_len: i64, literal_len: i64, seek: i64) -> Vec<u8> {
    let word = |n: i64| (n.unsigned_abs() | u64::from(n < 0) << 63).to_le_bytes();
    [cover_len, literal_len, seek].map(word).concat()
}

/// bspatch wrote before and behind its buffers for these (CVE-2014-9862, CVE-2020-14315).
#[test]
fn negative_and_overflowing_lengths_are_bad_covers() {
    let first = [triple(10, 0, 0), vec![0; 10]].concat();
    let after = |rest: Vec<u8>| [first.clone(), rest].concat();
    let cases = [
        triple(-1, 0, 0),
        triple(i64::MIN + 1, 0, 0),
        triple(0, -1, 0),
        triple(i64::MAX, 0, 0),
        triple(0, i64::MAX, 0),
        triple(101, 0, 0),
        after(triple(i64::MAX, 0, 0)),
        after(triple(i64::MAX - 9, 0, 0)),
        after(triple(-10, 0, 0)),
        after(triple(0, i64::MAX - 9, 0)),
        [triple(0, 0, -1), triple(1, 0, 0), vec![0]].concat(),
        [triple(0, 0, i64::MAX), triple(1, 0, 0), vec![0]].concat(),
        [triple(0, 0, 90), triple(11, 0, 0), vec![0; 11]].concat(),
    ];
    for (number, content) in cases.iter().enumerate() {
        let mut content = content.clone();
        content.resize(content.len() + 2000, 0);
        let (bytes, result) = outcome(&with_content(BSDIFF, &content, 400));
        assert_eq!(result, Err(Detail::BadCover), "case {number}");
        assert!(bytes.len() <= 10);
    }
}

#[test]
fn an_applier_that_failed_stays_failed() {
    use fwdelta::core::apply::{Applier, Io};
    use fwdelta::core::codec::NoDecompressor;
    let pair = short_pair();
    let delta = delta::streams(&pair.old, &pair.new);
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    let mut applier = Applier::open(&delta.header, &mut work, &LIMITS).unwrap();
    let mut new = Recorder { len: delta.header.new.len, ..Recorder::default() };
    let old = &mut &pair.old[..];
    let mut io = Io { old, new: &mut new, decompressor: &mut NoDecompressor };
    let detail = |result: Result<_, fwdelta::core::Error>| result.unwrap_err().detail;
    assert_eq!(detail(applier.feed(&mut io, &delta.payload)), Detail::NotBuiltIn);
    assert_eq!(detail(applier.feed(&mut io, &delta.payload)), Detail::WrongState);
    assert_eq!(applier.finish(&mut new).unwrap_err().detail, Detail::PayloadSize);
    assert_eq!(new.calls, []);
}
