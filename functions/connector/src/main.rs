//! The connector function as it is deployed.

use std::process::ExitCode;

use bootstrap::Role;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Connector, |_, app, _| connector::router(app))
}
