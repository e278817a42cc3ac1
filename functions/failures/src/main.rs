//! The failures function as it is deployed.

use std::process::ExitCode;

use bootstrap::Role;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Failures, |_, app, _| failures::router(app))
}
