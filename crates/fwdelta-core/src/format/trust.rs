//! The trust anchor: whose signatures count, and the device's policy (docs/format.md, section 6).

use super::auth::{Kid, Mode};
use super::cbor::{Reader, Sink, Writer};
use super::key::{Key, PublicKey};
use super::plmn::Plmn;
use crate::error::{Detail, Error, Result};
use crate::limits::{KEY_COUNT_MAX, OPERATOR_COUNT_MAX, TRUST_LEN_MAX};

/// A list of keys.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    reader: Reader<'a>,
    count: u8,
    may_be_hybrid: bool,
}

impl<'a> Keys<'a> {
    fn parse(reader: &mut Reader<'a>, at_least: u64, may_be_hybrid: bool) -> Result<Self> {
        let few = reader.error(Detail::MissingField);
        let many = reader.error(Detail::TooManyKeys);
        let count = reader.array()?;
        if count < at_least {
            return Err(few);
        }
        let count = u8::try_from(count).map_err(|_| many)?;
        let keys = Self { reader: *reader, count, may_be_hybrid };
        if usize::from(keys.count) > KEY_COUNT_MAX {
            return Err(many);
        }
        for _ in 0..count {
            Key::parse(reader, may_be_hybrid)?;
        }
        Ok(keys)
    }

    /// The keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = Key<'a>> + use<'a> {
        let (mut reader, may_be_hybrid) = (self.reader, self.may_be_hybrid);
        (0..self.count).filter_map(move |_| Key::parse(&mut reader, may_be_hybrid).ok())
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline(never)]
    fn any(&self, role: Role, is_it: &mut dyn FnMut(PublicKey<'a>, Role) -> bool) -> bool {
        self.iter().any(|key| key.both().any(|key| is_it(key, role)))
    }

    /// The key or companion with this id.
    #[must_use]
    #[inline(never)]
    pub fn find(&self, kid: &Kid) -> Option<PublicKey<'a>> {
        self.iter().flat_map(Key::both).find(|key| key.kid() == *kid)
    }
}

/// Among the bits of an operator's modes: an approval is not asked for.
pub const MODE_NONE_BIT: u8 = 8;

/// What is accepted from one operator.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a> {
    /// The operator.
    pub plmn: Plmn,
    /// Keys for mode signed, and for mode string if `attach_keys` is empty.
    pub keys: Keys<'a>,
    /// Sum of the accepted modes' bits.
    pub modes: u8,
    /// Whether an approval must carry a validation string.
    pub string_required: bool,
    /// Keys that may attach strings.
    pub attach_keys: Keys<'a>,
}

impl<'a> Operator<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        reader.array_exact(5)?;
        let bad_plmn = reader.error(Detail::BadPlmn);
        let plmn = Plmn::parse(reader.text()?).map_err(|_| bad_plmn)?;
        let few = reader.error(Detail::MissingField);
        let keys = Keys::parse(reader, 0, false)?;
        let bad_modes = reader.error(Detail::BadValue);
        let modes = u8::try_from(reader.uint()?).ok().filter(|modes| (1..=15).contains(modes));
        let operator = Self {
            plmn,
            keys,
            modes: modes.ok_or(bad_modes)?,
            string_required: reader.boolean()?,
            attach_keys: Keys::parse(reader, 0, false)?,
        };
        let lacks = |mode| operator.accepts(mode) && operator.keys_for(mode).is_empty();
        if lacks(Mode::Signed) || lacks(Mode::String) { Err(few) } else { Ok(operator) }
    }

    /// Whether the operator lets updates pass that nobody approved.
    #[must_use]
    pub fn asks_none(&self) -> bool {
        self.modes & MODE_NONE_BIT != 0
    }

    /// Whether approvals in `mode` are accepted.
    #[must_use]
    pub fn accepts(&self, mode: Mode) -> bool {
        self.modes & mode.bit() != 0
    }

    /// The keys that may approve in `mode`.
    #[must_use]
    pub fn keys_for(&self, mode: Mode) -> Keys<'a> {
        match mode {
            Mode::String if !self.attach_keys.is_empty() => self.attach_keys,
            _ => self.keys,
        }
    }
}

/// What the device does where the format leaves it the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The device's vendor, if it checks it.
    pub vendor_id: Option<[u8; 16]>,
    /// The device's class, if it checks it.
    pub class_id: Option<[u8; 16]>,
    /// Whether a package nobody approved is applied where a SIM has EF_FOTA.
    pub apply_unapproved: bool,
    /// Whether a package is applied without a SIM.
    pub apply_without_sim: bool,
    /// Which bit of EF_FOTA's condition byte allows updates, 0 to 7.
    pub allow_bit: u8,
    /// How far ahead of the device's a sequence number may be.
    pub jump_max: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            vendor_id: None,
            class_id: None,
            apply_unapproved: false,
            apply_without_sim: true,
            allow_bit: 0,
            jump_max: 65_536,
        }
    }
}

impl Policy {
    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let missing = reader.error(Detail::MissingField);
        let (mut vendor_id, mut class_id) = (None, None);
        let (mut unapproved, mut no_sim, mut allow_bit, mut jump_max) = (None, None, None, None);
        let mut map = reader.map()?;
        while let Some(key) = map.int_key(reader)? {
            match key {
                0 => vendor_id = Some(*reader.array_of()?),
                1 => class_id = Some(*reader.array_of()?),
                2 => unapproved = Some(parse_at_most(reader, 1)? == 1),
                3 => no_sim = Some(parse_at_most(reader, 1)? == 1),
                4 => allow_bit = Some(parse_at_most(reader, 7)? as u8),
                5 => jump_max = Some(reader.uint()?),
                _ => return Err(reader.error(Detail::UnknownKey)),
            }
        }
        Ok(Self {
            vendor_id,
            class_id,
            apply_unapproved: unapproved.ok_or(missing)?,
            apply_without_sim: no_sim.ok_or(missing)?,
            allow_bit: allow_bit.ok_or(missing)?,
            jump_max: jump_max.ok_or(missing)?,
        })
    }

    fn emit<S: Sink>(&self, writer: &mut Writer<S>) -> Result<()> {
        let ids = u64::from(self.vendor_id.is_some()) + u64::from(self.class_id.is_some());
        writer.map(4 + ids)?;
        for (key, id) in [(0, &self.vendor_id), (1, &self.class_id)] {
            if let Some(id) = id {
                writer.uint(key)?;
                writer.bytes(id)?;
            }
        }
        let rest = [
            (2, u64::from(self.apply_unapproved)),
            (3, u64::from(self.apply_without_sim)),
            (4, u64::from(self.allow_bit)),
            (5, self.jump_max),
        ];
        rest.iter().try_for_each(|(key, value)| {
            writer.uint(*key)?;
            writer.uint(*value)
        })
    }
}

fn parse_at_most(reader: &mut Reader<'_>, max: u64) -> Result<u64> {
    let error = reader.error(Detail::BadValue);
    reader.uint().and_then(|value| if value <= max { Ok(value) } else { Err(error) })
}

/// A compiled trust anchor, wholly checked.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// Version of this anchor, which only grows.
    pub version: u64,
    /// Distinct vendor signatures a package needs.
    pub threshold: u8,
    /// The vendor's keys.
    pub vendor_keys: Keys<'a>,
    /// The device's policy.
    pub policy: Policy,
    operators: Reader<'a>,
    operator_count: u8,
}

impl<'a> Trust<'a> {
    /// Checks a compiled trust anchor in its bare form. The signed form, in which a new anchor
    /// travels, goes through [`crate::verify::accept_trust`].
    ///
    /// # Errors
    /// As docs/format.md, section 6.
    #[inline(never)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > TRUST_LEN_MAX {
            return Err(Detail::EnvelopeTooLarge.into());
        }
        let mut reader = Reader::new(bytes);
        let (mut version, mut vendor, mut operators, mut policy) = (None, None, None, None);
        let mut format = None;
        let mut map = reader.map()?;
        while let Some(key) = map.int_key(&mut reader)? {
            match key {
                0 => {
                    let unknown = reader.error(Detail::UnknownVersion);
                    format = Some(reader.uint()?).filter(|version| *version == 1);
                    format.ok_or(unknown)?;
                }
                1 => version = Some(reader.uint()?),
                2 => vendor = Some(parse_vendor(&mut reader)?),
                3 => operators = Some(parse_operators(&mut reader)?),
                4 => policy = Some(Policy::parse(&mut reader)?),
                _ => return Err(reader.error(Detail::UnknownKey)),
            }
        }
        reader.finish()?;
        let missing = Error::from(Detail::MissingField);
        format.ok_or(missing)?;
        let (threshold, vendor_keys) = vendor.ok_or(missing)?;
        let (operators, operator_count) = operators.ok_or(missing)?;
        let version = version.ok_or(missing)?;
        let policy = policy.ok_or(missing)?;
        let trust = Self { version, threshold, vendor_keys, policy, operators, operator_count };
        trust.refuse_equal_keys()?;
        Ok(trust)
    }

    /// The operators, by ascending PLMN.
    pub fn operators(&self) -> impl Iterator<Item = Operator<'a>> + use<'a> {
        let mut reader = self.operators;
        (0..self.operator_count).filter_map(move |_| Operator::parse(&mut reader).ok())
    }

    /// The entry of one operator.
    #[must_use]
    pub fn operator(&self, plmn: Plmn) -> Option<Operator<'a>> {
        self.operators().find(|operator| operator.plmn == plmn)
    }

    /// Every key in every role, companions too.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey<'a>> + use<'a> {
        let operators = self.operators();
        let theirs = operators.flat_map(|entry| entry.keys.iter().chain(entry.attach_keys.iter()));
        self.vendor_keys.iter().chain(theirs).flat_map(Key::both)
    }

    /// Whether a key with this id is trusted in any role.
    #[must_use]
    pub fn knows(&self, kid: &Kid) -> bool {
        self.any_key(&mut |key, _| key.kid() == *kid)
    }

    /// One key in two roles would let one signature stand for two parties. Operators of a group may
    /// share a key: their approvals are never counted together.
    fn refuse_equal_keys(&self) -> Result<()> {
        let mut index = 0usize;
        let has_twice = self.any_key(&mut |key, role| {
            let mut earlier_count = index;
            index = index.saturating_add(1);
            self.any_key(&mut |other, its| {
                let is_earlier = earlier_count > 0;
                earlier_count = earlier_count.saturating_sub(1);
                is_earlier && other == key && !role.may_share(its)
            })
        });
        if has_twice { Err(Detail::DuplicateBlock.into()) } else { Ok(()) }
    }

    /// Whether `is_it` says so of a key in its role, in the order of [`Trust::keys`]; in less code
    /// than that.
    #[inline(never)]
    fn any_key(&self, is_it: &mut dyn FnMut(PublicKey<'a>, Role) -> bool) -> bool {
        self.vendor_keys.any(Role::Vendor, is_it)
            || self.operators().any(|Operator { plmn, keys, attach_keys, .. }| {
                keys.any(Role::Sign(plmn), is_it) || attach_keys.any(Role::Attach(plmn), is_it)
            })
    }
}

/// What a key is trusted for.
#[derive(Clone, Copy)]
enum Role {
    Vendor,
    Sign(Plmn),
    Attach(Plmn),
}

impl Role {
    /// Whether one key may have both roles: the same for two operators.
    fn may_share(self, other: Self) -> bool {
        match (self, other) {
            (Role::Sign(a), Role::Sign(b)) | (Role::Attach(a), Role::Attach(b)) => a != b,
            _ => false,
        }
    }
}

fn parse_vendor<'a>(reader: &mut Reader<'a>) -> Result<(u8, Keys<'a>)> {
    reader.array_exact(2)?;
    let error = reader.error(Detail::BadValue);
    let threshold = reader.uint()?;
    let keys = Keys::parse(reader, 1, true)?;
    match u8::try_from(threshold) {
        Ok(threshold) if (1..=keys.count).contains(&threshold) => Ok((threshold, keys)),
        _ => Err(error),
    }
}

fn parse_operators<'a>(reader: &mut Reader<'a>) -> Result<(Reader<'a>, u8)> {
    let many = reader.error(Detail::TooManyKeys);
    let count = reader.array()?;
    if count > OPERATOR_COUNT_MAX as u64 {
        return Err(many);
    }
    let start = *reader;
    let mut last = None;
    for _ in 0..count {
        let unordered = reader.error(Detail::NotCanonical);
        let plmn = Operator::parse(reader)?.plmn;
        if last.is_some_and(|last| last >= plmn) {
            return Err(unordered);
        }
        last = Some(plmn);
    }
    Ok((start, count as u8))
}

/// An operator entry to emit.
#[derive(Clone, Copy, Debug)]
pub struct OperatorFacts<'f> {
    /// The operator.
    pub plmn: Plmn,
    /// Keys for mode signed.
    pub keys: &'f [Key<'f>],
    /// Sum of the accepted modes' bits.
    pub modes: u8,
    /// Whether an approval must carry a validation string.
    pub string_required: bool,
    /// Keys that may attach strings.
    pub attach_keys: &'f [Key<'f>],
}

/// Emits a trust anchor; `operators` are in ascending order.
///
/// # Errors
/// When the sink is full. What is emitted is checked by [`Trust::parse`], not here.
pub fn emit<S: Sink>(
    writer: &mut Writer<S>,
    version: u64,
    vendor: (u8, &[Key<'_>]),
    operators: &[OperatorFacts<'_>],
    policy: &Policy,
) -> Result<()> {
    writer.map(5)?;
    for value in [0, 1, 1, version, 2] {
        writer.uint(value)?;
    }
    writer.array(2)?;
    writer.uint(u64::from(vendor.0))?;
    emit_keys(writer, vendor.1)?;
    writer.uint(3)?;
    writer.array(operators.len() as u64)?;
    for operator in operators {
        writer.array(5)?;
        writer.text(operator.plmn.as_str())?;
        emit_keys(writer, operator.keys)?;
        writer.uint(u64::from(operator.modes))?;
        writer.boolean(operator.string_required)?;
        emit_keys(writer, operator.attach_keys)?;
    }
    writer.uint(4)?;
    policy.emit(writer)
}

fn emit_keys<S: Sink>(writer: &mut Writer<S>, keys: &[Key<'_>]) -> Result<()> {
    writer.array(keys.len() as u64)?;
    keys.iter().try_for_each(|key| key.emit(writer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::cbor::SliceSink;

    fn plmn(text: &str) -> Plmn {
        Plmn::parse(text).unwrap()
    }

    fn facts<'f>(text: &str, keys: &'f [Key<'f>]) -> OperatorFacts<'f> {
        let plmn = plmn(text);
        OperatorFacts { plmn, keys, modes: 4, string_required: false, attach_keys: &[] }
    }

    fn parse_with(threshold: u8, vendor: &[Key<'_>], ops: &[OperatorFacts<'_>]) -> Result<u64> {
        let mut buf = [0; 4096];
        let mut writer = Writer(SliceSink::new(&mut buf));
        let policy = Policy { vendor_id: Some([1; 16]), ..Policy::default() };
        emit(&mut writer, 3, (threshold, vendor), ops, &policy).unwrap();
        let trust = Trust::parse(writer.0.written())?;
        assert_eq!(trust.policy, policy);
        assert_eq!(trust.vendor_keys.len(), vendor.len());
        assert!(trust.operators().map(|o| o.plmn).eq(ops.iter().map(|o| o.plmn)));
        Ok(trust.version)
    }

    #[test]
    fn parse_of_emit_and_every_rule() {
        let keys = [[1; 32], [2; 32], [3; 32]];
        let keys = keys.each_ref().map(|key| Key::from(PublicKey::Ed25519(key)));
        let detail = |result: Result<u64>| result.unwrap_err().detail;
        let (a, b) = (facts("20801", &keys[1..2]), facts("26201", &keys[2..]));
        assert_eq!(parse_with(1, &keys[..1], &[a, b]), Ok(3));
        assert_eq!(detail(parse_with(1, &keys[..1], &[b, a])), Detail::NotCanonical);
        assert_eq!(detail(parse_with(2, &keys[..1], &[a])), Detail::BadValue);
        assert_eq!(detail(parse_with(0, &keys[..1], &[a])), Detail::BadValue);
        assert_eq!(detail(parse_with(1, &[], &[])), Detail::MissingField);
        assert_eq!(detail(parse_with(1, &keys[1..2], &[a])), Detail::DuplicateBlock);
        for modes in [0, 16] {
            let no_mode = OperatorFacts { modes, ..a };
            assert_eq!(detail(parse_with(1, &keys[..1], &[no_mode])), Detail::BadValue);
        }
        // Only modes that nothing signs get along without keys.
        for modes in 1..16 {
            let bare = OperatorFacts { keys: &[], modes, ..a };
            let fits = parse_with(1, &keys[..1], &[bare]).is_ok();
            assert_eq!(fits, modes & 5 == 0, "{modes}");
        }
        // Operators of a group share a key, in one role; within an entry keys differ.
        let shared = OperatorFacts { keys: a.keys, ..b };
        assert_eq!(parse_with(1, &keys[..1], &[a, shared]), Ok(3));
        let attach = OperatorFacts { attach_keys: a.keys, ..b };
        assert_eq!(detail(parse_with(1, &keys[..1], &[a, attach])), Detail::DuplicateBlock);
        let own = OperatorFacts { attach_keys: a.keys, ..a };
        assert_eq!(detail(parse_with(1, &keys[..1], &[own])), Detail::DuplicateBlock);
        let many = [keys[0]; KEY_COUNT_MAX + 1];
        assert_eq!(detail(parse_with(1, &many, &[])), Detail::TooManyKeys);
    }

    #[test]
    fn keys_of_every_algorithm() {
        let (ed25519, lattice) = ([1; 32], [2; 1312]);
        let mut point = [3; 65];
        point[0] = 4;
        let companion = Some(PublicKey::MlDsa44(&lattice));
        let keys = [
            Key { key: PublicKey::Esp256(&point), companion },
            Key::from(PublicKey::Ed25519(&ed25519)),
        ];
        assert_eq!(
            parse_with(2, &keys, &[facts("26201", &[])]).unwrap_err().detail,
            Detail::MissingField
        );
        assert_eq!(parse_with(2, &keys, &[]), Ok(3));
        let detail = |vendor: &[Key<'_>], ops: &[Key<'_>]| {
            let ops = [facts("26201", ops)];
            parse_with(1, vendor, if ops[0].keys.is_empty() { &[] } else { &ops })
                .unwrap_err()
                .detail
        };
        // The companion of two keys would sign for both.
        let twice = [keys[0], Key { companion, ..keys[1] }];
        assert_eq!(detail(&twice, &[]), Detail::DuplicateBlock);
        // An operator's key has none, and a lattice key does not stand alone.
        assert_eq!(detail(&keys[1..], &keys[..1]), Detail::BadValue);
        let alone = [Key::from(PublicKey::MlDsa44(&lattice))];
        assert_eq!(detail(&alone, &[]), Detail::UnknownAlgorithm);
        let swapped = [Key { companion: Some(keys[0].key), ..keys[1] }];
        assert_eq!(detail(&swapped, &[]), Detail::UnknownAlgorithm);
        point[0] = 2;
        let compressed = [Key::from(PublicKey::Esp256(&point))];
        assert_eq!(detail(&compressed, &[]), Detail::BadValue);
    }
}
