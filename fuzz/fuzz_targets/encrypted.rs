//! Laws: what is accepted of an encryption-info is emitted to the same bytes; an encrypted payload,
//! sealed after the fuzzer changed what is in it, decodes as the plain one does, and one that
//! rewrites an image in place gives the new image; sealed chunks that were changed, moved, left out
//! or repeated, under hashes that are right, and all chunks under another key or nonce, are noticed
//! before a byte of them is decoded, and before anything is erased.
#![no_main]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use fwdelta::codec::zstd::Zstd;
use fwdelta::diff::{self, Delta, FirstPages, Options, Place, Profile, RamFlash, VecTarget};
use fwdelta::package::encrypt::{DecryptKey, Encryption, GroupKey, RecipientKey, Sealed};
use fwdelta::progress::Silent;
use fwdelta_core::apply::in_place::{Areas, Binding, Flash};
use fwdelta_core::apply::{Applier, Io, Step, memory_len};
use fwdelta_core::format::cbor::Reader;
use fwdelta_core::format::chain::ChainStart;
use fwdelta_core::format::delta::{Coder, DeltaHeader, ImageId};
use fwdelta_core::format::encryption::{self, ContentAlgorithm, EncryptionInfo};
use fwdelta_core::format::sealed::{OpenChunk, Opening, TAG_LEN};
use fwdelta_core::hash::sha256;
use fwdelta_core::storage::Geometry;
use fwdelta_core::verify::{SoftwareAead, open_content};
use fwdelta_core::{Detail, Limits};
use fwdelta_fuzz::{Numbers, emitted};
use libfuzzer_sys::fuzz_target;

const GROUP: [u8; 16] = [3; 16];

fn algorithm(numbers: &mut Numbers<'_>) -> ContentAlgorithm {
    match numbers.below(2) {
        0 => ContentAlgorithm::A128Gcm,
        _ => ContentAlgorithm::ChaCha20Poly1305,
    }
}

/// Sealed with bytes that are the same every time, so that a finding can be found again.
fn sealed(algorithm: ContentAlgorithm, plain: &[u8], chunk_len: u32) -> Sealed {
    let recipients = vec![RecipientKey::Group(GroupKey::new(GROUP))];
    let count = AtomicU32::new(0);
    let random = Arc::new(move |bytes: &mut [u8]| {
        let digest = sha256(&count.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Ok(())
    });
    let encryption = Encryption::new(algorithm, recipients).expect("one recipient");
    encryption.with_random(random).seal(plain, chunk_len).expect("there are random bytes")
}

fn opening(info: &[u8]) -> Opening<SoftwareAead> {
    let info = EncryptionInfo::parse(Reader::new(info)).expect("it was just made");
    let key = DecryptKey::from(GroupKey::new(GROUP));
    open_content(&info, &key.software()).expect("it is for this key")
}

/// Of what parses nothing is left out, and asking for a key ends.
fn parser(bytes: &[u8]) {
    let Ok(info) = EncryptionInfo::parse(Reader::new(bytes)) else { return };
    let recipients: Vec<_> = info.recipients().collect();
    assert!((1..=16).contains(&recipients.len()));
    assert!(recipients.iter().all(|it| it.wrapped().len() == info.algorithm.key_len() + 8));
    let again = emitted(|writer| encryption::emit(writer, info.algorithm, info.nonce, &recipients));
    assert!(again == bytes, "two encodings of one thing");
    let _ = open_content(&info, &DecryptKey::from(GroupKey::new(GROUP)).software());
}

/// The header with `payload`'s chunks in a chain; and the payload.
fn chained(
    header: &DeltaHeader,
    payload: &[u8],
    len: u32,
    is_sealed: bool,
) -> (DeltaHeader, Vec<u8>) {
    let (payload, first_hash) = diff::chain(payload, len as usize);
    let chain = Some(ChainStart { chunk_len: len, first_hash, is_sealed });
    let mut header = DeltaHeader { payload_len: payload.len() as u64, chain, ..*header };
    header.workspace_len = memory_len(&header).expect("a header of ours");
    (header, payload)
}

/// What is decoded, and how it ends: before the digest of the image, which nobody knows here.
fn decoded(
    old: &[u8],
    (header, payload): &(DeltaHeader, Vec<u8>),
    opener: Option<&dyn OpenChunk>,
    piece: usize,
) -> (Vec<u8>, Result<(), Detail>) {
    let mut work = vec![0; Applier::workspace(header).expect("a header of ours") as usize];
    let mut new = VecTarget::default();
    let mut run = || -> fwdelta_core::Result<()> {
        let mut applier = Applier::open(header, &mut work, &Limits::LINUX)?;
        opener.map_or(Ok(()), |opener| applier.decrypt_with(opener))?;
        let decompressor = &mut Zstd::default();
        let mut io = Io { old: &mut &*old, new: &mut new, decompressor };
        let mut rest = &payload[..];
        loop {
            let (taken, step) = applier.feed(&mut io, &rest[..rest.len().min(piece)])?;
            rest = &rest[taken..];
            match step {
                Step::Done => return Ok(()),
                Step::NeedInput if rest.is_empty() => return Err(Detail::PayloadSize.into()),
                Step::NeedInput | Step::Yield => {}
            }
        }
    };
    let result = run().map_err(|error| error.detail);
    (new.0, result)
}

/// Changes chunks as somebody would who can make the hashes right, but no tag.
fn tampered(payload: &[u8], chunk_len: usize, numbers: &mut Numbers<'_>) -> Vec<u8> {
    let mut chunks: Vec<Vec<u8>> = payload.chunks(chunk_len).map(<[u8]>::to_vec).collect();
    let (at, other) = (numbers.below(chunks.len()), numbers.below(chunks.len()));
    match numbers.below(6) {
        0 => chunks.swap(at, other),
        1 => drop(chunks.remove(at)),
        2 => chunks.truncate(at),
        3 => chunks[at] = chunks[other].clone(),
        4 => {
            let len = numbers.below(chunks[at].len());
            chunks[at].truncate(len);
        }
        _ => {
            let byte = numbers.below(chunks[at].len());
            chunks[at][byte] ^= 1 << numbers.below(8);
        }
    }
    chunks.concat()
}

fn stream(numbers: &mut Numbers<'_>) {
    let (algorithm, chunk_len) = (algorithm(numbers), 64 + u32::from(numbers.byte()));
    let coder = if numbers.below(2) == 0 { Coder::Stored } else { Coder::Bits { model_log: 11 } };
    let (new_len, piece) = (numbers.below(4096) as u64, 1 + numbers.below(300));
    let mut choices = Numbers(numbers.bytes(12));
    let old: Vec<u8> = (0..2048u32).map(|i| ((i * i) >> 3) as u8).collect();
    let id = |len| ImageId { len, digest: [0; 32] };
    let header = DeltaHeader {
        coder,
        old: Some(id(old.len() as u64)),
        new: id(new_len),
        workspace_len: 0,
        payload_len: 0,
        chain: None,
        in_place: None,
        undoes: None,
    };
    let plain = chained(&header, numbers.0, chunk_len - TAG_LEN as u32, false);
    let expected = decoded(&old, &plain, None, piece);
    let Sealed { payload, info } = sealed(algorithm, numbers.0, chunk_len);
    let opening = opening(&info);
    let honest = chained(&header, &payload, chunk_len, true);
    assert_eq!(decoded(&old, &honest, Some(&opening), piece), expected);
    let refused = (Vec::new(), Err(Detail::NotRecipient));
    assert_eq!(decoded(&old, &honest, None, piece), refused, "decoded without a key");
    let changed = tampered(&payload, chunk_len as usize, &mut choices);
    if changed == payload {
        return;
    }
    let changed = chained(&header, &changed, chunk_len, true);
    let (written, result) = decoded(&old, &changed, Some(&opening), piece);
    assert!(expected.0.starts_with(&written), "bytes that no tag vouched for");
    // What is wrong before the chunk that was changed is still wrong.
    assert!(result == Err(Detail::NotDecrypted) || result.is_err() && result == expected.1);
}

/// Lengths of pages, profiles, and one or three spare pages: each a delta between two small images.
const PAGES: [u32; 4] = [64, 128, 256, 512];
const PROFILES: [Profile; 2] = [Profile::Plain, Profile::Tiny];
static DELTAS: [OnceLock<Delta>; 16] = [const { OnceLock::new() }; 16];

fn images() -> (Vec<u8>, Vec<u8>) {
    let old: Vec<u8> = (0..700u32).map(|i| ((i * i) >> 3) as u8).collect();
    let new = [&old[100..400], &[7; 9], &old[300..640], &old[40..90]].concat();
    (old, new)
}

/// One of some deltas, each made once: that takes longer than a thousand times all that is done to
/// it then.
fn delta(number: usize) -> (&'static Delta, u32) {
    let page_len = PAGES[number % 4];
    let (profile, spare_count) = (PROFILES[number / 4 % 2], 1 + (number / 8) as u8 * 2);
    let made = DELTAS[number].get_or_init(|| {
        let first = FirstPages::NONE;
        let (write_len, erased, interval) = (8, 0xff, Some(1));
        let (order, room) = (None, None);
        let place =
            Place { page_len, first, spare_count, write_len, erased, order, interval, room };
        let options = Options { profile, threads: 1, in_place: Some(place), ..Options::default() };
        let (old, new) = images();
        diff::create(&old, &new, &options, &Silent).expect("nothing stops it")
    });
    (made, page_len)
}

/// The slot after an update in place, and how that ended.
fn rewritten(
    old: &[u8],
    page_len: u32,
    (header, payload): &(DeltaHeader, Vec<u8>),
    opening: &Opening<SoftwareAead>,
) -> (RamFlash, Result<(), Detail>) {
    let pages = header.in_place.expect("it is").pages(header.new.len.max(old.len() as u64));
    let len = pages.whole_len();
    let geometry = Geometry { len, sector_len: page_len, write_len: 8, erased: 0xff };
    let mut work = vec![0; Applier::workspace(header).expect("a header of ours") as usize];
    let scratch_len = Areas::of(header, 8, &mut work).expect("it fits").scratch_len();
    let mut slot = RamFlash::new(old, geometry);
    let mut scratch = RamFlash::new(&[], Geometry { len: scratch_len, ..geometry });
    let payload = &mut &payload[..];
    let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
    let (limits, binding) = (Limits::LINUX, Binding::new(b"b", b""));
    let result = diff::rewrite_opened(header, Some(opening), &mut flash, &limits, binding);
    (slot, result.map(drop).map_err(|error| error.detail()))
}

fn in_place(numbers: &mut Numbers<'_>) {
    let (algorithm, chunk_len) = (algorithm(numbers), 64 + u32::from(numbers.byte()));
    let (delta, page_len) = delta(numbers.below(DELTAS.len()));
    let (at, bit) = (numbers.below(4096), numbers.below(8));
    let (old, new) = images();
    let Sealed { payload, info } = sealed(algorithm, &delta.payload, chunk_len);
    let opening = opening(&info);
    let honest = chained(&delta.header, &payload, chunk_len, true);
    let (slot, result) = rewritten(&old, page_len, &honest, &opening);
    assert_eq!(result, Ok(()));
    assert!(slot.bytes().starts_with(&new), "another image");
    let refused = |update: &(DeltaHeader, Vec<u8>), opening: &Opening<_>, detail| {
        let (slot, result) = rewritten(&old, page_len, update, opening);
        assert_eq!(result, Err(detail));
        assert!(slot.bytes().starts_with(&old), "something was erased");
    };
    let (header, mut flipped) = honest.clone();
    let at = at % flipped.len();
    flipped[at] ^= 1 << bit;
    refused(&(header, flipped), &opening, Detail::ChunkDigest);
    let changed = tampered(&payload, chunk_len as usize, numbers);
    if changed != payload {
        let changed = chained(&delta.header, &changed, chunk_len, true);
        refused(&changed, &opening, Detail::NotDecrypted);
    }
    other_keys(info, numbers, |opening| refused(&honest, opening, Detail::NotDecrypted));
}

/// Changes what says how to decrypt: it does not parse, opens with no key, or not the payload.
fn other_keys(
    mut info: Vec<u8>,
    numbers: &mut Numbers<'_>,
    refused: impl Fn(&Opening<SoftwareAead>),
) {
    let sound = info.clone();
    for _ in 0..1 + numbers.below(3) {
        let at = numbers.below(info.len());
        info[at] ^= numbers.byte();
    }
    let Ok(parsed) = EncryptionInfo::parse(Reader::new(&info)) else { return };
    let key = DecryptKey::from(GroupKey::new(GROUP));
    let opened = open_content(&parsed, &key.software());
    if info != sound
        && let Ok(opened) = opened
    {
        refused(&opened);
    }
}

// Which law; then an encryption-info; or cipher, chunk, coder, length of new (2 bytes), piece
// (2 bytes), twelve numbers of what is done to chunks, the plain payload; or cipher, chunk, delta,
// a bit to flip (2 bytes, 1), what is done to chunks, bytes of the encryption-info that change.
fuzz_target!(|data: &[u8]| {
    let mut numbers = Numbers(data);
    match numbers.below(3) {
        0 => parser(numbers.0),
        1 => stream(&mut numbers),
        _ => in_place(&mut numbers),
    }
});
