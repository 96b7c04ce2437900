//! The whole story on a folder of firmware pairs, beside what bsdiff makes of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::runner::{Done, Runner};
use crate::tool::{cargo, command, find, root, run, target_dir};

/// Both operators approve every package; each device accepts its own.
const OPERATORS: [(&str, &str); 2] =
    [("26201", "00112233445566778899aabbccddeeff"), ("26202", "ffeeddccbbaa99887766554433221100")];

/// First byte of EF_FOTA: updates are allowed.
const FOTA_ALLOWED: u8 = 1;

/// Ceilings on the delta's size relative to bsdiff's, where we promise one.
const SMALL_MAX_ON_MCU: f64 = 1.00;
const FAST_MAX: f64 = 1.05;

struct Row {
    name: String,
    old_len: u64,
    new_len: u64,
    /// Delta and approved package, in the order of [`PROFILES`].
    lens: Vec<(u64, u64)>,
    bsdiff_len: Option<u64>,
}

const PROFILES: [&str; 2] = ["small", "fast"];

/// Every folder of `dir` with a file `old` (or `old.bin`) and `new` is a pair.
pub(crate) fn all(runner: &mut Runner, dir: &Path) {
    let work = target_dir().join("corpus");
    let mut program = None;
    runner.step("build the command and keys", || {
        run(&mut cargo("build --release --bin fwdelta"))?;
        let built = target_dir().join("release/fwdelta");
        keys(&built, &work)?;
        program = Some(built);
        Ok(Done::Passed)
    });
    let Some(program) = program else { return };
    let bsdiff = find("bsdiff");
    if bsdiff.is_none() {
        runner.skip("comparison with bsdiff", "bsdiff is not installed");
    }
    let pairs = pairs(&root().join(dir));
    if pairs.is_empty() {
        runner.step("pairs", || Err(format!("no DIR/*/{{old,new}} in {}", dir.display())));
    }
    let mut rows = Vec::new();
    for pair in &pairs {
        runner.step(&pair.name, || {
            let row = measure(&program, &work, pair, bsdiff.as_deref())?;
            println!("{}", table(std::slice::from_ref(&row)));
            let verdict = within_ceilings(&row);
            rows.push(row);
            verdict.map(|()| Done::Passed)
        });
    }
    println!("\n{}", table(&rows));
}

/// Two images by the folder that holds them.
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) old: PathBuf,
    pub(crate) new: PathBuf,
}

/// Sorted by name.
pub(crate) fn pairs(dir: &Path) -> Vec<Pair> {
    let folders = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut pairs: Vec<Pair> = folders
        .filter_map(|folder| {
            let file = |names: [&str; 2]| {
                names.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
            };
            let name = folder.file_name()?.to_string_lossy().into_owned();
            Some(Pair { name, old: file(["old", "old.bin"])?, new: file(["new", "new.bin"])? })
        })
        .collect();
    pairs.sort_by(|a, b| a.name.cmp(&b.name));
    pairs
}

/// Fresh keys and a trust file that lists every signer.
fn keys(program: &Path, work: &Path) -> Result<(), String> {
    if work.exists() {
        fs::remove_dir_all(work).map_err(|error| format!("{}: {error}", work.display()))?;
    }
    fs::create_dir_all(work).map_err(|error| format!("{}: {error}", work.display()))?;
    let mut trust = "version = 1\n[vendor]\nthreshold = 1\nkeys = [\"vendor.pub\"]\n".to_owned();
    run(command(program).args(["keygen", "--out"]).arg(work.join("vendor")))?;
    for (plmn, string) in OPERATORS {
        run(command(program).args(["keygen", "--out"]).arg(work.join(plmn)))?;
        trust.push_str(&format!("[[operator]]\nplmn = \"{plmn}\"\nkeys = [\"{plmn}.pub\"]\n"));
        let digits = string.as_bytes().chunks(2);
        let pairs = digits.map(|pair| std::str::from_utf8(pair).unwrap_or_default());
        let string = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap_or_default());
        let ef_fota: Vec<u8> = std::iter::once(FOTA_ALLOWED).chain(string).collect();
        write(&work.join(format!("{plmn}.ef-fota")), &ef_fota)?;
    }
    write(&work.join("trust.toml"), trust.as_bytes())
}

fn measure(program: &Path, work: &Path, pair: &Pair, bsdiff: Option<&Path>) -> Result<Row, String> {
    let mut lens = Vec::new();
    for profile in PROFILES {
        let delta_len = delta(program, work, pair, profile)?;
        lens.push((delta_len, package(program, work, pair, profile)?));
    }
    let bsdiff_len = match bsdiff {
        Some(bsdiff) => {
            let patch = work.join("bsdiff");
            run(command(bsdiff).args([&pair.old, &pair.new, &patch]))?;
            Some(len(&patch)?)
        }
        None => None,
    };
    let (old_len, new_len) = (len(&pair.old)?, len(&pair.new)?);
    Ok(Row { name: pair.name.clone(), old_len, new_len, lens, bsdiff_len })
}

/// The delta by itself: the same for any number of threads, and it patches.
fn delta(program: &Path, work: &Path, pair: &Pair, profile: &str) -> Result<u64, String> {
    let (one, two, new) = (work.join("delta.1"), work.join("delta.2"), work.join("patched"));
    for (delta, threads) in [(&one, "1"), (&two, "2")] {
        run(command(program).arg("diff").args([&pair.old, &pair.new, delta]).args([
            "--profile",
            profile,
            "--threads",
            threads,
        ]))?;
    }
    same(&one, &two)?;
    run(command(program).arg("patch").args([&pair.old, &one, &new]))?;
    same(&new, &pair.new)?;
    len(&one)
}

/// Build, approve for both operators, then verify and apply as a device of each.
fn package(program: &Path, work: &Path, pair: &Pair, profile: &str) -> Result<u64, String> {
    let mut package = work.join("update.suit");
    run(command(program)
        .args(["build", "--profile", profile, "--sequence", "7", "--old"])
        .arg(&pair.old)
        .arg("--new")
        .arg(&pair.new)
        .arg("--key")
        .arg(work.join("vendor.key"))
        .arg("-o")
        .arg(&package))?;
    for (plmn, string) in OPERATORS {
        let approved = work.join(format!("approved-{plmn}.suit"));
        run(command(program)
            .arg("approve")
            .arg(&package)
            .args(["--operator", plmn, "--string", string, "--key"])
            .arg(work.join(format!("{plmn}.key")))
            .arg("-o")
            .arg(&approved))?;
        package = approved;
    }
    for (plmn, _) in OPERATORS {
        let new = work.join("applied");
        let _ = fs::remove_file(&new);
        let device = |verb: &str| {
            let mut device = command(program);
            device.arg(verb).arg(&package).arg("--trust").arg(work.join("trust.toml"));
            device.arg("--old").arg(&pair.old).args(["--plmn", plmn, "--ef-fota"]);
            device.arg(work.join(format!("{plmn}.ef-fota")));
            device
        };
        run(&mut device("verify"))?;
        run(device("apply").arg("-o").arg(&new))?;
        same(&new, &pair.new)?;
    }
    len(&package)
}

fn within_ceilings(row: &Row) -> Result<(), String> {
    let Some(bsdiff) = row.bsdiff_len else { return Ok(()) };
    let ratio =
        |index: usize| row.lens.get(index).map_or(0.0, |lens| lens.0 as f64 / bsdiff as f64);
    let is_mcu = row.name.starts_with("mcu");
    if is_mcu && ratio(0) > SMALL_MAX_ON_MCU {
        return Err(format!("{}: `small` is {:.3} of bsdiff", row.name, ratio(0)));
    }
    if ratio(1) > FAST_MAX {
        return Err(format!("{}: `fast` is {:.3} of bsdiff", row.name, ratio(1)));
    }
    Ok(())
}

/// Sizes in bytes; ratios are delta to bsdiff's file, the package comes with two approvals.
fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<26} {:>9} {:>9} {:>9} {:>6} {:>9} {:>6} {:>9} {:>9} {:>9}\n",
        "pair", "old", "new", "small", "ratio", "fast", "ratio", "bsdiff", "pkg small", "pkg fast"
    );
    for row in rows {
        let lens = |index: usize| row.lens.get(index).copied().unwrap_or_default();
        let ratio = |len: u64| match row.bsdiff_len {
            Some(bsdiff) => format!("{:.3}", len as f64 / bsdiff as f64),
            None => "-".to_owned(),
        };
        let ((small, package_small), (fast, package_fast)) = (lens(0), lens(1));
        let bsdiff = row.bsdiff_len.map_or("-".to_owned(), |len| len.to_string());
        text.push_str(&format!(
            "{:<26} {:>9} {:>9} {small:>9} {:>6} {fast:>9} {:>6} {bsdiff:>9} {:>9} {:>9}\n",
            row.name,
            row.old_len,
            row.new_len,
            ratio(small),
            ratio(fast),
            package_small,
            package_fast,
        ));
    }
    text
}

fn same(a: &Path, b: &Path) -> Result<(), String> {
    if read(a)? == read(b)? { Ok(()) } else { Err(format!("{a:?} and {b:?} differ")) }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn len(path: &Path) -> Result<u64, String> {
    let meta = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(meta.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, small: u64, fast: u64) -> Row {
        let (old_len, new_len) = (100, 100);
        let lens = vec![(small, small + 50), (fast, fast + 50)];
        Row { name: name.to_owned(), old_len, new_len, lens, bsdiff_len: Some(100) }
    }

    #[test]
    fn ceilings_hold_where_promised() {
        assert!(within_ceilings(&row("mcu_a", 100, 105)).is_ok());
        assert!(within_ceilings(&row("mcu_a", 101, 105)).is_err());
        assert!(within_ceilings(&row("boot_a", 101, 105)).is_ok());
        assert!(within_ceilings(&row("boot_a", 90, 106)).is_err());
    }

    #[test]
    fn finds_the_pairs_of_testdata() {
        let names: Vec<_> =
            pairs(&root().join("testdata/firmware")).into_iter().map(|pair| pair.name).collect();
        assert_eq!(names, ["apollo", "moondancer", "trusted-firmware"]);
    }

    #[test]
    fn the_table_shows_sizes_and_ratios() {
        let text = table(&[row("mcu_a", 90, 104)]);
        for cell in ["mcu_a", "0.900", "1.040", "140", "154"] {
            assert!(text.contains(cell), "{cell} is not in {text}");
        }
    }
}
