//! Checks of the verification path, each taken out on purpose: the test of the hole that it closes
//! has to fail. The first words of a name say which hole.

use super::Mutant;

const SIGNERS: &str = "crates/fwdelta-core/src/verify/signers.rs";
const CRYPTO: &str = "crates/fwdelta-core/src/verify/crypto.rs";
const PACKAGE: &str = "crates/fwdelta-core/src/verify/package.rs";
const OPERATOR: &str = "crates/fwdelta-core/src/verify/operator.rs";
const FACTS: &str = "crates/fwdelta-core/src/verify/facts.rs";
const ROTATION: &str = "crates/fwdelta-core/src/verify/rotation.rs";
const AUTH: &str = "crates/fwdelta-core/src/format/auth.rs";
const TRUST: &str = "crates/fwdelta-core/src/format/trust.rs";
const CBOR: &str = "crates/fwdelta-core/src/format/cbor.rs";
const ENVELOPE: &str = "crates/fwdelta-core/src/format/envelope.rs";
const MACHINE: &str = "crates/fwdelta-core/src/apply/in_place/machine.rs";
const CHAIN: &str = "crates/fwdelta-core/src/format/chain.rs";
const DELTA: &str = "crates/fwdelta-core/src/format/delta.rs";
const BSDIFF: &str = "crates/fwdelta-core/src/codec/bsdiff.rs";
const MIXED: &str = "crates/fwdelta-core/src/codec/predict/mixed.rs";
const RUN: &str = "crates/fwdelta-core/src/apply/run.rs";
const HASH: &str = "crates/fwdelta-core/src/hash.rs";
const TREE: &str = "src/descriptor/tree.rs";
const STATE: &str = "src/cli/state.rs";
const RECEIVE: &str = "src/cli/verify.rs";
const ANCHOR: &str = "src/cli/trust.rs";
const TRUST_FILE: &str = "src/package/trust_file.rs";
const ENDORSE: &str = "src/package/rotation.rs";
const ACCEPT: &str = "src/cli/trust/rotate.rs";

/// Tests of `tests/vulnerabilities.rs` whose name begins so.
macro_rules! hole {
    ($name:literal) => {
        concat!("--test vulnerabilities ", $name)
    };
}

const SEALED: &str = "crates/fwdelta-core/src/format/sealed.rs";
const ENCRYPTION: &str = "crates/fwdelta-core/src/format/encryption.rs";
const UNWRAP: &str = "crates/fwdelta-core/src/verify/unwrap.rs";
const INPUT: &str = "crates/fwdelta-core/src/codec/input.rs";
const ENCRYPT: &str = "src/package/encrypt.rs";

/// What notices whether chunks are authentic.
const TAGS: &str = "--test encryption signed_changes";
/// Stored packages.
const ENCRYPTED: &str = "--test encryption core_gives_what";
/// What notices whether an update that was cut goes on with chunks that are authentic.
const RESUME: &str = "--test encryption_resume";

const TABLE: &str = "--test operator_table";
const VECTORS: &str = "--test vectors core_gives_the_expected_detail";

pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "RAUC CVE-2026-34155: lengths are compared in 32 bits",
        file: PACKAGE,
        good: "expect(span.len == len, Detail::PayloadSize, span)?;\n        expect(",
        bad: "expect(span.len as u32 == len as u32, Detail::PayloadSize, span)?;\n        expect(",
        tests: hole!("rauc_cve_2026_34155"),
    },
    Mutant {
        name: "RAUC CVE-2020-25860: chunks are not hashed when they are used",
        file: CHAIN,
        good: "if sha256(record) != self.expected {",
        bad: "if false {",
        tests: "--test package_flips a_package_that_changes_after_it_was_checked",
    },
    Mutant {
        name: "Mender CVE-2025-67903: signatures are not verified",
        file: SIGNERS,
        good: "if !signature_is_valid(crypto, key, &block, auth.payload)? {",
        bad: "if !signature_is_valid(crypto, key, &block, auth.payload)? && false {",
        tests: hole!("mender_cve_2025_67903"),
    },
    Mutant {
        name: "Mender CVE-2025-67903: no vendor needs to sign",
        file: SIGNERS,
        good: "if vendor_count(auth, trust) < usize::from(trust.threshold) {",
        bad: "if false {",
        tests: hole!("mender_cve_2025_67903"),
    },
    Mutant {
        name: "Mender CVE-2025-67903: the manifest need not be the signed one",
        file: PACKAGE,
        good: "        let envelope = scanned.as_ref().map_err(|error| *error)?;\n        \
               let auth = Authentication::parse(envelope.auth, envelope.auth_pos)?;\n        \
               if manifest_digest(envelope.manifest)? != *auth.digest {",
        bad: "        let envelope = scanned.as_ref().map_err(|error| *error)?;\n        \
              let auth = Authentication::parse(envelope.auth, envelope.auth_pos)?;\n        \
              if false {",
        tests: hole!("mender_cve_2025_67903"),
    },
    Mutant {
        name: "MCUboot CVE-2024-32883: unprotected header fields are let pass",
        file: AUTH,
        good: "if block.expect(Major::Map)? != 0 {",
        bad: "if block.skip()?.is_empty() {",
        tests: hole!("mcuboot_cve_2024_32883"),
    },
    Mutant {
        name: "tough CVE-2020-15093: a key may be listed twice",
        file: TRUST,
        good: "        trust.refuse_equal_keys()?;\n",
        bad: "",
        tests: hole!("tough_cve_2020_15093"),
    },
    Mutant {
        name: "python-tuf CVE-2020-6174: a key may sign twice",
        file: AUTH,
        good: "        auth.refuse_duplicates()?;\n",
        bad: "",
        tests: hole!("tough_cve_2020_15093"),
    },
    Mutant {
        name: "python-tuf CVE-2020-6174: a key counts as often as it endorsed an anchor",
        file: ROTATION,
        good: "        count = count.saturating_add(is_signed.into());\n",
        bad: "        let times =\n            \
              signed.endorsements().filter(|it| *it.kid == key.key.kid()).count();\n        \
              count = count.saturating_add(if is_signed { times as u8 } else { 0 });\n",
        tests: "--test trust_rotation one_key_counts_once",
    },
    Mutant {
        name: "go-tuf CVE-2022-29173: older packages pass",
        file: PACKAGE,
        good: "summary.sequence.checked_sub(stored).ok_or(Detail::Rollback)?;",
        bad: "summary.sequence.saturating_sub(stored);",
        tests: hole!("go_tuf_cve_2022_29173"),
    },
    Mutant {
        name: "go-tuf CVE-2022-29173: older anchors pass",
        file: ROTATION,
        good: "new.version.checked_sub(current.version).ok_or(Detail::Rollback)?;",
        bad: "new.version.checked_sub(current.version).unwrap_or(1);",
        tests: "--test trust_rotation the_version_only_grows",
    },
    Mutant {
        name: "python-tuf CVE-2020-15163: an anchor is kept before it was checked",
        file: ACCEPT,
        good: "    accept_trust(&Trust::parse(&current)?, &bytes, &ALGORITHMS).map_err(about)?;\n",
        bad: "    let anchor = SignedTrust::parse(&bytes).map_err(about)?.anchor;\n    \
              output::write(&args.output, anchor)?;\n    \
              accept_trust(&Trust::parse(&current)?, &bytes, &ALGORITHMS).map_err(about)?;\n",
        tests: "--test trust_rotation the_command_from_the_first_file",
    },
    Mutant {
        name: "hybrid: a key counts without its companion",
        file: SIGNERS,
        good: "filter(|key| key.both().all(signed))",
        bad: "filter(|key| key.both().any(signed))",
        tests: "--test vectors core_gives_the_expected_detail",
    },
    Mutant {
        name: "algorithms: the package chooses one for a key",
        file: CRYPTO,
        good: "    if block.algorithm != Some(key.algorithm()) {\n        \
               return Ok(false);\n    }\n",
        bad: "",
        tests: "--test vectors core_gives_the_expected_detail",
    },
    Mutant {
        name: "rotation: the present threshold is not asked",
        file: ROTATION,
        good: "    check_threshold(&signed, current, crypto)?;\n",
        bad: "",
        tests: "--test trust_rotation the_thresholds_of_both",
    },
    Mutant {
        name: "rotation: the new threshold is not asked",
        file: ROTATION,
        good: "    check_threshold(&signed, &new, crypto)?;\n",
        bad: "",
        tests: "--test trust_rotation the_thresholds_of_both",
    },
    Mutant {
        name: "rotation: versions may jump",
        file: ROTATION,
        good: "        1..=TRUST_JUMP_MAX => Ok(new),",
        bad: "        1.. => Ok(new),",
        tests: "--test trust_rotation the_version_only_grows",
    },
    Mutant {
        name: "rotation: signatures that are attached are not verified",
        file: ENDORSE,
        good: "    let signature = verified(key, request, signature)?;\n    let mut sheet",
        bad: "    let signature = signature.to_vec();\n    let mut sheet",
        tests: "--test signing what_is_not_of_this_anchor",
    },
    Mutant {
        name: "bspatch CVE-2014-9862: negative lengths are taken as they are",
        file: BSDIFF,
        good: "let len = u64::try_from(number(len)).map_err(|_| Detail::BadCover)?;",
        bad: "let len = number(len).unsigned_abs();",
        tests: "--test delta_hostile bsdiff_content_is_checked",
    },
    Mutant {
        name: "bspatch CVE-2020-14315: covers may reach beyond old",
        file: RUN,
        good: ".filter(|end| *end <= self.old_len);",
        bad: ".filter(|_| true);",
        tests: "--test delta_hostile bsdiff_content_is_checked",
    },
    Mutant {
        name: "bspatch CVE-2020-14315: runs may be longer than new",
        file: RUN,
        good: "if len > *self.left {",
        bad: "if false {",
        tests: "--test delta_hostile bsdiff_content_is_checked",
    },
    Mutant {
        name: "lz4_flex CVE-2026-32829: a table is not cleared",
        file: MIXED,
        good: "        slots.fill((1u32 << 31).to_le_bytes());\n",
        bad: "",
        tests: hole!("lz4_flex_cve_2026_32829"),
    },
    Mutant {
        name: "serde_cbor CVE-2019-25001: nesting is not counted",
        file: CBOR,
        good: "depth.checked_sub(1).ok_or(self.error(Detail::TooDeep))?;",
        bad: "depth.saturating_sub(1);",
        tests: hole!("serde_cbor_cve_2019_25001"),
    },
    Mutant {
        name: "tar CVE-2026-33055: header and manifest may differ in the payload's length",
        file: PACKAGE,
        good: "            && header.payload_len == part.delta.len\n",
        bad: "",
        tests: hole!("tar_cve_2026_33055"),
    },
    Mutant {
        name: "tar CVE-2026-33055: header and manifest may differ in the new image",
        file: PACKAGE,
        good: "            && header.new == part.new\n",
        bad: "",
        tests: hole!("tar_cve_2026_33055"),
    },
    Mutant {
        name: "quick-xml RUSTSEC-2026-0194: attributes are not counted",
        file: TREE,
        good: "if unchecked.with_checks(false).count() > ATTRIBUTE_COUNT_MAX {",
        bad: "if unchecked.with_checks(false).count() == usize::MAX {",
        tests: "--test descriptor_round_trip hostile_or_wrong_xml",
    },
    Mutant {
        name: "sentry-cli #1279: sizes of images are not compared with limits",
        file: DELTA,
        good: "if old_len > limits.image_len || self.new.len > limits.image_len {",
        bad: "if old_len > limits.image_len {",
        tests: hole!("sentry_cli_1279"),
    },
    Mutant {
        name: "sentry-cli #1279: working memory is not compared with limits",
        file: DELTA,
        good: "if self.workspace_len > limits.workspace_len {",
        bad: "if false {",
        tests: hole!("sentry_cli_1279"),
    },
    Mutant {
        name: "fast-forward: sequence numbers may jump",
        file: PACKAGE,
        good: "if ahead > policy.jump_max {",
        bad: "if false {",
        tests: hole!("fast_forward"),
    },
    Mutant {
        name: "freeze: packages do not expire",
        file: FACTS,
        good: "if now >= expires =>",
        bad: "if now >= expires && false =>",
        tests: hole!("freeze"),
    },
    Mutant {
        name: "demands: every revision of the hardware will do",
        file: FACTS,
        good: "        if !fits {\n",
        bad: "        if false {\n",
        tests: VECTORS,
    },
    Mutant {
        name: "demands: a device that does not know its id passes",
        file: FACTS,
        good: "Some(id) if self.device_id != Some(*id) =>",
        bad: "Some(id) if self.device_id.is_some_and(|own| own != *id) =>",
        tests: VECTORS,
    },
    Mutant {
        name: "demands: a component that is not there passes",
        file: FACTS,
        good: "if !found.is_some_and(|found| wanted.accepts(found.version)) {",
        bad: "if found.is_some_and(|found| !wanted.accepts(found.version)) {",
        tests: VECTORS,
    },
    Mutant {
        name: "demands: a battery that nobody measured is full",
        file: FACTS,
        good: "self.battery.is_some_and(|charge| charge >= least)",
        bad: "self.battery.is_none_or(|charge| charge >= least)",
        tests: VECTORS,
    },
    Mutant {
        name: "demands: nobody needs to authorize",
        file: FACTS,
        good: "if demands.priority.is_some() && !self.is_authorized {",
        bad: "if false {",
        tests: VECTORS,
    },
    Mutant {
        name: "mix and match: delta headers are not compared with their digest",
        file: PACKAGE,
        good: "expect(digest == blob.digest, Detail::HeaderDigest, span)?;",
        bad: "let _ = digest;",
        tests: hole!("mix_and_match"),
    },
    Mutant {
        name: "wrong software: the class is not compared",
        file: PACKAGE,
        good: "if [policy.class_id, facts.class_id].iter()",
        bad: "if [policy.class_id; 0].iter()",
        tests: hole!("wrong_software"),
    },
    Mutant {
        name: "endless data: payloads may be longer than signed",
        file: PACKAGE,
        good: "expect(span.len == len, Detail::PayloadSize, span)?;\n        expect(",
        bad: "expect(span.len >= len, Detail::PayloadSize, span)?;\n        expect(",
        tests: hole!("endless_data"),
    },
    Mutant {
        name: "endless data: the envelope has no limit",
        file: ENVELOPE,
        good: "let room = buf.len().min(limits.envelope_len);",
        bad: "let room = buf.len();",
        tests: hole!("endless_data"),
    },
    Mutant {
        name: "partial bundle: prompts may be missing",
        file: PACKAGE,
        good: "        there(PayloadKey::Prompts)?;\n",
        bad: "",
        tests: hole!("a_partial_bundle"),
    },
    Mutant {
        name: "key compromise: keys speak in any role",
        file: SIGNERS,
        good: "None if trust.knows(kid) => Err(Error::at(Detail::WrongRole, block.pos)),",
        bad: "None if trust.knows(kid) => Ok(Signer::Elsewhere),",
        tests: hole!("keys_speak"),
    },
    Mutant {
        name: "operators: a stranger alone is let pass",
        file: SIGNERS,
        good: "    check_strangers(auth, trust)?;\n",
        bad: "",
        tests: "--test operator_table one_package_reaches",
    },
    Mutant {
        name: "operators: a stranger's approval counts",
        file: OPERATOR,
        good: "if kid.is_none_or(|kid| entry.keys_for(mode).find(kid).is_none()) {",
        bad: "if kid.is_none() {",
        tests: "--test operator_table one_package_reaches",
    },
    Mutant {
        name: "operators: a string of another SIM matches",
        file: OPERATOR,
        good: "own.is_some_and(|own| equal_in_constant_time(own, string))",
        bad: "own.is_some_and(|own| own[..8] == string[..8])",
        tests: hole!("validation_strings"),
    },
    Mutant {
        name: "operators: a SIM that was never provisioned matches",
        file: OPERATOR,
        good: "(!blank).then_some(&self.string)",
        bad: "Some(&self.string).filter(|_| !blank || true)",
        tests: hole!("validation_strings"),
    },
    Mutant {
        name: "operators: the comparison ends before the end",
        file: HASH,
        good: "a.len() == b.len()",
        bad: "a.len() <= b.len()",
        tests: hole!("validation_strings"),
    },
    Mutant {
        name: "operators: the allow bit is not asked",
        file: OPERATOR,
        good: "        if !ef_fota.allows(self.trust.policy.allow_bit) {\n",
        bad: "        if false {\n",
        tests: hole!("sim_swap"),
    },
    Mutant {
        name: "operators: the gate does not ask the allow bit",
        file: OPERATOR,
        good: "Sim::WithFota { ef_fota, .. } if !ef_fota.allows(policy.allow_bit) => {",
        bad: "Sim::WithFota { ef_fota, .. } if !ef_fota.allows(policy.allow_bit) && false => {",
        tests: hole!("sim_swap"),
    },
    Mutant {
        name: "operators: the vendor's requirement is not asked",
        file: OPERATOR,
        good: "        Err(Detail::OperatorRequired.into())\n",
        bad: "        Ok(decision)\n",
        tests: TABLE,
    },
    Mutant {
        name: "operators: approvals of others count",
        file: OPERATOR,
        good: "            if by != plmn {\n                continue;\n            }\n",
        bad: "",
        tests: TABLE,
    },
    Mutant {
        name: "operators: an approval that is stripped helps",
        file: OPERATOR,
        good: "(self.trust.policy.apply_unapproved || asks_none)",
        bad: "(self.trust.policy.apply_unapproved || asks_none) && !any",
        tests: TABLE,
    },
    Mutant {
        name: "rollback: an update that was begun long ago takes the counter back",
        file: STATE,
        good: "self.sequence.max(Some(sequence))",
        bad: "Some(sequence)",
        tests: "--test policy_cli a_confirmed_update",
    },
    Mutant {
        name: "records: of a package that was refused what it claims is recorded",
        file: RECEIVE,
        good: "Ok((sequence, manifest_digest(manifest)))",
        bad: "Ok((sequence, manifest_digest(&manifest[1..])))",
        tests: "--test policy_cli the_outcome_is_recorded",
    },
    Mutant {
        name: "operators: strings in clear beside mode secret are not warned of",
        file: ANCHOR,
        good: "(entry.accepts(Mode::Secret) && is_clear)",
        bad: "(entry.accepts(Mode::Secret) && is_clear && false)",
        tests: "--test policy_cli an_anchor_that_gives_a_key_away",
    },
    Mutant {
        name: "operators: strings in clear beside mode secret are not refused",
        file: TRUST_FILE,
        good: "        entry.refuse_key_given_away(subject)?;\n",
        bad: "",
        tests: "--test policy_cli an_anchor_that_gives_a_key_away",
    },
    Mutant {
        name: "encryption: the tag of a chunk is not checked",
        file: SEALED,
        good: "if self.aead.open(&nonce, aad, data, tag) {",
        bad: "if self.aead.open(&nonce, aad, data, tag) || true {",
        tests: TAGS,
    },
    Mutant {
        name: "encryption: plaintext of a wrong tag stays in memory",
        file: SEALED,
        good: "            data.fill(0);\n",
        bad: "",
        tests: "--test encryption a_cipher_that_fails",
    },
    Mutant {
        name: "encryption: chunks have no number",
        file: SEALED,
        good: "[0, 0, 0, 0, 0, 0, 0, a, b, c, d, u8::from(is_last)]",
        bad: "[0, 0, 0, 0, 0, 0, 0, a & b & c & d & 0, 0, 0, 0, u8::from(is_last)]",
        tests: TAGS,
    },
    Mutant {
        name: "encryption: numbers of chunks come again",
        file: SEALED,
        good: "[0, 0, 0, 0, 0, 0, 0, a, b, c, d, u8::from(is_last)]",
        bad: "[0, 0, 0, 0, 0, 0, 0, a & b & c & 0, 0, 0, d & 1, u8::from(is_last)]",
        tests: TAGS,
    },
    Mutant {
        name: "encryption: the last chunk is as any other",
        file: SEALED,
        good: "c, d, u8::from(is_last)]",
        bad: "c, d, u8::from(is_last) & 0]",
        tests: TAGS,
    },
    Mutant {
        name: "encryption: the cipher is not authenticated",
        file: ENCRYPTION,
        good: "        writer.text(\"Encrypt\")?;\n        \
               writer.nested(&|w| emit_protected(w, algorithm))?;",
        bad: "        writer.text(\"Encrypt\")?;\n        \
              writer.nested(&|w| emit_protected(w, ContentAlgorithm::A128Gcm))?;",
        tests: ENCRYPTED,
    },
    Mutant {
        name: "encryption: a content key may have another length",
        file: ENCRYPTION,
        good: "if wrapped.len() != algorithm.key_len() + 8 {",
        bad: "if wrapped.len() < 24 {",
        tests: "--test encryption a_wrapped_key_has",
    },
    Mutant {
        name: "encryption: chunking need not be critical",
        file: ENCRYPTION,
        good: "algorithm.filter(|_| is_critical && is_chunked)",
        bad: "algorithm.filter(|_| is_chunked)",
        tests: "--test encryption a_wrapped_key_has",
    },
    Mutant {
        name: "encryption: a group's key id is not compared",
        file: UNWRAP,
        good: "(Self::Group { kid, key }, Recipient::Group { kid: of, wrapped }) \
               if kid == *of => {",
        bad: "(Self::Group { key, .. }, Recipient::Group { wrapped, .. }) => {",
        tests: ENCRYPTED,
    },
    Mutant {
        name: "encryption: a device's key id is not compared",
        file: UNWRAP,
        good: "                    if kid == *of =>\n",
        bad: "                    if kid == *of || secret.len() == 32 =>\n",
        tests: "--test encryption each_recipient",
    },
    Mutant {
        name: "encryption: who does not ask takes a ciphertext for a delta",
        file: PACKAGE,
        good: "        if self.manifest.component(index)?.encryption.is_some() {",
        bad: "        if false {",
        tests: "--test encryption others_get_nothing",
    },
    Mutant {
        name: "encryption: without a key chunks are decoded as they are",
        file: INPUT,
        good: "        let opener = self.opener.ok_or(Detail::NotRecipient)?;",
        bad: "        let Some(opener) = self.opener else { return Ok(data_len) };",
        tests: RESUME,
    },
    Mutant {
        name: "encryption: in place, chunks are opened by the number of the first",
        file: MACHINE,
        good: "self.input.accept_chunk(index, is_last",
        bad: "self.input.accept_chunk(index & 0, is_last",
        tests: RESUME,
    },
    Mutant {
        name: "encryption: in place, an update goes on at the start of a chunk",
        file: MACHINE,
        good: "        let used = self.read.saturating_sub(index.saturating_mul(plain_len));",
        bad: "        let used = self.read.saturating_sub(index.saturating_mul(plain_len)) & 0;",
        tests: RESUME,
    },
    Mutant {
        name: "encryption: one content key for all packages",
        file: ENCRYPT,
        good: "        (self.random)(key.as_mut_slice())?;\n",
        bad: "",
        tests: "--test encryption keys_and_nonces",
    },
    Mutant {
        name: "encryption: one nonce for all packages",
        file: ENCRYPT,
        good: "        (self.random)(&mut nonce)?;\n",
        bad: "",
        tests: "--test encryption keys_and_nonces",
    },
];
