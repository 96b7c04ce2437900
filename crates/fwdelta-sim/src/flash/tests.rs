//! The model obeys its own rules.

use super::*;

const GEOMETRY: Geometry = Geometry { len: 256, sector_len: 64, write_len: 8, erased: 0xff };

fn read(flash: &mut Flash, pos: u64, len: usize) -> Result<Vec<u8>, ReadError<FlashError>> {
    let mut buf = vec![0; len];
    flash.read(pos, &mut buf).map(|()| buf)
}

/// Erases sector 1, programs it in three calls and syncs: five operations.
fn write_sector(flash: &mut Flash) -> Result<(), FlashError> {
    flash.erase(1)?;
    flash.program(64, &[1; 24])?;
    flash.program(88, &[2; 24])?;
    flash.program(112, &[3; 16])?;
    flash.sync()
}

fn written() -> Vec<u8> {
    [vec![1; 24], vec![2; 24], vec![3; 16]].concat()
}

#[test]
fn what_is_programmed_reads_back_and_is_counted() {
    let mut flash = Flash::with_image(GEOMETRY, &[7; 200]);
    write_sector(&mut flash).unwrap();
    assert_eq!(read(&mut flash, 64, 64).unwrap(), written());
    assert_eq!(read(&mut flash, 60, 4).unwrap(), [7; 4]);
    let counts = Counts { operations: 5, erases: vec![0, 1, 0, 0], programmed_len: 64, reads: 2 };
    assert_eq!(flash.counts(), &counts);
    assert!(flash.violations().is_empty());
}

#[test]
fn rules_of_flash_are_enforced_and_remembered() {
    let mut flash = Flash::with_image(GEOMETRY, &[7; 65]);
    let unaligned = FlashError::Unaligned { pos: 132, len: 8 };
    assert_eq!(flash.program(132, &[0; 8]), Err(unaligned));
    assert_eq!(flash.program(128, &[0; 7]), Err(FlashError::Unaligned { pos: 128, len: 7 }));
    assert_eq!(flash.program(56, &[0; 8]), Err(FlashError::NotErased { pos: 56 }));
    assert_eq!(flash.program(72, &[0; 8]), Ok(()));
    assert_eq!(flash.program(72, &[0; 8]), Err(FlashError::NotErased { pos: 72 }));
    assert_eq!(flash.program(248, &[0; 16]), Err(FlashError::OutOfBounds { pos: 248, len: 16 }));
    assert_eq!(flash.erase(4), Err(FlashError::OutOfBounds { pos: 256, len: 64 }));
    let far = FlashError::OutOfBounds { pos: u64::MAX, len: 1 };
    assert_eq!(read(&mut flash, u64::MAX, 1), Err(ReadError::Io(far)));
    assert_eq!(flash.violations().len(), 7);
    assert!(flash.violations().iter().all(|error| error.is_violation()));
    assert_eq!(flash.counts().operations, 1, "what breaks a rule does not reach the cells");
}

#[test]
fn a_medium_without_sectors_may_be_overwritten() {
    let file = Geometry { len: 64, sector_len: 1, write_len: 1, erased: 0 };
    let mut flash = Flash::with_image(file, &[1; 64]);
    assert_eq!(flash.program(3, &[2; 5]), Ok(()));
    assert_eq!(read(&mut flash, 2, 7).unwrap(), [1, 2, 2, 2, 2, 2, 1]);
    assert_eq!(flash.erase(0), Err(FlashError::NoSectors));
}

#[test]
fn a_driver_error_changes_nothing_and_passes() {
    let mut flash = Flash::with_image(GEOMETRY, &[7; 256]);
    flash.plan(Fault { at: 0, kind: Kind::Error, seed: 0 });
    assert_eq!(flash.erase(1), Err(FlashError::Driver));
    assert_eq!(flash.bytes(), [7; 256]);
    assert!(flash.has_power());
    write_sector(&mut flash).unwrap();
    assert_eq!(&flash.bytes()[64..128], written());
}

#[test]
fn after_a_cut_nothing_works_until_reboot() {
    for fault in crate::fault::every_cut(5, &[1, 2, 3]) {
        let mut flash = Flash::with_image(GEOMETRY, &[7; 256]);
        flash.plan(fault);
        assert_eq!(write_sector(&mut flash), Err(FlashError::NoPower), "{fault:?}");
        assert!(!flash.has_power());
        assert_eq!(flash.erase(1), Err(FlashError::NoPower));
        assert_eq!(flash.program(64, &[0; 8]), Err(FlashError::NoPower));
        assert_eq!(flash.sync(), Err(FlashError::NoPower));
        assert_eq!(read(&mut flash, 0, 1), Err(ReadError::Io(FlashError::NoPower)));
        flash.reboot(1);
        write_sector(&mut flash).unwrap();
        assert_eq!(read(&mut flash, 64, 64).unwrap(), written());
        assert_eq!(read(&mut flash, 0, 64).unwrap(), [7; 64], "other sectors are untouched");
        assert!(flash.violations().is_empty(), "{fault:?}");
    }
}

#[test]
fn a_cut_is_before_in_the_middle_or_after() {
    let cut = |at, kind| {
        let mut flash = Flash::with_image(GEOMETRY, &[7; 256]);
        flash.plan(Fault { at, kind, seed: 4 });
        assert!(write_sector(&mut flash).is_err());
        flash.reboot(1);
        flash
    };
    assert_eq!(cut(0, Kind::CutBefore).bytes(), [7; 256]);
    assert_eq!(&cut(0, Kind::CutAfter).bytes()[64..128], [0xff; 64]);
    let torn = cut(0, Kind::CutTorn);
    let sector = &torn.bytes()[64..128];
    assert!(sector != [7; 64] && sector != [0xff; 64], "{sector:02x?}");
    assert_eq!(&cut(1, Kind::CutBefore).bytes()[64..128], [0xff; 64]);
    assert_eq!(&cut(1, Kind::CutAfter).bytes()[64..88], [1; 24]);
    let torn = cut(1, Kind::CutTorn);
    let part = &torn.bytes()[64..88];
    assert!(part != [0xff; 24] && part != [1; 24], "{part:02x?}");
}

#[test]
fn torn_words_are_random_or_unreadable_and_must_be_erased() {
    let (mut unreadable, mut readable) = (0, 0);
    for seed in 0..64 {
        let mut flash = Flash::blank(GEOMETRY);
        flash.plan(Fault { at: 0, kind: Kind::CutTorn, seed });
        assert_eq!(flash.program(0, &[0; 8]), Err(FlashError::NoPower));
        flash.reboot(1);
        match read(&mut flash, 4, 1) {
            Err(ReadError::Uncorrectable) => unreadable += 1,
            result => readable += usize::from(result.is_ok()),
        }
        assert_eq!(flash.program(0, &[0; 8]), Err(FlashError::NotErased { pos: 0 }));
        flash.erase(0).unwrap();
        assert_eq!(flash.program(0, &[0; 8]), Ok(()));
    }
    assert!(unreadable > 16 && readable > 16, "{unreadable} {readable}");
    assert_eq!(unreadable + readable, 64);
}

#[test]
fn the_same_seed_tears_the_same_way() {
    let run = |seed| {
        let mut flash = Flash::with_image(GEOMETRY, &[7; 256]);
        flash.plan(Fault { at: 0, kind: Kind::CutTorn, seed });
        assert!(flash.erase(1).is_err());
        (flash.bytes, flash.words)
    };
    assert_eq!(run(9), run(9));
    assert_ne!(run(9), run(10));
}

#[test]
fn a_write_cache_keeps_what_was_synced_and_may_lose_the_rest() {
    let mut kept = Vec::new();
    for seed in 0..64 {
        let mut flash = Flash::blank(GEOMETRY).with_write_cache();
        flash.program(0, &[1; 8]).unwrap();
        flash.sync().unwrap();
        flash.program(8, &[2; 8]).unwrap();
        flash.plan(Fault { at: 3, kind: Kind::CutBefore, seed });
        assert!(flash.program(16, &[3; 8]).is_err());
        flash.reboot(1);
        assert_eq!(flash.bytes()[..8], [1; 8], "synced bytes survive");
        assert_eq!(flash.bytes()[16..24], [0xff; 8]);
        kept.push(flash.bytes()[8] == 2);
        flash.program(16, &[3; 8]).unwrap();
    }
    assert!(kept.contains(&true) && kept.contains(&false));
}
