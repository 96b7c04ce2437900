//! Coder 1, adaptive bits: walks the covers through the model that the decoder uses.

use fwdelta_core::Result;
use fwdelta_core::codec::bits::Places;
use fwdelta_core::codec::model::{Model, Number, Residual};

use super::pages::{Pacer, Schedule, within};
use super::range::RangeEncoder;
use super::{Script, equal_len};
use fwdelta_core::format::pages::Span;

/// The same for new made in place by `schedule`; `script` has covers of what can be read then.
///
/// # Errors
/// As [`encode`].
pub fn encode_in_place(script: &Script<'_>, model_log: u8, schedule: &Schedule) -> Result<Vec<u8>> {
    let mut entries = vec![[0; 2]; 1 << model_log];
    let mut encoder = Encoder::new(&mut entries, model_log);
    encoder.pacer = Some(Pacer::new(schedule));
    let mut is_first = true;
    while let Some((span, numbers)) = encoder.pacer.as_mut().and_then(Pacer::next_span) {
        encoder.say(&numbers)?;
        if std::mem::take(&mut is_first) {
            encoder.number(Number::Section, 0, 0)?;
        }
        encoder.seek(span.pos);
        let covers: Vec<_> = within(script.covers, span).map(|(_, cover)| cover).collect();
        encoder.span(&Script { covers: &covers, ..*script }, span)?;
        encoder.arrive(span.end - 1)?;
    }
    Ok(encoder.coder.finish())
}

/// Encodes a payload with a model of `1 << model_log` entries.
///
/// # Errors
/// None in practice: the model's errors are the decoder's.
pub fn encode(script: &Script<'_>, model_log: u8) -> Result<Vec<u8>> {
    let mut entries = vec![[0; 2]; 1 << model_log];
    let mut encoder = Encoder::new(&mut entries, model_log);
    encoder.number(Number::Section, 0, 0)?;
    encoder.span(script, script.span())?;
    Ok(encoder.coder.finish())
}

struct Encoder<'m> {
    model: Model<'m>,
    places: Places,
    coder: RangeEncoder,
    /// Position in new.
    pos: u64,
    /// What is said of pages on the way; `None`: nothing.
    pacer: Option<Pacer>,
}

impl<'m> Encoder<'m> {
    fn new(entries: &'m mut [[u8; 2]], model_log: u8) -> Self {
        let (places, coder) = (Places::default(), RangeEncoder::default());
        Self { model: Model::new(entries, model_log), places, coder, pos: 0, pacer: None }
    }

    fn seek(&mut self, pos: u64) {
        self.model.seek(pos);
        self.places.seek(pos);
        self.pos = pos;
    }

    fn number(&mut self, number: Number, context: u32, value: u64) -> Result<u64> {
        self.model.number(&mut self.coder, number, context, value)
    }

    fn say(&mut self, numbers: &[(u32, u64)]) -> Result<()> {
        for (context, value) in numbers {
            self.number(Number::Page, *context, *value)?;
        }
        Ok(())
    }

    /// Something at position `pos` is coded next.
    fn arrive(&mut self, pos: u64) -> Result<()> {
        match &mut self.pacer {
            Some(pacer) => {
                let numbers = pacer.arrive(pos);
                self.say(&numbers)
            }
            None => Ok(()),
        }
    }

    /// Encodes the part of new that the covers of `script` are in.
    fn span(&mut self, script: &Script<'_>, span: Span) -> Result<()> {
        for part in script.parts_in(span) {
            self.literals(part.literals)?;
            let skipped = part.literals.len() as u64;
            self.arrive(self.pos)?;
            self.places.code(&mut self.model, &mut self.coder, part.old_pos, skipped)?;
            let len = part.new.len() as u64;
            self.number(Number::CoverLen, 0, len - 1)?;
            self.places.cover(part.old_pos, len);
            self.residual(part.old, part.new)?;
        }
        let rest = script.rest_in(span);
        if rest.is_empty() { Ok(()) } else { self.literals(rest) }
    }

    fn literals(&mut self, bytes: &[u8]) -> Result<()> {
        self.arrive(self.pos)?;
        self.number(Number::LiteralLen, 0, bytes.len() as u64)?;
        self.places.skip(bytes.len() as u64);
        for byte in bytes {
            self.arrive(self.pos)?;
            self.model.literal(&mut self.coder, *byte)?;
            self.pos += 1;
        }
        Ok(())
    }

    fn residual(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        self.model.start_cover();
        let start = self.pos;
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
            self.arrive(start + at as u64)?;
            match self.model.residual(&mut self.coder, coming)? {
                Residual::Zeros(run) => {
                    let run = run as usize;
                    self.model.skip(&new[at..at + run]);
                    at += run;
                }
                Residual::Value(value) => {
                    self.model.advance(new[at], value);
                    at += 1;
                    run_end = at;
                }
            }
        }
        self.pos = start + new.len() as u64;
        Ok(())
    }
}
