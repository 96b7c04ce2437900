//! Law: an envelope that is accepted is exactly what the emitter makes of its parts.
#![no_main]

use fwdelta_core::Limits;
use fwdelta_core::format::envelope::{self, Envelope, PayloadKey, Span};
use fwdelta_fuzz::emitted;
use libfuzzer_sys::fuzz_target;

fn name(key: PayloadKey) -> String {
    match key {
        PayloadKey::Prompts => "#p".to_owned(),
        PayloadKey::Header(index) => format!("#h{index}"),
        PayloadKey::OperatorPrompts(plmn) => format!("#q{}", plmn.as_str()),
        PayloadKey::Delta(index) => format!("#payload{index}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut buf = [0; Limits::DEVICE.envelope_len];
    let mut source = data;
    let scanned = Envelope::scan(&mut source, data.len() as u64, &Limits::DEVICE, &mut buf);
    let Ok(envelope) = scanned else { return };
    let bytes = |span: Span| &data[span.pos as usize..(span.pos + span.len) as usize];
    let names: Vec<_> = envelope.payloads().map(|(key, _)| name(key)).collect();
    let spans = envelope.payloads().map(|(_, span)| bytes(span));
    let payloads: Vec<_> = names.iter().map(String::as_str).zip(spans).collect();
    let again = emitted(|writer| {
        let text = envelope.text.map(bytes);
        envelope::emit(writer, envelope.auth, envelope.manifest, text, &payloads)
    });
    assert_eq!(again, data);
});
