//! Law: whatever a SIM's EF_FOTA holds, a package with an operator's string is accepted by exactly
//! those files of 17 bytes that have the allow bit and that string, provisioned; every other one is
//! refused with the reason that comes first.
#![no_main]

use std::sync::LazyLock;

use fwdelta::diff::Profile;
use fwdelta::package::{Approval, Method, PublicKey, approve, trust_file};
use fwdelta_core::format::trust::Trust;
use fwdelta_core::verify::{Device, EF_FOTA_LEN, Ed25519, EfFota, Facts, Package, Sim};
use fwdelta_core::{Detail, Limits};
use fwdelta_fuzz::common::{STRING, key, package, plmn};
use libfuzzer_sys::fuzz_target;

const OPERATOR: &str = "26201";

/// Approved in each mode: the string in the clear, as a MAC key, and beside a signature.
static PACKAGES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let package = package(Some(&[7; 64]), &[8; 64], Profile::Plain, &|_| {});
    let key = &key(OPERATOR);
    let methods = [
        Method::String { key, string: STRING },
        Method::Secret { string: STRING },
        Method::Signed { key, string: Some(STRING) },
    ];
    methods.map(|method| {
        let approval = Approval { plmn: plmn(OPERATOR), method, prompts: None };
        approve(&package, &approval).expect("one approval has room")
    })
});

/// One anchor per position of the allow bit.
static ANCHORS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let anchor = |bit| {
        let text = format!(
            "version = 1\n[vendor]\nkeys = [\"vendor\"]\n[[operator]]\nplmn = \"{OPERATOR}\"\n\
             keys = [\"{OPERATOR}\"]\nmodes = [\"string\", \"secret\", \"signed\"]\n\
             strings_differ = true\n[device]\nallow_bit = {bit}\n"
        );
        let mut load = |name: &str| -> fwdelta::Result<PublicKey> { Ok(key(name).public()) };
        trust_file::compile(&text, "trust.toml", &mut load).expect("a good trust file")
    };
    (0..8).map(anchor).collect()
});

fn expected(file: &[u8], bit: u8) -> Result<(), Detail> {
    let (condition, string) = file.split_first().expect("it has 17 bytes");
    let is_blank = [0x00, 0xff].iter().any(|blank| string.iter().all(|byte| byte == blank));
    match () {
        () if (condition >> bit) & 1 == 0 => Err(Detail::FotaNotAllowed),
        () if is_blank || string != STRING => Err(Detail::StringMismatch),
        () => Ok(()),
    }
}

// The first byte says which package and which allow bit; the file follows.
fuzz_target!(|input: &[u8]| {
    let Some((&choice, file)) = input.split_first() else { return };
    let read = EfFota::parse(file);
    assert_eq!(read.is_ok(), file.len() == EF_FOTA_LEN);
    let Ok(ef_fota) = read else { return };
    let bit = choice & 7;
    let trust = Trust::parse(&ANCHORS[usize::from(bit)]).expect("our own anchor");
    let sim = Sim::WithFota { plmn: plmn(OPERATOR), ef_fota };
    let device = Device { sim, sequence: None, facts: Facts::default() };
    let mut source = PACKAGES[usize::from(choice >> 3) % 3].as_slice();
    let len = source.len() as u64;
    let mut buf = [0; Limits::DEVICE.envelope_len];
    let limits = &Limits::DEVICE;
    let verdict = Package::verify(&mut source, len, &mut buf, &trust, &device, &Ed25519, limits);
    assert_eq!(verdict.map(|_| ()).map_err(|error| error.detail), expected(file, bit));
});
