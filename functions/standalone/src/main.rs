//! The `chatflow` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    standalone::cli::main()
}
