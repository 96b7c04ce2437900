//! One package on one device, in the order of docs/format.md, section 7.

use fwdelta_core::apply::{Applier, Io};
use fwdelta_core::format::delta::DeltaHeader;
use fwdelta_core::format::envelope::{PayloadKey, Span};
use fwdelta_core::format::prompts::Prompts;
use fwdelta_core::format::trust::Trust;
use fwdelta_core::hash::{Sha256, Sha256Digest};
use fwdelta_core::limits::{COMPONENT_COUNT_MAX, HEADER_LEN_MAX};
use fwdelta_core::storage::Target as _;
use fwdelta_core::verify::{Device, Facts, Package};
use fwdelta_core::{Detail, Limits, Result};

use crate::abi;
use crate::driver::{Medium, Old, Payload, Progress, Slot, Unpacker, Verifier};
use crate::pointers::About;
#[cfg(feature = "encryption")]
use crate::sealed;
use crate::sealed::{OpenChunk, Opener};
use crate::stream;

/// What the caller lends for a whole call, checked for null.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) package: Medium<'a>,
    pub(crate) package_len: u64,
    pub(crate) trust: &'a [u8],
    pub(crate) device: Device<'a>,
    /// Manifest of the update that waits for its confirmation.
    pub(crate) pending: Option<Sha256Digest>,
    pub(crate) limits: Limits,
    pub(crate) verifier: Verifier<'a>,
    pub(crate) unpacker: Unpacker<'a>,
    pub(crate) decryptor: Option<&'a abi::Decryptor>,
    pub(crate) envelope_buf: &'a mut [u8],
    pub(crate) work: &'a mut [u8],
}

/// Storage of one component, checked for null.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) old: Option<&'a abi::Source>,
    pub(crate) old_len: u64,
    pub(crate) payload: Option<&'a abi::Source>,
    pub(crate) payload_len: u64,
    pub(crate) slot: Slot<'a>,
}

/// Storage of all components, by number.
pub(crate) type Parts<'a> = [Option<Part<'a>>; COMPONENT_COUNT_MAX];

/// Steps 1 to 6, then `work`.
///
/// The session borrows the package, and `work` the session: both are large, and handing them up
/// would copy them on a small stack.
pub(crate) fn with_session(
    request: Request<'_>,
    work: impl FnOnce(&mut Session<'_>) -> core::result::Result<(), About>,
) -> core::result::Result<(), About> {
    let Request { package: mut file, pending, limits, unpacker, decryptor, work: buf, .. } =
        request;
    let facts = request.device.facts;
    let alone = |error| (error, None);
    if buf.is_empty() {
        return Err(alone(Detail::BadArgument.into()));
    }
    let trust = Trust::parse(request.trust).map_err(alone)?;
    let mut verified = Package::verify(
        &mut file,
        request.package_len,
        request.envelope_buf,
        &trust,
        &request.device,
        &request.verifier,
        &limits,
    );
    match &mut verified {
        Ok(package) => {
            if let Some(manifest) = pending {
                package.set_pending(manifest);
            }
            work(&mut Session { package, file, limits, facts, unpacker, decryptor, work: buf })
        }
        Err(error) => Err(alone(*error)),
    }
}

/// A package that has passed steps 1 to 6.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) package: &'a Package<'a>,
    file: Medium<'a>,
    limits: Limits,
    facts: Facts<'a>,
    unpacker: Unpacker<'a>,
    /// Not asked where there is no encryption in this build.
    #[cfg_attr(not(feature = "encryption"), allow(dead_code))]
    pub(crate) decryptor: Option<&'a abi::Decryptor>,
    work: &'a mut [u8],
}

impl<'a> Session<'a> {
    fn indices(&self) -> core::ops::Range<u8> {
        0..self.package.manifest.component_count()
    }

    pub(crate) fn progress(&self) -> &'a Progress<'a> {
        self.file.progress
    }

    /// The delta header of one component: read and checked anew at every use, which costs one
    /// hash of at most 512 bytes and saves keeping eight of them.
    pub(crate) fn header(&mut self, index: u8) -> core::result::Result<DeltaHeader, About> {
        #[cfg(feature = "encryption")]
        let header = self.package.header_of_encrypted(&mut self.file, index, &self.limits);
        #[cfg(not(feature = "encryption"))]
        let header = self.package.header(&mut self.file, index, &self.limits);
        header.map_err(|error| (error, Some(index)))
    }

    /// The part of step 7 that needs the package alone: texts and headers.
    pub(crate) fn check_small(&mut self) -> core::result::Result<(), About> {
        self.package.check_texts(&mut self.file, self.work).map_err(|error| (error, None))?;
        self.indices().try_for_each(|index| self.header(index).map(|_| ()))
    }

    /// Steps 7 and 8 for all components. Nothing is written.
    pub(crate) fn check(&mut self, parts: &Parts<'a>) -> core::result::Result<(), About> {
        let count = usize::from(self.package.manifest.component_count());
        if parts.iter().flatten().count() != count {
            return Err((Detail::BadArgument.into(), None));
        }
        self.check_small()?;
        for check in [Self::check_payload, Self::check_key, Self::check_old, Self::check_space] {
            for (index, part) in self.indices().zip(parts.iter().flatten()) {
                let header = self.header(index)?;
                check(self, index, &header, part).map_err(|error| (error, Some(index)))?;
            }
        }
        self.package.check_conditions(&self.facts).map_err(|error| (error, None))
    }

    /// Step 7 for a package that leads back from the update that is pending: it is whole, and its
    /// components lead from the new images of `forward` to the old ones.
    pub(crate) fn check_way_back(
        &mut self,
        forward: &[abi::Component],
    ) -> core::result::Result<(), About> {
        self.check_small()?;
        if forward.len() != usize::from(self.package.manifest.component_count()) {
            return Err((Detail::BadArgument.into(), None));
        }
        for (index, forward) in self.indices().zip(forward) {
            self.check_one_way_back(index, forward)?;
        }
        Ok(())
    }

    fn check_one_way_back(
        &mut self,
        index: u8,
        forward: &abi::Component,
    ) -> core::result::Result<(), About> {
        let about = |error| (error, Some(index));
        let header = self.header(index)?;
        let (old, new) = (header.old.map(|old| (old.len, old.digest)), header.new);
        let leads_back = header.undoes.is_some()
            && forward.has_old != 0
            && old == Some((forward.new_len, forward.new_digest))
            && (new.len, new.digest) == (forward.old_len, forward.old_digest);
        if !leads_back {
            return Err(about(Detail::BadArgument.into()));
        }
        let (mut payload, span) = self.payload(index, None, 0).map_err(about)?;
        self.package.check_delta(&mut payload, span, index, self.work).map_err(about)
    }

    /// The prompt of `moment` in the language that fits `language` best: the operator's, if the
    /// approval that counted has some, else the vendor's.
    pub(crate) fn prompt(&mut self, moment: u8, language: &str) -> Result<abi::Prompt> {
        let (none, by_operator) = (core::ptr::null(), self.package.prompts());
        let by_operator = by_operator.map(|(key, _)| key != PayloadKey::Prompts);
        let by_operator = u32::from(by_operator.unwrap_or(false));
        let mut prompt =
            abi::Prompt { text: none, language: none, text_len: 0, language_len: 0, by_operator };
        let Some(bytes) = self.package.read_prompts(&mut self.file, self.work)? else {
            return Ok(prompt);
        };
        let prompts = Prompts::parse(bytes)?;
        let tag = prompts.choose(language);
        (prompt.language, prompt.language_len) = (tag.as_ptr().cast(), tag.len() as u32);
        if let Some(text) = prompts.text(tag, moment) {
            (prompt.text, prompt.text_len) = (text.as_ptr().cast(), text.len() as u32);
        }
        Ok(prompt)
    }

    /// Step 7 for one component, and what it takes to apply it without its package; also for whom
    /// it is encrypted, if it is.
    pub(crate) fn delta(
        &mut self,
        index: u8,
        detached: Option<&'a abi::Source>,
        detached_len: u64,
    ) -> core::result::Result<(abi::Delta, Option<abi::Sealing>), About> {
        let about = |error| (error, Some(index));
        self.check_small()?;
        let component = self.package.manifest.component(index).map_err(|error| (error, None))?;
        let span = if component.detached.is_some() && detached.is_none() {
            Span { pos: 0, len: component.delta.len }
        } else {
            let (mut payload, span) = self.payload(index, detached, detached_len).map_err(about)?;
            self.package.check_delta(&mut payload, span, index, self.work).map_err(about)?;
            span
        };
        let sealing = self.opener(index).map_err(about)?.map(|(sealing, _)| sealing);
        let cipher = sealing.map_or(0, |sealing| sealing.recipient.cipher as u16);
        // In the order of the specification: what may be otherwise in an hour comes last.
        self.package.check_conditions(&self.facts).map_err(|error| (error, None))?;
        let (mut header, decision) = ([0; HEADER_LEN_MAX], decision(self.package));
        let bytes = self.package.read_header(&mut self.file, index, &mut header).map_err(about)?;
        let (abi, header_len) = (abi::ABI_VERSION, bytes.len() as u16);
        let Span { pos: payload_pos, len: payload_len } = span;
        let delta =
            abi::Delta { abi, header_len, cipher, payload_pos, payload_len, decision, header };
        Ok((delta, sealing))
    }

    /// Where the payload of component `index` is.
    fn payload(
        &self,
        index: u8,
        detached: Option<&'a abi::Source>,
        len: u64,
    ) -> Result<(Medium<'a>, Span)> {
        if self.package.manifest.component(index)?.detached.is_none() {
            let span = self.package.envelope.payload(PayloadKey::Delta(index));
            return Ok((self.file, span.ok_or(Detail::MissingPayload)?));
        }
        let table = detached.ok_or(Detail::MissingPayload)?;
        Ok((Medium { table, progress: self.progress() }, Span { pos: 0, len }))
    }

    fn old(&self, part: &Part<'a>) -> Old<'a> {
        Old(part.old.map(|table| Medium { table, progress: self.progress() }))
    }

    fn check_payload(&mut self, index: u8, _: &DeltaHeader, part: &Part<'a>) -> Result<()> {
        let (mut payload, span) = self.payload(index, part.payload, part.payload_len)?;
        self.package.check_delta(&mut payload, span, index, self.work)
    }

    /// The content key unwraps, where the payload is encrypted.
    fn check_key(&mut self, index: u8, _: &DeltaHeader, _: &Part<'a>) -> Result<()> {
        self.opener(index).map(|_| ())
    }

    /// For whom of the recipients the caller has a key, and what opens chunks then; `None` where
    /// the payload is not encrypted.
    #[cfg(feature = "encryption")]
    fn opener(&self, index: u8) -> Result<Option<(abi::Sealing, Opener<'a>)>> {
        let info = self.package.encryption(index)?;
        info.map(|info| sealed::find(&info, self.decryptor)).transpose()
    }

    /// The same: no manifest with encryption was let pass in this build.
    #[cfg(not(feature = "encryption"))]
    fn opener(&self, _: u8) -> Result<Option<(abi::Sealing, Opener<'a>)>> {
        Ok(None)
    }

    fn check_old(&mut self, _: u8, header: &DeltaHeader, part: &Part<'a>) -> Result<()> {
        stream::check_old(header, &mut self.old(part), part.old_len, self.work)
    }

    /// Slot, workspace and decompressor, which the applier would only miss with other slots
    /// written.
    fn check_space(&mut self, _: u8, header: &DeltaHeader, part: &Part<'a>) -> Result<()> {
        stream::check_slot(header, &part.slot.geometry())?;
        Applier::open(header, self.work, &self.limits)?;
        stream::check_decompressor(header, self.unpacker)
    }

    /// Steps 7 to 10 for all components.
    pub(crate) fn apply(&mut self, parts: &Parts<'a>) -> core::result::Result<(), About> {
        self.check(parts)?;
        let lens = self.package.manifest.components().map(|component| component.new.len);
        self.progress().expect(lens.fold(0, u64::saturating_add));
        for (index, part) in self.indices().zip(parts.iter().flatten()) {
            let header = self.header(index)?;
            self.apply_one(index, &header, part).map_err(|error| (error, Some(index)))?;
        }
        Ok(())
    }

    fn apply_one(&mut self, index: u8, header: &DeltaHeader, part: &Part<'a>) -> Result<()> {
        let (medium, span) = self.payload(index, part.payload, part.payload_len)?;
        let payload = Payload { medium, pos: span.pos };
        let mut old = self.old(part);
        let mut new = part.slot;
        let mut unpacker = self.unpacker;
        let mut io = Io { old: &mut old, new: &mut new, decompressor: &mut unpacker };
        let opener = self.opener(index)?.map(|(_, opener)| opener);
        let opener = opener.as_ref().map(|opener| opener as &dyn OpenChunk);
        stream::decode(header, opener, self.work, &self.limits, &mut io, payload)
    }
}

/// Digest of a manifest and of the operator decision about it.
fn decision(package: &Package<'_>) -> Sha256Digest {
    let mut hash = Sha256::new();
    hash.update(package.auth.digest);
    let mode = package.decision.approval.map_or(0, |(_, mode)| mode as u8);
    hash.update(&[package.decision.basis as u8, mode]);
    if let Some((plmn, _)) = package.decision.approval {
        hash.update(plmn.as_str().as_bytes());
    }
    hash.finish()
}
