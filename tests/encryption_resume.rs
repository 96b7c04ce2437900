//! Encrypted payloads that are applied in place, or with a journal: whatever operation fails, a
//! later run goes on with the key, and without it, or with a payload that changed, nothing is
//! decoded that no tag vouched for (docs/in-place.md).
#![allow(missing_docs)]

mod common;

use std::cell::Cell;

use common::key;
use fwdelta::core::apply::in_place::{
    Areas, Binding, Flash, Found, Progress, Rehearsal, Rewriting,
};
use fwdelta::core::apply::two_slots::{Settings, Writing};
use fwdelta::core::apply::{Applier, Io, Step, verify_old};
use fwdelta::core::format::cbor::Reader;
use fwdelta::core::format::delta::DeltaHeader;
use fwdelta::core::format::encryption::{ContentAlgorithm, EncryptionInfo};
use fwdelta::core::format::manifest::Manifest;
use fwdelta::core::format::sealed::{OpenChunk, Opening};
use fwdelta::core::hash::sha256;
use fwdelta::core::storage::{Geometry, ReadError, Source, Target};
use fwdelta::core::verify::{SoftwareAead, open_content};
use fwdelta::core::{Detail, Error, Limits};
use fwdelta::diff::{FirstPages, Options, Place, Profile, RamFlash};
use fwdelta::package::assemble::Parts;
use fwdelta::package::build::{BuildOptions, Images, build};
use fwdelta::package::encrypt::{DecryptKey, Encryption, GroupKey, RecipientKey};
use fwdelta::progress::Silent;
use fwdelta::release::Release;

const BOTH: [ContentAlgorithm; 2] = [ContentAlgorithm::A128Gcm, ContentAlgorithm::ChaCha20Poly1305];
const CHUNK_LEN: u32 = 80;
const LIMITS: Limits = Limits::LINUX;
/// Moments of an update at which an operation fails.
fn moment_count() -> usize {
    if std::env::var_os("FWDELTA_EXHAUSTIVE").is_some() { 400 } else { 12 }
}

/// Images of noise, so that what is new of one takes several chunks.
fn pair() -> (Vec<u8>, Vec<u8>) {
    let noise = |seed: u8, count: u8| -> Vec<u8> {
        (0..count).flat_map(|number| sha256(&[seed, number])).collect()
    };
    let old = noise(1, 40);
    let mut new = old.clone();
    for (number, at) in (2..).zip([10, 300, 610, 900, 1100]) {
        new[at..at + 64].copy_from_slice(&noise(number, 2));
    }
    new.splice(500..500, noise(9, 1));
    (old, new)
}

/// What a device has of a package: its delta, still encrypted, and a key.
struct Kit {
    old: Vec<u8>,
    new: Vec<u8>,
    header: DeltaHeader,
    payload: Vec<u8>,
    opening: Opening<SoftwareAead>,
}

impl Kit {
    fn new(algorithm: ContentAlgorithm, profile: Profile, place: Option<Place>) -> Self {
        let (old, new) = pair();
        let group = GroupKey::new([3; 16]);
        let recipients = vec![RecipientKey::Group(group.clone())];
        let options = BuildOptions {
            diff: Options {
                profile,
                threads: 1,
                in_place: place,
                is_streamed: true,
                ..Options::default()
            },
            encryption: Some(Encryption::new(algorithm, recipients).unwrap()),
            chunk_len: Some(CHUNK_LEN),
            sequence: 7,
            ..BuildOptions::default()
        };
        let images = [Images { name: "main", old: Some(&old), new: &new }];
        let built = build(&images, &Release::default(), &[key("vendor")], &options, &Silent);
        let package = built.unwrap().package;
        let parts = Parts::read(&package).unwrap();
        let manifest = Manifest::parse(&parts.manifest, 0).unwrap();
        let info = manifest.component(0).unwrap().encryption.unwrap();
        let info = EncryptionInfo::parse(Reader::new(info)).unwrap();
        let opening = open_content(&info, &DecryptKey::from(group).software()).unwrap();
        let mut header = DeltaHeader::parse(parts.payload("#h0").unwrap()).unwrap();
        header.chain.as_mut().unwrap().is_sealed = true;
        let payload = parts.payload("#payload0").unwrap().to_vec();
        assert!(payload.len() > 2 * CHUNK_LEN as usize, "several chunks");
        Self { old, new, header, payload, opening }
    }

    fn work(&self) -> Vec<u8> {
        // Memory holds anything after a reset.
        vec![0xa5; Applier::workspace(&self.header).unwrap() as usize]
    }

    fn opener(&self) -> Option<&dyn OpenChunk> {
        Some(&self.opening)
    }
}

fn place(page_len: u32, spare_count: u8) -> Place {
    Place {
        page_len,
        first: FirstPages::NONE,
        spare_count,
        write_len: 8,
        erased: 0xff,
        order: None,
        interval: Some(1),
        room: None,
    }
}

/// Flash whose operations fail once so many were done; both regions of a device share the number.
struct Failing<'f, 'c> {
    flash: &'f mut RamFlash,
    left: &'c Cell<usize>,
}

impl Failing<'_, '_> {
    fn operation(&self) -> Result<(), ()> {
        let left = self.left.get().checked_sub(1).ok_or(())?;
        self.left.set(left);
        Ok(())
    }
}

impl Source for Failing<'_, '_> {
    type Error = ();

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<()>> {
        self.flash.read(pos, buf).map_err(|_| ReadError::Io(()))
    }
}

impl Target for Failing<'_, '_> {
    type Error = ();

    fn geometry(&self) -> Geometry {
        self.flash.geometry()
    }

    fn erase(&mut self, sector: u32) -> Result<(), ()> {
        self.operation()?;
        self.flash.erase(sector).map_err(|_| ())
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> Result<(), ()> {
        self.operation()?;
        self.flash.program(pos, data).map_err(|_| ())
    }

    fn sync(&mut self) -> Result<(), ()> {
        self.flash.sync().map_err(|_| ())
    }
}

/// A device: its slot and its scratch flash.
#[derive(Clone)]
struct Device {
    slot: RamFlash,
    scratch: RamFlash,
}

impl Device {
    fn in_place(kit: &Kit) -> Self {
        let pages = kit.header.in_place.unwrap().pages(kit.header.new.len);
        let sector_len = pages.largest() as u32;
        let len = pages.whole_len().max(kit.old.len() as u64).next_multiple_of(sector_len.into());
        let geometry = Geometry { len, sector_len, write_len: 8, erased: 0xff };
        let areas = Areas::of(&kit.header, 8, &mut kit.work()).unwrap();
        let scratch = Geometry { len: areas.scratch_len(), ..geometry };
        Self { slot: RamFlash::new(&kit.old, geometry), scratch: RamFlash::new(&[], scratch) }
    }

    fn two_slots(kit: &Kit) -> Self {
        let geometry = Geometry { len: 4096, sector_len: 64, write_len: 8, erased: 0xff };
        let areas = Areas::of_two_slots(&kit.header, &geometry, &mut kit.work(), &LIMITS).unwrap();
        let len = areas.scratch_len().next_multiple_of(64);
        let scratch = Geometry { len, ..geometry };
        Self { slot: RamFlash::new(&[], geometry), scratch: RamFlash::new(&[], scratch) }
    }

    /// What a device does at every start; `count` operations are done before one fails.
    fn boot(
        &mut self,
        kit: &Kit,
        opener: Option<&dyn OpenChunk>,
        payload: &[u8],
        count: usize,
    ) -> Result<(), Error> {
        self.boot_counted(kit, opener, payload, &Cell::new(count))
    }

    /// The same, with what is left of the operations.
    fn boot_counted(
        &mut self,
        kit: &Kit,
        opener: Option<&dyn OpenChunk>,
        payload: &[u8],
        left: &Cell<usize>,
    ) -> Result<(), Error> {
        let Self { slot, scratch } = self;
        let (mut slot, mut scratch) =
            (Failing { flash: slot, left }, Failing { flash: scratch, left });
        let (header, mut work, binding) = (&kit.header, kit.work(), Binding::new(b"b", b""));
        if header.in_place.is_none() {
            return write(kit, opener, payload, (&mut slot, &mut scratch), binding);
        }
        let found = Rewriting::look(header, &mut work, &mut scratch, &binding)?;
        let payload = &mut &*payload;
        let mut flash = Flash { slot: &mut slot, scratch: &mut scratch, payload };
        let mut rewriting = match found {
            Found::Done => return Ok(()),
            Found::Begun => Rewriting::resume(header, &mut work, &LIMITS, binding, &mut flash)?,
            Found::Nothing => {
                verify_old(header, flash.slot, &mut [0; 64])?;
                let mut rehearsal = Rehearsal::open(header, &mut work, &LIMITS)?;
                opener.map_or(Ok(()), |opener| rehearsal.decrypt_with(opener))?;
                while rehearsal.step(&mut flash)? == Progress::Yield {}
                let ready = rehearsal.finish()?;
                Rewriting::begin(ready, header, &mut work, &LIMITS, binding, &mut flash)?
            }
        };
        opener.map_or(Ok(()), |opener| rewriting.decrypt_with(opener))?;
        while rewriting.step(&mut flash)? == Progress::Yield {}
        rewriting.finish().map(drop)
    }

    fn holds(&self, image: &[u8]) -> bool {
        self.slot.bytes().starts_with(image)
    }
}

/// The same where new has a slot of its own; payload is fed from where an earlier run left off.
fn write(
    kit: &Kit,
    opener: Option<&dyn OpenChunk>,
    payload: &[u8],
    (new, scratch): (&mut Failing<'_, '_>, &mut Failing<'_, '_>),
    binding: Binding,
) -> Result<(), Error> {
    let (header, mut work) = (&kit.header, kit.work());
    let settings = Settings { binding, interval: 100 };
    let start = match Writing::look(header, &mut work, &LIMITS, scratch, &binding)? {
        Found::Done => return Ok(()),
        Found::Begun => Writing::resume,
        Found::Nothing => Writing::begin,
    };
    let mut writing = start(header, &mut work, &LIMITS, &settings, new, scratch)?;
    opener.map_or(Ok(()), |opener| writing.decrypt_with(opener))?;
    let mut pos = writing.at().payload_pos as usize;
    let decompressor = &mut fwdelta::codec::zstd::Zstd::default();
    let mut io = Io { old: &mut &kit.old[..], new, decompressor };
    loop {
        // Pieces that end within chunks, so that checkpoints find one that has arrived in part.
        let piece = &payload[pos..payload.len().min(pos + 29)];
        let (taken, step) = writing.feed(&mut io, scratch, piece)?;
        pos += taken;
        assert!(step != Step::NeedInput || pos < payload.len(), "no end");
        if step == Step::Done {
            return writing.finish(io.new, scratch).map(drop);
        }
    }
}

/// Operations of an update that nothing disturbs.
fn operations(kit: &Kit, fresh: &Device) -> usize {
    let (mut device, left) = (fresh.clone(), Cell::new(usize::MAX));
    assert_eq!(device.boot_counted(kit, kit.opener(), &kit.payload, &left), Ok(()));
    assert!(device.holds(&kit.new));
    usize::MAX - left.get()
}

/// Fails at operations all over the update, and in the next run again: then one ends with the new
/// image. Checkpoints of the larger models are many operations of one kind.
fn survives(kit: &Kit, fresh: &Device) {
    let total = operations(kit, fresh);
    assert!(total > 20, "{total} operations");
    for count in (0..total).step_by(total.div_ceil(moment_count())) {
        let mut device = fresh.clone();
        let first = device.boot(kit, kit.opener(), &kit.payload, count);
        assert_eq!(first.unwrap_err().detail, Detail::WriteFailed, "operation {count}");
        let mut twice = device.clone();
        let _ = twice.boot(kit, kit.opener(), &kit.payload, count % 13);
        for device in [&mut device, &mut twice] {
            assert_eq!(device.boot(kit, kit.opener(), &kit.payload, usize::MAX), Ok(()));
            assert!(device.holds(&kit.new), "operation {count}");
        }
    }
}

#[test]
fn an_update_in_place_goes_on_after_any_operation() {
    for algorithm in BOTH {
        for (profile, place) in [
            (Profile::Plain, place(64, 2)),
            (Profile::Plain, place(256, 1)),
            (Profile::Tiny, place(256, 3)),
            (Profile::Small, place(512, 1)),
        ] {
            let kit = Kit::new(algorithm, profile, Some(place));
            survives(&kit, &Device::in_place(&kit));
        }
    }
}

#[test]
fn a_slot_of_its_own_goes_on_after_any_operation() {
    for (algorithm, profile) in [
        (BOTH[0], Profile::Plain),
        (BOTH[1], Profile::Plain),
        (BOTH[0], Profile::Tiny),
        (BOTH[0], Profile::Fast),
    ] {
        let kit = Kit::new(algorithm, profile, None);
        survives(&kit, &Device::two_slots(&kit));
    }
}

#[test]
fn without_the_key_nothing_is_decoded_and_nothing_is_lost() {
    let kit = Kit::new(BOTH[0], Profile::Plain, Some(place(64, 2)));
    let fresh = Device::in_place(&kit);
    let mut device = fresh.clone();
    let error = device.boot(&kit, None, &kit.payload, usize::MAX).unwrap_err();
    assert_eq!((error.detail, error.old_intact), (Detail::NotRecipient, true));
    assert!(device.holds(&kit.old));
    // In the middle of it the journal stays as it is.
    let count = operations(&kit, &fresh);
    device.boot(&kit, kit.opener(), &kit.payload, count / 2).unwrap_err();
    let half = device.slot.bytes().to_vec();
    assert!(half[..kit.old.len()] != kit.old && half[..kit.new.len()] != kit.new);
    for _ in 0..3 {
        let error = device.boot(&kit, None, &kit.payload, usize::MAX).unwrap_err();
        assert_eq!((error.detail, error.old_intact), (Detail::NotRecipient, false));
        assert!(device.slot.bytes() == half);
    }
    assert_eq!(device.boot(&kit, kit.opener(), &kit.payload, usize::MAX), Ok(()));
    assert!(device.holds(&kit.new));
    let two = Kit::new(BOTH[1], Profile::Plain, None);
    let mut device = Device::two_slots(&two);
    let error = device.boot(&two, None, &two.payload, usize::MAX).unwrap_err();
    assert_eq!(error.detail, Detail::NotRecipient);
    assert!(device.slot.bytes().iter().all(|byte| *byte == 0xff), "something was written");
}

#[test]
fn a_chunk_that_changes_after_the_rehearsal_does_not_open() {
    let kit = Kit::new(BOTH[1], Profile::Plain, Some(place(64, 2)));
    let fresh = Device::in_place(&kit);
    let count = operations(&kit, &fresh);
    let mut changed = kit.payload.clone();
    // One byte of every chunk; hashes are not looked at again.
    let record_len = CHUNK_LEN as usize + 32;
    for at in (0..changed.len()).step_by(record_len) {
        changed[at] ^= 1;
    }
    let mut tried = 0;
    for before in (1..count).step_by(5) {
        let mut device = fresh.clone();
        device.boot(&kit, kit.opener(), &kit.payload, before).unwrap_err();
        let begun = device.clone();
        let Err(error) = device.boot(&kit, kit.opener(), &changed, usize::MAX) else { continue };
        // One that was not begun is rehearsed, and fails at the chain.
        let is_found = [Detail::NotDecrypted, Detail::ChunkDigest].contains(&error.detail);
        assert!(is_found, "{before}: {error:?}");
        tried += usize::from(error.detail == Detail::NotDecrypted);
        for mut device in [begun, device] {
            assert_eq!(device.boot(&kit, kit.opener(), &kit.payload, usize::MAX), Ok(()));
            assert!(device.holds(&kit.new));
        }
    }
    assert!(tried > 3, "{tried}");
}

#[test]
fn chunks_that_change_places_after_the_rehearsal_do_not_open() {
    let kit = Kit::new(BOTH[0], Profile::Plain, Some(place(64, 2)));
    let fresh = Device::in_place(&kit);
    let count = operations(&kit, &fresh);
    let record_len = CHUNK_LEN as usize + 32;
    assert!(kit.payload.len() > 2 * record_len);
    let mut swapped = kit.payload.clone();
    let (first, rest) = swapped.split_at_mut(record_len);
    first.swap_with_slice(&mut rest[..record_len]);
    let mut found = 0;
    for before in 1..count {
        let mut device = fresh.clone();
        device.boot(&kit, kit.opener(), &kit.payload, before).unwrap_err();
        if let Err(error) = device.boot(&kit, kit.opener(), &swapped, usize::MAX) {
            found += usize::from(error.detail == Detail::NotDecrypted);
        }
    }
    assert!(found > 3, "{found}");
}

#[test]
fn a_plain_delta_takes_no_decryption() {
    let kit = Kit::new(BOTH[0], Profile::Plain, Some(place(64, 2)));
    let mut plain = kit.header;
    plain.chain.as_mut().unwrap().is_sealed = false;
    let mut work = kit.work();
    let mut rehearsal = Rehearsal::open(&plain, &mut work, &LIMITS).unwrap();
    let error = rehearsal.decrypt_with(&kit.opening).unwrap_err();
    assert_eq!(error.detail, Detail::BadArgument);
}
