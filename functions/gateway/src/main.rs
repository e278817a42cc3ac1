//! The gateway function as it is deployed.

use std::process::ExitCode;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use bootstrap::Role;
use gateway::Gateway;

fn main() -> ExitCode {
    bootstrap::function::main(Role::Gateway, |config, app, stop| {
        let mut routes = gateway::router(Gateway::new(app, None, stop), Router::new());
        if config.webhooks_only {
            routes = gateway::webhooks_only(routes);
        }
        // The metrics of the all-in-one server count every task, and here everybody may call:
        // a function sends its metrics to the collector instead.
        Router::new()
            .route("/metrics", any(async || StatusCode::NOT_FOUND))
            .fallback_service(routes)
    })
}
