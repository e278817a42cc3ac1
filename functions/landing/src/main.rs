//! The landing function as it is deployed.

use std::process::ExitCode;

use bootstrap::Role;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Landing, |_, app, _| landing::router(app))
}
