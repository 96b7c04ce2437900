//! Updates on emulated microcontrollers, with the power cut in the middle.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::firmware::{self, Board, M0, M4};
use super::install;
use super::packages::{Kind, Maker, Update};
use super::record::Table;
use crate::measure;
use crate::runner::{Done, Runner, StepResult};
use crate::tool::command;

/// How many cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Three places, before, in the middle of and after an operation.
    Short,
    /// Forty places, in the same ways.
    Full,
}

impl Extent {
    const fn places(self) -> u64 {
        match self {
            Self::Short => 3,
            Self::Full => 40,
        }
    }
}

/// Updates that fit a board: program, pair of images, profile.
const UPDATES: [(Board, Language, &str, &str); 12] = [
    (M0, Language::Rust, "apollo", "tiny"),
    (M0, Language::Rust, "apollo", "plain"),
    (M4, Language::Rust, "apollo", "tiny"),
    (M4, Language::Rust, "apollo", "plain"),
    (M4, Language::Rust, "apollo", "small"),
    (M4, Language::Rust, "moondancer", "tiny"),
    (M4, Language::Rust, "moondancer", "small"),
    (M0, Language::C, "apollo", "plain"),
    (M4, Language::C, "apollo", "small"),
    (M4, Language::C, "moondancer", "tiny"),
    (M4, Language::CSlots, "apollo", "small"),
    (M4, Language::CSlots, "moondancer", "tiny"),
];

/// What the firmware is written in, and where it updates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    /// In place.
    Rust,
    /// In place.
    C,
    /// To a slot of its own.
    CSlots,
}

/// What a program says may take this long; it takes less than a second.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Ways of cutting: before, in the middle of and after an operation.
const MODES: u64 = 3;

/// What a program printed: names and numbers.
type Figures = BTreeMap<String, u64>;

/// On every board: each update without a cut, then with one.
pub(super) fn all(runner: &mut Runner, extent: Extent) {
    let mut maker = None;
    runner.step("packages for the boards", || {
        maker = Some(Maker::new()?);
        Ok(Done::Passed)
    });
    let Some(maker) = maker else { return };
    let emulator = install::program("qemu-system-arm", "qemu-system-arm");
    for board in [M0, M4] {
        for language in [Language::Rust, Language::C, Language::CSlots] {
            if updates(&board, language).next().is_none() {
                continue;
            }
            let program = built(runner, &board, language, &emulator);
            let fits = UPDATES
                .iter()
                .filter(|(other, of, ..)| other.machine == board.machine && *of == language);
            for (_, _, pair, profile) in fits {
                let page_len = (language != Language::CSlots).then_some(board.page_len);
                let kind = Kind { pair, profile, page_len };
                let name = format!("{}, {language:?}: {}", board.name, kind.name());
                match (&emulator, &program) {
                    (Ok(emulator), Ok(program)) => runner.step(&name, || {
                        let update = &maker.make(&kind)?;
                        let run = Run { emulator, program, machine: board.machine, update };
                        run.with_cuts(extent)
                    }),
                    (Err(reason), _) | (_, Err(reason)) => runner.skip(&name, reason),
                }
            }
        }
    }
}

/// What updates in place need, each without a cut and with one in the middle; nothing if not all
/// of them ran.
pub(super) fn memory(runner: &mut Runner) -> Option<Table> {
    let mut maker = None;
    runner.step("packages for the boards", || {
        maker = Some(Maker::new()?);
        Ok(Done::Passed)
    });
    let (maker, emulator) = (maker?, install::program("qemu-system-arm", "qemu-system-arm"));
    let columns = ["RAM, bytes", "workspace", "context", "stack, context included", "verifying"];
    let mut table = Table::new(&columns);
    for board in [M0, M4] {
        let program = built(runner, &board, Language::Rust, &emulator).ok()?;
        let emulator = emulator.as_deref().ok()?;
        for (_, _, pair, profile) in updates(&board, Language::Rust) {
            let kind = Kind { pair, profile, page_len: Some(board.page_len) };
            let name = format!("{}, profile `{profile}`, {pair}", board.name);
            runner.step(&name, || {
                let update = &maker.make(&kind)?;
                let run = Run { emulator, program: &program, machine: board.machine, update };
                let uncut = run.start(0, 0)?;
                let resumed = run.start(uncut.get("operations").copied().unwrap_or(0) / 2, 1)?;
                let figure = |name: &str| {
                    let of = |figures: &Figures| figures.get(name).copied().unwrap_or(0);
                    of(&uncut).max(of(&resumed))
                };
                let row = ["workspace", "context", "stack", "signature_stack"].map(figure);
                table.rows.push((name.clone(), row.to_vec()));
                Ok(Done::Passed)
            });
        }
    }
    let wanted = UPDATES.iter().filter(|(_, language, ..)| *language == Language::Rust).count();
    (table.rows.len() == wanted).then_some(table)
}

fn updates(
    board: &Board,
    language: Language,
) -> impl Iterator<Item = &'static (Board, Language, &'static str, &'static str)> {
    let machine = board.machine;
    UPDATES.iter().filter(move |(board, of, ..)| board.machine == machine && *of == language)
}

/// Builds the firmware as a step; gives its path.
fn built(
    runner: &mut Runner,
    board: &Board,
    language: Language,
    emulator: &Result<PathBuf, String>,
) -> Result<PathBuf, String> {
    let name = format!("firmware in {language:?} for {}", board.target);
    let mut program = Err(format!("{name} was not built"));
    if let Err(reason) = emulator {
        runner.skip(&name, reason);
        return program;
    }
    let needed = install::target(board.target).and_then(|()| match language {
        Language::Rust => Ok(()),
        _ => install::program("arm-none-eabi-gcc", "gcc-arm-none-eabi").map(drop),
    });
    if let Err(reason) = needed {
        runner.skip(&name, &reason);
        return program;
    }
    runner.step(&name, || {
        let path = match language {
            Language::Rust => firmware::in_rust(board)?,
            Language::C => firmware::in_c(board, "in_place")?,
            Language::CSlots => firmware::in_c(board, "slots")?,
        };
        program = Ok(path);
        Ok(Done::Passed)
    });
    program
}

/// A program on a board, with an update.
struct Run<'a> {
    emulator: &'a Path,
    program: &'a Path,
    machine: &'a str,
    update: &'a Update,
}

impl Run<'_> {
    fn with_cuts(&self, extent: Extent) -> StepResult {
        let uncut = self.start(0, 0)?;
        println!("{}", describe(&uncut));
        let operations = *uncut.get("operations").ok_or("no number of operations")?;
        let (mut cuts, mut worst) = (0, 0);
        for place in 0..extent.places().min(operations) {
            let at = 1 + place * operations / extent.places().min(operations);
            for mode in 0..MODES {
                let figures = self.start(at, mode).map_err(|error| {
                    format!("power cut at operation {at} of {operations}, mode {mode}: {error}")
                })?;
                worst = worst.max(figures.get("ram").copied().unwrap_or(0));
                cuts += 1;
            }
        }
        println!("{cuts} power cuts, none lost; {worst} bytes of RAM at most");
        Ok(Done::Passed)
    }

    /// Starts the board with the power cut at operation `at`, compares the image it ends with.
    fn start(&self, at: u64, mode: u64) -> Result<Figures, String> {
        let Update { dir, new } = self.update;
        let (out, log) = (dir.join("new.out"), dir.join("log"));
        let _ = fs::remove_file(&out);
        let mut emulator = command(self.emulator);
        emulator.current_dir(dir).args(["-M", self.machine, "-nographic"]);
        emulator.args(["-monitor", "none", "-serial", "none", "-semihosting-config"]);
        emulator.arg(format!("enable=on,target=native,arg=apply,arg={at},arg={mode}"));
        emulator.arg("-kernel").arg(self.program);
        measure::run(&mut emulator, TIMEOUT, &log)?;
        let read =
            |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        if !read(&out)?.starts_with(&read(new)?) {
            return Err("the slot does not hold the new image".to_owned());
        }
        let figures = figures(&String::from_utf8_lossy(&read(&log)?));
        let was_cut = figures.get("starts") == Some(&2);
        if was_cut == (at > 0) { Ok(figures) } else { Err("the power was not cut".to_owned()) }
    }
}

/// Lines of a name and a number; the last one of a name counts.
fn figures(text: &str) -> Figures {
    let pair = |line: &str| {
        let (name, number) = line.rsplit_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

fn describe(figures: &Figures) -> String {
    let figure = |name: &str| figures.get(name).copied().unwrap_or(0);
    format!(
        "verifying: stack {} bytes; applying: workspace {} bytes, context {}, stack with context \
         {}; RAM at most {} of {}; {} operations",
        figure("signature_stack"),
        figure("workspace"),
        figure("context"),
        figure("stack"),
        figure("ram"),
        figure("ram_len"),
        figure("operations"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_a_board_prints() {
        let found = figures("stack 7\nerror fault\nstack 9\nram 12\n");
        assert_eq!(found.get("stack"), Some(&9), "the last start counts");
        assert_eq!(found.len(), 2);
        assert!(describe(&found).contains("RAM at most 12 of 0"));
    }
}
