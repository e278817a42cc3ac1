//! The messenger function as it is deployed.

use std::process::ExitCode;

use bootstrap::Role;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Messenger, |_, app, _| messenger::router(app))
}
