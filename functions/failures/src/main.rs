//! The failures function as it is deployed.

use std::process::ExitCode;

use bootstrap::Role;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Failures, |app, _| failures::router(app))
}
