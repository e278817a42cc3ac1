//! The controller function as it is deployed.

use std::process::ExitCode;

use bootstrap::Role;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Controller, |_, app, _| controller::router(app))
}
