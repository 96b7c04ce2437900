//! `fwdelta inspect`: what a package says.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::engine::Image;
use super::input::Input;
use super::report::Report;
use crate::core::exec::layout::Segment;
use crate::core::format::delta::MAGIC;
use crate::diff;
use crate::error::{Error, Result};
use crate::exec;
use crate::hex::hex;
use crate::package::inspect::{Description, describe};

/// Segments listed as text; `--json` has all.
const SEGMENTS_SHOWN: usize = 16;

/// Show what a package or a delta contains, or what is inferred of an image; nothing is verified
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  fwdelta inspect approved.suit --json\n  \
    fwdelta inspect v1-v2.fwd\n  fwdelta inspect v1.bin --arch thumb --base 0x08008000")]
pub(crate) struct Args {
    /// A package, a delta, or any other file as an image
    file: PathBuf,
    #[command(flatten)]
    image: Image,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let input = Input::open(&args.file)?;
    let about = |error: Error| error.about(args.file.display());
    match input.get(..4) {
        Some(start) if start == MAGIC => delta(&input).map_err(about),
        Some(&[0xd8, 0x6b, ..]) => package(&input).map_err(about),
        _ => Ok(image(&input.image()?, args)),
    }
}

/// What a delta's header says.
fn delta(file: &[u8]) -> Result<Report> {
    let (header, payload) = diff::parse_file(file)?;
    let old_len = header.old.map_or(0, |old| old.len);
    let (kind, from) = match header.old {
        Some(old) => ("delta", format!("from {} to ", old.len)),
        None => ("full image", String::new()),
    };
    let text = format!(
        "{kind}, coder {}: {from}{} bytes\npayload {} bytes, needs {} bytes of memory",
        header.coder.name(),
        header.new.len,
        payload.len(),
        header.workspace_len
    );
    let json = json!({
        "kind": "delta",
        "coder": header.coder.name(),
        "old_len": old_len,
        "old_sha256": header.old.map(|old| hex(&old.digest)),
        "new_len": header.new.len,
        "new_sha256": hex(&header.new.digest),
        "payload_len": payload.len(),
        "workspace_len": header.workspace_len,
    });
    Ok(Report::new(text, json))
}

/// What the generator would take an image for.
fn image(bytes: &[u8], args: &Args) -> Report {
    let found = exec::describe::describe(bytes, &args.image.hints());
    let mut text = format!("image, {} bytes", bytes.len());
    let shares = found.summary(bytes.len() as u64);
    // INVARIANT: writing to a string cannot fail.
    let mut line = |line: String| writeln!(text, "\n{line}").unwrap_or_default();
    for share in &shares {
        let class = share.class;
        line(format!(
            "{:?}{}{}: {} bytes in {} runs",
            class.content,
            if class.wide { ", 64-bit" } else { "" },
            if class.big_endian { ", big-endian" } else { "" },
            share.byte_len,
            share.run_count
        ));
    }
    let listed = found.segments.iter().take(SEGMENTS_SHOWN);
    for segment in listed {
        let Segment { pos, len, addr, span, module } = *segment;
        line(format!("module {module}: {len} bytes from {pos}, {span} at {addr:#x}"));
    }
    if found.segments.len() > SEGMENTS_SHOWN {
        line(format!("and {} segments more", found.segments.len() - SEGMENTS_SHOWN));
    }
    let json = json!({
        "kind": "image",
        "len": bytes.len(),
        "classes": shares.iter().map(|share| json!({
            "content": format!("{:?}", share.class.content),
            "wide": share.class.wide,
            "big_endian": share.class.big_endian,
            "len": share.byte_len,
            "run_count": share.run_count,
        })).collect::<Vec<_>>(),
        "segments": found.segments.iter().map(|segment| json!({
            "module": segment.module,
            "pos": segment.pos,
            "len": segment.len,
            "addr": segment.addr,
            "span": segment.span,
        })).collect::<Vec<_>>(),
    });
    Report::new(text.replace("\n\n", "\n").trim_end().to_owned(), json)
}

fn package(package: &[u8]) -> Result<Report> {
    let description = describe(package)?;
    let json = serde_json::to_value(&description).map_err(|error| Error::input("report", error))?;
    Ok(Report::new(text(&description), json))
}

fn text(d: &Description) -> String {
    let mut text = format!(
        "sequence {}, version {}, {} bytes ({} without payloads)\nvendor {}  class {}",
        d.sequence,
        d.version.as_deref().unwrap_or("not stated"),
        d.len,
        d.envelope_len,
        d.vendor_id,
        d.class_id
    );
    // INVARIANT: writing to a string cannot fail.
    let mut line = |line: String| writeln!(text, "\n{line}").unwrap_or_default();
    for component in &d.components {
        let old = component.old.as_ref().map_or("full image".to_owned(), |old| {
            format!("from {} bytes, sha256 {}", old.len, old.sha256)
        });
        line(format!(
            "component {}: {} bytes, {}\n  {old}\n  to   {} bytes, sha256 {}\n  \
             needs {} bytes of memory",
            component.name,
            component.payload.len,
            component.coder,
            component.new.len,
            component.new.sha256,
            component.workspace_len
        ));
        if let Some(encryption) = &component.encryption {
            let kids: Vec<_> = encryption.recipients.iter().map(|it| it.kid.as_str()).collect();
            line(format!("  encrypted with {} for {}", encryption.cipher, kids.join(", ")));
        }
    }
    for block in &d.blocks {
        let who = match (&block.plmn, block.mode) {
            (Some(plmn), Some(mode)) => format!("operator {plmn}, mode {mode}"),
            _ => "vendor".to_owned(),
        };
        let key = block.kid.as_deref().unwrap_or("none");
        let string = if block.has_string { ", with string" } else { "" };
        line(format!("signed by {who}: key {key}, {} bytes{string}", block.len));
    }
    match &d.required_operators {
        None => line("no operator approval required by the vendor".to_owned()),
        Some(list) if list.is_empty() => line("any operator's approval required".to_owned()),
        Some(list) => line(format!("approval required by one of {}", list.join(", "))),
    }
    line(format!("languages: {}", d.prompt_languages.join(", ")));
    if let Some(digest) = &d.sbom_sha256 {
        line(format!("bill of materials: SHA-256 {digest}"));
    }
    while text.contains("\n\n") {
        text = text.replace("\n\n", "\n");
    }
    text.trim_end().to_owned()
}
