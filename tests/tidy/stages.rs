//! The states of docs/status-codes.md are those of the code: the table is made from it here.

use fwdelta::core::verify::stages::{Event, Stage};

/// `FailedKept` as people write it.
fn words(name: &dyn std::fmt::Debug) -> String {
    let mut text = String::new();
    for c in format!("{name:?}").chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
    }
    text
}

fn table() -> String {
    let mut text = "| state | FUMO | LwM2M | what can happen, and what follows |\n".to_owned();
    text += "|---|---|---|---|\n";
    for stage in Stage::ALL {
        let next = |event: &Event| stage.after(*event).map(|to| (words(event), words(&to)));
        let next = Event::ALL.iter().filter_map(next);
        let next: Vec<_> = next.map(|(event, to)| format!("{event}: {to}")).collect();
        let (name, next) = (words(&stage), next.join("; "));
        text += &format!("| {name} | {} | {} | {next} |\n", stage.fumo(), stage.lwm2m());
    }
    text
}

#[test]
fn states_are_as_documented() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/status-codes.md");
    let document = std::fs::read_to_string(path).unwrap();
    let table = table();
    assert!(document.contains(&table), "docs/status-codes.md is to have:\n{table}");
}
