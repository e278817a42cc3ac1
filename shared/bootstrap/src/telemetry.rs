//! Logs: for people on a terminal, JSON elsewhere. Message texts and secrets are never logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `filter` is in the syntax of `tracing`, such as `info` or
/// `runtime=debug,warn`.
pub fn start(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| anyhow::anyhow!("`{filter}` is not a log filter: {error}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        logs.compact().with_target(false).try_init()
    } else {
        logs.json().try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging could not start: {error}"))
}
