//! Logs, traces, metrics. Message texts and secrets are never logged.
//!
//! On a terminal logs are text, elsewhere JSON; functions in the cloud write what Cloud Logging
//! and Error Reporting understand, and send traces and metrics where a collector is named.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

#[cfg(feature = "cloud")]
pub mod cloud;
pub mod metrics;
#[cfg(feature = "cloud")]
pub mod otlp;
pub mod trace;

/// Starts logging to standard error. `filter` is in the syntax of `tracing`, such as `info` or
/// `runtime=debug,warn`.
pub fn start(filter: &str) -> anyhow::Result<()> {
    let filter = filter_of(filter)?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        logs.compact().with_target(false).try_init()
    } else {
        logs.json().try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging could not start: {error}"))
}

fn filter_of(filter: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(filter)
        .map_err(|error| anyhow::anyhow!("`{filter}` is not a log filter: {error}"))
}

#[cfg(feature = "cloud")]
pub use function::{Telemetry, start_function};

#[cfg(feature = "cloud")]
mod function {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;

    use super::{cloud, filter_of, otlp};
    use crate::config::Config;

    /// The telemetry of a function; it sends what is left when it ends.
    #[must_use = "traces and metrics are sent until it is ended"]
    pub struct Telemetry {
        export: Option<otlp::Export>,
    }

    impl Telemetry {
        /// Sends what is left, for a few seconds at most.
        pub async fn end(self) {
            if let Some(export) = self.export {
                // It blocks its thread; a thread that cannot be joined loses the last few spans.
                let _ = tokio::task::spawn_blocking(move || export.end()).await;
            }
        }
    }

    /// Starts what a function in the cloud needs: JSON on standard output, and a collector's
    /// traces and metrics where the configuration names one.
    pub fn start_function(config: &Config) -> anyhow::Result<Telemetry> {
        let filter = filter_of(&config.log)?;
        let export =
            config.otlp.as_deref().map(|to| otlp::Export::start(to, config)).transpose()?;
        let origin = cloud::Origin {
            project: config.gcp.as_ref().map(|gcp| gcp.project.clone()),
            service: config.service.clone(),
            version: config.version.clone(),
        };
        let logs = cloud::layer(origin, std::io::stdout);
        let traces = export.as_ref().map(otlp::Export::layer);
        tracing_subscriber::registry()
            .with(filter)
            .with(traces)
            .with(logs)
            .try_init()
            .map_err(|error| anyhow::anyhow!("logging could not start: {error}"))?;
        cloud::report_panics();
        Ok(Telemetry { export })
    }
}
