//! The operator decision: every cell of the table, and that removing approvals never helps.

use fwdelta::core::format::plmn::Plmn;
use fwdelta::core::format::trust::Trust;
use fwdelta::core::verify::{Basis, Device, Ed25519, EfFota, Facts, Package, Sim};
use fwdelta::core::{Detail, Limits};
use fwdelta::package::assemble::Parts;
use fwdelta::package::seal::{Draft, DraftComponent, blob, seal};
use fwdelta::package::{Approval, Method, PublicKey, SecretKey, approve, trust_file};

const A: &str = "26201";
const B: &str = "310410";
const STRING_A: [u8; 16] = *b"operator A's SIM";
const STRING_B: [u8; 16] = *b"operator B's SIM";

fn key(name: &str) -> SecretKey {
    let seed = name.bytes().fold([0u8; 32], |mut seed, byte| {
        seed[usize::from(byte) % 32] ^= byte;
        seed
    });
    SecretKey::from_seed(&seed)
}

fn plmn(text: &str) -> Plmn {
    Plmn::parse(text).unwrap()
}

/// A package whose shape and signatures are real; its delta is never looked at here.
fn package(requirement: Option<&[&str]>) -> Vec<u8> {
    let component = DraftComponent {
        name: "main".to_owned(),
        old: Some(blob(b"old")),
        new: blob(b"new"),
        header: b"header".to_vec(),
        payload: b"payload".to_vec(),
        detached: None,
        encryption: None,
    };
    let requirement = requirement.map(|list| list.iter().map(|text| plmn(text)).collect());
    let draft = Draft { sequence: 7, components: vec![component], requirement, ..Draft::default() };
    seal(&draft, &[key("vendor")]).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Signed(&'static str),
    SignedWithString(&'static str, [u8; 16]),
    Clear(&'static str, [u8; 16]),
    Secret(&'static str, [u8; 16]),
}

fn add(package: &[u8], by: By) -> Vec<u8> {
    let key_of = |operator: &str| key(&format!("operator {operator}"));
    let (operator, key) = match by {
        By::Signed(operator) | By::SignedWithString(operator, _) => (operator, key_of(operator)),
        By::Clear(operator, _) => (operator, key(&format!("attach {operator}"))),
        By::Secret(operator, _) => (operator, key("unused")),
    };
    let method = match by {
        By::Signed(_) => Method::Signed { key: &key, string: None },
        By::SignedWithString(_, string) => Method::Signed { key: &key, string: Some(string) },
        By::Clear(_, string) => Method::String { key: &key, string },
        By::Secret(_, string) => Method::Secret { string },
    };
    approve(package, &Approval { plmn: plmn(operator), method, prompts: None }).unwrap()
}

fn trust(operator_rules: &str, device: &str) -> Vec<u8> {
    let entry = |operator: &str| {
        format!(
            "[[operator]]\nplmn = \"{operator}\"\nkeys = [\"operator {operator}\"]\n\
             attach_keys = [\"attach {operator}\"]\n{operator_rules}\n"
        )
    };
    let text = format!(
        "version = 1\n[vendor]\nkeys = [\"vendor\"]\n{}{}[device]\n{device}\n",
        entry(A),
        entry(B)
    );
    let mut load = |name: &str| -> fwdelta::Result<PublicKey> { Ok(key(name).public()) };
    trust_file::compile(&text, "trust.toml", &mut load).unwrap()
}

const ALL_MODES: &str = "modes = [\"string\", \"secret\", \"signed\"]\nstrings_differ = true";

fn sim(operator: &str, condition: u8, string: [u8; 16]) -> Sim {
    let bytes = [&[condition][..], &string].concat();
    Sim::WithFota { plmn: plmn(operator), ef_fota: EfFota::parse(&bytes).unwrap() }
}

fn decide(package: &[u8], trust: &[u8], sim: Sim) -> Result<Basis, Detail> {
    let trust = Trust::parse(trust).unwrap();
    let mut buf = [0; 4096];
    let mut source = package;
    let device = Device { sim, sequence: None, facts: Facts::default() };
    let len = package.len() as u64;
    let limits = Limits::DEVICE;
    Package::verify(&mut source, len, &mut buf, &trust, &device, &Ed25519, &limits)
        .map(|package| package.decision.basis)
        .map_err(|error| error.detail)
}

fn columns() -> [Sim; 5] {
    [sim(A, 1, STRING_A), sim(B, 1, STRING_B), sim(A, 0, STRING_A), Sim::WithoutFota, Sim::Absent]
}

fn row(requirement: Option<&[&str]>, approvals: &[By], device: &str) -> [Result<Basis, Detail>; 5] {
    let package = approvals.iter().fold(package(requirement), |package, by| add(&package, *by));
    let trust = trust(ALL_MODES, device);
    columns().map(|sim| decide(&package, &trust, sim))
}

use Basis::{Approved, Unapproved, WithoutFota, WithoutSim};
use Detail::{
    FotaNotAllowed, ModeNotAllowed, NoSim, NotApproved, OperatorMismatch, OperatorRequired,
    StringMismatch, StringMissing,
};

#[test]
fn every_cell_of_the_table() {
    let no = Err(FotaNotAllowed);
    let (without, absent) = (Ok(WithoutFota), Ok(WithoutSim));
    for requirement in [None, Some(&[][..]), Some(&[A, B][..])] {
        let a = row(requirement, &[By::Signed(A)], "");
        assert_eq!(a, [Ok(Approved), Err(OperatorMismatch), no, without, absent]);
        let b = row(requirement, &[By::Signed(B)], "");
        assert_eq!(b, [Err(OperatorMismatch), Ok(Approved), no, without, absent]);
        let both = row(requirement, &[By::Signed(A), By::Signed(B)], "");
        assert_eq!(both, [Ok(Approved), Ok(Approved), no, without, absent]);
    }
    let none = row(None, &[], "");
    assert_eq!(none, [Err(NotApproved), Err(NotApproved), no, without, absent]);
    let required = Err(OperatorRequired);
    for policy in ["", "unapproved = \"apply\"\nno_sim = \"apply\""] {
        let none = row(Some(&[]), &[], policy);
        assert_eq!(none, [required, required, no, required, required]);
    }
}

#[test]
fn device_policy_decides_where_the_table_leaves_it() {
    let no = Err(FotaNotAllowed);
    let without = Ok(WithoutFota);
    let refuse = row(None, &[By::Signed(A)], "no_sim = \"refuse\"");
    assert_eq!(refuse, [Ok(Approved), Err(OperatorMismatch), no, without, Err(NoSim)]);
    let lax = "unapproved = \"apply\"";
    let none = row(None, &[], lax);
    assert_eq!(none, [Ok(Unapproved), Ok(Unapproved), no, without, Ok(WithoutSim)]);
    // Approved only by another operator counts as unapproved there, else stripping would help.
    let other = row(None, &[By::Signed(B)], lax);
    assert_eq!(other[0], Ok(Unapproved));
    let required = row(Some(&[]), &[By::Signed(B)], lax);
    assert_eq!(required[0], Err(OperatorMismatch));
}

#[test]
fn the_requirement_names_operators() {
    let only_b = row(Some(&[B]), &[By::Signed(A)], "");
    assert_eq!(only_b[0], Err(OperatorRequired));
    assert_eq!(only_b[3], Err(OperatorRequired));
    let both = row(Some(&[B]), &[By::Signed(A), By::Signed(B)], "");
    assert_eq!(both[0], Ok(Approved));
}

#[test]
fn strings_must_match_in_every_mode() {
    type Make = fn([u8; 16]) -> By;
    let modes: [Make; 3] =
        [|s| By::SignedWithString(A, s), |s| By::Clear(A, s), |s| By::Secret(A, s)];
    for make in modes {
        assert_eq!(row(None, &[make(STRING_A)], "")[0], Ok(Approved));
        assert_eq!(row(None, &[make(STRING_B)], "")[0], Err(StringMismatch));
        assert_eq!(row(None, &[make(STRING_A)], "")[1], Err(OperatorMismatch));
        for blank in [[0x00; 16], [0xff; 16]] {
            let package = add(&package(None), make(blank));
            let trust = trust(ALL_MODES, "");
            assert_eq!(decide(&package, &trust, sim(A, 1, blank)), Err(StringMismatch));
        }
    }
    // A secret approval cannot be checked without the SIM, so it meets no requirement there.
    let secret = row(Some(&[]), &[By::Secret(A, STRING_A)], "");
    assert_eq!(secret[0], Ok(Approved));
    assert_eq!(secret[3], Err(OperatorRequired));
}

#[test]
fn the_trust_anchor_chooses_modes_and_whether_a_string_is_required() {
    let signed_only = trust("", "");
    let cases =
        [(By::Clear(A, STRING_A), ModeNotAllowed), (By::Secret(A, STRING_A), ModeNotAllowed)];
    for (by, detail) in cases {
        let package = add(&package(None), by);
        assert_eq!(decide(&package, &signed_only, columns()[0]), Err(detail));
    }
    let strict = trust("string = \"required\"", "");
    let bare = add(&package(None), By::Signed(A));
    assert_eq!(decide(&bare, &strict, columns()[0]), Err(StringMissing));
    let with = add(&package(None), By::SignedWithString(A, STRING_A));
    assert_eq!(decide(&with, &strict, columns()[0]), Ok(Approved));
}

#[test]
fn the_allow_bit_is_configurable() {
    let package = add(&package(None), By::Signed(A));
    let third = trust("", "allow_bit = 3");
    assert_eq!(decide(&package, &third, sim(A, 0b0000_1000, STRING_A)), Ok(Approved));
    assert_eq!(decide(&package, &third, sim(A, 0b1111_0111, STRING_A)), Err(FotaNotAllowed));
}

#[test]
fn keys_cannot_change_roles() {
    // Operator B's key approves in A's name.
    let method = Method::Signed { key: &key(&format!("operator {B}")), string: None };
    let approval = Approval { plmn: plmn(A), method, prompts: None };
    let forged = approve(&package(None), &approval).unwrap();
    let trust = trust(ALL_MODES, "");
    assert_eq!(decide(&forged, &trust, columns()[0]), Err(Detail::WrongRole));
    // A key trusted for strings only signs an approval of its own.
    let method = Method::Signed { key: &key(&format!("attach {A}")), string: None };
    let approval = Approval { plmn: plmn(A), method, prompts: None };
    let forged = approve(&package(None), &approval).unwrap();
    assert_eq!(decide(&forged, &trust, columns()[0]), Err(Detail::WrongRole));
}

/// The anchor of a device whose operators have these keys, all modes accepted.
fn trust_of(operators: &[(&str, &[&str])], device: &str) -> Vec<u8> {
    let entry = |(operator, keys): &(&str, &[&str])| {
        format!("[[operator]]\nplmn = \"{operator}\"\nkeys = {keys:?}\n{ALL_MODES}\n")
    };
    let entries: String = operators.iter().map(entry).collect();
    let text = format!("version = 1\n[vendor]\nkeys = [\"vendor\"]\n{entries}[device]\n{device}\n");
    let mut load = |name: &str| -> fwdelta::Result<PublicKey> { Ok(key(name).public()) };
    trust_file::compile(&text, "trust.toml", &mut load).unwrap()
}

fn add_by(package: &[u8], operator: &str, signer: &str) -> Vec<u8> {
    let method = Method::Signed { key: &key(signer), string: None };
    approve(package, &Approval { plmn: plmn(operator), method, prompts: None }).unwrap()
}

#[test]
fn an_operator_may_ask_for_no_approval() {
    let lenient = trust("modes = [\"none\", \"signed\"]", "");
    let bare = package(None);
    assert_eq!(decide(&bare, &lenient, columns()[0]), Ok(Unapproved));
    assert_eq!(decide(&add(&bare, By::Signed(A)), &lenient, columns()[0]), Ok(Approved));
    // What another package without that approval would be allowed is allowed here.
    assert_eq!(decide(&add(&bare, By::Signed(B)), &lenient, columns()[0]), Ok(Unapproved));
    assert_eq!(
        decide(&add(&bare, By::Secret(A, STRING_B)), &lenient, columns()[0]),
        Ok(Unapproved)
    );
    // Neither the SIM's bit nor the vendor's requirement is the operator's to waive.
    assert_eq!(decide(&bare, &lenient, columns()[2]), Err(FotaNotAllowed));
    assert_eq!(decide(&package(Some(&[])), &lenient, columns()[0]), Err(OperatorRequired));
    // Of one operator it says nothing about another.
    let elsewhere = sim("20801", 1, STRING_A);
    assert_eq!(decide(&bare, &lenient, elsewhere), Err(NotApproved));
}

#[test]
fn one_package_reaches_devices_from_before_and_after_a_change_of_keys() {
    let both = add_by(&add_by(&package(None), A, "old key"), A, "new key");
    for keys in [&["old key"][..], &["new key"], &["old key", "new key"]] {
        assert_eq!(
            decide(&both, &trust_of(&[(A, keys)], ""), columns()[0]),
            Ok(Approved),
            "{keys:?}"
        );
    }
    // The key that is not known counts for nothing by itself, nor in the other's stead.
    let only_new = add_by(&package(None), A, "new key");
    let before = trust_of(&[(A, &["old key"])], "unapproved = \"apply\"");
    assert_eq!(decide(&only_new, &before, columns()[0]), Err(Detail::WrongRole));
    let strict = trust("string = \"required\"", "");
    let method = Method::Signed { key: &key("new key"), string: Some(STRING_A) };
    let stranger = Approval { plmn: plmn(A), method, prompts: None };
    let with_stranger = approve(&add(&package(None), By::Signed(A)), &stranger).unwrap();
    assert_eq!(decide(&with_stranger, &strict, columns()[0]), Err(StringMissing));
}

#[test]
fn operators_of_a_group_share_a_key() {
    let shared = trust_of(&[(A, &["group"]), (B, &["group"])], "");
    let both = add_by(&add_by(&package(None), A, "group"), B, "group");
    assert_eq!(decide(&both, &shared, columns()[0]), Ok(Approved));
    assert_eq!(decide(&both, &shared, columns()[1]), Ok(Approved));
    // Each of the group's networks is approved by itself.
    let only_a = add_by(&package(None), A, "group");
    assert_eq!(decide(&only_a, &shared, columns()[1]), Err(OperatorMismatch));
    let needs_b = add_by(&package(Some(&[B])), A, "group");
    assert_eq!(decide(&needs_b, &shared, columns()[0]), Err(OperatorRequired));
}

/// Anybody can make a secret block; one that is wrong must not take the right one's place.
#[test]
fn a_bogus_secret_block_does_not_block_the_right_one() {
    let trust = trust(ALL_MODES, "");
    let right = add(&package(None), By::Secret(A, STRING_A));
    for blocks in [[STRING_B, STRING_A], [STRING_A, STRING_B]] {
        let package =
            blocks.iter().fold(package(None), |p, string| add(&p, By::Secret(A, *string)));
        assert_eq!(decide(&package, &trust, columns()[0]), Ok(Approved));
    }
    let bogus = add(&package(None), By::Secret(A, STRING_B));
    assert_eq!(decide(&bogus, &trust, columns()[0]), Err(StringMismatch));
    let again =
        Approval { plmn: plmn(A), method: Method::Secret { string: STRING_A }, prompts: None };
    assert!(approve(&right, &again).is_err(), "the same approval twice");
}

/// Blocks of `all` by the bits of `subset`, in the order of `order`; the vendor's is number 0.
fn rearranged(all: &Parts<'_>, subset: u32, order: &[usize]) -> Vec<u8> {
    let mut parts = all.clone();
    parts.blocks = order
        .iter()
        .filter(|index| **index == 0 || subset >> (**index - 1) & 1 == 1)
        .map(|index| all.blocks[*index].clone())
        .collect();
    parts.write()
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.len() <= 1 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let rest: Vec<_> = items.iter().copied().filter(|item| item != first).collect();
        all.extend(
            permutations(&rest).into_iter().map(|rest| [&[items[index]][..], &rest].concat()),
        );
    }
    all
}

#[test]
fn stripping_and_reordering_only_ever_gets_stricter() {
    let mixes = [
        vec![By::Signed(A), By::Signed(B)],
        vec![By::SignedWithString(A, STRING_B), By::Signed(B), By::Clear(A, STRING_A)],
        vec![By::Secret(A, STRING_A), By::Signed(A), By::SignedWithString(B, STRING_B)],
        vec![By::Secret(A, STRING_B), By::Secret(B, STRING_B)],
    ];
    let mut compared = 0;
    for requirement in [None, Some(&[][..]), Some(&[A][..]), Some(&[B][..])] {
        for mix in &mixes {
            let full = mix.iter().fold(package(requirement), |package, by| add(&package, *by));
            let parts = Parts::read(&full).unwrap();
            let blocks: Vec<_> = (0..parts.blocks.len()).collect();
            let orders = permutations(&blocks);
            let subsets = 0..1 << mix.len();
            // Every subset of the approvals in every order; what comes out twice is tried once.
            let arrangements: std::collections::BTreeSet<_> = subsets
                .flat_map(|subset| orders.iter().map(move |order| (subset, order)))
                .map(|(subset, order)| rearranged(&parts, subset, order))
                .collect();
            let none = "modes = [\"none\", \"signed\"]";
            for rules in [ALL_MODES, "", "modes = [\"secret\"]", "string = \"required\"", none] {
                for policy in [
                    ("refuse", "refuse"),
                    ("refuse", "apply"),
                    ("apply", "refuse"),
                    ("apply", "apply"),
                ] {
                    let device =
                        format!("unapproved = \"{}\"\nno_sim = \"{}\"", policy.0, policy.1);
                    let trust = trust(rules, &device);
                    for sim in columns() {
                        let all = decide(&full, &trust, sim).is_ok();
                        for arrangement in &arrangements {
                            let less = decide(arrangement, &trust, sim).is_ok();
                            assert!(all || !less, "{requirement:?} {mix:?} {sim:?}");
                            compared += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 30_000, "{compared}");
}
