//! The connector function as it is deployed.

use std::process::ExitCode;

use bootstrap::Role;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Connector, |app, _| connector::router(app))
}
