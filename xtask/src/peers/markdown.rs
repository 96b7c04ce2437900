//! The tables of docs/benchmarks.md, and their place in it.

use super::records::{Measurements, Outcome, PairRecord};
use super::summary::{self, Summary};

/// What is between these lines of the page is made by `cargo xtask peers`.
pub(crate) const BEGIN: &str = "<!-- peers: begin (written by cargo xtask peers) -->";
pub(crate) const END: &str = "<!-- peers: end -->";

/// Profiles whose ratio to the best rival has a column: our smallest, if it is there, and fastest.
const COMPARED: [&str; 2] = ["max", "fast"];
/// Our smallest where there is no `max`.
const SMALLEST_OTHERWISE: &str = "small";

/// How far apart old and new are, by the ending of a pair's name.
type Class = (&'static str, fn(&str) -> bool);

const CLASSES: [Class; 3] = [
    ("small and middle steps", |name| name.ends_with("_small") || name.ends_with("_mid")),
    ("large steps", |name| name.ends_with("_large")),
    ("all", |_| true),
];

/// The page with `text` between the markers; everything else stays.
pub(crate) fn splice(page: &str, text: &str) -> Result<String, String> {
    let missing = |marker: &str| format!("the page has no line `{marker}`");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

pub(crate) fn tables(found: &Measurements) -> String {
    let summaries = summary::all(found);
    let machine = &found.machine;
    let machine = format!(
        "{}, {} processors; a run was given up after {} s.",
        machine.cpu, machine.cores, found.timeout_s
    );
    let parts = [
        machine,
        sizes(found, &summaries),
        plot("sizes", "Size per pair, relative to the best rival"),
        speeds(found, &summaries),
        [
            plot("generation", "Size against generation time"),
            plot("apply", "Size against apply speed"),
        ]
        .join("\n"),
        failures(found),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn plot(name: &str, title: &str) -> String {
    format!("![{title}](plots/{name}.svg)")
}

/// Our profiles that are set against the best rival.
pub(crate) fn compared(found: &Measurements) -> Vec<&'static str> {
    let has = |name: &str| found.is_ours(name);
    let smallest = if has(COMPARED[0]) { COMPARED[0] } else { SMALLEST_OTHERWISE };
    [smallest, COMPARED[1]].into_iter().filter(|name| has(name)).collect()
}

fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// The first column is text, all others are numbers.
fn head(cells: &[String]) -> String {
    let rules: Vec<String> = std::iter::once("---".to_owned())
        .chain(cells.iter().skip(1).map(|_| "---:".to_owned()))
        .collect();
    format!("{}\n| {} |", row(cells), rules.join(" | "))
}

fn ratio(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

fn sizes(found: &Measurements, summaries: &[Summary]) -> String {
    let ours: Vec<&str> =
        summaries.iter().filter(|one| one.is_ours).map(|one| one.tool.as_str()).collect();
    let compared = compared(found);
    let mut cells = ["pair", "new", "bsdiff", "best rival", "its bytes"].map(String::from).to_vec();
    cells.extend(ours.iter().map(|name| format!("`{name}`")));
    cells.extend(compared.iter().map(|name| format!("`{name}` / best")));
    let mut lines = vec![head(&cells)];
    lines.extend(found.pairs.iter().map(|pair| size_row(pair, &ours, &compared)));
    for (name, wanted) in CLASSES {
        let pairs = found.pairs.iter().filter(|pair| wanted(&pair.name));
        let compared_count = pairs.filter(|pair| pair.best_rival().is_some()).count();
        if compared_count == 0 {
            continue;
        }
        let mut cells = vec![format!("**geometric mean, {name} ({compared_count})**")];
        cells.extend(std::iter::repeat_n(String::new(), 4 + ours.len()));
        let means = compared.iter().map(|tool| found.mean_ratio(tool, wanted));
        cells.extend(means.map(|mean| format!("**{}**", ratio(mean))));
        lines.push(row(&cells));
    }
    lines.join("\n")
}

fn size_row(pair: &PairRecord, ours: &[&str], compared: &[&str]) -> String {
    let bytes = |tool: &str| pair.bytes_of(tool).map_or("-".to_owned(), grouped);
    let mut cells = vec![pair.name.clone(), grouped(pair.new_len), bytes("bsdiff")];
    match pair.best_rival() {
        Some((name, best)) => cells.extend([name.to_owned(), grouped(best)]),
        None => cells.extend(["-".to_owned(), "-".to_owned()]),
    }
    cells.extend(ours.iter().map(|tool| bytes(tool)));
    cells.extend(compared.iter().map(|tool| ratio(pair.ratio(tool))));
    row(&cells)
}

/// Thousands apart, as in the page's other tables.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn speeds(found: &Measurements, summaries: &[Summary]) -> String {
    let cells = [
        "tool",
        "version",
        "exact on",
        "size / best rival",
        "generation MB/s",
        "by CPU time",
        "memory / (old + new)",
        "apply MB/s",
        "largest apply memory, MB",
    ];
    let over = if summary::has_large(found) {
        "Medians over the pairs with a new image of at least 1 MB; sizes are geometric means over \
         all pairs\non which the tool was exact."
    } else {
        "Medians over all pairs, for none has a new image of 1 MB: the start of the process is \
         most\nof these times."
    };
    let mut lines = vec![over.to_owned(), String::new(), head(&cells.map(String::from))];
    lines.extend(summaries.iter().map(speed_row));
    lines.join("\n")
}

fn speed_row(summary: &Summary) -> String {
    let name = &summary.tool;
    let mut cells = vec![
        if summary.is_ours { format!("**`{name}`**") } else { name.clone() },
        summary.version.clone(),
        format!("{} of {}", summary.exact_count, summary.run_count),
        ratio(summary.ratio),
    ];
    match &summary.speed {
        Some(speed) => cells.extend([
            rate(speed.make_mb_s),
            rate(speed.make_cpu_mb_s),
            format!("{:.1}", speed.make_memory),
            rate(speed.apply_mb_s),
            format!("{:.0}", speed.apply_rss_max as f64 / 1e6),
        ]),
        None => cells.extend(std::iter::repeat_n("-".to_owned(), 5)),
    }
    row(&cells)
}

/// Two digits are as good as these measurements are.
fn rate(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn failures(found: &Measurements) -> String {
    let mut lines = Vec::new();
    for pair in &found.pairs {
        for run in &pair.runs {
            if let Outcome::Failed(message) = &run.outcome {
                lines.push(format!("- {}, {}: {message}", run.tool, pair.name));
            }
        }
    }
    if !lines.is_empty() {
        lines.insert(0, "Without a result, or with a wrong one:\n".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::records::tests::sample;
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("# Page\n{BEGIN}\nold\n{END}\nrest\n");
        let once = splice(&page, "new\n").unwrap();
        assert_eq!(once, format!("# Page\n{BEGIN}\n\nnew\n\n{END}\nrest\n"));
        assert_eq!(splice(&once, "new\n").unwrap(), once);
        assert!(splice("no markers", "x").is_err());
        assert!(splice(&format!("{END}\n{BEGIN}"), "x").is_err());
    }

    #[test]
    fn the_tables_hold_sizes_means_and_failures() {
        let text = tables(&sample());
        let rows = [
            "| mcu_one_small | 2,000,000 | 2,000 | b | 1,000 | 500 | 800 | 0.500 | 0.800 |",
            "| exe_two_large | 2,000 | 1,000 | bsdiff | 1,000 | 2,000 | 1,500 | 2.000 | 1.500 |",
            "| **geometric mean, all (2)** |  |  |  |  |  |  | **1.000** | **1.095** |",
            "- b, exe_two_large: no result after 1 s",
        ];
        for row in rows {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
    }

    #[test]
    fn thousands_are_apart() {
        let cases = [(7, "7"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}
