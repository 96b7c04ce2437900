//! The `fwdelta` command.

fn main() -> std::process::ExitCode {
    fwdelta::cli::main()
}
