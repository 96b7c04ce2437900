//! One package on one device: the checks of docs/format.md, section 7, in their order.

use super::crypto::Crypto;
use super::facts::Facts;
use super::operator::{Basis, Decision, Sim, decide};
use super::signers::check_signers;
use crate::apply::in_place::Binding;
use crate::error::{Detail, Error, Result};
use crate::format::auth::{Authentication, Claim};
#[cfg(feature = "encryption")]
use crate::format::cbor::Reader;
use crate::format::cbor::{HEAD_LEN_MAX, Major, SliceSink, Writer};
use crate::format::delta::DeltaHeader;
#[cfg(feature = "encryption")]
use crate::format::encryption::EncryptionInfo;
use crate::format::envelope::{Envelope, PayloadKey, Span};
use crate::format::manifest::{Blob, Manifest};
use crate::format::trust::Trust;
use crate::hash::{Sha256, Sha256Digest, hash_source};
use crate::limits::{HEADER_LEN_MAX, Limits};
use crate::storage::Source;

/// What the device knows of itself besides its trust anchor.
#[derive(Clone, Copy, Debug)]
pub struct Device<'f> {
    /// Its SIM.
    pub sim: Sim,
    /// The sequence number of the last confirmed update, if there was one.
    pub sequence: Option<u64>,
    /// What it is and how it is.
    pub facts: Facts<'f>,
}

/// A package that is authentic and that policy lets pass.
#[derive(Clone, Debug)]
pub struct Package<'b> {
    /// Where its parts stand.
    pub envelope: Envelope<'b>,
    /// Its blocks.
    pub auth: Authentication<'b>,
    /// Its manifest.
    pub manifest: Manifest<'b>,
    /// What the operator decision was.
    pub decision: Decision,
    undo: Undo,
}

/// Which update may be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undo {
    /// None: nothing waits for its confirmation.
    None,
    /// The one with this manifest.
    Pending(Sha256Digest),
    /// An earlier run decided.
    Begun,
}

impl<'b> Package<'b> {
    /// Steps 1 to 6: shape, signatures, vendor, class, sequence number, operators.
    ///
    /// `package` holds `len` bytes; its authenticated part is read into `buf`, once.
    ///
    /// # Errors
    /// The first check that fails, as docs/format.md says.
    #[inline(never)]
    pub fn verify<S: Source>(
        package: &mut S,
        len: u64,
        buf: &'b mut [u8],
        trust: &Trust<'_>,
        device: &Device<'_>,
        crypto: &impl Crypto,
        limits: &Limits,
    ) -> Result<Self> {
        // Not moved before the end: signature checks below need all the stack that there is.
        let scanned = Envelope::scan(package, len, limits, buf);
        let envelope = scanned.as_ref().map_err(|error| *error)?;
        let auth = Authentication::parse(envelope.auth, envelope.auth_pos)?;
        if manifest_digest(envelope.manifest)? != *auth.digest {
            return Err(Error::at(Detail::DigestMismatch, envelope.manifest_pos));
        }
        let requirement = check_signers(&auth, trust, crypto)?;
        let manifest = Manifest::parse(envelope.manifest, envelope.manifest_pos)?;
        check_references(envelope, &auth, &manifest)?;
        check_device(&manifest, trust, device)?;
        let decision = decide(&auth, requirement, trust, device.sim)?;
        let undo = Undo::None;
        scanned.map(|envelope| Self { envelope, auth, manifest, decision, undo })
    }

    /// Opens a package that an earlier run verified and began to apply. No signature is checked and
    /// no policy asked: a SIM or an anchor that changed meanwhile must not strand a device between
    /// two images. What it gives may only be gone on with, where the journal has its
    /// [`Package::binding`]; the payload is to be checked again, with [`Package::check_delta`].
    ///
    /// # Errors
    /// Those of shape and digest, as [`Package::verify`].
    pub fn reopen<S: Source>(
        package: &mut S,
        len: u64,
        buf: &'b mut [u8],
        limits: &Limits,
    ) -> Result<Self> {
        let envelope = Envelope::scan(package, len, limits, buf)?;
        let auth = Authentication::parse(envelope.auth, envelope.auth_pos)?;
        if manifest_digest(envelope.manifest)? != *auth.digest {
            return Err(Error::at(Detail::DigestMismatch, envelope.manifest_pos));
        }
        let manifest = Manifest::parse(envelope.manifest, envelope.manifest_pos)?;
        check_references(&envelope, &auth, &manifest)?;
        let decision = Decision::without(Basis::Begun);
        Ok(Self { envelope, auth, manifest, decision, undo: Undo::Begun })
    }

    /// Says which update was applied and waits for its confirmation: by the digest of its manifest,
    /// [`Authentication::digest`]. Only a package that leads back from this one is then accepted as
    /// such; without this call there is none.
    #[must_use]
    pub fn with_pending(mut self, manifest: Sha256Digest) -> Self {
        self.set_pending(manifest);
        self
    }

    /// The same for one that is not to be moved.
    pub fn set_pending(&mut self, manifest: Sha256Digest) {
        if self.undo != Undo::Begun {
            self.undo = Undo::Pending(manifest);
        }
    }

    /// Last part of step 8, after the old images and the room in the slots: what the package
    /// demands of other components, of the free space, the battery, and of the user.
    ///
    /// # Errors
    /// `DependencyVersion`, `NoSpace`, `BatteryLow`, `NotAuthorized`; none for an update that was
    /// begun, as this was decided then.
    pub fn check_conditions(&self, facts: &Facts<'_>) -> Result<()> {
        if self.undo == Undo::Begun {
            return Ok(());
        }
        facts.check_dependencies(&self.manifest)?;
        facts.check_space(&self.manifest)?;
        facts.check_moment(&self.manifest.demands)
    }

    /// What a journal of component `index` belongs to: this manifest, which the decision to install
    /// was made for.
    ///
    /// # Errors
    /// `BadArgument` when there is no such component.
    pub fn binding(&self, index: u8) -> Result<Binding> {
        let header = self.manifest.component(index)?.header.digest;
        let mut decision = [index; 33];
        for (to, from) in decision.iter_mut().zip(self.auth.digest) {
            *to = *from;
        }
        Ok(Binding::new(&header, &decision))
    }

    /// First part of step 7: text and prompts, where present, match their digests.
    ///
    /// # Errors
    /// `TextDigest`, `PromptsDigest`, `ReadFailed`.
    #[inline(never)]
    pub fn check_texts<S: Source>(&self, package: &mut S, scratch: &mut [u8]) -> Result<()> {
        if let (Some(digest), Some(span)) = (&self.manifest.summary.text, self.envelope.text) {
            let mut head = [0; HEAD_LEN_MAX];
            let mut writer = Writer(SliceSink::new(&mut head));
            writer.head(Major::Bytes, span.len)?;
            let mut hash = Sha256::new();
            hash.update(writer.0.written());
            hash.update_from(package, span.pos, span.len, scratch)?;
            expect(hash.finish() == *digest, Detail::TextDigest, span)?;
        }
        for (key, span) in self.envelope.payloads() {
            // Operators state no size: the digest alone binds theirs.
            let (len, digest) = match key {
                PayloadKey::Prompts => {
                    let blob = self.manifest.summary.prompts;
                    (blob.map(|blob| blob.len), blob.map(|blob| blob.digest))
                }
                PayloadKey::OperatorPrompts(plmn) => {
                    (Some(span.len), operator_prompts(&self.auth, plmn)?)
                }
                PayloadKey::Header(_) | PayloadKey::Delta(_) => continue,
            };
            expect(Some(span.len) == len, Detail::PromptsDigest, span)?;
            let found = hash_source(package, span.pos, span.len, scratch)?;
            expect(Some(found) == digest, Detail::PromptsDigest, span)?;
        }
        Ok(())
    }

    /// The prompts a device may show: those of the approval that counted for its SIM, or the
    /// vendor's. [`Package::check_texts`] has passed before.
    #[must_use]
    pub fn prompts(&self) -> Option<(PayloadKey, Span)> {
        let counted = self.decision.prompts.and(self.decision.approval);
        let key =
            counted.map_or(PayloadKey::Prompts, |(plmn, _)| PayloadKey::OperatorPrompts(plmn));
        self.envelope.payload(key).map(|span| (key, span))
    }

    /// The payload that [`Package::prompts`] names, in `buf`, its digest checked; `None` if there
    /// is none.
    ///
    /// # Errors
    /// `WorkspaceTooSmall` when `buf` is shorter than it, `PromptsDigest`, `ReadFailed`.
    pub fn read_prompts<'p, S: Source>(
        &self,
        package: &mut S,
        buf: &'p mut [u8],
    ) -> Result<Option<&'p [u8]>> {
        let Some((key, span)) = self.prompts() else { return Ok(None) };
        let room = usize::try_from(span.len).ok().and_then(|len| buf.get_mut(..len));
        let bytes = room.ok_or(Error::at(Detail::WorkspaceTooSmall, span.pos))?;
        let failed = Error::at(Detail::ReadFailed, span.pos);
        package.read(span.pos, bytes).map_err(|_| failed)?;
        let digest = match key {
            PayloadKey::OperatorPrompts(plmn) => operator_prompts(&self.auth, plmn)?,
            _ => self.manifest.summary.prompts.map(|blob| blob.digest),
        };
        expect(digest == Some(crate::hash::sha256(bytes)), Detail::PromptsDigest, span)?;
        Ok(Some(bytes))
    }

    /// The delta header's bytes of component `index`, their digest checked, in `buf`.
    ///
    /// # Errors
    /// `PayloadSize`, `HeaderDigest`, `EnvelopeTooLarge`, `ReadFailed`.
    pub fn read_header<'h, S: Source>(
        &self,
        package: &mut S,
        index: u8,
        buf: &'h mut [u8],
    ) -> Result<&'h [u8]> {
        let blob = self.manifest.component(index)?.header;
        let span = self.envelope.payload(PayloadKey::Header(index));
        let span = span.ok_or(Detail::MissingPayload)?;
        expect(span.len == blob.len, Detail::PayloadSize, span)?;
        let room = usize::try_from(span.len).ok().and_then(|len| buf.get_mut(..len));
        let bytes = room.ok_or(Error::at(Detail::EnvelopeTooLarge, span.pos))?;
        let failed = Error::at(Detail::ReadFailed, span.pos);
        package.read(span.pos, bytes).map_err(|_| failed)?;
        let digest = crate::hash::sha256(bytes);
        expect(digest == blob.digest, Detail::HeaderDigest, span)?;
        Ok(bytes)
    }

    /// Reads the delta header of component `index`, checks its digest, parses it and compares it
    /// with the manifest.
    ///
    /// # Errors
    /// `NotRecipient` where the payload is encrypted; as `Package::read_header` and
    /// [`DeltaHeader::parse`]; `HeaderMismatch`; what
    /// [`DeltaHeader::check`] refuses under `limits`; `Rollback` for the way back from an update
    /// that is not pending.
    #[inline(never)]
    pub fn header<S: Source>(
        &self,
        package: &mut S,
        index: u8,
        limits: &Limits,
    ) -> Result<DeltaHeader> {
        // Who does not ask about encryption must not take a ciphertext for a delta.
        if self.manifest.component(index)?.encryption.is_some() {
            return Err(Detail::NotRecipient.into());
        }
        self.any_header(package, index, limits)
    }

    /// The same where the payload may be encrypted: the caller decrypts it as
    /// [`Package::encryption`] says, with [`crate::apply::Applier::decrypt_with`].
    ///
    /// # Errors
    /// As [`Package::header`], without `NotRecipient`.
    #[cfg(feature = "encryption")]
    pub fn header_of_encrypted<S: Source>(
        &self,
        package: &mut S,
        index: u8,
        limits: &Limits,
    ) -> Result<DeltaHeader> {
        self.any_header(package, index, limits)
    }

    /// For whom the payload of component `index` is encrypted; `None` if it is not.
    ///
    /// # Errors
    /// `BadArgument` when there is no such component.
    #[cfg(feature = "encryption")]
    pub fn encryption(&self, index: u8) -> Result<Option<EncryptionInfo<'b>>> {
        let info = self.manifest.component(index)?.encryption;
        info.map(|bytes| EncryptionInfo::parse(Reader::new(bytes))).transpose()
    }

    fn any_header<S: Source>(
        &self,
        package: &mut S,
        index: u8,
        limits: &Limits,
    ) -> Result<DeltaHeader> {
        let mut buf = [0; HEADER_LEN_MAX];
        let mut header = DeltaHeader::parse(self.read_header(package, index, &mut buf)?)?;
        let part = self.manifest.component(index)?;
        if let Some(chain) = &mut header.chain {
            chain.is_sealed = part.encryption.is_some();
        }
        let agrees = header.old == part.old
            && header.new == part.new
            && header.payload_len == part.delta.len
            && header.chain.is_some();
        if !agrees {
            return Err(Detail::HeaderMismatch.into());
        }
        header.check(limits)?;
        let may_go = match (header.undoes, self.undo) {
            (None, _) | (_, Undo::Begun) => true,
            (Some(undone), Undo::Pending(pending)) => undone == pending,
            (Some(_), Undo::None) => false,
        };
        if may_go { Ok(header) } else { Err(Detail::Rollback.into()) }
    }

    /// Checks the delta payload of component `index`, which is all of `span` in `payload`.
    ///
    /// # Errors
    /// `PayloadSize`, `PayloadDigest`, `ReadFailed`.
    pub fn check_delta<S: Source>(
        &self,
        payload: &mut S,
        span: Span,
        index: u8,
        scratch: &mut [u8],
    ) -> Result<()> {
        let Blob { len, digest } = self.manifest.component(index)?.delta;
        expect(span.len == len, Detail::PayloadSize, span)?;
        expect(
            hash_source(payload, span.pos, span.len, scratch)? == digest,
            Detail::PayloadDigest,
            span,
        )
    }
}

fn expect(fits: bool, detail: Detail, span: Span) -> Result<()> {
    if fits { Ok(()) } else { Err(Error::at(detail, span.pos)) }
}

/// SHA-256 of the manifest with its byte string head, as SUIT defines it.
fn manifest_digest(manifest: &[u8]) -> Result<Sha256Digest> {
    struct HashSink(Sha256);
    impl crate::format::cbor::Sink for HashSink {
        fn put(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.update(bytes);
            Ok(())
        }
    }
    let mut writer = Writer(HashSink(Sha256::new()));
    writer.bytes(manifest)?;
    Ok(writer.0.0.finish())
}

/// The digest all of an operator's blocks give for its prompts.
fn operator_prompts(
    auth: &Authentication<'_>,
    plmn: crate::format::plmn::Plmn,
) -> Result<Option<Sha256Digest>> {
    let mut common = None;
    for block in auth.blocks() {
        if let Claim::Approval { plmn: by, prompts: Some(prompts), .. } = block.claim
            && by == plmn
            && *common.get_or_insert(*prompts) != *prompts
        {
            return Err(Error::at(Detail::BadValue, block.pos));
        }
    }
    Ok(common)
}

/// Payloads in the envelope and references to them agree, both ways.
fn check_references(
    envelope: &Envelope<'_>,
    auth: &Authentication<'_>,
    manifest: &Manifest<'_>,
) -> Result<()> {
    // Text may be taken away by anyone, but only the manifest can put it there.
    if let (Some(span), None) = (envelope.text, manifest.summary.text) {
        return Err(Error::at(Detail::UnreferencedPayload, span.pos));
    }
    for (key, span) in envelope.payloads() {
        let referenced = match key {
            PayloadKey::Prompts => manifest.summary.prompts.is_some(),
            PayloadKey::Header(index) => index < manifest.component_count(),
            PayloadKey::Delta(index) => {
                manifest.component(index).is_ok_and(|component| component.detached.is_none())
            }
            PayloadKey::OperatorPrompts(plmn) => operator_prompts(auth, plmn)?.is_some(),
        };
        expect(referenced, Detail::UnreferencedPayload, span)?;
    }
    let there =
        |key| if envelope.payload(key).is_some() { Ok(()) } else { Err(Detail::MissingPayload) };
    if manifest.summary.prompts.is_some() {
        there(PayloadKey::Prompts)?;
    }
    for block in auth.blocks() {
        if let Claim::Approval { plmn, prompts: Some(_), .. } = block.claim {
            there(PayloadKey::OperatorPrompts(plmn))?;
        }
    }
    for (index, component) in manifest.components().enumerate() {
        there(PayloadKey::Header(index as u8))?;
        if component.detached.is_none() {
            there(PayloadKey::Delta(index as u8))?;
        }
    }
    Ok(())
}

/// Steps 4 and 5: vendor, class, hardware, device, sequence number, expiry.
fn check_device(manifest: &Manifest<'_>, trust: &Trust<'_>, device: &Device<'_>) -> Result<()> {
    let (summary, policy, facts) = (&manifest.summary, &trust.policy, &device.facts);
    let differs = |own: Option<[u8; 16]>, said| own.is_some_and(|id| id != said);
    if [policy.vendor_id, facts.vendor_id].iter().any(|id| differs(*id, summary.vendor_id)) {
        return Err(Detail::WrongVendor.into());
    }
    if [policy.class_id, facts.class_id].iter().any(|id| differs(*id, summary.class_id)) {
        return Err(Detail::WrongClass.into());
    }
    facts.check_identity(&manifest.demands)?;
    if let Some(stored) = device.sequence {
        let ahead = summary.sequence.checked_sub(stored).ok_or(Detail::Rollback)?;
        if ahead > policy.jump_max {
            return Err(Detail::SequenceJump.into());
        }
    }
    facts.check_time(&manifest.demands)
}
