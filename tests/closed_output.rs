//! Standard output that takes nothing: who stops reading is no error, a full disk is one.

use std::process::{Command, Output, Stdio};

fn manual(output: impl Into<Stdio>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fwdelta"));
    command.arg("man").stdout(output).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn who_reads_no_further_sees_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = manual(writer);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_an_error() {
    let output = manual(std::fs::File::create("/dev/full").unwrap());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: cannot write standard output: "), "{message}");
    assert_eq!(output.status.code(), Some(18), "{message}");
}
