//! What updating in place costs: sizes over those of deltas for two slots, by number of spare
//! pages, beside detools.

use std::fs;
use std::path::{Path, PathBuf};

use crate::python;
use crate::runner::{Done, Runner};
use crate::tool::{cargo, command, root, run, target_dir};

/// Bytes of a page.
const PAGE_LEN: u64 = 4096;
/// Numbers of spare pages.
const SPARE: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
/// Numbers of spare pages for which there is a promise, and the most it may cost, in percent.
const CEILINGS: [(u64, f64); 2] = [(5, 5.0), (1, 12.0)];

struct Row {
    name: String,
    sequential_len: u64,
    /// In the order of [`SPARE`].
    lens: Vec<u64>,
    /// Sequential, then in place with 1 and with 5 spare pages.
    detools: Option<[u64; 3]>,
}

/// Every folder of `dir` with a name that starts with `mcu` and files `old` and `new` is a pair;
/// all of them, if there is none like that.
pub(crate) fn all(runner: &mut Runner, dir: &Path) {
    let program = target_dir().join("release/fwdelta");
    runner.step("build the command", || {
        run(&mut cargo("build --release --bin fwdelta")).map(|()| Done::Passed)
    });
    let python = python::with_modules(&["detools"]);
    if let Err(message) = &python {
        runner.skip("detools", message);
    }
    let (dir, mut rows) = (root().join(dir), Vec::new());
    for name in names(&dir) {
        runner.step(&name, || {
            let row = measure(&program, python.as_deref().ok(), &dir.join(&name), name.clone())?;
            println!("{}", table(std::slice::from_ref(&row)));
            rows.push(row);
            Ok(Done::Passed)
        });
    }
    runner.step("sizes in place", || {
        println!("{}", table(&rows));
        verdict(&rows)
    });
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let all = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut all: Vec<String> = all.filter(|name| images(&dir.join(name)).is_some()).collect();
    all.sort();
    let is_mcu = |name: &String| name.starts_with("mcu");
    if all.iter().any(is_mcu) { all.into_iter().filter(is_mcu).collect() } else { all }
}

fn images(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let file = |name: &str| {
        let both = [dir.join(name), dir.join(format!("{name}.bin"))];
        both.into_iter().find(|path| path.is_file())
    };
    Some((file("old")?, file("new")?))
}

fn measure(program: &Path, python: Option<&Path>, dir: &Path, name: String) -> Result<Row, String> {
    let (old, new) = images(dir).ok_or("no images")?;
    let out = target_dir().join("in-place.fwd");
    let diff = |options: &str| {
        let mut diff = command(program);
        diff.arg("diff").args([&old, &new, &out]).args(options.split_whitespace());
        len_of(&mut diff, &out)
    };
    let sequential_len = diff("--profile small")?;
    let lens = SPARE.iter().map(|spare| {
        diff(&format!("--profile small --in-place --page {PAGE_LEN} --spare {spare}"))
    });
    let lens = lens.collect::<Result<_, _>>()?;
    let detools = python.map(|python| detools(python, &old, &new, &out)).transpose()?;
    Ok(Row { name, sequential_len, lens, detools })
}

/// Runs quietly; the length of the file that it made.
fn len_of(command: &mut std::process::Command, out: &Path) -> Result<u64, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    fs::metadata(out).map(|metadata| metadata.len()).map_err(|error| error.to_string())
}

fn detools(python: &Path, old: &Path, new: &Path, out: &Path) -> Result<[u64; 3], String> {
    let image_len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let longest = image_len(old).max(image_len(new)).next_multiple_of(PAGE_LEN);
    let make = |options: &[String]| {
        let mut make = command(python);
        make.args(["-m", "detools"]).args(options).args([old, new, out]);
        len_of(&mut make, out)
    };
    let in_place = |spare: u64| {
        make(&[
            "create_patch_in_place".to_owned(),
            format!("--memory-size={}", longest + spare * PAGE_LEN),
            format!("--segment-size={PAGE_LEN}"),
            format!("--minimum-shift-size={}", spare * PAGE_LEN),
        ])
    };
    Ok([make(&["create_patch".to_owned()])?, in_place(1)?, in_place(5)?])
}

fn percent(len: u64, of: u64) -> f64 {
    100.0 * len as f64 / of.max(1) as f64 - 100.0
}

/// Geometric mean of sizes over sequential ones, in percent.
fn mean(ratios: impl Iterator<Item = (u64, u64)>) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for (len, of) in ratios {
        sum += (len as f64 / of.max(1) as f64).ln();
        count += 1;
    }
    100.0 * (sum / f64::from(count.max(1))).exp() - 100.0
}

fn table(rows: &[Row]) -> String {
    let mut text = "| pair | sequential |".to_owned();
    SPARE.iter().for_each(|spare| text.push_str(&format!(" {spare} spare |")));
    text.push_str(" detools | in place, 1 | in place, 5 |\n|---|");
    text.push_str(&"--:|".repeat(SPARE.len() + 4));
    for row in rows {
        text.push_str(&format!("\n| {} | {} |", row.name, row.sequential_len));
        for len in &row.lens {
            text.push_str(&format!(" {:+.1} % |", percent(*len, row.sequential_len)));
        }
        match row.detools {
            Some([of, one, five]) => text.push_str(&format!(
                " {of} | {:+.1} % | {:+.1} % |",
                percent(one, of),
                percent(five, of)
            )),
            None => text.push_str(" | | |"),
        }
    }
    text.push_str("\n| geometric mean | |");
    for at in 0..SPARE.len() {
        let ratios = rows.iter().map(|row| (row.lens[at], row.sequential_len));
        text.push_str(&format!(" {:+.1} % |", mean(ratios)));
    }
    let all = || rows.iter().filter_map(|row| row.detools);
    let (one, five) = (all().map(|[of, one, _]| (one, of)), all().map(|[of, _, it]| (it, of)));
    text.push_str(&format!(" | {:+.1} % | {:+.1} % |", mean(one), mean(five)));
    text
}

fn verdict(rows: &[Row]) -> Result<Done, String> {
    for (spare, ceiling) in CEILINGS {
        let at = SPARE.iter().position(|it| *it == spare).unwrap_or(0);
        let cost = mean(rows.iter().map(|row| (row.lens[at], row.sequential_len)));
        if cost > ceiling {
            println!("{spare} spare pages cost {cost:.1} %, more than {ceiling:.0} %");
        }
    }
    if rows.is_empty() { Err("there are no pairs".to_owned()) } else { Ok(Done::Passed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_geometric() {
        assert!((mean([(2, 1), (1, 2)].into_iter())).abs() < 1e-9);
        assert!((mean([(400, 100), (100, 100)].into_iter()) - 100.0).abs() < 1e-9);
    }
}
