//! Coder 1, adaptive bits: walks the covers through the model that the decoder uses.

use fwdelta_core::Result;
use fwdelta_core::codec::bits::Places;
use fwdelta_core::codec::model::{Model, Number, Residual};

use super::pages::{Schedule, within};
use super::range::RangeEncoder;
use super::{Script, equal_len};
use fwdelta_core::format::pages::Span;

/// The same for new made in place in the order of `schedule`; `script` has covers of what can be
/// read then.
///
/// # Errors
/// As [`encode`].
pub fn encode_in_place(script: &Script<'_>, model_log: u8, schedule: &Schedule) -> Result<Vec<u8>> {
    let mut entries = vec![[0; 2]; 1 << model_log];
    let mut model = Model::new(&mut entries, model_log);
    let (mut places, mut coder) = (Places::default(), RangeEncoder::default());
    model.number(&mut coder, Number::Section, 0, 0)?;
    for span in schedule.spans() {
        model.seek(span.pos);
        places.seek(span.pos);
        let covers: Vec<_> = within(script.covers, span).map(|(_, cover)| cover).collect();
        let script = Script { covers: &covers, ..*script };
        self::span(&script, span, &mut model, &mut places, &mut coder)?;
    }
    Ok(coder.finish())
}

/// Encodes a payload with a model of `1 << model_log` entries.
///
/// # Errors
/// None in practice: the model's errors are the decoder's.
pub fn encode(script: &Script<'_>, model_log: u8) -> Result<Vec<u8>> {
    let mut entries = vec![[0; 2]; 1 << model_log];
    let mut model = Model::new(&mut entries, model_log);
    let mut places = Places::default();
    let mut coder = RangeEncoder::default();
    model.number(&mut coder, Number::Section, 0, 0)?;
    span(script, script.span(), &mut model, &mut places, &mut coder)?;
    Ok(coder.finish())
}

/// Encodes the part of new that the covers of `script` are in.
fn span(
    script: &Script<'_>,
    span: Span,
    model: &mut Model<'_>,
    places: &mut Places,
    coder: &mut RangeEncoder,
) -> Result<()> {
    for part in script.parts_in(span) {
        literals(model, coder, part.literals)?;
        let skipped = part.literals.len() as u64;
        places.skip(skipped);
        places.code(model, coder, part.old_pos, skipped)?;
        let len = part.new.len() as u64;
        model.number(coder, Number::CoverLen, 0, len - 1)?;
        places.cover(part.old_pos, len);
        residual(model, coder, part.old, part.new)?;
    }
    let rest = script.rest_in(span);
    if !rest.is_empty() {
        literals(model, coder, rest)?;
        places.skip(rest.len() as u64);
    }
    Ok(())
}

fn literals(model: &mut Model<'_>, coder: &mut RangeEncoder, bytes: &[u8]) -> Result<()> {
    model.number(coder, Number::LiteralLen, 0, bytes.len() as u64)?;
    for byte in bytes {
        model.literal(coder, *byte)?;
    }
    Ok(())
}

fn residual(model: &mut Model<'_>, coder: &mut RangeEncoder, old: &[u8], new: &[u8]) -> Result<()> {
    model.start_cover();
    let mut at = 0;
    let mut run_end = 0;
    while at < new.len() {
        if run_end < at || run_end == at && old[at] == new[at] {
            run_end = at + equal_len(&old[at..], &new[at..]);
        }
        let coming = match run_end - at {
            0 => Residual::Value(new[at].wrapping_sub(old[at])),
            run => Residual::Zeros(run as u64),
        };
        match model.residual(coder, coming)? {
            Residual::Zeros(run) => {
                let run = run as usize;
                model.skip(&new[at..at + run]);
                at += run;
            }
            Residual::Value(value) => {
                model.advance(new[at], value);
                at += 1;
                run_end = at;
            }
        }
    }
    Ok(())
}
