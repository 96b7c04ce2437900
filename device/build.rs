//! Chooses the board by the target: its linker script, and a `cfg`.

fn main() {
    let target = std::env::var("TARGET").unwrap_or_default();
    let board = if target.starts_with("thumbv6m") { "microbit" } else { "mps2" };
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rustc-cfg=board=\"{board}\"");
    println!("cargo:rustc-link-arg=-L{here}/board");
    println!("cargo:rustc-link-arg=-T{board}.ld");
    println!("cargo:rerun-if-changed=board");
}
