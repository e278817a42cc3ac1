//! Where a test works: the servers around it, and a project of its own.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use backend_gcp::{Alarms, Config, Endpoints, Firestore, Gcp, PubSub};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use futures::future::BoxFuture;
use ports::Clock;
use ports_contract::{Backend, Reopen, at};

/// What a variable of the environment says, if it says something.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the runner of the servers says where they are")]
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

fn needed(name: &str) -> String {
    variable(name).unwrap_or_else(|| {
        panic!("{name} is not set: run inside `emulators run -- cargo nextest run -p backend-gcp`")
    })
}

/// The address of a part that only some tests need.
pub(crate) fn jwks_url() -> String {
    needed("CHATFLOW_JWKS_URL")
}

/// The time, which the servers have as well, in microseconds as a clock of ours has it.
pub(crate) fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "the server rings by the time there is")]
    let now = DateTime::<Utc>::from(std::time::SystemTime::now());
    now.trunc_subsecs(6)
}

/// The configuration of a new, empty project.
pub(crate) fn new() -> Config {
    // Fails where another test of this process has done so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let random = RandomState::new().build_hasher().finish();
    Config {
        project: format!("test-{random:016x}"),
        region: "asia-east1".into(),
        database: "(default)".into(),
        topic_prefix: "chatflow-".into(),
        queue: "chatflow-timers".into(),
        timekeeper_url: "http://127.0.0.1:9".into(),
        tasks_service_account: Some("timers@test.iam.gserviceaccount.com".into()),
        dataset: "chatflow".into(),
        secret_prefix: "chatflow-".into(),
        history_kept_days: None,
        conversations_kept_days: None,
        endpoints: Endpoints {
            firestore: Some(needed("CHATFLOW_FIRESTORE_ENDPOINT")),
            pubsub: Some(needed("CHATFLOW_PUBSUB_ENDPOINT")),
            bigquery: variable("CHATFLOW_BIGQUERY_ENDPOINT"),
            bigquery_storage: variable("CHATFLOW_BIGQUERY_STORAGE_ENDPOINT"),
            tasks: Some(needed("CHATFLOW_TASKS_ENDPOINT")),
            secrets: Some(needed("CHATFLOW_SECRETS_ENDPOINT")),
        },
    }
}

/// A clock that a test moves. Begins at the start of every sample.
#[derive(Default)]
pub(crate) struct HandClock {
    seconds: AtomicI64,
}

impl HandClock {
    /// Moves it on.
    pub(crate) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        at(0) + TimeDelta::seconds(self.seconds.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {
        std::future::pending::<()>().await;
    }
}

/// The alarms and the store of that project.
pub(crate) async fn store(config: &Config, clock: Arc<dyn Clock>) -> (Alarms, Firestore) {
    let alarms = Alarms::connect(config).await.unwrap();
    let store = Firestore::connect(config, alarms.clone(), clock).await.unwrap();
    (alarms, store)
}

/// A bus without a trace, with its topics made.
pub(crate) async fn bus(config: &Config) -> PubSub {
    let bus = bus_without_topics(config).await;
    bus.provision().await.unwrap();
    bus
}

/// A bus whose topics do not exist yet.
pub(crate) async fn bus_without_topics(config: &Config) -> PubSub {
    let (alarms, store) = store(config, Arc::new(HandClock::default())).await;
    PubSub::connect(config, store, alarms, Arc::new(|| None)).await.unwrap()
}

/// Every port over the project of a configuration, which can be opened again.
fn open(config: Config) -> BoxFuture<'static, Backend> {
    Box::pin(async move {
        let clock = Arc::new(HandClock::default());
        let gcp = Gcp::connect(&config, clock, Arc::new(|| None)).await.unwrap();
        gcp.provision().await.unwrap();
        let reopen: Reopen = Arc::new(move || open(config.clone()));
        Backend {
            turns: gcp.store(),
            queries: gcp.store(),
            flows: gcp.store(),
            config: gcp.store(),
            failures: gcp.store(),
            bus: gcp.bus(),
            deliveries: None,
            timers: gcp.store(),
            warehouse: gcp.warehouse(),
            secrets: gcp.secrets(),
            reopen: Some(reopen),
            keep: None,
        }
    })
}

/// Every port over a new project.
pub(crate) async fn backend() -> Backend {
    open(new()).await
}
