//! Hex input: what other tools write comes back, and what is wrong is refused with its line.

use fwdelta::image::{ERASED, FLAT_LEN_MAX, Format, GAP_LEN_MAX, load};
use ihex::Record;
use proptest::prelude::*;

/// As avr-objcopy and arm-none-eabi-objcopy write them: vectors, a linear address, an entry point.
const HEX: &str = "\
:020000040800F2\r
:1000000000500020C1000008C9000008C900000815\r
:08001000C9000008C900000846\r
:04000005080000C12E\r
:00000001FF\r
";
const HEX_IMAGE: [u8; 24] = [
    0x00, 0x50, 0x00, 0x20, 0xc1, 0, 0, 8, 0xc9, 0, 0, 8, 0xc9, 0, 0, 8, 0xc9, 0, 0, 8, 0xc9, 0, 0,
    8,
];

fn message(bytes: &[u8], name: &str) -> String {
    load(bytes, name, ERASED).unwrap_err().to_string()
}

fn hex_line(record: &Record) -> String {
    record.to_record_string().unwrap() + "\n"
}

/// `data` at `base` as a linker writes it: 16 bytes a record, an upper address when it changes.
fn hex_of(base: u32, data: &[u8]) -> String {
    let mut text = String::new();
    let mut upper = None;
    for (index, chunk) in data.chunks(16).enumerate() {
        let address = base + 16 * index as u32;
        if upper != Some(address >> 16) {
            upper = Some(address >> 16);
            text += &hex_line(&Record::ExtendedLinearAddress((address >> 16) as u16));
        }
        text += &hex_line(&Record::Data { offset: address as u16, value: chunk.to_vec() });
    }
    text + &hex_line(&Record::StartLinearAddress(base)) + &hex_line(&Record::EndOfFile)
}

fn srec_of(base: u32, data: &[u8]) -> String {
    let mut records = vec![srec::Record::S0("fwdelta".into())];
    let count = data.chunks(32).len() as u16;
    records.extend(data.chunks(32).enumerate().map(|(index, chunk)| {
        let address = srec::Address32(base + 32 * index as u32);
        srec::Record::S3(srec::Data { address, data: chunk.to_vec() })
    }));
    records
        .extend([srec::Record::S5(srec::Count16(count)), srec::Record::S7(srec::Address32(base))]);
    srec::generate_srec_file(&records)
}

#[test]
fn reads_what_a_linker_writes() {
    let image = load(HEX.as_bytes(), "app.hex", ERASED).unwrap();
    assert_eq!((image.base, image.format), (Some(0x0800_0000), Format::IntelHex));
    assert_eq!(*image.bytes, HEX_IMAGE);

    // The classic S-record example of the Unix manual pages.
    let text = "S00F000068656C6C6F202020202000003C\n\
        S11F00007C0802A6900100049421FFF07C6C1B787C8C23783C6000003863000026\n\
        S11F001C4BFFFFE5398000007D83637880010014382100107C0803A64E800020E9\n\
        S111003848656C6C6F20776F726C642E0A0042\nS5030003F9\nS9030000FC\n";
    let image = load(text.as_bytes(), "hello.s19", ERASED).unwrap();
    assert_eq!((image.base, image.format), (Some(0), Format::Srec));
    assert_eq!(image.bytes.len(), 0x38 + 14);
    assert!(image.bytes.ends_with(b"Hello world.\n\0"));
}

#[test]
fn gaps_are_filled_and_records_may_come_in_any_order() {
    let text = [
        Record::Data { offset: 0x20, value: vec![3, 4] },
        Record::Data { offset: 0x10, value: vec![1, 2] },
        Record::EndOfFile,
    ];
    let text: String = text.iter().map(hex_line).collect();
    let image = load(text.as_bytes(), "a.hex", 0xaa).unwrap();
    assert_eq!(image.base, Some(0x10));
    assert_eq!(image.bytes[..3], [1, 2, 0xaa]);
    assert_eq!(image.bytes[15..], [0xaa, 3, 4]);
}

#[test]
fn segments_place_data_and_do_not_wrap() {
    let segment = hex_line(&Record::ExtendedSegmentAddress(0x1234));
    let end = hex_line(&Record::EndOfFile);
    let at = |offset| segment.clone() + &hex_line(&Record::Data { offset, value: vec![7; 4] });
    let image = load((at(0x10) + &end).as_bytes(), "a.hex", ERASED).map(|image| image.base);
    assert_eq!(image.unwrap(), Some(0x12350));
    assert!(message((at(0xfffe) + &end).as_bytes(), "a.hex").contains("line 2: "));
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let end = hex_line(&Record::EndOfFile);
    let data = |offset| hex_line(&Record::Data { offset, value: vec![1; 16] });
    let upper = |upper| hex_line(&Record::ExtendedLinearAddress(upper));
    let cases = [
        (HEX.replace("C900000846\r", "C900000847\r"), "line 3: wrong checksum"),
        (HEX.replace(":00000001FF\r\n", ""), "cut off"),
        (HEX.to_owned() + &data(0), "line 6: a record after"),
        (data(0) + &data(8) + &end, "line 2: the record overlaps the one in line 1"),
        (data(0) + &data(0) + &end, "line 2: the record overlaps the one in line 1"),
        (data(0) + &upper(0x1fff) + &data(0) + &end, "line 3: a gap of "),
        (upper(0xffff) + &data(0xfff8) + &end, "line 2: the record reaches beyond"),
        (end.clone(), "no data"),
        (HEX.replace(":08", ":09"), "line 3: "),
        ("S1131234000102030405060708090A0B0C0D0E0FFF\n".into(), "line 1: wrong checksum"),
        ("S10712340102AE\n".into(), "line 1: the record is not as long as it says"),
        ("S107123400010203AC\n".into(), "cut off"),
        ("S107123400010203AC\nS5030002FA\nS9030000FC\n".into(), "line 2: the record count"),
        ("S107123400010203AC\nS9030000FC\nS9030000FC\n".into(), "line 3: a record after"),
        ("S00600004844521B\nS4060000484452\n".into(), "line 2: not an S-record"),
        ("S00600004844521B\nS1\u{e9}\n".into(), "line 2: not an even number"),
        ("S00600004844521B\nS10212EB\n".into(), "line 2: too short for its type"),
    ];
    for (text, expected) in cases {
        let message = message(text.as_bytes(), "fw.x");
        assert!(message.starts_with("fw.x: ") && message.contains(expected), "{text}\n{message}");
    }
}

#[test]
fn a_hostile_file_does_not_allocate_its_address_space() {
    // Gaps that each are allowed, but add up beyond the limit.
    let step = (GAP_LEN_MAX >> 16) as u16;
    let mut text = String::new();
    for index in 0..=(FLAT_LEN_MAX / GAP_LEN_MAX) as u16 {
        text += &hex_line(&Record::ExtendedLinearAddress(index * step));
        text += &hex_line(&Record::Data { offset: 0, value: vec![1] });
    }
    text += &hex_line(&Record::EndOfFile);
    assert!(message(text.as_bytes(), "a.hex").contains("spreads over"));
}

proptest! {
    #[test]
    fn hex_and_srec_round_trip(
        base in 0u32..0x4000_0000,
        data in prop::collection::vec(any::<u8>(), 1..70_000),
    ) {
        for (text, format) in [
            (hex_of(base & !0xf, &data), Format::IntelHex),
            (srec_of(base & !0xf, &data), Format::Srec),
        ] {
            let image = load(text.as_bytes(), "image", ERASED).unwrap();
            prop_assert_eq!(image.base, Some(u64::from(base & !0xf)));
            prop_assert_eq!(image.format, format);
            prop_assert!(*image.bytes == data);
        }
    }

    #[test]
    fn damaged_text_never_panics(pos in 0usize..100, byte in any::<u8>(), cut in 0usize..120) {
        for text in [HEX.to_owned(), srec_of(0x100, &HEX_IMAGE)] {
            let mut bytes = text.into_bytes();
            let at = pos % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len().saturating_sub(cut));
            let _ = load(&bytes, "image.hex", ERASED);
        }
    }
}
