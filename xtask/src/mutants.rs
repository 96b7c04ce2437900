//! Mistakes made on purpose, in a copy below `target`: in the protocol of updates in place, where
//! the power-cut simulator must find every one, or it proves nothing; and in the verification path,
//! where the test of the hole that a check closes must fail without it.

mod verification;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::runner::{Done, Runner, StepResult};
use crate::tool::{cargo, command, root, run, target_dir};

/// One mistake: in `file`, `good` becomes `bad`.
struct Mutant {
    name: &'static str,
    file: &'static str,
    good: &'static str,
    bad: &'static str,
    /// What finds it, as arguments of `cargo test`.
    tests: &'static str,
}

const JOURNAL: &str = "crates/fwdelta-core/src/apply/journal.rs";
const BITS: &str = "crates/fwdelta-core/src/codec/bits.rs";
const REWRITING: &str = "crates/fwdelta-core/src/apply/in_place/rewriting.rs";
const MACHINE: &str = "crates/fwdelta-core/src/apply/in_place/machine.rs";
const BOOK: &str = "crates/fwdelta-core/src/apply/in_place/book.rs";

const TWO_SLOTS: &str = "crates/fwdelta-core/src/apply/two_slots.rs";
const APPLY: &str = "crates/fwdelta-core/src/apply/mod.rs";

const MUTANTS: [Mutant; 21] = [
    Mutant {
        name: "a page counts as written before it is durable",
        file: REWRITING,
        good: "        journal::sync(flash.slot)?;\n        self.journal.saved",
        bad: "        self.journal.saved",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "a page is recorded as saved before it is",
        file: REWRITING,
        good: "        journal::erase(flash.scratch, to, spare_len)?;",
        bad: "        self.journal.saved(flash.scratch, page as u32)?;\n        \
              journal::erase(flash.scratch, to, spare_len)?;",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "a record is not synced behind what it tells of",
        file: JOURNAL,
        good: "        sync(scratch)?;\n        let crc = record_crc",
        bad: "        let crc = record_crc",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "a page is erased before its record is durable",
        file: JOURNAL,
        good: "        self.record = self.record.saturating_add(1);\n        sync(scratch)",
        bad: "        self.record = self.record.saturating_add(1);\n        Ok(())",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "the CRC of records is not checked",
        file: JOURNAL,
        good: "record_crc(binding, generation, record, number) != word(&bytes, 1) {",
        bad: "number == word(&bytes, 1) {",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "a checkpoint leaves out a part of the state",
        file: BITS,
        good: "        visit.u64(&mut self.skipped)?;\n        visit.u64(&mut self.zeros)",
        bad: "        visit.u64(&mut self.skipped)",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "words that cannot be read are a failure of the driver",
        file: JOURNAL,
        good: "Err(ReadError::Uncorrectable) => Ok(false),",
        bad: "Err(ReadError::Uncorrectable) => Err(Error::at(Detail::ReadFailed, pos)),",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "a checkpoint is used before it is confirmed",
        file: JOURNAL,
        good: "if new.is_confirmed { new } else { before }",
        bad: "new",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "the older checkpoint is used",
        file: JOURNAL,
        good: "if a.generation > b.generation {",
        bad: "if a.generation < b.generation {",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "a new checkpoint forgets what was saved since the last",
        file: JOURNAL,
        good: "for page in ahead.as_slice() {",
        bad: "for page in ahead.as_slice().iter().skip(1) {",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "the area in use is erased for the next checkpoint",
        file: JOURNAL,
        good: "let pos = self.areas.area_pos(self.area ^ 1);",
        bad: "let pos = self.areas.area_pos(self.area);",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "a resume appends to records that may be torn",
        file: REWRITING,
        good: "let saved = save(journal, machine, flash);",
        bad: "let saved = if journal.generation == 0 { save(journal, machine, flash) } \
              else { Ok(()) };",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "the page at which power was cut counts as written",
        file: REWRITING,
        good: "self.stage = if !book.is_marked() || next < self.before {",
        bad: "self.stage = if !book.is_marked() || next <= self.before {",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "checkpoints need not stand before a rewritten page",
        file: REWRITING,
        good: "Some(machine.book.count).filter(|_| machine.is_announced);",
        bad: "Some(machine.book.count);",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "what earlier runs saved is not looked up",
        file: BOOK,
        good: "Some(page) => self.set_entry(spare.into(), page.wrapping_add(1), number),",
        bad: "Some(_) => self.set_entry(spare.into(), 0, number),",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "after a cut excerpts are looked for where the checkpoint before had them",
        file: REWRITING,
        good: "                machine.book.excerpts.settle();\n            }",
        bad: "            }",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "excerpts of the checkpoint before are not taken over",
        file: MACHINE,
        good: "        let mut left = self.book.excerpts.room_len();\n",
        bad: "        let mut left = self.book.excerpts.room_len();\n        \
              let from = from.wrapping_add(u64::from(self.read > 0));\n",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "pages of the slot are taken to be of one length",
        file: BOOK,
        good: "        self.pages.place(self.page)\n",
        bad: "        let len = self.pages.largest();\n        \
              Span { pos: self.page * len, end: (self.page + 1) * len }\n",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "two slots: what is written is not durable before the checkpoint behind it",
        file: TWO_SLOTS,
        good: "        journal::sync(new)?;\n        self.journal.save",
        bad: "        self.journal.save",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "two slots: a checkpoint stands in the middle of a sector",
        file: TWO_SLOTS,
        good: "sector.start == stop { stop } else { sector.end() }",
        bad: "sector.start == stop { stop } else { stop }",
        tests: POWER_TESTS,
    },
    Mutant {
        name: "two slots: payload that has arrived is not saved",
        file: APPLY,
        good: "            self.input.state(visit)?;\n",
        bad: "",
        tests: POWER_TESTS,
    },
];

/// The power-cut simulator.
const POWER_TESTS: &str = "--test in_place_power --test two_slots_power";

/// Makes each mistake in turn and runs the tests that have to find it: only mistakes in the
/// verification path for `verification`, only those in the protocols of updates for `power`, only
/// those whose name has `only` in it for anything else.
pub(crate) fn all(runner: &mut Runner, only: Option<&str>) {
    let only = only.unwrap_or("");
    let power = MUTANTS.iter().filter(|mutant| only == "power" || mutant.name.contains(only));
    let is_chosen = |mutant: &&Mutant| only == "verification" || mutant.name.contains(only);
    let chosen: Vec<_> = power.chain(verification::MUTANTS.iter().filter(is_chosen)).collect();
    let copy = target_dir().join("mutants/work");
    let mut is_ready = false;
    runner.step("a copy that passes", || {
        copy_tree(&copy)?;
        let suites: BTreeSet<_> = chosen.iter().map(|mutant| mutant.tests).collect();
        for tests in suites {
            if !passes(&copy, tests)? {
                return Err(format!("{tests} fails without a mistake"));
            }
        }
        is_ready = true;
        Ok(Done::Passed)
    });
    for mutant in chosen.into_iter().filter(|_| is_ready) {
        runner.step(&format!("mutant: {}", mutant.name), || try_one(&copy, mutant));
    }
}

fn try_one(copy: &Path, mutant: &Mutant) -> StepResult {
    let path = copy.join(mutant.file);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutant.file))?;
    if text.matches(mutant.good).count() != 1 {
        return Err(format!("{} has changed: {:?} is not there once", mutant.file, mutant.good));
    }
    let write = |text: &str| fs::write(&path, text).map_err(|error| error.to_string());
    write(&text.replace(mutant.good, mutant.bad))?;
    let survives = passes(copy, mutant.tests);
    write(&text)?;
    if survives? { Err("it survives".to_owned()) } else { Ok(Done::Passed) }
}

/// Copies what git knows of; files that did not change keep their time, so that little is compiled.
fn copy_tree(to: &Path) -> Result<(), String> {
    let listed = command("git").args(["ls-files", "-z"]).output();
    let listed = listed.map_err(|error| format!("git: {error}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty())
    {
        let (from, to) = (root().join(name), to.join(name));
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let dir = to.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).and_then(|()| fs::write(&to, bytes)).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Whether the tests pass; an error if they do not compile, or if there are none of that name. The
/// copy must not share a target folder with the original, whose packages have the same names:
/// either would run the other's. What simulates needs the optimiser, all else compiles without it.
fn passes(copy: &Path, tests: &str) -> Result<bool, String> {
    let target = target_dir().join("mutants/target");
    let (profile, slow) = match tests {
        POWER_TESTS => ("release", &["fwdelta"][..]),
        _ => ("dev", &["fwdelta", "fwdelta-core"][..]),
    };
    let quick = slow.iter().flat_map(|package| {
        ["opt-level=0", "debug=false"].map(|it| format!("profile.{profile}.package.{package}.{it}"))
    });
    let quick: Vec<_> = quick.collect();
    let test = |more: &str| {
        let mut command = cargo(&format!("test --profile {profile} {tests} {more}"));
        command.current_dir(copy).env("CARGO_TARGET_DIR", &target);
        for setting in &quick {
            command.args(["--config", setting]);
        }
        command.env_remove("FWDELTA_EXHAUSTIVE");
        command
    };
    run(&mut test("--no-run"))?;
    let output = test("").stderr(Stdio::null()).output().map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && !told.contains("... ok") {
        return Err(format!("{tests}: there is no such test"));
    }
    Ok(output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_can_be_made() {
        for mutant in MUTANTS.iter().chain(verification::MUTANTS) {
            let text = fs::read_to_string(root().join(mutant.file)).unwrap();
            assert_eq!(text.matches(mutant.good).count(), 1, "{}", mutant.name);
            assert_ne!(mutant.good, mutant.bad);
        }
    }

    /// Whether some mistake has to be found by the test that a document names as `FILE.rs::TEST`.
    fn has_mutant(named: &str) -> bool {
        let (file, test) = named.split_once(".rs::").unwrap();
        verification::MUTANTS.iter().any(|mutant| {
            let tests = mutant.tests.strip_prefix("--test ").unwrap();
            let (its_file, its_test) = tests.split_once(' ').unwrap_or((tests, ""));
            its_file == file && test.starts_with(its_test)
        })
    }

    #[test]
    fn every_hole_of_the_threat_model_has_a_mistake_that_its_test_finds() {
        let document = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
        let section = document.split("\n## 6. ").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert!(rows.len() > 10, "{}", rows.len());
        for row in rows {
            let shown = row.trim_end_matches('|').rsplit('|').next().unwrap();
            let mut tests = shown.split('`').filter_map(|part| part.strip_prefix("tests/"));
            assert!(tests.any(has_mutant), "no mistake is found by a test of {row}");
        }
        assert!(!has_mutant("vulnerabilities.rs::no_such_test"));
    }
}
