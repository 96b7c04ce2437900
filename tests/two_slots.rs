//! Laws of deltas that go on after they broke off: no more than an interval is made again, what
//! comes out is the same, and nothing wrong is taken for what was written.
#![allow(missing_docs)]

mod delta;

use std::path::Path;
use std::process::{Command, Output};

use delta::{Pair, chained, edited, every_coder, noise};
use fwdelta::core::apply::Applier;
use fwdelta::core::apply::in_place::Areas;
use fwdelta::core::apply::two_slots::{Binding, Found, Settings, Writing};
use fwdelta::core::storage::{Geometry, ReadError, Source, Target};
use fwdelta::core::{Detail, Limits};
use fwdelta::diff::{Delta, Media, Profile, RamFlash, Written, write};
use fwdelta::progress::Silent;
use fwdelta_sim::fault::Random;

const INTERVAL: u64 = 1024;
const GEOMETRY: Geometry = Geometry { len: 1 << 16, sector_len: 256, write_len: 8, erased: 0xff };

/// A slot whose driver fails for good once so many bytes were written.
struct Failing {
    flash: RamFlash,
    left: usize,
    /// Lowest and highest byte written since power was on.
    written: (u64, u64),
}

impl Failing {
    fn new(flash: RamFlash, left: usize) -> Self {
        Self { flash, left, written: (u64::MAX, 0) }
    }
}

impl Source for Failing {
    type Error = std::io::Error;

    fn read(&mut self, pos: u64, buf: &mut [u8]) -> Result<(), ReadError<Self::Error>> {
        self.flash.read(pos, buf)
    }
}

impl Target for Failing {
    type Error = std::io::Error;

    fn geometry(&self) -> Geometry {
        self.flash.geometry()
    }

    fn erase(&mut self, sector: u32) -> std::io::Result<()> {
        self.flash.erase(sector)
    }

    fn program(&mut self, pos: u64, data: &[u8]) -> std::io::Result<()> {
        if data.len() > self.left {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.left -= data.len();
        let end = pos + data.len() as u64;
        self.written = (self.written.0.min(pos), self.written.1.max(end));
        self.flash.program(pos, data)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn scratch(delta: &Delta) -> RamFlash {
    let mut work = vec![0; Applier::workspace(&delta.header).unwrap() as usize];
    let areas = Areas::of_two_slots(&delta.header, &GEOMETRY, &mut work, &Limits::LINUX).unwrap();
    RamFlash::new(&[], Geometry { len: areas.scratch_len(), ..GEOMETRY })
}

fn settings(delta: &Delta, interval: u64) -> Settings {
    Settings { binding: Binding::new(&delta.header_bytes(), b"yes"), interval }
}

fn run(
    pair: &Pair,
    delta: &Delta,
    new: &mut Failing,
    scratch: &mut RamFlash,
    settings: &Settings,
) -> fwdelta::Result<Written> {
    let (mut old, mut payload) = (&pair.old[..], &delta.payload[..]);
    let (old, payload) = (&mut old, &mut payload);
    let mut media = Media { old, new, scratch, payload, payload_start: 0 };
    write(&delta.header, &mut media, &Limits::LINUX, settings, &Silent)
}

/// Old slots hold something.
fn junk() -> RamFlash {
    RamFlash::new(&noise(&mut Random::new(2), 1 << 14, 256), GEOMETRY)
}

fn every_delta() -> Vec<(Pair, Delta)> {
    let pair = delta::short_pair();
    let mut all = every_coder(&pair);
    all.push((pair.clone(), delta::delta(&pair.old, &pair.new, Profile::Fast)));
    let chained = all.iter().map(|(pair, delta)| (pair.clone(), chained(delta, 64)));
    let chained: Vec<_> = chained.collect();
    all.into_iter().chain(chained).collect()
}

#[test]
fn at_most_an_interval_is_made_again_with_every_coder() {
    for (pair, delta) in every_delta() {
        let settings = settings(&delta, INTERVAL);
        for cut in (1..=pair.new.len()).step_by(97) {
            let what = format!("{} coder {} cut {cut}", pair.name, delta.header.coder.name());
            let mut scratch = scratch(&delta);
            let mut new = Failing::new(junk(), cut);
            let broken = run(&pair, &delta, &mut new, &mut scratch, &settings);
            assert_eq!(broken.unwrap_err().detail(), Detail::WriteFailed, "{what}");
            let made = if new.written.0 == u64::MAX { 0 } else { new.written.1 };
            let mut new = Failing::new(new.flash, usize::MAX);
            let written = run(&pair, &delta, &mut new, &mut scratch, &settings).unwrap();
            assert!(new.flash.bytes().starts_with(&pair.new), "{what}");
            let at = written.resumed_at.expect("there is a checkpoint from the start on");
            assert_eq!(at.new_pos, made / INTERVAL * INTERVAL, "{what}");
            assert_eq!(new.written.0, at.new_pos, "{what}: nothing before is written again");
            assert!(at.payload_pos <= delta.header.payload_len);
            let goes_on = made > INTERVAL && !delta.header.coder.has_decompressor();
            assert!(!goes_on || at.payload_pos > 0, "{what}: the transport goes on as well");
        }
    }
}

#[test]
fn it_breaks_off_again_and_again() {
    for (pair, delta) in every_delta() {
        let mut scratch = scratch(&delta);
        let (mut flash, mut runs) = (junk(), 0);
        let last = loop {
            // Intervals may differ between runs.
            let settings = settings(&delta, 512 << (runs % 2));
            let mut new = Failing::new(flash, 1300);
            let written = run(&pair, &delta, &mut new, &mut scratch, &settings);
            flash = new.flash;
            runs += 1;
            match written {
                Ok(_) => break flash,
                Err(error) => assert_eq!(error.detail(), Detail::WriteFailed),
            }
            assert!(runs < 20, "each run gets on");
        };
        assert!(runs > 2 && last.bytes().starts_with(&pair.new), "{}", delta.header.coder.name());
    }
}

#[test]
fn another_package_or_decision_finds_nothing_to_resume() {
    let (pair, delta) = every_delta().swap_remove(1);
    let mut scratch = scratch(&delta);
    let mut new = Failing::new(junk(), 2000);
    run(&pair, &delta, &mut new, &mut scratch, &settings(&delta, INTERVAL)).unwrap_err();
    let other = Settings { binding: Binding::new(&delta.header_bytes(), b"no"), interval: 512 };
    let mut new = Failing::new(new.flash, usize::MAX);
    let written = run(&pair, &delta, &mut new, &mut scratch, &other).unwrap();
    assert_eq!((written.resumed_at, new.written.0), (None, 0));
    assert!(new.flash.bytes().starts_with(&pair.new));
}

#[test]
fn what_was_changed_meanwhile_is_made_anew() {
    for (pair, delta) in every_delta() {
        let mut scratch = scratch(&delta);
        let settings = settings(&delta, INTERVAL);
        let mut new = Failing::new(junk(), 2500);
        run(&pair, &delta, &mut new, &mut scratch, &settings).unwrap_err();
        new.flash.program(8, &[0x5a; 8]).unwrap();
        let mut new = Failing::new(new.flash, usize::MAX);
        let written = run(&pair, &delta, &mut new, &mut scratch, &settings).unwrap();
        assert_eq!(written.resumed_at, None, "the digest is wrong: it began again");
        assert!(new.flash.bytes().starts_with(&pair.new));
    }
}

/// Runs the command in `dir`; a file that would grow beyond `len_max` kills it.
#[cfg(unix)]
fn limited(dir: &Path, args: &str, len_max: u64) -> Output {
    // The shell counts blocks of 512 bytes.
    let script = format!("ulimit -f {}; exec \"$0\" {args} --json", len_max.div_ceil(512));
    let mut command = Command::new("sh");
    command.current_dir(dir).args(["-c", &script, env!("CARGO_BIN_EXE_fwdelta")]);
    command.output().unwrap()
}

#[test]
#[cfg(unix)]
fn a_killed_command_goes_on_at_half_and_near_the_end() {
    use std::os::unix::process::ExitStatusExt as _;
    let (len, interval, profiles) = match std::env::var_os("FWDELTA_EXHAUSTIVE").is_some() {
        true => (30 << 20, 1 << 20, ["small", "plain", "fast"].as_slice()),
        false => (2 << 20, 64 << 10, ["small", "fast"].as_slice()),
    };
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = edited(&mut Random::new(30), len, 300);
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("old", &old);
    write("new", &new);
    for profile in profiles {
        let diff = format!("diff old new delta --profile {profile}");
        assert!(limited(dir.path(), &diff, 1 << 30).status.success());
        let patch = format!("patch old delta out --journal journal --interval {interval}");
        for percent in [50, 99] {
            let killed = limited(dir.path(), &patch, new.len() as u64 * percent / 100);
            assert!(killed.status.signal().is_some(), "{killed:?}");
            assert!(!dir.path().join("out").exists(), "not before it is whole");
            let report = limited(dir.path(), &patch, 1 << 30);
            assert!(report.status.success(), "{report:?}");
            let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
            let number = |name: &str| report["journal"][name].as_u64().unwrap();
            let (at, again) = (number("resumed_at"), number("decoded_again_len"));
            println!(
                "{profile}: killed at {percent} % of {}, went on at {at}, {again} bytes decoded \
                 again, {} in all, payload from byte {} of {}",
                new.len(),
                number("decoded_len"),
                number("payload_resumed_at"),
                report["delta_len"],
            );
            assert!(again <= interval && at >= new.len() as u64 * percent / 100 - interval);
            assert_eq!(number("decoded_len"), new.len() as u64 - at);
            assert!(std::fs::read(dir.path().join("out")).unwrap() == new);
            std::fs::remove_file(dir.path().join("out")).unwrap();
        }
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 3, "journal and partial file are gone");
    }
}

#[test]
#[cfg(unix)]
fn packages_go_on_too_each_component_by_itself() {
    use std::os::unix::process::ExitStatusExt as _;
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &str, len_max| limited(dir.path(), args, len_max);
    let ok = |args: &str| {
        let output = run(args, 1 << 30);
        assert!(output.status.success(), "{args}: {output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let (a, _) = edited(&mut Random::new(1), 100_000, 30);
    let (b, c) = edited(&mut Random::new(2), 400_000, 30);
    write("a", &a);
    write("b", &b);
    write("c", &c);
    write("trust.toml", b"version = 1\n[vendor]\nthreshold = 1\nkeys = [\"vendor.pub\"]\n");
    ok("keygen --out vendor");
    ok("build --key vendor.key --sequence 1 -o up --component boot::a --component app:b:c");
    let apply =
        "apply up --trust trust.toml --old app:b -o boot:x -o app:y --journal j --interval 32K";
    let killed = run(apply, 300_000);
    assert!(killed.status.signal().is_some(), "{killed:?}");
    assert!(!dir.path().join("x").exists() && !dir.path().join("y").exists());
    let report = ok(apply);
    let journals = &report["journals"];
    for (at, least) in [(0, 100_000 - 32_768), (1, 300_000 - 32_768 - 512)] {
        let number = |name: &str| journals[at][name].as_u64().unwrap();
        assert!(number("resumed_at") >= least, "{report}");
        assert!(number("decoded_again_len") <= 32_768, "{report}");
    }
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(read("x") == a && read("y") == c);
    assert!(!dir.path().join("j.boot").exists() && !dir.path().join("y.partial").exists());
}

#[test]
fn what_does_not_fit_is_refused_and_what_is_cleared_is_forgotten() {
    let (pair, delta) = every_delta().swap_remove(1);
    let (header, limits, settings) = (&delta.header, Limits::LINUX, settings(&delta, INTERVAL));
    let mut work = vec![0; Applier::workspace(header).unwrap() as usize];
    let mut begin = |new: Geometry, scratch: Geometry| {
        let (mut new, mut scratch) = (RamFlash::new(&[], new), RamFlash::new(&[], scratch));
        let begun = Writing::begin(header, &mut work, &limits, &settings, &mut new, &mut scratch);
        begun.map(drop).map_err(|error| error.detail)
    };
    let flash = |len: u64, write_len| Geometry { len, write_len, ..GEOMETRY };
    assert_eq!(begin(GEOMETRY, GEOMETRY), Ok(()));
    assert_eq!(begin(flash(1024, 8), GEOMETRY), Err(Detail::NoSpace));
    assert_eq!(begin(GEOMETRY, flash(1024, 8)), Err(Detail::NoSpace));
    assert_eq!(begin(flash(1 << 16, 64), GEOMETRY), Err(Detail::BadArgument));
    assert_eq!(begin(GEOMETRY, flash(1 << 16, 0)), Err(Detail::BadArgument));
    for sector_len in [256, 1] {
        let geometry = Geometry { sector_len, ..GEOMETRY };
        let mut scratch = RamFlash::new(&[0xa5; 1 << 16], geometry);
        let mut new = Failing::new(RamFlash::new(&[], geometry), 1500);
        let mut resume = |scratch: &mut RamFlash| {
            let new = &mut RamFlash::new(&[], geometry);
            let resumed = Writing::resume(header, &mut work, &limits, &settings, new, scratch);
            resumed.map(|writing| writing.at().new_pos).map_err(|error| error.detail)
        };
        assert_eq!(resume(&mut scratch), Err(Detail::WrongState));
        run(&pair, &delta, &mut new, &mut scratch, &settings).unwrap_err();
        assert_eq!(resume(&mut scratch), Ok(1024));
        let mut work = vec![0; Applier::workspace(header).unwrap() as usize];
        let look = |scratch: &mut RamFlash, work: &mut [u8]| {
            Writing::look(header, work, &limits, scratch, &settings.binding).unwrap()
        };
        assert_eq!(look(&mut scratch, &mut work), Found::Begun);
        Writing::clear(header, &mut work, &limits, &mut scratch).unwrap();
        assert_eq!(look(&mut scratch, &mut work), Found::Nothing);
        run(&pair, &delta, &mut Failing::new(new.flash, 9999), &mut scratch, &settings).unwrap();
        assert_eq!(look(&mut scratch, &mut work), Found::Done);
    }
}
