//! All ports together.

use std::sync::Arc;

use ports::{Clock, PortResult};

use crate::alarms::Alarms;
use crate::bus::PubSub;
use crate::config::Config;
use crate::firestore::Firestore;
use crate::secrets::SecretManager;
use crate::warehouse::BigQuery;

/// Tells the `traceparent` of what is being done, to go with what is published.
pub type Traceparent = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// One check of `chatflow doctor`: what was looked at, and what is wrong with it.
pub type Finding = (String, Result<(), String>);

/// Every port on Google Cloud. Clones share the connections.
#[derive(Clone)]
pub struct Gcp {
    store: Arc<Firestore>,
    bus: Arc<PubSub>,
    warehouse: Arc<BigQuery>,
    secrets: Arc<SecretManager>,
    alarms: Alarms,
}

impl Gcp {
    /// Makes the clients. Credentials are looked for; nothing is read or written yet.
    pub async fn connect(
        config: &Config,
        clock: Arc<dyn Clock>,
        traceparent: Traceparent,
    ) -> PortResult<Self> {
        install_tls();
        let alarms = Alarms::connect(config).await?;
        let store = Firestore::connect(config, alarms.clone(), clock.clone()).await?;
        let bus = PubSub::connect(config, store.clone(), alarms.clone(), traceparent).await?;
        let warehouse = BigQuery::connect(config, clock.clone(), store.clone()).await?;
        let secrets = SecretManager::connect(config, clock).await?;
        Ok(Self {
            store: Arc::new(store),
            bus: Arc::new(bus),
            warehouse: Arc::new(warehouse),
            secrets: Arc::new(secrets),
            alarms,
        })
    }

    /// Tasks, conversations, flows, settings, failures, timers.
    pub fn store(&self) -> Arc<Firestore> {
        self.store.clone()
    }

    /// Envelopes.
    pub fn bus(&self) -> Arc<PubSub> {
        self.bus.clone()
    }

    /// Rows.
    pub fn warehouse(&self) -> Arc<BigQuery> {
        self.warehouse.clone()
    }

    /// Secrets.
    pub fn secrets(&self) -> Arc<SecretManager> {
        self.secrets.clone()
    }

    /// Opens the connections a message needs, so that the first one waits for none.
    pub async fn warm(&self) -> PortResult<()> {
        let (store, ()) = tokio::join!(ports::Queries::ping(&*self.store), self.bus.warm());
        store
    }

    /// Makes what Terraform makes in a project, at servers that stand in for Google's: topics and
    /// the queue. Elsewhere it does nothing.
    pub async fn provision(&self) -> PortResult<()> {
        self.bus.provision().await?;
        self.alarms.provision().await
    }

    /// Looks at everything the system needs of the project, and changes nothing.
    pub async fn examine(&self) -> Vec<Finding> {
        let firestore = ports::Queries::ping(&*self.store).await;
        let mut findings =
            vec![("Firestore answers".to_owned(), firestore.map_err(|error| error.to_string()))];
        findings.extend(self.store.examine_indexes().await);
        findings.extend(self.bus.examine().await);
        findings.extend(self.alarms.examine().await);
        findings.extend(self.warehouse.examine().await);
        findings.extend(self.secrets.examine().await);
        findings
    }
}

/// TLS is rustls with ring. Whoever installed a provider before has decided.
fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
