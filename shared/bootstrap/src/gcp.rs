//! The system on Google Cloud.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backend_gcp::{Endpoints, Gcp};
use ports::{Clock, PortError, PortResult};
use runtime::egress::{Egress, EgressConfig, EgressSetupError};
use runtime::outcome::backoff;
use runtime::{App, AppParts, Limits};

use crate::config;
use crate::telemetry::trace;

/// How long a start waits for Google to answer.
const CONNECT_FOR: Duration = Duration::from_secs(60);

/// Why the system cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GoogleError {
    /// Google's clients.
    #[error("the clients of Google Cloud cannot start: {0}")]
    Connect(PortError),
    /// The HTTP client.
    #[error(transparent)]
    Egress(#[from] EgressSetupError),
}

/// The system.
pub struct Google {
    /// What the functions see.
    pub app: App,
    gcp: Gcp,
}

impl Google {
    /// Puts the system together. Whoever publishes passes the current trace on.
    pub async fn connect(
        config: &config::Gcp,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Self, GoogleError> {
        let gcp = connected(&of(config), &clock).await.map_err(GoogleError::Connect)?;
        let store = gcp.store();
        let app = App::new(AppParts {
            timers: store.clone(),
            store,
            bus: gcp.bus(),
            warehouse: gcp.warehouse(),
            secrets: gcp.secrets(),
            clock,
            egress: Egress::new(&EgressConfig::default())?,
            limits,
            // Replies of connections that reply on the terminal have none here.
            terminal: Arc::new(|_| {}),
        });
        Ok(Self { app, gcp })
    }

    /// The backend itself, for those who look at it or set it up.
    pub fn backend(&self) -> &Gcp {
        &self.gcp
    }

    /// Opens the connections.
    pub async fn warm(&self) -> PortResult<()> {
        self.gcp.warm().await
    }
}

/// The clients, made again for a while where Google does not answer: who starts while it is away
/// should be there when it is back.
async fn connected(config: &backend_gcp::Config, clock: &Arc<dyn Clock>) -> PortResult<Gcp> {
    let began = Instant::now();
    let mut attempt = 0;
    loop {
        match Gcp::connect(config, clock.clone(), Arc::new(trace::current)).await {
            Err(error) if error.is_passing() && began.elapsed() < CONNECT_FOR => {
                tracing::warn!(%error, attempt, "connecting failed; it is tried again");
                let (first, longest) = (Duration::from_millis(250), Duration::from_secs(2));
                tokio::time::sleep(backoff("connect", attempt, first, longest)).await;
                attempt += 1;
            }
            ended => return ended,
        }
    }
}

fn of(config: &config::Gcp) -> backend_gcp::Config {
    let config::Endpoints { firestore, pubsub, bigquery, bigquery_storage, tasks, secrets } =
        config.endpoints.clone();
    backend_gcp::Config {
        project: config.project.clone(),
        region: config.region.clone(),
        database: config.database.clone(),
        topic_prefix: config.topic_prefix.clone(),
        queue: config.queue.clone(),
        timekeeper_url: config.timekeeper_url.clone(),
        tasks_service_account: Some(config.tasks_service_account.clone()),
        dataset: config.dataset.clone(),
        secret_prefix: config.secret_prefix.clone(),
        history_kept_days: config.history_kept_days,
        conversations_kept_days: config.conversations_kept_days,
        endpoints: Endpoints { firestore, pubsub, bigquery, bigquery_storage, tasks, secrets },
    }
}
