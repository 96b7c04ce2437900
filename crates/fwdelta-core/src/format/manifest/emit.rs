//! Emits the recipe that the parser beside it accepts.

use super::{
    Blob, Component, DELTA, DemandFacts, HARDWARE, HEADER, INSTALLED, KEY_TEXT, NEW, OLD, PROMPTS,
    PROMPTS_URI, REPORT_CONDITION, REPORT_DIRECTIVE, Result, Sink, Summary, Writer, command,
    emit_digest, parameter,
};

/// An entry of the list of component identifiers.
struct Entry<'a> {
    name: &'a str,
    role: &'static [u8],
    blob: Blob,
}

/// The entries of all components, in the order of the list.
fn entries<'a>(
    summary: &'a Summary<'_>,
    components: &'a [Component<'_>],
) -> impl Iterator<Item = Entry<'a>> {
    let named = components.iter().flat_map(|c| {
        let old = c.old.map(|blob| (OLD, blob));
        let rest = [(HEADER, c.header), (DELTA, c.delta), (NEW, c.new)];
        old.into_iter().chain(rest).map(|(role, blob)| Entry { name: c.name, role, blob })
    });
    named.chain(summary.prompts.map(|blob| Entry { name: "", role: PROMPTS, blob }))
}

/// Position in the list of the delta header of component number `index`.
fn header_entry(components: &[Component<'_>], index: usize) -> u64 {
    let before: usize =
        components.iter().take(index).map(|c| 3 + usize::from(c.old.is_some())).sum();
    let own = components.get(index).is_some_and(|c| c.old.is_some());
    before as u64 + u64::from(own)
}

/// Emits a manifest of `summary`, `components` and `demands`.
///
/// # Errors
/// When the sink is full.
pub fn emit<S: Sink>(
    writer: &mut Writer<S>,
    summary: &Summary<'_>,
    components: &[Component<'_>],
    demands: &DemandFacts<'_>,
) -> Result<()> {
    let optional = u64::from(summary.reference_uri.is_some()) + u64::from(summary.text.is_some());
    writer.map(5 + optional)?;
    uints(writer, &[1, 1, 2, summary.sequence, 3])?;
    writer.nested(&|w| common(w, summary, components, demands))?;
    if let Some(uri) = summary.reference_uri {
        writer.uint(4)?;
        writer.text(uri)?;
    }
    writer.uint(7)?;
    writer.nested(&|w| validate(w, components))?;
    writer.uint(20)?;
    writer.nested(&|w| install(w, summary, components, demands))?;
    if let Some(digest) = &summary.text {
        writer.int(KEY_TEXT)?;
        emit_digest(writer, digest)?;
    }
    Ok(())
}

pub(super) fn uints<S: Sink>(writer: &mut Writer<S>, values: &[u64]) -> Result<()> {
    values.iter().try_for_each(|value| writer.uint(*value))
}

fn common<S: Sink>(
    writer: &mut Writer<S>,
    summary: &Summary<'_>,
    components: &[Component<'_>],
    demands: &DemandFacts<'_>,
) -> Result<()> {
    writer.map(2)?;
    writer.uint(2)?;
    let count = entries(summary, components).count() as u64;
    writer.array(count.saturating_add(demands.entry_count()))?;
    for entry in entries(summary, components) {
        if entry.name.is_empty() {
            writer.array(1)?;
        } else {
            writer.array(2)?;
            writer.bytes(entry.name.as_bytes())?;
        }
        writer.bytes(entry.role)?;
    }
    if !demands.hardware.is_empty() {
        writer.array(1)?;
        writer.bytes(HARDWARE)?;
    }
    for dependency in demands.dependencies {
        writer.array(2)?;
        writer.bytes(dependency.name.as_bytes())?;
        writer.bytes(INSTALLED)?;
    }
    writer.uint(4)?;
    writer.nested(&|w| shared(w, summary, components))
}

fn shared<S: Sink>(
    writer: &mut Writer<S>,
    summary: &Summary<'_>,
    components: &[Component<'_>],
) -> Result<()> {
    writer.array(6 + 4 * entries(summary, components).count() as u64)?;
    writer.uint(command::OVERRIDE)?;
    writer.map(2)?;
    writer.uint(parameter::VENDOR)?;
    writer.bytes(&summary.vendor_id)?;
    writer.uint(parameter::CLASS)?;
    writer.bytes(&summary.class_id)?;
    uints(writer, &[command::VENDOR, REPORT_CONDITION, command::CLASS, REPORT_CONDITION])?;
    for (index, entry) in entries(summary, components).enumerate() {
        uints(writer, &[command::SET_INDEX, index as u64, command::OVERRIDE])?;
        writer.map(2)?;
        writer.uint(parameter::DIGEST)?;
        writer.nested(&|w| emit_digest(w, &entry.blob.digest))?;
        uints(writer, &[parameter::SIZE, entry.blob.len])?;
    }
    Ok(())
}

fn fetch<S: Sink>(writer: &mut Writer<S>, entry: u64, uri: &[&str]) -> Result<()> {
    uints(writer, &[command::SET_INDEX, entry, command::OVERRIDE])?;
    writer.map(1)?;
    writer.uint(parameter::URI)?;
    writer.text_parts(uri)?;
    let rest = [command::FETCH, REPORT_DIRECTIVE, command::IMAGE_MATCH, REPORT_CONDITION];
    uints(writer, &rest)
}

/// One digit as text; components are at most eight.
fn digit(index: usize) -> &'static str {
    "01234567".get(index..=index).unwrap_or("")
}

fn install<S: Sink>(
    writer: &mut Writer<S>,
    summary: &Summary<'_>,
    components: &[Component<'_>],
    demands: &DemandFacts<'_>,
) -> Result<()> {
    let (names, prompts) = (components.len() as u64, u64::from(summary.prompts.is_some()));
    let olds = components.iter().filter(|c| c.old.is_some()).count() as u64;
    let items = 8 * (2 * names + prompts) + 4 * olds + 8 * names;
    writer.array(items.saturating_add(demands.item_count()))?;
    demands.emit(writer, entries(summary, components).count() as u64)?;
    for (index, component) in components.iter().enumerate() {
        let header = header_entry(components, index);
        fetch(writer, header, &["#h", digit(index)])?;
        match component.detached {
            Some(uri) => fetch(writer, header + 1, &[uri])?,
            None => fetch(writer, header + 1, &["#payload", digit(index)])?,
        }
    }
    if summary.prompts.is_some() {
        fetch(writer, entries(summary, components).count() as u64 - 1, &[PROMPTS_URI])?;
    }
    for (index, _) in components.iter().enumerate().filter(|(_, c)| c.old.is_some()) {
        image_match(writer, header_entry(components, index) - 1)?;
    }
    for (index, component) in components.iter().enumerate() {
        let delta = header_entry(components, index) + 1;
        uints(writer, &[command::SET_INDEX, delta + 1, command::OVERRIDE])?;
        writer.map(1 + u64::from(component.encryption.is_some()))?;
        if let Some(encryption) = component.encryption {
            writer.uint(parameter::ENCRYPTION)?;
            writer.bytes(encryption)?;
        }
        let copy = [parameter::SOURCE, delta, command::COPY, REPORT_DIRECTIVE];
        uints(writer, &copy)?;
        uints(writer, &[command::IMAGE_MATCH, REPORT_CONDITION])?;
    }
    Ok(())
}

fn image_match<S: Sink>(writer: &mut Writer<S>, entry: u64) -> Result<()> {
    let items = [command::SET_INDEX, entry, command::IMAGE_MATCH, REPORT_CONDITION];
    uints(writer, &items)
}

fn validate<S: Sink>(writer: &mut Writer<S>, components: &[Component<'_>]) -> Result<()> {
    writer.array(4 * components.len() as u64)?;
    (0..components.len())
        .try_for_each(|index| image_match(writer, header_entry(components, index) + 2))
}
