//! The timekeeper function as it is deployed.

use std::process::ExitCode;

use bootstrap::Role;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Timekeeper, |_, app, _| timekeeper::router(app))
}
