//! The four prompts as their user would see them: per language, on each display of the release.

use serde_json::{Value, json};

use super::report::Report;
use crate::core::format::plmn::Plmn;
use crate::release::display::{Direction, cells, direction};
use crate::release::{Display, Moment, Release};

/// The prompts of one language by the vendor, or by an operator.
pub(crate) struct Set {
    /// The operator; none for the vendor's.
    pub by: Option<Plmn>,
    /// The language.
    pub language: String,
    /// What is shown when.
    pub prompts: Vec<(Moment, String)>,
}

/// Every set on every display; on one that shows all in a line if the release names none.
pub(crate) fn report(sets: &[Set], release: &Release) -> Report {
    let named = release.displays.iter().map(|(name, display)| (name.as_str(), *display));
    let mut displays: Vec<_> = named.collect();
    if displays.is_empty() {
        displays.push(("", Display::default()));
    }
    let (mut blocks, mut json) = (Vec::new(), Vec::new());
    for set in sets {
        for (name, display) in &displays {
            blocks.push(text(set, name, display));
            json.push(set_json(set, name, display));
        }
    }
    blocks.push("not verified, see `fwdelta verify`".to_owned());
    Report::new(blocks.join("\n\n"), json!({ "preview": json, "verified": false }))
}

fn text(set: &Set, name: &str, display: &Display) -> String {
    let mut heading = set.language.clone();
    heading += &set.by.map_or(String::new(), |plmn| format!(", operator {plmn}"));
    if !name.is_empty() {
        heading += &format!(", {name}");
    }
    let mut lines = vec![heading];
    for (moment, prompt) in &set.prompts {
        lines.push(format!("  {}:", moment.name()));
        lines.extend(drawn(prompt, display).into_iter().map(|line| format!("    {line}")));
        lines.extend(display.fits(prompt).err().map(|what| format!("    TOO LONG: {what}")));
    }
    lines.join("\n")
}

/// Lines between bars where the display has columns; those that run from right to left stand at
/// its right edge. The terminal orders their letters, as the display will.
fn drawn(prompt: &str, display: &Display) -> Vec<String> {
    let lines = display.wrapped(prompt);
    let Some(columns) = display.columns.map(usize::from) else { return lines };
    let is_rtl = direction(prompt) == Direction::Rtl;
    let framed = lines.into_iter().map(|line| {
        let pad = " ".repeat(columns.saturating_sub(cells(&line)));
        if is_rtl { format!("|{pad}{line}|") } else { format!("|{line}{pad}|") }
    });
    framed.collect()
}

fn set_json(set: &Set, name: &str, display: &Display) -> Value {
    let prompts = set.prompts.iter().map(|(moment, prompt)| {
        let value = json!({
            "text": prompt,
            "direction": direction(prompt),
            "lines": display.wrapped(prompt),
            "chars": prompt.chars().count(),
            "cells": cells(prompt),
            "fits": display.fits(prompt).is_ok(),
        });
        (moment.name().to_owned(), value)
    });
    json!({
        "language": set.language,
        "operator": set.by.map(|plmn| plmn.to_string()),
        "display": if name.is_empty() { Value::Null } else { name.into() },
        "prompts": prompts.collect::<serde_json::Map<_, _>>(),
    })
}
