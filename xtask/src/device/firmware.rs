//! Builds the programs for the boards: one in Rust, one in C with the static library.

use std::fs;
use std::path::{Path, PathBuf};

use super::install;
use crate::tool::{cargo, command, root, run, target_dir};

/// A board that QEMU knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Board {
    /// Its core.
    pub(super) name: &'static str,
    pub(super) machine: &'static str,
    pub(super) target: &'static str,
    pub(super) page_len: u32,
    /// What the C compiler calls its core.
    cpu: &'static str,
    /// Defined in C programs.
    define: &'static str,
    script: &'static str,
    /// What of `device` its programs link: what its RAM has room for.
    features: &'static str,
    /// The same of `capi`, without its default features.
    c_features: &'static str,
}

pub(super) const M0: Board = Board {
    name: "Cortex-M0, 16 KiB of RAM",
    machine: "microbit",
    target: "thumbv6m-none-eabi",
    page_len: 1024,
    cpu: "cortex-m0",
    define: "BOARD_MICROBIT",
    script: "microbit.ld",
    features: "ed25519,isa-thumb,coder-plain,coder-predicted",
    c_features: "coder-plain",
};

pub(super) const M4: Board = Board {
    name: "Cortex-M4",
    machine: "mps2-an386",
    target: "thumbv7em-none-eabi",
    page_len: 4096,
    cpu: "cortex-m4",
    define: "BOARD_MPS2",
    script: "mps2.ld",
    features: "ed25519,isa-thumb,isa-riscv,coder-plain,coder-predicted",
    c_features: "ed25519,isa-all,coder-all",
};

/// Digests in loops instead of unrolled, as device/.cargo/config.toml has it.
const COMPACT: &str = "--cfg sha2_backend_soft=\"compact\"";

/// Builds `device/src/bin/apply`, without a warning; gives its path.
pub(super) fn in_rust(board: &Board) -> Result<PathBuf, String> {
    let target = target_dir().join("device-build");
    let in_device = |args: &str, more: &[&str]| {
        let mut cargo = cargo(&format!("{args} --release --locked --target {}", board.target));
        cargo.args(["--no-default-features", "--features", board.features]);
        let at = cargo.current_dir(root().join("device")).arg("--target-dir").arg(&target);
        run(at.args(more))
    };
    in_device("clippy", &["--", "--deny", "warnings"])?;
    in_device("build --bin apply", &[])?;
    Ok(target.join(board.target).join("release/apply"))
}

/// Links `device/src/bin/size` with `features`, frames noted; gives its path.
pub(super) fn for_size(board: &Board, features: &str) -> Result<PathBuf, String> {
    let target = target_dir().join("device-size");
    let mut build = cargo("rustc --quiet --release --locked --bin size --no-default-features");
    build.args(["--target", board.target, "--features", features, "--target-dir"]).arg(&target);
    build.args(["--", "-Z", "emit-stack-sizes"]).current_dir(root().join("device"));
    // Frames are noted by an unstable flag: it is allowed for this program alone, so that no
    // dependency takes the compiler for another one.
    build.env("RUSTC_BOOTSTRAP", "size");
    run(&mut build)?;
    Ok(target.join(board.target).join("release/size"))
}

/// Links `device/c/NAME.c` with the static library; gives the program's path.
pub(super) fn in_c(board: &Board, name: &str) -> Result<PathBuf, String> {
    let compiler = install::program("arm-none-eabi-gcc", "gcc-arm-none-eabi")?;
    let target = target_dir().join("capi-device");
    let library = "build --release --manifest-path capi/Cargo.toml --no-default-features --target";
    let mut build = cargo(&format!("{library} {}", board.target));
    build.args(["--features", board.c_features, "--target-dir"]).arg(&target);
    run(build.env("RUSTFLAGS", COMPACT))?;
    let library = target.join(board.target).join("release/libfwdelta.a");
    let program = target.join(format!("{}-{name}.elf", board.machine));
    run(compile(board, name, &compiler, &program).arg(library))?;
    fs::metadata(&program).map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(program)
}

fn compile(board: &Board, name: &str, compiler: &Path, program: &Path) -> std::process::Command {
    let mut compile = command(compiler);
    compile.args([&format!("-mcpu={}", board.cpu), "-mthumb", "-Os", "-std=c99"]);
    compile.args(["-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib"]);
    compile.args(["-ffunction-sections", "-Wl,--gc-sections", "-Ldevice/board"]);
    compile.args(["-T", board.script, "-Icapi/include", &format!("-D{}", board.define)]);
    if board.c_features.contains("ed25519") {
        compile.arg("-DWITH_ED25519");
    }
    compile.args(["device/board/start.S", "device/c/board.c", "device/c/support.c"]);
    compile.args([&format!("device/c/{name}.c"), "-o"]);
    compile.arg(program);
    compile
}
