//! Figures as docs/device-guide.md has them, between two comments, and what was measured now.

use std::collections::BTreeMap;
use std::fs;

use crate::tool::root;

const GUIDE: &str = "docs/device-guide.md";

/// What figures may grow before they must be recorded anew: the larger of both.
const PERCENT_MAX: u64 = 3;
const BYTES_MAX: u64 = 256;

/// A table with names in its first column and numbers of bytes in the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<(String, Vec<u64>)>,
}

impl Table {
    pub(super) fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// As Markdown.
    pub(super) fn text(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.columns.clone());
        let rule = self.columns.iter().enumerate();
        text += &line(rule.map(|(at, _)| if at == 0 { "---" } else { "--:" }.to_owned()).collect());
        for (name, numbers) in &self.rows {
            let numbers = numbers.iter().map(|number| grouped(*number));
            text += &line(std::iter::once(name.clone()).chain(numbers).collect());
        }
        text
    }

    /// What [`Table::text`] made.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| line.starts_with('|'));
        let cells = |line: &str| -> Vec<String> {
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let columns = cells(lines.next()?);
        let rows = lines.skip(1).map(|line| {
            let cells = cells(line);
            let (name, numbers) = cells.split_first()?;
            let numbers = numbers.iter().map(|cell| cell.replace(',', "").parse().ok());
            Some((name.clone(), numbers.collect::<Option<_>>()?))
        });
        Some(Self { columns, rows: rows.collect::<Option<_>>()? })
    }

    /// What grew beyond what is allowed, or is new.
    fn grown_from(&self, before: &Self) -> Vec<String> {
        let known: BTreeMap<_, _> = before.rows.iter().map(|(name, row)| (name, row)).collect();
        let mut grown = Vec::new();
        if self.columns != before.columns {
            grown.push("the columns are others".to_owned());
        }
        for (name, row) in &self.rows {
            let Some(old) = known.get(name) else {
                grown.push(format!("{name} is not recorded"));
                continue;
            };
            for ((new, old), column) in row.iter().zip(*old).zip(self.columns.iter().skip(1)) {
                if *new > old + (old * PERCENT_MAX / 100).max(BYTES_MAX) {
                    grown.push(format!("{name}, {column}: {new} bytes instead of {old}"));
                }
            }
        }
        grown
    }
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The part of the guide between the comments of `name`: what stands before, in, and behind it.
fn cut<'g>(guide: &'g str, name: &str) -> Option<(&'g str, &'g str, &'g str)> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let start = guide.find(&open)? + open.len();
    let end = start + guide[start..].find(&close)?;
    Some((&guide[..start], &guide[start..end], &guide[end..]))
}

/// The compiler that figures were made with: a line of the recorded part.
fn compiler_line(compiler: &str) -> String {
    format!("Measured with {compiler}.\n\n")
}

/// Compares `table` with the recorded one of `name`; `Ok` with a sentence if that is not possible.
pub(super) fn compare(name: &str, table: &Table, compiler: &str) -> Result<Option<String>, String> {
    let guide = read()?;
    let (_, part, _) = cut(&guide, name).ok_or(format!("{GUIDE} has no part {name}"))?;
    if !part.starts_with(&compiler_line(compiler)) {
        return Ok(Some(format!("{GUIDE} has figures of another compiler than {compiler}")));
    }
    let before = Table::parse(part).ok_or(format!("{GUIDE}: {name} is not a table"))?;
    let grown = table.grown_from(&before);
    if grown.is_empty() {
        return Ok(None);
    }
    Err(format!("{}; if that is meant: cargo xtask size --write", grown.join("; ")))
}

/// Records `table`.
pub(super) fn write(name: &str, table: &Table, compiler: &str) -> Result<(), String> {
    let guide = read()?;
    let (before, _, behind) = cut(&guide, name).ok_or(format!("{GUIDE} has no part {name}"))?;
    let text = format!("{before}{}{}{behind}", compiler_line(compiler), table.text());
    fs::write(root().join(GUIDE), text).map_err(|error| format!("{GUIDE}: {error}"))
}

fn read() -> Result<String, String> {
    fs::read_to_string(root().join(GUIDE)).map_err(|error| format!("{GUIDE}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, u64)]) -> Table {
        let mut table = Table::new(&["what", "M0"]);
        table.rows = rows.iter().map(|(name, len)| ((*name).to_owned(), vec![*len])).collect();
        table
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let table = table(&[("in place", 1_234_567), ("nothing", 12)]);
        assert!(table.text().contains("| 1,234,567 |"));
        assert_eq!(Table::parse(&table.text()), Some(table));
    }

    #[test]
    fn growth_beyond_the_tolerance_is_found() {
        let before = table(&[("small", 1000), ("large", 100_000)]);
        assert!(table(&[("small", 1256), ("large", 103_000)]).grown_from(&before).is_empty());
        assert!(table(&[("small", 10), ("large", 10)]).grown_from(&before).is_empty());
        assert_eq!(table(&[("small", 1257)]).grown_from(&before).len(), 1);
        assert_eq!(table(&[("large", 103_001)]).grown_from(&before).len(), 1);
        assert_eq!(table(&[("other", 1)]).grown_from(&before).len(), 1);
    }

    #[test]
    fn the_guide_has_both_parts() {
        for name in ["sizes", "memory"] {
            let guide = read().unwrap();
            let (_, part, _) = cut(&guide, name).unwrap();
            assert!(Table::parse(part).is_some_and(|table| !table.rows.is_empty()), "{name}");
        }
    }
}
